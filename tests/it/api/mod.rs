//! The API, route by route, on a whole server with a store of its own.

mod api_keys;
mod attempts;
mod auth;
mod bodies;
mod clock;
mod deliveries_shown;
mod delivery_search;
mod description;
mod entities;
mod event_types;
mod explain;
mod idempotency;
mod isolation;
mod jobs;
mod keyed;
mod log_bounds;
mod memory;
mod operator_webhooks;
mod organizations;
mod pages;
mod panics;
mod pauses;
mod permissions;
mod profile_event_types;
mod profile_settings;
mod projects;
mod queries;
mod recover;
mod retention;
mod secrecy;
pub(crate) mod sending;
mod stats;
mod systems;
mod test_event;
mod users;
mod webhook_secrets;
mod webhook_urls;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::request::Builder;
use axum::http::{HeaderMap, HeaderName, Method, Request, StatusCode};
use fanfare::api;
use fanfare::app::App;
use fanfare::clock::{Clock, ManualClock};
use fanfare::config::Sources;
use fanfare::server::Server;
use fanfare::strangers::Connections;
use fanfare_engine::caller::Caller;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

/// The admin key of the servers of these tests.
pub(crate) const ADMIN: &str = "admin-key-of-the-tests-0123456789abcdef";
/// A URL that is accepted without a lookup; nothing is ever sent there.
pub(crate) const URL: &str = "https://93.184.216.34/hook";
/// What the clock of these tests shows at first.
pub(crate) const START: &str = "2026-11-22T09:30:00.000Z";

/// A server whose clock stands still.
pub(crate) struct Api {
    server: Server,
    router: Router,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) directory: TempDir,
}

impl Api {
    pub(crate) async fn start() -> Api {
        Self::start_with(Sources::default()).await
    }

    pub(crate) async fn start_with(sources: Sources) -> Api {
        Self::start_in(tempfile::tempdir().unwrap(), sources).await
    }

    /// One over the data that another left.
    pub(crate) async fn start_in(directory: TempDir, sources: Sources) -> Api {
        let clock = Arc::new(ManualClock::new(START.parse().unwrap()));
        Self::start_under(Arc::clone(&clock) as _, clock, directory, sources).await
    }

    /// One that is shown the time by `shown`, which follows the clock.
    pub(crate) async fn start_under(
        shown: Arc<dyn Clock>,
        clock: Arc<ManualClock>,
        directory: TempDir,
        sources: Sources,
    ) -> Api {
        let sources = Sources {
            listen: Some("127.0.0.1:0".to_owned()),
            data: Some(directory.path().to_owned()),
            admin_key: Some(ADMIN.to_owned()),
            ..sources
        };
        let server = Server::start(&sources, shown).await.unwrap();
        let router = api::router(&server.app);
        Api { server, router, clock, directory }
    }

    /// What the server's parts work with.
    pub(crate) fn app(&self) -> &Arc<App> {
        &self.server.app
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.server.address
    }

    /// Stops the server; everything it had under way must end.
    pub(crate) async fn stop(self) {
        assert!(self.server.stop().await, "something was left under way");
    }

    /// Stops the server and gives back its data directory.
    pub(crate) async fn stop_and_keep(self) -> TempDir {
        assert!(self.server.stop().await, "something was left under way");
        self.directory
    }

