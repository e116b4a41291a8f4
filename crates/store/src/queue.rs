//! The hot operations, as data: what the writer of every backend carries out, many to a commit.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_engine::attempt::{Headers, Outcome};
use fanfare_engine::delivery::{Single, SkipReason, Trigger};
use fanfare_engine::event::Event;
use fanfare_engine::id::{DeliveryId, EventId, JobId, NodeId, OrganizationId, ProjectId, WebhookId};
use fanfare_engine::time::Timestamp;

use crate::query::Change;

/// At how many deaths of a node that may have been sending it a delivery is set aside as poison.
pub const MAX_CLAIMS: u32 = 8;

/// How long the answer to a request is kept under its idempotency key.
pub const IDEMPOTENCY_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// One thing for the writer to do.
#[derive(Debug)]
pub enum Operation {
    /// Keep an event and its deliveries.
    Accept(Accept),
    /// Keep the outcome of a leased delivery.
    Finish(Box<Finish>),
    /// Lease deliveries of one webhook that wait and are due.
    Claim(Claim),
    /// Give leases back: the deliveries wait again, due at once.
    Release(Vec<Lease>),
    /// Give a lease back for a while: the delivery waits again, and is due at that moment. Nothing else of it changes. Answers
    /// how many rows it was about.
    PutOff(Lease, Timestamp),
    /// Note that a leased delivery which was taken back from a dead node before is sent now: should this node die of it, it
    /// counts for [`MAX_CLAIMS`]. Answers how many rows it was about: none where the lease was lost.
    Begin(Lease),
    /// Make waiting deliveries due earlier, after the clock was set back.
    PullDue(PullDue),
    /// Mark waiting deliveries of a webhook that gets nothing any more; at most `limit` of them.
    /// Nothing is skipped where the webhook takes events again.
    SkipWaiting { webhook: WebhookId, reason: SkipReason, limit: u32 },
    /// Take back what a node that is no more had leased; at most `limit` deliveries.
    Rescue { node: NodeId, limit: u32 },
    /// Have deliveries sent once more, now.
    Resend(Resend),
    /// Cancel deliveries that are not final.
    Cancel { deliveries: Vec<DeliveryId> },
    /// Make deliveries for events that are kept already (recovery of what was never sent).
    Deliver(Deliver),
    /// Do a piece of a job, and note how far it got.
    Work(Work),
    /// Remove what is too old or too much, in small pieces.
    Prune(Prune),
    /// Change the catalogue. `report`: an operational event that tells of it, kept in the same commit.
    Change { change: Change, touches: Option<Touches>, report: Option<Accept> },
    /// Carry out an operation under an idempotency key, at most once.
    Once(Box<Once>),
    /// Keep what was observed and is not observed again: tried until it is on disk.
    Note(Change),
    /// Keep alive the row of a node.
    Heartbeat { node: NodeId },
}

impl Operation {
    /// The operation itself, whether or not it is carried out under an idempotency key.
    fn inner(&self) -> &Operation {
        match self {
            Operation::Once(once) => &once.operation,
            other => other,
        }
    }

    /// Whether it brings new work, so that it is refused first when too much waits.
    pub fn is_intake(&self) -> bool {
        matches!(self.inner(), Operation::Accept(_))
    }

    /// Whether it tells of something that happened already, so that it is tried until it is on disk.
    pub fn must_be_kept(&self) -> bool {
        matches!(self, Operation::Finish(_) | Operation::Release(_) | Operation::PutOff(..) | Operation::Note(_))
    }

    /// Whether it asks which deliveries are being sent.
    pub fn looks_at_leases(&self) -> bool {
        matches!(self.inner(), Operation::Resend(_) | Operation::Cancel { .. } | Operation::Work(_))
    }

    /// Whether it is about deliveries of kept events, so that it must not see only some of an event's.
    pub fn looks_at_whole_events(&self) -> bool {
        self.looks_at_leases()
            || matches!(self, Operation::Deliver(_) | Operation::SkipWaiting { .. } | Operation::Prune(_))
    }

    /// Whether nobody waits for it for long: an outcome after which no other delivery has its turn.
    pub fn can_wait(&self) -> bool {
        matches!(self, Operation::Finish(finish) if finish.held.ordering_key.is_none())
    }

    /// About how many rows it writes.
    pub fn rows(&self) -> usize {
        match self.inner() {
            Operation::Accept(accept) => 1 + accept.deliveries.len(),
            _ => 1,
        }
    }

    /// About how many bytes it holds.
    pub fn weight(&self) -> usize {
        match self.inner() {
            Operation::Accept(accept) => accept.event.weight() + accept.deliveries.len() * 64,
            Operation::Work(piece) => 512 + piece.len() * 64,
            _ => 512,
        }
    }
}

