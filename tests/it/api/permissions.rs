//! What a user may do: by the rules of the webhook's own profile, or of all that matter in the organization.

use std::fs;

use axum::http::Method;
use fanfare::config::Sources;
use serde_json::{Value, json};

use super::{Api, Reply, URL};

/// The rules of these tests, as a profile.
const GUARDED: &str = r#"
name = "guarded"
auth = ["bearer"]
[filter]
rule = "optional"
matches = "scope"
[payload]
raw = true
[permissions]
see = { roles = ["Viewer", "Builder"] }
manage = { roles = ["Builder"] }
entity_access = true
recheck = true
"#;

/// A server whose own profile has those rules.
pub(super) async fn start() -> Api {
    start_with("guarded").await
}

/// One that knows them, and whose project does not use them.
pub(super) async fn start_unused() -> Api {
    start_with("standard").await
}

async fn start_with(profile: &str) -> Api {
    let directory = tempfile::tempdir().unwrap();
    let profiles = directory.path().join("profiles");
    fs::create_dir(&profiles).unwrap();
    fs::write(profiles.join("guarded.toml"), GUARDED).unwrap();
    let sources = Sources { profiles_dir: Some(profiles), profile: Some(profile.to_owned()), ..Sources::default() };
    let api = Api::start_in(directory, sources).await;
    api.organization("acme").await;
    api
}

/// The same event for a batch.
pub(super) fn of(org: &str, mut event: Value) -> Value {
    event["organization"] = org.into();
    event
}

const HOOKS: &str = "/v1/organizations/acme/webhooks";

async fn tell(api: &Api, user: &str, roles: &[&str], grants: Value) {
    let path = format!("/v1/organizations/acme/users/{user}");
    let reply = api.put(&path, json!({"roles": roles, "grants": grants})).await;
    assert!(reply.status.is_success(), "{reply:?}");
}

async fn by(api: &Api, user: &str, method: Method, path: &str, body: Value) -> Reply {
    api.ask(method, path).header("fanfare-user", user).json(&body).send().await
}

#[track_caller]
fn needs(reply: Reply, what: &str) {
    let problem = reply.problem(403, "permission_denied");
    assert_eq!(problem["detail"], what, "{problem}");
}

/// Everybody that the rules tell apart.
async fn cast(api: &Api) {
    tell(api, "builder", &["Builder"], json!("all")).await;
    tell(api, "viewer", &["Viewer"], json!("all")).await;
    tell(api, "nobody", &[], json!("all")).await;
}

