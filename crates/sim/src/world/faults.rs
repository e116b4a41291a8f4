//! What goes wrong: crashes, restarts, a clock that is set, a disk that refuses; and the rest at the end.

use fanfare_engine::id::NodeId;
use fanfare_engine::scheduler::Input;
use fanfare_engine::webhook::Status;
use fanfare_store::log;
use fanfare_store::queue::{Answer, Finished, Operation};

use super::process::Process;
use super::{Happening, World, note};
use crate::disk::{Entry, Then};
use crate::ledger::{Checked, Fault, fault};
use crate::plan::Sabotage;

/// A drain takes no longer than this many milliseconds: every request and every commit ends long before.
const LONGEST_DRAIN: i64 = 10 * 60_000;
/// Nothing waits in memory for longer than this many milliseconds, however slow its receiver and small the limits.
const LONGEST_IN_MEMORY: i64 = 3 * 3_600_000;

impl World {
    /// The process is killed: whatever was not on disk is gone, and requests may have left the machine or not.
    pub(super) fn crash(&mut self) -> Checked {
        let Some(process) = self.process.take() else { return Ok(()) };
        note!(self, "--- the process is killed");
        self.report.crashes += 1;
        self.nothing_waits_that_counts_as_sent(&process)?;
        let mut writing = std::mem::take(&mut self.disk.writing);
        if !self.disk.refuses && self.chance.percent(50) {
            // The commit came through, and nobody lived to learn of it.
            let (operations, thens): (Vec<_>, Vec<_>) =
                writing.drain(..).map(|entry| (entry.operation, entry.then)).unzip();
            self.write(&operations)?;
            thens.into_iter().for_each(|then| self.host_is_unanswered(&then));
        }
        let lost: Vec<Entry> = writing.into_iter().chain(self.disk.waiting.drain(..)).collect();
        for Entry { operation, then } in lost {
            self.host_is_unanswered(&then);
            if operation.must_be_kept() {
                self.zombies.push(operation);
            }
        }
        self.cut_off_exchanges(process);
        let after = self.chance.between(10, 3_000);
        self.after(after, Happening::Start);
        Ok(())
    }

    /// What only waits in memory when its process dies does not count as sent where that would be its end.
    fn nothing_waits_that_counts_as_sent(&self, process: &Process) -> Checked {
        for id in process.waiting() {
            let Some(story) = self.ledger.stories.get(&id).filter(|story| story.lease.is_some()) else { continue };
            if self.catalogue.webhook(story.webhook).is_some_and(|webhook| webhook.retry.stop_after_unknown) {
                let message = format!("{id} for {} waits and is leased", story.webhook);
                return fault("what is sent at most once is not leased to wait", id, message);
            }
        }
        Ok(())
    }

    fn host_is_unanswered(&mut self, then: &Then) {
        if let Then::Accepted { post, .. } = then
            && self.posts[*post].answered.is_none()
        {
            let after = self.chance.between(100, 5_000);
            self.after(after, Happening::Post(*post));
        }
    }

    fn cut_off_exchanges(&mut self, mut process: Process) {
        let clock = self.clock();
        let mut cut_off = Vec::new();
        for (number, exchange) in self.exchanges.iter().filter(|(_, exchange)| exchange.process == process.number) {
            if self.chance.percent(50) {
                self.zombies.push(exchange.late_outcome(process.ids.next(clock)));
            }
            if !exchange.arrived && self.chance.percent(50) {
                cut_off.push(*number);
            }
        }
        for number in cut_off {
            self.exchanges.remove(&number);
        }
    }

    /// A process starts: joins the nodes, learns what waits, and takes over from the dead.
    pub(super) fn start(&mut self) -> Checked {
        if self.process.is_some() {
            return Ok(());
        }
        if self.disk.refuses {
            self.after(500, Happening::Start);
            return Ok(());
        }
        let clock = self.clock();
        let broken = |error: fanfare_store::StoreError| Fault {
            rule: "a process can start",
            about: None,
            message: error.to_string(),
        };
        let joined = self.disk.core.join(clock).map_err(broken)?;
        self.processes += 1;
        note!(self, "--- process {} starts as {:?}", self.processes, joined);
        self.disk.closed = false;
        self.process = Some(Process::new(self.processes, &joined, self.limits));
        for id in self.catalogue.ids() {
            if let Some(webhook) = self.catalogue.webhook_mut(id) {
                webhook.concurrency_before = webhook.concurrency;
            }
        }
        for (webhook, due) in self.disk.core.read(&log::waiting_webhooks()).map_err(broken)? {
            self.tell(Input::Stored { webhook, config: None, due })?;
        }
        joined.dead.into_iter().try_for_each(|node| self.rescue(node))
    }

    /// The process is asked to stop.
    pub(super) fn drain(&mut self) -> Checked {
        let Some(process) = self.process.as_mut().filter(|process| !process.draining) else { return Ok(()) };
        process.draining = true;
        let process = process.number;
        note!(self, "--- the process drains");
        self.after(LONGEST_DRAIN, Happening::DrainMustBeOver { process });
        self.tell(Input::Drain)
    }

    pub(super) fn stop_if_drained(&mut self) -> Checked {
        let Some(process) = &mut self.process else { return Ok(()) };
        if process.drained || self.disk.refuses || !process.scheduler.is_drained() {
            return Ok(());
        }
        process.drained = true;
        let process = process.number;
        let after = self.chance.between(0, 3);
        self.after(after, Happening::Stop { process });
        Ok(())
    }

