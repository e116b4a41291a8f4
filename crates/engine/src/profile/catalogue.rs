//! The event types that come with a profile: what a webhook may name, what the host posts for it, and which filters go
//! with it.

use crate::event::{Entity, EntityRef};
use crate::webhook::{Events, Filter, Settings};

use super::knobs::{FilterMatches, FilterRule};
use super::{FieldError, MAX_FILTER_BYTES, Profile};

/// An event type that comes with a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTypeKnobs {
    /// What webhooks name.
    pub name: String,
    /// What people see.
    pub title: Option<String>,
    /// What the log calls it, where that is not its name.
    pub label: Option<String>,
    /// The group that it is shown in.
    pub kind: Option<String>,
    pub description: Option<String>,
    /// The types that the host posts and that a webhook which names this one gets. One that is not in its own list is
    /// never posted itself.
    pub listens_to: Vec<String>,
    /// Other names that are taken for this one.
    pub aliases: Vec<String>,
    pub filter: EventFilter,
    /// JSON Schema of the data, as JSON text.
    pub schema: Option<String>,
    pub example: Option<Example>,
}

/// The filter that a webhook has which names an event type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFilter {
    /// Whether it names a type of entity.
    pub rule: FilterRule,
    /// Whether it names one entity of that type.
    pub id: FilterRule,
    /// Whether an id that is given is dropped.
    pub ignores_id: bool,
    /// Which types of entity it may name; empty for any.
    pub types: Vec<String>,
    /// Types of entity that are taken for another one: the one given, and the one meant.
    pub taken_as: Vec<(String, String)>,
    pub matches: FilterMatches,
    /// The event type that a webhook is taken to mean which names this one and an entity's id.
    pub with_id: Option<String>,
}

/// What an event of a type may look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// JSON text.
    pub data: String,
    pub entity: Option<Entity>,
    pub scope: Vec<EntityRef>,
}

/// A type of entity, and the number that stands for it in the system's own API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityType {
    pub name: String,
    pub number: Option<u32>,
}

/// The event types that come with a profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventCatalogue {
    types: Vec<EventTypeKnobs>,
}

impl EventCatalogue {
    pub(super) fn new(types: Vec<EventTypeKnobs>) -> Self {
        EventCatalogue { types }
    }

    /// All of them, in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, EventTypeKnobs> {
        self.types.iter()
    }

    /// The one of this name or alias.
    pub fn get(&self, name: &str) -> Option<&EventTypeKnobs> {
        self.types.iter().find(|kind| kind.name == name || kind.aliases.iter().any(|alias| alias == name))
    }

    /// The types that the host posts where a webhook names `name`.
    pub fn posted_for<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        self.get(name).map_or_else(|| vec![name], |kind| kind.listens_to.iter().map(String::as_str).collect())
    }
}

impl Profile {
    /// Brings settings into the profile's own form: aliases of event types and numbers of entity types become their
    /// names, ids are written as they are compared, those that stand for none or are ignored are taken away, a type of entity
    /// that the event types take for another one becomes that one, and so does an event type that means another one with an id.
    pub fn normalise(&self, settings: &mut Settings) {
        if let Some(filter) = &mut settings.filter {
            if let Some(known) = self.entity_type(&filter.kind) {
                filter.kind.clone_from(&known.name);
            }
            let id = filter.id.take().filter(|id| !self.filter.is_empty_id(id));
            filter.id = id.map(|id| self.filter.id_form.canonical(&id).into_owned());
        }
        self.normalise_for_events(settings);
        let with_id = settings.filter.as_ref().is_some_and(|filter| filter.id.is_some());
        let Events::Only(names) = &mut settings.events else { return };
        for name in names {
            *name = self.meant(name, with_id).to_owned();
        }
    }

    /// Brings a filter into the form that the event types named ask for.
    fn normalise_for_events(&self, settings: &mut Settings) {
        let (Some(filter), Events::Only(names)) = (&mut settings.filter, &settings.events) else { return };
        let rules: Vec<&EventFilter> =
            names.iter().filter_map(|name| Some(&self.catalogue.get(name)?.filter)).collect();
        let meant = rules.iter().flat_map(|rule| &rule.taken_as).find(|(given, _)| *given == filter.kind);
        if let Some((_, meant)) = meant {
            filter.kind.clone_from(meant);
        }
        let is_ignored = !rules.is_empty() && rules.len() == names.len() && rules.iter().all(|rule| rule.ignores_id);
        // One that may not be given at all is refused, and not passed over.
        if is_ignored && filter.id.as_deref().is_some_and(|id| self.filter.takes_id(id)) {
            filter.id = None;
        }
    }

