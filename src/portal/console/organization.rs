//! `/console/organizations/{org}`: one customer, with its figures; edited here, and deleted after a page that names it.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::get;
use fanfare_store::catalogue::organizations::Organization;
use fanfare_store::catalogue::webhooks;
use fanfare_store::stats::Subject;

use super::Answer;
use super::operator::{Change, Operator};
use super::organizations::{FIELDS, PATH, changes};
use super::shell::Shell;
use crate::app::App;
use crate::catalogue::CatalogueResult;
use crate::catalogue::organizations as service;
use crate::portal::charts::{self, Charts, Range, grouped};
use crate::portal::faults::Refused;
use crate::portal::form::Form;
use crate::portal::shell::page;
use crate::portal::texts::Texts;
use crate::portal::words::Moment;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/console/organizations/{org}", get(show).post(save))
        .route("/console/organizations/{org}/delete", get(ask).post(delete))
}

#[derive(Template)]
#[template(path = "console/organization.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    id: String,
    name: String,
    created: Moment,
    webhooks: String,
    /// What the host keeps with it.
    metadata: Vec<(String, String)>,
    charts: Charts,
    /// What the form holds.
    draft: [String; 2],
}

/// What is asked before an organization is deleted.
#[derive(Template)]
#[template(path = "console/organization_delete.html")]
struct Asking {
    shell: Shell,
    t: &'static Texts,
    id: String,
    name: String,
    external_id: Option<String>,
    webhooks: String,
}

async fn show(State(app): State<Arc<App>>, operator: Operator, Path(org): Path<String>, uri: Uri) -> Answer {
    let organization = service::find(&app, operator.project.id, &org).await?;
    let form = Form::parse(uri.query().unwrap_or_default().as_bytes());
    let notice = (form.get("done") == "saved").then_some("The changes were saved.");
    let shell = Shell::new(&operator, PATH, organization.name.clone()).saying(notice);
    let draft = [organization.name.clone(), organization.external_id.clone().unwrap_or_default()];
    page(&Page::of(&app, &operator, shell, &organization, Range::named(form.get(charts::PARAMETER)), draft).await?)
}

impl Page {
    async fn of(
        app: &App,
        operator: &Operator,
        shell: Shell,
        organization: &Organization,
        range: Range,
        draft: [String; 2],
    ) -> CatalogueResult<Page> {
        Ok(Page {
            shell,
            t: operator.t,
            id: organization.id.to_string(),
            name: organization.name.clone(),
            created: organization.created_at.into(),
            webhooks: count_webhooks(app, organization).await?,
            metadata: organization.metadata.clone().into_iter().collect(),
            charts: charts::of(app, operator.t, Subject::Organization(organization.id), range).await?,
            draft,
        })
    }
}

/// How many webhooks it has, in words.
async fn count_webhooks(app: &App, organization: &Organization) -> CatalogueResult<String> {
    let count = app.store.read_one(webhooks::count(organization.id)).await?.unwrap_or(0);
    Ok(match count {
        0 => "no webhooks".to_owned(),
        1 => "1 webhook".to_owned(),
        many => format!("{} webhooks", grouped(u64::try_from(many).unwrap_or(0))),
    })
}

async fn save(State(app): State<Arc<App>>, Path(org): Path<String>, Change(operator, form): Change) -> Answer {
    let organization = service::find(&app, operator.project.id, &org).await?;
    match service::edit(&app, &organization, changes(&form)).await {
        Ok(_) => Ok(Redirect::to(&format!("{PATH}/{}?done=saved", organization.id)).into_response()),
        Err(error) => {
            let refused = Refused::of(operator.t, error)?;
            let shell = Shell::new(&operator, PATH, organization.name.clone()).faulting(&refused, &FIELDS);
            let draft = ["name", "external_id"].map(|field| form.get(field).to_owned());
            refused.answer(&Page::of(&app, &operator, shell, &organization, Range::default(), draft).await?)
        }
    }
}

async fn ask(State(app): State<Arc<App>>, operator: Operator, Path(org): Path<String>) -> Answer {
    let organization = service::find(&app, operator.project.id, &org).await?;
    page(&Asking {
        shell: Shell::new(&operator, PATH, format!("Delete {}", organization.name)),
        t: operator.t,
        webhooks: count_webhooks(&app, &organization).await?,
        id: organization.id.to_string(),
        name: organization.name,
        external_id: organization.external_id,
    })
}

async fn delete(State(app): State<Arc<App>>, Path(org): Path<String>, Change(operator, _): Change) -> Answer {
    let organization = service::find(&app, operator.project.id, &org).await?;
    service::delete(&app, &organization).await?;
    tracing::info!(organization = %organization.id, by = %operator.session.id,
        "an organization was deleted at the console");
    Ok(Redirect::to(&format!("{PATH}?done=deleted")).into_response())
}
