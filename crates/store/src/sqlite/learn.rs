//! Learns from an event what its entity belongs to.

use fanfare_engine::event::Event;
use fanfare_engine::time::Timestamp;
use rusqlite::{Transaction, params};

use super::rows;
use crate::catalogue::entities::{MAX_ENTITIES, ToldBy};
use crate::error::StoreResult;

/// Notes the event's scope as its entity's. Answers whether that is news. An event without a scope says nothing of it;
/// and where as many entities are known as may be, no further one is learnt.
pub(super) fn learn(transaction: &Transaction<'_>, now: Timestamp, event: &Event) -> StoreResult<bool> {
    let Some(entity) = event.entity.as_ref().filter(|_| !event.scope.is_empty()) else { return Ok(false) };
    let scope = rows::json(&event.scope)?;
    let key = (event.organization.0, entity.kind.as_str(), entity.id.as_str());
    let known: Option<String> = rows::first(
        transaction,
        "SELECT scope FROM entities WHERE organization_id = ?1 AND type = ?2 AND id = ?3",
        key,
        |row| row.get(0),
    )?;
    match known {
        Some(known) if *known == *scope => return Ok(false),
        Some(_) => {
            rows::execute(
                transaction,
                "UPDATE entities SET scope = ?4, told_by = ?5, updated_at = ?6
                 WHERE organization_id = ?1 AND type = ?2 AND id = ?3",
                params![key.0, key.1, key.2, scope, ToldBy::Event as i64, now.0],
            )?;
        }
        None => {
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
                params![key.0, key.1, key.2, scope, ToldBy::Event as i64, now.0],
            )?;
        }
    }
    Ok(true)
}
