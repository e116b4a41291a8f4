//! Removes what is beyond the newest so many: final deliveries of each webhook, and events without any of each organization.

use fanfare_engine::id::{DeliveryId, EventId, OrganizationId, ProjectId, WebhookId};
use fanfare_engine::time::Timestamp;
use fanfare_store::catalogue::Page;
use fanfare_store::catalogue::webhooks::{self, WebhookFilter};
use fanfare_store::queue::{Prune, Which};
use fanfare_store::{StoreResult, expired};

use super::{EVENT_KEYS, LOOK, PIECE, Pruner, pace};

/// Of so many organizations it is remembered how far their events were gone through; others start anew in each round.
const REMEMBERED: usize = 100_000;

impl Pruner {
    /// Removes the final deliveries of each of a project's webhooks beyond its newest `keep`, and the events that have no
    /// delivery left then.
    pub(super) async fn deliveries_beyond(&self, project: ProjectId, keep: u32, now: Timestamp) -> StoreResult<u64> {
        let mut removed = 0;
        let mut page = Page { before: None, limit: PIECE };
        loop {
            let found = self.ask(webhooks::list(project, &WebhookFilter::default(), page)).await?;
            let webhooks: Vec<WebhookId> = found.iter().map(|webhook| webhook.id).collect();
            for (webhook, newest) in self.ask(expired::newest_deliveries_beyond(&webhooks, keep)).await? {
                removed += self.deliveries_up_to(webhook, newest, now).await?;
            }
            match webhooks.last().filter(|_| webhooks.len() == PIECE as usize) {
                Some(last) => page.before = Some(last.0),
                None => return Ok(removed),
            }
        }
    }

    async fn deliveries_up_to(&self, webhook: WebhookId, to: DeliveryId, now: Timestamp) -> StoreResult<u64> {
        let mut removed = 0;
        let mut after = DeliveryId(0);
        loop {
            let found = self.ask(expired::deliveries_of(webhook, after, to, LOOK)).await?;
            let end: Vec<DeliveryId> = found.iter().filter(|(_, is_final)| *is_final).map(|(id, _)| *id).collect();
            let mut rest = &end[..];
            while !rest.is_empty() {
                let rows = pace::rows(self.dispatcher.tools.store.waiting()) as usize;
                let (next, others) = rest.split_at(rest.len().min(rows / 3));
                let keys_before = now.minus(EVENT_KEYS);
                removed += self.piece(Prune::Deliveries { deliveries: next.to_vec(), keys_before }).await?.0;
                rest = others;
            }
            match found.last().filter(|_| found.len() == LOOK as usize) {
                Some((last, _)) => after = *last,
                None => return Ok(removed),
            }
        }
    }

    /// Removes the events of each organization beyond its newest `keep` that have no delivery: those that no webhook wanted.
    pub(super) async fn bare_events_beyond(&mut self, keep: u32, now: Timestamp) -> StoreResult<u64> {
        let mut removed = 0;
        let mut last = None;
        loop {
            let found = self.ask(expired::oldest_events(last, PIECE)).await?;
            let organizations: Vec<OrganizationId> = found.iter().map(|oldest| oldest.organization).collect();
            for (organization, newest) in self.ask(expired::newest_events_beyond(&organizations, keep)).await? {
                removed += self.bare_events_up_to(organization, newest, now).await?;
            }
            match organizations.last().filter(|_| organizations.len() == PIECE as usize) {
                Some(organization) => last = Some(*organization),
                None => return Ok(removed),
            }
        }
    }

    async fn bare_events_up_to(
        &mut self,
        organization: OrganizationId,
        to: EventId,
        now: Timestamp,
    ) -> StoreResult<u64> {
        let mut removed = 0;
        let mut after = self.counted.get(&organization).copied().unwrap_or(EventId(0));
        while after < to {
            let found = self.ask(expired::bare_events_of(organization, after, to, LOOK)).await?;
            let bare: Vec<EventId> = found.iter().filter(|(_, is_bare)| *is_bare).map(|(id, _)| *id).collect();
            removed += self.remove(&bare, Which::Bare, now).await?;
            after = found.last().filter(|_| found.len() == LOOK as usize).map_or(to, |(last, _)| *last);
        }
        // One that has a delivery now loses it by `deliveries_beyond`, and goes with it.
        if self.counted.contains_key(&organization) || self.counted.len() < REMEMBERED {
            self.counted.insert(organization, to);
        }
        Ok(removed)
    }
}
