//! Taking many events in at once; each stands for itself.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use fanfare_store::catalogue::idempotency as rows;
use fanfare_store::queue::IdempotencyKey;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::hops;
use super::input::EventInput;
use super::post::{EventReceipt, organization, receipt};
use crate::api::auth::{Principal, sender};
use crate::api::problem::{Answer, Code, Problem, ProblemBody};
use crate::api::{body, faults, idempotency};
use crate::app::App;
use crate::intake::{self, Pending};
use crate::once::Run;

/// The most events in one batch.
pub(super) const MAX_EVENTS: usize = 1_000;
/// The most bytes of one batch.
const MAX_BYTES: usize = 16 << 20;

/// Events, each read for itself, so that one that is wrong does no harm to the others.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EventBatch)]
pub(super) struct EventBatch<'a> {
    #[serde(borrow)]
    #[schema(value_type = Vec<EventInput>)]
    events: Vec<&'a RawValue>,
}

/// A result for each event, in their order.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct BatchAnswer {
    pub results: Vec<EventResult>,
}

/// What became of one event.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub(super) enum EventResult {
    /// It is on disk.
    Accepted(EventReceipt),
    /// It was refused.
    Refused { error: ProblemBody },
}

/// Post many events
///
/// Up to 1,000, each with its `organization`. The answer has one result for each, in order: `{"id","deliveries"}`, or
/// `{"error"}` with the problem that it alone would have been answered with. Under an `Idempotency-Key`, or where an event has
/// an `id`, sending it again gives the same results for the events that were accepted, and sends nothing twice.
#[utoipa::path(
    post, path = "/v1/events/batch", tag = "Events",
    params(("Idempotency-Key" = Option<String>, Header, description = "Kept for 24 hours")),
    request_body = EventBatch,
    responses((status = 202, description = "What became of each", body = BatchAnswer)),
)]
pub(super) async fn batch(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Answer<(StatusCode, Json<BatchAnswer>)> {
    let (parts, content) = request.into_parts();
    let principal = sender(&app, &parts).await?;
    principal.require_poster()?;
    let hops = hops::of(&parts.headers, &app.profiles)?;
    let content = body::read(&parts.headers, content, MAX_BYTES).await?;
    body::check_media_type(&parts.headers)?;
    let batch: EventBatch<'_> = serde_json::from_slice(&content)
        .or_else(|_| body::parse_borrowed(&content, |text| faults::read::<EventBatch<'_>>(text).map(drop)))?;
    if batch.events.len() > MAX_EVENTS {
        let message = format!("may have at most {MAX_EVENTS} entries");
        return Err(Problem::field(Code::ValidationFailed, "events", message));
    }
    let keys = Keys::of(&parts.headers, &principal, &content)?;
    // Until the last event is on disk: a batch under the same key waits for that.
    let _run = match &keys {
        Some(keys) => Some(keys.start(&app).await?),
        None => None,
    };
    // All are on their way before the first is waited for, so that they share commits.
    let mut pending = Vec::with_capacity(batch.events.len());
    for (number, text) in batch.events.into_iter().enumerate() {
        let key = keys.as_ref().map(|keys| keys.of_event(number));
        pending.push(begin(&app, &principal, hops, text, key).await);
    }
    let mut results = Vec::with_capacity(pending.len());
    for event in pending {
        results.push(match end(event).await {
            Ok(receipt) => EventResult::Accepted(receipt),
            Err(problem) => EventResult::Refused { error: problem.into_part(&parts.headers) },
        });
    }
    Ok((StatusCode::ACCEPTED, Json(BatchAnswer { results })))
}

/// The keys of a batch's events, made of the key of the batch: each is taken in the commit that keeps its event.
struct Keys(IdempotencyKey);

impl Keys {
    fn of(headers: &HeaderMap, principal: &Principal, content: &[u8]) -> Answer<Option<Keys>> {
        if !headers.contains_key(idempotency::KEY) {
            return Ok(None);
        }
        let key = idempotency::key_of(headers)?;
        let scope = format!("{} {key}", idempotency::scope(principal, "/v1/events/batch"));
        let fingerprint = idempotency::fingerprint(content);
        Ok(Some(Keys(IdempotencyKey { scope, key: String::new(), fingerprint })))
    }

    /// Refuses a key that is running, or was used for another batch.
    async fn start(&self, app: &App) -> Answer<Run> {
        let run = app.running.start(&self.0).ok_or_else(idempotency::in_progress)?;
        match app.store.read_one(rows::other_in_scope(&self.0, idempotency::oldest(app))).await? {
            Some(_) => Err(idempotency::reused()),
            None => Ok(run),
        }
    }

    fn of_event(&self, number: usize) -> IdempotencyKey {
        IdempotencyKey { key: number.to_string(), ..self.0.clone() }
    }
}

async fn begin(
    app: &Arc<App>,
    principal: &Principal,
    hops: u8,
    text: &RawValue,
    key: Option<IdempotencyKey>,
) -> Answer<Pending> {
    // A copy of its own, so that an event that waits does not keep the whole batch in memory.
    let content = Bytes::copy_from_slice(text.get().as_bytes());
    let mut input = EventInput::parse(&content)?;
    let Some(org) = input.organization.take() else {
        return Err(Problem::field(Code::ValidationFailed, "organization", "is required in a batch"));
    };
    let organization = organization(app, principal, &org).await?;
    let event = input.check(app, &content, organization.project, hops, key).await?;
    Ok(intake::accept(&app.dispatcher, &organization, event))
}

async fn end(event: Answer<Pending>) -> Answer<EventReceipt> {
    let (id, deliveries) = receipt(event?.wait().await?)?;
    Ok(EventReceipt { id, deliveries })
}
