//! One attempt: carries out what `fanfare_flow` decides, and checks that it may be sent.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_engine::attempt::{Headers, Outcome};
use fanfare_engine::delivery::SkipReason;
use fanfare_engine::health::HealthPolicy;
use fanfare_engine::id::{EventId, WebhookId};
use fanfare_engine::retry::Ended;
use fanfare_engine::scheduler::{Input, Job};
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::Status;
use fanfare_flow::attempt::{About, Conclusion, Policies, conclude};
use fanfare_flow::record::{self, Recording};
use fanfare_flow::turn::{self, Step, WebhookState};
use fanfare_store::StoreResult;
use fanfare_store::log;
use fanfare_store::queue::{Answer, Lease, LoggedAttempt, LoggedBody, LoggedRequest, LoggedResponse, Next, Operation};

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
    pub(super) fn begin(&mut self, job: Job, begun: bool) -> Checked {
        let webhook = self.catalogue.webhook(job.webhook).cloned();
        let state = webhook.as_ref().ok_or(SkipReason::WebhookDeleted).map(|webhook| self.state(webhook));
        let step = turn::decide(&job, state, begun || self.is_sabotaged(Sabotage::BeginUnnoted));
        note!(self, "{}: {step:?}", job.delivery);
        match (step, webhook) {
            (Step::Send, Some(webhook)) => {
                self.may_send(&job, &webhook)?;
                self.send(job, webhook)
            }
            (Step::Begin, _) => {
                let Some(process) = &self.process else { return Ok(()) };
                self.submit(Operation::Begin(record::lease(&job, process.node)), Then::Begun { job })
            }
            (Step::Skip(reason), _) => self.end_unsent(&job, Next::Skipped(reason)),
            (Step::GiveUp, _) => self.end_unsent(&job, Next::Exhausted),
            (Step::GiveBack | Step::Send, _) => self.give_back(&job),
        }
    }

    /// The webhook as it is now, which some mistakes on purpose see otherwise.
    fn state(&self, webhook: &Webhook) -> WebhookState {
        let lane = self.catalogue.lane(webhook);
        WebhookState {
            status: if self.is_sabotaged(Sabotage::SendToDeactivated) { Status::Active } else { webhook.status },
            held: lane.held,
            at_most_once: webhook.retry.stop_after_unknown && !self.is_sabotaged(Sabotage::SendTwice),
            access_revoked: false,
        }
    }

    fn end_unsent(&mut self, job: &Job, next: Next) -> Checked {
        self.tell(job.sent(false))?;
        self.finish(job, None, next)
    }

    /// It is noted that a delivery is sent of which a process may have died.
    pub(super) fn begun(&mut self, job: Job, answer: StoreResult<Answer>) -> Checked {
        match answer {
            Ok(Answer::Count(1)) => self.begin(job, true),
            _ => self.give_back(&job),
        }
    }

    fn give_back(&mut self, job: &Job) -> Checked {
        self.tell(job.sent(false))?;
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
        let policies = Policies { retry: &webhook.retry, health: &HealthPolicy { after: None } };
        let Conclusion { mut next, disable, trouble, back_off } =
            conclude(job, Some(policies), &ended, &About::default(), clock, self.chance.share());
        note!(self, "{} ended: {:?} {:?}, so {next:?}", job.delivery, reaction.outcome, reaction.status);
        if let Some(story) = self.ledger.stories.get_mut(&job.delivery) {
            story.gone |= disable.is_some();
            story.not_before = if let Next::RetryAt(at) = next { Some(at) } else { None };
        }
        if self.is_sabotaged(Sabotage::SendBeforeDue) && matches!(next, Next::RetryAt(_)) {
            next = Next::RetryAt(clock);
        }
        if let Some(until) = back_off {
            self.back_off(job.webhook, until)?;
        }
        self.tell(job.sent(trouble))?;
        let Some(process) = &mut self.process else { return Ok(()) };
        let attempt = log_entry(&exchange, process.ids.next(clock));
        let is_active = self.catalogue.webhook(job.webhook).is_some_and(|webhook| webhook.status == Status::Active);
        if let Some(reason) = disable.filter(|_| is_active) {
            note!(self, "{} is switched off: {reason}", job.webhook);
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
        self.submit(record::finish(job, process.node, attempt, next, None), Then::Finished(Recording::of(job, next)))
    }

    /// An outcome is on disk, or was lost for good.
    pub(super) fn recorded(&mut self, recording: Recording, answer: &StoreResult<Answer>) -> Checked {
        for input in recording.inputs(answer, self.clock()) {
            if matches!(input, Input::Stored { .. }) && self.is_sabotaged(Sabotage::ForgetStored) {
                continue;
            }
            self.tell(input)?;
        }
        Ok(())
    }
}

impl Exchange {
    /// What a process that is taken for dead would still write of it.
    pub(super) fn late_outcome(&self, id: i64) -> Operation {
        let attempt = Some(log_entry(self, id));
        record::finish(&self.job, self.lease.node, attempt, Next::Delivered, None)
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
