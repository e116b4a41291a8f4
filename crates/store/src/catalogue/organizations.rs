//! Organizations: the customers, and in each project one that holds the operator's own webhooks and is never shown.

use std::collections::BTreeMap;

use fanfare_engine::id::{OrganizationId, ProjectId};
use fanfare_engine::time::Timestamp;

use super::{Conditions, Page, document, must, parse_document, pattern, query, step, unique};
use crate::arguments;
use crate::error::StoreResult;
use crate::query::{Change, Query, Row, Step};

/// An organization as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Organization {
    pub id: OrganizationId,
    pub project: ProjectId,
    pub name: String,
    /// The host's own id, unique in the project.
    pub external_id: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

const COLUMNS: &str = "id, project_id, name, external_id, metadata, version, created_at, updated_at";

fn decode(row: &dyn Row) -> StoreResult<Organization> {
    Ok(Organization {
        id: OrganizationId(row.int(0)?),
        project: ProjectId(row.int(1)?),
        name: row.text(2)?,
        external_id: row.text_or_null(3)?,
        metadata: parse_document(&row.text(4)?)?,
        version: row.int(5)?,
        created_at: Timestamp(row.int(6)?),
        updated_at: Timestamp(row.int(7)?),
    })
}

/// What a search looks through.
fn searched(organization: &Organization) -> String {
    format!("{}\n{}", organization.name, organization.external_id.as_deref().unwrap_or_default()).to_lowercase()
}

/// Makes an organization; `Taken("external_id")` where the project has one with the same.
pub fn insert(organization: &Organization) -> Change {
    let row = step(
        "INSERT INTO organizations (id, project_id, name, external_id, search, metadata, is_operator, next_webhook_number,
             version, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 1, ?7, ?8, ?9)",
        arguments![
            organization.id.0,
            organization.project.0,
            organization.name.as_str(),
            organization.external_id.clone(),
            searched(organization),
            document(&organization.metadata),
            organization.version,
            organization.created_at,
            organization.updated_at
        ],
    );
    Change::one(unique(row, "external_id"))
}

/// The row that holds the operator's webhooks of a project.
pub(super) fn insert_operator(project: ProjectId, id: OrganizationId, now: Timestamp) -> Step {
    let row = step(
        "INSERT INTO organizations (id, project_id, name, external_id, search, metadata, is_operator, next_webhook_number,
             version, created_at, updated_at)
         VALUES (?1, ?2, 'operator', NULL, '', '{}', 1, 1, 1, ?3, ?4)",
        arguments![id.0, project.0, now, now],
    );
    unique(row, "operator")
}

/// Writes an organization that was read with `organization.version`.
pub fn update(organization: &Organization) -> Change {
    let row = must(
        "organization",
        "UPDATE organizations SET name = ?1, external_id = ?2, search = ?3, metadata = ?4, version = version + 1,
             updated_at = ?5
         WHERE id = ?6 AND version = ?7",
        arguments![
            organization.name.as_str(),
            organization.external_id.clone(),
            searched(organization),
            document(&organization.metadata),
            organization.updated_at,
            organization.id.0,
            organization.version
        ],
    );
    Change::one(unique(row, "external_id"))
}

/// Removes an organization with its keys, its sessions and what holds its sending. Its webhooks, its users and what its
/// entities belong to are nobody's from then on, and go by [`Prune::Removed`](crate::queue::Prune::Removed). Its events and
/// deliveries stay until their retention ends.
pub fn delete(id: OrganizationId) -> Change {
    Change::one(must("organization", "DELETE FROM organizations WHERE id = ?1 AND is_operator = 0", arguments![id.0]))
        .then(step("INSERT INTO removed_organizations (organization_id) VALUES (?1)", arguments![id.0]))
        .then(step("DELETE FROM api_keys WHERE organization_id = ?1", arguments![id.0]))
        .then(step("DELETE FROM sessions WHERE organization_id = ?1", arguments![id.0]))
        .then(step("DELETE FROM pauses WHERE organization_id = ?1", arguments![id.0]))
}

/// The customer's organization with this id.
pub fn by_id(project: ProjectId, id: OrganizationId) -> Query<Organization> {
    query(
        format!("SELECT {COLUMNS} FROM organizations WHERE project_id = ?1 AND id = ?2 AND is_operator = 0"),
        arguments![project.0, id.0],
        decode,
    )
}

/// The customer's organization with this id of the host's.
pub fn by_external_id(project: ProjectId, external_id: &str) -> Query<Organization> {
    query(
        format!("SELECT {COLUMNS} FROM organizations WHERE project_id = ?1 AND external_id = ?2 AND is_operator = 0"),
        arguments![project.0, external_id],
        decode,
    )
}

/// The organization that holds the operator's webhooks of a project.
pub fn operator(project: ProjectId) -> Query<Organization> {
    query(
        format!("SELECT {COLUMNS} FROM organizations WHERE project_id = ?1 AND is_operator = 1"),
        arguments![project.0],
        decode,
    )
}

/// What a list walks over, in its order.
const SOURCE: &str = "organizations INDEXED BY organizations_by_project";

fn of(project: ProjectId) -> Conditions {
    let mut conditions = Conditions::new();
    conditions.add("project_id = ?", project.0);
    conditions
}

/// A page of a project's customers; `search` finds a part of the name or of the host's id, whatever the case. A search looks
/// at no more than [`SCAN`](super::SCAN) rows; see [`scan_end`].
pub fn list(project: ProjectId, search: Option<&str>, page: Page) -> Query<Organization> {
    let mut conditions = of(project);
    if let Some(text) = search {
        conditions.within_scan(SOURCE, page);
        conditions.add("search LIKE ? ESCAPE '\\'", pattern(text));
    }
    conditions.clauses.push("is_operator = 0".to_owned());
    conditions.page(COLUMNS, SOURCE, page, decode)
}

/// The id of the last row that a search for this page looked at, where there may be more below it.
pub fn scan_end(project: ProjectId, page: Page) -> Query<i64> {
    of(project).scan_end(SOURCE, page)
}
