//! One edit after the other: edits of the same thing within this process wait for each other instead of colliding, and
//! for nothing else.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// The queue for each thing that is being edited. Holds no more than these.
#[derive(Default)]
pub struct Turns {
    queues: Mutex<HashMap<i64, Queue>>,
}

#[derive(Default)]
struct Queue {
    /// Who edits or waits.
    length: usize,
    gate: Arc<AsyncMutex<()>>,
}

/// The right to edit something, until it is dropped.
pub struct Turn<'a> {
    turns: &'a Turns,
    id: i64,
    gate: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits until nobody else in this process edits what has this id. Other processes are kept apart by the versions of
    /// rows.
    pub async fn wait(&self, id: i64) -> Turn<'_> {
        let (turn, gate) = self.line_up(&mut self.queues.lock(), id);
        turn.begin(gate).await
    }

    /// The same; `None` at once where `most` edit it or wait already: for what may take long, so that who waits does not
    /// use up what the server does at once.
    pub async fn wait_among(&self, id: i64, most: usize) -> Option<Turn<'_>> {
        let (turn, gate) = {
            let mut queues = self.queues.lock();
            if queues.get(&id).is_some_and(|queue| queue.length >= most) {
                return None;
            }
            self.line_up(&mut queues, id)
        };
        Some(turn.begin(gate).await)
    }

    /// The right to edit it where nobody else in this process does or waits for that.
    pub fn now(&self, id: i64) -> Option<Turn<'_>> {
        let (mut turn, gate) = self.line_up(&mut self.queues.lock(), id);
        turn.gate = Some(gate.try_lock_owned().ok()?);
        Some(turn)
    }

    fn line_up(&self, queues: &mut HashMap<i64, Queue>, id: i64) -> (Turn<'_>, Arc<AsyncMutex<()>>) {
        let queue = queues.entry(id).or_default();
        queue.length += 1;
        // Made before the wait, so that whoever gives up waiting leaves nothing behind.
        (Turn { turns: self, id, gate: None }, Arc::clone(&queue.gate))
    }
}

impl Turn<'_> {
    async fn begin(mut self, gate: Arc<AsyncMutex<()>>) -> Self {
        self.gate = Some(gate.lock_owned().await);
        self
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut queues = self.turns.queues.lock();
        if let Some(queue) = queues.get_mut(&self.id) {
            queue.length -= 1;
            if queue.length == 0 {
                queues.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_edits_of_the_same_thing_wait_for_each_other() {
        let turns = Turns::default();
        let held = turns.wait(0).await;
        // However many there are, none of the others waits.
        let mut others = Vec::new();
        for id in 1..1_000 {
            others.push(turns.wait(id).await);
        }
        let mut second = Box::pin(turns.wait(0));
        assert!(futures_util::poll!(&mut second).is_pending());
        assert!(turns.wait_among(0, 2).await.is_none());
        assert!(turns.now(0).is_none() && turns.now(1_000).is_some());
        let mut third = Box::pin(turns.wait_among(0, 3));
        assert!(futures_util::poll!(&mut third).is_pending());
        drop(third);
        drop(held);
        drop(second.await);
        drop(others);
        assert!(turns.queues.lock().is_empty(), "nothing is kept of what nobody edits");
    }
}
