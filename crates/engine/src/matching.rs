//! Which webhooks an event is for, by look-up and not by scan.

use std::collections::HashMap;

use crate::event::{EntityRef, Event};
use crate::webhook::{Events, Filter};

/// What of a webhook decides whether an event is for it.
#[derive(Clone, Debug)]
pub struct Interest {
    pub events: Events,
    pub filter: Option<Filter>,
    /// Whether the filter also looks at the ancestors of the event's entity.
    pub filter_reaches_scope: bool,
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
    /// Looks at one event.
    pub fn check(&self, event: &Event) -> Result<(), Mismatch> {
        let wanted = match &self.events {
            Events::All => true,
            Events::Only(names) => names.iter().any(|name| **name == *event.kind),
        };
        if !wanted {
            return Err(Mismatch::EventType);
        }
        let Some(filter) = &self.filter else { return Ok(()) };
        let own = event.entity.iter().map(|entity| (&entity.kind, &entity.id));
        let scope = event.scope.iter().filter(|_| self.filter_reaches_scope).map(|entity| (&entity.kind, &entity.id));
        let named = own
            .chain(scope)
            .any(|(kind, id)| filter.kind == *kind && filter.id.as_ref().is_none_or(|wanted| wanted == id));
        if named { Ok(()) } else { Err(Mismatch::Filter) }
    }
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
            match &interest.events {
                Events::All => index.all.add(number, interest),
                Events::Only(names) => {
                    for name in names {
                        index.by_type.entry(name.clone()).or_default().add(number, interest);
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
    fn add(&mut self, number: u32, interest: &Interest) {
        let Some(filter) = &interest.filter else {
            self.unfiltered.push(number);
            return;
        };
        let key = || EntityKey(filter.kind.clone(), filter.id.clone());
        self.own.entry(key()).or_default().push(number);
        if interest.filter_reaches_scope {
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

    fn interest() -> impl Strategy<Value = Interest> {
        let events = prop_oneof![Just(Events::All), prop::collection::vec("[xyz]", 0..3).prop_map(Events::Only),];
        let filter = prop::option::of(("[ab]", prop::option::of("[123]")).prop_map(|(kind, id)| Filter { kind, id }));
        (events, filter, any::<bool>()).prop_map(|(events, filter, filter_reaches_scope)| Interest {
            events,
            filter,
            filter_reaches_scope,
        })
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
            events: Events::Only(vec!["x".to_owned()]),
            filter: Some(Filter { kind: "a".to_owned(), id: None }),
            filter_reaches_scope: false,
        };
        assert_eq!(interest.check(&event("y", None, vec![])), Err(Mismatch::EventType));
        assert_eq!(interest.check(&event("x", None, vec![])), Err(Mismatch::Filter));
        let own = EntityRef { kind: "a".to_owned(), id: "1".to_owned() };
        assert_eq!(interest.check(&event("x", Some(own), vec![])), Ok(()));
    }
}
