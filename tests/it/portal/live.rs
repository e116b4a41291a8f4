//! The stream behind an open list of deliveries.

use std::time::Duration;

use axum::body::BodyDataStream;
use axum::http::StatusCode;
use fanfare::catalogue::watching::MAX_STREAMS;
use futures_util::StreamExt as _;
use serde_json::json;

use super::Visit;
use crate::api::Api;
use crate::api::sending::{Sink, local};

/// The next piece of a stream; `None` at its end.
async fn piece(stream: &mut BodyDataStream) -> Option<String> {
    let next = tokio::time::timeout(Duration::from_secs(60), stream.next()).await.expect("nothing came");
    next.map(|bytes| String::from_utf8(bytes.unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn a_stream_tells_of_its_own_organization_until_its_session_ends() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    api.event_types(&["job.created"]).await;
    for name in ["acme", "other"] {
        api.organization(name).await;
        api.webhook(name, json!({"url": sink.url})).await;
    }
    let visit = api.visit_as("acme", json!({"expires_in": 3_600})).await;
    assert_eq!(api.stranger().open("/portal/deliveries/stream").await.status(), StatusCode::UNAUTHORIZED);
    let opened = visit.open("/portal/deliveries/stream").await;
    assert_eq!(opened.headers()["content-type"], "text/event-stream");
    let mut stream = opened.into_body().into_data_stream();
    api.event("other", "job.created").await;
    sink.next().await;
    api.until_state("delivered", 1).await;
    api.event("acme", "job.created").await;
    sink.next().await;
    let all = api.until_state("delivered", 2).await;
    let told = piece(&mut stream).await.unwrap();
    assert_eq!(told, format!("event: delivery\ndata: {}\n\n", all[0]["id"].as_str().unwrap()));

    api.pass(Duration::from_secs(3_601));
    api.event("acme", "job.created").await;
    sink.next().await;
    assert_eq!(piece(&mut stream).await, None);
    api.stop().await;
}

#[tokio::test]
async fn an_organization_has_so_many_streams_at_once() {
    let api = Api::start().await;
    api.organization("acme").await;
    api.organization("other").await;
    let (visit, other) = (api.visit("acme").await, api.visit("other").await);
    let open = async |visit: &Visit| visit.open("/portal/deliveries/stream").await;
    let mut streams = Vec::new();
    for _ in 0..MAX_STREAMS {
        let stream = open(&visit).await;
        assert_eq!(stream.status(), StatusCode::OK);
        streams.push(stream);
    }
    assert_eq!(open(&visit).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    let own = api.get("/v1/organizations/acme/deliveries/stream").await;
    assert!(own.problem(503, "unavailable")["detail"].as_str().unwrap().contains("streams"));
    assert_eq!(open(&other).await.status(), StatusCode::OK, "others have their own");
    streams.pop();
    assert_eq!(open(&visit).await.status(), StatusCode::OK);
    drop(streams);
    api.stop().await;
}

#[tokio::test]
async fn the_newest_page_follows_and_older_ones_do_not() {
    let api = Api::start().await;
    api.organization("acme").await;
    let visit = api.visit("acme").await;
    let newest = visit.get("/portal/deliveries").await.ok();
    assert_eq!(newest.attribute("[data-live]", "data-live").unwrap(), "/portal/deliveries/stream");
    assert_eq!(newest.attribute("a[data-without-script]", "href").unwrap(), "/portal/deliveries");
    let older = visit.get("/portal/deliveries?cursor=x").await.ok();
    assert_eq!(older.count("[data-live]"), 0);
    api.stop().await;
}