#[tokio::test]
async fn who_may_not_see_sees_nothing_and_who_may_not_manage_changes_nothing() {
    let api = start().await;
    cast(&api).await;
    api.post("/v1/event-types", json!({"name": "packet.updated"})).await.created();
    let hook = api.webhook("acme", json!({"owner": "builder"})).await;
    let event = json!({"type": "packet.updated", "data": {}});
    let event = api.post("/v1/organizations/acme/events", event).await.with(202)["id"].as_str().unwrap().to_owned();
    let deliveries = "/v1/organizations/acme/deliveries";
    let delivery = api.get(deliveries).await.ok()["data"][0]["id"].as_str().unwrap().to_owned();
    let hook = format!("{HOOKS}/{}", hook["id"].as_str().unwrap());

    let events = "/v1/organizations/acme/events";
    let to_see = [
        HOOKS.to_owned(),
        hook.clone(),
        format!("{hook}/stats"),
        deliveries.to_owned(),
        format!("{deliveries}/{delivery}"),
        format!("{deliveries}/{delivery}/attempts"),
        events.to_owned(),
        format!("{events}/{event}"),
        format!("{events}/{event}/explain"),
    ];
    for path in &to_see {
        for user in ["nobody", "stranger"] {
            let lacks = format!("the user {user} needs the role Viewer or the role Builder");
            needs(by(&api, user, Method::GET, path, json!({})).await, &lacks);
        }
        for user in ["viewer", "builder"] {
            by(&api, user, Method::GET, path, json!({})).await.ok();
        }
        api.get(path).await.ok();
    }
    let stream = format!("{deliveries}/stream");
    by(&api, "nobody", Method::GET, &stream, json!({})).await.problem(403, "permission_denied");

    let to_manage = [
        (Method::POST, HOOKS.to_owned(), json!({"url": URL})),
        (Method::PATCH, hook.clone(), json!({"name": "x"})),
        (Method::POST, format!("{hook}/disable"), json!({})),
        (Method::POST, format!("{hook}/enable"), json!({})),
        (Method::POST, format!("{hook}/pause"), json!({})),
        (Method::POST, format!("{hook}/resume"), json!({})),
        (Method::POST, format!("{hook}/test"), json!({"event_type": "packet.updated"})),
        (Method::POST, format!("{hook}/recover"), json!({"since": super::START, "preview": true})),
        (Method::POST, format!("{deliveries}/{delivery}/resend"), json!({})),
        (Method::POST, format!("{deliveries}/{delivery}/cancel"), json!({})),
        (Method::GET, format!("{hook}/secret"), json!({})),
        (Method::POST, format!("{hook}/secret/rotate"), json!({})),
        (Method::DELETE, hook.clone(), json!({})),
    ];
    for (method, path, body) in &to_manage {
        for user in ["nobody", "viewer", "stranger"] {
            let lacks = format!("the user {user} needs the role Builder");
            needs(by(&api, user, method.clone(), path, body.clone()).await, &lacks);
        }
    }
    for (method, path, body) in to_manage {
        let reply = by(&api, "builder", method, &path, body).await;
        assert!(reply.status.is_success() || reply.status == 409, "{path}: {reply:?}");
    }
    api.get(&hook).await.problem(404, "not_found");
    api.stop().await;
}

#[tokio::test]
async fn a_named_entity_needs_a_grant_on_it_or_above_it() {
    let api = start().await;
    let company = json!([{"type": "Company", "id": "c"}]);
    tell(&api, "anna", &["Builder"], company.clone()).await;
    let packet = |id: &str| json!({"url": URL, "filter": {"type": "Packet", "id": id}});
    let make = async |id: &str| by(&api, "anna", Method::POST, HOOKS, packet(id)).await;
    needs(make("17").await, "the user anna needs access to Packet 17");
    api.put("/v1/organizations/acme/entities/Packet/17", json!({"scope": company})).await.ok();
    let hook = make("17").await.created();
    assert_eq!((&hook["owner"], &hook["created_by"]), (&json!("anna"), &json!("anna")));
    // A type alone names no entity.
    by(&api, "anna", Method::POST, HOOKS, json!({"url": URL, "filter": {"type": "Packet"}})).await.created();

    // What it names now and what it is to name both count.
    let path = format!("{HOOKS}/{}", hook["id"].as_str().unwrap());
    let edit = async |user: &'static str, body: Value| by(&api, user, Method::PATCH, &path, body).await;
    needs(
        edit("anna", json!({"filter": {"type": "Packet", "id": "18"}})).await,
        "the user anna needs access to Packet 18",
    );
    tell(&api, "ben", &["Builder"], json!([{"type": "Packet", "id": "18"}])).await;
    needs(
        edit("ben", json!({"filter": {"type": "Packet", "id": "18"}})).await,
        "the user ben needs access to Packet 17",
    );
    needs(by(&api, "ben", Method::DELETE, &path, json!({})).await, "the user ben needs access to Packet 17");
    // Looking needs none.
    by(&api, "ben", Method::GET, &path, json!({})).await.ok();
    edit("anna", json!({"name": "mine"})).await.ok();
    api.put("/v1/organizations/acme/entities/Packet/17", json!({"scope": []})).await.ok();
    needs(edit("anna", json!({"name": "not mine"})).await, "the user anna needs access to Packet 17");
    api.stop().await;
}

