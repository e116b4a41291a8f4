//! Lists, piece by piece.

use std::collections::HashSet;

use axum::http::Method;
use serde_json::{Value, json};

use super::Api;

/// The most bytes of an answer that is a page of a list, and what its entries have beside their data.
const PAGE: usize = 4 << 20;

fn names(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn lists_come_newest_first_in_pieces_without_gaps() {
    let api = Api::start().await;
    for number in 0..7 {
        api.organization(&format!("o-{number}")).await;
    }
    let mut seen = Vec::new();
    let mut path = "/v1/organizations?limit=3".to_owned();
    loop {
        let list = api.get(&path).await.ok();
        seen.extend(names(&list).into_iter().map(str::to_owned));
        // What is made meanwhile does not shift the pieces.
        api.organization(&format!("later-{}", seen.len())).await;
        match list["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/organizations?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, ["o-6", "o-5", "o-4", "o-3", "o-2", "o-1", "o-0"]);
    api.stop().await;
}

#[tokio::test]
async fn limits_are_from_1_to_250() {
    let api = Api::start().await;
    for limit in ["0", "251", "-1", "99999999999"] {
        let path = format!("/v1/organizations?limit={limit}");
        api.get(&path).await.refuses(400, "invalid_parameter", "limit");
    }
    api.get("/v1/organizations?limit=250").await.ok();
    api.stop().await;
}

#[tokio::test]
async fn case_081_a_cursor_is_good_for_its_own_list_only() {
    let api = Api::start().await;
    for name in ["a", "b"] {
        api.organization(name).await;
        for _ in 0..2 {
            api.webhook(name, json!({})).await;
        }
    }
    let first = api.get("/v1/organizations/a/webhooks?limit=1").await.ok();
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(
        api.get(&format!("/v1/organizations/a/webhooks?cursor={cursor}")).await.ok()["data"].as_array().unwrap().len(),
        1
    );
    let elsewhere = [
        "/v1/organizations/b/webhooks?",
        "/v1/organizations/a/webhooks?status=active&",
        "/v1/webhooks?",
        "/v1/organizations?",
        "/v1/event-types?",
    ];
    for list in elsewhere {
        api.get(&format!("{list}cursor={cursor}")).await.refuses(400, "invalid_cursor", "cursor");
    }
    for at in 0..cursor.len() {
        let mut tampered = cursor.as_bytes().to_vec();
        tampered[at] = if tampered[at] == b'A' { b'B' } else { b'A' };
        let tampered = String::from_utf8(tampered).unwrap();
        api.get(&format!("/v1/organizations/a/webhooks?cursor={tampered}")).await.problem(400, "invalid_cursor");
    }
    for odd in ["", "0", "AAAA", "%00", "whk_0000000000000"] {
        api.get(&format!("/v1/organizations/a/webhooks?cursor={odd}")).await.problem(400, "invalid_cursor");
    }
    api.stop().await;
}

#[tokio::test]
async fn webhooks_are_found_by_status_and_text() {
    let api = Api::start().await;
    api.organization("a").await;
    api.organization("b").await;
    api.webhook("a", json!({"name": "Billing 50%", "enabled": false})).await;
    api.webhook("a", json!({"name": "Jobs", "url": "https://93.184.216.34/Billing"})).await;
    api.webhook("b", json!({"name": "50 percent"})).await;
    let find = async |query: &str| {
        let list = api.get(&format!("/v1/webhooks?{query}")).await.ok();
        names(&list).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(find("").await, ["50 percent", "Jobs", "Billing 50%"]);
    assert_eq!(find("search=BILLING").await, ["Jobs", "Billing 50%"]);
    assert_eq!(find("search=50%25").await, ["Billing 50%"]);
    assert_eq!(find("status=deactivated").await, ["Billing 50%"]);
    assert_eq!(find("organization=b").await, ["50 percent"]);
    assert_eq!(find("organization=a&status=active&search=jobs").await, ["Jobs"]);
    api.get("/v1/webhooks?status=on").await.refuses(400, "invalid_parameter", "status");
    let own = api.get("/v1/organizations/a/webhooks?search=jobs").await.ok();
    assert_eq!(names(&own), ["Jobs"]);
    let reader = api.key(&["read"], json!({"organization": "b"})).await;
    let bound = api.ask(Method::GET, "/v1/webhooks").key(&reader).send().await.ok();
    assert_eq!(names(&bound), ["50 percent"]);
    api.stop().await;
}

/// Follows a list to its end; answers its pages.
async fn pages(api: &Api, list: &str) -> Vec<Value> {
    let mut pages = Vec::new();
    let mut path = list.to_owned();
    loop {
        let reply = api.get(&path).await;
        assert!(reply.text.len() < PAGE + PAGE / 4, "{} bytes", reply.text.len());
        let page = reply.ok();
        let next = page["next_cursor"].as_str().map(|cursor| format!("{list}&cursor={cursor}"));
        pages.push(page);
        match next {
            Some(next) => path = next,
            None => return pages,
        }
    }
}

fn ids(pages: &[Value]) -> Vec<&str> {
    pages.iter().flat_map(|page| page["data"].as_array().unwrap()).map(|entry| entry["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_page_of_large_events_is_short_and_leads_on() {
    let api = Api::start().await;
    api.organization("a").await;
    api.post("/v1/event-types", json!({"name": "job.created"})).await.created();
    let data = json!({"text": "x".repeat(250_000)});
    for number in 0..40 {
        let event = json!({"id": format!("e-{number}"), "type": "job.created", "data": data});
        api.post("/v1/organizations/a/events", event).await.accepted();
    }
    let pages = pages(&api, "/v1/organizations/a/events?limit=250").await;
    assert_eq!(pages.len(), 3, "17 of these take 4 MiB");
    let seen = ids(&pages);
    assert_eq!((seen.len(), seen.iter().collect::<HashSet<_>>().len()), (40, 40));
    api.stop().await;
}

#[tokio::test]
async fn a_page_of_large_settings_is_short_and_leads_on() {
    let api = Api::start().await;
    let schema = json!({"type": "object", "description": "x".repeat(30_000)});
    for number in 0..200 {
        let kind = json!({"name": format!("kind.{number}"), "schema": schema});
        api.post("/v1/event-types", kind).await.created();
    }
    let pages = pages(&api, "/v1/event-types?limit=250").await;
    assert_eq!(pages.len(), 2);
    let names: HashSet<_> = pages.iter().flat_map(names).collect();
    assert_eq!(names.len(), 200);
    api.stop().await;
}

#[tokio::test]
async fn a_list_shows_nothing_twice_while_it_grows() {
    const ROUNDS: usize = 12;
    let api = Api::start().await;
    api.organization("a").await;
    for name in ["rare", "common"] {
        api.post("/v1/event-types", json!({"name": name})).await.created();
    }
    api.webhook("a", json!({"events": ["rare", "common"], "name": "w"})).await;
    api.post("/v1/pauses", json!({"organization": "a"})).await.created();
    let batch = |count: usize| {
        let kind = |number| if number % 10 == 0 { "rare" } else { "common" };
        let event = |number| json!({"organization": "a", "type": kind(number), "data": {}});
        json!({"events": (0..count).map(event).collect::<Vec<_>>()})
    };
    for _ in 0..3 {
        api.post("/v1/events/batch", batch(1_000)).await.accepted();
    }
    let grow = async {
        for _ in 0..ROUNDS * 4 {
            api.post("/v1/events/batch", batch(20)).await.accepted();
        }
    };
    let look = async {
        for _ in 0..ROUNDS {
            let pages = pages(&api, "/v1/organizations/a/deliveries?event_type=rare&limit=250").await;
            let seen = ids(&pages);
            assert_eq!(seen.len(), seen.iter().collect::<HashSet<_>>().len(), "shown twice");
            assert!(seen.len() >= 300, "{} were passed over", 300 - seen.len());
        }
    };
    tokio::join!(grow, look);
    api.stop().await;
}
