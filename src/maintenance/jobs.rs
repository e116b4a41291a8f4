//! Does bulk work piece by piece. A piece and how far its job got are one commit, so that a job goes on where it was,
//! whatever stops it.
//!
//! A job makes deliveries due or cancels them; sending is the scheduler's, which takes them up as it can.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use fanfare_engine::id::{DeliveryId, JobId, WebhookId};
use fanfare_engine::scheduler::Input;
use fanfare_store::bulk;
use fanfare_store::catalogue::jobs::{self as rows, Job, JobState, Recovery, RunningJob, Task};
use fanfare_store::log::{self, DeliveryFilter, DeliveryRow};
use fanfare_store::queue::{Answer, Deliver, Operation, Work};
use fanfare_store::{StoreError, StoreResult};
use tokio::sync::{Notify, watch};
use tokio::task::{Id, JoinSet};

use crate::dispatch::dispatcher::Dispatcher;
use crate::recovery::{self, Wanted};

/// Jobs at work at once; the others wait for their turn.
const AT_ONCE: usize = 4;
/// Of these, those about the same organization, or about the whole of the same project.
const OF_ONE: usize = 2;
/// After so many pieces a job makes room for others that wait.
const TURN: u32 = 100;
/// Deliveries changed in one commit.
const PIECE: usize = 200;
/// Deliveries looked at for one piece.
const SCAN: u32 = 2_000;
/// Events looked at for one piece of a recovery.
const EVENTS: u32 = 1_000;
/// How often deliveries are called back from memory before they count as being sent.
const RECALLS: usize = 3;
/// Rest between two pieces, so that others get their turn.
const REST: Duration = Duration::from_millis(5);
/// How long to wait before the store is asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// What the host is told of a fault of the server's own.
const FAULT: &str = "the server failed on it; its log has more";

