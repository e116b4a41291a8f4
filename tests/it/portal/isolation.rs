//! One organization's visitor sees and changes nothing of another's, and users do what their rights allow.

use axum::http::Method;
use fanfare::config::Sources;
use serde_json::json;

use super::id;
use crate::api::Api;
use crate::api::sending::{Sink, local};

#[tokio::test]
async fn case_080_what_is_another_organizations_is_not_there() {
    let sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    api.event_types(&["job.created"]).await;
    for org in ["acme", "other"] {
        api.organization(org).await;
    }
    let webhook = id(&api.webhook("other", json!({"name": "canary", "url": sink.url})).await);
    api.event("other", "job.created").await;
    let delivery = id(&api.until_state("delivered", 1).await[0]);
    let visit = api.visit("acme").await;
    let nothing = visit.get("/portal/webhooks/whk_0000000000000").await.with(404);
    for path in [
        format!("/portal/webhooks/{webhook}"),
        format!("/portal/webhooks/{webhook}/edit"),
        format!("/portal/deliveries/{delivery}"),
    ] {
        assert_eq!(visit.get(&path).await.with(404).text, nothing.text, "{path}");
    }
    for below in ["switch", "status", "test", "secret", "secret/rotate", "delete", "edit"] {
        visit.post(&format!("/portal/webhooks/{webhook}/{below}"), &[("to", "off")]).await.with(404);
    }
    visit.post(&format!("/portal/deliveries/{delivery}/resend"), &[]).await.with(404);
    let fields = [("webhook", webhook.as_str()), ("event_type", "job.created")];
    visit.post("/portal/catalogue/send", &fields).await.with(404);
    for path in ["/portal/webhooks", "/portal/deliveries", "/portal/catalogue"] {
        assert!(!visit.get(path).await.ok().text.contains("canary"));
    }
    let filtered = visit.get(&format!("/portal/deliveries?webhook={webhook}")).await.ok();
    assert_eq!(filtered.count("[data-row]"), 0, "{}", filtered.text);
    let listed = api.get(&format!("/v1/organizations/other/webhooks/{webhook}")).await.ok();
    assert_eq!((&listed["status"], &listed["name"]), (&json!("active"), &json!("canary")));
    api.stop().await;
}

#[tokio::test]
async fn case_083_users_do_what_their_rights_allow() {
    let sources = Sources { profile: Some("one-click-contractor".to_owned()), ..Sources::default() };
    let api = Api::start_with(sources).await;
    api.organization("acme").await;
    let webhook = id(&api.webhook("acme", json!({"name": "CRM", "events": ["job.created"]})).await);
    api.put("/v1/organizations/acme/users/boss", json!({"permissions": ["Org.webhooks"]})).await.created();
    api.put("/v1/organizations/acme/users/guest", json!({})).await.created();
    let page = format!("/portal/webhooks/{webhook}");
    let boss = api.visit_as("acme", json!({"user": "boss"})).await;
    boss.get(&page).await.ok();
    boss.get("/portal/deliveries").await.ok();
    for user in ["guest", "stranger"] {
        let visit = api.visit_as("acme", json!({"user": user})).await;
        for path in [&page, "/portal/webhooks", "/portal/deliveries"] {
            let seen = visit.get(path).await.with(403);
            assert_eq!(seen.only("h1"), "You may not do this");
        }
        visit.get("/portal/catalogue").await.ok();
    }
    // A right that is taken away is gone at once.
    api.put("/v1/organizations/acme/users/boss", json!({})).await.ok();
    boss.get(&page).await.with(403);
    boss.post(&format!("{page}/delete"), &[]).await.with(403);
    boss.send(Method::POST, &format!("{page}/status"), &[], vec![("form_mark", &boss.mark), ("to", "on")])
        .await
        .with(403);
    api.get(&format!("/v1/organizations/acme/webhooks/{webhook}")).await.ok();
    api.stop().await;
}

