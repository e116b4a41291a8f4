//! Watching the deliveries of an organization as they change: what the streams of the API and of the portal have in common.
//!
//! A stream may last for days. So whoever opened it is asked about again, by a timer while nothing happens and at most once
//! in a while when much does, and a stream ends when its key, its session or its user's right has ended.

use std::sync::Arc;
use std::time::Duration;

use fanfare_engine::id::OrganizationId;
use fanfare_engine::time::Timestamp;
use futures_util::future::BoxFuture;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

use super::seats::{Seat, Seats};
use super::{CatalogueError, CatalogueResult};
use crate::app::App;
use crate::clock::Clock;
use crate::dispatch::updates::DeliveryUpdate;

/// How many streams of one organization may be open at once.
pub const MAX_STREAMS: u32 = 100;
/// How many of all organizations. Each holds a connection, and as many stay free for requests.
pub const MAX_ALL_STREAMS: u32 = 4_096;
/// How often the watcher is asked about while nothing happens.
const QUIET: Duration = Duration::from_secs(15);
/// For how long an answer is good while something happens.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// Says whether the watcher may still see the organization's deliveries; where that cannot be found out, it may not, and can
/// open the stream anew.
pub type MayStill = Box<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// What a watcher is told.
#[derive(Clone, Debug)]
pub enum Happened {
    Update(Arc<DeliveryUpdate>),
    /// So many changes, perhaps of others, were missed by being slow.
    Lost(u64),
}

/// Seats for streams.
pub fn seats() -> Seats {
    Seats::new(MAX_STREAMS, MAX_ALL_STREAMS)
}

/// A stream of what happens to an organization's deliveries.
pub struct Watch {
    updates: Receiver<Arc<DeliveryUpdate>>,
    stopping: watch::Receiver<bool>,
    organization: OrganizationId,
    clock: Arc<dyn Clock>,
    may_still: MayStill,
    asked_at: Timestamp,
    quiet: Interval,
    told_at: Option<Instant>,
    _seat: Seat,
}

impl Watch {
    /// Begins to watch, for somebody who may see it at this moment.
    ///
    /// # Errors
    /// As many streams are open as may be at once.
    pub fn start(app: &App, organization: OrganizationId, may_still: MayStill) -> CatalogueResult<Watch> {
        let full = "as many streams of deliveries are open as may be at once; close one, or try again later";
        let seat = app.streams.take(organization).ok_or(CatalogueError::Busy(full))?;
        let (updates, stopping) = (app.dispatcher.updates(), app.stopping.clone());
        Ok(Watch::of(updates, stopping, Arc::clone(&app.clock), organization, may_still, seat))
    }

    fn of(
        updates: Receiver<Arc<DeliveryUpdate>>,
        stopping: watch::Receiver<bool>,
        clock: Arc<dyn Clock>,
        organization: OrganizationId,
        may_still: MayStill,
        seat: Seat,
    ) -> Watch {
        let mut quiet = interval_at(Instant::now() + QUIET, QUIET);
        quiet.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let asked_at = clock.now();
        Watch { updates, stopping, organization, clock, may_still, asked_at, quiet, told_at: None, _seat: seat }
    }

    /// The next thing that happens; `None` when the server stops, or the watcher may not see it any more.
    pub async fn next(&mut self) -> Option<Happened> {
        loop {
            let update = tokio::select! {
                update = self.updates.recv() => Some(update),
                _ = self.quiet.tick() => None,
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
            };
            let Some(update) = update else {
                if self.ask().await {
                    continue;
                }
                return None;
            };
            let happened = match update {
                Ok(update) if update.organization != self.organization => continue,
                Ok(update) => Happened::Update(update),
                Err(RecvError::Lagged(count)) => Happened::Lost(count),
                Err(RecvError::Closed) => return None,
            };
            return self.may_be_told().await.then_some(happened);
        }
    }

