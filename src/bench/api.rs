//! The few calls of the API that a measurement needs: an organization, an event type, webhooks, a pause, and away again.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use url::Url;

use super::receiver::webhook_path;
use super::subject::{OWNER, Subject};

const TIMEOUT: Duration = Duration::from_secs(30);
const MAX_ANSWER: usize = 1024 * 1024;

/// A server's API, reached as the holder of an admin key.
pub struct Api {
    address: SocketAddr,
    authority: String,
    /// What comes before `/v1` in every path.
    prefix: String,
    key: String,
}

/// What was made for a measurement.
pub struct Setup {
    /// The organization's id.
    pub organization: String,
    /// Each webhook's signing secret, in order; empty where the server does not tell them, or
    /// signatures by them are not checked.
    pub secrets: Vec<String>,
    made_event_type: Option<String>,
}

impl Api {
    /// The API at `url`.
    ///
    /// # Errors
    /// The URL is not `http://…`, or its host is not found.
    pub async fn new(url: &str, key: &str) -> anyhow::Result<Self> {
        let url = Url::parse(url).with_context(|| format!("--url {url} is not a URL such as http://127.0.0.1:8686"))?;
        if url.scheme() != "http" {
            bail!("--url must be http://…: a measurement goes to the server itself, not through TLS");
        }
        let host = url.host_str().context("--url names no host")?;
        let port = url.port_or_known_default().unwrap_or(80);
        let found = tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await;
        let address =
            found.ok().and_then(|mut all| all.next()).with_context(|| format!("the host {host} is not found"))?;
        Ok(Api {
            address,
            authority: format!("{host}:{port}"),
            prefix: url.path().trim_end_matches('/').to_owned(),
            key: key.to_owned(),
        })
    }

    /// Where events are posted to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The Host header.
    pub fn host(&self) -> &str {
        &self.authority
    }

    /// The path that an organization's events are posted to.
    pub fn events_path(&self, organization: &str) -> String {
        format!("{}/v1/organizations/{organization}/events", self.prefix)
    }

    /// The key that events are posted with.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether the server takes requests.
    pub async fn is_ready(&self) -> bool {
        matches!(self.call(Method::GET, "/readyz", None).await, Ok((StatusCode::OK, _)))
    }

    /// Makes an organization with `fan_out` webhooks for the events of `subject`, all to `receiver`.
    ///
    /// # Errors
    /// The server cannot be reached or refuses; with what it says.
    pub async fn set_up(
        &self,
        receiver: SocketAddr,
        fan_out: usize,
        nonce: u64,
        subject: &Subject,
    ) -> anyhow::Result<Setup> {
        let name = format!("bench-{nonce:016x}");
        let organization = self.make("/v1/organizations", json!({"name": name, "external_id": name}), &[]).await?.1;
        let organization = organization["id"].as_str().context("the new organization has no id")?.to_owned();
        let made_event_type = match subject.makes_event_type {
            true => self.make_event_type(&subject.event_type).await?.then(|| subject.event_type.clone()),
            false => None,
        };
        let mut setup = Setup { organization, secrets: Vec::new(), made_event_type };
        if let Some(rights) = &subject.rights {
            let path = format!("/v1/organizations/{}/users/{OWNER}", setup.organization);
            let (status, answer) = self.call(Method::PUT, &path, Some(rights.to_string().into())).await?;
            anyhow::ensure!(status.is_success(), refusal("PUT", &path, status, &answer));
        }
        let path = format!("/v1/organizations/{}/webhooks", setup.organization);
        for number in 0..fan_out {
            let url = format!("http://{receiver}{}", webhook_path(number));
            let body = webhook(&format!("bench {number}"), &url, subject);
            let (_, webhook) = self.make(&path, body.into(), &[]).await?;
            setup.secrets.extend(webhook["secret"].as_str().map(str::to_owned));
        }
        if setup.secrets.len() != fan_out || !subject.checked {
            setup.secrets.clear();
        }
        Ok(setup)
    }

