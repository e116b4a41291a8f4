//! Links into the portal and the visits that they open.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;

use crate::api::Api;

const WEBHOOKS: &str = "/portal/webhooks";

async fn ready() -> Api {
    let api = Api::start().await;
    api.organization("acme").await;
    api
}

#[tokio::test]
async fn a_link_opens_the_portal_once() {
    let api = ready().await;
    let link = api.portal_link("acme", json!({})).await;
    // Programs that look at links do not use it up.
    for _ in 0..2 {
        let shown = api.stranger().get(&link).await.ok();
        assert_eq!(shown.attribute("form", "action").unwrap(), link);
        assert!(!shown.headers.contains_key("set-cookie"));
    }
    let opened = api.stranger().send(Method::POST, &link, &[], Vec::new()).await;
    let cookie = opened.headers["set-cookie"].to_str().unwrap().to_owned();
    for part in [
        "__Host-fanfare-portal=",
        "; Path=/",
        "; Max-Age=90000",
        "; Secure",
        "; HttpOnly",
        "; SameSite=None",
        "; Partitioned",
    ] {
        assert!(cookie.contains(part), "{cookie} lacks {part}");
    }
    assert!(opened.leads().starts_with("/portal/opened/ses_"));
    for method in [Method::POST, Method::GET] {
        let again = api.stranger().send(method, &link, &[], Vec::new()).await.with(410);
        assert!(again.only("h1").contains("does not work any more"), "{}", again.text);
    }
    api.stop().await;
}

#[tokio::test]
async fn case_082_links_and_visits_end() {
    let api = ready().await;
    let late = api.portal_link("acme", json!({})).await;
    let visit = api.visit_as("acme", json!({"expires_in": 1200})).await;
    visit.get(WEBHOOKS).await.ok();
    api.clock.advance(Duration::from_secs(601));
    api.stranger().send(Method::POST, &late, &[], Vec::new()).await.with(410);
    visit.get(WEBHOOKS).await.ok();
    api.clock.advance(Duration::from_secs(600));
    let ended = visit.get(WEBHOOKS).await.with(401);
    assert_eq!(ended.only("h1"), "Your visit has ended");
    api.stop().await;
}

#[tokio::test]
async fn a_link_that_was_used_says_so_in_the_frames_of_its_project() {
    let api = ready().await;
    let project = super::id(&api.post("/v1/projects", json!({"name": "shop"})).await.created());
    let own = "https://shop.example.com";
    api.patch("/v1/projects/shop", json!({"frame_ancestors": [own]})).await.ok();
    let key = api.key(&["manage"], json!({"project": project})).await;
    api.ask(Method::PUT, "/v1/organizations/acme").key(&key).json(&json!({"name": "Acme"})).send().await.created();
    let sessions = "/v1/organizations/acme/portal-sessions";
    let made = api.ask(Method::POST, sessions).key(&key).json(&json!({})).send().await.created();
    let url = made["url"].as_str().unwrap();
    let link = &url[url.find("/portal/").unwrap()..];
    let visit = api.visit_by(link).await;
    api.clock.advance(Duration::from_secs(3_601));
    for seen in [
        api.stranger().get(link).await.with(410),
        api.stranger().send(Method::POST, link, &[], Vec::new()).await.with(410),
        visit.get(WEBHOOKS).await.with(401),
    ] {
        let policy = seen.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.ends_with(&format!("frame-ancestors 'self' {own}")), "{policy}");
    }
    api.stop().await;
}

#[tokio::test]
async fn a_link_into_the_console_is_none_into_the_portal() {
    let api = ready().await;
    let operates = fanfare::catalogue::operators::Operates::Admin;
    let (_, code) = fanfare::catalogue::operators::begin(api.app(), &operates).await.unwrap();
    for method in [Method::GET, Method::POST] {
        api.stranger().send(method, &format!("/portal/open/{code}"), &[], Vec::new()).await.with(410);
    }
    api.stranger().get(&format!("/console/open/{code}")).await.ok();
    api.stop().await;
}

#[tokio::test]
async fn a_deleted_organization_ends_its_visits() {
    let api = ready().await;
    let visit = api.visit("acme").await;
    let link = api.portal_link("acme", json!({})).await;
    api.delete("/v1/organizations/acme").await.gone();
    visit.get(WEBHOOKS).await.with(401);
    api.stranger().get(&link).await.with(410);
    api.stop().await;
}