    pub(super) fn drain_must_be_over(&mut self, number: u32) -> Checked {
        match &self.process {
            Some(process) if process.number == number => {
                let figures = process.scheduler.figures();
                fault("a drain ends", "drains", format!("it has not after {LONGEST_DRAIN} ms: {figures:?}"))
            }
            _ => Ok(()),
        }
    }

    /// A drained process writes what waits and ends.
    pub(super) fn stop(&mut self, number: u32) -> Checked {
        if !self.lives(number) {
            return Ok(());
        }
        if self.disk.refuses {
            self.after(500, Happening::Stop { process: number });
            return Ok(());
        }
        self.disk.closed = true;
        while !self.disk.is_idle() {
            self.disk.take_batch();
            let entries = std::mem::take(&mut self.disk.writing);
            let (operations, thens): (Vec<_>, Vec<_>) =
                entries.into_iter().map(|entry| (entry.operation, entry.then)).unzip();
            let answers = self.write(&operations)?;
            thens.into_iter().zip(answers).try_for_each(|(then, answer)| self.go_on(then, answer))?;
        }
        note!(self, "--- the process ends");
        self.drained = self.process.take().map(|process| process.node);
        let after = self.chance.between(10, 2_000);
        self.after(after, Happening::Start);
        Ok(())
    }

    pub(super) fn clock_step(&mut self, by: i64) -> Checked {
        self.clock_error += by;
        self.clock_steps += 1;
        note!(self, "--- the clock is set by {by} ms to {}", self.clock());
        if let Some(process) = &mut self.process {
            // It looks at the clock every second, at least.
            let after = self.chance.between(0, 1_000);
            process.wakes_at = Some(self.now + after);
            let process = process.number;
            self.after(after, Happening::Wake { process });
        }
        Ok(())
    }

    pub(super) fn outage(&mut self, begins: bool) -> Checked {
        note!(self, "--- the disk {}", if begins { "refuses to write" } else { "writes again" });
        self.disk.refuses = begins;
        self.stop_if_drained()
    }

    /// What a process taken for dead still had to write comes now: everything it held was taken over.
    pub(super) fn wake_zombies(&mut self, node: NodeId) {
        let (now, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.zombies).into_iter().partition(|operation| node_of(operation) == Some(node));
        self.zombies = later;
        for operation in now {
            let after = self.chance.between(0, 5_000);
            self.after(after, Happening::Zombie(operation));
        }
    }

    /// A process taken for dead writes. The store turns it away, and no row changes.
    pub(super) fn zombie(&mut self, operation: &Operation) -> Checked {
        let Operation::Finish(finish) = operation else {
            return self.must_be_turned_away(operation);
        };
        let id = finish.lease.delivery;
        if self.is_sabotaged(Sabotage::IgnoreFence)
            && let Some((lease, _)) = self.ledger.stories.get(&id).and_then(|story| story.lease)
        {
            let (webhook, held, next) = (finish.webhook, finish.held.clone(), finish.next);
            let stolen = fanfare_store::queue::Finish { lease, webhook, held, attempt: None, next, report: None };
            return self.must_be_turned_away(&Operation::Finish(Box::new(stolen)));
        }
        let before = self.disk.core.read(&log::delivery(id));
        self.must_be_turned_away(operation)?;
        if before != self.disk.core.read(&log::delivery(id)) {
            return fault("stale leases are fenced", id, format!("{id} was changed by {:?}", finish.lease));
        }
        Ok(())
    }

    fn must_be_turned_away(&mut self, operation: &Operation) -> Checked {
        let clock = self.clock();
        let answers = self.disk.core.apply(clock, std::slice::from_ref(operation));
        match answers.first() {
            Some(Ok(Answer::Finished(Finished::Fenced) | Answer::Count(0))) => {
                self.report.fenced += 1;
                Ok(())
            }
            other => fault("stale leases are fenced", "fenced", format!("{operation:?} was answered with {other:?}")),
        }
    }

    /// Nothing goes wrong any more, and nothing is held.
    pub(super) fn quieten(&mut self) -> Checked {
        note!(self, "--- quiet");
        self.quiet = true;
        self.disk.refuses = false;
        self.catalogue.held.clear();
        for id in self.catalogue.ids() {
            if self.catalogue.webhook(id).is_some_and(|webhook| webhook.status == Status::Paused) {
                self.catalogue.set_status(id, Status::Active);
            }
            self.webhook_changed(id)?;
        }
        self.stop_if_drained()
    }

    /// Nothing is forgotten in memory.
    pub(super) fn inspect(&mut self) -> Checked {
        let Some(process) = &self.process else { return Ok(()) };
        match self.ledger.oldest_lease(process.node) {
            Some((id, since)) if self.now - since > LONGEST_IN_MEMORY => {
                let hours = (self.now - since) / 3_600_000;
                fault("nothing is forgotten in memory", id, format!("{id} has been in memory for {hours} hours"))
            }
            _ => Ok(()),
        }
    }
}

fn node_of(operation: &Operation) -> Option<NodeId> {
    match operation {
        Operation::Finish(finish) => Some(finish.lease.node),
        Operation::Release(leases) => leases.first().map(|lease| lease.node),
        _ => None,
    }
}
