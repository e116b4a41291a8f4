//! Closes connections to make room for new ones: those that have waited longest for their client, starting with clients that
//! have shown no valid key or session.
//!
//! A connection waits between requests, and while the rest of a request's body is missing. Closing it loses nothing, because a
//! request runs only once its body is complete.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::background::Owner;

/// How many waiting connections are closed at once: looking for them costs more than closing them.
const AT_ONCE: usize = 32;

/// A request is under way.
const BUSY: u64 = 0;
/// The connection is being closed.
const CLOSING: u64 = u64::MAX;

/// The connections there are.
#[derive(Default)]
pub struct Connections {
    open: Mutex<HashMap<u64, Arc<State>>>,
    /// Numbers connections, and the moments at which they begin to wait.
    count: AtomicU64,
}

/// What is known of one connection.
#[derive(Default)]
struct State {
    /// Since which moment it waits for its client; or [`BUSY`] or [`CLOSING`].
    waits: AtomicU64,
    /// Whether somebody with a valid key or session is on it.
    is_known: AtomicBool,
    /// Who sent the request that is under way.
    owner: Mutex<Owner>,
    close: Notify,
}

/// One connection, until it is dropped.
pub struct Connection {
    all: Arc<Connections>,
    number: u64,
    state: Arc<State>,
}

impl Connections {
    /// A new connection, which waits for its first request. Requests carry theirs in their extensions, as an [`Arc`].
    pub fn open(self: &Arc<Self>) -> Connection {
        let number = self.next();
        let state = Arc::new(State { waits: AtomicU64::new(number), ..State::default() });
        self.open.lock().insert(number, Arc::clone(&state));
        Connection { all: Arc::clone(self), number, state }
    }

    fn next(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Has some of the connections that have waited longest closed; says how many.
    pub fn make_room(&self) -> usize {
        let mut waiting: Vec<(bool, u64, Arc<State>)> = {
            let open = self.open.lock();
            let states = open.values().map(|state| {
                (state.is_known.load(Ordering::Relaxed), state.waits.load(Ordering::Relaxed), Arc::clone(state))
            });
            states.filter(|(_, since, _)| !matches!(*since, BUSY | CLOSING)).collect()
        };
        waiting.sort_unstable_by_key(|(is_known, since, _)| (*is_known, *since));
        let close = |(_, since, state): &(bool, u64, Arc<State>)| {
            // Fails if the client has sent something since.
            let closes = state.waits.compare_exchange(*since, CLOSING, Ordering::AcqRel, Ordering::Relaxed).is_ok();
            if closes {
                state.close.notify_one();
            }
            closes
        };
        waiting.iter().take(AT_ONCE).filter(|connection| close(connection)).count()
    }
}

impl Connection {
    /// Notes that the client has sent a request or a piece of its body. Returns false if the connection is being closed.
    pub fn begin(&self) -> bool {
        self.state.waits.swap(BUSY, Ordering::AcqRel) != CLOSING
    }

    /// Notes that the client has to send something: its next request, or more of this one.
    pub fn wait(&self) {
        // Leaves a connection alone that is being closed or waits already.
        let _ = self.state.waits.compare_exchange(BUSY, self.all.next(), Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Notes who sent the request that is under way, by a valid key or session.
    pub fn belongs_to(&self, owner: Owner) {
        *self.state.owner.lock() = owner;
        self.state.is_known.store(true, Ordering::Relaxed);
    }

    /// Returns the owner of the request that is under way; a stranger until a key or session is checked.
    pub fn owner(&self) -> Owner {
        *self.state.owner.lock()
    }

    /// Notes that a request was answered. The next one may be somebody else's, because proxies share connections.
    pub fn end(&self) {
        *self.state.owner.lock() = Owner::Stranger;
    }

    /// Waits until it is to be closed to make room.
    pub async fn is_to_close(&self) {
        self.state.close.notified().await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.all.open.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn closes(connection: &Connection) -> bool {
        connection.is_to_close().now_or_never().is_some()
    }

    #[test]
    fn strangers_that_have_waited_longest_go_first() {
        let all = Arc::new(Connections::default());
        let known = all.open();
        known.belongs_to(Owner::Operator);
        let busy = all.open();
        assert!(busy.begin());
        let strangers: Vec<Connection> = (0..AT_ONCE + 1).map(|_| all.open()).collect();
        // It had a request, and has waited for a shorter time than the others.
        assert!(strangers[0].begin());
        strangers[0].wait();
        assert_eq!(all.make_room(), AT_ONCE);
        assert!(strangers[1..].iter().all(closes));
        assert!(![&known, &busy, &strangers[0]].into_iter().any(closes));
        assert!(!strangers[1].begin(), "a request came too late");

        assert_eq!(all.make_room(), 2, "those that are being closed are not counted again");
        assert!(closes(&known) && closes(&strangers[0]) && !closes(&busy));
        drop((known, busy, strangers));
        assert!(all.open.lock().is_empty());
    }

    #[test]
    fn an_owner_is_that_of_one_request() {
        let connection = Arc::new(Connections::default()).open();
        assert_eq!(connection.owner(), Owner::Stranger);
        connection.belongs_to(Owner::Operator);
        assert_eq!(connection.owner(), Owner::Operator);
        connection.end();
        assert_eq!(connection.owner(), Owner::Stranger);
    }
}
