//! Questions about events, deliveries and figures: what the lists and pages show.

use std::borrow::Cow;
use std::time::Duration;

use fanfare_engine::delivery::{SkipReason, State, Trigger};
use fanfare_engine::id::{DeliveryId, EventId, OrganizationId, ProjectId, WebhookId, floor_at, span_of};
use fanfare_engine::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::catalogue::{literal, pattern};
use crate::error::{StoreError, StoreResult};
use crate::query::{Query, Row, Value, listed};

/// A delivery as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    pub id: DeliveryId,
    pub event: EventId,
    pub event_type: String,
    pub project: ProjectId,
    pub organization: OrganizationId,
    pub webhook: WebhookId,
    pub state: State,
    /// Whether a node holds it: an attempt is under way or about to be, also of one that was delivered and is sent again.
    pub leased: bool,
    pub skipped_reason: Option<SkipReason>,
    pub attempts: u32,
    /// When it is tried next; `None` once it is final or while an earlier one of its ordering key holds it back.
    pub next_attempt_at: Option<Timestamp>,
    pub response_code: Option<u16>,
    pub completed_at: Option<Timestamp>,
    pub trigger: Trigger,
}

const DELIVERY_COLUMNS: &str = "id, event_id, event_type, project_id, organization_id, webhook_id, state, skipped_reason, \
     attempts, next_attempt_at, response_code, completed_at, trigger, lease_node, one_shot";

fn decode_delivery(row: &dyn Row) -> StoreResult<DeliveryRow> {
    let stored = State::from_number(row.int(6)?).ok_or_else(|| StoreError::Damaged("an unknown state".to_owned()))?;
    let state = match stored {
        // While a delivered one is sent again, it stays delivered.
        State::Pending | State::Delivering if row.int(14)? == 2 => State::Delivered,
        State::Pending if row.int(13)? != 0 => State::Delivering,
        other => other,
    };
    let due = Timestamp(row.int(9)?);
    Ok(DeliveryRow {
        id: DeliveryId(row.int(0)?),
        event: EventId(row.int(1)?),
        event_type: row.text(2)?,
        project: ProjectId(row.int(3)?),
        organization: OrganizationId(row.int(4)?),
        webhook: WebhookId(row.int(5)?),
        state,
        leased: !stored.is_final() && row.int(13)? != 0,
        skipped_reason: row.int_or_null(7)?.and_then(SkipReason::from_number),
        attempts: small(row.int(8)?)?,
        next_attempt_at: (!stored.is_final() && due != Timestamp::NEVER).then_some(due),
        response_code: row.int_or_null(10)?.map(small).transpose()?,
        completed_at: row.int_or_null(11)?.map(Timestamp),
        trigger: Trigger::from_number(row.int(12)?).unwrap_or(Trigger::Schedule),
    })
}

fn small<T: TryFrom<i64>>(value: i64) -> StoreResult<T> {
    T::try_from(value).map_err(|_| StoreError::Damaged(format!("{value} is out of range")))
}

/// What a text finds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Search {
    /// The delivery with this id.
    Delivery(DeliveryId),
    /// What has this in its event type, or in the name or the present URL of its webhook, whatever the case.
    Text(String),
}

/// Which deliveries a list shows. Newest first, unless `after` says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeliveryFilter {
    pub project: Option<ProjectId>,
    pub organization: Option<OrganizationId>,
    pub webhook: Option<WebhookId>,
    pub event: Option<EventId>,
    pub event_type: Option<String>,
    /// Only what this text finds.
    pub search: Option<Search>,
    pub state: Option<State>,
    pub response_code: Option<u16>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Only those that are not final, or are being sent again.
    pub live: bool,
    /// Only what is among the newest so many of `webhook`, whatever else is asked for.
    pub newest: Option<u32>,
    /// Only ids below this one: where the last page ended.
    pub before: Option<DeliveryId>,
    /// Only ids above this one, and those oldest first: for going through all.
    pub after: Option<DeliveryId>,
}

/// One page of deliveries.
///
/// A filter that few rows match could look at every row there is; so a page looks at no more than `scan` rows. Use
/// [`delivery_scan_end`] to learn where it stopped.
pub fn deliveries(filter: &DeliveryFilter, limit: u32, scan: u32) -> Query<DeliveryRow> {
    let (mut sql, mut arguments) = selection(filter, scan);
    arguments.push(Value::Int(i64::from(limit)));
    sql.push_str(&format!(" ORDER BY id {} LIMIT ?{}", direction(filter), arguments.len()));
    Query { sql: Cow::Owned(sql), arguments, decode: decode_delivery }
}

