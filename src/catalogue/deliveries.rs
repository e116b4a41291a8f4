//! Lists of deliveries: what a text finds, a page of what a filter finds, and what is known beside of each delivery.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fanfare_engine::attempt::Attempt;
use fanfare_engine::id::{DeliveryId, EventId, OrganizationId, WebhookId};
use fanfare_store::catalogue::webhooks::{self, WebhookRow};
use fanfare_store::log::{self, DeliveryFilter, DeliveryRow, Search};
use fanfare_store::query::Listing;
use tokio::time::Instant;

use super::webhooks::hide_sent_headers;
use super::{CatalogueError, CatalogueResult, MAX_PAGE_BYTES};
use crate::app::App;

/// How many rows are looked at in one go, so that other questions come in between.
pub const SCAN: u32 = 1_000;
/// For how long a page goes on looking where few rows match. It is then shorter, and says where to go on.
const PATIENCE: Duration = Duration::from_millis(8);
/// How many pages of an organization may wait for their turn: each tab that follows a list asks for one page at a time.
const MAX_LOOKING: usize = 128;
/// No event has this id, so nothing is found by it.
const NO_EVENT: EventId = EventId(0);

/// A page of deliveries.
#[derive(Debug, Default)]
pub struct Page {
    pub rows: Vec<DeliveryRow>,
    /// Where the list goes on, as `before` of its filter; `None` at its end.
    pub next: Option<DeliveryId>,
    /// Whether it stopped looking before it had found a whole page.
    pub cut: bool,
}

/// At most `limit` deliveries that a filter finds, newest first. Of a webhook's, those that its profile lets its view show.
///
/// # Errors
/// The store's, or too many of the organization's wait for their turn.
pub async fn page(app: &App, filter: DeliveryFilter, limit: u32) -> CatalogueResult<Page> {
    page_within(app, filter, limit, PATIENCE).await
}

/// The same, but where few rows match it goes on looking for so long.
///
/// Those of one organization are looked for one after the other, so that however many of its people follow lists that few
/// rows match, the store has time for the others.
///
/// # Errors
/// As for [`page`].
pub async fn page_within(app: &App, filter: DeliveryFilter, limit: u32, patience: Duration) -> CatalogueResult<Page> {
    const WHY: &str = "as many pages of these deliveries are being looked for as may; try again soon";
    let _turn = match filter.organization {
        Some(organization) => {
            let turn = app.looking.wait_among(organization.0, MAX_LOOKING).await;
            Some(turn.ok_or(CatalogueError::Busy(WHY))?)
        }
        None => None,
    };
    let begun = Instant::now();
    let mut filter = as_shown(app, filter).await?;
    let mut rows = Vec::new();
    loop {
        let missing = limit.saturating_add(1).saturating_sub(rows.len() as u32);
        let listing = Listing {
            rows: log::deliveries(&filter, missing, SCAN),
            limit: missing as usize,
            bytes: MAX_PAGE_BYTES,
            end: Some(log::delivery_scan_end(&filter, SCAN)),
        };
        let found = app.store.list(listing).await?;
        rows.extend(found.rows);
        if rows.len() > limit as usize {
            rows.truncate(limit as usize);
            let next = rows.last().map(|row: &DeliveryRow| row.id);
            return Ok(Page { rows, next, cut: false });
        }
        let next = match found.full {
            true => rows.last().map(|row| row.id),
            false => found.end,
        };
        if next.is_none() || found.full || begun.elapsed() >= patience {
            return Ok(Page { rows, next, cut: next.is_some() });
        }
        filter.before = next;
    }
}

/// The filter for no more of a webhook's deliveries than its profile lets its view show.
///
/// # Errors
/// The store's.
pub async fn as_shown(app: &App, filter: DeliveryFilter) -> CatalogueResult<DeliveryFilter> {
    let Some(webhook) = filter.webhook else { return Ok(filter) };
    let webhook = app.store.read_one(webhooks::these(&[webhook])).await?;
    let profile = webhook.and_then(|webhook| app.profiles.get(&webhook.profile));
    Ok(DeliveryFilter { newest: profile.and_then(|profile| profile.log.deliveries_shown), ..filter })
}

