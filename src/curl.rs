//! A request as a curl command that can be pasted into a shell, whatever is in it.

use http::{HeaderMap, Method};

/// The command; each header is an option of its own.
///
/// Bytes that are no UTF-8 cannot stand in a command and are shown as the replacement character.
pub fn command(method: &Method, url: &str, headers: &HeaderMap, body: &[u8]) -> String {
    // Without --globoff, curl takes brackets and braces in a URL for patterns.
    let mut words: Vec<String> = ["curl", "--globoff", "--request", method.as_str()].map(str::to_owned).into();
    words.push(quoted(url));
    for (name, value) in headers {
        words.push("--header".to_owned());
        words.push(quoted(&header(name.as_str(), &String::from_utf8_lossy(value.as_bytes()))));
    }
    if !body.is_empty() {
        // Unlike --data, it takes a body that starts with @ as it is, and not as the name of a file.
        words.push("--data-raw".to_owned());
        words.push(quoted(&String::from_utf8_lossy(body)));
    }
    words.join(" ")
}

/// An empty value is written `name;`, since curl takes `name:` as "do not send it".
fn header(name: &str, value: &str) -> String {
    if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") }
}

/// In single quotes, between which a shell takes everything as it is.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    /// The words that a shell makes of a command.
    fn words(command: &str) -> Vec<String> {
        let script = format!("printf '%s\\0' {command}");
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_terminator('\0').map(str::to_owned).collect()
    }

    #[test]
    fn an_ordinary_request() {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("x-empty", HeaderValue::from_static(""));
        let made = command(&Method::POST, "https://example.com/h?a=[1]&b={2}", &headers, br#"{"a":"it's"}"#);
        let expected = r#"curl --globoff --request POST 'https://example.com/h?a=[1]&b={2}' --header 'content-type: application/json' --header 'x-empty;' --data-raw '{"a":"it'\''s"}'"#;
        assert_eq!(made, expected);
        assert!(
            command(&Method::GET, "https://example.com", &HeaderMap::new(), b"").ends_with("'https://example.com'")
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn case_086_a_shell_sees_words_and_nothing_else(value in "[ -~]{0,40}", body in "[^\0]{1,60}") {
            let value = value.trim().to_owned();
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static("x-h"), HeaderValue::from_str(&value).unwrap());
            let words = words(&command(&Method::POST, "https://example.com/$(id)`id`;id", &headers, body.as_bytes()));
            let shown = if value.is_empty() { "x-h;".to_owned() } else { format!("x-h: {value}") };
            prop_assert_eq!(&words[4], "https://example.com/$(id)`id`;id");
            prop_assert_eq!(&words[6], &shown);
            prop_assert_eq!(&words[8], &body);
        }
    }
}
