//! `/portal/webhooks/{webhook}`: one webhook with its figures, settings, secret and newest deliveries.

mod facts;
pub(super) mod replacing;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{get, post};
use fanfare_engine::access::Action;
use fanfare_engine::webhook::Status;
use fanfare_store::catalogue::event_types;
use fanfare_store::catalogue::webhooks::WebhookRow;
use fanfare_store::log::DeliveryFilter;
use fanfare_store::stats::Subject;

use self::facts::{Figures, LiveSecret, Setting};
use self::replacing::{Replacing, overlaps};
use super::Answer;
use super::charts::{self, Charts, Range};
use super::deliveries::{self, Named};
use super::delivery;
use super::form::Form;
use super::reach;
use super::refusal::Refusal;
use super::shell::{Section, Shell, page};
use super::sparkline::{self, Day};
use super::texts::{Texts, fill};
use super::visitor::Visitor;
use super::webhooks::name_of;
use super::words::{Moment, Standing};
use crate::app::App;
use crate::catalogue::deliveries as listing;
use crate::catalogue::sending;
use crate::catalogue::webhooks::{self as service, OpenWebhook, Switch};

/// How many of its deliveries are shown.
const SHOWN: u32 = 20;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/portal/webhooks/{webhook}", get(show))
        .route("/portal/webhooks/{webhook}/status", post(turn))
        .route("/portal/webhooks/{webhook}/test", post(test))
        // The pages that show and replace the secret have links into themselves.
        .route("/portal/webhooks/{webhook}/secret", post(reveal).get(show))
        .route("/portal/webhooks/{webhook}/secret/rotate", post(replacing::replace).get(show))
        .route("/portal/webhooks/{webhook}/delete", post(delete))
}

#[derive(Template)]
#[template(path = "portal/webhook.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    id: String,
    name: String,
    url: String,
    standing: Standing,
    reason: Option<String>,
    failing_since: Option<Moment>,
    /// Until when its receiver asked for no requests.
    backs_off: Option<Moment>,
    /// What follows from how it stands.
    note: Option<&'static str>,
    takes_events: bool,
    /// Whether the visitor may change it.
    manages: bool,
    /// Whether what it missed may be recovered.
    recovers: bool,
    paused: bool,
    day: Day,
    chart: String,
    figures: Vec<Figures>,
    charts: Charts,
    last: Option<(Moment, &'static str, Option<u16>)>,
    settings: Vec<Setting>,
    event_types: Vec<String>,
    /// Whether its requests are signed.
    signed: bool,
    /// Whether a secret may be replaced.
    may_rotate: bool,
    /// The secrets, where they were asked for.
    secrets: Option<Vec<LiveSecret>>,
    /// How long a replaced secret still signs where nothing is said.
    overlap: String,
    /// The form that replaces the secret.
    replacing: Replacing,
    rows: Vec<deliveries::Row>,
}

async fn show(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>, uri: Uri) -> Answer {
    let webhook = reach::webhook(&app, &visitor, &id, Action::See).await?;
    let t = visitor.t;
    let notice = match Form::parse(uri.query().unwrap_or_default().as_bytes()).get("done") {
        "saved" => Some(t.webhooks.saved),
        "rotated" => Some(t.webhook.rotated),
        "paused" => Some(t.webhook.paused),
        "resumed" => Some(t.webhook.resumed),
        _ => None,
    };
    let range = Range::named(Form::parse(uri.query().unwrap_or_default().as_bytes()).get(charts::PARAMETER));
    page(&Page::of(&app, &visitor, webhook, range, notice, false).await?)
}

