//! Receivers that are asked for their consent: those that give it, and those that do not.

use serde_json::{Value, json};

use super::client::Answer;
use super::receiver::{Reply, Request};
use super::scene::{ORG, Scene};

const HOOKS: &str = "/v1/organizations/acme/webhooks";

/// A server that is known as `hooks.example.com`, whose webhooks have this profile.
async fn scene(profile: &str) -> Scene {
    Scene::with(|launch| {
        launch.set("FANFARE_PROFILE", profile).set("FANFARE_BASE_URL", "https://hooks.example.com/fanfare")
    })
    .await
}

/// The challenge that a request holds; empty where it holds none.
fn challenge(request: &Request) -> String {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    assert!(body["token"].is_string() || body["challenge"].is_null(), "{body}");
    body["challenge"].as_str().unwrap_or_default().to_owned()
}

/// What was wrong with the URL.
fn refusal(answer: &Answer) -> String {
    let problem = answer.expect_problem(422, "validation_failed");
    assert_eq!(problem["errors"][0]["field"], "url", "{problem}");
    let message = problem["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("save the webhook switched off"), "{message}");
    message
}

#[tokio::test]
async fn a_challenge_is_echoed_as_text_form_or_json() {
    let scene = scene("slack").await;
    type Form = fn(&str) -> String;
    let forms: [Form; 3] = [
        |challenge| challenge.to_owned(),
        |challenge| format!("challenge={challenge}"),
        |challenge| json!({ "challenge": challenge }).to_string(),
    ];
    for form in forms {
        scene.receiver.script(move |request| Reply::Text(form(&challenge(request))));
        scene.api.post(HOOKS, &json!({"url": scene.receiver.url("/")})).await.expect(201);
    }
    let asked = scene.receiver.requests();
    assert_eq!(asked.len(), 3);
    let challenges: std::collections::BTreeSet<String> = asked.iter().map(challenge).collect();
    assert_eq!(challenges.len(), 3, "each is fresh");
    assert!(asked[0].header("x-slack-signature").starts_with("v0="), "{:?}", asked[0]);
    scene.server.stop().await;
}

#[tokio::test]
async fn who_does_not_echo_gets_nothing_and_can_be_saved_switched_off() {
    let scene = scene("slack").await;
    let url = scene.receiver.url("/hook");
    scene.receiver.script(|_| Reply::Text("<b>ok</b>".to_owned()));
    let message = refusal(&scene.api.post(HOOKS, &json!({ "url": url })).await);
    assert!(message.contains("answered 200 and \"<b>ok</b>\""), "{message}");
    assert_eq!(scene.api.whole_list(HOOKS).await, Vec::<Value>::new());

    // Switched off it is saved unasked, and asked when it is switched on.
    let made = scene.api.post(HOOKS, &json!({ "url": url, "enabled": false })).await.expect(201);
    assert_eq!(scene.receiver.requests().len(), 1);
    let path = format!("{HOOKS}/{}", made["id"].as_str().unwrap());
    refusal(&scene.api.post(&format!("{path}/enable"), &json!({})).await);
    refusal(&scene.api.patch(&path, &json!({"enabled": true})).await);
    assert_eq!(scene.api.get(&path).await.expect(200)["status"], "deactivated");
    scene.receiver.script(|request| Reply::Text(challenge(request)));
    assert_eq!(scene.api.post(&format!("{path}/enable"), &json!({})).await.expect(200)["status"], "active");
    assert_eq!(scene.receiver.requests().len(), 4);

    // Once it agreed it is asked again for another URL only.
    scene.api.patch(&path, &json!({"name": "renamed"})).await.expect(200);
    scene.api.post(&format!("{path}/pause"), &json!({})).await.expect(200);
    scene.api.post(&format!("{path}/resume"), &json!({})).await.expect(200);
    assert_eq!(scene.receiver.requests().len(), 4);
    scene.receiver.always(404);
    let message = refusal(&scene.api.patch(&path, &json!({"url": scene.receiver.url("/other")})).await);
    assert!(message.contains("answered 404 and nothing"), "{message}");
    assert_eq!(scene.api.get(&path).await.expect(200)["url"], *url);
    assert_eq!(scene.receiver.requests_to("/other").len(), 1);
    scene.server.stop().await;
}

#[tokio::test]
async fn who_is_silent_or_away_does_not_agree() {
    let mut scene = scene("slack").await;
    scene.receiver.script(|_| Reply::Hold);
    let url = scene.receiver.url("/hook");
    let message = refusal(&scene.api.post(HOOKS, &json!({ "url": url })).await);
    assert!(message.contains("did not answer within 3 s"), "{message}");
    scene.receiver.leave().await;
    let message = refusal(&scene.api.post(HOOKS, &json!({ "url": url })).await);
    assert!(message.contains("connect"), "{message}");
    scene.server.stop().await;
}

#[tokio::test]
async fn silent_receivers_of_one_organization_are_asked_a_few_at_once() {
    let scene = scene("slack").await;
    scene.receiver.script(|_| Reply::Hold);
    let new = json!({"url": scene.receiver.url("/hook")});
    let few = futures_util::future::join_all((0..8).map(|_| scene.api.post(HOOKS, &new)));
    let one_more = async {
        scene.receiver.received(8).await;
        scene.api.post(HOOKS, &new).await
    };
    let (few, one_more) = tokio::join!(few, one_more);
    one_more.expect_problem(503, "unavailable");
    assert_eq!(one_more.headers["retry-after"], "1");
    assert!(few.iter().all(|answer| refusal(answer).contains("did not answer within 3 s")));
    assert_eq!(scene.receiver.requests().len(), 8);
    scene.receiver.script(|request| Reply::Text(challenge(request)));
    scene.api.post(HOOKS, &new).await.expect(201);
    scene.server.stop().await;
}

/// The guard of deliveries is that of handshakes: no packet leaves.
#[tokio::test]
async fn case_022_a_denied_address_is_not_asked() {
    let scene =
        Scene::with(|launch| launch.set("FANFARE_PROFILE", "slack").set("FANFARE_EGRESS_ALLOW", "10.0.0.0/8")).await;
    let url = scene.receiver.url("/hook");
    scene.api.post(HOOKS, &json!({ "url": url })).await.expect_problem(422, "address_denied");
    let made = scene.api.post(HOOKS, &json!({"url": "https://10.255.255.1/", "enabled": false})).await.expect(201);
    let path = format!("{HOOKS}/{}", made["id"].as_str().unwrap());
    let edit = json!({"url": url, "enabled": true});
    scene.api.patch(&path, &edit).await.expect_problem(422, "address_denied");
    assert!(scene.receiver.requests().is_empty());
    scene.server.stop().await;
}

fn permits(origin: &'static str, rate: &'static str) -> impl FnMut(&Request) -> Reply + Send + 'static {
    move |request| match request.method.as_str() {
        "OPTIONS" => {
            let mut headers = vec![("webhook-allowed-origin", origin.to_owned()), ("allow", "POST".to_owned())];
            headers.extend((!rate.is_empty()).then(|| ("webhook-allowed-rate", rate.to_owned())));
            Reply::Answer { status: 200, headers, body: "" }
        }
        _ => Reply::status(200),
    }
}

