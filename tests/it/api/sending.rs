//! Where the webhooks of these tests lead, and waiting for what becomes of their deliveries.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use fanfare::config::Sources;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::Api;

/// Requests that a sink holds for its test; more than any test makes.
const REQUESTS: usize = 10_000;
/// After this long, what a test waits for will not come any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// Settings with which receivers on this machine may be called.
pub(crate) fn local() -> Sources {
    Sources { egress_allow: Some("127.0.0.0/8".to_owned()), ..Sources::default() }
}

/// A receiver that answers as it is told to.
pub(crate) struct Sink {
    pub(crate) url: String,
    bodies: mpsc::Receiver<Value>,
    answers: Answers,
    open: watch::Sender<bool>,
    _server: JoinSet<()>,
}

#[derive(Clone)]
struct Answers {
    status: Arc<AtomicU16>,
    bodies: mpsc::Sender<Value>,
    open: watch::Receiver<bool>,
}

async fn receive(State(mut answers): State<Answers>, body: Bytes) -> StatusCode {
    answers.bodies.send(serde_json::from_slice(&body).unwrap()).await.unwrap();
    answers.open.wait_for(|open| *open).await.unwrap();
    StatusCode::from_u16(answers.status.load(Ordering::SeqCst)).unwrap()
}

impl Sink {
    /// One that accepts everything.
    pub(crate) async fn start() -> Sink {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (sender, bodies) = mpsc::channel(REQUESTS);
        let (open, opened) = watch::channel(true);
        let answers = Answers { status: Arc::new(AtomicU16::new(200)), bodies: sender, open: opened };
        let routes = Router::new().route("/hook", post(receive)).with_state(answers.clone());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Sink { url, bodies, answers, open, _server: server }
    }

    /// Answers with this status from now on.
    pub(crate) fn answer(&self, status: u16) {
        self.answers.status.store(status, Ordering::SeqCst);
    }

    /// Takes requests and keeps their answers back, or lets them go.
    pub(crate) fn hold(&self, held: bool) {
        self.open.send_replace(!held);
    }

    /// The body of the next request.
    pub(crate) async fn next(&mut self) -> Value {
        tokio::time::timeout(PATIENCE, self.bodies.recv()).await.expect("no request came").unwrap()
    }

    /// The bodies of requests that came and were not looked at.
    pub(crate) fn rest(&mut self) -> Vec<Value> {
        std::iter::from_fn(|| self.bodies.try_recv().ok()).collect()
    }
}

/// Asks until the answer is there.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

impl Api {
    /// Posts an event of this type; gives its id.
    pub(crate) async fn event(&self, org: &str, kind: &str) -> String {
        let path = format!("/v1/organizations/{org}/events");
        let reply = self.post(&path, json!({"type": kind, "data": {"of": kind}})).await.with(202);
        reply["id"].as_str().unwrap().to_owned()
    }

    /// Event types of these names.
    pub(crate) async fn event_types(&self, names: &[&str]) {
        for name in names {
            self.post("/v1/event-types", json!({"name": name, "example": {"example of": name}})).await.created();
        }
    }

    /// The deliveries that a list shows, newest first.
    pub(crate) async fn deliveries(&self, query: &str) -> Vec<Value> {
        self.get(&format!("/v1/deliveries?limit=250&{query}")).await.ok()["data"].as_array().unwrap().clone()
    }

    /// Waits until so many deliveries are in this state.
    pub(crate) async fn until_state(&self, state: &str, count: usize) -> Vec<Value> {
        until(&format!("{count} {state}"), async || {
            let found = self.deliveries(&format!("state={state}")).await;
            (found.len() == count).then_some(found)
        })
        .await
    }

    /// Waits until a job is not at work any more.
    pub(crate) async fn ended(&self, receipt: &Value) -> Value {
        let path = format!("/v1/jobs/{}", receipt["job_id"].as_str().unwrap());
        until("a job ends", async || {
            let job = self.get(&path).await.ok();
            (job["state"] != "running").then_some(job)
        })
        .await
    }
}
