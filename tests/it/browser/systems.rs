//! Four systems' customers find in the portal what they know from their own: the same settings by the same names, and the
//! same log.

use fantoccini::elements::Element;
use serde_json::{Value, json};

use super::driver::Browser;
use super::link;
use crate::stories::stage::{ORG, Stage};

/// A user's browser in the portal.
async fn enter(stage: &Stage, user: &str) -> Browser {
    let browser = Browser::start().await;
    browser.open(&link(&stage.api, ORG, json!({"user": user})).await).await;
    browser.see("main h1").await;
    browser
}

/// The texts of what is selected.
async fn texts(browser: &Browser, selector: &str) -> Value {
    let all = format!("document.querySelectorAll({selector:?})");
    browser.run(&format!("return Array.from({all}, (one) => one.innerText.replace(/\\s+/g, ' ').trim())")).await
}

/// How many of what is selected are shown.
async fn shown(browser: &Browser, selector: &str) -> Value {
    let all = format!("document.querySelectorAll({selector:?})");
    browser.run(&format!("return Array.from({all}).filter((one) => one.checkVisibility()).length")).await
}

/// From the tab into the form for another webhook.
async fn add(browser: &Browser) -> Element {
    browser.press_text("nav//a", "Webhooks").await;
    browser.press_text("main//a", "Add webhook").await;
    browser.read("h1", "Add webhook").await;
    browser.see("#url").await
}

/// Sends the form, and sees the webhook listed.
async fn added(browser: &Browser) {
    browser.press_text("main//button", "Add webhook").await;
    browser.read("[role=status].notice", "The webhook was added.").await;
}

/// The switch of the one webhook that is listed, pressed.
async fn switch(browser: &Browser, to: bool) {
    browser.press("[role=switch]").await;
    browser.see(&format!("[role=switch][aria-checked={to}]")).await;
}

#[tokio::test]
async fn one_click_contractor_is_off_at_first_tests_and_keeps_a_log_history() {
    let mut stage = Stage::start_secure("one-click-contractor").await;
    stage.user("crew", json!({"permissions": []})).await;
    stage.user("office", json!({"permissions": ["Org.webhooks"]})).await;
    let crew = enter(&stage, "crew").await;
    crew.read("h1", "You may not do this").await;
    drop(crew);

    let browser = enter(&stage, "office").await;
    add(&browser).await;
    assert_eq!(
        texts(&browser, ".group legend").await,
        json!(["Job", "Estimate", "Signed Document", "Signable Document"])
    );
    browser.fill("#name", "CRM").await;
    browser.fill("#url", "http://example.com/h").await;
    browser.press("input[name=events][value=some]").await;
    browser.press(".group:first-of-type [data-group-all]").await;
    browser.press_text("main//button", "Add webhook").await;
    browser.read("#url-error", "must start with https://").await;
    browser.fill("#url", &stage.receiver.url("/h")).await;
    browser.press("input[name=auth][value=basic]").await;
    browser.fill("[name=username]", "crm").await;
    browser.fill("[name=password]", "a password").await;
    added(&browser).await;
    browser.read("[role=status].notice", "It is off").await;
    browser.read("tbody .pill", "Off").await;

    // Switched on, it tests itself at once.
    switch(&browser, true).await;
    let test = stage.receiver.next().await;
    assert!(test.body.contains("\"event\":\"webhook.test\""), "{}", test.body);
    stage.receiver.answer_with(503, &[("x-reason", "maintenance")], "come back later");
    let event = stage.event(json!({"type": "job.created", "data": {"id": 7, "title": "New roof"}})).await;
    stage.receiver.next().await;
    stage.delivery(&format!("event={event}"), "pending", 1).await;
    stage.receiver.answer(200);
    stage.api.pass(std::time::Duration::from_secs(300));
    stage.receiver.next().await;
    stage.delivery(&format!("event={event}"), "delivered", 2).await;

    browser.press("tbody .title").await;
    browser.read("#log", "Log history").await;
    let columns = texts(&browser, ".deliveries th").await;
    assert_eq!(columns.as_array().unwrap()[..5], ["ID", "Date and time", "Event", "URL", "Response"]);
    browser.read(".deliveries tbody tr:first-child .kind", "Job Created").await;
    browser.read(".deliveries tbody tr:first-child .title", &event).await;
    browser.read(".deliveries tbody tr:first-child .status", "200").await;
    browser.read(".deliveries tbody tr:last-child .kind", "webhook.test").await;
    browser.press(".deliveries tbody tr:first-child .title").await;
    browser.read(".facts", &stage.receiver.url("/h")).await;
    browser.read("[aria-labelledby=payload]", "New roof").await;

    // Each attempt is an accordion.
    assert_eq!(texts(&browser, ".attempt-title").await, json!(["Attempt 2", "Attempt 1"]));
    assert_eq!(shown(&browser, ".attempt-body").await, json!(1));
    browser.press(".attempt:last-of-type > summary").await;
    browser.read(".attempt:last-of-type > summary", "503").await;
    browser.press(".attempt:last-of-type .exchange section:last-child .headers summary").await;
    browser.read(".attempt:last-of-type .exchange section:last-child", "x-reason").await;
    browser.read(".attempt:last-of-type .exchange section:last-child", "come back later").await;
    browser.close().await;
    stage.end().await;
}

