//! Which webhooks an event is for, by look-up and not by scan.

use std::collections::{BTreeSet, HashMap};

use crate::event::Event;
use crate::profile::{FilterMatches, IdForm, Profile};
use crate::webhook::{Events, Filter, Settings};

/// What of a webhook decides whether an event is for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interest {
    pub wants: Wants,
    pub filter: Option<Filter>,
    /// How the filter's id is compared; the filter has it in that form.
    pub id_form: IdForm,
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
        let id_form = profile.filter.id_form;
        let mut filter = settings.filter.clone();
        if let Some(id) = filter.as_mut().and_then(|filter| filter.id.as_mut()) {
            *id = id_form.canonical(id).into_owned();
        }
        Interest { wants, filter, id_form }
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
        wanted.retain(|matches| names(filter, self.id_form, *matches, event));
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
fn names(filter: &Filter, form: IdForm, matches: FilterMatches, event: &Event) -> bool {
    let own = event.entity.iter().map(|entity| (&entity.kind, &entity.id));
    let reaches = matches == FilterMatches::Scope;
    let scope = event.scope.iter().filter(|_| reaches).map(|entity| (&entity.kind, &entity.id));
    let is_wanted = |id: &str| filter.id.as_deref().is_none_or(|wanted| *wanted == *form.canonical(id));
    own.chain(scope).any(|(kind, id)| filter.kind == *kind && is_wanted(id))
}

/// The interests of one organization's webhooks, by number in the order given.
#[derive(Debug, Default)]
pub struct Index {
    /// Webhooks that want every type.
    all: ByFilter,
    by_type: HashMap<String, ByFilter>,
    by_entity: ByEntity,
}

#[derive(Debug, Default)]
struct ByFilter {
    unfiltered: Vec<u32>,
    /// By the type of entity that their filter names.
    own: HashMap<String, Vec<u32>>,
    scope: HashMap<String, Vec<u32>>,
}

/// Webhooks whose filter names one entity, by its type and id; what else they want is to be looked at. There may be very
/// many, so that each stands here once, however many types of event it wants.
#[derive(Debug, Default)]
struct ByEntity {
    /// Those whose ids are compared as they are.
    texts: ById,
    /// Those whose ids are compared as UUIDs, in the common form.
    uuids: ById,
}

/// By the type and then by the id.
type ById = HashMap<String, HashMap<Box<str>, Vec<u32>>>;

impl Index {
    /// Builds the index.
    pub fn build<'a>(interests: impl IntoIterator<Item = &'a Interest>) -> Self {
        let mut index = Index::default();
        for (number, interest) in interests.into_iter().enumerate() {
            let number = u32::try_from(number).expect("an organization has fewer than four billion webhooks");
            index.add(number, interest);
        }
        index
    }

    fn add(&mut self, number: u32, interest: &Interest) {
        let filter = interest.filter.as_ref();
        if let Some((kind, id)) = filter.and_then(|filter| Some((&filter.kind, filter.id.as_deref()?))) {
            self.by_entity.add(number, interest.id_form, kind, id);
            return;
        }
        let kind = filter.map(|filter| filter.kind.as_str());
        match &interest.wants {
            Wants::All(matches) => self.all.add(number, kind, *matches),
            Wants::Only(wants) => {
                for want in wants {
                    let by_filter = self.by_type.entry(want.kind.clone()).or_default();
                    by_filter.add(number, kind, want.matches);
                }
            }
        }
    }

    /// The numbers of the webhooks that the event is for, ascending, each once. `interest` gives what was indexed under a
    /// number.
    pub fn matches<'a>(&self, event: &Event, interest: impl Fn(u32) -> &'a Interest) -> Vec<u32> {
        let mut found = Vec::new();
        self.by_entity.find(event, &mut found);
        found.retain(|number| interest(*number).check(event).is_ok());
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
    fn add(&mut self, number: u32, filter: Option<&str>, matches: FilterMatches) {
        let Some(kind) = filter else {
            self.unfiltered.push(number);
            return;
        };
        self.own.entry(kind.to_owned()).or_default().push(number);
        if matches == FilterMatches::Scope {
            self.scope.entry(kind.to_owned()).or_default().push(number);
        }
    }

    fn find(&self, event: &Event, found: &mut Vec<u32>) {
        found.extend_from_slice(&self.unfiltered);
        if let Some(entity) = &event.entity {
            found.extend(self.own.get(&entity.kind).into_iter().flatten());
        }
        if self.scope.is_empty() {
            return;
        }
        // A type counts once, however many ancestors of it there are.
        let kinds: BTreeSet<&str> = event.scope.iter().map(|ancestor| ancestor.kind.as_str()).collect();
        for kind in kinds {
            found.extend(self.scope.get(kind).into_iter().flatten());
        }
    }
}

