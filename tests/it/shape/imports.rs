//! Which of the crate's top-level modules a file names.

use std::collections::BTreeSet;

use super::source::SourceFile;

/// The top-level modules of the server's crate that `file`, below `src/`, names by `crate::…` or by enough `super::…`.
/// `*` stands for all of them at once.
pub(crate) fn top_level_modules_named_in(file: &SourceFile) -> BTreeSet<String> {
    let tokens = tokens(&file.code);
    let file_depth = module_depth(&file.path);
    let mut inline_modules = Vec::new();
    let mut named = BTreeSet::new();
    for (at, &token) in tokens.iter().enumerate() {
        match token {
            "{" => inline_modules.push(at >= 2 && tokens[at - 2] == "mod"),
            "}" => drop(inline_modules.pop()),
            "crate" if tokens.get(at + 1) == Some(&"::") => named.extend(heads(&tokens[at + 2..])),
            "super" if at < 2 || tokens[at - 2] != "super" => {
                let depth = file_depth + inline_modules.iter().filter(|&&inline| inline).count();
                let (ups, after) = supers(&tokens[at..]);
                if ups == depth {
                    named.extend(heads(after));
                }
            }
            _ => {}
        }
    }
    named
}

/// How many modules deep the file's own module is: 0 for the crate's root.
fn module_depth(path: &str) -> usize {
    let below = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs");
    match below {
        "lib" | "main" => 0,
        _ => below.trim_end_matches("/mod").split('/').count(),
    }
}

/// Words, `::`, and single other characters.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let length = if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

/// How many `super::` stand at the start, and what follows them.
fn supers<'a, 'b>(mut tokens: &'a [&'b str]) -> (usize, &'a [&'b str]) {
    let mut ups = 0;
    while let ["super", "::", after @ ..] = tokens {
        ups += 1;
        tokens = after;
    }
    (ups, tokens)
}

/// The first segments of the path, or of each path of the group, that `tokens` starts with.
fn heads(tokens: &[&str]) -> Vec<String> {
    let ["{", group @ ..] = tokens else {
        return tokens.first().map(|&head| head.to_owned()).into_iter().collect();
    };
    let mut heads = Vec::new();
    let (mut depth, mut at_start) = (0usize, true);
    for &token in group {
        match token {
            "{" => depth += 1,
            "}" if depth == 0 => break,
            "}" => depth -= 1,
            "," if depth == 0 => at_start = true,
            _ if at_start => {
                heads.push(token.to_owned());
                at_start = false;
            }
            _ => {}
        }
    }
    heads
}

#[test]
fn every_way_to_name_a_module_is_seen() {
    let named = |path, text| {
        let modules = top_level_modules_named_in(&SourceFile::new(path, text));
        modules.into_iter().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(named("src/api/events.rs", "use crate::delivery::Runner;"), "delivery");
    assert_eq!(named("src/api/events.rs", "fn a() { crate::delivery::run() }"), "delivery");
    assert_eq!(
        named("src/api/events.rs", "use crate::{app, delivery::{http, dns}, clock as c};"),
        "app clock delivery"
    );
    assert_eq!(named("src/api/events.rs", "use super::super::delivery; use super::error;"), "delivery");
    assert_eq!(
        named("src/api/mod.rs", "use super::delivery::Runner; mod a { use super::super::portal; }"),
        "delivery portal"
    );
    assert_eq!(named("src/api/mod.rs", "mod tests { use super::*; }"), "");
    assert_eq!(named("src/api/events.rs", "use crate::*;"), "*");
    assert_eq!(named("src/api/events.rs", "// crate::delivery\nlet a = \"crate::delivery\"; pub(crate) fn b() {}"), "");
}