#[tokio::test]
async fn a_webhook_is_handed_over_to_who_may_have_it() {
    let api = start().await;
    cast(&api).await;
    let filter = json!({"type": "Packet", "id": "17"});
    let hook = by(&api, "builder", Method::POST, HOOKS, json!({"url": URL, "filter": filter})).await.created();
    let path = format!("{HOOKS}/{}", hook["id"].as_str().unwrap());
    api.patch(&path, json!({"owner": "stranger"})).await.invalid("owner");
    api.patch(&path, json!({"owner": "viewer"})).await.invalid("owner");
    tell(&api, "poor", &["Builder"], json!([])).await;
    let refused = api.patch(&path, json!({"owner": "poor"})).await.problem(422, "validation_failed");
    assert_eq!(refused["detail"], "owner cannot be this user, who needs access to Packet 17");
    tell(&api, "carl", &["Builder"], json!([{"type": "Packet", "id": "17"}])).await;
    let given = json!({"owner": "carl"});
    by(&api, "builder", Method::PATCH, &path, given.clone()).await.problem(403, "permission_denied");
    let new = json!({"url": URL, "owner": "carl"});
    by(&api, "builder", Method::POST, HOOKS, new).await.problem(403, "permission_denied");
    assert_eq!(api.patch(&path, given).await.ok()["owner"], "carl");
    assert_eq!(api.get(&path).await.ok()["created_by"], "builder");

    // Nobody takes it over: about nobody's right it could be asked again.
    by(&api, "carl", Method::PATCH, &path, json!({"owner": null})).await.problem(403, "permission_denied");
    by(&api, "carl", Method::POST, HOOKS, json!({"url": URL, "owner": null})).await.problem(403, "permission_denied");
    api.patch(&path, json!({"owner": null})).await.invalid_because("owner", "is required");
    api.post(HOOKS, json!({"url": URL})).await.invalid_because("owner", "Fanfare-User");
    api.patch("/v1/projects/default", json!({"allowed_profiles": ["standard"]})).await.ok();
    let free = api.webhook("acme", json!({"profile": "standard"})).await;
    assert_eq!(free["owner"], json!(null), "its profile doesn't ask again");
    let free = format!("{HOOKS}/{}", free["id"].as_str().unwrap());
    api.patch(&free, json!({"profile": "guarded", "secret": null})).await.invalid("owner");
    api.patch(&free, json!({"profile": "guarded", "secret": null, "owner": "carl"})).await.ok();

    // The host makes one for a user, also with what an import brings.
    let import = json!({"owner": "builder", "number": 70});
    assert_eq!(api.webhook("acme", import).await["owner"], "builder");
    api.post(HOOKS, json!({"url": URL, "owner": "viewer"})).await.invalid("owner");
    api.post("/v1/operator-webhooks", json!({"url": URL, "owner": "builder"})).await.invalid("owner");
    api.stop().await;
}

#[tokio::test]
async fn who_changes_what_is_sent_where_becomes_the_owner() {
    let api = start().await;
    cast(&api).await;
    tell(&api, "carl", &["Builder"], json!("all")).await;
    let hook = by(&api, "builder", Method::POST, HOOKS, json!({"url": URL})).await.created();
    let path = format!("{HOOKS}/{}", hook["id"].as_str().unwrap());
    let changes = [
        json!({"url": format!("{URL}/other")}),
        json!({"filter": {"type": "Packet"}}),
        json!({"auth": {"type": "bearer", "token": "canary"}}),
        json!({"headers": {"X-Own": "1"}}),
        json!({"url": URL, "owner": "builder"}),
    ];
    for (change, user) in changes.into_iter().zip(["carl", "builder"].into_iter().cycle()) {
        let before = api.get(&path).await.ok()["owner"].clone();
        assert_ne!(before, user);
        assert_eq!(by(&api, user, Method::PATCH, &path, json!({"name": user})).await.ok()["owner"], before);
        assert_eq!(by(&api, user, Method::PATCH, &path, change.clone()).await.ok()["owner"], user, "{change}");
    }
    // The host changes what it likes and the owner stays; what a profile does not ask about again stays whose it was.
    assert_eq!(api.patch(&path, json!({"url": format!("{URL}/host")})).await.ok()["owner"], "carl");
    api.patch("/v1/projects/default", json!({"allowed_profiles": ["standard"]})).await.ok();
    let free = json!({"url": URL, "profile": "standard", "owner": "carl"});
    let free = by(&api, "builder", Method::POST, HOOKS, free).await.created();
    assert_eq!(free["owner"], "carl");
    let path = format!("{HOOKS}/{}", free["id"].as_str().unwrap());
    let moved = json!({"url": format!("{URL}/other")});
    assert_eq!(by(&api, "builder", Method::PATCH, &path, moved).await.ok()["owner"], "carl");
    let guarded = json!({"profile": "guarded", "secret": null});
    assert_eq!(by(&api, "builder", Method::PATCH, &path, guarded).await.ok()["owner"], "builder");
    api.stop().await;
}

