//! `fanfare entity`: what your entities belong to, on a running server.

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::Request;
use super::connection::ServerArgs;

/// Say what your entities belong to, for grants that cover what is below them
#[derive(Args, Debug)]
pub struct EntityArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The organization: its id or external id
    #[arg(long, global = true, env = "FANFARE_ORG", hide_env_values = true)]
    org: Option<String>,
    #[command(subcommand)]
    command: EntityCommand,
}

#[derive(Debug, Subcommand)]
enum EntityCommand {
    /// Show what an entity belongs to
    Get {
        /// The entity, such as Packet:17
        #[arg(value_name = "TYPE:ID")]
        entity: String,
    },
    /// Say what an entity belongs to
    Put {
        /// The entity, such as Packet:17
        #[arg(value_name = "TYPE:ID")]
        entity: String,
        /// An ancestor, such as Company:3; may be repeated
        #[arg(long = "scope", value_name = "TYPE:ID")]
        scope: Vec<String>,
    },
    /// Forget what an entity belongs to, until an event says so again
    Delete {
        /// The entity, such as Packet:17
        #[arg(value_name = "TYPE:ID")]
        entity: String,
    },
}

/// Runs one of the commands.
///
/// # Errors
/// No organization is named, an entity is none, or the server cannot be reached or refuses.
pub async fn run(args: EntityArgs) -> anyhow::Result<()> {
    let session = args.server.session()?;
    let org = needed(args.org)?;
    let (EntityCommand::Get { entity } | EntityCommand::Put { entity, .. } | EntityCommand::Delete { entity }) =
        &args.command;
    let (kind, id) = parse(entity)?;
    let path = ["v1", "organizations", &org, "entities", kind, id];
    match &args.command {
        EntityCommand::Get { .. } => session.one(Request::get(&path)).await,
        EntityCommand::Put { scope, .. } => {
            session.one(Request::put(&path).json(&json!({"scope": parse_all(scope)?}))?).await
        }
        EntityCommand::Delete { entity } => {
            session.done(Request::delete(&path), &format!("{entity} is forgotten.")).await
        }
    }
}

/// The organization, which must be named.
pub(super) fn needed(org: Option<String>) -> anyhow::Result<String> {
    org.context("say which organization: --org, or FANFARE_ORG in the environment")
}

/// The type and id in a text such as `Company:17`; the id may have colons of its own.
fn parse(text: &str) -> anyhow::Result<(&str, &str)> {
    let parts = text.split_once(':').filter(|(kind, id)| !kind.is_empty() && !id.is_empty());
    parts.ok_or_else(|| anyhow!("{text:?} is no entity; write its type and its id, such as Company:17"))
}

/// Entities as the API takes them.
pub(super) fn parse_all(texts: &[String]) -> anyhow::Result<Value> {
    let entity = |text: &String| parse(text).map(|(kind, id)| json!({"type": kind, "id": id}));
    Ok(Value::Array(texts.iter().map(entity).collect::<anyhow::Result<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_types_and_ids() {
        assert_eq!(parse("Company:urn:x").unwrap(), ("Company", "urn:x"));
        for bad in ["Company", ":17", "Company:", ""] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
