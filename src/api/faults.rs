//! What is wrong with the JSON body of a request, each field by its path, as far as it can be told at once.

use serde::Deserialize;
use serde_json::Value;
use serde_path_to_error::{Segment, Track};

use super::problem::{Code, Problem};
use fanfare_engine::profile::FieldError;

/// Fields of one body that are told at most.
const MAX_FAULTS: usize = 8;
/// Of a longer text only the first fault is told: each further one is found by reading all of it once more.
const MAX_LOOKED_THROUGH: usize = 64 * 1024;

/// Why a text could not be read, and where in it.
pub type Unreadable = serde_path_to_error::Error<serde_json::Error>;
/// Reads a text as what was asked for, for nothing but its faults.
pub type Again = fn(&[u8]) -> Result<(), Unreadable>;

/// Reads a text that must be an object.
pub fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Unreadable> {
    let whole = |error| Unreadable::new(Track::new().path(), error);
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json)?;
    json.end().map_err(whole)?;
    // Lists pass for objects whose members are given in order; nobody means that.
    match bytes.trim_ascii_start().starts_with(b"[") {
        true => Err(whole(serde::de::Error::custom("expected an object"))),
        false => Ok(value),
    }
}

/// The problem of a text that could not be read because of `first`, with what else is wrong in it. A member that is wrong is
/// taken away, and the rest read again.
pub fn problem(bytes: &[u8], first: &Unreadable, again: Again) -> Problem {
    if !first.inner().is_data() {
        let (error, text) = (first.inner(), first.inner().to_string());
        let (line, column, what) = (error.line(), error.column(), what_is_wrong(&text));
        return Problem::new(
            Code::InvalidJson,
            format!("the body is not JSON at line {line}, column {column}: {what}"),
        );
    }
    let mut fault = Fault::of(first);
    let mut errors = vec![fault.error.clone()];
    let whole = (bytes.len() <= MAX_LOOKED_THROUGH).then(|| serde_json::from_slice::<Value>(bytes).ok()).flatten();
    let Some(mut rest) = whole else { return Problem::invalid(errors) };
    let mut taken = Vec::new();
    while errors.len() < MAX_FAULTS && fault.take_from(&mut rest) {
        taken.push((fault.path.clone(), fault.kind));
        let Some(next) = serde_json::to_vec(&rest).ok().and_then(|text| again(&text).err()) else { break };
        fault = Fault::of(&next);
        // What is missing beside what was taken away is that itself, or what that was meant to be.
        let is_told = |(path, kind): &(Vec<String>, Kind)| {
            let beside = path.split_last().is_some_and(|(_, above)| above == fault.path);
            beside && (*kind == Kind::Unknown || path.join(".") == fault.error.field)
        };
        if !(fault.kind == Kind::Missing && taken.iter().any(is_told)) {
            errors.push(fault.error.clone());
        }
    }
    Problem::invalid(errors)
}

/// One thing that is wrong.
struct Fault {
    error: FieldError,
    /// The members that lead to what is to be taken away to go on without it; empty where that would be everything.
    path: Vec<String>,
    kind: Kind,
}

/// What is to be done about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A member is not known, and may be another one misspelt.
    Unknown,
    /// What the path leads to lacks a member.
    Missing,
    /// A member is there and is wrong.
    Wrong,
}

impl Fault {
    fn of(error: &Unreadable) -> Fault {
        let text = error.inner().to_string();
        let text = what_is_wrong(&text);
        // An entry of a list cannot be taken away without that the others get other numbers.
        let members = error.path().iter().map_while(|segment| match segment {
            Segment::Map { key } => Some(key.clone()),
            _ => None,
        });
        let mut members: Vec<String> = members.collect();
        let whole = members.len() == error.path().iter().count();
        let path = error.path().to_string();
        let path = if path == "." { "" } else { path.as_str() };
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let quoted = || text.split('`').nth(1).unwrap_or_default();
        let kind = match () {
            () if text.starts_with("unknown field") => Kind::Unknown,
            () if text.starts_with("missing field") => Kind::Missing,
            () => Kind::Wrong,
        };
        let error = if kind == Kind::Unknown {
            let field = unknown_path(path, quoted());
            if whole && field != path {
                members.push(quoted().to_owned());
            }
            FieldError::new(field, unknown(&text))
        } else if kind == Kind::Missing {
            FieldError::new(below(quoted()), "is required")
        } else if text.starts_with("duplicate field") {
            // Read again, it is there once.
            if whole {
                members.push(quoted().to_owned());
            }
            FieldError::new(below(quoted()), "is given twice")
        } else {
            let field = if path.is_empty() { "body".to_owned() } else { path.to_owned() };
            FieldError::new(field, expectation(&text))
        };
        Fault { error, path: members, kind }
    }

