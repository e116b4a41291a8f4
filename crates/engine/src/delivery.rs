//! One event for one webhook: its states and what they are called.

use serde::{Deserialize, Serialize};

/// Where a delivery stands. The numbers are what the databases keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(i64)]
pub enum State {
    /// Waiting for its first or next attempt.
    Pending = 0,
    /// Held by a node that sends it or is about to.
    Delivering = 1,
    /// Accepted by the receiver.
    Delivered = 2,
    /// Failed, and the schedule has no attempt left.
    Exhausted = 3,
    /// Not to be sent any more: see the reason.
    Skipped = 4,
    /// Taken back by the host or a user.
    Cancelled = 5,
}

impl State {
    pub const ALL: [State; 6] =
        [State::Pending, State::Delivering, State::Delivered, State::Exhausted, State::Skipped, State::Cancelled];

    /// The word for it in the API, the portal, metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Delivering => "delivering",
            State::Delivered => "delivered",
            State::Exhausted => "exhausted",
            State::Skipped => "skipped",
            State::Cancelled => "cancelled",
        }
    }

    /// The state of this name.
    pub fn named(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nothing happens to it any more unless somebody asks.
    pub fn is_final(self) -> bool {
        !matches!(self, State::Pending | State::Delivering)
    }

    /// The state that a database row's number stands for.
    pub fn from_number(number: i64) -> Option<State> {
        State::ALL.into_iter().find(|state| *state as i64 == number)
    }
}

/// Why a delivery was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(i64)]
pub enum SkipReason {
    WebhookDeactivated = 1,
    WebhookAutoDisabled = 2,
    WebhookDeleted = 3,
    OrganizationDeleted = 4,
    AccessRevoked = 5,
    /// Claimed again and again without any outcome: the sender itself fails on it.
    Poison = 6,
}

impl SkipReason {
    pub const ALL: [SkipReason; 6] = [
        SkipReason::WebhookDeactivated,
        SkipReason::WebhookAutoDisabled,
        SkipReason::WebhookDeleted,
        SkipReason::OrganizationDeleted,
        SkipReason::AccessRevoked,
        SkipReason::Poison,
    ];

    pub fn name(self) -> &'static str {
        match self {
            SkipReason::WebhookDeactivated => "webhook_deactivated",
            SkipReason::WebhookAutoDisabled => "webhook_auto_disabled",
            SkipReason::WebhookDeleted => "webhook_deleted",
            SkipReason::OrganizationDeleted => "organization_deleted",
            SkipReason::AccessRevoked => "access_revoked",
            SkipReason::Poison => "poison",
        }
    }

    /// The reason that a database row's number stands for.
    pub fn from_number(number: i64) -> Option<SkipReason> {
        SkipReason::ALL.into_iter().find(|reason| *reason as i64 == number)
    }
}

/// What set an attempt off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(i64)]
pub enum Trigger {
    Schedule = 0,
    Manual = 1,
    /// A test event that is sent once.
    Test = 2,
    /// A test event that is retried like any other.
    #[serde(rename = "test")]
    RetriedTest = 3,
}

impl Trigger {
    /// The trigger that a database row's number stands for.
    pub fn from_number(number: i64) -> Option<Trigger> {
        let all = [Trigger::Schedule, Trigger::Manual, Trigger::Test, Trigger::RetriedTest];
        all.into_iter().find(|trigger| *trigger as i64 == number)
    }

    /// Whether its event only tries out a webhook.
    pub fn is_test(self) -> bool {
        matches!(self, Trigger::Test | Trigger::RetriedTest)
    }
}

/// Whether a delivery follows its schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Single {
    /// It does.
    #[default]
    No,
    /// One attempt and no more: a test, or a resend of a delivery that was final.
    Attempt,
    /// One attempt, and whatever comes of it the delivery stays delivered.
    StaysDelivered,
}

impl Single {
    /// What a database row's number stands for.
    pub fn from_number(number: i64) -> Single {
        match number {
            1 => Single::Attempt,
            2 => Single::StaysDelivered,
            _ => Single::No,
        }
    }
}
