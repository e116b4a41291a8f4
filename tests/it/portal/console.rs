//! The operator's console: who gets in, what a key lets do, and that every page shows what it is about.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;

use super::{Seen, Visit, id};
use crate::api::sending::{Sink, local, until};
use crate::api::{ADMIN, Api};

const PAGES: [&str; 12] = [
    "/console",
    "/console/organizations",
    "/console/failing",
    "/console/deliveries",
    "/console/event-types",
    "/console/event-types/new",
    "/console/profiles",
    "/console/api-keys",
    "/console/pauses",
    "/console/jobs",
    "/console/alerts",
    "/console/system",
];
const SAME_ORIGIN: [(&str, &str); 1] = [("sec-fetch-site", "same-origin")];

async fn try_key(api: &Api, key: &str) -> Seen {
    api.stranger().send(Method::POST, "/console/sign-in", &SAME_ORIGIN, vec![("key", key)]).await
}

/// Signs in at the console.
pub(super) async fn operator(api: &Api, key: &str) -> Visit {
    enter(api, try_key(api, key).await).await
}

/// Goes on from the answer that signs in.
async fn enter(api: &Api, answer: Seen) -> Visit {
    let mut visit = api.stranger();
    visit.cookie = answer.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    assert!(visit.get(&answer.leads()).await.leads().starts_with("/console"));
    visit.turned().await;
    visit
}

impl Visit {
    /// Reads from a page what its forms carry.
    pub(super) async fn turned(&mut self) {
        let page = self.get("/console/event-types/new").await.ok();
        self.mark = page.attribute("input[name=form_mark]", "value").unwrap();
        self.project = page.attribute("input[name=of_project]", "value").unwrap();
    }
}

#[tokio::test]
async fn the_admin_key_signs_in_and_out() {
    let api = Api::start().await;
    for path in PAGES {
        let to = api.stranger().get(path).await.leads();
        assert!(to.starts_with("/console/sign-in"), "{path} leads to {to}");
    }
    let answer = try_key(&api, ADMIN).await;
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    for part in ["__Host-fanfare-console=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"] {
        assert!(cookie.contains(part), "{cookie} lacks {part}");
    }
    let visit = enter(&api, answer).await;
    for path in PAGES {
        let page = visit.get(path).await.ok();
        assert_eq!(page.headers["x-frame-options"], "DENY");
        assert_eq!(page.count("h1"), 1, "{path}");
    }
    // A session of the console is none of the portal.
    let mut portal = api.stranger();
    portal.cookie = visit.cookie.replace("fanfare-console", "fanfare-portal");
    portal.get("/portal/webhooks").await.with(401);
    assert_eq!(visit.post("/console/sign-out", &[]).await.leads(), "/console/sign-in");
    assert!(visit.get("/console").await.leads().starts_with("/console/sign-in"));
    api.stop().await;
}

#[tokio::test]
async fn one_comes_back_to_the_wanted_page_and_nowhere_else() {
    let api = Api::start().await;
    let asked = api.stranger().get("/console/deliveries?state=exhausted").await.leads();
    let form = api.stranger().get(&asked).await.ok();
    let to = form.attribute("input[name=to]", "value").unwrap();
    assert_eq!(to, "/console/deliveries?state=exhausted");
    for (wanted, leads) in [(to.as_str(), to.as_str()), ("//evil.example", "/console"), ("/portal", "/console")] {
        let fields = vec![("key", ADMIN), ("to", wanted)];
        let answer = api.stranger().send(Method::POST, "/console/sign-in", &SAME_ORIGIN, fields).await;
        let mut visit = api.stranger();
        visit.cookie = answer.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        assert_eq!(visit.get(&answer.leads()).await.leads(), leads);
    }
    api.stop().await;
}

#[tokio::test]
async fn keys_that_see_no_whole_project_do_not_open_it() {
    let api = Api::start().await;
    api.organization("acme").await;
    let now = api.app().now();
    let bound = api.key(&["manage"], json!({"organization": "acme"})).await;
    let posting = api.key(&["events:write"], json!({})).await;
    let ending = api.key(&["read"], json!({"expires_at": now.plus(Duration::from_secs(60))})).await;
    let visit = operator(&api, &ending).await;
    api.clock.advance(Duration::from_secs(60));
    // What it opened is over with it.
    assert!(visit.get("/console").await.leads().starts_with("/console/sign-in"));
    for key in [&bound, &posting, &ending, "ffk_wrong", ""] {
        let refused = try_key(&api, key).await.with(401);
        assert!(refused.only("[role=alert]").contains("does not open the console"), "{}", refused.text);
        assert!(!refused.headers.contains_key("set-cookie"));
    }
    api.stop().await;
}

