//! Adding and editing a webhook by the form.

use fanfare::config::Sources;
use serde_json::{Value, json};

use super::{Seen, Visit, id};
use crate::api::{Api, URL};

const NEW: &str = "/portal/webhooks/new";

async fn of_profile(profile: &str) -> (Api, Visit) {
    let sources = Sources { profile: Some(profile.to_owned()), ..Sources::default() };
    let api = Api::start_with(sources).await;
    api.organization("acme").await;
    let visit = api.visit("acme").await;
    (api, visit)
}

async fn only_webhook(api: &Api) -> Value {
    let listed = api.get("/v1/organizations/acme/webhooks").await.ok();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1, "{listed}");
    listed["data"][0].clone()
}

/// The names of the fields that a person can fill in.
fn fields(seen: &Seen) -> Vec<String> {
    let mut names = seen.attributes(".form input:not([type=hidden]), .form select", "name");
    names.dedup();
    names
}

#[tokio::test]
async fn a_webhook_is_added_with_everything_set() {
    let (api, visit) = of_profile("standard").await;
    api.event_types(&["job.created", "job.done"]).await;
    let form = visit.get(NEW).await.ok();
    assert_eq!(
        fields(&form),
        [
            "name",
            "url",
            "events",
            "event",
            "filter_type",
            "filter_id",
            "auth",
            "username",
            "password",
            "token",
            "secret",
            "header_name",
            "header_value",
            "retry",
            "delays",
            "rate_limit",
            "rate_unit",
            "timeout",
            "enabled"
        ]
    );
    assert_eq!(form.attribute("input[name=delays]", "value").unwrap(), "5s 5m 30m 2h 5h 10h 14h 20h 1d");
    let list = visit
        .post(
            NEW,
            &[
                ("name", " Orders "),
                ("url", URL),
                ("events", "some"),
                ("event", "job.created"),
                ("event", "job.done"),
                ("filter_type", "Company"),
                ("filter_id", "7"),
                ("auth", "basic"),
                ("username", "ada"),
                ("password", "open sesame"),
                ("header_name", "X-Tenant"),
                ("header_value", "acme"),
                ("header_name", ""),
                ("header_value", ""),
                ("retry", "own"),
                ("delays", "30s, 5m"),
                ("rate_limit", "20"),
                ("rate_unit", "minute"),
                ("timeout", "9"),
                ("enabled", "yes"),
            ],
        )
        .await
        .leads();
    assert_eq!(list, "/portal/webhooks?done=added");
    assert_eq!(visit.get(&list).await.ok().only("[role=status].notice"), "The webhook was added.");
    let made = only_webhook(&api).await;
    for (field, value) in [
        ("name", json!("Orders")),
        ("url", json!(URL)),
        ("events", json!(["job.created", "job.done"])),
        ("filter", json!({"type": "Company", "id": "7"})),
        ("auth", json!({"type": "basic", "username": "ada", "password": null})),
        ("headers", json!({"X-Tenant": "acme"})),
        ("retry", json!({"delays_seconds": [30, 300], "jitter": 0.1})),
        ("rate_limit", json!({"per_minute": 20})),
        ("timeout_seconds", json!(9)),
        ("status", json!("active")),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    api.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_said_at_its_field_and_typed_values_stay() {
    let (api, visit) = of_profile("standard").await;
    api.event_types(&["job.created"]).await;
    let typed = [
        ("name", "Orders"),
        ("url", "ftp://example.com"),
        ("events", "some"),
        ("auth", "bearer"),
        ("header_name", "Host"),
        ("header_value", "x"),
        ("retry", "own"),
        ("delays", "5m"),
        ("rate_limit", "20000"),
        ("timeout", "61"),
    ];
    let seen = visit.post(NEW, &typed).await.with(422);
    assert_eq!(seen.only("#url-error"), "URL must start with https:// or http://.");
    for field in ["events", "auth", "headers", "rate_limit", "timeout"] {
        assert_eq!(seen.count(&format!("#{field}-error")), 1, "{field}: {}", seen.text);
        assert_eq!(seen.attribute(&format!("#{field}"), "aria-describedby").unwrap(), format!("{field}-error"));
    }
    assert_eq!(seen.attributes("[autofocus]", "id"), ["url"], "the first that is wrong has the focus");
    assert_eq!(seen.attribute("[role=alert] a", "href").unwrap(), "#url");
    assert_eq!(seen.count("#name-error"), 0);
    for (name, value) in
        [("name", "Orders"), ("url", "ftp://example.com"), ("header_name", "Host"), ("rate_limit", "20000")]
    {
        assert_eq!(seen.attribute(&format!(".form input[name={name}]"), "value").unwrap(), value);
    }
    assert_eq!(seen.attribute("input[name=auth][checked]", "value").unwrap(), "bearer");
    assert_eq!(seen.attribute("input[name=events][checked]", "value").unwrap(), "some");
    assert_eq!(seen.attribute("input[name=enabled]", "checked"), None, "it was taken away");

    for (field, value, error) in [
        ("delays", "5m soon", "Retries has soon, which is no span such as 30s, 5m, 2h or 1d."),
        ("rate_limit", "many", "Rate limit must be a whole number."),
        ("url", "https://10.0.0.1/", ""),
        ("url", "", ""),
    ] {
        let fields: Vec<(&str, &str)> = [("url", URL), ("events", "all"), ("retry", "own")]
            .into_iter()
            .filter(|(name, _)| *name != field)
            .collect();
        let seen = visit.post(NEW, &[fields, vec![(field, value)]].concat()).await.with(422);
        let shown = seen.only("p.error");
        assert!(error.is_empty() && shown.starts_with("URL ") || shown == error, "{shown}");
    }
    let listed = api.get("/v1/organizations/acme/webhooks").await.ok();
    assert_eq!(listed["data"], json!([]));
    api.stop().await;
}

#[tokio::test]
async fn editing_keeps_what_is_secret() {
    let (api, visit) = of_profile("standard").await;
    let settings = json!({"name": "Orders", "auth": {"type": "basic", "username": "ada", "password": "canary-1"},
        "headers": {"X-Api-Key": "canary-2", "X-Any": "seen"}, "retry": {"delays_seconds": [5], "jitter": 0.5}});
    let webhook = id(&api.webhook("acme", settings).await);
    let path = format!("/portal/webhooks/{webhook}/edit");
    let form = visit.get(&path).await.ok();
    assert!(!form.text.contains("canary"), "{}", form.text);
    assert_eq!(form.attributes("input[name=header_value]", "value"), ["****", "seen"]);
    assert_eq!(form.count("input[name=enabled]"), 0, "switching is done elsewhere");
    let fields = [
        ("name", "Renamed"),
        ("url", URL),
        ("events", "all"),
        ("auth", "basic"),
        ("username", "bob"),
        ("password", ""),
        ("header_name", "X-Api-Key"),
        ("header_value", "****"),
        ("retry", "own"),
        ("delays", "5s 10s"),
    ];
    assert_eq!(visit.post(&path, &fields).await.leads(), format!("/portal/webhooks/{webhook}?done=saved"));
    let row = fanfare_store::catalogue::webhooks::by_id;
    let known = only_webhook(&api).await;
    assert_eq!((&known["name"], &known["retry"]["jitter"]), (&json!("Renamed"), &json!(0.5)));
    let organization = known["organization_id"].as_str().unwrap().parse_id();
    let row = api.app().store.read_one(row(organization, webhook.parse_id())).await.unwrap().unwrap();
    let credentials = api.app().vault.open_credentials(row.id, &row.sealed).unwrap();
    assert_eq!(credentials.headers, [("X-Api-Key".to_owned(), "canary-2".to_owned())]);
    let auth = fanfare_engine::webhook::Auth::Basic { username: "bob".to_owned(), password: "canary-1".to_owned() };
    assert_eq!(credentials.auth, Some(auth));
    api.stop().await;
}

/// Reads an id of the API.
trait ParseId {
    fn parse_id<T: TryParse>(&self) -> T;
}

trait TryParse: Sized {
    fn try_parse(text: &str) -> Option<Self>;
}

impl TryParse for fanfare_engine::id::WebhookId {
    fn try_parse(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

impl TryParse for fanfare_engine::id::OrganizationId {
    fn try_parse(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

impl ParseId for str {
    fn parse_id<T: TryParse>(&self) -> T {
        T::try_parse(self).unwrap()
    }
}

#[tokio::test]
async fn a_further_header_can_be_added_without_scripts() {
    let (api, visit) = of_profile("standard").await;
    let fields = [("name", "n"), ("header_name", "X-A"), ("header_value", "1"), ("more", "headers"), ("auth", "none")];
    let seen = visit.post(NEW, &fields).await.ok();
    assert_eq!(seen.attributes("input[name=header_name]", "value"), ["X-A", ""]);
    assert_eq!(seen.count(".error"), 0);
    api.stop().await;
}

#[tokio::test]
async fn the_form_offers_what_each_system_knows() {
    let (api, hosts) = of_profile("enate").await;
    let rights = json!({"roles": ["ProcessBuilder"], "grants": "all"});
    api.put("/v1/organizations/acme/users/builder", rights).await.created();
    let visit = api.visit_as("acme", json!({"user": "builder"})).await;
    let form = visit.get(NEW).await.ok();
    assert_eq!(form.attributes("input[name=event]", "type"), ["radio"; 6], "one event for each webhook");
    let names = form.attributes("input[name=event]", "value");
    assert_eq!(names[0], "PacketCreated");
    assert!(
        form.texts(".rule")[0].contains("needs a filter on Company (31), Contract (215), Service (217), Process (911)")
    );
    assert_eq!(form.attributes("select[name=filter_type] option", "value")[1], "Company");
    assert_eq!(form.count("[data-add-header]"), 0, "one header pair");
    for absent in ["auth", "secret", "method", "content_type", "retry", "events"] {
        assert_eq!(form.count(&format!("[name={absent}]")), 0, "{absent}");
    }
    let fields = [("name", ""), ("url", URL), ("event", "PacketCreated"), ("enabled", "yes")];
    let seen = visit.post(NEW, &fields).await.with(422);
    assert!(seen.only("#filter-error").contains("is required"), "{}", seen.text);
    let with_filter = |id| [("filter_type", "Company"), ("filter_id", id)];
    let seen = visit.post(NEW, &[fields.as_slice(), &with_filter("c-1")].concat()).await.with(422);
    assert!(seen.only("#filter-error").contains("must be a GUID"), "{}", seen.text);
    let company = "0a3f7d0e-2f7e-4d59-8f39-3c5a1b0f1e01";
    // Whose right is asked for at each message must be somebody.
    let seen = hosts.post(NEW, &[fields.as_slice(), &with_filter(company)].concat()).await.with(422);
    assert!(seen.text.contains("Owner is required"), "{}", seen.text);
    visit.post(NEW, &[fields.as_slice(), &with_filter(company)].concat()).await.leads();
    assert_eq!(only_webhook(&api).await["filter"], json!({"type": "Company", "id": company}));
    api.stop().await;

    let (api, visit) = of_profile("etlworks").await;
    let form = visit.get(NEW).await.ok();
    assert_eq!(form.attributes("input[name=method]", "value"), ["POST", "GET"]);
    assert_eq!(form.attributes("input[name=content_type]", "value").len(), 2);
    for offered in ["include_entity", "username", "secret", "header_name"] {
        assert_eq!(form.count(&format!("[name={offered}]")), 1, "{offered}");
    }
    assert_eq!(form.count("[name=token]"), 0, "basic authentication only");
    let fields = [
        ("url", URL),
        ("events", "all"),
        ("method", "GET"),
        ("content_type", "application/x-www-form-urlencoded"),
        ("include_entity", "yes"),
        ("auth", "none"),
    ];
    visit.post(NEW, &fields).await.leads();
    let made = only_webhook(&api).await;
    assert_eq!((&made["method"], &made["include_entity"]), (&json!("GET"), &json!(true)));
    api.stop().await;

    let (api, visit) = of_profile("one-click-contractor").await;
    let form = visit.get(NEW).await.ok();
    assert_eq!(form.texts(".group legend"), ["Job", "Estimate", "Signed Document", "Signable Document"]);
    assert_eq!(form.attribute("[name=enabled]", "checked"), None, "a new webhook is deactivated");
    assert_eq!(form.attribute("[name=events][value=all]", "checked"), None, "events have to be chosen");
    let seen =
        visit.post(NEW, &[("name", ""), ("url", "http://example.com/"), ("event", "job.created")]).await.with(422);
    assert_eq!(seen.only("#url-error"), "URL must start with https://.");
    assert_eq!(seen.only("#name-error"), "Name is required.");
    let list = visit.post(NEW, &[("name", "CRM"), ("url", URL), ("event", "job.created")]).await.leads();
    assert_eq!(visit.get(&list).await.ok().only("tbody .pill"), "Off");
    api.stop().await;
}

#[tokio::test]
async fn what_somebody_else_saved_is_not_undone_unseen() {
    let (api, visit) = of_profile("standard").await;
    let webhook = id(&api.webhook("acme", json!({"name": "Orders"})).await);
    let path = format!("/portal/webhooks/{webhook}/edit");
    let version = visit.get(&path).await.ok().attribute("input[name=version]", "value").unwrap();
    let own = format!("/v1/organizations/acme/webhooks/{webhook}");
    let theirs = "https://93.184.216.35/theirs";
    api.patch(&own, json!({"url": theirs})).await.ok();
    let typed = |version| [("name", "Renamed"), ("url", URL), ("events", "all"), ("version", version)];
    let refused = visit.post(&path, &typed(&version)).await.with(409);
    assert!(refused.only("[role=alert]").contains("Somebody else changed this webhook"), "{}", refused.text);
    assert_eq!(refused.attribute("#name", "value").unwrap(), "Renamed", "what was typed stays");
    assert_eq!(refused.attribute("[role=alert] a", "href").unwrap(), format!("/portal/webhooks/{webhook}"));
    assert_eq!(api.get(&own).await.ok()["url"], theirs);
    let newer = refused.attribute("input[name=version]", "value").unwrap();
    visit.post(&path, &typed(&newer)).await.leads();
    let saved = api.get(&own).await.ok();
    assert_eq!((&saved["name"], &saved["url"]), (&json!("Renamed"), &json!(URL)), "who saw it may replace it");
    api.stop().await;
}

#[tokio::test]
async fn credentials_that_somebody_else_removed_are_asked_for_again() {
    let (api, visit) = of_profile("standard").await;
    let auth = json!({"type": "basic", "username": "ada", "password": "canary"});
    let webhook = id(&api.webhook("acme", json!({"auth": auth, "headers": {"X-Api-Key": "canary"}})).await);
    let path = format!("/portal/webhooks/{webhook}/edit");
    let version = |seen: &Seen| seen.attribute("input[name=version]", "value").unwrap();
    let typed = |version| {
        let auth = [("auth", "basic"), ("username", "ada"), ("password", "")];
        let header = [("header_name", "X-Api-Key"), ("header_value", "****"), ("version", version)];
        [[("name", "n"), ("url", URL), ("events", "all")].as_slice(), &auth, &header].concat()
    };
    let shown = visit.get(&path).await.ok();
    assert!(shown.attribute("input[name=password]", "placeholder").is_some());
    let own = format!("/v1/organizations/acme/webhooks/{webhook}");
    let other = json!({"auth": {"type": "bearer", "token": "t"}, "headers": {}});
    api.patch(&own, other).await.ok();
    let older = version(&shown);
    let refused = visit.post(&path, &typed(&older)).await.with(409);
    assert_eq!(refused.attribute("input[name=password]", "placeholder"), None, "there is none to keep any more");
    let newer = version(&refused);
    let seen = visit.post(&path, &typed(&newer)).await.with(422);
    assert_eq!(seen.only("#auth-error"), "Authentication must have a password.");
    let with_password = [("password", "typed anew")];
    let typed: Vec<_> =
        typed(&newer).into_iter().filter(|(name, _)| *name != "password").chain(with_password).collect();
    let seen = visit.post(&path, &typed).await.with(422);
    assert!(seen.only("#headers-error").contains("X-Api-Key"), "{}", seen.text);
    let kept = api.get(&own).await.ok();
    assert_eq!((&kept["auth"]["type"], &kept["headers"]), (&json!("bearer"), &json!({})), "nothing was saved");
    api.stop().await;
}

#[tokio::test]
async fn urls_are_judged_while_the_form_is_filled_in() {
    let (api, visit) = of_profile("standard").await;
    let judge = async |url: &str| {
        visit.post("/portal/webhooks/judge-url", &[("profile", "standard"), ("url", url)]).await.ok().texts("#url-said")
    };
    assert_eq!(judge("ftp://example.com").await, ["URL must start with https:// or http://."]);
    assert!(judge("https://10.0.0.1/").await[0].starts_with("URL "), "a denied address");
    for nothing in [URL, ""] {
        assert_eq!(judge(nothing).await, [""]);
    }
    api.stop().await;
}

#[tokio::test]
async fn where_a_project_allows_several_formats_one_is_chosen() {
    let (api, visit) = of_profile("standard").await;
    api.patch("/v1/projects/default", json!({"allowed_profiles": ["github"]})).await.ok();
    let form = visit.get(NEW).await.ok();
    assert_eq!(form.attributes("#profile option", "value"), ["standard", "github"]);
    let chosen = |seen: &Seen| seen.attribute("#profile option[selected]", "value").unwrap();
    assert_eq!(chosen(&visit.get("/portal/webhooks/new?profile=github").await.ok()), "github");
    assert_eq!(chosen(&visit.get("/portal/webhooks/new?profile=enate").await.ok()), "standard");
    // Another format keeps what was typed, and adds nothing yet.
    let typed = [
        ("profile", "github"),
        ("shown_profile", "standard"),
        ("name", "Orders"),
        ("url", "https://x"),
        ("more", "profile"),
    ];
    for typed in [&typed[..], &typed[..4]] {
        let other = visit.post(NEW, typed).await.ok();
        assert_eq!(
            (chosen(&other), other.attribute("#name", "value").unwrap()),
            ("github".to_owned(), "Orders".to_owned())
        );
        assert!(other.only("[role=status].notice").contains("Nothing was saved yet"), "{}", other.text);
    }
    visit.post(NEW, &[("profile", "github"), ("url", URL), ("events", "all")]).await.leads();
    assert_eq!(only_webhook(&api).await["profile"], "github");
    api.stop().await;
}
