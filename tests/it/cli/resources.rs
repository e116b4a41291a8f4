//! Commands on a running server: what they ask, and how the answers are shown.

use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use fanfare::clock::SystemClock;
use fanfare::config::Sources;
use fanfare::receiver::behaviour::Behaviour;
use fanfare::receiver::serve::{MAX_UNREAD, Received, Settings, serve};
use fanfare::receiver::verify::Keyring;
use fanfare::server::Server;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Ran, fanfare, run};

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server, whose key the program finds in the data directory, and a receiver.
struct Scene {
    server: Server,
    directory: TempDir,
    hook: String,
    received: mpsc::Receiver<Received>,
    _receiver: JoinSet<()>,
}

impl Scene {
    async fn start() -> Scene {
        let directory = tempfile::tempdir().unwrap();
        let sources = Sources {
            listen: Some("127.0.0.1:0".to_owned()),
            data: Some(directory.path().join("fanfare-data")),
            egress_allow: Some("127.0.0.0/8".to_owned()),
            ..Sources::default()
        };
        let server = Server::start(&sources, Arc::new(SystemClock)).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hook = format!("http://{}/hook", listener.local_addr().unwrap());
        let (sink, received) = mpsc::channel(MAX_UNREAD);
        let keys = Keyring::parse::<&str>(&[]).unwrap();
        let settings = Settings { keys, behaviour: Behaviour::default(), clock: Arc::new(SystemClock) };
        let mut receiver = JoinSet::new();
        receiver.spawn(serve(listener, settings, sink));
        Scene { server, directory, hook, received, _receiver: receiver }
    }

    /// Runs the program with the words of `line`, beside the server.
    async fn run(&self, line: &str) -> Ran {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        self.run_words(words, None).await
    }

    async fn run_words(&self, words: Vec<String>, input: Option<&'static str>) -> Ran {
        let mut command = fanfare(self.directory.path());
        command.args(words).env("FANFARE_URL", format!("http://{}", self.server.address));
        let ran = tokio::task::spawn_blocking(move || {
            let Some(input) = input else { return run(&mut command) };
            let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = piped.spawn().unwrap();
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
        });
        ran.await.unwrap()
    }

