//! Makes one attempt: checks that it may still be made, renders, signs, sends, and has the outcome recorded.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::http::header::{CONTENT_LENGTH, HOST};
use axum::http::{HeaderMap, Method};
use fanfare_engine::attempt::{Headers, Outcome};
use fanfare_engine::delivery::{Single, SkipReason};
use fanfare_engine::egress::{Endpoint, parse_endpoint};
use fanfare_engine::render::{FirstSent, RenderError, Rendered, log_headers};
use fanfare_engine::retry::{Ended, parse_retry_after};
use fanfare_engine::scheduler::{Command, Input, Job, LaneConfig};
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::Webhook;
use fanfare_flow::attempt::{About, Policies, conclude};
use fanfare_flow::record::lease;
use fanfare_flow::turn::{self as flow, Step, WebhookState};
use fanfare_store::queue::{Answer, LoggedAttempt, LoggedBody, LoggedRequest, LoggedResponse, Operation};
use futures_util::FutureExt;

use super::dispatcher::Dispatcher;
use super::turn::{AtMostOnce, Turn};
use super::{backlog, disable, first_sent, record, tails};
use crate::compiled::{CompiledOrganization, CompiledWebhook, Noted, Sender};
use crate::delivery::exchange::{Exchange, Resent};
use crate::delivery::http::OutgoingRequest;
use crate::delivery::tail::Tail;
use crate::random;

/// How many bytes a request's headers seldom exceed: room for them is made at once.
const LOGGED_HEADERS: usize = 512;

/// What is to be done with a delivery whose turn it is, with what that takes.
enum Decision {
    Send(Arc<CompiledOrganization>, Arc<CompiledWebhook>, Option<Result<FirstSent, RenderError>>),
    Begin,
    Skip(SkipReason),
    GiveUp(Arc<CompiledOrganization>),
    GiveBack,
    /// Not now, though its webhook is not held: it would go to the host of the first attempt, which is; or what was first
    /// sent cannot be read.
    PutOff,
}

/// Makes an attempt, and after it those that the scheduler hands on.
pub(super) async fn run(dispatcher: Arc<Dispatcher>, job: Job) {
    let mut next = Some(job);
    while let Some(job) = next {
        let mut turn = Turn::new(&dispatcher, job);
        // A delivery on which our own code panics harms no other, and keeps no slot.
        next = match AssertUnwindSafe(one(&mut turn)).catch_unwind().await {
            Ok(()) => turn.end(),
            Err(_) => turn.end_after_panic(),
        };
    }
}

async fn one(turn: &mut Turn<'_>) {
    let dispatcher = turn.dispatcher;
    let mut decision = decide(dispatcher, &turn.job, false).await;
    if matches!(decision, Decision::Begin) {
        // The webhook may change while it is written.
        decision = match begins(dispatcher, &turn.job).await {
            true => decide(dispatcher, &turn.job, true).await,
            false => Decision::GiveBack,
        };
    }
    match decision {
        Decision::Send(organization, webhook, first) => attempt(turn, &organization, &webhook, first).await,
        Decision::Skip(reason) => {
            turn.sent(false);
            record::skipped(dispatcher, &turn.job, reason);
        }
        Decision::GiveUp(organization) => {
            turn.begin(AtMostOnce(true));
            turn.sent(false);
            Box::pin(record::given_up(dispatcher, &turn.job, &organization)).await;
        }
        // It is begun by now; what is not goes back.
        Decision::GiveBack | Decision::Begin => give_back(turn),
        Decision::PutOff => {
            turn.sent(false);
            backlog::put_off(dispatcher, &turn.job);
        }
    }
    turn.hand_over();
}

fn give_back(turn: &mut Turn<'_>) {
    turn.sent(false);
    // In this order: a drain is through once everything is recorded, and the store closes then.
    let leases = vec![(turn.job.delivery, turn.job.claim)];
    turn.dispatcher.carry_out(Command::Release { webhook: turn.job.webhook, leases });
    turn.hand_over();
    turn.dispatcher.tell(turn.job.recorded());
}

/// Has the store note that a delivery is being sent of which a server may have died before, so that one of which servers
/// do die is told from those that only were in the same memory.
async fn begins(dispatcher: &Dispatcher, job: &Job) -> bool {
    let lease = lease(job, dispatcher.tools.node);
    match dispatcher.tools.store.apply(Operation::Begin(lease)).await {
        Ok(Answer::Count(1)) => true,
        // Somebody else has it; to give it back changes nothing.
        Ok(_) => false,
        Err(error) => {
            tracing::warn!(delivery = %job.delivery, %error, "a delivery waits, since it cannot be noted that it is sent");
            false
        }
    }
}

