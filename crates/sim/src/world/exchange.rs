//! One attempt: decided, sent, judged and recorded as the server's runner does.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_engine::attempt::{Headers, Outcome};
use fanfare_engine::delivery::Single;
use fanfare_engine::health;
use fanfare_engine::id::{EventId, WebhookId};
use fanfare_engine::retry::{self, Ended, Verdict};
use fanfare_engine::scheduler::{Input, Job};
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::Status;
use fanfare_store::StoreResult;
use fanfare_store::log;
use fanfare_store::queue::{
    Answer, Finish, Finished, Held, Lease, LoggedAttempt, LoggedBody, LoggedRequest, LoggedResponse, Next, Operation,
};

use super::{Happening, World, note};
use crate::catalogue::Webhook;
use crate::disk::Then;
use crate::ledger::{Checked, fault};
use crate::plan::Sabotage;
use crate::receiver::Reaction;

/// The header by which a receiver knows an event again.
pub(super) const EVENT_HEADER: &str = "webhook-id";

/// A request under way.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) process: u32,
    pub(super) job: Job,
    pub(super) lease: Lease,
    /// The webhook as it was when the request was made.
    webhook: Webhook,
    /// What is sent as the event's id.
    event: EventId,
    began: i64,
    began_clock: Timestamp,
    reaction: Reaction,
    pub(super) arrived: bool,
}

impl World {
    /// It is a delivery's turn: looks at its webhook as it is now, and sends, skips or gives back.
    pub(super) fn begin(&mut self, job: Job, noted: bool) -> Checked {
        if let Some(reason) = self.skip_reason(job.webhook) {
            note!(self, "{} is skipped: {}", job.delivery, reason.name());
            self.tell(sent(&job, false))?;
            return self.finish(&job, None, Next::Skipped(reason));
        }
        let Some(webhook) = self.catalogue.webhook(job.webhook).cloned() else { return Ok(()) };
        if self.catalogue.lane(&webhook).held {
            note!(self, "{} is held", job.delivery);
            return self.give_back(&job);
        }
        if job.may_have_been_sent && webhook.retry.stop_after_unknown && !self.is_sabotaged(Sabotage::SendTwice) {
            note!(self, "{} is given up", job.delivery);
            self.tell(sent(&job, false))?;
            return self.finish(&job, None, Next::Exhausted);
        }
        if job.may_have_been_sent && !noted && !self.is_sabotaged(Sabotage::BeginUnnoted) {
            let Some(process) = &self.process else { return Ok(()) };
            return self.submit(Operation::Begin(process.lease(&job)), Then::Begun { job });
        }
        self.may_send(&job, &webhook)?;
        self.send(job, webhook)
    }

    /// It is noted that a delivery is sent of which a process may have died.
    pub(super) fn begun(&mut self, job: Job, answer: StoreResult<Answer>) -> Checked {
        match answer {
            Ok(Answer::Count(1)) => self.begin(job, true),
            _ => self.give_back(&job),
        }
    }

    fn give_back(&mut self, job: &Job) -> Checked {
        self.tell(sent(job, false))?;
        self.tell(job.recorded())?;
        let Some(process) = &self.process else { return Ok(()) };
        let leases = vec![process.lease(job)];
        self.release(job.webhook, leases)
    }

    fn may_send(&self, job: &Job, webhook: &Webhook) -> Checked {
        let Some(process) = &self.process else { return Ok(()) };
        let id = job.delivery;
        self.ledger.may_send(process.lease(job), webhook.retry.stop_after_unknown)?;
        if webhook.status != Status::Active {
            return fault("nothing to a webhook that is off", id, format!("{id} is sent: {:?}", webhook.status));
        }
        let twice = self.exchanges.values().find(|other| other.job.delivery == id && other.process == process.number);
        if twice.is_some() {
            return fault("no duplicates", id, format!("{id} is sent while it is being sent"));
        }
        for earlier in self.ledger.earlier_of_its_key(id, job.trigger) {
            let row = self.disk.core.read(&log::delivery(earlier)).ok().and_then(|rows| rows.into_iter().next());
            if row.is_some_and(|row| !row.state.is_final()) {
                return fault("ordering keys keep their order", id, format!("{id} is sent before {earlier} is final"));
            }
        }
        Ok(())
    }

