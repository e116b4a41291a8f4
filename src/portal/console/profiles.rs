//! `/console/profiles`: how webhooks may look and behave here, each profile in words and with a request that it makes.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::routing::get;
use fanfare_engine::profile::Profile;

use super::Answer;
use super::operator::Operator;
use super::profile_words::{Said, said};
use super::shell::{Shell, encoded};
use crate::app::App;
use crate::curl;
use crate::example::{self, Wanted as Request};
use crate::portal::form::Form;
use crate::portal::json::highlighted;
use crate::portal::refusal::Refusal;
use crate::portal::shell::page;
use crate::portal::texts::Texts;

const PATH: &str = "/console/profiles";

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, get(list)).route("/console/profiles/{name}", get(show))
}

#[derive(Template)]
#[template(path = "console/profiles.html")]
struct List {
    shell: Shell,
    t: &'static Texts,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    href: String,
    description: String,
    /// Whether the project has it as its own, or allows it beside its own.
    own: bool,
    allowed: bool,
    event_types: usize,
}

#[derive(Template)]
#[template(path = "console/profile.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    name: String,
    description: String,
    said: Vec<Said>,
    event_types: Vec<String>,
    /// The event type of the example.
    chosen: String,
    example: Result<Example, String>,
}

/// A request that is not sent.
struct Example {
    line: String,
    headers: Vec<(String, String)>,
    /// As HTML.
    body: String,
    secret: Option<String>,
    curl: String,
}

async fn list(State(app): State<Arc<App>>, operator: Operator) -> Answer {
    let project = &operator.project;
    let show = |profile: &Arc<Profile>| Row {
        own: *project.profile == *profile.name,
        allowed: project.options.allowed_profiles.iter().any(|name| **name == *profile.name),
        name: profile.name.to_string(),
        href: format!("{PATH}/{}", encoded(&profile.name)),
        description: profile.description.clone(),
        event_types: profile.catalogue.iter().count(),
    };
    let mut rows: Vec<Row> = app.profiles.iter().map(show).collect();
    rows.sort_by_key(|row| (!row.own, !row.allowed));
    page(&List { shell: Shell::new(&operator, PATH, "Profiles"), t: operator.t, rows })
}

async fn show(State(app): State<Arc<App>>, operator: Operator, Path(name): Path<String>, uri: Uri) -> Answer {
    let profile = app.profiles.get(&name).ok_or(Refusal::NotFound)?;
    let form = Form::parse(uri.query().unwrap_or_default().as_bytes());
    let wanted = Request { event_type: form.given("event_type"), ..Request::plain(app.now()) };
    let example = example::request(profile, &wanted).map_err(|error| error.to_string()).map(|made| {
        let request = made.request;
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Example {
            line: format!("{} {}", request.method, request.url),
            headers: request.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            body: highlighted(&crate::portal::json::indented(&String::from_utf8_lossy(&request.body))).0,
            secret: made.secret,
            curl: curl::command(&request.method, request.url.as_str(), &request.headers, &request.body),
        }
    });
    page(&Page {
        shell: Shell::new(&operator, PATH, name.clone()),
        t: operator.t,
        description: profile.description.clone(),
        said: said(operator.t, profile),
        event_types: profile.catalogue.iter().map(|known| known.name.clone()).collect(),
        chosen: form.get("event_type").to_owned(),
        example,
        name,
    })
}
