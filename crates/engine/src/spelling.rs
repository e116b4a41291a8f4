//! How the names of headers are written over HTTP/1.1. They mean the same in any case, but receivers in the field tell them apart.

use std::sync::Arc;

use memchr::{memchr, memchr2};

/// Names as a profile or a webhook writes them. Cheap to clone.
///
/// A name that is not among them is written as is usual: `Content-Type`.
#[derive(Clone, Debug, Default)]
pub struct Spelling(Arc<[Box<str>]>);

impl Spelling {
    /// Keeps those that are not written as is usual; of two spellings of a name, the first.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Spelling {
        let mut kept: Vec<Box<str>> = Vec::new();
        for name in names {
            if !is_usual(name) && !kept.iter().any(|other| other.eq_ignore_ascii_case(name)) {
                kept.push(name.into());
            }
        }
        Spelling(kept.into())
    }

    /// How many bytes it takes.
    pub fn weight(&self) -> usize {
        self.0.iter().map(|name| name.len() + size_of::<Box<str>>()).sum()
    }

    /// Writes the names in the head of a request as they are to be written. Nothing changes its length, and what follows the
    /// head stays as it is.
    pub fn apply(&self, head: &mut [u8]) {
        let mut rest = head;
        while let Some(end) = memchr(b'\n', rest) {
            rest = &mut rest[end + 1..];
            // The line that ends the head has no colon.
            let Some(end) = memchr2(b':', b'\n', rest).filter(|end| rest[*end] == b':') else { return };
            let name = &mut rest[..end];
            match self.0.iter().find(|written| written.as_bytes().eq_ignore_ascii_case(name)) {
                Some(written) => name.copy_from_slice(written.as_bytes()),
                None => write_as_usual(name),
            }
        }
    }
}

fn write_as_usual(name: &mut [u8]) {
    let mut before = b'-';
    for byte in name {
        match before {
            b'-' => byte.make_ascii_uppercase(),
            _ => byte.make_ascii_lowercase(),
        }
        before = *byte;
    }
}

/// Whether each of the name's words, and nothing else, begins with a capital letter.
fn is_usual(name: &str) -> bool {
    let before = std::iter::once(b'-').chain(name.bytes());
    before.zip(name.bytes()).all(|(before, byte)| match before {
        b'-' => !byte.is_ascii_lowercase(),
        _ => !byte.is_ascii_uppercase(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn applied(names: &[&str], head: &str) -> String {
        let mut bytes = head.as_bytes().to_vec();
        Spelling::of(names.iter().copied()).apply(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn names_are_written_as_they_were_given() {
        let names = ["X-Etl-Entity-URL", "webhook-id", "Content-Type", "X-ETL-ENTITY-URL"];
        let head = "POST /webhook-id HTTP/1.1\r\nHost: webhook-id\r\nX-Etl-Entity-Url: Webhook-Id: 1\r\nWebhook-Id: a\r\n\r\nWebhook-Id: b\r\n";
        let expected = "POST /webhook-id HTTP/1.1\r\nHost: webhook-id\r\nX-Etl-Entity-URL: Webhook-Id: 1\r\nwebhook-id: a\r\n\r\nWebhook-Id: b\r\n";
        assert_eq!(applied(&names, head), expected);
        assert_eq!(applied(&[], head), head);
    }

    #[test]
    fn other_names_are_written_as_is_usual() {
        let head = "POST / HTTP/1.1\r\nhost: a\r\nX-ETL-1b: x-y\r\n\r\nhost: b";
        assert_eq!(applied(&[], head), "POST / HTTP/1.1\r\nHost: a\r\nX-Etl-1b: x-y\r\n\r\nhost: b");
    }

    #[test]
    fn usual_names_need_not_be_kept() {
        for (name, usual) in
            [("Host", true), ("X-1a", true), ("Etag", true), ("ETag", false), ("host", false), ("X-a", false)]
        {
            assert_eq!(Spelling::of([name]).0.is_empty(), usual, "{name}");
        }
    }

    proptest! {
        #[test]
        fn nothing_but_the_case_of_names_changes(head in ".{0,200}", names in proptest::collection::vec("[a-zA-Z-]{1,8}", 0..4)) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            prop_assert!(applied(&names, &head).eq_ignore_ascii_case(&head));
        }
    }
}
