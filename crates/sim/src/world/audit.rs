//! The end of a run: the store is read through the same queries as the API's, and compared with what happened.

use std::collections::BTreeMap;

use fanfare_engine::attempt::{Attempt, Outcome};
use fanfare_engine::delivery::{SkipReason, State};
use fanfare_engine::id::EventId;
use fanfare_engine::scheduler::Figures;
use fanfare_store::attempts::{Piece, attempts};
use fanfare_store::log::{self, DeliveryFilter, DeliveryRow};
use fanfare_store::queue::MAX_CLAIMS;

use super::World;
use super::exchange::EVENT_HEADER;
use crate::ledger::{Checked, Fault, Story, fault};

/// Deliveries read at once.
const PAGE: u32 = 200;

impl World {
    pub(super) fn audit(&mut self) -> Checked {
        let rows = self.all_deliveries()?;
        let mut of_event: BTreeMap<EventId, usize> = BTreeMap::new();
        for row in &rows {
            *of_event.entry(row.event).or_default() += 1;
            self.audit_delivery(row)?;
        }
        for promise in &self.ledger.promises {
            let id = promise.event;
            let kept = self.ledger.events.get(&id);
            let found = kept.and_then(|kept| self.disk.core.read(&log::event(kept.organization, id)).ok()?.pop());
            let Some(found) = found else {
                return fault("nothing accepted is lost", id, format!("{id} was promised and is not there"));
            };
            let there = of_event.get(&id).copied().unwrap_or(0);
            if there != promise.deliveries || found.deliveries as usize != promise.deliveries {
                let message = format!("{id} was promised {} deliveries and has {there}", promise.deliveries);
                return fault("nothing accepted is lost", id, message);
            }
        }
        if let Some(number) = self.posts.iter().position(|post| post.answered.is_none()) {
            return fault("every post is answered", format!("#{number}"), format!("#{number} never was"));
        }
        self.report.events = self.ledger.events.len();
        self.report.deliveries = rows.len();
        self.report.neighbours_p99_ms = self.neighbours_p99();
        self.report.acks_p99_ms = p99(std::mem::take(&mut self.acks));
        self.nothing_is_left_in_memory()
    }

    fn all_deliveries(&self) -> Checked<Vec<DeliveryRow>> {
        let mut rows: Vec<DeliveryRow> = Vec::new();
        loop {
            let filter = DeliveryFilter { before: rows.last().map(|row| row.id), ..DeliveryFilter::default() };
            let page = self.disk.core.read(&log::deliveries(&filter, PAGE, PAGE)).map_err(unreadable)?;
            if page.is_empty() {
                return Ok(rows);
            }
            rows.extend(page);
        }
    }

    fn audit_delivery(&mut self, row: &DeliveryRow) -> Checked {
        let id = row.id;
        let Some(story) = self.ledger.stories.get(&id) else {
            return fault("accepted events only", id, format!("{id} is in the store and was never accepted"));
        };
        if !row.state.is_final() {
            let message = format!("{id} for {} is {} for ever: {row:?}, {story:?}", row.webhook, row.state.name());
            return fault("everything accepted ends", id, message);
        }
        let mut attempts = self.disk.core.read(&attempts(id, Piece::ALL)).map_err(unreadable)?;
        attempts.reverse();
        self.audit_attempts(row, story, &attempts)?;
        self.audit_state(row, story, &attempts)?;
        let report = &mut self.report;
        report.requests += attempts.len();
        report.unknown += count(&attempts, Outcome::Unknown);
        match row.state {
            State::Delivered => report.delivered += 1,
            State::Exhausted => report.exhausted += 1,
            State::Skipped => report.skipped += 1,
            State::Cancelled => report.cancelled += 1,
            State::Pending | State::Delivering => {}
        }
        Ok(())
    }

