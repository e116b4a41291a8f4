//! The APIs of the systems that profiles stand in for, as scripts that were written for those use them.

use serde_json::{Value, json};

use super::{Api, Reply, URL};
use fanfare::config::Sources;

const COMPANY: &str = "0a3f7d0e-2f7e-4d59-8f39-3c5a1b0f1e01";
const ZERO: &str = "00000000-0000-0000-0000-000000000000";

/// A server of one system, and a key of an organization in it.
struct Script {
    api: Api,
    key: String,
}

impl Script {
    async fn start(profile: &str) -> Script {
        let api = Api::start_with(Sources { profile: Some(profile.to_owned()), ..Sources::default() }).await;
        api.organization("acme").await;
        let rights = json!({"roles": ["Process Builder", "Administrator"], "grants": "all"});
        api.put("/v1/organizations/acme/users/builder", rights).await.created();
        let key = api.key(&["manage"], json!({"organization": "acme", "user": "builder"})).await;
        Script { api, key }
    }

    async fn get(&self, path: &str) -> Reply {
        self.api.ask(http::Method::GET, path).key(&self.key).send().await
    }

    async fn send(&self, method: http::Method, path: &str, body: Value) -> Reply {
        self.api.ask(method, path).key(&self.key).json(&body).send().await
    }

    async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(http::Method::POST, path, body).await
    }
}

#[tokio::test]
async fn enate_subscriptions_are_made_listed_edited_and_removed() {
    let script = Script::start("enate").await;
    let made = script
        .post(
            "/WebHookSubscription/CreateWebhookSubscription",
            json!({"Webhook": "NewBusinessObject", "FilterObjectGUID": ZERO, "FilterObjectType": 260, "SubscriberURL": URL,
                "CustomHeader": "new-schedule", "CustomHeaderValue": "New schedule created", "Unknown": true}),
        )
        .await
        .ok();
    let guid = made["GUID"].as_str().unwrap().to_owned();
    let expected = json!({"GUID": guid, "Webhook": "BusinessObjectCreated", "FilterObjectGUID": null,
        "FilterObjectType": 260, "FilterObjectTypeName": "Schedule", "SubscriberURL": URL, "Signature": null,
        "CustomHeader": "new-schedule", "CustomHeaderValue": "New schedule created"});
    assert_eq!(made, expected);
    let second = json!({"Webhook": "BusinessObjectUpdated", "FilterObjectGUID": COMPANY, "FilterObjectType": "Company",
        "SubscriberURL": URL});
    let second = script.post("/WebHookSubscription/CreateWebhookSubscription", second).await.ok();
    assert_eq!(second["Webhook"], "SpecificBusinessObjectUpdated");
    let all = script.get("/WebHookSubscription/GetAllWebhookSubscriptions").await.ok();
    assert_eq!(all, json!([expected, second]));
    let one = format!("/WebHookSubscription/GetWebhookSubscription?webhookSubscriptionGUID={guid}");
    assert_eq!(script.get(&one).await.ok(), expected);
    let one = one.replace("webhookSubscriptionGUID", "WEBHOOKSUBSCRIPTIONguid");
    assert_eq!(script.get(&one).await.ok(), expected);
    let update = json!({"guid": guid, "filterobjecttype": "31", "CustomHeader": null, "CustomHeaderValue": null});
    let edited = script.post("/WebHookSubscription/UpdateWebhookSubscription", update).await.ok();
    assert_eq!((&edited["FilterObjectType"], &edited["CustomHeader"]), (&json!(31), &expected["CustomHeader"]));
    let cleared = json!({"GUID": guid, "CustomHeader": ""});
    let cleared = script.post("/WebHookSubscription/UpdateWebhookSubscription", cleared).await.ok();
    assert_eq!((&cleared["CustomHeader"], &cleared["CustomHeaderValue"]), (&Value::Null, &Value::Null));
    assert_eq!(edited["SubscriberURL"], URL);
    script.post("/WebHookSubscription/DeleteWebhookSubscription", json!({"GUID": guid})).await.gone();
    script.get(&one).await.problem(404, "not_found");
    script
        .post("/WebHookSubscription/DeleteWebhookSubscription", json!({"GUID": "no guid"}))
        .await
        .problem(404, "not_found");
    script.api.stop().await;
}

