//! Posts many events in batches, for measurements in which they are to wait.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::api::Api;
use super::ledger::{Clock, Ledger};
use super::template::Template;

/// Events of one batch: the most that the API takes.
const BATCH: u32 = 1_000;
/// Batches under way at once.
const AT_ONCE: usize = 4;

/// Posts as many events as `ledger` can follow to `organization`, and notes each there.
///
/// # Errors
/// The server cannot be reached or refuses an event.
pub async fn fill(
    api: &Api,
    organization: &str,
    template: &Template,
    ledger: &Ledger,
    clock: Clock,
) -> anyhow::Result<()> {
    let events = u32::try_from(ledger.capacity())?;
    let posts = (0..events).step_by(BATCH as usize).map(|first| {
        let numbers = first..events.min(first.saturating_add(BATCH));
        let mut template = template.clone();
        async move {
            let sent = clock.micros();
            let expected = numbers.len();
            let acknowledged = api.post_batch(batch(organization, &mut template, numbers.clone(), sent)).await?;
            anyhow::ensure!(acknowledged == expected, "{acknowledged} results for a batch of {expected} events");
            let now = clock.micros();
            numbers.for_each(|event| ledger.ack(event, sent, now));
            Ok(())
        }
    });
    stream::iter(posts).buffer_unordered(AT_ONCE).try_collect::<()>().await
}

fn batch(organization: &str, template: &mut Template, numbers: std::ops::Range<u32>, sent: u64) -> Bytes {
    let mut body = b"{\"events\":[".to_vec();
    for event in numbers.clone() {
        if event > numbers.start {
            body.push(b',');
        }
        body.extend_from_slice(b"{\"organization\":\"");
        body.extend_from_slice(organization.as_bytes());
        body.extend_from_slice(b"\",");
        // The rest of the event, behind its opening brace.
        body.extend_from_slice(&template.event(event, sent)[1..]);
    }
    body.extend_from_slice(b"]}");
    body.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::subject::Subject;
    use crate::bench::template::Address;
    use serde_json::Value;

    #[test]
    fn a_batch_is_json_and_names_the_organization_in_each_event() {
        let mut template = Template::new(&Address { host: "h", path: "/", key: "k" }, 200, 7, 1, &Subject::plain());
        let body: Value = serde_json::from_slice(&batch("org_1", &mut template, 3..5, 9)).unwrap();
        let events = body["events"].as_array().unwrap();
        assert_eq!(events.len(), 2);
        for (event, end) in events.iter().zip(["-00000003", "-00000004"]) {
            assert_eq!(event["organization"], "org_1");
            assert!(event["id"].as_str().unwrap().ends_with(end), "{event}");
        }
    }
}