#[tokio::test]
async fn wrong_keys_are_slowed_down_and_keep_nobody_out() {
    let api = Api::start().await;
    let router = api.stranger();
    let attempt =
        async |key: &str| router.send(Method::POST, "/console/sign-in", &SAME_ORIGIN, vec![("key", key)]).await;
    let made = api.key(&["manage"], json!({})).await;
    attempt(ADMIN).await.leads();
    for _ in 0..20 {
        attempt("wrong").await.with(401);
    }
    attempt("wrong").await.with(429);
    // Whoever tries wrong keys takes none of the right ones' tries.
    attempt(ADMIN).await.leads();
    attempt(&made).await.leads();
    api.clock.advance(Duration::from_secs(3));
    attempt("wrong").await.with(401);
    attempt("wrong").await.with(429);
    api.stop().await;
}

#[tokio::test]
async fn a_deleted_key_ends_its_sessions() {
    let api = Api::start().await;
    let key = api.key(&["manage"], json!({})).await;
    let visit = operator(&api, &key).await;
    let listed = api.get("/v1/api-keys").await.ok();
    api.delete(&format!("/v1/api-keys/{}", id(&listed["data"][0]))).await.gone();
    assert!(visit.get("/console").await.leads().starts_with("/console/sign-in"));
    api.stop().await;
}

#[tokio::test]
async fn a_key_that_reads_changes_nothing() {
    let api = Api::start().await;
    let organization = id(&api.organization("acme").await);
    let visit = operator(&api, &api.key(&["read"], json!({})).await).await;
    for path in PAGES {
        let page = visit.get(path).await.ok();
        let forms = page.attributes("form[method=post]", "action");
        assert_eq!(forms.iter().filter(|action| !action.starts_with("/console/event-types/new")).count(), 1, "{path}");
        assert_eq!(page.count(".session .pill"), 1);
    }
    for (path, fields) in [
        ("/console/organizations".to_owned(), vec![("name", "New")]),
        (format!("/console/organizations/{organization}/open"), Vec::new()),
        ("/console/event-types/new".to_owned(), vec![("name", "a.b")]),
        ("/console/api-keys".to_owned(), vec![("name", "Mine"), ("scope", "manage")]),
        ("/console/pauses".to_owned(), vec![("what", "everything")]),
        ("/console/alerts".to_owned(), vec![("url", "https://example.com")]),
    ] {
        let refused = visit.post(&path, &fields).await.with(403);
        assert_eq!(refused.only("h1"), "You may not do this", "{path}");
        assert!(!refused.headers.contains_key("set-cookie"), "{path}");
    }
    for list in ["/v1/pauses", "/v1/operator-webhooks", "/v1/event-types"] {
        assert_eq!(api.get(list).await.ok()["data"], json!([]), "{list}");
    }
    assert_eq!(api.get("/v1/api-keys").await.ok()["data"].as_array().unwrap().len(), 1);
    api.stop().await;
}

#[tokio::test]
async fn forms_of_others_are_not_carried_out() {
    let api = Api::start().await;
    let visit = operator(&api, ADMIN).await;
    let fields = || vec![("form_mark", visit.mark.as_str()), ("what", "everything")];
    let from = |site| [("sec-fetch-site", site)];
    for site in ["cross-site", "same-site"] {
        visit.send(Method::POST, "/console/pauses", &from(site), fields()).await.with(403);
    }
    let unmarked = vec![("what", "everything")];
    visit.send(Method::POST, "/console/pauses", &SAME_ORIGIN, unmarked).await.with(403);
    let other = operator(&api, ADMIN).await;
    let foreign = vec![("form_mark", other.mark.as_str()), ("what", "everything")];
    visit.send(Method::POST, "/console/pauses", &SAME_ORIGIN, foreign).await.with(403);
    assert_eq!(api.get("/v1/pauses").await.ok()["data"], json!([]));
    let own = [fields(), vec![("of_project", visit.project.as_str())]].concat();
    visit.send(Method::POST, "/console/pauses", &SAME_ORIGIN, own).await.leads();
    assert_eq!(api.get("/v1/pauses").await.ok()["data"][0]["everything"], true);
    api.stop().await;
}

