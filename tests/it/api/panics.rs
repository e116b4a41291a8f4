//! After a panic the server goes on, and says so to those who watch over it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use fanfare::clock::{Clock, ManualClock};
use fanfare::config::Sources;
use fanfare::panics::Part;
use fanfare_engine::time::Timestamp;
use serde_json::json;

use super::{Api, START};

/// A clock that panics when the store's writer asks for the time as often as was said.
struct Faulty {
    clock: Arc<ManualClock>,
    countdown: AtomicI64,
}

impl Clock for Faulty {
    fn now(&self) -> Timestamp {
        let is_writer = std::thread::current().name() == Some("store-writer");
        assert!(!is_writer || self.countdown.fetch_sub(1, Ordering::SeqCst) != 1, "a fault of the clock");
        self.clock.now()
    }

    fn passed(&self) -> Duration {
        self.clock.passed()
    }
}

async fn start() -> (Api, Arc<Faulty>) {
    let clock = Arc::new(ManualClock::new(START.parse().unwrap()));
    let faulty = Arc::new(Faulty { clock: Arc::clone(&clock), countdown: AtomicI64::new(0) });
    let directory = tempfile::tempdir().unwrap();
    let api = Api::start_under(Arc::clone(&faulty) as _, clock, directory, Sources::default()).await;
    api.organization("acme").await;
    api.post("/v1/event-types", json!({"name": "job.created"})).await.created();
    (api, faulty)
}

async fn panics_of(api: &Api) -> u64 {
    let metrics = api.get("/metrics").await.text;
    let line = metrics.lines().find_map(|line| line.strip_prefix("fanfare_panics_total ")).unwrap().to_owned();
    line.parse().unwrap()
}

#[tokio::test]
async fn the_writer_survives_a_panic_and_readiness_tells_of_it() {
    let (api, faulty) = start().await;
    assert_eq!((api.get("/readyz").await.text.as_str(), panics_of(&api).await), ("ready", 0));
    let events = "/v1/organizations/acme/events";
    // The writer asks for the time once for the commit, and once to tell the scheduler of it. Another commit may meet the fault
    // instead, such as a heartbeat.
    let mut refused = None;
    for number in 0..100 {
        let event = json!({"id": format!("first-{number}"), "type": "job.created", "data": {}});
        faulty.countdown.store(2, Ordering::SeqCst);
        let reply = api.post(events, event.clone()).await;
        if reply.status == 503 {
            reply.problem(503, "unavailable");
            refused = Some(event);
            break;
        }
    }
    api.post(events, refused.expect("no event met the fault")).await.accepted();
    faulty.countdown.store(1, Ordering::SeqCst);
    api.post(events, json!({"id": "second", "type": "job.created", "data": {}})).await.accepted();
    let told = api.get("/readyz").await;
    assert_eq!(told.status, 200);
    let panics = panics_of(&api).await;
    assert!(panics >= 2, "{panics}");
    assert_eq!(told.text, format!("ready\npanics since the start: {panics}; the log has more"));
    api.stop().await;
}

#[tokio::test]
async fn a_server_with_a_part_that_is_down_is_not_ready() {
    let (api, _) = start().await;
    let supervisor = Arc::clone(&api.app().dispatcher.tools.supervisor);
    let mut down = Box::pin(supervisor.run(Part::Pruning, async || panic!("a fault of the part")));
    assert!(futures_util::poll!(&mut down).is_pending());
    let problem = api.get("/readyz").await.problem(503, "unavailable");
    assert_eq!(problem["detail"], "panicked and about to be started again: pruning");
    api.stop().await;
}
