//! The list of deliveries and the page of one.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::post;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::id;
use crate::api::Api;
use crate::api::sending::{Sink, local, until};

const PATH: &str = "/portal/deliveries";

#[tokio::test]
async fn an_empty_list_says_when_it_fills() {
    let api = Api::start().await;
    api.organization("acme").await;
    let seen = api.visit("acme").await.get(PATH).await.ok();
    assert_eq!(seen.only(".empty h2"), "Nothing was sent yet");
    api.stop().await;
}

#[tokio::test]
async fn deliveries_are_found_by_their_filters() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["job.created", "job.done"]).await;
    let retry = json!({"delays_seconds": []});
    let one = id(&api.webhook("acme", json!({"name": "One", "url": sink.url, "retry": retry})).await);
    let event = api.event("acme", "job.created").await;
    sink.next().await;
    api.until_state("delivered", 1).await;
    sink.answer(503);
    api.event("acme", "job.done").await;
    sink.next().await;
    api.until_state("exhausted", 1).await;
    let visit = api.visit("acme").await;
    for (query, events) in [
        ("", vec!["job.done", "job.created"]),
        ("state=exhausted", vec!["job.done"]),
        ("event_type=job.created", vec!["job.created"]),
        (&format!("webhook={one}&response_code=503"), vec!["job.done"]),
        (&format!("event={event}"), vec!["job.created"]),
        ("since=2026-11-22T09:00&until=2026-11-22T10:00", vec!["job.done", "job.created"]),
        ("search=JOB.d", vec!["job.done"]),
        ("search=one", vec!["job.done", "job.created"]),
        (&format!("search={event}"), vec!["job.created"]),
        ("search=one&state=exhausted", vec!["job.done"]),
        ("search=nowhere", vec![]),
        ("until=2026-11-22T09:00", vec![]),
        ("webhook=whk_0000000000000", vec![]),
    ] {
        let seen = visit.get(&format!("{PATH}?{query}")).await.ok();
        assert_eq!(seen.texts("tbody td:nth-child(3)"), events, "{query}");
        assert_eq!(seen.count(".empty"), usize::from(events.is_empty()), "{query}");
        assert!(seen.count(".filters") == 1, "{query}");
    }
    let seen = visit.get(PATH).await.ok();
    assert_eq!((seen.count("[name=webhook] option"), seen.count("[name=event_type] option")), (2, 3));
    let list = visit.send(Method::GET, PATH, &[("hx-request", "true")], Vec::new()).await.ok();
    assert_eq!(
        (list.texts("#list"), list.count("[name=webhook] option")),
        (seen.texts("#list"), 1),
        "the list alone is meant"
    );
    assert_eq!(seen.texts("tbody .pill"), ["Failed", "Delivered"]);
    assert_eq!(seen.texts("tbody td:nth-child(5)"), ["503", "200"]);
    assert_eq!(seen.texts("tbody td:nth-child(4) code"), [sink.url.as_str(); 2]);
    for (query, word) in [("since=yesterday", "yesterday"), ("response_code=abc", "abc"), ("state=lost", "State")] {
        let seen = visit.get(&format!("{PATH}?{query}")).await.ok();
        assert!(seen.only("[role=alert]").contains(word), "{query}: {}", seen.text);
        assert_eq!(seen.count("tbody tr"), 0);
    }
    api.stop().await;
}

#[tokio::test]
async fn long_lists_go_on() {
    let api = Api::start().await;
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    let webhook = id(&api.webhook("acme", json!({})).await);
    api.post(&format!("/v1/organizations/acme/webhooks/{webhook}/pause"), json!({})).await.ok();
    for _ in 0..60 {
        api.event("acme", "job.created").await;
    }
    let visit = api.visit("acme").await;
    let first = visit.get(&format!("{PATH}?state=pending")).await.ok();
    let next = first.attribute("a[rel=next]", "href").unwrap();
    let second = visit.get(&next).await.ok();
    // What is done with a row leads back to its own page of the list.
    let back = second.attribute("tbody [name=list]", "value").unwrap();
    let row = second.attribute("tbody form", "action").unwrap();
    assert_eq!(visit.post(&row, &[("from", "list"), ("list", &back)]).await.leads(), next);
    assert_eq!((first.count("tbody tr"), second.count("tbody tr")), (50, 10));
    assert_eq!(second.attribute("select[name=state] option[selected]", "value").unwrap(), "pending");
    assert_eq!(second.count("a[rel=next]"), 0);
    api.stop().await;
}

