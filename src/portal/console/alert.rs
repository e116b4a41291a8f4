//! `/console/alerts/{webhook}`: one of the operator's own webhooks: edited, tried out, its secret, and what it was sent.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{get, post};
use fanfare_engine::webhook::Events;
use fanfare_store::log::{self, DeliveryFilter};

use super::Answer;
use super::alerts::{FIELDS, PATH, input, place};
use super::delivery_rows::{Row, rows};
use super::faults::Field;
use super::operator::{Change, Operator};
use super::shell::Shell;
use crate::app::App;
use crate::catalogue::CatalogueResult;
use crate::catalogue::sending;
use crate::catalogue::webhooks::{self as service, OPERATOR_EVENTS, OpenWebhook};
use crate::portal::faults::Refused;
use crate::portal::form::Form;
use crate::portal::shell::page;
use crate::portal::texts::Texts;
use crate::portal::webhook::replacing::{Replacing, overlaps};
use crate::portal::webhooks::name_of;
use crate::portal::words::{Moment, Standing};

/// What the form of a new secret has.
const SECRET_FIELDS: [Field; 2] = [("secret", "Secret"), ("overlap_seconds", "The overlap")];
/// How many of its deliveries are shown, and how many rows are looked at for them.
const SHOWN: u32 = 20;
const SCAN: u32 = 20_000;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/console/alerts/{webhook}", get(show).post(save))
        .route("/console/alerts/{webhook}/test", post(test))
        .route("/console/alerts/{webhook}/secret", get(show).post(reveal))
        .route("/console/alerts/{webhook}/secret/rotate", post(rotate))
}

#[derive(Template)]
#[template(path = "console/alert.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    id: String,
    name: String,
    url: String,
    standing: Standing,
    reason: Option<String>,
    failing_since: Option<Moment>,
    on: bool,
    events: [&'static str; 2],
    draft: Draft,
    /// Whether its requests are signed.
    signed: bool,
    /// The secrets that sign with their ends, where they were asked for.
    secrets: Option<Vec<(String, Option<Moment>)>>,
    rows: Vec<Row>,
}

/// What the form of its settings holds.
struct Draft {
    name: String,
    url: String,
    events: Vec<String>,
}

impl Draft {
    fn of(webhook: &OpenWebhook) -> Draft {
        let settings = &webhook.row.settings;
        let events = match &settings.events {
            Events::All => OPERATOR_EVENTS.map(str::to_owned).to_vec(),
            Events::Only(names) => names.clone(),
        };
        Draft { name: settings.name.clone(), url: settings.url.clone(), events }
    }

    fn typed(form: &Form) -> Draft {
        let text = |field| form.get(field).trim().to_owned();
        Draft { name: text("name"), url: text("url"), events: form.all("event").map(str::to_owned).collect() }
    }
}

impl Page {
    async fn of(app: &App, operator: &Operator, webhook: &OpenWebhook) -> CatalogueResult<Page> {
        let t = operator.t;
        let row = &webhook.row;
        let filter = DeliveryFilter {
            project: Some(row.project),
            organization: Some(row.organization),
            webhook: Some(row.id),
            ..DeliveryFilter::default()
        };
        let found = app.store.read(log::deliveries(&filter, SHOWN, SCAN)).await?;
        let now = app.now();
        Ok(Page {
            shell: Shell::new(operator, PATH, name_of(t, &row.settings)),
            t,
            id: row.id.to_string(),
            name: name_of(t, &row.settings),
            url: row.settings.url.clone(),
            standing: Standing::of(row.status, row.failing_since),
            reason: row.status_reason.clone(),
            failing_since: row.failing_since.map(Moment::from),
            on: row.status.takes_events(),
            events: OPERATOR_EVENTS,
            draft: Draft::of(webhook),
            signed: webhook.credentials.secrets.iter().any(|secret| secret.is_live(now)),
            secrets: None,
            rows: rows(app, operator, found).await?,
        })
    }

    fn ticked(&self, event: &str) -> bool {
        self.draft.events.iter().any(|known| known == event)
    }
}

async fn show(State(app): State<Arc<App>>, operator: Operator, Path(id): Path<String>, uri: Uri) -> Answer {
    let notice = match Form::parse(uri.query().unwrap_or_default().as_bytes()).get("done") {
        "saved" => Some("The changes were saved."),
        "rotated" => Some("The secret was replaced. The one before still signs for the time that was chosen."),
        _ => None,
    };
    let webhook = service::seen(&app, &place(&app, &operator).await?, &id).await?;
    let shown = Page::of(&app, &operator, &webhook).await?;
    page(&Page { shell: shown.shell.saying(notice), ..shown })
}

async fn save(State(app): State<Arc<App>>, Path(id): Path<String>, Change(operator, form): Change) -> Answer {
    let place = place(&app, &operator).await?;
    match service::edit(&app, &place, &id, &input(&form)).await {
        Ok(_) => Ok(Redirect::to(&format!("{PATH}/{id}?done=saved")).into_response()),
        Err(error) => {
            let refused = Refused::of(operator.t, error)?;
            let webhook = service::managed(&app, &place, &id).await?;
            let shown = Page::of(&app, &operator, &webhook).await?;
            let shell = shown.shell.faulting(&refused, &FIELDS);
            refused.answer(&Page { shell, draft: Draft::typed(&form), ..shown })
        }
    }
}

/// Sends it an example, and shows what becomes of it.
async fn test(State(app): State<Arc<App>>, Path(id): Path<String>, Change(operator, form): Change) -> Answer {
    let webhook = service::managed(&app, &place(&app, &operator).await?, &id).await?;
    let delivery = sending::try_out_report(&app, &webhook, form.get("event_type")).await?;
    Ok(Redirect::to(&format!("/console/deliveries/{delivery}")).into_response())
}

async fn reveal(State(app): State<Arc<App>>, Path(id): Path<String>, Change(operator, _): Change) -> Answer {
    let webhook = service::managed(&app, &place(&app, &operator).await?, &id).await?;
    tracing::info!(webhook = %webhook.row.id, by = %operator.session.id, "a secret was revealed at the console");
    let now = app.now();
    let live = webhook.credentials.secrets.iter().filter(|secret| secret.is_live(now));
    let secrets = live.map(|secret| (secret.value.clone(), secret.expires_at.map(Moment::from))).collect();
    page(&Page { secrets: Some(secrets), ..Page::of(&app, &operator, &webhook).await? })
}

/// Replaces its secret. One that was typed is not shown again.
async fn rotate(State(app): State<Arc<App>>, Path(id): Path<String>, Change(operator, form): Change) -> Answer {
    let place = place(&app, &operator).await?;
    let refused = match Replacing::sent(&form).rotation(operator.t) {
        Ok(rotation) => match service::rotate(&app, &place, &id, &rotation).await {
            Ok(_) => {
                tracing::info!(webhook = id, by = %operator.session.id, "a secret was replaced at the console");
                return Ok(Redirect::to(&format!("{PATH}/{id}?done=rotated")).into_response());
            }
            Err(error) => Refused::of(operator.t, error)?,
        },
        Err(error) => Refused::by_fields(vec![error]),
    };
    let webhook = service::managed(&app, &place, &id).await?;
    let shown = Page::of(&app, &operator, &webhook).await?;
    refused.answer(&Page { shell: shown.shell.faulting(&refused, &SECRET_FIELDS), ..shown })
}
