//! Sending many deliveries again from their list.

use serde_json::json;

use super::{Visit, id};
use crate::api::Api;
use crate::api::sending::{Sink, local, until};

/// Three deliveries that failed, for a webhook that tries once, and one that was accepted.
async fn ready(sink: &mut Sink) -> (Api, Visit, String) {
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    let settings = json!({"url": sink.url, "retry": {"delays_seconds": []}});
    let webhook = id(&api.webhook("acme", settings).await);
    api.event("acme", "job.created").await;
    sink.next().await;
    api.until_state("delivered", 1).await;
    sink.answer(500);
    for _ in 0..3 {
        api.event("acme", "job.created").await;
        sink.next().await;
    }
    api.until_state("exhausted", 3).await;
    sink.answer(200);
    let visit = api.visit("acme").await;
    (api, visit, webhook)
}

#[tokio::test]
async fn the_chosen_ones_are_sent_again() {
    let mut sink = Sink::start().await;
    let (api, visit, webhook) = ready(&mut sink).await;
    let seen = visit.get("/portal/deliveries?state=exhausted").await.ok();
    let boxes = seen.attributes("input[form=chosen]", "value");
    assert_eq!((boxes.len(), seen.attribute("#chosen [name=list]", "value").unwrap().as_str()), (3, "state=exhausted"));
    let fields = [("id", boxes[0].as_str()), ("id", boxes[1].as_str()), ("list", "state=exhausted")];
    let back = visit.post("/portal/deliveries/resend/chosen", &fields).await.leads();
    assert_eq!(back, "/portal/deliveries?state=exhausted&resent=2&left=0");
    assert_eq!(visit.get(&back).await.ok().only(".notice.good"), "2 deliveries are being sent again.");
    for _ in 0..2 {
        sink.next().await;
    }
    api.until_state("delivered", 3).await;
    let none = visit.post("/portal/deliveries/resend/chosen", &[]).await.leads();
    assert_eq!(visit.get(&none).await.ok().only(".notice.good"), "Nothing was chosen.");

    visit.post(&format!("/portal/webhooks/{webhook}/status"), &[("to", "off")]).await.leads();
    let off = visit.post("/portal/deliveries/resend/chosen", &[("id", &boxes[2])]).await.leads();
    assert_eq!(
        visit.get(&off).await.ok().only(".notice.good"),
        "1 was left alone: it is being sent already or kept no longer, its webhook is off or deleted, or you may not send it."
    );
    assert!(sink.rest().is_empty());
    api.stop().await;
}

#[tokio::test]
async fn all_that_match_are_sent_again() {
    let mut sink = Sink::start().await;
    let (api, visit, _webhook) = ready(&mut sink).await;
    let list = visit.get("/portal/deliveries?state=exhausted").await.ok();
    let ask = list.attribute(".chosen-bar a", "href").unwrap();
    assert_eq!(ask, "/portal/deliveries/resend?state=exhausted");
    let asked = visit.get(&ask).await.ok();
    assert_eq!(asked.only("h1"), "Resend 3 deliveries?");
    assert_eq!((asked.texts("main dt"), asked.texts("main dd")), (vec!["State".to_owned()], vec!["Failed".to_owned()]));
    let unfiltered = visit.get("/portal/deliveries/resend").await.ok();
    assert!(unfiltered.text.contains("No filter is set"), "{}", unfiltered.text);
    let filters = asked.attribute("[name=list]", "value").unwrap();
    let progress = visit.post("/portal/deliveries/resend", &[("list", &filters)]).await.leads();
    for _ in 0..3 {
        sink.next().await;
    }
    let done = until("the job's end", async || {
        Some(visit.get(&progress).await.ok()).filter(|seen| seen.count(".pill.delivered") == 1)
    });
    assert_eq!(done.await.only("#progress-title"), "Done 3 of 3 deliveries");
    api.until_state("delivered", 4).await;
    assert!(sink.rest().is_empty());

    let nothing = visit.get("/portal/deliveries/resend?state=exhausted").await.ok();
    assert_eq!(nothing.count("main form"), 0);
    // A filter that cannot be read is not left out, which would send more.
    visit.get("/portal/deliveries/resend?since=soon").await.with(409);
    visit.post("/portal/deliveries/resend", &[("list", "since=soon")]).await.with(409);
    // Another organization's deliveries are not within reach.
    api.organization("other").await;
    let stranger = api.visit("other").await;
    let row = api.until_state("delivered", 4).await[0]["id"].as_str().unwrap().to_owned();
    let left = stranger.post("/portal/deliveries/resend/chosen", &[("id", &row)]).await.leads();
    assert_eq!(left, "/portal/deliveries?resent=0&left=1");
    assert_eq!(stranger.get("/portal/deliveries/resend").await.ok().only("h1"), "Resend 0 deliveries?");
    api.stop().await;
}
