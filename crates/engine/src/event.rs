//! Something that happened, as the host told it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::id::{EventId, OrganizationId, ProjectId};
use crate::time::Timestamp;

/// The longest name of an event type, in bytes.
pub const MAX_TYPE_NAME: usize = 128;

/// A type and id of the host's own: `{"type":"Company","id":"c-17"}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntityRef {
    #[serde(rename = "type")]
    pub kind: String,
    pub id: String,
}

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    pub kind: String,
    pub id: String,
    /// Where the host's own API gives the entity.
    pub url: Option<String>,
    /// The entity itself as JSON text, byte for byte as the host sent it.
    pub data: Option<Bytes>,
}

/// An accepted event. It never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub id: EventId,
    pub project: ProjectId,
    pub organization: OrganizationId,
    /// The name of its event type.
    pub kind: Arc<str>,
    /// The host's own id for it, unique in the organization.
    pub external_id: Option<String>,
    /// JSON text, byte for byte as the host sent it.
    pub data: Bytes,
    pub entity: Option<Entity>,
    /// The entity's ancestors.
    pub scope: Vec<EntityRef>,
    /// When it happened, as the host says; when it was accepted, where the host does not say.
    pub occurred_at: Timestamp,
    /// Deliveries to one webhook that share a key are sent one after the other, in the order of their acceptance.
    pub ordering_key: Option<String>,
}

impl Event {
    /// About how many bytes it holds in memory.
    pub fn weight(&self) -> usize {
        let entity = self
            .entity
            .as_ref()
            .map_or(0, |entity| entity.kind.len() + entity.id.len() + entity.data.as_ref().map_or(0, Bytes::len));
        256 + self.data.len() + entity + self.scope.len() * 96
    }
}

/// Whether `name` may be the name of an event type: 1 to [`MAX_TYPE_NAME`] visible ASCII characters, so that it can
/// stand in a header of a request.
pub fn is_valid_type_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_TYPE_NAME && name.bytes().all(|byte| byte.is_ascii_graphic())
}
