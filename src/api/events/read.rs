//! Reading events: a list and one of them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use fanfare_engine::id::{EventId, OrganizationId};
use fanfare_store::log::{self, EventRow};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::post::seen_organization;
use crate::api::auth::Reader;
use crate::api::page::{List, ListBody};
use crate::api::problem::{Answer, Problem};
use crate::api::request::{PathParts, QueryParts};
use crate::app::App;
use crate::catalogue::events;

/// An event as it was accepted.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct EventBody {
    pub id: String,
    /// The host's own id.
    pub external_id: Option<String>,
    #[serde(rename = "type")]
    pub kind: String,
    /// Any JSON value.
    #[schema(value_type = serde_json::Value)]
    pub data: Box<RawValue>,
    /// What it is about: type, id, url and data.
    #[schema(value_type = Option<Object>)]
    pub entity: Option<serde_json::Value>,
    /// The data of the entity as the host sent it.
    #[schema(value_type = Option<serde_json::Value>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_data: Option<Box<RawValue>>,
    #[schema(value_type = Vec<Object>)]
    pub scope: serde_json::Value,
    pub ordering_key: Option<String>,
    pub occurred_at: String,
    pub created_at: String,
    /// How many webhooks it matched when it was accepted.
    pub deliveries: u32,
}

impl EventBody {
    fn new(row: EventRow) -> Answer<Self> {
        let damaged = |error: serde_json::Error| Problem::internal(&error);
        let raw = |bytes: Vec<u8>| RawValue::from_string(String::from_utf8_lossy(&bytes).into_owned());
        Ok(EventBody {
            id: row.id.to_string(),
            external_id: row.external_id,
            kind: row.kind,
            data: raw(row.data).map_err(damaged)?,
            entity: row.entity.as_deref().map(serde_json::from_str).transpose().map_err(damaged)?,
            entity_data: row.entity_data.map(raw).transpose().map_err(damaged)?,
            scope: row.scope.as_deref().map_or(Ok(serde_json::json!([])), serde_json::from_str).map_err(damaged)?,
            ordering_key: row.ordering_key,
            occurred_at: row.occurred_at.to_string(),
            created_at: row.id.made_at().to_string(),
            deliveries: row.deliveries,
        })
    }
}

/// What a list of events may be asked for.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventQuery {
    /// Only events of this type.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// At most so many, 1 to 250.
    limit: Option<u32>,
    /// Where the last page ended.
    cursor: Option<String>,
}

/// List events
#[utoipa::path(
    get, path = "/v1/organizations/{org}/events", tag = "Events",
    params(("org" = String, Path, description = "The organization's id or external id"), EventQuery),
    responses((status = 200, description = "Newest first", body = ListBody<EventBody>)),
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Reader(principal): Reader,
    PathParts(org): PathParts<String>,
    QueryParts(query): QueryParts<EventQuery>,
) -> Answer<Json<ListBody<EventBody>>> {
    let organization = seen_organization(&app, &principal, &org).await?;
    let name = format!("events {} {:?}", organization.id, query.kind);
    let list = List::ask(&app.vault, name, query.limit, query.cursor.as_deref())?;
    let (before, limit) = (list.before().map(EventId), list.page().limit);
    let mut found = events::list(&app, organization.id, query.kind.as_deref(), before, limit).await?;
    let next = found.next(list.limit() as usize, |event| event.id.0);
    Ok(list.answer_until(found.rows.into_iter().map(EventBody::new).collect::<Answer<_>>()?, next))
}

/// Get an event
#[utoipa::path(
    get, path = "/v1/organizations/{org}/events/{event}", tag = "Events",
    params(("org" = String, Path, description = "The organization's id or external id"),
           ("event" = String, Path, description = "The event's id, or the host's own id for it")),
    responses((status = 200, description = "The event", body = EventBody)),
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Reader(principal): Reader,
    PathParts((org, event)): PathParts<(String, String)>,
) -> Answer<Json<EventBody>> {
    let organization = seen_organization(&app, &principal, &org).await?;
    EventBody::new(find(&app, organization.id, &event).await?).map(Json)
}

/// The event that a path names.
pub(super) async fn find(app: &App, organization: OrganizationId, event: &str) -> Answer<EventRow> {
    let not_found = || Problem::not_found("event");
    let id = match EventId::parse(event) {
        Some(id) => id,
        None => app.store.read_one(log::event_by_external_id(organization, event)).await?.ok_or_else(not_found)?,
    };
    app.store.read_one(log::event(organization, id)).await?.ok_or_else(not_found)
}