/// How many deliveries a list shows, counted up to `limit`.
pub fn count_deliveries(filter: &DeliveryFilter, limit: u32, scan: u32) -> Query<u32> {
    let (sql, mut arguments) = selection(filter, scan);
    arguments.push(Value::Int(i64::from(limit)));
    let sql = format!("SELECT count(*) FROM ({sql} LIMIT ?{})", arguments.len());
    Query { sql: Cow::Owned(sql), arguments, decode: |row| small(row.int(0)?) }
}

/// The rows that match, among the next `scan` rows.
fn selection(filter: &DeliveryFilter, scan: u32) -> (String, Vec<Value>) {
    let (source, mut arguments) = delivery_source(filter, DELIVERY_COLUMNS);
    arguments.push(Value::Int(i64::from(scan)));
    let source = format!("{source} LIMIT ?{}", arguments.len());
    let mut wheres = Vec::new();
    let mut add = |clause: &str, value: Value| {
        arguments.push(value);
        wheres.push(clause.replace('?', &format!("?{}", arguments.len())));
    };
    if let Some(organization) = filter.organization {
        add("organization_id = ?", Value::Int(organization.0));
    }
    if let Some(project) = filter.project {
        add("project_id = ?", Value::Int(project.0));
    }
    if let Some(event) = filter.event {
        add("event_id = ?", Value::Int(event.0));
    }
    if let Some(webhook) = filter.webhook {
        add("webhook_id = ?", Value::Int(webhook.0));
    }
    if let Some(name) = &filter.event_type {
        add("event_type = ?", Value::Text(name.clone()));
    }
    if let Some(code) = filter.response_code {
        add("response_code = ?", Value::Int(i64::from(code)));
    }
    if let Some(state) = filter.state {
        let clause = match state {
            State::Pending => "state = ? AND lease_node = 0 AND one_shot <> 2",
            State::Delivering => "((state = ? OR (state = 0 AND lease_node <> 0)) AND one_shot <> 2)",
            State::Delivered => "(state = ? OR (state < 2 AND one_shot = 2))",
            State::Exhausted | State::Skipped | State::Cancelled => "state = ?",
        };
        add(clause, Value::Int(state as i64));
    }
    if filter.live {
        wheres.push("state < 2".to_owned());
    }
    if let Some(Search::Text(text)) = &filter.search {
        let [kind, webhook] = [1, 2].map(|place| arguments.len() + place);
        // One look-up for each row that is looked at, so that it costs the same however many webhooks there are.
        wheres.push(format!(
            "(event_type LIKE ?{kind} ESCAPE '\\'
                 OR EXISTS (SELECT 1 FROM webhooks w WHERE w.id = webhook_id AND w.search LIKE ?{webhook} ESCAPE '\\'))"
        ));
        arguments.extend(crate::arguments![literal(text), pattern(text)]);
    }
    let wheres = if wheres.is_empty() { "1".to_owned() } else { wheres.join(" AND ") };
    (format!("SELECT {DELIVERY_COLUMNS} FROM ({source}) WHERE {wheres}"), arguments)
}

fn direction(filter: &DeliveryFilter) -> &'static str {
    if filter.after.is_some() { "ASC" } else { "DESC" }
}

/// The id at which a scan of `scan` rows stops; no row where the end is reached before.
pub fn delivery_scan_end(filter: &DeliveryFilter, scan: u32) -> Query<DeliveryId> {
    let (source, mut arguments) = delivery_source(filter, "id");
    arguments.push(Value::Int(i64::from(scan) - 1));
    let sql = format!("{source} LIMIT 1 OFFSET ?{}", arguments.len());
    Query { sql: Cow::Owned(sql), arguments, decode: |row| Ok(DeliveryId(row.int(0)?)) }
}

