//! The request of one event, built once; each sending stamps its number and time into it.

use super::mark::{self, Mark, write_hex};

/// The event type that is posted.
pub const EVENT_TYPE: &str = "bench.sent";
/// The largest `data` that can be asked for, in bytes.
pub const MAX_PAYLOAD: usize = 256 * 1024;
const ID_DIGITS: usize = 8;

/// A whole HTTP request with two places to stamp: the host's id of the event, and the mark within its data.
#[derive(Clone)]
pub struct Template {
    bytes: Vec<u8>,
    body_at: usize,
    id_at: usize,
    mark_at: usize,
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
    /// A request whose event's `data` has `payload` bytes, or as few as the mark needs. `nonce` makes the ids differ
    /// from those of every earlier use.
    pub fn new(address: &Address<'_>, payload: usize, nonce: u64, run: u32) -> Self {
        let id = format!("bench-{nonce:016x}-{run:x}-");
        let before_mark = format!("{{\"type\":\"{EVENT_TYPE}\",\"id\":\"{id}{}\",\"data\":", "0".repeat(ID_DIGITS));
        let data_start = "{\"mark\":\"";
        let data_middle = "\",\"text\":\"";
        let overhead = data_start.len() + mark::LENGTH + data_middle.len() + 2;
        let padding = "x".repeat(payload.min(MAX_PAYLOAD).saturating_sub(overhead));
        let place = "-".repeat(mark::LENGTH);
        let body = format!("{before_mark}{data_start}{place}{data_middle}{padding}\"}}}}");
        let Address { host, path, key } = address;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let body_at = head.len();
        let id_at = head.len() + before_mark.len() - "\",\"data\":".len() - ID_DIGITS;
        let mark_at = head.len() + before_mark.len() + data_start.len();
        Template { bytes: (head + &body).into_bytes(), body_at, id_at, mark_at, run }
    }

    /// The request of one event.
    pub fn stamp(&mut self, event: u32, sent: u64) -> &[u8] {
        write_hex(u64::from(event), &mut self.bytes[self.id_at..self.id_at + ID_DIGITS]);
        Mark { run: self.run, event, sent }.stamp(&mut self.bytes[self.mark_at..self.mark_at + mark::LENGTH]);
        &self.bytes
    }

    /// The event alone, a JSON object, as [`Template::stamp`] has it in the request's body.
    pub fn event(&mut self, event: u32, sent: u64) -> &[u8] {
        let body_at = self.body_at;
        &self.stamp(event, sent)[body_at..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let mut template = Template::new(&address, 300, 7, 2);
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
        let mut template = Template::new(&Address { host: "h", path: "/", key: "k" }, 0, 0, 1);
        assert!(Mark::find(template.stamp(0, 1)).is_some());
    }
}
