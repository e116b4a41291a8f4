//! The request of one event, built once; each sending stamps its number and time into it.

use super::mark::{self, Mark, write_hex};
use super::subject::{Subject, mark_place};

/// The largest `data` that can be asked for, in bytes.
pub const MAX_PAYLOAD: usize = 256 * 1024;
const ID_DIGITS: usize = 8;
/// What stands where the event's number is to be stamped in decimal, as an entity's id.
pub const NUMBER_PLACE: &str = "@@@@@@@@@@@";
/// Added to the number, so that all have the same length and none starts with a zero.
const FIRST_NUMBER: u64 = 10_000_000_000;

/// A whole HTTP request with places to stamp: the host's id of the event, the mark, and where the subject has it the number.
#[derive(Clone)]
pub struct Template {
    bytes: Vec<u8>,
    body_at: usize,
    id_at: usize,
    mark_at: usize,
    number_at: Option<usize>,
    run: u32,
}

/// Where and as whom the events are posted.
pub struct Address<'a> {
    /// The Host header.
    pub host: &'a str,
    /// The path of the POST.
    pub path: &'a str,
    /// The key of the Authorization header.
    pub key: &'a str,
}

impl Template {
    /// A request whose event has `payload` bytes in the value that holds the mark, or as few as that needs. `nonce` makes
    /// the ids differ from those of every earlier use.
    pub fn new(address: &Address<'_>, payload: usize, nonce: u64, run: u32, subject: &Subject) -> Self {
        let id = format!("bench-{nonce:016x}-{run:x}-");
        let kind = &subject.event_type;
        let start = format!("{{\"type\":\"{kind}\",\"id\":\"{id}{}\",", "0".repeat(ID_DIGITS));
        let padding = "x".repeat(payload.min(MAX_PAYLOAD).saturating_sub(subject.carrier_bytes));
        let (before, after) = subject.event.split_once(&mark_place()).unwrap_or((&subject.event, ""));
        let body = format!("{start}{before}{}{padding}{after}}}", mark_place());
        let Address { host, path, key } = address;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let body_at = head.len();
        let id_at = body_at + start.len() - "\",".len() - ID_DIGITS;
        let mark_at = body_at + start.len() + before.len();
        let number_at = body.find(NUMBER_PLACE).map(|at| body_at + at);
        Template { bytes: (head + &body).into_bytes(), body_at, id_at, mark_at, number_at, run }
    }

    /// The request of one event.
    pub fn stamp(&mut self, event: u32, sent: u64) -> &[u8] {
        write_hex(u64::from(event), &mut self.bytes[self.id_at..self.id_at + ID_DIGITS]);
        Mark { run: self.run, event, sent }.stamp(&mut self.bytes[self.mark_at..self.mark_at + mark::LENGTH]);
        if let Some(at) = self.number_at {
            write_decimal(FIRST_NUMBER + u64::from(event), &mut self.bytes[at..at + NUMBER_PLACE.len()]);
        }
        &self.bytes
    }

    /// The event alone, a JSON object, as [`Template::stamp`] has it in the request's body.
    pub fn event(&mut self, event: u32, sent: u64) -> &[u8] {
        let body_at = self.body_at;
        &self.stamp(event, sent)[body_at..]
    }
}

/// Writes the low digits of `number` in decimal over the whole of `place`.
fn write_decimal(mut number: u64, place: &mut [u8]) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::subject::EVENT_TYPE;
    use crate::bench::wire;
    use serde_json::Value;

    fn body(request: &[u8]) -> &[u8] {
        let frame = wire::frame(request).unwrap().unwrap();
        assert_eq!(frame.whole(), request.len());
        &request[frame.head..]
    }

    #[test]
    fn a_stamped_request_is_whole_and_unique() {
        let address = Address { host: "h", path: "/v1/organizations/o/events", key: "k" };
        let mut template = Template::new(&address, 300, 7, 2, &Subject::plain());
        let first = template.stamp(10, 99).to_vec();
        let event: Value = serde_json::from_slice(body(&first)).unwrap();
        assert_eq!(event["id"], "bench-0000000000000007-2-0000000a");
        assert_eq!(event["type"], EVENT_TYPE);
        assert_eq!(event["data"].to_string().len(), 300);
        assert_eq!(Mark::find(body(&first)), Some(Mark { run: 2, event: 10, sent: 99 }));
        let second: Value = serde_json::from_slice(template.event(11, 99)).unwrap();
        assert_ne!(second["id"], event["id"]);
    }

    #[test]
    fn a_small_payload_still_has_its_mark() {
        let mut template = Template::new(&Address { host: "h", path: "/", key: "k" }, 0, 0, 1, &Subject::plain());
        assert!(Mark::find(template.stamp(0, 1)).is_some());
    }
}
