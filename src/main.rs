//! The `fanfare` program: reads the command line and runs the command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fanfare::cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Webhooks for your customers: signed, retried, logged, from one binary.
#[derive(Parser)]
#[command(name = "fanfare", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(cli::serve::ServeArgs),
    Listen(cli::listen::ListenArgs),
    Bench(cli::bench::BenchArgs),
    #[command(hide = true)]
    BenchForwarder(cli::bench_forwarder::BenchForwarderArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("fanfare: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fanfare: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(args) => cli::serve::run(args).await,
        Command::Listen(args) => cli::listen::run(args).await,
        Command::Bench(args) => cli::bench::run(args).await,
        Command::BenchForwarder(args) => cli::bench_forwarder::run(args).await,
    }
}
