//! What every part of the server works with, put together once at the start.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use fanfare_engine::egress::EgressPolicy;
use fanfare_engine::id::{NodeId, OrganizationId, ProjectId, WebhookId};
use fanfare_engine::profile::Profiles;
use fanfare_engine::time::Timestamp;
use fanfare_store::catalogue::projects::DEFAULT_PROJECT;
use fanfare_store::log::Live;
use fanfare_store::stats::Backlog;
use fanfare_store::{Store, StoreError};
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, watch};

use crate::asked_once::AskedOnce;
use crate::background::Background;
use crate::catalogue::seats::Seats;
use crate::catalogue::turns::Turns;
use crate::catalogue::webhooks::Waits;
use crate::catalogue::{CatalogueError, event_types, projects, watching};
use crate::clock::Clock;
use crate::compiled::{Compiled, Fact};
use crate::computing::Computing;
use crate::dispatch::dispatcher::Dispatcher;
use crate::guesses::Guesses;
use crate::ids::Ids;
use crate::keyring::Keyring;
use crate::once::Running;
use crate::request_log::RequestLog;
use crate::vault::{Vault, VaultError};

/// Is told what changed in the catalogue: after the commit and before the answer, so that whoever got the answer sees
/// the change at work. It must not block.
pub trait CatalogueObserver: Send + Sync {
    /// An organization was removed, which the host called so. That one was made concerns nothing that is kept in memory, nor
    /// do its name and metadata.
    fn organization_removed(&self, project: ProjectId, organization: OrganizationId, external_id: Option<&str>);
    /// An organization that the host called so is called otherwise now.
    fn external_id_changed(&self, project: ProjectId, external_id: &str);
    /// A project or its event types were made or edited.
    fn project_changed(&self, project: ProjectId);
    /// A project allows other profiles now.
    fn profiles_changed(&self, project: ProjectId);
    /// What is known of a user, or of what an entity belongs to, was told anew or is to be forgotten.
    fn fact_changed(&self, organization: OrganizationId, fact: &Fact);
    /// A webhook was made, edited, switched or removed.
    fn webhook_changed(&self, organization: OrganizationId, webhook: WebhookId);
    /// A hold on sending was started or ended.
    fn pauses_changed(&self) -> BoxFuture<'_, ()>;
}

/// Addresses being looked up; `None` where the name has none or could not be looked up.
pub type Addresses<'a> = Pin<Box<dyn Future<Output = Option<Vec<IpAddr>>> + Send + 'a>>;

/// Looks up host names while a webhook is saved.
pub trait NameLookup: Send + Sync {
    /// The addresses of a canonical host name. Who calls bounds the time.
    fn addresses<'a>(&'a self, name: &'a str) -> Addresses<'a>;
}

/// What the application is put together from.
pub struct Parts {
    pub store: Store,
    /// This process among the nodes of the store.
    pub node: NodeId,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<Ids>,
    pub vault: Vault,
    pub profiles: Arc<Profiles>,
    /// The profile of the project `default` when it is made.
    pub default_profile: String,
    /// Which addresses webhooks may name.
    pub egress: Arc<EgressPolicy>,
    pub names: Arc<dyn NameLookup>,
    pub observer: Arc<dyn CatalogueObserver>,
    pub dispatcher: Arc<Dispatcher>,
    /// Largest data of one event, in bytes.
    pub max_event_bytes: usize,
    /// How the server is reached from outside, without a slash at its end.
    pub base_url: String,
    /// Rung when a job was made.
    pub jobs: Arc<Notify>,
    /// Becomes true when the server is about to stop and still serves.
    pub leaving: watch::Receiver<bool>,
    /// Becomes true when the server stops.
    pub stopping: watch::Receiver<bool>,
    /// Grants that a user may have, at most.
    pub max_grants: usize,
    /// The admin key; only its hash is kept.
    pub admin_key: String,
}