#[tokio::test]
async fn a_delivery_shows_every_attempt_and_can_be_sent_again() {
    let mut sink = Sink::start().await;
    sink.answer(500);
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    let settings = json!({"name": "Orders", "url": sink.url, "retry": {"delays_seconds": [3600]},
        "auth": {"type": "basic", "username": "ada", "password": "canary"}});
    api.webhook("acme", settings).await;
    api.event("acme", "job.created").await;
    sink.next().await;
    let visit = api.visit("acme").await;
    let page = until("the first attempt is in the log", async || {
        let found = api.deliveries("response_code=500").await;
        found.first().map(|delivery| format!("{PATH}/{}", id(delivery)))
    })
    .await;
    let failed = visit.get(&page).await.ok();
    assert_eq!(failed.only("h1 .pill"), "Waiting");
    assert_eq!(failed.texts(".timeline .what"), ["Created", "Attempt 1: failed 500", "Next attempt"]);
    assert_eq!(failed.texts(".timeline time")[2], "2026-11-22 10:30:00 UTC");
    assert_eq!(failed.only(".what-happened"), "The receiver answered 500 Internal Server Error");
    assert!(failed.only(".advice").starts_with("What to do: The receiver failed while handling the request"));
    assert!(!failed.text.contains("canary"));
    let curl = failed.attribute(".request-line [data-copy]", "data-copy").unwrap();
    assert!(
        curl.starts_with("curl --globoff --request POST 'http://127.0.0.1:") && curl.contains("Basic ****"),
        "{curl}"
    );
    sink.answer(200);
    let from_list = visit.post(&format!("{page}/resend"), &[("from", "list"), ("list", "state=pending")]).await.leads();
    assert_eq!(from_list, "/portal/deliveries?state=pending");
    sink.next().await;
    api.until_state("delivered", 1).await;
    let mended = visit.get(&page).await.ok();
    assert_eq!(mended.only("h1 .pill"), "Delivered");
    assert_eq!(mended.texts(".attempt-title"), ["Attempt 2", "Attempt 1"]);
    assert_eq!(mended.texts(".timeline .what"), ["Created", "Attempt 1: failed 500", "Attempt 2: accepted 200"]);
    assert_eq!(mended.count(".attempt[open]"), 1, "the newest is open");
    assert!(mended.only("section:last-of-type pre").contains("\"of\": \"job.created\""));
    assert_eq!(visit.post(&format!("{page}/resend"), &[]).await.leads(), format!("{page}?done=resent"));
    sink.next().await;
    api.stop().await;
}

#[tokio::test]
async fn the_newest_attempts_are_shown_and_a_way_to_the_others() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    api.webhook("acme", json!({"url": sink.url})).await;
    api.event("acme", "job.created").await;
    sink.next().await;
    let delivery = id(&api.until_state("delivered", 1).await[0]);
    let page = format!("{PATH}/{delivery}");
    let visit = api.visit("acme").await;
    for made in 1..=22 {
        until("an attempt is in the log", async || (api.deliveries("").await[0]["attempts"] == made).then_some(()))
            .await;
        if made < 22 {
            assert_eq!(visit.post(&format!("{page}/resend"), &[]).await.leads(), format!("{page}?done=resent"));
            sink.next().await;
        }
    }
    let titles = |numbers: std::ops::RangeInclusive<u32>| {
        numbers.rev().map(|number| format!("Attempt {number}")).collect::<Vec<_>>()
    };
    let newest = visit.get(&page).await.ok();
    assert_eq!(newest.texts(".attempt-title"), titles(3..=22));
    assert_eq!(newest.texts(".timeline .what")[..3], ["Created", "2 earlier attempts", "Attempt 3: accepted 200"]);
    let earlier = newest.attribute("a[href*=before]", "href").unwrap();
    assert_eq!(earlier, format!("{page}?before=3#attempts"));
    let oldest = visit.get(&earlier).await.ok();
    assert_eq!(oldest.texts(".attempt-title"), titles(1..=2));
    assert_eq!(oldest.texts(".timeline .what")[3], "20 later attempts");
    assert_eq!(oldest.count("a[href*=before]"), 0);
    api.stop().await;
}