#[tokio::test]
async fn what_is_another_projects_is_not_there() {
    let api = Api::start().await;
    let other = api.post("/v1/projects", json!({"name": "other"})).await.created();
    let organization = id(&api.organization("canary").await);
    let webhook = id(&api.webhook("canary", json!({})).await);
    let key = api.key(&["manage"], json!({"project": "other"})).await;
    let visit = operator(&api, &key).await;
    for path in PAGES {
        assert!(!visit.get(path).await.ok().text.contains("canary"), "{path}");
    }
    visit.post(&format!("/console/organizations/{organization}/open"), &[]).await.with(404);
    visit.post(&format!("/console/alerts/{webhook}/delete"), &[]).await.with(404);
    let filtered = visit.get("/console/deliveries?organization=canary").await.ok();
    assert!(filtered.only("[role=alert]").contains("no organization"), "{}", filtered.text);
    visit.post("/console/project", &[("project", "default")]).await.with(404);
    // The admin key goes from one project to another.
    let admin = operator(&api, ADMIN).await;
    assert!(admin.get("/console/organizations").await.ok().text.contains("canary"));
    assert_eq!(admin.post("/console/project", &[("project", &id(&other))]).await.leads(), "/console");
    let moved = admin.get("/console/organizations").await.ok();
    assert!(!moved.text.contains("canary"));
    assert_eq!(moved.only(".session option[selected]"), "other");
    api.stop().await;
}

#[tokio::test]
async fn an_operator_opens_an_organizations_portal() {
    let api = Api::start().await;
    let organization = id(&api.organization("acme").await);
    let webhook = id(&api.webhook("acme", json!({"name": "ERP"})).await);
    let visit = operator(&api, ADMIN).await;
    let path = format!("/console/organizations/{organization}/open");
    let wanted = format!("/portal/webhooks/{webhook}");
    for (to, leads) in [(wanted.as_str(), wanted.as_str()), ("https://evil.example", "/portal/webhooks")] {
        let opened = visit.post(&path, &[("to", to)]).await;
        let mut portal = api.stranger();
        portal.cookie = opened.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        assert!(portal.cookie.starts_with("__Host-fanfare-portal="));
        assert_eq!(opened.leads(), leads);
        assert!(portal.get(&wanted).await.ok().only("h1").starts_with("ERP"));
    }
    api.stop().await;
}

#[tokio::test]
async fn lists_and_charts_show_what_happened() {
    let good = Sink::start().await;
    let api = Api::start_with(local()).await;
    api.event_types(&["job.created"]).await;
    for org in ["acme", "other"] {
        api.organization(org).await;
    }
    let visit = operator(&api, ADMIN).await;
    assert_eq!(visit.get("/console").await.ok().count(".chart"), 0);
    api.webhook("acme", json!({"name": "Shop", "url": good.url})).await;
    api.event("acme", "job.created").await;
    api.until_state("delivered", 1).await;
    // Nobody listens there any more.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/");
    let broken = json!({"name": "Broken", "url": url, "retry": {"delays_seconds": [], "jitter": 0}});
    api.webhook("other", broken).await;
    for failed in 1..=5 {
        assert_eq!(visit.get("/console/failing").await.ok().count("tbody .title"), 0, "{failed} is not yet failing");
        api.event("other", "job.created").await;
        api.until_state("exhausted", failed).await;
    }
    let failing = visit.get("/console/failing").await.ok();
    assert_eq!(failing.texts("tbody .title"), ["Broken"]);
    let deliveries = visit.get("/console/deliveries").await.ok();
    assert_eq!(deliveries.count("tbody [data-row]"), 6);
    let filtered = visit.get("/console/deliveries?organization=other&state=exhausted").await.ok();
    assert_eq!(filtered.count("tbody [data-row]"), 5);
    assert_eq!(visit.get("/console/deliveries?state=cancelled").await.ok().count("tbody [data-row]"), 0);
    // Figures are written a moment after what they count.
    let overview = until("the figures", async || {
        let overview = visit.get("/console?range=1h").await.ok();
        let counted = overview.texts(".chart.volume tbody td");
        (counted == ["1", "0", "0", "5", "0"]).then_some(overview)
    })
    .await;
    assert_eq!(overview.texts(".chart.codes tbody td"), ["1", "0", "0", "0", "5"]);
    assert_eq!(overview.texts(".chart.failures tbody td"), ["83.3 %"]);
    assert_eq!(overview.count(".chart .plot svg.field"), 4);
    assert_eq!(overview.only(".ranges [aria-current]"), "1 hour");
    let named = api.get("/v1/organizations/acme/webhooks").await.ok();
    let page = api.visit("acme").await.get(&format!("/portal/webhooks/{}?range=7d", id(&named["data"][0]))).await.ok();
    assert_eq!(page.only(".ranges [aria-current]"), "7 days");
    assert_eq!(page.texts(".chart.volume tbody td")[..2], ["1", "0"]);
    api.stop().await;
}

