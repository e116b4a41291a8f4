//! The code that checks signatures, run on requests as they were sent.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fanfare::config::Sources;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::verify_programs::Programs;
use super::verify_rust::Program;
use super::{Seen, id};
use crate::api::sending::local;
use crate::api::{Api, START};

/// Loads the code from the directory that it is told, lets the clock stand, and says whether it takes the request.
const PYTHON: &str = r#"
import base64, json, sys, time
case = json.load(sys.stdin)
time.time = lambda: case["now"]
sys.path.insert(0, case["directory"])
from webhook import verify
print(json.dumps(verify(case["headers"], base64.b64decode(case["body"]))))
"#;
const NODE: &str = r#"
import fs from "node:fs";
const given = JSON.parse(fs.readFileSync(0, "utf8"));
Date.now = () => given.now * 1000;
const { verify } = await import(`${given.directory}/webhook.mjs`);
console.log(JSON.stringify(verify(given.headers, Buffer.from(given.body, "base64"))));
"#;
/// A secret with everything that could end a literal.
const ODD: &str = r#"it's "odd" \ of $HOME #{1} ${2} and long enough"#;

/// A receiver that keeps what comes, and agrees to a challenge.
struct Keeper {
    url: String,
    requests: mpsc::Receiver<(HeaderMap, Bytes)>,
    _server: JoinSet<()>,
}

impl Keeper {
    async fn start() -> Keeper {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (sender, requests) = mpsc::channel(100);
        let keep = async |State(sender): State<mpsc::Sender<_>>, headers: HeaderMap, body: Bytes| {
            let told: Value = serde_json::from_slice(&body).unwrap_or_default();
            match told["challenge"].as_str() {
                Some(challenge) => return challenge.to_owned(),
                None => sender.send((headers, body)).await.unwrap(),
            }
            String::new()
        };
        let routes = Router::new().fallback(keep).with_state(sender);
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Keeper { url, requests, _server: server }
    }

    async fn next(&mut self) -> (Value, Bytes) {
        let (headers, body) = self.requests.recv().await.unwrap();
        let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()));
        (Value::Object(headers.collect()), body)
    }
}

/// A server whose default project may use the named profiles; `http` is Shopify's format without TLS.
async fn ready(directory: &Path) -> Api {
    let shopify = include_str!("../../../profiles/shopify.toml");
    let http = shopify.replace("\"shopify\"", "\"http\"").replace("[\"https\"]", "[\"http\"]");
    std::fs::write(directory.join("http.toml"), http).unwrap();
    let api = Api::start_with(Sources { profiles_dir: Some(directory.to_owned()), ..local() }).await;
    let profiles = ["standard", "github", "stripe", "slack", "etlworks", "http", "http-signatures", "enate"];
    api.patch("/v1/projects/default", json!({"allowed_profiles": profiles})).await.ok();
    api.organization("acme").await;
    api
}

/// Whether the code in a directory takes a request, `late` seconds after it was sent.
fn takes(program: &str, script: &[&str], directory: &Path, headers: &Value, body: &[u8], late: i64) -> bool {
    let sent: fanfare_engine::time::Timestamp = START.parse().unwrap();
    let case = json!({"directory": directory, "headers": headers, "body": STANDARD.encode(body),
        "now": sent.seconds() + late});
    let mut child = Command::new(program)
        .args(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} does not start ({error}): script/test installs it; run it once"));
    child.stdin.take().unwrap().write_all(case.to_string().as_bytes()).unwrap();
    let said = child.wait_with_output().unwrap();
    assert!(said.status.success(), "{program} broke");
    serde_json::from_slice(&said.stdout).unwrap()
}

/// The code in a language, as it is copied.
fn copied(seen: &Seen, language: &str) -> String {
    seen.attribute(&format!("#language-{language} + label + .language [data-copy]"), "data-copy").unwrap()
}

