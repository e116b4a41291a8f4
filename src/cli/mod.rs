//! The command line: one file per command, and what the commands share.

pub mod answers;
pub mod api_key;
pub mod bench;
pub mod bench_forwarder;
pub mod client;
pub mod connection;
pub mod delivery;
pub mod demo;
pub mod event;
pub mod event_type;
pub mod input;
pub mod listen;
pub mod openapi;
pub mod organization;
pub mod program;
pub mod serve;
pub mod table;
pub mod webhook;
