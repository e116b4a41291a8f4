//! Has outcomes written, and tells the scheduler and the listeners once they are.

use std::sync::Arc;
use std::time::Duration;

use fanfare_engine::attempt::Outcome;
use fanfare_engine::delivery::{Single, SkipReason, State};
use fanfare_engine::scheduler::{Input, Job};
use fanfare_engine::time::Timestamp;
use fanfare_flow::attempt::single;
use fanfare_flow::record::{self as flow, Recording};
use fanfare_store::queue::{Answer, Finished, LoggedAttempt, Next};

use super::dispatcher::Dispatcher;
use super::turn::AtMostOnce;
use super::updates::DeliveryUpdate;
use super::{logged, report};
use crate::compiled::CompiledOrganization;
use crate::memory_budget::Permit;

/// What the log says of an attempt on which our own code panicked.
pub(super) const OWN_FAULT: &str = "Fanfare itself failed on this delivery.";
/// When a delivery is tried again on which our own code panicked.
const AFTER_OWN_FAULT: Duration = Duration::from_secs(60);
/// After so many failures it is not.
const MAX_OWN_FAULTS: u32 = 8;

/// Records an attempt, with as much of its response as may be kept. The store keeps it until it is on disk, however long the
/// disk is full.
pub(super) async fn attempted(
    dispatcher: &Arc<Dispatcher>,
    job: &Job,
    organization: &CompiledOrganization,
    mut attempt: LoggedAttempt,
    next: Next,
) {
    let response = attempt.response.as_mut();
    let permit = response.and_then(|response| logged::shorten(dispatcher, organization.id, attempt.outcome, response));
    let report = match next {
        // Boxed, since every attempt would hold what few need.
        Next::Exhausted if is_told(job, organization) => Box::pin(report::exhausted(dispatcher, job, &attempt)).await,
        _ => None,
    };
    finish(dispatcher, job, Some((attempt, permit)), next, report);
}

/// Whether the operator is told that a delivery failed for good. A test, or what was sent again by hand, is looked at by who
/// asked for it.
fn is_told(job: &Job, organization: &CompiledOrganization) -> bool {
    job.single == Single::No && !organization.is_operator
}

/// Records that a delivery which may have been sent is not sent again.
pub(super) async fn given_up(dispatcher: &Arc<Dispatcher>, job: &Job, organization: &CompiledOrganization) {
    let report = match is_told(job, organization) {
        true => report::given_up(dispatcher, job).await,
        false => None,
    };
    finish(dispatcher, job, None, Next::Exhausted, report);
}

/// Records that our own code panicked on a delivery, outside of what its webhook's schedule answers for. It is tried again in
/// a minute unless it may have been sent and must not be twice, or failed too often.
pub(super) fn panicked(dispatcher: &Arc<Dispatcher>, job: &Job, begun: Option<AtMostOnce>) {
    let now = dispatcher.tools.clock.now();
    let attempt = LoggedAttempt {
        id: dispatcher.tools.ids.next(),
        at: now,
        duration_ms: 0,
        outcome: if begun.is_some() { Outcome::Unknown } else { Outcome::Render },
        error: Some(OWN_FAULT.to_owned()),
        note: None,
        trigger: job.trigger,
        request: None,
        response: None,
    };
    finish(dispatcher, job, Some((attempt, None)), single(job, after_panic(job.failures, begun, now)), None);
}

fn after_panic(failures: u32, begun: Option<AtMostOnce>, now: Timestamp) -> Next {
    match begun {
        Some(AtMostOnce(true)) => Next::Exhausted,
        _ if failures >= MAX_OWN_FAULTS => Next::Exhausted,
        _ => Next::RetryAt(now.plus(AFTER_OWN_FAULT)),
    }
}

/// Records that a delivery is not sent.
pub(super) fn skipped(dispatcher: &Arc<Dispatcher>, job: &Job, reason: SkipReason) {
    dispatcher.tools.metrics.skipped(reason, 1);
    finish(dispatcher, job, None, Next::Skipped(reason), None);
}

fn finish(
    dispatcher: &Arc<Dispatcher>,
    job: &Job,
    attempt: Option<(LoggedAttempt, Option<Permit>)>,
    next: Next,
    report: Option<report::Report>,
) {
    let (attempt, permit) = attempt.map_or((None, None), |(attempt, permit)| (Some(attempt), permit));
    dispatcher.announce(|| update(dispatcher, job, attempt.as_ref(), next));
    let (report, reported) = report.map_or((None, Vec::new()), |report| (Some(report.accept), report.webhooks));
    let operation = flow::finish(job, dispatcher.tools.node, attempt, next, report);
    let (webhook, recording) = (job.webhook, Recording::of(job, next));
    let teller = Arc::clone(dispatcher);
    dispatcher.tools.store.submit(operation, move |answer| {
        drop(permit);
        match &answer {
            Ok(Answer::Finished(Finished::Recorded { .. })) => teller.tools.metrics.finished(next),
            Ok(_) => teller.tools.metrics.fenced(),
            Err(error) => tracing::error!(%webhook, %error, "an outcome could not be recorded"),
        }
        let now = teller.tools.clock.now();
        let reports = reported.into_iter().map(|webhook| Input::Stored { webhook, config: None, due: now });
        teller.tell_all(recording.inputs(&answer, now).chain(reports));
    });
}

fn update(dispatcher: &Dispatcher, job: &Job, attempt: Option<&LoggedAttempt>, next: Next) -> DeliveryUpdate {
    let (state, next_attempt_at) = match next {
        Next::Delivered => (State::Delivered, None),
        Next::RetryAt(at) => (State::Pending, Some(at)),
        Next::Exhausted => (State::Exhausted, None),
        Next::Skipped(_) => (State::Skipped, None),
    };
    DeliveryUpdate {
        at: dispatcher.tools.clock.now(),
        organization: job.event.organization,
        delivery: job.delivery,
        event: job.event.id,
        event_type: Arc::clone(&job.event.kind),
        webhook: job.webhook,
        state,
        attempts: job.attempts + u32::from(attempt.is_some()),
        outcome: attempt.map(|attempt| attempt.outcome),
        response_code: attempt.and_then(|attempt| attempt.response.as_ref()).map(|response| response.status),
        duration_ms: attempt.map(|attempt| attempt.duration_ms),
        next_attempt_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_panic_nothing_is_sent_twice_that_must_not_be_and_nothing_for_ever() {
        let now = Timestamp(1_000);
        let again = Next::RetryAt(now.plus(AFTER_OWN_FAULT));
        assert_eq!(after_panic(0, None, now), again);
        assert_eq!(after_panic(0, Some(AtMostOnce(false)), now), again);
        assert_eq!(after_panic(0, Some(AtMostOnce(true)), now), Next::Exhausted);
        assert_eq!(after_panic(MAX_OWN_FAULTS, None, now), Next::Exhausted);
    }
}
