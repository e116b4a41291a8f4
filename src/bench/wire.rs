//! As much HTTP/1.1 as the load and the receiver need: where a message ends, and its status.
//!
//! They share the machine with the server that is measured, so they must cost next to nothing; a full HTTP
//! library would cost as much as what is measured.

/// The longest head that is accepted, in bytes.
pub const MAX_HEAD: usize = 16 * 1024;
/// The longest body that is accepted, in bytes.
pub const MAX_BODY: usize = 4 * 1024 * 1024;

/// Where one message at the start of a buffer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The length of the head with its empty line.
    pub head: usize,
    /// The length of the body.
    pub body: usize,
    /// The other side will close the connection.
    pub close: bool,
}

impl Frame {
    /// Head and body together.
    pub fn whole(&self) -> usize {
        self.head + self.body
    }
}

/// Why a message cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The head does not end within [`MAX_HEAD`].
    #[error("the head is longer than {MAX_HEAD} bytes")]
    HeadTooLong,
    /// The body is announced to be longer than [`MAX_BODY`].
    #[error("the body is longer than {MAX_BODY} bytes")]
    BodyTooLong,
    /// The length is no number.
    #[error("content-length is not a number")]
    BadLength,
    /// The body comes in chunks, which this reader does not do.
    #[error("the body comes in chunks; only bodies with a content-length are read here")]
    Chunked,
}

/// Finds the head at the start of `bytes`; `None` while it is not complete. The body may not have come yet.
pub fn frame(bytes: &[u8]) -> Result<Option<Frame>, WireError> {
    let Some(end) = head_end(bytes) else {
        return if bytes.len() > MAX_HEAD { Err(WireError::HeadTooLong) } else { Ok(None) };
    };
    if end > MAX_HEAD {
        return Err(WireError::HeadTooLong);
    }
    let mut frame = Frame { head: end, body: 0, close: false };
    for line in bytes[..end].split(|&byte| byte == b'\n').skip(1) {
        // Only three names matter; their lengths let all others pass at one comparison.
        match line.iter().position(|&byte| byte == b':') {
            Some(10) if line[..10].eq_ignore_ascii_case(b"connection") => {
                frame.close |= value(line, 10).eq_ignore_ascii_case(b"close");
            }
            Some(14) if line[..14].eq_ignore_ascii_case(b"content-length") => frame.body = length(value(line, 14))?,
            Some(17) if line[..17].eq_ignore_ascii_case(b"transfer-encoding") => return Err(WireError::Chunked),
            _ => {}
        }
    }
    Ok(Some(frame))
}

fn value(line: &[u8], name: usize) -> &[u8] {
    line[name + 1..].trim_ascii()
}

fn length(text: &[u8]) -> Result<usize, WireError> {
    let text = std::str::from_utf8(text).map_err(|_| WireError::BadLength)?;
    let length: usize = text.parse().map_err(|_| WireError::BadLength)?;
    if length > MAX_BODY { Err(WireError::BodyTooLong) } else { Ok(length) }
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|&byte| byte == b'\n') {
        let next = from + at + 1;
        if bytes[next..].starts_with(b"\r\n") {
            return Some(next + 2);
        }
        from = next;
    }
    None
}

/// The status of the response at the start of `bytes`; 0 where there is none.
pub fn status(bytes: &[u8]) -> u16 {
    let digits = bytes.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// The path of the request at the start of `bytes`; empty where there is none.
pub fn path(bytes: &[u8]) -> &[u8] {
    let mut words = bytes.split(|&byte| byte == b' ' || byte == b'\r');
    words.nth(1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_end_of_head_and_body() {
        let request = b"POST /w/3 HTTP/1.1\r\nHost: a\r\nCONTENT-length:  5 \r\n\r\nhello and more";
        assert_eq!(frame(request), Ok(Some(Frame { head: 52, body: 5, close: false })));
        assert_eq!(&request[52..57], b"hello");
        assert_eq!(path(request), b"/w/3");
        for cut in 0..52 {
            assert_eq!(frame(&request[..cut]), Ok(None), "{cut}");
        }
    }

    #[test]
    fn reads_a_response() {
        let response = b"HTTP/1.1 202 Accepted\r\nconnection: Close\r\n\r\n";
        assert_eq!(frame(response), Ok(Some(Frame { head: response.len(), body: 0, close: true })));
        assert_eq!(status(response), 202);
        assert_eq!(status(b"HTTP"), 0);
    }

    #[test]
    fn refuses_what_it_cannot_bound() {
        assert_eq!(frame(&vec![b'x'; MAX_HEAD + 1]), Err(WireError::HeadTooLong));
        let head = |line: &str| frame(format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n").as_bytes());
        assert_eq!(head("content-length: 99999999"), Err(WireError::BodyTooLong));
        assert_eq!(head("content-length: many"), Err(WireError::BadLength));
        assert_eq!(head("transfer-encoding: chunked"), Err(WireError::Chunked));
    }
}