/// The rows that a list walks over, by the narrowest index that fits, in its order.
fn delivery_source(filter: &DeliveryFilter, columns: &str) -> (String, Vec<Value>) {
    let below = filter.before.map_or(i64::MAX, |id| id.0).min(filter.until.map_or(i64::MAX, floor_at));
    let from = filter.since.map_or(0, floor_at).max(filter.after.map_or(0, |id| id.0.saturating_add(1)));
    let (below, from) = match filter.search {
        Some(Search::Delivery(id)) => (below.min(id.0.saturating_add(1)), from.max(id.0)),
        _ => (below, from),
    };
    let direction = direction(filter);
    let oldest = oldest_shown(filter);
    if let Some(event) = filter.event {
        let sql = format!(
            "SELECT {columns} FROM (
                 SELECT d.* FROM events e JOIN deliveries d ON d.id > e.id AND d.id <= e.last_delivery_id AND d.event_id = e.id
                 WHERE e.id = ?1
                 UNION ALL SELECT * FROM deliveries WHERE late = 1 AND event_id = ?1)
             WHERE id < ?2 AND id >= {oldest} AND id >= ?3 ORDER BY id {direction}"
        );
        return (sql, crate::arguments![event.0, below, from]);
    }
    let ended_badly = filter.state.filter(|state| (*state as i64) > State::Delivered as i64);
    let (clause, mut arguments) = match (filter.webhook, filter.organization, ended_badly) {
        (Some(webhook), _, Some(state)) => (
            "INDEXED BY deliveries_of_webhook_ended_badly WHERE state > 2 AND webhook_id = ?1 AND state = ?2",
            crate::arguments![webhook.0, state as i64],
        ),
        (Some(webhook), ..) => ("INDEXED BY deliveries_by_webhook WHERE webhook_id = ?1", vec![Value::Int(webhook.0)]),
        (None, Some(organization), Some(state)) => (
            "INDEXED BY deliveries_ended_badly WHERE state > 2 AND organization_id = ?1 AND state = ?2",
            crate::arguments![organization.0, state as i64],
        ),
        (None, Some(organization), None) => return deliveries_of(organization, columns, below, from, direction),
        (None, None, Some(state)) if filter.project.is_some() => (
            "INDEXED BY deliveries_ended_badly_anywhere WHERE state > 2 AND project_id = ?1 AND state = ?2",
            crate::arguments![filter.project.map_or(0, |project| project.0), state as i64],
        ),
        (None, None, _) => ("WHERE 1", Vec::new()),
    };
    let next = arguments.len() + 1;
    arguments.extend(crate::arguments![below, from]);
    let sql = format!(
        "SELECT {columns} FROM deliveries {clause} AND id < ?{next} AND id >= {oldest} AND id >= ?{} ORDER BY id {direction}",
        next + 1
    );
    (sql, arguments)
}

/// For how long ids of an event's deliveries may go on after its own: far longer than it takes to make the ids of an event for all
/// webhooks that an organization may have.
const IDS_OF_ONE_EVENT: Duration = Duration::from_secs(10);

/// The deliveries of an organization, by its events: each event's have ids that follow its own directly, so that no index of
/// deliveries is needed, which every delivery would have to be added to. Those that were made late have one of their own.
/// An event without any gives a row with nothing but its id, so that what is looked at is bounded: it matches no filter.
/// `+` keeps SQLite from searching by the page's bounds, which would look through everybody's deliveries for each event.
fn deliveries_of(
    organization: OrganizationId,
    columns: &str,
    below: i64,
    from: i64,
    direction: &str,
) -> (String, Vec<Value>) {
    let [of_events, late] = [|_: &str| "coalesce(d.id, e.id) AS id".to_owned(), |column: &str| format!("d.{column}")]
        .map(|id| {
            let column = |column: &str| if column == "id" { id(column) } else { format!("d.{column}") };
            columns.split(", ").map(column).collect::<Vec<_>>().join(", ")
        });
    let sql = format!(
        "SELECT {of_events}, e.id AS run FROM events e INDEXED BY events_by_organization
             LEFT JOIN deliveries d ON d.id > e.id AND d.id <= e.last_delivery_id AND d.event_id = e.id
             WHERE e.organization_id = ?1 AND e.id < ?2 AND e.id >= ?3
                 AND CASE WHEN d.id IS NULL THEN e.id >= ?4 ELSE +d.id < ?2 AND +d.id >= ?4 END
         UNION ALL
         SELECT {late}, d.id AS run FROM deliveries d INDEXED BY deliveries_late_by_organization
             WHERE d.late = 1 AND d.organization_id = ?1 AND d.id < ?2 AND d.id >= ?4
         ORDER BY run {direction}, id {direction}"
    );
    let event_from = from.saturating_sub(span_of(IDS_OF_ONE_EVENT));
    (sql, crate::arguments![organization.0, below, event_from, from])
}

