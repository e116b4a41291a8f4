//! The writer: gathers what it is given, commits it together after a while, and lets the process go on.

use fanfare_store::queue::{Answer, Operation};
use fanfare_store::{StoreError, StoreResult};

use super::{Happening, World, note};
use crate::disk::{Entry, Then};
use crate::ledger::Checked;
use crate::plan::Sabotage;

/// New work is refused once so many operations wait.
const MOST_WAITING: usize = 200;
/// Milliseconds for which the writer rests after outcomes could not be written.
const REST: i64 = 200;

impl World {
    /// Hands an operation to the writer.
    pub(super) fn submit(&mut self, operation: Operation, then: Then) -> Checked {
        let full = operation.is_intake() && self.disk.waiting.len() >= MOST_WAITING;
        if self.disk.closed || full {
            return self.go_on(then, Err(StoreError::Unavailable("closing or full".to_owned())));
        }
        self.disk.waiting.push_back(Entry { operation, then });
        self.start_writing();
        Ok(())
    }

    fn start_writing(&mut self) {
        if self.disk.writing.is_empty() && !self.disk.waiting.is_empty() {
            self.disk.take_batch();
            let takes = self.disk.pace.commit(self.disk.rows(), &mut self.chance);
            self.after(takes, Happening::Commit);
        }
    }

    /// The batch is on disk, or the disk refuses it.
    pub(super) fn commit(&mut self) -> Checked {
        let entries = std::mem::take(&mut self.disk.writing);
        if entries.is_empty() {
            // Its process crashed meanwhile.
            return Ok(());
        }
        if self.disk.refuses {
            return self.refuse(entries);
        }
        let (operations, thens): (Vec<_>, Vec<_>) =
            entries.into_iter().map(|entry| (entry.operation, entry.then)).unzip();
        let answers = self.write(&operations)?;
        for (then, answer) in thens.into_iter().zip(answers) {
            self.go_on(then, answer)?;
        }
        self.start_writing();
        Ok(())
    }

    /// Carries operations out on the disk and takes note of what they did.
    pub(super) fn write(&mut self, operations: &[Operation]) -> Checked<Vec<StoreResult<Answer>>> {
        let clock = self.clock();
        let answers = self.disk.core.apply(clock, operations);
        for (operation, answer) in operations.iter().zip(&answers) {
            match answer {
                Ok(answer) => {
                    note!(self, "on disk: {} -> {}", brief(operation), brief_answer(answer));
                    self.ledger.note(self.now, clock, operation, answer)?;
                }
                Err(error) => note!(self, "failed: {} -> {error}", brief(operation)),
            }
        }
        Ok(answers)
    }

    fn refuse(&mut self, entries: Vec<Entry>) -> Checked {
        let loses = self.is_sabotaged(Sabotage::LoseOutcomes);
        let (kept, refused): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.operation.must_be_kept() && !loses);
        note!(self, "the disk refuses {} and keeps {} waiting", refused.len(), kept.len());
        let rests = !kept.is_empty();
        for entry in kept.into_iter().rev() {
            self.disk.waiting.push_front(entry);
        }
        for entry in refused {
            self.go_on(entry.then, Err(StoreError::Unavailable("the disk is full".to_owned())))?;
        }
        if rests {
            self.after(REST, Happening::WriterRested);
        } else {
            self.start_writing();
        }
        Ok(())
    }

    pub(super) fn writer_rested(&mut self) -> Checked {
        self.start_writing();
        Ok(())
    }

    /// Lets whoever asked go on with the answer.
    pub(super) fn go_on(&mut self, then: Then, answer: StoreResult<Answer>) -> Checked {
        match then {
            Then::Accepted { post, placed } => self.accepted(post, placed, answer),
            Then::Finished(recording) => self.recorded(recording, &answer),
            Then::Claimed { webhook, config } => self.claimed(webhook, config, answer),
            Then::Skipped { webhook } => self.skipped(webhook, answer),
            Then::Released { webhook, leases } => self.released(webhook, leases, answer),
            Then::Rescued { node } => self.rescued(node, answer),
            Then::Begun { job } => self.begun(job, answer),
            Then::Freed => self.freed(answer),
        }
    }
}

fn brief(operation: &Operation) -> String {
    match operation {
        Operation::Accept(accept) => {
            let deliveries: Vec<String> = accept
                .deliveries
                .iter()
                .map(|delivery| {
                    let leased = if delivery.lease.is_some() { " leased" } else { "" };
                    format!("{} for {}{leased}", delivery.id, delivery.webhook)
                })
                .collect();
            format!("accept {} [{}]", accept.event.id, deliveries.join(", "))
        }
        Operation::Finish(finish) => {
            format!("finish {} claim {} {:?}", finish.lease.delivery, finish.lease.claim, finish.next)
        }
        Operation::Release(leases) => {
            let ids: Vec<String> = leases.iter().map(|lease| lease.delivery.to_string()).collect();
            format!("release [{}]", ids.join(", "))
        }
        other => format!("{other:?}"),
    }
}

fn brief_answer(answer: &Answer) -> String {
    match answer {
        Answer::Claimed(claimed) => {
            let ids: Vec<String> =
                claimed.deliveries.iter().map(|claimed| claimed.lease.delivery.to_string()).collect();
            format!("claimed [{}], next due {:?}", ids.join(", "), claimed.next_due)
        }
        other => format!("{other:?}"),
    }
}
