//! Connections kept for the next request to the same origin.
//!
//! HTTP/1.1 connections stay here while they are idle; HTTP/2 connections also stay while they are in use, since several
//! requests share one. Every kept connection has an end: when it has been idle for too long, and, idle or not, when it is so
//! old that its name must be looked up and its address judged again. When the pool is full, the connection that was used
//! least recently makes room.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::connection::Http1;
use super::http2::Http2;

/// How recently an HTTP/2 connection must have been used to count as in use, and for how long its place among the least
/// recently used ones may be out of date.
const RECENT: Duration = Duration::from_secs(1);
/// How much earlier than the receiver a connection is given up, where the receiver says how long it keeps one: a request takes
/// time to arrive. At most half of what the receiver says.
const IDLE_MARGIN: Duration = Duration::from_secs(1);

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Kept connections to one origin; 0 keeps none.
    pub per_origin: usize,
    /// Kept connections in all.
    pub total: usize,
    /// An HTTP/1.1 connection that has not been used for so long is closed. Less than common servers keep one (5 s), since
    /// a request that crosses with their closing is lost.
    pub idle_timeout: Duration,
    /// The same for HTTP/2, where a receiver that closes a connection says which requests it has processed.
    pub http2_idle_timeout: Duration,
    /// A connection that was opened so long ago gets no new request.
    pub max_age: Duration,
}

impl Default for PoolLimits {
    fn default() -> PoolLimits {
        PoolLimits {
            per_origin: 1_024,
            total: 2_048,
            idle_timeout: Duration::from_secs(4),
            http2_idle_timeout: Duration::from_secs(30),
            max_age: Duration::from_secs(120),
        }
    }
}

/// Which connections a request may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Any,
    /// None that has been idle: the receiver may be closing it.
    InUse,
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
    origins: HashMap<Arc<str>, Origin>,
    turns: Turns,
    /// While anything is kept, one task sweeps; it ends with the pool.
    sweeper: JoinSet<()>,
    sweeping: bool,
}

/// In which order connections were used: the origin of each kept one by its turn, the least recent first.
#[derive(Default)]
struct Turns {
    origins: BTreeMap<u64, Arc<str>>,
    next: u64,
}

impl Turns {
    fn push(&mut self, origin: &Arc<str>) -> u64 {
        let turn = self.next;
        self.next += 1;
        self.origins.insert(turn, origin.clone());
        turn
    }

    fn remove(&mut self, turn: u64) {
        self.origins.remove(&turn);
    }
}

struct Origin {
    name: Arc<str>,
    /// The one used last is at the end, and is used next: so the others can grow old.
    idle: Vec<Idle>,
    shared: Vec<Shared>,
}

struct Idle {
    connection: Http1,
    turn: u64,
    /// When it has been idle for too long.
    until: Instant,
}

struct Shared {
    connection: Arc<Http2>,
    last_used: Instant,
    turn: u64,
    /// When it got its turn.
    turned: Instant,
}

impl Pool {
    pub(super) fn new(limits: PoolLimits) -> Arc<Pool> {
        Arc::new(Pool { limits, kept: Mutex::default() })
    }

    /// A kept connection that may take a request now.
    pub(super) fn take(&self, origin: &str, wish: Wish) -> Option<Reused> {
        let now = Instant::now();
        // Dropping a connection wakes its task, which is better done after the lock.
        let mut dropped = Vec::new();
        let mut kept = self.kept.lock();
        let Kept { origins, turns, .. } = &mut *kept;
        let lot = origins.get_mut(origin)?;
        let taken = match lot.take_shared(now, &self.limits, wish, turns) {
            None if wish == Wish::Any => {
                let idle = lot.take_idle(now, &self.limits, &mut dropped);
                idle.iter().chain(&dropped).for_each(|idle| turns.remove(idle.turn));
                idle.map(|idle| Reused::Http1(idle.connection))
            }
            shared => shared.map(Reused::Http2),
        };
        if lot.is_empty() {
            origins.remove(origin);
        }
        taken
    }

    /// Keeps a connection over which a whole exchange has gone. `offered`: for how long the receiver keeps it, where it says so.
    pub(super) fn keep(self: &Arc<Pool>, origin: &str, connection: Http1, offered: Option<Duration>) {
        let now = Instant::now();
        let idle_timeout = offered.map_or(self.limits.idle_timeout, |offered| {
            offered.saturating_sub(IDLE_MARGIN.min(offered / 2)).min(self.limits.idle_timeout)
        });
        if idle_timeout.is_zero() || connection.sender.is_closed() || self.is_old(connection.opened, now) {
            return;
        }
        let until = now + idle_timeout;
        self.insert(origin, |lot, turn| lot.idle.push(Idle { connection, turn, until }));
    }

    /// Keeps a new HTTP/2 connection for others to use at the same time.
    pub(super) fn share(self: &Arc<Pool>, origin: &str, connection: &Arc<Http2>) {
        let (connection, now) = (connection.clone(), Instant::now());
        self.insert(origin, |lot, turn| lot.shared.push(Shared { connection, last_used: now, turn, turned: now }));
    }

    /// Gives a shared connection no more requests; those under way go on.
    pub(super) fn retire(&self, origin: &str, connection: &Arc<Http2>) {
        let mut kept = self.kept.lock();
        let Kept { origins, turns, .. } = &mut *kept;
        let Some(lot) = origins.get_mut(origin) else { return };
        let retired = lot.shared.extract_if(.., |shared| Arc::ptr_eq(&shared.connection, connection));
        retired.for_each(|shared| turns.remove(shared.turn));
        if lot.is_empty() {
            origins.remove(origin);
        }
    }

