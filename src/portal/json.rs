//! JSON text as people read it: indented, with its parts marked for colour. Works on the text itself, so that odd numbers
//! and repeated members stay as they are.

use std::fmt::Write as _;

/// The most bytes that are marked up; longer texts are shown plain.
const MAX_BYTES: usize = 512 * 1024;
/// The deepest nesting that is indented; deeper levels stay at this one.
const MAX_INDENT: usize = 40;

/// HTML that shows the text, and whether it is JSON. What is not JSON is escaped and otherwise left alone.
pub(super) fn highlighted(text: &str) -> (String, bool) {
    let is_json = text.len() <= MAX_BYTES && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    if is_json { (Writer::default().write(text), true) } else { (escaped(text), false) }
}

/// JSON text indented by two blanks a level; what is not JSON stays as it is.
pub(super) fn indented(text: &str) -> String {
    match highlighted(text) {
        (_, false) => text.to_owned(),
        (_, true) => Writer { plain: true, ..Writer::default() }.write(text),
    }
}

/// The text with what HTML would take for markup as entities.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    push_escaped(&mut out, text);
    out
}

fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

#[derive(Default)]
struct Writer {
    out: String,
    depth: usize,
    /// Without any markup.
    plain: bool,
}

impl Writer {
    /// `text` is JSON, so every token is whole.
    fn write(mut self, text: &str) -> String {
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = token_length(rest, first);
            let (token, after) = rest.split_at(length);
            rest = after.trim_start();
            match first {
                '{' | '[' => {
                    self.push(token);
                    if rest.starts_with(['}', ']']) {
                        self.push(&rest[..1]);
                        rest = rest[1..].trim_start();
                    } else {
                        self.depth += 1;
                        self.line();
                    }
                }
                '}' | ']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.line();
                    self.push(token);
                }
                ',' => {
                    self.push(token);
                    self.line();
                }
                ':' => self.push(": "),
                '"' if rest.starts_with(':') => self.mark("key", token),
                '"' => self.mark("string", token),
                't' | 'f' | 'n' => self.mark("word", token),
                _ => self.mark("number", token),
            }
        }
        self.out
    }

    fn push(&mut self, text: &str) {
        if self.plain { self.out.push_str(text) } else { push_escaped(&mut self.out, text) }
    }

    fn mark(&mut self, class: &str, token: &str) {
        if self.plain {
            return self.out.push_str(token);
        }
        // Writing to a text does not fail.
        let _ = write!(self.out, "<span class=\"json-{class}\">");
        push_escaped(&mut self.out, token);
        self.out.push_str("</span>");
    }

    fn line(&mut self) {
        self.out.push('\n');
        for _ in 0..self.depth.min(MAX_INDENT) {
            self.out.push_str("  ");
        }
    }
}

/// How long the token is with which `rest` starts.
fn token_length(rest: &str, first: char) -> usize {
    match first {
        '"' => {
            let mut escaped = false;
            let end = rest.char_indices().skip(1).find(|(_, c)| {
                let ends = *c == '"' && !escaped;
                escaped = *c == '\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |(at, _)| at + 1)
        }
        '{' | '}' | '[' | ']' | ',' | ':' => 1,
        _ => rest.find([',', ']', '}', ':', ' ', '\n', '\r', '\t']).unwrap_or(rest.len()).max(first.len_utf8()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn json_is_indented_and_marked() {
        let (html, is_json) = highlighted(r#"{"a":[1,{}],"b":"x\"<y>","c":null}"#);
        assert!(is_json);
        let text = indented(r#"{"a":[1,{}],"b":"x\"<y>","c":null}"#);
        assert_eq!(text, "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": \"x\\\"<y>\",\n  \"c\": null\n}");
        assert!(html.contains(r#"<span class="json-key">&quot;a&quot;</span>: ["#), "{html}");
        assert!(html.contains("&lt;y&gt;") && !html.contains("<y>"), "{html}");
    }

    #[test]
    fn case_051_odd_json_stays_as_it_is() {
        let text = indented(r#"{"a":1e400,"a":0.10000000000000000000001,"u":"\u003c"}"#);
        assert!(
            text.contains("1e400") && text.contains("0.10000000000000000000001") && text.contains(r"\u003c"),
            "{text}"
        );
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert_eq!(indented(&deep).matches('[').count(), 100);
    }

    #[test]
    fn what_is_not_json_is_shown_plain() {
        assert_eq!(highlighted("<script>"), ("&lt;script&gt;".to_owned(), false));
        assert_eq!(highlighted("{\"a\":"), ("{&quot;a&quot;:".to_owned(), false));
    }

    proptest! {
        #[test]
        fn case_085_no_text_becomes_markup(text in any::<String>()) {
            let json = serde_json::to_string(&serde_json::json!({ text.as_str(): [text.as_str(), 1, true] })).unwrap();
            for shown in [&json, &text] {
                let (html, _) = highlighted(shown);
                let bare = ["key", "string", "word", "number"].iter().fold(html, |html, class| {
                    html.replace(&format!("<span class=\"json-{class}\">"), "")
                }).replace("</span>", "");
                prop_assert!(!bare.contains(['<', '>', '"', '\'']), "{}", bare);
            }
            // Nothing but blanks is added.
            let same: serde_json::Value = serde_json::from_str(&indented(&json)).unwrap();
            prop_assert_eq!(same, serde_json::from_str::<serde_json::Value>(&json).unwrap());
        }
    }
}
