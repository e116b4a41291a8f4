//! What a listener of the live stream is told of a delivery.

use fanfare_engine::attempt::Outcome;
use fanfare_engine::delivery::State;
use fanfare_engine::id::{DeliveryId, EventId, OrganizationId, WebhookId};
use fanfare_engine::time::Timestamp;
use std::sync::Arc;

/// A delivery after an attempt, or after it ended without one.
#[derive(Clone, Debug)]
pub struct DeliveryUpdate {
    pub at: Timestamp,
    pub organization: OrganizationId,
    pub delivery: DeliveryId,
    pub event: EventId,
    pub event_type: Arc<str>,
    pub webhook: WebhookId,
    pub state: State,
    /// How many attempts are in its log.
    pub attempts: u32,
    /// How the attempt ended; `None` where none was made.
    pub outcome: Option<Outcome>,
    pub response_code: Option<u16>,
    /// How long the attempt took; `None` where none was made.
    pub duration_ms: Option<u32>,
    pub next_attempt_at: Option<Timestamp>,
}
