//! Starts that must be refused, and say why; and a disk that is full.

use std::net::TcpListener;

use serde_json::json;

use super::client::Webhook;
use super::patience::until;
use super::process::Home;
use super::scene::{ORG, Scene, event, with};

const KEY: &str = "6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b";
const OTHER_KEY: &str = "7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c";

#[tokio::test]
async fn case_090_a_wrong_master_key_is_refused() {
    let home = Home::new();
    let launch = |key: &str| home.launch().set("FANFARE_MASTER_KEY", key);
    launch(KEY).start().await.stop().await;
    let said = launch(OTHER_KEY).refused().await;
    assert!(said.contains("the master key is not the one under which this database was sealed"), "{said}");
    assert!(!said.contains(KEY) && !said.contains(OTHER_KEY), "{said}");
    launch(KEY).start().await.stop().await;
}

#[tokio::test]
async fn a_second_start_keeps_the_keys_that_the_first_made() {
    let home = Home::new();
    let launch = || home.launch().unset("FANFARE_ADMIN_KEY");
    let log = launch().start().await.stop().await;
    let file = home.data().join("admin-key");
    let key = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    assert!(log.contains("the admin key was made") && log.contains(&file.display().to_string()), "{log}");
    assert!(!log.contains(&key), "a log has no key: {log}");
    let server = launch().start().await;
    server.api().with_key(&key).get("/v1/projects").await.expect(200);
    let log = server.stop().await;
    assert!(!log.contains(&key), "{log}");
}

