//! Questions that pruning asks: what is too old or too much. Readers answer them, and the writer removes what they found.

use fanfare_engine::delivery::State;
use fanfare_engine::id::{DeliveryId, EventId, OrganizationId, ProjectId, WebhookId};

use crate::query::{Query, listed};

/// An organization that has events: its project, and the oldest of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oldest {
    pub organization: OrganizationId,
    pub project: ProjectId,
    pub event: EventId,
}

/// Organizations that have events, also such as were removed, in the order of their ids, above `after`. One look into an index
/// for each.
pub fn oldest_events(after: Option<OrganizationId>, limit: u32) -> Query<Oldest> {
    Query {
        sql: "WITH RECURSIVE o (id) AS (
                 SELECT min(organization_id) FROM events WHERE organization_id > ?1
                 UNION ALL
                 SELECT (SELECT min(organization_id) FROM events WHERE organization_id > o.id) FROM o WHERE o.id IS NOT NULL
                 LIMIT ?2)
             SELECT e.organization_id, e.project_id, e.id FROM o
             JOIN events e ON e.id = (SELECT min(id) FROM events WHERE organization_id = o.id)"
            .into(),
        arguments: crate::arguments![after.map_or(-1, |organization| organization.0), i64::from(limit)],
        decode: |row| {
            Ok(Oldest {
                organization: OrganizationId(row.int(0)?),
                project: ProjectId(row.int(1)?),
                event: EventId(row.int(2)?),
            })
        },
    }
}

/// The next `limit` events above `after` and below `below`, oldest first, with the projects that they belong to.
pub fn events(after: EventId, below: i64, limit: u32) -> Query<(EventId, ProjectId)> {
    Query {
        sql: "SELECT id, project_id FROM events WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3".into(),
        arguments: crate::arguments![after.0, below, i64::from(limit)],
        decode: |row| Ok((EventId(row.int(0)?), ProjectId(row.int(1)?))),
    }
}

/// The same of one organization.
pub fn events_of(organization: OrganizationId, after: EventId, below: i64, limit: u32) -> Query<EventId> {
    Query {
        sql: "SELECT id FROM events INDEXED BY events_by_organization
              WHERE organization_id = ?1 AND id > ?2 AND id < ?3 ORDER BY id LIMIT ?4"
            .into(),
        arguments: crate::arguments![organization.0, after.0, below, i64::from(limit)],
        decode: |row| Ok(EventId(row.int(0)?)),
    }
}

/// Those of these webhooks that have more than `keep` deliveries, each with the newest one beyond them.
pub fn newest_deliveries_beyond(webhooks: &[WebhookId], keep: u32) -> Query<(WebhookId, DeliveryId)> {
    Query {
        sql: format!(
            "SELECT id, newest FROM (
                 SELECT w.id, (SELECT d.id FROM deliveries d INDEXED BY deliveries_by_webhook WHERE d.webhook_id = w.id
                               ORDER BY d.id DESC LIMIT 1 OFFSET ?1) AS newest
                 FROM webhooks w WHERE w.id IN ({})) AS beyond
             WHERE newest IS NOT NULL ORDER BY id",
            listed(webhooks.iter().map(|id| id.0))
        )
        .into(),
        arguments: crate::arguments![i64::from(keep)],
        decode: |row| Ok((WebhookId(row.int(0)?), DeliveryId(row.int(1)?))),
    }
}

/// The next `limit` deliveries of a webhook above `after`, up to `to`, oldest first, each with whether it is final.
pub fn deliveries_of(webhook: WebhookId, after: DeliveryId, to: DeliveryId, limit: u32) -> Query<(DeliveryId, bool)> {
    Query {
        sql: "SELECT id, state >= ?4 FROM deliveries INDEXED BY deliveries_by_webhook
              WHERE webhook_id = ?1 AND id > ?2 AND id <= ?3 ORDER BY id LIMIT ?5"
            .into(),
        arguments: crate::arguments![webhook.0, after.0, to.0, State::Delivered as i64, i64::from(limit)],
        decode: |row| Ok((DeliveryId(row.int(0)?), row.int(1)? != 0)),
    }
}

/// Those of these organizations that have more than `keep` events, each with the newest one beyond them.
pub fn newest_events_beyond(organizations: &[OrganizationId], keep: u32) -> Query<(OrganizationId, EventId)> {
    // Also organizations that were removed have events, so that they cannot be taken from their table.
    let values = organizations.iter().map(|id| format!("({})", id.0)).collect::<Vec<_>>().join(",");
    // A list without entries is not valid, and no organization has the id 0.
    let values = if values.is_empty() { "(0)".to_owned() } else { values };
    Query {
        sql: format!(
            "WITH o (id) AS (VALUES {values})
             SELECT id, newest FROM (
                 SELECT o.id, (SELECT e.id FROM events e INDEXED BY events_by_organization
                               WHERE e.organization_id = o.id ORDER BY e.id DESC LIMIT 1 OFFSET ?1) AS newest
                 FROM o) AS beyond
             WHERE newest IS NOT NULL ORDER BY id"
        )
        .into(),
        arguments: crate::arguments![i64::from(keep)],
        decode: |row| Ok((OrganizationId(row.int(0)?), EventId(row.int(1)?))),
    }
}

/// The next `limit` events of an organization above `after`, up to `to`, oldest first, each with whether it has no delivery.
pub fn bare_events_of(organization: OrganizationId, after: EventId, to: EventId, limit: u32) -> Query<(EventId, bool)> {
    Query {
        sql: "SELECT e.id, NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.id > e.id AND d.id <= e.last_delivery_id
                                           AND d.event_id = e.id)
                   AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.late = 1 AND d.event_id = e.id)
              FROM (SELECT id FROM events INDEXED BY events_by_organization
                    WHERE organization_id = ?1 AND id > ?2 AND id <= ?3 ORDER BY id LIMIT ?4) seen
              JOIN events e ON e.id = seen.id ORDER BY e.id"
            .into(),
        arguments: crate::arguments![organization.0, after.0, to.0, i64::from(limit)],
        decode: |row| Ok((EventId(row.int(0)?), row.int(1)? != 0)),
    }
}
