//! Lists of events.

use fanfare_engine::id::{EventId, OrganizationId};
use fanfare_store::log::{self, EventRow};

use super::{CatalogueResult, Found};
use crate::app::App;

/// Rows looked at for one page.
const SCAN: u32 = 10_000;

/// A page of an organization's events, newest first, perhaps only those of one type.
///
/// # Errors
/// The store's.
pub async fn list(
    app: &App,
    organization: OrganizationId,
    kind: Option<&str>,
    before: Option<EventId>,
    limit: u32,
) -> CatalogueResult<Found<EventRow>> {
    let end = log::event_scan_end(organization, before, SCAN);
    Ok(Found::read(app, log::events(organization, kind, before, limit, SCAN), limit, Some(end)).await?)
}
