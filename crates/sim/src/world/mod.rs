//! The world of one run: what there is, and the loop that lets one thing happen after the other.
//!
//! What survives a crash is in `disk`, `catalogue`, `host` and `ledger`; what does not is in `process`.

mod audit;
mod backlog;
mod customers;
mod exchange;
mod faults;
mod intake;
mod process;
mod script;
mod writer;

use std::collections::BTreeMap;

use fanfare_engine::id::{NodeId, WebhookId};
use fanfare_engine::scheduler::{Job, Limits};
use fanfare_engine::time::Timestamp;
use fanfare_flow::claim::Wanted;
use fanfare_store::queue::{Lease, Operation};

use self::customers::Edit;
use self::exchange::Exchange;
use self::intake::Post;
use self::process::Process;
use crate::catalogue::Catalogue;
use crate::chance::Chance;
use crate::disk::{Disk, Pace};
use crate::ledger::{Checked, Fault, Ledger};
use crate::plan::{Cast, Plan, Sabotage};
use crate::report::{Report, Violation};
use crate::timeline::Timeline;
use crate::trace::Trace;

/// The wall clock when a run starts.
const START: i64 = 1_800_000_000_000;
/// A run that needs more steps than this never comes to rest.
const MOST_STEPS: u64 = 2_000_000;

/// Something that happens.
#[derive(Debug)]
enum Happening {
    /// The host posts, or posts again what was not answered.
    Post(usize),
    /// The writer's batch is on disk, or was refused.
    Commit,
    /// The writer takes up again what it could not write.
    WriterRested,
    /// The process wakes its scheduler.
    Wake {
        process: u32,
    },
    /// A task of the process begins an attempt.
    Begin {
        process: u32,
        job: Job,
    },
    /// A task of the process asks the store for what waits.
    Claim {
        process: u32,
        wanted: Wanted,
    },
    /// A task of the process tries something again that the store refused.
    Again {
        process: u32,
        operation: Again,
    },
    /// A request is with its receiver.
    Arrive(u64),
    /// The sender learns what came of a request.
    End(u64),
    /// Somebody changes a webhook or holds an organization.
    Edit(Edit),
    /// The process learns that a webhook was changed.
    Changed {
        webhook: WebhookId,
    },
    /// Somebody has a delivery sent again, or cancelled.
    Wish {
        cancel: bool,
    },
    Crash,
    Start,
    Drain,
    DrainMustBeOver {
        process: u32,
    },
    /// The process has drained and ends.
    Stop {
        process: u32,
    },
    ClockStep(i64),
    Outage(bool),
    /// A process taken for dead writes what it still had to write.
    Zombie(Operation),
    /// Faults and posts are over; what is held is let go.
    Quiet,
    /// Whether anything waits in memory for too long.
    Inspect,
}

/// What a task tries again a little later.
#[derive(Debug)]
enum Again {
    Release(WebhookId, Vec<Lease>),
    Rescue(NodeId),
}

/// See the module.
pub(crate) struct World {
    seed: u64,
    sabotage: Option<Sabotage>,
    limits: Limits,
    chance: Chance,
    /// Milliseconds since the start, which no step of the clock changes.
    now: i64,
    /// By how much the wall clock is set wrong.
    clock_error: i64,
    /// Times that the wall clock was set.
    clock_steps: u32,
    quiet: bool,
    /// Milliseconds for which the host posts.
    span: i64,
    timeline: Timeline<Happening>,
    disk: Disk,
    catalogue: Catalogue,
    posts: Vec<Post>,
    process: Option<Process>,
    processes: u32,
    exchanges: BTreeMap<u64, Exchange>,
    /// What processes taken for dead still mean to write.
    zombies: Vec<Operation>,
    /// The node of a process that was stopped after it had drained.
    drained: Option<NodeId>,
    ledger: Ledger,
    /// Milliseconds until events were acknowledged that were posted while others caught up.
    acks: Vec<i64>,
    trace: Trace,
    report: Report,
}

/// Adds a line to the trace.
macro_rules! note {
    ($world:expr, $($what:tt)*) => { $world.trace.note($world.now, format_args!($($what)*)) };
}
use note;

