//! The scheduler at work: what it decides is carried out here, and what comes of it is told back.
//!
//! [`dispatcher::Dispatcher`] holds the scheduler. `runner` makes an attempt in its `turn`, `fanfare_flow` decides what follows, `logged`
//! shortens what is kept of a response, `record` has it written, `tails` reads on what comes late, `report` and `disable` tell the
//! operator and switch webhooks off, `backlog` fetches what waits in the store.

mod backlog;
mod disable;
pub mod dispatcher;
mod first_sent;
mod logged;
mod record;
pub mod report;
mod runner;
mod tails;
mod turn;
pub mod updates;

#[cfg(test)]
mod tests;
