//! Which event a webhook is tried out with.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_engine::event::{Entity, EntityRef, Event};
use fanfare_engine::id::{EventId, OrganizationId, ProjectId};
use fanfare_engine::profile::Profile;
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::{Events, Settings};

use crate::compiled::EventTypes;

/// What is sent where nothing says what an event looks like.
const NO_DATA: &str = "{}";
/// The event type of a test where neither the profile nor the webhook names one.
const LAST_RESORT: &str = "webhook.test";

/// An event to try a webhook out with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestEvent {
    pub kind: Arc<str>,
    /// JSON text.
    pub data: Bytes,
    pub entity: Option<Entity>,
    pub scope: Vec<EntityRef>,
}

impl TestEvent {
    /// One of which nothing but the type is known.
    pub fn bare(kind: &str) -> Self {
        let data = Bytes::from_static(NO_DATA.as_bytes());
        TestEvent { kind: Arc::from(kind), data, entity: None, scope: Vec::new() }
    }

    /// The event to keep and to send, which happens `now`.
    pub fn event(self, id: EventId, project: ProjectId, organization: OrganizationId, now: Timestamp) -> Event {
        Event {
            id,
            project,
            organization,
            kind: self.kind,
            external_id: None,
            data: self.data,
            entity: self.entity,
            scope: self.scope,
            occurred_at: now,
            ordering_key: None,
            hops: 0,
        }
    }
}

/// The event of type `wanted`, by default that which the profile uses for tests, as its example shows it. `None` where
/// `wanted` is no event type of the project.
pub fn choose(profile: &Profile, settings: &Settings, types: &EventTypes, wanted: Option<&str>) -> Option<TestEvent> {
    let by_default = default_type(profile, settings);
    let named = wanted.unwrap_or(by_default);
    let known = profile.catalogue.get(named);
    let stored = types.get(known.map_or(named, |known| &known.name));
    if stored.is_none() && known.is_none() && named != by_default {
        return None;
    }
    let kind = known.and_then(|known| known.listens_to.first()).map_or(named, String::as_str);
    let example = known.and_then(|known| known.example.as_ref());
    let data = stored.and_then(|stored| stored.example.as_deref()).or(example.map(|example| example.data.as_str()));
    Some(TestEvent {
        kind: Arc::from(kind),
        data: Bytes::copy_from_slice(data.unwrap_or(NO_DATA).as_bytes()),
        entity: example.and_then(|example| example.entity.clone()),
        scope: example.map(|example| example.scope.clone()).unwrap_or_default(),
    })
}

/// The profile's own, or the first that the webhook names, or the first of the profile.
fn default_type<'a>(profile: &'a Profile, settings: &'a Settings) -> &'a str {
    let named = match &settings.events {
        Events::All => None,
        Events::Only(names) => names.first(),
    };
    let first = || profile.catalogue.iter().next().map(|known| &known.name);
    profile.activation.test_event.as_ref().or(named).or_else(first).map_or(LAST_RESORT, String::as_str)
}
