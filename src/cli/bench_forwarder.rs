//! `fanfare bench-forwarder`: the bare forwarder that `fanfare bench` compares with; a process of its own so that its CPU can be read.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::bench::forwarder::{self, Settings};

/// Forward events as barely as possible (started by bench)
#[derive(clap::Args, Debug)]
pub struct BenchForwarderArgs {
    /// Where to send deliveries
    #[arg(long)]
    pub target: SocketAddr,
    /// How many deliveries to make of each event
    #[arg(long, default_value_t = 1)]
    pub fan_out: usize,
    /// Over how many connections to send them
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// The file that events are made durable in
    #[arg(long)]
    pub log: PathBuf,
}

/// Forwards until standard input ends.
///
/// # Errors
/// The log cannot be written or the loopback not listened on.
pub async fn run(args: BenchForwarderArgs) -> anyhow::Result<()> {
    let BenchForwarderArgs { target, fan_out, connections, log } = args;
    let settings = Settings { target, fan_out, connections, log };
    forwarder::run(settings).await
}
