//! Lookups in flight: one for each name however many wait for it, and a bounded number in all.
//!
//! A receiver's name server decides how long a lookup takes. So that servers that don't answer hold up no one else, the oldest
//! lookup ends when others wait for its place.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use super::LookupError;

/// How long a lookup may take, whoever still waits for it.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a lookup keeps its place although others wait for one.
const UNDISTURBED: Duration = Duration::from_millis(500);
/// How often one that waits for a place ends the oldest lookup.
const PATIENCE: Duration = Duration::from_millis(50);

pub(super) type Found = Result<Vec<IpAddr>, LookupError>;

/// Reports what a lookup has found to all who wait for it.
pub(super) struct Report(watch::Sender<Option<Found>>);

impl Report {
    pub(super) fn send(&self, found: Found) {
        self.0.send_replace(Some(found));
    }
}

/// See the module.
pub(super) struct InFlight {
    table: Arc<Mutex<Table>>,
    places: Arc<Semaphore>,
    tasks: Mutex<JoinSet<()>>,
}

#[derive(Default)]
struct Table {
    by_name: HashMap<Box<str>, Flight>,
    by_age: BTreeMap<u64, Box<str>>,
    started: u64,
}

struct Flight {
    number: u64,
    since: Instant,
    found: watch::Receiver<Option<Found>>,
    task: AbortHandle,
}

impl InFlight {
    /// At most `places` lookups are in flight.
    pub(super) fn new(places: usize) -> InFlight {
        InFlight { table: Arc::default(), places: Arc::new(Semaphore::new(places)), tasks: Mutex::default() }
    }

    /// Returns what the lookup of `name` finds, joining the one in flight if there is one. A lookup that starts goes on even if
    /// the caller leaves.
    ///
    /// # Errors
    /// Returns what the lookup failed with, and [`LookupError::TimedOut`] if it ended without a report.
    pub(super) async fn join<F>(&self, name: &str, look_up: impl FnOnce(Report) -> F) -> Found
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let joined = self.table.lock().find(name);
        let mut found = match joined {
            Some(found) => found,
            None => {
                let place = self.place().await;
                self.start(name, place, look_up)
            }
        };
        let reported = found.wait_for(Option::is_some).await.ok().and_then(|found| found.clone());
        reported.unwrap_or(Err(LookupError::TimedOut))
    }

    /// Waits for a place, and ends the oldest lookups meanwhile.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        let mut place = pin!(Arc::clone(&self.places).acquire_owned());
        loop {
            tokio::select! {
                biased;
                place = &mut place => return place.ok(),
                () = sleep(PATIENCE) => self.end_oldest(),
            }
        }
    }

    fn end_oldest(&self) {
        let mut table = self.table.lock();
        let oldest = table.by_age.first_key_value().and_then(|(_, name)| table.by_name.get(name));
        let Some(oldest) = oldest.filter(|oldest| oldest.since.elapsed() >= UNDISTURBED) else { return };
        let (number, task) = (oldest.number, oldest.task.clone());
        table.remove(number);
        drop(table);
        task.abort();
    }

    fn start<F>(
        &self,
        name: &str,
        place: Option<OwnedSemaphorePermit>,
        look_up: impl FnOnce(Report) -> F,
    ) -> watch::Receiver<Option<Found>>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut table = self.table.lock();
        // Another may have started it while this one waited for a place.
        if let Some(found) = table.find(name) {
            return found;
        }
        let (report, found) = watch::channel(None);
        let number = table.started;
        table.started += 1;
        let leaving = Leaving { table: Arc::clone(&self.table), number, _place: place };
        let looking = look_up(Report(report));
        let mut tasks = self.tasks.lock();
        while tasks.try_join_next().is_some() {}
        let task = tasks.spawn(async move {
            let _leaving = leaving;
            // Without a report by then, the waiters see the channel close.
            let _ = timeout(LOOKUP_TIMEOUT, looking).await;
        });
        drop(tasks);
        table.by_age.insert(number, name.into());
        let flight = Flight { number, since: Instant::now(), found: found.clone(), task };
        table.by_name.insert(name.into(), flight);
        found
    }
}

