//! Contract: bulk work. A piece and how far its job got are one; what it asks for on its way.

use fanfare_engine::delivery::{State, Trigger};
use fanfare_engine::id::{DeliveryId, EventId, JobId, OrganizationId, WebhookId};
use fanfare_engine::time::Timestamp;

use super::rig::{ORGANIZATION, OTHER_WEBHOOK, PROJECT, Rig, WEBHOOK};
use crate::backend::Backend;
use crate::bulk;
use crate::catalogue::jobs::{self, Job, JobState, Recovery, Room, Task};
use crate::error::StoreError;
use crate::log::{self, DeliveryFilter};
use crate::query::{Change, Expect, Step};
use crate::queue::{Accept, Deliver, Learn, NewDelivery, Next, Operation, Prune, Work};

/// More than any of these cases makes.
const ROOM: Room = Room { of_project: 100, of_organization: 100 };

fn job_like<B: Backend>(rig: &Rig<B>) -> Job {
    Job {
        id: JobId(rig.id()),
        project: PROJECT,
        organization: Some(ORGANIZATION),
        task: all(),
        state: JobState::Running,
        position: 0,
        done: 0,
        total: Some(3),
        error: None,
        created_at: rig.now(),
        updated_at: rig.now(),
    }
}

/// A job of its own that has not begun.
async fn job<B: Backend>(rig: &Rig<B>, task: Task) -> Job {
    let job = Job { task, ..job_like(rig) };
    rig.change(jobs::insert(&job, ROOM, Timestamp(0))).await.unwrap();
    job
}

fn all() -> Task {
    Task::Resend(DeliveryFilter::default())
}

fn piece(job: &Job, from: i64, to: i64) -> Work {
    Work { job: job.id, from, to, ends: false, resend: Vec::new(), cancel: Vec::new(), deliver: Vec::new() }
}

async fn read<B: Backend>(rig: &Rig<B>, job: &Job) -> Job {
    rig.read_one(jobs::by_id(job.id)).await.unwrap()
}

async fn refused<B: Backend>(rig: &Rig<B>, piece: Work) {
    assert_eq!(rig.apply(Operation::Work(piece)).await.unwrap_err(), StoreError::Stale("job"));
}

pub(crate) async fn a_job_is_kept_as_it_was_made<B: Backend>(rig: &Rig<B>) {
    let filter = DeliveryFilter {
        project: Some(PROJECT),
        event: Some(EventId(5)),
        state: Some(State::Exhausted),
        since: Some(rig.now()),
        live: true,
        ..DeliveryFilter::default()
    };
    let states = vec![State::Skipped, State::Cancelled];
    let recovery = Recovery { webhook: WEBHOOK, since: rig.now(), until: Some(rig.in_seconds(1)), states };
    for task in [Task::Resend(filter.clone()), Task::Cancel(filter), Task::Recover(recovery)] {
        let made = job(rig, task).await;
        assert_eq!(read(rig, &made).await, made);
    }
    assert_eq!(rig.read(jobs::running(9, 2)).await.len(), 2, "no more than were asked for");
    assert_eq!(rig.read_one(jobs::count_running(PROJECT)).await, Some(3));
}

pub(crate) async fn a_job_is_made_where_there_is_room<B: Backend>(rig: &Rig<B>) {
    let room = Room { of_project: 4, of_organization: 2 };
    let make = async |organization: Option<i64>| {
        let job = Job { organization: organization.map(OrganizationId), id: JobId(rig.id()), ..job_like(rig) };
        rig.change(jobs::insert(&job, room, Timestamp(0))).await.map(|_| job)
    };
    let no_room = StoreError::Stale("room for a job");
    let first = make(Some(1)).await.unwrap();
    make(Some(1)).await.unwrap();
    assert_eq!(make(Some(1)).await.unwrap_err(), no_room);
    make(Some(2)).await.unwrap();
    make(None).await.unwrap();
    for organization in [None, Some(3)] {
        assert_eq!(make(organization).await.unwrap_err(), no_room, "the project has as many as it may");
    }
    rig.change(jobs::cancel(first.id, rig.now())).await.unwrap();
    make(Some(1)).await.unwrap();
    assert_eq!(rig.read(jobs::running_of(PROJECT, OrganizationId(1), 9)).await.len(), 2);
}