/// What came of an operation.
#[derive(Debug)]
pub enum Answer {
    Accepted(Accepted),
    Finished(Finished),
    Claimed(Claimed),
    /// How many rows it was about.
    Count(u64),
    /// What was removed, and where the next piece starts; `None` when through.
    Pruned {
        removed: u64,
        position: Option<i64>,
    },
    /// What came of [`Operation::PullDue`].
    Pulled(Pulled),
    /// The webhooks that have something due now, and how many deliveries each.
    Released(Vec<(WebhookId, u32)>),
    /// The version of the catalogue after a change.
    Changed {
        catalogue_version: i64,
    },
}

/// An event to keep, with its deliveries.
#[derive(Debug)]
pub struct Accept {
    pub event: Arc<Event>,
    /// Of everything the host said of the event; compared when its id or key comes again.
    pub fingerprint: [u8; 16],
    pub idempotency: Option<IdempotencyKey>,
    /// In the order of their ids, which follow the event's directly.
    pub deliveries: Vec<NewDelivery>,
    /// What becomes of what the event says of its entity.
    pub learn: Learn,
}

/// Whether it is noted what an event's entity belongs to, in the commit that keeps the event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Learn {
    /// It is not.
    #[default]
    Nothing,
    /// It is.
    Scope,
    /// It is; and where it is news, the catalogue's version is raised, since something compiled depends on it.
    WatchedScope,
}

/// The key under which an answer is kept for a repeated request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Whose key it is: the project, the organization and the route.
    pub scope: String,
    pub key: String,
    /// Of the request's body.
    pub fingerprint: [u8; 16],
}

/// An operation that is carried out at most once under a key: the commit that carries it out takes the key. Refused with
/// [`StoreError::Taken`](crate::StoreError::Taken) where the key was used before. If the operation is refused or finds nothing
/// to do, the key stays free.
#[derive(Debug)]
pub struct Once {
    pub key: IdempotencyKey,
    /// The id of what the operation makes, to find it again if the response is lost; empty where it makes nothing.
    pub made: String,
    pub operation: Operation,
}

/// A delivery to make.
#[derive(Clone, Copy, Debug)]
pub struct NewDelivery {
    pub id: DeliveryId,
    pub webhook: WebhookId,
    /// The node that takes it into its memory, or nobody: then it waits in the store.
    pub lease: Option<NodeId>,
    pub due: Timestamp,
    pub trigger: Trigger,
}

/// What came of accepting an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is on disk. `held_back` lists deliveries that wait for an earlier one of the same ordering key; `learnt` says
    /// whether it brought news of what its entity belongs to.
    New { held_back: Vec<DeliveryId>, learnt: bool },
    /// The same was accepted before.
    Repeated { event: EventId, deliveries: u32 },
    /// Its id belongs to an event with other content.
    OtherContent { event: EventId },
    /// Its idempotency key was used for another request.
    OtherRequest,
}

/// The right to finish a delivery: whoever leases it later, be it the same node, has another one. The first has claim 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    pub delivery: DeliveryId,
    pub node: NodeId,
    pub claim: u32,
}

/// The outcome of a leased delivery.
#[derive(Debug)]
pub struct Finish {
    pub lease: Lease,
    pub webhook: WebhookId,
    pub held: Held,
    /// What was sent and what came back; `None` where nothing was tried (skipped).
    pub attempt: Option<LoggedAttempt>,
    pub next: Next,
    /// An operational event that tells of it, kept in the same commit.
    pub report: Option<Accept>,
}

/// What who holds a delivery knows of it. Nobody else changes it as long as the lease holds, so the store need not look.
/// Its event is not held by it: an outcome may wait for the disk for long.
#[derive(Clone, Debug)]
pub struct Held {
    pub project: ProjectId,
    pub organization: OrganizationId,
    pub ordering_key: Option<String>,
    /// How many attempts are in its log.
    pub attempts: u32,
    pub single: Single,
}

impl Held {
    /// A delivery of `event`.
    pub fn of(event: &Event, attempts: u32, single: Single) -> Held {
        let Event { project, organization, .. } = *event;
        Held { project, organization, ordering_key: event.ordering_key.clone(), attempts, single }
    }
}

/// Where a delivery goes after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Delivered,
    RetryAt(Timestamp),
    Exhausted,
    Skipped(SkipReason),
}

/// An attempt as it is kept. The body of the request is kept as what stands before and after the event's own data
/// where that is in it byte for byte, since the data is kept already.
#[derive(Debug)]
pub struct LoggedAttempt {
    /// Unique; used unless it is the first of its delivery.
    pub id: i64,
    pub at: Timestamp,
    pub duration_ms: u32,
    pub outcome: Outcome,
    pub error: Option<String>,
    /// What else is to be known of it, whatever the outcome.
    pub note: Option<&'static str>,
    pub trigger: Trigger,
    pub request: Option<LoggedRequest>,
    pub response: Option<LoggedResponse>,
}

/// A request as it is kept, credentials masked.
#[derive(Debug)]
pub struct LoggedRequest {
    pub method: http::Method,
    pub url: Arc<str>,
    pub headers: Headers,
    pub body: LoggedBody,
}

/// A request's body as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoggedBody {
    Whole(Bytes),
    /// The event's data stands between the two.
    AroundData {
        head: Bytes,
        tail: Bytes,
    },
}

