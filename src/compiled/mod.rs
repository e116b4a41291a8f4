//! What is kept in memory of the catalogue, compiled for use: webhooks by organization, event types by project, and
//! what is held.
//!
//! Loaded when first needed, dropped when it changes, bounded by weight. A change is announced after its commit and
//! before its answer, so that whoever saw the answer sees the change in effect.

mod access;
mod changes;
mod counted;
mod dirty;
mod event_types;
mod flights;
mod from_store;
mod generations;
mod holds;
mod judge;
mod loads;
mod organization;
#[cfg(test)]
mod races;
mod schema;
mod senders;
mod webhook;
mod weight;

use std::collections::BTreeMap;
use std::sync::Arc;

use fanfare_engine::access::User;
use fanfare_engine::event::EntityRef;
use fanfare_engine::id::{OrganizationId, ProjectId, WebhookId};
use fanfare_engine::profile::Profiles;
use fanfare_engine::webhook::Webhook;
use fanfare_store::StoreResult;
use foldhash::fast::RandomState;
use futures_util::future::BoxFuture;
use moka::Equivalent;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

pub use self::access::{Fact, Known, Revoked};
pub use self::counted::Exhausted;
use self::dirty::{Dirty, What};
pub use self::event_types::{CompiledType, EventTypes};
use self::flights::Flights;
pub use self::from_store::{FromStore, whole};
use self::generations::Generations;
use self::holds::HeldNow;
pub use self::holds::{Hold, Holds};
pub use self::judge::judge;
pub use self::organization::CompiledOrganization;
pub use self::schema::{DataError, MAX_EFFORT, Schema};
use self::senders::Senders;
pub use self::webhook::{CompiledWebhook, Noted, Sender, Unsendable};

use self::loads::Loads;

/// Most bytes of compiled organizations, about. One with 100,000 webhooks takes some 150 MB, and nearly 100,000 with a webhook each
/// take all of it.
const ORGANIZATIONS_WEIGHT: u64 = 256 << 20;
/// What one of them counts for at most. To read one with 100,000 webhooks again and again, because others are used in turn
/// with it, would be worse than to keep it: up to eight such are kept, though they take more than the whole is to weigh.
const ORGANIZATION_WEIGHT: u32 = 32 << 20;
/// Most projects whose event types are compiled.
const PROJECTS: u64 = 1_000;
/// The most external ids of organizations that are cached, over all projects, at some 350 bytes each.
const EXTERNAL_IDS: u64 = 100_000;
/// Most webhooks whose organization is remembered, some 300 bytes each.
const OWNERS: u64 = 100_000;

/// An organization as it is stored.
#[derive(Debug)]
pub struct StoredOrganization {
    pub id: OrganizationId,
    pub project: ProjectId,
    /// Whether it is the operator's own.
    pub is_operator: bool,
    /// The names of the profiles that its project allows.
    pub profiles: Vec<String>,
    pub webhooks: Vec<StoredWebhook>,
}

/// A webhook as it is stored.
#[derive(Debug)]
pub struct StoredWebhook {
    pub webhook: Webhook,
    /// Why the credentials cannot be read; they are empty then.
    pub unreadable: Option<String>,
}

impl From<Webhook> for StoredWebhook {
    fn from(webhook: Webhook) -> Self {
        StoredWebhook { webhook, unreadable: None }
    }
}

/// What an entity belongs to, as it is stored.
#[derive(Debug)]
pub struct StoredScope {
    pub entity: EntityRef,
    /// Its ancestors.
    pub scope: Vec<EntityRef>,
}

/// A project's event types as they are stored.
#[derive(Debug)]
pub struct StoredTypes {
    /// The names of the profiles that the project allows, its own first.
    pub profiles: Vec<String>,
    pub types: Vec<StoredType>,
}

/// An event type as it is stored.
#[derive(Debug)]
pub struct StoredType {
    pub name: String,
    /// JSON Schema as JSON text.
    pub schema: Option<String>,
    /// An example of its data as JSON text.
    pub example: Option<String>,
}

