//! A system clock that is set: what waits follows it, and nothing is removed or disabled because of a wrong time.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use fanfare::clock::{Clock, ManualClock};
use fanfare::maintenance::{Pruner, Retention, Timekeeper};
use serde_json::json;

use super::Api;
use super::sending::{Sink, local, until};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const MONTH: Retention = Retention { default: Duration::from_secs(30 * 86_400), deliveries_per_webhook: None };

async fn ready(sink: &Sink) -> Api {
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    api.webhook("acme", json!({"url": sink.url, "retry": {"delays_seconds": [60, 60, 60], "jitter": 0}})).await;
    api
}

impl Api {
    /// Sets the clock without time having passed, and has the server look at it.
    async fn set_clock(&self, change: impl FnOnce(&ManualClock)) {
        change(&self.clock);
        Timekeeper::default().look(&self.app().dispatcher).await.unwrap();
    }

    async fn pruned(&self) -> u64 {
        Pruner::new(Arc::clone(&self.app().dispatcher), MONTH).round().await.unwrap()
    }
}

fn forward(by: Duration) -> impl FnOnce(&ManualClock) {
    move |clock| clock.set(clock.now().plus(by))
}

fn back(by: Duration) -> impl FnOnce(&ManualClock) {
    move |clock| clock.set(clock.now().minus(by))
}

#[tokio::test]
async fn case_059_a_retry_follows_a_clock_that_was_set_back() {
    let sink = Sink::start().await;
    let api = ready(&sink).await;
    api.set_clock(forward(HOUR)).await;
    sink.answer(500);
    api.event("acme", "job.created").await;
    api.until_state("pending", 1).await;
    sink.answer(200);
    api.set_clock(back(HOUR)).await;
    api.pass(Duration::from_secs(60));
    api.until_state("delivered", 1).await;
    api.stop().await;
}

#[tokio::test]
async fn case_059_nothing_is_pruned_after_a_large_step_until_the_time_is_confirmed() {
    let sink = Sink::start().await;
    let api = ready(&sink).await;
    api.event("acme", "job.created").await;
    api.until_state("delivered", 1).await;
    assert_eq!(api.get("/v1/clock").await.with(200)["trusted_at"], json!(null));
    api.set_clock(forward(40 * DAY)).await;
    assert_eq!(api.pruned().await, 0);
    assert_eq!(api.get("/v1/clock").await.with(200)["trusted"], json!(false));
    let key = api.key(&["manage"], json!({})).await;
    api.ask(Method::POST, "/v1/clock/confirm").key(&key).send().await.with(403);
    assert_eq!(api.pruned().await, 0);
    let confirmed = api.post("/v1/clock/confirm", json!({})).await.with(200);
    assert_eq!(confirmed["trusted"], json!(true));
    assert!(api.pruned().await > 0);
    assert!(api.deliveries("").await.is_empty());
    api.stop().await;
}

#[tokio::test]
async fn case_059_the_time_is_trusted_after_a_steady_hour() {
    let sink = Sink::start().await;
    let api = ready(&sink).await;
    api.event("acme", "job.created").await;
    api.until_state("delivered", 1).await;
    api.set_clock(forward(40 * DAY)).await;
    api.pass(HOUR - Duration::from_secs(1));
    assert_eq!(api.pruned().await, 0);
    api.pass(Duration::from_secs(1));
    assert!(api.pruned().await > 0);
    api.stop().await;
}

#[tokio::test]
async fn case_059_a_start_with_a_wrong_time_prunes_nothing() {
    let sink = Sink::start().await;
    let api = ready(&sink).await;
    api.event("acme", "job.created").await;
    api.until_state("delivered", 1).await;
    Timekeeper::default().look(&api.app().dispatcher).await.unwrap();
    let wrong = Arc::new(ManualClock::new(api.app().now().plus(40 * DAY)));
    let directory = api.stop_and_keep().await;
    let api = Api::start_under(Arc::clone(&wrong) as _, wrong, directory, local()).await;
    assert_eq!(api.pruned().await, 0);
    assert_eq!(api.get("/v1/clock").await.with(200)["trusted"], json!(false));
    api.stop().await;
}

#[tokio::test]
async fn case_059_no_webhook_is_disabled_for_failing_while_the_time_is_doubtful() {
    const HALF_A_DAY: Duration = Duration::from_secs(12 * 3_600);
    let sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    // Only first attempts are made.
    api.webhook("acme", json!({"url": sink.url, "retry": {"delays_seconds": [604_800]}})).await;
    let status = async || api.get("/v1/webhooks").await.ok()["data"][0]["status"].clone();
    let fail = async |failures: usize| {
        api.event("acme", "job.created").await;
        until("the attempt is logged", async || {
            let attempted = api.deliveries("").await.iter().filter(|delivery| delivery["attempts"] == 1).count();
            (attempted == failures).then_some(())
        })
        .await;
    };
    sink.answer(500);
    // A failed attempt accounts for half a day at most, and five days are tolerated.
    for failures in 1..=10 {
        fail(failures).await;
        api.pass(HALF_A_DAY);
    }
    api.set_clock(forward(DAY)).await;
    fail(11).await;
    assert_eq!(status().await, "active");

    api.post("/v1/clock/confirm", json!({})).await.ok();
    fail(12).await;
    assert_eq!(status().await, "auto_disabled");
    api.stop().await;
}
