//! The Fanfare server and its command line; `main.rs` is a thin shell around it.

pub mod api;
pub mod app;
pub mod background;
pub mod bench;
pub mod catalogue;
pub mod cli;
pub mod clock;
pub mod compiled;
pub mod config;
pub mod delivery;
pub mod demo;
pub mod dispatch;
pub mod ids;
pub mod intake;
pub mod keyring;
pub mod lingering;
pub mod listener;
pub mod logging;
pub mod maintenance;
pub mod metrics;
pub mod observer;
pub mod random;
pub mod receiver;
pub mod recovery;
pub mod server;
pub mod vault;
