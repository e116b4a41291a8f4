//! Connections kept for the next request to the same origin.
//!
//! HTTP/1.1 connections lie here while they are idle; HTTP/2 connections stay here while they are in use, since
//! several requests share one. Every kept connection has an end: when it is idle too long, and, idle or not, when it
//! is so old that its name must be looked up and its address judged again.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::connection::{Http1, Http2};

/// How many requests share one HTTP/2 connection before another is opened; receivers usually allow 100.
const MAX_STREAMS_PER_CONNECTION: usize = 100;

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Kept connections to one origin; 0 keeps none.
    pub per_origin: usize,
    /// Kept connections in all.
    pub total: usize,
    /// A connection that was not used for so long is closed.
    pub idle_timeout: Duration,
    /// A connection that was opened so long ago gets no new request.
    pub max_age: Duration,
}

impl Default for PoolLimits {
    fn default() -> PoolLimits {
        PoolLimits {
            per_origin: 1_024,
            total: 2_048,
            idle_timeout: Duration::from_secs(30),
            max_age: Duration::from_secs(120),
        }
    }
}

/// A kept connection, given out for one request.
pub(super) enum Reused {
    Http1(Http1),
    Http2(Arc<Http2>),
}

pub(super) struct Pool {
    limits: PoolLimits,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    origins: HashMap<Box<str>, Origin>,
    count: usize,
    /// While anything is kept, one task sweeps; it ends with the pool.
    sweeper: JoinSet<()>,
    sweeping: bool,
}

#[derive(Default)]
struct Origin {
    /// The one used last is at the end, and is used next: so the others can grow old.
    idle: Vec<Idle>,
    shared: Vec<Shared>,
}

struct Idle {
    connection: Http1,
    since: Instant,
}

struct Shared {
    connection: Arc<Http2>,
    last_used: Instant,
}

impl Shared {
    fn requests(&self) -> usize {
        Arc::strong_count(&self.connection) - 1
    }
}

impl Pool {
    pub(super) fn new(limits: PoolLimits) -> Arc<Pool> {
        Arc::new(Pool { limits, kept: Mutex::default() })
    }

    /// A kept connection that may take a request now.
    pub(super) fn take(&self, origin: &str) -> Option<Reused> {
        let now = Instant::now();
        // Dropping a connection wakes its task, which is better done after the lock.
        let mut dropped = Vec::new();
        let mut kept = self.kept.lock();
        let kept = &mut *kept;
        let lot = kept.origins.get_mut(origin)?;
        let taken = lot.take_shared(now, &self.limits).or_else(|| {
            let taken = lot.take_idle(now, &self.limits, &mut dropped);
            kept.count -= dropped.len() + usize::from(taken.is_some());
            taken.map(Reused::Http1)
        });
        if lot.is_empty() {
            kept.origins.remove(origin);
        }
        taken
    }

    /// Keeps a connection over which a whole exchange has gone.
    pub(super) fn keep(self: &Arc<Pool>, origin: &str, connection: Http1) {
        let now = Instant::now();
        if connection.sender.is_closed() || self.is_old(connection.opened, now) {
            return;
        }
        self.insert(origin, |lot| lot.idle.push(Idle { connection, since: now }));
    }

    /// Keeps a new HTTP/2 connection for others to use at the same time.
    pub(super) fn share(self: &Arc<Pool>, origin: &str, connection: &Arc<Http2>) {
        let connection = connection.clone();
        self.insert(origin, |lot| lot.shared.push(Shared { connection, last_used: Instant::now() }));
    }

    /// Gives a shared connection no more requests; those under way go on.
    pub(super) fn retire(&self, origin: &str, connection: &Arc<Http2>) {
        let mut kept = self.kept.lock();
        let Some(lot) = kept.origins.get_mut(origin) else { return };
        let before = lot.shared.len();
        lot.shared.retain(|shared| !Arc::ptr_eq(&shared.connection, connection));
        let removed = before - lot.shared.len();
        if lot.is_empty() {
            kept.origins.remove(origin);
        }
        kept.count -= removed;
    }

    /// How many connections are kept.
    pub(super) fn len(&self) -> usize {
        self.kept.lock().count
    }

    fn is_old(&self, opened: Instant, now: Instant) -> bool {
        now.saturating_duration_since(opened) >= self.limits.max_age
    }

    fn insert(self: &Arc<Pool>, origin: &str, add: impl FnOnce(&mut Origin)) {
        let mut evicted = None;
        let mut kept = self.kept.lock();
        if kept.count >= self.limits.total {
            evicted = kept.evict_other(origin);
            if evicted.is_none() {
                return;
            }
        }
        // Most origins are known, and need no copy of their name.
        let lot = match kept.origins.get_mut(origin) {
            Some(lot) => lot,
            None => kept.origins.entry(origin.into()).or_default(),
        };
        if lot.idle.len() + lot.shared.len() >= self.limits.per_origin {
            return;
        }
        add(lot);
        kept.count += 1;
        if !kept.sweeping {
            kept.sweeping = true;
            let sweeping = self.sweeping();
            // A new set, or those that have ended would pile up in the old one.
            kept.sweeper = JoinSet::new();
            kept.sweeper.spawn(sweeping);
        }
        drop(kept);
        drop(evicted);
    }

