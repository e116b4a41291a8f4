//! What changed of organizations since they were compiled.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};

use fanfare_engine::id::{OrganizationId, WebhookId};
use parking_lot::Mutex;

/// Most webhooks of an organization whose changes are told apart; where more changed, all of it counts as changed.
const WEBHOOKS: usize = 1_000;
/// Most organizations of which anything is noted.
const ORGANIZATIONS: usize = 10_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    noted: Mutex<Noted>,
    /// How many organizations are noted, for a look without the lock.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Noted {
    organizations: HashMap<OrganizationId, Changes>,
    /// Counts what was noted.
    latest: u64,
}

#[derive(Debug, Default)]
struct Changes {
    /// `None`: anything may have changed.
    webhooks: Option<BTreeSet<WebhookId>>,
    latest: u64,
}

/// What was noted of an organization up to a moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) what: What,
    latest: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    Nothing,
    Webhooks(Vec<WebhookId>),
    Anything,
}

impl Dirty {
    /// Notes that a webhook changed, or with `None` that anything may have. Answers `false` where there is no room for the
    /// note.
    #[must_use]
    pub(super) fn note(&self, organization: OrganizationId, webhook: Option<WebhookId>) -> bool {
        let mut noted = self.noted.lock();
        noted.latest += 1;
        let latest = noted.latest;
        if noted.organizations.len() >= ORGANIZATIONS && !noted.organizations.contains_key(&organization) {
            return false;
        }
        let fresh = || Changes { webhooks: Some(BTreeSet::new()), latest };
        let changes = noted.organizations.entry(organization).or_insert_with(fresh);
        changes.latest = latest;
        match (webhook, &mut changes.webhooks) {
            (Some(webhook), Some(known)) if known.len() < WEBHOOKS => _ = known.insert(webhook),
            _ => changes.webhooks = None,
        }
        self.count.store(noted.organizations.len(), Ordering::SeqCst);
        true
    }

    /// Whether nothing is noted of an organization.
    pub(super) fn is_clean(&self, organization: OrganizationId) -> bool {
        self.count.load(Ordering::SeqCst) == 0 || !self.noted.lock().organizations.contains_key(&organization)
    }

    /// What is noted of an organization now.
    pub(super) fn seen(&self, organization: OrganizationId) -> Seen {
        let noted = self.noted.lock();
        let what = match noted.organizations.get(&organization).map(|changes| &changes.webhooks) {
            None => What::Nothing,
            Some(Some(webhooks)) => What::Webhooks(webhooks.iter().copied().collect()),
            Some(None) => What::Anything,
        };
        Seen { what, latest: noted.latest }
    }

    /// What was seen is dealt with. What was noted since stays.
    pub(super) fn forget(&self, organization: OrganizationId, seen: &Seen) {
        let mut noted = self.noted.lock();
        if noted.organizations.get(&organization).is_some_and(|changes| changes.latest <= seen.latest) {
            noted.organizations.remove(&organization);
        }
        self.count.store(noted.organizations.len(), Ordering::SeqCst);
    }

    /// Of what anything is noted, and up to when.
    pub(super) fn all(&self) -> (Vec<OrganizationId>, u64) {
        let noted = self.noted.lock();
        (noted.organizations.keys().copied().collect(), noted.latest)
    }

    /// All that was noted up to then is dealt with. What was noted since stays.
    pub(super) fn forget_all(&self, latest: u64) {
        let mut noted = self.noted.lock();
        noted.organizations.retain(|_, changes| changes.latest > latest);
        self.count.store(noted.organizations.len(), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_meanwhile_stays() {
        let (dirty, id) = (Dirty::default(), OrganizationId(1));
        assert!(dirty.note(id, Some(WebhookId(1))));
        let seen = dirty.seen(id);
        assert_eq!(seen.what, What::Webhooks(vec![WebhookId(1)]));
        assert!(dirty.note(id, Some(WebhookId(2))));
        dirty.forget(id, &seen);
        assert!(!dirty.is_clean(id) && dirty.is_clean(OrganizationId(2)));
        dirty.forget(id, &dirty.seen(id));
        assert!(dirty.is_clean(id));
        assert_eq!(dirty.seen(id).what, What::Nothing);
    }

    #[test]
    fn notes_are_bounded() {
        let dirty = Dirty::default();
        for webhook in 0..=WEBHOOKS as i64 {
            assert!(dirty.note(OrganizationId(0), Some(WebhookId(webhook))));
        }
        assert_eq!(dirty.seen(OrganizationId(0)).what, What::Anything);
        for organization in 1..ORGANIZATIONS as i64 {
            assert!(dirty.note(OrganizationId(organization), None));
        }
        assert!(!dirty.note(OrganizationId(-1), None));
        let (all, latest) = dirty.all();
        assert_eq!(all.len(), ORGANIZATIONS);
        assert!(dirty.note(OrganizationId(7), None));
        dirty.forget_all(latest);
        assert!(dirty.is_clean(OrganizationId(0)) && !dirty.is_clean(OrganizationId(7)));
        assert!(dirty.note(OrganizationId(-1), None));
    }
}
