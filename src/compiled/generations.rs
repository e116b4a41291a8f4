//! Counts the changes of each project, so that what was read before one is not kept after it.

use std::collections::BTreeMap;

use fanfare_engine::id::ProjectId;
use parking_lot::Mutex;

/// See the module. Holds a number for each project that changed; their count is bounded where they are made.
#[derive(Debug, Default)]
pub(super) struct Generations(Mutex<BTreeMap<ProjectId, u64>>);

impl Generations {
    /// Notes a change; to be called after its commit.
    pub(super) fn changed(&self, project: ProjectId) {
        *self.0.lock().entry(project).or_default() += 1;
    }

    /// To be asked before something is read, and again after it was kept: where it differs, it must not be kept.
    pub(super) fn of(&self, project: ProjectId) -> u64 {
        self.0.lock().get(&project).copied().unwrap_or_default()
    }
}