#[tokio::test]
async fn permission_is_asked_by_options() {
    let scene = scene("cloudevents").await;
    let url = scene.receiver.url("/hook");
    // A server that knows OPTIONS has not agreed by that.
    let message = refusal(&scene.api.post(HOOKS, &json!({ "url": url })).await);
    assert!(message.contains("without WebHook-Allowed-Origin: hooks.example.com or *"), "{message}");
    scene.receiver.script(permits("other.example.com", "*"));
    let message = refusal(&scene.api.post(HOOKS, &json!({ "url": url })).await);
    assert!(message.contains("\"other.example.com\""), "{message}");
    scene.receiver.script(permits("hooks.example.com", "120"));
    let limited = |per_second: u32| json!({"url": url, "rate_limit": {"per_second": per_second}});
    let message = refusal(&scene.api.post(HOOKS, &limited(3)).await);
    assert!(message.contains("takes 120 requests a minute at most; set rate_limit.per_second to 2"), "{message}");
    let made = scene.api.post(HOOKS, &limited(2)).await.expect(201);
    let asked = scene.receiver.requests();
    assert_eq!(asked.len(), 4);
    for request in &asked {
        assert_eq!(
            (request.method.as_str(), request.header("webhook-request-origin")),
            ("OPTIONS", "hooks.example.com")
        );
        assert_eq!(request.body.len(), 0);
    }
    assert_eq!((asked[0].header("webhook-request-rate"), asked[3].header("webhook-request-rate")), ("", "120"));
    scene.post(json!({"n": 1})).await;
    let delivered = scene.receiver.received(5).await.pop().unwrap();
    assert_eq!(delivered.header("origin"), "hooks.example.com");
    assert_eq!(scene.api.whole_list(&format!("/v1/organizations/{ORG}/deliveries")).await.len(), 1);

    // To be sent more it must agree anew; to be sent less it need not be asked.
    let path = format!("{HOOKS}/{}", made["id"].as_str().unwrap());
    refusal(&scene.api.patch(&path, &limited(3)).await);
    refusal(&scene.api.patch(&path, &json!({"rate_limit": null})).await);
    assert_eq!(scene.api.get(&path).await.expect(200)["rate_limit"], json!({"per_second": 2}));
    assert_eq!(scene.receiver.requests().len(), 7);
    scene.api.patch(&path, &limited(1)).await.expect(200);
    assert_eq!(scene.receiver.requests().len(), 7);
    scene.api.patch(&path, &limited(2)).await.expect(200);
    assert_eq!(scene.receiver.requests().len(), 8);
    scene.server.stop().await;
}
