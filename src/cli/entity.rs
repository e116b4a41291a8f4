//! `fanfare entity`: what your entities belong to, on a running server.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::Request;
use super::connection::ServerArgs;
use super::input;

/// Say what your entities belong to, for grants that cover what is below them
#[derive(Args, Debug)]
pub struct EntityArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: EntityCommand,
}

#[derive(Debug, Subcommand)]
enum EntityCommand {
    /// Show what an entity belongs to
    Get(Named),
    /// Say what an entity belongs to, whatever was known before
    Put {
        #[command(flatten)]
        named: Named,
        /// What it belongs to; may be given several times
        #[arg(long, value_name = "TYPE:ID", value_parser = input::reference)]
        scope: Vec<(String, String)>,
    },
    /// Forget what an entity belongs to, until an event says so again
    Delete(Named),
}

/// One entity.
#[derive(Args, Debug)]
struct Named {
    /// The organization's id or external id
    #[arg(long, env = "FANFARE_ORG", hide_env_values = true)]
    org: String,
    /// The entity
    #[arg(value_name = "TYPE:ID", value_parser = input::reference)]
    entity: (String, String),
}

impl Named {
    fn path(&self) -> [&str; 6] {
        let (kind, id) = &self.entity;
        ["v1", "organizations", &self.org, "entities", kind, id]
    }
}

/// Runs one of the commands.
///
/// # Errors
/// The server cannot be reached or refuses.
pub async fn run(args: EntityArgs) -> anyhow::Result<()> {
    let session = args.server.session()?;
    match args.command {
        EntityCommand::Get(named) => session.one(Request::get(&named.path())).await,
        EntityCommand::Put { named, scope } => {
            session.one(Request::put(&named.path()).json(&json!({"scope": references(&scope)}))?).await
        }
        EntityCommand::Delete(named) => {
            let (kind, id) = &named.entity;
            session.done(Request::delete(&named.path()), &format!("{kind}:{id} is forgotten.")).await
        }
    }
}

/// Entities as the API takes them.
pub(super) fn references(entities: &[(String, String)]) -> Value {
    entities.iter().map(|(kind, id)| json!({"type": kind, "id": id})).collect()
}