#[tokio::test]
async fn the_code_takes_what_is_sent_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let api = ready(directory.path()).await;
    let mut keeper = Keeper::start().await;
    let visit = api.visit("acme").await;
    let cases = [
        ("standard", json!({}), "webhook-signature", true),
        ("github", json!({"secret": ODD}), "x-hub-signature-256", false),
        ("stripe", json!({}), "stripe-signature", true),
        ("http", json!({"secret": ODD}), "x-shopify-hmac-sha256", false),
        ("slack", json!({}), "x-slack-signature", true),
        ("etlworks", json!({"secret": ODD, "events": ["Flow.Created"]}), "x-etl-webhook-signature", false),
    ];
    let sent = START.parse::<fanfare_engine::time::Timestamp>().unwrap().seconds();
    let mut rust = Program::default();
    let mut others = Programs::new();
    for (profile, mut settings, header, timed) in cases {
        settings["profile"] = profile.into();
        settings["url"] = keeper.url.clone().into();
        settings["enabled"] = true.into();
        let webhook = id(&api.webhook("acme", settings).await);
        api.post(&format!("/v1/organizations/acme/webhooks/{webhook}/test"), json!({})).await.with(202);
        let (headers, body) = keeper.next().await;
        assert!(headers[header].is_string(), "{profile}: {headers}");
        let page = format!("/portal/webhooks/{webhook}/verify");
        let seen = visit.post(&page, &[]).await.ok();
        assert!(seen.texts(".facts code")[0].starts_with(&format!("{header}: ")), "{profile}: {}", seen.text);
        for (language, file, program, script) in [
            ("python", "webhook.py", "python3", ["-B", "-c", PYTHON].as_slice()),
            ("node", "webhook.mjs", "node", &["--input-type=module", "-e", NODE]),
        ] {
            let place = tempfile::tempdir().unwrap();
            std::fs::write(place.path().join(file), copied(&seen, language)).unwrap();
            let takes = |headers: &Value, body: &[u8], late| takes(program, script, place.path(), headers, body, late);
            let told = format!("{profile} in {language}: {headers}");
            assert!(takes(&headers, &body, 0), "{told}");
            assert!(!takes(&headers, &[&body[..], b" "].concat(), 0), "another body: {told}");
            let mut unsigned = headers.clone();
            unsigned.as_object_mut().unwrap().remove(header);
            assert!(!takes(&unsigned, &body, 0), "no signature: {told}");
            assert_eq!(takes(&headers, &body, 301), !timed, "late: {told}");
        }
        rust.code(&copied(&seen, "rust"));
        others.code(|language| copied(&seen, language));
        let mut unsigned = headers.clone();
        unsigned.as_object_mut().unwrap().remove(header);
        let another = [&body[..], b" "].concat();
        for (headers, body, now, takes) in [
            (&headers, &body[..], sent, true),
            (&headers, &another[..], sent, false),
            (&unsigned, &body[..], sent, false),
            (&headers, &body[..], sent + 301, !timed),
        ] {
            rust.case(headers, body, now, takes);
            others.case(headers, body, now, takes);
        }
        api.delete(&format!("/v1/organizations/acme/webhooks/{webhook}")).await.gone();
        while keeper.requests.try_recv().is_ok() {}
    }
    rust.hold();
    others.hold();
    api.stop().await;
}

#[tokio::test]
async fn the_secret_is_shown_only_where_it_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let api = ready(directory.path()).await;
    let visit = api.visit("acme").await;
    let made = api.webhook("acme", json!({})).await;
    let secret = made["secret"].as_str().unwrap();
    let own = format!("/portal/webhooks/{}", id(&made));
    let page = format!("{own}/verify");
    assert_eq!(visit.get(&own).await.ok().attribute("#secret .card-head a", "href").unwrap(), page);
    let hidden = visit.get(&page).await.ok();
    assert!(!hidden.text.contains(secret) && hidden.text.contains("whsec_YOUR_SECRET"), "{}", hidden.text);
    let names = ["Node.js", "Python", "Go", "Rust", "Java", "Ruby", "PHP", "C#", "curl"];
    assert_eq!(hidden.texts(".languages > label"), names);
    let facts = hidden.texts(".facts code");
    assert_eq!(facts[1..], ["{webhook-id}.{webhook-timestamp}.{body}", "HMAC-SHA256, in base64"]);
    let shown = visit.post(&page, &[]).await.ok();
    assert_eq!(shown.text.matches(secret).count(), 2 * names.len());
    // A form without the session's mark does not get it.
    let stranger = visit.send(Method::POST, &page, &[], vec![]).await;
    assert_eq!(stranger.status, 403);
    api.stop().await;
}

#[tokio::test]
async fn where_there_is_no_code_the_page_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let api = ready(directory.path()).await;
    let visit = api.visit("acme").await;
    let key = format!("whsk_{}", STANDARD.encode([7; 32]));
    let cases = [
        (json!({"profile": "http-signatures"}), "RFC 9421"),
        (json!({"profile": "github"}), "has no secret"),
        (
            json!({"profile": "etlworks", "events": ["Flow.Created"], "method": "GET", "secret": ODD}),
            "not signed with the method",
        ),
        (json!({"secret": key}), "ed25519"),
    ];
    for (settings, words) in cases {
        let told = settings.to_string();
        let webhook = id(&api.webhook("acme", settings).await);
        let seen = visit.get(&format!("/portal/webhooks/{webhook}/verify")).await.ok();
        assert!(seen.only(".notice").contains(words), "{told}: {}", seen.text);
        assert_eq!(seen.count(".languages"), 0, "{told}");
        assert!(!seen.text.contains(&key), "{told}");
    }
    api.stop().await;
}
