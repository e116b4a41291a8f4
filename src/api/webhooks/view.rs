//! A webhook as it is answered: without its secret, and with masks for passwords and tokens.

use std::collections::BTreeMap;

use fanfare_engine::id::{OrganizationId, WebhookId};
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::{
    Auth, ContentType, Credentials, Events, Filter, Method, RateLimit, RetryOverride, Secret, Status,
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::catalogue::webhooks::{AuthShape, ContentTypeShape, EventsShape, FilterShape, MethodShape, OpenWebhook};
use crate::catalogue::webhooks::{RateLimitShape, RetryShape, UNREADABLE, shown_headers};

/// A webhook.
#[derive(Serialize, ToSchema)]
#[schema(as = Webhook)]
pub struct WebhookBody {
    #[schema(value_type = String, example = "whk_0bsx0000000r1")]
    id: WebhookId,
    /// From 1 in its organization.
    number: i64,
    #[schema(value_type = String, format = "uuid")]
    uuid: Uuid,
    /// Absent for the operator's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    organization_id: Option<OrganizationId>,
    name: String,
    url: String,
    #[schema(value_type = EventsShape)]
    events: Events,
    /// Whether an event that matches makes a delivery.
    enabled: bool,
    status: StatusName,
    /// For people: why it is not active.
    status_reason: Option<String>,
    #[schema(value_type = MethodShape)]
    method: Method,
    #[schema(value_type = ContentTypeShape)]
    content_type: ContentType,
    include_entity: bool,
    #[schema(value_type = Option<FilterShape>)]
    filter: Option<Filter>,
    auth: Option<AuthShape>,
    /// Values that may be credentials are shown as `****`.
    #[schema(value_type = BTreeMap<String, String>)]
    headers: Map<String, Value>,
    profile: String,
    #[schema(value_type = Option<RetryShape>)]
    retry: Option<RetryOverride>,
    timeout_seconds: Option<u32>,
    #[schema(value_type = Option<RateLimitShape>)]
    rate_limit: Option<RateLimit>,
    metadata: BTreeMap<String, String>,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    #[schema(value_type = String, format = "date-time")]
    updated_at: Timestamp,
    /// The user who made it; null for the host itself.
    created_by: Option<String>,
    /// The user on whose behalf it acts; null for the host itself.
    owner: Option<String>,
    /// The signing secret that was made for it: in the answer to its creation only.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// Whether a webhook gets events, and if not, why.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WebhookStatus)]
pub enum StatusName {
    Active,
    /// Switched off by a person, or not switched on yet.
    Deactivated,
    /// Its events wait.
    Paused,
    /// Switched off because its receiver failed for too long, or said 410 Gone.
    AutoDisabled,
}

impl From<Status> for StatusName {
    fn from(status: Status) -> Self {
        match status {
            Status::Active => StatusName::Active,
            Status::Deactivated => StatusName::Deactivated,
            Status::Paused => StatusName::Paused,
            Status::AutoDisabled => StatusName::AutoDisabled,
        }
    }
}

/// The webhook as it is answered. `secret` is one that was just made for it.
pub(in crate::api) fn show(webhook: OpenWebhook, operator: bool, secret: Option<String>) -> WebhookBody {
    let OpenWebhook { row, credentials, unreadable } = webhook;
    let settings = row.settings;
    let headers = shown_headers(&credentials.headers).into_iter().map(|(name, value)| (name, value.into())).collect();
    WebhookBody {
        id: row.id,
        number: row.number,
        uuid: row.uuid,
        organization_id: (!operator).then_some(row.organization),
        name: settings.name,
        url: settings.url,
        events: settings.events,
        enabled: row.status.takes_events(),
        status: row.status.into(),
        status_reason: if unreadable { Some(UNREADABLE.to_owned()) } else { row.status_reason },
        method: settings.method,
        content_type: settings.content_type,
        include_entity: settings.include_entity,
        filter: settings.filter,
        auth: credentials.auth.as_ref().map(show_auth),
        headers,
        profile: row.profile,
        retry: settings.retry,
        timeout_seconds: settings.timeout_seconds,
        rate_limit: settings.rate_limit,
        metadata: settings.metadata,
        created_at: row.created_at,
        updated_at: row.updated_at,
        created_by: row.created_by,
        owner: row.owner,
        secret,
    }
}

fn show_auth(auth: &Auth) -> AuthShape {
    match auth {
        Auth::Basic { username, .. } => AuthShape::Basic { username: username.clone(), password: None },
        Auth::Bearer { .. } => AuthShape::Bearer { token: None },
    }
}

/// A webhook's signing secrets.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookSecret)]
pub struct SecretBody {
    /// The present one; null where the webhook's requests are not signed.
    secret: Option<String>,
    /// The header whose signatures it makes; absent for all that have no secret of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<String>,
    /// Replaced ones that still sign.
    previous: Vec<PreviousSecret>,
    /// Further present ones, for one header each. Absent where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    further: Vec<FurtherSecret>,
}

/// The present secret of one header.
#[derive(Serialize, ToSchema)]
pub struct FurtherSecret {
    secret: String,
    header: Option<String>,
}

/// A replaced secret that still signs.
#[derive(Serialize, ToSchema)]
pub struct PreviousSecret {
    secret: String,
    #[schema(value_type = String, format = "date-time")]
    expires_at: Timestamp,
    /// The header whose signatures it makes; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<String>,
}

/// The secrets that sign at `now`.
pub(in crate::api) fn show_secrets(credentials: &Credentials, now: Timestamp) -> SecretBody {
    let live = || credentials.secrets.iter().filter(|secret| secret.is_live(now)).cloned();
    let previous = live().filter_map(|Secret { value: secret, expires_at, header }| {
        Some(PreviousSecret { secret, expires_at: expires_at?, header })
    });
    let mut present = live().filter(|secret| secret.expires_at.is_none());
    let first = present.next();
    SecretBody {
        secret: first.as_ref().map(|secret| secret.value.clone()),
        header: first.and_then(|secret| secret.header),
        previous: previous.collect(),
        further: present.map(|Secret { value: secret, header, .. }| FurtherSecret { secret, header }).collect(),
    }
}
