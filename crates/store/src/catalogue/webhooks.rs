//! Webhooks. Their credentials are kept as a sealed blob that this crate cannot open.

use std::borrow::Cow;

use fanfare_engine::id::{OrganizationId, ProjectId, WebhookId};
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::{Settings, Status};
use uuid::Uuid;

use super::{Conditions, Page, decode_int, document, must, parse_document, pattern, query, step, unique};
use crate::arguments;
use crate::error::{StoreError, StoreResult};
use crate::query::{Change, Expect, Query, Row, Step, listed};

/// A webhook as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookRow {
    pub id: WebhookId,
    pub project: ProjectId,
    pub organization: OrganizationId,
    /// From 1 in its organization; it never changes.
    pub number: i64,
    pub uuid: Uuid,
    pub profile: String,
    pub status: Status,
    pub status_reason: Option<String>,
    pub failing_since: Option<Timestamp>,
    pub failed_at: Option<Timestamp>,
    pub settings: Settings,
    /// The encrypted credentials.
    pub sealed: Vec<u8>,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub created_by: Option<String>,
    /// The user on whose behalf it acts; `None` for the host itself.
    pub owner: Option<String>,
}

const COLUMNS: &str = "id, project_id, organization_id, number, uuid, profile, status, status_reason, failing_since, \
     settings, sealed, version, created_at, updated_at, created_by, owner, failed_at";

fn decode(row: &dyn Row) -> StoreResult<WebhookRow> {
    let id = WebhookId(row.int(0)?);
    let damaged = |what: &str| StoreError::Damaged(format!("webhook {id} has {what}"));
    Ok(WebhookRow {
        id,
        project: ProjectId(row.int(1)?),
        organization: OrganizationId(row.int(2)?),
        number: row.int(3)?,
        uuid: Uuid::from_slice(&row.blob(4)?).map_err(|_| damaged("no UUID"))?,
        profile: row.text(5)?,
        status: Status::from_number(row.int(6)?).ok_or_else(|| damaged("an unknown status"))?,
        status_reason: row.text_or_null(7)?,
        failing_since: row.int_or_null(8)?.map(Timestamp),
        settings: parse_document(&row.text(9)?)
            .map_err(|error| StoreError::Damaged(format!("the settings of webhook {id}: {error}")))?,
        sealed: row.blob(10)?,
        version: row.int(11)?,
        created_at: Timestamp(row.int(12)?),
        updated_at: Timestamp(row.int(13)?),
        created_by: row.text_or_null(14)?,
        owner: row.text_or_null(15)?,
        failed_at: row.int_or_null(16)?.map(Timestamp),
    })
}

/// What a search looks through.
fn searched(settings: &Settings) -> String {
    format!("{}\n{}", settings.name, settings.url).to_lowercase()
}

/// How many bytes a webhook's settings and credentials take where they are kept.
pub fn stored_bytes(webhook: &WebhookRow) -> i64 {
    i64::try_from(document(&webhook.settings).len() + webhook.sealed.len()).unwrap_or(i64::MAX)
}

/// Makes a webhook. Its number is the organization's next one, whatever `webhook.number` says, unless `number` gives
/// one; then the organization goes on behind that. `Taken("number or uuid")` where one of them exists, `Stale` where
/// the organization is gone.
pub fn insert(webhook: &WebhookRow, number: Option<i64>) -> Change {
    let (counter, value) = match number {
        None => (
            must(
                "organization",
                "UPDATE organizations SET next_webhook_number = next_webhook_number + 1, webhook_bytes = webhook_bytes + ?1
                 WHERE id = ?2 AND project_id = ?3",
                arguments![stored_bytes(webhook), webhook.organization.0, webhook.project.0],
            ),
            "(SELECT next_webhook_number - 1 FROM organizations WHERE id = ?4)",
        ),
        Some(number) => (
            must(
                "organization",
                "UPDATE organizations SET next_webhook_number =
                     CASE WHEN next_webhook_number < ?1 THEN ?1 ELSE next_webhook_number END,
                     webhook_bytes = webhook_bytes + ?2
                 WHERE id = ?3 AND project_id = ?4",
                arguments![
                    number.saturating_add(1),
                    stored_bytes(webhook),
                    webhook.organization.0,
                    webhook.project.0
                ],
            ),
            "?4",
        ),
    };
    // What is nobody's takes no UUID.
    let freed = Step {
        sql: format!("DELETE FROM webhooks WHERE uuid = ?1 AND organization_id IN {REMOVED}").into(),
        ..step("", arguments![webhook.uuid.as_bytes().to_vec()])
    };
    Change::one(counter).then(freed).then(insert_row(webhook, value, number.unwrap_or(webhook.organization.0)))
}

