//! The Fanfare server and its command line; `main.rs` is a thin shell around it.

pub mod bench;
pub mod cli;
pub mod clock;
pub mod compiled;
pub mod config;
pub mod delivery;
pub mod ids;
pub mod intake;
pub mod maintenance;
pub mod metrics;
pub mod random;
pub mod receiver;
pub mod vault;
