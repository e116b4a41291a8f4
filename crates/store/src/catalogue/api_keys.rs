//! API keys, known by a hash only.

use fanfare_engine::id::{ApiKeyId, OrganizationId, ProjectId};
use fanfare_engine::time::Timestamp;

use super::{Conditions, Page, decode_int, must, query, step, unique};
use crate::arguments;
use crate::error::StoreResult;
use crate::query::{Change, Query, Row};

/// An API key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub project: ProjectId,
    pub name: String,
    /// Their names.
    pub scopes: Vec<String>,
    /// The one organization that it may act on; `None` for all of the project.
    pub organization: Option<OrganizationId>,
    /// The one user on whose behalf it acts.
    pub user: Option<String>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

const COLUMNS: &str = "id, project_id, name, scopes, organization_id, user_id, created_at, expires_at";

fn decode(row: &dyn Row) -> StoreResult<ApiKey> {
    Ok(ApiKey {
        id: ApiKeyId(row.int(0)?),
        project: ProjectId(row.int(1)?),
        name: row.text(2)?,
        scopes: row.text(3)?.split(' ').map(str::to_owned).collect(),
        organization: row.int_or_null(4)?.map(OrganizationId),
        user: row.text_or_null(5)?,
        created_at: Timestamp(row.int(6)?),
        expires_at: row.int_or_null(7)?.map(Timestamp),
    })
}

/// Keeps a key under its hash.
pub fn insert(key: &ApiKey, hash: &[u8; 32]) -> Change {
    let row = step(
        "INSERT INTO api_keys (id, project_id, name, hash, scopes, organization_id, user_id, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        arguments![
            key.id.0,
            key.project.0,
            key.name.as_str(),
            hash.to_vec(),
            key.scopes.join(" "),
            key.organization.map(|organization| organization.0),
            key.user.clone(),
            key.created_at,
            key.expires_at
        ],
    );
    Change::one(unique(row, "key"))
}

/// Removes a key.
pub fn delete(project: ProjectId, id: ApiKeyId) -> Change {
    Change::one(must("API key", "DELETE FROM api_keys WHERE project_id = ?1 AND id = ?2", arguments![project.0, id.0]))
}

/// The key with this hash.
pub fn by_hash(hash: &[u8; 32]) -> Query<ApiKey> {
    query(format!("SELECT {COLUMNS} FROM api_keys WHERE hash = ?1"), arguments![hash.to_vec()], decode)
}

/// One key of a project.
pub fn by_id(project: ProjectId, id: ApiKeyId) -> Query<ApiKey> {
    let sql = format!("SELECT {COLUMNS} FROM api_keys WHERE project_id = ?1 AND id = ?2");
    query(sql, arguments![project.0, id.0], decode)
}

/// A page of a project's keys.
pub fn list(project: ProjectId, page: Page) -> Query<ApiKey> {
    let mut conditions = Conditions::new();
    conditions.add("project_id = ?", project.0);
    conditions.page(COLUMNS, "api_keys", page, decode)
}

/// How many keys a project has.
pub fn count(project: ProjectId) -> Query<i64> {
    query("SELECT count(*) FROM api_keys WHERE project_id = ?1", arguments![project.0], decode_int)
}