/// A response as it is kept.
#[derive(Debug)]
pub struct LoggedResponse {
    pub status: u16,
    pub headers: Headers,
    pub body: Bytes,
    pub truncated: bool,
}

/// What came of finishing a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finished {
    /// Recorded. `unblocked`: a delivery of the same ordering key is due now.
    Recorded { unblocked: bool },
    /// The lease was lost: somebody else has it, and nothing was changed.
    Fenced,
}

/// A wish for work.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    pub webhook: WebhookId,
    pub node: NodeId,
    pub limit: u32,
    /// Stop once the payloads reach this many bytes.
    pub max_bytes: usize,
}

/// Makes waiting deliveries of a webhook due earlier, in the order in which they are due. Those that are due now stay as they
/// are; none becomes due before now.
#[derive(Clone, Copy, Debug)]
pub struct PullDue {
    pub webhook: WebhookId,
    /// By how much.
    pub by: Duration,
    /// The last one that was looked at, as it was due before; `None` at the start.
    pub after: Option<(Timestamp, DeliveryId)>,
    /// How many to change at most.
    pub limit: u32,
}

/// What came of [`PullDue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// Where the next piece starts; `None` when none is left.
    pub last: Option<(Timestamp, DeliveryId)>,
    /// When the first that was changed is due now; `None` where none was.
    pub first_due: Option<Timestamp>,
}

/// Leased work, earliest due first.
#[derive(Debug)]
pub struct Claimed {
    pub deliveries: Vec<ClaimedDelivery>,
    /// When the next one that still waits is due; `None` where nothing waits.
    pub next_due: Option<Timestamp>,
    pub catalogue_version: i64,
}

/// A leased delivery with its event.
#[derive(Clone, Debug)]
pub struct ClaimedDelivery {
    pub lease: Lease,
    pub event: Arc<Event>,
    /// How many attempts are in its log.
    pub attempts: u32,
    /// How many attempts of the schedule failed.
    pub failures: u32,
    pub trigger: Trigger,
    pub single: Single,
    /// Whether a node that is no more held it since it was last asked for or recorded.
    pub may_have_been_sent: bool,
}

/// Deliveries to send once more.
#[derive(Debug)]
pub struct Resend {
    pub deliveries: Vec<DeliveryId>,
}

/// New deliveries for a kept event.
#[derive(Debug)]
pub struct Deliver {
    pub event: EventId,
    pub webhook: WebhookId,
    pub id: DeliveryId,
    pub trigger: Trigger,
}

/// A piece of a job. What it does and how far the job got are kept together, so that a job that breaks off goes on where
/// it was. Refused with [`StoreError::Stale`](crate::StoreError::Stale) where the job is not at `from`, or does not run.
#[derive(Debug)]
pub struct Work {
    pub job: JobId,
    /// Where the job was when the piece was put together.
    pub from: i64,
    /// Where it is after it.
    pub to: i64,
    /// Whether that is the end of the job.
    pub ends: bool,
    /// As by [`Operation::Resend`].
    pub resend: Vec<DeliveryId>,
    /// As by [`Operation::Cancel`].
    pub cancel: Vec<DeliveryId>,
    /// As by [`Operation::Deliver`]; what lacks its event is passed over.
    pub deliver: Vec<Deliver>,
}

impl Work {
    /// How many deliveries it is about.
    pub fn len(&self) -> usize {
        self.resend.len() + self.cancel.len() + self.deliver.len()
    }

    /// Whether it only notes how far the job got.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What may be removed. What a piece is about was found by a reader before (see [`expired`](crate::expired)), so that the
/// writer looks at these rows alone.
#[derive(Clone, Debug)]
pub enum Prune {
    /// Events in the order of their ids, with their deliveries and attempts, unless something of them is still to be sent.
    /// Ends early after about `rows` rows; the answer's position is the last event that it got to the end of.
    Events {
        events: Vec<EventId>,
        which: Which,
        /// The host's own ids of events that are not older stay known.
        keys_before: Timestamp,
        rows: u32,
    },
    /// Deliveries that are final, with their attempts, and the events that have no delivery left then.
    Deliveries { deliveries: Vec<DeliveryId>, keys_before: Timestamp },
    /// Webhooks, users and entities of organizations that were removed.
    Removed { limit: u32 },
    /// Idempotency keys and statistics whose time is over, host's event ids of events that are gone, and notes of changes of
    /// the catalogue that every living node has seen; no more than `limit` of each.
    Keys {
        event_keys_before: Timestamp,
        idempotency_before: Timestamp,
        /// Of figures by five minutes.
        fine_stats_before: Timestamp,
        /// Of figures by the hour.
        stats_before: Timestamp,
        /// Sessions that ended before.
        sessions_before: Timestamp,
        limit: u32,
    },
}

/// Which of the events that a piece names are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those of which nothing is still to be sent.
    Final,
    /// Those that have no delivery.
    Bare,
}

/// What of the catalogue a change is about, for the caches of all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touches {
    pub project: ProjectId,
    /// `None`: the whole project.
    pub organization: Option<OrganizationId>,
}