impl Page {
    async fn of(
        app: &App,
        visitor: &Visitor,
        webhook: OpenWebhook,
        range: Range,
        notice: Option<&'static str>,
        with_secrets: bool,
    ) -> Result<Page, Refusal> {
        let t = visitor.t;
        let row = &webhook.row;
        let profile = app.profiles.get(&row.profile);
        let now = app.now();
        let day = sparkline::days(app, &[row.id]).await?.remove(&row.id).unwrap_or_default();
        let (reason, failing_since) = reason(row);
        let manages = reach::manages(app, visitor, row.id).await?;
        let chart = fill(t.webhooks.chart, &[("succeeded", &day.succeeded), ("failed", &day.failed)]);
        let filter = DeliveryFilter {
            project: Some(row.project),
            organization: Some(row.organization),
            webhook: Some(row.id),
            ..DeliveryFilter::default()
        };
        let found = listing::page(app, filter, SHOWN).await?.rows;
        let secrets = facts::live_secrets(&webhook, now);
        Ok(Page {
            shell: Shell::new(visitor, Section::Webhooks, name_of(t, &row.settings)).saying(notice),
            t,
            id: row.id.to_string(),
            name: name_of(t, &row.settings),
            url: row.settings.url.clone(),
            standing: Standing::of(row.status, row.failing_since),
            reason,
            failing_since,
            backs_off: app.dispatcher.backs_off_until(row.id).map(Moment::from),
            note: match row.status {
                Status::Active => None,
                Status::Paused => Some(t.webhook.paused_note),
                Status::Deactivated => Some(t.webhook.off_note),
                Status::AutoDisabled => Some(t.webhook.auto_disabled_note),
            },
            takes_events: row.status.takes_events(),
            manages,
            recovers: manages && profile.is_none_or(|profile| profile.retry.by_hand),
            paused: row.status == Status::Paused,
            chart,
            day,
            figures: facts::figures(app, t, row.id).await?,
            charts: charts::of(app, t, Subject::Webhook(row.id), range).await?,
            last: facts::last(app, t, row.id).await?,
            settings: facts::settings(t, profile.map(|profile| &**profile), &webhook),
            event_types: app.store.read(event_types::names(row.project)).await?,
            signed: !secrets.is_empty(),
            may_rotate: manages && profile.is_some_and(|profile| facts::signs(profile)),
            secrets: with_secrets.then_some(secrets),
            overlap: facts::usual_overlap(t, profile.map(|profile| &**profile)),
            replacing: Replacing::default(),
            rows: deliveries::rows(app, t, found, Named::No, |_| manages).await?,
        })
    }
}

impl Page {
    /// What is wrong with a field of the form that replaces the secret.
    fn error(&self, field: &str) -> Option<&str> {
        self.replacing.faults.at(field)
    }

    /// The attributes that such a field has for it.
    fn marks(&self, field: &str) -> String {
        self.replacing.faults.marks(field)
    }
}

/// Why a webhook stands as it does, for people: what was noted, and since when it fails.
pub(super) fn reason(row: &WebhookRow) -> (Option<String>, Option<Moment>) {
    match (row.status, row.failing_since) {
        (Status::Active, Some(since)) => (None, Some(since.into())),
        _ => (row.status_reason.clone(), None),
    }
}

async fn turn(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>, form: Form) -> Answer {
    let (switch, done) = match form.get("to") {
        "on" => (Switch::Enable, ""),
        "pause" => (Switch::Pause, "?done=paused"),
        "resume" => (Switch::Resume, "?done=resumed"),
        _ => (Switch::Disable, ""),
    };
    service::switch(&app, &visitor.place(), &id, switch).await?;
    Ok(Redirect::to(&format!("/portal/webhooks/{id}{done}")).into_response())
}

/// Sends a test event, and shows what becomes of it.
async fn test(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>, form: Form) -> Answer {
    let webhook = reach::webhook(&app, &visitor, &id, Action::Manage).await?;
    let delivery = sending::try_out(&app, &webhook, form.given("event_type")).await?;
    Ok(Redirect::to(&delivery::path(delivery, "")).into_response())
}

async fn reveal(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>, _form: Form) -> Answer {
    let webhook = reach::webhook(&app, &visitor, &id, Action::Manage).await?;
    note_revealed(&visitor, &webhook);
    page(&Page::of(&app, &visitor, webhook, Range::default(), None, true).await?)
}

/// For those who ask later who saw a secret.
pub(super) fn note_revealed(visitor: &Visitor, webhook: &OpenWebhook) {
    let (session, user) = (visitor.session.id, visitor.session.user.as_deref().unwrap_or("-"));
    tracing::info!(webhook = %webhook.row.id, %session, user, "a secret was revealed in the portal");
}

async fn delete(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>, _form: Form) -> Answer {
    service::delete(&app, &visitor.place(), &id).await?;
    Ok(Redirect::to("/portal/webhooks?done=deleted").into_response())
}
