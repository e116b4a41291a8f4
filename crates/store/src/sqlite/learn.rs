//! Learns from an event what its entity belongs to.

use fanfare_engine::access::learnt;
use fanfare_engine::event::{EntityRef, Event, canonical_id};
use fanfare_engine::time::Timestamp;
use rusqlite::{Transaction, params};

use super::rows;
use crate::catalogue::entities::{MAX_ENTITIES, ToldBy};
use crate::catalogue::parse_document;
use crate::error::StoreResult;

/// Notes what the event's scope says of its entity's ancestors. Answers whether that is news. An event without a scope says
/// nothing of them;
/// and where as many entities are known as may be, no further one is learnt.
pub(super) fn learn(transaction: &Transaction<'_>, now: Timestamp, event: &Event) -> StoreResult<bool> {
    let Some(entity) = event.entity.as_ref().filter(|_| !event.scope.is_empty()) else { return Ok(false) };
    let id = canonical_id(&entity.id);
    let told: Vec<EntityRef> = event.scope.iter().cloned().map(EntityRef::canonical).collect();
    let key = (event.organization.0, entity.kind.as_str(), &*id);
    let known: Option<String> = rows::first(
        transaction,
        "SELECT scope FROM entities WHERE organization_id = ?1 AND type = ?2 AND id = ?3",
        key,
        |row| row.get(0),
    )?;
    match known {
        Some(known) => {
            let known: Vec<EntityRef> = parse_document(&known)?;
            let Some(scope) = learnt(&known, &told) else { return Ok(false) };
            rows::execute(
                transaction,
                "UPDATE entities SET scope = ?4, told_by = ?5, updated_at = ?6
                 WHERE organization_id = ?1 AND type = ?2 AND id = ?3",
                params![key.0, key.1, key.2, rows::json(&scope)?, ToldBy::Event as i64, now.0],
            )?;
        }
        None => {
            let scope = learnt(&[], &told).unwrap_or_default();
            let room = rows::execute(
                transaction,
                "UPDATE organizations SET entities = entities + 1 WHERE id = ?1 AND entities < ?2",
                (key.0, MAX_ENTITIES),
            )?;
            if room == 0 {
                return Ok(false);
            }
            rows::execute(
                transaction,
                "INSERT INTO entities (organization_id, type, id, scope, told_by, updated_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![key.0, key.1, key.2, rows::json(&scope)?, ToldBy::Event as i64, now.0],
            )?;
        }
    }
    Ok(true)
}