    /// Closes what has been idle too long. Returns whether anything is left.
    fn sweep(&self) -> bool {
        let now = Instant::now();
        let mut dropped = Vec::new();
        let mut kept = self.kept.lock();
        let kept = &mut *kept;
        kept.origins.retain(|_, lot| {
            lot.drop_expired(now, &self.limits, &mut dropped);
            !lot.is_empty()
        });
        kept.count = kept.origins.values().map(|lot| lot.idle.len() + lot.shared.len()).sum();
        kept.sweeping = kept.count > 0;
        kept.sweeping
    }

    /// Sweeps until nothing is kept, without keeping the pool alive.
    fn sweeping(self: &Arc<Pool>) -> impl Future<Output = ()> + Send + use<> {
        let period = (self.limits.idle_timeout / 2).max(Duration::from_millis(1));
        let pool: Weak<Pool> = Arc::downgrade(self);
        async move {
            loop {
                tokio::time::sleep(period).await;
                match pool.upgrade() {
                    Some(pool) if pool.sweep() => {}
                    _ => return,
                }
            }
        }
    }
}

impl Kept {
    /// Makes room by giving up the oldest connection of some other origin.
    fn evict_other(&mut self, origin: &str) -> Option<Dropped> {
        let name = self.origins.keys().find(|name| ***name != *origin)?.clone();
        let lot = self.origins.get_mut(&name)?;
        let dropped = lot.drop_oldest();
        if lot.is_empty() {
            self.origins.remove(&name);
        }
        self.count -= usize::from(dropped.is_some());
        dropped
    }
}

/// What is dropped once the lock is free.
enum Dropped {
    Idle { _connection: Idle },
    Shared { _connection: Shared },
}

impl Origin {
    fn is_empty(&self) -> bool {
        self.idle.is_empty() && self.shared.is_empty()
    }

    fn drop_oldest(&mut self) -> Option<Dropped> {
        if self.idle.is_empty() {
            return self.shared.pop().map(|shared| Dropped::Shared { _connection: shared });
        }
        Some(Dropped::Idle { _connection: self.idle.remove(0) })
    }

    fn take_shared(&mut self, now: Instant, limits: &PoolLimits) -> Option<Reused> {
        let usable = |shared: &&mut Shared| {
            !shared.connection.sender.is_closed()
                && shared.requests() < MAX_STREAMS_PER_CONNECTION
                && now.saturating_duration_since(shared.connection.opened) < limits.max_age
        };
        let shared = self.shared.iter_mut().find(usable)?;
        shared.last_used = now;
        Some(Reused::Http2(shared.connection.clone()))
    }

    /// The connection used last that is ready; those closed or too old on the way to it are dropped. One whose
    /// last exchange has just ended may not be ready yet, and stays.
    fn take_idle(&mut self, now: Instant, limits: &PoolLimits, dropped: &mut Vec<Dropped>) -> Option<Http1> {
        let mut index = self.idle.len();
        while index > 0 {
            index -= 1;
            let idle = &self.idle[index];
            if idle.is_expired(now, limits) {
                dropped.push(Dropped::Idle { _connection: self.idle.remove(index) });
            } else if idle.connection.sender.is_ready() {
                return Some(self.idle.remove(index).connection);
            }
        }
        None
    }

    fn drop_expired(&mut self, now: Instant, limits: &PoolLimits, dropped: &mut Vec<Dropped>) {
        let idle = self.idle.extract_if(.., |idle| idle.is_expired(now, limits));
        dropped.extend(idle.map(|idle| Dropped::Idle { _connection: idle }));
        let shared = self.shared.extract_if(.., |shared| shared.is_expired(now, limits));
        dropped.extend(shared.map(|shared| Dropped::Shared { _connection: shared }));
    }
}

impl Idle {
    fn is_expired(&self, now: Instant, limits: &PoolLimits) -> bool {
        self.connection.sender.is_closed()
            || now.saturating_duration_since(self.since) >= limits.idle_timeout
            || now.saturating_duration_since(self.connection.opened) >= limits.max_age
    }
}

impl Shared {
    fn is_expired(&self, now: Instant, limits: &PoolLimits) -> bool {
        self.connection.sender.is_closed()
            || (self.requests() == 0 && now.saturating_duration_since(self.last_used) >= limits.idle_timeout)
            || now.saturating_duration_since(self.connection.opened) >= limits.max_age
    }
}
