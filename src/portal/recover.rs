//! `/portal/webhooks/{webhook}/recover`: sending a webhook what it did not get since a time, counted before it is begun.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::get;
use fanfare_engine::access::Action;
use fanfare_engine::delivery::State as DeliveryState;
use fanfare_engine::id::WebhookId;
use fanfare_engine::time::Timestamp;
use fanfare_store::catalogue::jobs::{Recovery, Task};

use super::Answer;
use super::deliveries::read_time;
use super::form::Form;
use super::refusal::Refusal;
use super::shell::{Section, Shell, page};
use super::texts::{Texts, fill};
use super::visitor::Visitor;
use super::webhooks::name_of;
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
    faults: Vec<String>,
    /// How many deliveries it is about, in words, and whether there are any.
    counted: Option<(String, bool)>,
    takes_events: bool,
}

/// What was asked for.
struct Asked {
    states: Vec<DeliveryState>,
    /// Outer `None` where nothing was asked yet.
    recovery: Option<Result<Recovery, Vec<String>>>,
}

/// Reads the fields, which are the same in the address and in the form.
fn read(t: &Texts, webhook: WebhookId, form: &Form) -> Asked {
    if !form.has("since") {
        return Asked { states: STATES[..CHOSEN].to_vec(), recovery: None };
    }
    let states: Vec<DeliveryState> =
        STATES.into_iter().filter(|state| form.all("state").any(|name| name == state.name())).collect();
    let mut faults = Vec::new();
    let mut time = |name| {
        let text: Option<&str> = form.given(name);
        let read: Option<Timestamp> = text.and_then(read_time);
        if let (Some(text), None) = (text, read) {
            faults.push(fill(t.deliveries.bad_time, &[("value", &text)]));
        }
        read
    };
    let (since, until) = (time("since"), time("until"));
    if form.given("since").is_none() {
        faults.push(t.recover.since_needed.to_owned());
    }
    if let (Some(since), Some(until)) = (since, until)
        && until <= since
    {
        faults.push(t.recover.until_earlier.to_owned());
    }
    let recovery = match since {
        Some(since) if faults.is_empty() => Ok(Recovery { webhook, since, until, states: states.clone() }),
        _ => Err(faults),
    };
    Asked { states, recovery: Some(recovery) }
}

async fn show(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>, uri: Uri) -> Answer {
    let webhook = reach::webhook(&app, &visitor, &id, Action::Manage).await?;
    let form = Form::parse(uri.query().unwrap_or_default().as_bytes());
    page(&Page::of(&app, &visitor, &webhook, &form).await?)
}

async fn start(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>, form: Form) -> Answer {
    let webhook = reach::webhook(&app, &visitor, &id, Action::Manage).await?;
    let Some(Ok(recovery)) = read(visitor.t, webhook.row.id, &form).recovery else {
        return page(&Page::of(&app, &visitor, &webhook, &form).await?);
    };
    if !webhook.row.status.takes_events() {
        return Err(Refusal::State(visitor.t.recover.off.to_owned()));
    }
    let own = Some(visitor.organization.id);
    let made = jobs::start(&app, visitor.project.id, own, Task::Recover(recovery)).await?;
    Ok(Redirect::to(&job::path(made.id)).into_response())
}

impl Page {
    async fn of(app: &App, visitor: &Visitor, webhook: &OpenWebhook, form: &Form) -> Result<Page, Refusal> {
        let t = visitor.t;
        let row = &webhook.row;
        let asked = read(t, row.id, form);
        let (faults, counted) = match asked.recovery {
            None => (Vec::new(), None),
            Some(Err(faults)) => (faults, None),
            Some(Ok(recovery)) => {
                let count = jobs::count(app, &Task::Recover(recovery)).await?;
                (Vec::new(), Some((job::counted(t, count), count.count > 0 || count.more)))
            }
        };
        let name = name_of(t, &row.settings);
        Ok(Page {
            shell: Shell::new(visitor, Section::Webhooks, format!("{} · {name}", t.recover.title)),
            t,
            id: row.id.to_string(),
            name,
            since: form.get("since").to_owned(),
            until: form.get("until").to_owned(),
            states: STATES.map(|state| (state.name(), words::state(t, state), asked.states.contains(&state))).to_vec(),
            faults,
            counted,
            takes_events: row.status.takes_events(),
        })
    }
}
