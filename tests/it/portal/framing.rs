//! Which pages may show the portal inside themselves, and what the portal may load.

use axum::http::Method;
use serde_json::json;

use crate::api::Api;

/// The part of a policy that has this name.
fn rule(policy: &str, name: &str) -> String {
    let found = policy.split("; ").find_map(|rule| rule.strip_prefix(name));
    found.unwrap_or_else(|| panic!("{policy} says nothing of {name}")).trim().to_owned()
}

#[tokio::test]
async fn case_088_only_listed_origins_may_frame_it() {
    let api = Api::start().await;
    api.organization("acme").await;
    let origins = json!(["https://app.example.com", "https://*.example.org"]);
    let theme = json!({"logo": "https://cdn.example.com/logo.png?v=1"});
    api.patch("/v1/projects/default", json!({"frame_ancestors": origins, "theme": theme})).await.ok();
    let visit = api.visit("acme").await;
    let link = api.portal_link("acme", json!({})).await;
    let stranger = api.stranger();
    let seen = [
        visit.get("/portal/webhooks").await.ok(),
        visit.get("/portal/nowhere").await.with(404),
        stranger.get(&link).await.ok(),
        stranger.get("/portal/webhooks").await.with(401),
        stranger.send(Method::POST, &link, &[("sec-fetch-site", "cross-site")], Vec::new()).await.with(403),
    ];
    for seen in seen {
        let policy = seen.headers["content-security-policy"].to_str().unwrap();
        assert_eq!(rule(policy, "frame-ancestors"), "'self' https://app.example.com https://*.example.org");
        assert_eq!(rule(policy, "base-uri"), "'none'");
        assert_eq!(rule(policy, "form-action"), "'self'");
        assert_eq!(rule(policy, "img-src"), "'self' data: https://cdn.example.com");
        assert_eq!(seen.headers["referrer-policy"], "same-origin");
        assert_eq!(seen.headers["x-content-type-options"], "nosniff");
        assert!(!seen.headers.contains_key("x-frame-options"), "it would say something else");
    }
    api.patch("/v1/projects/default", json!({"frame_ancestors": [], "theme": {}})).await.ok();
    let policy =
        visit.get("/portal/webhooks").await.ok().headers["content-security-policy"].to_str().unwrap().to_owned();
    assert_eq!(rule(&policy, "frame-ancestors"), "'self'");
    assert_eq!(rule(&policy, "img-src"), "'self' data:");
    api.stop().await;
}

#[tokio::test]
async fn style_sheets_and_scripts_are_kept_for_good() {
    let api = Api::start().await;
    api.organization("acme").await;
    let visit = api.visit("acme").await;
    let page = visit.get("/portal/webhooks").await.ok();
    let mut files = page.attributes("link[rel=stylesheet]", "href");
    files.extend(page.attributes("script", "src"));
    assert_eq!(files.len(), 3, "{files:?}");
    for file in files {
        let got = api.stranger().get(&file).await.ok();
        assert_eq!(got.headers["cache-control"], "public, max-age=31536000, immutable", "{file}");
        assert!(got.text.len() > 1_000);
        let packed = api.stranger().send(Method::GET, &file, &[("accept-encoding", "gzip")], Vec::new()).await;
        assert_eq!(packed.headers["content-encoding"], "gzip");
    }
    api.stranger().get("/portal/assets/portal-000000000000.css").await.with(404);
    api.stop().await;
}
