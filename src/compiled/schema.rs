//! A JSON Schema compiled for use. Each check of a value has a budget: see [`counted`](super::counted).

use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

use std::time::Duration;

use super::counted::{Counted, Effort, Exhausted, Look, within};

/// What the check of one event may cost.
pub const MAX_EFFORT: Effort = Effort { steps: 5_000_000, time: Duration::from_secs(2) };
/// How often a regular expression with look-around or back references may go back in one match.
const MAX_BACKTRACKING: usize = 10_000;
/// The most bytes that one compiled regular expression may take.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// Keywords whose values are data, which hold no subschemas.
pub(super) const DATA: [&str; 5] = ["enum", "const", "default", "examples", "example"];
/// What is wrong with a value: where, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataError {
    /// A JSON pointer into the value; empty for the whole.
    pub pointer: String,
    pub message: String,
}

/// Most errors that are told of one value.
const MAX_ERRORS: usize = 20;
/// Longest message of one error, in bytes; it may quote the value.
const MAX_MESSAGE: usize = 300;

/// A schema that is ready for use.
#[derive(Debug)]
pub struct Schema(Validator<Counted>);

impl Schema {
    /// Compiles a schema. It may take long: `judge` bounds how long; call it where that holds up nobody.
    ///
    /// # Errors
    /// In words, what is wrong with it; nothing of its values is repeated.
    pub fn compile(schema: &Value) -> Result<Schema, String> {
        let patterns = PatternOptions::fancy_regex()
            .backtrack_limit(MAX_BACKTRACKING)
            .size_limit(MAX_REGEX_BYTES)
            .dfa_size_limit(MAX_REGEX_BYTES);
        let options = jsonschema::options_for::<Counted>().with_pattern_options(patterns);
        options.build(schema).map(Schema).map_err(|error| error.masked().to_string())
    }

    /// Checks a value for at most so much. The messages may quote it.
    ///
    /// # Errors
    /// That was used up.
    pub fn check(&self, value: &Value, effort: Effort) -> Result<Vec<DataError>, Exhausted> {
        self.errors(value, effort, |error| error.to_string())
    }

    /// The same with messages that quote nothing of the value.
    ///
    /// # Errors
    /// As for [`Schema::check`].
    pub fn check_masked(&self, value: &Value, effort: Effort) -> Result<Vec<DataError>, Exhausted> {
        self.errors(value, effort, |error| error.masked().to_string())
    }

    fn errors(
        &self,
        value: &Value,
        effort: Effort,
        message: fn(&ValidationError<'_>) -> String,
    ) -> Result<Vec<DataError>, Exhausted> {
        within(effort, || {
            // Most are valid, and that is found out faster.
            if self.0.is_valid(Look(value)) {
                return Vec::new();
            }
            let told = |error: ValidationError<'_>| DataError {
                pointer: error.instance_path().to_string(),
                message: shorten(message(&error)),
            };
            self.0.iter_errors(Look(value)).take(MAX_ERRORS).map(told).collect()
        })
    }
}

