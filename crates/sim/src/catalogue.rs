//! Who takes part: organizations, their webhooks, and what is set of them at this moment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fanfare_engine::id::{OrganizationId, WebhookId};
use fanfare_engine::retry::RetryPolicy;
use fanfare_engine::scheduler::LaneConfig;
use fanfare_engine::webhook::{RateLimit, Status};

use crate::chance::Chance;
use crate::plan::{Beside, Cast};
use crate::receiver::Manner;

/// The organization that floods, where there is one.
pub(crate) const FLOODING: OrganizationId = OrganizationId(1);
/// The organization whose receivers hang, where there is one.
const HANGING: OrganizationId = OrganizationId(2);
/// The organization most of whose receivers are slow, where there is one.
const SLOW: OrganizationId = OrganizationId(3);
/// Organizations with a quiet webhook each.
const QUIET: std::ops::RangeInclusive<i64> = 11..=14;
/// Organizations whose receivers hang, where there are many.
pub(crate) const MANY_HANGING: std::ops::RangeInclusive<i64> = 101..=150;
/// Webhooks of an organization whose receivers hang.
const HANGING_WEBHOOKS: usize = 6;
/// Slow webhooks, and quiet ones in the same organization.
const SLOW_WEBHOOKS: usize = 36;
const BESIDE_SLOW: usize = 4;
/// The organization that posts steadily while others catch up, and those that do.
pub(crate) const STEADY: OrganizationId = OrganizationId(21);
pub(crate) const RETURNING: std::ops::RangeInclusive<i64> = 31..=42;
/// How long slow receivers take, at most, in milliseconds.
const SLOW_TAKES: i64 = 5_000;

/// A webhook as it is set now.
#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    pub(crate) id: WebhookId,
    pub(crate) organization: OrganizationId,
    pub(crate) status: Status,
    pub(crate) concurrency: u32,
    /// What the concurrency was before the last change, until the process knows of the change.
    pub(crate) concurrency_before: u32,
    pub(crate) rate: Option<RateLimit>,
    /// Gets events whose kind's number, modulo this, is 0.
    pub(crate) every: u32,
    pub(crate) retry: RetryPolicy,
    pub(crate) manner: Manner,
}

/// Everything that is set. It is durable: a crash takes nothing of it.
#[derive(Clone, Debug)]
pub(crate) struct Catalogue {
    pub(crate) organizations: Vec<OrganizationId>,
    webhooks: BTreeMap<WebhookId, Webhook>,
    /// Whose each webhook is or was.
    owners: BTreeMap<WebhookId, OrganizationId>,
    /// Organizations for which everything is held.
    pub(crate) held: BTreeSet<OrganizationId>,
    /// Webhooks that took no events at some time: their deliveries may be skipped.
    pub(crate) once_inactive: BTreeSet<WebhookId>,
    /// Webhooks whose deliveries must not be delayed by others.
    pub(crate) quiet: BTreeSet<WebhookId>,
}

impl Catalogue {
    pub(crate) fn draw(cast: Cast, span: i64, chance: &mut Chance) -> Self {
        let mut catalogue = Catalogue {
            organizations: Vec::new(),
            webhooks: BTreeMap::new(),
            owners: BTreeMap::new(),
            held: BTreeSet::new(),
            once_inactive: BTreeSet::new(),
            quiet: BTreeSet::new(),
        };
        match cast {
            Cast::Mixed => {
                for organization in 1..=chance.between(2, 4) {
                    for _ in 0..chance.between(1, 4) {
                        catalogue.add(OrganizationId(organization), |id, organization| {
                            mixed(id, organization, span, chance)
                        });
                    }
                }
            }
            Cast::Neighbours(beside) => catalogue.add_neighbours(beside),
            Cast::CatchUp { returns } => {
                catalogue.add_quiet(STEADY);
                for organization in RETURNING.filter(|_| returns).map(OrganizationId) {
                    catalogue.add(organization, |id, organization| Webhook {
                        status: Status::Paused,
                        ..neighbour(id, organization, Manner::Fine)
                    });
                }
            }
        }
        catalogue
    }

    fn add_neighbours(&mut self, beside: Beside) {
        QUIET.for_each(|organization| self.add_quiet(OrganizationId(organization)));
        let hangs = |id, organization| neighbour(id, organization, Manner::Hangs);
        match beside {
            Beside::Nobody => {}
            Beside::FloodAndHanging => {
                self.add(FLOODING, |id, organization| neighbour(id, organization, Manner::Fine));
                (0..HANGING_WEBHOOKS).for_each(|_| self.add(HANGING, hangs));
            }
            Beside::ManyHanging => {
                for organization in MANY_HANGING.map(OrganizationId) {
                    (0..HANGING_WEBHOOKS).for_each(|_| self.add(organization, hangs));
                }
            }
            Beside::SlowWebhooks | Beside::SlowWebhooksLittleMemory => {
                let slow = |id, organization| neighbour(id, organization, Manner::Slow(SLOW_TAKES));
                (0..SLOW_WEBHOOKS).for_each(|_| self.add(SLOW, slow));
                (0..BESIDE_SLOW).for_each(|_| self.add_quiet(SLOW));
            }
        }
    }

