//! The command line: one file per command, and what the commands share.

pub mod answers;
pub mod api_key;
pub mod backup;
pub mod bench;
pub mod bench_forwarder;
pub mod check;
pub mod client;
pub mod connection;
pub mod data_directory;
pub mod delivery;
pub mod demo;
pub mod event;
pub mod event_type;
pub mod input;
pub mod listen;
pub mod manual;
pub mod migrate;
pub mod mistakes;
pub mod openapi;
pub mod organization;
pub mod profile;
pub mod profile_try;
pub mod program;
pub mod serve;
pub mod table;
pub mod webhook;
