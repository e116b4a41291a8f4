//! `/console/deliveries`: deliveries of all organizations, with filters in the address; those that wait can be cancelled.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::get;
use fanfare_engine::delivery::State as DeliveryState;
use fanfare_engine::id::{DeliveryId, OrganizationId};
use fanfare_store::catalogue::event_types;
use fanfare_store::catalogue::jobs::Task;
use fanfare_store::log::DeliveryFilter;

use super::delivery_rows::{Row, rows};
use super::operator::{Change, Operator};
use super::shell::Shell;
use super::{Answer, jobs as jobs_page};
use crate::app::App;
use crate::catalogue::deliveries as listing;
use crate::catalogue::{CatalogueError, CatalogueResult, jobs, organizations};
use crate::portal::deliveries::filter;
use crate::portal::job::counted;
use crate::portal::refusal::Refusal;
use crate::portal::shell::page;
use crate::portal::texts::Texts;
use crate::portal::wanted::Wanted;
use crate::portal::words;

pub(super) const PATH: &str = "/console/deliveries";
/// The filters, with their labels.
const FILTERS: [&str; 8] =
    ["search", "organization", "state", "event_type", "response_code", "since", "until", "webhook"];
const LABELS: [&str; 8] =
    ["Search", "Organization", "State", "Event type", "Response code", "Since", "Before", "Webhook"];
/// What the search finds. Hosts' ids of events are an organization's own.
const SEARCH_HELP: &str = "A whole ID finds its delivery or event; in one organization, your own ID of an event finds it, too. \
     Other text finds events whose name has it, and webhooks whose name or present URL has it.";
/// How many a page shows.
const SHOWN: u32 = 50;
/// For how long a page is looked for. Rows of all projects are looked at, so a filter that few match, or a project that sends
/// little beside another, takes its time.
const PATIENCE: Duration = Duration::from_millis(700);

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, get(list)).route("/console/deliveries/cancel", get(ask).post(cancel))
}

#[derive(Template)]
#[template(path = "console/deliveries.html")]
struct Page {
    shell: Shell,
    t: &'static Texts,
    wanted: Wanted,
    faults: Vec<String>,
    rows: Vec<Row>,
    event_types: Vec<String>,
    older: Option<String>,
    /// Whether it stopped looking before it found a whole page.
    cut: bool,
    /// Where what waits of this can be cancelled.
    cancel: Option<String>,
}

/// What is asked before deliveries are cancelled.
#[derive(Template)]
#[template(path = "console/deliveries_cancel.html")]
struct Asking {
    shell: Shell,
    t: &'static Texts,
    /// The list's filters, as a query.
    list: String,
    /// Where the list is.
    back: String,
    /// The filters in words: names and values.
    filters: Vec<(&'static str, String)>,
    /// How many deliveries it is about.
    count: String,
    /// Whether there is anything to cancel.
    some: bool,
}

async fn list(State(app): State<Arc<App>>, operator: Operator, uri: Uri) -> Answer {
    let t = operator.t;
    let project = operator.project.id;
    let wanted = Wanted::of(&FILTERS, &uri);
    let (filter, faults) = asked(&app, &operator, &wanted).await?;
    let list = format!("console deliveries {project} {}", wanted.query());
    let before = wanted.cursor().and_then(|cursor| app.vault.read_cursor(&list, cursor)).map(DeliveryId);
    let found = match faults.is_empty() {
        true => listing::page_within(&app, DeliveryFilter { before, ..filter }, SHOWN, PATIENCE).await?,
        false => listing::Page::default(),
    };
    let live = wanted.given("state").is_none_or(|state| ["pending", "delivering"].contains(&state));
    let cancellable = operator.manages() && live && faults.is_empty() && !found.rows.is_empty();
    page(&Page {
        shell: Shell::new(&operator, PATH, "Deliveries"),
        t,
        rows: rows(&app, &operator, found.rows).await?,
        event_types: app.store.read(event_types::names(project)).await?,
        older: found.next.map(|id| wanted.href(PATH, Some(&app.vault.cursor(&list, id.0)))),
        cut: found.cut,
        cancel: cancellable.then(|| wanted.href("/console/deliveries/cancel", None)),
        faults,
        wanted,
    })
}

/// The filter that the address means, and what of it cannot be read.
async fn asked(app: &App, operator: &Operator, wanted: &Wanted) -> CatalogueResult<(DeliveryFilter, Vec<String>)> {
    let project = operator.project.id;
    let (organization, fault) = match wanted.given("organization") {
        None => (None, None),
        Some(text) => match organizations::find(app, project, text).await {
            Ok(organization) => (Some(organization.id), None),
            // No row has the id 0.
            Err(CatalogueError::NotFound(_)) => {
                (Some(OrganizationId(0)), Some(format!("There is no organization “{text}”.")))
            }
            Err(error) => return Err(error),
        },
    };
    let (filter, mut faults) = filter(app, operator.t, project, organization, wanted).await?;
    faults.extend(fault);
    Ok((filter, faults))
}

/// What waits of what the filters match.
async fn waiting(app: &App, operator: &Operator, wanted: &Wanted) -> Result<DeliveryFilter, Refusal> {
    let (mut filter, faults) = asked(app, operator, wanted).await?;
    // With less than all filters it would be more than what was looked at.
    if !faults.is_empty() {
        return Err(Refusal::State(faults.join(" ")));
    }
    match filter.state {
        // Those that wait in memory for their turn are meant, too.
        None | Some(DeliveryState::Pending) => filter.state = None,
        Some(DeliveryState::Delivering) => {}
        Some(_) => return Err(Refusal::State("what is over cannot be cancelled".to_owned())),
    }
    filter.live = true;
    Ok(filter)
}

/// Says how many wait, before anything is done.
async fn ask(State(app): State<Arc<App>>, operator: Operator, uri: Uri) -> Answer {
    let t = operator.t;
    let wanted = Wanted::of(&FILTERS, &uri);
    let filter = waiting(&app, &operator, &wanted).await?;
    let organization = filter.organization;
    let count = jobs::count(&app, operator.project.id, organization, &Task::Cancel(filter)).await?;
    let filters = FILTERS.iter().zip(LABELS).filter_map(|(name, label)| Some((label, wanted.given(name)?.to_owned())));
    page(&Asking {
        shell: Shell::new(&operator, PATH, "Cancel deliveries"),
        t,
        filters: filters.collect(),
        list: wanted.query(),
        back: wanted.href(PATH, None),
        count: counted(t, count),
        some: count.count > 0 || count.more,
    })
}

async fn cancel(State(app): State<Arc<App>>, Change(operator, form): Change) -> Answer {
    let wanted = Wanted::read(&FILTERS, form.get("list"));
    let filter = waiting(&app, &operator, &wanted).await?;
    let organization = filter.organization;
    let job = jobs::start(&app, operator.project.id, organization, Task::Cancel(filter)).await?;
    tracing::info!(job = %job.id, by = %operator.session.id, "deliveries are cancelled from the console");
    Ok(Redirect::to(&format!("{}?done=begun", jobs_page::PATH)).into_response())
}
