//! The two questions about a name, for IPv4 and IPv6 addresses, and when their answers are enough.

use std::future::Future;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::time::timeout;

use super::LookupError;

/// How long the addresses of one family wait for those of the other (RFC 8305, 3).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);
/// How many addresses of a family are used. A name server may send thousands.
pub(super) const MAX_PER_FAMILY: usize = 16;

/// The answer to one of the questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// At most [`MAX_PER_FAMILY`].
    Addresses {
        addresses: Vec<IpAddr>,
        lifetime: Duration,
    },
    /// There are no addresses of this family, and none of any family unless `name_exists`.
    Absent {
        name_exists: bool,
        lifetime: Duration,
    },
    Failed(LookupError),
}

/// What is known of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) found: Result<Vec<IpAddr>, LookupError>,
    /// How long it may be used again.
    pub(super) lifetime: Duration,
}

/// Asks for both families and reports the answer as soon as it is usable: with both replies, or with the addresses of one
/// family once the other has had 50 ms more. What comes later is reported again.
pub(super) async fn ask_both(
    v4: impl Future<Output = Reply> + Send,
    v6: impl Future<Output = Reply> + Send,
    mut report: impl FnMut(Answer),
) {
    let (mut v4, mut v6) = (pin!(v4), pin!(v6));
    let (first, is_v4) = tokio::select! {
        biased;
        reply = &mut v4 => (reply, true),
        reply = &mut v6 => (reply, false),
    };
    let mut other: Pin<&mut (dyn Future<Output = Reply> + Send)> = if is_v4 { v6 } else { v4 };
    match first {
        Reply::Absent { name_exists: false, lifetime } => {
            return report(Answer { found: Err(LookupError::NotFound), lifetime });
        }
        Reply::Absent { .. } | Reply::Failed(_) => {}
        Reply::Addresses { .. } => match timeout(RESOLUTION_DELAY, other.as_mut()).await {
            Ok(second) => return report(join(first, second)),
            Err(_) => report(join(first.clone(), Reply::Failed(LookupError::TimedOut))),
        },
    }
    let second = other.await;
    report(join(first, second));
}

/// Joins the replies of both families: addresses if there are any, or else why there are none.
fn join(first: Reply, second: Reply) -> Answer {
    use Reply::{Absent, Addresses, Failed};
    let none = |error| Answer { found: Err(error), lifetime: Duration::ZERO };
    match (first, second) {
        (Addresses { addresses, lifetime }, Addresses { addresses: others, lifetime: other }) => {
            Answer { found: Ok(alternate(addresses, others)), lifetime: lifetime.min(other) }
        }
        (Addresses { addresses, lifetime }, _) | (_, Addresses { addresses, lifetime }) => {
            Answer { found: Ok(addresses), lifetime }
        }
        (Failed(LookupError::Shortage), _) | (_, Failed(LookupError::Shortage)) => none(LookupError::Shortage),
        (Failed(LookupError::TimedOut), _) | (_, Failed(LookupError::TimedOut)) => none(LookupError::TimedOut),
        (Failed(error), _) | (_, Failed(error)) => none(error),
        (Absent { lifetime, .. }, Absent { lifetime: other, .. }) => {
            Answer { lifetime: lifetime.min(other), ..none(LookupError::NotFound) }
        }
    }
}

/// Takes turns between the families, IPv4 first: machines without IPv6 are common, and their IPv6 fails slowly.
fn alternate(first: Vec<IpAddr>, second: Vec<IpAddr>) -> Vec<IpAddr> {
    let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = first.into_iter().chain(second).partition(IpAddr::is_ipv4);
    let (mut v4, mut v6) = (v4.into_iter(), v6.into_iter());
    let mut turns = Vec::with_capacity(v4.len() + v6.len());
    while v4.len() + v6.len() > 0 {
        turns.extend(v4.next());
        turns.extend(v6.next());
    }
    turns
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Lets the paused time pass.
    async fn pass(time: Duration) {
        let _ = timeout(time, std::future::pending::<()>()).await;
    }

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn some(texts: &[&str]) -> Reply {
        Reply::Addresses { addresses: addresses(texts), lifetime: MINUTE }
    }

    fn absent(name_exists: bool) -> Reply {
        Reply::Absent { name_exists, lifetime: MINUTE }
    }

    /// What is reported, with when in milliseconds, for replies that come after so many; `None` never comes.
    async fn reports(
        v4: Option<(u64, Reply)>,
        v6: Option<(u64, Reply)>,
    ) -> Vec<(u128, Result<Vec<IpAddr>, LookupError>)> {
        let started = Instant::now();
        let mut reports = Vec::new();
        let reply = |reply: Option<(u64, Reply)>| async move {
            let Some((after, reply)) = reply else { return std::future::pending().await };
            pass(Duration::from_millis(after)).await;
            reply
        };
        let asking =
            ask_both(reply(v4), reply(v6), |answer| reports.push((started.elapsed().as_millis(), answer.found)));
        let _ = timeout(MINUTE, asking).await;
        reports
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_of_one_family_wait_50_ms_for_the_other() {
        let v4 = || Some((10, some(&["192.0.2.1"])));
        let v6 = |after| Some((after, some(&["2001:db8::1"])));
        let both = || Ok(addresses(&["192.0.2.1", "2001:db8::1"]));
        assert_eq!(reports(v4(), v6(5)).await, [(10, both())]);
        assert_eq!(reports(v4(), v6(59)).await, [(59, both())]);
        assert_eq!(reports(v4(), None).await, [(60, Ok(addresses(&["192.0.2.1"])))]);
        assert_eq!(reports(None, v6(5)).await, [(55, Ok(addresses(&["2001:db8::1"])))]);
        assert_eq!(reports(v4(), v6(300)).await, [(60, Ok(addresses(&["192.0.2.1"]))), (300, both())]);
    }

    #[tokio::test(start_paused = true)]
    async fn without_addresses_the_other_family_decides() {
        let failed = || Reply::Failed(LookupError::Failed);
        assert_eq!(reports(Some((1, absent(true))), Some((900, some(&["2001:db8::1"])))).await.len(), 1);
        assert_eq!(reports(Some((1, failed())), Some((900, some(&["2001:db8::1"])))).await[0].0, 900);
        assert_eq!(reports(Some((1, absent(false))), None).await, [(1, Err(LookupError::NotFound))]);
        assert_eq!(reports(Some((1, absent(true))), Some((2, absent(true)))).await, [(2, Err(LookupError::NotFound))]);
        assert_eq!(reports(Some((1, absent(true))), Some((2, failed()))).await, [(2, Err(LookupError::Failed))]);
        assert!(reports(Some((1, absent(true))), None).await.is_empty());
    }

    #[test]
    fn families_take_turns() {
        let v6 = addresses(&["2001:db8::1", "2001:db8::2", "2001:db8::3"]);
        let v4 = addresses(&["192.0.2.1"]);
        let expected = addresses(&["192.0.2.1", "2001:db8::1", "2001:db8::2", "2001:db8::3"]);
        assert_eq!(alternate(v6.clone(), v4.clone()), expected);
        assert_eq!(alternate(v4, v6), expected);
    }
}
