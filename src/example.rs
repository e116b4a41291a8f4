//! An example of the request that a profile makes of an event; nothing is sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use fanfare_engine::event::Event;
use fanfare_engine::id::{DeliveryId, EventId, OrganizationId, ProjectId, WebhookId};
use fanfare_engine::profile::{FieldError, Profile, SecretRule};
use fanfare_engine::render::{Plan, Rendered};
use fanfare_engine::signing::make_secret;
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::{ContentType, Credentials, Events, Method, Secret, Settings, Status, Webhook};
use uuid::Uuid;

use crate::compiled::EventTypes;
use crate::test_event::{self, TestEvent};

/// The ids of what is not there: an example's event, delivery, webhook and owner.
const ID: i64 = 1 << 40;
/// What a secret is made of where none is given, so that everybody's example is signed alike.
const EXAMPLE_KEY: u8 = 0x5a;

/// What the example is to show.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// Where the request would go.
    pub url: &'a str,
    /// An event type of the profile, by default its first; any where the profile lists none.
    pub event_type: Option<&'a str>,
    /// JSON text instead of the event type's example.
    pub data: Option<&'a str>,
    pub method: Option<Method>,
    pub content_type: Option<ContentType>,
    pub include_entity: bool,
    /// By default one is made where the profile makes them.
    pub secret: Option<&'a str>,
    /// The moment of the attempt.
    pub at: Timestamp,
}

impl Wanted<'_> {
    /// The profile's defaults.
    pub fn plain(at: Timestamp) -> Self {
        Wanted {
            url: "https://example.com/webhook",
            event_type: None,
            data: None,
            method: None,
            content_type: None,
            include_entity: false,
            secret: None,
            at,
        }
    }
}

/// An example.
#[derive(Debug)]
pub struct Example {
    pub request: Rendered,
    /// The webhook's secret.
    pub secret: Option<String>,
    /// Whether the secret signs anything of it.
    pub signed: bool,
}

/// Why there is no example.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExampleError {
    #[error("{wanted:?} is no event type of the profile {profile}; it has {known}")]
    EventType { wanted: String, profile: String, known: String },
    #[error("{} {}", .0.field, .0.message)]
    Setting(FieldError),
    #[error("{0}")]
    Request(String),
}

/// Renders and signs.
///
/// # Errors
/// What the profile does not allow.
pub fn request(profile: &Arc<Profile>, wanted: &Wanted) -> Result<Example, ExampleError> {
    let unsendable = |error: &dyn std::fmt::Display| ExampleError::Request(error.to_string());
    let event_type = event_type(profile, wanted)?;
    let mut webhook = webhook(profile, wanted, event_type)?;
    let event = event(profile, wanted, &webhook.settings, event_type);
    let render = |webhook: &Webhook| {
        let plan = Plan::compile(profile, webhook).map_err(|error| unsendable(&error))?;
        plan.render(&event, DeliveryId(ID + 1), wanted.at).map_err(|error| unsendable(&error))
    };
    let request = render(&webhook)?;
    // A secret that changes nothing signs nothing, as where only a body would be signed and there is none.
    let secret = std::mem::take(&mut webhook.credentials.secrets).into_iter().next().map(|secret| secret.value);
    let signed = secret.is_some()
        && !render(&webhook).is_ok_and(|bare| (&bare.headers, &bare.body) == (&request.headers, &request.body));
    Ok(Example { request, secret, signed })
}

fn event_type<'a>(profile: &'a Profile, wanted: &Wanted<'a>) -> Result<Option<&'a str>, ExampleError> {
    let known: Vec<&str> = profile.catalogue.iter().map(|known| known.name.as_str()).collect();
    let Some(name) = wanted.event_type else { return Ok(known.first().copied()) };
    let tests = profile.activation.test_event.as_deref() == Some(name);
    if known.is_empty() || tests || profile.catalogue.get(name).is_some() {
        return Ok(Some(name));
    }
    let (wanted, profile) = (name.to_owned(), profile.name.to_string());
    Err(ExampleError::EventType { wanted, profile, known: known.join(", ") })
}

fn webhook(profile: &Profile, wanted: &Wanted, event_type: Option<&str>) -> Result<Webhook, ExampleError> {
    let mut settings = Settings {
        name: "Example".to_owned(),
        url: wanted.url.to_owned(),
        events: event_type.map_or(Events::All, |name| Events::Only(vec![name.to_owned()])),
        method: wanted.method.unwrap_or(profile.methods.default),
        content_type: wanted.content_type.unwrap_or(profile.content_types.default),
        include_entity: wanted.include_entity,
        filter: None,
        retry: None,
        timeout_seconds: None,
        rate_limit: None,
        metadata: BTreeMap::new(),
    };
    profile.normalise(&mut settings);
    let made = || (profile.secret.rule == SecretRule::Generated).then(|| make_secret(profile, &[EXAMPLE_KEY; 512]));
    let secret = wanted.secret.map(str::to_owned).or_else(made);
    let secrets = secret.map(Secret::new).into_iter().collect();
    let credentials = Credentials { secrets, ..Credentials::default() };
    // Which entities a webhook is limited to is no part of a request.
    let errors = profile.check_settings(&settings, &credentials).err().unwrap_or_default();
    if let Some(error) = errors.into_iter().find(|error| !error.field.starts_with("filter")) {
        return Err(ExampleError::Setting(error));
    }
    Ok(Webhook {
        id: WebhookId(ID),
        project: ProjectId(ID),
        organization: OrganizationId(ID),
        number: 1,
        uuid: Uuid::from_u128(u128::from(EXAMPLE_KEY)),
        profile: profile.name.clone(),
        status: Status::Active,
        status_reason: None,
        failing_since: None,
        failed_at: None,
        settings,
        credentials,
        created_at: wanted.at,
        updated_at: wanted.at,
        created_by: None,
        owner: None,
    })
}

fn event(profile: &Profile, wanted: &Wanted, settings: &Settings, event_type: Option<&str>) -> Event {
    let chosen = test_event::choose(profile, settings, &EventTypes::default(), event_type);
    let chosen = chosen.unwrap_or_else(|| TestEvent::bare(event_type.unwrap_or_default()));
    Event {
        id: EventId(ID),
        project: ProjectId(ID),
        organization: OrganizationId(ID),
        kind: chosen.kind,
        external_id: None,
        data: wanted.data.map_or(chosen.data, |data| Bytes::copy_from_slice(data.as_bytes())),
        entity: chosen.entity,
        scope: chosen.scope,
        occurred_at: wanted.at,
        ordering_key: None,
        hops: 0,
    }
}
