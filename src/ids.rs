//! Makes this node's identifiers, from the clock.

use std::sync::Arc;

use fanfare_engine::id::IdGenerator;
use parking_lot::Mutex;

use crate::clock::Clock;

/// The node's generator; see [`IdGenerator`].
pub struct Ids {
    generator: Mutex<IdGenerator>,
    clock: Arc<dyn Clock>,
}

impl Ids {
    /// For the node of this number; its ids are larger than `newest`.
    pub fn new(node_number: u16, newest: i64, clock: Arc<dyn Clock>) -> Self {
        Ids { generator: Mutex::new(IdGenerator::starting_after(node_number, newest)), clock }
    }

    /// The next one.
    pub fn next<T: From<i64>>(&self) -> T {
        T::from(self.generator.lock().next(self.clock.now()))
    }

    /// `count` in a row, with none of this node's between them.
    pub fn run(&self, count: usize) -> Vec<i64> {
        let now = self.clock.now();
        let mut generator = self.generator.lock();
        (0..count).map(|_| generator.next(now)).collect()
    }
}
