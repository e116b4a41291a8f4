//! Lists that change while they are looked at.

use std::time::Duration;

use serde_json::json;

use super::driver::Browser;
use super::{link, visitor};
use crate::api::Api;
use crate::api::sending::{Sink, local, until};

/// An organization with a webhook that tries once, and the portal's id of it.
async fn ready(sink: &Sink) -> (Api, String) {
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    let settings = json!({"name": "Orders", "url": sink.url, "retry": {"delays_seconds": []}});
    let webhook = api.webhook("acme", settings).await["id"].as_str().unwrap().to_owned();
    (api, webhook)
}

async fn send(api: &Api, sink: &mut Sink, count: usize) {
    for _ in 0..count {
        api.event("acme", "job.created").await;
        sink.next().await;
    }
}

const TOAST: &str = "#toasts .toast";

#[tokio::test]
async fn a_row_that_is_acted_on_goes_only_where_its_list_says_so() {
    let mut sink = Sink::start().await;
    let (api, webhook) = ready(&sink).await;
    sink.answer(500);
    send(&api, &mut sink, 2).await;
    api.until_state("exhausted", 2).await;
    sink.answer(200);
    let browser = visitor(&api, "acme").await;
    let base = super::base(&api);

    // What fits the filter no more leaves the list, and the next one stays.
    browser.open(&format!("{base}/portal/deliveries?state=exhausted")).await;
    browser.run("window.same = true").await;
    browser.press("tbody tr:first-child [data-resend]").await;
    browser.read(TOAST, "It is being sent again").await;
    sink.next().await;
    let one = "return document.querySelectorAll('tbody tr').length === 1";
    browser.until("the other row stays", one, json!([])).await;
    assert_eq!(browser.run("return window.same").await, json!(true), "the page was loaded again");
    api.until_state("delivered", 1).await;

    // On the webhook's page it stays, also when many others came since.
    browser.open(&format!("{base}/portal/webhooks/{webhook}")).await;
    browser.run("document.querySelector('.deliveries').scrollIntoView(); window.top_ = scrollY").await;
    send(&api, &mut sink, 25).await;
    api.until_state("delivered", 26).await;
    browser.press(".deliveries tbody tr:last-child [data-resend]").await;
    browser.read(TOAST, "It is being sent again").await;
    sink.next().await;
    assert_eq!(browser.run("return document.querySelectorAll('.deliveries tbody tr').length").await, json!(2));

    // Far down, the page does not jump to its top by it.
    api.until_state("delivered", 27).await;
    browser.open(&format!("{base}/portal/deliveries")).await;
    browser.run("scrollTo(0, document.body.scrollHeight)").await;
    browser.press("tbody tr:last-child [data-resend]").await;
    browser.read(TOAST, "It is being sent again").await;
    assert_eq!(browser.run("return scrollY > 300").await, json!(true));
    browser.close().await;
    api.stop().await;
}

#[tokio::test]
async fn a_row_that_is_sent_again_shows_what_came_of_it() {
    let mut sink = Sink::start().await;
    let (api, _) = ready(&sink).await;
    sink.answer(500);
    send(&api, &mut sink, 1).await;
    api.until_state("exhausted", 1).await;
    sink.answer(200);
    sink.hold(true);
    let browser = visitor(&api, "acme").await;
    browser.open(&format!("{}/portal/deliveries", super::base(&api))).await;
    browser.run("window.same = true").await;
    browser.press("tbody [data-resend]").await;
    sink.next().await;

    // As long as it is under way, its button waits in its place, with the focus.
    browser.see("tbody .icon-button[aria-disabled=true]").await;
    let there = "return document.activeElement?.matches('tbody .icon-button')";
    browser.until("the focus is on the button", there, json!([])).await;
    sink.hold(false);
    browser.read("tbody .pill", "Delivered").await;
    browser.see("tbody [data-resend]").await;
    browser.until("the focus is on the button", there, json!([])).await;
    assert_eq!(browser.run("return window.same").await, json!(true), "the page was loaded again");
    browser.close().await;
    api.stop().await;
}

