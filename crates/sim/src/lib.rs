//! The simulator: the real scheduler over the real SQL, in virtual time, with faults drawn from a seed.
//!
//! A **world** ([`run`]) has organizations with webhooks, receivers that behave well or badly, a host that posts events,
//! people who edit, pause, cancel and resend, and one server process. The process is a small mirror of the server's own
//! intake and runner: it carries out the scheduler's commands and tells it facts, but everything that takes time is a
//! thing on a timeline. The process is killed and started again, the clock is set, the disk refuses to write. The disk
//! is the embedded store in memory; it and what people set survive a crash, nothing else does.
//!
//! Beside it stands a **ledger** of what really happened. It judges every step (caps, due times, leases, order), and when
//! nothing is left to happen, an **audit** reads the store through the API's own queries: everything accepted has ended,
//! the log has every request that left the machine, memory is empty.
//!
//! The same seed and plan give the same run, line by line. A broken invariant comes with the seed and the last lines.
//! [`Sabotage`] breaks the mirror on purpose, to show that the invariants can be broken.

mod catalogue;
mod chance;
mod disk;
mod ledger;
mod plan;
mod receiver;
mod report;
mod timeline;
mod trace;
mod world;

pub use plan::{Beside, Cast, Plan, Sabotage};
pub use report::{Report, Violation};

/// Runs a world to its end.
///
/// # Errors
/// The first invariant that was broken.
pub fn run(seed: u64, plan: &Plan) -> Result<Report, Violation> {
    world::World::new(seed, plan)?.run()
}
