//! Webhooks that change while a delivery waits for its retry: the next attempt honours it.

use serde_json::{Value, json};

use super::patience::until;
use super::receiver::Reply;
use super::scene::{ORG, Scene};

/// Posts an event whose first attempt fails; answers its id once the retry waits.
async fn failed_once(scene: &Scene) -> String {
    let event = scene.post(json!({"n": 1})).await;
    until("the first attempt has failed", async || {
        let delivery = scene.api.delivery_of(ORG, &event).await;
        (delivery["attempts"] == 1 && delivery["state"] == "pending").then_some(())
    })
    .await;
    event
}

fn fail_the_first(scene: &Scene) {
    scene.receiver.script(|request| Reply::status(if request.number == 1 { 500 } else { 200 }));
}

#[tokio::test]
async fn case_074_an_edited_webhook_gets_the_retry_as_it_is_now() {
    let scene = Scene::start().await;
    fail_the_first(&scene);
    let webhook = scene.webhook("/before").await;
    let event = failed_once(&scene).await;
    let edit = json!({"url": scene.receiver.url("/after"), "headers": {"X-New": "yes"}});
    scene.api.patch(&webhook.path(""), &edit).await.expect(200);
    let delivery = scene.api.settled(ORG, &event, "delivered").await;
    let second = scene.receiver.requests().remove(1);
    assert_eq!((second.path.as_str(), second.header("x-new"), second.id()), ("/after", "yes", event.as_str()));
    let attempts = scene.api.attempts(&delivery).await;
    assert_eq!(attempts[0]["request"]["url"], scene.receiver.url("/before"), "the log tells how it was");
    assert_eq!(attempts[1]["request"]["url"], scene.receiver.url("/after"));
    scene.server.stop().await;
}

#[tokio::test]
async fn case_074_a_webhook_that_is_switched_off_gets_no_retry() {
    let scene = Scene::start().await;
    fail_the_first(&scene);
    let webhook = scene.webhook("/hook").await;
    let event = failed_once(&scene).await;
    scene.api.post(&webhook.path("/disable"), &json!({})).await.expect(200);
    let delivery = scene.api.settled(ORG, &event, "skipped").await;
    assert_eq!(delivery["skipped_reason"], "webhook_deactivated");
    scene.api.idle().await;
    assert_eq!(scene.receiver.requests().len(), 1);
    scene.server.stop().await;
}

#[tokio::test]
async fn case_074_a_deleted_webhook_gets_no_retry() {
    let scene = Scene::start().await;
    fail_the_first(&scene);
    let webhook = scene.webhook("/hook").await;
    let event = failed_once(&scene).await;
    scene.api.delete(&webhook.path("")).await.expect(204);
    let delivery = scene.api.settled(ORG, &event, "skipped").await;
    assert_eq!(delivery["skipped_reason"], "webhook_deleted");
    scene.api.idle().await;
    assert_eq!(scene.receiver.requests().len(), 1);
    scene.server.stop().await;
}

/// Removes the organization, for which one delivery waits, which is then skipped.
async fn remove_organization(scene: &Scene) {
    scene.api.delete(&format!("/v1/organizations/{ORG}")).await.expect(204);
    scene.api.idle().await;
    let found = scene.api.whole_list("/v1/deliveries").await;
    let [delivery] = &found[..] else { panic!("{found:?}") };
    assert_eq!((&delivery["state"], &delivery["skipped_reason"]), (&json!("skipped"), &json!("webhook_deleted")));
}

#[tokio::test]
async fn what_waits_for_a_removed_organization_is_skipped() {
    let scene = Scene::start().await;
    fail_the_first(&scene);
    scene.webhook_with("/hook", json!({"retry": {"delays_seconds": [3_600], "jitter": 0.0}})).await;
    failed_once(&scene).await;
    remove_organization(&scene).await;
    assert_eq!(scene.receiver.requests().len(), 1);
    scene.server.stop().await;
}

#[tokio::test]
async fn what_is_held_of_a_removed_organization_is_skipped() {
    let scene = Scene::start().await;
    let webhook = scene.webhook("/hook").await;
    scene.api.post(&webhook.path("/pause"), &json!({})).await.expect(200);
    scene.api.post("/v1/pauses", &json!({"everything": true})).await.expect(201);
    scene.post(json!({"n": 1})).await;
    remove_organization(&scene).await;
    assert!(scene.receiver.requests().is_empty());
    scene.server.stop().await;
}

#[tokio::test]
async fn case_075_a_rotated_secret_signs_beside_the_new_one_until_the_overlap_ends() {
    let scene = Scene::start().await;
    fail_the_first(&scene);
    let webhook = scene.webhook("/hook").await;
    let event = failed_once(&scene).await;
    let rotated = scene.api.post(&webhook.path("/secret/rotate"), &json!({})).await.expect(200);
    let fresh = rotated["secret"].as_str().unwrap().to_owned();
    assert_ne!(fresh, webhook.secret);
    assert_eq!(rotated["previous"][0]["secret"], webhook.secret);
    scene.api.settled(ORG, &event, "delivered").await;
    let retry = scene.receiver.requests().remove(1);
    assert_eq!(retry.header("webhook-signature").split(' ').count(), 2);
    retry.assert_signed(&webhook.secret);
    retry.assert_signed(&fresh);

    // Without an overlap the old ones end at once.
    let rotated = scene.api.post(&webhook.path("/secret/rotate"), &json!({"overlap_seconds": 0})).await.expect(200);
    let newest = rotated["secret"].as_str().unwrap();
    scene.post(json!({"n": 2})).await;
    let request = scene.receiver.received(3).await.remove(2);
    request.assert_signed(newest);
    let by_replaced = standardwebhooks::Webhook::new(&fresh).unwrap().verify(&request.body, &request.headers);
    assert!(by_replaced.is_err(), "{}", request.header("webhook-signature"));
    scene.server.stop().await;
}

#[tokio::test]
async fn an_event_of_a_type_nobody_wants_makes_no_delivery() {
    let scene = Scene::start().await;
    scene.api.make_event_type(&json!({"name": "job.deleted"})).await;
    scene.webhook_with("/hook", json!({"events": ["job.deleted"]})).await;
    let path = format!("/v1/organizations/{ORG}/events");
    let answer: Value = scene.api.post(&path, &super::scene::event(json!(1))).await.expect(202);
    assert_eq!(answer["deliveries"], 0);
    let wanted = json!({"type": "job.deleted", "data": {}});
    assert_eq!(scene.api.post(&path, &wanted).await.expect(202)["deliveries"], 1);
    scene.receiver.received(1).await;
    scene.server.stop().await;
}
