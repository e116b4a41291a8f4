//! One edit after the other: edits of the same thing within this process wait for each other instead of colliding.

use tokio::sync::{Mutex, MutexGuard};

/// How many edits may go on at once; things that share a place wait for each other without need.
const PLACES: usize = 64;

/// The queue for each thing that may be edited.
pub struct Turns {
    places: [Mutex<()>; PLACES],
}

impl Default for Turns {
    fn default() -> Self {
        Turns { places: std::array::from_fn(|_| Mutex::new(())) }
    }
}

impl Turns {
    /// Waits until nobody else in this process edits what has this id. Other processes are kept apart by the versions of
    /// rows.
    pub async fn wait(&self, id: i64) -> MutexGuard<'_, ()> {
        // Ids end with a sequence that starts anew each millisecond; all of their bits count.
        let mixed = (id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        self.places[mixed as usize % PLACES].lock().await
    }
}