pub(crate) async fn case_079_a_piece_is_done_once<B: Backend>(rig: &Rig<B>) {
    let (first, second) = (rig.ended(500, Next::Exhausted).await, rig.ended(500, Next::Exhausted).await);
    let job = job(rig, all()).await;
    let work = || Work { resend: vec![first, second], ..piece(&job, 0, second.0) };
    assert_eq!(rig.released(Operation::Work(work())).await, [(WEBHOOK, 2)]);
    let kept = read(rig, &job).await;
    assert_eq!((kept.position, kept.done, kept.state), (second.0, 2, JobState::Running));
    for claimed in rig.claim(WEBHOOK).await {
        rig.finish(claimed.lease, 500, Next::Exhausted).await;
    }
    // Whoever does not know that it was done tries it again.
    refused(rig, work()).await;
    assert!(rig.claim(WEBHOOK).await.is_empty());
    assert_eq!(read(rig, &job).await.done, 2);
    let last = Work { ends: true, ..piece(&job, second.0, second.0) };
    assert_eq!(rig.released(Operation::Work(last)).await, []);
    assert_eq!(read(rig, &job).await.state, JobState::Completed);
    refused(rig, piece(&job, second.0, second.0)).await;
}

pub(crate) async fn a_job_that_ended_does_nothing<B: Backend>(rig: &Rig<B>) {
    let id = rig.waiting().await;
    for how in [jobs::cancel, |job, now| jobs::fail(job, "its webhook was deleted", now)] {
        let job = job(rig, all()).await;
        rig.change(how(job.id, rig.now())).await.unwrap();
        refused(rig, Work { cancel: vec![id], ..piece(&job, 0, id.0) }).await;
        assert_eq!(rig.state(id).await, State::Pending);
        assert_eq!(rig.change(how(job.id, rig.now())).await, Err(StoreError::Stale("job")));
        let kept = read(rig, &job).await;
        assert_eq!(kept.error.is_some(), kept.state == JobState::Failed);
        assert_ne!(kept.state, JobState::Running);
    }
    assert_eq!(rig.read(jobs::running(9, 9)).await, []);
}

pub(crate) async fn a_piece_cancels_what_waits<B: Backend>(rig: &Rig<B>) {
    let (waiting, leased) = (rig.waiting().await, rig.leased().await.delivery);
    let job = job(rig, Task::Cancel(DeliveryFilter::default())).await;
    let work = Work { cancel: vec![waiting, leased], ..piece(&job, 0, leased.0) };
    assert_eq!(rig.released(Operation::Work(work)).await, [(WEBHOOK, 1)]);
    assert_eq!((rig.state(waiting).await, rig.state(leased).await), (State::Cancelled, State::Delivering));
    assert_eq!(read(rig, &job).await.done, 1);
}

pub(crate) async fn a_piece_passes_over_events_that_are_gone<B: Backend>(rig: &Rig<B>) {
    let event = rig.event("job.created");
    let there = event.id;
    rig.keep(event, &[]).await;
    let job = job(rig, all()).await;
    let deliver = |event| Deliver { event, webhook: OTHER_WEBHOOK, id: DeliveryId(rig.id()), trigger: Trigger::Manual };
    let work = Work { deliver: vec![deliver(EventId(1)), deliver(there)], ..piece(&job, 0, there.0) };
    assert_eq!(rig.released(Operation::Work(work)).await, [(OTHER_WEBHOOK, 1)]);
    assert_eq!(read(rig, &job).await.done, 1);
}

