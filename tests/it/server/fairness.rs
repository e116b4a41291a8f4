//! One receiver that hangs, or one tenant that floods, delays nobody else: shown by the order of things, not by a clock.

use serde_json::json;

use super::patience::until;
use super::receiver::{Receiver, Reply};
use super::scene::{ORG, Scene, event, webhook};

/// Far more than what one webhook may have under way at once.
const BACKLOG: usize = 500;
/// Events of the other tenant meanwhile.
const OTHERS: usize = 20;

async fn flood(scene: &Scene, count: usize) {
    for piece in (0..count).collect::<Vec<_>>().chunks(250) {
        let events: Vec<_> =
            piece.iter().map(|n| super::scene::with(event(json!({"n": n})), json!({"organization": ORG}))).collect();
        scene.api.post("/v1/events/batch", &json!({"events": events})).await.expect(202);
    }
}

async fn other_tenant(scene: &Scene, receiver: &Receiver) {
    scene.api.make_organization("other").await;
    scene.api.make_webhook("other", &webhook(&receiver.url("/other"))).await;
}

#[tokio::test]
async fn case_070_a_receiver_that_hangs_delays_no_other_tenant() {
    let scene = Scene::with(|launch| launch.set("FANFARE_WEBHOOK_CONCURRENCY", "8")).await;
    scene.receiver.script(|request| if request.path == "/hangs" { Reply::Hold } else { Reply::status(200) });
    scene.webhook("/hangs").await;
    other_tenant(&scene, &scene.receiver).await;
    flood(&scene, BACKLOG).await;
    scene.receiver.received_at("/hangs", 8).await;
    // Nothing of the backlog can end before the release; all of the other tenant's arrives before it.
    for n in 0..OTHERS {
        let event = scene.api.post_event("other", &event(json!({"n": n}))).await;
        scene.api.settled("other", &event, "delivered").await;
    }
    assert_eq!(scene.receiver.requests_to("/hangs").len(), 8);
    scene.receiver.release();
    scene.api.idle().await;
    assert_eq!(scene.receiver.requests_to("/hangs").len(), BACKLOG);
    scene.server.stop().await;
}

#[tokio::test]
async fn case_070_many_hanging_webhooks_of_one_tenant_leave_slots_for_others() {
    let settings = |launch: super::process::Launch| {
        launch.set("FANFARE_CONCURRENCY", "16").set("FANFARE_WEBHOOK_CONCURRENCY", "8")
    };
    let scene = Scene::with(settings).await;
    scene.receiver.script(|request| if request.path == "/other" { Reply::status(200) } else { Reply::Hold });
    for path in ["/a", "/b", "/c", "/d"] {
        scene.webhook(path).await;
    }
    other_tenant(&scene, &scene.receiver).await;
    flood(&scene, 50).await;
    scene.receiver.received(12).await;
    for n in 0..OTHERS {
        let event = scene.api.post_event("other", &event(json!({"n": n}))).await;
        scene.api.settled("other", &event, "delivered").await;
    }
    let held = scene.receiver.requests().iter().filter(|request| request.path != "/other").count();
    assert!((12..16).contains(&held), "one tenant uses most of what is free and leaves some: {held} of 16");
    scene.receiver.release();
    scene.api.idle().await;
    assert_eq!(scene.receiver.requests().len(), 4 * 50 + OTHERS);
    scene.server.stop().await;
}

#[tokio::test]
async fn case_070_many_tenants_that_hang_leave_slots_for_another() {
    let settings = |launch: super::process::Launch| {
        launch.set("FANFARE_CONCURRENCY", "256").set("FANFARE_WEBHOOK_CONCURRENCY", "16")
    };
    let scene = Scene::with(settings).await;
    scene.receiver.script(|request| if request.path == "/other" { Reply::status(200) } else { Reply::Hold });
    other_tenant(&scene, &scene.receiver).await;
    for tenant in 0..6 {
        let name = format!("hangs-{tenant}");
        scene.api.make_organization(&name).await;
        for number in 0..4 {
            let url = scene.receiver.url(&format!("/{tenant}/{number}"));
            scene.api.make_webhook(&name, &webhook(&url)).await;
        }
        for n in 0..16 {
            scene.api.post_event(&name, &event(json!({"n": n}))).await;
        }
    }
    for n in 0..OTHERS {
        let event = scene.api.post_event("other", &event(json!({"n": n}))).await;
        scene.api.settled("other", &event, "delivered").await;
    }
    let held = scene.receiver.requests().iter().filter(|request| request.path != "/other").count();
    assert!((192..256).contains(&held), "{held} of 256 slots");
    scene.receiver.release();
    scene.api.idle().await;
    assert_eq!(scene.receiver.requests().len(), 6 * 4 * 16 + OTHERS);
    scene.server.stop().await;
}

