//! The tree's Rust files as the shape's rules read them: with comments, and perhaps strings, blanked out.

use std::fs;
use std::path::Path;

/// Directories that hold no source of ours.
const SKIPPED_DIRECTORIES: [&str; 2] = ["target", "node_modules"];

/// One Rust file.
pub(crate) struct SourceFile {
    /// Below the workspace's directory, with `/` on every system.
    pub(crate) path: String,
    /// As it is written.
    pub(crate) text: String,
    /// Comments are blank; strings stay.
    pub(crate) without_comments: String,
    /// Comments and the insides of strings and characters are blank.
    pub(crate) code: String,
}

impl SourceFile {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
            without_comments: blank(text, Strings::Keep),
            code: blank(text, Strings::Blank),
        }
    }

    /// Whether the file as a whole is a test, and no part of the product.
    pub(crate) fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.contains("/tests/")
    }

    /// The parts of `code` that are built only for tests: all of a test's file, else what `#[cfg(test)]` stands before.
    pub(crate) fn test_code(&self) -> Vec<&str> {
        if self.is_test() {
            return vec![&self.code];
        }
        self.code.match_indices("#[cfg(test)]").map(|(at, _)| item_at(&self.code[at..])).collect()
    }
}

/// All Rust files below `root`, in the order of their paths.
pub(crate) fn rust_files(root: &Path) -> Vec<SourceFile> {
    let mut files = Vec::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy();
            if path.is_dir() {
                if !name.starts_with('.') && !SKIPPED_DIRECTORIES.contains(&&*name) {
                    pending.push(path);
                }
            } else if name.ends_with(".rs") {
                let below = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
                files.push(SourceFile::new(&below, &fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// The item that `code` starts with: up to its closing brace, or its semicolon where it has no braces.
fn item_at(code: &str) -> &str {
    let mut depth = 0usize;
    for (at, character) in code.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth <= 1 => return &code[..=at],
            '}' => depth -= 1,
            ';' if depth == 0 => return &code[..=at],
            _ => {}
        }
    }
    code
}

#[derive(Clone, Copy, PartialEq)]
enum Strings {
    Keep,
    Blank,
}

/// `text` with its comments, and where asked its strings, overwritten by spaces; the lines stay where they are.
fn blank(text: &str, strings: Strings) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (length, hidden) = next_piece(rest);
        let (piece, after) = rest.split_at(length);
        let hide = match hidden {
            Piece::Code => false,
            Piece::Comment => true,
            Piece::Literal => strings == Strings::Blank,
        };
        if hide {
            out.extend(piece.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        } else {
            out.push_str(piece);
        }
        rest = after;
    }
    out
}

#[derive(Debug, PartialEq)]
enum Piece {
    Code,
    Comment,
    Literal,
}

/// What `rest` starts with, and how many bytes of it that takes.
fn next_piece(rest: &str) -> (usize, Piece) {
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), Piece::Comment);
    }
    if rest.starts_with("/*") {
        return (block_comment_length(rest), Piece::Comment);
    }
    if rest.starts_with('"') {
        return (quoted_length(rest, '"'), Piece::Literal);
    }
    if rest.starts_with('\'') {
        return character_length(rest).map_or((1, Piece::Code), |length| (length, Piece::Literal));
    }
    if rest.starts_with(is_word) {
        // A whole word at once, so that the `r` of `for` never looks like the start of a raw string.
        let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let raw = matches!(&rest[..word], "r" | "br" | "cr").then(|| raw_string_length(&rest[word..])).flatten();
        return raw.map_or((word, Piece::Code), |length| (word + length, Piece::Literal));
    }
    (rest.chars().next().map_or(0, char::len_utf8), Piece::Code)
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Block comments nest.
fn block_comment_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let (mut depth, mut at) = (0usize, 0);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

fn quoted_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `None` where the apostrophe starts a lifetime.
fn character_length(rest: &str) -> Option<usize> {
    let mut characters = rest.char_indices().skip(1);
    let (_, first) = characters.next()?;
    let (at, second) = characters.next()?;
    match (first, second) {
        ('\\', _) => Some(quoted_length(rest, '\'')),
        (_, '\'') => Some(at + 1),
        _ => None,
    }
}

/// The hashes, the quotes and what is between them; `None` where it is a raw identifier.
fn raw_string_length(rest: &str) -> Option<usize> {
    let hashes = rest.bytes().take_while(|&byte| byte == b'#').count();
    let inside = rest[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(inside.find(&end).map_or(rest.len(), |at| hashes + 1 + at + end.len()))
}

#[test]
fn comments_and_strings_are_told_from_code() {
    let text = r##"let a = "x // y"; // sleep("
/* one /* two */ still */ let b = 'c'; let d: &'static str = r#"say "hi""#; let e = '\''; for f in b"g\"h" {}"##;
    let file = SourceFile::new("src/a.rs", text);
    assert_eq!(file.code.lines().count(), 2);
    assert_eq!(
        file.code.split_whitespace().collect::<Vec<_>>().join(" "),
        "let a = ; let b = ; let d: &'static str = ; let e = ; for f in b {}"
    );
    assert!(file.without_comments.contains("x // y") && !file.without_comments.contains("still"));
}

#[test]
fn test_code_is_what_follows_the_attribute() {
    let file = SourceFile::new("src/a.rs", "fn a() {} #[cfg(test)] mod tests { fn b() {} } fn c() {}");
    assert_eq!(file.test_code(), ["#[cfg(test)] mod tests { fn b() {} }"]);
    assert_eq!(SourceFile::new("tests/it/a.rs", "fn a() {}").test_code(), ["fn a() {}"]);
}
