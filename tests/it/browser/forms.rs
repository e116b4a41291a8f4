//! Forms and choices as a person with a browser meets them.

use serde_json::json;

use super::{base, visitor};
use crate::api::Api;

#[tokio::test]
async fn a_form_says_what_is_wrong_early_and_is_sent_once() {
    let api = Api::start().await;
    api.organization("acme").await;
    let browser = visitor(&api, "acme").await;
    browser.open(&format!("{}/portal/webhooks/new", base(&api))).await;
    browser.fill("#url", "ftp://example.com").await;
    browser.keys("\u{e004}").await;
    browser.read("#url-said", "must start with https://").await;
    browser.see("#url[aria-invalid=true][aria-describedby=url-error]").await;
    browser.fill("#url", crate::api::URL).await;
    browser.keys("\u{e004}").await;
    browser.see("#url:not([aria-invalid])").await;

    let twice = "const form = document.querySelector('.form'); form.requestSubmit();
        const again = new SubmitEvent('submit', { cancelable: true, bubbles: true });
        form.dispatchEvent(again); return again.defaultPrevented;";
    assert_eq!(browser.run(twice).await, json!(true));
    let elsewhere = "const form = document.createElement('form'); form.method = 'post'; form.target = '_blank';
        document.body.append(form);
        return [1, 2].map(() => {
          const press = new SubmitEvent('submit', { cancelable: true, bubbles: true });
          form.dispatchEvent(press);
          return press.defaultPrevented;
        });";
    assert_eq!(browser.run(elsewhere).await, json!([false, false]), "what opens another page may be opened again");
    browser.read("tbody", crate::api::URL).await;
    browser.close().await;
    api.stop().await;
}

#[tokio::test]
async fn times_are_typed_in_the_zone_in_which_they_are_shown() {
    let api = Api::start().await;
    api.organization("acme").await;
    let browser = visitor(&api, "acme").await;
    browser.devtools("Emulation.setTimezoneOverride", json!({"timezoneId": "America/New_York"})).await;
    let list = format!("{}/portal/deliveries", base(&api));
    browser.open(&format!("{list}?since=2026-11-22T09%3A30%3A00Z")).await;
    let field = "return document.querySelector('input[type=datetime-local]').value";
    assert_eq!(browser.run(field).await, "2026-11-22T04:30");
    browser.read("[data-zone]", "local time").await;
    let typed = "const field = document.querySelector('input[type=datetime-local]'); field.value = '2026-11-22T05:00';
        field.dispatchEvent(new Event('change', { bubbles: true }));";
    browser.run(typed).await;
    let sent = "return new URLSearchParams(location.search).get('since') === '2026-11-22T10:00'";
    browser.until("the filter holds UTC", sent, json!([])).await;
    let to_utc = "const choice = document.querySelector('[data-choice=times]'); choice.value = 'utc';
        choice.dispatchEvent(new Event('change', { bubbles: true }));";
    browser.run(to_utc).await;
    assert_eq!(browser.run(field).await, "2026-11-22T10:00");
    browser.read("[data-zone]", "UTC").await;
    // What is no time, and so is not seen, is not asked for again.
    browser.open(&format!("{list}?since=yesterday")).await;
    browser.see("[role=alert]").await;
    assert_eq!(browser.run("return document.querySelector('[name=since]').value").await, "");
    browser.close().await;
    api.stop().await;
}

#[tokio::test]
async fn looks_and_keys_are_the_visitors_choice() {
    let api = Api::start().await;
    api.organization("acme").await;
    api.patch("/v1/projects/default", json!({"theme": {"mode": "dark"}})).await.ok();
    let browser = visitor(&api, "acme").await;
    let scheme = "return getComputedStyle(document.documentElement).colorScheme";
    assert_eq!(browser.run(scheme).await, "dark");
    browser
        .run(
            "const mode = document.querySelector('[data-choice=mode]'); mode.value = 'light';
        mode.dispatchEvent(new Event('change', { bubbles: true }));",
        )
        .await;
    assert_eq!(browser.run(scheme).await, "light");

    browser.keys("?").await;
    browser.see("#keys[open]").await;
    browser.press("[data-keys-on]").await;
    browser.press("#keys form button").await;
    browser.see("#keys:not([open])").await;
    browser.keys("?").await;
    assert_eq!(browser.run("return document.getElementById('keys').open").await, json!(false));
    browser.press("[data-keys]").await;
    browser.press("#keys[open] [data-keys-on]").await;
    browser.press("#keys form button").await;
    browser.keys("?").await;
    browser.see("#keys[open]").await;
    browser.close().await;
    api.stop().await;
}
