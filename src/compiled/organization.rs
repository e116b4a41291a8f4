//! An organization's webhooks, compiled and indexed.

use std::collections::HashMap;
use std::sync::Arc;

use fanfare_engine::event::Event;
use fanfare_engine::id::{OrganizationId, ProjectId, WebhookId};
use fanfare_engine::matching::Index;
use fanfare_engine::profile::Profiles;

use super::webhook::CompiledWebhook;
use super::{Holds, StoredOrganization};

/// About how many bytes a compiled webhook takes.
const WEBHOOK_WEIGHT: u32 = 4_096;

/// See the module.
pub struct CompiledOrganization {
    pub id: OrganizationId,
    pub project: ProjectId,
    /// Whether it is the operator's own, of whose deliveries nothing is reported.
    pub is_operator: bool,
    webhooks: Vec<Arc<CompiledWebhook>>,
    by_id: HashMap<WebhookId, usize>,
    /// Of those that take events; the numbers point into `takers`.
    index: Index,
    takers: Vec<usize>,
}

impl CompiledOrganization {
    /// Compiles all webhooks.
    pub fn compile(stored: StoredOrganization, profiles: &Profiles, holds: &Holds, concurrency: u32) -> Self {
        let compile = |webhook| Arc::new(CompiledWebhook::compile(webhook, profiles, holds, concurrency));
        let webhooks: Vec<_> = stored.webhooks.into_iter().map(compile).collect();
        let by_id = webhooks.iter().enumerate().map(|(at, webhook)| (webhook.webhook.id, at)).collect();
        let takes = |at: &usize| webhooks[*at].webhook.status.takes_events();
        let takers: Vec<usize> = (0..webhooks.len()).filter(takes).collect();
        let index = Index::build(takers.iter().map(|at| &webhooks[*at].interest));
        CompiledOrganization {
            id: stored.id,
            project: stored.project,
            is_operator: stored.is_operator,
            webhooks,
            by_id,
            index,
            takers,
        }
    }

    /// The webhooks that get a delivery of this event.
    pub fn matches(&self, event: &Event) -> impl Iterator<Item = &Arc<CompiledWebhook>> {
        self.index.matches(event).into_iter().map(|number| &self.webhooks[self.takers[number as usize]])
    }

    /// A webhook of this organization.
    pub fn webhook(&self, id: WebhookId) -> Option<&Arc<CompiledWebhook>> {
        self.by_id.get(&id).map(|at| &self.webhooks[*at])
    }

    /// All webhooks, oldest first.
    pub fn webhooks(&self) -> &[Arc<CompiledWebhook>] {
        &self.webhooks
    }

    /// About how many bytes it takes.
    pub(super) fn weight(&self) -> u32 {
        let count = u32::try_from(self.webhooks.len()).unwrap_or(u32::MAX);
        count.saturating_mul(WEBHOOK_WEIGHT).saturating_add(1_024)
    }
}