/// Takes up the jobs that run, those of earlier processes too, whenever `bell` is rung; until the server stops.
pub async fn run(dispatcher: Arc<Dispatcher>, bell: Arc<Notify>, mut stopping: watch::Receiver<bool>) {
    let mut crew = Crew { dispatcher, tasks: JoinSet::new(), at_work: HashMap::new() };
    loop {
        let wait = match crew.fill().await {
            Ok(()) => Duration::MAX,
            Err(error) => {
                tracing::warn!(%error, "jobs could not be looked for; trying again");
                AGAIN
            }
        };
        tokio::select! {
            () = bell.notified() => {}
            () = crew.ended(), if !crew.tasks.is_empty() => {}
            () = tokio::time::sleep(wait) => {}
            // What is at work breaks off between two pieces; the next start goes on.
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

/// The jobs at work.
struct Crew {
    dispatcher: Arc<Dispatcher>,
    tasks: JoinSet<()>,
    at_work: HashMap<Id, RunningJob>,
}

impl Crew {
    /// Starts jobs that wait for their turn, those first that waited longest, as far as there is room.
    async fn fill(&mut self) -> StoreResult<()> {
        if self.at_work.len() >= AT_ONCE {
            return Ok(());
        }
        // Of each owner as many as may be at work beside those that are.
        let question = rows::running(2 * OF_ONE as u32, 2 * (OF_ONE * AT_ONCE) as u32);
        for job in self.dispatcher.tools.store.read(question).await? {
            if self.has_room_for(job) {
                let task = self.tasks.spawn(work(Arc::clone(&self.dispatcher), job.id));
                self.at_work.insert(task.id(), job);
            }
        }
        Ok(())
    }

    fn has_room_for(&self, job: RunningJob) -> bool {
        let owners = self.at_work.values().filter(|other| other.owner == job.owner).count();
        let is_at_work = self.at_work.values().any(|other| other.id == job.id);
        self.at_work.len() < AT_ONCE && owners < OF_ONE && !is_at_work
    }

    /// Waits until one is through. One that panicked is given up.
    async fn ended(&mut self) {
        match self.tasks.join_next_with_id().await {
            Some(Ok((task, ()))) => drop(self.at_work.remove(&task)),
            Some(Err(error)) => {
                if let Some(job) = self.at_work.remove(&error.id()) {
                    tracing::error!(job = %job.id, %error, "a job panicked");
                    give_up(&self.dispatcher, job.id, FAULT).await;
                }
            }
            None => {}
        }
    }
}

/// Why a piece was not done.
enum Broken {
    /// The job cannot go on; for people.
    Failed(String),
    Store(StoreError),
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Broken::Store(error)
    }
}

/// Works at one job until it ends, or its turn does.
async fn work(dispatcher: Arc<Dispatcher>, id: JobId) {
    for _ in 0..TURN {
        match next_piece(&dispatcher, id).await {
            Ok(true) => tokio::time::sleep(REST).await,
            Ok(false) => return,
            Err(Broken::Failed(why)) => return give_up(&dispatcher, id, &why).await,
            // Somebody else did the piece, or the job was cancelled: read it anew.
            Err(Broken::Store(StoreError::Stale(_))) => {}
            Err(Broken::Store(error @ StoreError::Unavailable(_))) => {
                tracing::warn!(job = %id, %error, "a job waits for the store");
                tokio::time::sleep(AGAIN).await;
            }
            Err(Broken::Store(error)) => {
                tracing::error!(job = %id, %error, "a job failed");
                return give_up(&dispatcher, id, FAULT).await;
            }
        }
    }
}

async fn give_up(dispatcher: &Arc<Dispatcher>, id: JobId, why: &str) {
    let change = rows::fail(id, why, dispatcher.tools.clock.now());
    match dispatcher.tools.store.change(change, None).await {
        // It was cancelled meanwhile.
        Ok(_) | Err(StoreError::Stale(_)) => {}
        Err(error) => {
            tracing::warn!(job = %id, %error, "a job that failed could not be ended; it is tried again");
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// Does the next piece of a job. Answers whether there is more.
async fn next_piece(dispatcher: &Arc<Dispatcher>, id: JobId) -> Result<bool, Broken> {
    let Some(job) = dispatcher.tools.store.read_one(rows::by_id(id)).await? else { return Ok(false) };
    if job.state != JobState::Running {
        return Ok(false);
    }
    let ends = match &job.task {
        Task::Resend(filter) => resend(dispatcher, &job, filter).await?,
        Task::Cancel(filter) => cancel(dispatcher, &job, filter).await?,
        Task::Recover(recovery) => recover(dispatcher, &job, recovery).await?,
    };
    Ok(!ends)
}

async fn resend(dispatcher: &Arc<Dispatcher>, job: &Job, filter: &DeliveryFilter) -> Result<bool, Broken> {
    let piece = Piece::find(dispatcher, job, filter).await?;
    let mut deliveries = Vec::with_capacity(piece.rows.len());
    for row in &piece.rows {
        let webhook = dispatcher.tools.compiled.webhook(row.webhook).await?;
        // To a webhook that gets nothing it would be skipped, and how it ended before be lost.
        if webhook.is_some_and(|webhook| webhook.webhook.status.takes_events() && webhook.is_sent_by_hand()) {
            deliveries.push(row.id);
        }
    }
    apply(dispatcher, Work { resend: deliveries, ..piece.done(job) }).await?;
    Ok(piece.ends)
}

/// Cancels a piece. What waits in this node's memory is called back first; that may miss what is just being fetched from
/// the store, so it is done again while anything is left.
async fn cancel(dispatcher: &Arc<Dispatcher>, job: &Job, filter: &DeliveryFilter) -> Result<bool, Broken> {
    let piece = Piece::find(dispatcher, job, filter).await?;
    let within =
        DeliveryFilter { after: Some(DeliveryId(job.position)), before: Some(piece.below()), ..filter.clone() };
    let mut left = piece.rows.clone();
    for _ in 0..RECALLS {
        if left.is_empty() {
            break;
        }
        let webhooks: BTreeSet<WebhookId> = left.iter().map(|row| row.webhook).collect();
        dispatcher.tell_all(webhooks.into_iter().map(|webhook| Input::Recall { webhook }));
        let cancel = left.iter().map(|row| row.id).collect();
        // The job stays where it is until nothing is left, so that a restart finds what was missed.
        apply(dispatcher, Work { to: job.position, ends: false, cancel, ..piece.done(job) }).await?;
        left = dispatcher.tools.store.read(log::deliveries(&within, PIECE as u32, u32::MAX)).await?;
    }
    apply(dispatcher, piece.done(job)).await?;
    Ok(piece.ends)
}

/// The next deliveries that a job is about.
struct Piece {
    rows: Vec<DeliveryRow>,
    /// Where the job is after it.
    to: i64,
    ends: bool,
}

impl Piece {
    async fn find(dispatcher: &Arc<Dispatcher>, job: &Job, filter: &DeliveryFilter) -> StoreResult<Piece> {
        let store = &dispatcher.tools.store;
        let (after, end) = (Some(DeliveryId(job.position)), DeliveryId(job.id.0));
        let filter = DeliveryFilter { after, before: Some(end), ..filter.clone() };
        // Asked for first: what is removed between the two questions must not make the scan reach further.
        let stop = store.read_one(log::delivery_scan_end(&filter, SCAN)).await?;
        let before = stop.map_or(end, |stop| DeliveryId(stop.0.saturating_add(1)));
        let filter = DeliveryFilter { before: Some(before), ..filter };
        let rows = store.read(log::deliveries(&filter, PIECE as u32, u32::MAX)).await?;
        let (to, ends) = match (rows.last(), stop) {
            (Some(last), _) if rows.len() == PIECE => (last.id, false),
            (_, Some(stop)) => (stop, false),
            (_, None) => (end, true),
        };
        Ok(Piece { rows, to: to.0, ends })
    }

    /// The first id that is not part of it any more.
    fn below(&self) -> DeliveryId {
        DeliveryId(self.to.saturating_add(1))
    }

    /// The piece done, without what it does.
    fn done(&self, job: &Job) -> Work {
        moved(job, self.to, self.ends)
    }
}

fn moved(job: &Job, to: i64, ends: bool) -> Work {
    Work { job: job.id, from: job.position, to, ends, resend: Vec::new(), cancel: Vec::new(), deliver: Vec::new() }
}

/// Goes through events, and sends the webhook what it lacks of them.
async fn recover(dispatcher: &Arc<Dispatcher>, job: &Job, recovery: &Recovery) -> Result<bool, Broken> {
    let tools = &dispatcher.tools;
    let Some(webhook) = tools.compiled.webhook(recovery.webhook).await? else {
        return Err(Broken::Failed("its webhook was deleted".to_owned()));
    };
    let status = webhook.webhook.status;
    if !status.takes_events() {
        let why = format!("its webhook became {}; enable it, and recover again", status.name());
        return Err(Broken::Failed(why));
    }
    let (after, below) = recovery::bounds(recovery, job.position, job.id.0);
    let question = bulk::received(webhook.webhook.organization, recovery.webhook, after, below, EVENTS);
    let found = tools.store.read(question).await?;
    let mut piece = moved(job, job.id.0, found.len() < EVENTS as usize);
    for received in &found {
        match recovery::wanted(recovery, &webhook, received) {
            Wanted::Nothing => {}
            _ if piece.len() == PIECE => {
                piece.ends = false;
                break;
            }
            Wanted::Resend(delivery) => piece.resend.push(delivery),
            Wanted::Deliver => piece.deliver.push(Deliver {
                event: received.event.id,
                webhook: recovery.webhook,
                id: tools.ids.next(),
                trigger: fanfare_engine::delivery::Trigger::Manual,
            }),
        }
        piece.to = received.event.id.0;
    }
    let ends = piece.ends;
    apply(dispatcher, piece).await?;
    Ok(ends)
}

/// Has a piece done, and tells the scheduler what is due now.
async fn apply(dispatcher: &Arc<Dispatcher>, piece: Work) -> StoreResult<()> {
    match dispatcher.tools.store.apply(Operation::Work(piece)).await? {
        Answer::Released(webhooks) => {
            let due = dispatcher.tools.clock.now();
            let stored = |(webhook, _)| Input::Stored { webhook, config: None, due };
            dispatcher.tell_all(webhooks.into_iter().map(stored));
            Ok(())
        }
        other => Err(StoreError::Damaged(format!("a piece of a job was answered with {other:?}"))),
    }
}
