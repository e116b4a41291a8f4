//! The command line: one file per command.

pub mod bench;
pub mod bench_forwarder;
pub mod listen;
pub mod serve;
