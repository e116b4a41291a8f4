//! `/console/jobs`: bulk work, how far it is, and a way to stop it.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{get, post};
use fanfare_store::catalogue::Page as Piece;
use fanfare_store::catalogue::jobs::{self as rows, JobState, Task};

use super::Answer;
use super::operator::{Change, Operator};
use super::shell::Shell;
use crate::app::App;
use crate::catalogue::jobs as service;
use crate::portal::form::Form;
use crate::portal::shell::page;
use crate::portal::texts::Texts;
use crate::portal::wanted::Wanted;
use crate::portal::words::Moment;

const PATH: &str = "/console/jobs";
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
    older: Option<String>,
}

struct Row {
    id: String,
    what: &'static str,
    state: &'static str,
    /// The class of its mark.
    class: &'static str,
    done: u64,
    total: Option<u64>,
    error: Option<String>,
    created: Moment,
    running: bool,
}

async fn list(State(app): State<Arc<App>>, operator: Operator, uri: Uri) -> Answer {
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
        _ => None,
    };
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
            state,
            class,
            done: job.done,
            total: job.total,
            error: job.error,
            created: job.created_at.into(),
            running: job.state == JobState::Running,
        }
    };
    let shell = Shell::new(&operator, PATH, "Jobs").saying(notice);
    page(&Page { shell, t: operator.t, wanted, rows: found.into_iter().map(show).collect(), older })
}

async fn cancel(State(app): State<Arc<App>>, Path(job): Path<String>, Change(operator, _): Change) -> Answer {
    let job = service::find(&app, operator.project.id, None, &job).await?;
    service::cancel(&app, &job).await?;
    Ok(Redirect::to(&format!("{PATH}?done=cancelled")).into_response())
}
