//! The decisions of Fanfare as pure functions: no I/O, no clock, no randomness of its own.
//!
//! What an event matches, what request a webhook gets, how it is signed, which addresses may be dialled, when a
//! failed delivery is tried again, when a webhook is switched off, and in which order everything is sent. Time and
//! randomness come in as arguments; requests to send and facts to record come out as values.

pub mod access;
pub mod allowance;
pub mod attempt;
pub mod caller;
pub mod clock_watch;
pub mod delivery;
pub mod egress;
pub mod event;
pub mod handshake;
pub mod header;
pub mod health;
pub mod id;
pub mod log_allowance;
pub mod matching;
pub mod profile;
pub mod render;
pub mod retry;
pub mod scheduler;
pub mod signing;
pub mod spelling;
pub mod time;
pub mod webhook;
