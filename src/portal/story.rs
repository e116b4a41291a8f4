//! What became of a delivery, as its page tells it: how it went in time, the event's data, and each attempt with what was sent
//! and what came back.

use fanfare_engine::attempt::{Attempt, Headers, Outcome, SentRequest};
use fanfare_engine::delivery::State as DeliveryState;
use fanfare_engine::time::Timestamp;
use fanfare_store::attempts::{self, Piece};
use fanfare_store::log::{self, DeliveryRow};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::deliveries::is_under_way;
use super::form::Form;
use super::json::{Allowance, indented};
use super::texts::{Texts, counted, fill};
use super::words::{self, Moment};
use crate::app::App;
use crate::catalogue::{CatalogueResult, deliveries};
use crate::curl;

/// How many attempts are shown at once.
const SHOWN: u32 = 20;
/// After so many bytes of headers and bodies no further attempt is shown at once.
const MAX_BYTES: i64 = 2 * 1024 * 1024;
/// How many bytes of marked up bodies a page may hold; what comes after them is shown plain.
const MAX_MARKED: usize = 4 * 1024 * 1024;
/// The number below which attempts are shown.
const BEFORE: &str = "before";
/// How the delivery stood that a page shows already.
const SEEN: &str = "seen";
/// So ends the mark of a delivery of which an attempt is under way or about to be: there is soon more to see.
const UNDER_WAY: &str = ".now";
/// Headers that curl sets itself.
const CURLS_OWN: [&str; 3] = ["host", "content-length", "connection"];

/// A step of the timeline.
pub(super) struct Step {
    pub(super) at: Option<Moment>,
    pub(super) text: String,
    /// `good`, `bad`, `wait` or `plain`.
    pub(super) class: &'static str,
    /// The status of an answer.
    pub(super) code: Option<u16>,
}

/// An attempt as it is shown.
pub(super) struct AttemptView {
    pub(super) number: u32,
    pub(super) title: String,
    pub(super) at: Moment,
    pub(super) good: bool,
    pub(super) outcome: &'static str,
    pub(super) code: Option<u16>,
    pub(super) duration: String,
    pub(super) trigger: &'static str,
    pub(super) error: Option<String>,
    pub(super) note: Option<String>,
    pub(super) hint: Option<&'static str>,
    pub(super) request: Option<RequestView>,
    pub(super) response: Option<ResponseView>,
}

pub(super) struct RequestView {
    pub(super) line: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Body>,
    pub(super) curl: String,
}

pub(super) struct ResponseView {
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Body>,
    pub(super) truncated: bool,
}

/// A body as HTML, and whether bytes of it are no text.
pub(super) struct Body {
    pub(super) html: String,
    pub(super) broken: bool,
}

/// What there is to tell of a delivery.
pub(super) struct Story {
    pub(super) steps: Vec<Step>,
    /// The event's data as HTML, and as text to copy; `None` where they are not kept any more.
    pub(super) payload: Option<(String, String)>,
    /// Newest first.
    pub(super) attempts: Vec<AttemptView>,
    /// Where the attempts before them are, and how many.
    pub(super) earlier: Option<(String, String)>,
    /// Where the newest attempts are, where these are not.
    pub(super) newest: Option<String>,
    /// Where to ask whether there is more to see, while an attempt is under way.
    pub(super) ask: Option<String>,
}

impl Story {
    /// That of a delivery whose page is at `path`, as far as `asked` wants it; `None` where the page that asks shows it
    /// already. Headers that the webhook added are masked for one who doesn't manage it.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn of(
        app: &App,
        t: &Texts,
        row: &DeliveryRow,
        manages: bool,
        asked: &Form,
        path: &str,
    ) -> CatalogueResult<Option<Story>> {
        let before: Option<u32> = asked.given(BEFORE).and_then(|number| number.parse().ok());
        let mark = mark(row, app.now());
        if asked.given(SEEN) == Some(&mark) {
            return Ok(None);
        }
        let piece = Piece { before, ..Piece::newest(SHOWN, MAX_BYTES) };
        let mut attempts = app.store.read(attempts::attempts(row.id, piece)).await?;
        if !manages {
            deliveries::hide_headers(app, row, &mut attempts).await?;
        }
        let event = app.store.read_one(log::event(row.organization, row.event)).await?;
        let mut allowance = Allowance::new(MAX_MARKED);
        let payload = event.map(|event| {
            let text = String::from_utf8_lossy(&event.data).into_owned();
            (allowance.show(&text), indented(&text))
        });
        Ok(Some(Story {
            steps: steps(t, row, &attempts),
            payload,
            earlier: earlier(t, path, &attempts),
            newest: before.map(|_| format!("{path}#attempts")),
            ask: (before.is_none() && mark.ends_with(UNDER_WAY)).then(|| format!("{path}?{SEEN}={mark}")),
            attempts: attempts.into_iter().map(|attempt| AttemptView::new(t, &mut allowance, attempt)).collect(),
        }))
    }
}

