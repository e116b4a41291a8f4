//! Checks of single fields that several resources share. Each gathers what is wrong instead of stopping at the first.

use std::collections::BTreeMap;

use fanfare_engine::event::EntityRef;
use fanfare_engine::profile::{FieldError, MAX_METADATA_ENTRIES, MAX_METADATA_KEY_BYTES, MAX_METADATA_VALUE_BYTES};

use super::{CatalogueError, CatalogueResult};

/// The longest name of a project, an organization or a key, in characters.
pub(super) const MAX_NAME_CHARS: usize = 200;
/// The longest id that a host gives to an organization, a user or an entity, in bytes.
pub(super) const MAX_EXTERNAL_ID_BYTES: usize = 255;

/// What was found wrong so far.
#[derive(Default)]
pub(super) struct Faults(Vec<FieldError>);

impl Faults {
    /// Notes that `field` is wrong where `holds` is false.
    pub(super) fn require(&mut self, holds: bool, field: &str, message: impl FnOnce() -> String) {
        if !holds {
            self.0.push(FieldError::new(field, message()));
        }
    }

    /// A name of 1 to [`MAX_NAME_CHARS`] characters without control characters.
    pub(super) fn name(&mut self, field: &str, name: &str) {
        let length = name.chars().count();
        let good =
            (1..=MAX_NAME_CHARS).contains(&length) && !name.contains(char::is_control) && !name.trim().is_empty();
        self.require(good, field, || {
            format!("must have 1 to {MAX_NAME_CHARS} characters, not only spaces, and no line breaks")
        });
    }

    /// An id of the host's own.
    pub(super) fn external_id(&mut self, field: &str, id: &str) {
        let good = (1..=MAX_EXTERNAL_ID_BYTES).contains(&id.len()) && !id.contains(char::is_control);
        self.require(good, field, || format!("must have 1 to {MAX_EXTERNAL_ID_BYTES} bytes and no control characters"));
    }

    /// An entity of the host's: its type and its id.
    pub(super) fn entity(&mut self, field: &str, entity: &EntityRef) {
        self.external_id(&format!("{field}.type"), &entity.kind);
        self.external_id(&format!("{field}.id"), &entity.id);
    }

    /// Metadata: short texts by short names.
    pub(super) fn metadata(&mut self, metadata: &BTreeMap<String, String>) {
        self.require(metadata.len() <= MAX_METADATA_ENTRIES, "metadata", || {
            format!("must have at most {MAX_METADATA_ENTRIES} entries")
        });
        let long = metadata.iter().find(|(key, value)| {
            key.is_empty() || key.len() > MAX_METADATA_KEY_BYTES || value.len() > MAX_METADATA_VALUE_BYTES
        });
        self.require(long.is_none(), "metadata", || {
            format!(
                "must have names of 1 to {MAX_METADATA_KEY_BYTES} bytes and values of at most {MAX_METADATA_VALUE_BYTES} bytes"
            )
        });
    }

    /// All that was found, where anything was.
    pub(super) fn finish(self) -> CatalogueResult<()> {
        if self.0.is_empty() { Ok(()) } else { Err(CatalogueError::Invalid(self.0)) }
    }
}
