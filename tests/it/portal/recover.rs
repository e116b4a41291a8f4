//! Recovering what a webhook missed, and the progress of that work.

use serde_json::json;

use super::id;
use crate::api::Api;
use crate::api::sending::{Sink, local, until};

#[tokio::test]
async fn what_was_missed_is_counted_then_sent() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    let webhook = id(&api.webhook("acme", json!({"url": sink.url, "enabled": false})).await);
    let visit = api.visit("acme").await;
    let own = format!("/portal/webhooks/{webhook}");
    let page = format!("{own}/recover");
    for _ in 0..3 {
        api.event("acme", "job.created").await;
    }
    assert!(visit.get(&own).await.ok().attributes("section a", "href").contains(&page));

    // While it is off there is a count, and no button.
    let asked = format!("{page}?since=2026-11-22T09%3A00&until=&state=exhausted");
    let off = visit.get(&asked).await.ok();
    assert_eq!((off.only("#count"), off.count("section form")), ("3 deliveries".to_owned(), 0));
    let refused = visit.post(&page, &[("since", "2026-11-22T09:00"), ("state", "exhausted")]).await.with(409);
    assert!(refused.only("[role=alert]").contains("Switch it on"), "{}", refused.text);
    assert_eq!(refused.attribute("#since", "value").unwrap(), "2026-11-22T09:00", "what was typed stays");
    visit.post(&format!("{own}/status"), &[("to", "on")]).await.leads();

    let none = visit.get(&format!("{page}?since=2026-11-22T09%3A00&until=2026-11-22T09%3A10")).await.ok();
    assert_eq!((none.only("#count"), none.count("section form")), ("0 deliveries".to_owned(), 0));
    let ready = visit.get(&asked).await.ok();
    assert_eq!(ready.attributes("section form [type=hidden]", "value")[1..], ["2026-11-22T09:00", "", "exhausted"]);
    let progress = visit.post(&page, &[("since", "2026-11-22T09:00"), ("state", "exhausted")]).await.leads();
    for _ in 0..3 {
        sink.next().await;
    }
    let done = until("the job's end", async || {
        Some(visit.get(&progress).await.ok()).filter(|seen| seen.count(".pill.delivered") == 1)
    });
    let done = done.await;
    assert_eq!(done.only("#progress-title"), "Done 3 of 3 deliveries");
    assert_eq!(done.count("[hx-trigger]"), 0, "what is done is not asked about again");
    // Too late to stop it: the page says how it ended.
    assert_eq!(visit.post(&format!("{progress}/cancel"), &[]).await.leads(), progress);
    api.stop().await;
}

#[tokio::test]
async fn what_cannot_be_recovered_says_why() {
    let api = Api::start().await;
    api.organization("acme").await;
    api.organization("other").await;
    let webhook = id(&api.webhook("acme", json!({})).await);
    let visit = api.visit("acme").await;
    let page = format!("/portal/webhooks/{webhook}/recover");
    let first = visit.get(&page).await.ok();
    assert_eq!(first.attributes("[name=state][checked]", "value"), ["exhausted", "skipped", "cancelled"]);
    for (since, until, field, words) in [
        ("", "", "since", "Say from which time on"),
        ("soon", "", "since", "is no time"),
        ("2026-11-22T09:00", "2026-11-22T08:00", "until", "Until must be later"),
    ] {
        for seen in [
            visit.get(&format!("{page}?since={since}&until={until}&state=exhausted")).await.with(422),
            visit.post(&page, &[("since", since), ("until", until), ("state", "exhausted")]).await.with(422),
        ] {
            assert!(seen.only(&format!("#{field}-error")).contains(words), "{since}: {}", seen.text);
            assert_eq!(seen.attributes("[autofocus]", "id"), [field]);
            assert_eq!(seen.attribute("#until", "value").unwrap(), until);
            assert_eq!(seen.attributes("[name=state][checked]", "value"), ["exhausted"]);
            assert_eq!(seen.count("#count"), 0);
        }
    }
    let stranger = api.visit("other").await;
    assert_eq!(stranger.get(&page).await.status, 404);
    let progress = visit.post(&page, &[("since", "2026-11-22T09:00")]).await.leads();
    assert_eq!(stranger.get(&progress).await.status, 404);
    assert_eq!(stranger.post(&format!("{progress}/cancel"), &[]).await.status, 404);
    api.stop().await;
}