#[tokio::test]
async fn enate_keeps_a_headers_value_only_with_its_name() {
    let script = Script::start("enate").await;
    let made = json!({"Webhook": "BusinessObjectCreated", "FilterObjectType": 260, "SubscriberURL": URL,
        "CustomHeader": "X-Api-Key", "CustomHeaderValue": "canary-key"});
    let made = script.post("/WebHookSubscription/CreateWebhookSubscription", made).await.ok();
    assert_eq!(made["CustomHeaderValue"], "****");
    let update = async |mut change: Value| {
        change["GUID"] = made["GUID"].clone();
        script.post("/WebHookSubscription/UpdateWebhookSubscription", change).await
    };
    let reply = update(json!({"CustomHeader": "X-Seen"})).await;
    assert!(!reply.text.contains("canary"), "{reply:?}");
    reply.invalid("CustomHeaderValue");
    update(json!({"CustomHeader": "", "CustomHeaderValue": "x"})).await.invalid("CustomHeader");
    let same = update(json!({"CustomHeader": "x-api-key"})).await.ok();
    assert_eq!((&same["CustomHeader"], &same["CustomHeaderValue"]), (&json!("x-api-key"), &json!("****")));
    let other = update(json!({"CustomHeader": "X-Seen", "CustomHeaderValue": "new"})).await.ok();
    assert_eq!((&other["CustomHeader"], &other["CustomHeaderValue"]), (&json!("X-Seen"), &json!("new")));
    script.api.stop().await;
}

#[tokio::test]
async fn enate_takes_no_mask_for_a_value() {
    let script = Script::start("enate").await;
    let path = |what: &str| format!("/WebHookSubscription/{what}WebhookSubscription");
    let input = |header: &str, value: &str| {
        json!({"Webhook": "BusinessObjectCreated", "FilterObjectType": 260, "SubscriberURL": URL,
            "CustomHeader": header, "CustomHeaderValue": value})
    };
    script.post(&path("Create"), input("X-Api-Key", "****")).await.invalid("CustomHeaderValue");
    let made = script.post(&path("Create"), input("X-Api-Key", "canary-key")).await.ok();
    let mut change = input("X-Other-Key", "****");
    change["GUID"] = made["GUID"].clone();
    script.post(&path("Update"), change.clone()).await.invalid("CustomHeaderValue");
    change["CustomHeader"] = json!("x-api-key");
    script.post(&path("Update"), change).await.ok();
    script.api.stop().await;
}

#[tokio::test]
async fn an_enate_subscription_is_called_as_its_event_until_somebody_calls_it_otherwise() {
    let script = Script::start("enate").await;
    let make = json!({"Webhook": "NewBusinessObject", "FilterObjectType": 260, "SubscriberURL": URL});
    let made = script.post("/WebHookSubscription/CreateWebhookSubscription", make).await.ok();
    let hook = async || script.get("/v1/organizations/acme/webhooks").await.ok()["data"][0].clone();
    assert_eq!(hook().await["name"], "BusinessObjectCreated");
    let update = async |mut change: Value| {
        change["GUID"] = made["GUID"].clone();
        script.post("/WebHookSubscription/UpdateWebhookSubscription", change).await.ok();
        hook().await["name"].as_str().unwrap().to_owned()
    };
    assert_eq!(update(json!({"Webhook": "BusinessObjectUpdated"})).await, "BusinessObjectUpdated");
    let specific = json!({"Webhook": "BusinessObjectUpdated", "FilterObjectGUID": COMPANY, "FilterObjectType": 31});
    assert_eq!(update(specific).await, "SpecificBusinessObjectUpdated");
    let path = format!("/v1/organizations/acme/webhooks/{}", hook().await["id"].as_str().unwrap());
    script.api.patch(&path, json!({"name": "Ours"})).await.ok();
    let change = json!({"Webhook": "BusinessObjectCreated", "FilterObjectGUID": null});
    assert_eq!(update(change).await, "Ours");
    script.api.stop().await;
}