pub(crate) async fn old_jobs_are_forgotten<B: Backend>(rig: &Rig<B>) {
    let (ended, running) = (job(rig, all()).await, job(rig, all()).await);
    rig.change(jobs::cancel(ended.id, rig.now())).await.unwrap();
    rig.advance(60);
    let later = Job { id: JobId(rig.id()), ..running.clone() };
    rig.change(jobs::insert(&later, ROOM, rig.now())).await.unwrap();
    assert_eq!(rig.read_one(jobs::by_id(ended.id)).await, None);
    let left: Vec<_> = rig.read(jobs::running(9, 9)).await.into_iter().map(|job| job.id).collect();
    assert_eq!(left, [running.id, later.id]);
}

pub(crate) async fn what_a_webhook_got_of_each_event<B: Backend>(rig: &Rig<B>) {
    let events = [rig.event("a"), rig.event("b"), rig.event("c"), rig.event("d")];
    let ids = events.each_ref().map(|event| event.id);
    let [got, late, test, other] = events;
    let both = rig.keep(got, &[OTHER_WEBHOOK, WEBHOOK]).await;
    rig.keep(late, &[OTHER_WEBHOOK]).await;
    let delivery = DeliveryId(rig.id());
    let deliver = Deliver { event: ids[1], webhook: WEBHOOK, id: delivery, trigger: Trigger::Manual };
    rig.released(Operation::Deliver(deliver)).await;
    let Accept { event, .. } = rig.acceptance(test, &[], None);
    let to_test = NewDelivery {
        id: DeliveryId(rig.id()),
        webhook: OTHER_WEBHOOK,
        lease: None,
        due: rig.now(),
        trigger: Trigger::Test,
    };
    rig.accept(Accept {
        event,
        fingerprint: [0; 16],
        idempotency: None,
        deliveries: vec![to_test],
        learn: Learn::Nothing,
    })
    .await;
    rig.keep(other, &[]).await;

    let ask = |after, limit| rig.read(bulk::received(ORGANIZATION, WEBHOOK, after, i64::MAX, limit));
    let found = ask(0, 9).await;
    assert_eq!(found.iter().map(|received| received.event.id).collect::<Vec<_>>(), ids);
    let deliveries: Vec<_> = found.iter().map(|received| received.delivery).collect();
    assert_eq!(deliveries, [Some((both[1], State::Pending)), Some((delivery, State::Pending)), None, None]);
    assert_eq!(found.iter().map(|received| received.is_test).collect::<Vec<_>>(), [false, false, true, false]);
    assert_eq!(&*found[1].event.kind, "b");
    let next = ask(ids[0].0, 1).await;
    assert_eq!(next.iter().map(|received| received.event.id).collect::<Vec<_>>(), [ids[1]]);
}

/// A row of a webhook with nothing set.
pub(super) fn bare_webhook(id: WebhookId) -> Step {
    Step {
        sql: "INSERT INTO webhooks (id, project_id, organization_id, number, uuid, profile, search, status, settings, sealed,
                  bytes, version, created_at, updated_at) VALUES (?1, 1, 1, ?1, ?2, '', '', 0, '{}', ?3, 0, 1, 0, 0)"
            .into(),
        arguments: crate::arguments![id.0, u128::from(id.0.unsigned_abs()).to_be_bytes().to_vec(), Vec::new()],
        expect: Expect::Any,
        unique: "",
    }
}

/// A webhook that gets each event, too.
const HOLDER: WebhookId = WebhookId(77);

