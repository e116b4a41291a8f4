//! What stands before every page of the console: whence the request comes, who asks, and which headers every answer has.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use url::form_urlencoded::Serializer;

use super::operator::Operator;
use super::{HOME, entry};
use crate::app::App;
use crate::background::Owner;
use crate::portal::form;
use crate::portal::gate::{MAX_STRANGERS_BYTES, logged, run};
use crate::portal::refusal::Refusal;
use crate::portal::texts::Texts;
use crate::portal::visitor::language;

/// By which htmx says that it asks for a part of a page, and is told to load another one.
const HX_REQUEST: HeaderName = HeaderName::from_static("hx-request");
const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");

/// What a page may load; none may be framed.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// Says who asks, has the request carried out, and dresses the answer.
pub(super) async fn gate(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    logged(&app, request, |request| admit(&app, request, next)).await
}

async fn admit(app: &App, mut request: Request, next: Next) -> Response {
    let t = language(request.headers());
    let uri = request.uri().clone();
    let safe = request.method().is_safe();
    let part = request.headers().contains_key(HX_REQUEST);
    let (owner, most) = match Operator::of(app, request.headers()).await {
        Ok(Some(operator)) => {
            request.extensions_mut().insert(operator);
            (Owner::Operator, form::MAX_BYTES)
        }
        Ok(None) => (Owner::Stranger, MAX_STRANGERS_BYTES),
        Err(error) => return dressed(refused(t, &Refusal::from(error), &uri, safe, part)),
    };
    let answer = run(app, request, next, owner, most).await;
    match answer.extensions().get::<Refusal>() {
        Some(refusal) => dressed(refused(t, refusal, &uri, safe, part)),
        None => dressed(answer),
    }
}

/// Who is not signed in comes to where that is done, and back afterwards. A script that asked for a part of a page has the
/// whole browser go there: it would look for its part in the page that signs in.
fn refused(t: &'static Texts, refusal: &Refusal, uri: &Uri, safe: bool, part: bool) -> Response {
    match refusal {
        Refusal::NoSession | Refusal::Ended => {
            let wanted = uri.path_and_query().filter(|wanted| safe && wanted.as_str() != HOME);
            let query = wanted.map(|wanted| {
                format!("?to={}", Serializer::new(String::new()).append_key_only(wanted.as_str()).finish())
            });
            let to = format!("{}{}", entry::PATH, query.unwrap_or_default());
            match HeaderValue::try_from(&to) {
                Ok(to) if part => (StatusCode::UNAUTHORIZED, [(HX_REDIRECT, to)]).into_response(),
                _ => Redirect::to(&to).into_response(),
            }
        }
        other => other.show_before(t, (HOME, "To the console")),
    }
}

fn dressed(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}
