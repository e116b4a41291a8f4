//! A small HTTP client of the API, and what the tests ask it for again and again.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::patience::{until, within};

/// Where a server is and who asks it.
#[derive(Clone)]
pub(crate) struct Api {
    pub(super) address: SocketAddr,
    key: String,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// A webhook as it was made.
#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    pub(super) org: String,
    pub(super) id: String,
    pub(super) secret: String,
}

/// The connection ended without a whole answer.
#[derive(Debug)]
pub(super) struct Broken;

impl Answer {
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body of an answer with this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// The body of a problem with this status and code.
    #[track_caller]
    pub(super) fn expect_problem(&self, status: u16, code: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json");
        problem
    }

    /// The field that a problem names first.
    #[track_caller]
    pub(super) fn refused_field(&self) -> String {
        self.json()["errors"][0]["field"].as_str().unwrap_or_else(|| panic!("{}", self.text())).to_owned()
    }
}

/// A connection that is kept.
pub(super) struct Link {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
    key: String,
    _driver: JoinSet<()>,
}

impl Link {
    pub(super) async fn open(api: &Api) -> Result<Link, Broken> {
        let stream = TcpStream::connect(api.address).await.map_err(|_| Broken)?;
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let mut driver = JoinSet::new();
        driver.spawn(async {
            // Whoever waits for an answer is told by its absence.
            let _ = connection.await;
        });
        Ok(Link { sender, address: api.address, key: api.key.clone(), _driver: driver })
    }

    pub(super) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, Broken> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, self.address.to_string());
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.header(AUTHORIZATION, format!("Bearer {}", self.key));
        }
        if method != "GET" && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.sender.ready().await.map_err(|_| Broken)?;
        let request = request.body(Full::new(body.into())).unwrap();
        let response = self.sender.send_request(request).await.map_err(|_| Broken)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }
}

impl Api {
    pub(super) fn new(address: SocketAddr, key: &str) -> Api {
        Api { address, key: key.to_owned() }
    }

    /// The same server, asked by another key.
    pub(super) fn with_key(&self, key: &str) -> Api {
        Api::new(self.address, key)
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, Broken> {
        let body = body.into();
        let ask = async { Link::open(self).await?.send(method, path, headers, body).await };
        within(&format!("an answer to {method} {path}"), ask).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Bytes::new()).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[], body.to_string()).await.unwrap()
    }

    pub(super) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send("PATCH", path, &[], body.to_string()).await.unwrap()
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], Bytes::new()).await.unwrap()
    }

    pub(super) async fn make_event_type(&self, body: &Value) {
        self.post("/v1/event-types", body).await.expect(201);
    }

    pub(crate) async fn make_organization(&self, external_id: &str) {
        self.post("/v1/organizations", &json!({"name": external_id, "external_id": external_id})).await.expect(201);
    }

    pub(crate) async fn make_webhook(&self, org: &str, body: &Value) -> Webhook {
        let made = self.post(&format!("/v1/organizations/{org}/webhooks"), body).await.expect(201);
        let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
        Webhook { org: org.to_owned(), id: text("id"), secret: text("secret") }
    }

    pub(super) async fn make_key(&self, body: &Value) -> Api {
        let made = self.post("/v1/api-keys", body).await.expect(201);
        self.with_key(made["key"].as_str().unwrap())
    }

    pub(super) async fn webhook(&self, webhook: &Webhook) -> Value {
        self.get(&webhook.path("")).await.expect(200)
    }

    /// Posts an event that must be taken; answers its id.
    pub(crate) async fn post_event(&self, org: &str, body: &Value) -> String {
        let accepted = self.post(&format!("/v1/organizations/{org}/events"), body).await.expect(202);
        accepted["id"].as_str().unwrap().to_owned()
    }

    /// The one delivery of an event.
    pub(super) async fn delivery_of(&self, org: &str, event: &str) -> Value {
        let found = self.get(&format!("/v1/organizations/{org}/deliveries?event={event}")).await.expect(200);
        let found = found["data"].as_array().unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    }

    /// Waits until the one delivery of an event is in this state.
    pub(crate) async fn settled(&self, org: &str, event: &str, state: &str) -> Value {
        until(&format!("{event} becomes {state}"), async || {
            let delivery = self.delivery_of(org, event).await;
            (delivery["state"] == state).then_some(delivery)
        })
        .await
    }

    /// The attempts of a delivery, from the first.
    pub(crate) async fn attempts(&self, delivery: &Value) -> Vec<Value> {
        let (org, id) = (delivery["organization_id"].as_str().unwrap(), delivery["id"].as_str().unwrap());
        let mut attempts = self.whole_list(&format!("/v1/organizations/{org}/deliveries/{id}/attempts")).await;
        attempts.sort_by_key(|attempt| attempt["number"].as_u64());
        attempts
    }

    /// Everything of a list, page by page.
    pub(super) async fn whole_list(&self, path: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let join = if path.contains('?') { '&' } else { '?' };
            let page = self.get(&format!("{path}{join}limit=250{cursor}")).await.expect(200);
            all.extend(page["data"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
    }

    /// Waits until nothing is left to deliver.
    pub(crate) async fn idle(&self) {
        until("nothing is left to deliver", async || {
            let text = self.get("/metrics").await.text();
            text.lines().any(|line| line == "fanfare_backlog 0").then_some(())
        })
        .await;
    }
}

impl Webhook {
    /// The path of the webhook, or of something below it.
    pub(super) fn path(&self, below: &str) -> String {
        format!("/v1/organizations/{}/webhooks/{}{below}", self.org, self.id)
    }
}
