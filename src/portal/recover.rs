//! `/portal/webhooks/{webhook}/recover`: sending a webhook what it did not get since a time, counted before it is begun.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::get;
use fanfare_engine::access::Action;
use fanfare_engine::delivery::State as DeliveryState;
use fanfare_engine::id::WebhookId;
use fanfare_store::catalogue::jobs::{Recovery, Task};

use super::Answer;
use super::deliveries::read_time;
use super::faults::{Faults, Refused};
use super::form::Form;
use super::refusal::Refusal;
use super::shell::{Section, Shell, page};
use super::texts::{Texts, fill};
use super::visitor::Visitor;
use super::webhooks::name_of;
use super::words::time_field;
use super::{job, reach, words};
use crate::app::App;
use crate::catalogue::jobs;
use crate::catalogue::webhooks::OpenWebhook;

/// The states that may be sent again; those that the receiver did not accept come first and are chosen at first.
const STATES: [DeliveryState; 4] =
    [DeliveryState::Exhausted, DeliveryState::Skipped, DeliveryState::Cancelled, DeliveryState::Delivered];
/// How many of them are chosen at first.
const CHOSEN: usize = 3;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/portal/webhooks/{webhook}/recover", get(show).post(start))
}

#[derive(Template)]
#[template(path = "portal/recover.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    id: String,
    name: String,
    since: String,
    until: String,
    /// Names, labels, and whether they are chosen.
    states: Vec<(&'static str, &'static str, bool)>,
    faults: Faults,
    /// How many deliveries it is about, in words, and whether there are any.
    counted: Option<(String, bool)>,
    takes_events: bool,
}

/// What was asked for.
enum Asked {
    /// Nothing yet.
    Nothing,
    Unclear(Faults),
    Clear(Recovery),
}

/// The states that are chosen.
fn chosen(form: &Form) -> Vec<DeliveryState> {
    match form.has("since") {
        true => STATES.into_iter().filter(|state| form.all("state").any(|name| name == state.name())).collect(),
        false => STATES[..CHOSEN].to_vec(),
    }
}

/// Reads the fields, which are the same in the address and in the form.
fn read(t: &Texts, webhook: WebhookId, form: &Form) -> Asked {
    if !form.has("since") {
        return Asked::Nothing;
    }
    let mut faults = Faults::default();
    let [since, until] = ["since", "until"].map(|name| {
        let text = form.given(name)?;
        let read = read_time(text);
        if read.is_none() {
            faults.add(name, &fill(t.deliveries.bad_time, &[("value", &text)]));
        }
        read
    });
    if form.given("since").is_none() {
        faults.add("since", t.recover.since_needed);
    }
    if let (Some(since), Some(until)) = (since, until)
        && until <= since
    {
        faults.add("until", t.recover.until_earlier);
    }
    match since {
        Some(since) if !faults.any() => Asked::Clear(Recovery { webhook, since, until, states: chosen(form) }),
        _ => Asked::Unclear(faults),
    }
}

async fn show(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>, uri: Uri) -> Answer {
    let webhook = reach::webhook(&app, &visitor, &id, Action::Manage).await?;
    let form = Form::parse(uri.query().unwrap_or_default().as_bytes());
    let shown = Page::of(&app, &visitor, &webhook, &form).await?;
    shown.answer(if shown.faults.any() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK })
}

async fn start(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>, form: Form) -> Answer {
    let webhook = reach::webhook(&app, &visitor, &id, Action::Manage).await?;
    let t = visitor.t;
    let refused = match read(t, webhook.row.id, &form) {
        Asked::Clear(_) if !webhook.row.status.takes_events() => Refused::whole(StatusCode::CONFLICT, t.recover.off),
        Asked::Clear(recovery) => {
            match jobs::start_once(&app, visitor.project.id, visitor.organization.id, Task::Recover(recovery)).await {
                Ok(job) => return Ok(Redirect::to(&job::path(job.id)).into_response()),
                Err(error) => Refused::of(t, error)?,
            }
        }
        Asked::Nothing | Asked::Unclear(_) => Refused::by_fields(Vec::new()),
    };
    let mut shown = Page::of(&app, &visitor, &webhook, &form).await?;
    for error in &refused.errors {
        shown.faults.add("", &error.message);
    }
    shown.answer(refused.status)
}

impl Page {
    async fn of(app: &App, visitor: &Visitor, webhook: &OpenWebhook, form: &Form) -> Result<Page, Refusal> {
        let t = visitor.t;
        let row = &webhook.row;
        let (faults, counted) = match read(t, row.id, form) {
            Asked::Nothing => (Faults::default(), None),
            Asked::Unclear(faults) => (faults, None),
            Asked::Clear(recovery) => {
                let own = Some(visitor.organization.id);
                let count = jobs::count(app, visitor.project.id, own, &Task::Recover(recovery)).await?;
                (Faults::default(), Some((job::counted(t, count), count.count > 0 || count.more)))
            }
        };
        let name = name_of(t, &row.settings);
        let chosen = chosen(form);
        Ok(Page {
            shell: Shell::new(visitor, Section::Webhooks, format!("{} · {name}", t.recover.title)),
            t,
            id: row.id.to_string(),
            name,
            since: time_field(form.get("since")),
            until: time_field(form.get("until")),
            states: STATES.map(|state| (state.name(), words::state(t, state), chosen.contains(&state))).to_vec(),
            faults,
            counted,
            takes_events: row.status.takes_events(),
        })
    }

    fn answer(&self, status: StatusCode) -> Answer {
        Ok((status, page(self)?).into_response())
    }

    /// What is wrong with a field.
    fn error(&self, field: &str) -> Option<&str> {
        self.faults.at(field)
    }

    /// The attributes that a field has for what is wrong with it.
    fn marks(&self, field: &str) -> String {
        self.faults.marks(field)
    }
}
