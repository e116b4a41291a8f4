//! `fanfare user`: the people of an organization, on a running server.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::client::Request;
use super::connection::{PageArgs, ServerArgs};
use super::entity;

/// Look after users: the people of an organization and what they may do
#[derive(Args, Debug)]
pub struct UserArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The organization: its id or external id
    #[arg(long, global = true, env = "FANFARE_ORG", hide_env_values = true)]
    org: Option<String>,
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// List users, newest first
    List {
        #[command(flatten)]
        page: PageArgs,
    },
    /// Show a user
    Get {
        /// Your own id of the user
        user: String,
    },
    /// Make a user, or replace all that is known of one
    Put {
        /// Your own id of the user
        user: String,
        /// The name, for people
        #[arg(long)]
        name: Option<String>,
        /// Roles, with commas between
        #[arg(long, value_delimiter = ',')]
        roles: Vec<String>,
        /// Permissions, with commas between
        #[arg(long, value_delimiter = ',')]
        permissions: Vec<String>,
        /// An entity that the user has access to, such as Company:17, with those below it; may be repeated. Or: all
        #[arg(long = "grant", value_name = "TYPE:ID")]
        grants: Vec<String>,
    },
    /// Forget a user; the user's webhooks stay, owned by one who may nothing
    Delete {
        /// Your own id of the user
        user: String,
    },
}

/// Runs one of the commands.
///
/// # Errors
/// No organization is named, a grant is none, or the server cannot be reached or refuses.
pub async fn run(args: UserArgs) -> anyhow::Result<()> {
    let session = args.server.session()?;
    let org = entity::needed(args.org)?;
    let below = ["v1", "organizations", &org, "users"];
    let path = |user| [below[0], below[1], below[2], below[3], user];
    match args.command {
        UserCommand::List { page } => {
            let columns = [("ID", "id"), ("NAME", "name"), ("ROLES", "roles"), ("PERMISSIONS", "permissions")];
            session.list(Request::get(&below), &page, "users", &columns).await
        }
        UserCommand::Get { user } => session.one(Request::get(&path(&user))).await,
        UserCommand::Put { user, name, roles, permissions, grants } => {
            let mut body = Map::new();
            body.extend(name.map(|name| ("name".to_owned(), Value::from(name))));
            body.insert("roles".to_owned(), json!(roles));
            body.insert("permissions".to_owned(), json!(permissions));
            let grants = match grants.as_slice() {
                [all] if all == "all" => json!("all"),
                some => entity::parse_all(some)?,
            };
            body.insert("grants".to_owned(), grants);
            session.one(Request::put(&path(&user)).json(&body)?).await
        }
        UserCommand::Delete { user } => {
            session.done(Request::delete(&path(&user)), &format!("{user} is forgotten.")).await
        }
    }
}
