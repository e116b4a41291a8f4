//! The API: one file per resource, each thin: it reads the request, asks the catalogue, and shows the answer.

pub mod api_keys;
pub mod auth;
pub mod body;
pub mod clock;
pub mod deliveries;
pub mod docs;
pub mod entities;
pub mod event_types;
pub mod events;
pub mod faults;
pub mod health;
pub mod idempotency;
pub mod jobs;
pub mod openapi;
pub mod operator_webhooks;
pub mod organizations;
pub mod page;
pub mod pauses;
pub mod portal_sessions;
pub mod problem;
pub mod projects;
mod query;
mod recovered;
pub mod request;
pub mod stats;
mod systems;
pub mod users;
pub mod webhooks;

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower::util::MapRequestLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::PropagateRequestIdLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa_axum::router::OpenApiRouter;

use self::problem::{Answer, Code, Problem};
use crate::app::App;
use crate::background::Owner;
use crate::metered::Metered;
use crate::request_id;
use crate::request_log::{LogRequests, Noted, RequestLog};

/// The routes of what is set up, with their descriptions. Each route is said once, at its handler.
pub fn catalogue_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(openapi::head())
        .merge(projects::routes())
        .merge(event_types::routes())
        .merge(organizations::routes())
        .merge(users::routes())
        .merge(entities::routes())
        .merge(webhooks::routes())
        .merge(operator_webhooks::routes())
        .merge(api_keys::routes())
        .merge(portal_sessions::routes())
        .merge(pauses::routes())
        .merge(clock::routes())
        .merge(deliveries::bulk_routes())
        .merge(jobs::routes())
        .merge(stats::routes())
        .merge(systems::routes())
}

/// The routes of what happens.
pub fn delivery_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().merge(events::routes()).merge(deliveries::routes()).merge(health::routes())
}

/// The description of the whole API, as a server gives it at `/openapi.json`.
pub fn description() -> utoipa::openapi::OpenApi {
    openapi::complete(catalogue_routes().merge(delivery_routes()).into_openapi())
}

/// The whole API.
pub fn router(app: &Arc<App>) -> Router {
    let changing = || catalogue_routes().merge(deliveries::routes());
    let (shown, _) = changing().split_for_parts();
    let once = idempotency::Layer { app: Arc::clone(app), shown: shown.with_state(Arc::clone(app)) };
    // Not for methods that a path doesn't have: those are refused whoever asks.
    let changing = changing()
        .route_layer(from_fn_with_state(once, idempotency::once))
        .route_layer(from_fn_with_state(Arc::clone(app), to_its_end));
    let (routes, description) = changing.merge(events::routes()).merge(health::routes()).split_for_parts();
    // One layer of both: a router boxes each request once for each layer.
    let metered = Metered::new(app.dispatcher.tools.memory.clone(), no_memory);
    let routes = routes.layer((metered, query::OnlyKnown::of(&description)));
    let description = openapi::complete(description);
    routes.with_state(Arc::clone(app)).merge(docs::routes(description)).pipe(|routes| finish(routes, &app.request_log))
}

/// Finishes a request that changes something even if the client disconnects, because what is committed must reach the caches
/// and the dispatcher. The body is read first: a client that never sends it holds up nobody else.
async fn to_its_end(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let (noted, log) = (Noted::of(&request), Arc::clone(&app.request_log));
    let (request, owner) = match whole(&app, request).await {
        Ok(whole) => whole,
        Err(problem) => return problem.into_response(),
    };
    let work = async move {
        let mut response = next.run(request).await;
        log.log_fault(&noted, &mut response);
        response
    };
    match app.background.start(owner, work) {
        Some(answer) => answer.await.unwrap_or_else(|_| Problem::internal(&"a request panicked").into_response()),
        None => Problem::new(Code::Unavailable, "too many changes are running; retry in a second").into_response(),
    }
}

/// The request with its whole body in memory, and who makes it. Strangers' bodies are not read.
async fn whole(app: &App, request: Request) -> Answer<(Request, Owner)> {
    let (mut parts, content) = request.into_parts();
    let principal = auth::Principal::of(app, &mut parts).await?;
    let content = body::read(&parts.headers, content, body::MAX_BODY_BYTES).await?;
    Ok((Request::from_parts(parts, content.into()), principal.owner()))
}

/// What every answer has in common: a name, a line in the log where it is none of success, problems for what no route takes and for panics, and no caching, since answers may
/// hold secrets and are always of the moment. One layer of all of it: a router boxes each request once for each layer.
fn finish(routes: Router, log: &Arc<RequestLog>) -> Router {
    let common = (
        MapRequestLayer::new(request_id::name),
        LogRequests(Arc::clone(log)),
        PropagateRequestIdLayer::new(request_id::HEADER),
        SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        SetResponseHeaderLayer::overriding(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        CatchPanicLayer::custom(panicked),
    );
    routes.fallback(unknown_route).method_not_allowed_fallback(method_not_allowed).layer(common)
}

fn no_memory() -> Response {
    Problem::new(Code::Unavailable, "the responses that wait to be read use up their memory; send it again soon")
        .into_response()
}

async fn unknown_route() -> Problem {
    Problem::new(Code::UnknownRoute, "no route has this path; /docs lists them")
}

async fn method_not_allowed() -> Problem {
    Problem::new(Code::MethodNotAllowed, "this path has no such method; the header Allow lists those it has")
}

#[expect(clippy::needless_pass_by_value, reason = "the layer gives the panic away")]
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let told = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Problem::internal(&told.unwrap_or("a panic without a text")).into_response()
}

/// Hands a value on.
trait Pipe: Sized {
    fn pipe<T>(self, next: impl FnOnce(Self) -> T) -> T {
        next(self)
    }
}

impl Pipe for Router {}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::body::{Body, to_bytes};
    use axum::http::{Method, StatusCode};
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    async fn ask(method: Method, path: &str) -> (StatusCode, http::HeaderMap, serde_json::Value) {
        let routes = Router::new()
            .route("/here", get(async || "here"))
            .route("/panics", get(async || -> &'static str { panic!("canary") }));
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = finish(routes, &Arc::default()).oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, headers, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_that_tells_nothing() {
        let (status, headers, body) = ask(Method::GET, "/panics").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(body["code"], "internal");
        assert!(!body.to_string().contains("canary"), "{body}");
        assert!(headers.contains_key(request_id::HEADER));
    }

    /// What was written to a log.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn the_log_has_more_of_a_fault_under_the_requests_name() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let logged = tracing::subscriber::set_default(subscriber);
        let (_, headers, _) = ask(Method::GET, "/panics").await;
        drop(logged);
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let name = headers[request_id::HEADER].to_str().unwrap();
        assert!(text.contains(&format!("request_id=\"{name}\"")) && text.contains("canary"), "{text}");
        assert_eq!(text.lines().filter(|line| line.contains(name)).count(), 1, "{text}");
    }

    #[tokio::test]
    async fn unknown_routes_and_methods_are_problems() {
        let (status, headers, body) = ask(Method::GET, "/nowhere").await;
        assert_eq!((status, &body["code"]), (StatusCode::NOT_FOUND, &"unknown_route".into()));
        assert_eq!(headers["content-type"], "application/problem+json");
        let (status, headers, body) = ask(Method::POST, "/here").await;
        assert_eq!((status, &body["code"]), (StatusCode::METHOD_NOT_ALLOWED, &"method_not_allowed".into()));
        assert_eq!(headers["allow"], "GET,HEAD");
    }
}
