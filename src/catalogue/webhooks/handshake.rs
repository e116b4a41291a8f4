//! Asking a receiver whether it agrees to get events, before its webhook becomes active.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use fanfare_engine::attempt::{Outcome, ReceivedResponse};
use fanfare_engine::egress::{BLOCKED, Endpoint, parse_endpoint};
use fanfare_engine::event::Event;
use fanfare_engine::handshake::{self, CHALLENGE_TYPE, MAX_ANSWER_BYTES};
use fanfare_engine::profile::{Handshake, Profile};
use fanfare_engine::render::Plan;
use fanfare_engine::spelling::Spelling;
use fanfare_engine::webhook::RateLimit;
use http::{HeaderMap, Method, header};

use super::OpenWebhook;
use crate::app::App;
use crate::catalogue::{CatalogueError, CatalogueResult};
use crate::compiled;
use crate::delivery::http::OutgoingRequest;
use crate::random;

/// How many random bytes a challenge has.
const CHALLENGE_BYTES: usize = 36;
/// What to do where a receiver does not agree.
const ADVICE: &str = "correct the receiver and try again, or save the webhook switched off and switch it on later";

/// Asks the receiver, where the profile wants that and the webhook `after` would be sent to as `before` was not: it is
/// new, was off, or had another URL or profile, or a lower rate where receivers say which rate they take. The request goes
/// through the same guard as every delivery, within the same times.
///
/// # Errors
/// The receiver does not agree, does not answer, or may not be called; or too many are being asked.
pub(super) async fn ask(
    app: &App,
    profile: &Arc<Profile>,
    before: Option<&OpenWebhook>,
    after: &OpenWebhook,
) -> CatalogueResult<()> {
    if profile.handshake == Handshake::None || !after.row.status.takes_events() || is_same(profile, before, after) {
        return Ok(());
    }
    let Some(_asked) = app.waits.asked.take(after.row.organization) else {
        let why = "as many receivers are being asked for their consent as may be at once; try again soon";
        return Err(CatalogueError::Busy(why));
    };
    let endpoint = parse_endpoint(&after.row.settings.url, &profile.schemes)
        .map_err(|error| CatalogueError::field("url", error.to_string()))?;
    match profile.handshake {
        Handshake::None => Ok(()),
        Handshake::Challenge => challenge(app, profile, after, &endpoint).await,
        Handshake::CloudEvents => permission(app, profile, after, &endpoint).await,
    }
}

/// Whether the same receiver is sent to already, and as fast as it may be from now on.
fn is_same(profile: &Profile, before: Option<&OpenWebhook>, after: &OpenWebhook) -> bool {
    before.is_some_and(|before| {
        before.row.status.takes_events()
            && before.row.settings.url == after.row.settings.url
            && before.row.profile == after.row.profile
            && !(profile.handshake == Handshake::CloudEvents && is_faster(before, after))
    })
}

/// Whether the rate that a webhook had is raised or not limited any more.
fn is_faster(before: &OpenWebhook, after: &OpenWebhook) -> bool {
    let rate = |webhook: &OpenWebhook| webhook.row.settings.rate_limit.map(RateLimit::per_minute);
    rate(before).is_some_and(|before| rate(after).is_none_or(|after| after > before))
}

async fn challenge(
    app: &App,
    profile: &Arc<Profile>,
    webhook: &OpenWebhook,
    endpoint: &Endpoint,
) -> CatalogueResult<()> {
    let challenge = URL_SAFE_NO_PAD.encode(random::bytes::<CHALLENGE_BYTES>());
    let body = handshake::challenge_body(&webhook.row.uuid.to_string(), &challenge);
    let now = app.now();
    let event = Event {
        id: app.ids.next(),
        project: webhook.row.project,
        organization: webhook.row.organization,
        kind: CHALLENGE_TYPE.into(),
        external_id: None,
        data: Bytes::from(body),
        entity: None,
        scope: Vec::new(),
        occurred_at: now,
        ordering_key: None,
        hops: 0,
    };
    let whole = compiled::whole(webhook.row.clone(), webhook.credentials.clone());
    let plan = Plan::compile(profile, &whole).map_err(|error| refused(error.to_string()))?;
    let rendered = plan.render_data(&event, app.ids.next(), now).map_err(|error| refused(error.to_string()))?;
    let answer = send(app, profile, webhook, endpoint, rendered.method, rendered.headers, rendered.body).await?;
    handshake::judge_challenge(&challenge, answer.status, &answer.body)
        .map_err(|refusal| refused(format!("it {refusal}")))
}

async fn permission(
    app: &App,
    profile: &Arc<Profile>,
    webhook: &OpenWebhook,
    endpoint: &Endpoint,
) -> CatalogueResult<()> {
    let rate = webhook.row.settings.rate_limit;
    let origin = &profile.sender_host;
    let mut headers = handshake::permission_headers(origin, rate);
    headers.insert(header::USER_AGENT, profile.user_agent.clone());
    let answer = send(app, profile, webhook, endpoint, Method::OPTIONS, headers, Bytes::new()).await?;
    handshake::judge_permission(origin, rate, answer.status, &answer.headers)
        .map_err(|refusal| refused(format!("it {refusal}")))
}

async fn send(
    app: &App,
    profile: &Profile,
    webhook: &OpenWebhook,
    endpoint: &Endpoint,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> CatalogueResult<ReceivedResponse> {
    let request = OutgoingRequest {
        endpoint,
        method,
        headers_again: &|| headers.clone(),
        headers: headers.clone(),
        spelling: &Spelling::default(),
        body,
        connect_timeout: profile.timeouts.connect,
        timeout: profile.exchange_timeout(&webhook.row.settings),
        capture_limit: MAX_ANSWER_BYTES,
        at_most_once: false,
    };
    let exchange = app.dispatcher.tools.http.send(request).await;
    match exchange.response {
        Some(response) => Ok(response),
        None if exchange.outcome == Outcome::Blocked => Err(CatalogueError::Denied(BLOCKED.to_owned())),
        None => Err(refused(exchange.error.unwrap_or_else(|| "the receiver did not answer".to_owned()))),
    }
}

fn refused(why: String) -> CatalogueError {
    CatalogueError::field("url", format!("leads to a receiver that does not agree to get events: {why}; {ADVICE}"))
}
