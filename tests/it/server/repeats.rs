//! A host that repeats its requests under their keys while the server is killed again and again: each is done once.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::client::{Api, Link};
use super::process::Home;

/// How often the server is killed.
const KILLS: usize = 25;
/// How many requests are on their way at once.
const AT_ONCE: usize = 4;
/// The server of each round is killed once it has answered this many of its requests.
const KILL_AFTER: [u32; 5] = [1, 9, 2, 17, 5];

/// What a host sent: the id that it got, if it got one.
type Sent = BTreeMap<String, Option<String>>;

async fn make(link: &mut Link, key: &str) -> Option<String> {
    let body = json!({"name": key}).to_string();
    let answer = link.send("POST", "/v1/organizations", &[("idempotency-key", key)], body).await.ok()?;
    Some(answer.expect(201)["id"].as_str().unwrap().to_owned())
}

/// Sends one request after the other until the server is gone.
async fn send(api: Api, host: String, answered: Arc<Semaphore>) -> Sent {
    let mut sent = Sent::new();
    let Ok(mut link) = Link::open(&api).await else { return sent };
    for number in 0.. {
        let key = format!("{host}-{number}");
        let id = make(&mut link, &key).await;
        let is_gone = id.is_none();
        sent.insert(key, id);
        answered.add_permits(1);
        if is_gone {
            break;
        }
    }
    sent
}

#[tokio::test]
async fn case_052_kills_under_load_do_nothing_twice() {
    let home = Home::new();
    let mut server = home.launch().start().await;
    let mut made = BTreeMap::new();
    for round in 0..KILLS {
        let answered = Arc::new(Semaphore::new(0));
        let mut hosts = JoinSet::new();
        for host in 0..AT_ONCE {
            hosts.spawn(send(server.api(), format!("{round}-{host}"), Arc::clone(&answered)));
        }
        answered.acquire_many(KILL_AFTER[round % KILL_AFTER.len()]).await.unwrap().forget();
        server.kill().await;
        let sent: Vec<Sent> = hosts.join_all().await;
        server = home.launch().start().await;
        let mut link = Link::open(&server.api()).await.unwrap();
        for (key, id) in sent.into_iter().flatten() {
            let again = make(&mut link, &key).await.unwrap();
            assert_eq!(id.as_ref().unwrap_or(&again), &again, "{key}");
            made.insert(key, again);
        }
    }
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/organizations?limit=250{cursor}");
        let list = server.api().get(&path).await.expect(200);
        names.extend(list["data"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()));
        let Some(next) = list["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    names.sort();
    assert_eq!(names, made.keys().cloned().collect::<Vec<_>>(), "each key made one organization");
    server.stop().await;
}
