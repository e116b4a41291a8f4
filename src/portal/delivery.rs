//! `/portal/deliveries/{delivery}`: one delivery with what was sent and what came back, attempt by attempt.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{get, post};
use fanfare_engine::access::Action;
use fanfare_engine::attempt::{Attempt, Headers, Outcome, SentRequest};
use fanfare_engine::delivery::State as DeliveryState;
use fanfare_engine::id::DeliveryId;
use fanfare_store::log::{self, DeliveryRow};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Answer;
use super::deliveries::{self, resendable};
use super::form::Form;
use super::json::{highlighted, indented};
use super::reach;
use super::shell::{Section, Shell, page};
use super::texts::{Texts, fill};
use super::visitor::Visitor;
use super::webhooks::name_of;
use super::words::{self, Moment};
use crate::app::App;
use crate::catalogue::sending;
use crate::curl;

/// Headers that curl sets itself.
const CURLS_OWN: [&str; 3] = ["host", "content-length", "connection"];

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/portal/deliveries/{delivery}", get(show))
        .route("/portal/deliveries/{delivery}/resend", post(resend))
}

#[derive(Template)]
#[template(path = "portal/delivery.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    id: String,
    event_id: String,
    event_type: String,
    /// The webhook's id and name, while it is there.
    webhook: Option<(String, String)>,
    url: String,
    state: DeliveryState,
    code: Option<u16>,
    skipped: Option<&'static str>,
    next: Option<Moment>,
    /// Whether an attempt is under way, so that there is soon more to see.
    under_way: bool,
    /// Whether it can be sent again now.
    resendable: bool,
    steps: Vec<Step>,
    /// The event's data as HTML, and as text to copy; `None` where they are not kept any more.
    payload: Option<(String, String)>,
    /// Newest first.
    attempts: Vec<AttemptView>,
}

/// A step of the timeline.
struct Step {
    at: Option<Moment>,
    text: String,
    /// `good`, `bad`, `wait` or `plain`.
    class: &'static str,
    /// The status of an answer.
    code: Option<u16>,
}

/// An attempt as it is shown.
struct AttemptView {
    title: String,
    at: Moment,
    good: bool,
    outcome: &'static str,
    code: Option<u16>,
    duration: String,
    trigger: &'static str,
    error: Option<String>,
    hint: Option<&'static str>,
    request: Option<RequestView>,
    response: Option<ResponseView>,
}

struct RequestView {
    line: String,
    headers: Vec<(String, String)>,
    body: Option<Body>,
    curl: String,
}

struct ResponseView {
    headers: Vec<(String, String)>,
    body: Option<Body>,
    truncated: bool,
}

/// A body as HTML, and whether bytes of it are no text.
struct Body {
    html: String,
    broken: bool,
}

impl Page {
    fn state_label(&self) -> &'static str {
        words::state(self.t, self.state)
    }
}

async fn show(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>, uri: Uri) -> Answer {
    let t = visitor.t;
    let row = reach::delivery(&app, &visitor, &id, Action::See).await?;
    let manages = reach::allowed(reach::delivery(&app, &visitor, &id, Action::Manage).await)?;
    let attempts = app.store.read(log::attempts(row.id)).await?;
    let event = app.store.read_one(log::event(row.organization, row.event)).await?;
    let payload = event.map(|event| {
        let text = String::from_utf8_lossy(&event.data).into_owned();
        (highlighted(&text).0, indented(&text))
    });
    let webhook = app.compiled().webhook(row.webhook).await?;
    let last_url =
        attempts.iter().rev().find_map(|attempt| attempt.request.as_ref().map(|request| request.url.clone()));
    let url = last_url.or_else(|| webhook.as_ref().map(|webhook| webhook.webhook.settings.url.clone()));
    let resent = Form::parse(uri.query().unwrap_or_default().as_bytes()).get("done") == "resent";
    page(&Page {
        shell: Shell::new(&visitor, Section::Deliveries, format!("{} {}", t.delivery.title, row.id))
            .saying(resent.then_some(t.deliveries.resent)),
        t,
        id: row.id.to_string(),
        event_id: row.event.to_string(),
        event_type: row.event_type.clone(),
        resendable: manages
            && resendable(&row)
            && webhook.as_ref().is_some_and(|known| known.webhook.status.takes_events()),
        webhook: webhook.map(|webhook| (row.webhook.to_string(), name_of(t, &webhook.webhook.settings))),
        url: url.unwrap_or_default(),
        state: row.state,
        under_way: row.state == DeliveryState::Delivering || row.next_attempt_at.is_some_and(|at| at <= app.now()),
        code: row.response_code,
        skipped: row.skipped_reason.map(|reason| words::skipped(t, reason)),
        next: row.next_attempt_at.map(Moment::from),
        steps: steps(t, &row, &attempts),
        payload,
        attempts: attempts.into_iter().rev().map(|attempt| AttemptView::new(t, attempt)).collect(),
    })
}

