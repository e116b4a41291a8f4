//! Work that is brought to its end though nobody waits for it any more.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;

/// How much may run at once.
pub const MAX_AT_ONCE: usize = 256;

/// Tasks that outlive the request that began them, bounded, and awaited at the shutdown.
pub struct Background {
    tasks: Mutex<JoinSet<()>>,
    slots: Arc<Semaphore>,
}

impl Default for Background {
    fn default() -> Self {
        Background { tasks: Mutex::default(), slots: Arc::new(Semaphore::new(MAX_AT_ONCE)) }
    }
}

impl Background {
    /// Starts `work`; its result comes through the receiver, which says so where the work panicked. `None` where too much
    /// runs already.
    pub fn start<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<oneshot::Receiver<T>> {
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        let (sender, receiver) = oneshot::channel();
        let mut tasks = self.tasks.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            let result = work.await;
            drop(slot);
            // Whoever waited may have gone.
            let _ = sender.send(result);
        });
        Some(receiver)
    }

    /// Waits until all has ended. To be called once no more is started.
    pub async fn drain(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        while tasks.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_ends_though_nobody_waits() {
        let background = Background::default();
        let (sender, receiver) = oneshot::channel();
        drop(background.start(async move { sender.send(7) }).unwrap());
        background.drain().await;
        assert_eq!(receiver.await, Ok(7));
    }

    #[tokio::test]
    async fn no_more_runs_than_there_are_slots() {
        let background = Background::default();
        let waiting: Vec<_> =
            (0..MAX_AT_ONCE).map(|_| background.start(std::future::pending::<()>()).unwrap()).collect();
        assert!(background.start(async {}).is_none());
        drop(waiting);
    }
}
