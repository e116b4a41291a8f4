//! A subscription: where a customer's events go and how.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::EntityRef;
use crate::id::{OrganizationId, ProjectId, WebhookId};
use crate::time::Timestamp;

/// Which events a webhook wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Events {
    All,
    Only(Vec<String>),
}

impl Serialize for Events {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Events::All => serializer.serialize_str("all"),
            Events::Only(names) => names.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Events {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected \"all\" or a list of event type names")]
        enum Form {
            Word(String),
            Names(Vec<String>),
        }
        match Form::deserialize(deserializer)? {
            Form::Word(word) if word == "all" => Ok(Events::All),
            Form::Word(_) => Err(serde::de::Error::custom("expected \"all\" or a list of event type names")),
            Form::Names(names) => Ok(Events::Only(names)),
        }
    }
}

/// A limit to one type of entity, or to one entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl Filter {
    /// Whether the filter names this entity.
    pub fn names(&self, entity: &EntityRef) -> bool {
        self.kind == entity.kind && self.id.as_ref().is_none_or(|id| *id == entity.id)
    }
}

/// What the receiver demands before it listens. Kept encrypted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    Basic { username: String, password: String },
    Bearer { token: String },
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Auth::Basic { username, .. } => write!(f, "Basic {{ {username}, **** }}"),
            Auth::Bearer { .. } => write!(f, "Bearer {{ **** }}"),
        }
    }
}

/// A signing secret as text, in the profile's own form (`whsec_…`). Kept encrypted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    pub value: String,
    /// When it stops signing; `None` for the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The header whose signatures alone it makes, in small letters; the other secrets make none in that one then. `None`
    /// for all headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
}

impl Secret {
    /// A current secret for all signatures.
    pub fn new(value: impl Into<String>) -> Self {
        Secret { value: value.into(), expires_at: None, header: None }
    }

    /// Whether both make the signatures of the same header.
    pub fn shares_header_with(&self, other: &Secret) -> bool {
        self.header == other.header
    }

    /// Whether it still signs at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret {{ ****, expires_at: {:?}, header: {:?} }}", self.expires_at, self.header)
    }
}

/// How the body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ContentType {
    #[serde(rename = "application/json")]
    Json,
    #[serde(rename = "application/x-www-form-urlencoded")]
    Form,
    #[serde(rename = "application/cloudevents+json")]
    CloudEvents,
}

impl ContentType {
    pub fn as_str(self) -> &'static str {
        match self {
            ContentType::Json => "application/json",
            ContentType::Form => "application/x-www-form-urlencoded",
            ContentType::CloudEvents => "application/cloudevents+json",
        }
    }
}

/// The method of the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Post,
    Get,
}

impl Method {
    pub fn as_http(self) -> http::Method {
        match self {
            Method::Post => http::Method::POST,
            Method::Get => http::Method::GET,
        }
    }
}

/// A webhook's own retry schedule, where its profile allows one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryOverride {
    /// Seconds from one attempt's end to the next attempt; as many retries as there are numbers.
    pub delays_seconds: Vec<u32>,
    /// A share of each delay, 0 to 1, that chance adds at most.
    #[serde(default)]
    pub jitter: f64,
}

/// How many requests the receiver is sent at most, evenly spaced: `{"per_second": 5}` or `{"per_minute": 30}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", try_from = "RateLimitMembers")]
pub enum RateLimit {
    PerSecond(u32),
    PerMinute(u32),
}

/// A rate limit as it is written, before it is known that it has one member.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RateLimitMembers {
    per_second: Option<u32>,
    per_minute: Option<u32>,
}

impl TryFrom<RateLimitMembers> for RateLimit {
    type Error = &'static str;

    fn try_from(members: RateLimitMembers) -> Result<Self, Self::Error> {
        match (members.per_second, members.per_minute) {
            (Some(count), None) => Ok(RateLimit::PerSecond(count)),
            (None, Some(count)) => Ok(RateLimit::PerMinute(count)),
            _ => Err("must have either per_second or per_minute"),
        }
    }
}

impl RateLimit {
    /// The limit in requests a minute.
    pub fn per_minute(self) -> u64 {
        match self {
            RateLimit::PerSecond(count) => u64::from(count) * 60,
            RateLimit::PerMinute(count) => u64::from(count),
        }
    }

    /// The time from the start of one request to that of the next, in nanoseconds.
    pub fn interval_nanos(self) -> u64 {
        60_000_000_000u64.div_ceil(self.per_minute().max(1))
    }

    /// The name of the member that sets it.
    pub fn field(self) -> &'static str {
        match self {
            RateLimit::PerSecond(_) => "rate_limit.per_second",
            RateLimit::PerMinute(_) => "rate_limit.per_minute",
        }
    }
}

/// Whether a webhook gets events, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(i64)]
pub enum Status {
    Active = 0,
    /// Switched off by a person, or not yet switched on. Events make no deliveries.
    Deactivated = 1,
    /// Held: events make deliveries, which wait.
    Paused = 2,
    /// Switched off because its receiver failed for too long or said 410 Gone.
    AutoDisabled = 3,
}

impl Status {
    pub const ALL: [Status; 4] = [Status::Active, Status::Deactivated, Status::Paused, Status::AutoDisabled];

    pub fn name(self) -> &'static str {
        match self {
            Status::Active => "active",
            Status::Deactivated => "deactivated",
            Status::Paused => "paused",
            Status::AutoDisabled => "auto_disabled",
        }
    }

    /// Whether an event that matches makes a delivery.
    pub fn takes_events(self) -> bool {
        matches!(self, Status::Active | Status::Paused)
    }

    /// The status that a database row's number stands for.
    pub fn from_number(number: i64) -> Option<Status> {
        Status::ALL.into_iter().find(|status| *status as i64 == number)
    }
}

/// What a customer sets, without what is secret: kept as one JSON document, so that a new setting is a new member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub name: String,
    pub url: String,
    pub events: Events,
    pub method: Method,
    pub content_type: ContentType,
    #[serde(default)]
    pub include_entity: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryOverride>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// What of a webhook is kept encrypted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Credentials {
    /// The current secret first, then those that still sign until their end.
    #[serde(default)]
    pub secrets: Vec<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// Custom headers; their values may be credentials.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
}

/// A webhook, whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    pub id: WebhookId,
    pub project: ProjectId,
    pub organization: OrganizationId,
    /// From 1 in its organization.
    pub number: i64,
    pub uuid: Uuid,
    /// The name of its profile.
    pub profile: Arc<str>,
    pub status: Status,
    /// For people: why it is not active.
    pub status_reason: Option<String>,
    /// Since when every attempt has failed, once several in a row did; see [`crate::health::Streak`].
    pub failing_since: Option<Timestamp>,
    /// When one of these attempts failed: the last, or one not long before it.
    pub failed_at: Option<Timestamp>,
    pub settings: Settings,
    pub credentials: Credentials,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The user on whose behalf it was made; `None` for the host itself.
    pub created_by: Option<String>,
    /// The user on whose behalf it acts; `None` for the host itself.
    pub owner: Option<String>,
}
