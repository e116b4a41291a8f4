//! The portal inside a page of the host's.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::http::Method;
use axum::response::Html;
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::driver::Browser;
use super::{base, link};
use crate::api::Api;

/// How long a visit lasts, in seconds.
const LASTS: u64 = 3_600;

/// A page of the host's that frames the portal; ends when dropped.
struct Host {
    origin: String,
    _server: JoinSet<()>,
}

impl Host {
    async fn start(link: &str) -> Host {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let page = format!(
            "<!doctype html><title>Host</title><link rel=icon href=data:,><iframe id=portal src=\"{link}\" width=600 height=50></iframe>
             <script>addEventListener('message', (event) => {{
                 if (event.data.type === 'fanfare:height') document.getElementById('portal').height = event.data.height;
             }});</script>"
        );
        let routes = Router::new().route("/", get(async move || Html(page)));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Host { origin, _server: server }
    }
}

#[tokio::test]
async fn a_listed_page_frames_it_and_learns_its_height() {
    let api = Api::start().await;
    api.organization("acme").await;
    api.webhook("acme", json!({"name": "Orders"})).await;
    let host = Host::start(&link(&api, "acme", json!({})).await).await;
    api.patch("/v1/projects/default", json!({"frame_ancestors": [host.origin]})).await.ok();
    let browser = Browser::start().await;
    browser.open(&host.origin).await;
    browser
        .until("the frame is as high as its page", "return document.getElementById('portal').height > 300", json!([]))
        .await;
    browser.enter_frame("#portal").await;
    browser.read("tbody .title", "Orders").await;
    browser.press("[role=switch]").await;
    browser.see("[role=switch][aria-checked=false]").await;
    browser.close().await;
    api.stop().await;
}

/// The example of a host as a program; ends when dropped.
struct Example {
    origin: String,
    program: Child,
}

impl Example {
    fn start(api: &Api, key: &str) -> Example {
        let mut program = Command::new("python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/embed/host.py"))
            .envs([("FANFARE_URL", base(api).as_str()), ("FANFARE_KEY", key), ("ORGANIZATION", "acme"), ("PORT", "0")])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 is missing: script/test installs it; run it once");
        let mut said = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let port = said.trim_end().trim_end_matches('/').rsplit(':').next().unwrap().to_owned();
        Example { origin: format!("http://127.0.0.1:{port}"), program }
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

#[tokio::test]
async fn the_example_of_a_host_shows_the_portal() {
    let api = Api::start().await;
    api.organization("acme").await;
    api.webhook("acme", json!({"name": "Orders"})).await;
    let host = Example::start(&api, &api.key(&["manage"], json!({})).await);
    api.patch("/v1/projects/default", json!({"frame_ancestors": [host.origin]})).await.ok();
    let browser = Browser::start().await;
    // Each time the page is opened, it has a link of its own.
    for _ in 0..2 {
        browser.open(&host.origin).await;
        let high = "return document.querySelector('iframe').style.height !== ''";
        browser.until("the frame is as high as its page", high, json!([])).await;
    }
    browser.enter_frame("iframe").await;
    browser.read("tbody .title", "Orders").await;
    browser.press("tbody .title").await;
    browser.read("h1", "Orders").await;
    drop(browser);
    api.stop().await;
}

#[tokio::test]
async fn a_visit_in_a_frame_says_what_is_wrong_and_when_it_is_over() {
    let api = Api::start().await;
    let project = api.post("/v1/projects", json!({"name": "shop"})).await.created();
    let key = api.key(&["manage"], json!({"project": project["id"]})).await;
    let made = api.ask(Method::PUT, "/v1/organizations/acme").key(&key).json(&json!({"name": "Acme"}));
    made.send().await.created();
    let session = json!({"expires_in": LASTS});
    let session = api.ask(Method::POST, "/v1/organizations/acme/portal-sessions").key(&key).json(&session);
    let session = session.send().await.created();
    let link = session["url"].as_str().unwrap();
    let host = Host::start(&format!("{}{}", base(&api), &link[link.find("/portal/").unwrap()..])).await;
    api.patch("/v1/projects/shop", json!({"frame_ancestors": [host.origin]})).await.ok();
    let browser = Browser::start().await;
    browser.open(&host.origin).await;
    browser.enter_frame("#portal").await;
    browser.see("main h1").await;

    // Frames of other sites get no autofocus; the wrong field has the focus all the same.
    browser.run("location.href = '/portal/webhooks/new'").await;
    browser.press(".form > .actions [type=submit]").await;
    browser.see("#url-error").await;
    browser.until("the focus is there", "return document.activeElement.id === 'url'", json!([])).await;

    api.clock.advance(Duration::from_secs(LASTS));
    browser.outlive_cookies(LASTS).await;
    browser.run("location.reload()").await;
    browser.read("h1", "Your visit has ended").await;
    drop(browser);
    api.stop().await;
}

#[tokio::test]
async fn case_088_a_page_that_is_not_listed_frames_nothing() {
    let api = Api::start().await;
    api.organization("acme").await;
    let link = link(&api, "acme", json!({})).await;
    let host = Host::start(&link).await;
    let browser = Browser::start().await;
    browser.open(&host.origin).await;
    browser.enter_frame("#portal").await;
    assert_eq!(browser.run("return document.querySelectorAll('form').length").await, json!(0));
    drop(browser);
    // The link was not used up by it.
    api.stranger().get(&link[link.find("/portal/").unwrap()..]).await.ok();
    api.stop().await;
}