#[tokio::test]
async fn who_is_not_in_is_told_how_to_get_in() {
    let api = ready().await;
    for path in ["/portal/webhooks", "/portal/deliveries", "/portal/catalogue", "/portal/webhooks/new"] {
        let seen = api.stranger().get(path).await.with(401);
        assert_eq!(seen.only("h1"), "You are not signed in");
        assert!(seen.text.contains("makes a new link"), "{}", seen.text);
    }
    let link = api.portal_link("acme", json!({})).await;
    let opened = api.stranger().send(Method::POST, &link, &[], Vec::new()).await.leads();
    let blocked = api.stranger().get(&opened).await.with(401);
    assert!(blocked.only("h1").contains("did not keep the sign-in"), "{}", blocked.text);
    api.stop().await;
}

#[tokio::test]
async fn a_browser_that_shows_its_cookie_goes_on() {
    let api = ready().await;
    let visit = api.visit("acme").await;
    assert_eq!(visit.get("/portal").await.leads(), WEBHOOKS);
    let opened = "/portal/opened/ses_0000000000000";
    assert_eq!(visit.get(opened).await.leads(), WEBHOOKS);
    assert_eq!(visit.get("/portal/nothing/here").await.with(404).only("h1"), "There is no such page");
    api.stop().await;
}

#[tokio::test]
async fn case_087_what_other_sites_send_changes_nothing() {
    let api = ready().await;
    api.webhook("acme", json!({"name": "mine"})).await;
    let listed = api.get("/v1/organizations/acme/webhooks").await.ok();
    let path = format!("/portal/webhooks/{}/delete", super::id(&listed["data"][0]));
    let (visit, other) = (api.visit("acme").await, api.visit("acme").await);
    let own = vec![("form_mark", visit.mark.as_str())];
    for site in ["cross-site", "same-site"] {
        let headers = [("sec-fetch-site", site)];
        visit.send(Method::POST, &path, &headers, own.clone()).await.with(403);
    }
    assert_ne!(visit.mark, other.mark);
    for mark in [vec![], vec![("form_mark", "")], vec![("form_mark", other.mark.as_str())]] {
        visit.send(Method::POST, &path, &[("sec-fetch-site", "same-origin")], mark).await.with(403);
    }
    let link = api.portal_link("acme", json!({})).await;
    api.stranger().send(Method::POST, &link, &[("sec-fetch-site", "cross-site")], Vec::new()).await.with(403);
    assert_eq!(api.get("/v1/organizations/acme/webhooks").await.ok(), listed);
    // A browser that does not say whence it asks is held off by the mark alone.
    visit.send(Method::POST, &path, &[], own).await.leads();
    api.stop().await;
}

#[tokio::test]
async fn what_is_asked_of_a_session_is_checked() {
    let api = ready().await;
    let path = "/v1/organizations/acme/portal-sessions";
    for seconds in [0, 59, 604_801] {
        api.post(path, json!({"expires_in": seconds})).await.invalid("expires_in");
    }
    api.post(path, json!({"user": ""})).await.invalid("user");
    api.post(path, json!({"organization": "acme"})).await.invalid("organization");
    let reply = api.ask(Method::POST, path).header("fanfare-user", "ada").json(&json!({"user": "bob"})).send().await;
    reply.invalid("user");
    api.post("/v1/organizations/nobody/portal-sessions", json!({})).await.problem(404, "not_found");
    let reader = api.key(&["read"], json!({})).await;
    api.ask(Method::POST, path).key(&reader).json(&json!({})).send().await.problem(403, "scope_too_small");
    let made = api.post(path, json!({"expires_in": 60})).await.created();
    assert_eq!(made["expires_at"], "2026-11-22T09:31:00.000Z");
    assert!(made["url"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{made}");
    api.stop().await;
}

#[tokio::test]
async fn case_090_what_lets_in_is_not_in_the_database() {
    let api = ready().await;
    let link = api.portal_link("acme", json!({})).await;
    let visit = api.visit("acme").await;
    let code = link.rsplit('/').next().unwrap().to_owned();
    let token = visit.cookie.split_once('=').unwrap().1.to_owned();
    let directory = api.stop_and_keep().await;
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let content = std::fs::read(entry.unwrap().path()).unwrap();
        for secret in [&code, &token] {
            assert!(!content.windows(secret.len()).any(|part| part == secret.as_bytes()));
        }
    }
}
