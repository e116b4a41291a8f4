//! An organization's webhooks, compiled and indexed; when few of them change, the rest is kept as it is.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fanfare_engine::event::{EntityRef, Event};
use fanfare_engine::id::{OrganizationId, ProjectId, WebhookId};
use fanfare_engine::matching::Index;
use fanfare_engine::profile::{Profile, Profiles};
use fanfare_store::queue::Learn;

use super::webhook::CompiledWebhook;
use super::{Fact, StoredOrganization};

/// Most webhooks that stand beside the index because they changed since it was built.
const BESIDE: usize = 256;
/// What an organization takes beside its webhooks, about, in bytes, its place in the cache included.
const ORGANIZATION: u32 = 1_536;
/// About how many bytes a fact takes.
const FACT_WEIGHT: u64 = 128;

/// See the module.
pub struct CompiledOrganization {
    pub id: OrganizationId,
    pub project: ProjectId,
    /// Whether it is the operator's own, of whose deliveries nothing is reported.
    pub is_operator: bool,
    /// The names of the profiles that its project allows.
    allowed: Arc<[String]>,
    /// Those that its project allows, and those that its webhooks have.
    profiles: Arc<[Arc<Profile>]>,
    /// Whether one of them is not among the server's, so that nobody knows its rules.
    lacks_profile: bool,
    /// Whether any of those profiles asks for access to entities, so that it matters what these belong to.
    learns: bool,
    /// What the right to any of its webhooks rests on, or did before some of them changed.
    facts: Arc<HashSet<Fact>>,
    facts_beside: HashSet<Fact>,
    indexed: Arc<Indexed>,
    /// What changed since then; `None` for a webhook that is gone.
    beside: BTreeMap<WebhookId, Option<Arc<CompiledWebhook>>>,
    /// Whether it is known that nothing changed while it was loaded; others may use it from then on.
    settled: AtomicBool,
}

/// Webhooks by id, with an index.
struct Indexed {
    webhooks: Vec<Arc<CompiledWebhook>>,
    /// Of those that take events; the numbers point into `takers`.
    index: Index,
    takers: Vec<u32>,
    weight: u64,
}

impl Indexed {
    fn build(webhooks: Vec<Arc<CompiledWebhook>>) -> Self {
        let takes = |(at, webhook): (usize, &Arc<CompiledWebhook>)| {
            webhook.webhook.status.takes_events().then(|| u32::try_from(at).unwrap_or(u32::MAX))
        };
        let takers: Vec<u32> = webhooks.iter().enumerate().filter_map(takes).collect();
        let index = Index::build(takers.iter().map(|at| &webhooks[*at as usize].interest));
        let weight = webhooks.iter().map(|webhook| webhook.weight() as u64).sum();
        Indexed { webhooks, index, takers, weight }
    }

    fn taker(&self, number: u32) -> &Arc<CompiledWebhook> {
        &self.webhooks[self.takers[number as usize] as usize]
    }
}

impl CompiledOrganization {
    /// An organization with all its webhooks, in the order of their ids. `facts`: what the right to them rests on.
    pub(super) fn new(
        stored: StoredOrganization,
        webhooks: Vec<Arc<CompiledWebhook>>,
        profiles: &Profiles,
        facts: HashSet<Fact>,
    ) -> Self {
        let own = webhooks.iter().map(|webhook| &*webhook.webhook.profile);
        let names: BTreeSet<&str> = stored.profiles.iter().map(String::as_str).chain(own).collect();
        let lacks_profile = names.iter().any(|name| profiles.get(name).is_none());
        let profiles: Arc<[_]> = names.into_iter().filter_map(|name| profiles.get(name).cloned()).collect();
        CompiledOrganization {
            id: stored.id,
            project: stored.project,
            is_operator: stored.is_operator,
            allowed: stored.profiles.into(),
            learns: !stored.is_operator && profiles.iter().any(|profile| profile.permissions.entity_access),
            profiles,
            lacks_profile,
            facts: Arc::new(facts),
            facts_beside: HashSet::new(),
            indexed: Arc::new(Indexed::build(webhooks)),
            beside: BTreeMap::new(),
            settled: AtomicBool::new(false),
        }
    }

