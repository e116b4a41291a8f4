//! Builds the operations that record outcomes, and the facts for the scheduler once they are recorded.

use fanfare_engine::id::{NodeId, WebhookId};
use fanfare_engine::scheduler::{Input, Job};
use fanfare_engine::time::Timestamp;
use fanfare_store::StoreResult;
use fanfare_store::queue::{Accept, Answer, Finish, Finished, Held, Lease, LoggedAttempt, Next, Operation};

/// Returns the lease by which `node` holds a delivery.
pub fn lease(job: &Job, node: NodeId) -> Lease {
    Lease { delivery: job.delivery, node, claim: job.claim }
}

/// Returns the operation that records an outcome. `report` is an operator event about it, stored in the same commit.
pub fn finish(
    job: &Job,
    node: NodeId,
    attempt: Option<LoggedAttempt>,
    next: Next,
    report: Option<Accept>,
) -> Operation {
    let held = Held::of(&job.event, job.attempts, job.single);
    let (lease, webhook) = (lease(job, node), job.webhook);
    Operation::Finish(Box::new(Finish { lease, webhook, held, attempt, next, report }))
}

/// An outcome that is being recorded.
#[derive(Debug)]
pub struct Recording {
    webhook: WebhookId,
    next: Next,
    recorded: Input,
}

impl Recording {
    pub fn of(job: &Job, next: Next) -> Self {
        Recording { webhook: job.webhook, next, recorded: job.recorded() }
    }

    /// Returns the facts for the scheduler. If the store failed, the lease stays until a rescue.
    pub fn inputs(self, answer: &StoreResult<Answer>, now: Timestamp) -> impl Iterator<Item = Input> + use<> {
        let Recording { webhook, next, recorded } = self;
        let due = match (answer, next) {
            (Ok(Answer::Finished(Finished::Recorded { .. })), Next::RetryAt(at)) => Some(at),
            // The next of its ordering key is due.
            (Ok(Answer::Finished(Finished::Recorded { unblocked: true })), _) => Some(now),
            _ => None,
        };
        std::iter::once(recorded).chain(due.map(|due| Input::Stored { webhook, config: None, due }))
    }
}

#[cfg(test)]
mod tests {
    use fanfare_store::StoreError;

    use super::*;
    use crate::samples::{NOW, job};

    fn due(next: Next, answer: StoreResult<Answer>) -> Option<Timestamp> {
        let mut inputs = Recording::of(&job(), next).inputs(&answer, NOW);
        assert!(matches!(inputs.next(), Some(Input::Recorded { weight: 100, .. })), "its slot is free in any case");
        inputs.next().map(|input| match input {
            Input::Stored { due, .. } => due,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn a_retry_is_due_once_it_is_recorded() {
        let recorded = |unblocked| Ok(Answer::Finished(Finished::Recorded { unblocked }));
        let later = Timestamp(NOW.0 + 1_000);
        assert_eq!(due(Next::RetryAt(later), recorded(false)), Some(later));
        assert_eq!(due(Next::Delivered, recorded(false)), None);
        assert_eq!(due(Next::Delivered, recorded(true)), Some(NOW), "the next of its key");
        assert_eq!(due(Next::RetryAt(later), Err(StoreError::Unavailable("closing".to_owned()))), None);
    }
}
