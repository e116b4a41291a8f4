//! `/console/pauses`: holds on sending, of everything, an organization or a host.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{get, post};
use fanfare_engine::id::PauseId;
use fanfare_store::catalogue::Page as Piece;
use fanfare_store::catalogue::pauses::Hold;

use super::Answer;
use super::faults::Field;
use super::names;
use super::operator::{Change, Operator};
use super::shell::Shell;
use crate::app::App;
use crate::catalogue::{CatalogueError, CatalogueResult, organizations, pauses as service};
use crate::portal::faults::Refused;
use crate::portal::form::Form;
use crate::portal::refusal::Refusal;
use crate::portal::shell::page;
use crate::portal::texts::Texts;
use crate::portal::words::Moment;

const PATH: &str = "/console/pauses";
/// What the form has.
const FIELDS: [Field; 3] = [("what", "What is held"), ("host", "Host"), ("organization", "Organization")];

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, get(list).post(hold)).route("/console/pauses/{pause}/end", post(end))
}

#[derive(Template)]
#[template(path = "console/pauses.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    rows: Vec<Row>,
    draft: Form,
}

struct Row {
    id: String,
    what: String,
    since: Moment,
}

async fn list(State(app): State<Arc<App>>, operator: Operator, uri: Uri) -> Answer {
    let notice = match Form::parse(uri.query().unwrap_or_default().as_bytes()).get("done") {
        "held" => Some("Sending is held. What is held waits; nothing is lost."),
        "ended" => Some("The hold ended: what waited is being sent."),
        _ => None,
    };
    let shell = Shell::new(&operator, PATH, "Pauses").saying(notice);
    page(&Page::of(&app, &operator, shell, Form::default()).await?)
}

impl Page {
    async fn of(app: &App, operator: &Operator, shell: Shell, draft: Form) -> CatalogueResult<Page> {
        let piece = Piece { before: None, limit: service::MAX_PAUSES };
        let found = service::list(app, operator.project.id, piece).await?;
        let organizations = found.iter().filter_map(|pause| match &pause.hold {
            Hold::Organization(id) => Some(*id),
            Hold::Host(_) | Hold::Everything => None,
        });
        let names = names::organizations(app, operator, organizations).await?;
        let rows = found.iter().map(|pause| Row {
            id: pause.id.to_string(),
            what: match &pause.hold {
                Hold::Everything => "Everything of this project".to_owned(),
                Hold::Host(host) => format!("Requests to {host}"),
                Hold::Organization(id) => {
                    let name = names.get(id).map_or_else(|| id.to_string(), |label| label.name.clone());
                    format!("The organization {name}")
                }
            },
            since: pause.created_at.into(),
        });
        Ok(Page { shell, t: operator.t, rows: rows.collect(), draft })
    }
}

async fn hold(State(app): State<Arc<App>>, Change(operator, form): Change) -> Answer {
    match begin(&app, &operator, &form).await {
        Ok(()) => Ok(Redirect::to(&format!("{PATH}?done=held")).into_response()),
        Err(error) => {
            let refused = Refused::of(operator.t, error)?;
            let shell = Shell::new(&operator, PATH, "Pauses").faulting(&refused, &FIELDS);
            refused.answer(&Page::of(&app, &operator, shell, form).await?)
        }
    }
}

async fn begin(app: &App, operator: &Operator, form: &Form) -> CatalogueResult<()> {
    let project = operator.project.id;
    let hold = match form.get("what") {
        "everything" => Hold::Everything,
        "host" => Hold::Host(service::canonical_host(form.get("host").trim())?),
        "organization" => match organizations::find(app, project, form.get("organization").trim()).await {
            Ok(organization) => Hold::Organization(organization.id),
            Err(CatalogueError::NotFound(_)) => {
                return Err(CatalogueError::field("organization", "must be the id of one of this project"));
            }
            Err(error) => return Err(error),
        },
        _ => return Err(CatalogueError::field("what", "must be chosen: everything, an organization, or a host")),
    };
    service::create(app, project, hold).await?;
    Ok(())
}

async fn end(State(app): State<Arc<App>>, Path(pause): Path<String>, Change(operator, _): Change) -> Answer {
    let id = PauseId::parse(&pause).ok_or(Refusal::NotFound)?;
    service::delete(&app, operator.project.id, id).await?;
    Ok(Redirect::to(&format!("{PATH}?done=ended")).into_response())
}
