//! Puts a server together and runs it: the only place that wires.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use fanfare_engine::profile::Profiles;
use fanfare_engine::scheduler::Limits;
use fanfare_store::Store;
use fanfare_store::sqlite::Joined;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::api;
use crate::app::{App, Parts, StartError};
use crate::clock::Clock;
use crate::compiled::{Compiled, FromStore};
use crate::config::{KeyOrigin, Keys, Settings, Sources, load_profiles};
use crate::delivery::dns::{self, DnsResolver, Resolver};
use crate::delivery::http::{ClientConfig, HttpClient, PoolLimits};
use crate::descriptors::{self, Shares};
use crate::dispatch::dispatcher::{Dispatcher, Tools};
use crate::ids::Ids;
use crate::listener;
use crate::maintenance::{self, Retention};
use crate::memory_budget::{COPIES, MemoryBudget, Use};
use crate::metrics::Metrics;
use crate::observer::{Names, Observer};
use crate::panics::{self, Part};
use crate::portal;
use crate::profiles_in_use;
use crate::trusted_clock::TrustedClock;
use crate::vault::Vault;

/// A running server.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// The key that may do everything.
    pub admin_key: String,
    pub admin_key_origin: KeyOrigin,
    pub master_key_origin: KeyOrigin,
    pub app: Arc<App>,
    store: Store,
    dispatcher: Arc<Dispatcher>,
    leave: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    listening: JoinSet<()>,
    drain: Duration,
    shutdown_delay: Duration,
}

impl Server {
    /// Starts a server; it answers requests when this returns.
    ///
    /// # Errors
    /// Settings that cannot be used, a store that cannot be opened, a wrong master key, an address in use.
    pub async fn start(sources: &Sources, clock: Arc<dyn Clock>) -> anyhow::Result<Server> {
        panics::count_all();
        let settings = Settings::new(sources)?;
        let mut profiles = load_profiles(settings.profiles_dir.as_deref())?;
        if settings.https_only {
            profiles = profiles.https_only();
        }
        let profiles = Arc::new(profiles.sent_from(settings.base_authority()));
        // All that can be known beforehand, so that a start that fails leaves nothing behind.
        if profiles.get(&settings.profile).is_none() {
            return Err(StartError::Profile(settings.profile).into());
        }
        Keys::check(&settings.data, sources.admin_key.as_deref(), sources.master_key.as_deref())?;
        let listener = TcpListener::bind(settings.listen).await.with_context(|| {
            format!("cannot listen on {}; --listen (or FANFARE_LISTEN) chooses another address", settings.listen)
        })?;
        make_directory(&settings.data)?;
        refuse_emptied(&settings.data)?;
        let (store, joined) = open_store(&settings, &clock).await?;
        let kept = store.clone();
        let started = Self::over(store, joined, listener, &settings, sources, profiles, clock).await;
        if started.is_err() {
            // Its threads and its lock end now, and not when the process does.
            tokio::task::spawn_blocking(move || kept.close()).await?;
        }
        started
    }

