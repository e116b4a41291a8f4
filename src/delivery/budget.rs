//! What a receiver may make this server read beside its answers: interim responses over HTTP/1.1, and HTTP/2 frames that carry
//! no body. A receiver that sends more than that loses the connection.

use std::sync::atomic::{AtomicI64, Ordering};

/// Interim responses (1xx) before an answer.
const MAX_INTERIM_RESPONSES: usize = 16;
/// What each request adds to the frames that a receiver may send, up to how many of these may be left. An answer takes some
/// four, and one more for each 4 KiB of its head.
const FRAMES_FOR_A_REQUEST: i64 = 64;
const MAX_FRAMES: i64 = 1_024;
/// So many bytes of a request's body add one more: a receiver opens its windows as it reads it.
const BODY_BYTES_FOR_A_FRAME: usize = 4_096;
/// A frame's head: length (3 bytes), kind, flags, stream (4 bytes).
const FRAME_HEAD: usize = 9;
const DATA: u8 = 0;
/// Where in an answer the first digit of its status is, after `HTTP/1.1 `.
const STATUS: usize = 9;

/// Why a connection is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flood {
    #[error("it sent more than {MAX_INTERIM_RESPONSES} interim responses")]
    InterimResponses,
    #[error("it sent more HTTP/2 frames than requests call for")]
    Frames,
}

/// Counts what is read from a receiver.
pub(super) enum Meter {
    Http1(Interims),
    Http2(Frames),
}

/// The responses that precede an answer.
#[derive(Default)]
pub(super) struct Interims {
    /// Whether an interim response came first.
    any: bool,
    count: usize,
    /// How much of [`Interims::START`] was just read.
    matched: usize,
}

impl Interims {
    /// How each response after the first begins, the end of the line before included.
    const START: &[u8] = b"\nHTTP/1.";

    /// Counts bytes of an answer whose head is not complete. `before`: how many were read of it before.
    pub(super) fn read(&mut self, before: usize, bytes: &[u8]) -> Result<(), Flood> {
        if before == 0 {
            *self = Interims::default();
        }
        let status = STATUS.checked_sub(before).and_then(|index| bytes.get(index));
        self.any |= status == Some(&b'1');
        if !self.any {
            return Ok(());
        }
        for byte in bytes {
            self.matched = match byte {
                byte if *byte == Self::START[self.matched] => self.matched + 1,
                b'\n' => 1,
                _ => 0,
            };
            if self.matched == Self::START.len() {
                (self.matched, self.count) = (0, self.count + 1);
            }
        }
        if self.count > MAX_INTERIM_RESPONSES { Err(Flood::InterimResponses) } else { Ok(()) }
    }
}

/// Finds the frames in what is read from an HTTP/2 receiver.
#[derive(Default)]
pub(super) struct Frames {
    head: [u8; FRAME_HEAD],
    /// How much of the head was read.
    filled: usize,
    /// How much of the frame's payload is still to come.
    payload: usize,
}

impl Frames {
    /// What the frames cost whose heads end in these bytes. Bodies cost nothing: windows and capture limit bound them.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> i64 {
        let mut cost = 0;
        loop {
            let skipped = self.payload.min(bytes.len());
            (self.payload, bytes) = (self.payload - skipped, &bytes[skipped..]);
            if bytes.is_empty() {
                return cost;
            }
            let taken = bytes.len().min(FRAME_HEAD - self.filled);
            self.head[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            (self.filled, bytes) = (self.filled + taken, &bytes[taken..]);
            if self.filled == FRAME_HEAD {
                let [a, b, c, kind, ..] = self.head;
                let length = u32::from_be_bytes([0, a, b, c]);
                (self.filled, self.payload) = (0, length as usize);
                // Compressed headers take time to read even where nobody asked for them.
                cost += if kind == DATA && length > 0 { 0 } else { 1 + i64::from(length / 4_096) };
            }
        }
    }
}

/// How many frames an HTTP/2 receiver may still send.
pub(super) struct FrameBudget(AtomicI64);

impl Default for FrameBudget {
    fn default() -> FrameBudget {
        FrameBudget(AtomicI64::new(MAX_FRAMES))
    }
}

impl FrameBudget {
    /// A request goes out, with a body of so many bytes, and the receiver answers with frames.
    pub(super) fn add_request(&self, body: usize) {
        let for_body = i64::try_from(body / BODY_BYTES_FOR_A_FRAME).unwrap_or(MAX_FRAMES);
        let add = |left: i64| Some((left + FRAMES_FOR_A_REQUEST).min(left.max(MAX_FRAMES)) + for_body);
        // It always adds.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    pub(super) fn spend(&self, cost: i64) -> Result<(), Flood> {
        let left = self.0.fetch_sub(cost, Ordering::Relaxed) - cost;
        if left < 0 { Err(Flood::Frames) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, length: usize) -> Vec<u8> {
        let size = u32::try_from(length).unwrap().to_be_bytes();
        let mut bytes = vec![size[1], size[2], size[3], kind, 0, 0, 0, 0, 1];
        bytes.resize(FRAME_HEAD + length, 0xff);
        bytes
    }

    /// How many of these pieces are read before the flood shows.
    fn read(bytes: &[u8], piece: usize) -> Result<(), Flood> {
        let (mut interims, mut before) = (Interims::default(), 0);
        bytes.chunks(piece).try_for_each(|piece| {
            let result = interims.read(before, piece);
            before += piece.len();
            result
        })
    }

    proptest! {
        #[test]
        fn interim_responses_are_counted_however_they_come(count in 0usize..40, piece in 1usize..100) {
            let interim = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
            let bytes = interim.repeat(count) + "HTTP/1.1 200 OK\r\n\r\n";
            let expected = if count > MAX_INTERIM_RESPONSES { Err(Flood::InterimResponses) } else { Ok(()) };
            prop_assert_eq!(read(bytes.as_bytes(), piece), expected);
        }

        #[test]
        fn frames_are_found_however_they_come(frames in proptest::collection::vec((0u8..10, 0usize..9_000), 0..30), piece in 1usize..5_000) {
            let bytes: Vec<u8> = frames.iter().flat_map(|(kind, length)| frame(*kind, *length)).collect();
            let mut meter = Frames::default();
            let cost: i64 = bytes.chunks(piece).map(|piece| meter.read(piece)).sum();
            let costs = frames.iter().filter(|(kind, length)| *kind != DATA || *length == 0).map(|(_, length)| 1 + (length / 4_096) as i64);
            prop_assert_eq!(cost, costs.sum::<i64>());
        }
    }

    #[test]
    fn an_answer_that_looks_like_many_is_one() {
        let body = "\nHTTP/1.1 103\r\n".repeat(100);
        assert_eq!(read(format!("HTTP/1.1 200 OK\r\n\r\n{body}").as_bytes(), 1_000), Ok(()));
    }

    #[test]
    fn each_request_adds_to_what_may_come() {
        let budget = FrameBudget::default();
        budget.add_request(BODY_BYTES_FOR_A_FRAME - 1);
        assert_eq!(budget.spend(MAX_FRAMES), Ok(()), "no more than there is room for");
        assert_eq!(budget.spend(1), Err(Flood::Frames));
        budget.add_request(2 * BODY_BYTES_FOR_A_FRAME);
        assert_eq!(budget.spend(2), Ok(()));
        assert_eq!(budget.spend(FRAMES_FOR_A_REQUEST - 1), Ok(()));
        assert_eq!(budget.spend(1), Err(Flood::Frames));
    }
}
