//! What is given to an option: JSON as it stands, from a file, or from standard input; and pairs.

use std::io::Read;

use anyhow::{Context as _, bail};
use serde_json::value::RawValue;

/// The most that is read from a file or from standard input, in bytes: more than an event may have.
const MAX_BYTES: u64 = 16 << 20;

/// The JSON given to `--option`: the text itself, `@FILE`, or `-` for standard input. It is passed on as it is written.
///
/// # Errors
/// The file cannot be read, or the text is not JSON; with the place.
pub fn json(option: &str, given: &str) -> anyhow::Result<Box<RawValue>> {
    let (text, place) = match given.strip_prefix('@') {
        _ if given == "-" => (read(std::io::stdin().lock(), "standard input")?, "standard input".to_owned()),
        Some(file) => {
            let opened = std::fs::File::open(file).with_context(|| format!("--{option}: cannot read {file}"))?;
            (read(opened, file)?, file.to_owned())
        }
        None => (given.to_owned(), format!("--{option}")),
    };
    match serde_json::from_str::<Box<RawValue>>(text.trim()) {
        Ok(json) => Ok(json),
        Err(error) => bail!("{place} is not JSON: {error}"),
    }
}

fn read(from: impl Read, name: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    from.take(MAX_BYTES + 1).read_to_string(&mut text).with_context(|| format!("cannot read {name}"))?;
    if text.len() as u64 > MAX_BYTES {
        bail!("{name} has more than {MAX_BYTES} bytes");
    }
    Ok(text)
}

/// A type and an id, `job:42`; the id may hold further colons.
///
/// # Errors
/// One of them is missing.
pub fn reference(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((kind, id)) if !kind.is_empty() && !id.is_empty() => Ok((kind.to_owned(), id.to_owned())),
        _ => Err("TYPE:ID is expected, such as job:42".to_owned()),
    }
}

/// A header, `Name: value`.
///
/// # Errors
/// There is no colon.
pub fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err("NAME: VALUE is expected, such as \"X-Team: billing\"".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_passed_on_as_it_is_written() {
        assert_eq!(json("data", " {\"n\": 1.50}").unwrap().get(), "{\"n\": 1.50}");
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.json");
        std::fs::write(&file, "[1]\n").unwrap();
        assert_eq!(json("data", &format!("@{}", file.display())).unwrap().get(), "[1]");
    }

    #[test]
    fn what_is_not_json_is_named() {
        assert!(json("data", "{n: 1}").unwrap_err().to_string().starts_with("--data is not JSON: key must be"));
        let error = json("data", "@/nowhere").unwrap_err().to_string();
        assert_eq!(error, "--data: cannot read /nowhere");
    }

    #[test]
    fn pairs_need_both_parts() {
        assert_eq!(reference("job:a:b").unwrap(), ("job".to_owned(), "a:b".to_owned()));
        assert!(reference("job").is_err() && reference(":1").is_err() && reference("job:").is_err());
        assert_eq!(header("X-A:  b: c").unwrap(), ("X-A".to_owned(), "b: c".to_owned()));
        assert!(header("X-A").is_err());
    }
}
