//! An invented project: some customers, their webhooks, a receiver with moods, and a day that passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{Method, Request, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use fanfare::api;
use fanfare::catalogue::operators::{self, Operates};
use fanfare::clock::{Clock as _, ManualClock};
use fanfare::config::Sources;
use fanfare::server::Server;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

/// When the day begins; the pictures are taken a day later.
const START: &str = "2026-03-16T09:20:00.000Z";
/// Where the receiver listens, so that addresses are the same each time.
const RECEIVER: &str = "127.0.0.1:9007";
/// The steps of the day: a wait, then some events.
const STEPS: u32 = 96;
const STEP: Duration = Duration::from_secs(14 * 60);
/// From one event to the next.
const BETWEEN: Duration = Duration::from_secs(7);
/// From this step on, one of the receivers is out of order.
const OUTAGE: u32 = 88;
/// How long the receivers take, in milliseconds, and how much longer at most.
const TAKES: u32 = 18;
const MORE: u32 = 60;
/// Every so many requests the other one fails.
const HICCUP: u32 = 37;

/// See the module.
pub(super) struct Project {
    server: Server,
    router: Router,
    clock: Arc<ManualClock>,
    /// Where the server is.
    pub(super) url: String,
    /// The webhook that is shown.
    pub(super) orders: String,
    /// A delivery that took two attempts.
    pub(super) retried: String,
    _directory: TempDir,
    _receiver: JoinSet<()>,
}

/// How the receivers do.
#[derive(Default)]
struct Mood {
    step: AtomicU32,
    requests: AtomicU32,
}

async fn receive(State(mood): State<Arc<Mood>>, Path(name): Path<String>) -> impl IntoResponse {
    let json = [("content-type", "application/json")];
    let out_of_order = name == "warehouse" && mood.step.load(Ordering::SeqCst) >= OUTAGE;
    let number = mood.requests.fetch_add(1, Ordering::SeqCst);
    let hiccup = name == "orders" && number % HICCUP == HICCUP - 2;
    tokio::time::sleep(Duration::from_millis((TAKES + number * 23 % MORE * (number * 7 % 11) / 10).into())).await;
    match (out_of_order, hiccup) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, json, "{\"error\":\"the database is read-only\"}"),
        (_, true) => (StatusCode::INTERNAL_SERVER_ERROR, json, "{\"error\":\"deadlock detected, try again\"}"),
        _ => (StatusCode::OK, json, "{\"accepted\":true}"),
    }
}

/// The event with this number.
fn event(number: u32) -> Value {
    let order = 20_100 + number / 3;
    let (kind, data) = match number % 3 {
        0 => ("order.created", json!({"id": order, "customer": "Globex", "total_cents": 4_200 + order * 37 % 9_000})),
        1 => ("order.paid", json!({"id": order, "method": "card", "currency": "EUR"})),
        _ => ("shipment.sent", json!({"order": order, "carrier": "DHL", "parcels": 1 + number % 2})),
    };
    json!({"type": kind, "data": data})
}

