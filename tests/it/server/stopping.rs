//! A server that is told to stop, or that stands still for a while.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::ledger::{check_log, receipts};
use super::load::Load;
use super::receiver::Reply;
use super::scene::{ORG, Scene};

/// Requests after which the server is told to stop.
const STOP_AFTER: [usize; 3] = [5, 60, 200];
/// Every so many requests, one is held until the stop has begun.
const HELD_OUT_OF: usize = 5;
/// How long a server stands still: longer than an exchange may take.
const STANDSTILL: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_068_stops_under_load_finish_what_is_under_way_and_lose_nothing() {
    let mut scene = Scene::start().await;
    for path in ["/one", "/two"] {
        scene.webhook(path).await;
    }
    let mut events = BTreeMap::new();
    for (round, stop_after) in STOP_AFTER.into_iter().enumerate() {
        let before = scene.receiver.requests().len();
        scene.receiver.hold_again();
        scene.receiver.script(|request| match request.number % HELD_OUT_OF {
            0 => Reply::Hold,
            _ => Reply::status(200),
        });
        let load = Load::start(&scene.api, round);
        scene.receiver.received(before + stop_after).await;
        scene.server.signal("TERM");
        scene.server.says("stopping: finishing what is under way").await;
        scene.receiver.release();
        let posted = load.ended().await;
        let log = scene.server.ended().await;
        assert!(log.contains("nothing is under way"), "{log}");
        events.extend(posted.into_iter().filter_map(|post| Some((post.id, post.event?))));
        scene.server = scene.home.launch().start().await;
        scene.api = scene.server.api();
    }
    scene.api.idle().await;
    let receipts = receipts(&scene.receiver.requests());
    for (host_id, event) in &events {
        for path in ["/one", "/two"] {
            let came = receipts.get(&(path.to_owned(), event.clone()));
            assert_eq!(came, Some(&1), "{host_id} ({event}) at {path}");
        }
    }
    let account = check_log(&scene.api, &receipts, &scene.receiver.url("")).await;
    assert_eq!((account.repeated, account.unknown), (0, 0), "{account:?}");
    assert!(account.deliveries >= 2 * events.len(), "{account:?}");
    let log = scene.server.stop().await;
    assert!(!log.contains("may have been sent"), "{log}");
}

#[tokio::test]
async fn case_068_a_backlog_outlives_stops() {
    let mut scene = Scene::start().await;
    scene.webhook_with("/hook", json!({"rate_limit": {"per_second": 20}})).await;
    let mut events = Vec::new();
    for n in 0..60 {
        events.push(scene.post(json!({"n": n})).await);
    }
    for received in [10, 25] {
        scene.receiver.received(received).await;
        scene.server.stop().await;
        scene.server = scene.home.launch().start().await;
        scene.api = scene.server.api();
    }
    scene.api.idle().await;
    let mut came: Vec<String> = scene.receiver.requests().iter().map(|request| request.id().to_owned()).collect();
    came.sort();
    assert_eq!(came, events);
    scene.server.stop().await;
}

#[tokio::test]
async fn case_068_a_receiver_that_hangs_does_not_hold_up_a_stop_for_ever() {
    let scene = Scene::with(|launch| launch.set("FANFARE_DRAIN_SECONDS", "1")).await;
    scene.receiver.script(|_| Reply::Hold);
    scene.webhook("/hook").await;
    let event = scene.post(json!({"n": 1})).await;
    scene.receiver.received(1).await;
    let log = scene.server.stop().await;
    assert!(log.contains("the next start takes it over"), "{log}");
    scene.receiver.release();
    let server = scene.home.launch().start().await;
    let delivery = server.api().settled(ORG, &event, "delivered").await;
    assert_eq!(server.api().attempts(&delivery).await[0]["outcome"], "unknown");
    server.stop().await;
}

#[tokio::test]
async fn before_it_stops_a_server_says_so_and_goes_on_serving() {
    let scene = Scene::with(|launch| launch.set("FANFARE_SHUTDOWN_DELAY_SECONDS", "3600")).await;
    scene.webhook("/hook").await;
    scene.api.get("/readyz").await;
    scene.server.signal("TERM");
    scene.server.says("not ready any more").await;
    let answer = scene.api.get("/readyz").await;
    answer.expect_problem(503, "unavailable");
    let event = scene.post(json!({"n": 1})).await;
    scene.api.settled(ORG, &event, "delivered").await;
    // A second signal ends the delay.
    let log = scene.server.stop().await;
    assert!(log.contains("nothing is under way"), "{log}");
}

#[tokio::test]
async fn case_057_a_server_that_stood_still_goes_on_without_a_loss() {
    let scene = Scene::start().await;
    scene.webhook_with("/hook", json!({"timeout_seconds": 1, "rate_limit": {"per_second": 30}})).await;
    scene.receiver.script(|request| if request.number == 3 { Reply::Hold } else { Reply::status(200) });
    let mut events = Vec::new();
    for n in 0..30 {
        events.push(scene.post(json!({"n": n})).await);
    }
    scene.receiver.received(5).await;
    scene.server.signal("STOP");
    let sent = scene.receiver.requests().len();
    // What was in the sockets already may still come; what was not sent may not.
    let further = tokio::time::timeout(STANDSTILL, scene.receiver.received(sent + 20)).await;
    assert!(further.is_err(), "a server that stands still sends");
    scene.server.signal("CONT");
    scene.api.idle().await;
    let receipts = receipts(&scene.receiver.requests());
    for event in &events {
        assert!(receipts.contains_key(&("/hook".to_owned(), event.clone())), "{event} never came");
        let delivery = scene.api.settled(ORG, event, "delivered").await;
        let outcomes: Vec<_> = scene.api.attempts(&delivery).await;
        assert!(outcomes.iter().all(|attempt| attempt["outcome"] != "unknown"), "{outcomes:?}");
    }
    scene.server.stop().await;
}
