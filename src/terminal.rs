//! Text from others, made safe to show in a terminal: it can neither steer the terminal nor misrepresent what stands around it.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text on one line, with a replacement character for each character that is not safe to show.
pub fn line(text: &str) -> String {
    text.chars().map(|c| if is_safe(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// The same for a text of several lines, which keeps its line feeds and tabs.
pub fn lines(text: &str) -> String {
    text.chars().map(|c| if is_safe(c) || matches!(c, '\n' | '\t') { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// JSON with the same values, in which each character that is not safe to show is written as its escape sequence.
pub fn json(text: &str) -> Cow<'_, str> {
    // Line feeds and tabs stand between values; a carriage return would hide what stands before it.
    let stays = |c: char| is_safe(c) || matches!(c, '\n' | '\t');
    if text.chars().all(stays) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if stays(c) {
            out.push(c);
        } else if c == '\r' {
            out.push(' ');
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a text does not fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    Cow::Owned(out)
}

/// A line of the log, which has its own control characters: with a replacement character for each one that hides or reorders
/// text.
pub fn log_line(text: &str) -> Cow<'_, str> {
    match text.contains(misleads) {
        true => text.replace(misleads, "\u{fffd}").into(),
        false => text.into(),
    }
}

/// Whether a character is what it looks like, and does not steer the terminal.
pub fn is_safe(c: char) -> bool {
    !c.is_control() && !misleads(c)
}

/// Directional characters reorder the text around them, and invisible ones make two names look the same. The two joiners (U+200C,
/// U+200D) are not among them: scripts and emoji need them.
fn misleads(c: char) -> bool {
    matches!(c,
        '\u{ad}' // soft hyphen
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' // directional
        | '\u{2028}' | '\u{2029}' // line and paragraph separators
        | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{feff}' // invisible
        | '\u{fff9}'..='\u{fffb}' // annotations
        | '\u{e0000}'..='\u{e007f}' // tags
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_misleads_is_replaced() {
        for c in [
            '\u{1b}',
            '\u{7f}',
            '\u{9b}',
            '\r',
            '\u{202e}',
            '\u{2066}',
            '\u{200f}',
            '\u{2028}',
            '\u{feff}',
            '\u{e0041}',
        ] {
            assert_eq!(lines(&format!("a{c}b\n\tc")), "a\u{fffd}b\n\tc", "{:x}", u32::from(c));
        }
        assert_eq!(line("a\nb\tc"), "a\u{fffd}b\u{fffd}c");
        for honest in ["Müller & Söhne", "مرحبا", "שלום", "👩\u{200d}👩\u{200d}👧", "می\u{200c}خواهم", "日本"]
        {
            assert_eq!((line(honest).as_str(), &*json(honest)), (honest, honest));
        }
    }

    #[test]
    fn a_log_line_keeps_its_colours() {
        let line = "\u{1b}[32mINFO\u{1b}[0m user=\"\u{202e}a\"\n";
        assert_eq!(log_line(line), "\u{1b}[32mINFO\u{1b}[0m user=\"\u{fffd}a\"\n");
        assert!(matches!(log_line("plain\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_keeps_its_values() {
        assert_eq!(json("{\"a\":\r\n\"\u{202e}x\u{e0041}\u{9b}\"}"), "{\"a\": \n\"\\u202ex\\udb40\\udc41\\u009b\"}");
    }

    proptest! {
        #[test]
        fn nothing_unsafe_is_left(text in any::<String>()) {
            prop_assert!(line(&text).chars().all(is_safe));
            prop_assert!(lines(&text).chars().all(|c| is_safe(c) || c == '\n' || c == '\t'));
            let written = Value::from(text).to_string();
            let shown = json(&written);
            prop_assert!(shown.chars().all(is_safe));
            prop_assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), serde_json::from_str::<Value>(&written).unwrap());
        }
    }
}
