//! What stands before every page: nobody can hold up the others there.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::Request;
use fanfare::background::MAX_AT_ONCE as CHANGES_AT_ONCE;
use futures_util::{FutureExt as _, stream};
use serde_json::json;
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
