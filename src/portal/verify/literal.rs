//! Texts as literals of the languages in which a webhook's check is shown.

use std::fmt::Write as _;

/// In double quotes, as JavaScript, Python, Go, Java and C# read it.
pub(super) fn double(text: &str) -> String {
    quoted(text, |out, code| write!(out, "\\u{code:04x}"))
}

/// In double quotes, as Rust reads it.
pub(super) fn rust(text: &str) -> String {
    quoted(text, |out, code| write!(out, "\\u{{{code:x}}}"))
}

fn quoted(text: &str, control: impl Fn(&mut String, u32) -> std::fmt::Result) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            // Writing to a text does not fail.
            c if c.is_control() => drop(control(&mut out, c.into())),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// In single quotes, as PHP and Ruby read it.
pub(super) fn single(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// In single quotes, as a shell reads it.
pub(super) fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_its_literal() {
        let odd = "a\"b\\c'd$e\n";
        assert_eq!(double(odd), r#""a\"b\\c'd$e\u000a""#);
        assert_eq!(rust(odd), r#""a\"b\\c'd$e\u{a}""#);
        assert_eq!(single(odd), "'a\"b\\\\c\\'d$e\n'");
        assert_eq!(shell(odd), "'a\"b\\c'\\''d$e\n'");
    }
}
