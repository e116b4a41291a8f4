//! A webhook ready for use: what it wants, what it is sent, how it is retried.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fanfare_engine::egress::{Endpoint, parse_endpoint};
use fanfare_engine::health::{HealthPolicy, Streak};
use fanfare_engine::matching::{Interest, Wants};
use fanfare_engine::profile::{IdForm, Profile, Profiles};
use fanfare_engine::render::Plan;
use fanfare_engine::retry::RetryPolicy;
use fanfare_engine::scheduler::LaneConfig;
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::{Status, Webhook};
use parking_lot::Mutex;

use super::holds::HeldNow;
use super::senders::Senders;
use super::{Revoked, StoredWebhook};

/// In `allowed_at_once`: as many as the webhook's concurrency.
const ALL: u32 = u32::MAX;
/// While a webhook fails, this is noted again and again, so that what is lost when the server dies is little.
const NOTE_AGAIN: Duration = Duration::from_secs(15 * 60);

/// Why nothing can be sent to a webhook as it is set up; for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsendable(pub String);

/// See the module.
pub struct CompiledWebhook {
    pub webhook: Webhook,
    pub interest: Interest,
    /// But for what is held from outside.
    lane: LaneConfig,
    /// Where its requests go; empty where nothing can be sent.
    pub(super) host: Box<str>,
    holds: Arc<HeldNow>,
    /// Whether its owner may still have it; else why not.
    pub access: Result<(), Revoked>,
    /// Why nothing can be sent.
    unsendable: Option<Box<Unsendable>>,
    profile: Option<Arc<Profile>>,
    senders: Arc<Senders>,
    /// Its name among the senders.
    name: u64,
    /// How many requests at once its receiver allows over one connection, where that is less than its concurrency.
    allowed_at_once: AtomicU32,
    /// How its last attempts failed; `None` where the last one succeeded or none was made. Boxed, since few fail.
    failures: Mutex<Option<Box<Failures>>>,
}

/// Attempts that failed one after the other.
struct Failures {
    streak: Streak,
    /// When that was noted in the store, if it was.
    noted: Option<Timestamp>,
}

/// What follows from an attempt's end for how a webhook does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Noted {
    /// The attempts that failed up to now, this one among them.
    pub streak: Option<Streak>,
    /// What is to be kept: since when every attempt has failed and when the last one did, or that one succeeded.
    pub keep: Option<Option<(Timestamp, Timestamp)>>,
}

/// What is needed to send.
pub struct Sender {
    pub profile: Arc<Profile>,
    pub plan: Plan,
    pub endpoint: Arc<Endpoint>,
    pub url: Arc<str>,
    pub retry: RetryPolicy,
    pub health: HealthPolicy,
    pub connect_timeout: Duration,
    pub timeout: Duration,
    pub capture_limit: usize,
}

impl CompiledWebhook {
    /// Works out everything that does not change from one delivery to the next.
    pub(super) fn compile(
        stored: StoredWebhook,
        access: Result<(), Revoked>,
        profiles: &Profiles,
        holds: &Arc<HeldNow>,
        concurrency: u32,
        senders: &Arc<Senders>,
    ) -> Self {
        let StoredWebhook { webhook, unreadable } = stored;
        let profile = profiles.get(&webhook.profile);
        // Made to see whether it can be; kept once it is used.
        let sender = match (profile, unreadable) {
            (Some(_), Some(reason)) => Err(Unsendable(format!(
                "its secret and other credentials cannot be read ({reason}); restore a backup, or delete the webhook"
            ))),
            (Some(profile), None) => Sender::compile(profile, &webhook),
            (None, _) => Err(Unsendable(format!("the profile {} is not there any more", webhook.profile))),
        };
        let host = sender.as_ref().map_or(String::new(), |sender| sender.endpoint.host().to_string());
        if let (Err(Unsendable(reason)), true) = (&sender, webhook.status.takes_events()) {
            tracing::warn!(webhook = %webhook.id, reason, "a webhook cannot be sent to; its deliveries wait");
        }
        CompiledWebhook {
            interest: profile.map_or_else(nothing, |profile| Interest::of(profile, &webhook.settings)),
            lane: LaneConfig {
                organization: webhook.organization,
                concurrency,
                rate: webhook.settings.rate_limit,
                held: webhook.status == Status::Paused || sender.is_err(),
                at_most_once: sender.as_ref().is_ok_and(|sender| sender.retry.stop_after_unknown),
            },
            host: host.into(),
            holds: Arc::clone(holds),
            unsendable: sender.err().map(Box::new),
            profile: profile.map(Arc::clone),
            senders: Arc::clone(senders),
            name: senders.name(),
            allowed_at_once: AtomicU32::new(ALL),
            failures: Mutex::new(noted_failures(&webhook)),
            webhook,
            access,
        }
    }

