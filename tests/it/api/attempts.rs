//! The attempts of a delivery, piece by piece.

use serde_json::{Value, json};

use super::Api;
use super::sending::{Sink, local, until};

/// A delivery of an event with this data, and the path of its attempts once there are so many.
async fn attempted(sink: &mut Sink, data: Value, times: u64) -> (Api, String) {
    let api = Api::start_with(local()).await;
    api.organization("acme").await;
    api.event_types(&["job.created"]).await;
    api.webhook("acme", json!({"url": sink.url})).await;
    api.post("/v1/organizations/acme/events", json!({"type": "job.created", "data": data})).await.with(202);
    sink.next().await;
    let id = api.until_state("delivered", 1).await[0]["id"].as_str().unwrap().to_owned();
    let delivery = format!("/v1/organizations/acme/deliveries/{id}");
    for made in 1..=times {
        until("an attempt is in the log", async || (api.get(&delivery).await.ok()["attempts"] == made).then_some(()))
            .await;
        if made < times {
            api.post(&format!("{delivery}/resend"), json!({})).await.with(202);
            sink.next().await;
        }
    }
    (api, format!("{delivery}/attempts"))
}

fn numbers(list: &Value) -> Vec<u64> {
    list["data"].as_array().unwrap().iter().map(|attempt| attempt["number"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn attempts_come_newest_first_in_pieces() {
    let mut sink = Sink::start().await;
    let (api, path) = attempted(&mut sink, json!({}), 5).await;
    let all = api.get(&path).await.ok();
    assert_eq!((numbers(&all), &all["next_cursor"]), (vec![5, 4, 3, 2, 1], &Value::Null));
    let mut seen = Vec::new();
    let mut next = format!("{path}?limit=2");
    loop {
        let piece = api.get(&next).await.ok();
        seen.push(numbers(&piece));
        let Some(cursor) = piece["next_cursor"].as_str() else { break };
        next = format!("{path}?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, [vec![5, 4], vec![3, 2], vec![1]]);
    api.get(&format!("{path}?limit=251")).await.refuses(400, "invalid_parameter", "limit");
    api.get(&format!("{path}?cursor=x")).await.refuses(400, "invalid_cursor", "cursor");
    api.get("/v1/organizations/acme/deliveries/dlv_0000000000000/attempts").await.problem(404, "not_found");
    api.stop().await;
}

#[tokio::test]
async fn large_attempts_come_in_smaller_pieces() {
    let mut sink = Sink::start().await;
    let (api, path) = attempted(&mut sink, json!("x".repeat(250_000)), 20).await;
    let first = api.get(&path).await.ok();
    let shown = numbers(&first);
    assert!((2..20).contains(&shown.len()), "{shown:?}");
    let rest = api.get(&format!("{path}?cursor={}", first["next_cursor"].as_str().unwrap())).await.ok();
    assert_eq!([shown, numbers(&rest)].concat(), (1..=20).rev().collect::<Vec<_>>());
    api.stop().await;
}