    /// The same with these webhooks as they are now; `None` for one that is gone. `facts`: what the right to them rests on.
    /// `None` where that changes which profiles its webhooks have.
    pub(super) fn with(
        &self,
        changed: BTreeMap<WebhookId, Option<Arc<CompiledWebhook>>>,
        facts: HashSet<Fact>,
    ) -> Option<Self> {
        let stays = |(id, now): (&WebhookId, &Option<Arc<CompiledWebhook>>)| {
            let profile = |webhook: &Arc<CompiledWebhook>| Arc::clone(&webhook.webhook.profile);
            let (before, now) = (self.webhook(*id).map(profile), now.as_ref().map(profile));
            let is_allowed = |name: &Arc<str>| self.allowed.iter().any(|allowed| **allowed == **name);
            before == now || before.iter().chain(&now).all(is_allowed)
        };
        if !changed.iter().all(stays) {
            return None;
        }
        let mut facts_beside = self.facts_beside.clone();
        facts_beside.extend(facts.into_iter().filter(|fact| !self.facts.contains(fact)));
        let mut beside = self.beside.clone();
        beside.extend(changed);
        let mut with = CompiledOrganization {
            id: self.id,
            project: self.project,
            is_operator: self.is_operator,
            allowed: Arc::clone(&self.allowed),
            profiles: Arc::clone(&self.profiles),
            lacks_profile: self.lacks_profile,
            learns: self.learns,
            facts: Arc::clone(&self.facts),
            facts_beside,
            indexed: Arc::clone(&self.indexed),
            beside,
            settled: AtomicBool::new(false),
        };
        if with.beside.len() > BESIDE {
            let webhooks: Vec<_> = with.webhooks().map(Arc::clone).collect();
            with.indexed = Arc::new(Indexed::build(webhooks));
            with.beside.clear();
            // Some of them may matter no more; that costs no more than a load in vain.
            let facts = with.facts.union(&with.facts_beside).cloned().collect();
            with.facts = Arc::new(facts);
            with.facts_beside.clear();
        }
        Some(with)
    }

    /// Nothing that it rests on changed while it was loaded.
    pub(super) fn settle(&self) {
        self.settled.store(true, Ordering::Release);
    }

    /// Whether others than who loaded it may use it.
    pub(super) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// Whether the right to any of the webhooks rests on this.
    pub fn relies_on(&self, fact: &Fact) -> bool {
        self.facts.contains(fact) || self.facts_beside.contains(fact)
    }

    /// Whether it is to be noted what the event's entity belongs to.
    pub fn learns(&self, event: &Event) -> Learn {
        match &event.entity {
            Some(entity) if self.learns && !event.scope.is_empty() => {
                let entity = EntityRef { kind: entity.kind.clone(), id: entity.id.clone() }.canonical();
                if self.relies_on(&Fact::Entity(entity)) { Learn::WatchedScope } else { Learn::Scope }
            }
            _ => Learn::Nothing,
        }
    }

    /// The profiles whose rules count for what is about the whole organization: those that its project allows, and those
    /// that its webhooks have; without those that [`CompiledOrganization::lacks_profile`] is about.
    pub fn profiles(&self) -> &[Arc<Profile>] {
        &self.profiles
    }

    /// Whether a profile whose rules count for it is not among the server's profiles, so that nobody knows them.
    pub fn lacks_profile(&self) -> bool {
        self.lacks_profile
    }

    /// The webhooks that get a delivery of this event.
    pub fn matches(&self, event: &Event) -> impl Iterator<Item = &Arc<CompiledWebhook>> {
        let found = self.indexed.index.matches(event, |number| &self.indexed.taker(number).interest);
        let unchanged = found
            .into_iter()
            .map(|number| self.indexed.taker(number))
            .filter(|webhook| !self.beside.contains_key(&webhook.webhook.id));
        let takes = |webhook: &&Arc<CompiledWebhook>| {
            webhook.webhook.status.takes_events() && webhook.interest.check(event).is_ok()
        };
        unchanged.chain(self.beside.values().flatten().filter(takes).collect::<Vec<_>>())
    }

    /// A webhook of this organization.
    pub fn webhook(&self, id: WebhookId) -> Option<&Arc<CompiledWebhook>> {
        if let Some(changed) = self.beside.get(&id) {
            return changed.as_ref();
        }
        let webhooks = &self.indexed.webhooks;
        webhooks.binary_search_by_key(&id, |webhook| webhook.webhook.id).ok().map(|at| &webhooks[at])
    }

    /// All webhooks, oldest first.
    pub fn webhooks(&self) -> impl DoubleEndedIterator<Item = &Arc<CompiledWebhook>> {
        let unchanged = self.indexed.webhooks.iter().filter(|webhook| !self.beside.contains_key(&webhook.webhook.id));
        let mut all: Vec<&Arc<CompiledWebhook>> = unchanged.chain(self.beside.values().flatten()).collect();
        all.sort_unstable_by_key(|webhook| webhook.webhook.id);
        all.into_iter()
    }

    /// About how many bytes it takes.
    pub(super) fn weight(&self) -> u32 {
        let beside: u64 = self.beside.values().flatten().map(|webhook| webhook.weight() as u64).sum();
        let facts = (self.facts.len() + self.facts_beside.len()) as u64 * FACT_WEIGHT;
        u32::try_from(self.indexed.weight + beside + facts).unwrap_or(u32::MAX).saturating_add(ORGANIZATION)
    }
}
