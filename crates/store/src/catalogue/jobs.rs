//! Jobs: bulk work that goes on piece by piece; see [`Operation::Work`](crate::queue::Operation::Work).

use fanfare_engine::delivery::State;
use fanfare_engine::id::{JobId, OrganizationId, ProjectId, WebhookId};
use fanfare_engine::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Conditions, Page, decode_int, document, must, parse_document, query, step};
use crate::arguments;
use crate::error::{StoreError, StoreResult};
use crate::log::DeliveryFilter;
use crate::query::{Change, Query, Row};

/// How many jobs of a project that ended too long ago go when another one is made.
const FORGOTTEN_AT_ONCE: i64 = 100;

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Send deliveries once more.
    Resend(DeliveryFilter),
    /// Cancel deliveries that are not final.
    Cancel(DeliveryFilter),
    /// Send a webhook what it did not get.
    Recover(Recovery),
}

impl Task {
    /// The word for it in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Task::Resend(_) => "resend",
            Task::Cancel(_) => "cancel",
            Task::Recover(_) => "recover",
        }
    }
}

/// What a webhook is to get of the events since a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    pub webhook: WebhookId,
    /// Events accepted at this time or later.
    pub since: Timestamp,
    /// Events accepted before this time; `None` for all up to the job.
    pub until: Option<Timestamp>,
    /// Deliveries in these states are sent again.
    pub states: Vec<State>,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// At work, or waiting for its turn.
    Running,
    Completed,
    Cancelled,
    Failed,
}

impl JobState {
    pub const ALL: [JobState; 4] = [JobState::Running, JobState::Completed, JobState::Cancelled, JobState::Failed];

    /// The word for it in the API and in the database.
    pub fn name(self) -> &'static str {
        match self {
            JobState::Running => "running",
            JobState::Completed => "completed",
            JobState::Cancelled => "cancelled",
            JobState::Failed => "failed",
        }
    }
}

/// A job as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub id: JobId,
    pub project: ProjectId,
    /// The one organization that it is about; `None` for all of the project.
    pub organization: Option<OrganizationId>,
    pub task: Task,
    pub state: JobState,
    /// The id of the last delivery or event that it looked at; 0 at first.
    pub position: i64,
    /// Deliveries that were made due or cancelled.
    pub done: u64,
    /// How many it will have looked at; `None` where that was too much to count.
    pub total: Option<u64>,
    /// Why it failed, for people.
    pub error: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

const COLUMNS: &str = "id, project_id, organization_id, parameters, state, position, done, total, error, created_at, \
     updated_at";

fn decode(row: &dyn Row) -> StoreResult<Job> {
    let damaged = |what: &str| StoreError::Damaged(format!("a job has {what}"));
    let count = |value: i64| u64::try_from(value).map_err(|_| damaged("a count below zero"));
    let state = row.text(4)?;
    Ok(Job {
        id: JobId(row.int(0)?),
        project: ProjectId(row.int(1)?),
        organization: row.int_or_null(2)?.map(OrganizationId),
        task: parse_document(&row.text(3)?)?,
        state: JobState::ALL
            .into_iter()
            .find(|known| known.name() == state)
            .ok_or_else(|| damaged("an unknown state"))?,
        position: row.int(5)?,
        done: count(row.int(6)?)?,
        total: row.int_or_null(7)?.map(count).transpose()?,
        error: row.text_or_null(8)?,
        created_at: Timestamp(row.int(9)?),
        updated_at: Timestamp(row.int(10)?),
    })
}

/// How many jobs may run or wait for their turn, one that is made among them.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Of a project.
    pub of_project: u32,
    /// Of them, those about the same organization.
    pub of_organization: u32,
}

