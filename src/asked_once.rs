//! A costly question of which one is under way at a time: who asks meanwhile shares the next answer.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use tokio::time::Instant;

/// The last question about `K`, answered or under way.
#[derive(Debug)]
pub struct AskedOnce<K, T: Clone, E: Clone> {
    last: Mutex<Option<Asked<K, T, E>>>,
}

#[derive(Debug)]
struct Asked<K, T: Clone, E: Clone> {
    about: K,
    begun: Instant,
    /// Kept here, too: whoever is asked goes on where the asker has gone, and who comes next waits until that has ended.
    /// `None` where it panicked: who comes next asks anew.
    answer: Shared<BoxFuture<'static, Option<Result<T, E>>>>,
}

impl<K, T: Clone, E: Clone> Default for AskedOnce<K, T, E> {
    fn default() -> Self {
        AskedOnce { last: Mutex::new(None) }
    }
}

impl<K: PartialEq + Clone, T: Clone + 'static, E: Clone + 'static> AskedOnce<K, T, E> {
    /// An answer that was not begun before this call: somebody else's, or the one that `ask` gives.
    ///
    /// # Errors
    /// That of whoever asked; it is not kept.
    ///
    /// # Panics
    /// Where the question whose answer it shares panicked.
    pub async fn get<F>(&self, about: K, ask: impl Fn() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let called = Instant::now();
        loop {
            let (answer, is_fresh) = {
                let mut last = self.last.lock();
                match &*last {
                    Some(asked) if asked.about == about && asked.begun >= called => (asked.answer.clone(), true),
                    Some(asked) if asked.answer.peek().is_none() => (asked.answer.clone(), false),
                    _ => {
                        let answer = AssertUnwindSafe(ask()).catch_unwind().map(Result::ok).boxed().shared();
                        *last = Some(Asked { about: about.clone(), begun: Instant::now(), answer: answer.clone() });
                        (answer, true)
                    }
                }
            };
            let answer = answer.await;
            if is_fresh {
                return answer.expect("whoever shares a question that panicked fails with it");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use tokio::sync::Semaphore;

    use super::*;

    /// Answers the how-manieth question it is, once it may.
    #[derive(Clone)]
    struct Counter {
        times: Arc<AtomicU32>,
        gate: Arc<Semaphore>,
    }

    impl Counter {
        fn new() -> Self {
            Counter { times: Arc::default(), gate: Arc::new(Semaphore::new(0)) }
        }

        fn ask(&self) -> BoxFuture<'static, Result<u32, Infallible>> {
            let Counter { times, gate } = self.clone();
            let asked = async move {
                let time = 1 + times.fetch_add(1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
                Ok(time)
            };
            asked.boxed()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_meanwhile_shares_the_next_answer() {
        let (asked, counter) = (AskedOnce::default(), Counter::new());
        let get = |about| Box::pin(asked.get(about, || counter.ask()));
        let mut first = get(1);
        assert!(futures_util::poll!(&mut first).is_pending());
        tokio::time::advance(Duration::from_secs(1)).await;
        let mut others = [1, 1, 2].map(get);
        for other in &mut others {
            assert!(futures_util::poll!(other).is_pending());
        }
        counter.gate.add_permits(1);
        assert_eq!(first.await, Ok(1));
        tokio::time::advance(Duration::from_secs(1)).await;
        counter.gate.add_permits(2);
        let mut answers = Vec::new();
        for other in others {
            answers.push(other.await.unwrap());
        }
        assert_eq!(answers, [2, 2, 3], "what is about something else is asked for itself");
        counter.gate.add_permits(1);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(get(2).await, Ok(4), "an old answer is nobody's");
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_leaves_the_question_under_way() {
        let (asked, counter) = (AskedOnce::default(), Counter::new());
        let get = || Box::pin(asked.get((), || counter.ask()));
        for _ in 0..3 {
            assert!(futures_util::poll!(&mut get()).is_pending());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let mut last = get();
        assert!(futures_util::poll!(&mut last).is_pending());
        assert_eq!(counter.times.load(Ordering::SeqCst), 1);
        counter.gate.add_permits(2);
        assert_eq!(last.await, Ok(2));
    }

    #[tokio::test]
    async fn a_question_that_panics_is_asked_anew() {
        let asked: AskedOnce<(), u32, Infallible> = AskedOnce::default();
        let panics = asked.get((), || async { panic!("a fault of the question") });
        assert!(AssertUnwindSafe(panics).catch_unwind().await.is_err());
        assert_eq!(asked.get((), || async { Ok(1) }).await, Ok(1));
    }
}