/// How a delivery stands, in short: the same as long as its page would show the same.
fn mark(row: &DeliveryRow, now: Timestamp) -> String {
    let due = row.next_attempt_at.map_or(0, Timestamp::millis);
    format!("{}.{}.{due}{}", row.state.name(), row.attempts, if is_under_way(row, now) { UNDER_WAY } else { "" })
}

/// Where the attempts are that are older than these, and how many.
fn earlier(t: &Texts, path: &str, shown: &[Attempt]) -> Option<(String, String)> {
    let count = attempts::earlier(shown);
    let oldest = shown.last().filter(|_| count > 0)?;
    let href = format!("{path}?{BEFORE}={}#attempts", oldest.number);
    Some((href, counted(t.delivery.earlier_one, t.delivery.earlier_many, count.into())))
}

/// What happened, in its order; `attempts` are the newest first, and may be a piece of all.
fn steps(t: &Texts, row: &DeliveryRow, attempts: &[Attempt]) -> Vec<Step> {
    let d = &t.delivery;
    let step = |at: Option<Moment>, text: &str, class| Step { at, text: text.to_owned(), class, code: None };
    let mut steps = vec![step(Some(row.id.made_at().into()), d.created, "plain")];
    let earlier = attempts::earlier(attempts);
    if earlier > 0 {
        steps.push(step(None, &counted(d.earlier_one, d.earlier_many, earlier.into()), "plain"));
    }
    for attempt in attempts.iter().rev() {
        let good = attempt.outcome == Outcome::Success;
        steps.push(Step {
            at: Some(attempt.at.into()),
            text: fill(if good { d.accepted } else { d.failed }, &[("n", &attempt.number)]),
            class: if good { "good" } else { "bad" },
            code: attempt.response.as_ref().map(|response| response.status),
        });
    }
    let later = attempts.first().map_or(0, |newest| row.attempts.saturating_sub(newest.number));
    if later > 0 {
        steps.push(step(None, &counted(d.later_one, d.later_many, later.into()), "plain"));
    }
    let ended = row.completed_at.map(Moment::from);
    match (row.state, row.next_attempt_at) {
        _ if row.leased => steps.push(step(None, d.under_way, "wait")),
        (_, Some(at)) => steps.push(step(Some(at.into()), d.retry_at, "wait")),
        (DeliveryState::Pending | DeliveryState::Delivering, None) => steps.push(step(None, d.held_back, "wait")),
        (DeliveryState::Delivered, None) => {}
        (DeliveryState::Exhausted, None) => steps.push(step(ended, d.exhausted, "bad")),
        (DeliveryState::Skipped, None) => steps.push(step(ended, d.skipped, "plain")),
        (DeliveryState::Cancelled, None) => steps.push(step(ended, d.cancelled, "plain")),
    }
    steps
}

impl AttemptView {
    fn new(t: &Texts, allowance: &mut Allowance, attempt: Attempt) -> AttemptView {
        let code = attempt.response.as_ref().map(|response| response.status);
        AttemptView {
            number: attempt.number,
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
            note: attempt.note,
            hint: words::hint(t, attempt.outcome, code),
            request: attempt.request.map(|request| RequestView {
                line: format!("{} {}", request.method, request.url),
                curl: curl_of(&request),
                headers: shown(&request.headers),
                body: Body::of(&request.body, allowance),
            }),
            response: attempt.response.map(|response| ResponseView {
                headers: shown(&response.headers),
                body: Body::of(&response.body, allowance),
                truncated: response.truncated,
            }),
        }
    }
}

impl Body {
    fn of(bytes: &[u8], allowance: &mut Allowance) -> Option<Body> {
        let text = String::from_utf8_lossy(bytes);
        let broken = matches!(text, std::borrow::Cow::Owned(_));
        (!bytes.is_empty()).then(|| Body { html: allowance.show(&text), broken })
    }
}

fn shown(headers: &Headers) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.into_owned(), String::from_utf8_lossy(value).into_owned())).collect()
}

/// The request as a command; what was masked in the log stays masked.
fn curl_of(request: &SentRequest) -> String {
    let headers: HeaderMap = request
        .headers
        .iter()
        .filter(|(name, _)| !CURLS_OWN.contains(&name.to_ascii_lowercase().as_str()))
        .filter_map(|(name, value)| Some((HeaderName::try_from(&*name).ok()?, HeaderValue::from_bytes(value).ok()?)))
        .collect();
    curl::command(&request.method, &request.url, &headers, &request.body)
}
