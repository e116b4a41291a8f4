//! Takes the documentation's pictures of portal and console: `script/screenshots`.
//!
//! `customers` invents a project and lets a day pass in it; here its pages are opened and photographed. Ids and times are the
//! same each time, since the clock is set.

#![expect(clippy::unwrap_used, reason = "a tool for developers: what goes wrong is told by its panic")]

mod customers;
#[path = "../../tests/it/browser/driver.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod driver;

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use customers::Project;
use driver::Browser;

/// How wide every picture is, in pixels.
const WIDTH: u32 = 1200;

/// A picture: its file, what it shows, how high it is in pixels, and in which colours.
struct Picture {
    name: &'static str,
    path: String,
    height: u32,
    scheme: &'static str,
    /// What is scrolled to, if not the page's beginning.
    from: Option<&'static str>,
}

fn picture(name: &'static str, path: impl Into<String>, height: u32) -> Picture {
    Picture { name, path: path.into(), height, scheme: "light", from: None }
}

#[tokio::main]
async fn main() {
    let directory = std::env::args().nth(1).expect("say into which directory the pictures go");
    let directory = Path::new(&directory);
    std::fs::create_dir_all(directory).unwrap();
    let project = Project::invent().await;
    let browser = Browser::start().await;
    browser.devtools("Emulation.setTimezoneOverride", json!({"timezoneId": "UTC"})).await;
    browser.devtools("Emulation.setScrollbarsHidden", json!({"hidden": true})).await;

    browser.open(&project.portal_link().await).await;
    browser.see(".webhooks").await;
    let webhook = format!("/portal/webhooks/{}", project.orders);
    for shown in [
        picture("portal-webhooks", "/portal/webhooks", 550),
        picture("portal-webhook", &webhook, 1010),
        picture("portal-delivery", format!("/portal/deliveries/{}", project.retried), 960),
        Picture { scheme: "dark", ..picture("portal-deliveries-dark", "/portal/deliveries", 760) },
        Picture { from: Some("#code"), ..picture("portal-verify", format!("{webhook}/verify"), 610) },
    ] {
        take(&browser, &project.url, &shown, directory).await;
    }

    browser.open(&project.console_link().await).await;
    browser.see(".session").await;
    for shown in [picture("console-overview", "/console", 1010), picture("console-failing", "/console/failing", 380)] {
        take(&browser, &project.url, &shown, directory).await;
    }
    browser.close().await;
    project.stop().await;
}

/// Opens a page and writes its picture.
async fn take(browser: &Browser, url: &str, picture: &Picture, directory: &Path) {
    let metrics = json!({"width": WIDTH, "height": picture.height, "deviceScaleFactor": 1, "mobile": false});
    browser.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    browser.prefer(picture.scheme).await;
    browser.open(&format!("{url}{}", picture.path)).await;
    browser.see("main h1").await;
    let top = match picture.from {
        Some(selector) => {
            browser.run(&format!("return document.querySelector({selector:?}).getBoundingClientRect().top - 16")).await
        }
        None => json!(0),
    };
    let clip = json!({"x": 0, "y": top, "width": WIDTH, "height": picture.height, "scale": 1});
    let asked = json!({"format": "png", "clip": clip, "captureBeyondViewport": true, "optimizeForSpeed": false});
    let taken = browser.devtools("Page.captureScreenshot", asked).await;
    let bytes = STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
    let file = directory.join(format!("{}.png", picture.name));
    std::fs::write(&file, &bytes).unwrap();
    println!("{}: {} KiB", file.display(), bytes.len() / 1024);
}
