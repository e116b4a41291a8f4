//! A project's catalogue of event types; the schema of each is compiled when it is first used.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fanfare_engine::profile::{EventTypeKnobs, FieldError, Profile, ToldEvent};

use super::StoredType;
use super::counted::{Effort, Exhausted};
use super::schema::{DataError, MAX_EFFORT, Schema};

/// What a check may cost beside other requests; what needs more is done apart.
const QUICK: Effort = Effort { steps: 20_000, time: Duration::from_millis(2) };
/// How many bytes the data of such a check may have.
const QUICK_BYTES: usize = 16 * 1024;

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
    name: String,
    /// As JSON text.
    schema: Option<String>,
    /// `None` for one that does not compile: it was refused when it was saved, and is passed over here.
    compiled: OnceLock<Option<Schema>>,
    /// An example of its data as JSON text.
    pub example: Option<String>,
}

impl EventTypes {
    /// Takes over what is stored. `profiles` are those that the project allows, its own first; `None` for one that the server
    /// does not have any more.
    pub fn compile(types: Vec<StoredType>, profiles: impl IntoIterator<Item = Option<Arc<Profile>>>) -> Self {
        let mut profiles = profiles.into_iter();
        let take = |stored: StoredType| {
            let StoredType { name, schema, example } = stored;
            (name.clone(), CompiledType { name, schema, compiled: OnceLock::new(), example })
        };
        let by_name = types.into_iter().map(take).collect();
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
    /// Checks data, given as JSON text, against the schema if there is one, where that takes so little that it holds up nobody;
    /// `None` where it may take more.
    pub fn check_quickly(&self, data: &[u8]) -> Option<Vec<DataError>> {
        if self.schema.is_none() {
            return Some(Vec::new());
        }
        let compiled = self.compiled.get()?;
        if data.len() > QUICK_BYTES {
            return None;
        }
        check(compiled.as_ref(), data, QUICK).ok()
    }

    /// The same, however long it takes within the budget of a check, and with the schema compiled first where it is not yet.
    ///
    /// # Errors
    /// The budget was used up.
    pub fn check(&self, data: &[u8]) -> Result<Vec<DataError>, Exhausted> {
        check(self.compiled.get_or_init(|| self.compile()).as_ref(), data, MAX_EFFORT)
    }

    fn compile(&self) -> Option<Schema> {
        let schema = self.schema.as_deref()?;
        let compiled = serde_json::from_str(schema).map_err(|error| error.to_string());
        match compiled.and_then(|schema| Schema::compile(&schema)) {
            Ok(compiled) => Some(compiled),
            Err(cause) => {
                let name = &self.name;
                tracing::warn!(
                    event_type = name,
                    cause,
                    "a stored schema does not compile; events are not checked against it"
                );
                None
            }
        }
    }
}

fn check(schema: Option<&Schema>, data: &[u8], effort: Effort) -> Result<Vec<DataError>, Exhausted> {
    let Some(schema) = schema else { return Ok(Vec::new()) };
    match serde_json::from_slice(data) {
        Ok(data) => schema.check(&data, effort),
        Err(error) => Ok(vec![DataError { pointer: String::new(), message: error.to_string() }]),
    }
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
        let a = types.get("a").unwrap();
        assert_eq!(a.check_quickly(br#"{"id":1}"#), None, "it is not compiled yet");
        assert_eq!(a.check(br#"{"id":1}"#), Ok(Vec::new()));
        assert_eq!(a.check_quickly(br#"{"id":1}"#), Some(Vec::new()));
        assert_eq!(a.check_quickly(br#"{"id":"x"}"#).unwrap()[0].pointer, "/id");
        let large = format!(r#"{{"id":1,"text":"{}"}}"#, "x".repeat(QUICK_BYTES));
        assert_eq!(a.check_quickly(large.as_bytes()), None);
        assert_eq!(types.get("b").unwrap().check_quickly(b"[]"), Some(Vec::new()));
        assert!(types.get("c").is_none());
    }
}