fn insert_row(webhook: &WebhookRow, number_sql: &str, number_argument: i64) -> Step {
    let sql = format!(
        "INSERT INTO webhooks (id, project_id, organization_id, number, uuid, profile, search, status, status_reason,
             settings, sealed, bytes, version, created_at, updated_at, created_by, owner)
         VALUES (?1, ?2, ?3, {number_sql}, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
    );
    Step {
        sql: Cow::Owned(sql),
        arguments: arguments![
            webhook.id.0,
            webhook.project.0,
            webhook.organization.0,
            number_argument,
            webhook.uuid.as_bytes().to_vec(),
            webhook.profile.as_str(),
            searched(&webhook.settings),
            webhook.status as i64,
            webhook.status_reason.clone(),
            document(&webhook.settings),
            webhook.sealed.clone(),
            stored_bytes(webhook),
            webhook.version,
            webhook.created_at,
            webhook.updated_at,
            webhook.created_by.clone(),
            webhook.owner.clone()
        ],
        expect: Expect::Any,
        unique: "number or uuid",
    }
}

/// Writes a webhook that was read with `webhook.version`. Since when it fails is left as it is; see
/// [`forget_failures`].
pub fn update(webhook: &WebhookRow) -> Change {
    let counted = step(
        "UPDATE organizations SET webhook_bytes = webhook_bytes + ?1
             - coalesce((SELECT bytes FROM webhooks WHERE organization_id = ?2 AND id = ?3), 0) WHERE id = ?2",
        arguments![stored_bytes(webhook), webhook.organization.0, webhook.id.0],
    );
    let row = must(
        "webhook",
        "UPDATE webhooks SET profile = ?1, search = ?2, status = ?3, status_reason = ?4, settings = ?5, sealed = ?6,
             bytes = ?7, owner = ?8, version = version + 1, updated_at = ?9
         WHERE id = ?10 AND version = ?11",
        arguments![
            webhook.profile.as_str(),
            searched(&webhook.settings),
            webhook.status as i64,
            webhook.status_reason.clone(),
            document(&webhook.settings),
            webhook.sealed.clone(),
            stored_bytes(webhook),
            webhook.owner.clone(),
            webhook.updated_at,
            webhook.id.0,
            webhook.version
        ],
    );
    Change::one(counted).then(unique(row, "number or uuid"))
}

/// The step by which a webhook that is switched on again, or has another receiver, starts without a history of failure.
pub fn forget_failures(id: WebhookId) -> Step {
    step("UPDATE webhooks SET failing_since = NULL, failed_at = NULL WHERE id = ?1", arguments![id.0])
}

/// Notes since when every attempt has failed and when the last one did, or that one succeeded. It is no edit, so the version
/// stays. Nothing changes where the webhook was edited since it was read (`seen` is when it had been edited last then): what
/// failed may not be what it is now.
pub fn set_failing(id: WebhookId, seen: Timestamp, failing: Option<(Timestamp, Timestamp)>) -> Change {
    let (since, at) = failing.unzip();
    Change::one(step(
        "UPDATE webhooks SET failing_since = ?1, failed_at = ?2 WHERE id = ?3 AND updated_at = ?4",
        arguments![since, at, id.0, seen],
    ))
}

/// Switches a webhook off because its receiver fails; `Stale` where it is not active any more, or was edited since it was
/// read: `seen` is when it had been edited last then.
pub fn disable_automatically(id: WebhookId, seen: Timestamp, reason: &str, now: Timestamp) -> Change {
    Change::one(must(
        "webhook",
        "UPDATE webhooks SET status = ?1, status_reason = ?2, version = version + 1, updated_at = ?3
         WHERE id = ?4 AND status = ?5 AND updated_at = ?6",
        arguments![Status::AutoDisabled as i64, reason, now, id.0, Status::Active as i64, seen],
    ))
}