#[tokio::test]
async fn who_may_see_a_systems_webhooks_lists_them_whatever_else_the_project_allows() {
    let script = Script::start("enate").await;
    let input = json!({"Webhook": "BusinessObjectCreated", "FilterObjectType": 260, "SubscriberURL": URL});
    script.post("/WebHookSubscription/CreateWebhookSubscription", input).await.ok();
    script.api.patch("/v1/projects/default", json!({"allowed_profiles": ["etlworks"]})).await.ok();
    script.post("/rest/v1/webhooks", json!({"url": URL})).await.ok();
    let rights = json!({"roles": ["ProcessBuilder"]});
    script.api.put("/v1/organizations/acme/users/anna", rights).await.created();
    let key = script.api.key(&["manage"], json!({"organization": "acme", "user": "anna"})).await;
    let anna = async |path: &str| script.api.ask(http::Method::GET, path).key(&key).send().await;
    let listed = anna("/WebHookSubscription/GetAllWebhookSubscriptions").await.ok();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    anna("/rest/v1/webhooks").await.problem(403, "permission_denied");
    script.api.stop().await;
}

#[tokio::test]
async fn enate_says_which_webhooks_there_are() {
    let script = Script::start("enate").await;
    let all = script.get("/WebHookSubscription/GetAllWebhooks").await.ok();
    assert_eq!(all.as_array().unwrap().len(), 6);
    let created = &all[3];
    assert_eq!(
        (&created["Webhook"], &created["DisplayName"]),
        (&json!("BusinessObjectCreated"), &json!("Business Object Created"))
    );
    assert_eq!(created["Parameters"][0], json!({"Name": "FilterObjectGUID", "Rule": "none", "Values": []}));
    let types = json!([{"Value": 31, "Name": "Company"}, {"Value": 260, "Name": "Schedule"}]);
    assert_eq!(created["Parameters"][1], json!({"Name": "FilterObjectType", "Rule": "required", "Values": types}));
    assert_eq!(created["Message"]["Name"], "2022 Schedule");
    script.api.stop().await;
}

#[tokio::test]
async fn enate_refusals_name_its_own_fields() {
    let script = Script::start("enate").await;
    let path = "/WebHookSubscription/CreateWebhookSubscription";
    let good = || json!({"Webhook": "PacketUpdated", "FilterObjectGUID": COMPANY, "FilterObjectType": 81, "SubscriberURL": URL});
    for (field, value, words) in [
        ("Webhook", json!("Nothing"), "no event type"),
        ("FilterObjectType", json!(31), "is Company (31), but PacketUpdated takes Packet (81)"),
        ("FilterObjectType", json!([31]), "must be the number or the name"),
        ("FilterObjectGUID", json!(ZERO), "is required"),
        ("SubscriberURL", json!("ftp://example.com"), "must start with"),
        ("CustomHeader", json!("Host"), ""),
    ] {
        let mut input = good();
        input[field] = value;
        script.post(path, input).await.invalid_because(field, words);
    }
    script.post("/WebHookSubscription/UpdateWebhookSubscription", json!({})).await.invalid("GUID");
    let mut lost = good();
    lost["FilterObjectGUID"] = json!("no-guid");
    script.post(path, lost).await.invalid_because("FilterObjectGUID", "must be a GUID");
    let mut lost = good();
    lost["Enabled"] = json!(false);
    script.post(path, lost).await.invalid_because("Enabled", "is not part of this API");
    script.api.stop().await;
}

#[tokio::test]
async fn members_are_known_in_any_case() {
    let script = Script::start("etlworks").await;
    let form = json!({"NAME": "Off", "Url": URL, "Enabled": false, "CONTENTTYPE": "application/x-www-form-urlencoded",
        "Headers": [{"Key": "X-Team", "VALUE": "data"}]});
    let made = script.post("/rest/v1/webhooks", form).await.ok();
    assert_eq!((&made["name"], &made["enabled"]), (&json!("Off"), &json!(false)));
    assert_eq!(made["contentType"], "application/x-www-form-urlencoded");
    assert_eq!(made["headers"], json!([{"key": "X-Team", "value": "data"}]));
    script.api.stop().await;
}

