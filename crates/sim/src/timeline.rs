//! Virtual time: what will happen, in its order.

use std::collections::BTreeMap;

/// Things that happen, by milliseconds since the run's start; at the same moment in the order in which they were put
/// there.
#[derive(Debug)]
pub(crate) struct Timeline<T> {
    ahead: BTreeMap<(i64, u64), T>,
    put: u64,
}

impl<T> Timeline<T> {
    pub(crate) fn new() -> Self {
        Timeline { ahead: BTreeMap::new(), put: 0 }
    }

    pub(crate) fn put(&mut self, at: i64, thing: T) {
        self.put += 1;
        self.ahead.insert((at, self.put), thing);
    }

    /// The next thing and when it happens.
    pub(crate) fn take(&mut self) -> Option<(i64, T)> {
        self.ahead.pop_first().map(|((at, _), thing)| (at, thing))
    }
}