#[tokio::test]
async fn what_is_set_up_can_be_changed() {
    let api = Api::start().await;
    let visit = operator(&api, ADMIN).await;
    visit.post("/console/organizations", &[("name", "Acme"), ("external_id", "acme")]).await.leads();
    let taken = visit.post("/console/organizations", &[("name", "<b>"), ("external_id", "acme")]).await.with(422);
    assert!(taken.only("[role=alert]").contains("taken"), "{}", taken.text);
    assert_eq!(taken.only("#external_id-error"), "External id is taken by another one.");
    assert_eq!(taken.attribute("#external_id", "aria-describedby").unwrap(), "external_id-error");
    assert!(taken.attribute("#external_id", "autofocus").is_some());
    assert_eq!(taken.attribute("#name", "value").unwrap(), "<b>");

    let draft = [
        ("name", "job.done/1"),
        ("kind", "Jobs"),
        ("example", "{\"id\": \"x\"}"),
        ("schema", "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"integer\"}}}"),
    ];
    let unfit = visit.post("/console/event-types/new", &draft).await.with(422);
    assert_eq!((unfit.count("#example-error"), unfit.count("#schema-error")), (1, 0));
    assert!(unfit.only("[role=alert]").contains("does not fit the schema"), "{}", unfit.text);
    let fit = draft.map(|(name, value)| (name, if name == "example" { "{\"id\": 1}" } else { value }));
    visit.post("/console/event-types/new", &fit).await.leads();
    let path = visit.get("/console/event-types").await.ok().attribute("tbody .title", "href").unwrap();
    let shown = visit.get(&path).await.ok();
    assert!(shown.only("#example").contains("\"id\": 1"));
    let version = ("version", shown.attribute("input[name=version]", "value").unwrap());
    let version = (version.0, version.1.as_str());
    visit.post(&path, &[version, ("kind", ""), ("description", "It is done"), ("example", "")]).await.leads();
    let saved = api.get("/v1/event-types").await.ok();
    assert_eq!((&saved["data"][0]["kind"], &saved["data"][0]["description"]), (&json!(null), &json!("It is done")));
    // What was written since the form was loaded is not written over unseen, whatever else is wrong with the form.
    let broken = visit.post(&path, &[version, ("schema", "{")]).await.with(422);
    assert!(broken.only("#schema-error").contains("is no JSON"), "{}", broken.text);
    let mended = ("version", broken.attribute("input[name=version]", "value").unwrap());
    let mended = [(mended.0, mended.1.as_str()), ("kind", "Other"), ("schema", "{}")];
    let late = visit.post(&path, &mended).await.with(409);
    assert!(late.only("[role=alert]").contains("changed by somebody else"), "{}", late.text);
    assert_eq!((late.attribute("#kind", "value").unwrap().as_str(), late.only("#schema").as_str()), ("Other", "{}"));
    assert_eq!(api.get("/v1/event-types/job.done%2F1").await.ok()["kind"], json!(null));
    let seen = late.attribute("input[name=version]", "value").unwrap();
    // Nor where two save at once.
    let save = [("version", seen.as_str()), ("kind", "Other")];
    let (one, other) = tokio::join!(visit.post(&path, &save), visit.post(&path, &save));
    let mut statuses = [one, other].map(|seen| seen.status.as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 409]);
    assert_eq!(api.get("/v1/event-types/job.done%2F1").await.ok()["kind"], "Other");
    visit.post(&path.replace("/edit/", "/delete/"), &[]).await.leads();
    assert_eq!(visit.get("/console/event-types").await.ok().count("tbody tr"), 0);

    let fields = [("name", "Shop"), ("scope", "read"), ("organization", "acme"), ("expires_at", "2030-01-31T12:00")];
    let made = visit.post("/console/api-keys", &fields).await.ok();
    let key = made.only(".made code");
    assert!(!visit.get("/console/api-keys").await.ok().text.contains(&key), "a key is shown once");
    let listed = api.get("/v1/api-keys").await.ok();
    assert_eq!(listed["data"][0]["expires_at"], "2030-01-31T12:00:00.000Z");
    let nameless = visit.post("/console/api-keys", &[("name", ""), ("scope", "read"), ("user", "u1")]).await.with(422);
    assert_eq!(nameless.count(".more-card[open] .error"), 2);
    assert_eq!(nameless.attributes("[autofocus]", "id"), ["name"]);
    assert_eq!(nameless.count("input[value=read][checked]"), 1);
    visit.post(&format!("/console/api-keys/{}/delete", id(&listed["data"][0])), &[]).await.leads();
    assert_eq!(api.get("/v1/api-keys").await.ok()["data"], json!([]));

    for (what, field) in [("host", ("host", "hooks.example.com")), ("organization", ("organization", "acme"))] {
        visit.post("/console/pauses", &[("what", what), field]).await.leads();
    }
    visit.post("/console/pauses", &[("what", "host"), ("host", "https://x")]).await.with(422).only("#host-error");
    let held = visit.get("/console/pauses").await.ok();
    assert_eq!(held.texts("tbody .title"), ["The organization Acme", "Requests to hooks.example.com"]);
    for end in held.attributes("tbody form", "action") {
        visit.post(&end, &[]).await.leads();
    }
    assert_eq!(api.get("/v1/pauses").await.ok()["data"], json!([]));

    let told = [("name", "Pager"), ("url", "https://93.184.216.34/alerts"), ("event", "delivery.exhausted")];
    let wrong = visit.post("/console/alerts", &[("name", "Pager"), ("url", "nonsense")]).await.with(422);
    assert_eq!(wrong.attribute("#url", "aria-invalid").unwrap(), "true");
    assert_eq!(wrong.attribute("#name", "value").unwrap(), "Pager");
    let added = visit.post("/console/alerts", &told).await.ok();
    assert!(added.only(".made code").starts_with("whsec_"), "{}", added.text);
    let own = api.get("/v1/operator-webhooks").await.ok();
    assert_eq!(own["data"][0]["events"], json!(["delivery.exhausted"]));
    let below = format!("/console/alerts/{}", id(&own["data"][0]));
    visit.post(&format!("{below}/switch"), &[("to", "off")]).await.leads();
    assert_eq!(visit.get("/console/alerts").await.ok().only("tbody .pill"), "Off");
    visit.post(&format!("{below}/delete"), &[]).await.leads();
    assert_eq!(api.get("/v1/operator-webhooks").await.ok()["data"], json!([]));
    api.stop().await;
}

