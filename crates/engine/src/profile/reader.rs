//! Walks a TOML document and collects every mistake with its line, instead of stopping at the first.

use std::cell::RefCell;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::ProfileError;

/// Where mistakes are noted down while a file is read.
pub(super) struct Mistakes<'a> {
    file: &'a str,
    text: &'a str,
    found: RefCell<Vec<ProfileError>>,
}

impl<'a> Mistakes<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        Mistakes { file, text, found: RefCell::default() }
    }

    /// Notes a mistake at the bytes `span` of the file.
    pub(super) fn note(&self, span: Range<usize>, key: impl Into<String>, reason: impl Into<String>) {
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let error = ProfileError { file: self.file.to_owned(), line, key: key.into(), reason: reason.into() };
        self.found.borrow_mut().push(error);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// All of them, in the order of their lines.
    pub(super) fn into_list(self) -> Vec<ProfileError> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|error| error.line);
        found
    }
}

/// Words that stand for the values of an enum.
pub(super) trait Word: Copy + 'static {
    const WORDS: &'static [(&'static str, Self)];
}

/// A value with its place, from which typed values are read.
#[derive(Clone)]
pub(super) struct Entry<'a> {
    pub path: String,
    pub span: Range<usize>,
    value: &'a DeValue<'a>,
    mistakes: &'a Mistakes<'a>,
}

impl<'a> Entry<'a> {
    /// Notes a mistake in this value.
    pub(super) fn note(&self, reason: impl Into<String>) {
        self.mistakes.note(self.span.clone(), &self.path, reason);
    }

    fn expected<T>(&self, what: &str) -> Option<T> {
        self.note(format!("is {}, but {what} is expected", with_article(self.value.type_str())));
        None
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        self.value.as_str().or_else(|| self.expected("a text in quotes"))
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        self.value.as_bool().or_else(|| self.expected("true or false"))
    }

    /// A number, whole or not, within `range`.
    pub(super) fn number(&self, range: std::ops::RangeInclusive<f64>) -> Option<f64> {
        let text = match self.value {
            DeValue::Integer(whole) if whole.radix() == 10 => whole.as_str(),
            DeValue::Float(float) => float.as_str(),
            _ => return self.expected("a number"),
        };
        match text.replace('_', "").parse::<f64>() {
            Ok(number) if range.contains(&number) => Some(number),
            _ => {
                self.note(format!("is {text}, but must be from {} to {}", range.start(), range.end()));
                None
            }
        }
    }

    /// A whole number within `range`.
    pub(super) fn whole(&self, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let DeValue::Integer(integer) = self.value else { return self.expected("a whole number") };
        match u32::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()) {
            Ok(number) if range.contains(&number) => Some(number),
            _ => {
                let (first, last) = (range.start(), range.end());
                self.note(format!("is {}, but must be from {first} to {last}", integer.as_str()));
                None
            }
        }
    }

    /// One of an enum's words.
    pub(super) fn word<E: Word>(&self) -> Option<E> {
        let text = self.text()?;
        let found = E::WORDS.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let known: Vec<_> = E::WORDS.iter().map(|(word, _)| format!("{word:?}")).collect();
            self.note(format!("is {text:?}, but must be one of {}", known.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    /// The members of a list.
    pub(super) fn list(&self) -> Option<Vec<Entry<'a>>> {
        let Some(items) = self.value.as_array() else { return self.expected("a list in brackets") };
        let entry = |(index, item): (usize, &'a Spanned<DeValue<'a>>)| Entry {
            path: format!("{}[{index}]", self.path),
            span: item.span(),
            value: item.get_ref(),
            mistakes: self.mistakes,
        };
        Some(items.iter().enumerate().map(entry).collect())
    }

    /// Whether it is a table of knobs: `[payload]`, where `[[payload]]` is a list of them.
    pub(super) fn is_section(&self) -> bool {
        self.value.is_table()
    }

    /// The members of a list that needs at least one, such as `example`.
    pub(super) fn some_of(&self, example: &str) -> Vec<Entry<'a>> {
        let Some(items) = self.list() else { return Vec::new() };
        if items.is_empty() {
            self.note(format!("must have at least one entry, such as {example}"));
        }
        items
    }

    pub(super) fn section(&self) -> Option<Section<'a>> {
        let Some(table) = self.value.as_table() else { return self.expected("a table of knobs") };
        Some(Section::new(self.path.clone(), self.span.clone(), table, self.mistakes))
    }
}

/// A table of knobs. [`Section::finish`] reports those that nobody asked for.
pub(super) struct Section<'a> {
    path: String,
    span: Range<usize>,
    table: &'a DeTable<'a>,
    mistakes: &'a Mistakes<'a>,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    pub(super) fn new(path: String, span: Range<usize>, table: &'a DeTable<'a>, mistakes: &'a Mistakes<'a>) -> Self {
        Section { path, span, table, mistakes, known: RefCell::default() }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The knob's value, where the file has it.
    pub(super) fn entry(&self, key: &'static str) -> Option<Entry<'a>> {
        if !self.known.borrow().contains(&key) {
            self.known.borrow_mut().push(key);
        }
        let (_, value) = self.table.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(Entry { path: self.path_of(key), span: value.span(), value: value.get_ref(), mistakes: self.mistakes })
    }

    /// The knob read by `read`; `default` where the file does not have it or has it wrong (which `read` noted).
    pub(super) fn or<T>(&self, key: &'static str, default: T, read: impl FnOnce(&Entry<'a>) -> Option<T>) -> T {
        self.entry(key).and_then(|entry| read(&entry)).unwrap_or(default)
    }

    /// As [`Section::or`], but the file must have it.
    pub(super) fn need<T>(&self, key: &'static str, placeholder: T, read: impl FnOnce(&Entry<'a>) -> Option<T>) -> T {
        match self.entry(key) {
            Some(entry) => read(&entry).unwrap_or(placeholder),
            None => {
                self.mistakes.note(self.span.clone(), self.path_of(key), "is missing");
                placeholder
            }
        }
    }

    /// A list whose members `read` reads; empty where the file does not have it.
    pub(super) fn each<T>(&self, key: &'static str, read: impl FnMut(&Entry<'a>) -> Option<T>) -> Vec<T> {
        self.entry(key).and_then(|entry| entry.list()).unwrap_or_default().iter().filter_map(read).collect()
    }

    /// Notes a mistake of the section as a whole.
    pub(super) fn note(&self, reason: impl Into<String>) {
        self.mistakes.note(self.span.clone(), &self.path, reason);
    }

    /// A section below this one, read by `read`; an absent one is read as an empty one.
    pub(super) fn section<T>(&self, key: &'static str, read: impl FnOnce(&Section<'a>) -> T) -> T {
        let empty = || Section::new(self.path_of(key), self.span.clone(), empty_table(), self.mistakes);
        let section = self.entry(key).and_then(|entry| entry.section()).unwrap_or_else(empty);
        let value = read(&section);
        section.finish();
        value
    }

    /// Notes every knob that was never asked for.
    pub(super) fn finish(self) {
        let known = self.known.borrow();
        for (name, value) in self.table {
            let key: &str = name.get_ref();
            if !known.contains(&key) {
                let start = name.span().start.min(value.span().start);
                let reason = format!("is no knob; known here: {}", known.join(", "));
                self.mistakes.note(start..start, self.path_of(key), reason);
            }
        }
    }
}

fn empty_table() -> &'static DeTable<'static> {
    static EMPTY: std::sync::OnceLock<DeTable<'static>> = std::sync::OnceLock::new();
    EMPTY.get_or_init(DeTable::new)
}

fn with_article(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {kind}")
}
