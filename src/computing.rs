//! Costly computing that the data of a customer or operator cause: off the threads that serve requests, and bounded for all and
//! for each project.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_engine::id::ProjectId;
use tokio::sync::Semaphore;

use crate::app::App;
use crate::catalogue::seats::Seats;
use crate::catalogue::{CatalogueError, CatalogueResult};
use crate::compiled::{DataError, EventTypes, Exhausted};

/// How many computations of one project may run or wait for their turn.
const OF_PROJECT: u32 = 8;
/// How many of all projects may.
const OF_ALL: u32 = 64;

/// See the module.
pub struct Computing {
    /// Half of the processors, so that the rest serves requests.
    running: Arc<Semaphore>,
    waiting: Seats<ProjectId>,
}

impl Default for Computing {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Computing { running: Arc::new(Semaphore::new(processors.div_ceil(2))), waiting: Seats::new(OF_PROJECT, OF_ALL) }
    }
}

impl Computing {
    /// Does work that may take long; what it may cost is for the work itself to bound. `None` where the project, or all together,
    /// have as much waiting as they may.
    pub async fn run<T: Send + 'static>(
        &self,
        project: ProjectId,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let seat = self.waiting.take(project)?;
        let slot = Arc::clone(&self.running).acquire_owned().await.ok()?;
        let work = move || {
            let result = work();
            // Held to the end of the work though nobody may wait for it any more.
            drop((slot, seat));
            result
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => Some(result),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => None,
        }
    }
}

impl App {
    /// What is wrong with data by the schema of their type. What takes more than a moment is done apart, so that other requests go
    /// on.
    ///
    /// # Errors
    /// As much of the project waits to be checked as may.
    pub async fn check_data(
        &self,
        project: ProjectId,
        types: &Arc<EventTypes>,
        kind: &str,
        data: Bytes,
    ) -> CatalogueResult<Vec<DataError>> {
        const BUSY: &str = "too many events of the project wait to be checked against their schemas; retry in a second";
        const TOO_LONG: &str =
            "takes too long to check against the schema of its type; send less, or simplify the schema";
        let Some(known) = types.get(kind) else { return Ok(Vec::new()) };
        if let Some(errors) = known.check_quickly(&data) {
            return Ok(errors);
        }
        let (types, kind) = (Arc::clone(types), kind.to_owned());
        let work = move || types.get(&kind).map_or(Ok(Vec::new()), |known| known.check(&data));
        let checked = self.computing.run(project, work).await.ok_or(CatalogueError::Busy(BUSY))?;
        let too_long = |Exhausted| vec![DataError { pointer: String::new(), message: TOO_LONG.to_owned() }];
        Ok(checked.unwrap_or_else(too_long))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn one_project_leaves_room_for_the_others() {
        let computing = Computing::default();
        let held = computing.running.acquire_many(computing.running.available_permits() as u32).await.unwrap();
        let start = |project| Box::pin(computing.run(ProjectId(project), || 7));
        let mut waiting: Vec<_> = (0..OF_PROJECT).map(|_| start(1)).collect();
        waiting.iter_mut().for_each(|work| assert!(work.now_or_never().is_none()));
        assert_eq!(start(1).now_or_never(), Some(None), "it has as many as it may");
        assert_eq!(start(2).now_or_never(), None, "another one waits for its turn");
        drop(held);
        // The first in line; the semaphore is fair.
        assert_eq!(waiting.swap_remove(0).await, Some(7));
    }
}
