//! Bulk work: counted beforehand, made, looked at, cancelled. It is done by `maintenance`.

use std::time::Duration;

use fanfare_engine::id::{JobId, OrganizationId, ProjectId};
use fanfare_engine::time::Timestamp;
use fanfare_store::catalogue::jobs::{self as rows, Job, JobState, Recovery, Room, Task};
use fanfare_store::log::{self, DeliveryFilter};
use fanfare_store::{StoreError, bulk};

use super::sending::NOT_BY_HAND;
use super::{CatalogueError, CatalogueResult, check_room};
use crate::app::App;
use crate::recovery::{self, Wanted};

/// How many jobs of a project may run or wait for their turn.
pub const MAX_RUNNING: u32 = 100;
/// How many of them may be about the same organization, so that no customer takes the room of the others.
pub const MAX_RUNNING_OF_ONE: u32 = 3;
/// How many questions of an organization for how much a job would be about may wait for their turn, the one that is being
/// answered among them.
const MAX_COUNTING: usize = 4;
/// How far is counted.
pub const MAX_COUNT: u32 = 10_000;
/// How many deliveries are looked at to count.
const SCAN: u32 = 200_000;
/// How many events are looked at to count what a recovery is about, and how many at once.
const EVENTS: u32 = 20_000;
const EVENTS_AT_ONCE: u32 = 1_000;
/// How long a job that ended is kept.
const KEPT: Duration = Duration::from_secs(30 * 86_400);

const NAME: &str = "job";

/// How many deliveries a job would be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    pub count: u32,
    /// There may be more: only so many were looked at.
    pub more: bool,
}

impl Count {
    fn exact(self) -> Option<u64> {
        (!self.more).then_some(u64::from(self.count))
    }
}

/// Counts what a task is about, within limits: for an organization, or else for a project, one after the other, since it may
/// read much.
///
/// # Errors
/// The webhook of a recovery is unknown, or too many wait for their turn.
pub async fn count(
    app: &App,
    project: ProjectId,
    organization: Option<OrganizationId>,
    task: &Task,
) -> CatalogueResult<Count> {
    const WHY: &str = "as many such questions wait for their answer as may; try again soon";
    let owner = organization.map_or(project.0, |organization| organization.0);
    check_by_hand(app, task).await?;
    let _turn = app.counting.wait_among(owner, MAX_COUNTING).await.ok_or(CatalogueError::Busy(WHY))?;
    match task {
        Task::Resend(filter) | Task::Cancel(filter) => count_deliveries(app, filter).await,
        Task::Recover(recovery) => count_recovery(app, recovery).await,
    }
}

async fn count_deliveries(app: &App, filter: &DeliveryFilter) -> CatalogueResult<Count> {
    let count = app.store.read_one(log::count_deliveries(filter, MAX_COUNT, SCAN)).await?.unwrap_or(0);
    let more = count >= MAX_COUNT || app.store.read_one(log::delivery_scan_end(filter, SCAN)).await?.is_some();
    Ok(Count { count, more })
}

async fn count_recovery(app: &App, recovery: &Recovery) -> CatalogueResult<Count> {
    let webhook = app.compiled().webhook(recovery.webhook).await?.ok_or(CatalogueError::NotFound("webhook"))?;
    let organization = webhook.webhook.organization;
    let (mut count, mut position) = (0, 0);
    for _ in 0..EVENTS / EVENTS_AT_ONCE {
        let (after, below) = recovery::bounds(recovery, position, i64::MAX);
        let question = bulk::received(organization, recovery.webhook, after, below, EVENTS_AT_ONCE);
        let found = app.store.read(question).await?;
        let matched = |received: &&bulk::Received| recovery::wanted(recovery, &webhook, received) != Wanted::Nothing;
        count += found.iter().filter(matched).count() as u32;
        match found.last() {
            Some(last) if found.len() == EVENTS_AT_ONCE as usize => position = last.event.id.0,
            _ => return Ok(Count { count: count.min(MAX_COUNT), more: count > MAX_COUNT }),
        }
        if count > MAX_COUNT {
            break;
        }
    }
    Ok(Count { count: count.min(MAX_COUNT), more: true })
}

/// Makes a job, about one organization or the whole project, and has it begun.
///
/// # Errors
/// Too many jobs run already, of the project or of the organization.
pub async fn start(
    app: &App,
    project: ProjectId,
    organization: Option<OrganizationId>,
    task: Task,
) -> CatalogueResult<Job> {
    let job = prepare(app, project, organization, task).await?;
    begin(app, job).await
}

