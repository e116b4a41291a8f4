//! What an operator changes at the console: in the project of the page and no other, and what follows from it elsewhere.

use serde_json::json;

use super::console::operator;
use super::id;
use crate::api::sending::{Sink, local, until};
use crate::api::{ADMIN, Api};

#[tokio::test]
async fn a_form_is_carried_out_in_the_project_of_its_page_or_not_at_all() {
    let api = Api::start().await;
    let other = id(&api.post("/v1/projects", json!({"name": "production"})).await.created());
    // Two tabs share the session: one turns to another project, the other still shows a form of the first.
    let mut visit = operator(&api, ADMIN).await;
    visit.post("/console/project", &[("project", &other)]).await.leads();
    let hold = [("what", "everything")];
    let refused = visit.post("/console/pauses", &hold).await.with(409);
    assert!(refused.text.contains("another project than production"), "{}", refused.text);
    let unsaid = [("form_mark", visit.mark.as_str()), ("what", "everything")];
    let same_origin = [("sec-fetch-site", "same-origin")];
    visit.send(http::Method::POST, "/console/pauses", &same_origin, unsaid.to_vec()).await.with(409);
    let key = api.key(&["read"], json!({"project": "production"})).await;
    assert_eq!(api.ask(http::Method::GET, "/v1/pauses").key(&key).send().await.ok()["data"], json!([]));
    visit.turned().await;
    visit.post("/console/pauses", &hold).await.leads();
    assert_eq!(api.ask(http::Method::GET, "/v1/pauses").key(&key).send().await.ok()["data"][0]["everything"], true);
    assert_eq!(api.get("/v1/pauses").await.ok()["data"], json!([]));
    api.stop().await;
}

#[tokio::test]
async fn a_script_that_is_not_signed_in_any_more_has_the_browser_sign_in() {
    let api = Api::start().await;
    let path = "/console/organizations?search=acme";
    let answer = api.stranger().send(http::Method::GET, path, &[("hx-request", "true")], Vec::new()).await;
    let answer = answer.with(401);
    let to = answer.headers["hx-redirect"].to_str().unwrap();
    assert_eq!(to, api.stranger().get(path).await.leads());
    api.stop().await;
}

#[tokio::test]
async fn every_project_can_be_chosen() {
    let api = Api::start().await;
    for number in 0..201 {
        api.post("/v1/projects", json!({"name": format!("p{number}")})).await.created();
    }
    let page = operator(&api, ADMIN).await.get("/console").await.ok();
    let names = page.texts(".session option");
    assert_eq!((names.len(), names[0].as_str()), (202, "default"));
    api.stop().await;
}

#[tokio::test]
async fn a_deprecated_event_type_is_not_offered_and_still_sent() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["job.created", "job.done"]).await;
    let has = api.webhook("acme", json!({"name": "Has it", "url": sink.url, "events": ["job.done"]})).await;
    let visit = operator(&api, ADMIN).await;
    let path = "/console/event-types/edit/job.done";
    let deprecate = "/console/event-types/deprecate/job.done";
    let to = visit.post(deprecate, &[("to", "deprecated")]).await.leads();
    let shown = visit.get(&to).await.ok();
    assert!(shown.only("h1").contains("Deprecated"));
    assert_eq!(visit.get("/console/event-types").await.ok().texts("tbody .pill"), ["Deprecated"]);
    let told = api.get("/v1/event-types/job.done").await.ok();
    assert!(told["deprecated"] == true && told["deprecated_at"].is_string(), "{told}");

    let portal = api.visit("acme").await;
    assert_eq!(portal.get("/portal/catalogue").await.ok().texts("[id='type-job.done'] .pill"), ["Deprecated"]);
    let offered = portal.get("/portal/webhooks/new").await.ok();
    assert_eq!(offered.attributes("input[name=event]", "value"), ["job.created"]);
    let kept = portal.get(&format!("/portal/webhooks/{}/edit", id(&has))).await.ok();
    assert_eq!(kept.attributes("input[name=event][checked]", "value"), ["job.done"]);
    assert_eq!(kept.texts(".picker .pill"), ["Deprecated"]);
    api.event("acme", "job.done").await;
    sink.next().await;

    // A change of something else leaves it so; it is offered again when that is said.
    api.patch("/v1/event-types/job.done", json!({"kind": "Jobs"})).await.ok();
    assert_eq!(visit.get(path).await.ok().only("form button[name=to]"), "Offer it again");
    let again = api.patch("/v1/event-types/job.done", json!({"deprecated": false})).await.ok();
    assert_eq!((&again["deprecated"], &again["deprecated_at"]), (&json!(false), &json!(null)));
    assert_eq!(portal.get("/portal/webhooks/new").await.ok().count("input[name=event]"), 2);
    api.stop().await;
}

