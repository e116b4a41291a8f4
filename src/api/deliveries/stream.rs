//! The live stream: deliveries of an organization as they change.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use fanfare_engine::id::{OrganizationId, WebhookId};
use futures_util::stream::{Stream, unfold};
use serde::{Deserialize, Serialize};

use crate::api::auth::{Principal, Reader, authenticate};
use crate::api::events::post::seen_organization;
use crate::api::problem::{Answer, Code, Problem};
use crate::api::request::{PathParts, QueryParts};
use crate::app::App;
use crate::catalogue::watching::{Happened, MayStill, Watch};
use crate::dispatch::updates::DeliveryUpdate;

/// What a stream may be narrowed to.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StreamQuery {
    /// Only deliveries for this webhook.
    webhook: Option<String>,
}

/// One change.
#[derive(Serialize)]
struct UpdateBody<'a> {
    at: String,
    id: String,
    event_id: String,
    event_type: &'a str,
    webhook_id: String,
    state: &'static str,
    attempts: u32,
    outcome: Option<&'static str>,
    response_code: Option<u16>,
    duration_ms: Option<u32>,
    next_attempt_at: Option<String>,
}

/// Stream deliveries
///
/// Server-sent events: one named `delivery` after each attempt and each end, with the delivery's id, state, attempts and last
/// outcome as JSON; one named `lost` with a count where the client is too slow. The stream ends when the key or the user's
/// right ends; 100 may be open at once in an organization.
#[utoipa::path(
    get, path = "/v1/organizations/{org}/deliveries/stream", tag = "Deliveries",
    params(("org" = String, Path, description = "The organization's id or external id"), StreamQuery),
    responses((status = 200, description = "Events as they happen", body = String, content_type = "text/event-stream"),
              (status = 503, description = "As many streams are open as may be at once")),
)]
pub(super) async fn stream(
    State(app): State<Arc<App>>,
    Reader(principal): Reader,
    PathParts(org): PathParts<String>,
    QueryParts(query): QueryParts<StreamQuery>,
    headers: HeaderMap,
) -> Answer<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let organization = seen_organization(&app, &principal, &org).await?;
    let webhook = match query.webhook.as_deref() {
        None => None,
        Some(text) => Some(
            WebhookId::parse(text)
                .ok_or_else(|| Problem::field(Code::InvalidParameter, "webhook", "is no id of a webhook, whk_…"))?,
        ),
    };
    let may_still = asking_again(Arc::clone(&app), headers, org, principal, organization.id);
    let listener = Listener { watch: Watch::start(&app, organization.id, may_still)?, webhook };
    let events = unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// Asks anew for all that was asked for at the beginning: a key may be deleted or end, a user may lose the right, and the
/// organization may be gone.
fn asking_again(app: Arc<App>, headers: HeaderMap, org: String, begun: Principal, id: OrganizationId) -> MayStill {
    let asked = Arc::new((app, headers, org, begun));
    Box::new(move || {
        let asked = Arc::clone(&asked);
        Box::pin(async move {
            let (app, headers, org, begun) = &*asked;
            let Ok(principal) = authenticate(app, headers, None).await else { return false };
            principal == *begun && seen_organization(app, &principal, org).await.is_ok_and(|found| found.id == id)
        })
    })
}

struct Listener {
    watch: Watch,
    webhook: Option<WebhookId>,
}

impl Listener {
    /// The next event; `None` at the end of what it may see.
    async fn next(&mut self) -> Option<Event> {
        loop {
            match self.watch.next().await? {
                Happened::Update(update) if self.webhook.is_none_or(|webhook| webhook == update.webhook) => {
                    return Some(event(&update));
                }
                Happened::Update(_) => {}
                Happened::Lost(count) => return Some(Event::default().event("lost").data(count.to_string())),
            }
        }
    }
}

fn event(update: &DeliveryUpdate) -> Event {
    let body = UpdateBody {
        at: update.at.to_string(),
        id: update.delivery.to_string(),
        event_id: update.event.to_string(),
        event_type: &update.event_type,
        webhook_id: update.webhook.to_string(),
        state: update.state.name(),
        attempts: update.attempts,
        outcome: update.outcome.map(fanfare_engine::attempt::Outcome::name),
        response_code: update.response_code,
        duration_ms: update.duration_ms,
        next_attempt_at: update.next_attempt_at.map(|at| at.to_string()),
    };
    // Its members are texts and numbers, which always can be written.
    Event::default().event("delivery").json_data(&body).unwrap_or_default()
}
