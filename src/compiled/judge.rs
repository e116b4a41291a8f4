//! Judges whether a JSON Schema may be saved: its size, and how many of its subschemas apply to one value, in total and in a row.

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

/// How many subschemas may apply each other in a row to one value. Each takes some of the stack when a value is checked.
const MAX_IN_A_ROW: usize = 100;

/// Keywords that refer to a subschema for the same value.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];
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
    let mut applied = Applied { targets: Targets::of(schema, &size.objects), known: HashMap::new() };
    for subschema in size.objects {
        let Some(Reach { count, in_a_row }) = applied.by(subschema, 1)? else {
            return Err("refers back to itself without going deeper into the data".to_owned());
        };
        if count > MAX_APPLIED {
            return Err(format!("may apply at most {MAX_APPLIED} subschemas to one value, counting each reference"));
        }
        if in_a_row > MAX_IN_A_ROW {
            return Err(too_many_in_a_row());
        }
    }
    Ok(())
}

fn too_many_in_a_row() -> String {
    format!("may apply at most {MAX_IN_A_ROW} subschemas in a row to one value, counting each reference")
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
                        name if REFERENCES.contains(&name) && value.is_string() => self.references += 1,
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

/// How many subschemas apply to a value to which one of them does, itself among them.
#[derive(Clone, Copy)]
struct Reach {
    count: u64,
    /// The most that apply each other in a row.
    in_a_row: usize,
}

/// Finds how far each subschema reaches.
struct Applied<'a> {
    targets: Targets<'a>,
    /// By the place of the subschema in memory; `None` while it is being looked at.
    known: HashMap<*const Map<String, Value>, Option<Reach>>,
}

impl<'a> Applied<'a> {
    /// `None` where a subschema applies itself; `so_far` is how many led here.
    fn by(&mut self, schema: &'a Map<String, Value>, so_far: usize) -> Result<Option<Reach>, String> {
        let place: *const _ = schema;
        if let Some(known) = self.known.get(&place) {
            return Ok(*known);
        }
        if so_far > MAX_IN_A_ROW {
            return Err(too_many_in_a_row());
        }
        self.known.insert(place, None);
        let mut reach = Reach { count: 1, in_a_row: 1 };
        for below in self.below(schema) {
            let Some(below) = self.by(below, so_far + 1)? else { return Ok(None) };
            reach.count = reach.count.saturating_add(below.count);
            reach.in_a_row = reach.in_a_row.max(below.in_a_row + 1);
        }
        self.known.insert(place, Some(reach));
        Ok(Some(reach))
    }

    /// The subschemas that apply to the same value.
    fn below(&self, schema: &'a Map<String, Value>) -> Vec<&'a Map<String, Value>> {
        let lists = LISTS.iter().filter_map(|name| schema.get(*name)?.as_array()).flatten();
        let single = SINGLE.iter().filter_map(|name| schema.get(*name));
        let named = NAMED.iter().filter_map(|name| schema.get(*name)?.as_object()).flat_map(Map::values);
        let references = REFERENCES.iter().filter_map(|name| schema.get(*name)?.as_str());
        let referred = references.flat_map(|reference| self.targets.find(reference));
        lists.chain(single).chain(named).filter_map(Value::as_object).chain(referred).collect()
    }
}

/// What references may lead to.
struct Targets<'a> {
    root: &'a Value,
    /// The subschemas that have an address of their own, with its last part.
    resources: Vec<(&'a str, &'a Map<String, Value>)>,
    /// The subschemas that have a name within a resource.
    anchors: Vec<(&'a str, &'a Map<String, Value>)>,
}

