//! `/console/api-keys`: the project's keys; a new one is shown once.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{get, post};
use fanfare_engine::id::ApiKeyId;
use fanfare_store::catalogue::Page as Piece;

use super::Answer;
use super::faults::Field;
use super::names;
use super::operator::{Change, Operator};
use super::shell::Shell;
use crate::app::App;
use crate::catalogue::api_keys::{self as service, NewApiKey};
use crate::catalogue::{CatalogueError, CatalogueResult, organizations};
use crate::portal::deliveries::read_time;
use crate::portal::faults::Refused;
use crate::portal::form::Form;
use crate::portal::refusal::Refusal;
use crate::portal::shell::page;
use crate::portal::texts::Texts;
use crate::portal::words::Moment;

const PATH: &str = "/console/api-keys";
/// What the form has.
const FIELDS: [Field; 5] = [
    ("name", "Name"),
    ("scopes", "Scopes"),
    ("organization", "Organization"),
    ("user", "User"),
    ("expires_at", "The end"),
];
/// The scopes there are, with what each lets do.
const SCOPES: [(&str, &str); 4] = [
    ("manage", "everything, secrets included"),
    ("read", "look at everything but secrets"),
    ("events:write", "post events"),
    ("host", "act for the host itself in the systems' own APIs"),
];

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, get(list).post(add)).route("/console/api-keys/{key}/delete", post(delete))
}

#[derive(Template)]
#[template(path = "console/api_keys.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    rows: Vec<Row>,
    scopes: [(&'static str, &'static str); 4],
    draft: Form,
    /// The key that was just made.
    made: Option<String>,
}

struct Row {
    id: String,
    name: String,
    scopes: Vec<String>,
    bound: Option<String>,
    created: Moment,
    expires: Option<Moment>,
    expired: bool,
}

async fn list(State(app): State<Arc<App>>, operator: Operator, uri: Uri) -> Answer {
    let form = Form::parse(uri.query().unwrap_or_default().as_bytes());
    let notice = (form.get("done") == "deleted").then_some("The key was deleted. It is refused from now on.");
    let shell = Shell::new(&operator, PATH, "API keys").saying(notice);
    page(&Page::of(&app, &operator, shell, Form::default()).await?)
}

impl Page {
    async fn of(app: &App, operator: &Operator, shell: Shell, draft: Form) -> CatalogueResult<Page> {
        let piece = Piece { before: None, limit: service::MAX_API_KEYS };
        let found = service::list(app, operator.project.id, piece).await?;
        let names = names::organizations(app, operator, found.iter().filter_map(|key| key.organization)).await?;
        let now = app.now();
        let rows = found.into_iter().map(|key| {
            let organization =
                key.organization.map(|id| names.get(&id).map(|label| label.name.clone()).unwrap_or_default());
            Row {
                id: key.id.to_string(),
                name: key.name,
                scopes: key.scopes,
                bound: organization.map(|name| match key.user {
                    Some(user) => format!("{name}, user {user}"),
                    None => name,
                }),
                created: key.created_at.into(),
                expires: key.expires_at.map(Moment::from),
                expired: key.expires_at.is_some_and(|end| end <= now),
            }
        });
        Ok(Page { shell, t: operator.t, rows: rows.collect(), scopes: SCOPES, draft, made: None })
    }

    /// Whether the form has this scope ticked.
    fn ticked(&self, scope: &str) -> bool {
        self.draft.all("scope").any(|known| known == scope)
    }
}

async fn add(State(app): State<Arc<App>>, Change(operator, form): Change) -> Answer {
    match make(&app, &operator, &form).await {
        Ok(key) => {
            let shown = Page::of(&app, &operator, Shell::new(&operator, PATH, "API keys"), Form::default()).await?;
            page(&Page { made: Some(key), ..shown })
        }
        Err(error) => {
            let refused = Refused::of(operator.t, error)?;
            let shell = Shell::new(&operator, PATH, "API keys").faulting(&refused, &FIELDS);
            refused.answer(&Page::of(&app, &operator, shell, form).await?)
        }
    }
}

async fn make(app: &App, operator: &Operator, form: &Form) -> CatalogueResult<String> {
    let project = operator.project.id;
    let organization = match form.given("organization") {
        None => None,
        Some(text) => Some(organizations::find(app, project, text).await.map_err(|error| match error {
            CatalogueError::NotFound(_) => CatalogueError::field("organization", "is no organization of this project"),
            other => other,
        })?),
    };
    let expires_at = match form.given("expires_at") {
        None => None,
        Some(text) => {
            let bad = || CatalogueError::field("expires_at", "must be a time such as 2027-01-31T12:00");
            Some(read_time(text).ok_or_else(bad)?)
        }
    };
    let ticked = |scope: &&str| form.all("scope").any(|known| known == *scope);
    let new = NewApiKey {
        name: form.get("name").trim().to_owned(),
        scopes: SCOPES.iter().map(|(scope, _)| *scope).filter(ticked).map(str::to_owned).collect(),
        organization: organization.map(|organization| organization.id),
        user: form.given("user").map(str::to_owned),
        expires_at,
    };
    let (row, key) = service::create(app, project, new).await?;
    tracing::info!(key = %row.id, by = %operator.session.id, "an API key was made at the console");
    Ok(key)
}

async fn delete(State(app): State<Arc<App>>, Path(key): Path<String>, Change(operator, _): Change) -> Answer {
    let id = ApiKeyId::parse(&key).ok_or(Refusal::NotFound)?;
    service::delete(&app, operator.project.id, id).await?;
    tracing::info!(key = %id, by = %operator.session.id, "an API key was deleted at the console");
    Ok(Redirect::to(&format!("{PATH}?done=deleted")).into_response())
}
