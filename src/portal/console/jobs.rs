//! `/console/jobs`: bulk work, how far it is, and a way to stop it.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{get, post};
use fanfare_engine::id::{OrganizationId, WebhookId};
use fanfare_engine::time::Timestamp;
use fanfare_store::catalogue::Page as Piece;
use fanfare_store::catalogue::jobs::{self as rows, JobState, Task};
use fanfare_store::catalogue::labels::{OrganizationLabel, WebhookLabel};
use fanfare_store::log::Search;

use super::Answer;
use super::names;
use super::operator::{Change, Operator};
use super::shell::Shell;
use crate::app::App;
use crate::catalogue::{CatalogueResult, jobs as service};
use crate::portal::form::Form;
use crate::portal::shell::page;
use crate::portal::texts::Texts;
use crate::portal::wanted::Wanted;
use crate::portal::words::{self, Moment};

pub(super) const PATH: &str = "/console/jobs";
/// How many a page shows.
const SHOWN: u32 = 50;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, get(list)).route("/console/jobs/{job}/cancel", post(cancel))
}

#[derive(Template)]
#[template(path = "console/jobs.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    wanted: Wanted,
    rows: Vec<Row>,
    /// Whether any runs, so that there is soon more to see.
    under_way: bool,
    older: Option<String>,
}

struct Row {
    id: String,
    what: &'static str,
    /// What it is about, in words.
    about: Vec<About>,
    state: &'static str,
    /// The class of its mark.
    class: &'static str,
    done: u64,
    total: Option<u64>,
    error: Option<String>,
    created: Moment,
    running: bool,
}

/// A part of what a job is about: the kind of thing, what it is called, and where it is shown.
struct About {
    label: &'static str,
    text: String,
    href: Option<String>,
}

impl About {
    fn new(label: &'static str, text: impl Into<String>) -> About {
        About { label, text: text.into(), href: None }
    }
}

/// What the organizations and webhooks of the jobs are called.
struct Names {
    organizations: BTreeMap<OrganizationId, OrganizationLabel>,
    webhooks: BTreeMap<WebhookId, WebhookLabel>,
}

impl Names {
    async fn of(app: &App, operator: &Operator, jobs: &[rows::Job]) -> CatalogueResult<Names> {
        let webhooks = names::webhooks(app, operator, jobs.iter().filter_map(webhook_of)).await?;
        let owners = webhooks.values().map(|webhook| webhook.organization);
        let named = jobs.iter().filter_map(organization_of).chain(owners);
        Ok(Names { organizations: names::organizations(app, operator, named).await?, webhooks })
    }

    /// What a job is about. What was deleted since is said by its id.
    fn about(&self, t: &Texts, job: &rows::Job) -> Vec<About> {
        let mut about = Vec::new();
        let webhook = webhook_of(job);
        let known = webhook.and_then(|id| self.webhooks.get(&id));
        if let Some(id) = organization_of(job).or(known.map(|webhook| webhook.organization)) {
            let label = self.organizations.get(&id);
            about.push(About {
                href: label.filter(|label| !label.operator).map(|_| format!("/console/organizations/{id}")),
                ..About::new("Organization", label.map_or_else(|| id.to_string(), |label| label.name.clone()))
            });
        }
        if let Some(id) = webhook {
            let name = known.map_or_else(|| id.to_string(), names::of_webhook);
            let href = Some(format!("/console/deliveries?webhook={id}"));
            about.push(About { href, ..About::new("Webhook", name) });
        }
        match &job.task {
            Task::Resend(filter) | Task::Cancel(filter) => {
                about.extend(filter.search.iter().map(|search| match search {
                    Search::Delivery(id) => About::new("Delivery", id.to_string()),
                    Search::Text(text) => About::new("Search", text.clone()),
                }));
                about.extend(filter.event.map(|event| About::new("Event", event.to_string())));
                about.extend(filter.event_type.iter().map(|name| About::new("Event type", name.clone())));
                about.extend(filter.state.map(|state| About::new("State", words::state(t, state))));
                about.extend(filter.response_code.map(|code| About::new("Response", code.to_string())));
                about.extend(span(filter.since, filter.until));
            }
            Task::Recover(recovery) => about.extend(span(Some(recovery.since), recovery.until)),
        }
        if about.is_empty() {
            about.push(About::new("All", "of this project"));
        }
        about
    }
}

fn webhook_of(job: &rows::Job) -> Option<WebhookId> {
    match &job.task {
        Task::Resend(filter) | Task::Cancel(filter) => filter.webhook,
        Task::Recover(recovery) => Some(recovery.webhook),
    }
}

fn organization_of(job: &rows::Job) -> Option<OrganizationId> {
    match &job.task {
        Task::Resend(filter) | Task::Cancel(filter) => filter.organization.or(job.organization),
        Task::Recover(_) => job.organization,
    }
}

/// The time that it is limited to.
fn span(since: Option<Timestamp>, until: Option<Timestamp>) -> Option<About> {
    let said = |at: Timestamp| format!("{} UTC", Moment::from(at).utc);
    match (since.map(said), until.map(said)) {
        (None, None) => None,
        (Some(since), None) => Some(About::new("Since", since)),
        (None, Some(until)) => Some(About::new("Before", until)),
        (Some(since), Some(until)) => Some(About::new("From", format!("{since} to {until}"))),
    }
}

async fn list(State(app): State<Arc<App>>, operator: Operator, uri: Uri) -> Answer {
    let t = operator.t;
    let project = operator.project.id;
    let wanted = Wanted::of(&[], &uri);
    let list = format!("console jobs {project}");
    let before = wanted.cursor().and_then(|cursor| app.vault.read_cursor(&list, cursor));
    let mut found = app.store.read(rows::list(project, Piece { before, limit: SHOWN + 1 })).await?;
    let more = found.len() > SHOWN as usize;
    found.truncate(SHOWN as usize);
    let last = found.last().map(|job| job.id.0).filter(|_| more);
    let older = last.map(|id| wanted.href(PATH, Some(&app.vault.cursor(&list, id))));
    let notice = match Form::parse(uri.query().unwrap_or_default().as_bytes()).get("done") {
        "cancelled" => Some("The job was stopped. What it did stays done."),
        "begun" => Some("The job was begun."),
        _ => None,
    };
    let names = Names::of(&app, &operator, &found).await?;
    let show = |job: rows::Job| {
        let (state, class) = match job.state {
            JobState::Running => ("Running", "delivering"),
            JobState::Completed => ("Done", "delivered"),
            JobState::Cancelled => ("Stopped", "cancelled"),
            JobState::Failed => ("Failed", "exhausted"),
        };
        Row {
            id: job.id.to_string(),
            what: match job.task {
                Task::Resend(_) => "Send deliveries again",
                Task::Cancel(_) => "Cancel deliveries",
                Task::Recover(_) => "Recover a webhook",
            },
            about: names.about(t, &job),
            state,
            class,
            done: job.done,
            total: job.total,
            error: job.error,
            created: job.created_at.into(),
            running: job.state == JobState::Running,
        }
    };
    let rows: Vec<Row> = found.into_iter().map(show).collect();
    let shell = Shell::new(&operator, PATH, "Jobs").saying(notice);
    page(&Page { shell, t, wanted, under_way: rows.iter().any(|row| row.running), rows, older })
}

async fn cancel(State(app): State<Arc<App>>, Path(job): Path<String>, Change(operator, _): Change) -> Answer {
    let job = service::find(&app, operator.project.id, None, &job).await?;
    service::cancel(&app, &job).await?;
    Ok(Redirect::to(&format!("{PATH}?done=cancelled")).into_response())
}
