//! `fanfare backup` and `fanfare restore`: a copy of the database, made beside a running server, and put in its place.

use std::path::PathBuf;

use clap::Args;
use fanfare_store::sqlite;

use super::answers::print;
use super::data_directory::DataArgs;

/// Write a copy of the database to a file; the server may run meanwhile
#[derive(Args, Debug)]
pub struct BackupArgs {
    /// The file, which must not be there yet
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    data: DataArgs,
}

/// Put a copy in place of the database; the server must be stopped
#[derive(Args, Debug)]
pub struct RestoreArgs {
    /// A file that `fanfare backup` wrote
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Replace the database that is there; what it holds is lost
    #[arg(long)]
    force: bool,
    /// Resend everything unfinished in the copy, even to webhooks that get nothing twice; by default those deliveries end as
    /// unknown, since they may have gone out after the copy was made
    #[arg(long)]
    resend_unfinished: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// Writes the copy and says what belongs to it.
///
/// # Errors
/// There is no database, the file exists, or it cannot be written.
pub async fn run_backup(args: BackupArgs) -> anyhow::Result<()> {
    let directory = args.data.directory()?;
    let (source, file) = (directory.clone(), args.to.clone());
    tokio::task::spawn_blocking(move || sqlite::backup(&source, &file)).await??;
    let bytes = std::fs::metadata(&args.to)?.len();
    print(&format!(
        "{} holds all that was accepted until now ({bytes} bytes).\n\
         Back up the master key too, apart from it ({}, or FANFARE_MASTER_KEY): no secret in it can be read without the key, and \
         all can with both.\n",
        args.to.display(),
        directory.join("master-key").display()
    ))
}

/// Puts the copy in place.
///
/// # Errors
/// There is a database and `--force` was not given, a server runs on the directory, or the file is not a copy that this version can use.
pub async fn run_restore(args: RestoreArgs) -> anyhow::Result<()> {
    let directory = args.data.directory()?;
    let database = directory.join("fanfare.db");
    if !args.force && database.try_exists()? {
        anyhow::bail!(
            "{} is there already, and what it holds would be lost; back it up first, then give --force to replace it",
            database.display()
        );
    }
    let (file, target) = (args.from.clone(), directory.clone());
    let unfinished =
        if args.resend_unfinished { sqlite::Unfinished::Resend } else { sqlite::Unfinished::MayHaveBeenSent };
    tokio::task::spawn_blocking(move || sqlite::restore(&file, &target, unfinished)).await??;
    print(&format!(
        "{} holds what {} held. The next start needs the master key that it was made with.\n",
        directory.display(),
        args.from.display()
    ))
}
