//! A restored backup: what was unfinished in it may have gone out since, and nothing that must not arrive twice does.

use serde_json::{Value, json};

use super::client::Api;
use super::crash::Once;
use super::process::{Home, Running};
use super::scene::{ORG, Scene, event};
use crate::cli::{fanfare, run};

/// Posts an event that waits behind a pause, backs it up, and lifts the pause.
async fn back_up_while_it_waits(home: &Home, api: &Api) -> String {
    let pause = api.post("/v1/pauses", &json!({"everything": true})).await.expect(201);
    let waiting = api.post_event(ORG, &event(json!({"n": 1}))).await;
    run(fanfare(home.path()).args(["backup", "--to", "copy.db", "--data", "data"])).well();
    lift(api, &pause).await;
    api.settled(ORG, &waiting, "delivered").await;
    waiting
}

async fn lift(api: &Api, pause: &Value) {
    api.delete(&format!("/v1/pauses/{}", pause["id"].as_str().unwrap())).await.expect(204);
}

/// Goes back to the backup, in which the pause still stands.
async fn go_back(home: &Home, server: Running, flags: &[&str]) {
    server.stop().await;
    let restore = ["restore", "--from", "copy.db", "--data", "data", "--force"];
    run(fanfare(home.path()).args(restore).args(flags)).well();
}

async fn resume(api: &Api) {
    let pauses = api.whole_list("/v1/pauses").await;
    for pause in &pauses {
        lift(api, pause).await;
    }
    assert_eq!(pauses.len(), 1);
}

#[tokio::test]
async fn what_goes_out_at_most_once_is_not_sent_again_after_a_restore() {
    let once = Once::new().await;
    let server = once.start().await;
    once.set_up(&server.api()).await;
    let waiting = back_up_while_it_waits(&once.home, &server.api()).await;

    go_back(&once.home, server, &[]).await;
    let server = once.start().await;
    let api = server.api();
    resume(&api).await;
    let delivery = api.settled(ORG, &waiting, "exhausted").await;
    let attempts = api.attempts(&delivery).await;
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    assert_eq!(attempts[0]["outcome"], "unknown");
    assert!(attempts[0]["error"].as_str().unwrap().contains("restored from a backup"), "{attempts:?}");
    assert_eq!(once.receiver.requests().len(), 1);

    go_back(&once.home, server, &["--resend-unfinished"]).await;
    let server = once.start().await;
    resume(&server.api()).await;
    server.api().settled(ORG, &waiting, "delivered").await;
    assert_eq!(once.receiver.requests().len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn other_deliveries_are_sent_again_after_a_restore_with_the_same_id() {
    let mut scene = Scene::start().await;
    scene.webhook("/hook").await;
    let waiting = back_up_while_it_waits(&scene.home, &scene.api).await;

    go_back(&scene.home, scene.server, &[]).await;
    scene.server = scene.home.launch().start().await;
    scene.api = scene.server.api();
    resume(&scene.api).await;
    let delivery = scene.api.settled(ORG, &waiting, "delivered").await;
    let attempts = scene.api.attempts(&delivery).await;
    let outcomes: Vec<_> = attempts.iter().map(|attempt| &attempt["outcome"]).collect();
    assert_eq!(outcomes, ["unknown", "success"], "the first may have gone out after the backup");
    let ids: Vec<_> = scene.receiver.requests().iter().map(|request| request.id().to_owned()).collect();
    assert_eq!(ids, [waiting.clone(), waiting]);
    scene.server.stop().await;
}
