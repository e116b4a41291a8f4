//! What a run consists of: how large the world is, which faults it meets, and how the runner is broken on purpose.

use fanfare_engine::scheduler::Limits;

/// The size of a run and the number of its faults. What exactly happens when is drawn from the seed.
#[derive(Clone, Debug)]
pub struct Plan {
    pub cast: Cast,
    /// Events that the host posts, repeated posts not counted.
    pub events: u32,
    /// How long it posts and faults happen, in virtual seconds. Afterwards everything heals and comes to rest.
    pub seconds: u32,
    /// Times that the process is killed.
    pub crashes: u32,
    /// Times that the process is stopped and drained, as for an upgrade.
    pub restarts: u32,
    /// Times that the wall clock is set.
    pub clock_steps: u32,
    /// Times that the store refuses to write for a while.
    pub outages: u32,
    /// Times that a webhook is edited, paused, switched off or deleted, or an organization held.
    pub edits: u32,
    /// Times that somebody asks to send again or to cancel.
    pub wishes: u32,
    /// The scheduler's bounds; `None` draws small ones, so that they are reached.
    pub limits: Option<Limits>,
    /// How the runner is broken; `None` is as it should be.
    pub sabotage: Option<Sabotage>,
}

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cast {
    /// Organizations whose webhooks have receivers of every kind.
    Mixed,
    /// Quiet webhooks with good receivers, and what there is beside them.
    Neighbours(Beside),
    /// One that posts steadily, and, where `returns`, others whose webhooks were paused and get at the same moment everything
    /// that waited.
    CatchUp { returns: bool },
}

/// What there is beside quiet webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    Nobody,
    /// An organization that floods, and one whose receivers hang.
    FloodAndHanging,
    /// Fifty organizations whose receivers hang, with more deliveries than slots at any time.
    ManyHanging,
    /// In the same organization, nine times as many webhooks whose receivers take seconds, with more deliveries than slots.
    SlowWebhooks,
    /// The same, and memory for a part only of what waits for them.
    SlowWebhooksLittleMemory,
}

impl Plan {
    /// A run that takes some milliseconds.
    pub fn short() -> Self {
        Plan {
            cast: Cast::Mixed,
            events: 60,
            seconds: 60,
            crashes: 2,
            restarts: 1,
            clock_steps: 2,
            outages: 1,
            edits: 8,
            wishes: 8,
            limits: None,
            sabotage: None,
        }
    }

    /// A run with more of everything.
    pub fn long() -> Self {
        Plan {
            events: 600,
            seconds: 900,
            crashes: 6,
            restarts: 2,
            clock_steps: 6,
            outages: 4,
            edits: 60,
            wishes: 60,
            ..Plan::short()
        }
    }

    /// A run without faults that measures how soon events are acknowledged while others catch up.
    pub fn catch_up(returns: bool) -> Self {
        let limits = Limits { in_flight: 1_024, bytes: 64 << 20, largest: 0, window_per_slot: 64 };
        let calm = Plan::neighbours(Beside::Nobody);
        Plan { cast: Cast::CatchUp { returns }, events: 1_500, seconds: 30, limits: Some(limits), ..calm }
    }

    /// A run without faults that measures how long the deliveries of quiet webhooks take.
    pub fn neighbours(beside: Beside) -> Self {
        let in_flight = match beside {
            Beside::Nobody | Beside::FloodAndHanging => 32,
            Beside::ManyHanging => 512,
            Beside::SlowWebhooks | Beside::SlowWebhooksLittleMemory => 128,
        };
        let bytes = if beside == Beside::SlowWebhooksLittleMemory { 2 << 20 } else { 64 << 20 };
        let limits = Limits { in_flight, bytes, largest: 0, window_per_slot: 16 };
        Plan {
            cast: Cast::Neighbours(beside),
            events: 120,
            seconds: 60,
            crashes: 0,
            restarts: 0,
            clock_steps: 0,
            outages: 0,
            edits: 0,
            wishes: 0,
            limits: Some(limits),
            sabotage: None,
        }
    }
}

/// A mistake in the runner that the invariants must notice: the proof that they can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The scheduler is not told of the retry that waits in the store.
    ForgetStored,
    /// The host is answered before its event is on disk.
    AnswerBeforeCommit,
    /// A process that was taken for dead finishes with the lease of its successor.
    IgnoreFence,
    /// A retry is due at once, whatever its schedule says.
    SendBeforeDue,
    /// What the dead process had leased is not taken back.
    SkipRescue,
    /// The scheduler is told of a larger concurrency than the webhook allows.
    IgnoreConcurrency,
    /// The scheduler is not told of the webhook's rate limit.
    IgnoreRate,
    /// The scheduler is not told that a receiver asked for no requests for a while.
    IgnoreRetryAfter,
    /// Leases that the scheduler gives back are kept.
    ForgetRelease,
    /// An outcome that the store could not take is dropped.
    LoseOutcomes,
    /// A webhook that was switched off is sent to all the same.
    SendToDeactivated,
    /// A delivery that must wait for an earlier one of its ordering key is sent with it.
    IgnoreOrder,
    /// An attempt carries another event's id.
    MixUpEvents,
    /// What goes to a webhook at most once is leased though it only waits in memory.
    LeaseEarly,
    /// What a dead process held is sent without a note that it is.
    BeginUnnoted,
    /// What may have been sent is sent again though its webhook wants nothing twice.
    SendTwice,
}

impl Sabotage {
    pub const ALL: [Sabotage; 16] = [
        Sabotage::ForgetStored,
        Sabotage::AnswerBeforeCommit,
        Sabotage::IgnoreFence,
        Sabotage::SendBeforeDue,
        Sabotage::SkipRescue,
        Sabotage::IgnoreConcurrency,
        Sabotage::IgnoreRate,
        Sabotage::IgnoreRetryAfter,
        Sabotage::ForgetRelease,
        Sabotage::LoseOutcomes,
        Sabotage::SendToDeactivated,
        Sabotage::IgnoreOrder,
        Sabotage::MixUpEvents,
        Sabotage::LeaseEarly,
        Sabotage::BeginUnnoted,
        Sabotage::SendTwice,
    ];
}