#[tokio::test]
async fn every_profile_is_shown_with_a_request() {
    let api = Api::start().await;
    let visit = operator(&api, ADMIN).await;
    let paths = visit.get("/console/profiles").await.ok().attributes("a.profile", "href");
    assert!(paths.len() > 5, "{paths:?}");
    for path in paths {
        let page = visit.get(&path).await.ok();
        assert_eq!(page.count("pre.request"), 1, "{path}: {}", page.text);
        assert!(page.texts("pre").concat().contains("curl --globoff --request"), "{path}");
    }
    let chosen = visit.get("/console/profiles/one-click-contractor?event_type=job.nothing").await.ok();
    assert!(chosen.only(".notice.bad").contains("is no event type"), "{}", chosen.text);
    visit.get("/console/profiles/none").await.with(404);
    api.stop().await;
}

#[tokio::test]
async fn jobs_are_listed_and_stopped() {
    let api = Api::start().await;
    api.organization("acme").await;
    let visit = operator(&api, ADMIN).await;
    let job = api.post("/v1/deliveries/resend", json!({"state": "exhausted"})).await.accepted();
    let listed = visit.get("/console/jobs").await.ok();
    assert_eq!(listed.only("tbody .title"), "Send deliveries again");
    assert!(listed.text.contains(job["job_id"].as_str().unwrap()));
    visit.post("/console/jobs/job_0000000000000/cancel", &[]).await.with(404);
    api.stop().await;
}

#[tokio::test]
async fn a_portal_opened_from_the_console_ends_with_it() {
    let api = Api::start().await;
    api.organization("acme").await;
    let key = api.key(&["manage"], json!({"name": "operator"})).await;
    for ended_by in ["sign-out", "the key's end"] {
        let console = operator(&api, &key).await;
        let opened = console.post("/console/organizations/acme/open", &[]).await;
        let mut portal = api.stranger();
        portal.cookie = opened.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        portal.get("/portal/webhooks").await.ok();
        if ended_by == "sign-out" {
            console.post("/console/sign-out", &[]).await.leads();
        } else {
            let listed = api.get("/v1/api-keys").await.ok();
            api.delete(&format!("/v1/api-keys/{}", id(&listed["data"][0]))).await.gone();
        }
        assert_eq!(portal.get("/portal/webhooks").await.with(401).only("h1"), "Your visit has ended", "{ended_by}");
    }
    api.stop().await;
}
