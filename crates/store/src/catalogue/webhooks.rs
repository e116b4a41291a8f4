//! Webhooks. Their credentials are kept as a sealed blob that this crate cannot open.

use std::borrow::Cow;

use fanfare_engine::id::{OrganizationId, ProjectId, WebhookId};
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::{Settings, Status};
use uuid::Uuid;

use super::{Conditions, Page, decode_int, document, must, parse_document, pattern, query, step, unique};
use crate::arguments;
use crate::error::{StoreError, StoreResult};
use crate::query::{Change, Expect, Query, Row, Step};

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
     settings, sealed, version, created_at, updated_at, created_by, owner";

fn decode(row: &dyn Row) -> StoreResult<WebhookRow> {
    let damaged = |what: &str| StoreError::Damaged(format!("a webhook has {what}"));
    Ok(WebhookRow {
        id: WebhookId(row.int(0)?),
        project: ProjectId(row.int(1)?),
        organization: OrganizationId(row.int(2)?),
        number: row.int(3)?,
        uuid: Uuid::from_slice(&row.blob(4)?).map_err(|_| damaged("no UUID"))?,
        profile: row.text(5)?,
        status: Status::from_number(row.int(6)?).ok_or_else(|| damaged("an unknown status"))?,
        status_reason: row.text_or_null(7)?,
        failing_since: row.int_or_null(8)?.map(Timestamp),
        settings: parse_document(&row.text(9)?)?,
        sealed: row.blob(10)?,
        version: row.int(11)?,
        created_at: Timestamp(row.int(12)?),
        updated_at: Timestamp(row.int(13)?),
        created_by: row.text_or_null(14)?,
        owner: row.text_or_null(15)?,
    })
}

/// What a search looks through.
fn searched(settings: &Settings) -> String {
    format!("{}\n{}", settings.name, settings.url).to_lowercase()
}

/// Makes a webhook. Its number is the organization's next one, whatever `webhook.number` says, unless `number` gives
/// one; then the organization goes on behind that. `Taken("number or uuid")` where one of them exists, `Stale` where
/// the organization is gone.
pub fn insert(webhook: &WebhookRow, number: Option<i64>) -> Change {
    let (counter, value) = match number {
        None => (
            must(
                "organization",
                "UPDATE organizations SET next_webhook_number = next_webhook_number + 1 WHERE id = ?1 AND project_id = ?2",
                arguments![webhook.organization.0, webhook.project.0],
            ),
            "(SELECT next_webhook_number - 1 FROM organizations WHERE id = ?4)",
        ),
        Some(number) => (
            must(
                "organization",
                "UPDATE organizations SET next_webhook_number =
                     CASE WHEN next_webhook_number < ?1 THEN ?1 ELSE next_webhook_number END
                 WHERE id = ?2 AND project_id = ?3",
                arguments![number.saturating_add(1), webhook.organization.0, webhook.project.0],
            ),
            "?4",
        ),
    };
    Change::one(counter).then(insert_row(webhook, value, number.unwrap_or(webhook.organization.0)))
}