/// The newest delivery of an event to each of these webhooks that has one, however many deliveries the event has. `webhooks`
/// must be a few thousand at most.
pub fn event_deliveries(event: EventId, webhooks: &[WebhookId]) -> Query<DeliveryRow> {
    let mut arguments = crate::arguments![event.0];
    arguments.extend(webhooks.iter().map(|webhook| Value::Int(webhook.0)));
    let places: Vec<String> = (2..=arguments.len()).map(|place| format!("?{place}")).collect();
    let sql = format!(
        "SELECT {DELIVERY_COLUMNS} FROM deliveries WHERE id IN (SELECT max(id) FROM (
             SELECT d.id, d.webhook_id FROM events e
             JOIN deliveries d ON d.id > e.id AND d.id <= e.last_delivery_id AND d.event_id = e.id WHERE e.id = ?1
             UNION ALL SELECT id, webhook_id FROM deliveries WHERE late = 1 AND event_id = ?1)
         WHERE webhook_id IN ({}) GROUP BY webhook_id)",
        places.join(", ")
    );
    Query { sql: Cow::Owned(sql), arguments, decode: decode_delivery }
}

/// The id, in SQL, of the oldest delivery that a webhook's view still shows.
fn oldest_shown(filter: &DeliveryFilter) -> String {
    match (filter.webhook, filter.newest) {
        (Some(webhook), Some(newest)) => format!(
            "coalesce((SELECT id FROM deliveries INDEXED BY deliveries_by_webhook WHERE webhook_id = {}
                 ORDER BY id DESC LIMIT 1 OFFSET {}), 0)",
            webhook.0,
            newest.saturating_sub(1)
        ),
        _ => "0".to_owned(),
    }
}

/// One delivery.
pub fn delivery(id: DeliveryId) -> Query<DeliveryRow> {
    Query {
        sql: Cow::Owned(format!("SELECT {DELIVERY_COLUMNS} FROM deliveries WHERE id = ?1")),
        arguments: crate::arguments![id.0],
        decode: decode_delivery,
    }
}

/// The URL that each of these deliveries' last attempt went to, where one is logged.
pub fn last_urls(deliveries: &[DeliveryId]) -> Query<(DeliveryId, String)> {
    let list = listed(deliveries.iter().map(|id| id.0));
    Query {
        sql: Cow::Owned(format!(
            "SELECT d.id, coalesce(
                 (SELECT url FROM attempts a WHERE a.number > 1 AND a.delivery_id = d.id AND url IS NOT NULL ORDER BY number DESC LIMIT 1),
                 (SELECT url FROM attempts a WHERE a.id = d.id)) AS url
             FROM deliveries d WHERE d.id IN ({list})"
        )),
        arguments: Vec::new(),
        decode: |row| Ok((DeliveryId(row.int(0)?), row.text_or_null(1)?.unwrap_or_default())),
    }
}

/// An event as lists and its page show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    pub id: EventId,
    pub organization: OrganizationId,
    pub kind: String,
    pub external_id: Option<String>,
    pub occurred_at: Timestamp,
    /// JSON text: type, id and url.
    pub entity: Option<String>,
    /// JSON text: the list of ancestors.
    pub scope: Option<String>,
    pub ordering_key: Option<String>,
    /// How many webhooks it matched when it was accepted.
    pub deliveries: u32,
    /// JSON text as the host sent it.
    pub data: Vec<u8>,
    pub entity_data: Option<Vec<u8>>,
    /// Whether it only tries out a webhook.
    pub is_test: bool,
}

const EVENT_COLUMNS: &str = "e.id, e.organization_id, e.type, e.external_id, e.occurred_at, e.entity, e.scope, \
     e.ordering_key, e.deliveries, e.data, e.entity_data, e.is_test";

fn decode_event(row: &dyn Row) -> StoreResult<EventRow> {
    Ok(EventRow {
        id: EventId(row.int(0)?),
        organization: OrganizationId(row.int(1)?),
        kind: row.text(2)?,
        external_id: row.text_or_null(3)?,
        occurred_at: Timestamp(row.int(4)?),
        entity: row.text_or_null(5)?,
        scope: row.text_or_null(6)?,
        ordering_key: row.text_or_null(7)?,
        deliveries: small(row.int(8)?)?,
        data: row.blob(9)?,
        entity_data: row.blob_or_null(10)?,
        is_test: row.int(11)? != 0,
    })
}

/// An event of an organization by its own id.
pub fn event(organization: OrganizationId, id: EventId) -> Query<EventRow> {
    Query {
        sql: Cow::Owned(format!("SELECT {EVENT_COLUMNS} FROM events e WHERE e.id = ?1 AND e.organization_id = ?2")),
        arguments: crate::arguments![id.0, organization.0],
        decode: decode_event,
    }
}

