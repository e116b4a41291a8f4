//! What a request may say of a webhook, and the shapes of its members for the description of the API.

use std::collections::BTreeMap;
use std::fmt;

use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::{Auth, ContentType, Events, Filter, Method, RateLimit, RetryOverride, Secret};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A member that may be absent, null, or given: tells null from absence.
pub fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A webhook to make, or what is to be different in one. What is left out has the profile's default in a new webhook, and
/// stays as it is in an existing one. What the webhook's profile does not allow is refused, by its field's name.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[schema(as = WebhookInput)]
#[serde(deny_unknown_fields)]
pub struct WebhookInput {
    /// For people; at most 200 characters.
    pub name: Option<String>,
    /// Where the requests go. Needed in a new webhook.
    #[schema(example = "https://example.com/webhooks")]
    pub url: Option<String>,
    /// "all", or the names of event types.
    #[schema(value_type = Option<EventsShape>)]
    pub events: Option<Events>,
    /// Whether it gets events.
    pub enabled: Option<bool>,
    #[schema(value_type = Option<MethodShape>)]
    pub method: Option<Method>,
    #[schema(value_type = Option<ContentTypeShape>)]
    pub content_type: Option<ContentType>,
    /// Whether the payload has the entity itself.
    pub include_entity: Option<bool>,
    /// Only events of this type of entity, or of this entity.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<FilterShape>)]
    pub filter: Option<Option<Filter>>,
    /// How the requests log in at the receiver. Passwords and tokens are never shown again.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<AuthShape>)]
    pub auth: Option<Option<Auth>>,
    /// Further headers. A value that is shown as `****` is kept when `****` is sent.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    pub headers: Option<HeaderList>,
    /// The signing secret; where none is given and the profile signs, one is made. In an existing webhook it replaces
    /// the present one, which still signs for the profile's overlap.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub secret: Option<Option<String>>,
    /// The name of one of the project's profiles.
    pub profile: Option<String>,
    /// A retry schedule of its own.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<RetryShape>)]
    pub retry: Option<Option<RetryOverride>>,
    /// How long an exchange may take.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    pub timeout_seconds: Option<Option<u32>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<RateLimitShape>)]
    pub rate_limit: Option<Option<RateLimit>>,
    /// The user on whose behalf it acts; null for the host itself. A new webhook's is the one on whose behalf it is made.
    /// Another user must be known and be allowed to manage the webhook; only the host may take it over by null, and, where the
    /// profile has `recheck`, give it to another user. There, a user who changes URL, filter, auth, headers or profile becomes
    /// the owner.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub owner: Option<Option<String>>,
    /// The host's own notes.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Its number in its organization. In a new webhook, by the admin key: for one that comes from another system.
    pub number: Option<i64>,
    /// Likewise its UUID.
    #[schema(value_type = Option<String>, format = "uuid")]
    pub uuid: Option<Uuid>,
    /// Likewise its secrets, the present one first. The others have their ends, or are the present ones of one header each.
    #[schema(value_type = Option<Vec<SecretShape>>)]
    pub secrets: Option<Vec<SecretInput>>,
}

impl fmt::Debug for WebhookInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookInput").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A secret in a request.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "SecretShape")]
pub struct SecretInput(pub Secret);

impl From<SecretShape> for SecretInput {
    fn from(shape: SecretShape) -> Self {
        let expires_at = shape.expires_at.map(|end| end.0);
        SecretInput(Secret { value: shape.value, expires_at, header: shape.header.map(|name| name.to_lowercase()) })
    }
}

/// Headers in the order in which they were given; the members of an object.
#[derive(Clone, Default)]
pub struct HeaderList(pub Vec<(String, String)>);

impl<'de> Deserialize<'de> for HeaderList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = HeaderList;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of header names and values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HeaderList, A::Error> {
                let mut headers = Vec::new();
                while let Some(member) = map.next_entry()? {
                    headers.push(member);
                }
                Ok(HeaderList(headers))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// The event types that a webhook wants.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum EventsShape {
    /// The word "all".
    #[schema(example = "all")]
    All(String),
    /// Names of event types.
    Names(Vec<String>),
}

/// A limit to one type of entity, or to one entity.
#[derive(Serialize, ToSchema)]
pub struct FilterShape {
    #[serde(rename = "type")]
    pub kind: String,
    pub id: Option<String>,
}

/// What the receiver demands. In answers without the password and the token.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AuthShape {
    Basic { username: String, password: Option<String> },
    Bearer { token: Option<String> },
}

#[derive(Serialize, ToSchema)]
pub enum MethodShape {
    #[serde(rename = "POST")]
    Post,
    #[serde(rename = "GET")]
    Get,
}

#[derive(Serialize, ToSchema)]
pub enum ContentTypeShape {
    #[serde(rename = "application/json")]
    Json,
    #[serde(rename = "application/x-www-form-urlencoded")]
    Form,
    #[serde(rename = "application/cloudevents+json")]
    CloudEvents,
}

/// A retry schedule.
#[derive(Serialize, ToSchema)]
pub struct RetryShape {
    /// Seconds from one attempt's end to the next attempt; as many retries as there are numbers.
    pub delays_seconds: Vec<u32>,
    /// The share of each delay that chance adds at most, 0 to 1.
    pub jitter: f64,
}

/// How many requests are sent at most, a second or, for less than one a second, a minute.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RateLimitShape {
    PerSecond(u32),
    PerMinute(u32),
}

/// A signing secret.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretShape {
    pub value: String,
    /// When it stops signing; null for the present one.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub expires_at: Option<End>,
    /// The header whose signatures it alone makes, for receivers that know another secret; absent for all headers that no
    /// other secret names.
    pub header: Option<String>,
}

/// The moment at which a secret stops signing.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct End(pub Timestamp);
