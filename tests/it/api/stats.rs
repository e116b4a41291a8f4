//! `/v1/stats` and `/v1/organizations/{org}/webhooks/{webhook}/stats`.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use super::sending::{Sink, local};
use super::{Api, START};

async fn ready(sink: &Sink) -> (Api, String) {
    let api = Api::start_with(local()).await;
    api.event_types(&["a"]).await;
    api.organization("acme").await;
    let webhook = api.webhook("acme", json!({"url": sink.url, "retry": {"delays_seconds": []}})).await;
    let path = format!("/v1/organizations/acme/webhooks/{}", webhook["id"].as_str().unwrap());
    (api, path)
}

async fn send(api: &Api, sink: &mut Sink, status: u16) {
    let state = if status == 200 { "delivered" } else { "exhausted" };
    let before = api.deliveries(&format!("state={state}")).await.len();
    sink.answer(status);
    api.event("acme", "a").await;
    sink.next().await;
    api.until_state(state, before + 1).await;
}

#[tokio::test]
async fn a_webhooks_attempts_are_counted() {
    let mut sink = Sink::start().await;
    let (api, webhook) = ready(&sink).await;
    let path = format!("{webhook}/stats");
    let none = json!({"succeeded": 0, "failed": 0, "success_rate": null, "average_duration_ms": null});
    let stats = api.get(&path).await.ok();
    assert_eq!(
        (&stats["last_hour"], &stats["last_attempt"], &stats["failing_since"]),
        (&none, &Value::Null, &Value::Null)
    );

    for status in [200, 200, 200, 503] {
        send(&api, &mut sink, status).await;
    }
    let stats = api.get(&path).await.ok();
    for time in ["last_hour", "last_24_hours", "last_7_days"] {
        assert_eq!((&stats[time]["succeeded"], &stats[time]["failed"]), (&json!(3), &json!(1)), "{stats}");
        assert_eq!(stats[time]["success_rate"], 0.75);
        assert!(stats[time]["average_duration_ms"].is_u64(), "{stats}");
    }
    assert_eq!(stats["last_attempt"], json!({"at": START, "outcome": "status", "response_code": 503}));
    assert_eq!(stats["failing_since"], Value::Null, "one that failed once is not failing");
    for _ in 0..4 {
        send(&api, &mut sink, 503).await;
    }
    assert_eq!(api.get(&path).await.ok()["failing_since"], START);
    send(&api, &mut sink, 200).await;
    assert_eq!(api.get(&path).await.ok()["failing_since"], Value::Null);

    api.clock.advance(Duration::from_secs(2 * 3_600));
    let stats = api.get(&path).await.ok();
    assert_eq!((&stats["last_hour"], &stats["last_24_hours"]["succeeded"]), (&none, &json!(4)));
    api.stop().await;
}

#[tokio::test]
async fn a_project_shows_what_waits_and_how_fast_it_goes() {
    let mut sink = Sink::start().await;
    let (api, webhook) = ready(&sink).await;
    let stats = api.get("/v1/stats").await.ok();
    assert_eq!((&stats["backlog"], &stats["oldest_due"]), (&json!(0), &Value::Null));
    send(&api, &mut sink, 200).await;
    send(&api, &mut sink, 500).await;
    api.post(&format!("{webhook}/pause"), json!({})).await.ok();
    for _ in 0..3 {
        api.event("acme", "a").await;
    }
    api.clock.advance(Duration::from_secs(60));
    let stats = api.get("/v1/stats").await.ok();
    assert_eq!((&stats["backlog"], &stats["oldest_due"]), (&json!(3), &json!(START)), "{stats}");
    let rates = &stats["last_5_minutes"];
    assert_eq!((&rates["events"], &rates["deliveries"]), (&json!(5), &json!(5)), "{stats}");
    assert_eq!((&rates["attempts"], &rates["failed"]), (&json!(2), &json!(1)), "{stats}");
    assert!((rates["events_per_second"].as_f64().unwrap() - 5.0 / 300.0).abs() < 1e-9);
    api.clock.advance(Duration::from_secs(1_800));
    let stats = api.get("/v1/stats").await.ok();
    assert_eq!((&stats["last_5_minutes"]["events"], &stats["last_hour"]["events"]), (&json!(0), &json!(5)), "{stats}");
    api.stop().await;
}

#[tokio::test]
async fn usage_is_shown_for_each_organization() {
    let mut sink = Sink::start().await;
    let (api, _) = ready(&sink).await;
    api.organization("idle").await;
    send(&api, &mut sink, 200).await;
    let first = api.get("/v1/stats?limit=1").await.ok();
    let list = &first["organizations"];
    assert_eq!(
        (&list["data"][0]["external_id"], &list["data"][0]["this_month"]["events"]),
        (&json!("idle"), &json!(0))
    );
    let cursor = list["next_cursor"].as_str().unwrap();
    let usage = json!({"events": 1, "deliveries": 1, "attempts": 1, "failed": 0});
    let acme = |stats: Value| stats["organizations"]["data"][0].clone();
    let second = acme(api.get(&format!("/v1/stats?limit=1&cursor={cursor}")).await.ok());
    assert_eq!((&second["external_id"], &second["name"]), (&json!("acme"), &json!("acme")));
    assert_eq!((&second["last_24_hours"], &second["this_month"]), (&usage, &usage));
    api.clock.advance(Duration::from_secs(2 * 86_400));
    let later = acme(api.get(&format!("/v1/stats?limit=1&cursor={cursor}")).await.ok());
    assert_eq!((&later["last_24_hours"]["events"], &later["this_month"]), (&json!(0), &usage));
    api.clock.advance(Duration::from_secs(8 * 86_400));
    let next_month = acme(api.get(&format!("/v1/stats?limit=1&cursor={cursor}")).await.ok());
    assert_eq!(next_month["this_month"]["events"], 0);
    api.stop().await;
}

#[tokio::test]
async fn a_key_of_one_organization_sees_no_figures_of_all() {
    let sink = Sink::start().await;
    let (api, webhook) = ready(&sink).await;
    let key = api.key(&["read"], json!({"organization": "acme"})).await;
    api.ask(Method::GET, "/v1/stats").key(&key).send().await.problem(403, "organization_key");
    api.ask(Method::GET, &format!("{webhook}/stats")).key(&key).send().await.ok();
    api.stop().await;
}
