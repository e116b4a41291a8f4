//! `/v1/stats`: what waits, how fast things go, and who uses how much.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use fanfare_engine::id::OrganizationId;
use fanfare_engine::time::Timestamp;
use fanfare_store::stats::{self, OrganizationUsage, Usage};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::HostReader;
use super::page::{List, ListBody};
use super::problem::Answer;
use super::projects::PageQuery;
use super::request::QueryParts;
use crate::app::App;

const FIVE_MINUTES: Duration = Duration::from_secs(300);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(get))
}

/// How a project does.
#[derive(Serialize, ToSchema)]
struct ProjectStats {
    /// Deliveries that are not final, be they due or not; a million at most.
    backlog: u64,
    /// When the first of them that is due was due, held ones included; null where none is due.
    #[schema(value_type = Option<String>, format = "date-time")]
    oldest_due: Option<Timestamp>,
    last_5_minutes: Rates,
    last_hour: Rates,
    /// The customers, newest first.
    organizations: ListBody<UsageOfOrganization>,
}

/// What happened in some time, and how much of it in a second.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct Rates {
    #[serde(flatten)]
    total: UsageBody,
    events_per_second: f64,
    /// Attempts that succeeded or failed.
    attempts_per_second: f64,
}

/// What happened in some time.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Usage)]
struct UsageBody {
    /// Events that were accepted.
    events: u64,
    /// Deliveries that were made of them.
    deliveries: u64,
    attempts: u64,
    /// Attempts that did not succeed.
    failed: u64,
}

impl From<Usage> for UsageBody {
    fn from(usage: Usage) -> Self {
        let Usage { events, deliveries, attempts, failed } = usage;
        UsageBody { events, deliveries, attempts, failed }
    }
}

/// What an organization used. The times go back to a full hour.
#[derive(Serialize, ToSchema)]
struct UsageOfOrganization {
    #[schema(value_type = String)]
    id: OrganizationId,
    external_id: Option<String>,
    name: String,
    last_24_hours: UsageBody,
    /// Since the first of the month in UTC.
    this_month: UsageBody,
}

impl From<OrganizationUsage> for UsageOfOrganization {
    fn from(found: OrganizationUsage) -> Self {
        let [day, month] = found.usage;
        UsageOfOrganization {
            id: found.organization,
            external_id: found.external_id,
            name: found.name,
            last_24_hours: day.into(),
            this_month: month.into(),
        }
    }
}

/// What waits, how fast things go, and who uses how much. `limit` and `cursor` are of the list of organizations.
#[utoipa::path(get, path = "/v1/stats", tag = "Figures", params(PageQuery),
    responses((status = 200, body = ProjectStats)))]
async fn get(
    State(app): State<Arc<App>>,
    HostReader(principal): HostReader,
    QueryParts(query): QueryParts<PageQuery>,
) -> Answer<Json<ProjectStats>> {
    let project = principal.whole_project()?;
    let list = List::ask(&app.vault, format!("usage {project}"), query.limit, query.cursor.as_deref())?;
    let now = app.now();
    let count = || {
        let store = app.store.clone();
        async move { store.read_one(stats::backlog(project)).await }
    };
    let backlog = app.backlogs.get(project, count).await?.unwrap_or_default();
    let buckets = app.store.read(stats::project(project, now.minus(HOUR))).await?;
    let since = [now.minus(DAY), now.month_start()];
    let found = app.store.read(stats::organizations(project, since, list.page())).await?;
    let Json(organizations) = list.answer(found, |usage| usage.organization.0, UsageOfOrganization::from);
    Ok(Json(ProjectStats {
        backlog: backlog.deliveries,
        oldest_due: backlog.first_due.filter(|due| *due <= now),
        last_5_minutes: rates(&buckets, now, FIVE_MINUTES),
        last_hour: rates(&buckets, now, HOUR),
        organizations,
    }))
}

/// What happened in the last while.
fn rates(buckets: &[(Timestamp, Usage)], now: Timestamp, span: Duration) -> Rates {
    let total = UsageBody::from(Usage::within(buckets, now, span));
    let per_second = |count: u64| count as f64 / span.as_secs_f64();
    Rates { events_per_second: per_second(total.events), attempts_per_second: per_second(total.attempts), total }
}
