//! The live stream: deliveries of an organization as they change.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use fanfare_engine::access::Action;
use fanfare_engine::id::{OrganizationId, WebhookId};
use futures_util::stream::{Stream, unfold};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use crate::api::auth::Reader;
use crate::api::events::post::seen_organization;
use crate::api::problem::{Answer, Code, Problem};
use crate::api::request::{PathParts, QueryParts};
use crate::app::App;
use crate::catalogue::access::Actor;
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
/// outcome as JSON; one named `lost` with a count where the client is too slow.
#[utoipa::path(
    get, path = "/v1/organizations/{org}/deliveries/stream", tag = "Deliveries",
    params(("org" = String, Path, description = "The organization's id or external id"), StreamQuery),
    responses((status = 200, description = "Events as they happen", body = String, content_type = "text/event-stream")),
)]
pub(super) async fn stream(
    State(app): State<Arc<App>>,
    Reader(principal): Reader,
    PathParts(org): PathParts<String>,
    QueryParts(query): QueryParts<StreamQuery>,
) -> Answer<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let organization = seen_organization(&app, &principal, &org).await?;
    let webhook = match query.webhook.as_deref() {
        None => None,
        Some(text) => Some(
            WebhookId::parse(text)
                .ok_or_else(|| Problem::field(Code::InvalidParameter, "webhook", "is no id of a webhook, whk_…"))?,
        ),
    };
    let listener = Listener {
        updates: app.dispatcher.updates(),
        stopping: app.stopping.clone(),
        organization: organization.id,
        webhook,
        watcher: principal.user.map(|user| (app, user)),
    };
    let events = unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

struct Listener {
    updates: Receiver<Arc<DeliveryUpdate>>,
    stopping: watch::Receiver<bool>,
    organization: OrganizationId,
    webhook: Option<WebhookId>,
    /// The user on whose behalf it is read, who is asked about again; `None` for the host.
    watcher: Option<(Arc<App>, String)>,
}

impl Listener {
    /// The next event; `None` when the server stops, or when the user may not see it any more.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let update = tokio::select! {
                update = self.updates.recv() => update,
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
            };
            match update {
                Ok(update) if self.wants(&update) => return self.may_still_see().await.then(|| event(&update)),
                Ok(_) => {}
                Err(RecvError::Lagged(count)) => return Some(Event::default().event("lost").data(count.to_string())),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Where that cannot be found out, the client may connect again.
    async fn may_still_see(&self) -> bool {
        let Some((app, user)) = &self.watcher else { return true };
        let Ok(Some(organization)) = app.compiled().organization(self.organization).await else { return false };
        let actor = Actor::of(app, self.organization, Some(user)).await;
        actor.is_ok_and(|actor| actor.may_everywhere(&organization, Action::See).is_ok())
    }

    fn wants(&self, update: &DeliveryUpdate) -> bool {
        update.organization == self.organization && self.webhook.is_none_or(|webhook| webhook == update.webhook)
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
