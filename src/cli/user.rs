//! `fanfare user`: the people of an organization, on a running server.

use clap::{Args, Subcommand};
use serde_json::json;

use super::client::Request;
use super::connection::{PageArgs, ServerArgs};
use super::{entity, input};

/// Look after users: the people of an organization, and what they may do
#[derive(Args, Debug)]
pub struct UserArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// List an organization's users, newest first
    List {
        /// The organization's id or external id
        #[arg(long, env = "FANFARE_ORG", hide_env_values = true)]
        org: String,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Show a user
    Get(Named),
    /// Make a user, or replace all that is known of one
    Put {
        #[command(flatten)]
        named: Named,
        /// The name, for people
        #[arg(long)]
        name: Option<String>,
        /// Roles, with commas between
        #[arg(long, value_delimiter = ',')]
        roles: Vec<String>,
        /// Permissions, with commas between
        #[arg(long, value_delimiter = ',')]
        permissions: Vec<String>,
        /// An entity that the user has access to, with those below it; may be given several times
        #[arg(long, value_name = "TYPE:ID", value_parser = input::reference)]
        grant: Vec<(String, String)>,
        /// The user has access to every entity
        #[arg(long, conflicts_with = "grant")]
        grant_all: bool,
    },
    /// Forget a user; the user's webhooks stay, owned by one who has no rights
    Delete(Named),
}

/// One user.
#[derive(Args, Debug)]
struct Named {
    /// The organization's id or external id
    #[arg(long, env = "FANFARE_ORG", hide_env_values = true)]
    org: String,
    /// Your own id of the user
    user: String,
}

impl Named {
    fn path(&self) -> [&str; 5] {
        ["v1", "organizations", &self.org, "users", &self.user]
    }
}

/// Runs one of the commands.
///
/// # Errors
/// The server cannot be reached or refuses.
pub async fn run(args: UserArgs) -> anyhow::Result<()> {
    let session = args.server.session()?;
    match args.command {
        UserCommand::List { org, page } => {
            let columns = [("ID", "id"), ("NAME", "name"), ("ROLES", "roles"), ("PERMISSIONS", "permissions")];
            session.list(Request::get(&["v1", "organizations", &org, "users"]), &page, "users", &columns).await
        }
        UserCommand::Get(named) => session.one(Request::get(&named.path())).await,
        UserCommand::Put { named, name, roles, permissions, grant, grant_all } => {
            let grants = if grant_all { json!("all") } else { entity::references(&grant) };
            let body = json!({"name": name, "roles": roles, "permissions": permissions, "grants": grants});
            session.one(Request::put(&named.path()).json(&body)?).await
        }
        UserCommand::Delete(named) => {
            session.done(Request::delete(&named.path()), &format!("{} is forgotten.", named.user)).await
        }
    }
}