impl ByEntity {
    fn add(&mut self, number: u32, form: IdForm, kind: &str, id: &str) {
        let by_id = match form {
            IdForm::Text => &mut self.texts,
            IdForm::Uuid => &mut self.uuids,
        };
        let of_kind = by_id.entry(kind.to_owned()).or_default();
        match of_kind.get_mut(id) {
            Some(numbers) => numbers.push(number),
            None => _ = of_kind.insert(Box::from(id), vec![number]),
        }
    }

    /// Those whose filter names the event's entity or one of its ancestors.
    fn find(&self, event: &Event, found: &mut Vec<u32>) {
        for (by_id, form) in [(&self.texts, IdForm::Text), (&self.uuids, IdForm::Uuid)] {
            if by_id.is_empty() {
                continue;
            }
            let own = event.entity.iter().map(|entity| (&entity.kind, &entity.id));
            let scope = event.scope.iter().map(|entity| (&entity.kind, &entity.id));
            for (kind, id) in own.chain(scope) {
                let Some(of_kind) = by_id.get(kind) else { continue };
                found.extend(of_kind.get(&*form.canonical(id)).into_iter().flatten());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::event::{Entity, EntityRef};
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
            hops: 0,
        }
    }

    /// Some of them are the same UUID.
    fn id() -> impl Strategy<Value = String> {
        let uuid = "0a3f7d0e-2f7e-4d59-8f39-3c5a1b0f1e01";
        prop_oneof!["[123]", Just(uuid.to_owned()), Just(uuid.to_uppercase()), Just(format!("{{{uuid}}}"))]
    }

    fn entity() -> impl Strategy<Value = EntityRef> {
        ("[ab]", id()).prop_map(|(kind, id)| EntityRef { kind, id })
    }

    fn matches() -> impl Strategy<Value = FilterMatches> {
        prop_oneof![Just(FilterMatches::Entity), Just(FilterMatches::Scope)]
    }

    fn interest() -> impl Strategy<Value = Interest> {
        let want = || ("[xyz]", matches()).prop_map(|(kind, matches)| Want { kind, matches });
        let wants =
            prop_oneof![matches().prop_map(Wants::All), prop::collection::vec(want(), 0..3).prop_map(Wants::Only)];
        let filter = prop::option::of(("[ab]", prop::option::of(id())).prop_map(|(kind, id)| Filter { kind, id }));
        let id_form = prop_oneof![Just(IdForm::Text), Just(IdForm::Uuid)];
        (wants, filter, id_form).prop_map(|(wants, filter, id_form)| {
            let canonical =
                |filter: Filter| Filter { id: filter.id.map(|id| id_form.canonical(&id).into_owned()), ..filter };
            Interest { wants, filter: filter.map(canonical), id_form }
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
            prop_assert_eq!(Index::build(&interests).matches(&event, |number| &interests[number as usize]), expected);
        }
    }

    #[test]
    fn a_mismatch_says_why() {
        let interest = Interest {
            wants: Wants::Only(vec![Want { kind: "x".to_owned(), matches: FilterMatches::Entity }]),
            filter: Some(Filter { kind: "a".to_owned(), id: None }),
            id_form: IdForm::Text,
        };
        assert_eq!(interest.check(&event("y", None, vec![])), Err(Mismatch::EventType));
        assert_eq!(interest.check(&event("x", None, vec![])), Err(Mismatch::Filter));
        let own = EntityRef { kind: "a".to_owned(), id: "1".to_owned() };
        assert_eq!(interest.check(&event("x", Some(own), vec![])), Ok(()));
    }
}
