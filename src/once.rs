//! Work done at most once under an idempotency key: the commit that does the work takes the key.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fanfare_store::StoreResult;
use fanfare_store::query::Change;
use fanfare_store::queue::{Answer, IdempotencyKey, Once, Operation, Touches};
use parking_lot::Mutex;

use crate::app::App;

tokio::task_local! {
    /// The key of the request that this task serves.
    static KEY: Arc<Key>;
}

/// A request's key.
struct Key {
    key: IdempotencyKey,
    /// A write of the request took it; what the request writes after that is not a repetition.
    is_taken: AtomicBool,
}

/// Serves a request whose work is to be done once: the first thing that it writes takes the key.
pub async fn under<T>(key: IdempotencyKey, work: impl Future<Output = T>) -> T {
    KEY.scope(Arc::new(Key { key, is_taken: AtomicBool::new(false) }), work).await
}

/// The key of the request that this task serves, if nothing took it yet.
fn current() -> Option<Arc<Key>> {
    let key = KEY.try_with(Arc::clone).ok()?;
    (!key.is_taken.load(Ordering::Relaxed)).then_some(key)
}

/// The operation, to be carried out once where this task serves a request with a key. `made` is the id of what it makes, by which
/// the response can be put together again; empty where it makes nothing.
pub fn keyed(operation: Operation, made: &str) -> Operation {
    let Some(key) = current() else { return operation };
    key.is_taken.store(true, Ordering::Relaxed);
    Operation::Once(Box::new(Once { key: key.key.clone(), made: made.to_owned(), operation }))
}

impl App {
    /// Writes what a request asks for, under its idempotency key if it has one. Everything that a request changes goes through
    /// here, so that no key can be committed without its work, or the work without its key.
    ///
    /// # Errors
    /// The store's; `Taken("idempotency key")` where the work was done before.
    pub async fn write(&self, operation: Operation, made: &str) -> StoreResult<Answer> {
        let key = current();
        let answer = self.store.apply(keyed(operation, made)).await;
        // What is refused, or finds nothing to do, leaves the key to what is written next.
        let did_nothing = match &answer {
            Ok(Answer::Released(changed)) => changed.is_empty(),
            Ok(_) => false,
            Err(_) => true,
        };
        if let (Some(key), true) = (key, did_nothing) {
            key.is_taken.store(false, Ordering::Relaxed);
        }
        answer
    }

    /// Writes a change that makes something with the id `made`; see [`App::write`].
    ///
    /// # Errors
    /// As for [`App::write`].
    pub async fn make(&self, change: Change, touches: Option<Touches>, made: &str) -> StoreResult<()> {
        self.write(Operation::Change { change, touches, report: None }, made).await.map(drop)
    }

    /// Writes a change that makes nothing; see [`App::write`].
    ///
    /// # Errors
    /// As for [`App::write`].
    pub async fn change(&self, change: Change, touches: Option<Touches>) -> StoreResult<()> {
        self.make(change, touches, "").await
    }
}

/// The keys whose requests are running in this process. It holds no more than there are such requests.
#[derive(Default)]
pub struct Running(Arc<Mutex<HashSet<(String, String)>>>);

/// A key whose request is running, until this is dropped.
pub struct Run {
    running: Arc<Mutex<HashSet<(String, String)>>>,
    key: (String, String),
}

impl Running {
    /// Starts a request under a key; `None` where one is running under it.
    pub fn start(&self, key: &IdempotencyKey) -> Option<Run> {
        let key = (key.scope.clone(), key.key.clone());
        let is_first = self.0.lock().insert(key.clone());
        is_first.then(|| Run { running: Arc::clone(&self.0), key })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.running.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> IdempotencyKey {
        IdempotencyKey { scope: "s".to_owned(), key: name.to_owned(), fingerprint: [0; 16] }
    }

    #[test]
    fn one_request_runs_under_a_key() {
        let running = Running::default();
        let run = running.start(&key("a")).unwrap();
        assert!(running.start(&key("a")).is_none() && running.start(&key("b")).is_some());
        drop(run);
        assert!(running.start(&key("a")).is_some());
        assert!(running.0.lock().is_empty(), "nothing is remembered of what ended");
    }

    #[tokio::test]
    async fn only_what_runs_under_a_key_takes_it() {
        let operation = || Operation::Cancel { deliveries: Vec::new() };
        assert!(matches!(keyed(operation(), "x"), Operation::Cancel { .. }));
        let (first, second) = under(key("a"), async { (keyed(operation(), "x"), keyed(operation(), "y")) }).await;
        assert!(matches!(first, Operation::Once(once) if once.made == "x" && once.key == key("a")));
        assert!(matches!(second, Operation::Cancel { .. }), "the first took the key");
    }
}