    /// How many connections are kept.
    pub(super) fn len(&self) -> usize {
        self.kept.lock().turns.origins.len()
    }

    fn is_old(&self, opened: Instant, now: Instant) -> bool {
        now.saturating_duration_since(opened) >= self.limits.max_age
    }

    fn insert(self: &Arc<Pool>, origin: &str, add: impl FnOnce(&mut Origin, u64)) {
        if self.limits.total == 0 || self.limits.per_origin == 0 {
            return;
        }
        let mut kept = self.kept.lock();
        let kept = &mut *kept;
        let count = |lot: &Origin| lot.idle.len() + lot.shared.len();
        if kept.origins.get(origin).is_some_and(|lot| count(lot) >= self.limits.per_origin) {
            return;
        }
        // Dropped after the lock, since that wakes a task.
        let _evicted = (kept.turns.origins.len() >= self.limits.total).then(|| kept.evict());
        // Most origins are known, and need no copy of their name.
        let lot = match kept.origins.get_mut(origin) {
            Some(lot) => lot,
            None => kept.origins.entry(origin.into()).or_insert_with_key(|name| Origin::new(name.clone())),
        };
        let turn = kept.turns.push(&lot.name);
        add(lot, turn);
        if !kept.sweeping {
            kept.sweeping = true;
            let sweeping = self.sweeping();
            // A new set, or those that have ended would pile up in the old one.
            kept.sweeper = JoinSet::new();
            kept.sweeper.spawn(sweeping);
        }
    }

    /// Closes what has been idle too long. Returns whether anything is left.
    fn sweep(&self) -> bool {
        let now = Instant::now();
        let (mut idle, mut shared) = (Vec::new(), Vec::new());
        let mut kept = self.kept.lock();
        let Kept { origins, turns, sweeping, .. } = &mut *kept;
        origins.retain(|_, lot| {
            idle.extend(lot.idle.extract_if(.., |idle| idle.is_expired(now, &self.limits)));
            shared.extend(lot.shared.extract_if(.., |shared| shared.is_expired(now, &self.limits)));
            !lot.is_empty()
        });
        let expired = idle.iter().map(|idle| idle.turn).chain(shared.iter().map(|shared| shared.turn));
        expired.for_each(|turn| turns.remove(turn));
        *sweeping = !turns.origins.is_empty();
        *sweeping
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
    /// Makes room by giving up the connection that was used least recently.
    fn evict(&mut self) -> Option<Evicted> {
        let (turn, name) = self.turns.origins.pop_first()?;
        let lot = self.origins.get_mut(&name)?;
        let idle = lot.idle.iter().position(|idle| idle.turn == turn);
        let shared = lot.shared.iter().position(|shared| shared.turn == turn);
        let evicted = Evicted {
            _idle: idle.map(|index| lot.idle.remove(index)),
            _shared: shared.map(|index| lot.shared.remove(index)),
        };
        if lot.is_empty() {
            self.origins.remove(&name);
        }
        Some(evicted)
    }
}

/// A connection that made room: one of the two.
struct Evicted {
    _idle: Option<Idle>,
    _shared: Option<Shared>,
}

impl Origin {
    fn new(name: Arc<str>) -> Origin {
        Origin { name, idle: Vec::new(), shared: Vec::new() }
    }

    fn is_empty(&self) -> bool {
        self.idle.is_empty() && self.shared.is_empty()
    }

    fn take_shared(&mut self, now: Instant, limits: &PoolLimits, wish: Wish, turns: &mut Turns) -> Option<Arc<Http2>> {
        let usable = |shared: &&mut Shared| {
            let requests = shared.requests();
            !shared.connection.has_ended()
                && now.saturating_duration_since(shared.connection.opened) < limits.max_age
                && (wish == Wish::Any || requests > 0 || now.saturating_duration_since(shared.last_used) < RECENT)
                && requests < shared.connection.limit()
        };
        let shared = self.shared.iter_mut().find(usable)?;
        shared.last_used = now;
        // Not each time: this order is for what has not been used for long.
        if now.saturating_duration_since(shared.turned) >= RECENT {
            turns.remove(shared.turn);
            (shared.turn, shared.turned) = (turns.push(&self.name), now);
        }
        Some(shared.connection.clone())
    }

    /// The connection used last that is ready; those closed or too old on the way to it are dropped. One whose
    /// last exchange has just ended may not be ready yet, and stays.
    fn take_idle(&mut self, now: Instant, limits: &PoolLimits, dropped: &mut Vec<Idle>) -> Option<Idle> {
        let mut index = self.idle.len();
        while index > 0 {
            index -= 1;
            let idle = &self.idle[index];
            if idle.is_expired(now, limits) {
                dropped.push(self.idle.remove(index));
            } else if idle.connection.sender.is_ready() {
                return Some(self.idle.remove(index));
            }
        }
        None
    }
}

impl Idle {
    fn is_expired(&self, now: Instant, limits: &PoolLimits) -> bool {
        self.connection.sender.is_closed()
            || now >= self.until
            || now.saturating_duration_since(self.connection.opened) >= limits.max_age
    }
}

impl Shared {
    /// How many requests use it.
    fn requests(&self) -> usize {
        Arc::strong_count(&self.connection) - 1
    }

    fn is_expired(&self, now: Instant, limits: &PoolLimits) -> bool {
        self.connection.has_ended()
            || (self.requests() == 0 && now.saturating_duration_since(self.last_used) >= limits.http2_idle_timeout)
            || now.saturating_duration_since(self.connection.opened) >= limits.max_age
    }
}