#[tokio::test]
async fn a_systems_api_acts_for_a_user_or_expressly_for_the_host() {
    let script = Script::start("etlworks").await;
    let api = &script.api;
    api.put("/v1/organizations/acme/users/ben", json!({"roles": ["Other"]})).await.created();
    let path = "/rest/v1/webhooks";
    let create = async |key: &str, user: Option<&str>| {
        let ask = api.ask(http::Method::POST, path).key(key).json(&json!({"url": URL}));
        match user {
            Some(user) => ask.header("fanfare-user", user).send().await,
            None => ask.send().await,
        }
    };
    let nobodys = api.key(&["manage"], json!({"organization": "acme"})).await;
    let refused = create(&nobodys, None).await.problem(403, "permission_denied");
    assert!(refused["detail"].as_str().unwrap().contains("scope host"), "{refused}");
    api.ask(http::Method::GET, path).key(&nobodys).send().await.problem(403, "permission_denied");
    create(&nobodys, Some("ben")).await.problem(403, "permission_denied");
    create(&nobodys, Some("builder")).await.ok();
    let hosts = api.key(&["manage", "host"], json!({"organization": "acme"})).await;
    create(&hosts, None).await.ok();
    let both = json!({"name": "k", "scopes": ["manage", "host"], "organization": "acme", "user": "ben"});
    api.post("/v1/api-keys", both).await.invalid("user");

    // Where the owner's right is asked about at each message, there is an owner.
    api.patch("/v1/projects/default", json!({"allowed_profiles": ["enate"]})).await.ok();
    let input = json!({"Webhook": "BusinessObjectCreated", "FilterObjectType": 31, "SubscriberURL": URL});
    let subscribe = api.ask(http::Method::POST, "/WebHookSubscription/CreateWebhookSubscription").json(&input);
    subscribe.key(&hosts).send().await.invalid_because("owner", "Fanfare-User");
    script.api.stop().await;
}

#[tokio::test]
async fn who_may_not_manage_a_webhook_sees_its_custom_headers_masked() {
    let script = Script::start("enate").await;
    let api = &script.api;
    let input = json!({"Webhook": "BusinessObjectCreated", "FilterObjectType": 260, "SubscriberURL": URL,
        "CustomHeader": "new-schedule", "CustomHeaderValue": "canary"});
    let made = script.post("/WebHookSubscription/CreateWebhookSubscription", input).await.ok();
    assert_eq!(made["CustomHeaderValue"], "canary");
    api.put("/v1/organizations/acme/users/vera", json!({"roles": ["Viewer"]})).await.created();
    let key = api.key(&["read"], json!({"organization": "acme", "user": "vera"})).await;
    let one = format!(
        "/WebHookSubscription/GetWebhookSubscription?webhookSubscriptionGUID={}",
        made["GUID"].as_str().unwrap()
    );
    let hook = api.get("/v1/organizations/acme/webhooks").await.ok()["data"][0]["id"].as_str().unwrap().to_owned();
    for path in [
        "/WebHookSubscription/GetAllWebhookSubscriptions",
        &one,
        "/v1/organizations/acme/webhooks",
        &format!("/v1/organizations/acme/webhooks/{hook}"),
    ] {
        let reply = api.ask(http::Method::GET, path).key(&key).send().await;
        assert!(reply.text.contains("new-schedule") && !reply.text.contains("canary"), "{path}: {reply:?}");
        assert!(script.get(path).await.text.contains("canary"), "{path}");
    }
    script.api.stop().await;
}

