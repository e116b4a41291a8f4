//! Projects: one product and environment each.

use std::collections::BTreeMap;

use fanfare_engine::id::{OrganizationId, ProjectId};
use fanfare_engine::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Conditions, Page, document, must, organizations, parse_document, query, step, unique};
use crate::arguments;
use crate::error::StoreResult;
use crate::query::{Change, Query, Row};

/// The name of the project that exists from the start.
pub const DEFAULT_PROJECT: &str = "default";

/// A project as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    pub id: ProjectId,
    /// Unique.
    pub name: String,
    /// The profile of webhooks that name none.
    pub profile: String,
    pub options: ProjectOptions,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What of a project may be left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProjectOptions {
    /// The profiles that its webhooks may have beside its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_profiles: Vec<String>,
    /// How many days events and deliveries are kept; `None` for the server's own number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// How the portal looks: names of its colours and the like with their values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub theme: BTreeMap<String, String>,
    /// The origins whose pages may embed the portal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frame_ancestors: Vec<String>,
}

impl Project {
    /// Whether its webhooks may have this profile.
    pub fn allows_profile(&self, name: &str) -> bool {
        self.profile == name || self.options.allowed_profiles.iter().any(|allowed| allowed == name)
    }
}

const COLUMNS: &str = "id, name, profile, document, version, created_at, updated_at";

fn decode(row: &dyn Row) -> StoreResult<Project> {
    Ok(Project {
        id: ProjectId(row.int(0)?),
        name: row.text(1)?,
        profile: row.text(2)?,
        options: parse_document(&row.text(3)?)?,
        version: row.int(4)?,
        created_at: Timestamp(row.int(5)?),
        updated_at: Timestamp(row.int(6)?),
    })
}

/// Makes a project, and the organization that holds its operator's webhooks; `Taken("name")` where the name exists.
pub fn insert(project: &Project, operator: OrganizationId) -> Change {
    let row = step(
        "INSERT INTO projects (id, name, profile, document, version, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        arguments![
            project.id.0,
            project.name.as_str(),
            project.profile.as_str(),
            document(&project.options),
            project.version,
            project.created_at,
            project.updated_at
        ],
    );
    Change::one(unique(row, "name")).then(organizations::insert_operator(project.id, operator, project.created_at))
}

/// Writes a project that was read with `project.version`.
pub fn update(project: &Project) -> Change {
    let row = must(
        "project",
        "UPDATE projects SET name = ?1, profile = ?2, document = ?3, version = version + 1, updated_at = ?4
         WHERE id = ?5 AND version = ?6",
        arguments![
            project.name.as_str(),
            project.profile.as_str(),
            document(&project.options),
            project.updated_at,
            project.id.0,
            project.version
        ],
    );
    Change::one(unique(row, "name"))
}

/// The project with this id.
pub fn by_id(id: ProjectId) -> Query<Project> {
    query(format!("SELECT {COLUMNS} FROM projects WHERE id = ?1"), arguments![id.0], decode)
}

/// The project with this name.
pub fn by_name(name: &str) -> Query<Project> {
    query(format!("SELECT {COLUMNS} FROM projects WHERE name = ?1"), arguments![name], decode)
}

/// A page of the projects.
pub fn list(page: Page) -> Query<Project> {
    Conditions::new().page(COLUMNS, "projects", page, decode)
}

/// Every project, oldest first; their number is bounded where they are made.
pub fn all() -> Query<Project> {
    query(format!("SELECT {COLUMNS} FROM projects ORDER BY id"), Vec::new(), decode)
}

/// How many projects there are.
pub fn count() -> Query<i64> {
    query("SELECT count(*) FROM projects", Vec::new(), super::decode_int)
}