fn insert_row(webhook: &WebhookRow, number_sql: &str, number_argument: i64) -> Step {
    let sql = format!(
        "INSERT INTO webhooks (id, project_id, organization_id, number, uuid, profile, search, status, status_reason,
             settings, sealed, version, created_at, updated_at, created_by, owner)
         VALUES (?1, ?2, ?3, {number_sql}, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
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
    let row = must(
        "webhook",
        "UPDATE webhooks SET profile = ?1, search = ?2, status = ?3, status_reason = ?4, settings = ?5, sealed = ?6,
             owner = ?7, version = version + 1, updated_at = ?8
         WHERE id = ?9 AND version = ?10",
        arguments![
            webhook.profile.as_str(),
            searched(&webhook.settings),
            webhook.status as i64,
            webhook.status_reason.clone(),
            document(&webhook.settings),
            webhook.sealed.clone(),
            webhook.owner.clone(),
            webhook.updated_at,
            webhook.id.0,
            webhook.version
        ],
    );
    Change::one(unique(row, "number or uuid"))
}

/// The step by which a webhook that is switched on again starts without a history of failure.
pub fn forget_failures(id: WebhookId) -> Step {
    step("UPDATE webhooks SET failing_since = NULL WHERE id = ?1", arguments![id.0])
}

/// Notes since when every attempt has failed, or that one succeeded. It is no edit, so the version stays.
pub fn set_failing_since(id: WebhookId, since: Option<Timestamp>) -> Change {
    Change::one(step("UPDATE webhooks SET failing_since = ?1 WHERE id = ?2", arguments![since, id.0]))
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
    Change::one(must(
        "webhook",
        "DELETE FROM webhooks WHERE organization_id = ?1 AND id = ?2",
        arguments![organization.0, id.0],
    ))
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
    query(format!("SELECT {COLUMNS} FROM webhooks WHERE uuid = ?1"), arguments![uuid.as_bytes().to_vec()], decode)
}

/// Which webhooks a list shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookFilter {
    /// Only this organization's; `None` for all customers' of the project.
    pub organization: Option<OrganizationId>,
    pub status: Option<Status>,
    /// A part of the name or URL, whatever the case.
    pub search: Option<String>,
    /// Only those whose every attempt fails, or that were switched off for that.
    pub failing: bool,
}

/// A page of a project's webhooks.
pub fn list(project: ProjectId, filter: &WebhookFilter, page: Page) -> Query<WebhookRow> {
    let mut conditions = Conditions::new();
    match filter.organization {
        Some(organization) => conditions.add("organization_id = ?", organization.0),
        None => {
            conditions.add("project_id = ?", project.0);
            let operators = "(SELECT id FROM organizations WHERE project_id = ? AND is_operator = 1)";
            conditions.add(&format!("organization_id NOT IN {operators}"), project.0);
        }
    }
    if let Some(status) = filter.status {
        conditions.add("status = ?", status as i64);
    }
    if let Some(text) = &filter.search {
        conditions.add("search LIKE ? ESCAPE '\\'", pattern(text));
    }
    if filter.failing {
        let failing = format!("(failing_since IS NOT NULL OR status = {})", Status::AutoDisabled as i64);
        conditions.clauses.push(failing);
    }
    conditions.page(COLUMNS, "webhooks", page, decode)
}

/// Every webhook of an organization, oldest first; their number is bounded where they are made.
pub fn all(organization: OrganizationId) -> Query<WebhookRow> {
    query(
        format!("SELECT {COLUMNS} FROM webhooks WHERE organization_id = ?1 ORDER BY id"),
        arguments![organization.0],
        decode,
    )
}

/// These webhooks of an organization, as far as they are there.
pub fn some(organization: OrganizationId, ids: &[WebhookId]) -> Query<WebhookRow> {
    let list = ids.iter().map(|id| id.0.to_string()).collect::<Vec<_>>().join(",");
    query(
        format!("SELECT {COLUMNS} FROM webhooks WHERE organization_id = ?1 AND id IN ({list}) ORDER BY id"),
        arguments![organization.0],
        decode,
    )
}

/// These webhooks, as far as they are there, wherever they are. `ids` must be a page's.
pub fn these(ids: &[WebhookId]) -> Query<WebhookRow> {
    let list = ids.iter().map(|id| id.0.to_string()).collect::<Vec<_>>().join(",");
    query(format!("SELECT {COLUMNS} FROM webhooks WHERE id IN ({list})"), Vec::new(), decode)
}

/// How many webhooks an organization has.
pub fn count(organization: OrganizationId) -> Query<i64> {
    query("SELECT count(*) FROM webhooks WHERE organization_id = ?1", arguments![organization.0], decode_int)
}