/// The same for one organization; where a job with the same task runs already, it is that one: a button that is pressed
/// twice sends once.
///
/// # Errors
/// As for [`start`].
pub async fn start_once(
    app: &App,
    project: ProjectId,
    organization: OrganizationId,
    task: Task,
) -> CatalogueResult<Job> {
    if let Some(job) = same(app, project, organization, &task).await? {
        return Ok(job);
    }
    // It may take long, and who edits the organization is not to wait for it.
    let job = prepare(app, project, Some(organization), task).await?;
    let _turn = app.turns.wait(organization.0).await;
    match same(app, project, organization, &job.task).await? {
        Some(job) => Ok(job),
        None => begin(app, job).await,
    }
}

/// The job with this task that runs already.
async fn same(
    app: &App,
    project: ProjectId,
    organization: OrganizationId,
    task: &Task,
) -> CatalogueResult<Option<Job>> {
    let running = app.store.read(rows::running_of(project, organization, MAX_RUNNING)).await?;
    Ok(running.into_iter().find(|job| job.task == *task))
}

/// A job that is not kept yet, for which there is room.
async fn prepare(
    app: &App,
    project: ProjectId,
    organization: Option<OrganizationId>,
    task: Task,
) -> CatalogueResult<Job> {
    check_rooms(app, project, organization).await?;
    let total = match count(app, project, organization, &task).await {
        Ok(count) => count.exact(),
        // It is not worth refusing the job.
        Err(CatalogueError::Busy(_)) => None,
        Err(error) => return Err(error),
    };
    let now = app.now();
    Ok(Job {
        id: app.ids.next(),
        project,
        organization,
        task,
        state: JobState::Running,
        position: 0,
        done: 0,
        total,
        error: None,
        created_at: now,
        updated_at: now,
    })
}

/// Refuses what is about one webhook whose profile forbids sending by hand. Of several, such webhooks are passed over.
///
/// # Errors
/// It is forbidden.
pub async fn check_by_hand(app: &App, task: &Task) -> CatalogueResult<()> {
    let webhook = match task {
        Task::Resend(filter) => filter.webhook,
        Task::Recover(recovery) => Some(recovery.webhook),
        Task::Cancel(_) => None,
    };
    let Some(webhook) = webhook else { return Ok(()) };
    match app.compiled().webhook(webhook).await? {
        Some(webhook) if !webhook.is_sent_by_hand() => Err(CatalogueError::State(NOT_BY_HAND)),
        _ => Ok(()),
    }
}

/// Refuses where as many jobs run as may.
async fn check_rooms(app: &App, project: ProjectId, organization: Option<OrganizationId>) -> CatalogueResult<()> {
    check_room(app.store.read_one(rows::count_running(project)).await?, "jobs of a project that run", MAX_RUNNING)?;
    let Some(organization) = organization else { return Ok(()) };
    let running = app.store.read_one(rows::count_running_of(project, organization)).await?;
    check_room(running, "jobs of an organization that run", MAX_RUNNING_OF_ONE)
}

/// Keeps a job, where there still is room for it, and has it begun.
async fn begin(app: &App, job: Job) -> CatalogueResult<Job> {
    let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
    let forget_before = Timestamp(job.created_at.millis().saturating_sub(kept));
    let room = Room { of_project: MAX_RUNNING, of_organization: MAX_RUNNING_OF_ONE };
    match app.make(rows::insert(&job, room, forget_before), None, &job.id.to_string()).await {
        Ok(_) => {
            app.jobs.notify_one();
            Ok(job)
        }
        Err(StoreError::Stale(_)) => {
            // Others were begun while this one was counted.
            check_rooms(app, job.project, job.organization).await?;
            Err(CatalogueError::Busy("as many jobs were begun as may; try again soon"))
        }
        Err(error) => Err(error.into()),
    }
}

/// The job of a project, or of one organization of it, that `text` names.
///
/// # Errors
/// It is unknown there.
pub async fn find(
    app: &App,
    project: ProjectId,
    organization: Option<OrganizationId>,
    text: &str,
) -> CatalogueResult<Job> {
    let id = JobId::parse(text).ok_or(CatalogueError::NotFound(NAME))?;
    let job = app.store.read_one(rows::by_id(id)).await?;
    job.filter(|job| job.project == project && (organization.is_none() || job.organization == organization))
        .ok_or(CatalogueError::NotFound(NAME))
}

/// Stops a job. What it did stays done.
///
/// # Errors
/// It has ended already.
pub async fn cancel(app: &App, job: &Job) -> CatalogueResult<()> {
    match app.change(rows::cancel(job.id, app.now()), None).await {
        Ok(_) => Ok(()),
        Err(StoreError::Stale(_)) => Err(CatalogueError::State("it has ended already")),
        Err(error) => Err(error.into()),
    }
}
