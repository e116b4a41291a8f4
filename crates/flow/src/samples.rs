//! A delivery for the tests of this crate.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_engine::delivery::{Single, Trigger};
use fanfare_engine::event::Event;
use fanfare_engine::id::{DeliveryId, EventId, OrganizationId, ProjectId, WebhookId};
use fanfare_engine::scheduler::Job;
use fanfare_engine::time::Timestamp;

pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000_000);
pub(crate) const WEBHOOK: WebhookId = WebhookId(5);

pub(crate) fn event(ordering_key: Option<&str>) -> Event {
    Event {
        id: EventId(1),
        project: ProjectId(1),
        organization: OrganizationId(2),
        kind: Arc::from("job.created"),
        external_id: None,
        data: Bytes::from_static(b"{}"),
        entity: None,
        scope: Vec::new(),
        occurred_at: NOW,
        ordering_key: ordering_key.map(str::to_owned),
        hops: 0,
    }
}

pub(crate) fn job() -> Job {
    Job {
        delivery: DeliveryId(3),
        webhook: WEBHOOK,
        claim: 1,
        event: Arc::new(event(None)),
        attempts: 0,
        failures: 0,
        trigger: Trigger::Schedule,
        single: Single::No,
        may_have_been_sent: false,
        weight: 100,
    }
}
