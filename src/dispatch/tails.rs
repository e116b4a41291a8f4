//! Responses whose body is still coming when their outcome is known. They are read on for a while, without a slot.

use std::collections::HashMap;
use std::time::Duration;

use fanfare_engine::attempt::Outcome;
use fanfare_engine::id::OrganizationId;
use fanfare_engine::scheduler::{Input, Job};
use fanfare_store::queue::{LoggedAttempt, Next};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::dispatcher::Dispatcher;
use super::record;
use super::turn::Turn;
use crate::compiled::CompiledOrganization;
use crate::delivery::tail::{FullBody, Tail};

/// For how long such a body is read on.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bodies that are read on at once, over all and for one organization. Of any more, nothing further is read.
const MAX_TAILS: usize = 256;
const MAX_TAILS_OF_ORGANIZATION: usize = 16;

/// How many are being read.
#[derive(Default)]
pub(super) struct Tails(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    total: usize,
    organizations: HashMap<OrganizationId, usize>,
}

/// The right to read one; given back when it is dropped.
struct Place<'a> {
    tails: &'a Tails,
    organization: OrganizationId,
}

impl Tails {
    fn enter(&self, organization: OrganizationId) -> Option<Place<'_>> {
        let mut counts = self.0.lock();
        if counts.total >= MAX_TAILS {
            return None;
        }
        let own = counts.organizations.entry(organization).or_default();
        if *own >= MAX_TAILS_OF_ORGANIZATION {
            return None;
        }
        *own += 1;
        counts.total += 1;
        Some(Place { tails: self, organization })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut counts = self.tails.0.lock();
        counts.total -= 1;
        if let Some(own) = counts.organizations.get_mut(&self.organization) {
            *own -= 1;
            if *own == 0 {
                counts.organizations.remove(&self.organization);
            }
        }
    }
}

/// Records an attempt whose response's body is still coming: a success at once, since a crash would send it again, and a
/// failure with what comes of the body. A receiver that does not finish it is slowed down.
pub(super) async fn record(
    turn: &mut Turn<'_>,
    organization: &CompiledOrganization,
    mut attempt: LoggedAttempt,
    next: Next,
    tail: Tail,
) {
    turn.pass_on();
    let dispatcher = turn.dispatcher;
    let unfinished = if attempt.outcome == Outcome::Success {
        record::attempted(dispatcher, &turn.job, organization, attempt, next).await;
        turn.hand_over();
        read(dispatcher, &turn.job, tail).await.is_none_or(|full| full.is_unfinished())
    } else {
        let full = read(dispatcher, &turn.job, tail).await;
        let unfinished = full.as_ref().is_none_or(FullBody::is_unfinished);
        if let (Some(full), Some(response)) = (full, &mut attempt.response) {
            (response.truncated, response.body) = (full.is_truncated(), full.body);
        }
        record::attempted(dispatcher, &turn.job, organization, attempt, next).await;
        turn.hand_over();
        unfinished
    };
    if unfinished {
        dispatcher.tell(Input::Trouble { webhook: turn.job.webhook });
    }
}

async fn read(dispatcher: &Dispatcher, job: &Job, tail: Tail) -> Option<FullBody> {
    let _place = dispatcher.tails.enter(job.event.organization)?;
    Some(tail.read(Instant::now() + PATIENCE).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_organization_takes_all_places() {
        let tails = Tails::default();
        let enter = |organization| tails.enter(OrganizationId(organization));
        let mut first: Vec<_> = (0..MAX_TAILS_OF_ORGANIZATION).map(|_| enter(1).unwrap()).collect();
        assert!(enter(1).is_none());
        first.pop();
        first.push(enter(1).unwrap());
        let organizations = 2..=i64::try_from(MAX_TAILS / MAX_TAILS_OF_ORGANIZATION).unwrap();
        let others: Vec<_> = organizations
            .flat_map(|other| [other; MAX_TAILS_OF_ORGANIZATION])
            .map(|other| enter(other).unwrap())
            .collect();
        assert!(enter(99).is_none());
        drop((first, others));
        let counts = tails.0.lock();
        assert_eq!((counts.total, counts.organizations.len()), (0, 0));
    }
}