#[tokio::test]
async fn etlworks_webhooks_are_made_listed_replaced_and_removed() {
    let script = Script::start("etlworks").await;
    let form = json!({"name": "Flows", "description": "All flows", "events": [], "url": URL, "method": "POST",
        "contentType": "application/x-www-form-urlencoded", "includeEntity": true,
        "headers": [{"key": "X-Team", "value": "data"}, {"key": "X-Api-Key", "value": "canary-key"}],
        "secret": "canary-secret", "basicUser": "admin", "basicPass": "canary-pass", "enabled": true});
    let made = script.post("/rest/v1/webhooks", form.clone()).await.ok();
    let mut expected = form;
    expected["id"] = json!(1);
    expected["secret"] = json!("****");
    expected["basicPass"] = json!("****");
    expected["headers"][1]["value"] = json!("****");
    assert_eq!(made, expected);
    assert_eq!(script.get("/rest/v1/webhooks/1").await.ok(), expected);
    // What was shown may be sent back; what was masked stays.
    let mut changed = expected.clone();
    changed["enabled"] = json!(false);
    changed["events"] = json!(["Flow.Executed"]);
    let replaced = script.send(http::Method::PUT, "/rest/v1/webhooks/1", changed.clone()).await.ok();
    assert_eq!(replaced, changed);
    let ours = script.get("/v1/organizations/acme/webhooks").await.ok()["data"][0].clone();
    assert_eq!(
        (&ours["number"], &ours["status"], &ours["profile"]),
        (&json!(1), &json!("deactivated"), &json!("etlworks"))
    );
    let secret = format!("/v1/organizations/acme/webhooks/{}/secret", ours["id"].as_str().unwrap());
    assert_eq!(script.get(&secret).await.ok()["secret"], "canary-secret");
    let put = async |body: Value| script.send(http::Method::PUT, "/rest/v1/webhooks/1", body).await;
    // What a PUT doesn't name, or names as null, stays; an empty text clears.
    let nothing = json!({"Name": null, "headers": null, "events": null, "BasicUser": null, "secret": null, "other": 1});
    assert_eq!(put(nothing).await.ok(), changed);
    let bare =
        put(json!({"NAME": "Bare", "description": "", "events": [], "basicuser": "", "secret": "", "Headers": []}))
            .await
            .ok();
    assert_eq!((&bare["name"], &bare["description"], &bare["events"]), (&json!("Bare"), &Value::Null, &json!([])));
    assert_eq!((&bare["basicUser"], &bare["secret"], &bare["headers"]), (&Value::Null, &Value::Null, &json!([])));
    assert_eq!((&bare["enabled"], &bare["contentType"]), (&json!(false), &changed["contentType"]));
    assert_eq!(script.get("/rest/v1/webhooks").await.ok().as_array().unwrap().len(), 1);
    script.api.ask(http::Method::DELETE, "/rest/v1/webhooks/1").key(&script.key).send().await.gone();
    script.get("/rest/v1/webhooks/1").await.problem(404, "not_found");
    script.api.stop().await;
}

#[tokio::test]
async fn etlworks_refusals_name_its_own_fields() {
    let script = Script::start("etlworks").await;
    for (form, field) in [
        (json!({"url": URL, "basicUser": "admin"}), "basicPass"),
        (json!({"url": URL, "events": ["Nothing"]}), "events[0]"),
        (json!({"url": URL, "description": "x".repeat(600)}), "description"),
        (json!({}), "url"),
        (json!({"url": URL, "secret": "****"}), "secret"),
        (json!({"url": URL, "Enabled": false, "enabled": true}), "enabled"),
        (json!({"url": URL, "timeout_seconds": 5}), "timeout_seconds"),
        (json!({"url": URL, "headers": [{"Key": "A"}]}), "headers[0].value"),
    ] {
        script.post("/rest/v1/webhooks", form).await.invalid(field);
    }
    script.api.stop().await;
}

#[tokio::test]
async fn a_systems_api_is_there_only_for_its_profile_and_for_keys_of_one_organization() {
    let script = Script::start("enate").await;
    script.get("/rest/v1/webhooks").await.problem(404, "unknown_route");
    script.api.get("/WebHookSubscription/GetAllWebhooks").await.problem(403, "organization_key_needed");
    let reader = script.api.key(&["read"], json!({"organization": "acme"})).await;
    let path = "/WebHookSubscription/CreateWebhookSubscription";
    script.api.ask(http::Method::POST, path).key(&reader).json(&json!({})).send().await.problem(403, "scope_too_small");
    // Another organization's subscription is not there.
    script.api.organization("other").await;
    let other = script.api.key(&["manage"], json!({"organization": "other", "user": "builder"})).await;
    let input = json!({"Webhook": "BusinessObjectCreated", "FilterObjectType": 31, "SubscriberURL": URL});
    let made = script.post(path, input).await.ok();
    let one = format!(
        "/WebHookSubscription/GetWebhookSubscription?webhookSubscriptionGUID={}",
        made["GUID"].as_str().unwrap()
    );
    script.api.ask(http::Method::GET, &one).key(&other).send().await.problem(404, "not_found");
    script.api.stop().await;
}