/// Where the catalogue comes from.
pub trait Source: Send + Sync {
    /// An organization with all its webhooks; `None` where there is none.
    fn organization(&self, id: OrganizationId) -> BoxFuture<'_, StoreResult<Option<StoredOrganization>>>;
    /// These webhooks of an organization, by id, as far as they are there.
    fn webhooks(
        &self,
        organization: OrganizationId,
        ids: Vec<WebhookId>,
    ) -> BoxFuture<'_, StoreResult<Vec<StoredWebhook>>>;
    /// These users of an organization, as far as they are known.
    fn users(&self, id: OrganizationId, users: Vec<String>) -> BoxFuture<'_, StoreResult<Vec<User>>>;
    /// What these entities of an organization belong to, of those that are known.
    fn scopes(&self, id: OrganizationId, entities: Vec<EntityRef>) -> BoxFuture<'_, StoreResult<Vec<StoredScope>>>;
    /// The organization that a webhook belongs to; `None` where there is no such webhook.
    fn owner(&self, webhook: WebhookId) -> BoxFuture<'_, StoreResult<Option<OrganizationId>>>;
    /// The organization of a project that the host calls so.
    fn by_external_id<'a>(
        &'a self,
        project: ProjectId,
        name: &'a str,
    ) -> BoxFuture<'a, StoreResult<Option<OrganizationId>>>;
    /// The operator's own organization of a project, where it has one.
    fn operator(&self, project: ProjectId) -> BoxFuture<'_, StoreResult<Option<OrganizationId>>>;
    /// The catalogue of event types of a project; `None` where there is no such project.
    fn event_types(&self, project: ProjectId) -> BoxFuture<'_, StoreResult<Option<StoredTypes>>>;
    /// Everything that is held.
    fn holds(&self) -> BoxFuture<'_, StoreResult<Vec<Hold>>>;
}

/// What the host calls an organization. Looks one up without a copy of its name.
#[derive(PartialEq, Eq, Hash)]
struct ExternalId<'a>(ProjectId, &'a str);

impl Equivalent<(ProjectId, Box<str>)> for ExternalId<'_> {
    fn equivalent(&self, (project, name): &(ProjectId, Box<str>)) -> bool {
        self.0 == *project && *self.1 == **name
    }
}

/// The compiled catalogue.
pub struct Compiled {
    source: Arc<dyn Source>,
    profiles: Arc<Profiles>,
    /// Requests under way for one webhook, at most.
    concurrency: u32,
    organizations: Cache<OrganizationId, Arc<CompiledOrganization>, RandomState>,
    /// What of them changed since.
    dirty: Dirty,
    flights: Flights,
    senders: Arc<Senders>,
    owners: Cache<WebhookId, OrganizationId>,
    external_ids: Cache<(ProjectId, Box<str>), OrganizationId>,
    operators: Cache<ProjectId, Option<OrganizationId>>,
    event_types: Cache<ProjectId, Arc<EventTypes>, RandomState>,
    holds: Arc<HeldNow>,
    reading_holds: tokio::sync::Mutex<()>,
    generations: Generations,
    loads: Loads,
}

impl Compiled {
    /// Nothing loaded yet but what is held.
    pub async fn load(source: Arc<dyn Source>, profiles: Arc<Profiles>, concurrency: u32) -> StoreResult<Self> {
        let holds = Holds::new(source.holds().await?);
        let weigh = |_: &OrganizationId, organization: &Arc<CompiledOrganization>| {
            organization.weight().min(ORGANIZATION_WEIGHT)
        };
        Ok(Compiled {
            source,
            profiles,
            concurrency,
            // The newest always comes in: by how often they were used, one heavy organization would never outweigh all the
            // small ones that it has to displace.
            organizations: Cache::builder()
                .max_capacity(ORGANIZATIONS_WEIGHT)
                .weigher(weigh)
                .eviction_policy(EvictionPolicy::lru())
                .build_with_hasher(RandomState::default()),
            dirty: Dirty::default(),
            flights: Flights::default(),
            senders: Arc::default(),
            owners: Cache::new(OWNERS),
            external_ids: Cache::new(EXTERNAL_IDS),
            operators: Cache::new(PROJECTS),
            event_types: Cache::builder().max_capacity(PROJECTS).build_with_hasher(RandomState::default()),
            holds: Arc::new(HeldNow::new(holds)),
            reading_holds: tokio::sync::Mutex::new(()),
            generations: Generations::default(),
            loads: Loads::default(),
        })
    }

