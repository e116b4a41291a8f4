//! A browser of a test's own, and what tests ask of it. It ends with the test.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

/// Far longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the driver says when it can be asked; the port follows.
const STARTED: &str = "started successfully on port ";

/// See the module.
pub(super) struct Browser {
    client: Client,
    driver: Child,
    /// The driver's port, and the session by which it knows the browser.
    port: u16,
    session: String,
    _profile: TempDir,
}

impl Browser {
    pub(super) async fn start() -> Browser {
        let mut driver =
            Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect(
                "chromedriver is missing: run script/test, which installs it, or install the package chromium-driver",
            );
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.map_while(Result::ok).find_map(|line| {
            line.split_once(STARTED).map(|(_, port)| port.trim_end_matches('.').parse::<u16>().unwrap())
        });
        let port = port.expect("chromedriver ended at once");
        let profile = tempfile::tempdir().unwrap();
        let directory = format!("--user-data-dir={}", profile.path().display());
        let options = json!({"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", directory]});
        let wanted = json!({"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}});
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted.as_object().unwrap().clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await;
        match client {
            Ok(client) => {
                let session = client.session_id().await.unwrap().unwrap();
                let browser = Browser { client, driver, port, session, _profile: profile };
                browser.resize(1280).await;
                browser
            }
            Err(error) => {
                let _ = driver.kill();
                panic!("Chromium did not start: {error}");
            }
        }
    }

    /// Ends it. What pages complained about fails the test.
    pub(super) async fn close(self) {
        let log = self.client.issue_cmd(Ask::log()).await.unwrap();
        // A form that is answered with what is wrong in it is no fault of the page.
        let refused = |entry: &Value| entry["source"] == "network" && entry["message"].to_string().contains("422");
        let severe = log.as_array().unwrap().iter().filter(|entry| entry["level"] == "SEVERE");
        let bad: Vec<&Value> = severe.filter(|entry| !refused(entry)).collect();
        assert!(bad.is_empty(), "{bad:#?}");
        self.client.clone().close().await.unwrap();
    }

    pub(super) async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// The path of the page, with its query.
    pub(super) async fn path(&self) -> String {
        let url = self.client.current_url().await.unwrap();
        url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
    }

    /// Waits until the page is at a path that begins so, with its query.
    pub(super) async fn arrive(&self, path: &str) {
        let wait = async {
            while !self.path().await.starts_with(path) {
                tokio::task::yield_now().await;
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("waited in vain for {path}: it is at {}", self.path().await);
        }
    }

    /// Waits for an element.
    pub(super) async fn see(&self, selector: &str) -> Element {
        let found = self.client.wait().at_most(PATIENCE).for_element(Locator::Css(selector)).await;
        match found {
            Ok(found) => found,
            Err(error) => {
                panic!("{selector} did not come: {error}\n{}", self.client.source().await.unwrap_or_default())
            }
        }
    }

    /// Waits until the one element that is selected has this in its text.
    pub(super) async fn read(&self, selector: &str, text: &str) {
        let script =
            "const e = document.querySelector(arguments[0]); return !!e && e.innerText.includes(arguments[1]);";
        self.until(&format!("{selector} says {text:?}"), script, json!([selector, text])).await;
    }

    /// Waits until a script answers true.
    pub(super) async fn until(&self, what: &str, script: &str, arguments: Value) {
        let wait = async {
            while self.client.execute(script, arguments.as_array().unwrap().clone()).await.unwrap() != json!(true) {
                tokio::task::yield_now().await;
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("waited in vain: {what}\n{}", self.client.source().await.unwrap_or_default());
        }
    }

    /// What a script answers.
    pub(super) async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// What a script answers that calls its last argument when it is done.
    pub(super) async fn run_to_end(&self, script: &str) -> Value {
        self.client.execute_async(script, Vec::new()).await.unwrap()
    }

    /// Waits for an element and presses it.
    pub(super) async fn press(&self, selector: &str) {
        self.press_at(Locator::Css(selector)).await;
    }

    /// Waits for a link or button that says this, and presses it.
    pub(super) async fn press_text(&self, tag: &str, text: &str) {
        self.press_at(Locator::XPath(&format!("//{tag}[contains(normalize-space(.), '{text}')]"))).await;
    }

    async fn press_at(&self, place: Locator<'_>) {
        let pressed = async {
            loop {
                let found = self.client.wait().at_most(PATIENCE).for_element(place).await;
                match found.unwrap_or_else(|error| panic!("{place:?} did not come: {error}")).click().await {
                    // Its part of the page was replaced meanwhile.
                    Err(error) if was_replaced(&error) => tokio::task::yield_now().await,
                    done => return done.unwrap(),
                }
            }
        };
        tokio::time::timeout(PATIENCE, pressed).await.unwrap_or_else(|_| panic!("{place:?} does not stay"));
    }

    /// Types into a field.
    pub(super) async fn fill(&self, selector: &str, text: &str) {
        let filled = async {
            loop {
                match type_into(&self.see(selector).await, text).await {
                    // Its part of the page was replaced meanwhile.
                    Err(error) if was_replaced(&error) => tokio::task::yield_now().await,
                    done => return done.unwrap(),
                }
            }
        };
        tokio::time::timeout(PATIENCE, filled).await.unwrap_or_else(|_| panic!("{selector} does not stay"));
    }

    /// Opens everything that is folded up.
    pub(super) async fn unfold(&self) {
        self.run("document.querySelectorAll('details').forEach((part) => { part.open = true; });").await;
    }

    /// Presses keys where the focus is.
    pub(super) async fn keys(&self, keys: &str) {
        self.client.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    /// Strikes keys one after another, as on a keyboard.
    pub(super) async fn strike(&self, keys: &str) {
        let actions = keys.chars().fold(KeyActions::new("keyboard".to_owned()), |actions, value| {
            actions.then(KeyAction::Down { value }).then(KeyAction::Up { value })
        });
        self.client.perform_actions(actions).await.unwrap();
    }

    /// Goes on in the window that was opened last, once there are so many.
    pub(super) async fn last_window(&self, count: usize) {
        let opened = async {
            loop {
                let windows = self.client.windows().await.unwrap();
                match windows.last() {
                    Some(last) if windows.len() == count => return last.clone(),
                    _ => tokio::task::yield_now().await,
                }
            }
        };
        let last = tokio::time::timeout(PATIENCE, opened).await.expect("no window was opened");
        self.client.switch_to_window(last).await.unwrap();
    }

    /// Looks through a window that is so wide, in pixels.
    pub(super) async fn resize(&self, width: u32) {
        let metrics = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// As somebody who wants `light` or `dark` pages, and nothing that moves.
    pub(super) async fn prefer(&self, scheme: &str) {
        let scheme = json!({"name": "prefers-color-scheme", "value": scheme});
        let features = json!({"features": [scheme, {"name": "prefers-reduced-motion", "value": "reduce"}]});
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    /// Asks the browser's own protocol.
    pub(super) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.client.issue_cmd(Ask::devtools(command, &parameters)).await.unwrap()
    }

    /// Has the browser drop the cookies that it would have dropped when so many seconds have passed.
    pub(super) async fn outlive_cookies(&self, seconds: u64) {
        let then = self.run("return Date.now() / 1000").await.as_f64().unwrap() + seconds as f64;
        let kept = self.devtools("Network.getAllCookies", json!({})).await;
        for cookie in kept["cookies"].as_array().unwrap() {
            if cookie["expires"].as_f64().is_some_and(|end| end > 0.0 && end <= then) {
                let mut named = json!({"name": cookie["name"], "domain": cookie["domain"], "path": cookie["path"]});
                if let Some(key) = cookie.get("partitionKey") {
                    named["partitionKey"] = key.clone();
                }
                self.devtools("Network.deleteCookies", named).await;
            }
        }
    }

    /// Goes into the frame that is selected.
    pub(super) async fn enter_frame(&self, selector: &str) {
        self.see(selector).await.enter_frame().await.unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It has ended already where the test went well. The driver leaves the browser alone when it is killed.
        let _ = end_session(self.port, &self.session);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Has the driver end its browser, and waits for that.
fn end_session(port: u16, session: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "DELETE /session/{session} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n")?;
    // It answers once the browser has ended, and may leave the connection open.
    stream.read(&mut [0; 64]).map(|_| ())
}

/// A command that only Chromium's driver knows.
#[derive(Debug)]
struct Ask {
    path: &'static str,
    body: String,
}

impl Ask {
    fn devtools(command: &str, parameters: &Value) -> Ask {
        Ask { path: "goog/cdp/execute", body: json!({"cmd": command, "params": parameters}).to_string() }
    }

    fn log() -> Ask {
        Ask { path: "se/log", body: json!({"type": "browser"}).to_string() }
    }
}

impl WebDriverCompatibleCommand for Ask {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.clone()))
    }
}

/// Whether an element's part of the page was replaced meanwhile. Chromium has two ways to say so.
fn was_replaced(error: &CmdError) -> bool {
    error.is_stale_element_reference() || error.to_string().contains("does not belong to the document")
}

/// Replaces what is in a field.
async fn type_into(field: &Element, text: &str) -> Result<(), CmdError> {
    field.clear().await?;
    field.send_keys(text).await
}