#[tokio::test]
async fn every_line_of_a_json_log_is_json() {
    let home = Home::new();
    let launch = || home.launch().unset("FANFARE_ADMIN_KEY").set("FANFARE_LOG_FORMAT", "json");
    let log = launch().start_with("\"listening\"").await.stop().await;
    assert!(log.contains("the admin key was made") && log.contains("the master key"), "{log}");
    let refused = launch().set("FANFARE_MASTER_KEY", OTHER_KEY).refused().await;
    assert!(refused.contains("the master key is not"), "{refused}");
    for line in log.lines().chain(refused.lines()) {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
}

#[tokio::test]
async fn a_start_that_fails_makes_nothing() {
    let home = Home::new();
    let launch = || home.launch().unset("FANFARE_ADMIN_KEY");
    let said = launch().set("FANFARE_PROFILE", "nope").refused().await;
    assert!(said.contains("there is no profile \"nope\""), "{said}");
    launch().set("FANFARE_ADMIN_KEY", "short").refused().await;
    launch().set("FANFARE_MASTER_KEY", "short").refused().await;
    assert!(!home.data().exists());
}

#[tokio::test]
async fn a_database_without_its_master_key_is_refused_and_gets_no_other() {
    let home = Home::new();
    home.launch().start().await.stop().await;
    let file = home.data().join("master-key");
    let key = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let said = home.launch().refused().await;
    assert!(said.contains(&format!("{} is missing", file.display())), "{said}");
    assert!(!file.exists());
    std::fs::write(&file, key).unwrap();
    home.launch().start().await.stop().await;
}

/// Everything that is in the data directory, by name.
fn files(home: &Home) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(home.data())
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_database_that_is_damaged_is_refused_and_left_as_it_is() {
    let home = Home::new();
    home.launch().start().await.stop().await;
    let path = home.data().join("fanfare.db");
    std::fs::write(
        &path,
        b"this was a database once; now it is a text that is a little longer than a page's head".repeat(8),
    )
    .unwrap();
    let before = std::fs::read(&path).unwrap();
    let said = home.launch().refused().await;
    assert!(said.contains("fanfare.db cannot be read as a Fanfare database"), "{said}");
    assert!(said.contains("Restore a backup"), "{said}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_left_as_it_is() {
    let home = Home::new();
    home.launch().start().await.stop().await;
    let path = home.data().join("fanfare.db");
    let mut bytes = std::fs::read(&path).unwrap();
    // Where SQLite keeps the number that says how new the schema is.
    bytes[60..64].copy_from_slice(&9_999u32.to_be_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let before = files(&home);
    let said = home.launch().refused().await;
    assert!(said.contains("was written by a newer Fanfare (schema 9999;"), "{said}");
    let left = files(&home);
    let main = |files: &[(String, Vec<u8>)]| files.iter().find(|(name, _)| name == "fanfare.db").unwrap().1.clone();
    assert!(main(&left) == main(&before), "the file was changed");
}

#[tokio::test]
async fn two_servers_do_not_share_a_directory() {
    let home = Home::new();
    let server = home.launch().start().await;
    let said = home.launch().refused().await;
    assert!(said.contains(&home.data().display().to_string()), "{said}");
    server.api().get("/v1/projects").await.expect(200);
    // One that is killed leaves no lock behind.
    server.kill().await;
    home.launch().start().await.stop().await;
}

#[tokio::test]
async fn a_port_in_use_is_said_so() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = home.launch().set("FANFARE_LISTEN", &address).refused().await;
    assert!(said.contains(&format!("cannot listen on {address}")) && said.contains("in use"), "{said}");
}

#[tokio::test]
async fn a_broken_settings_file_is_named_with_its_line() {
    let home = Home::new();
    std::fs::write(home.path().join("fanfare.toml"), "log = \"info\"\n\nretention_day = 3\n").unwrap();
    let said = home.launch().refused().await;
    assert!(said.contains("fanfare.toml: line 3") && said.contains("retention_day"), "{said}");
    std::fs::write(home.path().join("fanfare.toml"), "retention_days = 0\n").unwrap();
    let said = home.launch().refused().await;
    assert!(said.contains("retention_days: 0 is not from 1 to 3650"), "{said}");
    std::fs::write(home.path().join("fanfare.toml"), "retention_days = 3\n").unwrap();
    let said = home.launch().set("FANFARE_LOG", "no=such=level").refused().await;
    assert!(said.contains("log: \"no=such=level\""), "{said}");
}

#[tokio::test]
async fn a_broken_profile_is_named_with_its_line_and_the_reason() {
    let home = Home::new();
    let profiles = home.path().join("profiles");
    std::fs::create_dir(&profiles).unwrap();
    let launch = || home.launch().set("FANFARE_PROFILES_DIR", &profiles.display().to_string());
    std::fs::write(profiles.join("mine.toml"), "name = \"mine\"\n\n[retry]\ndelay_seconds = [1]\n").unwrap();
    let said = launch().refused().await;
    assert!(said.contains("mine.toml") && said.contains('4') && said.contains("delay_seconds"), "{said}");
    std::fs::remove_file(profiles.join("mine.toml")).unwrap();
    let said = launch().set("FANFARE_PROFILE", "mine").refused().await;
    assert!(said.contains("there is no profile \"mine\""), "{said}");
}

#[tokio::test]
async fn a_start_without_a_profile_in_use_is_refused_and_names_its_webhooks() {
    let home = Home::new();
    let profiles = home.path().join("profiles");
    std::fs::create_dir(&profiles).unwrap();
    let launch = || home.launch().set("FANFARE_PROFILES_DIR", &profiles.display().to_string());
    let own = |name: &str| std::fs::write(profiles.join(format!("{name}.toml")), profile(name)).unwrap();
    own("mine");
    own("other");
    let server = launch().set("FANFARE_PROFILE", "other").start().await;
    let api = server.api();
    api.make_organization(ORG).await;
    api.patch("/v1/projects/default", &json!({"allowed_profiles": ["mine"]})).await.expect(200);
    let hook = |name: &str| json!({"name": name, "url": "https://93.184.216.34/hook", "profile": "mine"});
    let webhook = api.make_webhook(ORG, &hook("Warehouse")).await;
    let off = api.make_webhook(ORG, &with(hook("Off"), json!({"enabled": false}))).await;
    server.stop().await;

    std::fs::remove_file(profiles.join("mine.toml")).unwrap();
    let said = launch().refused().await;
    for part in ["profile \"mine\"", &webhook.id, "\"Warehouse\"", "\"acme\"", "FANFARE_PROFILES_DIR"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains(&off.id), "a webhook that takes no events loses none: {said}");

    own("mine");
    let server = launch().start().await;
    server.api().post(&webhook.path("/disable"), &json!({})).await.expect(200);
    server.stop().await;
    std::fs::remove_file(profiles.join("mine.toml")).unwrap();
    launch().start().await.stop().await;

    // The names that the host posts are a project's own profile's.
    std::fs::remove_file(profiles.join("other.toml")).unwrap();
    let said = launch().refused().await;
    assert!(said.contains("profile \"other\": project \"default\""), "{said}");
}

#[tokio::test]
async fn a_start_says_what_a_profile_shows_and_the_server_does_not_keep() {
    let home = Home::new();
    let log = home.launch().set("FANFARE_PROFILE", "one-click-contractor").start().await.stop().await;
    let warning = log.lines().find(|line| line.contains("however old they are")).unwrap_or_else(|| panic!("{log}"));
    assert!(warning.contains("one-click-contractor") && warning.contains("days=30"), "{warning}");
    let home = Home::new();
    let log = home.launch().start().await.stop().await;
    assert!(!log.contains("however old"), "{log}");
}

fn profile(name: &str) -> String {
    format!("name = \"{name}\"\n\n[payload]\nraw = true\n")
}

#[tokio::test]
async fn case_063_a_full_disk_refuses_events_and_nothing_else() {
    const LIMIT: u64 = 4 << 20;
    let scene = Scene::with(|launch| launch.limit_files(LIMIT)).await;
    let webhook: Webhook = scene.webhook("/hook").await;
    let path = format!("/v1/organizations/{ORG}/events");
    let large = event(json!("x".repeat(200_000)));
    let mut taken = Vec::new();
    let refused = loop {
        assert!(taken.len() < 1_000, "the limit does not hold");
        let answer = scene.api.post(&path, &large).await;
        match answer.status {
            202 => taken.push(answer.json()["id"].as_str().unwrap().to_owned()),
            _ => break answer,
        }
    };
    refused.expect_problem(503, "unavailable");
    assert_eq!(refused.headers["retry-after"], "1");
    // Reads work.
    assert_eq!(scene.api.webhook(&webhook).await["status"], "active");
    scene.api.get(&format!("{path}?limit=1")).await.expect(200);
    scene.api.get("/healthz").await;

    scene.server.lift_file_limit();
    let recovered = until("an event is taken again", async || {
        let answer = scene.api.post(&path, &large).await;
        (answer.status == 202).then(|| answer.json()["id"].as_str().unwrap().to_owned())
    })
    .await;
    taken.push(recovered);
    scene.api.idle().await;
    for event in &taken {
        scene.api.settled(ORG, event, "delivered").await;
    }
    scene.server.stop().await;
}