#[tokio::test]
async fn each_profile_has_its_own_rules_and_lists_obey_all() {
    let api = start_unused().await;
    tell(&api, "nobody", &[], json!([])).await;
    let mine = by(&api, "nobody", Method::POST, HOOKS, json!({"url": URL})).await.created();
    let mine = format!("{HOOKS}/{}", mine["id"].as_str().unwrap());
    by(&api, "nobody", Method::GET, HOOKS, json!({})).await.ok();
    api.patch("/v1/projects/default", json!({"allowed_profiles": ["guarded"]})).await.ok();
    by(&api, "nobody", Method::GET, &mine, json!({})).await.ok();
    by(&api, "nobody", Method::GET, HOOKS, json!({})).await.problem(403, "permission_denied");
    by(&api, "nobody", Method::PATCH, &mine, json!({"profile": "guarded"})).await.problem(403, "permission_denied");
    tell(&api, "builder", &["Builder"], json!("all")).await;
    let guarded = api.webhook("acme", json!({"profile": "guarded", "owner": "builder"})).await;
    // A webhook keeps its profile, and so its rules, though the project allows it no more.
    api.patch("/v1/projects/default", json!({"allowed_profiles": []})).await.ok();
    let guarded = format!("{HOOKS}/{}", guarded["id"].as_str().unwrap());
    by(&api, "nobody", Method::GET, &guarded, json!({})).await.problem(403, "permission_denied");
    by(&api, "nobody", Method::GET, HOOKS, json!({})).await.problem(403, "permission_denied");
    api.delete(&guarded).await.gone();
    by(&api, "nobody", Method::GET, HOOKS, json!({})).await.ok();
    api.stop().await;
}

#[tokio::test]
async fn lists_are_the_hosts_alone_where_nobody_knows_the_rules_of_a_profile() {
    let api = start_unused().await;
    cast(&api).await;
    api.patch("/v1/projects/default", json!({"allowed_profiles": ["guarded"]})).await.ok();
    by(&api, "viewer", Method::GET, HOOKS, json!({})).await.ok();
    let directory = api.stop_and_keep().await;
    fs::remove_dir_all(directory.path().join("profiles")).unwrap();
    let api = Api::start_in(directory, Sources::default()).await;
    for path in [HOOKS, "/v1/organizations/acme/deliveries", "/v1/organizations/acme/events"] {
        for user in ["viewer", "nobody"] {
            let problem = by(&api, user, Method::GET, path, json!({})).await.problem(403, "permission_denied");
            assert!(problem["detail"].as_str().unwrap().contains("not among this server's profiles"), "{problem}");
        }
        api.get(path).await.ok();
    }
    api.patch("/v1/projects/default", json!({"allowed_profiles": []})).await.ok();
    by(&api, "nobody", Method::GET, HOOKS, json!({})).await.ok();
    api.stop().await;
}