#[tokio::test]
async fn a_page_asks_for_more_only_while_an_attempt_is_near() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    let webhook = id(&api.webhook("acme", json!({"url": sink.url})).await);
    sink.hold(true);
    api.event("acme", "job.created").await;
    sink.next().await;
    let delivery = id(&api.until_state("delivering", 1).await[0]);
    let page = format!("{PATH}/{delivery}");
    let visit = api.visit("acme").await;
    let ask = visit.get(&page).await.ok().attribute("[hx-get]", "hx-get").unwrap();
    assert_eq!(visit.get(&ask).await.with(204).text, "", "nothing has changed");
    // It is being sent already.
    let refused = visit.post(&format!("{page}/resend"), &[]).await.with(409);
    assert!(refused.only("[data-message]").starts_with("It is being sent at this moment"), "{}", refused.text);
    let left = visit.post(&format!("{PATH}/resend/chosen"), &[("id", &delivery)]).await.leads();
    assert_eq!(left, format!("{PATH}?resent=0&left=1"));
    sink.hold(false);
    api.until_state("delivered", 1).await;
    let ended = visit.get(&ask).await.ok();
    assert_eq!((ended.only("h1 .pill"), ended.count("[hx-get]")), ("Delivered".to_owned(), 0));

    // What is due and does not go out is not asked about for ever.
    api.post(&format!("/v1/organizations/acme/webhooks/{webhook}/pause"), json!({})).await.ok();
    api.event("acme", "job.created").await;
    let waiting = id(&api.until_state("pending", 1).await[0]);
    let page = format!("{PATH}/{waiting}");
    let ask = visit.get(&page).await.ok().attribute("[hx-get]", "hx-get").unwrap();
    visit.get(&ask).await.with(204);
    api.pass(Duration::from_secs(10));
    assert_eq!(visit.get(&ask).await.ok().count("[hx-get]"), 0);
    api.stop().await;
}

#[tokio::test]
async fn case_085_payloads_and_answers_are_inert() {
    const EVIL: &str = "</code></pre><script>alert(1)</script><img src=x onerror=alert(1)>";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let answer = async || {
        let headers = [("x-evil", "<script>alert(1)</script>"), ("content-type", "text/html")];
        (StatusCode::IM_A_TEAPOT, headers, [EVIL.as_bytes(), b"\xff\xfe"].concat()).into_response()
    };
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, axum::Router::new().route("/hook", post(answer))).await.unwrap() });
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["<b>"]).await;
    api.webhook("acme", json!({"url": url, "retry": {"delays_seconds": []}})).await;
    let body = json!({"type": "<b>", "data": {EVIL: EVIL, "n": 1.5}});
    api.post("/v1/organizations/acme/events", body).await.with(202);
    let delivery = id(&api.until_state("exhausted", 1).await[0]);
    let visit = api.visit("acme").await;
    let seen = visit.get(&format!("{PATH}/{delivery}")).await.ok();
    let bodies = seen.texts("pre code");
    assert_eq!(bodies.len(), 3);
    assert!(bodies.iter().all(|body| body.contains(EVIL)), "{bodies:?}");
    assert!(seen.texts(".header-list dd").iter().any(|value| value == "<script>alert(1)</script>"));
    assert!(seen.text.contains("Not text: bytes that cannot be shown"), "{}", seen.text);
    assert!(visit.get(PATH).await.ok().texts("tbody td:nth-child(3)") == ["<b>"]);
    api.stop().await;
}

#[tokio::test]
async fn one_that_is_sent_again_is_followed_until_its_answer_comes() {
    let mut sink = Sink::start().await;
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    api.webhook("acme", json!({"url": sink.url})).await;
    api.event("acme", "job.created").await;
    sink.next().await;
    let page = format!("{PATH}/{}", id(&api.until_state("delivered", 1).await[0]));
    let visit = api.visit("acme").await;
    assert_eq!(visit.get(&page).await.ok().count("#content > [hx-trigger]"), 0, "nothing is to come");
    sink.hold(true);
    visit.post(&format!("{page}/resend"), &[]).await.leads();
    sink.next().await;
    // A receiver may take its time.
    api.pass(Duration::from_secs(15));
    let seen = visit.get(&page).await.ok();
    assert_eq!(seen.count("h1 .pill.delivered"), 1, "it was delivered, and stays so");
    assert_eq!((seen.count("#content > [hx-trigger]"), seen.count("[data-resend]")), (1, 0), "{}", seen.text);
    assert_eq!(visit.get(PATH).await.ok().count("tbody [data-resend]"), 0);
    sink.hold(false);
    let over = until("the second attempt", async || {
        Some(visit.get(&page).await.ok()).filter(|seen| seen.count("[data-resend]") == 1)
    });
    assert_eq!(over.await.count("#content > [hx-trigger]"), 0);
    api.stop().await;
}
