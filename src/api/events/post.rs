//! Taking one event in: the hot path.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts as _, Path, State};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use fanfare_engine::access::Action;
use fanfare_engine::id::OrganizationId;
use fanfare_store::queue::IdempotencyKey;

use super::hops;
use super::input::EventInput;
use crate::api::auth::{Principal, sender};
use crate::api::body;
use crate::api::idempotency;
use crate::api::problem::{Answer, Code, Problem};
use crate::app::App;
use crate::catalogue::access::Actor;
use crate::compiled::CompiledOrganization;
use crate::intake::{self, Receipt};

/// What a body may have beside the event's data, in bytes.
const ENVELOPE: usize = 64 * 1024;

/// Post an event
///
/// Answered once the event and its deliveries are on disk. With an `id` or an `Idempotency-Key`, posting it again gives
/// the same answer and no further deliveries.
#[utoipa::path(
    post, path = "/v1/organizations/{org}/events", tag = "Events",
    params(("org" = String, Path, description = "The organization's id or external id"),
           ("Idempotency-Key" = Option<String>, Header, description = "Kept for 24 hours")),
    request_body = EventInput,
    responses((status = 202, description = "The event is on disk", body = EventReceipt),
              (status = 409, description = "The id belongs to an event with other content"),
              (status = 503, description = "The store cannot take it now; send it again")),
)]
pub(crate) async fn post(State(app): State<Arc<App>>, request: Request<Body>) -> Answer<Response> {
    let (mut parts, content) = request.into_parts();
    let principal = sender(&app, &parts).await?;
    principal.require_poster()?;
    let hops = hops::of(&parts.headers, &app.profiles)?;
    let Path(org) =
        Path::<String>::from_request_parts(&mut parts, &app).await.map_err(|_| Problem::not_found("organization"))?;
    let organization = organization(&app, &principal, &org).await?;
    let content = body::read(&parts.headers, content, app.max_event_bytes + ENVELOPE).await?;
    body::check_media_type(&parts.headers)?;
    let input = EventInput::parse(&content)?;
    if input.organization.as_deref().is_some_and(|named| named != org) {
        let message = "is not the organization of the path; leave it out";
        return Err(Problem::field(Code::ValidationFailed, "organization", message));
    }
    let idempotency = idempotency_key(&parts.headers, organization.id, &content)?;
    let keyed = idempotency.is_some();
    let event = input.check(&app, &content, organization.project, hops, idempotency).await?;
    let pending = intake::accept(&app.dispatcher, &organization, event);
    let kept = pending.wait().await?;
    let replayed = keyed && matches!(kept, Receipt::Kept { repeated: true, .. });
    let (event, deliveries) = receipt(kept)?;
    let mut answer = accepted(&event, deliveries);
    if replayed {
        answer.headers_mut().insert(idempotency::REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(answer)
}

/// An accepted event.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub(crate) struct EventReceipt {
    /// The event's id.
    #[schema(example = "evt_0c3h2t9m40001")]
    pub id: String,
    /// How many webhooks it matched.
    pub deliveries: usize,
}

/// The organization that a path names, if it is the principal's to post to.
pub(crate) async fn organization(app: &App, principal: &Principal, org: &str) -> Answer<Arc<CompiledOrganization>> {
    let found = app.compiled().resolve(principal.project, org).await?;
    found
        .filter(|found| principal.organization.is_none_or(|own| own == found.id))
        .ok_or_else(|| Problem::not_found("organization"))
}

/// The organization that a path names, if the principal may see all that happened in it.
pub(crate) async fn seen_organization(
    app: &App,
    principal: &Principal,
    org: &str,
) -> Answer<Arc<CompiledOrganization>> {
    let organization = organization(app, principal, org).await?;
    let actor = Actor::of(app, organization.id, principal.user.as_deref()).await?;
    actor.may_everywhere(&organization, Action::See)?;
    Ok(organization)
}

/// What the host is told of a kept event, or why there is none.
pub(super) fn receipt(receipt: Receipt) -> Answer<(String, usize)> {
    match receipt {
        Receipt::Kept { event, deliveries, .. } => Ok((event.to_string(), deliveries)),
        Receipt::OtherContent { event } => {
            let message = format!("belongs to the event {event}, whose content is another");
            Err(Problem::field(Code::EventIdReused, "id", message))
        }
        Receipt::OtherRequest => {
            let message = "was used for a request with another body; use a new one";
            Err(Problem::field(Code::IdempotencyKeyReused, "Idempotency-Key", message))
        }
    }
}

fn idempotency_key(
    headers: &HeaderMap,
    organization: OrganizationId,
    content: &Bytes,
) -> Answer<Option<IdempotencyKey>> {
    if !headers.contains_key(idempotency::KEY) {
        return Ok(None);
    }
    let key = idempotency::key_of(headers)?;
    let fingerprint = idempotency::fingerprint(content);
    Ok(Some(IdempotencyKey { scope: format!("events {organization}"), key, fingerprint }))
}

/// The answer, written by hand: it is given for every event.
fn accepted(event: &str, deliveries: usize) -> Response {
    let body = format!("{{\"id\":\"{event}\",\"deliveries\":{deliveries}}}");
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (StatusCode::ACCEPTED, headers, body).into_response()
}