    /// Starts a server over an open store.
    async fn over(
        store: Store,
        joined: Joined,
        listener: TcpListener,
        settings: &Settings,
        sources: &Sources,
        profiles: Arc<Profiles>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Server> {
        let address = listener.local_addr()?;
        profiles_in_use::check(&store, &profiles).await?;
        let descriptors = descriptors::divide(descriptors::raise());
        let sealed = Vault::is_bound(&store).await?;
        let keys = Keys::load(&settings.data, sources.admin_key.as_deref(), sources.master_key.as_deref(), sealed)?;
        let vault = Vault::new(&keys.master);

        let egress = settings.egress.clone().with_own_listeners([address]);
        let lookups = (descriptors.lookups / dns::SOCKETS_PER_LOOKUP).clamp(1, dns::MAX_LOOKUPS);
        let resolver: Arc<dyn Resolver> = Arc::new(DnsResolver::from_system(lookups)?);
        let http = HttpClient::new(ClientConfig {
            egress: egress.clone(),
            resolver: Arc::clone(&resolver),
            extra_roots: settings.extra_roots.clone(),
            proxy: settings.egress_proxy.clone(),
            pool: PoolLimits { total: settings.kept_connections.min(descriptors.kept), ..PoolLimits::default() },
        })?;
        let source = Arc::new(FromStore { store: store.clone(), vault: vault.clone() });
        let compiled = Compiled::load(source, Arc::clone(&profiles), settings.webhook_concurrency).await?;
        let latest_trusted = maintenance::latest_trusted(&store).await?;
        let trusted_clock = Arc::new(TrustedClock::start(Arc::clone(&clock), latest_trusted));
        let memory = MemoryBudget::new(settings.memory_bytes);
        let limits = limits(settings, &memory, descriptors);
        let ids = Arc::new(Ids::new(joined.number, joined.newest_id, Arc::clone(&clock)));
        let dispatcher = Dispatcher::new(
            Tools {
                store: store.clone(),
                node: joined.node,
                clock: Arc::clone(&clock),
                trusted_clock,
                ids: Arc::clone(&ids),
                compiled: Arc::new(compiled),
                http,
                metrics: Arc::new(Metrics::default()),
                supervisor: Arc::default(),
                memory,
                runtime: Handle::current(),
            },
            limits,
            settings.log_bytes_per_day,
        );
        let (leave, leaving) = watch::channel(false);
        let (stop, stopped) = watch::channel(false);
        let jobs = Arc::new(Notify::new());
        let app = App::start(Parts {
            store: store.clone(),
            node: joined.node,
            clock: Arc::clone(&clock),
            ids,
            vault,
            profiles,
            default_profile: settings.profile.clone(),
            egress: Arc::new(egress),
            names: Arc::new(Names(resolver)),
            observer: Arc::new(Observer::new(Arc::clone(&dispatcher))),
            dispatcher: Arc::clone(&dispatcher),
            max_event_bytes: settings.max_event_bytes,
            base_url: if sources.base_url.is_some() { settings.base_url.clone() } else { format!("http://{address}") },
            jobs: Arc::clone(&jobs),
            leaving,
            stopping: stopped.clone(),
            max_grants: settings.max_grants,
            admin_key: keys.admin.clone(),
        })
        .await?;
        let app = Arc::new(app);
        let days = settings.retention.as_secs() / 86_400;
        profiles_in_use::say_what_is_not_kept(&store, &app.profiles, days).await?;
        dispatcher.resume().await?;

        let mut tasks = JoinSet::new();
        tasks.spawn(supervised(Arc::clone(&dispatcher), Part::Timer, Dispatcher::keep_time));
        let retention =
            Retention { default: settings.retention, deliveries_per_webhook: settings.retention_deliveries };
        let until = stopped.clone();
        tasks.spawn(supervised(Arc::clone(&dispatcher), Part::Jobs, move |dispatcher| {
            maintenance::jobs::run(dispatcher, Arc::clone(&jobs), until.clone())
        }));
        tasks.spawn(maintenance::run(Arc::clone(&dispatcher), joined.dead, retention));
        let mut listening = JoinSet::new();
        listening.spawn(listener::serve(
            listener,
            api::router(&app).merge(portal::router(&app)),
            settings.trusted_proxies.clone(),
            Arc::clone(&app.request_log),
            descriptors.clients,
            stopped,
        ));
        Ok(Server {
            address,
            admin_key: keys.admin,
            admin_key_origin: keys.admin_origin,
            master_key_origin: keys.master_origin,
            app,
            store,
            dispatcher,
            leave,
            stop,
            tasks,
            listening,
            drain: settings.drain,
            shutdown_delay: settings.shutdown_delay,
        })
    }

    /// Waits until the server listens no more though nobody stopped it, which is a fault of its own.
    pub async fn failed(&mut self) {
        let _ = self.listening.join_next().await;
    }

    /// Says that it is not ready any more, and goes on serving: whoever sends requests here has time to see it. Answers how
    /// long that should be.
    pub fn leave(&self) -> Duration {
        let _ = self.leave.send(true);
        self.shutdown_delay
    }

    /// Stops: takes no new requests, finishes those under way, gives leases back, writes what waits. Answers whether
    /// everything under way was finished in time; what was not is taken over at the next start.
    pub async fn stop(mut self) -> bool {
        // Nobody listens any more where the listener ended by itself.
        let _ = self.stop.send(true);
        let answered = async { while self.listening.join_next().await.is_some() {} };
        let (drained, ()) = tokio::join!(self.dispatcher.drain(self.drain), answered);
        self.app.background.drain().await;
        let store = self.store.clone();
        // Closing waits for the writer's thread.
        let closed = tokio::task::spawn_blocking(move || store.close()).await;
        self.tasks.shutdown().await;
        drained && closed.is_ok()
    }
}

/// A part of the dispatcher's that is started again where it panics.
async fn supervised<F: Future<Output = ()>>(
    dispatcher: Arc<Dispatcher>,
    part: Part,
    start: impl Fn(Arc<Dispatcher>) -> F,
) {
    dispatcher.tools.supervisor.run(part, || start(Arc::clone(&dispatcher))).await;
}

/// The limits of the scheduler: no more requests under way than there are file descriptors for.
fn limits(settings: &Settings, memory: &MemoryBudget, descriptors: Shares) -> Limits {
    let in_flight = settings.concurrency.min(descriptors.in_flight);
    if in_flight < settings.concurrency {
        let wanted = settings.concurrency;
        tracing::warn!(
            wanted,
            in_flight,
            "the limit of open files allows fewer requests at once; raise it (LimitNOFILE)"
        );
    }
    let bytes = memory.limit(Use::Deliveries) / COPIES;
    // Where larger ones are allowed, not many claims could be made at once if each kept memory free for one.
    let largest = settings.max_event_bytes.min(bytes / 8);
    Limits { in_flight, bytes, largest, ..Limits::default() }
}

fn make_directory(path: &Path) -> anyhow::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).with_context(|| format!("cannot make the data directory {}", path.display()))
}