    /// An organization's webhooks; `None` where there is no such organization.
    pub async fn organization(&self, id: OrganizationId) -> StoreResult<Option<Arc<CompiledOrganization>>> {
        match self.fresh(id) {
            Some(fresh) => Ok(Some(fresh)),
            // Boxed, since every event and every attempt would hold what few need.
            None => Box::pin(self.read_organization(id)).await,
        }
    }

    async fn read_organization(&self, id: OrganizationId) -> StoreResult<Option<Arc<CompiledOrganization>>> {
        let _flight = self.flights.begin(id).await;
        // Who was before may have loaded it.
        if let Some(fresh) = self.fresh(id) {
            return Ok(Some(fresh));
        }
        // In this order: what changes from now on is noted, and what changes while it is read stays so.
        let loading = self.loads.begin(id);
        let seen = self.dirty.seen(id);
        let known = self.organizations.get(&id).filter(|known| known.is_settled());
        let part = match (known, &seen.what) {
            (Some(known), What::Webhooks(changed)) => self.load_part(&known, changed).await?,
            _ => None,
        };
        let loaded = match part {
            Some(part) => Some(part),
            None => self.load_whole(id).await?,
        };
        let Some(loaded) = loaded.map(Arc::new) else {
            self.organizations.invalidate(&id);
            self.dirty.forget(id, &seen);
            return Ok(None);
        };
        // Others find it only once it is settled: what changes before this question is in its answer, and for what changes
        // after it the organization is found and noted.
        self.organizations.insert(id, Arc::clone(&loaded));
        if loading.missed(loaded.project, |fact| loaded.relies_on(fact)) {
            // What was read is as new as this call and may be used, but only by it.
            self.organizations.invalidate(&id);
        } else {
            loaded.settle();
        }
        self.dirty.forget(id, &seen);
        Ok(Some(loaded))
    }

    /// What is compiled of an organization, unless something changed since.
    fn fresh(&self, id: OrganizationId) -> Option<Arc<CompiledOrganization>> {
        let known = self.organizations.get(&id)?;
        (known.is_settled() && self.dirty.is_clean(id)).then_some(known)
    }

    async fn load_whole(&self, id: OrganizationId) -> StoreResult<Option<CompiledOrganization>> {
        let Some(mut stored) = self.source.organization(id).await? else { return Ok(None) };
        let known = Known::read(&*self.source, id, &stored.webhooks, &self.profiles).await?;
        let rows = std::mem::take(&mut stored.webhooks);
        let webhooks = rows.into_iter().map(|stored| self.compile(stored, &known)).collect();
        Ok(Some(CompiledOrganization::new(stored, webhooks, &self.profiles, known.into_facts())))
    }

    /// Reads only the webhooks that changed; `None` where all must be read.
    async fn load_part(
        &self,
        organization: &CompiledOrganization,
        changed: &[WebhookId],
    ) -> StoreResult<Option<CompiledOrganization>> {
        let rows = self.source.webhooks(organization.id, changed.to_vec()).await?;
        let known = Known::read(&*self.source, organization.id, &rows, &self.profiles).await?;
        let mut now: BTreeMap<WebhookId, Option<Arc<CompiledWebhook>>> =
            changed.iter().map(|webhook| (*webhook, None)).collect();
        now.extend(rows.into_iter().map(|stored| (stored.webhook.id, Some(self.compile(stored, &known)))));
        Ok(organization.with(now, known.into_facts()))
    }

