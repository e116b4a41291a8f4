//! What stands before every page: nobody can hold up the others there.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::Request;
use fanfare::background::{MAX_AT_ONCE as CHANGES_AT_ONCE, MAX_OF_ORGANIZATION, Owner};
use fanfare_engine::id::OrganizationId;
use futures_util::{FutureExt as _, stream};
use serde_json::json;
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::api::Api;

#[tokio::test]
async fn forms_that_do_not_arrive_hold_up_nobody() {
    let api = Api::start().await;
    api.organization("acme").await;
    api.webhook("acme", json!({"name": "Orders"})).await;
    let visit = api.visit("acme").await;
    let slow = |path: &str| {
        let body = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        visit.router.clone().oneshot(request.body(body).unwrap())
    };
    for path in ["/console/sign-in", "/portal/open/none"] {
        let mut under_way: Vec<_> = (0..CHANGES_AT_ONCE).map(|_| Box::pin(slow(path))).collect();
        for request in &mut under_way {
            assert!(request.now_or_never().is_none(), "{path} was answered before it was whole");
        }
        api.organization(&format!("other{}", path.len())).await;
        visit.post("/portal/webhooks/new", &[("url", crate::api::URL), ("events", "all")]).await.leads();
    }
    api.stop().await;
}

#[tokio::test]
async fn to_have_a_url_judged_takes_no_place_of_a_change() {
    let api = Api::start().await;
    let acme = api.organization("acme").await;
    let acme = Owner::Organization(OrganizationId::parse(acme["id"].as_str().unwrap()).unwrap());
    let visit = api.visit("acme").await;
    let (go_on, held) = watch::channel(());
    for _ in 0..MAX_OF_ORGANIZATION {
        let mut held = held.clone();
        drop(api.app().background.start(acme, async move { held.changed().await }).unwrap());
    }
    let webhook = [("url", crate::api::URL), ("events", "all")];
    visit.post("/portal/webhooks/new", &webhook).await.with(503);
    api.organization("other").await;
    api.visit("other").await.post("/portal/webhooks/new", &webhook).await.leads();
    let fields = [("profile", "standard"), ("url", "ftp://example.com")];
    let judged = visit.post("/portal/webhooks/judge-url", &fields).await.ok();
    assert_eq!(judged.only("#url-said"), "URL must start with https:// or http://.");
    drop(go_on);
    api.stop().await;
}
