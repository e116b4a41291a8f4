//! A delivery's turn: holds its slot, and gives it back even where our own code panics on the delivery.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use fanfare_engine::scheduler::{Command, Job};

use super::dispatcher::Dispatcher;
use super::{backlog, record};

/// See the module. The scheduler must be told [`Job::sent`] once, and [`Job::recorded`] once after it.
pub(super) struct Turn<'a> {
    pub(super) dispatcher: &'a Arc<Dispatcher>,
    pub(super) job: Job,
    /// The job that the scheduler handed on for the same task.
    next: Option<Job>,
    told_sent: bool,
    /// Whoever records the outcome tells of that.
    handed_over: bool,
    /// Whether a request was begun, and whether its receiver must not get a second one.
    begun: Option<AtMostOnce>,
}

/// Whether a webhook is sent to at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AtMostOnce(pub(super) bool);

impl<'a> Turn<'a> {
    pub(super) fn new(dispatcher: &'a Arc<Dispatcher>, job: Job) -> Self {
        Turn { dispatcher, job, next: None, told_sent: false, handed_over: false, begun: None }
    }

    /// From now on a request may reach the receiver.
    pub(super) fn begin(&mut self, at_most_once: AtMostOnce) {
        self.begun = Some(at_most_once);
    }

    /// Tells the scheduler that the request is over, or was never made.
    pub(super) fn sent(&mut self, trouble: bool) {
        // Noted first: a scheduler that panicked half-way must not be told twice.
        self.told_sent = true;
        self.next = self.dispatcher.tell_sent(self.job.sent(trouble));
    }

    /// Gives the next delivery to another task, since this one goes on with what is left of its own.
    pub(super) fn pass_on(&mut self) {
        if let Some(next) = self.next.take() {
            self.dispatcher.carry_out(Command::Send(next));
        }
    }

    /// The outcome is on its way to the store, and who brings it there tells the scheduler.
    pub(super) fn hand_over(&mut self) {
        self.handed_over = true;
    }

    /// Ends the turn. Answers a further delivery for the same task.
    pub(super) fn end(self) -> Option<Job> {
        self.next
    }

    /// Ends a turn that panicked: the log says so, the slot is free, and the delivery is tried again where that is safe.
    pub(super) fn end_after_panic(mut self) -> Option<Job> {
        tracing::error!(delivery = %self.job.delivery, webhook = %self.job.webhook, "Fanfare panicked on a delivery");
        if !self.told_sent {
            self.sent(false);
        }
        if !self.handed_over {
            let record = || match self.begun {
                // Nothing of it may change: what it says of an earlier request decides whether it is sent again.
                None if self.job.may_have_been_sent => backlog::put_off(self.dispatcher, &self.job),
                begun => record::panicked(self.dispatcher, &self.job, begun),
            };
            if catch_unwind(AssertUnwindSafe(record)).is_err() {
                // It stays leased until the next start, which takes it over.
                self.dispatcher.tell(self.job.recorded());
            }
        }
        self.next
    }
}