    fn compile(&self, stored: StoredWebhook, known: &Known) -> Arc<CompiledWebhook> {
        let access = known.judge(&stored.webhook, &self.profiles);
        let (profiles, concurrency) = (&self.profiles, self.concurrency);
        Arc::new(CompiledWebhook::compile(stored, access, profiles, &self.holds, concurrency, &self.senders))
    }

    /// The customer's organization that `name` names in a project: its id or the host's own id for it.
    pub async fn resolve(&self, project: ProjectId, name: &str) -> StoreResult<Option<Arc<CompiledOrganization>>> {
        let found = match OrganizationId::parse(name) {
            Some(id) => self.organization(id).await?,
            None => self.called(project, name).await?,
        };
        Ok(found.filter(|found| found.project == project && !found.is_operator))
    }

    async fn called(&self, project: ProjectId, name: &str) -> StoreResult<Option<Arc<CompiledOrganization>>> {
        let Some(id) = self.by_external_id(project, name).await? else { return Ok(None) };
        if let Some(found) = self.organization(id).await? {
            return Ok(Some(found));
        }
        // It is gone, and another one may be called so by now.
        self.external_id_changed(project, name);
        match self.by_external_id(project, name).await? {
            Some(id) => self.organization(id).await,
            None => Ok(None),
        }
    }

    async fn by_external_id(&self, project: ProjectId, name: &str) -> StoreResult<Option<OrganizationId>> {
        if let Some(known) = self.external_ids.get(&ExternalId(project, name)) {
            return Ok(Some(known));
        }
        let generation = self.generations.of(project);
        let Some(id) = self.source.by_external_id(project, name).await? else { return Ok(None) };
        self.external_ids.insert((project, name.into()), id);
        if self.generations.of(project) != generation {
            self.external_ids.invalidate(&ExternalId(project, name));
        }
        Ok(Some(id))
    }

    /// A webhook by its id alone.
    pub async fn webhook(&self, id: WebhookId) -> StoreResult<Option<Arc<CompiledWebhook>>> {
        let owner = match self.owners.get(&id) {
            Some(owner) => owner,
            None => match self.source.owner(id).await? {
                Some(owner) => owner,
                None => return Ok(None),
            },
        };
        self.owners.insert(id, owner);
        Ok(self.organization(owner).await?.and_then(|organization| organization.webhook(id).cloned()))
    }

    /// The operator's own organization of a project, where it has webhooks.
    pub async fn operator(&self, project: ProjectId) -> StoreResult<Option<Arc<CompiledOrganization>>> {
        let operator = match self.operators.get(&project) {
            Some(known) => known,
            None => {
                let generation = self.generations.of(project);
                let found = self.source.operator(project).await?;
                self.operators.insert(project, found);
                if self.generations.of(project) != generation {
                    self.operators.invalidate(&project);
                }
                found
            }
        };
        match operator {
            Some(id) => self.organization(id).await,
            None => Ok(None),
        }
    }

    /// A project's event types.
    pub async fn event_types(&self, project: ProjectId) -> StoreResult<Arc<EventTypes>> {
        if let Some(known) = self.event_types.get(&project) {
            return Ok(known);
        }
        let generation = self.generations.of(project);
        let compiled = Arc::new(match self.source.event_types(project).await? {
            Some(stored) => {
                let profiles = stored.profiles.iter().map(|name| self.profiles.get(name).cloned());
                EventTypes::compile(stored.types, profiles)
            }
            None => EventTypes::default(),
        });
        self.event_types.insert(project, Arc::clone(&compiled));
        if self.generations.of(project) != generation {
            self.event_types.invalidate(&project);
        }
        Ok(compiled)
    }

    /// What is held.
    pub fn holds(&self) -> Arc<Holds> {
        self.holds.get()
    }
}

#[cfg(test)]
mod tests;
