//! The portal where JavaScript is switched off.

use serde_json::json;

use super::driver::Browser;
use super::link;
use crate::api::Api;
use crate::api::sending::{Sink, local};

#[tokio::test]
async fn the_core_of_it_works() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    let browser = Browser::start().await;
    browser.devtools("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    browser.open(&link(&api, "acme", json!({})).await).await;
    assert!(browser.path().await.starts_with("/portal/open/"), "no script presses the button");
    browser.press("main button").await;
    browser.press(".empty a").await;
    browser.fill("#name", "Orders").await;
    browser.fill("#url", &sink.url).await;
    browser.press(".form > .actions button").await;
    browser.see("tbody .title").await;
    browser.press("[role=switch]").await;
    browser.see("[role=switch][aria-checked=false]").await;
    browser.press("[role=switch]").await;
    browser.see("[role=switch][aria-checked=true]").await;
    browser.fill("[data-search]", "ord").await;
    browser.press("[data-without-script]").await;
    browser.arrive("/portal/webhooks?search=ord&status=&event=").await;
    browser.press("tbody .title").await;
    browser.press("[aria-labelledby=test] button").await;
    sink.next().await;
    browser.arrive("/portal/deliveries/dlv_").await;
    browser.press(".tabs a[href='/portal/catalogue']").await;
    browser.press("details.type summary").await;
    browser.press(".type-body a").await;
    browser.see(".type-body pre").await;
    browser.close().await;
    api.stop().await;
}
