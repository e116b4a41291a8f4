//! Which webhooks an event is for, by look-up and not by scan.

use std::collections::HashMap;

use crate::event::{EntityRef, Event};
use crate::profile::{FilterMatches, Profile};
use crate::webhook::{Events, Filter, Settings};

/// What of a webhook decides whether an event is for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interest {
    pub wants: Wants,
    pub filter: Option<Filter>,
}

/// Which types of event a webhook gets, and what of each its filter is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wants {
    All(FilterMatches),
    Only(Vec<Want>),
}

/// A type of event that a webhook gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// The name under which the host posts it.
    pub kind: String,
    pub matches: FilterMatches,
}

/// Why an event is not for a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Its type is not among those that the webhook wants.
    EventType,
    /// The webhook's filter names another entity, or the event has none.
    Filter,
}

impl Interest {
    /// What a webhook with these settings wants. What it names and what the host posts may have different names; see
    /// [`EventTypeKnobs::listens_to`](crate::profile::EventTypeKnobs::listens_to).
    pub fn of(profile: &Profile, settings: &Settings) -> Interest {
        let wants = match &settings.events {
            Events::All => Wants::All(profile.filter.matches),
            Events::Only(names) => Wants::Only(names.iter().flat_map(|name| wants(profile, name)).collect()),
        };
        Interest { wants, filter: settings.filter.clone() }
    }

    /// Looks at one event.
    ///
    /// # Errors
    /// Why it is not for the webhook.
    pub fn check(&self, event: &Event) -> Result<(), Mismatch> {
        let mut wanted = match &self.wants {
            Wants::All(matches) => vec![*matches],
            Wants::Only(wants) => {
                wants.iter().filter(|want| *want.kind == *event.kind).map(|want| want.matches).collect()
            }
        };
        if wanted.is_empty() {
            return Err(Mismatch::EventType);
        }
        let Some(filter) = &self.filter else { return Ok(()) };
        wanted.retain(|matches| names(filter, *matches, event));
        if wanted.is_empty() { Err(Mismatch::Filter) } else { Ok(()) }
    }
}

fn wants(profile: &Profile, name: &str) -> Vec<Want> {
    let want = |kind: &str, matches| Want { kind: kind.to_owned(), matches };
    match profile.catalogue.get(name) {
        Some(known) => known.listens_to.iter().map(|kind| want(kind, known.filter.matches)).collect(),
        None => vec![want(name, profile.filter.matches)],
    }
}

/// Whether `filter` names the event's entity, or one of its ancestors where they count.
fn names(filter: &Filter, matches: FilterMatches, event: &Event) -> bool {
    let own = event.entity.iter().map(|entity| (&entity.kind, &entity.id));
    let reaches = matches == FilterMatches::Scope;
    let scope = event.scope.iter().filter(|_| reaches).map(|entity| (&entity.kind, &entity.id));
    own.chain(scope).any(|(kind, id)| filter.kind == *kind && filter.id.as_ref().is_none_or(|wanted| wanted == id))
}

/// The interests of one organization's webhooks, by number in the order given.
#[derive(Debug, Default)]
pub struct Index {
    /// Webhooks that want every type.
    all: ByFilter,
    by_type: HashMap<String, ByFilter>,
}

#[derive(Debug, Default)]
struct ByFilter {
    unfiltered: Vec<u32>,
    own: HashMap<EntityKey, Vec<u32>>,
    scope: HashMap<EntityKey, Vec<u32>>,
}

/// A type of entity, or one entity.
#[derive(Debug, PartialEq, Eq, Hash)]
struct EntityKey(String, Option<String>);