    /// The event type that a webhook means which names `name`; `with_id` says whether its filter names an entity by its id.
    pub fn meant<'a>(&'a self, name: &'a str, with_id: bool) -> &'a str {
        let Some(known) = self.catalogue.get(name) else { return name };
        known.filter.with_id.as_ref().filter(|_| with_id).unwrap_or(&known.name)
    }

    /// The type of entity that `text` names, by its name or by its number.
    pub fn entity_type(&self, text: &str) -> Option<&EntityType> {
        let number = text.parse().ok();
        self.filter.types.iter().find(|known| known.name == text || (number.is_some() && known.number == number))
    }

    /// What the log calls an event type.
    pub fn event_label<'a>(&'a self, name: &'a str) -> &'a str {
        self.catalogue.get(name).and_then(|known| known.label.as_deref()).unwrap_or(name)
    }

    /// What a type of entity is called for people: its name, with its number where it has one.
    pub fn entity_type_label(&self, name: &str) -> String {
        match self.entity_type(name) {
            Some(EntityType { name, number: Some(number) }) => format!("{name} ({number})"),
            _ => name.to_owned(),
        }
    }

    /// Whether a webhook that names these event types may have this filter.
    pub(super) fn check_filter(&self, events: &Events, filter: Option<&Filter>) -> Vec<FieldError> {
        let names: &[String] = match events {
            Events::All => &[],
            Events::Only(names) => names,
        };
        let rules: Vec<(&str, &EventFilter)> =
            names.iter().filter_map(|name| Some((name.as_str(), &self.catalogue.get(name)?.filter))).collect();
        let mut errors: Vec<FieldError> = Vec::new();
        if let Some(filter) = filter {
            if let Some(error) = self.check_entity_type(&filter.kind) {
                return vec![error];
            }
            let bad = |text: &str| text.is_empty() || text.len() > MAX_FILTER_BYTES;
            if bad(&filter.kind) || filter.id.as_deref().is_some_and(bad) {
                let message = format!("must have a type, and an id if any, of 1 to {MAX_FILTER_BYTES} bytes");
                return vec![FieldError::new("filter", message)];
            }
            if filter.id.as_deref().is_some_and(|id| !self.filter.takes_id(id)) {
                let message = "must be a GUID such as 0a3f7d0e-2f7e-4d59-8f39-3c5a1b0f1e01";
                return vec![FieldError::new("filter.id", message)];
            }
        }
        if rules.len() < names.len() || names.is_empty() {
            errors.extend(check_presence(self.filter.rule, filter.is_some(), "filter", "this profile"));
        }
        for (name, rule) in rules {
            errors.extend(check_presence(rule.rule, filter.is_some(), "filter", name));
            let Some(filter) = filter.filter(|_| rule.rule != FilterRule::None) else { continue };
            errors.extend(check_presence(rule.id, filter.id.is_some(), "filter.id", name));
            if !rule.types.is_empty() && !rule.types.contains(&filter.kind) {
                let given = self.entity_type_label(&filter.kind);
                let message = format!("is {given}, but {name} takes {}", self.labels(&rule.types));
                errors.push(FieldError::new("filter.type", message));
            }
        }
        errors
    }

    /// Refuses a type that the profile does not list, where it lists any.
    fn check_entity_type(&self, name: &str) -> Option<FieldError> {
        if self.filter.types.is_empty() || self.entity_type(name).is_some() {
            return None;
        }
        let known: Vec<String> = self.filter.types.iter().map(|known| known.name.clone()).collect();
        Some(FieldError::new("filter.type", format!("is {name:?}, but must be one of {}", self.labels(&known))))
    }

    fn labels(&self, types: &[String]) -> String {
        types.iter().map(|name| self.entity_type_label(name)).collect::<Vec<_>>().join(", ")
    }
}

fn check_presence(rule: FilterRule, given: bool, field: &str, whose: &str) -> Option<FieldError> {
    let message = match (rule, given) {
        (FilterRule::None, true) => format!("must be null: {whose} has none"),
        (FilterRule::Required, false) => format!("is required: {whose} needs it"),
        _ => return None,
    };
    Some(FieldError::new(field, message))
}