/// Refuses an empty database beside keys that were made for one. A start makes the keys after its first commit, so that
/// something else emptied it: a disk that was full, a copy that broke off. To start on it would hide that all is gone.
fn refuse_emptied(data: &Path) -> anyhow::Result<()> {
    let database = data.join("fanfare.db");
    let is_empty = std::fs::metadata(&database).is_ok_and(|file| file.len() == 0);
    match Keys::FILES.into_iter().find(|key| is_empty && data.join(key).exists()) {
        Some(key) => anyhow::bail!(
            "{} is empty, but the file {key} beside it says that there was a database; restore a backup \
             (fanfare restore), or remove the empty file to start anew",
            database.display()
        ),
        None => Ok(()),
    }
}

async fn open_store(settings: &Settings, clock: &Arc<dyn Clock>) -> anyhow::Result<(Store, Joined)> {
    let (directory, clock) = (settings.data.clone(), Arc::clone(clock));
    let open = move || Store::open(&directory, fanfare_store::sqlite::Limits::default(), Arc::new(move || clock.now()));
    Ok(tokio::task::spawn_blocking(open).await??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emptied_database_is_no_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("fanfare.db");
        assert!(refuse_emptied(directory.path()).is_ok());
        std::fs::write(&database, "").unwrap();
        assert!(refuse_emptied(directory.path()).is_ok(), "a first start broke off");
        std::fs::write(directory.path().join("master-key"), "k").unwrap();
        let said = refuse_emptied(directory.path()).unwrap_err().to_string();
        assert!(said.contains("fanfare.db is empty") && said.contains("fanfare restore"), "{said}");
        std::fs::write(&database, "data").unwrap();
        assert!(refuse_emptied(directory.path()).is_ok());
    }
}