impl Index {
    /// Builds the index.
    pub fn build<'a>(interests: impl IntoIterator<Item = &'a Interest>) -> Self {
        let mut index = Index::default();
        for (number, interest) in interests.into_iter().enumerate() {
            let number = u32::try_from(number).expect("an organization has fewer than four billion webhooks");
            match &interest.wants {
                Wants::All(matches) => index.all.add(number, interest.filter.as_ref(), *matches),
                Wants::Only(wants) => {
                    for Want { kind, matches } in wants {
                        let by_filter = index.by_type.entry(kind.clone()).or_default();
                        by_filter.add(number, interest.filter.as_ref(), *matches);
                    }
                }
            }
        }
        index
    }

    /// The numbers of the webhooks that the event is for, ascending, each once.
    pub fn matches(&self, event: &Event) -> Vec<u32> {
        let mut found = Vec::new();
        self.all.find(event, &mut found);
        if let Some(by_filter) = self.by_type.get(&*event.kind) {
            by_filter.find(event, &mut found);
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl ByFilter {
    fn add(&mut self, number: u32, filter: Option<&Filter>, matches: FilterMatches) {
        let Some(filter) = filter else {
            self.unfiltered.push(number);
            return;
        };
        let key = || EntityKey(filter.kind.clone(), filter.id.clone());
        self.own.entry(key()).or_default().push(number);
        if matches == FilterMatches::Scope {
            self.scope.entry(key()).or_default().push(number);
        }
    }

    fn find(&self, event: &Event, found: &mut Vec<u32>) {
        found.extend_from_slice(&self.unfiltered);
        if let Some(entity) = event.entity.as_ref().filter(|_| !self.own.is_empty()) {
            look_up(&self.own, &entity.kind, &entity.id, found);
        }
        if !self.scope.is_empty() {
            for EntityRef { kind, id } in &event.scope {
                look_up(&self.scope, kind, id, found);
            }
        }
    }
}

fn look_up(map: &HashMap<EntityKey, Vec<u32>>, kind: &str, id: &str, found: &mut Vec<u32>) {
    for key in [EntityKey(kind.to_owned(), None), EntityKey(kind.to_owned(), Some(id.to_owned()))] {
        found.extend(map.get(&key).into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::event::Entity;
    use crate::id::{EventId, OrganizationId, ProjectId};
    use crate::time::Timestamp;

    fn event(kind: &str, entity: Option<EntityRef>, scope: Vec<EntityRef>) -> Event {
        Event {
            id: EventId(1),
            project: ProjectId(1),
            organization: OrganizationId(1),
            kind: Arc::from(kind),
            external_id: None,
            data: Bytes::from_static(b"{}"),
            entity: entity.map(|EntityRef { kind, id }| Entity { kind, id, url: None, data: None }),
            scope,
            occurred_at: Timestamp(0),
            ordering_key: None,
        }
    }

    fn entity() -> impl Strategy<Value = EntityRef> {
        ("[ab]", "[123]").prop_map(|(kind, id)| EntityRef { kind, id })
    }

    fn matches() -> impl Strategy<Value = FilterMatches> {
        prop_oneof![Just(FilterMatches::Entity), Just(FilterMatches::Scope)]
    }

    fn interest() -> impl Strategy<Value = Interest> {
        let want = || ("[xyz]", matches()).prop_map(|(kind, matches)| Want { kind, matches });
        let wants =
            prop_oneof![matches().prop_map(Wants::All), prop::collection::vec(want(), 0..3).prop_map(Wants::Only)];
        let filter = prop::option::of(("[ab]", prop::option::of("[123]")).prop_map(|(kind, id)| Filter { kind, id }));
        (wants, filter).prop_map(|(wants, filter)| Interest { wants, filter })
    }

    proptest! {
        #[test]
        fn the_index_finds_what_a_look_at_each_finds(
            interests in prop::collection::vec(interest(), 0..20),
            kind in "[xyz]",
            own in prop::option::of(entity()),
            scope in prop::collection::vec(entity(), 0..4),
        ) {
            let event = event(&kind, own, scope);
            let expected: Vec<u32> = interests
                .iter()
                .enumerate()
                .filter(|(_, interest)| interest.check(&event).is_ok())
                .map(|(number, _)| number as u32)
                .collect();
            prop_assert_eq!(Index::build(&interests).matches(&event), expected);
        }
    }

    #[test]
    fn a_mismatch_says_why() {
        let interest = Interest {
            wants: Wants::Only(vec![Want { kind: "x".to_owned(), matches: FilterMatches::Entity }]),
            filter: Some(Filter { kind: "a".to_owned(), id: None }),
        };
        assert_eq!(interest.check(&event("y", None, vec![])), Err(Mismatch::EventType));
        assert_eq!(interest.check(&event("x", None, vec![])), Err(Mismatch::Filter));
        let own = EntityRef { kind: "a".to_owned(), id: "1".to_owned() };
        assert_eq!(interest.check(&event("x", Some(own), vec![])), Ok(()));
    }
}
