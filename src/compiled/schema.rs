//! A JSON Schema compiled for use. Each check has a budget of steps and time, since a small schema may ask for more work than
//! there is time in the world.
//!
//! The validating library has no such budget. So each subschema gets one more keyword, which counts how often it is applied and
//! to how much; where the budget is used up, it unwinds the stack, which is the one way out of the library's recursion.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use jsonschema::{Keyword, PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};
use tokio::time::Instant;

/// How many steps the check of one event may take. A step is one subschema applied to one value, or a pattern to one name.
pub const MAX_STEPS: u64 = 500_000;
/// How long it may take, whatever the steps are.
const MAX_TIME: Duration = Duration::from_secs(2);
/// After how many steps the clock is looked at again.
const LOOK_AGAIN: u64 = 512;
/// How often a regular expression with look-around or back references may go back in one match.
const MAX_BACKTRACKING: usize = 10_000;
/// The most bytes that one compiled regular expression may take.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// The keyword that counts. One of the schema's own with this name is replaced.
const STEP: &str = "x-fanfare-step";
/// Keywords whose values are data, which hold no subschemas.
pub(super) const DATA: [&str; 5] = ["enum", "const", "default", "examples", "example"];
/// Keywords whose values are maps of subschemas by names of any kind.
const MAPS: [&str; 6] = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"];

/// The budget of a check is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

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
pub struct Schema(Validator);

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
        let options = jsonschema::options().with_keyword(STEP, counting).with_pattern_options(patterns);
        options.build(&counted(schema)).map(Schema).map_err(|error| error.masked().to_string())
    }

    /// Checks a value within so many steps. The messages may quote it.
    ///
    /// # Errors
    /// The steps or the time were used up.
    pub fn check(&self, value: &Value, steps: u64) -> Result<Vec<DataError>, Exhausted> {
        self.errors(value, steps, |error| error.to_string())
    }

    /// The same with messages that quote nothing of the value.
    ///
    /// # Errors
    /// As for [`Schema::check`].
    pub fn check_masked(&self, value: &Value, steps: u64) -> Result<Vec<DataError>, Exhausted> {
        self.errors(value, steps, |error| error.masked().to_string())
    }

    fn errors(
        &self,
        value: &Value,
        steps: u64,
        message: fn(&ValidationError<'_>) -> String,
    ) -> Result<Vec<DataError>, Exhausted> {
        within(steps, || {
            // Most are valid, and that is found out faster.
            if self.0.is_valid(value) {
                return Vec::new();
            }
            let told = |error: ValidationError<'_>| DataError {
                pointer: error.instance_path().to_string(),
                message: shorten(message(&error)),
            };
            self.0.iter_errors(value).take(MAX_ERRORS).map(told).collect()
        })
    }
}

#[derive(Clone, Copy)]
struct Budget {
    left: u64,
    until_look: u64,
    end: Option<Instant>,
}

thread_local! {
    static BUDGET: Cell<Budget> = const { Cell::new(Budget { left: u64::MAX, until_look: LOOK_AGAIN, end: None }) };
}

/// Runs work that counts its steps.
fn within<T>(steps: u64, work: impl FnOnce() -> T) -> Result<T, Exhausted> {
    let end = Some(Instant::now() + MAX_TIME);
    let before = BUDGET.replace(Budget { left: steps, until_look: LOOK_AGAIN, end });
    let result = catch_unwind(AssertUnwindSafe(work));
    BUDGET.set(before);
    result.map_err(|cause| match cause.downcast::<Exhausted>() {
        Ok(exhausted) => *exhausted,
        Err(cause) => resume_unwind(cause),
    })
}

/// Counts steps; does not return where there are too many.
fn spend(steps: u64) {
    let mut budget = BUDGET.get();
    budget.until_look = budget.until_look.saturating_sub(steps);
    if budget.until_look == 0 {
        budget.until_look = LOOK_AGAIN;
        if budget.end.is_some_and(|end| Instant::now() >= end) {
            budget.left = 0;
        }
    }
    let is_enough = budget.left >= steps;
    budget.left = budget.left.saturating_sub(steps);
    BUDGET.set(budget);
    if !is_enough {
        // Not a panic: nothing is wrong, and nothing is to be logged.
        resume_unwind(Box::new(Exhausted));
    }
}

/// What applying a subschema costs.
struct Count {
    /// How many patterns each name is compared with.
    patterns: u64,
    /// Whether the text of a string is gone through.
    reads_text: bool,
    /// Whether the entries of a list are compared.
    compares: bool,
    /// How many values the value is compared with.
    choices: u64,
}