    fn send(&mut self, job: Job, webhook: Webhook) -> Checked {
        let reaction = webhook.manner.react(self.now, &mut self.chance);
        let mixed_up = self.is_sabotaged(Sabotage::MixUpEvents) && job.attempts > 0;
        let event = if mixed_up { EventId(job.event.id.0 + 1) } else { job.event.id };
        let (began, began_clock) = (self.now, self.clock());
        let Some(process) = &mut self.process else { return Ok(()) };
        let lease = process.lease(&job);
        // Made from the same place as every other id, so it is unique.
        let number = process.ids.next(began_clock).unsigned_abs();
        let process = process.number;
        note!(self, "{} for {} is sent, attempt {}: {reaction:?}", job.delivery, job.webhook, job.attempts + 1);
        if let Some(arrives) = reaction.arrives {
            self.after(arrives, Happening::Arrive(number));
        }
        self.after(reaction.ends, Happening::End(number));
        let exchange = Exchange { process, job, lease, webhook, event, began, began_clock, reaction, arrived: false };
        self.exchanges.insert(number, exchange);
        Ok(())
    }

    pub(super) fn arrive(&mut self, number: u64) -> Checked {
        // What a crash kept from leaving the machine is not here any more.
        let Some(exchange) = self.exchanges.get_mut(&number) else { return Ok(()) };
        exchange.arrived = true;
        let (id, accepted) = (exchange.job.delivery, exchange.reaction.outcome == Outcome::Success);
        note!(self, "{id} is with its receiver");
        self.ledger.arrived(self.now, id, accepted);
        Ok(())
    }

    pub(super) fn end(&mut self, number: u64) -> Checked {
        let Some(exchange) = self.exchanges.remove(&number) else { return Ok(()) };
        if !self.lives(exchange.process) {
            return Ok(());
        }
        let clock = self.clock();
        let Exchange { job, webhook, reaction, .. } = &exchange;
        let ended = Ended { outcome: reaction.outcome, status: reaction.status, retry_after: reaction.retry_after };
        let verdict = retry::next(&webhook.retry, job.failures + 1, &ended, clock, self.chance.share());
        let mut next = single(job, verdict);
        let gone = verdict == Verdict::DisableWebhook;
        note!(self, "{} ended: {:?} {:?}, so {next:?}", job.delivery, reaction.outcome, reaction.status);
        if let Some(story) = self.ledger.stories.get_mut(&job.delivery) {
            story.gone |= gone;
            story.not_before = if let Next::RetryAt(at) = next { Some(at) } else { None };
        }
        if self.is_sabotaged(Sabotage::SendBeforeDue) && matches!(next, Next::RetryAt(_)) {
            next = Next::RetryAt(clock);
        }
        if let Some(until) = retry::back_off(&webhook.retry, &ended, clock, self.chance.share()) {
            self.back_off(job.webhook, until)?;
        }
        self.tell(sent(job, is_trouble(reaction)))?;
        let Some(process) = &mut self.process else { return Ok(()) };
        let attempt = log_entry(&exchange, process.ids.next(clock));
        if gone && self.catalogue.webhook(job.webhook).is_some_and(|webhook| webhook.status == Status::Active) {
            note!(self, "{} is switched off: {}", job.webhook, health::GONE);
            self.catalogue.set_status(job.webhook, Status::AutoDisabled);
            self.webhook_changed(job.webhook)?;
        }
        self.finish(job, Some(attempt), next)
    }

    /// The receiver asked for no requests before this time.
    fn back_off(&mut self, webhook: WebhookId, until: Timestamp) -> Checked {
        note!(self, "{webhook} is asked to wait until {until}");
        let Some(process) = &mut self.process else { return Ok(()) };
        process.asked_to_wait.insert(webhook, (until, self.clock_steps));
        if self.is_sabotaged(Sabotage::IgnoreRetryAfter) {
            return Ok(());
        }
        self.tell(Input::BackOff { webhook, until })
    }