    /// What the scheduler must know of it at this moment.
    pub fn lane(&self) -> LaneConfig {
        let Webhook { project, organization, .. } = self.webhook;
        let held = self.lane.held || self.holds.covers(project, organization, &self.host);
        let concurrency = self.lane.concurrency.min(self.allowed_at_once.load(Ordering::Relaxed));
        LaneConfig { held, concurrency, ..self.lane }
    }

    /// Whether people may send its deliveries again.
    pub fn is_sent_by_hand(&self) -> bool {
        self.profile.as_ref().is_none_or(|profile| profile.retry.by_hand)
    }

    /// How to send; else why that cannot be done.
    pub fn sender(&self) -> Result<Arc<Sender>, Unsendable> {
        match (&self.unsendable, &self.profile) {
            (Some(reason), _) => Err(Unsendable::clone(reason)),
            (None, Some(profile)) => self.senders.get(self.name, || Sender::compile(profile, &self.webhook)),
            (None, None) => Err(Unsendable(format!("the profile {} is not there any more", self.webhook.profile))),
        }
    }

    /// Notes how many requests at once the receiver allows over one connection; `None` where it sets no limit. Returns whether
    /// [`CompiledWebhook::lane`] has changed.
    pub fn note_allowed(&self, at_once: Option<u32>) -> bool {
        let to = at_once.filter(|limit| *limit < self.lane.concurrency).map_or(ALL, |limit| limit.max(1));
        let from = self.allowed_at_once.load(Ordering::Relaxed);
        from != to && self.allowed_at_once.swap(to, Ordering::Relaxed) != to
    }

    /// Notes an attempt's end.
    pub fn note_attempt(&self, success: bool, now: Timestamp) -> Noted {
        let mut failures = self.failures.lock();
        if success {
            let keep = failures.take().and_then(|failures| failures.noted).map(|_| None);
            return Noted { streak: None, keep };
        }
        let policy = self.profile.as_ref().map_or(HealthPolicy { after: None }, |profile| profile.health_policy());
        let failures = match &mut *failures {
            Some(failures) => {
                failures.streak.go_on(&policy, now);
                failures
            }
            none => none.insert(Box::new(Failures { streak: Streak::start(now), noted: None })),
        };
        let streak = failures.streak;
        let is_due = failures.noted.is_none_or(|noted| now.since(noted) >= NOTE_AGAIN);
        let keep = streak.failing_since().filter(|_| is_due).map(|since| Some((since, streak.last())));
        if keep.is_some() {
            failures.noted = Some(now);
        }
        Noted { streak: Some(streak), keep }
    }
}

fn noted_failures(webhook: &Webhook) -> Option<Box<Failures>> {
    let since = webhook.failing_since?;
    let last = webhook.failed_at.unwrap_or(since);
    Some(Box::new(Failures { streak: Streak::noted(since, last), noted: Some(last) }))
}

/// What a webhook gets whose profile is not there.
fn nothing() -> Interest {
    Interest { wants: Wants::Only(Vec::new()), filter: None, id_form: IdForm::Text }
}

impl Sender {
    fn compile(profile: &Arc<Profile>, webhook: &Webhook) -> Result<Self, Unsendable> {
        let unsendable = |error: String| Unsendable(error);
        let plan = Plan::compile(profile, webhook).map_err(|error| unsendable(error.to_string()))?;
        let endpoint =
            parse_endpoint(&webhook.settings.url, &profile.schemes).map_err(|error| unsendable(error.to_string()))?;
        Ok(Sender {
            plan,
            url: Arc::from(endpoint.url()),
            endpoint: Arc::new(endpoint),
            retry: profile.retry_policy(&webhook.settings),
            health: profile.health_policy(),
            connect_timeout: profile.timeouts.connect,
            timeout: profile.exchange_timeout(&webhook.settings),
            capture_limit: profile.log.captured_bytes,
            profile: Arc::clone(profile),
        })
    }
}