#[tokio::test]
async fn etlworks_shows_administrators_every_setting_and_view_events() {
    let mut stage = Stage::start("etlworks").await;
    stage.user("editor", json!({"roles": ["Editor"]})).await;
    stage.user("admin", json!({"roles": ["Administrator"]})).await;
    let editor = enter(&stage, "editor").await;
    editor.read("h1", "You may not do this").await;
    drop(editor);

    let browser = enter(&stage, "admin").await;
    add(&browser).await;
    for (label, field) in [
        ("POST", "input[name=method][value=POST]:checked"),
        ("GET", "input[name=method][value=GET]"),
        ("application/json", "input[name=content_type]:checked"),
        ("application/x-www-form-urlencoded", "input[name=content_type]:not(:checked)"),
        ("Include the entity", "#include_entity:not(:checked)"),
        ("Active", "input[name=enabled]:checked"),
        ("All events", "input[name=events][value=all]"),
    ] {
        let found = browser.run(&format!("return document.querySelector({field:?}).labels[0].innerText")).await;
        assert!(found.as_str().unwrap().contains(label), "{field}: {found}");
    }
    browser.fill("#url", &stage.receiver.url("/h")).await;
    browser.press("input[name=events][value=all]").await;
    browser.fill("#secret", "ZjZlZDdlOWE3OGQ0NTk4MTU1MjkzNDA0").await;
    browser.press("input[name=auth][value=basic]").await;
    browser.fill("[name=username]", "admin").await;
    browser.fill("[name=password]", "admin").await;
    browser.fill("[name=header_name]", "X-First").await;
    browser.fill("[name=header_value]", "one").await;
    browser.press_text("main//button", "Add a header").await;
    browser.fill("[data-header]:last-child [name=header_name]", "X-Second").await;
    browser.fill("[data-header]:last-child [name=header_value]", "two").await;
    added(&browser).await;
    browser.read("tbody .pill", "Active").await;

    stage.receiver.answer_with(200, &[("x-answer", "taken")], "{\"ok\":true}");
    let entity =
        json!({"type": "Flow", "id": "11225", "url": "https://app.etlworks.com/rest/v1/flows/1?auditId=11225"});
    let event = stage.event(json!({"type": "Flow.Executed", "entity": entity, "data": {}})).await;
    let sent = stage.receiver.next().await;
    stage.delivery(&format!("event={event}"), "delivered", 1).await;
    browser.press_text("nav//a", "Webhooks").await;
    browser.press_text("tbody//a", "View events").await;
    browser.read("h1", "Deliveries").await;
    browser.read("tbody .kind", "Flow.Executed").await;
    browser.press("tbody .title").await;
    browser.read("h1", "Flow.Executed").await;
    browser.unfold().await;
    let request = ".attempt .exchange section:first-child";
    for part in ["x-etl-webhook-signature", "x-etl-webhook-event-id", "x-first", "x-second", "\"eventType\"", "11225"] {
        let script = "return document.querySelector(arguments[0]).innerText.toLowerCase().includes(arguments[1])";
        browser.until(part, script, json!([request, part.to_lowercase()])).await;
    }
    let text = texts(&browser, request).await.to_string();
    assert!(!text.contains("YWRtaW46YWRtaW4="), "the password is shown: {text}");
    assert_eq!(sent.header("authorization"), "Basic YWRtaW46YWRtaW4=");
    browser.read(".attempt .exchange section:last-child", "x-answer").await;
    browser.read(".attempt .exchange section:last-child", "\"ok\"").await;
    // Off for a while.
    browser.press_text("nav//a", "Webhooks").await;
    switch(&browser, false).await;
    browser.close().await;
    stage.end().await;
}

