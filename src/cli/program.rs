//! The whole command line: which commands there are, and which function runs each.

use std::collections::BTreeSet;
use std::num::NonZero;

use clap::{CommandFactory as _, Parser, Subcommand};

use super::{
    api_key, backup, bench, bench_forwarder, check, delivery, demo, entity, event, event_type, listen, manual, migrate,
    openapi, organization, profile, serve, user, webhook,
};

/// Webhooks for your customers: signed, retried, logged, from one binary.
#[derive(Debug, Parser)]
#[command(
    name = "fanfare",
    version,
    arg_required_else_help = true,
    after_help = "`fanfare demo` shows it at work. `fanfare COMMAND --help` says more of a command."
)]
pub struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Serve(serve::ServeArgs),
    Listen(listen::ListenArgs),
    Organization(organization::OrganizationArgs),
    User(user::UserArgs),
    Entity(entity::EntityArgs),
    EventType(event_type::EventTypeArgs),
    Webhook(webhook::WebhookArgs),
    Event(event::EventArgs),
    Delivery(delivery::DeliveryArgs),
    ApiKey(api_key::ApiKeyArgs),
    Profile(profile::ProfileArgs),
    Check(check::CheckArgs),
    Migrate(migrate::MigrateArgs),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    Openapi(openapi::OpenapiArgs),
    Bench(bench::BenchArgs),
    #[command(hide = true)]
    BenchForwarder(bench_forwarder::BenchForwarderArgs),
    #[command(hide = true)]
    Manual(manual::ManualArgs),
}

/// The variables that any of the commands reads.
pub(super) fn variables() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut pending = vec![Program::command()];
    while let Some(command) = pending.pop() {
        names.extend(command.get_arguments().filter_map(|argument| argument.get_env()?.to_str().map(str::to_owned)));
        pending.extend(command.get_subcommands().cloned());
    }
    names
}

impl Program {
    /// How many threads carry out the command's tasks; `None` for as many as there are CPUs, or as `TOKIO_WORKER_THREADS`
    /// says. A server leaves one CPU to the threads of its store: where its tasks take all of them, the thread that writes
    /// waits for its turn, and everybody waits for it.
    #[expect(clippy::disallowed_methods, reason = "the runtime's own variable, needed before any setting can be read")]
    pub fn worker_threads(&self) -> Option<usize> {
        let is_server = matches!(self.command, Command::Serve(_) | Command::Demo(_));
        let is_set = std::env::var_os("TOKIO_WORKER_THREADS").is_some();
        let cpus = || std::thread::available_parallelism().map_or(1, NonZero::get);
        (is_server && !is_set).then(|| (cpus() - 1).max(1))
    }

    /// Runs the command until it is done.
    ///
    /// # Errors
    /// Whatever the command cannot do, in words for its user.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Demo(args) => demo::run(args).await,
            Command::Serve(args) => serve::run(args).await,
            Command::Listen(args) => listen::run(args).await,
            Command::Organization(args) => organization::run(args).await,
            Command::User(args) => user::run(args).await,
            Command::Entity(args) => entity::run(args).await,
            Command::EventType(args) => event_type::run(args).await,
            Command::Webhook(args) => webhook::run(args).await,
            Command::Event(args) => event::run(args).await,
            Command::Delivery(args) => delivery::run(args).await,
            Command::ApiKey(args) => api_key::run(args).await,
            Command::Profile(args) => profile::run(args),
            Command::Check(args) => check::run(&args),
            Command::Migrate(args) => migrate::run(args).await,
            Command::Backup(args) => backup::run_backup(args).await,
            Command::Restore(args) => backup::run_restore(args).await,
            Command::Openapi(args) => openapi::run(&args),
            Command::Bench(args) => bench::run(args).await,
            Command::BenchForwarder(args) => bench_forwarder::run(args).await,
            Command::Manual(args) => manual::run(&args),
        }
    }
}
