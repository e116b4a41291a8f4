//! The portal in a real browser: Chromium, driven by WebDriver.

mod barriers;
mod console_screens;
mod driver;
mod embedding;
mod forms;
mod keyboard;
mod lists;
mod portal_screens;
mod routes;
mod screen;
mod story;
mod systems;
mod without_scripts;

use serde_json::{Value, json};

use crate::api::Api;
use driver::Browser;

/// Where a server's portal is.
pub(crate) fn base(api: &Api) -> String {
    format!("http://{}", api.address())
}

/// A browser that is in an organization's portal.
async fn visitor(api: &Api, org: &str) -> Browser {
    let browser = Browser::start().await;
    browser.open(&link(api, org, json!({})).await).await;
    browser.see("main h1").await;
    browser
}

/// A browser that is signed in at the console with the admin key.
async fn operator(api: &Api) -> Browser {
    let browser = Browser::start().await;
    console_screens::sign_in(&browser, api).await;
    browser
}

/// A link into an organization's portal.
async fn link(api: &Api, org: &str, session: Value) -> String {
    format!("{}{}", base(api), api.portal_link(org, session).await)
}