/// Looks at the webhook as it is now: it may have been edited, switched off or deleted since the event came.
async fn decide(dispatcher: &Dispatcher, job: &Job, begun: bool) -> Decision {
    let organization = match dispatcher.tools.compiled.organization(job.event.organization).await {
        Ok(Some(organization)) => organization,
        Ok(None) => return Decision::Skip(SkipReason::OrganizationDeleted),
        Err(error) => {
            tracing::warn!(delivery = %job.delivery, %error, "a delivery waits, since its webhook cannot be read");
            return Decision::GiveBack;
        }
    };
    let Some(webhook) = organization.webhook(job.webhook).cloned() else {
        return Decision::Skip(SkipReason::WebhookDeleted);
    };
    match flow::decide(job, Ok(state(&webhook)), begun) {
        Step::Send => as_first_sent(dispatcher, job, organization, webhook).await,
        Step::Begin => Decision::Begin,
        Step::Skip(reason) => {
            if let (SkipReason::AccessRevoked, Err(revoked)) = (reason, &webhook.access) {
                tracing::info!(delivery = %job.delivery, webhook = %job.webhook, %revoked, "a delivery is skipped");
            }
            Decision::Skip(reason)
        }
        Step::GiveUp => Decision::GiveUp(organization),
        Step::GiveBack => Decision::GiveBack,
    }
}

fn state(webhook: &CompiledWebhook) -> WebhookState {
    let LaneConfig { held, at_most_once, .. } = webhook.lane();
    WebhookState { status: webhook.webhook.status, held, at_most_once, access_revoked: webhook.access.is_err() }
}

async fn as_first_sent(
    dispatcher: &Dispatcher,
    job: &Job,
    organization: Arc<CompiledOrganization>,
    webhook: Arc<CompiledWebhook>,
) -> Decision {
    match first_sent::load(dispatcher, job, &webhook).await {
        Ok(Some(Ok(first))) if is_held(dispatcher, &webhook, &first) => Decision::PutOff,
        Ok(first) => Decision::Send(organization, webhook, first),
        Err(error) => {
            tracing::warn!(delivery = %job.delivery, %error, "a delivery waits, since its log cannot be read");
            Decision::PutOff
        }
    }
}

/// Whether there is a hold on the host to which a delivery was first sent.
fn is_held(dispatcher: &Dispatcher, webhook: &CompiledWebhook, first: &FirstSent) -> bool {
    let Ok(sender) = webhook.sender() else { return false };
    let Ok(endpoint) = parse_endpoint(first.url().as_str(), &sender.profile.schemes) else { return false };
    let Webhook { project, organization, .. } = webhook.webhook;
    dispatcher.tools.compiled.holds().covers(project, organization, &endpoint.host().to_string())
}

fn wants_nothing_twice(webhook: &CompiledWebhook) -> bool {
    webhook.lane().at_most_once
}