impl World {
    /// A world in which everything is about to begin.
    pub(crate) fn new(seed: u64, plan: &Plan) -> Result<Self, Violation> {
        let mut chance = Chance::new(seed);
        let span = i64::from(plan.seconds) * 1_000;
        let limits = plan.limits.unwrap_or_else(|| Limits {
            in_flight: chance.pick(&[2, 4, 16, 64]),
            bytes: chance.pick(&[4 << 10, 16 << 10, 256 << 10]),
            largest: 1 << 10,
            window_per_slot: chance.pick(&[1, 2, 8, 64]),
        });
        let pace = match plan.cast {
            Cast::Mixed => Pace { batch: chance.pick(&[1, 4, 50]), stutters: true, micros_per_row: 0 },
            // Neighbours share a writer that keeps up: what is measured is the scheduler.
            Cast::Neighbours(_) => Pace { batch: 1_000, stutters: false, micros_per_row: 0 },
            Cast::CatchUp { .. } => Pace { batch: 1_000, stutters: false, micros_per_row: 20 },
        };
        let disk = Disk::new(pace).map_err(|error| Violation {
            seed,
            rule: "the store can be made",
            message: error.to_string(),
            trace: String::new(),
        })?;
        let catalogue = Catalogue::draw(plan.cast, span, &mut chance.branch());
        let script = chance.branch();
        let mut world = World {
            seed,
            sabotage: plan.sabotage,
            limits,
            chance,
            now: 0,
            clock_error: 0,
            clock_steps: 0,
            quiet: false,
            span,
            timeline: Timeline::new(),
            disk,
            catalogue,
            posts: Vec::new(),
            process: None,
            processes: 0,
            exchanges: BTreeMap::new(),
            zombies: Vec::new(),
            drained: None,
            ledger: Ledger::default(),
            acks: Vec::new(),
            trace: Trace::new(),
            report: Report::default(),
        };
        world.write_script(plan, script);
        Ok(world)
    }

    /// Lets everything happen until nothing is left, then judges the store.
    pub(crate) fn run(mut self) -> Result<Report, Violation> {
        match self.run_checked() {
            Ok(()) => {
                self.report.lasted_ms = self.now;
                self.report.digest = self.trace.digest();
                Ok(self.report)
            }
            Err(Fault { rule, about, message }) => {
                note!(self, "BROKEN: {rule}: {message}");
                Err(Violation { seed: self.seed, rule, message, trace: self.trace.show(about.as_deref()) })
            }
        }
    }

    fn run_checked(&mut self) -> Checked {
        for webhook in self.catalogue.ids().into_iter().filter_map(|id| self.catalogue.webhook(id)) {
            self.trace.note(0, format_args!("{webhook:?}"));
        }
        note!(self, "{:?}", self.limits);
        while let Some((at, happening)) = self.timeline.take() {
            self.count_busy(at);
            self.now = at;
            self.report.steps += 1;
            if self.report.steps > MOST_STEPS {
                return Err(Fault { rule: "it comes to rest", about: None, message: "it goes on and on".to_owned() });
            }
            self.happen(happening)?;
        }
        self.audit()
    }

    /// Counts the slots that are in use until something happens.
    fn count_busy(&mut self, until: i64) {
        let passed = (until.min(self.span) - self.now).max(0).unsigned_abs();
        let under_way = self.process.as_ref().map_or(0, |process| process.under_way);
        self.report.busy_ms += passed * under_way as u64;
    }

    fn happen(&mut self, happening: Happening) -> Checked {
        match happening {
            Happening::Post(post) => self.post(post),
            Happening::Commit => self.commit(),
            Happening::WriterRested => self.writer_rested(),
            Happening::Wake { process } if self.lives(process) => self.wake(),
            Happening::Begin { process, job } if self.lives(process) => self.begin(job, false),
            Happening::Claim { process, wanted } if self.lives(process) => self.claim(wanted),
            Happening::Again { process, operation } if self.lives(process) => self.again(operation),
            Happening::Wake { .. } | Happening::Begin { .. } | Happening::Claim { .. } | Happening::Again { .. } => {
                Ok(())
            }
            Happening::Arrive(exchange) => self.arrive(exchange),
            Happening::End(exchange) => self.end(exchange),
            Happening::Edit(edit) => self.edit(edit),
            Happening::Changed { webhook } => self.webhook_changed(webhook),
            Happening::Wish { cancel } => self.wish(cancel),
            Happening::Crash => self.crash(),
            Happening::Start => self.start(),
            Happening::Drain => self.drain(),
            Happening::DrainMustBeOver { process } => self.drain_must_be_over(process),
            Happening::Stop { process } => self.stop(process),
            Happening::ClockStep(by) => self.clock_step(by),
            Happening::Outage(begins) => self.outage(begins),
            Happening::Zombie(operation) => self.zombie(&operation),
            Happening::Quiet => self.quieten(),
            Happening::Inspect => self.inspect(),
        }
    }

    /// The wall clock, as the process and the store see it.
    fn clock(&self) -> Timestamp {
        Timestamp(START + self.now + self.clock_error)
    }

    /// Has something happen `after` milliseconds.
    fn after(&mut self, after: i64, happening: Happening) {
        self.timeline.put(self.now + after, happening);
    }

    fn is_sabotaged(&self, sabotage: Sabotage) -> bool {
        self.sabotage == Some(sabotage)
    }
}