#[tokio::test]
async fn what_is_the_hosts_is_refused_to_users() {
    let api = start_unused().await;
    tell(&api, "anna", &["Builder"], json!("all")).await;
    let name = json!({"name": "x"});
    let asked = [
        (Method::GET, "/v1/projects", json!({})),
        (Method::POST, "/v1/projects", name.clone()),
        (Method::PATCH, "/v1/projects/default", name.clone()),
        (Method::POST, "/v1/event-types", name.clone()),
        (Method::GET, "/v1/organizations", json!({})),
        (Method::GET, "/v1/organizations/acme", json!({})),
        (Method::PUT, "/v1/organizations/acme", name.clone()),
        (Method::PATCH, "/v1/organizations/acme", name.clone()),
        (Method::DELETE, "/v1/organizations/acme", json!({})),
        (Method::GET, "/v1/api-keys", json!({})),
        (Method::POST, "/v1/api-keys", json!({"name": "x", "scopes": ["manage"]})),
        (Method::GET, "/v1/webhooks", json!({})),
        (Method::GET, "/v1/deliveries", json!({})),
        (Method::POST, "/v1/deliveries/resend", json!({"all": true})),
        (Method::POST, "/v1/deliveries/cancel", json!({"all": true})),
        (Method::GET, "/v1/pauses", json!({})),
        (Method::POST, "/v1/pauses", json!({"everything": true})),
        (Method::GET, "/v1/operator-webhooks", json!({})),
        (Method::GET, "/v1/stats", json!({})),
    ];
    for (method, path, body) in asked {
        let problem = by(&api, "anna", method, path, body).await.problem(403, "permission_denied");
        assert!(problem["detail"].as_str().unwrap().starts_with("this is for the host itself"), "{path}: {problem}");
    }
    by(&api, "anna", Method::GET, "/v1/event-types", json!({})).await.ok();
    // Posting events is the host's act, whoever is named.
    api.post("/v1/event-types", json!({"name": "packet.updated"})).await.created();
    let event = json!({"type": "packet.updated", "data": {}});
    by(&api, "stranger", Method::POST, "/v1/organizations/acme/events", event).await.with(202);
    api.stop().await;
}

#[tokio::test]
async fn a_key_of_a_user_posts_no_events() {
    let api = start_unused().await;
    tell(&api, "anna", &["Builder"], json!("all")).await;
    api.post("/v1/event-types", json!({"name": "packet.updated"})).await.created();
    let own = api.key(&["manage", "events:write"], json!({"organization": "acme", "user": "anna"})).await;
    let host = api.key(&["events:write"], json!({"organization": "acme"})).await;
    let event = json!({"type": "packet.updated", "data": {}, "entity": {"type": "Packet", "id": "1"}});
    let one = ("/v1/organizations/acme/events", event.clone());
    let many = ("/v1/events/batch", json!({"events": [of("acme", event)]}));
    for (path, body) in [one, many] {
        let refused = api.ask(Method::POST, path).key(&own).json(&body).send().await;
        refused.problem(403, "permission_denied");
        let named = api.ask(Method::POST, path).key(&host).header("fanfare-user", "anna").json(&body).send().await;
        named.with(202);
    }
    let posted = api.get("/v1/organizations/acme/events").await.ok();
    assert_eq!(posted["data"].as_array().unwrap().len(), 2);
    api.stop().await;
}

#[tokio::test]
async fn a_job_of_a_webhook_is_its_managers() {
    let api = start().await;
    cast(&api).await;
    let hook = api.webhook("acme", json!({"owner": "builder"})).await;
    let path = format!("{HOOKS}/{}/recover", hook["id"].as_str().unwrap());
    let job = by(&api, "builder", Method::POST, &path, json!({"since": super::START})).await.with(202);
    let job = format!("/v1/jobs/{}", job["job_id"].as_str().unwrap());
    by(&api, "builder", Method::GET, &job, json!({})).await.ok();
    by(&api, "viewer", Method::GET, &job, json!({})).await.ok();
    by(&api, "nobody", Method::GET, &job, json!({})).await.problem(403, "permission_denied");
    by(&api, "viewer", Method::POST, &format!("{job}/cancel"), json!({})).await.problem(403, "permission_denied");
    let resent = api.post("/v1/deliveries/resend", json!({"all": true})).await.with(202);
    let resent = format!("/v1/jobs/{}", resent["job_id"].as_str().unwrap());
    by(&api, "builder", Method::GET, &resent, json!({})).await.problem(403, "permission_denied");
    api.get(&resent).await.ok();
    api.stop().await;
}
