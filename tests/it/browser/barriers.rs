//! That nobody is shut out: axe finds no violation of WCAG 2.2 AA on any screen, light or dark, and nothing is cut off on a
//! small screen.

use std::fs;
use std::path::Path;
use std::time::Duration;

use fanfare::catalogue::operators::{self, Operates};
use serde_json::{Value, json};

use super::driver::Browser;
use super::screen::{Screen, Things};
use super::{base, console_screens, link, portal_screens, visitor};
use crate::api::Api;
use crate::api::sending::{Sink, local};

/// Where script/test puts it.
const AXE: &str = "target/browser/node_modules/axe-core/axe.min.js";
/// What is asked for in light colours.
const ALL: &str = "runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    rules: {'target-size': {enabled: true}}";
/// What is asked for once more in dark ones: nothing else depends on them.
const COLOURS: &str = "runOnly: {type: 'rule', values: ['color-contrast', 'link-in-text-block']}";
/// The wide window and the narrow one, in pixels.
const WIDTHS: [u32; 2] = [1280, 360];
/// Longer than any visit.
const AGES: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// Looks at screens, and keeps what is wrong with them.
struct Inspector<'a> {
    browser: Browser,
    base: String,
    things: &'a Things,
    axe: String,
    faults: Vec<String>,
}

impl<'a> Inspector<'a> {
    fn new(api: &Api, browser: Browser, things: &'a Things) -> Self {
        let axe = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(AXE));
        let axe = axe.unwrap_or_else(|_| panic!("{AXE} is missing: run script/test, which installs it"));
        Inspector { browser, base: base(api), things, axe, faults: Vec::new() }
    }

    async fn all(&mut self, screens: &[Screen]) {
        for screen in screens {
            screen.show(&self.browser, &self.base, self.things).await;
            self.here(&screen.to_string()).await;
        }
    }

    /// Looks at the screen that is shown, wide and narrow, light and dark.
    async fn here(&mut self, name: &str) {
        let browser = &self.browser;
        browser.unfold().await;
        browser.run("document.querySelector('input[name=events][value=some]')?.click();").await;
        browser.run("document.querySelector('input[name=auth][value=basic]')?.click();").await;
        browser.run(&self.axe).await;
        for width in WIDTHS {
            browser.resize(width).await;
            let wide = browser.run("return document.documentElement.scrollWidth").await;
            if wide.as_u64().unwrap() > width.into() {
                self.faults.push(format!("{name} is {wide} pixels wide in a window of {width}"));
            }
            for (scheme, asked) in [("light", ALL), ("dark", COLOURS)] {
                browser.prefer(scheme).await;
                let look = format!(
                    "const done = arguments[arguments.length - 1];
                     axe.run({{{asked}}}).then((found) => done(found.violations.map((fault) =>
                         [fault.id, fault.help, fault.nodes.map((node) => node.html + ' ' + node.failureSummary)])));"
                );
                match browser.run_to_end(&look).await {
                    Value::Array(found) if found.is_empty() => {}
                    found => self.faults.push(format!("{name}, {scheme}, {width} pixels: {found:#}")),
                }
            }
        }
    }

    /// Looks at a page whose script would leave it at once.
    async fn without_its_script(&mut self, screen: Screen) {
        self.browser.devtools("Network.enable", json!({})).await;
        self.browser.devtools("Network.setBlockedURLs", json!({"urls": ["*/portal/assets/portal-*.js"]})).await;
        self.all(&[screen]).await;
        self.browser.devtools("Network.setBlockedURLs", json!({"urls": []})).await;
    }

    #[track_caller]
    fn report(self) {
        assert!(self.faults.is_empty(), "{}", self.faults.join("\n"));
    }
}

#[tokio::test]
async fn pages_of_webhooks_shut_nobody_out() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    let things = portal_screens::customer(&api, &mut sink).await;
    let mut inspector = Inspector::new(&api, visitor(&api, "acme").await, &things);
    inspector.all(&portal_screens::OF_WEBHOOKS).await;
    inspector.report();
    api.stop().await;
}

#[tokio::test]
async fn pages_of_deliveries_shut_nobody_out() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    let things = portal_screens::customer(&api, &mut sink).await;
    let mut inspector = Inspector::new(&api, visitor(&api, "acme").await, &things);
    inspector.all(&portal_screens::OF_DELIVERIES).await;
    inspector.browser.open(&format!("{}/portal/webhooks", base(&api))).await;
    inspector.browser.keys("?").await;
    inspector.browser.see("#keys[open]").await;
    inspector.here("the keys").await;
    inspector.report();
    api.stop().await;
}

#[tokio::test]
async fn code_in_every_language_shuts_nobody_out() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    let things = portal_screens::customer(&api, &mut sink).await;
    let mut inspector = Inspector::new(&api, visitor(&api, "acme").await, &things);
    inspector.all(&portal_screens::LANGUAGES).await;
    let labels = "return document.querySelectorAll('.languages > label').length";
    assert_eq!(inspector.browser.run(labels).await, json!(portal_screens::LANGUAGES.len()), "a language was added");
    inspector.report();
    api.stop().await;
}

#[tokio::test]
async fn those_who_come_and_go_are_not_shut_out() {
    let api = Api::start().await;
    api.organization("empty").await;
    let code = |link: &str| link.rsplit('/').next().unwrap().to_owned();
    let used = link(&api, "empty", json!({})).await;
    let fresh = link(&api, "empty", json!({})).await;
    let (_, console) = operators::begin(api.app(), &Operates::Admin).await.unwrap();
    let things = Things::from([("used code", code(&used)), ("code", code(&fresh))]);
    let console_things = Things::from([("code", console)]);
    let browser = Browser::start().await;
    browser.open(&used).await;
    browser.see(".empty").await;
    let mut inspector = Inspector::new(&api, browser, &things);
    inspector.all(&portal_screens::EMPTY).await;
    inspector.without_its_script(portal_screens::ENTRY).await;
    // The visit ends; what it knew is shown no more.
    api.clock.advance(AGES);
    inspector.all(&portal_screens::OUTSIDE).await;
    inspector.browser.devtools("Network.clearBrowserCookies", json!({})).await;
    inspector.all(&portal_screens::OUTSIDE).await;
    inspector.things = &console_things;
    inspector.all(&console_screens::OUTSIDE).await;
    let (_, console) = operators::begin(api.app(), &Operates::Admin).await.unwrap();
    let console_things = Things::from([("code", console)]);
    inspector.things = &console_things;
    inspector.without_its_script(console_screens::ENTRY).await;
    console_screens::sign_in(&inspector.browser, &api).await;
    inspector.all(&console_screens::EMPTY[..1]).await;
    inspector.report();
    api.stop().await;
}

#[tokio::test]
async fn the_console_shuts_nobody_out() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    let things = console_screens::project(&api, &mut sink).await;
    let browser = Browser::start().await;
    console_screens::sign_in(&browser, &api).await;
    let mut inspector = Inspector::new(&api, browser, &things);
    inspector.all(&console_screens::SCREENS).await;
    inspector.report();
    api.stop().await;
}

#[tokio::test]
async fn an_empty_console_shuts_nobody_out() {
    let api = Api::start().await;
    let things = Things::new();
    let browser = Browser::start().await;
    console_screens::sign_in(&browser, &api).await;
    let mut inspector = Inspector::new(&api, browser, &things);
    inspector.all(&console_screens::EMPTY).await;
    inspector.report();
    api.stop().await;
}