    /// The answer of the API, as `--json` prints it.
    async fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.run(&format!("{line} --json")).await.well()).unwrap()
    }

    async fn received(&mut self) -> Received {
        tokio::time::timeout(PATIENCE, self.received.recv()).await.expect("nothing was delivered").unwrap()
    }

    async fn stop(self) {
        assert!(self.server.stop().await, "something was left under way");
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_made_and_an_event_is_sent_seen_and_sent_again() {
    let mut scene = Scene::start().await;
    let mut updates = scene.server.app.dispatcher.updates();
    scene.run("organization create Meyer --external-id 42").await.well();
    scene
        .run("event-type create job.created --kind job --schema {\"required\":[\"n\"]} --example {\"n\":1}")
        .await
        .well();
    assert_eq!(scene.json("event-type deprecate job.created").await["deprecated"], true);
    assert_eq!(scene.json("event-type offer job.created").await["deprecated"], false);
    let hook = scene.hook.clone();
    let webhook = scene.json(&format!("webhook create --org 42 {hook} --name CRM --events job.created")).await;
    assert!(text(&webhook["secret"]).starts_with("whsec_"), "{webhook}");
    let list = scene.run("webhook list").await.well();
    assert!(list.starts_with("ID ") && list.contains("CRM") && list.contains(&hook), "{list}");

    let send = "event send --org 42 --type job.created --id e1 --entity job:7 --scope customer:3";
    let sent = scene.json(&format!("{send} --data {{\"n\":1.50}}")).await;
    assert_eq!(sent["deliveries"], 1);
    let received = scene.received().await;
    assert!(std::str::from_utf8(&received.body).unwrap().contains("{\"n\":1.50}"), "{received:?}");
    let explained = scene.run("event explain --org 42 e1").await.well();
    assert!(explained.contains("CRM") && explained.contains("yes"), "{explained}");

    // The attempt is recorded after its announcement, by the same writer that answers what follows.
    let update = tokio::time::timeout(PATIENCE, updates.recv()).await.unwrap().unwrap();
    let delivery = update.delivery.to_string();
    scene.run(&format!("delivery resend --org 42 {delivery}")).await.well();
    scene.received().await;
    let list = scene.run("delivery list --org 42 --type job.created").await.well();
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(list.contains(&delivery), "{list}");
    let attempts = scene.run(&format!("delivery attempts --org 42 {delivery} --full")).await.well();
    assert!(attempts.contains("> webhook-id: ") && attempts.contains("< 200"), "{attempts}");

    let id = text(&webhook["id"]);
    let tested = scene.json(&format!("webhook test --org 42 {id} --type job.created")).await;
    assert!(text(&tested["delivery_id"]).starts_with("dlv_"), "{tested}");
    assert!(std::str::from_utf8(&scene.received().await.body).unwrap().contains("{\"n\":1}"));

    // What a program reads is whole, however long.
    let (hook, name) = (scene.hook.clone(), "x".repeat(100));
    scene.run(&format!("webhook create --org 42 {hook} --name {name}")).await.well();
    let explained = scene.run("event explain --org 42 e1").await.well();
    assert!(
        explained.contains(&name) && explained.contains("created after the event was accepted; recover to send it"),
        "{explained}"
    );
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_come_from_a_file_or_standard_input() {
    let mut scene = Scene::start().await;
    scene.run("organization create A --external-id a").await.well();
    scene.run("event-type create t").await.well();
    let hook = scene.hook.clone();
    scene.run(&format!("webhook create --org a {hook} --events all")).await.well();
    std::fs::write(scene.directory.path().join("data.json"), "{\"from\": \"file\"}\n").unwrap();
    scene.run("event send --org a --type t --data @data.json").await.well();
    assert!(std::str::from_utf8(&scene.received().await.body).unwrap().contains("{\"from\": \"file\"}"));
    let words = "event send --org a --type t --data -".split(' ').map(str::to_owned).collect();
    scene.run_words(words, Some("{\"from\": \"stdin\"}")).await.well();
    assert!(std::str::from_utf8(&scene.received().await.body).unwrap().contains("{\"from\": \"stdin\"}"));
    let said = scene.run("event send --org a --type t --data {n}").await.badly();
    assert!(said.contains("--data is not JSON"), "{said}");
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_switched_and_their_secrets_replaced() {
    let scene = Scene::start().await;
    scene.run("organization create A --external-id a").await.well();
    let made = scene.json(&format!("webhook create --org a {}", scene.hook)).await;
    let id = text(&made["id"]);
    for (command, status) in
        [("disable", "deactivated"), ("enable", "active"), ("pause", "paused"), ("resume", "active")]
    {
        let shown = scene.run(&format!("webhook {command} --org a {id}")).await.well();
        let line = shown.lines().find(|line| line.starts_with("status ")).unwrap();
        assert!(line.ends_with(status), "{command}: {line}");
    }
    let rotated = scene.json(&format!("webhook rotate --org a {id} --overlap 60")).await;
    let kept = scene.json(&format!("webhook secret --org a {id}")).await;
    assert_eq!(kept["secret"], rotated["secret"]);
    assert_ne!(kept["secret"], made["secret"]);
    assert_eq!(kept["previous"][0]["secret"], made["secret"]);
    assert_eq!(scene.run(&format!("webhook delete --org a {id}")).await.well(), format!("{id} is deleted.\n"));
    let none = scene.run("webhook list --org a").await;
    assert_eq!((none.code, none.out.as_str(), none.err.as_str()), (Some(0), "", "No webhooks.\n"));
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_said_with_its_fields() {
    let scene = Scene::start().await;
    scene.run("organization create A --external-id a/b").await.well();
    let shown = scene.run("organization get a/b").await.well();
    assert!(shown.contains("external_id  a/b"), "{shown}");
    let refused = scene.run("webhook create --org a/b ftp://x/").await;
    assert_eq!(refused.out, "");
    let said = refused.badly();
    assert!(said.starts_with("fanfare: Some fields are not valid (422 validation_failed)\n  url: "), "{said}");
    let refused = scene.run("webhook create --org a/b ftp://x/ --json").await;
    let problem: Value = serde_json::from_str(&refused.out).unwrap();
    assert_eq!((refused.code, &problem["code"]), (Some(1), &"validation_failed".into()));
    let said = scene.run("organization list --key wrong").await.badly();
    assert!(said.contains("(401 unauthenticated)") && said.contains("--key or FANFARE_KEY"), "{said}");
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_cannot_turn_the_text_around_them() {
    let scene = Scene::start().await;
    let name = "\u{202e}fdp.\u{9b}2Jexe";
    let words = ["organization", "create", name, "--external-id", "a"].map(str::to_owned);
    // The API refuses the control character, and the refusal is as safe as what is shown.
    assert!(scene.run_words(words.to_vec(), None).await.badly().contains("name: must have"));
    let name = "\u{202e}fdp.exe";
    scene
        .run_words(["organization", "create", name, "--external-id", "a"].map(str::to_owned).to_vec(), None)
        .await
        .well();
    for line in ["organization list", "organization get a", "organization list --json", "organization get a --json"] {
        let shown = scene.run(line).await.well();
        assert!(shown.contains("fdp.exe") && !shown.contains('\u{202e}'), "{line}: {shown}");
    }
    assert_eq!(scene.json("organization get a").await["name"], name);
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_says_cannot_steer_the_terminal() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut server = JoinSet::new();
    server.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let body = "{\"title\":\"No\u{202e}\",\"code\":\"x\",\"detail\":\"a\\u001b[2Jb\"}";
        let answer = format!("HTTP/1.1 400 No\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        stream.write_all(answer.as_bytes()).await.unwrap();
        // Until the client has read it.
        assert_eq!(stream.read(&mut [0; 4096]).await.unwrap_or_default(), 0);
    });
    let ran = tokio::task::spawn_blocking(move || {
        let directory = tempfile::tempdir().unwrap();
        run(fanfare(directory.path()).args(["organization", "list", "--key", "k", "--url", &url]))
    });
    let said = ran.await.unwrap().badly();
    assert_eq!(said, "fanfare: No\u{fffd} (400 x)\n  a\u{fffd}[2Jb\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_data_are_shown() {
    let scene = Scene::start().await;
    scene.run("organization create A --external-id a").await.well();
    scene.run("event-type create deep.made").await.well();
    // The answer has more levels than the data, and a page more than an event.
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let send = ["event", "send", "--org", "a", "--type", "deep.made", "--id", "e1", "--data", &deep].map(str::to_owned);
    scene.run_words(send.to_vec(), None).await.well();
    let shown = scene.run("event get --org a e1").await.well();
    assert!(shown.contains("deep.made") && shown.contains(&deep), "{shown}");
    let listed = scene.run("event list --org a").await.well();
    assert!(listed.contains("deep.made"), "{listed}");
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_used_and_deleted() {
    let scene = Scene::start().await;
    scene.run("organization create A --external-id a").await.well();
    let made = scene.json("api-key create ci --scopes read --org a").await;
    let key = text(&made["key"]);
    scene.run(&format!("webhook list --org a --key {key}")).await.well();
    let said = scene.run(&format!("webhook create --org a http://a/ --key {key}")).await.badly();
    assert!(said.contains("403 scope_too_small"), "{said}");
    let id = text(&made["id"]);
    assert!(scene.run("api-key list").await.well().contains(id));
    scene.run(&format!("api-key delete {id}")).await.well();
    scene.run(&format!("webhook list --org a --key {key}")).await.badly();
    scene.run("organization delete a").await.well();
    scene.run("organization get a").await.badly();
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_entities_are_told_of_and_forgotten() {
    let scene = Scene::start().await;
    scene.run("organization create A --external-id a").await.well();
    let told = "user put --org a anna --name Anna --roles R1,R2 --permissions p --grant Company:3 --grant Packet:x:1";
    let user = scene.json(told).await;
    assert_eq!(
        (&user["name"], &user["roles"][1], &user["grants"][1]["id"]),
        (&"Anna".into(), &"R2".into(), &"x:1".into())
    );
    assert_eq!(scene.json("user put --org a ben --grant-all").await["grants"], "all");
    let list = scene.run("user list --org a").await.well();
    assert!(list.lines().count() == 3 && list.contains("Anna"), "{list}");
    assert!(scene.run("user get --org a anna").await.well().contains("Anna"));
    assert_eq!(scene.run("user delete --org a anna").await.well(), "anna is forgotten.\n");
    assert!(scene.run("user get --org a anna").await.badly().contains("404 not_found"));

    let told = scene.json("entity put --org a Packet:17 --scope Company:3 --scope Contract:4").await;
    assert_eq!((&told["told_by"], &told["scope"][1]["type"]), (&"host".into(), &"Contract".into()));
    assert_eq!(scene.json("entity get --org a Packet:17").await, told);
    assert_eq!(scene.run("entity delete --org a Packet:17").await.well(), "Packet:17 is forgotten.\n");
    scene.run("entity get --org a Packet:17").await.badly();
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_lists_say_how_to_go_on() {
    let scene = Scene::start().await;
    for name in ["one", "two", "three"] {
        scene.run(&format!("organization create {name}")).await.well();
    }
    let first = scene.run("organization list --limit 2").await;
    assert_eq!(first.out.lines().count(), 3, "{first:?}");
    let cursor = first.err.trim().strip_prefix("There are more: --cursor ").unwrap();
    let rest = scene.run(&format!("organization list --limit 2 --cursor {cursor}")).await.well();
    assert!(rest.lines().count() == 2 && rest.contains("one"), "{rest}");
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_description_is_the_servers() {
    let scene = Scene::start().await;
    let printed: Value = serde_json::from_str(&scene.run("openapi").await.well()).unwrap();
    let url = format!("http://{}", scene.server.address);
    let client = fanfare::cli::client::Client::new(&url, "none", None).unwrap();
    let served = client.json(fanfare::cli::client::Request::get(&["openapi.json"])).await.unwrap();
    assert_eq!(printed, served);
    scene.stop().await;
}