/// Who manages and who only sees, as a profile.
const WATCHED: &str = r#"
name = "watched"
[payload]
raw = true
[permissions]
see = { roles = ["Viewer", "Builder"] }
manage = { roles = ["Builder"] }
"#;

#[tokio::test]
async fn who_may_only_look_is_offered_nothing_else() {
    let mut sink = Sink::start().await;
    let directory = tempfile::tempdir().unwrap();
    let profiles = directory.path().join("profiles");
    std::fs::create_dir(&profiles).unwrap();
    std::fs::write(profiles.join("watched.toml"), WATCHED).unwrap();
    let sources = Sources { profiles_dir: Some(profiles), profile: Some("watched".to_owned()), ..local() };
    let api = Api::start_in(directory, sources).await;
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    for (user, role) in [("viewer", "Viewer"), ("builder", "Builder")] {
        api.put(&format!("/v1/organizations/acme/users/{user}"), json!({"roles": [role]})).await.created();
    }
    let webhook = id(&api.webhook("acme", json!({"events": ["job.created"], "url": sink.url})).await);
    api.event("acme", "job.created").await;
    sink.next().await;
    let delivery = id(&api.until_state("delivered", 1).await[0]);
    let viewer = api.visit_as("acme", json!({"user": "viewer"})).await;
    let builder = api.visit_as("acme", json!({"user": "builder"})).await;
    for path in [
        "/portal/webhooks".to_owned(),
        format!("/portal/webhooks/{webhook}"),
        "/portal/deliveries".to_owned(),
        format!("/portal/deliveries/{delivery}"),
        "/portal/catalogue/type?name=job.created".to_owned(),
    ] {
        let offered = "form[method=post], a[href$='/new'], a[href$='/edit']";
        assert_eq!(viewer.get(&path).await.ok().count(offered), 0, "{path}");
        assert!(builder.get(&path).await.ok().count(offered) > 0, "{path}");
    }
    let recovering = "a[href$='/recover']";
    for (visit, offered) in [(&viewer, 0), (&builder, 1)] {
        assert_eq!(visit.get(&format!("/portal/webhooks/{webhook}")).await.ok().count(recovering), offered);
    }
    for path in ["/portal/webhooks/new".to_owned(), format!("/portal/webhooks/{webhook}/edit")] {
        viewer.get(&path).await.with(403);
        let form = builder.get(&path).await.ok();
        let mark = form.attribute(".form input[name=form_mark]", "value").unwrap();
        assert!(fanfare::vault::is_same_form_mark(&mark, &builder.mark) && mark != builder.mark, "it is masked anew");
    }
    viewer.post(&format!("/portal/webhooks/{webhook}/secret"), &[]).await.with(403);
    api.stop().await;
}

/// Where a right may rest on entities, as a profile.
const GRANTED: &str = r#"
name = "granted"
[payload]
raw = true
[filter]
rule = "optional"
[permissions]
manage = { roles = ["Builder"] }
entity_access = true
"#;

/// What nobody needs a role or a grant for is sent again all at once, whatever other profiles ask for.
#[tokio::test]
async fn rules_that_no_webhook_falls_under_keep_nobody_from_sending_all() {
    let mut sink = Sink::start().await;
    let home = tempfile::tempdir().unwrap();
    let profiles = home.path().join("profiles");
    std::fs::create_dir(&profiles).unwrap();
    std::fs::write(profiles.join("granted.toml"), GRANTED).unwrap();
    let api = Api::start_in(home, Sources { profiles_dir: Some(profiles), ..local() }).await;
    api.patch("/v1/projects/default", json!({"allowed_profiles": ["standard", "granted"]})).await.ok();
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    for (user, roles) in [("ann", json!([])), ("ben", json!(["Builder"]))] {
        let body = json!({"roles": roles, "grants": []});
        api.put(&format!("/v1/organizations/acme/users/{user}"), body).await.created();
    }
    let plain = id(&api.webhook("acme", json!({"url": sink.url})).await);
    api.event("acme", "job.created").await;
    sink.next().await;
    api.until_state("delivered", 1).await;
    let own = format!("webhook={plain}");
    // Ann lacks the role that the other profile asks for; the grants that it asks for are about no webhook here.
    for (user, query, all_at_once) in [("ann", "", 0), ("ann", &own[..], 1), ("ben", "", 1)] {
        let visit = api.visit_as("acme", json!({"user": user})).await;
        let seen = visit.get(&format!("/portal/deliveries?{query}")).await.ok();
        assert_eq!((seen.count("[form=chosen]"), seen.count(".chosen-bar a")), (1, all_at_once), "{user}: {query}");
    }
    api.stop().await;
}

