//! What people do who have a keyboard and nothing else: they reach everything, in order, and see where they are.

use serde_json::json;

use super::driver::Browser;
use super::{base, visitor};
use crate::api::sending::{Sink, local};
use crate::api::{ADMIN, Api};

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
const RIGHT: &str = "\u{e014}";
const DOWN: &str = "\u{e015}";
/// More stops than any page has.
const STOPS: usize = 200;
/// What is wrong with the place where the focus is: it must be marked, within the window, and behind the place before it.
/// From the end of a page one comes to its beginning.
const FOCUS: &str = "
    const place = document.activeElement;
    const before = window.placeBefore;
    window.placeBefore = place;
    if (place === null || place === document.body) { window.placeBefore = null; return ''; }
    const name = place.outerHTML.slice(0, 200);
    const shown = place.matches('.languages > input') ? place.labels[0] : place;
    const style = getComputedStyle(shown);
    if (style.outlineStyle === 'none' || parseFloat(style.outlineWidth) < 2) return `no mark of the focus on ${name}`;
    const box = shown.getBoundingClientRect();
    if (box.width < 1 || box.height < 1) return `nothing is shown of ${name}`;
    if (box.bottom <= 0 || box.right <= 0 || box.top >= innerHeight || box.left >= innerWidth) return `out of sight: ${name}`;
    if (!before || before === place || !before.isConnected || place.matches('.skip')) return '';
    const behind = before.compareDocumentPosition(place) & Node.DOCUMENT_POSITION_FOLLOWING;
    return behind ? '' : `${name} comes after ${before.outerHTML.slice(0, 200)}`;";

/// Presses Tab until the focus is on what is selected, and looks at every stop.
async fn tab_to(browser: &Browser, selector: &str) {
    let there = format!("return document.activeElement?.matches({selector:?}) ?? false");
    for _ in 0..STOPS {
        if browser.run(&there).await == json!(true) {
            return;
        }
        browser.strike(TAB).await;
        let fault = browser.run(FOCUS).await;
        assert_eq!(fault, "", "on the way to {selector} at {}", browser.path().await);
    }
    panic!("no Tab leads to {selector} at {}", browser.path().await);
}

/// Goes to what is selected, and strikes keys there.
async fn at(browser: &Browser, selector: &str, keys: &str) {
    tab_to(browser, selector).await;
    browser.strike(keys).await;
}

/// What has the focus is this.
async fn rests_on(browser: &Browser, selector: &str) {
    let there = "return document.activeElement?.matches(arguments[0]) ?? false";
    browser.until(&format!("the focus is on {selector}"), there, json!([selector])).await;
}