impl Count {
    fn of(&self, value: &Value) -> u64 {
        let length = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let more = match value {
            Value::Object(members) => length(members.len()).saturating_mul(self.patterns),
            Value::Array(entries) if self.compares => length(entries.len()).saturating_mul(4),
            Value::String(text) if self.reads_text => length(text.len()) / 64,
            _ => 0,
        };
        more.saturating_add(1).saturating_add(self.choices / 8)
    }
}

impl<'i> Keyword<'i> for Count {
    fn validate(&self, value: &'i Value) -> Result<(), ValidationError<'i>> {
        spend(self.of(value));
        Ok(())
    }

    fn is_valid(&self, value: &'i Value) -> bool {
        spend(self.of(value));
        true
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the library asks for a result")]
fn counting<'a>(
    schema: &'a Map<String, Value>,
    _: &'a Value,
    _: jsonschema::paths::Location,
) -> Result<Box<dyn for<'i> Keyword<'i>>, ValidationError<'a>> {
    let has = |names: &[&str]| names.iter().any(|name| schema.contains_key(*name));
    let patterns = schema.get("patternProperties").and_then(Value::as_object).map_or(0, Map::len);
    let choices = schema.get("enum").and_then(Value::as_array).map_or(0, Vec::len);
    Ok(Box::new(Count {
        patterns: patterns as u64,
        reads_text: has(&["pattern", "format", "contentEncoding", "contentMediaType"]),
        compares: has(&["uniqueItems"]),
        choices: choices as u64,
    }))
}

/// The schema with the counting keyword in every subschema, before the others.
fn counted(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let first = std::iter::once((STEP.to_owned(), Value::Bool(true)));
            let others = members.iter().filter(|(name, _)| *name != STEP).map(|(name, value)| {
                let value = match (name.as_str(), value) {
                    (name, value) if DATA.contains(&name) => value.clone(),
                    (name, Value::Object(map)) if MAPS.contains(&name) => {
                        map.iter().map(|(name, schema)| (name.clone(), counted(schema))).collect()
                    }
                    // What is no keyword may be referred to all the same.
                    (_, value) => counted(value),
                };
                (name.clone(), value)
            });
            first.chain(others).collect()
        }
        Value::Array(entries) => entries.iter().map(counted).collect(),
        other => other.clone(),
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
    use serde_json::json;

    use super::*;

    fn check(schema: &Value, value: &Value, steps: u64) -> Result<Vec<DataError>, Exhausted> {
        Schema::compile(schema).unwrap().check(value, steps)
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
            assert_eq!(check(&schema, &value, MAX_STEPS), Ok(Vec::new()), "{value}");
        }
        for (value, pointer) in [
            (json!({"id": "x"}), "/id"),
            (json!({"id": 1, "enum": {}}), "/enum"),
            (json!({"id": 1, "x": {"b": 2}}), "/x"),
            (json!({"id": 1, "t-1": "abcd"}), "/t-1"),
            (json!({"id": 1, "other": 1}), ""),
        ] {
            let errors = check(&schema, &value, MAX_STEPS).unwrap();
            assert_eq!(errors.iter().map(|error| error.pointer.as_str()).collect::<Vec<_>>(), [pointer], "{value}");
        }
    }

    #[test]
    fn a_check_ends_with_its_budget() {
        let patterns: Map<String, Value> = (0..100).map(|n| (format!("^p{n}$"), json!({"type": "string"}))).collect();
        let data: Map<String, Value> = (0..20_000).map(|n| (format!("name{n}"), json!(n))).collect();
        let schema = json!({"patternProperties": patterns});
        assert_eq!(check(&schema, &data.into(), MAX_STEPS), Err(Exhausted));
        // Whatever stands around it: what is used up is neither valid nor not.
        let many = Value::from(vec![json!({"a": 1}); 1_000]);
        for around in ["not", "if", "items", "contains"] {
            let schema =
                json!({around: {"items": {"properties": {"a": {"type": "integer"}}}}, "items": {"type": "object"}});
            assert_eq!(check(&schema, &many, 100), Err(Exhausted), "{around}");
        }
        let schema = json!({"items": {"properties": {"a": {"type": "integer"}}}});
        assert_eq!(check(&schema, &many, 10_000), Ok(Vec::new()));
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
        assert_eq!(check(&schema, &data, 300), Err(Exhausted));
    }

    #[test]
    fn costly_regular_expressions_are_refused_or_given_up() {
        assert!(Schema::compile(&json!({"pattern": "(a{1000}){1000}"})).is_err());
        let backtracking = Schema::compile(&json!({"pattern": "^(a+)+(?=b)$"})).unwrap();
        assert!(backtracking.check(&json!("a".repeat(60)), MAX_STEPS).is_ok());
    }
}
