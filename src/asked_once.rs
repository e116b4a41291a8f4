//! A costly question of which one is under way at a time: who asks meanwhile shares the next answer.

use tokio::sync::Mutex;
use tokio::time::Instant;

/// The last answer to a question about `K`, and when it was asked for.
#[derive(Debug)]
pub struct AskedOnce<K, T> {
    last: Mutex<Option<(K, Instant, T)>>,
}

impl<K, T> Default for AskedOnce<K, T> {
    fn default() -> Self {
        AskedOnce { last: Mutex::new(None) }
    }
}

impl<K: PartialEq, T: Clone> AskedOnce<K, T> {
    /// An answer that was not begun before this call: somebody else's, or the one that `ask` gives.
    ///
    /// # Errors
    /// That of `ask`; it is not kept.
    pub async fn get<E>(&self, about: K, ask: impl AsyncFnOnce() -> Result<T, E>) -> Result<T, E> {
        let called = Instant::now();
        let mut last = self.last.lock().await;
        if let Some((known, begun, answer)) = &*last
            && *known == about
            && *begun >= called
        {
            return Ok(answer.clone());
        }
        let begun = Instant::now();
        let answer = ask().await?;
        *last = Some((about, begun, answer.clone()));
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_asks_meanwhile_shares_the_next_answer() {
        let asked = AskedOnce::default();
        let (times, gate) = (AtomicU32::new(0), Semaphore::new(0));
        let ask = async || {
            let time = 1 + times.fetch_add(1, Ordering::SeqCst);
            gate.acquire().await.unwrap().forget();
            Ok::<_, Infallible>(time)
        };
        let mut first = Box::pin(asked.get(1, ask));
        assert!(futures_util::poll!(&mut first).is_pending());
        tokio::time::advance(Duration::from_secs(1)).await;
        let mut others = [1, 1, 2].map(|about| Box::pin(asked.get(about, ask)));
        for other in &mut others {
            assert!(futures_util::poll!(other).is_pending());
        }
        gate.add_permits(1);
        assert_eq!(first.await, Ok(1));
        tokio::time::advance(Duration::from_secs(1)).await;
        gate.add_permits(2);
        let mut answers = Vec::new();
        for other in others {
            answers.push(other.await.unwrap());
        }
        assert_eq!(answers, [2, 2, 3], "what is about something else is asked for itself");
        gate.add_permits(1);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(asked.get(2, ask).await, Ok(4), "an old answer is nobody's");
    }
}