#[tokio::test]
async fn a_list_that_is_followed_shows_what_is_so() {
    let mut sink = Sink::start().await;
    let (api, webhook) = ready(&sink).await;
    let path = format!("/v1/organizations/acme/webhooks/{webhook}");
    api.post(&format!("{path}/pause"), json!({})).await.ok();
    let browser = visitor(&api, "acme").await;
    browser.open(&format!("{}/portal/deliveries?state=pending", super::base(&api))).await;
    browser.read(".empty", "No delivery matches").await;
    browser.run("window.same = true").await;
    browser.press("[data-live]").await;
    api.event("acme", "job.created").await;
    // Nothing tells of what only waits; the button asks anew when it is pressed.
    until("the row is there", async || {
        browser.press("[data-live]").await;
        let count = browser.run("return document.querySelectorAll('tbody tr').length").await;
        (count == json!(1)).then_some(())
    })
    .await;
    if browser.run("return document.querySelector('[data-live]').ariaPressed").await != json!("true") {
        browser.press("[data-live]").await;
    }
    // What waited is sent, and is not said to wait any more.
    api.post(&format!("{path}/resume"), json!({})).await.ok();
    sink.next().await;
    browser.read(".empty", "No delivery matches").await;
    assert_eq!(browser.run("return window.same").await, json!(true), "the page was loaded again");
    browser.close().await;
    api.stop().await;
}

#[tokio::test]
async fn rows_that_did_not_change_stay_as_they_are() {
    let mut sink = Sink::start().await;
    let (api, _) = ready(&sink).await;
    send(&api, &mut sink, 1).await;
    api.until_state("delivered", 1).await;
    let browser = visitor(&api, "acme").await;
    browser.open(&format!("{}/portal/deliveries", super::base(&api))).await;
    browser.press("[data-live]").await;
    let rows = "return document.querySelectorAll('tbody .pill.delivered').length === arguments[0]";
    for number in 2..=3 {
        send(&api, &mut sink, 1).await;
        api.until_state("delivered", number).await;
        browser.until("the new row is there", rows, json!([number])).await;
        if number == 2 {
            browser.run("document.querySelector('tbody tr:last-child').kept = true").await;
        }
    }
    let kept = "return document.querySelector('tbody tr:last-child').kept";
    assert_eq!(browser.run(kept).await, json!(true), "what is selected in it would be lost");
    browser.close().await;
    api.stop().await;
}

#[tokio::test]
async fn what_was_opened_stays_open_while_an_attempt_is_under_way() {
    let mut sink = Sink::start().await;
    let (api, _) = ready(&sink).await;
    send(&api, &mut sink, 1).await;
    let delivery = api.until_state("delivered", 1).await[0]["id"].as_str().unwrap().to_owned();
    let browser = visitor(&api, "acme").await;
    browser.open(&format!("{}/portal/deliveries/{delivery}", super::base(&api))).await;
    sink.hold(true);
    browser.press(".page-head [data-resend]").await;
    sink.next().await;
    browser.read(".attempt[open] .attempt-title", "Attempt 1").await;
    browser.press("#attempt-1 .headers summary").await;
    browser.see("#attempt-1 .headers[open]").await;
    sink.hold(false);
    browser.read("#attempt-2[open] .attempt-title", "Attempt 2").await;
    browser.see("#attempt-1[open] .headers[open]").await;
    browser.close().await;
    api.stop().await;
}