    fn finish(&mut self, job: &Job, attempt: Option<LoggedAttempt>, next: Next) -> Checked {
        let Some(process) = &self.process else { return Ok(()) };
        let (lease, webhook) = (process.lease(job), job.webhook);
        let finish = Finish { lease, webhook, held: held(job), attempt, next, report: None };
        self.submit(Operation::Finish(Box::new(finish)), Then::Finished { job: Box::new(job.clone()), next })
    }

    /// An outcome is on disk, or was lost for good.
    pub(super) fn recorded(&mut self, job: &Job, next: Next, answer: StoreResult<Answer>) -> Checked {
        let due = match (answer, next) {
            (Ok(Answer::Finished(Finished::Recorded { .. })), Next::RetryAt(at)) => Some(at),
            (Ok(Answer::Finished(Finished::Recorded { unblocked: true })), _) => Some(self.clock()),
            _ => None,
        };
        self.tell(job.recorded())?;
        match due.filter(|_| !self.is_sabotaged(Sabotage::ForgetStored)) {
            Some(due) => self.tell(Input::Stored { webhook: job.webhook, config: None, due }),
            None => Ok(()),
        }
    }
}

impl Exchange {
    /// What a process that is taken for dead would still write of it.
    pub(super) fn late_outcome(&self, id: i64) -> Operation {
        let attempt = Some(log_entry(self, id));
        let (lease, webhook) = (self.lease, self.job.webhook);
        Operation::Finish(Box::new(Finish {
            lease,
            webhook,
            held: held(&self.job),
            attempt,
            next: Next::Delivered,
            report: None,
        }))
    }
}

fn held(job: &Job) -> Held {
    Held::of(&job.event, job.attempts, job.single)
}

fn sent(job: &Job, trouble: bool) -> Input {
    Input::Sent { webhook: job.webhook, weight: job.weight, trouble }
}

/// A single attempt is not followed by others, and what was delivered stays delivered.
fn single(job: &Job, verdict: Verdict) -> Next {
    let next = match verdict {
        Verdict::Delivered => Next::Delivered,
        Verdict::RetryAt(at) => Next::RetryAt(at),
        Verdict::Exhausted | Verdict::DisableWebhook => Next::Exhausted,
    };
    match (job.single, next) {
        (Single::No, next) => next,
        (Single::StaysDelivered, _) | (Single::Attempt, Next::Delivered) => Next::Delivered,
        (Single::Attempt, _) => Next::Exhausted,
    }
}

fn is_trouble(reaction: &Reaction) -> bool {
    match reaction.outcome {
        Outcome::Success => false,
        Outcome::Status => reaction.status.is_some_and(|status| status == 429 || status >= 500),
        _ => true,
    }
}

fn log_entry(exchange: &Exchange, id: i64) -> LoggedAttempt {
    let Exchange { job, reaction, .. } = exchange;
    let event = exchange.event.to_string();
    LoggedAttempt {
        id,
        at: exchange.began_clock,
        duration_ms: u32::try_from(Duration::from_millis(reaction.ends.unsigned_abs()).as_millis()).unwrap_or(u32::MAX),
        outcome: reaction.outcome,
        error: (reaction.outcome != Outcome::Success)
            .then(|| format!("it failed {} ms after the start", exchange.began)),
        note: None,
        trigger: job.trigger,
        request: Some(LoggedRequest {
            method: http::Method::POST,
            url: Arc::from(format!("https://{}.example", job.webhook)),
            headers: [(EVENT_HEADER, event.as_bytes())].into_iter().collect(),
            body: LoggedBody::AroundData { head: Bytes::new(), tail: Bytes::new() },
        }),
        response: reaction.status.map(|status| LoggedResponse {
            status,
            headers: Headers::default(),
            body: Bytes::new(),
            truncated: false,
        }),
    }
}