/// Removes a webhook.
pub fn delete(organization: OrganizationId, id: WebhookId) -> Change {
    let counted = step(
        "UPDATE organizations SET webhook_bytes = webhook_bytes
             - coalesce((SELECT bytes FROM webhooks WHERE organization_id = ?1 AND id = ?2), 0) WHERE id = ?1",
        arguments![organization.0, id.0],
    );
    let webhook = must(
        "webhook",
        "DELETE FROM webhooks WHERE organization_id = ?1 AND id = ?2",
        arguments![organization.0, id.0],
    );
    let last_attempt = step("DELETE FROM last_attempts WHERE webhook_id = ?1", arguments![id.0]);
    Change::one(counted).then(webhook).then(last_attempt)
}

/// The webhook of an organization with this id.
pub fn by_id(organization: OrganizationId, id: WebhookId) -> Query<WebhookRow> {
    query(
        format!("SELECT {COLUMNS} FROM webhooks WHERE organization_id = ?1 AND id = ?2"),
        arguments![organization.0, id.0],
        decode,
    )
}

/// The webhook of an organization with this number.
pub fn by_number(organization: OrganizationId, number: i64) -> Query<WebhookRow> {
    query(
        format!("SELECT {COLUMNS} FROM webhooks WHERE organization_id = ?1 AND number = ?2"),
        arguments![organization.0, number],
        decode,
    )
}

/// The webhook with this UUID, wherever it is.
pub fn by_uuid(uuid: Uuid) -> Query<WebhookRow> {
    query(
        format!("SELECT {COLUMNS} FROM webhooks WHERE uuid = ?1 AND organization_id NOT IN {REMOVED}"),
        arguments![uuid.as_bytes().to_vec()],
        decode,
    )
}

/// Which webhooks a list shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookFilter {
    /// Only this organization's; `None` for all customers' of the project.
    pub organization: Option<OrganizationId>,
    pub status: Option<Status>,
    /// Only those to which events make deliveries.
    pub takes_events: bool,
    /// A part of the name or URL, whatever the case.
    pub search: Option<String>,
    /// Whether every attempt fails of those that are listed.
    pub fails: Option<bool>,
    /// Only those whose every attempt fails while events come to them, or that were switched off for that; of all
    /// customers.
    pub failing: bool,
}

impl WebhookFilter {
    /// Whether rows are looked at that are not listed, so that a page looks at only so many.
    pub fn searches(&self) -> bool {
        self.status.is_some() || self.takes_events || self.search.is_some() || self.fails.is_some()
    }

    /// What a list walks over, in its order, and what its index knows.
    fn source(&self, project: ProjectId) -> (&'static str, Conditions) {
        let mut conditions = Conditions::new();
        match (self.failing, self.organization) {
            (true, _) => {
                conditions.add("project_id = ?", project.0);
                conditions.clauses.push(IS_FAILING.to_owned());
                ("webhooks INDEXED BY webhooks_failing", conditions)
            }
            (false, Some(organization)) => {
                conditions.add("organization_id = ?", organization.0);
                ("webhooks INDEXED BY webhooks_by_organization", conditions)
            }
            (false, None) => {
                conditions.add("project_id = ?", project.0);
                ("webhooks INDEXED BY webhooks_by_project", conditions)
            }
        }
    }
}

/// As the index has it: auto-disabled, or failing and not switched off.
const IS_FAILING: &str = "(status = 3 OR (failing_since IS NOT NULL AND status <> 1))";

