//! `fanfare migrate`: brings a stopped server's database up to date.

use clap::Args;
use fanfare_store::sqlite::upgrade;

use super::answers::print;
use super::data_directory::DataArgs;

/// Bring the database up to date; every start of the server does so, too
#[derive(Args, Debug)]
pub struct MigrateArgs {
    #[command(flatten)]
    data: DataArgs,
}

/// Applies what is missing, and says what was done.
///
/// # Errors
/// There is no such directory, a server runs on it, or the database cannot be used.
pub async fn run(args: MigrateArgs) -> anyhow::Result<()> {
    let directory = args.data.directory()?;
    if !directory.is_dir() {
        anyhow::bail!("there is no directory {}; --data names another", directory.display());
    }
    let shown = directory.display().to_string();
    let done = tokio::task::spawn_blocking(move || upgrade(&directory)).await??;
    if done.from == done.to {
        return print(&format!("{shown} is up to date: schema version {}.\n", done.to));
    }
    print(&format!("{shown} is at schema version {} now; it was at {}.\n", done.to, done.from))
}