#[tokio::test]
async fn a_payload_is_checked_against_the_schema() {
    let api = Api::start().await;
    let schema = json!({"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}});
    api.post("/v1/event-types", json!({"name": "a.b", "schema": schema})).await.created();
    api.post("/v1/event-types", json!({"name": "free"})).await.created();
    // It changes nothing, so a key that reads may.
    let visit = operator(&api, &api.key(&["read"], json!({})).await).await;
    let check = async |name: &str, payload: &str| {
        let path = format!("/console/event-types/check/{name}");
        visit.post(&path, &[("payload", payload)]).await.ok()
    };
    let unfit = check("a.b", "{\"id\": \"x\"}").await;
    assert_eq!(unfit.texts("#check li"), ["/id \"x\" is not of type \"integer\""]);
    assert!(unfit.only("#payload").contains("\"x\""));
    assert_eq!(check("a.b", "{}").await.texts("#check li"), ["the payload \"id\" is a required property"]);
    assert!(check("a.b", "{").await.only("#check li").contains("is no JSON"));
    assert_eq!(check("a.b", "{\"id\": 1}").await.only("#check .notice.good"), "It fits the schema.");
    assert!(check("free", "[]").await.only("#check .notice.good").contains("There is no schema"));
    api.stop().await;
}

#[tokio::test]
async fn an_organization_is_edited_and_deleted_after_a_page_that_names_it() {
    let api = Api::start().await;
    let organization = id(&api.organization("acme").await);
    api.patch("/v1/organizations/acme", json!({"metadata": {"plan": "gold"}})).await.ok();
    api.webhook("acme", json!({})).await;
    api.organization("taken").await;
    let visit = operator(&api, ADMIN).await;
    let path = format!("/console/organizations/{organization}");
    let shown = visit.get(&path).await.ok();
    assert!(shown.texts(".facts dd").contains(&"gold".to_owned()), "{}", shown.text);
    let refused = visit.post(&path, &[("name", "Acme Ltd"), ("external_id", "taken")]).await.with(422);
    assert_eq!(refused.only("#external_id-error"), "External id is taken by another one.");
    assert_eq!(refused.attribute("#name", "value").unwrap(), "Acme Ltd");
    let to = visit.post(&path, &[("name", "Acme Ltd"), ("external_id", "acme-2")]).await.leads();
    assert_eq!(visit.get(&to).await.ok().only("h1"), "Acme Ltd");
    let edited = api.get("/v1/organizations/acme-2").await.ok();
    assert_eq!((&edited["name"], &edited["metadata"]), (&json!("Acme Ltd"), &json!({"plan": "gold"})));
    let asking = visit.get(&format!("{path}/delete")).await.ok();
    assert_eq!(asking.only("h1"), "Delete Acme Ltd?");
    assert!(asking.only(".danger").contains("1 webhook"), "{}", asking.text);
    visit.post(&format!("{path}/delete"), &[]).await.leads();
    api.get("/v1/organizations/acme-2").await.with(404);
    visit.get(&path).await.with(404);
    api.stop().await;
}

#[tokio::test]
async fn an_alert_is_edited_tried_out_and_given_another_secret() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    let visit = operator(&api, ADMIN).await;
    let told = [("name", "Pager"), ("url", sink.url.as_str()), ("event", "delivery.exhausted")];
    let first = visit.post("/console/alerts", &told).await.ok().only(".made code");
    let path = visit.get("/console/alerts").await.ok().attribute("tbody .title", "href").unwrap();
    assert!(!visit.get(&path).await.ok().text.contains(&first), "a secret is shown where it is asked for");
    assert_eq!(
        visit.post(&format!("{path}/secret"), &[]).await.ok().texts(".secrets code"),
        std::slice::from_ref(&first)
    );

    let wrong = visit.post(&path, &[("name", "On call"), ("url", "nonsense")]).await.with(422);
    assert_eq!((wrong.count("#url-error"), wrong.attribute("#name", "value").unwrap()), (1, "On call".to_owned()));
    let changed = [("name", "On call"), ("url", sink.url.as_str()), ("event", "webhook.auto_disabled")];
    let to = visit.post(&path, &changed).await.leads();
    assert!(visit.get(&to).await.ok().only("h1").starts_with("On call"));

    let bad = visit.post(&format!("{path}/secret/rotate"), &[("secret", "too short")]).await.with(422);
    assert_eq!((bad.count("#secret-error"), bad.attribute("#secret", "value")), (1, None));
    visit.post(&format!("{path}/secret/rotate"), &[("overlap", "3600")]).await.leads();
    let both = visit.post(&format!("{path}/secret"), &[]).await.ok().texts(".secrets code");
    assert!(both.len() == 2 && both[1] == first, "{both:?}");

    for kind in ["webhook.auto_disabled", "delivery.exhausted"] {
        let delivery = visit.post(&format!("{path}/test"), &[("event_type", kind)]).await.leads();
        let sent = sink.next().await;
        assert_eq!(sent["type"], kind);
        assert!(sent["data"]["webhook_id"].is_string(), "{sent}");
        // The operator's own deliveries have no portal; they are shown here.
        let shown = until("the attempt", async || {
            let shown = visit.get(&delivery).await.ok();
            (shown.count("details.attempt") == 1).then_some(shown)
        })
        .await;
        assert!(shown.only("h1").starts_with(kind), "{}", shown.text);
        assert_eq!(shown.count("form[action$='/open']"), 0);
    }
    assert_eq!(visit.get(&path).await.ok().count("tbody [data-row]"), 2);
    let listed = visit.get("/console/deliveries").await.ok();
    assert_eq!(listed.texts("td.owner"), ["Alerts (your own)", "Alerts (your own)"]);
    visit.post(&format!("{path}/test"), &[("event_type", "job.created")]).await.with(409);
    api.stop().await;
}

#[tokio::test]
async fn a_key_that_reads_sees_a_delivery_with_its_attempts() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    api.webhook(
        "acme",
        json!({"name": "Shop", "url": sink.url, "retry": {"delays_seconds": [3600, 3600], "jitter": 0}}),
    )
    .await;
    sink.answer(503);
    api.event("acme", "job.created").await;
    sink.next().await;
    let visit = operator(&api, &api.key(&["read"], json!({})).await).await;
    let shown = until("the attempt", async || {
        let listed = visit.get("/console/deliveries").await.ok();
        let path = listed.attribute("tbody .title", "href").unwrap();
        let shown = visit.get(&path).await.ok();
        (shown.count("details.attempt") == 1).then_some(shown)
    })
    .await;
    assert!(shown.only(".request-line").starts_with(&format!("POST {}", sink.url)), "{}", shown.text);
    assert_eq!(shown.texts("h1 .pill"), ["Waiting"]);
    assert_eq!(shown.count("main form"), 0);

    // Who manages sends it again and cancels it.
    let manager = operator(&api, ADMIN).await;
    let path = shown.attribute("[data-copy^=dlv_]", "data-copy").unwrap();
    let path = format!("/console/deliveries/{path}");
    manager.post(&format!("{path}/resend"), &[]).await.leads();
    sink.next().await;
    until("the second attempt", async || (manager.get(&path).await.ok().count("details.attempt") == 2).then_some(()))
        .await;
    let to = manager.post(&format!("{path}/cancel"), &[]).await.leads();
    assert_eq!(manager.get(&to).await.ok().texts("h1 .pill"), ["Cancelled"]);
    let other = api.post("/v1/projects", json!({"name": "other"})).await.created();
    let foreign = operator(&api, &api.key(&["read"], json!({"project": other["name"]})).await).await;
    foreign.get(&path).await.with(404);
    api.stop().await;
}