async fn attempt(
    turn: &mut Turn<'_>,
    organization: &CompiledOrganization,
    webhook: &CompiledWebhook,
    first: Option<Result<FirstSent, RenderError>>,
) {
    let dispatcher = turn.dispatcher;
    let tools = &dispatcher.tools;
    let at = tools.clock.now();
    let elsewhere = goes_elsewhere(webhook, first.as_ref());
    turn.begin(AtMostOnce(wants_nothing_twice(webhook)));
    // A delivery on which our own code panics counts as failed and harms no other.
    let trial = AssertUnwindSafe(try_once(dispatcher, &turn.job, webhook, first, at)).catch_unwind().await;
    // The request may have gone out before that.
    let trial =
        trial.unwrap_or_else(|_| Trial { outcome: Outcome::Unknown, ..Trial::unsent(record::OWN_FAULT.to_owned()) });
    if trial.is_ours {
        tracing::warn!(delivery = %turn.job.delivery, error = trial.error, "a delivery waits: the server lacks file descriptors");
        turn.sent(false);
        backlog::put_off(dispatcher, &turn.job);
        return;
    }
    let now = tools.clock.now();
    let retry_after = trial.retry_after.as_deref().and_then(|value| parse_retry_after(value, now));
    let status = trial.response.as_ref().map(|response| response.status);
    let success = trial.outcome == Outcome::Success;
    // What was only tried out, and failed, does not count against the receiver; that it works counts in any case.
    let counts = !elsewhere && (success || turn.job.single == Single::No);
    let noted = if counts { webhook.note_attempt(success, now) } else { Noted::default() };
    let ended = Ended { outcome: trial.outcome, status, retry_after };
    let about = About { elsewhere, failures: noted.streak };
    let sender = webhook.sender().ok();
    let policies = sender.as_deref().map(|sender| Policies { retry: &sender.retry, health: &sender.health });
    let conclusion = conclude(&turn.job, policies, &ended, &about, now, random::jitter());

    if let Some(until) = conclusion.back_off {
        dispatcher.tell(Input::BackOff { webhook: turn.job.webhook, until });
    }
    turn.sent(conclusion.trouble);
    let job = &turn.job;
    tools.metrics.attempt(trial.outcome, trial.duration_ms);
    if let Some(failing) = noted.keep {
        disable::keep_failing(dispatcher, webhook, failing);
    }
    let logged = LoggedAttempt {
        id: tools.ids.next(),
        at,
        duration_ms: trial.duration_ms,
        outcome: trial.outcome,
        error: trial.error,
        note: trial.note,
        trigger: job.trigger,
        request: trial.request,
        response: trial.response,
    };
    if let Some(reason) = conclusion.disable {
        Box::pin(disable::disable(dispatcher, organization, webhook, reason)).await;
    }
    match trial.tail {
        None => record::attempted(dispatcher, &turn.job, organization, logged, conclusion.next).await,
        Some(tail) => Box::pin(tails::record(turn, organization, logged, conclusion.next, *tail)).await,
    }
}

/// Whether a request that is made again as it was first sent goes elsewhere than the webhook's others do now.
fn goes_elsewhere(webhook: &CompiledWebhook, first: Option<&Result<FirstSent, RenderError>>) -> bool {
    let (Some(Ok(first)), Ok(sender)) = (first, webhook.sender()) else { return false };
    first.url() != &**sender.plan.url()
}

/// What an attempt gave.
struct Trial {
    outcome: Outcome,
    error: Option<String>,
    note: Option<&'static str>,
    duration_ms: u32,
    request: Option<LoggedRequest>,
    response: Option<LoggedResponse>,
    retry_after: Option<String>,
    /// What is still to come of the response.
    tail: Option<Box<Tail>>,
    /// Nothing was sent, because this server lacked what a connection takes.
    is_ours: bool,
}

impl Trial {
    fn unsent(error: String) -> Self {
        Trial {
            outcome: Outcome::Render,
            error: Some(error),
            note: None,
            duration_ms: 0,
            request: None,
            response: None,
            retry_after: None,
            tail: None,
            is_ours: false,
        }
    }
}

async fn try_once(
    dispatcher: &Arc<Dispatcher>,
    job: &Job,
    webhook: &CompiledWebhook,
    first: Option<Result<FirstSent, RenderError>>,
    at: Timestamp,
) -> Trial {
    let sender = &*match webhook.sender() {
        Ok(sender) => sender,
        Err(reason) => return Trial::unsent(reason.0.clone()),
    };
    let first = match first.transpose() {
        Ok(first) => first,
        Err(error) => return Trial::unsent(error.to_string()),
    };
    let Prepared { endpoint, logged, rendered } = match prepare(sender, job, first.as_ref(), at) {
        Ok(prepared) => prepared,
        Err(reason) => return Trial::unsent(reason),
    };
    // What was rendered once is rendered again.
    let headers_again = || render(sender, job, first.as_ref(), at).map(|again| again.headers).unwrap_or_default();
    let request = outgoing(webhook, sender, &endpoint, rendered, &headers_again);
    let (exchange, tail) = dispatcher.tools.http.start(request).await;
    if exchange.response.is_some() && webhook.note_allowed(exchange.streams_allowed) {
        Box::pin(dispatcher.webhook_changed(job.webhook)).await;
    }
    if let Some(detail) = &exchange.detail {
        tracing::debug!(delivery = %job.delivery, webhook = %job.webhook, detail, "an attempt failed");
    }
    conclude_exchange(sender, logged, exchange, tail)
}

/// A request that is ready to be sent, and what the log says of it.
struct Prepared {
    endpoint: Arc<Endpoint>,
    logged: LoggedRequest,
    rendered: Rendered,
}

