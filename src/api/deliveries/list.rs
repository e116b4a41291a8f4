//! Reading deliveries.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use fanfare_engine::access::Action;
use fanfare_engine::delivery::State as DeliveryState;
use fanfare_engine::id::{DeliveryId, EventId, OrganizationId, ProjectId, WebhookId};
use fanfare_engine::time::Timestamp;
use fanfare_store::log::{self, DeliveryFilter, DeliveryRow};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::body::DeliveryBody;
use crate::api::auth::{HostReader, Principal, Reader};
use crate::api::events::post::{organization, seen_organization};
use crate::api::page::{List, ListBody};
use crate::api::problem::{Answer, Code, Problem};
use crate::api::request::{PathParts, QueryParts};
use crate::app::App;
use crate::catalogue::access::Actor;
use crate::catalogue::deliveries;

/// For how long it goes on looking where few rows match: each answer takes a request.
const PATIENCE: Duration = Duration::from_millis(50);
/// The longest text that is searched for, in characters.
const MAX_SEARCH: usize = 256;

/// What a list of deliveries may be asked for.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeliveryQuery {
    /// Only those for this webhook; as many of its newest as its profile shows.
    pub webhook: Option<String>,
    /// Only those of this event: its id, or in an organization's list the host's own id.
    pub event: Option<String>,
    pub event_type: Option<String>,
    /// Only what this finds: the delivery with this id; else the deliveries of the event with this id, its own or in an
    /// organization's list the host's; else those that have it in their event type or in their webhook's name or URL.
    pub search: Option<String>,
    /// `pending`, `delivering`, `delivered`, `exhausted`, `skipped` or `cancelled`.
    pub state: Option<String>,
    /// Only those whose last answer had this status.
    pub response_code: Option<u16>,
    /// Only those made at this time or later.
    pub since: Option<String>,
    /// Only those made before this time.
    pub until: Option<String>,
    /// At most so many, 1 to 250.
    pub limit: Option<u32>,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

impl DeliveryQuery {
    /// The filter that these parameters mean, in a project or one organization of it.
    pub(super) async fn filter(
        &self,
        app: &App,
        project: ProjectId,
        organization: Option<OrganizationId>,
    ) -> Answer<DeliveryFilter> {
        let invalid = |field: &str, message: &str| Problem::field(Code::InvalidParameter, field, message);
        let time = |field: &'static str, text: &Option<String>| {
            let parse = |text: &String| text.parse::<Timestamp>().map_err(|error| invalid(field, &error.to_string()));
            text.as_ref().map(parse).transpose()
        };
        let known =
            |name: &str| DeliveryState::named(name).ok_or_else(|| invalid("state", "is no state of a delivery"));
        let state = self.state.as_deref().map(known).transpose()?;
        let webhook = match self.webhook.as_deref() {
            None => None,
            Some(text) => {
                Some(WebhookId::parse(text).ok_or_else(|| invalid("webhook", "is no id of a webhook, whk_…"))?)
            }
        };
        let filter = DeliveryFilter {
            project: Some(project),
            organization,
            webhook,
            event: self.event(app, organization).await?,
            event_type: self.event_type.clone(),
            state,
            response_code: self.response_code,
            since: time("since", &self.since)?,
            until: time("until", &self.until)?,
            ..DeliveryFilter::default()
        };
        match self.search.as_deref().map(str::trim) {
            None | Some("") => Ok(filter),
            Some(text) if text.chars().count() > MAX_SEARCH => {
                Err(invalid("search", &format!("must have at most {MAX_SEARCH} characters")))
            }
            Some(text) => Ok(deliveries::search(app, filter, text).await?),
        }
    }

    async fn event(&self, app: &App, organization: Option<OrganizationId>) -> Answer<Option<EventId>> {
        let Some(text) = self.event.as_deref() else { return Ok(None) };
        if organization.is_none() && EventId::parse(text).is_none() {
            return Err(Problem::field(Code::InvalidParameter, "event", "is no id of an event, evt_…"));
        }
        Ok(Some(deliveries::event_named(app, organization, text).await?))
    }

    /// What the list's cursors belong to.
    fn name(&self, project: ProjectId, organization: Option<OrganizationId>) -> String {
        let filters = DeliveryQuery { limit: None, cursor: None, ..self.clone() };
        format!("deliveries {project} {organization:?} {filters:?}")
    }
}

