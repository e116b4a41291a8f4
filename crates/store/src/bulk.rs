//! Questions that bulk work asks on its way.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_engine::delivery::State;
use fanfare_engine::event::Event;
use fanfare_engine::id::{DeliveryId, EventId, OrganizationId, ProjectId, WebhookId};
use fanfare_engine::time::Timestamp;

use crate::entity;
use crate::error::{StoreError, StoreResult};
use crate::query::{Query, Row};

/// An event, and what one webhook got of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Without its data.
    pub event: Event,
    /// Whether it was made to try one webhook out, and is for no other.
    pub is_test: bool,
    /// Whether it may be that there was a delivery which is removed already, since only the newest are kept.
    pub is_forgotten: bool,
    /// The webhook's delivery of it, and its state as it is kept: one under way counts as pending.
    pub delivery: Option<(DeliveryId, State)>,
}

/// The next `limit` events of an organization with ids above `after` and below `below`, oldest first, and what the
/// webhook got of each.
pub fn received(
    organization: OrganizationId,
    webhook: WebhookId,
    after: i64,
    below: i64,
    limit: u32,
) -> Query<Received> {
    Query {
        sql: "SELECT e.id, e.project_id, e.organization_id, e.type, e.external_id, e.occurred_at, e.entity, e.scope,
                  e.ordering_key, e.is_test, d.id, d.state, d.one_shot,
                  e.id <= coalesce((SELECT forgotten_to FROM webhooks w WHERE w.id = ?1), 0)
              FROM (SELECT id FROM events WHERE organization_id = ?2 AND id > ?3 AND id < ?4 ORDER BY id LIMIT ?5) seen
              JOIN events e ON e.id = seen.id
              LEFT JOIN deliveries d ON d.id = coalesce(
                  (SELECT o.id FROM deliveries o WHERE o.id > e.id AND o.id <= e.last_delivery_id AND o.event_id = e.id
                       AND o.webhook_id = ?1 LIMIT 1),
                  (SELECT l.id FROM deliveries l WHERE l.late = 1 AND l.event_id = e.id AND l.webhook_id = ?1 LIMIT 1))
              ORDER BY e.id"
            .into(),
        arguments: crate::arguments![webhook.0, organization.0, after, below, i64::from(limit)],
        decode,
    }
}

fn decode(row: &dyn Row) -> StoreResult<Received> {
    let delivery = match (row.int_or_null(10)?, row.int_or_null(11)?) {
        (Some(id), Some(state)) => Some((DeliveryId(id), stored_state(state, row.int(12)?)?)),
        _ => None,
    };
    let event = Event {
        id: EventId(row.int(0)?),
        project: ProjectId(row.int(1)?),
        organization: OrganizationId(row.int(2)?),
        kind: Arc::from(row.text(3)?),
        external_id: row.text_or_null(4)?,
        data: Bytes::new(),
        entity: row.text_or_null(6)?.as_deref().map(entity::read).transpose()?,
        scope: row.text_or_null(7)?.as_deref().map_or(Ok(Vec::new()), entity::read_scope)?,
        occurred_at: Timestamp(row.int(5)?),
        ordering_key: row.text_or_null(8)?,
        // Like the data, it is read when the delivery is sent.
        hops: 0,
    };
    Ok(Received { event, is_test: row.int(9)? != 0, is_forgotten: row.int(13)? != 0, delivery })
}

/// One that is sent again after it was delivered stays delivered.
fn stored_state(state: i64, one_shot: i64) -> StoreResult<State> {
    match State::from_number(state) {
        Some(State::Pending | State::Delivering) if one_shot == 2 => Ok(State::Delivered),
        Some(State::Delivering) => Ok(State::Pending),
        Some(state) => Ok(state),
        None => Err(StoreError::Damaged("an unknown state".to_owned())),
    }
}
