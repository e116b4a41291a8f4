//! What the host's entities belong to: told by the host, or learnt from events. All ids are canonical, as grants have them.

use std::borrow::Cow;

use fanfare_engine::event::EntityRef;
use fanfare_engine::id::OrganizationId;
use fanfare_engine::time::Timestamp;

use super::{document, must, parse_document, query, step};
use crate::arguments;
use crate::error::{StoreError, StoreResult};
use crate::query::{Change, Query, Row, Value};

/// How many entities of an organization are known at most. Beyond it, events teach no further ones.
pub const MAX_ENTITIES: u32 = 1_000_000;

/// How many entities one query asks for.
const ASKED_AT_ONCE: usize = 200;

/// Who said last what an entity belongs to. The numbers are what the databases keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i64)]
pub enum ToldBy {
    Host = 0,
    Event = 1,
}

impl ToldBy {
    /// The word for it in the API.
    pub fn name(self) -> &'static str {
        match self {
            ToldBy::Host => "host",
            ToldBy::Event => "event",
        }
    }
}

/// An entity as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityRow {
    pub organization: OrganizationId,
    pub entity: EntityRef,
    /// Its ancestors.
    pub scope: Vec<EntityRef>,
    pub told_by: ToldBy,
    pub updated_at: Timestamp,
}

const COLUMNS: &str = "organization_id, type, id, scope, told_by, updated_at";

fn decode(row: &dyn Row) -> StoreResult<EntityRow> {
    Ok(EntityRow {
        organization: OrganizationId(row.int(0)?),
        entity: EntityRef { kind: row.text(1)?, id: row.text(2)? },
        scope: parse_document(&row.text(3)?)?,
        told_by: match row.int(4)? {
            0 => ToldBy::Host,
            1 => ToldBy::Event,
            _ => return Err(StoreError::Damaged("an entity was told by nobody known".to_owned())),
        },
        updated_at: Timestamp(row.int(5)?),
    })
}

/// Keeps what an entity belongs to, whatever was known before. `Stale` where the organization is gone.
pub fn put(row: &EntityRow) -> Change {
    let EntityRow { organization, entity, scope, told_by, updated_at } = row;
    let counted = must(
        "organization",
        "UPDATE organizations SET entities = entities +
             CASE WHEN EXISTS (SELECT 1 FROM entities WHERE organization_id = ?1 AND type = ?2 AND id = ?3) THEN 0 ELSE 1 END
         WHERE id = ?1",
        arguments![organization.0, entity.kind.as_str(), entity.id.as_str()],
    );
    let kept = step(
        "INSERT INTO entities (organization_id, type, id, scope, told_by, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (organization_id, type, id) DO UPDATE SET scope = excluded.scope, told_by = excluded.told_by,
             updated_at = excluded.updated_at",
        arguments![
            organization.0,
            entity.kind.as_str(),
            entity.id.as_str(),
            document(scope),
            *told_by as i64,
            *updated_at
        ],
    );
    Change::one(counted).then(kept)
}

/// Forgets an entity.
pub fn delete(organization: OrganizationId, entity: &EntityRef) -> Change {
    Change::one(must(
        "entity",
        "DELETE FROM entities WHERE organization_id = ?1 AND type = ?2 AND id = ?3",
        arguments![organization.0, entity.kind.as_str(), entity.id.as_str()],
    ))
    .then(step("UPDATE organizations SET entities = entities - 1 WHERE id = ?1", arguments![organization.0]))
}

/// What is known of an entity.
pub fn get(organization: OrganizationId, entity: &EntityRef) -> Query<EntityRow> {
    query(
        format!("SELECT {COLUMNS} FROM entities WHERE organization_id = ?1 AND type = ?2 AND id = ?3"),
        arguments![organization.0, entity.kind.as_str(), entity.id.as_str()],
        decode,
    )
}

/// What is known of these entities, in as many queries as it takes.
pub fn these(organization: OrganizationId, entities: &[EntityRef]) -> Vec<Query<EntityRow>> {
    entities.chunks(ASKED_AT_ONCE).map(|entities| some(organization, entities)).collect()
}

fn some(organization: OrganizationId, entities: &[EntityRef]) -> Query<EntityRow> {
    let mut arguments = arguments![organization.0];
    let mut pairs = Vec::with_capacity(entities.len());
    for entity in entities {
        arguments.extend([Value::from(entity.kind.as_str()), Value::from(entity.id.as_str())]);
        pairs.push(format!("(?{}, ?{})", arguments.len() - 1, arguments.len()));
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM entities WHERE organization_id = ?1 AND (type, id) IN (VALUES {})",
        pairs.join(", ")
    );
    Query { sql: Cow::Owned(sql), arguments, decode }
}

/// How many entities of an organization are known.
pub fn count(organization: OrganizationId) -> Query<i64> {
    query("SELECT entities FROM organizations WHERE id = ?1", arguments![organization.0], |row| row.int(0))
}
