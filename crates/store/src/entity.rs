//! An event's entity and its ancestors as they are kept: JSON, the entity without its data.

use fanfare_engine::event::{Entity, EntityRef};
use serde::{Deserialize, Serialize};

use crate::error::{StoreError, StoreResult};

#[derive(Serialize, Deserialize)]
struct Document {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// The entity as JSON text. Its data is left out; it stands with the event's payload.
///
/// # Errors
/// Never for text that is UTF-8.
pub fn write(entity: &Entity) -> StoreResult<String> {
    let document = Document { kind: entity.kind.clone(), id: entity.id.clone(), url: entity.url.clone() };
    serde_json::to_string(&document).map_err(damaged)
}

/// The entity that the text describes, without data.
///
/// # Errors
/// [`StoreError::Damaged`] where the text is none that [`write()`] makes.
pub fn read(text: &str) -> StoreResult<Entity> {
    let Document { kind, id, url } = serde_json::from_str(text).map_err(damaged)?;
    Ok(Entity { kind, id, url, data: None })
}

/// The ancestors that the text lists.
///
/// # Errors
/// [`StoreError::Damaged`] where the text is no such list.
pub fn read_scope(text: &str) -> StoreResult<Vec<EntityRef>> {
    serde_json::from_str(text).map_err(damaged)
}

fn damaged(error: serde_json::Error) -> StoreError {
    StoreError::Damaged(format!("an event's entity: {error}"))
}