    /// The log holds every request that was with a receiver, in order, each for the right event.
    fn audit_attempts(&self, row: &DeliveryRow, story: &Story, attempts: &[Attempt]) -> Checked {
        let id = row.id;
        let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.number).collect();
        if numbers != (1..=row.attempts).collect::<Vec<_>>() {
            return fault(
                "attempts are counted 1 to n",
                id,
                format!("{id} has attempts {numbers:?} of {}", row.attempts),
            );
        }
        let event = row.event.to_string();
        let data = self.ledger.events.get(&row.event).map(|kept| &kept.data);
        for request in attempts.iter().filter_map(|attempt| attempt.request.as_ref()) {
            let named = request.headers.iter().any(|(name, value)| name == EVENT_HEADER && value == event.as_bytes());
            if !named || Some(&request.body) != data || story.event != row.event {
                return fault("attempts carry their event", id, format!("{id} sent {request:?} for {event}"));
            }
        }
        let (success, unknown) = (count(attempts, Outcome::Success), count(attempts, Outcome::Unknown));
        let complete = story.arrivals as usize <= attempts.len()
            && success <= story.accepted
            && story.accepted <= success + unknown
            && unknown == story.unknown;
        if !complete {
            let message = format!("{id}: logged {success} accepted and {unknown} unknown of {attempts:?}; {story:?}");
            return fault("what was sent is in the log", id, message);
        }
        if story.accepted > 1 + unknown + story.resent {
            return fault("no duplicates", id, format!("{id} was accepted {} times: {story:?}", story.accepted));
        }
        Ok(())
    }

    /// A delivery is in the state that what happened to it allows.
    fn audit_state(&self, row: &DeliveryRow, story: &Story, attempts: &[Attempt]) -> Checked {
        let id = row.id;
        let failures = attempts.iter().filter(|a| !matches!(a.outcome, Outcome::Success | Outcome::Unknown)).count();
        let schedule = self.catalogue.webhook(row.webhook).map_or(0, |webhook| webhook.retry.delays.len() + 1);
        let allowed = match row.state {
            _ if story.delivered && row.state != State::Delivered => false,
            State::Delivered => count(attempts, Outcome::Success) > 0,
            State::Exhausted => {
                let webhook = self.catalogue.webhook(row.webhook);
                let given_up = story.unknown > 0 && webhook.is_some_and(|webhook| webhook.retry.stop_after_unknown);
                failures >= schedule || story.gone || story.resent > 0 || given_up
            }
            State::Skipped => match row.skipped_reason {
                None => false,
                Some(SkipReason::Poison) => story.unknown >= MAX_CLAIMS,
                Some(_) => self.catalogue.once_inactive.contains(&row.webhook),
            },
            State::Cancelled => story.cancelled,
            State::Pending | State::Delivering => false,
        };
        if !allowed {
            let message = format!("{id} is {} {:?}: {story:?}, {attempts:?}", row.state.name(), row.skipped_reason);
            return fault("a delivery ends as it should", id, message);
        }
        Ok(())
    }

    fn nothing_is_left_in_memory(&self) -> Checked {
        let figures = self.process.as_ref().map(|process| process.scheduler.figures());
        if figures != Some(Figures::default()) {
            let message = format!("all is done, and yet: {figures:?}");
            return Err(Fault { rule: "nothing is left in memory", about: None, message });
        }
        Ok(())
    }

    /// Milliseconds from acceptance to arrival that 99 of 100 deliveries of quiet webhooks stay below.
    fn neighbours_p99(&self) -> i64 {
        let quiet = &self.catalogue.quiet;
        let stories = self.ledger.stories.values().filter(|story| quiet.contains(&story.webhook));
        p99(stories.filter_map(|story| story.first_arrival.map(|arrived| arrived - story.kept_at)).collect())
    }
}

fn p99(mut waits: Vec<i64>) -> i64 {
    waits.sort_unstable();
    waits.get(waits.len() * 99 / 100).copied().unwrap_or(0)
}

fn count(attempts: &[Attempt], outcome: Outcome) -> u32 {
    attempts.iter().filter(|attempt| attempt.outcome == outcome).count() as u32
}

fn unreadable(error: fanfare_store::StoreError) -> Fault {
    Fault { rule: "the store can be read", about: None, message: error.to_string() }
}
