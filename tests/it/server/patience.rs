//! Waiting for what must come: always for something, never for ever.

use std::time::Duration;

/// Far longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two questions, where nothing tells of itself.
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// Waits for `future`, and fails with `what` was waited for where it does not come.
pub(super) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} in vain: {what}"),
    }
}

/// Asks until there is an answer.
pub(super) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let mut rounds = tokio::time::interval(ASK_AGAIN);
    within(what, async {
        loop {
            rounds.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    })
    .await
}