/// List deliveries
#[utoipa::path(
    get, path = "/v1/organizations/{org}/deliveries", tag = "Deliveries",
    params(("org" = String, Path, description = "The organization's id or external id"), DeliveryQuery),
    responses((status = 200, description = "Newest first, without payloads", body = ListBody<DeliveryBody>)),
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Reader(principal): Reader,
    PathParts(org): PathParts<String>,
    QueryParts(query): QueryParts<DeliveryQuery>,
) -> Answer<Json<ListBody<DeliveryBody>>> {
    let organization = seen_organization(&app, &principal, &org).await?;
    page(&app, principal.project, Some(organization.id), &query).await
}

/// List deliveries of all organizations
#[utoipa::path(
    get, path = "/v1/deliveries", tag = "Deliveries", params(DeliveryQuery),
    responses((status = 200, description = "Newest first, without payloads", body = ListBody<DeliveryBody>)),
)]
pub(super) async fn list_all(
    State(app): State<Arc<App>>,
    HostReader(principal): HostReader,
    QueryParts(query): QueryParts<DeliveryQuery>,
) -> Answer<Json<ListBody<DeliveryBody>>> {
    let project = principal.whole_project()?;
    page(&app, project, None, &query).await
}

async fn page(
    app: &App,
    project: ProjectId,
    organization: Option<OrganizationId>,
    query: &DeliveryQuery,
) -> Answer<Json<ListBody<DeliveryBody>>> {
    let name = query.name(project, organization);
    let list = List::ask(&app.vault, name, query.limit, query.cursor.as_deref())?;
    let filter = query.filter(app, project, organization).await?;
    let filter = DeliveryFilter { before: list.before().map(DeliveryId), ..filter };
    let found = deliveries::page_within(app, filter, list.limit(), PATIENCE).await?;
    let bodies = deliveries::addressed(app, found.rows).await?.into_iter().map(DeliveryBody::from).collect();
    Ok(list.answer_until(bodies, found.next.map(|id| id.0)))
}

/// Get a delivery
#[utoipa::path(
    get, path = "/v1/organizations/{org}/deliveries/{delivery}", tag = "Deliveries",
    params(("org" = String, Path, description = "The organization's id or external id"),
           ("delivery" = String, Path, description = "The delivery's id")),
    responses((status = 200, description = "The delivery with its payload", body = DeliveryBody)),
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Reader(principal): Reader,
    PathParts((org, delivery)): PathParts<(String, String)>,
) -> Answer<Json<DeliveryBody>> {
    let row = find(&app, &principal, &org, &delivery, Action::See).await?;
    show(&app, &row).await.map(Json)
}

/// The delivery that a path names.
///
/// # Errors
/// It is unknown there, or the user may not do this with it: as the rules of its webhook say, or where that is deleted, of
/// all that matter in the organization.
pub(super) async fn find(
    app: &App,
    principal: &Principal,
    org: &str,
    delivery: &str,
    action: Action,
) -> Answer<DeliveryRow> {
    let organization = organization(app, principal, org).await?;
    let not_found = || Problem::not_found("delivery");
    let id = DeliveryId::parse(delivery).ok_or_else(not_found)?;
    let row = app.store.read_one(log::delivery(id)).await?;
    let row = row.filter(|row| row.organization == organization.id).ok_or_else(not_found)?;
    let actor = Actor::of(app, organization.id, principal.user.as_deref()).await?;
    match organization.webhook(row.webhook).map(|known| &known.webhook) {
        Some(webhook) => {
            let filter = webhook.settings.filter.as_ref();
            actor.may(app, organization.id, &webhook.profile, filter, action).await?;
        }
        None => actor.may_everywhere(&organization, action)?,
    }
    Ok(row)
}

/// A delivery with everything that is answered of one.
pub(super) async fn show(app: &App, row: &DeliveryRow) -> Answer<DeliveryBody> {
    let event = app.store.read_one(log::event(row.organization, row.event)).await?;
    let payload = event.map(|event| RawValue::from_string(String::from_utf8_lossy(&event.data).into_owned()));
    let payload = payload.transpose().map_err(|error| Problem::internal(&error))?;
    let mut known = deliveries::addressed(app, vec![row.clone()]).await?;
    let body = known.pop().map(DeliveryBody::from).ok_or_else(|| Problem::not_found("delivery"))?;
    Ok(DeliveryBody { payload, ..body })
}