impl<'a> Targets<'a> {
    fn of(root: &'a Value, objects: &[&'a Map<String, Value>]) -> Self {
        let mut targets = Targets { root, resources: Vec::new(), anchors: Vec::new() };
        for object in objects {
            let texts = |names: &'static [&str]| names.iter().filter_map(|name| object.get(*name)?.as_str());
            for address in texts(&["$id", "id"]) {
                match address.split_once('#') {
                    // How names were given before there were anchors.
                    Some(("", name)) => targets.anchors.push((name, object)),
                    _ => targets.resources.push((last_part(address), object)),
                }
            }
            targets.anchors.extend(texts(&["$anchor", "$dynamicAnchor"]).map(|name| (name, *object)));
        }
        targets
    }

    /// Returns everything a reference may lead to. Compares addresses by their last part, which may find too many.
    fn find(&self, reference: &str) -> Vec<&'a Map<String, Value>> {
        let (address, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let fragment = percent_encoding::percent_decode_str(fragment).decode_utf8_lossy();
        if !fragment.is_empty() && !fragment.starts_with('/') {
            return self.anchors.iter().filter(|(name, _)| *name == fragment).map(|(_, object)| *object).collect();
        }
        let wanted = last_part(address);
        let of_address = self.resources.iter().filter(|(part, _)| address.is_empty() || *part == wanted);
        // A pointer is one into the resource in which the reference stands, which may be any.
        let within = of_address.filter_map(|(_, object)| walk(object, &fragment));
        let root = self.root.pointer(&fragment).filter(|_| address.is_empty()).and_then(Value::as_object);
        let resources = within.filter(|_| !fragment.is_empty() || !address.is_empty());
        root.into_iter().chain(resources).collect()
    }
}

/// What a JSON pointer leads to from an object.
fn walk<'a>(object: &'a Map<String, Value>, pointer: &str) -> Option<&'a Map<String, Value>> {
    let Some(path) = pointer.strip_prefix('/') else { return Some(object) };
    let (first, rest) = path.find('/').map_or((path, ""), |at| path.split_at(at));
    let first = first.replace("~1", "/").replace("~0", "~");
    object.get(&first)?.pointer(rest)?.as_object()
}

fn last_part(address: &str) -> &str {
    let address = address.split('#').next().unwrap_or_default();
    address.rsplit(['/', ':']).next().unwrap_or_default()
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
    fn what_applies_itself_by_a_name_or_address_is_refused() {
        for schema in [
            json!({"$id": "http://example.com/s", "$ref": "http://example.com/s"}),
            json!({"$id": "http://example.com/s", "allOf": [{"$ref": "s#"}]}),
            json!({"$anchor": "a", "not": {"$ref": "#a"}}),
            json!({"$dynamicAnchor": "a", "allOf": [{"$dynamicRef": "#a"}]}),
            json!({"$recursiveAnchor": true, "allOf": [{"$recursiveRef": "#"}]}),
            json!({"definitions": {"a": {"$id": "#a", "anyOf": [{"$ref": "#a"}]}}}),
            json!({"$defs": {"r": {"$id": "urn:r", "$ref": "#/$defs/a", "$defs": {"a": {"$ref": "urn:r"}}}}}),
        ] {
            assert!(refused(&schema).contains("refers back to itself"), "{schema}");
        }
        let bundle = json!({
            "$id": "https://example.com/schemas/customer", "type": "object",
            "properties": {"home": {"$ref": "/schemas/address"}, "work": {"$ref": "/schemas/address#state"}},
            "$defs": {
                "address": {"$id": "/schemas/address", "properties": {"state": {"$ref": "#state"}},
                            "$defs": {"s": {"$anchor": "state", "enum": ["CA", "NY"]}}},
            },
        });
        assert_eq!(judge(&bundle), Ok(()));
    }

    #[test]
    fn a_row_of_references_is_bounded() {
        let row = |length: usize, refer: fn(usize) -> Value| {
            let mut definitions: Map<String, Value> = (0..length).map(|n| (format!("d{n}"), refer(n))).collect();
            definitions.insert(format!("d{length}"), json!({"$anchor": format!("a{length}"), "type": "integer"}));
            json!({"$defs": definitions})
        };
        let by_pointer = |n: usize| json!({"$ref": format!("#/$defs/d{}", n + 1)});
        let by_name = |n: usize| json!({"$anchor": format!("a{n}"), "$ref": format!("#a{}", n + 1)});
        for refer in [by_pointer as fn(usize) -> Value, by_name] {
            assert_eq!(judge(&row(MAX_IN_A_ROW - 1, refer)), Ok(()));
            assert!(refused(&row(MAX_IN_A_ROW, refer)).contains("in a row"));
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
