//! Puts the scheduler to work: tells it facts, carries out its commands, wakes it when time has come.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fanfare_engine::attempt::Outcome;
use fanfare_engine::id::{NodeId, OrganizationId, WebhookId};
use fanfare_engine::log_allowance::LogAllowance;
use fanfare_engine::scheduler::{Command, Figures, Input, Job, LaneConfig, Limits, Scheduler};
use fanfare_engine::time::Timestamp;
use fanfare_flow::claim::Wanted;
use fanfare_store::Store;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, broadcast};

use super::tails::Tails;
use super::updates::DeliveryUpdate;
use super::{backlog, runner};
use crate::clock::Clock;
use crate::compiled::Compiled;
use crate::delivery::http::HttpClient;
use crate::ids::Ids;
use crate::memory_budget::MemoryBudget;
use crate::metrics::Metrics;
use crate::panics::Supervisor;
use crate::trusted_clock::TrustedClock;

/// Longest sleep between two looks at the clock, so that a clock that is set forward is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// Updates that a listener may fall behind before it loses some.
const UPDATES: usize = 4_096;

/// What the dispatcher works with.
pub struct Tools {
    pub store: Store,
    pub node: NodeId,
    pub clock: Arc<dyn Clock>,
    /// For what removes or disables things because of their age.
    pub trusted_clock: Arc<TrustedClock>,
    pub ids: Arc<Ids>,
    pub compiled: Arc<Compiled>,
    pub http: HttpClient,
    pub metrics: Arc<Metrics>,
    pub supervisor: Arc<Supervisor>,
    pub memory: MemoryBudget,
    pub runtime: Handle,
}

/// The scheduler with hands and feet.
pub struct Dispatcher {
    pub tools: Tools,
    scheduler: Mutex<Scheduler>,
    /// The time to wake up may have moved forward.
    rescheduled: Notify,
    /// How many tellers have not yet carried out what follows from what they told.
    telling: AtomicUsize,
    draining: AtomicBool,
    /// Something was told and carried out while draining.
    stepped: Notify,
    updates: broadcast::Sender<Arc<DeliveryUpdate>>,
    pub(super) tails: Tails,
    log_allowance: Mutex<LogAllowance>,
}

/// Lasts until what was told is carried out, too; a panic ends it as well, so that a drain does not wait for it.
struct Telling<'a>(&'a Dispatcher);

impl<'a> Telling<'a> {
    fn begin(dispatcher: &'a Dispatcher) -> Self {
        dispatcher.telling.fetch_add(1, Ordering::SeqCst);
        Telling(dispatcher)
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        self.0.telling.fetch_sub(1, Ordering::SeqCst);
        if self.0.draining.load(Ordering::SeqCst) {
            self.0.stepped.notify_waiters();
        }
    }
}

impl Dispatcher {
    /// A dispatcher with nothing to do. [`Dispatcher::resume`] finds what waits in the store.
    ///
    /// `log_bytes_per_day` is what responses of one organization's receivers may add to the log in a day.
    pub fn new(tools: Tools, limits: Limits, log_bytes_per_day: usize) -> Arc<Self> {
        let (updates, _) = broadcast::channel(UPDATES);
        Arc::new(Dispatcher {
            tools,
            scheduler: Mutex::new(Scheduler::new(limits)),
            rescheduled: Notify::new(),
            telling: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            stepped: Notify::new(),
            updates,
            tails: Tails::default(),
            log_allowance: Mutex::new(LogAllowance::new(log_bytes_per_day)),
        })
    }

    /// Tells the scheduler what waits in the store, from before this start.
    pub async fn resume(self: &Arc<Self>) -> fanfare_store::StoreResult<usize> {
        let waiting = self.tools.store.read(fanfare_store::log::waiting_webhooks()).await?;
        let count = waiting.len();
        for (webhook, due) in waiting {
            self.tell(Input::Stored { webhook, config: None, due });
        }
        Ok(count)
    }

    /// Asks for room for a new delivery; see [`Scheduler::admit`].
    pub fn admit(&self, webhook: WebhookId, config: LaneConfig, weight: usize) -> bool {
        self.scheduler.lock().admit(self.tools.clock.now(), webhook, config, weight)
    }

    /// Tells a fact, and does what follows from it.
    pub fn tell(self: &Arc<Self>, input: Input) {
        self.tell_all(std::iter::once(input));
    }

    /// Tells facts, and does what follows from them.
    pub fn tell_all(self: &Arc<Self>, inputs: impl IntoIterator<Item = Input>) {
        let _telling = Telling::begin(self);
        for command in self.step(inputs) {
            self.carry_out(command);
        }
    }

    /// Tells that a request is over. Answers a further one for the same task to make, so that a busy receiver costs no
    /// new task for each request.
    pub(super) fn tell_sent(self: &Arc<Self>, input: Input) -> Option<Job> {
        let mut next = None;
        let _telling = Telling::begin(self);
        for command in self.step(std::iter::once(input)) {
            match command {
                Command::Send(job) if next.is_none() => next = Some(job),
                other => self.carry_out(other),
            }
        }
        next
    }