/// What happened, in its order.
fn steps(t: &Texts, row: &DeliveryRow, attempts: &[Attempt]) -> Vec<Step> {
    let d = &t.delivery;
    let step = |at: Option<Moment>, text: &str, class| Step { at, text: text.to_owned(), class, code: None };
    let mut steps = vec![step(Some(row.id.made_at().into()), d.created, "plain")];
    for attempt in attempts {
        let good = attempt.outcome == Outcome::Success;
        steps.push(Step {
            at: Some(attempt.at.into()),
            text: fill(if good { d.accepted } else { d.failed }, &[("n", &attempt.number)]),
            class: if good { "good" } else { "bad" },
            code: attempt.response.as_ref().map(|response| response.status),
        });
    }
    let ended = row.completed_at.map(Moment::from);
    match (row.state, row.next_attempt_at) {
        (DeliveryState::Delivering, _) => steps.push(step(None, d.under_way, "wait")),
        (_, Some(at)) => steps.push(step(Some(at.into()), d.retry_at, "wait")),
        (DeliveryState::Pending, None) => steps.push(step(None, d.held_back, "wait")),
        (DeliveryState::Delivered, None) => {}
        (DeliveryState::Exhausted, None) => steps.push(step(ended, d.exhausted, "bad")),
        (DeliveryState::Skipped, None) => steps.push(step(ended, d.skipped, "plain")),
        (DeliveryState::Cancelled, None) => steps.push(step(ended, d.cancelled, "plain")),
    }
    steps
}

impl AttemptView {
    fn new(t: &Texts, attempt: Attempt) -> AttemptView {
        let code = attempt.response.as_ref().map(|response| response.status);
        AttemptView {
            title: fill(t.delivery.attempt, &[("n", &attempt.number)]),
            at: attempt.at.into(),
            good: attempt.outcome == Outcome::Success,
            outcome: words::outcome(t, attempt.outcome),
            code,
            duration: match attempt.duration_ms {
                0 => t.delivery.instant.to_owned(),
                duration => fill(t.delivery.milliseconds, &[("n", &duration)]),
            },
            trigger: words::trigger(t, attempt.trigger),
            error: attempt.error,
            hint: words::hint(t, attempt.outcome, code),
            request: attempt.request.map(|request| RequestView {
                line: format!("{} {}", request.method, request.url),
                curl: curl_of(&request),
                headers: shown(&request.headers),
                body: Body::of(&request.body),
            }),
            response: attempt.response.map(|response| ResponseView {
                headers: shown(&response.headers),
                body: Body::of(&response.body),
                truncated: response.truncated,
            }),
        }
    }
}

impl Body {
    fn of(bytes: &[u8]) -> Option<Body> {
        let text = String::from_utf8_lossy(bytes);
        let broken = matches!(text, std::borrow::Cow::Owned(_));
        (!bytes.is_empty()).then(|| Body { html: highlighted(&text).0, broken })
    }
}

fn shown(headers: &Headers) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned())).collect()
}

/// The request as a command; what was masked in the log stays masked.
fn curl_of(request: &SentRequest) -> String {
    let headers: HeaderMap = request
        .headers
        .iter()
        .filter(|(name, _)| !CURLS_OWN.contains(&name.to_ascii_lowercase().as_str()))
        .filter_map(|(name, value)| {
            Some((HeaderName::try_from(name.as_str()).ok()?, HeaderValue::from_bytes(value).ok()?))
        })
        .collect();
    curl::command(&request.method, &request.url, &headers, &request.body)
}

/// Sends a delivery again, and goes back to where the button was.
async fn resend(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>, form: Form) -> Answer {
    let row = reach::delivery(&app, &visitor, &id, Action::Manage).await?;
    sending::resend(&app, &row).await?;
    let next = match form.get("from") {
        "list" => deliveries::back(form.get("list")),
        _ => path(row.id, "?done=resent"),
    };
    Ok(Redirect::to(&next).into_response())
}

/// The page of a delivery.
pub(super) fn path(id: DeliveryId, query: &str) -> String {
    format!("/portal/deliveries/{id}{query}")
}
