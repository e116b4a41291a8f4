//! `/portal/jobs/{job}`: how far bulk work got, and stopping it.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{get, post};
use fanfare_engine::access::Action;
use fanfare_engine::id::{JobId, WebhookId};
use fanfare_store::catalogue::jobs::{Job, JobState, Task};

use super::Answer;
use super::form::Form;
use super::reach;
use super::shell::{Section, Shell, page};
use super::texts::{Texts, counted as words_for, fill};
use super::visitor::Visitor;
use super::words::Moment;
use crate::app::App;
use crate::catalogue::jobs::{self, Count};
use crate::catalogue::{CatalogueError, CatalogueResult};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/portal/jobs/{job}", get(show)).route("/portal/jobs/{job}/cancel", post(cancel))
}

#[derive(Template)]
#[template(path = "portal/job.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    id: String,
    title: &'static str,
    running: bool,
    /// The look of its state, and the state in words.
    state: (&'static str, &'static str),
    done: u64,
    total: Option<u64>,
    progress: String,
    error: Option<String>,
    started: Moment,
    /// Where its deliveries are listed.
    deliveries: String,
}

async fn show(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>) -> Answer {
    let job = find(&app, &visitor, &id, Action::See).await?;
    let t = visitor.t;
    let j = &t.job;
    let title = match &job.task {
        Task::Resend(_) => j.resend,
        Task::Cancel(_) => j.cancel_many,
        Task::Recover(_) => j.recover,
    };
    let webhook = webhook_of(&job);
    page(&Page {
        shell: Shell::new(&visitor, Section::Deliveries, title),
        t,
        id: job.id.to_string(),
        title,
        running: job.state == JobState::Running,
        state: match job.state {
            JobState::Running => ("delivering", j.running),
            JobState::Completed => ("delivered", j.completed),
            JobState::Cancelled => ("cancelled", j.cancelled),
            JobState::Failed => ("exhausted", j.failed),
        },
        done: job.done,
        total: job.total.filter(|total| *total > 0),
        progress: match job.total {
            Some(total) => fill(j.of, &[("done", &job.done), ("total", &total)]),
            None => words_for(j.one, j.many, job.done),
        },
        error: job.error,
        started: job.created_at.into(),
        deliveries: match webhook {
            Some(webhook) => format!("/portal/deliveries?webhook={webhook}"),
            None => "/portal/deliveries".to_owned(),
        },
    })
}

async fn cancel(State(app): State<Arc<App>>, visitor: Visitor, Path(id): Path<String>, _form: Form) -> Answer {
    let job = find(&app, &visitor, &id, Action::Manage).await?;
    match jobs::cancel(&app, &job).await {
        // It ended while its page was looked at, which the page now says.
        Ok(()) | Err(CatalogueError::State(_)) => Ok(Redirect::to(&path(job.id)).into_response()),
        Err(error) => Err(error.into()),
    }
}

/// The job of the visitor's organization that `text` names, for one who may do this with all that it is about.
async fn find(app: &App, visitor: &Visitor, text: &str, action: Action) -> CatalogueResult<Job> {
    let job = jobs::find(app, visitor.project.id, Some(visitor.organization.id), text).await?;
    reach::many(app, visitor, webhook_of(&job), action).await?;
    Ok(job)
}

/// The one webhook that a job is about.
fn webhook_of(job: &Job) -> Option<WebhookId> {
    match &job.task {
        Task::Recover(recovery) => Some(recovery.webhook),
        Task::Resend(filter) | Task::Cancel(filter) => filter.webhook,
    }
}

/// How many deliveries work is about, in words.
pub(super) fn counted(t: &Texts, count: Count) -> String {
    match count.more {
        true => fill(t.job.more_than, &[("n", &count.count)]),
        false => words_for(t.job.one, t.job.many, count.count.into()),
    }
}

/// The page of a job.
pub(super) fn path(id: JobId) -> String {
    format!("/portal/jobs/{id}")
}
