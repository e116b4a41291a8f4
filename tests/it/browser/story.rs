//! What a customer does in the portal, from the first webhook to a mended receiver.

use serde_json::json;

use super::visitor;
use crate::api::Api;
use crate::api::sending::{Sink, local};

#[tokio::test]
async fn a_customer_adds_a_webhook_and_mends_its_receiver() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["job.created", "job.done"]).await;
    let browser = visitor(&api, "acme").await;

    // Nothing there yet; a webhook with a mistake, then without.
    browser.read(".empty", "No webhooks yet").await;
    browser.press_text("a", "Add webhook").await;
    browser.fill("#name", "Orders").await;
    browser.fill("#url", "nonsense").await;
    browser.press_text("button", "Add webhook").await;
    browser.read("#url-error", "URL").await;
    assert_eq!(browser.run("return document.activeElement.id").await, json!("url"), "the focus is on what is wrong");
    browser.fill("#url", &sink.url).await;
    browser.press("input[name=events][value=some]").await;
    browser.press("[data-group-all]").await;
    let chosen = browser.run("return document.querySelectorAll('input[name=event]:checked').length").await;
    assert_eq!(chosen, json!(2), "the group's box takes all of it");
    browser.press_text("button", "Add a header").await;
    assert_eq!(browser.run("return document.querySelectorAll('[data-header]').length").await, json!(2));
    browser.press_text("button", "Add webhook").await;
    browser.read("[role=status].notice", "The webhook was added.").await;
    browser.read("tbody .title", "Orders").await;

    // Off and on by the switch, on the same page.
    browser.run("window.same = true").await;
    for (to, pill) in [("false", "Off"), ("true", "Active")] {
        browser.press("[role=switch]").await;
        browser.see(&format!("[role=switch][aria-checked={to}]")).await;
        browser.read("tbody .pill", pill).await;
    }
    assert_eq!(browser.run("return window.same").await, json!(true), "the page was loaded again");

    // A test event, watched until it has arrived.
    browser.press("tbody .title").await;
    browser.press_text("button", "Send test event").await;
    assert_eq!(sink.next().await["data"], json!({}));
    browser.read("h1 .pill", "Delivered").await;
    browser.read(".attempt[open] .attempt-title", "Attempt 1").await;

    // The receiver fails, and the log says why.
    sink.answer(503);
    api.event("acme", "job.created").await;
    sink.next().await;
    api.until_state("pending", 1).await;
    browser.press(".facts a[href^='/portal/webhooks/']").await;
    browser.read("#log", "Log history").await;
    browser.read(".deliveries tbody tr:first-child .pill", "Waiting").await;
    browser.press(".deliveries tbody tr:first-child .title").await;
    browser.read(".advice", "The receiver failed while handling the request").await;
    browser.press(".headers summary").await;
    browser.read(".header-list", "webhook-signature").await;

    // Mended: sent again by hand.
    sink.answer(200);
    browser.press(".page-head [data-resend]").await;
    sink.next().await;
    browser.read("h1 .pill", "Delivered").await;
    // It may be open still, as the newest there was when the page was loaded.
    browser.run("document.querySelector('.attempt:last-of-type').open = true").await;
    browser.read(".attempt:last-of-type", "503 Service Unavailable").await;
    browser.close().await;
    api.stop().await;
}

#[tokio::test]
async fn filters_and_keys_work_without_loading_the_page_again() {
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    for name in ["Apples", "Bread", "Cheese"] {
        api.webhook("acme", json!({"name": name})).await;
    }
    let browser = visitor(&api, "acme").await;
    browser.run("window.same = true").await;
    browser.keys("/").await;
    browser.keys("bre").await;
    let one = "return document.querySelectorAll('tbody tr').length === 1 && location.search === '?search=bre'";
    browser.until("one row is left, and its address says so", one, json!([])).await;
    browser.read("tbody .title", "Bread").await;
    browser.fill("[data-search]", "zzz").await;
    browser.read(".empty", "No webhook matches").await;
    browser.press_text("a", "Clear filters").await;
    let all = "return document.querySelectorAll('tbody tr').length === 3";
    browser.until("all rows are back", all, json!([])).await;
    browser.keys("jj").await;
    assert_eq!(browser.run("return document.activeElement.textContent.trim()").await, json!("Bread"));
    browser.keys("\u{e007}").await;
    browser.read("h1", "Bread").await;
    browser.close().await;
    api.stop().await;
}

#[tokio::test]
async fn deliveries_are_seen_as_they_happen() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    api.webhook("acme", json!({"name": "Orders", "url": sink.url})).await;
    let browser = visitor(&api, "acme").await;
    browser.press_text("a", "Deliveries").await;
    browser.read(".empty", "Nothing was sent yet").await;
    browser.run("window.same = true").await;
    browser.press("[data-live]").await;
    browser.see("[data-live][aria-pressed=true]").await;
    // Whether the stream stands already is not seen, so there is something to tell until it is told.
    let shown = "return document.querySelectorAll('tbody tr').length > 0";
    while browser.run(shown).await != json!(true) {
        api.event("acme", "job.created").await;
        sink.next().await;
    }
    browser.read("tbody .pill", "Delivered").await;
    assert_eq!(browser.run("return window.same").await, json!(true), "the page was loaded again");
    browser.press("[data-live]").await;
    browser.see("[data-live][aria-pressed=false]").await;
    browser.close().await;
    api.stop().await;
}

#[tokio::test]
async fn case_085_nothing_that_is_shown_runs() {
    const EVIL: &str = "\"><img src=x onerror=\"window.ran = true\"><script>window.ran = true</script>";
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    api.put("/v1/organizations/acme", json!({"name": EVIL})).await.created();
    api.event_types(&["<script>window.ran=1</script>"]).await;
    api.webhook("acme", json!({"name": EVIL, "url": sink.url, "headers": {"X-Note": EVIL}})).await;
    let event = json!({"type": "<script>window.ran=1</script>", "data": {EVIL: EVIL}});
    api.post("/v1/organizations/acme/events", event).await.with(202);
    sink.next().await;
    api.until_state("delivered", 1).await;
    let browser = visitor(&api, "acme").await;
    for next in ["tbody .title", ".deliveries .title"] {
        assert_eq!(browser.run("return [window.ran, document.images.length]").await, json!([null, 0]));
        browser.press(next).await;
    }
    browser.read(".code-block", "onerror").await;
    assert_eq!(browser.run("return [window.ran, document.images.length]").await, json!([null, 0]));
    browser.close().await;
    api.stop().await;
}