#[tokio::test]
async fn what_waits_is_cancelled_by_filter_and_the_job_says_of_whom() {
    let api = Api::start_with(local()).await;
    api.event_types(&["job.created"]).await;
    for org in ["acme", "other"] {
        api.organization(org).await;
        let webhook = api.webhook(org, json!({"name": format!("Shop of {org}")})).await;
        api.post(&format!("/v1/organizations/{org}/webhooks/{}/pause", id(&webhook)), json!({})).await.ok();
        api.event(org, "job.created").await;
    }
    let visit = operator(&api, ADMIN).await;
    let list = visit.get("/console/deliveries?organization=acme").await.ok();
    let ask = list.attribute(".list-actions a", "href").unwrap();
    let asking = visit.get(&ask).await.ok();
    assert!(asking.only(".card").contains("1 delivery"), "{}", asking.text);
    let filter = asking.attribute("input[name=list]", "value").unwrap();
    let to = visit.post("/console/deliveries/cancel", &[("list", &filter)]).await.leads();
    let jobs = until("the job", async || {
        let jobs = visit.get(&to).await.ok();
        (jobs.texts("tbody .pill") == ["Done"]).then_some(jobs)
    })
    .await;
    assert_eq!(jobs.only("tbody .title"), "Cancel deliveries");
    assert_eq!(jobs.texts("td[data-label=About] .below"), ["Organization acme"]);
    let states = |org: &'static str| {
        let api = &api;
        async move { api.get(&format!("/v1/organizations/{org}/deliveries")).await.ok()["data"][0]["state"].clone() }
    };
    assert_eq!((states("acme").await, states("other").await), (json!("cancelled"), json!("pending")));
    visit.get("/console/deliveries/cancel?state=delivered").await.with(409);
    // A filter that cannot be read does not become a larger one.
    visit.post("/console/deliveries/cancel", &[("list", "organization=nobody")]).await.with(409);
    // A text finds what it finds in the portal, and a job that is limited to it says so.
    let found = visit.get("/console/deliveries?search=of+other").await.ok();
    assert_eq!(found.texts("td.owner"), ["other"]);
    assert_eq!(visit.get("/console/deliveries?search=nowhere").await.ok().count("tbody tr"), 0);
    let ask = found.attribute(".list-actions a", "href").unwrap();
    assert_eq!(visit.get(&ask).await.ok().texts("main .facts dd"), ["of other"]);
    visit.post("/console/deliveries/cancel", &[("list", "search=of+other")]).await.leads();
    let jobs = visit.get("/console/jobs").await.ok();
    assert_eq!(jobs.texts("tbody tr:first-child td[data-label=About] .below"), ["Search of other"]);
    let webhooks = api.get("/v1/organizations/other/webhooks").await.ok();
    let recover = format!("/v1/organizations/other/webhooks/{}/recover", id(&webhooks["data"][0]));
    api.post(&recover, json!({"since": "2026-01-01T00:00:00Z"})).await.accepted();
    let jobs = visit.get("/console/jobs").await.ok();
    let about = jobs.texts("tbody tr:first-child td[data-label=About] .below");
    assert_eq!(about[..2], ["Organization other", "Webhook Shop of other"], "{about:?}");
    api.stop().await;
}

#[tokio::test]
async fn the_system_page_says_how_much_goes_through() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    api.webhook("acme", json!({"url": sink.url})).await;
    api.event("acme", "job.created").await;
    sink.next().await;
    let visit = operator(&api, ADMIN).await;
    until("the figures", async || {
        let page = visit.get("/console/system").await.ok();
        let labels = page.texts(".figure h3");
        let notes = page.texts(".figure .muted");
        let of = |label: &str| labels.iter().position(|known| known == label).map(|at| notes[at].clone());
        let counted = |label| of(label).is_some_and(|note| note.ends_with("in the last hour, 1 in all"));
        ["Events a second", "Deliveries a second", "Attempts a second"].into_iter().all(counted).then_some(())
    })
    .await;
    api.stop().await;
}
