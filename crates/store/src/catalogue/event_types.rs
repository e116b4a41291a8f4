//! A project's catalogue of event types.

use fanfare_engine::id::{EventTypeId, ProjectId};
use fanfare_engine::time::Timestamp;

use super::{Conditions, Page, decode_int, must, query, step, unique};
use crate::arguments;
use crate::error::StoreResult;
use crate::query::{Change, Query, Row, Step, Value};

/// An event type as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct EventType {
    pub id: EventTypeId,
    pub project: ProjectId,
    /// Unique in the project; it never changes.
    pub name: String,
    /// What it is grouped under.
    pub kind: Option<String>,
    pub description: Option<String>,
    /// A JSON Schema of the event's data, as text.
    pub schema: Option<String>,
    /// An example of the event's data, as JSON text.
    pub example: Option<String>,
    /// Since when it is not offered any more; events of it are still taken and sent.
    pub deprecated_at: Option<Timestamp>,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

const COLUMNS: &str =
    "id, project_id, name, kind, description, schema, example, deprecated_at, version, created_at, updated_at";

fn decode(row: &dyn Row) -> StoreResult<EventType> {
    Ok(EventType {
        id: EventTypeId(row.int(0)?),
        project: ProjectId(row.int(1)?),
        name: row.text(2)?,
        kind: row.text_or_null(3)?,
        description: row.text_or_null(4)?,
        schema: row.text_or_null(5)?,
        example: row.text_or_null(6)?,
        deprecated_at: row.int_or_null(7)?.map(Timestamp),
        version: row.int(8)?,
        created_at: Timestamp(row.int(9)?),
        updated_at: Timestamp(row.int(10)?),
    })
}

/// Makes an event type; `Taken("name")` where the project has one of this name.
pub fn insert(kind: &EventType) -> Change {
    let sql = "INSERT INTO event_types
        (id, project_id, name, kind, description, schema, example, deprecated_at, version, created_at, updated_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    Change::one(unique(step(sql, values(kind)), "name"))
}

/// Makes an event type where the project has none of this name.
pub fn insert_missing(kind: &EventType) -> Step {
    let sql = "INSERT INTO event_types
        (id, project_id, name, kind, description, schema, example, deprecated_at, version, created_at, updated_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (project_id, name) DO NOTHING";
    step(sql, values(kind))
}

fn values(kind: &EventType) -> Vec<Value> {
    arguments![
        kind.id.0,
        kind.project.0,
        kind.name.as_str(),
        kind.kind.clone(),
        kind.description.clone(),
        kind.schema.clone(),
        kind.example.clone(),
        kind.deprecated_at,
        kind.version,
        kind.created_at,
        kind.updated_at
    ]
}

/// Writes an event type that was read with `kind.version`.
pub fn update(kind: &EventType) -> Change {
    Change::one(must(
        "event type",
        "UPDATE event_types SET kind = ?1, description = ?2, schema = ?3, example = ?4, deprecated_at = ?5,
             version = version + 1, updated_at = ?6
         WHERE id = ?7 AND version = ?8",
        arguments![
            kind.kind.clone(),
            kind.description.clone(),
            kind.schema.clone(),
            kind.example.clone(),
            kind.deprecated_at,
            kind.updated_at,
            kind.id.0,
            kind.version
        ],
    ))
}

/// Removes an event type. Webhooks that name it keep the name.
pub fn delete(project: ProjectId, name: &str) -> Change {
    Change::one(must(
        "event type",
        "DELETE FROM event_types WHERE project_id = ?1 AND name = ?2",
        arguments![project.0, name],
    ))
}

/// The event type of this name.
pub fn by_name(project: ProjectId, name: &str) -> Query<EventType> {
    query(
        format!("SELECT {COLUMNS} FROM event_types WHERE project_id = ?1 AND name = ?2"),
        arguments![project.0, name],
        decode,
    )
}

/// A page of a project's event types.
pub fn list(project: ProjectId, kind: Option<&str>, page: Page) -> Query<EventType> {
    let mut conditions = Conditions::new();
    conditions.add("project_id = ?", project.0);
    if let Some(kind) = kind {
        conditions.add("kind = ?", kind);
    }
    conditions.page(COLUMNS, "event_types", page, decode)
}

/// Every event type of a project, by name; their number is bounded where they are made.
pub fn all(project: ProjectId) -> Query<EventType> {
    query(
        format!("SELECT {COLUMNS} FROM event_types WHERE project_id = ?1 ORDER BY name"),
        arguments![project.0],
        decode,
    )
}

/// An event type as lists show it: without its schema and its example, which may be long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    pub kind: Option<String>,
    pub description: Option<String>,
    /// Whether it is not offered any more.
    pub deprecated: bool,
    pub has_schema: bool,
    pub has_example: bool,
}

/// Every event type of a project, by name, as lists show them.
pub fn listed(project: ProjectId) -> Query<Listed> {
    query(
        "SELECT name, kind, description, deprecated_at,
             CASE WHEN schema IS NULL THEN 0 ELSE 1 END, CASE WHEN example IS NULL THEN 0 ELSE 1 END
         FROM event_types WHERE project_id = ?1 ORDER BY name",
        arguments![project.0],
        |row| {
            Ok(Listed {
                name: row.text(0)?,
                kind: row.text_or_null(1)?,
                description: row.text_or_null(2)?,
                deprecated: row.int_or_null(3)?.is_some(),
                has_schema: row.int(4)? == 1,
                has_example: row.int(5)? == 1,
            })
        },
    )
}

/// The names of every event type of a project.
pub fn names(project: ProjectId) -> Query<String> {
    query("SELECT name FROM event_types WHERE project_id = ?1 ORDER BY name", arguments![project.0], |row| row.text(0))
}

/// How many event types a project has.
pub fn count(project: ProjectId) -> Query<i64> {
    query("SELECT count(*) FROM event_types WHERE project_id = ?1", arguments![project.0], decode_int)
}
