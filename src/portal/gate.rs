//! What stands before every page: whence the request comes, who asks, and which headers every answer has.

use std::any::Any;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use fanfare_store::catalogue::projects::Project;
use futures_util::FutureExt as _;

use super::form;
use super::refusal::Refusal;
use super::theme::logo_origin;
use super::visitor::{Known, language};
use super::webhook_form;
use crate::app::App;
use crate::background::Owner;
use crate::catalogue::projects;
use crate::request_id;
use crate::request_log::Noted;
use crate::strangers::Connection;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The most bytes of what somebody sends who is not in: a key, or nothing.
pub(super) const MAX_STRANGERS_BYTES: usize = 16 * 1024;

/// In an answer to one who has no session: the project whose rules of framing hold for it.
#[derive(Clone)]
pub(super) struct Framed(pub(super) Project);

/// Says who asks, has the request carried out, and dresses the answer.
pub(super) async fn gate(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    logged(&app, request, |request| admit(&app, request, next)).await
}

/// Gives a request its id, which its answer carries, too; and logs it where it is refused or fails.
pub(super) async fn logged<F>(app: &App, request: Request, carry_out: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let request = request_id::name(request);
    let noted = Noted::of(&request);
    let id = request.headers().get(request_id::HEADER).cloned();
    let mut answer = carry_out(request).await;
    app.request_log.log(&noted, &mut answer);
    answer.headers_mut().extend(id.map(|id| (request_id::HEADER, id)));
    answer
}

async fn admit(app: &App, mut request: Request, next: Next) -> Response {
    let t = language(request.headers());
    let known = match Known::of(app, request.headers()).await {
        Ok(known) => known,
        Err(error) => return dressed(app, Refusal::from(error).show(t), None).await,
    };
    let project = match &known {
        Known::Visitor(visitor) => Some(visitor.project.clone()),
        Known::Ended(project) => Some(project.clone()),
        Known::Nobody => None,
    };
    let (owner, most) = match &known {
        Known::Visitor(visitor) => (Owner::Organization(visitor.organization.id), form::MAX_BYTES),
        Known::Ended(_) | Known::Nobody => (Owner::Stranger, MAX_STRANGERS_BYTES),
    };
    request.extensions_mut().insert(known);
    let answer = run(app, request, next, owner, most).await;
    // Where a page was refused, it is shown now that the language is known.
    let answer = match answer.extensions().get::<Refusal>() {
        Some(refusal) => {
            let mut shown = refusal.show(t);
            shown.extensions_mut().extend(answer.extensions().clone());
            shown
        }
        None => answer,
    };
    dressed(app, answer, project).await
}

/// Carries a request out. What changes something is brought to its end though the browser may go. Its body is read before
/// that is begun, so that one that never comes holds up nobody else; `most` is how many bytes it may have. What is only asked
/// by a form needs none of the places that there are for changes.
pub(super) async fn run(app: &App, request: Request, next: Next, owner: Owner, most: usize) -> Response {
    if let Some(connection) = request.extensions().get::<Arc<Connection>>().filter(|_| owner != Owner::Stranger) {
        connection.belongs_to(owner);
    }
    let safe = request.method().is_safe();
    if !safe && !is_same_origin(request.headers()) {
        return Refusal::CrossSite.into_response();
    }
    let request = match safe {
        true => request,
        false => {
            let (parts, body) = request.into_parts();
            match form::whole(body, most).await {
                Ok(bytes) => Request::from_parts(parts, Body::from(bytes)),
                Err(refusal) => return refusal.into_response(),
            }
        }
    };
    let changes = !safe && request.uri().path() != webhook_form::JUDGE_URL;
    let answer = async { std::panic::AssertUnwindSafe(next.run(request)).catch_unwind().await };
    let ended = match changes {
        false => answer.await,
        true => match app.background.start(owner, answer) {
            Some(answer) => match answer.await {
                Ok(ended) => ended,
                Err(_) => return Refusal::Internal.into_response(),
            },
            None => return Refusal::Unavailable.into_response(),
        },
    };
    ended.unwrap_or_else(|panic| panicked(&*panic))
}

fn panicked(panic: &(dyn Any + Send)) -> Response {
    let told = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(cause = told.unwrap_or("a panic without a text"), "a page failed");
    Refusal::Internal.into_response()
}

/// Browsers say whence a request comes; what another site sends is refused. Those that do not say are held off by the mark
/// in each form.
fn is_same_origin(headers: &HeaderMap) -> bool {
    headers.get(FETCH_SITE).is_none_or(|site| site == "same-origin" || site == "none")
}

async fn dressed(app: &App, mut answer: Response, project: Option<Project>) -> Response {
    let project = match answer.extensions().get::<Framed>() {
        Some(Framed(project)) => Some(project.clone()),
        // Pages that say why there is nothing to see may be framed as those of the first project.
        None => match project {
            None => projects::by_id(app, app.default_project).await.ok(),
            known => known,
        },
    };
    let headers = answer.headers_mut();
    let policy = HeaderValue::try_from(policy(project.as_ref()));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy.unwrap_or(HeaderValue::from_static("default-src 'none'")));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// What a page may load and who may frame it.
fn policy(project: Option<&Project>) -> String {
    let logo = project.and_then(|project| logo_origin(&project.options.theme)).map(|origin| format!(" {origin}"));
    let ancestors = project.map(|project| project.options.frame_ancestors.as_slice()).unwrap_or_default();
    let ancestors = ancestors.iter().filter(|origin| projects::is_origin(origin)).map(String::as_str);
    let ancestors = ancestors.collect::<Vec<_>>().join(" ");
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:{}; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'self' {ancestors}",
        logo.unwrap_or_default()
    );
    policy.trim_end().to_owned()
}
