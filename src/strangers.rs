//! Which connections are idle, so that where there is no room for a new one, the longest idle go first: those on which nobody
//! has shown a key that holds, then the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// How many idle connections are closed at once: looking for them costs more than closing them.
const AT_ONCE: usize = 32;

/// A request is under way.
const BUSY: u64 = 0;
/// The connection is being closed.
const CLOSING: u64 = u64::MAX;

/// The connections there are.
#[derive(Default)]
pub(crate) struct Connections {
    open: Mutex<HashMap<u64, Arc<State>>>,
    /// Numbers connections, and the moments at which they become idle.
    count: AtomicU64,
}

/// What is known of one connection.
#[derive(Default)]
struct State {
    /// Since which moment it is idle; or [`BUSY`] or [`CLOSING`].
    idle: AtomicU64,
    /// Whether somebody with a key or session is on it.
    is_known: AtomicBool,
    close: Notify,
}

/// One connection, until it is dropped.
pub(crate) struct Connection {
    all: Arc<Connections>,
    number: u64,
    state: Arc<State>,
}

impl Connections {
    /// A new connection, idle until its first request.
    pub(crate) fn open(self: &Arc<Self>) -> Connection {
        let number = self.next();
        let state = Arc::new(State { idle: AtomicU64::new(number), ..State::default() });
        self.open.lock().insert(number, Arc::clone(&state));
        Connection { all: Arc::clone(self), number, state }
    }

    fn next(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Has some of the longest idle connections closed; says how many.
    pub(crate) fn make_room(&self) -> usize {
        let mut idle: Vec<(bool, u64, Arc<State>)> = {
            let open = self.open.lock();
            let states = open.values().map(|state| {
                (state.is_known.load(Ordering::Relaxed), state.idle.load(Ordering::Relaxed), Arc::clone(state))
            });
            states.filter(|(_, since, _)| !matches!(*since, BUSY | CLOSING)).collect()
        };
        idle.sort_unstable_by_key(|(is_known, since, _)| (*is_known, *since));
        let close = |(_, since, state): &(bool, u64, Arc<State>)| {
            // Unless a request came meanwhile.
            let closes = state.idle.compare_exchange(*since, CLOSING, Ordering::AcqRel, Ordering::Relaxed).is_ok();
            if closes {
                state.close.notify_one();
            }
            closes
        };
        idle.iter().take(AT_ONCE).filter(|connection| close(connection)).count()
    }
}

impl Connection {
    /// A request comes; false where the connection is being closed.
    pub(crate) fn begin(&self) -> bool {
        self.state.idle.swap(BUSY, Ordering::AcqRel) != CLOSING
    }

    /// The response is out.
    pub(crate) fn end(&self) {
        // What is being closed stays so.
        let _ = self.state.idle.compare_exchange(BUSY, self.all.next(), Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Somebody with a key or session that holds is on it.
    pub(crate) fn is_known(&self) {
        self.state.is_known.store(true, Ordering::Relaxed);
    }

    /// Waits until it is to be closed to make room.
    pub(crate) async fn is_to_close(&self) {
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
    fn the_longest_idle_strangers_go_first() {
        let all = Arc::new(Connections::default());
        let known = all.open();
        known.is_known();
        let busy = all.open();
        assert!(busy.begin());
        let strangers: Vec<Connection> = (0..AT_ONCE + 1).map(|_| all.open()).collect();
        // It had a request, and is idle for a shorter time than the others.
        assert!(strangers[0].begin());
        strangers[0].end();
        assert_eq!(all.make_room(), AT_ONCE);
        assert!(strangers[1..].iter().all(closes));
        assert!(![&known, &busy, &strangers[0]].into_iter().any(closes));
        assert!(!strangers[1].begin(), "a request came too late");

        assert_eq!(all.make_room(), 2, "those that are being closed are not counted again");
        assert!(closes(&known) && closes(&strangers[0]) && !closes(&busy));
        drop((known, busy, strangers));
        assert!(all.open.lock().is_empty());
    }
}