fn shorten(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        let cut = (0..=MAX_MESSAGE).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(cut);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn steps(steps: u64) -> Effort {
        Effort { steps, ..MAX_EFFORT }
    }

    fn check(schema: &Value, value: &Value, effort: Effort) -> Result<Vec<DataError>, Exhausted> {
        Schema::compile(schema).unwrap().check(value, effort)
    }

    #[test]
    fn data_is_judged_as_by_the_schema_alone() {
        let schema = json!({
            "type": "object", "required": ["id"], "additionalProperties": false,
            "properties": {"id": {"type": "integer"}, "enum": {"enum": [{"a": 1}]}, "x": {"not": {"const": {"b": 2}}}},
            "patternProperties": {"^t-": {"$ref": "#/$defs/text"}},
            "$defs": {"text": {"type": "string", "maxLength": 3}},
        });
        for value in [json!({"id": 1, "enum": {"a": 1}, "x": {"b": 1}, "t-1": "abc"}), json!({"id": 2})] {
            assert_eq!(check(&schema, &value, MAX_EFFORT), Ok(Vec::new()), "{value}");
        }
        for (value, pointer) in [
            (json!({"id": "x"}), "/id"),
            (json!({"id": 1, "enum": {}}), "/enum"),
            (json!({"id": 1, "x": {"b": 2}}), "/x"),
            (json!({"id": 1, "t-1": "abcd"}), "/t-1"),
            (json!({"id": 1, "other": 1}), ""),
        ] {
            let errors = check(&schema, &value, MAX_EFFORT).unwrap();
            assert_eq!(errors.iter().map(|error| error.pointer.as_str()).collect::<Vec<_>>(), [pointer], "{value}");
        }
    }

    #[test]
    fn a_check_ends_with_its_budget() {
        let patterns: Map<String, Value> = (0..100).map(|n| (format!("^p{n}$"), json!({"type": "string"}))).collect();
        let data: Map<String, Value> = (0..20_000).map(|n| (format!("name{n}"), json!(n))).collect();
        let schema = json!({"patternProperties": patterns});
        assert_eq!(check(&schema, &data.into(), steps(1_000_000)), Err(Exhausted));
        // Whatever stands around it: what is used up is neither valid nor not.
        let many = Value::from(vec![json!({"a": 1}); 1_000]);
        for around in ["not", "if", "items", "contains"] {
            let schema =
                json!({around: {"items": {"properties": {"a": {"type": "integer"}}}}, "items": {"type": "object"}});
            assert_eq!(check(&schema, &many, steps(100)), Err(Exhausted), "{around}");
        }
        let schema = json!({"items": {"properties": {"a": {"type": "integer"}}}});
        assert_eq!(check(&schema, &many, steps(10_000)), Ok(Vec::new()));
    }

    #[test]
    fn branches_within_branches_are_counted() {
        // Each level of the data doubles the work.
        let mut schema = json!({"type": "integer"});
        let mut data = json!("leaf");
        for _ in 0..30 {
            schema = json!({"anyOf": [{"properties": {"a": schema.clone()}}, {"properties": {"a": schema}, "minProperties": 2}]});
            data = json!({"a": data});
            if schema.to_string().len() > 32_000 {
                break;
            }
        }
        assert_eq!(check(&schema, &data, steps(300)), Err(Exhausted));
    }

    #[test]
    fn branches_that_all_fail_are_counted() {
        let mut definitions: Map<String, Value> = (0..60)
            .map(|n| {
                let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
                (
                    format!("d{n}"),
                    json!({"anyOf": [{"properties": {"a": next, "b": true}}, {"properties": {"a": next, "c": true}}]}),
                )
            })
            .collect();
        definitions.insert("d60".to_owned(), json!({"type": "string"}));
        let schema = json!({"$defs": definitions, "$ref": "#/$defs/d0"});
        assert_eq!(check(&schema, &nested(60), MAX_EFFORT), Err(Exhausted));
    }

    /// A value nested so deeply in members of this name.
    fn nested(depth: usize) -> Value {
        (0..depth).fold(json!(1), |value, _| json!({"a": value}))
    }

    #[test]
    fn a_long_way_of_references_at_each_level_of_the_data_does_not_use_up_the_stack() {
        const REFERENCES: usize = 900;
        let mut definitions: Map<String, Value> =
            (0..REFERENCES).map(|n| (format!("d{n}"), json!({"$ref": format!("#/$defs/d{}", n + 1)}))).collect();
        definitions.insert(format!("d{REFERENCES}"), json!({"properties": {"a": {"$ref": "#/$defs/d0"}}}));
        let schema = json!({"$defs": definitions, "$ref": "#/$defs/d0"});
        assert_eq!(check(&schema, &nested(100), MAX_EFFORT), Err(Exhausted));
    }

    #[test]
    fn a_long_way_of_references_through_members_is_compiled() {
        let count = 999;
        let mut definitions: Map<String, Value> = (0..count)
            .map(|n| (format!("d{n}"), json!({"properties": {"a": {"$ref": format!("#/$defs/d{}", n + 1)}}})))
            .collect();
        definitions.insert(format!("d{count}"), json!({"type": "integer"}));
        let schema = json!({"$defs": definitions, "$ref": "#/$defs/d0"});
        assert_eq!(check(&schema, &nested(100), MAX_EFFORT), Ok(Vec::new()));
    }

    #[test]
    fn the_deepest_data_can_be_checked() {
        let schema = json!({"type": ["object", "integer"], "oneOf": [
            {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, {"type": "integer"},
        ]});
        assert_eq!(check(&schema, &nested(100), MAX_EFFORT), Ok(Vec::new()));
        let wrong = (0..99).fold(json!("text"), |value, _| json!({"a": value}));
        assert_eq!(check(&schema, &wrong, MAX_EFFORT).unwrap().len(), 1);
    }

    #[test]
    fn what_applies_itself_by_a_name_ends() {
        let absolute = json!({"$id": "http://example.com/s", "$ref": "http://example.com/s"});
        let draft7 = json!({
            "$schema": "http://json-schema.org/draft-07/schema#", "$id": "http://example.com/s",
            "definitions": {"a": {"$ref": "http://example.com/s#/definitions/b"}, "b": {"$ref": "http://example.com/s#/definitions/a"}},
            "allOf": [{"$ref": "#/definitions/a"}],
        });
        let dynamic = json!({"$dynamicAnchor": "a", "allOf": [{"$dynamicRef": "#a"}]});
        let anchor = json!({"$anchor": "a", "not": {"$ref": "#a"}});
        for schema in [absolute, dynamic, anchor, draft7] {
            if let Ok(compiled) = Schema::compile(&schema) {
                // Whatever it means: the check comes to an end.
                let _ = compiled.check(&json!({}), MAX_EFFORT);
            }
        }
    }

    #[test]
    fn costly_regular_expressions_are_refused_or_given_up() {
        assert!(Schema::compile(&json!({"pattern": "(a{1000}){1000}"})).is_err());
        let backtracking = Schema::compile(&json!({"pattern": "^(a+)+(?=b)$"})).unwrap();
        assert!(backtracking.check(&json!("a".repeat(60)), MAX_EFFORT).is_ok());
    }
}
