//! Takes over what a node held that is no more.

use std::sync::Arc;
use std::time::Duration;

use fanfare_engine::id::NodeId;
use fanfare_engine::scheduler::Input;
use fanfare_store::queue::{Answer, Operation};

use crate::dispatch::dispatcher::Dispatcher;

/// Deliveries taken over in one commit.
const PIECE: u32 = 500;
/// How long to wait before the store is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// Takes over all that `node` held, piece by piece. What it may have been sending says so in its log. All of it waits again
/// and is dealt with as its profile says: sent again, or given up where nothing is to be sent twice. What nodes died of too
/// often is set aside.
pub async fn rescue(dispatcher: &Arc<Dispatcher>, node: NodeId) {
    let mut count = 0u64;
    loop {
        match dispatcher.tools.store.apply(Operation::Rescue { node, limit: PIECE }).await {
            Ok(Answer::Released(freed)) if freed.is_empty() => break,
            Ok(Answer::Released(freed)) => {
                let due = dispatcher.tools.clock.now();
                count += freed.iter().map(|(_, count)| u64::from(*count)).sum::<u64>();
                let stored = freed.into_iter().map(|(webhook, _)| Input::Stored { webhook, config: None, due });
                dispatcher.tell_all(stored);
            }
            Ok(other) => {
                tracing::error!(?other, "a rescue was answered with something else");
                break;
            }
            Err(error) => {
                tracing::warn!(%error, "what an earlier process held cannot be taken over yet");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
    if count > 0 {
        tracing::info!(deliveries = count, "took over what an earlier process held; some may have been sent already");
    }
}