    /// Adds a webhook for the events of `subject` that is tried once and leads to `address`.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub async fn add_webhook(&self, organization: &str, address: SocketAddr, subject: &Subject) -> anyhow::Result<()> {
        let mut body = webhook("bench once", &format!("http://{address}/"), subject);
        body.insert("retry".to_owned(), json!({"delays_seconds": []}));
        self.make(&format!("/v1/organizations/{organization}/webhooks"), body.into(), &[]).await.map(|_| ())
    }

    /// What the list at `path` shows.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub async fn list(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let (status, answer) = self.call(Method::GET, path, None).await?;
        let listed = answer["data"].as_array().filter(|_| status.is_success());
        listed.cloned().ok_or_else(|| refusal("GET", path, status, &answer))
    }

    /// A link into an organization's portal.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub async fn portal_link(&self, organization: &str) -> anyhow::Result<String> {
        let path = format!("/v1/organizations/{organization}/portal-sessions");
        let (_, made) = self.make(&path, json!({}), &[]).await?;
        made["url"].as_str().map(str::to_owned).context("the server gave no link into the portal")
    }

    /// Makes an event type; `false` where it is there already.
    async fn make_event_type(&self, name: &str) -> anyhow::Result<bool> {
        let taken = [StatusCode::CONFLICT];
        let (status, _) = self.make("/v1/event-types", json!({ "name": name }), &taken).await?;
        Ok(status != StatusCode::CONFLICT)
    }

    /// Deletes what [`Api::set_up`] made.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub async fn clear(&self, setup: &Setup) -> anyhow::Result<()> {
        let organization = format!("/v1/organizations/{}", setup.organization);
        let event_type = setup.made_event_type.as_ref().map(|name| format!("/v1/event-types/{name}"));
        for path in std::iter::once(organization).chain(event_type) {
            self.delete(&path).await?;
        }
        Ok(())
    }

    /// Posts events that name their organization, as the body of a batch. Answers how many were acknowledged: all.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses the batch or one of its events; with what it says.
    pub async fn post_batch(&self, body: Bytes) -> anyhow::Result<usize> {
        const PATH: &str = "/v1/events/batch";
        let (status, answer) = self.call(Method::POST, PATH, Some(body)).await?;
        let results = answer["results"].as_array().filter(|_| status.is_success());
        let results = results.ok_or_else(|| refusal("POST", PATH, status, &answer))?;
        if let Some(error) = results.iter().map(|result| &result["error"]).find(|error| !error.is_null()) {
            bail!("an event of a batch was refused: {error}");
        }
        Ok(results.len())
    }

    /// Holds everything for an organization. Answers the pause's id.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub async fn pause(&self, organization: &str) -> anyhow::Result<String> {
        let (_, pause) = self.make("/v1/pauses", json!({"organization": organization}), &[]).await?;
        Ok(pause["id"].as_str().context("the new pause has no id")?.to_owned())
    }

    /// Ends a pause.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub async fn resume(&self, pause: &str) -> anyhow::Result<()> {
        self.delete(&format!("/v1/pauses/{pause}")).await
    }

    async fn delete(&self, path: &str) -> anyhow::Result<()> {
        let (status, answer) = self.call(Method::DELETE, path, None).await?;
        if status.is_success() { Ok(()) } else { Err(refusal("DELETE", path, status, &answer)) }
    }

    async fn make(&self, path: &str, body: Value, accepted: &[StatusCode]) -> anyhow::Result<(StatusCode, Value)> {
        let (status, answer) = self.call(Method::POST, path, Some(body.to_string().into())).await?;
        if !status.is_success() && !accepted.contains(&status) {
            return Err(refusal("POST", path, status, &answer));
        }
        Ok((status, answer))
    }

    async fn call(&self, method: Method, path: &str, body: Option<Bytes>) -> anyhow::Result<(StatusCode, Value)> {
        let exchange = self.exchange(method, path, body);
        tokio::time::timeout(TIMEOUT, exchange).await.map_err(|_| anyhow!("{path} was not answered in time"))?
    }

    async fn exchange(&self, method: Method, path: &str, body: Option<Bytes>) -> anyhow::Result<(StatusCode, Value)> {
        let stream = TcpStream::connect(self.address).await;
        let stream = stream.with_context(|| format!("cannot reach the server at {}", self.address))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.prefix))
            .header(header::HOST, &self.authority)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONNECTION, "close")
            .body(Full::new(body.unwrap_or_default()))?;
        let answer = async {
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| anyhow!(error))?.to_bytes();
            anyhow::Ok((head.status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
        };
        tokio::pin!(answer, connection);
        // The connection does the work; the answer may be complete only after it has ended.
        tokio::select! {
            answer = &mut answer => answer,
            ended = &mut connection => {
                ended?;
                answer.await
            }
        }
    }
}

/// The settings of a webhook for the events of `subject`.
fn webhook(name: &str, url: &str, subject: &Subject) -> Map<String, Value> {
    let mut body = Map::from_iter([("name".to_owned(), name.into()), ("url".to_owned(), url.into())]);
    body.extend(subject.webhook.clone());
    body.extend(subject.rights.as_ref().map(|_| ("owner".to_owned(), OWNER.into())));
    body
}

