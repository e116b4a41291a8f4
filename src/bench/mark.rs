//! The mark that each event carries: which run, which event, when sent. Fixed width, so that it can be stamped in place.

const NAME: &[u8] = b"fanfare-mark-";
const RUN_DIGITS: usize = 8;
const EVENT_DIGITS: usize = 8;
const SENT_DIGITS: usize = 12;
/// The length of a mark, in bytes.
pub const LENGTH: usize = NAME.len() + RUN_DIGITS + EVENT_DIGITS + SENT_DIGITS;

/// What a mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The run (a round against one target) that the event belongs to.
    pub run: u32,
    /// The event's number in the run, from 0.
    pub event: u32,
    /// When it was, or should have been, sent: microseconds on the measuring process's own clock.
    pub sent: u64,
}

impl Mark {
    /// Writes the mark over `place`, which has [`LENGTH`] bytes.
    pub fn stamp(&self, place: &mut [u8]) {
        let (name, rest) = place.split_at_mut(NAME.len());
        let (run, rest) = rest.split_at_mut(RUN_DIGITS);
        let (event, sent) = rest.split_at_mut(EVENT_DIGITS);
        name.copy_from_slice(NAME);
        write_hex(u64::from(self.run), run);
        write_hex(u64::from(self.event), event);
        write_hex(self.sent, sent);
    }

    /// Finds the first mark in `body`.
    pub fn find(body: &[u8]) -> Option<Mark> {
        let at = body.windows(LENGTH).position(|window| window.starts_with(NAME))?;
        let rest = &body[at + NAME.len()..at + LENGTH];
        let (run, rest) = rest.split_at(RUN_DIGITS);
        let (event, sent) = rest.split_at(EVENT_DIGITS);
        Some(Mark { run: read_hex(run)? as u32, event: read_hex(event)? as u32, sent: read_hex(sent)? })
    }
}

/// Writes the low digits of `number` in lower-case hexadecimal over the whole of `place`.
pub fn write_hex(mut number: u64, place: &mut [u8]) {
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

fn read_hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, &digit| Some(number << 4 | u64::from(char::from(digit).to_digit(16)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_found_as_it_was_stamped() {
        let mark = Mark { run: 3, event: 4_000_000_000, sent: 123_456_789_012 };
        let mut body = format!("{{\"data\":{{\"mark\":\"{}\"}}}}", "-".repeat(LENGTH)).into_bytes();
        assert_eq!(Mark::find(&body), None);
        let at = body.iter().position(|&byte| byte == b'-').unwrap();
        mark.stamp(&mut body[at..at + LENGTH]);
        assert_eq!(Mark::find(&body), Some(mark));
        body[at + NAME.len()] = b'x';
        assert_eq!(Mark::find(&body), None);
    }
}
