//! Secrets stay where they belong: not in logs however loud, not in metrics, not in answers.

use serde_json::json;

use super::process::ADMIN_KEY;
use super::receiver::{Receiver, Reply};
use super::scene::{ORG, Scene, event, webhook, with};

const MASTER_KEY: &str = "CaNaRyMaSt3rKeyAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
/// Given secrets, each in its place.
const TOKEN: &str = "canary-bearer-token";
const PASSWORD: &str = "canary-basic-password";
const HEADER: &str = "canary-custom-header";
const SECRET: &str = "whsec_Y2FuYXJ5LXNlY3JldC1vZi1hLXdlYmhvb2stMDE=";
const WRONG_KEY: &str = "ffk_canary_of_a_key_that_is_nobodys";

#[tokio::test]
async fn case_084_canaries_are_in_no_log_no_metric_and_no_error() {
    let mut scene =
        Scene::with(|launch| launch.set("FANFARE_LOG", "trace").set("FANFARE_MASTER_KEY", MASTER_KEY)).await;
    scene.receiver.script(|request| Reply::status(if request.path == "/fails" { 500 } else { 200 }));
    let made = [
        json!({"auth": {"type": "bearer", "token": TOKEN}, "secret": SECRET}),
        json!({"auth": {"type": "basic", "username": "u", "password": PASSWORD}, "headers": {"X-Api-Key": HEADER}}),
    ];
    let mut generated = Vec::new();
    // One whose attempts fail with details, which are logged.
    let mut away = Receiver::start().await;
    away.leave().await;
    let unreachable = with(webhook(&away.url("/")), json!({"auth": {"type": "bearer", "token": TOKEN}}));
    scene.api.make_webhook(ORG, &unreachable).await;
    for (path, members) in ["/hook", "/fails"].into_iter().zip(made) {
        let webhook = scene.webhook_with(path, members).await;
        generated
            .push(scene.api.get(&webhook.path("/secret")).await.expect(200)["secret"].as_str().unwrap().to_owned());
        let rotated = scene.api.post(&webhook.path("/secret/rotate"), &json!({})).await.expect(200);
        generated.push(rotated["secret"].as_str().unwrap().to_owned());
    }
    let key = scene.api.make_key(&json!({"name": "k", "scopes": ["read"]})).await;
    key.get("/v1/projects").await;
    generated.push(key.key().to_owned());
    scene.post(json!({"n": 1})).await;
    scene.receiver.received(2).await;
    scene.server.says("an attempt failed").await;

    // Refusals that saw secrets.
    let hooks = format!("/v1/organizations/{ORG}/webhooks");
    let bad = |members| with(webhook(&scene.receiver.url("/bad")), members);
    let mut answers = vec![
        scene.api.with_key(WRONG_KEY).get("/v1/projects").await,
        key.post(&hooks, &bad(json!({"secret": SECRET}))).await,
        scene.api.post(&hooks, &bad(json!({"secret": format!("{SECRET}%")}))).await,
        scene.api.post(&hooks, &bad(json!({"auth": {"type": "bearer", "token": [TOKEN]}}))).await,
        scene.api.post(&hooks, &bad(json!({"auth": {"type": "basic", "password": PASSWORD}}))).await,
        scene.api.post(&hooks, &bad(json!({"headers": {"Connection": HEADER}}))).await,
        scene.api.post(&hooks, &bad(json!({"headers": {"X-Bad": format!("{HEADER}\n")}}))).await,
        scene.api.post(&format!("/v1/organizations/{ORG}/events"), &with(event(json!(1)), json!({"x": TOKEN}))).await,
    ];
    for answer in &answers {
        assert!((400..500).contains(&answer.status), "{}", answer.text());
    }
    answers.push(scene.api.get("/metrics").await);
    answers.push(scene.api.get(&hooks).await);
    answers.push(scene.api.get("/v1/api-keys").await);
    answers.push(scene.api.get("/openapi.json").await);

    let given = [ADMIN_KEY, MASTER_KEY, TOKEN, PASSWORD, HEADER, SECRET, WRONG_KEY];
    let canaries: Vec<&str> = given.into_iter().chain(generated.iter().map(String::as_str)).collect();
    for answer in &answers {
        let found = canaries.iter().find(|canary| answer.text().contains(*canary));
        assert_eq!(found, None, "{}", answer.text());
    }
    let log = scene.server.stop().await;
    assert_silent(&log, &canaries);

    // Of what is kept, nothing is readable, either.
    for file in std::fs::read_dir(scene.home.data()).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for canary in &canaries {
            let found = bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
            assert!(!found, "{canary} is in {}", path.display());
        }
    }
    scene.server = scene.home.launch().set("FANFARE_MASTER_KEY", MASTER_KEY).start().await;
    scene.server.stop().await;
}

#[track_caller]
fn assert_silent(log: &str, canaries: &[&str]) {
    for line in log.lines() {
        let found = canaries.iter().find(|canary| line.contains(*canary));
        assert_eq!(found, None, "{line}");
    }
}