/// The event that `text` names, by its id or, in one organization, by the host's; one that there is not has no deliveries.
///
/// # Errors
/// The store's.
pub async fn event_named(app: &App, organization: Option<OrganizationId>, text: &str) -> CatalogueResult<EventId> {
    Ok(event_known(app, organization, text).await?.unwrap_or(NO_EVENT))
}

async fn event_known(app: &App, organization: Option<OrganizationId>, text: &str) -> CatalogueResult<Option<EventId>> {
    match (EventId::parse(text), organization) {
        (Some(id), _) => Ok(Some(id)),
        // Hosts' ids are an organization's own.
        (None, None) => Ok(None),
        (None, Some(organization)) => Ok(app.store.read_one(log::event_by_external_id(organization, text)).await?),
    }
}

/// Narrows a filter to what a text finds: the delivery with this id; else the deliveries of the event with this id, its own or
/// the host's; else those that have it in their event type, or in their webhook's name or present URL.
///
/// # Errors
/// The store's.
pub async fn search(app: &App, filter: DeliveryFilter, text: &str) -> CatalogueResult<DeliveryFilter> {
    if let Some(id) = DeliveryId::parse(text) {
        return Ok(DeliveryFilter { search: Some(Search::Delivery(id)), ..filter });
    }
    match event_known(app, filter.organization, text).await? {
        None => Ok(DeliveryFilter { search: Some(Search::Text(text.to_owned())), ..filter }),
        Some(found) => {
            let event = if filter.event.is_none_or(|wanted| wanted == found) { found } else { NO_EVENT };
            Ok(DeliveryFilter { event: Some(event), ..filter })
        }
    }
}

/// Masks in the requests of a delivery what its webhook may have added, for one who may not manage that.
///
/// # Errors
/// The store's.
pub async fn hide_headers(app: &App, row: &DeliveryRow, attempts: &mut [Attempt]) -> CatalogueResult<()> {
    let webhook = app.compiled().webhook(row.webhook).await?;
    let profile = webhook.and_then(|webhook| app.profiles.get(&webhook.webhook.profile).cloned());
    for request in attempts.iter_mut().filter_map(|attempt| attempt.request.as_mut()) {
        hide_sent_headers(&mut request.headers, profile.as_deref());
    }
    Ok(())
}

/// A delivery with what is known of where it goes.
pub struct Addressed {
    pub row: DeliveryRow,
    /// Where its last attempt went; before one is logged, where its webhook points.
    pub url: String,
    /// As it is now; `None` once it is deleted.
    pub webhook: Option<Arc<WebhookRow>>,
}

/// What is known beside of the deliveries of a page.
///
/// # Errors
/// The store's.
pub async fn addressed(app: &App, rows: Vec<DeliveryRow>) -> CatalogueResult<Vec<Addressed>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<DeliveryId> = rows.iter().map(|row| row.id).collect();
    let mut urls: BTreeMap<DeliveryId, String> = app.store.read(log::last_urls(&ids)).await?.into_iter().collect();
    let mut wanted: Vec<WebhookId> = rows.iter().map(|row| row.webhook).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let found = app.store.read(webhooks::these(&wanted)).await?;
    let known: BTreeMap<WebhookId, Arc<WebhookRow>> =
        found.into_iter().map(|webhook| (webhook.id, Arc::new(webhook))).collect();
    let show = |row: DeliveryRow| {
        let webhook = known.get(&row.webhook).cloned();
        let logged = urls.remove(&row.id).filter(|url| !url.is_empty());
        let now = || webhook.as_ref().map(|webhook| webhook.settings.url.clone());
        Addressed { url: logged.or_else(now).unwrap_or_default(), row, webhook }
    };
    Ok(rows.into_iter().map(show).collect())
}
