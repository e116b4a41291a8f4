//! `/v1/jobs`: bulk work, looked at and cancelled; and what is answered where it is asked for.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use fanfare_engine::access::Action;
use fanfare_engine::id::{JobId, OrganizationId};
use fanfare_engine::time::Timestamp;
use fanfare_store::catalogue::jobs::{Job, Task};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Manager, Principal, Reader};
use super::problem::{Answer, Problem};
use super::request::PathParts;
use crate::app::App;
use crate::catalogue::access::Actor;
use crate::catalogue::jobs;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(get)).routes(routes!(cancel))
}

/// Bulk work, done piece by piece. It goes on after a restart.
#[derive(Serialize, ToSchema)]
#[schema(as = Job)]
struct JobBody {
    #[schema(value_type = String)]
    id: JobId,
    /// `resend`, `cancel` or `recover`.
    kind: &'static str,
    /// The one organization that it is about; null for all of the project.
    #[schema(value_type = Option<String>)]
    organization: Option<OrganizationId>,
    /// `running` (or waiting for its turn), `completed`, `cancelled` or `failed`.
    state: &'static str,
    /// Deliveries that it has made due, or has cancelled. What is being sent is left alone.
    done: u64,
    /// How many it was about when it was made; null where that was too much to count.
    total: Option<u64>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    #[schema(value_type = String, format = "date-time")]
    updated_at: Timestamp,
}

impl From<Job> for JobBody {
    fn from(job: Job) -> Self {
        JobBody {
            id: job.id,
            kind: job.task.name(),
            organization: job.organization,
            state: job.state.name(),
            done: job.done,
            total: job.total,
            error: job.error,
            created_at: job.created_at,
            updated_at: job.updated_at,
        }
    }
}

/// A job that was made.
#[derive(Serialize, ToSchema)]
pub(super) struct JobReceipt {
    /// Behind `/v1/jobs/{job}`.
    #[schema(value_type = String)]
    job_id: JobId,
}

/// How many deliveries a job would be about.
#[derive(Serialize, ToSchema)]
pub(super) struct Preview {
    /// At most 10000.
    count: u32,
    /// There may be more: only so many were looked at.
    more: bool,
}

/// Makes a job of a task, or only says how much it is about.
pub(super) async fn start_or_preview(
    app: &App,
    principal: &Principal,
    organization: Option<OrganizationId>,
    task: Task,
    preview: bool,
) -> Answer<Response> {
    if preview {
        let jobs::Count { count, more } = jobs::count(app, principal.project, organization, &task).await?;
        return Ok(Json(Preview { count, more }).into_response());
    }
    let job = jobs::start(app, principal.project, organization, task).await?;
    Ok((StatusCode::ACCEPTED, Json(JobReceipt { job_id: job.id })).into_response())
}

/// A job, and how far it got.
#[utoipa::path(get, path = "/v1/jobs/{job}", tag = "Jobs", params(("job" = String, Path, description = "The job's id")),
    responses((status = 200, body = JobBody)))]
async fn get(
    State(app): State<Arc<App>>,
    Reader(principal): Reader,
    PathParts(job): PathParts<String>,
) -> Answer<Json<JobBody>> {
    Ok(Json(find(&app, &principal, &job, Action::See).await?.into()))
}

/// Stops a job. What it did stays done.
#[utoipa::path(post, path = "/v1/jobs/{job}/cancel", tag = "Jobs",
    params(("job" = String, Path, description = "The job's id")),
    responses((status = 200, body = JobBody), (status = 409, description = "It has ended already")))]
async fn cancel(
    State(app): State<Arc<App>>,
    Manager(principal): Manager,
    PathParts(text): PathParts<String>,
) -> Answer<Json<JobBody>> {
    let job = find(&app, &principal, &text, Action::Manage).await?;
    jobs::cancel(&app, &job).await?;
    Ok(Json(find(&app, &principal, &text, Action::Manage).await?.into()))
}

/// The job that a path names. A user may look at what recovers webhooks, and stop it, as the webhook's rules say; other jobs
/// are the host's.
async fn find(app: &App, principal: &Principal, text: &str, action: Action) -> Answer<Job> {
    let job = jobs::find(app, principal.project, principal.organization, text).await?;
    if principal.user.is_none() {
        return Ok(job);
    }
    let (Task::Recover(recovery), Some(organization)) = (&job.task, job.organization) else {
        principal.require_host()?;
        return Ok(job);
    };
    let actor = Actor::of(app, organization, principal.user.as_deref()).await?;
    let compiled = app.compiled().organization(organization).await?;
    let compiled = compiled.ok_or_else(|| Problem::not_found("job"))?;
    match compiled.webhook(recovery.webhook).map(|known| &known.webhook) {
        Some(webhook) => {
            actor.may(app, organization, &webhook.profile, webhook.settings.filter.as_ref(), action).await?;
        }
        None => actor.may_everywhere(&compiled, action)?,
    }
    Ok(job)
}
