//! `/console/alerts`: the operator's own webhooks, by which Fanfare tells of what goes wrong in it.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{get, post};
use fanfare_engine::webhook::Events;
use fanfare_store::catalogue::Page as Piece;
use fanfare_store::catalogue::webhooks::WebhookFilter;

use super::Answer;
use super::faults::Field;
use super::operator::{Change, Operator};
use super::shell::Shell;
use crate::app::App;
use crate::catalogue::webhooks::{self as service, OPERATOR_EVENTS, Place, Switch, WebhookInput};
use crate::catalogue::{CatalogueResult, organizations};
use crate::portal::faults::Refused;
use crate::portal::form::Form;
use crate::portal::shell::page;
use crate::portal::texts::Texts;
use crate::portal::webhooks::name_of;
use crate::portal::words::{Moment, Standing};

pub(super) const PATH: &str = "/console/alerts";
/// What the form has.
pub(super) const FIELDS: [Field; 3] = [("name", "Name"), ("url", "URL"), ("events", "Events")];
/// How many are shown; nobody needs as many.
const SHOWN: u32 = 250;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route(PATH, get(list).post(add))
        .route("/console/alerts/{webhook}/switch", post(turn))
        .route("/console/alerts/{webhook}/delete", post(delete))
}

#[derive(Template)]
#[template(path = "console/alerts.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    rows: Vec<Row>,
    events: [&'static str; 2],
    draft: Form,
    /// The secret of the one that was just added.
    made: Option<String>,
}

struct Row {
    id: String,
    name: String,
    url: String,
    events: String,
    standing: Standing,
    failing_since: Option<Moment>,
    on: bool,
}

/// Where the operator's own webhooks of the project are.
pub(super) async fn place(app: &App, operator: &Operator) -> CatalogueResult<Place> {
    let organization = organizations::operator(app, operator.project.id).await?;
    let (project, organization) = (operator.project.id, organization.id);
    Ok(Place { project, organization, operator: true, user: None, imports: false })
}

async fn list(State(app): State<Arc<App>>, operator: Operator, uri: Uri) -> Answer {
    let notice = match Form::parse(uri.query().unwrap_or_default().as_bytes()).get("done") {
        "deleted" => Some("The webhook was deleted."),
        _ => None,
    };
    let shell = Shell::new(&operator, PATH, "Alerts").saying(notice);
    page(&Page::of(&app, &operator, shell, Form::default()).await?)
}

impl Page {
    async fn of(app: &App, operator: &Operator, shell: Shell, draft: Form) -> CatalogueResult<Page> {
        let t = operator.t;
        let newest = Piece { before: None, limit: SHOWN };
        let found = service::rows_in(app, &place(app, operator).await?, WebhookFilter::default(), newest).await?.rows;
        let rows = found.into_iter().map(|row| Row {
            id: row.id.to_string(),
            name: name_of(t, &row.settings),
            events: match &row.settings.events {
                Events::All => "all".to_owned(),
                Events::Only(names) => names.join(", "),
            },
            standing: Standing::of(row.status, row.failing_since),
            failing_since: row.failing_since.map(Moment::from),
            on: row.status.takes_events(),
            url: row.settings.url,
        });
        Ok(Page { shell, t, rows: rows.collect(), events: OPERATOR_EVENTS, draft, made: None })
    }

    /// Whether the form has this event ticked; at first all are.
    fn ticked(&self, event: &str) -> bool {
        !self.draft.has("url") || self.draft.all("event").any(|known| known == event)
    }
}

async fn add(State(app): State<Arc<App>>, Change(operator, form): Change) -> Answer {
    let shell = Shell::new(&operator, PATH, "Alerts");
    match service::create(&app, &place(&app, &operator).await?, input(&form)).await {
        Ok((_, made)) => {
            let shell = shell.saying(Some("The webhook was added."));
            page(&Page { made, ..Page::of(&app, &operator, shell, Form::default()).await? })
        }
        Err(error) => {
            let refused = Refused::of(operator.t, error)?;
            let shell = shell.faulting(&refused, &FIELDS);
            refused.answer(&Page::of(&app, &operator, shell, form).await?)
        }
    }
}

/// What a form says of a webhook.
pub(super) fn input(form: &Form) -> WebhookInput {
    let ticked = |name: &&str| form.all("event").any(|known| known == *name);
    let events: Vec<String> = OPERATOR_EVENTS.into_iter().filter(ticked).map(str::to_owned).collect();
    WebhookInput {
        name: Some(form.get("name").trim().to_owned()),
        url: Some(form.get("url").trim().to_owned()),
        events: Some(if events.len() == OPERATOR_EVENTS.len() { Events::All } else { Events::Only(events) }),
        ..WebhookInput::default()
    }
}

async fn turn(State(app): State<Arc<App>>, Path(id): Path<String>, Change(operator, form): Change) -> Answer {
    let to = if form.get("to") == "on" { Switch::Enable } else { Switch::Disable };
    service::switch(&app, &place(&app, &operator).await?, &id, to).await?;
    let back = if form.get("from") == "page" { format!("{PATH}/{id}") } else { PATH.to_owned() };
    Ok(Redirect::to(&back).into_response())
}

async fn delete(State(app): State<Arc<App>>, Path(id): Path<String>, Change(operator, _): Change) -> Answer {
    service::delete(&app, &place(&app, &operator).await?, &id).await?;
    Ok(Redirect::to(&format!("{PATH}?done=deleted")).into_response())
}