#[tokio::test]
async fn a_page_that_asks_by_itself_says_once_that_the_visit_has_ended() {
    const LASTS: u64 = 600;
    let mut sink = Sink::start().await;
    let (api, _) = ready(&sink).await;
    sink.hold(true);
    send(&api, &mut sink, 1).await;
    let delivery = api.until_state("delivering", 1).await[0]["id"].as_str().unwrap().to_owned();
    let browser = Browser::start().await;
    browser.open(&link(&api, "acme", json!({"expires_in": LASTS})).await).await;
    browser.see("main h1").await;
    browser.open(&format!("{}/portal/deliveries/{delivery}", super::base(&api))).await;
    browser.see("[data-polls]").await;
    api.clock.advance(Duration::from_secs(LASTS));
    browser.read("h1", "Your visit has ended").await;
    assert_eq!(browser.run("return document.querySelectorAll('#toasts .toast, [data-polls]').length").await, 0);
    // Its console has the refusal.
    drop(browser);
    sink.hold(false);
    api.stop().await;
}

#[tokio::test]
async fn what_an_event_type_sends_is_read_where_it_is_opened() {
    let sink = Sink::start().await;
    let (api, _) = ready(&sink).await;
    let browser = visitor(&api, "acme").await;
    browser.open(&format!("{}/portal/catalogue", super::base(&api))).await;
    browser.press("details.type summary").await;
    browser.read("details.type[open] .type-body pre", "example of").await;
    browser.see("details.type .type-body [data-copy]:not([hidden])").await;
    browser.press("details.type .type-body form button").await;
    browser.read("h1", "job.created").await;
    browser.arrive("/portal/deliveries/dlv_").await;
    browser.close().await;
    api.stop().await;
}

#[tokio::test]
async fn pages_of_two_organizations_are_not_mixed() {
    let sink = Sink::start().await;
    let (api, _) = ready(&sink).await;
    api.organization("other").await;
    let browser = visitor(&api, "acme").await;
    browser.read(".brand-name", "acme").await;
    browser.open(&format!("{}/portal/deliveries", super::base(&api))).await;
    // Another tab opens the other one's portal in the same browser.
    let other = link(&api, "other", json!({})).await;
    let opened = format!("const done = arguments[0]; fetch('{other}', {{method: 'POST'}}).then(() => done(true))");
    assert_eq!(browser.run_to_end(&opened).await, json!(true));
    browser.run("document.querySelector('[name=state]').value = 'pending'; document.querySelector('[name=state]').dispatchEvent(new Event('change', {bubbles: true}))").await;
    browser.read(".brand-name", "other").await;
    browser.close().await;
    api.stop().await;
}

#[tokio::test]
async fn pages_of_two_projects_are_not_mixed() {
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    let production = api.post("/v1/projects", json!({"name": "production"})).await.created();
    let browser = super::operator(&api).await;
    browser.open(&format!("{}/console/organizations", super::base(&api))).await;
    browser.read(".brand", "default").await;
    // Another tab chooses another project for the same session.
    let choose = format!(
        "const done = arguments[0]; const form = new URLSearchParams({{form_mark: document.querySelector('[name=form_mark]').value, \
         project: '{}'}}); fetch('/console/project', {{method: 'POST', body: form}}).then(() => done(true))",
        production["id"].as_str().unwrap()
    );
    assert_eq!(browser.run_to_end(&choose).await, json!(true));
    browser.fill("[data-search]", "acme").await;
    browser.read(".brand", "production").await;
    browser.close().await;
    api.stop().await;
}

#[tokio::test]
async fn deliveries_are_searched_by_a_key() {
    let mut sink = Sink::start().await;
    let (api, _) = ready(&sink).await;
    send(&api, &mut sink, 1).await;
    api.until_state("delivered", 1).await;
    let browser = visitor(&api, "acme").await;
    browser.press_text("a", "Deliveries").await;
    browser.see("tbody .title").await;
    browser.run("window.same = true").await;
    browser.keys("/").await;
    browser.keys("nowhere\u{e007}").await;
    browser.read(".empty", "No delivery matches").await;
    browser.arrive("/portal/deliveries?search=nowhere").await;
    browser.fill("[data-search]", "orders\u{e007}").await;
    browser.read("tbody .kind", "job.created").await;
    assert_eq!(browser.run("return window.same").await, json!(true), "the page was loaded again");
    browser.close().await;
    api.stop().await;
}
