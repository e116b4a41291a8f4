//! The part of a profile's file that lists its event types and types of entity.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::catalogue::{EntityType, EventCatalogue, EventFilter, EventTypeKnobs, Example};
use super::knobs::{FilterMatches, FilterPolicy, FilterRule, IdForm};
use super::reader::{Entry, Section};
use super::{MAX_EVENT_NAMES, Profile};
use crate::event::{Entity, EntityRef, is_valid_type_name};

pub(super) fn filter(knobs: &Section) -> FilterPolicy {
    let id_form = knobs.or("id_form", IdForm::Text, Entry::word);
    FilterPolicy {
        rule: knobs.or("rule", FilterRule::Optional, Entry::word),
        matches: knobs.or("matches", FilterMatches::Scope, Entry::word),
        types: knobs.each("types", entity_type),
        id_form,
        strict_ids: knobs.or("strict_ids", false, Entry::boolean),
        empty_ids: knobs.each("empty_ids", |entry| entry.text().map(|id| id_form.canonical(id).into_owned())),
    }
}

fn entity_type(entry: &Entry) -> Option<EntityType> {
    let knobs = entry.section()?;
    let name = knobs.need("name", "", Entry::text).to_owned();
    let number = knobs.entry("number").and_then(|entry| entry.whole(0..=u32::MAX));
    knobs.finish();
    Some(EntityType { name, number })
}

/// Reads the event types; what they leave out of their filters is as `policy` says.
pub(super) fn event_types(root: &Section, policy: &FilterPolicy) -> EventCatalogue {
    EventCatalogue::new(root.each("event_types", |entry| event_type(entry, policy)))
}

fn event_type(entry: &Entry, policy: &FilterPolicy) -> Option<EventTypeKnobs> {
    let knobs = entry.section()?;
    let text = |key| knobs.entry(key).and_then(|entry: Entry| entry.text().map(str::to_owned));
    let name = knobs.need("name", String::new(), type_name);
    let kind = EventTypeKnobs {
        title: text("title"),
        label: text("label"),
        kind: text("kind"),
        description: text("description"),
        listens_to: knobs.or("listens_to", vec![name.clone()], |entry| {
            Some(entry.some_of("the type that the host posts").iter().filter_map(type_name).collect())
        }),
        aliases: knobs.each("aliases", type_name),
        filter: knobs.section("filter", |knobs| event_filter(knobs, policy)),
        schema: knobs.entry("schema").and_then(|entry| json(&entry)),
        example: knobs.entry("example").and_then(|entry| example(&entry)),
        name,
    };
    knobs.finish();
    Some(kind)
}

/// A text that can be the name of an event type.
pub(super) fn type_name(entry: &Entry) -> Option<String> {
    let name = entry.text()?;
    if !is_valid_type_name(name) {
        entry.note("must be the name of an event type: visible ASCII, no spaces");
        return None;
    }
    Some(name.to_owned())
}

fn event_filter(knobs: &Section, policy: &FilterPolicy) -> EventFilter {
    EventFilter {
        rule: knobs.or("rule", policy.rule, Entry::word),
        id: knobs.or("id", FilterRule::Optional, Entry::word),
        ignores_id: knobs.or("ignores_id", false, Entry::boolean),
        types: knobs.each("types", |entry| listed_type(entry, policy)),
        taken_as: knobs.each("taken_as", |entry| taken_as(entry, policy)),
        matches: knobs.or("matches", policy.matches, Entry::word),
        with_id: knobs.entry("with_id").and_then(|entry| type_name(&entry)),
    }
}

/// A type of entity that the profile lists, where it lists any.
fn listed_type(entry: &Entry, policy: &FilterPolicy) -> Option<String> {
    let name = entry.text()?;
    if !policy.types.is_empty() && !policy.types.iter().any(|known| known.name == name) {
        let known: Vec<&str> = policy.types.iter().map(|known| known.name.as_str()).collect();
        entry.note(format!("is {name:?}, which is not among filter.types: {}", known.join(", ")));
    }
    Some(name.to_owned())
}

fn taken_as(entry: &Entry, policy: &FilterPolicy) -> Option<(String, String)> {
    let knobs = entry.section()?;
    let listed = |key| knobs.need(key, String::new(), |entry| listed_type(entry, policy));
    let pair = (listed("type"), listed("as"));
    knobs.finish();
    Some(pair)
}

fn example(entry: &Entry) -> Option<Example> {
    let knobs = entry.section()?;
    let data = knobs.need("data", None, |entry| Some(json(entry)));
    let entity = knobs.entry("entity").and_then(|entry| entity(&entry));
    let scope = knobs.each("scope", |entry| {
        let knobs = entry.section()?;
        let named = entity_ref(&knobs);
        knobs.finish();
        Some(named)
    });
    knobs.finish();
    Some(Example { data: data?, entity, scope })
}

fn entity(entry: &Entry) -> Option<Entity> {
    let knobs = entry.section()?;
    let EntityRef { kind, id } = entity_ref(&knobs);
    let url = knobs.entry("url").and_then(|entry| entry.text().map(str::to_owned));
    let data = knobs.entry("data").and_then(|entry| json(&entry)).map(Bytes::from);
    knobs.finish();
    Some(Entity { kind, id, url, data })
}

fn entity_ref(knobs: &Section) -> EntityRef {
    let text = |key| knobs.need(key, "", Entry::text).to_owned();
    EntityRef { kind: text("type"), id: text("id") }
}

/// A text that holds JSON.
fn json(entry: &Entry) -> Option<String> {
    let text = entry.text()?.trim();
    match serde_json::from_str::<&RawValue>(text) {
        Ok(_) => Some(text.to_owned()),
        Err(error) => {
            entry.note(format!("is not JSON: {error}"));
            None
        }
    }
}

/// What can only be judged once all event types are read.
pub(super) fn check_together(profile: &Profile, root: &Section) {
    let note = |index: usize, reason: String| match root.entry("event_types").and_then(|entry| entry.list()) {
        Some(entries) => entries[index].note(reason),
        None => root.note(reason),
    };
    let types: Vec<&EventTypeKnobs> = profile.catalogue.iter().collect();
    if types.len() > MAX_EVENT_NAMES {
        note(MAX_EVENT_NAMES, format!("is one too many; there may be {MAX_EVENT_NAMES}"));
    }
    for (index, kind) in types.iter().enumerate() {
        let names = || std::iter::once(&kind.name).chain(&kind.aliases);
        let taken = |name: &&String| {
            types[..index].iter().any(|other| other.name == **name || other.aliases.contains(name))
                || names().filter(|own| own == name).count() > 1
        };
        if let Some(name) = names().find(taken) {
            note(index, format!("{name:?} is the name of another event type"));
        }
        let posted = |name: &&String| profile.catalogue.get(name).is_none();
        if let Some(name) = kind.listens_to.iter().chain(&kind.filter.with_id).find(posted) {
            note(index, format!("{name:?} is no event type of this profile"));
        }
    }
}