    /// Takes it out of a body; false where it is the whole of it, or is not there.
    fn take_from(&self, body: &mut Value) -> bool {
        let Some((last, above)) = self.path.split_last() else { return false };
        let parent = above.iter().try_fold(body, |value, key| value.get_mut(key));
        parent.and_then(Value::as_object_mut).is_some_and(|members| members.remove(last).is_some())
    }
}

/// What to say of a member that is not known: which are.
fn unknown(text: &str) -> String {
    let known = text.split_once("expected ").map_or("", |(_, known)| known).replace('`', "");
    let known = known.trim_start_matches("one of ");
    match known.is_empty() {
        true => "is not known here".to_owned(),
        false => format!("is not known here; known are {known}"),
    }
}

/// The path of an unknown member, whose name the path may or may not end with already.
fn unknown_path(path: &str, name: &str) -> String {
    match path.strip_suffix(name) {
        Some(before) if before.is_empty() || before.ends_with('.') => path.to_owned(),
        _ if path.is_empty() => name.to_owned(),
        _ => format!("{path}.{name}"),
    }
}

/// The error's text without the place at its end.
fn what_is_wrong(text: &str) -> String {
    text.rsplit_once(" at line ").map_or(text, |(text, _)| text).to_owned()
}

/// What should have been there, without the value that was.
fn expectation(text: &str) -> String {
    let Some((_, expected)) = text.rsplit_once("expected ") else { return text.to_owned() };
    let expected = expected.replace('`', "\"");
    let words = match expected.as_str() {
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number from 0",
        "i64" | "i32" => "a whole number",
        "f64" | "f32" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a string" | "a borrowed string" | "str" => "a text",
        "a map" => "an object",
        other if other.starts_with("struct ") || other.starts_with("internally tagged") => "an object",
        other if other.starts_with("tuple ") => "a list",
        other => other,
    };
    format!("must be {words}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it can be read matters")]
    struct Webhook {
        url: String,
        #[serde(default)]
        enabled: bool,
        retry: Option<Retry>,
        #[serde(default)]
        metadata: BTreeMap<String, String>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it can be read matters")]
    struct Retry {
        delays: Vec<u32>,
        #[serde(default)]
        jitter: f64,
    }

    fn told(text: &str) -> Vec<String> {
        let again: Again = |text| read::<Webhook>(text).map(drop);
        let first = again(text.as_bytes()).unwrap_err();
        let problem = problem(text.as_bytes(), &first, again);
        let mut told: Vec<_> =
            problem.errors.into_iter().map(|error| format!("{} {}", error.field, error.message)).collect();
        told.sort();
        told
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let text = r#"{"nmae":"a","url":"u","enabled":"yes","retry":{"delays":[1,"x","y"],"jiter":1},"metadata":{"k":1},"more":0}"#;
        assert_eq!(
            told(text),
            [
                "enabled must be true or false",
                "metadata.k must be a text",
                "more is not known here; known are url, enabled, retry, metadata",
                "nmae is not known here; known are url, enabled, retry, metadata",
                "retry.delays[1] must be a whole number from 0 to 4294967295",
                "retry.jiter is not known here; known are delays or jitter",
            ]
        );
    }

    #[test]
    fn what_is_required_is_told_along() {
        assert_eq!(told(r#"{"retry":{}}"#), ["retry.delays is required", "url is required"]);
        // It may be what the unknown one was meant to be.
        assert_eq!(told(r#"{"uri":"u"}"#).len(), 1);
        assert_eq!(told(r#"{"url":1,"enabled":1}"#), ["enabled must be true or false", "url must be a text"]);
        assert_eq!(
            told(r#"{"url":"u","retry":{},"enabled":1}"#),
            ["enabled must be true or false", "retry.delays is required"]
        );
        assert_eq!(
            told(r#"{"url":"u","url":"v","enabled":1}"#),
            ["enabled must be true or false", "url is given twice"]
        );
    }

    #[test]
    fn no_more_is_told_than_may_be() {
        let text = format!("{{{}}}", (0..50).map(|n| format!("\"x{n}\":1")).collect::<Vec<_>>().join(","));
        assert_eq!(told(&text).len(), MAX_FAULTS);
        let long = format!(r#"{{"a":"{}","b":1}}"#, "x".repeat(MAX_LOOKED_THROUGH));
        assert_eq!(told(&long).len(), 1);
    }
}
