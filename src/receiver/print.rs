//! Writes received requests for people, or as one JSON object a line.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::behaviour::Reply;
use super::serve::Received;
use super::verify::Verdict;
use crate::terminal;

/// How much of a body is shown, in bytes.
pub const MAX_SHOWN_BODY: usize = 16 * 1024;
/// How many headers are shown.
pub const MAX_SHOWN_HEADERS: usize = 64;
/// How much of one header's value is shown, in bytes.
pub const MAX_SHOWN_VALUE: usize = 1024;

/// The request as a person reads it, ending with an empty line.
pub fn text(received: &Received) -> String {
    let mut out = String::new();
    let Received { number, at, from, method, path, .. } = received;
    let _ = writeln!(out, "#{number}  {at}  {method} {}  from {from}", terminal::line(path));
    for (name, value) in received.headers.iter().take(MAX_SHOWN_HEADERS) {
        let (value, cut) = shortened(value.as_bytes(), MAX_SHOWN_VALUE);
        let mark = if cut { " …" } else { "" };
        let _ = writeln!(out, "  {name}: {}{mark}", terminal::line(&String::from_utf8_lossy(value)));
    }
    if received.headers.len() > MAX_SHOWN_HEADERS {
        let _ = writeln!(out, "  … and {} more headers", received.headers.len() - MAX_SHOWN_HEADERS);
    }
    out.push_str(&body_text(&received.body));
    let _ = writeln!(out, "  signature {}; {}\n", verdict_text(&received.verdict), reply_text(&received.reply));
    out
}

fn body_text(body: &[u8]) -> String {
    if body.is_empty() {
        return "  (no body)\n".to_owned();
    }
    let pretty = serde_json::from_slice::<Value>(body).ok().and_then(|json| serde_json::to_string_pretty(&json).ok());
    let whole = pretty.as_deref().map_or(body, str::as_bytes);
    let (shown, cut) = shortened(whole, MAX_SHOWN_BODY);
    let mut out = String::from("\n");
    match std::str::from_utf8(shown) {
        Ok(text) => terminal::lines(text).lines().for_each(|line| {
            let _ = writeln!(out, "    {line}");
        }),
        Err(_) => return format!("  ({} bytes, not text)\n", body.len()),
    }
    if cut {
        let _ = writeln!(out, "    … cut here; the body has {} bytes", body.len());
    }
    out.push('\n');
    out
}

fn verdict_text(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Unchecked => "not checked (give --secret)".to_owned(),
        Verdict::OtherScheme => "not checked: no Standard Webhooks headers (see --help)".to_owned(),
        Verdict::Valid { version, key } => format!("VALID ({version}, secret {key})"),
        Verdict::Invalid(reason) => format!("INVALID: {reason}"),
    }
}

fn reply_text(reply: &Reply) -> String {
    match reply {
        Reply::Stall => "left without an answer".to_owned(),
        Reply::Answer { status, delay } if delay.is_zero() => format!("answered {}", status.as_u16()),
        Reply::Answer { status, delay } => format!("answered {} after {} ms", status.as_u16(), delay.as_millis()),
    }
}

/// The request as one JSON object, without a line end. A body that is not UTF-8 is in `body_base64`.
pub fn json_line(received: &Received) -> String {
    let (shown, cut) = shortened(&received.body, MAX_SHOWN_BODY);
    let mut line = json!({
        "kind": "request",
        "number": received.number,
        "at": received.at,
        "from": received.from.to_string(),
        "method": received.method.as_str(),
        "path": received.path,
        "headers": headers_json(&received.headers),
        "signature": verdict_json(&received.verdict),
        "answer": match received.reply {
            Reply::Stall => Value::Null,
            Reply::Answer { status, delay } => json!({"status": status.as_u16(), "delay_ms": delay.as_millis() as u64}),
        },
        "body_bytes": received.body.len(),
        "body_truncated": cut,
    });
    match std::str::from_utf8(shown) {
        Ok(text) => line["body"] = text.into(),
        Err(_) => line["body_base64"] = STANDARD.encode(shown).into(),
    }
    terminal::json(&line.to_string()).into_owned()
}

