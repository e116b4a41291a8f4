//! `fanfare api-key`: keys to the API, on a running server.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::client::Request;
use super::connection::{PageArgs, ServerArgs};

/// Look after API keys
#[derive(Args, Debug)]
pub struct ApiKeyArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: ApiKeyCommand,
}

#[derive(Debug, Subcommand)]
enum ApiKeyCommand {
    /// List API keys, without the keys themselves
    List {
        #[command(flatten)]
        page: PageArgs,
    },
    /// Make an API key; it is shown this once
    Create {
        /// What it is for
        name: String,
        /// What it may do, with commas between: everything, reading, posting events
        #[arg(long, required = true, value_delimiter = ',', value_parser = ["manage", "read", "events:write"])]
        scopes: Vec<String>,
        /// The one organization on which it may act: its id or external id
        #[arg(long, env = "FANFARE_ORG", hide_env_values = true)]
        org: Option<String>,
        /// The one user of that organization on whose behalf it acts
        #[arg(long, requires = "org")]
        user: Option<String>,
        /// When it ends, such as 2027-01-01T00:00:00Z
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
    },
    /// Delete an API key: it is refused from now on
    Delete {
        /// The key's id
        id: String,
    },
}

/// Runs one of the commands.
///
/// # Errors
/// The server cannot be reached or refuses.
pub async fn run(args: ApiKeyArgs) -> anyhow::Result<()> {
    let session = args.server.session()?;
    let path = ["v1", "api-keys"];
    match args.command {
        ApiKeyCommand::List { page } => {
            let columns = [
                ("ID", "id"),
                ("NAME", "name"),
                ("SCOPES", "scopes"),
                ("ORGANIZATION", "organization"),
                ("USER", "user"),
                ("EXPIRES", "expires_at"),
            ];
            session.list(Request::get(&path), &page, "API keys", &columns).await
        }
        ApiKeyCommand::Create { name, scopes, org, user, expires_at } => {
            let mut body = Map::new();
            body.insert("name".to_owned(), name.into());
            body.insert("scopes".to_owned(), json!(scopes));
            for (member, given) in [("organization", org), ("user", user), ("expires_at", expires_at)] {
                body.extend(given.map(|given| (member.to_owned(), Value::from(given))));
            }
            session.one(Request::post(&path).json(&body)?).await
        }
        ApiKeyCommand::Delete { id } => {
            session.done(Request::delete(&[path[0], path[1], &id]), &format!("{id} is deleted.")).await
        }
    }
}