fn refusal(method: &str, path: &str, status: StatusCode, answer: &Value) -> anyhow::Error {
    let said = answer["detail"].as_str().or(answer["title"].as_str()).unwrap_or("no reason given");
    anyhow!("{method} {path} was refused with {status}: {said}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::to_bytes;
    use axum::extract::Request as Incoming;
    use axum::response::{IntoResponse, Response};
    use parking_lot::Mutex;
    use std::sync::Arc;
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    type Calls = Arc<Mutex<Vec<String>>>;

    /// A server that knows the event type already and accepts the key `right` only.
    async fn respond(request: Incoming, calls: Calls) -> Response {
        let (head, body) = request.into_parts();
        let body = to_bytes(body, MAX_ANSWER).await.unwrap();
        calls.lock().push(format!("{} {} {}", head.method, head.uri, String::from_utf8_lossy(&body)).trim().to_owned());
        let answer = match head.uri.path() {
            _ if head.headers[header::AUTHORIZATION] != "Bearer right" => {
                (StatusCode::UNAUTHORIZED, json!({"title": "Unauthorized", "detail": "the key is not known"}))
            }
            "/v1/event-types" => (StatusCode::CONFLICT, json!({"detail": "it exists"})),
            "/v1/organizations" => (StatusCode::CREATED, json!({"id": "org_1"})),
            "/v1/organizations/org_1/webhooks" => (StatusCode::CREATED, json!({"id": "wh_1", "secret": "whsec_AAAA"})),
            "/v1/events/batch" if body.starts_with(b"bad") => {
                (StatusCode::ACCEPTED, json!({"results": [{"id": "evt_1"}, {"error": {"detail": "no type"}}]}))
            }
            "/v1/events/batch" => (StatusCode::ACCEPTED, json!({"results": [{"id": "evt_1"}, {"id": "evt_2"}]})),
            "/v1/pauses" => (StatusCode::CREATED, json!({"id": "pause_1"})),
            _ => (StatusCode::OK, Value::Null),
        };
        (answer.0, answer.1.to_string()).into_response()
    }

    async fn start() -> (SocketAddr, Calls, JoinSet<()>) {
        let calls = Calls::default();
        let seen = calls.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(move |request: Incoming| respond(request, seen.clone()));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        (address, calls, server)
    }

    #[tokio::test]
    async fn sets_up_and_takes_away_only_what_it_made() {
        let (address, calls, _server) = start().await;
        let api = Api::new(&format!("http://{address}/"), "right").await.unwrap();
        assert!(api.is_ready().await);
        let setup = api.set_up("127.0.0.1:9".parse().unwrap(), 2, 255, &Subject::plain()).await.unwrap();
        assert_eq!(setup.secrets, ["whsec_AAAA", "whsec_AAAA"]);
        assert_eq!(api.events_path(&setup.organization), "/v1/organizations/org_1/events");
        api.clear(&setup).await.unwrap();
        let name = "bench-00000000000000ff";
        let expected = [
            "GET /readyz".to_owned(),
            format!("POST /v1/organizations {{\"name\":\"{name}\",\"external_id\":\"{name}\"}}"),
            "POST /v1/event-types {\"name\":\"bench.sent\"}".to_owned(),
            webhook_call(0),
            webhook_call(1),
            "DELETE /v1/organizations/org_1".to_owned(),
        ];
        assert_eq!(*calls.lock(), expected);
    }

    #[tokio::test]
    async fn a_batch_counts_only_where_all_of_it_was_acknowledged() {
        let (address, _calls, _server) = start().await;
        let api = Api::new(&format!("http://{address}"), "right").await.unwrap();
        assert_eq!(api.post_batch(Bytes::from_static(b"good")).await.unwrap(), 2);
        let error = api.post_batch(Bytes::from_static(b"bad")).await.unwrap_err().to_string();
        assert!(error.contains("no type"), "{error}");
        let wrong = Api::new(&format!("http://{address}"), "wrong").await.unwrap();
        let error = wrong.post_batch(Bytes::from_static(b"good")).await.unwrap_err().to_string();
        assert!(error.contains("the key is not known"), "{error}");
    }

    #[tokio::test]
    async fn holds_an_organization_and_lets_it_go() {
        let (address, calls, _server) = start().await;
        let api = Api::new(&format!("http://{address}"), "right").await.unwrap();
        let pause = api.pause("org_1").await.unwrap();
        api.resume(&pause).await.unwrap();
        assert_eq!(*calls.lock(), ["POST /v1/pauses {\"organization\":\"org_1\"}", "DELETE /v1/pauses/pause_1"]);
    }

    fn webhook_call(number: usize) -> String {
        let body = json!({"name": format!("bench {number}"), "url": format!("http://127.0.0.1:9/w/{number}"), "events": ["bench.sent"]});
        format!("POST /v1/organizations/org_1/webhooks {body}")
    }

    #[tokio::test]
    async fn says_what_the_server_said() {
        let (address, _calls, _server) = start().await;
        let api = Api::new(&format!("http://{address}"), "wrong").await.unwrap();
        let error = api.set_up(address, 1, 0, &Subject::plain()).await.err().unwrap().to_string();
        assert_eq!(error, "POST /v1/organizations was refused with 401 Unauthorized: the key is not known");
    }

    #[tokio::test]
    async fn refuses_urls_that_are_no_server() {
        for (url, reason) in
            [("https://localhost", "must be http://"), ("localhost:1", "must be http://"), ("", "is not a URL")]
        {
            let error = Api::new(url, "k").await.err().unwrap().to_string();
            assert!(error.contains(reason), "{url}: {error}");
        }
    }
}