/// The id of the event that the host calls `external_id`.
pub fn event_by_external_id(organization: OrganizationId, external_id: &str) -> Query<EventId> {
    Query {
        sql: Cow::Borrowed("SELECT id FROM events WHERE organization_id = ?1 AND external_id = ?2"),
        arguments: crate::arguments![organization.0, external_id],
        decode: |row| Ok(EventId(row.int(0)?)),
    }
}

/// Events of an organization, newest first, below `before` where given; looks at no more than `scan` rows.
pub fn events(
    organization: OrganizationId,
    kind: Option<&str>,
    before: Option<EventId>,
    limit: u32,
    scan: u32,
) -> Query<EventRow> {
    Query {
        sql: Cow::Owned(format!(
            "SELECT {EVENT_COLUMNS} FROM (
                 SELECT id FROM events WHERE organization_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3) seen
             JOIN events e ON e.id = seen.id WHERE (?4 IS NULL OR e.type = ?4) ORDER BY e.id DESC LIMIT ?5"
        )),
        arguments: crate::arguments![
            organization.0,
            before.map_or(i64::MAX, |id| id.0),
            i64::from(scan),
            kind,
            i64::from(limit)
        ],
        decode: decode_event,
    }
}

/// The id at which a scan of `scan` rows by [`events`] stops; no row where the end is reached before.
pub fn event_scan_end(organization: OrganizationId, before: Option<EventId>, scan: u32) -> Query<i64> {
    Query {
        sql: Cow::Borrowed(
            "SELECT id FROM events WHERE organization_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3",
        ),
        arguments: crate::arguments![organization.0, before.map_or(i64::MAX, |id| id.0), i64::from(scan) - 1],
        decode: |row| row.int(0),
    }
}

/// A webhook that has something waiting in the store, and when the first of it is due.
pub fn waiting_webhooks() -> Query<(WebhookId, Timestamp)> {
    Query {
        sql: Cow::Borrowed(
            "WITH RECURSIVE w (id) AS (
                 SELECT min(webhook_id) FROM deliveries INDEXED BY deliveries_live WHERE state < 2 AND lease_node = 0
                 UNION ALL
                 SELECT (SELECT min(webhook_id) FROM deliveries INDEXED BY deliveries_live
                         WHERE state < 2 AND lease_node = 0 AND webhook_id > w.id)
                 FROM w WHERE w.id IS NOT NULL)
             SELECT id, (SELECT min(next_attempt_at) FROM deliveries INDEXED BY deliveries_live
                         WHERE state < 2 AND lease_node = 0 AND webhook_id = w.id)
             FROM w WHERE id IS NOT NULL",
        ),
        arguments: Vec::new(),
        decode: |row| Ok((WebhookId(row.int(0)?), Timestamp(row.int(1)?))),
    }
}

/// How many deliveries are held by a node: sent, or about to be.
pub fn leased() -> Query<u64> {
    Query {
        sql: Cow::Borrowed(
            "SELECT count(*) FROM deliveries INDEXED BY deliveries_live WHERE state < 2 AND lease_node > 0",
        ),
        arguments: Vec::new(),
        decode: |row| small(row.int(0)?),
    }
}

/// Deliveries of all projects that are not final.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Live {
    pub backlog: u64,
    /// Those of them that a node holds: sent, or about to be.
    pub leased: u64,
}

/// How many deliveries are not final and with no node, counted up to `limit`.
pub fn waiting(limit: u32) -> Query<u64> {
    Query {
        sql: Cow::Borrowed(
            "SELECT count(*) FROM (SELECT 1 FROM deliveries INDEXED BY deliveries_live
                 WHERE state < 2 AND lease_node = 0 LIMIT ?1)",
        ),
        arguments: crate::arguments![i64::from(limit)],
        decode: |row| small(row.int(0)?),
    }
}

/// How many deliveries are not final, and how many of them a node holds.
pub fn live() -> Query<Live> {
    Query {
        sql: Cow::Borrowed(
            "SELECT count(*), coalesce(sum(CASE WHEN lease_node > 0 THEN 1 ELSE 0 END), 0)
             FROM deliveries INDEXED BY deliveries_live WHERE state < 2",
        ),
        arguments: Vec::new(),
        decode: |row| Ok(Live { backlog: small(row.int(0)?)?, leased: small(row.int(1)?)? }),
    }
}