#[tokio::test]
async fn who_manages_some_webhooks_sends_again_what_is_theirs() {
    const LIST: &str = "/portal/deliveries";
    let mut sink = Sink::start().await;
    let directory = tempfile::tempdir().unwrap();
    let profiles = directory.path().join("profiles");
    std::fs::create_dir(&profiles).unwrap();
    std::fs::write(profiles.join("granted.toml"), GRANTED).unwrap();
    let sources = Sources { profiles_dir: Some(profiles), profile: Some("granted".to_owned()), ..local() };
    let api = Api::start_in(directory, sources).await;
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    let packet = |id: &str| json!({"type": "Packet", "id": id});
    for (user, grants) in [("ben", json!([packet("17")])), ("boss", json!("all"))] {
        let body = json!({"roles": ["Builder"], "grants": grants});
        api.put(&format!("/v1/organizations/acme/users/{user}"), body).await.created();
    }
    let mut webhooks = Vec::new();
    for number in ["17", "18"] {
        webhooks.push(id(&api.webhook("acme", json!({"url": sink.url, "filter": packet(number)})).await));
        let event = json!({"type": "job.created", "data": {}, "entity": packet(number)});
        api.post("/v1/organizations/acme/events", event).await.with(202);
        sink.next().await;
    }
    api.until_state("delivered", 2).await;
    let [ben, boss] = ["ben", "boss"].map(async |user| api.visit_as("acme", json!({"user": user})).await);
    let (ben, boss) = (ben.await, boss.await);
    let (own, other) = (format!("webhook={}", webhooks[0]), format!("webhook={}", webhooks[1]));

    for (visit, query, boxes, all_at_once) in
        [(&boss, "", 2, 1), (&ben, "", 1, 0), (&ben, &own, 1, 1), (&ben, &other, 0, 0)]
    {
        let seen = visit.get(&format!("{LIST}?{query}")).await.ok();
        assert_eq!(seen.count("[data-row]"), if query.is_empty() { 2 } else { 1 }, "all may see all");
        assert_eq!((seen.count("[form=chosen]"), seen.count(".chosen-bar a")), (boxes, all_at_once), "{query}");
    }
    for query in ["", &other, "state=delivered"] {
        ben.get(&format!("{LIST}/resend?{query}")).await.with(403);
        ben.post(&format!("{LIST}/resend"), &[("list", query)]).await.with(403);
    }
    // What is not theirs is left alone, and stops nothing.
    let chosen: Vec<String> = api.deliveries("").await.iter().map(id).chain(["dlv_0000000000000".to_owned()]).collect();
    let chosen: Vec<(&str, &str)> = chosen.iter().map(|id| ("id", id.as_str())).collect();
    let back = ben.post(&format!("{LIST}/resend/chosen"), &chosen).await.leads();
    assert_eq!(back, "/portal/deliveries?resent=1&left=2");
    sink.next().await;
    let job = ben.post(&format!("{LIST}/resend"), &[("list", &own)]).await.leads();
    ben.get(&job).await.ok();
    sink.next().await;
    boss.post(&format!("{LIST}/resend"), &[("list", "")]).await.leads();
    for _ in 0..2 {
        sink.next().await;
    }
    api.stop().await;
}