pub(crate) async fn what_was_removed_is_not_taken_for_missing<B: Backend>(rig: &Rig<B>) {
    rig.change(Change::one(bare_webhook(WEBHOOK))).await.unwrap();
    let mut deliveries = Vec::new();
    for _ in 0..4 {
        // The other webhook's delivery holds the event.
        let leases = rig.keep_leased(rig.event("job.created"), &[WEBHOOK, HOLDER]).await;
        rig.finish(leases[0], 200, Next::Delivered).await;
        deliveries.push(leases[0].delivery);
    }
    deliveries.truncate(2);
    let prune = Prune::Deliveries { deliveries, keys_before: Timestamp(0) };
    rig.apply(Operation::Prune(prune)).await.unwrap();
    let found = rig.read(bulk::received(ORGANIZATION, WEBHOOK, 0, i64::MAX, 9)).await;
    let seen: Vec<_> = found.iter().map(|received| (received.delivery.is_some(), received.is_forgotten)).collect();
    assert_eq!(seen, [(false, true), (false, true), (true, false), (true, false)]);
    let found = rig.read(bulk::received(ORGANIZATION, OTHER_WEBHOOK, 0, i64::MAX, 9)).await;
    assert!(found.iter().all(|received| received.delivery.is_none() && !received.is_forgotten));
}

pub(crate) async fn deliveries_can_be_gone_through_upwards<B: Backend>(rig: &Rig<B>) {
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(rig.waiting().await);
    }
    let ended = rig.ended(200, Next::Delivered).await;
    let after = |id: DeliveryId| DeliveryFilter { after: Some(id), live: true, ..DeliveryFilter::default() };
    assert_eq!(rig.found(&after(DeliveryId(0))).await, made, "oldest first, and not what is final");
    assert_eq!(rig.found(&after(made[2])).await, made[3..]);
    let webhook = DeliveryFilter { webhook: Some(WEBHOOK), ..after(made[0]) };
    assert_eq!(rig.read_one(log::delivery_scan_end(&webhook, 2)).await, Some(made[2]));
    assert_eq!(rig.read_one(log::delivery_scan_end(&after(ended), 2)).await, None);
    assert_eq!(rig.read_one(log::count_deliveries(&webhook, 9, 9)).await, Some(4));
    assert_eq!(rig.read_one(log::count_deliveries(&webhook, 3, 9)).await, Some(3));
}

pub(crate) async fn jobs_take_turns<B: Backend>(rig: &Rig<B>) {
    let of = async |organization: Option<i64>| {
        rig.advance(1);
        let job = Job {
            id: JobId(rig.id()),
            organization: organization.map(OrganizationId),
            created_at: rig.now(),
            updated_at: rig.now(),
            ..job_like(rig)
        };
        rig.change(jobs::insert(&job, ROOM, Timestamp(0))).await.unwrap();
        job
    };
    let running = async |of_one, limit| {
        let found = rig.read(jobs::running(of_one, limit)).await;
        found.into_iter().map(|job| (job.id, job.owner)).collect::<Vec<_>>()
    };
    let mine = [of(Some(1)).await.id, of(Some(1)).await.id, of(Some(1)).await.id];
    let theirs = of(Some(2)).await.id;
    let everybodys = (of(None).await.id, PROJECT.0);
    assert_eq!(running(1, 9).await, [(mine[0], 1), (theirs, 2), everybodys]);
    assert_eq!(running(2, 9).await, [(mine[0], 1), (mine[1], 1), (theirs, 2), everybodys]);
    assert_eq!(running(1, 2).await.len(), 2);
    assert_eq!(rig.read_one(jobs::count_running_of(PROJECT, OrganizationId(1))).await, Some(3));
    assert_eq!(rig.read_one(jobs::count_running(PROJECT)).await, Some(5));
    // Where work was just done, the others come first.
    rig.advance(1);
    let job = rig.read_one(jobs::by_id(mine[0])).await.unwrap();
    rig.released(Operation::Work(piece(&job, 0, 5))).await;
    assert_eq!(running(1, 9).await, [(mine[1], 1), (theirs, 2), everybodys]);
    rig.change(jobs::cancel(theirs, rig.now())).await.unwrap();
    assert_eq!(running(3, 9).await, [(mine[1], 1), (mine[2], 1), everybodys, (mine[0], 1)]);
}
