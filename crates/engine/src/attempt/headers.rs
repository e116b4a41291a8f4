//! The headers of a request or response, in one piece of memory, written as the log keeps them.

use std::borrow::Cow;
use std::fmt;

/// Names and values in order, names as written. Each attempt makes two of these, so none of their members has memory of its own.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// A line for each, `name: value\n`.
    lines: Vec<u8>,
}

impl Headers {
    /// None yet, with room for so many bytes of lines; see [`Headers::line_length`].
    pub fn with_capacity(bytes: usize) -> Self {
        Headers { lines: Vec::with_capacity(bytes) }
    }

    /// How many bytes a header's line takes.
    pub fn line_length(name: &str, value: &[u8]) -> usize {
        name.len() + value.len() + 3
    }

    /// Adds one. HTTP allows no line feed in a value, and no colon or space in a name; of a value with one, what comes before
    /// it is kept.
    pub fn push(&mut self, name: &str, value: &[u8]) {
        let end = value.iter().position(|byte| *byte == b'\n').unwrap_or(value.len());
        self.lines.extend_from_slice(name.as_bytes());
        self.lines.extend_from_slice(b": ");
        self.lines.extend_from_slice(&value[..end]);
        self.lines.push(b'\n');
    }

    /// Drops the last ones that do not fit into so many bytes of lines. Answers whether there were any.
    pub fn shorten(&mut self, bytes: usize) -> bool {
        if self.lines.len() <= bytes {
            return false;
        }
        let kept = self.lines[..bytes].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.lines.truncate(kept);
        self.lines.shrink_to_fit();
        true
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, &[u8])> {
        self.lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| {
            let at = line.windows(2).position(|pair| pair == b": ").unwrap_or(line.len());
            (String::from_utf8_lossy(&line[..at]), line.get(at + 2..).unwrap_or_default())
        })
    }

    /// As they are kept: a line for each, `name: value\n`.
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// What was kept of [`Headers::lines`].
    pub fn from_lines(lines: Vec<u8>) -> Self {
        Headers { lines }
    }
}

impl<'a> FromIterator<(&'a str, &'a [u8])> for Headers {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a [u8])>>(pairs: I) -> Self {
        let mut headers = Headers::default();
        pairs.into_iter().for_each(|(name, value)| headers.push(name, value));
        headers
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(name, value)| (name, String::from_utf8_lossy(value)))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_as_it_was() {
        let pairs: [(&str, &[u8]); 4] =
            [("a", b"b: c"), ("empty", b""), ("spaces", b"  kept  "), ("bytes", b"\xff\x00:")];
        let headers: Headers = pairs.into_iter().collect();
        let read = Headers::from_lines(headers.lines().to_vec());
        assert_eq!(read, headers);
        assert!(read.iter().eq(pairs.map(|(name, value)| (Cow::Borrowed(name), value))));
        let length: usize = pairs.iter().map(|(name, value)| Headers::line_length(name, value)).sum();
        assert_eq!(headers.lines().len(), length);
        assert_eq!(format!("{headers:?}").matches("kept").count(), 1);
    }

    #[test]
    fn headers_that_do_not_fit_are_dropped_whole() {
        let kept = |bytes| {
            let mut headers: Headers = [("a", &b"1"[..]), ("b", b"22")].into_iter().collect();
            (headers.shorten(bytes), headers.iter().count())
        };
        assert_eq!([0, 4, 5, 10, 11].map(kept), [(true, 0), (true, 0), (true, 1), (true, 1), (false, 2)]);
    }

    #[test]
    fn no_value_makes_a_line_of_its_own() {
        let headers: Headers = [("a", &b"1\nb: 2"[..])].into_iter().collect();
        assert!(headers.iter().eq([(Cow::Borrowed("a"), &b"1"[..])]));
    }
}
