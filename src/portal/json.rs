//! JSON text as people read it: indented, with its parts marked for colour. Works on the text itself, so that odd numbers
//! and repeated members stay as they are.

use std::fmt::Write as _;

/// The most bytes that are marked up; longer texts are shown plain.
const MAX_BYTES: usize = 512 * 1024;
/// The most bytes that a text may become by it. A deeply nested `[1,1,1,…]` becomes sixty times as long, and what a receiver
/// answers is its own choice.
const MAX_MARKED: usize = 1024 * 1024;
/// The deepest nesting that is indented; deeper levels stay at this one.
const MAX_INDENT: usize = 40;

/// HTML that shows the text, and whether it was marked up. What is not JSON, or would become too long, is escaped and otherwise
/// left alone.
pub(super) fn highlighted(text: &str) -> (String, bool) {
    match marked(text, MAX_MARKED) {
        Some(html) => (html, true),
        None => (escaped(text), false),
    }
}

/// JSON text indented by two blanks a level; what is not JSON, or would become too long, stays as it is.
pub(super) fn indented(text: &str) -> String {
    let plain = Writer { plain: true, ..Writer::new(MAX_MARKED) };
    is_json(text).then(|| plain.write(text)).flatten().unwrap_or_else(|| text.to_owned())
}

/// What a page may still mark up: many texts together may not become too long either.
pub(super) struct Allowance(usize);

impl Allowance {
    /// For so many bytes of HTML; what comes after them is shown plain.
    pub(super) fn new(bytes: usize) -> Allowance {
        Allowance(bytes)
    }

    /// HTML that shows the text.
    pub(super) fn show(&mut self, text: &str) -> String {
        let html = marked(text, MAX_MARKED.min(self.0)).unwrap_or_else(|| escaped(text));
        self.0 = self.0.saturating_sub(html.len());
        html
    }
}

/// JSON marked up, in at most `most` bytes.
fn marked(text: &str, most: usize) -> Option<String> {
    is_json(text).then(|| Writer::new(most).write(text)).flatten()
}

fn is_json(text: &str) -> bool {
    text.len() <= MAX_BYTES && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
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

struct Writer {
    out: String,
    depth: usize,
    /// Without any markup.
    plain: bool,
    /// How many bytes it may write.
    most: usize,
}

impl Writer {
    fn new(most: usize) -> Writer {
        Writer { out: String::new(), depth: 0, plain: false, most }
    }

    /// `text` is JSON, so every token is whole. `None` where more would have to be written than may.
    fn write(mut self, text: &str) -> Option<String> {
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            if self.out.len() > self.most {
                return None;
            }
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
        (self.out.len() <= self.most).then_some(self.out)
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
    fn what_would_become_too_long_is_shown_plain() {
        let deep = format!("{}{}{}", "[".repeat(40), vec!["1"; 20_000].join(","), "]".repeat(40));
        let (html, is_marked) = highlighted(&deep);
        assert_eq!((html.as_str(), is_marked), (deep.as_str(), false));
        assert_eq!(indented(&deep), deep);
        let flat = format!("[{}]", ["1"; 1_000].join(","));
        assert!(highlighted(&flat).1);
        // Many that are long together are, too.
        let mut allowance = Allowance::new(50_000);
        let marked = (0..4).filter(|_| allowance.show(&flat).contains("json-number")).count();
        assert_eq!(marked, 1);
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
