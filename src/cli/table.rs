//! JSON as aligned text for people.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use serde_json::Value;

use super::answers::Column;
use crate::terminal;

/// The longest cell of a table on a terminal, in characters; what is longer ends in an ellipsis.
const MAX_CELL: usize = 72;
const GAP: &str = "  ";

/// How long cells are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cells {
    /// At most `MAX_CELL` characters.
    Shortened,
    Whole,
}

impl Cells {
    /// Shortened on a terminal. A program or a file that reads the table gets all of it.
    pub fn for_output() -> Cells {
        if std::io::stdout().is_terminal() { Cells::Shortened } else { Cells::Whole }
    }
}

/// A row for each entry below the titles.
pub fn of(entries: &[Value], columns: &[Column], cells: Cells) -> String {
    let cell = |entry: &Value, path: &str| match cells {
        Cells::Shortened => shortened(cell(member(entry, path))),
        Cells::Whole => cell(member(entry, path)),
    };
    let mut rows: Vec<Vec<String>> = vec![columns.iter().map(|(title, _)| (*title).to_owned()).collect()];
    rows.extend(entries.iter().map(|entry| columns.iter().map(|(_, path)| cell(entry, path)).collect()));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join(GAP).trim_end());
        text.push('\n');
    }
    text
}

/// A line for each member of an object.
pub fn fields(object: &Value) -> String {
    let Some(members) = object.as_object() else { return format!("{}\n", cell(object)) };
    let width = members.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    members.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{:<width$}{GAP}{}", terminal::line(name), cell(value));
        text
    })
}

fn member<'a>(entry: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(entry, |value, name| value.get(name).unwrap_or(&Value::Null))
}

/// A value as a person reads it, on one line.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => terminal::line(text),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            terminal::line(&items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "))
        }
        other => terminal::line(&other.to_string()),
    }
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(MAX_CELL) {
        None => text,
        Some(_) => text.chars().take(MAX_CELL - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_aligned_whatever_is_in_them() {
        let entries = [
            json!({"id": "whk_1", "events": ["a", "b"], "filter": {"type": "job"}, "on": true}),
            json!({"id": "é", "events": "all", "filter": null, "on": false}),
        ];
        let shown = of(
            &entries,
            &[("ID", "id"), ("EVENTS", "events"), ("FILTER", "filter.type"), ("ON", "on")],
            Cells::Shortened,
        );
        assert_eq!(
            shown,
            "ID     EVENTS  FILTER  ON\n\
             whk_1  a, b    job     yes\n\
             é      all     -       no\n"
        );
    }

    #[test]
    fn a_cell_is_bounded_and_cannot_steer_the_terminal() {
        let table = |cells| of(&[json!({"a": "x".repeat(500)})], &[("A", "a")], cells);
        assert!(table(Cells::Shortened).lines().all(|line| line.chars().count() <= MAX_CELL));
        assert!(table(Cells::Whole).contains(&"x".repeat(500)));
        assert!(!fields(&json!({"a": "\u{1b}[2J\nb"})).contains(['\u{1b}']));
        assert_eq!(fields(&json!({"a": "x\ny"})).lines().count(), 1);
        let turned = json!({"a": "\u{202e}gpj.exe", "b\u{2066}": [{"c": "\u{202e}"}]});
        let columns = [("A", "a"), ("B", "b\u{2066}")];
        let shown = of(std::slice::from_ref(&turned), &columns, Cells::Whole) + &fields(&turned);
        assert!(!shown.contains(['\u{202e}', '\u{2066}']), "{shown}");
    }

    #[test]
    fn an_object_is_a_line_for_each_member() {
        assert_eq!(fields(&json!({"id": 1, "name": null})), "id    1\nname  -\n");
    }
}
