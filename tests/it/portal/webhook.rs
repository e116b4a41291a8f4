//! One webhook's page.

use serde_json::json;

use super::{Visit, id};
use crate::api::Api;
use crate::api::sending::{Sink, local};

async fn ready(sink: &Sink) -> (Api, Visit, String) {
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["job.created", "job.done"]).await;
    let webhook = id(&api.webhook("acme", json!({"name": "Orders", "url": sink.url})).await);
    let visit = api.visit("acme").await;
    (api, visit, format!("/portal/webhooks/{webhook}"))
}

#[tokio::test]
async fn the_page_shows_figures_settings_and_log() {
    let mut sink = Sink::start().await;
    let (api, visit, page) = ready(&sink).await;
    let empty = visit.get(&page).await.ok();
    assert!(empty.text.contains("Send a test event to see it work"), "{}", empty.text);
    api.event("acme", "job.created").await;
    sink.next().await;
    let delivery = id(&api.until_state("delivered", 1).await[0]);
    let seen = visit.get(&page).await.ok();
    assert_eq!(seen.texts(".figure .big"), ["100 %", "100 %", "100 %", "200"]);
    assert_eq!(seen.texts(".deliveries .title"), [delivery.as_str()]);
    assert_eq!(
        seen.attribute("[aria-labelledby=log] .card-head a:last-child", "href").unwrap(),
        page.replace("/webhooks/", "/deliveries?webhook=")
    );
    // What is sent again here is seen here.
    let resend = format!("/portal/deliveries/{delivery}/resend");
    assert_eq!(seen.attribute(".deliveries [name=from]", "value").unwrap(), "webhook");
    assert_eq!(visit.post(&resend, &[("from", "webhook"), ("list", "")]).await.leads(), page);
    sink.next().await;
    let facts = seen.texts("section:last-of-type .facts dd");
    for fact in ["POST application/json", "All events", "None", "15 s", "standard"] {
        assert!(facts.iter().any(|known| known == fact), "{fact}: {facts:?}");
    }
    api.stop().await;
}

#[tokio::test]
async fn a_webhook_is_paused_resumed_and_switched() {
    let sink = Sink::start().await;
    let (api, visit, page) = ready(&sink).await;
    for (to, pill, buttons) in [
        ("pause", "Paused", ["Resume", "Switch off"].as_slice()),
        ("resume", "Active", &["Pause", "Switch off"]),
        ("off", "Off", &["Switch on"]),
        ("on", "Active", &["Pause", "Switch off"]),
    ] {
        let next = visit.post(&format!("{page}/status"), &[("to", to)]).await.leads();
        let seen = visit.get(&next).await.ok();
        assert_eq!(
            (seen.only("h1 .pill"), seen.texts(".page-head button")[1..].to_vec()),
            (pill.to_owned(), buttons.iter().map(|&text| text.to_owned()).collect())
        );
    }
    visit.post(&format!("{page}/status"), &[("to", "off")]).await.leads();
    let refused = visit.post(&format!("{page}/status"), &[("to", "pause")]).await.with(409);
    assert_eq!(refused.only("[data-message]"), "The webhook is switched off; enable it first.");
    let seen = visit.get(&page).await.ok();
    assert!(seen.text.contains("Switch the webhook on to send a test."), "{}", seen.text);
    visit.post(&format!("{page}/test"), &[]).await.with(409);
    api.stop().await;
}

#[tokio::test]
async fn a_test_event_is_sent_and_shown() {
    let mut sink = Sink::start().await;
    let (api, visit, page) = ready(&sink).await;
    let seen = visit.get(&page).await.ok();
    assert_eq!(seen.texts("select[name=event_type] option"), ["The usual test event", "job.created", "job.done"]);
    let delivery = visit.post(&format!("{page}/test"), &[("event_type", "job.done")]).await.leads();
    assert_eq!(sink.next().await["data"], json!({"example of": "job.done"}));
    api.until_state("delivered", 1).await;
    let seen = visit.get(&delivery).await.ok();
    assert!(seen.only("h1").starts_with("job.done"), "{}", seen.text);
    assert_eq!(seen.texts(".attempt-body > .muted"), ["Test"]);
    visit.post(&format!("{page}/test"), &[("event_type", "nothing.known")]).await.with(409);
    api.stop().await;
}

#[tokio::test]
async fn secrets_are_hidden_until_they_are_asked_for() {
    let sink = Sink::start().await;
    let (api, visit, page) = ready(&sink).await;
    let secret = |body: serde_json::Value| body["secret"].as_str().unwrap().to_owned();
    let api_path = page.replace("/portal/", "/v1/organizations/acme/");
    let first = secret(api.get(&format!("{api_path}/secret")).await.ok());
    assert!(!visit.get(&page).await.ok().text.contains(&first));
    let address = visit.get(&format!("{page}/secret")).await.ok();
    assert!(!address.text.contains(&first), "an address alone shows none");
    let shown = visit.post(&format!("{page}/secret"), &[]).await.ok();
    assert_eq!(shown.texts(".secrets code"), [first.as_str()]);
    // Without JavaScript its links lead from where it is.
    let range = shown.attribute(".ranges a", "href").unwrap();
    visit.get(&format!("{page}/secret{}", range.split('#').next().unwrap())).await.ok();
    let done = visit.post(&format!("{page}/secret/rotate"), &[("overlap", "3600"), ("secret", "")]).await.leads();
    assert_eq!(visit.get(&done).await.ok().only("[role=status].notice"), "The secret was replaced.");
    let second = secret(api.get(&format!("{api_path}/secret")).await.ok());
    let shown = visit.post(&format!("{page}/secret"), &[]).await.ok();
    assert_eq!(shown.texts(".secrets code"), [second.as_str(), first.as_str()]);
    assert!(shown.texts(".secrets dd")[1].contains("still signs until 2026-11-22 10:30:00 UTC"), "{}", shown.text);
    let refused =
        visit.post(&format!("{page}/secret/rotate"), &[("overlap", "0"), ("secret", "short")]).await.with(422);
    assert!(refused.only("#new-secret-error").starts_with("New secret "), "{}", refused.text);
    assert_eq!(refused.attribute("#new-secret", "value").unwrap(), "short", "what was typed stays");
    assert_eq!(refused.attribute("#overlap option[selected]", "value").unwrap(), "0");
    assert_eq!(
        (refused.count("details.more[open]"), refused.attributes("[autofocus]", "id")),
        (1, vec!["new-secret".to_owned()])
    );
    let unclear = visit.post(&format!("{page}/secret/rotate"), &[("overlap", "soon")]).await.with(422);
    assert!(unclear.only("#overlap-error").contains("must be a whole number"), "{}", unclear.text);
    assert_eq!(secret(api.get(&format!("{api_path}/secret")).await.ok()), second);
    api.stop().await;
}

#[tokio::test]
async fn a_webhook_is_deleted_when_it_is_confirmed() {
    let sink = Sink::start().await;
    let (api, visit, page) = ready(&sink).await;
    let list = visit.post(&format!("{page}/delete"), &[]).await.leads();
    assert_eq!(visit.get(&list).await.ok().only("[role=status].notice"), "The webhook was deleted.");
    visit.get(&page).await.with(404);
    api.stop().await;
}
