//! The `fanfare` program: reads the command line and runs the command.

use std::process::ExitCode;

use clap::Parser;
use fanfare::cli::program::Program;
use fanfare::cli::serve::Logged;
use fanfare::terminal;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let program = Program::parse();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = program.worker_threads() {
        runtime.worker_threads(threads);
    }
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("fanfare: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(program.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Logged>() => ExitCode::FAILURE,
        Err(error) => {
            // Parts of it may be what a server answered.
            eprintln!("fanfare: {}", terminal::lines(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}
