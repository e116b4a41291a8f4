//! A project's catalogue of event types, their schemas compiled.

use std::collections::HashMap;
use std::sync::Arc;

use fanfare_engine::profile::{EventTypeKnobs, FieldError, Profile, ToldEvent};
use jsonschema::Validator;

use super::StoredType;

/// What is wrong with an event's data: where, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataError {
    /// A JSON pointer into the data; empty for the whole.
    pub pointer: String,
    pub message: String,
}

/// Most errors that are told of one event.
const MAX_ERRORS: usize = 20;
/// Longest message of one error, in bytes; a schema's error may quote the data.
const MAX_MESSAGE: usize = 300;

/// The event types of a project.
#[derive(Debug, Default)]
pub struct EventTypes {
    by_name: HashMap<String, CompiledType>,
    /// The project's own; `None` where the server does not have it any more.
    own: Option<Arc<Profile>>,
    /// The others that it allows.
    allowed: Vec<Arc<Profile>>,
}

/// One event type.
#[derive(Debug)]
pub struct CompiledType {
    validator: Option<Validator>,
    /// An example of its data as JSON text.
    pub example: Option<String>,
}

impl EventTypes {
    /// Compiles the schemas. One that does not compile was refused when it was saved, and is passed over here. `profiles` are
    /// those that the project allows, its own first; `None` for one that the server does not have any more.
    pub fn compile(types: Vec<StoredType>, profiles: impl IntoIterator<Item = Option<Arc<Profile>>>) -> Self {
        let mut profiles = profiles.into_iter();
        let compile = |stored: StoredType| {
            let schema = stored.schema.and_then(|text| serde_json::from_str(&text).ok());
            let validator = schema.and_then(|schema| jsonschema::validator_for(&schema).ok());
            (stored.name, CompiledType { validator, example: stored.example })
        };
        let by_name = types.into_iter().map(compile).collect();
        EventTypes { by_name, own: profiles.next().flatten(), allowed: profiles.flatten().collect() }
    }

    /// An event type by name.
    pub fn get(&self, name: &str) -> Option<&CompiledType> {
        self.by_name.get(name)
    }

    /// The name under which an event type is known that the host posts as `name`: its own, or that of which it is an alias.
    ///
    /// # Errors
    /// Where only webhooks name this type: what the host posts instead.
    pub fn posted<'a>(&'a self, name: &'a str) -> Result<&'a str, String> {
        let own = self.own.iter().filter_map(|profile| profile.catalogue.get(name));
        // In the others a name that is not theirs alone is the project's.
        let theirs = |known: &&EventTypeKnobs| known.name == name || !self.by_name.contains_key(name);
        let allowed = self.allowed.iter().filter_map(|profile| profile.catalogue.get(name)).filter(theirs);
        let mut known = own.chain(allowed).peekable();
        let Some(first) = known.peek().copied() else { return Ok(name) };
        match known.find(|known| known.listens_to.contains(&known.name)) {
            Some(posted) => Ok(&posted.name),
            None => Err(format!("is named by webhooks alone; post {} instead", first.listens_to.join(" or "))),
        }
    }

    /// Whether the host may post an event type that the project doesn't have, since webhooks may name it.
    pub fn is_open(&self) -> bool {
        self.own.iter().chain(&self.allowed).any(|profile| profile.events.open)
    }

    /// Whether the event has what the project's own profile needs of it, and each other that the project allows, where it is
    /// among the event types that come with that one.
    ///
    /// # Errors
    /// Every member that is missing.
    pub fn check_needs(&self, event: &ToldEvent) -> Result<(), Vec<FieldError>> {
        let knows = |profile: &&Arc<Profile>| profile.catalogue.get(event.kind).is_some();
        let profiles = self.own.iter().chain(self.allowed.iter().filter(knows));
        let mut errors: Vec<FieldError> = Vec::new();
        for error in profiles.flat_map(|profile| profile.check_event(event).err().unwrap_or_default()) {
            if errors.iter().all(|known| known.field != error.field) {
                errors.push(error);
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

impl CompiledType {
    /// Checks data, given as JSON text, against the schema if there is one.
    pub fn check(&self, data: &str) -> Result<(), Vec<DataError>> {
        let Some(validator) = &self.validator else { return Ok(()) };
        let data = serde_json::from_str(data)
            .map_err(|error| vec![DataError { pointer: String::new(), message: error.to_string() }])?;
        let errors: Vec<DataError> = validator
            .iter_errors(&data)
            .take(MAX_ERRORS)
            .map(|error| DataError { pointer: error.instance_path().to_string(), message: shorten(error.to_string()) })
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
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
    use super::*;

    #[test]
    fn data_is_checked_where_there_is_a_schema() {
        let schema = r#"{"type":"object","required":["id"],"properties":{"id":{"type":"integer"}}}"#;
        let types = EventTypes::compile(
            vec![
                StoredType { name: "a".to_owned(), schema: Some(schema.to_owned()), example: None },
                StoredType { name: "b".to_owned(), schema: None, example: None },
            ],
            [],
        );
        assert_eq!(types.get("a").unwrap().check(r#"{"id":1}"#), Ok(()));
        let errors = types.get("a").unwrap().check(r#"{"id":"x"}"#).unwrap_err();
        assert_eq!(errors[0].pointer, "/id");
        assert_eq!(types.get("b").unwrap().check("[]"), Ok(()));
        assert!(types.get("c").is_none());
    }
}
