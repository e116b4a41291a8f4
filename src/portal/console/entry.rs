//! `/console/sign-in` and what belongs to it: how an operator gets in, out, and to another project.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Extension, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use fanfare_engine::caller::Caller;
use fanfare_store::catalogue::sessions::Session;

use super::operator::{COOKIE_NAME, Operator, Sent};
use super::{Answer, HOME};
use crate::app::App;
use crate::catalogue::{CatalogueError, operators, sessions};
use crate::portal::assets::{ASSETS, Assets};
use crate::portal::form::Form;
use crate::portal::refusal::Refusal;
use crate::portal::texts::Texts;
use crate::portal::visitor::language;

/// Where one signs in.
pub(super) const PATH: &str = "/console/sign-in";
/// Where a browser comes that was just given its cookie.
const SIGNED_IN: &str = "/console/signed-in";

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route(PATH, get(show).post(sign_in))
        .route(SIGNED_IN, get(signed_in))
        .route("/console/open/{code}", get(show_link).post(open))
        .route("/console/sign-out", post(sign_out))
        .route("/console/project", post(turn))
}

#[derive(Template)]
#[template(path = "console/sign_in.html")]
struct Page {
    assets: &'static Assets,
    t: &'static Texts,
    fault: Option<&'static str>,
    /// Where to go on.
    to: String,
}

/// The page behind a link that signs in.
#[derive(Template)]
#[template(path = "console/open.html")]
struct LinkPage {
    assets: &'static Assets,
    t: &'static Texts,
    action: String,
}

async fn show(operator: Option<Extension<Operator>>, headers: HeaderMap, uri: Uri) -> Answer {
    let to = destination(Form::parse(uri.query().unwrap_or_default().as_bytes()).get("to"));
    match operator {
        Some(_) => Ok(Redirect::to(&to).into_response()),
        None => answer(StatusCode::OK, language(&headers), None, to),
    }
}

fn answer(status: StatusCode, t: &'static Texts, fault: Option<&'static str>, to: String) -> Answer {
    Ok((status, Html(Page { assets: &ASSETS, t, fault, to }.render()?)).into_response())
}

/// Only pages of the console are gone on to.
fn destination(wanted: &str) -> String {
    let own = wanted == HOME || wanted.starts_with("/console/") || wanted.starts_with("/console?");
    let entry = [PATH, SIGNED_IN, "/console/open/"].iter().any(|path| wanted.starts_with(path));
    let plain = wanted.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') && !wanted.contains("//");
    if own && plain && !entry { wanted.to_owned() } else { HOME.to_owned() }
}

async fn sign_in(State(app): State<Arc<App>>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let caller = parts.extensions.get::<Caller>().copied();
    let t = language(&parts.headers);
    let form = Form::sent(&parts, body).await?;
    let to = destination(form.get("to"));
    let (key, now) = (form.get("key").trim(), app.now());
    let may_try = caller.is_none_or(|caller| app.guesses.may_try(caller, key, now));
    let found = if may_try { operators::by_key(&app, key).await? } else { None };
    let Some(operates) = found else {
        if !may_try || caller.is_some_and(|caller| !app.guesses.wrong(caller, now)) {
            let fault = "Too many wrong keys were tried. Wait a minute, then try again.";
            return answer(StatusCode::TOO_MANY_REQUESTS, t, Some(fault), to);
        }
        tracing::warn!("a key was tried at the console that does not open it");
        let fault = "This key does not open the console. It may be mistyped, expired or deleted, bound to an \
             organization, or made for posting events only.";
        return answer(StatusCode::UNAUTHORIZED, t, Some(fault), to);
    };
    caller.into_iter().for_each(|caller| app.guesses.right(caller, key, now));
    let (_, code) = operators::begin(&app, &operates).await?;
    let (session, token) = sessions::open(&app, &code, std::collections::BTreeMap::new()).await?;
    tracing::info!(session = %session.id, "an operator signed in at the console");
    entered(&app, &session, &token, &to)
}

/// The answer that gives the browser its cookie.
fn entered(app: &App, session: &Session, token: &str, to: &str) -> Answer {
    let seconds = session.expires_at.since(app.now()).as_secs();
    let cookie = format!("{COOKIE_NAME}={token}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
    let cookie = HeaderValue::try_from(cookie).map_err(|_| Refusal::Internal)?;
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("to", to).finish();
    let next = Redirect::to(&format!("{SIGNED_IN}?{query}"));
    Ok(([(header::SET_COOKIE, cookie)], next).into_response())
}

/// If the browser shows its cookie, on to the wanted page.
async fn signed_in(operator: Option<Extension<Operator>>, uri: Uri) -> Answer {
    match operator {
        Some(_) => {
            let form = Form::parse(uri.query().unwrap_or_default().as_bytes());
            Ok(Redirect::to(&destination(form.get("to"))).into_response())
        }
        None => Err(Refusal::Cookie),
    }
}

/// The link only shows a button, so that programs that look at links do not use it up; a script presses it.
async fn show_link(State(app): State<Arc<App>>, Path(code): Path<String>, uri: Uri, headers: HeaderMap) -> Answer {
    let session = sessions::awaiting(&app, &code).await?;
    if !session.is_some_and(|session| operators::is_of_operator(&session)) {
        return Err(Refusal::Code);
    }
    let page = LinkPage { assets: &ASSETS, t: language(&headers), action: uri.path().to_owned() };
    Ok(Html(page.render()?).into_response())
}

async fn open(State(app): State<Arc<App>>, Path(code): Path<String>) -> Answer {
    let session = sessions::awaiting(&app, &code).await?;
    if !session.is_some_and(|session| operators::is_of_operator(&session)) {
        return Err(Refusal::Code);
    }
    match sessions::open(&app, &code, std::collections::BTreeMap::new()).await {
        Err(CatalogueError::NotFound(_)) => Err(Refusal::Code),
        other => {
            let (session, token) = other?;
            entered(&app, &session, &token, HOME)
        }
    }
}

async fn sign_out(State(app): State<Arc<App>>, Sent(operator, _): Sent) -> Answer {
    operators::end(&app, &operator.session).await?;
    let gone = format!("{COOKIE_NAME}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax");
    let cookie = HeaderValue::try_from(gone).map_err(|_| Refusal::Internal)?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(PATH)).into_response())
}

async fn turn(State(app): State<Arc<App>>, Sent(operator, form): Sent) -> Result<Response, Refusal> {
    operators::turn_to(&app, &operator.session, &operator.operates, form.get("project")).await?;
    Ok(Redirect::to(HOME).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_console_are_gone_on_to() {
        for good in ["/console", "/console/deliveries?state=pending", "/console?range=7d"] {
            assert_eq!(destination(good), good);
        }
        for bad in [
            "",
            "//evil.example",
            "/consolex",
            "https://evil.example",
            "/console//x",
            "/console/sign-in",
            "/console/\\x",
        ] {
            assert_eq!(destination(bad), HOME, "{bad}");
        }
    }
}