fn headers_json(headers: &HeaderMap) -> Value {
    let mut object = Map::new();
    for (name, value) in headers.iter().take(MAX_SHOWN_HEADERS) {
        let value = String::from_utf8_lossy(shortened(value.as_bytes(), MAX_SHOWN_VALUE).0).into_owned();
        match object.get_mut(name.as_str()) {
            Some(Value::String(earlier)) => {
                earlier.push_str(", ");
                earlier.push_str(&value);
            }
            _ => {
                object.insert(name.as_str().to_owned(), value.into());
            }
        }
    }
    object.into()
}

fn verdict_json(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Unchecked => json!({"result": "unchecked"}),
        Verdict::OtherScheme => json!({"result": "unchecked", "reason": "no Standard Webhooks headers"}),
        Verdict::Valid { version, key } => json!({"result": "valid", "version": version, "secret": key}),
        Verdict::Invalid(reason) => json!({"result": "invalid", "reason": reason.to_string()}),
    }
}

/// The first bytes of `bytes`, at most `most`, without cutting a character in two; and whether anything is missing.
fn shortened(bytes: &[u8], most: usize) -> (&[u8], bool) {
    if bytes.len() <= most {
        return (bytes, false);
    }
    let mut end = most;
    while end > 0 && bytes[end] & 0b1100_0000 == 0b1000_0000 {
        end -= 1;
    }
    (&bytes[..end], true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::verify::Reason;
    use bytes::Bytes;
    use fanfare_engine::time::Timestamp;
    use http::{Method, StatusCode};
    use std::time::Duration;

    fn received(body: &[u8]) -> Received {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "msg_1".parse().unwrap());
        headers.append("x-twice", "a".parse().unwrap());
        headers.append("x-twice", "b".parse().unwrap());
        Received {
            number: 7,
            at: Timestamp(1_588_429_200_207),
            from: "127.0.0.1:4000".parse().unwrap(),
            method: Method::POST,
            path: "/hook".into(),
            headers,
            body: Bytes::copy_from_slice(body),
            verdict: Verdict::Invalid(Reason::Missing("webhook-timestamp")),
            reply: Reply::Answer { status: StatusCode::OK, delay: Duration::from_millis(20) },
        }
    }

    #[test]
    fn shows_a_request_whole() {
        let expected = "\
#7  2020-05-02T14:20:00.207Z  POST /hook  from 127.0.0.1:4000
  webhook-id: msg_1
  x-twice: a
  x-twice: b

    {
      \"a\": 1
    }

  signature INVALID: the webhook-timestamp header is missing; answered 200 after 20 ms

";
        assert_eq!(text(&received(b"{\"a\":1}")), expected);
    }

    #[test]
    fn a_body_cannot_steer_the_terminal_nor_flood_it() {
        let steering = "\u{1b}[2Jfine\u{9b}\u{202e}".as_bytes();
        let shown = text(&received(steering));
        assert!(shown.contains("fine") && !shown.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{shown}");
        let shown = json_line(&received(steering));
        assert!(shown.contains("fine\\u009b\\u202e") && !shown.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{shown}");
        let shown = text(&received("é".repeat(MAX_SHOWN_BODY).as_bytes()));
        assert!(shown.contains("cut here; the body has 32768 bytes"));
        assert!(shown.len() < MAX_SHOWN_BODY + 1024, "{}", shown.len());
    }

    #[test]
    fn binary_is_named_and_not_shown() {
        assert!(text(&received(&[0xff, 0xfe])).contains("(2 bytes, not text)"));
    }

    #[test]
    fn a_json_line_says_the_same() {
        let line = json_line(&received(b"{\"a\":\n1}"));
        assert!(!line.contains('\n'));
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["body"], "{\"a\":\n1}");
        assert_eq!(value["headers"]["x-twice"], "a, b");
        assert_eq!(value["signature"]["reason"], "the webhook-timestamp header is missing");
        assert_eq!(value["answer"], json!({"status": 200, "delay_ms": 20}));
        let value: Value = serde_json::from_str(&json_line(&received(&[0xff]))).unwrap();
        assert_eq!(value["body_base64"], "/w==");
    }
}