/// A page of a project's webhooks. One that searches looks at no more than [`SCAN`](super::SCAN) rows; see [`scan_end`].
pub fn list(project: ProjectId, filter: &WebhookFilter, page: Page) -> Query<WebhookRow> {
    let (source, mut conditions) = filter.source(project);
    if filter.searches() {
        conditions.within_scan(source, page);
    }
    match filter.organization {
        Some(organization) => conditions.add("organization_id = ?", organization.0),
        None => customers_only(&mut conditions, project),
    }
    if let Some(status) = filter.status {
        conditions.add("status = ?", status as i64);
    }
    if filter.takes_events {
        let taking: Vec<String> = Status::ALL
            .iter()
            .filter(|status| status.takes_events())
            .map(|status| (*status as i64).to_string())
            .collect();
        conditions.clauses.push(format!("status IN ({})", taking.join(", ")));
    }
    match filter.fails {
        Some(true) => conditions.clauses.push("failing_since IS NOT NULL".to_owned()),
        Some(false) => conditions.clauses.push("failing_since IS NULL".to_owned()),
        None => {}
    }
    if let Some(text) = &filter.search {
        conditions.add("search LIKE ? ESCAPE '\\'", pattern(text));
    }
    conditions.page(COLUMNS, source, page, decode)
}

/// The id of the last row that was looked at for this page of a list that searches, where there may be more below it.
pub fn scan_end(project: ProjectId, filter: &WebhookFilter, page: Page) -> Query<i64> {
    let (source, conditions) = filter.source(project);
    let mut query = conditions.scan_end(source, page);
    if !filter.searches() {
        // Nothing was passed over.
        query.sql = "SELECT 0 WHERE 0 = 1".into();
        query.arguments.clear();
    }
    query
}

/// How many customers' webhooks of a project fail or were switched off for that, counted up to `limit`.
pub fn count_failing(project: ProjectId, limit: u32) -> Query<i64> {
    let (source, mut conditions) = WebhookFilter { failing: true, ..WebhookFilter::default() }.source(project);
    customers_only(&mut conditions, project);
    let clauses = conditions.clauses.join(" AND ");
    query(
        format!("SELECT count(*) FROM (SELECT 1 FROM {source} WHERE {clauses} LIMIT {limit}) AS failing"),
        conditions.arguments,
        decode_int,
    )
}

fn customers_only(conditions: &mut Conditions, project: ProjectId) {
    let operators = "(SELECT id FROM organizations WHERE project_id = ? AND is_operator = 1)";
    conditions.add(&format!("organization_id NOT IN {operators}"), project.0);
    conditions.clauses.push(format!("organization_id NOT IN {REMOVED}"));
}

/// The organizations that were removed and whose webhooks are still to go.
pub(super) const REMOVED: &str = "(SELECT organization_id FROM removed_organizations)";

/// Every webhook of an organization, oldest first; their number is bounded where they are made.
pub fn all(organization: OrganizationId) -> Query<WebhookRow> {
    query(
        format!("SELECT {COLUMNS} FROM webhooks WHERE organization_id = ?1 ORDER BY id"),
        arguments![organization.0],
        decode,
    )
}

/// The ids of an organization's webhooks, also of one that was removed until they go.
pub fn ids(organization: OrganizationId) -> Query<WebhookId> {
    query("SELECT id FROM webhooks WHERE organization_id = ?1", arguments![organization.0], |row| {
        row.int(0).map(WebhookId)
    })
}

/// These webhooks of an organization, as far as they are there.
pub fn some(organization: OrganizationId, ids: &[WebhookId]) -> Query<WebhookRow> {
    let list = listed(ids.iter().map(|id| id.0));
    query(
        format!("SELECT {COLUMNS} FROM webhooks WHERE organization_id = ?1 AND id IN ({list}) ORDER BY id"),
        arguments![organization.0],
        decode,
    )
}

/// These webhooks, as far as they are there, wherever they are. `ids` must be a page's.
pub fn these(ids: &[WebhookId]) -> Query<WebhookRow> {
    let list = listed(ids.iter().map(|id| id.0));
    query(format!("SELECT {COLUMNS} FROM webhooks WHERE id IN ({list})"), Vec::new(), decode)
}

/// How many bytes the webhooks of an organization take; see [`stored_bytes`].
pub fn bytes(organization: OrganizationId) -> Query<i64> {
    query("SELECT webhook_bytes FROM organizations WHERE id = ?1", arguments![organization.0], decode_int)
}

/// How many webhooks an organization has.
pub fn count(organization: OrganizationId) -> Query<i64> {
    query("SELECT count(*) FROM webhooks WHERE organization_id = ?1", arguments![organization.0], decode_int)
}
