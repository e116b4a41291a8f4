//! `/portal/open/{code}`: how a browser gets in. The link only shows a button, so that programs that look at links do not use
//! it up; a script presses it.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Extension, Path, State};
use axum::http::Uri;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use fanfare_engine::id::SessionId;
use fanfare_store::catalogue::sessions::Session;

use super::Answer;
use super::assets::{ASSETS, Assets};
use super::form::Form;
use super::gate::Framed;
use super::refusal::Refusal;
use super::texts::Texts;
use super::visitor::{COOKIE_NAME, Known, language};
use super::{theme, webhooks};
use crate::app::App;
use crate::catalogue::{CatalogueError, CatalogueResult, projects, sessions};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/portal/open/{code}", get(show).post(open)).route("/portal/opened/{session}", get(opened))
}

/// The page with the button.
#[derive(Template)]
#[template(path = "portal/open.html")]
struct Page {
    t: &'static Texts,
    assets: &'static Assets,
    /// The link's own path and query.
    action: String,
}

async fn show(State(app): State<Arc<App>>, Path(code): Path<String>, uri: Uri, headers: HeaderMap) -> Answer {
    let Some(session) = awaiting(&app, &code).await? else { return unopened(&app, &code).await };
    let action = uri.path_and_query().map_or_else(|| uri.path().to_owned(), ToString::to_string);
    let page = Page { t: language(&headers), assets: &ASSETS, action };
    framed(&app, &session, Html(page.render()?).into_response()).await
}

async fn open(State(app): State<Arc<App>>, Path(code): Path<String>, uri: Uri) -> Answer {
    let wanted = Form::parse(uri.query().unwrap_or_default().as_bytes());
    let options: BTreeMap<String, String> = theme::NAMES
        .iter()
        .filter_map(|&name| Some((name.to_owned(), wanted.given(name)?.to_owned())))
        .filter(|(name, value)| theme::is_valid(name, value))
        .collect();
    if awaiting(&app, &code).await?.is_none() {
        return unopened(&app, &code).await;
    }
    let (session, token) = match sessions::open(&app, &code, options).await {
        Err(CatalogueError::NotFound(_)) => return unopened(&app, &code).await,
        other => other?,
    };
    let cookie = cookie(&app, &session, &token)?;
    let next = Redirect::to(&format!("/portal/opened/{}", session.id));
    framed(&app, &session, ([(header::SET_COOKIE, cookie)], next).into_response()).await
}

/// The visit that a code opens; links into the console do not open one.
async fn awaiting(app: &App, code: &str) -> CatalogueResult<Option<Session>> {
    Ok(sessions::awaiting(app, code).await?.filter(|session| session.organization.is_some()))
}

/// Says that a link does not work, where its host may show that.
async fn unopened(app: &App, code: &str) -> Answer {
    match sessions::of_code(app, code).await?.filter(|session| session.organization.is_some()) {
        Some(session) => framed(app, &session, Refusal::Code.into_response()).await,
        None => Err(Refusal::Code),
    }
}

/// The line that has a browser show a session from now on, and for some time after its end, so that it is told of that.
pub(super) fn cookie(app: &App, session: &Session, token: &str) -> Result<HeaderValue, Refusal> {
    let seconds = (session.expires_at.since(app.now()) + sessions::KEPT).as_secs();
    let cookie =
        format!("{COOKIE_NAME}={token}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=None; Partitioned");
    HeaderValue::try_from(cookie).map_err(|_| Refusal::Internal)
}

/// Where a browser comes that was just given its cookie: if it shows it, on to the first page.
async fn opened(State(app): State<Arc<App>>, Path(id): Path<String>, Extension(known): Extension<Known>) -> Answer {
    if let Known::Visitor(_) = known {
        return Ok(Redirect::to(webhooks::PATH).into_response());
    }
    let id = SessionId::parse(&id).ok_or(Refusal::NotFound)?;
    let session = sessions::by_id(&app, id).await?.ok_or(Refusal::NotFound)?;
    framed(&app, &session, Refusal::Cookie.into_response()).await
}

/// The answer with the project's rules of framing.
async fn framed(app: &App, session: &Session, mut answer: Response) -> Answer {
    let project = projects::by_id(app, session.project).await?;
    answer.extensions_mut().insert(Framed(project));
    Ok(answer)
}