impl Table {
    fn find(&self, name: &str) -> Option<watch::Receiver<Option<Found>>> {
        self.by_name.get(name).map(|flight| flight.found.clone())
    }

    fn remove(&mut self, number: u64) {
        if let Some(name) = self.by_age.remove(&number) {
            self.by_name.remove(&name);
        }
    }
}

/// Removes a lookup from the table when its task ends in whatever way, and gives its place to the next.
struct Leaving {
    table: Arc<Mutex<Table>>,
    number: u64,
    _place: Option<OwnedSemaphorePermit>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.table.lock().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    /// Lets the paused time pass.
    async fn pass(time: Duration) {
        let _ = timeout(time, pending::<()>()).await;
    }

    fn found() -> Found {
        Ok(vec!["192.0.2.1".parse().unwrap()])
    }

    async fn quick(in_flight: &InFlight, name: &str) -> Found {
        in_flight.join(name, |report| async move { report.send(found()) }).await
    }

    async fn hanging(in_flight: &InFlight, name: &str) -> Found {
        in_flight
            .join(name, |report| async move {
                let _report = report;
                pending::<()>().await;
            })
            .await
    }

    #[tokio::test(start_paused = true)]
    async fn one_lookup_serves_all_who_wait() {
        let (in_flight, started) = (InFlight::new(4), AtomicUsize::new(0));
        let all = (0..100).map(|_| {
            in_flight.join("a", |report| {
                started.fetch_add(1, Ordering::Relaxed);
                async move {
                    pass(Duration::from_millis(20)).await;
                    report.send(found());
                }
            })
        });
        assert_eq!(join_all(all).await, vec![found(); 100]);
        assert_eq!(started.into_inner(), 1);
        assert_eq!(in_flight.table.lock().by_name.len(), 0);
        assert_eq!(in_flight.table.lock().by_age.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn lookups_that_hang_make_room_for_others() {
        let in_flight = InFlight::new(2);
        let mut silent = Box::pin(join_all(["a", "b"].map(|name| hanging(&in_flight, name))));
        assert!(futures_util::poll!(&mut silent).is_pending());
        let started = Instant::now();
        assert_eq!(quick(&in_flight, "c").await, found());
        assert!((UNDISTURBED..=UNDISTURBED + PATIENCE).contains(&started.elapsed()), "{:?}", started.elapsed());
        assert_eq!(quick(&in_flight, "d").await, found(), "the place is free now");
        assert_eq!(in_flight.table.lock().by_name.len(), 1, "only the oldest made room");
        assert_eq!(silent.await, [Err(LookupError::TimedOut), Err(LookupError::TimedOut)]);
    }

    #[tokio::test(start_paused = true)]
    async fn lookups_that_take_their_time_are_waited_for() {
        let in_flight = InFlight::new(2);
        let names: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        let lookups = names.iter().map(|name| {
            in_flight.join(name, |report| async move {
                pass(UNDISTURBED - PATIENCE).await;
                report.send(found());
            })
        });
        assert_eq!(join_all(lookups).await, vec![found(); 20]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_ends_though_nobody_waits_and_though_it_panics() {
        let in_flight = InFlight::new(1);
        assert!(timeout(PATIENCE, hanging(&in_flight, "a")).await.is_err());
        pass(LOOKUP_TIMEOUT + PATIENCE).await;
        assert_eq!(in_flight.table.lock().by_name.len(), 0);
        let panicked = in_flight.join("b", |report| async move {
            let _report = report;
            panic!("as the test wants")
        });
        assert_eq!(panicked.await, Err(LookupError::TimedOut));
        assert_eq!(quick(&in_flight, "b").await, found());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_reported_is_known_while_the_lookup_goes_on() {
        let in_flight = InFlight::new(1);
        let late = in_flight.join("a", |report| async move {
            report.send(found());
            pass(Duration::from_secs(1)).await;
            report.send(Err(LookupError::NotFound));
        });
        assert_eq!(late.await, found());
        let other = in_flight.join("a", |_| ready(()));
        assert_eq!(other.await, found(), "it joins the one in flight");
    }
}
