//! An event as the host posts it: read without copying, and checked.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use fanfare_engine::event::{Entity, EntityRef, is_valid_type_name};
use fanfare_engine::id::ProjectId;
use fanfare_engine::profile::{FieldError, ToldEvent};
use fanfare_engine::time::Timestamp;
use fanfare_store::queue::IdempotencyKey;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::body::{MAX_DEPTH, is_at_most_deep};
use crate::api::problem::{Answer, Code, Problem};
use crate::app::App;
use crate::compiled::{DataError, EventTypes};
use crate::intake::NewEvent;

/// The longest id, type or key that the host may give, in bytes.
pub(super) const MAX_NAME: usize = 255;
/// The longest URL of an entity, in bytes.
const MAX_URL: usize = 2_048;
/// The most ancestors that an entity may have.
const MAX_SCOPE: usize = 100;

/// The body of a post, or one event of a batch.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EventInput)]
pub(super) struct EventInput<'a> {
    /// Whose event it is: an organization's id or external id. In batches only.
    #[serde(borrow, default)]
    pub organization: Option<Cow<'a, str>>,
    /// The name of an event type of the catalogue.
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    /// What happened: any JSON value, nested at most 100 levels deep, passed on unchanged.
    #[serde(borrow)]
    #[schema(value_type = serde_json::Value)]
    pub data: &'a RawValue,
    /// What it is about.
    #[serde(borrow, default)]
    pub entity: Option<EntityInput<'a>>,
    /// The entity's ancestors, for filters and grants.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub scope: Vec<EntityRef>,
    /// The host's own id for the event, unique in its organization: posting it again gives the same answer.
    #[serde(borrow, default)]
    pub id: Option<Cow<'a, str>>,
    /// When it happened; now, where it is left out.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub occurred_at: Option<Timestamp>,
    /// Deliveries of events with the same key to one webhook are sent one after the other.
    #[serde(borrow, default)]
    pub ordering_key: Option<Cow<'a, str>>,
}

/// What an event is about.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EntityInput)]
pub(super) struct EntityInput<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// Where the host's API gives the entity.
    #[serde(borrow, default)]
    pub url: Option<Cow<'a, str>>,
    /// The entity itself, for webhooks that want it included.
    #[serde(borrow, default)]
    #[schema(value_type = Option<serde_json::Value>)]
    pub data: Option<&'a RawValue>,
}

impl<'a> EventInput<'a> {
    /// Reads a body. Where it is wrong, reads it again slowly to say what is.
    pub(super) fn parse(body: &'a [u8]) -> Answer<EventInput<'a>> {
        serde_json::from_slice(body).or_else(|_| {
            crate::api::body::parse_borrowed(body, |text| crate::api::faults::read::<EventInput<'_>>(text).map(drop))
        })
    }

    /// Checks everything that can be checked without the organization. `body` is where the event was read from, so that its
    /// data need not be copied.
    pub(super) async fn check(
        self,
        app: &App,
        body: &Bytes,
        project: ProjectId,
        hops: u8,
        idempotency: Option<IdempotencyKey>,
    ) -> Answer<NewEvent> {
        let max_bytes = app.max_event_bytes;
        let entity_data = self.entity.as_ref().and_then(|entity| entity.data);
        let length = self.data.get().len() + entity_data.map_or(0, |data| data.get().len());
        if length > max_bytes {
            let detail = format!("the data of an event may have at most {max_bytes} bytes; these have {length}");
            return Err(Problem::new(Code::BodyTooLarge, detail));
        }
        let share = |raw: &RawValue| body.slice_ref(raw.get().as_bytes());
        let types = app.compiled().event_types(project).await?;
        let mut errors = Vec::new();
        self.check_names(&mut errors);
        let kind = self.check_type(&types, &mut errors);
        match self.check_depth() {
            Some(error) => errors.push(error),
            None => {
                let found = app.check_data(project, &types, &kind, share(self.data)).await?;
                let named = |error: DataError| FieldError::new(format!("data{}", error.pointer), error.message);
                errors.extend(found.into_iter().map(named));
            }
        }
        let entity = self.entity.map(|entity| Entity {
            kind: entity.kind.into_owned(),
            id: entity.id.into_owned(),
            url: entity.url.map(Cow::into_owned),
            data: entity.data.map(share),
        });
        let told = ToldEvent {
            kind: &kind,
            external_id: self.id.as_deref(),
            data: self.data.get().as_bytes(),
            entity: entity.as_ref(),
            scope: &self.scope,
        };
        errors.extend(types.check_needs(&told).err().unwrap_or_default());
        if !errors.is_empty() {
            return Err(Problem::invalid(errors));
        }
        Ok(NewEvent {
            kind,
            external_id: self.id.map(Cow::into_owned),
            data: share(self.data),
            entity,
            scope: self.scope,
            occurred_at: self.occurred_at,
            ordering_key: self.ordering_key.map(Cow::into_owned),
            hops,
            idempotency,
        })
    }

    /// The event type's name as the catalogue has it; what is wrong with it goes to `errors`.
    fn check_type(&self, types: &EventTypes, errors: &mut Vec<FieldError>) -> Arc<str> {
        let name = types.posted(&self.kind).unwrap_or_else(|message| {
            errors.push(FieldError::new("type", message));
            &self.kind
        });
        if types.get(name).is_none() {
            match is_valid_type_name(name) {
                true if types.is_open() => {}
                true => errors.push(FieldError::new("type", "is not an event type of the catalogue; add it first")),
                false => errors.push(FieldError::new("type", "must be 1 to 128 visible ASCII characters")),
            }
        }
        Arc::from(name)
    }

    fn check_depth(&self) -> Option<FieldError> {
        let entity_data = self.entity.as_ref().and_then(|entity| entity.data);
        let mut parts = [("data", Some(self.data)), ("entity.data", entity_data)].into_iter();
        let deep = |json: &RawValue| !is_at_most_deep(json.get().as_bytes(), MAX_DEPTH);
        let (field, _) = parts.find(|(_, json)| json.is_some_and(deep))?;
        Some(FieldError::new(field, format!("may be nested at most {MAX_DEPTH} levels deep")))
    }

    fn check_names(&self, errors: &mut Vec<FieldError>) {
        let mut name = |field: &str, value: Option<&str>, most: usize| {
            let Some(value) = value else { return };
            if value.is_empty() || value.len() > most || value.contains(char::is_control) {
                let message = format!("must be 1 to {most} bytes without control characters");
                errors.push(FieldError::new(field, message));
            }
        };
        name("id", self.id.as_deref(), MAX_NAME);
        name("ordering_key", self.ordering_key.as_deref(), MAX_NAME);
        if let Some(entity) = &self.entity {
            name("entity.type", Some(&entity.kind), MAX_NAME);
            name("entity.id", Some(&entity.id), MAX_NAME);
            name("entity.url", entity.url.as_deref(), MAX_URL);
        }
        for (number, ancestor) in self.scope.iter().enumerate().take(MAX_SCOPE) {
            name(&format!("scope[{number}].type"), Some(&ancestor.kind), MAX_NAME);
            name(&format!("scope[{number}].id"), Some(&ancestor.id), MAX_NAME);
        }
        if self.id.as_deref().is_some_and(|id| id.starts_with(fanfare_engine::id::EventId::PREFIX)) {
            errors.push(FieldError::new("id", "must not look like one of Fanfare's own ids, evt_…"));
        }
        if self.scope.len() > MAX_SCOPE {
            errors.push(FieldError::new("scope", format!("may have at most {MAX_SCOPE} entries")));
        }
    }
}
