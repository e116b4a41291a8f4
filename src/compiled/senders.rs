//! What is needed to send, made on first use and kept for the webhooks that were sent to last.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;
use moka::sync::Cache;

use super::webhook::Sender;

/// Most bytes of what is kept, about.
const WEIGHT: u64 = 64 << 20;

/// See the module.
pub(super) struct Senders {
    kept: Cache<u64, Arc<Sender>, RandomState>,
    next: AtomicU64,
}

impl Default for Senders {
    fn default() -> Self {
        let weigh = |_: &u64, sender: &Arc<Sender>| sender.weight();
        let kept = Cache::builder().max_capacity(WEIGHT).weigher(weigh).build_with_hasher(RandomState::default());
        Senders { kept, next: AtomicU64::new(0) }
    }
}

impl Senders {
    /// A name under which a compiled webhook finds its own again. A webhook that is compiled anew gets another one.
    pub(super) fn name(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The one of this name; made if it is not kept.
    pub(super) fn get<E>(&self, name: u64, make: impl FnOnce() -> Result<Sender, E>) -> Result<Arc<Sender>, E> {
        if let Some(kept) = self.kept.get(&name) {
            return Ok(kept);
        }
        let made = Arc::new(make()?);
        self.kept.insert(name, Arc::clone(&made));
        Ok(made)
    }
}