#[tokio::test]
async fn enablenow_takes_a_url_and_events_and_sends_once() {
    let mut stage = Stage::start("enablenow").await;
    stage.user("owner", json!({})).await;
    let browser = enter(&stage, "owner").await;
    add(&browser).await;
    assert_eq!(shown(&browser, "#auth, #headers, #method, #content_type, #filter").await, json!(0));
    let names = texts(&browser, ".group .type code").await;
    for name in
        ["categorizationjob.completed", "transactions.fetched", "consent.accounts.updated", "consent.status.updated"]
    {
        assert!(names.as_array().unwrap().iter().any(|known| known == name), "{name} is not among {names}");
    }
    browser.read("#retry", "no retries").await;
    browser.fill("#url", &stage.receiver.url("/h")).await;
    browser.press("input[name=events][value=some]").await;
    browser.press("input[name=event][value='transactions.fetched']").await;
    added(&browser).await;
    stage.receiver.answer(500);
    let data = json!({"userId": null, "externalUserId": "c-17", "consentId": "f2", "addedTransactionsCount": 42});
    let event = stage.event(json!({"type": "transactions.fetched", "data": data})).await;
    let first = stage.receiver.next().await;
    stage.delivery(&format!("event={event}"), "exhausted", 1).await;
    // Once and never again, but by hand.
    browser.press("tbody .title").await;
    browser.press(".deliveries .title").await;
    browser.read("h1 .pill", "Failed").await;
    browser.read(".timeline", "Given up: no attempt is left").await;
    stage.receiver.answer(200);
    browser.press_text("button", "Resend").await;
    assert_eq!(stage.receiver.next().await.body, first.body);
    browser.read("h1 .pill", "Delivered").await;
    browser.close().await;
    stage.end().await;
}

#[tokio::test]
async fn enate_subscribes_to_one_event_on_one_business_object() {
    const COMPANY: &str = "0a3f7d0e-2f7e-4d59-8f39-3c5a1b0f1e01";
    let mut stage = Stage::start("enate").await;
    stage.user("anna", json!({"roles": ["ProcessBuilder"], "grants": "all"})).await;
    stage.user("ben", json!({"roles": ["Other"], "grants": "all"})).await;
    let ben = enter(&stage, "ben").await;
    assert_eq!(shown(&ben, "a[href='/portal/webhooks/new']").await, json!(0));
    drop(ben);

    let browser = enter(&stage, "anna").await;
    add(&browser).await;
    let names = texts(&browser, ".group .type").await.to_string();
    for name in [
        "Packet Created",
        "Packet Updated",
        "New Communication",
        "Business Object Created",
        "Business Object Updated",
        "Specific Business Object Updated",
    ] {
        assert!(names.contains(name), "{name} is not among {names}");
    }
    let types = texts(&browser, "[name=filter_type] option").await.to_string();
    for kind in ["Company (31)", "Packet (81)", "Contract (215)", "Service (217)", "Schedule (260)", "Process (911)"] {
        assert!(types.contains(kind), "{kind} is not among {types}");
    }
    browser.fill("#url", &stage.receiver.url("/h")).await;
    browser.press("input[name=event][value=SpecificBusinessObjectUpdated]").await;
    browser.press("[name=filter_type] option[value=Company]").await;
    browser.press_text("main//button", "Add webhook").await;
    browser.read("#filter-error", "is required").await;
    browser.fill("[name=filter_id]", COMPANY).await;
    assert_eq!(shown(&browser, "[data-add-header]").await, json!(0), "one pair, as the original has it");
    browser.fill("[name=header_name]", "new-schedule").await;
    browser.fill("[name=header_value]", "New schedule created").await;
    added(&browser).await;
    browser.read("tbody .main", "Specific Business Object Updated").await;

    let entity = json!({"type": "Company", "id": COMPANY});
    let told = json!({"type": "BusinessObjectUpdated", "entity": entity, "data": {"Name": "Acme"}});
    let event = stage.event(told).await;
    let sent = stage.receiver.next().await;
    assert_eq!(sent.header("new-schedule"), "New schedule created");
    stage.delivery(&format!("event={event}"), "delivered", 1).await;
    browser.press("tbody .title").await;
    let guid = sent.header("x-enate-webhook-guid").to_owned();
    browser.read("[aria-labelledby=settings]", &guid).await;
    browser.press(".deliveries .title").await;
    browser.unfold().await;
    let script = "return document.querySelector('.attempt').innerText.toLowerCase().includes(arguments[0])";
    browser.until("the header with the GUID", script, json!(["x-enate-webhook-guid"])).await;
    browser.read(".attempt", &guid).await;
    browser.close().await;
    stage.end().await;
}