impl Project {
    /// Starts a server and lets the day pass in it.
    pub(super) async fn invent() -> Project {
        let mood = Arc::new(Mood::default());
        let listener = TcpListener::bind(RECEIVER).await.expect("the receiver's port is taken");
        let routes = Router::new().route("/{name}", post(receive)).with_state(Arc::clone(&mood));
        let mut receiver = JoinSet::new();
        receiver.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(START.parse().unwrap()));
        let sources = Sources {
            listen: Some("127.0.0.1:0".to_owned()),
            data: Some(directory.path().to_owned()),
            egress_allow: Some("127.0.0.0/8,localhost".to_owned()),
            ..Sources::default()
        };
        let server = Server::start(&sources, Arc::clone(&clock) as _).await.unwrap();
        let mut project = Project {
            router: api::router(&server.app),
            url: format!("http://{}", server.address),
            server,
            clock: Arc::clone(&clock),
            orders: String::new(),
            retried: String::new(),
            _directory: directory,
            _receiver: receiver,
        };
        project.set_up().await;
        for step in 0..STEPS {
            mood.step.store(step, Ordering::SeqCst);
            clock.advance(STEP);
            project.server.app.dispatcher.tick();
            project.pass(step).await;
        }
        // A moment later, when figures are written.
        clock.advance(Duration::from_secs(40));
        let failed = |delivery: &&Value| delivery["attempts"] == 2 && delivery["state"] == "delivered";
        let all = project.call(Method::GET, "/v1/deliveries?limit=250&state=delivered", Value::Null).await;
        let found = all["data"].as_array().unwrap().iter().find(failed).expect("no delivery took two attempts");
        project.retried = found["id"].as_str().unwrap().to_owned();
        project
    }

    async fn set_up(&mut self) {
        for (name, kind, description) in [
            ("order.created", "Orders", "A customer ordered something"),
            ("order.paid", "Orders", "An order was paid"),
            ("shipment.sent", "Shipments", "A parcel is on its way"),
            ("shipment.returned", "Shipments", "A parcel came back"),
        ] {
            let body = json!({"name": name, "kind": kind, "description": description, "example": {"id": 20_100}});
            self.call(Method::POST, "/v1/event-types", body).await;
        }
        for (id, name) in [("initech", "Initech"), ("globex", "Globex"), ("acme", "Acme Trading")] {
            self.call(Method::PUT, &format!("/v1/organizations/{id}"), json!({"name": name})).await;
        }
        let retry = json!({"delays_seconds": [300], "jitter": 0});
        let webhook = |name: &str, path: &str, members: Value| {
            let mut body = json!({"name": name, "url": format!("http://localhost:9007/{path}"), "retry": retry});
            body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
            body
        };
        let acme = "/v1/organizations/acme/webhooks";
        let parcels = json!({"events": ["shipment.sent", "shipment.returned"], "enabled": false});
        self.call(Method::POST, acme, webhook("Parcel tracking", "parcels", parcels)).await;
        let paid = webhook("Data warehouse", "warehouse", json!({"events": ["order.paid"]}));
        self.call(Method::POST, acme, paid).await;
        let made = self.call(Method::POST, acme, webhook("Order system", "orders", json!({}))).await;
        self.orders = made["id"].as_str().unwrap().to_owned();
        let shop = webhook("Shop", "shop", json!({}));
        self.call(Method::POST, "/v1/organizations/globex/webhooks", shop).await;
    }

    /// What happens in a quarter of an hour: more by day than by night.
    async fn pass(&self, step: u32) {
        let busy = 3 + (step.abs_diff(30).min(STEPS + 30 - step) / 8);
        let most = 12_u32.saturating_sub(busy);
        for number in 0..most.max(2) {
            let event = event(step * 12 + number);
            self.clock.advance(BETWEEN);
            self.call(Method::POST, "/v1/organizations/acme/events", event.clone()).await;
            if number % 3 == 0 {
                self.call(Method::POST, "/v1/organizations/globex/events", event).await;
            }
        }
        while !self.is_quiet().await {
            tokio::task::yield_now().await;
        }
    }

    /// Whether nothing is under way, and all that waits waits for a later time.
    async fn is_quiet(&self) -> bool {
        let now = self.clock.now().to_string();
        let delivering = self.call(Method::GET, "/v1/deliveries?limit=1&state=delivering", Value::Null).await;
        let pending = self.call(Method::GET, "/v1/deliveries?limit=250&state=pending", Value::Null).await;
        let later = |delivery: &Value| delivery["next_attempt_at"].as_str().is_some_and(|at| at > now.as_str());
        delivering["data"] == json!([]) && pending["data"].as_array().unwrap().iter().all(later)
    }

    /// A link into the customer's portal.
    pub(super) async fn portal_link(&self) -> String {
        let made = self.call(Method::POST, "/v1/organizations/acme/portal-sessions", json!({})).await;
        let url = made["url"].as_str().unwrap();
        format!("{}{}", self.url, &url[url.find("/portal/").unwrap()..])
    }

    /// A link that signs in at the console.
    pub(super) async fn console_link(&self) -> String {
        let (_, code) = operators::begin(&self.server.app, &Operates::Admin).await.unwrap();
        format!("{}/console/open/{code}", self.url)
    }

    pub(super) async fn stop(self) {
        self.server.stop().await;
    }

    /// Asks the API with the admin key; what it refuses is a mistake.
    async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.server.admin_key))
            .header("content-type", "application/json");
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let answer = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = answer.status();
        let text = to_bytes(answer.into_body(), 16 << 20).await.unwrap();
        assert!(status.is_success(), "{path}: {}", String::from_utf8_lossy(&text));
        serde_json::from_slice(&text).unwrap_or(Value::Null)
    }
}