fn prepare(sender: &Sender, job: &Job, first: Option<&FirstSent>, at: Timestamp) -> Result<Prepared, String> {
    let rendered = render(sender, job, first, at).map_err(|error| error.to_string())?;
    let (endpoint, url) = destination(sender, &rendered)?;
    let logged = logged_request(url, job, &rendered, &endpoint);
    Ok(Prepared { endpoint, logged, rendered })
}

fn render(sender: &Sender, job: &Job, first: Option<&FirstSent>, at: Timestamp) -> Result<Rendered, RenderError> {
    match first {
        Some(first) => sender.plan.render_again(&job.event, job.delivery, at, first),
        None => sender.plan.render(&job.event, job.delivery, at),
    }
}

/// Where the request goes: to the webhook's endpoint, unless it is made again as it was first sent.
fn destination(sender: &Sender, rendered: &Rendered) -> Result<(Arc<Endpoint>, Arc<str>), String> {
    if Arc::ptr_eq(&rendered.url, sender.plan.url()) {
        return Ok((Arc::clone(&sender.endpoint), Arc::clone(&sender.url)));
    }
    let endpoint = parse_endpoint(rendered.url.as_str(), &sender.profile.schemes)
        .map_err(|error| format!("the URL of the first attempt {error}"))?;
    let url = Arc::from(endpoint.url());
    Ok((Arc::new(endpoint), url))
}

fn outgoing<'a>(
    webhook: &CompiledWebhook,
    sender: &'a Sender,
    endpoint: &'a Endpoint,
    rendered: Rendered,
    headers_again: &'a (dyn Fn() -> HeaderMap + Sync),
) -> OutgoingRequest<'a> {
    OutgoingRequest {
        endpoint,
        method: rendered.method,
        headers: rendered.headers,
        headers_again,
        spelling: sender.plan.spelling(),
        body: rendered.body,
        connect_timeout: sender.connect_timeout,
        timeout: sender.timeout,
        capture_limit: sender.capture_limit,
        at_most_once: wants_nothing_twice(webhook),
    }
}

fn logged_request(url: Arc<str>, job: &Job, rendered: &Rendered, endpoint: &Endpoint) -> LoggedRequest {
    let body = match &rendered.verbatim {
        Some(range) if range.len() == job.event.data.len() => {
            LoggedBody::AroundData { head: rendered.body.slice(..range.start), tail: rendered.body.slice(range.end..) }
        }
        _ => LoggedBody::Whole(rendered.body.clone()),
    };
    LoggedRequest { method: rendered.method.clone(), url, headers: headers_as_sent(rendered, endpoint), body }
}

/// The headers as they may be shown, with those that the connection adds. Over HTTP/2 the host goes as `:authority`, with the
/// same value.
fn headers_as_sent(rendered: &Rendered, endpoint: &Endpoint) -> Headers {
    let mut headers = Headers::with_capacity(LOGGED_HEADERS);
    headers.push(HOST.as_str(), endpoint.host_header().as_bytes());
    log_headers(&rendered.headers, &mut headers);
    if rendered.method != Method::GET {
        headers.push(CONTENT_LENGTH.as_str(), rendered.body.len().to_string().as_bytes());
    }
    headers
}

fn conclude_exchange(sender: &Sender, request: LoggedRequest, exchange: Exchange, tail: Option<Box<Tail>>) -> Trial {
    let (mut outcome, mut error) = (exchange.outcome, exchange.error);
    if let (Outcome::Success | Outcome::Status, Some(response)) = (outcome, &exchange.response) {
        if sender.profile.accepts_status(response.status) {
            (outcome, error) = (Outcome::Success, None);
        } else {
            outcome = Outcome::Status;
            error.get_or_insert_with(|| format!("the receiver answered {}", response.status));
        }
    }
    let response = exchange.response.map(|response| LoggedResponse {
        status: response.status,
        headers: response.headers,
        body: response.body,
        truncated: response.truncated,
    });
    Trial {
        outcome,
        error,
        note: exchange.resent.map(Resent::note),
        duration_ms: u32::try_from(exchange.duration.as_millis()).unwrap_or(u32::MAX),
        // Where nothing left the machine, there is still the request that would have been sent.
        request: Some(request),
        response,
        retry_after: exchange.retry_after,
        tail,
        // Where an earlier connection was lost, the receiver may have the request though the next one was not opened.
        is_ours: exchange.is_ours && exchange.resent != Some(Resent::Closed),
    }
}
