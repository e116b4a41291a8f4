//! Whether a JSON Schema may be saved: how much there is of it, and how often it applies itself to the same value.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::schema::DATA;

/// How deeply a schema may be nested.
const MAX_DEPTH: usize = 64;
/// How many references it may hold.
const MAX_REFERENCES: usize = 1_000;
/// How many regular expressions it may hold.
const MAX_PATTERNS: usize = 100;
/// How many of its subschemas may apply to one value, counted once for each way that leads to them.
const MAX_APPLIED: u64 = 10_000;

/// Keywords with lists of subschemas for the same value.
const LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// Keywords with one subschema for the same value.
const SINGLE: [&str; 4] = ["not", "if", "then", "else"];
/// Keywords with subschemas by name for the same value.
const NAMED: [&str; 2] = ["dependentSchemas", "dependencies"];

/// Judges a schema.
///
/// # Errors
/// In words, what there is too much of.
pub fn judge(schema: &Value) -> Result<(), String> {
    let mut size = Size::default();
    size.add(schema, 1);
    let limits = [
        (size.depth, MAX_DEPTH, "levels of nesting"),
        (size.references, MAX_REFERENCES, "references"),
        (size.patterns, MAX_PATTERNS, "regular expressions"),
    ];
    if let Some((found, most, what)) = limits.into_iter().find(|(found, most, _)| found > most) {
        return Err(format!("may have at most {most} {what}; this one has {found}"));
    }
    let mut applied = Applied { root: schema, known: HashMap::new() };
    for subschema in size.objects {
        match applied.by(subschema) {
            Some(count) if count <= MAX_APPLIED => {}
            Some(_) => {
                return Err(format!(
                    "may apply at most {MAX_APPLIED} subschemas to one value, counting each reference"
                ));
            }
            None => return Err("refers back to itself without going deeper into the data".to_owned()),
        }
    }
    Ok(())
}

/// How much there is of a schema.
#[derive(Default)]
struct Size<'a> {
    depth: usize,
    references: usize,
    patterns: usize,
    objects: Vec<&'a Map<String, Value>>,
}

impl<'a> Size<'a> {
    fn add(&mut self, value: &'a Value, depth: usize) {
        self.depth = self.depth.max(depth);
        // Deeper ones are refused, and need no counting.
        if depth > MAX_DEPTH {
            return;
        }
        match value {
            Value::Object(members) => {
                self.objects.push(members);
                for (name, value) in members.iter().filter(|(name, _)| !DATA.contains(&name.as_str())) {
                    match name.as_str() {
                        "$ref" | "$dynamicRef" | "$recursiveRef" if value.is_string() => self.references += 1,
                        "pattern" if value.is_string() => self.patterns += 1,
                        "patternProperties" => self.patterns += value.as_object().map_or(0, Map::len),
                        _ => {}
                    }
                    self.add(value, depth + 1);
                }
            }
            Value::Array(entries) => entries.iter().for_each(|entry| self.add(entry, depth + 1)),
            _ => {}
        }
    }
}

/// How many subschemas apply to a value to which one of them does.
struct Applied<'a> {
    root: &'a Value,
    /// By the place of the subschema in memory; `None` while it is being counted.
    known: HashMap<*const Map<String, Value>, Option<u64>>,
}

impl<'a> Applied<'a> {
    /// `None` where a subschema applies itself.
    fn by(&mut self, schema: &'a Map<String, Value>) -> Option<u64> {
        let place: *const _ = schema;
        if let Some(known) = self.known.get(&place) {
            return *known;
        }
        self.known.insert(place, None);
        let mut count = 1_u64;
        for below in self.below(schema) {
            count = count.saturating_add(self.by(below)?);
        }
        self.known.insert(place, Some(count));
        Some(count)
    }

    /// The subschemas that apply to the same value.
    fn below(&self, schema: &'a Map<String, Value>) -> Vec<&'a Map<String, Value>> {
        let lists = LISTS.iter().filter_map(|name| schema.get(*name)?.as_array()).flatten();
        let single = SINGLE.iter().filter_map(|name| schema.get(*name));
        let named = NAMED.iter().filter_map(|name| schema.get(*name)?.as_object()).flat_map(Map::values);
        let referred = schema.get("$ref").and_then(Value::as_str).and_then(|reference| self.target(reference));
        lists.chain(single).chain(named).chain(referred).filter_map(Value::as_object).collect()
    }

    /// What a reference within the schema leads to. Those by an anchor or id are left to the budget of each check.
    fn target(&self, reference: &str) -> Option<&'a Value> {
        let pointer = reference.strip_prefix('#')?;
        let pointer = percent_encoding::percent_decode_str(pointer).decode_utf8().ok()?;
        self.root.pointer(&pointer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(schema: &Value) -> String {
        judge(schema).unwrap_err()
    }

    #[test]
    fn ordinary_schemas_pass() {
        let tree = json!({"type": "object", "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}});
        let list = json!({"$defs": {"n": {"anyOf": [{"type": "null"}, {"items": {"$ref": "#/$defs/n"}}]}}, "$ref": "#/$defs/n"});
        let data = json!({"enum": [{"$ref": "#"}], "properties": {"$ref": {"type": "string"}}});
        for schema in [json!(true), json!({}), tree, list, data] {
            assert_eq!(judge(&schema), Ok(()), "{schema}");
        }
    }

    #[test]
    fn what_doubles_at_each_level_is_refused() {
        let mut definitions = Map::new();
        for level in 0..24 {
            let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
            definitions.insert(format!("d{level}"), json!({"anyOf": [next, next]}));
        }
        definitions.insert("d24".to_owned(), json!({"type": "integer"}));
        let schema = json!({"$defs": definitions, "properties": {"a": {"$ref": "#/$defs/d0"}}});
        assert!(refused(&schema).contains("at most 10000 subschemas"), "{}", refused(&schema));
    }

    #[test]
    fn what_applies_itself_is_refused() {
        for schema in [
            json!({"$ref": "#"}),
            json!({"anyOf": [{"not": {"$ref": "#"}}]}),
            json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}}),
        ] {
            assert!(refused(&schema).contains("refers back to itself"), "{schema}");
        }
    }

    #[test]
    fn there_may_be_so_much_and_no_more() {
        let deep = (0..MAX_DEPTH).fold(json!({}), |schema, _| json!({"not": schema}));
        assert!(refused(&deep).contains("levels of nesting"));
        let references = vec![json!({"$ref": "#/$defs/a"}); MAX_REFERENCES + 1];
        assert!(refused(&json!({"allOf": references, "$defs": {"a": {}}})).contains("references"));
        let patterns: Map<String, Value> = (0..=MAX_PATTERNS).map(|n| (n.to_string(), json!({}))).collect();
        assert!(refused(&json!({"patternProperties": patterns})).contains("regular expressions"));
    }
}