    /// Lets time pass, and has the server look at the clock.
    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.server.app.dispatcher.tick();
    }

    /// A request with the admin key.
    pub(crate) fn ask(&self, method: Method, path: &str) -> Ask<'_> {
        Ask { api: self, request: Request::builder().method(method).uri(path), key: Some(ADMIN.to_owned()), body: None }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask(Method::GET, path).send().await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.ask(Method::POST, path).json(&body).send().await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Reply {
        self.ask(Method::PUT, path).json(&body).send().await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Reply {
        self.ask(Method::PATCH, path).json(&body).send().await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.ask(Method::DELETE, path).send().await
    }

    /// An organization with this external id.
    pub(crate) async fn organization(&self, external_id: &str) -> Value {
        self.put(&format!("/v1/organizations/{external_id}"), json!({"name": external_id})).await.created()
    }

    /// A webhook of an organization, with these settings beside its URL.
    pub(crate) async fn webhook(&self, org: &str, settings: Value) -> Value {
        let mut body = json!({"url": URL});
        body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        self.post(&format!("/v1/organizations/{org}/webhooks"), body).await.created()
    }

    /// A key with these scopes and other members.
    pub(crate) async fn key(&self, scopes: &[&str], members: Value) -> String {
        let mut body = json!({"name": "a key", "scopes": scopes});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        self.post("/v1/api-keys", body).await.created()["key"].as_str().unwrap().to_owned()
    }
}

/// A request to send.
#[must_use]
pub(crate) struct Ask<'a> {
    api: &'a Api,
    request: Builder,
    key: Option<String>,
    body: Option<Body>,
}

impl Ask<'_> {
    /// With this key instead of the admin's.
    pub(crate) fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    pub(crate) fn without_key(mut self) -> Self {
        self.key = None;
        self
    }

    /// From this address, as the listener names it.
    pub(crate) fn from(mut self, address: &str) -> Self {
        self.request = self.request.extension(Caller::at(address.parse().unwrap()));
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request = self.request.header(HeaderName::from_static(name), value);
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    pub(crate) fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub(crate) async fn send(self) -> Reply {
        let request = match self.key {
            Some(key) => self.request.header("authorization", format!("Bearer {key}")),
            None => self.request,
        };
        let request = request.extension(Arc::new(Arc::<Connections>::default().open()));
        let request = request.body(self.body.unwrap_or_else(Body::empty)).unwrap();
        let response = self.api.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = to_bytes(body, 16 << 20).await.unwrap();
        let reply =
            Reply { status: parts.status, headers: parts.headers, text: String::from_utf8(text.to_vec()).unwrap() };
        reply.check_form();
        reply
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    /// What every answer has in common.
    fn check_form(&self) {
        assert!(self.headers.contains_key("x-request-id"), "{self:?}");
        if self.status.is_client_error() || self.status.is_server_error() {
            assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
            let body = self.body();
            for member in ["type", "title", "status", "detail", "code", "errors"] {
                assert!(!body[member].is_null(), "{self:?} lacks {member}");
            }
            assert_eq!(body["status"], self.status.as_u16());
        }
    }

    pub(crate) fn body(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{self:?} is not JSON"))
    }

    #[track_caller]
    pub(crate) fn with(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        if self.text.is_empty() { Value::Null } else { self.body() }
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        self.with(200)
    }

    #[track_caller]
    pub(crate) fn created(self) -> Value {
        self.with(201)
    }

    #[track_caller]
    pub(crate) fn accepted(self) -> Value {
        self.with(202)
    }

    #[track_caller]
    pub(crate) fn gone(self) {
        assert_eq!(self.with(204), Value::Null);
    }

    /// The answer is this problem; gives its body.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, code: &str) -> Value {
        let body = self.with(status);
        assert_eq!(body["code"], code, "{body}");
        body
    }

    /// The answer refuses this field with this code.
    #[track_caller]
    pub(crate) fn refuses(self, status: u16, code: &str, field: &str) {
        let body = self.problem(status, code);
        let fields: Vec<&str> =
            body["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
        assert_eq!(fields, [field], "{body}");
    }

    /// The answer is 422 for this field alone.
    #[track_caller]
    pub(crate) fn invalid(self, field: &str) {
        self.refuses(422, "validation_failed", field);
    }

    /// The same, and the message has these words in it.
    #[track_caller]
    pub(crate) fn invalid_because(self, field: &str, words: &str) {
        assert!(self.text.contains(words), "{self:?}");
        self.invalid(field);
    }
}
