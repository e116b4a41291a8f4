//! An organization's webhooks, compiled and indexed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use fanfare_engine::event::{EntityRef, Event};
use fanfare_engine::id::{OrganizationId, ProjectId, WebhookId};
use fanfare_engine::matching::Index;
use fanfare_engine::profile::{Profile, Profiles};
use fanfare_engine::webhook::Webhook;
use fanfare_store::queue::Learn;

use super::webhook::CompiledWebhook;
use super::{Fact, Holds, Known, StoredOrganization};

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
    /// Those that its project allows, and those that its webhooks have.
    profiles: Vec<Arc<Profile>>,
    /// Whether any of those profiles asks for access to entities, so that it matters what these belong to.
    learns: bool,
    facts: HashSet<Fact>,
    /// Of those that take events; the numbers point into `takers`.
    index: Index,
    takers: Vec<usize>,
}

impl CompiledOrganization {
    /// Compiles all webhooks.
    pub fn compile(
        stored: StoredOrganization,
        profiles: &Profiles,
        holds: &Holds,
        concurrency: u32,
        known: Known,
    ) -> Self {
        let compile = |webhook: Webhook| {
            let access = known.judge(&webhook, profiles);
            Arc::new(CompiledWebhook::compile(webhook, access, profiles, holds, concurrency))
        };
        let webhooks: Vec<_> = stored.webhooks.into_iter().map(compile).collect();
        let by_id = webhooks.iter().enumerate().map(|(at, webhook)| (webhook.webhook.id, at)).collect();
        let takes = |at: &usize| webhooks[*at].webhook.status.takes_events();
        let takers: Vec<usize> = (0..webhooks.len()).filter(takes).collect();
        let index = Index::build(takers.iter().map(|at| &webhooks[*at].interest));
        let own = webhooks.iter().map(|webhook| &*webhook.webhook.profile);
        let names: BTreeSet<&str> = stored.profiles.iter().map(String::as_str).chain(own).collect();
        let profiles: Vec<_> = names.into_iter().filter_map(|name| profiles.get(name).cloned()).collect();
        let learns = !stored.is_operator && profiles.iter().any(|profile| profile.permissions.entity_access);
        CompiledOrganization {
            id: stored.id,
            project: stored.project,
            is_operator: stored.is_operator,
            profiles,
            learns,
            facts: known.into_facts(),
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

    /// Whether the right to any of the webhooks rests on this.
    pub fn relies_on(&self, fact: &Fact) -> bool {
        self.facts.contains(fact)
    }

    /// Whether it is to be noted what the event's entity belongs to.
    pub fn learns(&self, event: &Event) -> Learn {
        match &event.entity {
            Some(entity) if self.learns && !event.scope.is_empty() => {
                let entity = EntityRef { kind: entity.kind.clone(), id: entity.id.clone() };
                if self.relies_on(&Fact::Entity(entity)) { Learn::WatchedScope } else { Learn::Scope }
            }
            _ => Learn::Nothing,
        }
    }

    /// The profiles whose rules count for what is about the whole organization: those that its project allows, and those
    /// that its webhooks have.
    pub fn profiles(&self) -> &[Arc<Profile>] {
        &self.profiles
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