#[tokio::test]
async fn case_024_bodies_that_do_not_end_hold_up_neither_their_own_deliveries_nor_others() {
    const EACH: usize = 64;
    let settings = |launch: super::process::Launch| {
        launch.set("FANFARE_CONCURRENCY", "16").set("FANFARE_WEBHOOK_CONCURRENCY", "16")
    };
    let mut scene = Scene::with(settings).await;
    scene.receiver.script(|request| if request.path == "/other" { Reply::status(200) } else { Reply::Endless });
    other_tenant(&scene, &scene.receiver).await;
    scene.api.make_organization("second").await;
    scene.api.make_webhook("second", &webhook(&scene.receiver.url("/second"))).await;
    scene.webhook("/first").await;
    flood(&scene, EACH).await;
    let mut last = String::new();
    for n in 0..EACH {
        last = scene.api.post_event("second", &event(json!({"n": n}))).await;
    }
    for n in 0..OTHERS {
        let event = scene.api.post_event("other", &event(json!({"n": n}))).await;
        scene.api.settled("other", &event, "delivered").await;
    }
    // Each outcome is on disk though no body has ended.
    scene.api.settled("second", &last, "delivered").await;
    scene.api.idle().await;
    scene.server.kill().await;
    scene.server = scene.home.launch().start().await;
    scene.api = scene.server.api();
    scene.api.idle().await;
    assert_eq!(scene.receiver.requests().len(), 2 * EACH + OTHERS, "nothing is sent again");
    scene.server.stop().await;
}

#[tokio::test]
async fn case_070_a_tenant_that_floods_delays_no_other() {
    let scene = Scene::with(|launch| launch.set("FANFARE_WEBHOOK_CONCURRENCY", "1")).await;
    scene.webhook_with("/flood", json!({"rate_limit": {"per_second": 100}})).await;
    other_tenant(&scene, &scene.receiver).await;
    flood(&scene, 2 * BACKLOG).await;
    for n in 0..OTHERS {
        let event = scene.api.post_event("other", &event(json!({"n": n}))).await;
        scene.api.settled("other", &event, "delivered").await;
    }
    assert!(scene.receiver.requests_to("/flood").len() < 2 * BACKLOG, "the flood was over before");
    scene.api.post("/v1/pauses", &json!({"organization": ORG})).await.expect(201);
    scene.server.stop().await;
}

#[tokio::test]
async fn case_034_a_receiver_that_asks_to_wait_holds_its_whole_webhook() {
    let scene = Scene::start().await;
    let asks = || Reply::Answer { status: 429, headers: vec![("Retry-After", "1800".to_owned())], body: "" };
    scene.receiver.script(move |request| if request.path == "/busy" { asks() } else { Reply::status(200) });
    let busy = scene.webhook("/busy").await;
    let first = scene.post(json!({"n": 0})).await;
    scene.receiver.received_at("/busy", 1).await;
    until("the attempt is recorded", async || {
        (scene.api.delivery_of(ORG, &first).await["attempts"] == 1).then_some(())
    })
    .await;
    // Another webhook gets what comes later, and this one does not.
    scene.webhook("/other").await;
    for n in 1..=OTHERS {
        scene.post(json!({"n": n})).await;
    }
    scene.receiver.received_at("/other", OTHERS).await;
    assert_eq!(scene.receiver.requests_to("/busy").len(), 1);
    let stats = scene.api.get(&busy.path("/stats")).await.expect(200);
    assert!(stats["backs_off_until"].is_string(), "{stats}");
    let metrics = scene.api.get("/metrics").await.text();
    assert!(metrics.lines().any(|line| line == "fanfare_webhooks_backing_off 1"), "{metrics}");
    scene.server.stop().await;
}

#[tokio::test]
async fn case_077_our_own_ingest_is_no_endpoint() {
    let scene = Scene::start().await;
    let own = format!("http://{}/v1/organizations/{ORG}/events", scene.server.address());
    let path = format!("/v1/organizations/{ORG}/webhooks");
    scene.api.post(&path, &webhook(&own)).await.expect_problem(422, "address_denied");
    let by_name = own.replace("127.0.0.1", "localhost");
    scene.api.post(&path, &webhook(&by_name)).await.expect_problem(422, "address_denied");
    let made = scene.webhook("/hook").await;
    let edit = json!({"url": own});
    scene.api.patch(&made.path(""), &edit).await.expect_problem(422, "address_denied");
    scene.server.stop().await;
}
