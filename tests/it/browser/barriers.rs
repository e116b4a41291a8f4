//! That nobody is shut out: axe finds no violation of WCAG 2.2 AA on any screen, light or dark, and nothing is cut off on a
//! small screen.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{base, visitor};
use crate::api::Api;
use crate::api::sending::{Sink, local};

/// Where script/test puts it.
const AXE: &str = "target/browser/node_modules/axe-core/axe.min.js";
/// The rules that are asked for.
const RULES: &str = "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']";

/// A customer with something on every screen; gives the screens' paths.
async fn everything(api: &Api, sink: &mut Sink) -> Vec<String> {
    api.organization("acme").await;
    for (name, kind) in [("job.created", Some("Jobs")), ("job.done", Some("Jobs")), ("other", None)] {
        let example = json!({"id": 1, "title": "New roof", "paid": false, "tags": [null, 1.5]});
        let body = json!({"name": name, "kind": kind, "description": "It happened.", "example": example});
        api.post("/v1/event-types", body).await.created();
    }
    let retry = json!({"delays_seconds": []});
    let webhook = api.webhook("acme", json!({"name": "Orders", "url": sink.url, "retry": retry})).await;
    api.webhook("acme", json!({"name": "", "enabled": false, "events": ["other"]})).await;
    let paused =
        api.webhook("acme", json!({"name": "A name that is rather long and goes on", "events": ["job.done"]})).await;
    let path = format!("/v1/organizations/acme/webhooks/{}/pause", paused["id"].as_str().unwrap());
    api.post(&path, json!({})).await.ok();
    sink.answer(503);
    api.event("acme", "job.created").await;
    sink.next().await;
    let delivery = api.until_state("exhausted", 1).await[0]["id"].as_str().unwrap().to_owned();
    sink.answer(200);
    api.event("acme", "job.done").await;
    sink.next().await;
    api.until_state("delivered", 1).await;
    let webhook = format!("/portal/webhooks/{}", webhook["id"].as_str().unwrap());
    vec![
        "/portal/webhooks".to_owned(),
        "/portal/webhooks?search=nothing".to_owned(),
        "/portal/webhooks/new".to_owned(),
        format!("{webhook}/edit"),
        webhook,
        "/portal/deliveries".to_owned(),
        "/portal/deliveries?response_code=abc".to_owned(),
        format!("/portal/deliveries/{delivery}"),
        "/portal/catalogue".to_owned(),
        "/portal/nowhere".to_owned(),
    ]
}

#[tokio::test]
async fn axe_finds_nothing_on_any_screen() {
    let axe = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(AXE));
    let axe = axe.unwrap_or_else(|_| panic!("{AXE} is missing: run script/test, which installs it"));
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    let screens = everything(&api, &mut sink).await;
    let browser = visitor(&api, "acme").await;
    let look = format!(
        "const done = arguments[arguments.length - 1];
         axe.run({{runOnly: {RULES}}}).then((found) => done(found.violations.map((fault) =>
             [fault.id, fault.help, fault.nodes.map((node) => node.html + ' ' + node.failureSummary)])));"
    );
    let mut faults = Vec::new();
    for screen in &screens {
        browser.open(&format!("{}{screen}", base(&api))).await;
        // What is folded up is looked at, too.
        browser.run("document.querySelectorAll('details').forEach((part) => { part.open = true; });").await;
        browser.run("document.querySelector('input[name=events][value=some]')?.click();").await;
        browser.run("document.querySelector('input[name=auth][value=basic]')?.click();").await;
        browser.run(&axe).await;
        for scheme in ["light", "dark"] {
            browser.prefer(scheme).await;
            for width in [1280, 360] {
                browser.resize(width).await;
                match browser.run_to_end(&look).await {
                    Value::Array(found) if found.is_empty() => {}
                    found => faults.push(format!("{screen}, {scheme}, {width} pixels: {found:#}")),
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    drop(browser);
    api.stop().await;
}

#[tokio::test]
async fn every_screen_fits_into_360_pixels() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    let screens = everything(&api, &mut sink).await;
    let browser = visitor(&api, "acme").await;
    browser.resize(360).await;
    for screen in &screens {
        browser.open(&format!("{}{screen}", base(&api))).await;
        browser.run("document.querySelectorAll('details').forEach((part) => { part.open = true; });").await;
        let width = browser.run("return document.documentElement.scrollWidth").await;
        assert!(width.as_u64().unwrap() <= 360, "{screen} is {width} pixels wide");
    }
    drop(browser);
    api.stop().await;
}