/// Makes a job, and forgets some of its project that ended before `forget_before`. `Stale` where there is no room for it.
pub fn insert(job: &Job, room: Room, forget_before: Timestamp) -> Change {
    let own = must(
        "room for a job",
        "INSERT INTO jobs (id, project_id, organization_id, kind, parameters, state, position, done, total, error,
             created_at, updated_at)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12
         WHERE (SELECT count(*) FROM jobs INDEXED BY jobs_running WHERE state = 'running' AND project_id = ?2) < ?13
             AND (SELECT count(*) FROM jobs INDEXED BY jobs_running
                  WHERE state = 'running' AND project_id = ?2 AND organization_id = ?3) < ?14",
        arguments![
            job.id.0,
            job.project.0,
            job.organization.map(|organization| organization.0),
            job.task.name(),
            document(&job.task),
            job.state.name(),
            job.position,
            i64::try_from(job.done).unwrap_or(i64::MAX),
            job.total.map(|total| i64::try_from(total).unwrap_or(i64::MAX)),
            job.error.clone(),
            job.created_at,
            job.updated_at,
            i64::from(room.of_project),
            i64::from(room.of_organization)
        ],
    );
    let old = step(
        "DELETE FROM jobs WHERE id IN (
             SELECT id FROM jobs WHERE project_id = ?1 AND updated_at < ?2 AND state <> 'running' ORDER BY id LIMIT ?3)",
        arguments![job.project.0, forget_before, FORGOTTEN_AT_ONCE],
    );
    Change::one(own).then(old)
}

/// One job.
pub fn by_id(id: JobId) -> Query<Job> {
    query(format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1"), arguments![id.0], decode)
}

/// A page of a project's jobs.
pub fn list(project: ProjectId, page: Page) -> Query<Job> {
    let mut conditions = Conditions::new();
    conditions.add("project_id = ?", project.0);
    conditions.page(COLUMNS, "jobs", page, decode)
}

/// A job that runs or waits for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunningJob {
    pub id: JobId,
    /// Whose work it is: the id of the one organization that it is about, or else of its project.
    pub owner: i64,
}

/// Jobs that run or wait for their turn, those first at which no work was done for longest; of each owner no more than
/// `of_one`.
pub fn running(of_one: u32, limit: u32) -> Query<RunningJob> {
    query(
        "SELECT id, owner FROM (
             SELECT id, coalesce(organization_id, project_id) AS owner, updated_at,
                 row_number() OVER (PARTITION BY coalesce(organization_id, project_id) ORDER BY updated_at, id) AS place
             FROM jobs INDEXED BY jobs_running WHERE state = 'running') AS running
         WHERE place <= ?1 ORDER BY updated_at, id LIMIT ?2",
        arguments![i64::from(of_one), i64::from(limit)],
        |row| Ok(RunningJob { id: JobId(row.int(0)?), owner: row.int(1)? }),
    )
}

/// The newest jobs of an organization that run or wait for their turn.
pub fn running_of(project: ProjectId, organization: OrganizationId, limit: u32) -> Query<Job> {
    query(
        format!(
            "SELECT {COLUMNS} FROM jobs INDEXED BY jobs_running
             WHERE state = 'running' AND project_id = ?1 AND organization_id = ?2 ORDER BY id DESC LIMIT ?3"
        ),
        arguments![project.0, organization.0, i64::from(limit)],
        decode,
    )
}

/// How many jobs of a project run or wait for their turn.
pub fn count_running(project: ProjectId) -> Query<i64> {
    query(
        "SELECT count(*) FROM jobs INDEXED BY jobs_running WHERE state = 'running' AND project_id = ?1",
        arguments![project.0],
        decode_int,
    )
}

/// How many jobs about an organization of a project run or wait for their turn.
pub fn count_running_of(project: ProjectId, organization: OrganizationId) -> Query<i64> {
    query(
        "SELECT count(*) FROM jobs INDEXED BY jobs_running
         WHERE state = 'running' AND project_id = ?1 AND organization_id = ?2",
        arguments![project.0, organization.0],
        decode_int,
    )
}

/// Stops a job; what it did stays done. `Stale` where it does not run any more.
pub fn cancel(id: JobId, now: Timestamp) -> Change {
    Change::one(must(
        "job",
        "UPDATE jobs SET state = 'cancelled', updated_at = ?1 WHERE id = ?2 AND state = 'running'",
        arguments![now, id.0],
    ))
}

/// Gives a job up, and says why. `Stale` where it does not run any more.
pub fn fail(id: JobId, error: &str, now: Timestamp) -> Change {
    Change::one(must(
        "job",
        "UPDATE jobs SET state = 'failed', error = ?1, updated_at = ?2 WHERE id = ?3 AND state = 'running'",
        arguments![error, now, id.0],
    ))
}