    fn add_quiet(&mut self, organization: OrganizationId) {
        self.add(organization, |id, organization| neighbour(id, organization, Manner::Fine));
        self.quiet.extend(self.webhooks.last_key_value().map(|(id, _)| *id));
    }

    fn add(&mut self, organization: OrganizationId, make: impl FnOnce(WebhookId, OrganizationId) -> Webhook) {
        if !self.organizations.contains(&organization) {
            self.organizations.push(organization);
        }
        let id = WebhookId(self.webhooks.len() as i64 + 101);
        self.webhooks.insert(id, make(id, organization));
        self.owners.insert(id, organization);
    }

    /// Whose a webhook is or was.
    pub(crate) fn organization_of(&self, id: WebhookId) -> Option<OrganizationId> {
        self.owners.get(&id).copied()
    }

    pub(crate) fn webhook(&self, id: WebhookId) -> Option<&Webhook> {
        self.webhooks.get(&id)
    }

    pub(crate) fn webhook_mut(&mut self, id: WebhookId) -> Option<&mut Webhook> {
        self.webhooks.get_mut(&id)
    }

    pub(crate) fn ids(&self) -> Vec<WebhookId> {
        self.webhooks.keys().copied().collect()
    }

    pub(crate) fn of(&self, organization: OrganizationId) -> Vec<WebhookId> {
        self.webhooks
            .values()
            .filter(|webhook| webhook.organization == organization)
            .map(|webhook| webhook.id)
            .collect()
    }

    pub(crate) fn delete(&mut self, id: WebhookId) {
        self.webhooks.remove(&id);
        self.once_inactive.insert(id);
    }

    pub(crate) fn set_status(&mut self, id: WebhookId, status: Status) {
        if let Some(webhook) = self.webhooks.get_mut(&id) {
            webhook.status = status;
            if !status.takes_events() {
                self.once_inactive.insert(id);
            }
        }
    }

    /// What the scheduler is to know of a webhook.
    pub(crate) fn lane(&self, webhook: &Webhook) -> LaneConfig {
        LaneConfig {
            organization: webhook.organization,
            concurrency: webhook.concurrency,
            rate: webhook.rate,
            held: webhook.status == Status::Paused || self.held.contains(&webhook.organization),
            at_most_once: webhook.retry.stop_after_unknown,
        }
    }

    /// The webhooks that get an event of this kind.
    pub(crate) fn matching(&self, organization: OrganizationId, kind: u32) -> Vec<&Webhook> {
        let wants = |webhook: &&Webhook| {
            webhook.organization == organization && webhook.status.takes_events() && kind.is_multiple_of(webhook.every)
        };
        self.webhooks.values().filter(wants).collect()
    }
}

fn mixed(id: WebhookId, organization: OrganizationId, span: i64, chance: &mut Chance) -> Webhook {
    let concurrency = chance.pick(&[1, 2, 4]);
    let retries = chance.index(5);
    let delays = [200, 2_000, 10_000, 60_000].into_iter().take(retries).map(Duration::from_millis).collect();
    Webhook {
        id,
        organization,
        status: Status::Active,
        concurrency,
        concurrency_before: concurrency,
        rate: chance.percent(30).then(|| {
            chance.pick(&[
                RateLimit::PerMinute(20),
                RateLimit::PerSecond(1),
                RateLimit::PerSecond(3),
                RateLimit::PerSecond(10),
            ])
        }),
        every: chance.pick(&[1, 1, 2]),
        retry: RetryPolicy {
            delays,
            jitter: 0.2,
            honour_retry_after: true,
            stop_after_unknown: chance.percent(25),
            disable_on_410: true,
        },
        manner: Manner::draw(chance, span),
    }
}

fn neighbour(id: WebhookId, organization: OrganizationId, manner: Manner) -> Webhook {
    let retry = RetryPolicy {
        delays: vec![Duration::from_secs(1), Duration::from_secs(5)],
        jitter: 0.2,
        honour_retry_after: true,
        stop_after_unknown: false,
        disable_on_410: true,
    };
    Webhook {
        id,
        organization,
        status: Status::Active,
        concurrency: 8,
        concurrency_before: 8,
        rate: None,
        every: 1,
        retry,
        manner,
    }
}