    fn step(&self, inputs: impl IntoIterator<Item = Input>) -> Vec<Command> {
        let now = self.tools.clock.now();
        let mut commands = Vec::new();
        let (before, after) = {
            let mut scheduler = self.scheduler.lock();
            let before = scheduler.next_wakeup();
            for input in inputs {
                scheduler.step(now, input, &mut commands);
            }
            (before, scheduler.next_wakeup())
        };
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.rescheduled.notify_one();
        }
        commands
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the scheduler counts what it has sent, and the drain waits until all of it is recorded"
    )]
    pub(super) fn carry_out(self: &Arc<Self>, command: Command) {
        match command {
            Command::Send(job) => {
                self.tools.runtime.spawn(runner::run(Arc::clone(self), job));
            }
            Command::Claim { webhook, limit, max_bytes, slots } => {
                let wanted = Wanted { webhook, limit, max_bytes, slots };
                self.tools.runtime.spawn(backlog::claim(Arc::clone(self), wanted));
            }
            Command::Release { webhook, leases } => backlog::release(self, webhook, &leases),
        }
    }

    /// Wakes the scheduler whenever its time has come. Runs until the task is dropped.
    pub async fn keep_time(self: Arc<Self>) {
        loop {
            let next = self.scheduler.lock().next_wakeup();
            let wait = next.map_or(LONGEST_SLEEP, |at| at.since(self.tools.clock.now()).min(LONGEST_SLEEP));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.rescheduled.notified() => {}
            }
            self.tick();
        }
    }

    /// Looks at the clock now.
    pub fn tick(self: &Arc<Self>) {
        let now = self.tools.clock.now();
        if self.scheduler.lock().next_wakeup().is_some_and(|at| at <= now) {
            self.tell(Input::Tick);
        }
    }

    /// Starts nothing new, gives leases back, and waits until what is under way is recorded or `limit` has passed.
    /// Answers whether all of it was.
    pub async fn drain(self: &Arc<Self>, limit: Duration) -> bool {
        self.draining.store(true, Ordering::SeqCst);
        self.tell(Input::Drain);
        tokio::time::timeout(limit, async {
            loop {
                let stepped = self.stepped.notified();
                // What was told last may yet have leases to give back.
                if self.scheduler.lock().is_drained() && self.telling.load(Ordering::SeqCst) == 0 {
                    return;
                }
                stepped.await;
            }
        })
        .await
        .is_ok()
    }

    /// Until when a webhook gets nothing because its receiver asked for that; see [`Scheduler::backs_off_until`].
    pub fn backs_off_until(&self, webhook: WebhookId) -> Option<Timestamp> {
        self.scheduler.lock().backs_off_until(self.tools.clock.now(), webhook)
    }

    /// How many webhooks get nothing because their receivers asked for that.
    pub fn backing_off(&self) -> usize {
        self.scheduler.lock().backing_off(self.tools.clock.now())
    }

    /// Figures for the metrics.
    pub fn figures(&self) -> Figures {
        self.scheduler.lock().figures()
    }

    /// When the oldest delivery that should have been sent was due; `None` where nothing is late.
    pub fn oldest_due(&self) -> Option<Timestamp> {
        self.scheduler.lock().oldest_due(self.tools.clock.now())
    }

    /// Deliveries as they change, from now on.
    pub fn updates(&self) -> broadcast::Receiver<Arc<DeliveryUpdate>> {
        self.updates.subscribe()
    }

    /// Whether a response of so many bytes is logged whole.
    pub(super) fn may_log(&self, organization: OrganizationId, outcome: Outcome, bytes: usize) -> bool {
        self.log_allowance.lock().take(self.tools.clock.now(), organization, outcome, bytes)
    }

    /// Tells whoever listens of a delivery's change.
    pub(super) fn announce(&self, update: impl FnOnce() -> DeliveryUpdate) {
        if self.updates.receiver_count() > 0 {
            // Nobody may listen any more; then there is nobody to tell.
            let _ = self.updates.send(Arc::new(update()));
        }
    }

    /// An organization was removed: what waits for its webhooks is skipped, also what is held or due later.
    pub async fn organization_removed(self: &Arc<Self>, organization: OrganizationId) {
        // Of what is due later the scheduler knows no organization.
        let own: HashSet<WebhookId> = match self
            .tools
            .store
            .read(fanfare_store::catalogue::webhooks::ids(organization))
            .await
        {
            Ok(ids) => ids.into_iter().collect(),
            Err(error) => {
                tracing::warn!(%organization, %error, "what waits for a removed organization is skipped when it is due");
                return;
            }
        };
        let webhooks = self.scheduler.lock().webhooks();
        for webhook in webhooks.into_iter().filter(|webhook| own.contains(webhook)) {
            self.look_anew(webhook);
        }
    }

    /// Everything may have changed: every webhook with anything to do is looked at anew.
    pub async fn all_changed(self: &Arc<Self>) {
        let webhooks = self.scheduler.lock().webhooks();
        for webhook in webhooks {
            self.webhook_changed(webhook).await;
        }
    }

    /// A webhook was edited: the same, and nothing that its receiver asked for before holds any more.
    pub async fn webhook_edited(self: &Arc<Self>, webhook: WebhookId) {
        self.tell(Input::Edited { webhook });
        self.webhook_changed(webhook).await;
    }

    /// A webhook changed: what waits for it is dealt with under its new settings.
    pub async fn webhook_changed(self: &Arc<Self>, webhook: WebhookId) {
        match self.tools.compiled.webhook(webhook).await {
            Ok(Some(compiled)) if compiled.webhook.status.takes_events() => {
                self.tell(Input::Configured { webhook, config: compiled.lane() });
            }
            // What waits is skipped when it is claimed, which a pause would prevent.
            Ok(_) => self.look_anew(webhook),
            Err(error) => {
                tracing::warn!(%webhook, %error, "a changed webhook could not be read; it is read when it is claimed for");
                self.look_anew(webhook);
            }
        }
    }

    /// Has the next claim read a webhook's settings, whatever was known of them.
    fn look_anew(self: &Arc<Self>, webhook: WebhookId) {
        self.tell_all([
            Input::Configured { webhook, config: LaneConfig::UNKNOWN },
            Input::Stored { webhook, config: None, due: self.tools.clock.now() },
        ]);
    }
}
