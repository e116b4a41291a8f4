//! `/console/deliveries`: deliveries of all organizations, with filters in the address.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::routing::get;
use fanfare_engine::delivery::State as DeliveryState;
use fanfare_engine::id::{DeliveryId, OrganizationId};
use fanfare_store::catalogue::event_types;
use fanfare_store::log;

use super::Answer;
use super::failing::names;
use super::operator::Operator;
use super::shell::Shell;
use crate::app::App;
use crate::catalogue::{CatalogueError, organizations};
use crate::portal::deliveries::{Named, Row, filter, rows};
use crate::portal::shell::page;
use crate::portal::texts::Texts;
use crate::portal::wanted::Wanted;
use crate::portal::words;

const PATH: &str = "/console/deliveries";
const FILTERS: [&str; 7] = ["organization", "state", "event_type", "response_code", "since", "until", "webhook"];
/// How many a page shows.
const SHOWN: u32 = 50;
/// How many rows are looked at for a page. A filter that few match gives shorter pages.
const SCAN: u32 = 20_000;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, get(list))
}

#[derive(Template)]
#[template(path = "console/deliveries.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    wanted: Wanted,
    faults: Vec<String>,
    /// Each with its organization's id and name.
    rows: Vec<(Row, String, String)>,
    event_types: Vec<String>,
    older: Option<String>,
    /// Whether it stopped looking before it found a whole page.
    cut: bool,
}

async fn list(State(app): State<Arc<App>>, operator: Operator, uri: Uri) -> Answer {
    let t = operator.t;
    let project = operator.project.id;
    let wanted = Wanted::of(&FILTERS, &uri);
    let (organization, fault) = match wanted.given("organization") {
        None => (None, None),
        Some(text) => match organizations::find(&app, project, text).await {
            Ok(organization) => (Some(organization.id), None),
            // No row has the id 0.
            Err(CatalogueError::NotFound(_)) => {
                (Some(OrganizationId(0)), Some(format!("There is no organization “{text}”.")))
            }
            Err(error) => return Err(error.into()),
        },
    };
    let (mut filter, mut faults) = filter(&app, t, project, organization, &wanted).await?;
    faults.extend(fault);
    let list = format!("console deliveries {project} {}", wanted.query());
    filter.before = wanted.cursor().and_then(|cursor| app.vault.read_cursor(&list, cursor)).map(DeliveryId);
    let mut found =
        if faults.is_empty() { app.store.read(log::deliveries(&filter, SHOWN + 1, SCAN)).await? } else { Vec::new() };
    let mut next = None;
    let mut cut = false;
    if found.len() > SHOWN as usize {
        found.truncate(SHOWN as usize);
        next = found.last().map(|row| row.id);
    } else if faults.is_empty() {
        next = app.store.read_one(log::delivery_scan_end(&filter, SCAN)).await?;
        cut = next.is_some();
    }
    let organizations: Vec<OrganizationId> = found.iter().map(|row| row.organization).collect();
    let names = names(&app, &operator, organizations.iter().copied()).await?;
    let with_names = rows(&app, t, found, Named::Yes, false).await?.into_iter().zip(organizations).map(|(row, id)| {
        let name = names.get(&id).filter(|name| !name.is_empty()).cloned();
        (row, id.to_string(), name.unwrap_or_else(|| id.to_string()))
    });
    page(&Page {
        shell: Shell::new(&operator, PATH, "Deliveries"),
        t,
        rows: with_names.collect(),
        event_types: app.store.read(event_types::names(project)).await?,
        older: next.map(|id| wanted.href(PATH, Some(&app.vault.cursor(&list, id.0)))),
        cut,
        faults,
        wanted,
    })
}
