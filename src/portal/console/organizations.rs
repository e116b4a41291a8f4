//! `/console/organizations`: the customers, with what each used, and the way into their portals.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::get;
use fanfare_engine::id::OrganizationId;
use fanfare_store::catalogue::Page as Piece;
use fanfare_store::stats::{self, Usage};

use super::Answer;
use super::faults::Field;
use super::operator::{Change, Operator};
use super::shell::Shell;
use crate::app::App;
use crate::catalogue::CatalogueResult;
use crate::catalogue::organizations::{self as service, OrganizationChanges};
use crate::portal::charts::grouped;
use crate::portal::faults::Refused;
use crate::portal::form::Form;
use crate::portal::shell::page;
use crate::portal::texts::Texts;
use crate::portal::wanted::Wanted;
use crate::portal::words::{self, Moment};

pub(super) const PATH: &str = "/console/organizations";
const FILTERS: [&str; 1] = ["search"];
/// What the form of an organization has.
pub(super) const FIELDS: [Field; 2] = [("name", "Name"), ("external_id", "External id")];
/// How many a page shows.
const SHOWN: u32 = 50;
const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, get(list).post(add))
}

#[derive(Template)]
#[template(path = "console/organizations.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    wanted: Wanted,
    rows: Vec<Row>,
    older: Option<String>,
    /// What was typed into the form.
    draft: Form,
}

struct Row {
    id: String,
    external_id: Option<String>,
    name: String,
    created: Moment,
    /// Of the last 24 hours.
    events: String,
    attempts: String,
    failed: String,
    /// Whether so much failed that it should be looked at.
    bad: bool,
}

async fn list(State(app): State<Arc<App>>, operator: Operator, uri: Uri) -> Answer {
    let notice = match Form::parse(uri.query().unwrap_or_default().as_bytes()).get("done") {
        "added" => Some("The organization was added."),
        "deleted" => Some("The organization was deleted, with its webhooks, users and keys."),
        _ => None,
    };
    let shell = Shell::new(&operator, PATH, "Organizations").saying(notice);
    page(&Page::of(&app, &operator, shell, Wanted::of(&FILTERS, &uri), Form::default()).await?)
}

impl Page {
    async fn of(app: &App, operator: &Operator, shell: Shell, wanted: Wanted, draft: Form) -> CatalogueResult<Page> {
        let project = operator.project.id;
        let list = format!("console organizations {project} {}", wanted.query());
        let from = wanted.cursor().and_then(|cursor| app.vault.read_cursor(&list, cursor));
        let piece = Piece { before: from, limit: SHOWN + 1 };
        let mut found = service::list(app, project, wanted.given("search"), piece).await?;
        let next = found.next(SHOWN as usize, |organization| organization.id.0);
        let older = next.map(|id| wanted.href(PATH, Some(&app.vault.cursor(&list, id))));
        let ids: Vec<OrganizationId> = found.rows.iter().map(|organization| organization.id).collect();
        let used = app.store.read(stats::usage_of(&ids, app.now().minus(DAY))).await?;
        let used: BTreeMap<OrganizationId, Usage> = used.into_iter().collect();
        let rows = found.rows.into_iter().map(|organization| {
            let day = used.get(&organization.id).copied().unwrap_or_default();
            Row {
                id: organization.id.to_string(),
                external_id: organization.external_id,
                name: organization.name,
                created: organization.created_at.into(),
                events: grouped(day.events),
                attempts: grouped(day.attempts),
                failed: words::percent(day.failed, day.attempts),
                bad: day.failed * 10 > day.attempts,
            }
        });
        Ok(Page { shell, t: operator.t, wanted, rows: rows.collect(), older, draft })
    }
}

async fn add(State(app): State<Arc<App>>, Change(operator, form): Change) -> Answer {
    match service::create(&app, operator.project.id, changes(&form)).await {
        Ok(_) => Ok(Redirect::to(&format!("{PATH}?done=added")).into_response()),
        Err(error) => {
            let refused = Refused::of(operator.t, error)?;
            let shell = Shell::new(&operator, PATH, "Organizations").faulting(&refused, &FIELDS);
            refused.answer(&Page::of(&app, &operator, shell, Wanted::default(), form).await?)
        }
    }
}

/// What a form of an organization says. Its metadata are the host's, and stay.
pub(super) fn changes(form: &Form) -> OrganizationChanges {
    OrganizationChanges {
        name: Some(form.get("name").trim().to_owned()),
        external_id: Some(form.given("external_id").map(str::to_owned)),
        metadata: None,
    }
}
