//! What a profile's payloads and headers need of an event, so that one which lacks it is refused before it is kept.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::knobs::{Condition, Field, FieldValue, Missing, Shape};
use super::source::Source;
use super::template::{Part, Template};
use super::{FieldError, Profile};
use crate::event::{Entity, EntityRef};

/// An event as the host tells it.
#[derive(Clone, Copy, Debug)]
pub struct ToldEvent<'a> {
    pub kind: &'a str,
    pub external_id: Option<&'a str>,
    /// JSON text.
    pub data: &'a [u8],
    pub entity: Option<&'a Entity>,
    pub scope: &'a [EntityRef],
}

/// A value that must not be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    source: Source,
    /// The conditions under which it is used; they look at the event alone.
    when: Vec<Condition>,
}

impl Need {
    /// What the payloads and headers of `profile` need.
    pub(super) fn of(profile: &Profile) -> Vec<Need> {
        let mut needs = Vec::new();
        for payload in &profile.payloads {
            if let Shape::Object(fields) = &payload.shape {
                collect(fields, std::slice::from_ref(&payload.when), &mut needs);
            }
        }
        for header in profile.headers.iter().filter(|header| header.missing == Missing::Required) {
            needs.extend(sources(&header.value).map(|source| Need { source, when: vec![header.when.clone()] }));
        }
        needs.dedup();
        needs
    }

    fn applies_to(&self, event: &ToldEvent) -> bool {
        self.when.iter().all(|when| when.events.is_empty() || when.events.iter().any(|kind| kind == event.kind))
    }
}

fn collect(fields: &[Field], when: &[Condition], needs: &mut Vec<Need>) {
    for field in fields {
        let when: Vec<Condition> = when.iter().chain([&field.when]).cloned().collect();
        let need = |source| Need { source, when: when.clone() };
        match &field.value {
            FieldValue::Object(inner) => collect(inner, &when, needs),
            FieldValue::From(source) if field.missing == Missing::Required => needs.push(need(source.clone())),
            FieldValue::Text(text) if field.missing == Missing::Required => needs.extend(sources(text).map(need)),
            FieldValue::From(_) | FieldValue::Either(..) | FieldValue::Text(_) => {}
        }
    }
}

fn sources(template: &Template) -> impl Iterator<Item = Source> {
    template.parts.iter().filter_map(|part| match part {
        Part::Field(source) => Some(source.clone()),
        Part::Text(_) | Part::Body | Part::Signature => None,
    })
}

impl Profile {
    /// Whether the event has everything that the profile's payloads and headers need.
    ///
    /// # Errors
    /// Every member that is missing.
    pub fn check_event(&self, event: &ToldEvent) -> Result<(), Vec<FieldError>> {
        let mut errors: Vec<FieldError> = Vec::new();
        for need in self.needs.iter().filter(|need| need.applies_to(event)) {
            let Some(field) = missing(&need.source, event) else { continue };
            if errors.iter().all(|known| known.field != field) {
                let message = format!("is required for {} by the profile {}", event.kind, self.name);
                errors.push(FieldError::new(field, message));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// The member that the event lacks, where it lacks the value of `source`.
fn missing(source: &Source, event: &ToldEvent) -> Option<String> {
    let entity = event.entity;
    let (there, field) = match source {
        Source::EventExternalId => (event.external_id.is_some(), "id".to_owned()),
        Source::EntityType | Source::EntityId | Source::EntityNumber => (entity.is_some(), "entity".to_owned()),
        Source::EntityUrl | Source::EntityData if entity.is_none() => (false, "entity".to_owned()),
        Source::EntityUrl => (entity.is_some_and(|entity| entity.url.is_some()), "entity.url".to_owned()),
        Source::EntityData => (entity.is_some_and(|entity| entity.data.is_some()), "entity.data".to_owned()),
        Source::Scope(kind) => (event.scope.iter().any(|ancestor| ancestor.kind == *kind), format!("scope.{kind}")),
        Source::EventMember(path) => (has_member(event.data, path), format!("data.{}", path.join("."))),
        _ => return None,
    };
    (!there).then_some(field)
}

fn has_member(data: &[u8], path: &[String]) -> bool {
    let mut text = data;
    for name in path {
        let members: HashMap<String, &RawValue> = serde_json::from_slice(text).unwrap_or_default();
        match members.get(name) {
            Some(value) => text = value.get().as_bytes(),
            None => return false,
        }
    }
    true
}