/// The application.
pub struct App {
    pub store: Store,
    pub node: NodeId,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<Ids>,
    pub vault: Vault,
    pub profiles: Arc<Profiles>,
    pub egress: Arc<EgressPolicy>,
    pub names: Arc<dyn NameLookup>,
    pub observer: Arc<dyn CatalogueObserver>,
    pub dispatcher: Arc<Dispatcher>,
    /// Largest data of one event, in bytes.
    pub max_event_bytes: usize,
    /// How the server is reached from outside, without a slash at its end.
    pub base_url: String,
    /// Rung when a job was made.
    pub jobs: Arc<Notify>,
    /// Becomes true when the server is about to stop and still serves.
    pub leaving: watch::Receiver<bool>,
    /// Becomes true when the server stops.
    pub stopping: watch::Receiver<bool>,
    /// Grants that a user may have, at most.
    pub max_grants: usize,
    /// The API keys in use.
    pub keyring: Keyring,
    /// Who tried which wrong keys.
    pub guesses: Guesses,
    /// Requests that were refused or failed.
    pub request_log: Arc<RequestLog>,
    /// The project on which the admin key acts.
    pub default_project: ProjectId,
    /// Requests that are brought to their end even where the client has gone.
    pub background: Background,
    /// Costly computing for projects.
    pub computing: Computing,
    /// The idempotency keys whose requests are running.
    pub running: Running,
    /// Who edits what next.
    pub turns: Turns,
    /// What changes of webhooks wait for.
    pub waits: Waits,
    /// Who has streams of deliveries open.
    pub streams: Seats,
    /// Whose bulk work is being counted beforehand.
    pub counting: Turns,
    /// For whom a page of deliveries is being looked for.
    pub looking: Turns,
    /// What is under way of all projects, and what waits in each.
    pub live: AskedOnce<(), Option<Live>, StoreError>,
    pub backlogs: AskedOnce<ProjectId, Option<Backlog>, StoreError>,
}

/// Why the application cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the event types of the profiles could not be kept: {0}")]
    EventTypes(#[from] CatalogueError),
    #[error(
        "there is no profile {0:?}; give the name of one that comes with Fanfare or is in the directory of profiles"
    )]
    Profile(String),
    #[error(
        "these use profiles that this server doesn't have, so events would not reach them:\n{0}\
         Put the profiles' files into the directory of profiles (--profiles-dir or FANFARE_PROFILES_DIR). To remove a \
         profile, start with it once more, give these webhooks and projects another profile, and then remove its file."
    )]
    MissingProfiles(String),
}

impl App {
    /// Puts the application together: binds the store to the master key, and makes the project `default` where there is
    /// none yet.
    ///
    /// # Errors
    /// A wrong master key, an unknown profile, or a store that does not answer.
    pub async fn start(parts: Parts) -> Result<App, StartError> {
        parts.vault.bind(&parts.store).await?;
        let default_project = default_project(&parts).await?;
        let keyring = Keyring::new(parts.vault.hash_api_key(&parts.admin_key));
        let app = App {
            store: parts.store,
            node: parts.node,
            clock: parts.clock,
            ids: parts.ids,
            vault: parts.vault,
            profiles: parts.profiles,
            egress: parts.egress,
            names: parts.names,
            observer: parts.observer,
            dispatcher: parts.dispatcher,
            max_event_bytes: parts.max_event_bytes,
            base_url: parts.base_url,
            jobs: parts.jobs,
            leaving: parts.leaving,
            stopping: parts.stopping,
            max_grants: parts.max_grants,
            keyring,
            guesses: Guesses::default(),
            request_log: Arc::default(),
            default_project,
            background: Background::default(),
            computing: Computing::default(),
            running: Running::default(),
            turns: Turns::default(),
            waits: Waits::default(),
            streams: watching::seats(),
            counting: Turns::default(),
            looking: Turns::default(),
            live: AskedOnce::default(),
            backlogs: AskedOnce::default(),
        };
        event_types::complete(&app).await?;
        Ok(app)
    }

    /// The catalogue as it is kept in memory.
    pub fn compiled(&self) -> &Compiled {
        &self.dispatcher.tools.compiled
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

async fn default_project(parts: &Parts) -> Result<ProjectId, StartError> {
    let known = fanfare_store::catalogue::projects::by_name(DEFAULT_PROJECT);
    if let Some(project) = parts.store.read_one(known).await? {
        return Ok(project.id);
    }
    if parts.profiles.get(&parts.default_profile).is_none() {
        return Err(StartError::Profile(parts.default_profile.clone()));
    }
    let project = projects::blank(parts.ids.next(), DEFAULT_PROJECT, &parts.default_profile, parts.clock.now());
    let change = fanfare_store::catalogue::projects::insert(&project, parts.ids.next());
    parts.store.change(change, None).await?;
    Ok(project.id)
}
