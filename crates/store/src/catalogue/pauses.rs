//! Holds on sending: of one organization, of one host, or of everything in a project.

use fanfare_engine::id::{OrganizationId, PauseId, ProjectId};
use fanfare_engine::time::Timestamp;

use super::{Conditions, Page, decode_int, must, query, step};
use crate::arguments;
use crate::error::StoreResult;
use crate::query::{Change, Query, Row};

/// A hold on sending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    pub id: PauseId,
    pub project: ProjectId,
    pub hold: Hold,
    pub created_at: Timestamp,
}

/// What is held. Everything means everything of the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    Everything,
    Organization(OrganizationId),
    /// A host name in canonical form, or an address.
    Host(String),
}

const COLUMNS: &str = "id, project_id, organization_id, host, created_at";

fn decode(row: &dyn Row) -> StoreResult<Pause> {
    let hold = match (row.int_or_null(2)?, row.text_or_null(3)?) {
        (Some(organization), _) => Hold::Organization(OrganizationId(organization)),
        (None, Some(host)) => Hold::Host(host),
        (None, None) => Hold::Everything,
    };
    Ok(Pause { id: PauseId(row.int(0)?), project: ProjectId(row.int(1)?), hold, created_at: Timestamp(row.int(4)?) })
}

/// Starts a hold.
pub fn insert(pause: &Pause) -> Change {
    let (organization, host) = match &pause.hold {
        Hold::Everything => (None, None),
        Hold::Organization(id) => (Some(id.0), None),
        Hold::Host(host) => (None, Some(host.clone())),
    };
    Change::one(step(
        "INSERT INTO pauses (id, project_id, organization_id, host, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        arguments![pause.id.0, pause.project.0, organization, host, pause.created_at],
    ))
}

/// Ends a hold.
pub fn delete(project: ProjectId, id: PauseId) -> Change {
    Change::one(must("pause", "DELETE FROM pauses WHERE project_id = ?1 AND id = ?2", arguments![project.0, id.0]))
}

/// A page of a project's holds.
pub fn list(project: ProjectId, page: Page) -> Query<Pause> {
    let mut conditions = Conditions::new();
    conditions.add("project_id = ?", project.0);
    conditions.page(COLUMNS, "pauses", page, decode)
}

/// Every hold of every project; their number is bounded where they are made.
pub fn all() -> Query<Pause> {
    query(format!("SELECT {COLUMNS} FROM pauses ORDER BY id"), Vec::new(), decode)
}

/// How many holds a project has.
pub fn count(project: ProjectId) -> Query<i64> {
    query("SELECT count(*) FROM pauses WHERE project_id = ?1", arguments![project.0], decode_int)
}
