//! Hosts that post events as fast as they are taken, and remember what they were answered.

use serde_json::json;
use tokio::task::JoinSet;

use super::client::{Api, Link};
use super::patience::within;
use super::scene::{ORG, TYPE};

/// Hosts that post at once.
const HOSTS: usize = 4;

/// An event that a host posted.
#[derive(Clone, Debug)]
pub(super) struct Posted {
    /// The host's own id for it.
    pub(super) id: String,
    /// The id that it was answered with by a 202; `None` where no answer came.
    pub(super) event: Option<String>,
}

/// Hosts under way; they end when the server does.
pub(super) struct Load(JoinSet<Vec<Posted>>);

impl Load {
    /// Starts them. `round` makes their ids differ from those of other loads.
    pub(super) fn start(api: &Api, round: usize) -> Load {
        let mut hosts = JoinSet::new();
        for host in 0..HOSTS {
            hosts.spawn(post_until_broken(api.clone(), format!("r{round}-h{host}")));
        }
        Load(hosts)
    }

    /// Waits until the server is gone for all of them; answers everything that was posted.
    pub(super) async fn ended(self) -> Vec<Posted> {
        within("the hosts notice that the server has gone", self.0.join_all()).await.concat()
    }
}

/// What a host posts under this id.
pub(super) fn post_of(id: &str) -> serde_json::Value {
    json!({"type": TYPE, "id": id, "data": {"id": id}})
}

async fn post_until_broken(api: Api, name: String) -> Vec<Posted> {
    let path = format!("/v1/organizations/{ORG}/events");
    let mut posted = Vec::new();
    let Ok(mut link) = Link::open(&api).await else { return posted };
    for number in 0.. {
        let id = format!("{name}-{number}");
        let answer = link.send("POST", &path, &[], post_of(&id).to_string()).await;
        let event = answer.as_ref().ok().filter(|answer| answer.status == 202);
        let event = event.map(|answer| answer.json()["id"].as_str().unwrap().to_owned());
        posted.push(Posted { id, event });
        match answer {
            Ok(answer) if answer.status == 202 => {}
            // It is stopping, and says so.
            Ok(answer) if answer.status == 503 => return posted,
            Ok(answer) => panic!("{}: {}", answer.status, answer.text()),
            Err(_) => return posted,
        }
    }
    posted
}
