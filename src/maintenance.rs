//! What goes on beside the main path: taking over from dead nodes, removing what is too old, and bulk work.
//!
//! Each part is a function that does one round, called with the time; [`run`] calls them at intervals.

pub mod jobs;
mod pruner;
mod rescuer;
mod timekeeper;

use std::sync::Arc;
use std::time::Duration;

use fanfare_engine::id::NodeId;
use fanfare_store::queue::Operation;

use crate::dispatch::dispatcher::Dispatcher;
use crate::panics::Part;

pub use self::pruner::{Pruner, Retention};
pub use self::rescuer::rescue;
pub use self::timekeeper::{Timekeeper, latest_trusted};

/// Time between two signs of life of this node.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Time between two looks at the clock.
const CLOCK: Duration = Duration::from_secs(1);
/// Time between two rounds of pruning.
const PRUNE: Duration = Duration::from_secs(60);

/// Takes over from `dead` nodes at once, then goes round until the task is dropped.
pub async fn run(dispatcher: Arc<Dispatcher>, dead: Vec<NodeId>, retention: Retention) {
    let supervisor = &dispatcher.tools.supervisor;
    tokio::join!(
        supervisor.run(Part::Rescue, || rescue_all(&dispatcher, &dead)),
        supervisor.run(Part::Heartbeat, || say_alive(&dispatcher)),
        supervisor.run(Part::Clock, || keep_time(&dispatcher)),
        supervisor.run(Part::Pruning, || keep_pruned(&dispatcher, retention)),
    );
}

async fn rescue_all(dispatcher: &Arc<Dispatcher>, dead: &[NodeId]) {
    for node in dead {
        rescue(dispatcher, *node).await;
    }
}

async fn say_alive(dispatcher: &Arc<Dispatcher>) {
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    loop {
        heartbeat.tick().await;
        let operation = Operation::Heartbeat { node: dispatcher.tools.node };
        if let Err(error) = dispatcher.tools.store.apply(operation).await {
            tracing::warn!(%error, "this node could not say that it lives");
        }
    }
}

async fn keep_time(dispatcher: &Arc<Dispatcher>) {
    let mut look = tokio::time::interval(CLOCK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut timekeeper = Timekeeper::default();
    loop {
        look.tick().await;
        if let Err(error) = timekeeper.look(dispatcher).await {
            tracing::warn!(%error, "what waits could not follow the clock; trying again");
        }
    }
}

async fn keep_pruned(dispatcher: &Arc<Dispatcher>, retention: Retention) {
    let mut pruner = Pruner::new(Arc::clone(dispatcher), retention);
    let mut pruning = tokio::time::interval(PRUNE);
    // A round that takes long is followed by a rest, not by all those that it missed.
    pruning.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        pruning.tick().await;
        if let Err(error) = pruner.round().await {
            tracing::warn!(%error, "what is too old could not be removed; trying again later");
        }
    }
}