    /// The same for one who wants to know that something happened, and not each thing: at least `rest` after the last one,
    /// and one for all that happened meanwhile, the last of them, also where others were lost.
    pub async fn next_after(&mut self, rest: Duration) -> Option<Happened> {
        if let Some(told_at) = self.told_at {
            tokio::select! {
                () = sleep_until(told_at + rest) => {}
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
            }
        }
        let mut last = self.next().await?;
        loop {
            match self.updates.try_recv() {
                Ok(update) if update.organization == self.organization => last = Happened::Update(update),
                Ok(_) => {}
                Err(TryRecvError::Lagged(count)) => last = Happened::Lost(count),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        self.told_at = Some(Instant::now());
        Some(last)
    }

    /// Whether the watcher may be told something now; an answer is good for a moment.
    async fn may_be_told(&mut self) -> bool {
        let now = self.clock.now();
        let is_fresh = (self.asked_at..self.asked_at.plus(GOOD_FOR)).contains(&now);
        is_fresh || self.ask().await
    }

    async fn ask(&mut self) -> bool {
        self.asked_at = self.clock.now();
        (self.may_still)().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use fanfare_engine::delivery::State;
    use fanfare_engine::id::{DeliveryId, EventId, WebhookId};
    use tokio::sync::broadcast;

    use super::*;
    use crate::clock::ManualClock;

    const OWN: OrganizationId = OrganizationId(1);

    struct Scene {
        updates: broadcast::Sender<Arc<DeliveryUpdate>>,
        stop: watch::Sender<bool>,
        clock: Arc<ManualClock>,
        may: Arc<AtomicBool>,
        asked: Arc<AtomicU32>,
        watch: Watch,
    }

    fn scene() -> Scene {
        let (updates, receiver) = broadcast::channel(8);
        let (stop, stopping) = watch::channel(false);
        let clock = Arc::new(ManualClock::new(Timestamp(0)));
        let (may, asked) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU32::new(0)));
        let (answer, count) = (Arc::clone(&may), Arc::clone(&asked));
        let may_still: MayStill = Box::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
            let may = answer.load(Ordering::SeqCst);
            Box::pin(async move { may })
        });
        let seat = Seats::new(1, 1).take(OWN).unwrap();
        let watch = Watch::of(receiver, stopping, Arc::clone(&clock) as _, OWN, may_still, seat);
        Scene { updates, stop, clock, may, asked, watch }
    }

    impl Scene {
        fn happens(&self, organization: OrganizationId, delivery: i64) {
            let update = DeliveryUpdate {
                at: Timestamp(0),
                organization,
                delivery: DeliveryId(delivery),
                event: EventId(1),
                event_type: "job.created".into(),
                webhook: WebhookId(1),
                state: State::Delivered,
                attempts: 1,
                outcome: None,
                response_code: None,
                duration_ms: None,
                next_attempt_at: None,
            };
            self.updates.send(Arc::new(update)).unwrap();
        }

        fn asked(&self) -> u32 {
            self.asked.swap(0, Ordering::SeqCst)
        }
    }

    fn delivery(happened: Option<Happened>) -> i64 {
        match happened {
            Some(Happened::Update(update)) => update.delivery.0,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_watcher_is_asked_about_at_most_once_a_second_while_much_happens() {
        let mut scene = scene();
        for number in 1..=5 {
            scene.happens(OrganizationId(2), 100 + number);
            scene.happens(OWN, number);
            assert_eq!(delivery(scene.watch.next().await), number);
        }
        assert_eq!(scene.asked(), 0, "it may see it at the beginning");
        scene.clock.advance(GOOD_FOR);
        for number in 1..=3 {
            scene.happens(OWN, number);
            assert_eq!(delivery(scene.watch.next().await), number);
        }
        assert_eq!(scene.asked(), 1);
        scene.clock.advance(GOOD_FOR);
        scene.may.store(false, Ordering::SeqCst);
        scene.happens(OWN, 1);
        assert!(scene.watch.next().await.is_none(), "what happened after the right had ended is not told");
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_stream_ends_when_the_right_ends_or_the_server_stops() {
        let mut first = scene();
        first.may.store(false, Ordering::SeqCst);
        let begun = Instant::now();
        assert!(first.watch.next().await.is_none());
        assert_eq!((begun.elapsed(), first.asked()), (QUIET, 1));

        let mut second = scene();
        second.stop.send_replace(true);
        assert!(second.watch.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn one_word_stands_for_all_that_happened_meanwhile() {
        const REST: Duration = Duration::from_millis(400);
        let mut scene = scene();
        scene.happens(OWN, 1);
        let begun = Instant::now();
        assert_eq!(delivery(scene.watch.next_after(REST).await), 1);
        assert_eq!(begun.elapsed(), Duration::ZERO, "the first is told at once");
        for number in 2..=4 {
            scene.happens(OWN, number);
        }
        scene.happens(OrganizationId(2), 5);
        assert_eq!(delivery(scene.watch.next_after(REST).await), 4);
        assert_eq!(begun.elapsed(), REST);
        for number in 0..20 {
            scene.happens(OWN, number);
        }
        assert_eq!(delivery(scene.watch.next_after(REST).await), 19, "the last one stands for what was lost, too");
        scene.happens(OWN, 1);
        scene.stop.send_replace(true);
        assert!(scene.watch.next_after(REST).await.is_none(), "it does not rest while the server waits for it");
    }
}
