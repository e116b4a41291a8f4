//! Something that happened, as the host told it.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::{EventId, OrganizationId, ProjectId};
use crate::time::Timestamp;

/// How many deliveries an event may have been before it was posted. One that was more comes from a loop and is refused.
pub const MAX_HOPS: u8 = 3;
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

impl EntityRef {
    /// The same entity with its id as rights compare it: see [`canonical_id`].
    #[must_use]
    pub fn canonical(self) -> EntityRef {
        match canonical_id(&self.id) {
            Cow::Owned(id) => EntityRef { kind: self.kind, id },
            Cow::Borrowed(_) => self,
        }
    }
}

/// A UUID in its common form, small letters with hyphens, however it was spelt: with capitals, in braces, without hyphens.
/// Any other id as it is.
pub fn canonical_id(id: &str) -> Cow<'_, str> {
    match Uuid::try_parse(id) {
        Ok(uuid) => {
            let mut buffer = Uuid::encode_buffer();
            let common: &str = uuid.hyphenated().encode_lower(&mut buffer);
            if common == id { Cow::Borrowed(id) } else { Cow::Owned(common.to_owned()) }
        }
        Err(_) => Cow::Borrowed(id),
    }
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
    /// How many deliveries it was before it was posted: more than 0 where a receiver forwards its requests to the API.
    pub hops: u8,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_one_in_whatever_spelling() {
        let common = "0a3f7d0e-2f7e-4d59-8f39-3c5a1b0f1e01";
        for spelt in [common, &common.to_uppercase(), &format!("{{{common}}}"), &common.replace('-', "")] {
            assert_eq!(canonical_id(spelt), common);
        }
        for other in ["", "17", "Company", "0a3f7d0e-2f7e-4d59-8f39-3c5a1b0f1e0", "ABC-17"] {
            assert_eq!(canonical_id(other), other);
        }
    }
}
