//! API keys in use: found by their hash, remembered for a short time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fanfare_store::catalogue::api_keys::{self, ApiKey};
use fanfare_store::{Store, StoreResult};
use moka::sync::Cache;

/// The longest key that is looked at, in bytes.
pub const MAX_KEY_BYTES: usize = 256;
/// How many keys are remembered.
const REMEMBERED: u64 = 10_000;
/// For how long; a key that another node deletes works here at most that much longer.
const REMEMBERED_FOR: Duration = Duration::from_secs(30);

/// How many digits the admin key's mark has.
const MARK_DIGITS: usize = 16;

/// Whose key was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bearer {
    Admin,
    Key(Arc<ApiKey>),
}

/// The keys.
pub struct Keyring {
    admin: blake3::Hash,
    known: Cache<[u8; 32], Arc<ApiKey>>,
    /// Counts the deletions, so that a key read before one is not remembered after it.
    deletions: AtomicU64,
}

impl Keyring {
    /// A ring with the admin key of this hash.
    pub fn new(admin: [u8; 32]) -> Self {
        Keyring {
            admin: blake3::Hash::from_bytes(admin),
            known: Cache::builder().max_capacity(REMEMBERED).time_to_live(REMEMBERED_FOR).build(),
            deletions: AtomicU64::new(0),
        }
    }

    /// Whose key has this hash; `None` for nobody's. Whether it has expired is for the caller to see.
    ///
    /// Keys are compared by hashes under a secret key, so that times tell nothing of them.
    pub async fn find(&self, store: &Store, hash: [u8; 32]) -> StoreResult<Option<Bearer>> {
        if self.admin == blake3::Hash::from_bytes(hash) {
            return Ok(Some(Bearer::Admin));
        }
        if let Some(key) = self.known.get(&hash) {
            return Ok(Some(Bearer::Key(key)));
        }
        let deletions = self.deletions.load(Ordering::SeqCst);
        let Some(key) = store.read_one(api_keys::by_hash(&hash)).await?.map(Arc::new) else { return Ok(None) };
        self.known.insert(hash, Arc::clone(&key));
        if self.deletions.load(Ordering::SeqCst) != deletions {
            self.known.invalidate(&hash);
        }
        Ok(Some(Bearer::Key(key)))
    }

    /// What tells this admin key from another one that the server may have later, and nothing more.
    pub fn admin_mark(&self) -> String {
        blake3::hash(self.admin.as_bytes()).to_hex()[..MARK_DIGITS].to_owned()
    }

    /// Forgets what was remembered, after keys were deleted.
    pub fn forget(&self) {
        self.deletions.fetch_add(1, Ordering::SeqCst);
        self.known.invalidate_all();
    }
}
