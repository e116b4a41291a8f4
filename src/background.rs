//! Changes that finish even if the client disconnects: bounded for all, for each organization and for each key.

use std::sync::Arc;

use fanfare_engine::id::{ApiKeyId, OrganizationId};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;

use crate::catalogue::seats::{Seat, Seats};

/// How many changes run at once.
pub const MAX_AT_ONCE: usize = 256;
/// How many of them one organization may have: its own keys and its portal together.
pub const MAX_OF_ORGANIZATION: u32 = 64;
/// How many of them all organizations may have together, so that the host can always change something.
const MAX_OF_ORGANIZATIONS: u32 = 192;
/// How many of them one key of the host may have, the admin key and the console among them.
pub const MAX_OF_KEY: u32 = 192;

/// Who makes a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A key bound to an organization, or a visitor of its portal.
    Organization(OrganizationId),
    /// A key of the host.
    Key(ApiKeyId),
    /// The admin key, or somebody in the console.
    Operator,
    /// Somebody without a session or key, who opens one.
    #[default]
    Stranger,
}

/// Tasks that outlive the request that started them. They are bounded, and awaited at shutdown.
pub struct Background {
    tasks: Mutex<JoinSet<()>>,
    slots: Arc<Semaphore>,
    organizations: Seats,
    /// `None`: the operator's.
    keys: Seats<Option<ApiKeyId>>,
    strangers: Seats<()>,
}

impl Default for Background {
    fn default() -> Self {
        Background {
            tasks: Mutex::default(),
            slots: Arc::new(Semaphore::new(MAX_AT_ONCE)),
            organizations: Seats::new(MAX_OF_ORGANIZATION, MAX_OF_ORGANIZATIONS),
            keys: Seats::new(MAX_OF_KEY, MAX_OF_KEY + MAX_OF_ORGANIZATION),
            strangers: Seats::new(MAX_OF_ORGANIZATION, MAX_OF_ORGANIZATION),
        }
    }
}

/// An owner's seat, held while its change runs.
#[expect(dead_code, reason = "held for its drop")]
enum Held {
    Organization(Seat),
    Key(Seat<Option<ApiKeyId>>),
    Stranger(Seat<()>),
}

impl Background {
    /// Starts `work`. Its result comes through the receiver, which fails if the work panicked. `None` where the owner, or
    /// all together, have as many running as they may.
    ///
    /// The work must not read from a client: read what it needs before.
    pub fn start<T: Send + 'static>(
        &self,
        owner: Owner,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<oneshot::Receiver<T>> {
        let seat = self.seat(owner)?;
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        let (sender, receiver) = oneshot::channel();
        let mut tasks = self.tasks.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            let result = work.await;
            drop((slot, seat));
            // Whoever waited may have gone.
            let _ = sender.send(result);
        });
        Some(receiver)
    }

    fn seat(&self, owner: Owner) -> Option<Held> {
        match owner {
            Owner::Organization(id) => self.organizations.take(id).map(Held::Organization),
            Owner::Key(id) => self.keys.take(Some(id)).map(Held::Key),
            Owner::Operator => self.keys.take(None).map(Held::Key),
            Owner::Stranger => self.strangers.take(()).map(Held::Stranger),
        }
    }

    /// Waits until all work has ended. Call it once nothing more is started.
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
        drop(background.start(Owner::Operator, async move { sender.send(7) }).unwrap());
        background.drain().await;
        assert_eq!(receiver.await, Ok(7));
    }

    #[tokio::test]
    async fn no_owner_takes_the_slots_of_the_others() {
        let background = Background::default();
        let start = |owner| background.start(owner, std::future::pending::<()>());
        let fill = |owner| std::iter::from_fn(|| start(owner)).count();
        let [one, two] = [1, 2].map(|id| Owner::Organization(OrganizationId(id)));
        assert_eq!(fill(one), MAX_OF_ORGANIZATION as usize);
        assert!(start(two).is_some() && start(Owner::Key(ApiKeyId(1))).is_some());
        assert_eq!(fill(Owner::Key(ApiKeyId(1))), MAX_AT_ONCE - MAX_OF_ORGANIZATION as usize - 2);
        assert!(start(Owner::Operator).is_none(), "all slots are taken");
    }

    #[tokio::test]
    async fn organizations_together_leave_slots_to_the_host() {
        let background = Background::default();
        let start = |owner| background.start(owner, std::future::pending::<()>()).is_some();
        let taken = (0..MAX_AT_ONCE as i64).filter(|id| start(Owner::Organization(OrganizationId(*id)))).count();
        assert_eq!(taken, MAX_OF_ORGANIZATIONS as usize);
        assert!(start(Owner::Operator) && start(Owner::Key(ApiKeyId(1))) && start(Owner::Stranger));
    }
}
