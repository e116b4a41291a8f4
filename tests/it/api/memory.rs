//! The memory budget: what uses up its share is refused or shortened, and the metrics show it.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request};
use fanfare::api;
use fanfare::config::Sources;
use fanfare::strangers::{Connection, Connections};
use serde_json::json;
use tower::ServiceExt as _;

use super::sending::{Sink, local};
use super::{ADMIN, Api};

/// 8 MiB: 2 for requests, 1 for responses.
fn small() -> Sources {
    Sources { memory_mib: Some(8), ..Sources::default() }
}

async fn figure(api: &Api, name: &str, share: &str) -> u64 {
    let metrics = api.get("/metrics").await.text;
    let start = format!("{name}{{use=\"{share}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("{metrics}"));
    line.parse().unwrap()
}

/// The connection on which a request comes, whose owner is not known yet.
fn connection() -> Arc<Connection> {
    Arc::new(Arc::<Connections>::default().open())
}

#[tokio::test]
async fn bodies_that_do_not_end_use_up_no_more_than_their_share() {
    let api = Api::start_with(small()).await;
    api.organization("a").await;
    let routes = api::router(api.app());
    let mut senders = Vec::new();
    let mut slow = Vec::new();
    // Of 1 MiB, the half of one key, each gets half.
    for _ in 0..2 {
        let (sender, pieces) = tokio::sync::mpsc::channel::<Result<Bytes, std::convert::Infallible>>(1);
        let pieces = futures_util::stream::unfold(pieces, async |mut pieces| Some((pieces.recv().await?, pieces)));
        let request = Request::post("/v1/events/batch").header("authorization", format!("Bearer {ADMIN}"));
        let request = request.extension(connection());
        let request = request.body(Body::from_stream(pieces)).unwrap();
        let mut answer = Box::pin(routes.clone().oneshot(request));
        sender.try_send(Ok(Bytes::from(vec![b' '; 500_000]))).unwrap();
        // It authenticates, and then waits for the rest.
        while figure(&api, "fanfare_memory_bytes", "requests").await < 500_000 * (senders.len() as u64 + 1) {
            assert!(futures_util::poll!(&mut answer).is_pending());
        }
        senders.push(sender);
        slow.push(answer);
    }
    let event = json!({"type": "job.created", "data": {"text": "x".repeat(100_000)}});
    let refused = api.post("/v1/organizations/a/events", event).await;
    assert_eq!(refused.headers["retry-after"], "1");
    refused.problem(503, "unavailable");
    assert_eq!(figure(&api, "fanfare_memory_refusals_total", "requests").await, 1);
    assert_eq!(figure(&api, "fanfare_memory_limit_bytes", "requests").await, 2 << 20);
    drop((senders, slow));
    assert_eq!(figure(&api, "fanfare_memory_bytes", "requests").await, 0);
    api.stop().await;
}

#[tokio::test]
async fn responses_that_nobody_reads_use_up_no_more_than_their_share() {
    let api = Api::start_with(small()).await;
    api.organization("a").await;
    api.post("/v1/event-types", json!({"name": "job.created"})).await.created();
    for _ in 0..4 {
        let event = json!({"type": "job.created", "data": {"text": "x".repeat(100_000)}});
        api.post("/v1/organizations/a/events", event).await.accepted();
    }
    let keys = [
        api.key(&["read"], json!({"organization": "a"})).await,
        api.key(&["read"], json!({"organization": "a"})).await,
    ];
    let routes = api::router(api.app());
    let ask = async |scheme: &str, key: &str| {
        let request = Request::get("/v1/organizations/a/events").header("authorization", format!("{scheme} {key}"));
        let request = request.extension(connection());
        routes.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    };
    let unread = ask("Bearer", &keys[0]).await;
    assert_eq!(unread.status(), 200);
    for (scheme, key) in [("Bearer", &keys[0]), ("bearer ", &keys[0]), ("Bearer", &keys[1])] {
        assert_eq!(ask(scheme, key).await.status(), 503, "a second one is beyond the half of one organization");
    }
    // The host has its own half.
    api.ask(Method::GET, "/v1/organizations/a/events").send().await.ok();
    let held = figure(&api, "fanfare_memory_bytes", "responses").await;
    assert!((400_000..450_000).contains(&held), "{held}");
    drop(unread);
    assert_eq!(ask("Bearer", &keys[1]).await.status(), 200);
    api.stop().await;
}

#[tokio::test]
async fn requests_that_hang_use_up_no_more_than_their_share() {
    let mut sink = Sink::start().await;
    sink.hold(true);
    // Of 8 MiB, 4 are for deliveries: a quarter of that, for one organization, is room for two of these.
    let api = Api::start_with(Sources { memory_mib: Some(8), ..local() }).await;
    api.organization("a").await;
    api.event_types(&["job.created"]).await;
    for _ in 0..10 {
        api.webhook("a", json!({"url": sink.url})).await;
    }
    for _ in 0..4 {
        let event = json!({"type": "job.created", "data": {"text": "x".repeat(200_000)}});
        api.post("/v1/organizations/a/events", event).await.accepted();
    }
    sink.next().await;
    let under_way = api.app().dispatcher.figures().in_flight;
    assert!((1..=2).contains(&under_way), "{under_way} requests of 200 KB are under way");
    let held = figure(&api, "fanfare_memory_bytes", "deliveries").await;
    assert!((400_000..1 << 20).contains(&held), "{held}");
    sink.hold(false);
    api.until_state("delivered", 40).await;
    api.stop().await;
}
