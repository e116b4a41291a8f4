//! Decides how events become deliveries and what follows each attempt.
//!
//! Everything here is a pure function of its inputs: answers of the store and ends of requests go in; operations for the store and
//! facts for the scheduler come out. The server's dispatcher and the simulator carry them out, so that a simulated run is one
//! of the code that runs in production.

pub mod attempt;
pub mod claim;
pub mod intake;
pub mod record;
pub mod turn;

#[cfg(test)]
mod samples;