#[tokio::test]
async fn a_customer_needs_no_mouse() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["order.created", "order.paid"]).await;
    let browser = visitor(&api, "acme").await;

    // Past the header at once, then into the form.
    browser.strike(TAB).await;
    rests_on(&browser, ".skip").await;
    browser.strike(ENTER).await;
    at(&browser, "a[href='/portal/webhooks/new']", ENTER).await;
    browser.read("h1", "Add webhook").await;
    at(&browser, "#name", "Orders").await;
    at(&browser, "#url", &sink.url).await;
    at(&browser, "input[name=events]", DOWN).await;
    browser.see("input[name=events][value=some]:checked").await;
    at(&browser, "[data-picker-search]", "paid").await;
    browser.strike(ESCAPE).await;
    browser.until("the field was left", "return document.activeElement === document.body", json!([])).await;
    at(&browser, "input[name=event][value='order.paid']", " ").await;
    at(&browser, "input[name=enabled]", " ").await;
    at(&browser, ".form > .actions .primary", ENTER).await;
    browser.read("[role=status].notice", "It is off").await;

    // On by its switch, on which the focus stays.
    at(&browser, "[role=switch][aria-checked=false]", " ").await;
    browser.see("[role=switch][aria-checked=true]").await;
    rests_on(&browser, "[role=switch][aria-checked=true]").await;
    browser.strike("/").await;
    rests_on(&browser, "[data-search]").await;
    browser.strike(ESCAPE).await;
    browser.strike("j").await;
    rests_on(&browser, "tbody .title").await;
    browser.strike(ENTER).await;
    browser.read("h1", "Orders").await;

    // A test event, whose attempt is opened and closed.
    at(&browser, "[aria-labelledby=test] form button", ENTER).await;
    sink.next().await;
    browser.read("h1 .pill", "Delivered").await;
    at(&browser, ".attempt > summary", ENTER).await;
    browser.see(".attempt:not([open])").await;
    browser.strike(" ").await;
    browser.see(".attempt[open]").await;
    at(&browser, ".attempt .headers > summary", ENTER).await;
    browser.read(".attempt .header-list", "webhook-signature").await;
    at(&browser, ".page-head [data-resend]", ENTER).await;
    sink.next().await;
    browser.read(".attempt[open] .attempt-title", "Attempt 2").await;

    // The list, filtered and cleared.
    at(&browser, ".tabs a[href='/portal/deliveries']", ENTER).await;
    browser.read("h1", "Deliveries").await;
    at(&browser, "select[name=state]", "Failed").await;
    browser.read(".empty", "No delivery matches").await;
    rests_on(&browser, "select[name=state]").await;
    at(&browser, ".empty a[href='/portal/deliveries']", ENTER).await;
    browser.read("tbody .pill", "Delivered").await;
    at(&browser, "tbody [data-resend]", ENTER).await;
    sink.next().await;
    browser.read(".toast", "It is being sent again").await;
    rests_on(&browser, "tbody .icon-button").await;

    // Off; what is missed is recovered.
    at(&browser, ".tabs a[href='/portal/webhooks']", ENTER).await;
    at(&browser, "[role=switch]", " ").await;
    browser.see("[role=switch][aria-checked=false]").await;
    api.event("acme", "order.paid").await;
    browser.strike(" ").await;
    browser.see("[role=switch][aria-checked=true]").await;
    at(&browser, "tbody .title", ENTER).await;
    browser.read("h1", "Orders").await;
    at(&browser, "a[href$='/recover']", ENTER).await;
    browser.read("h1", "Recover").await;
    at(&browser, "#since", &format!("11222026{RIGHT}0900AM")).await;
    at(&browser, ".form button", ENTER).await;
    browser.read("#count", "1 delivery").await;
    at(&browser, "section form button", ENTER).await;
    sink.next().await;
    browser.read("#progress-title", "Done").await;
    browser.close().await;
    api.stop().await;
}

#[tokio::test]
async fn a_secret_is_shown_and_hidden_by_keys() {
    let api = Api::start().await;
    api.organization("acme").await;
    api.webhook("acme", json!({"name": "Orders"})).await;
    let browser = visitor(&api, "acme").await;
    at(&browser, "tbody .title", ENTER).await;
    browser.read("h1", "Orders").await;
    at(&browser, "#secret form button", ENTER).await;
    browser.read(".secrets dd", "whsec_").await;
    rests_on(&browser, "#secret a.button").await;
    browser.strike(ENTER).await;
    browser.see("#secret .masked").await;
    at(&browser, ".ranges a", ENTER).await;
    browser.see(".ranges a:first-child[aria-current]").await;
    rests_on(&browser, ".ranges a:first-child").await;
    browser.close().await;
    api.stop().await;
}

#[tokio::test]
async fn an_operator_needs_no_mouse() {
    let api = Api::start().await;
    api.organization("acme").await;
    api.webhook("acme", json!({"name": "Orders"})).await;
    let browser = Browser::start().await;
    browser.open(&format!("{}/console", base(&api))).await;
    rests_on(&browser, "#key").await;
    browser.strike(&format!("{ADMIN}{ENTER}")).await;
    browser.read("h1", "Overview").await;
    at(&browser, ".tabs a[href='/console/organizations']", ENTER).await;
    browser.read("h1", "Organizations").await;
    at(&browser, "form[action$='/open'] button", ENTER).await;
    browser.last_window(2).await;
    browser.read("h1", "Webhooks").await;
    at(&browser, "tbody .title", ENTER).await;
    browser.read("h1", "Orders").await;
    browser.close().await;
    api.stop().await;
}
