//! `fanfare organization`: the customers, on a running server.

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::connection::{PageArgs, ServerArgs};
use crate::cli::client::Request;

/// Look after organizations: the customers
#[derive(Args, Debug)]
pub struct OrganizationArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: OrganizationCommand,
}

#[derive(Debug, Subcommand)]
enum OrganizationCommand {
    /// List organizations, newest first
    List {
        /// Only those with this in their name or external id
        #[arg(long)]
        search: Option<String>,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Show an organization
    Get {
        /// Its id or external id
        org: String,
    },
    /// Make an organization
    Create {
        /// Its name
        name: String,
        /// Your own id for it, usable wherever the id is
        #[arg(long, value_name = "ID")]
        external_id: Option<String>,
    },
    /// Delete an organization with its webhooks and keys
    Delete {
        /// Its id or external id
        org: String,
    },
}

/// Runs one of the commands.
///
/// # Errors
/// The server cannot be reached or refuses.
pub async fn run(args: OrganizationArgs) -> anyhow::Result<()> {
    let session = args.server.session()?;
    let path = ["v1", "organizations"];
    match args.command {
        OrganizationCommand::List { search, page } => {
            let columns = [("ID", "id"), ("EXTERNAL ID", "external_id"), ("NAME", "name"), ("CREATED", "created_at")];
            session.list(Request::get(&path).query("search", search), &page, "organizations", &columns).await
        }
        OrganizationCommand::Get { org } => session.one(Request::get(&[path[0], path[1], &org])).await,
        OrganizationCommand::Create { name, external_id } => {
            let mut body = Map::new();
            body.insert("name".to_owned(), name.into());
            body.extend(external_id.map(|id| ("external_id".to_owned(), Value::from(id))));
            session.one(Request::post(&path).json(&body)?).await
        }
        OrganizationCommand::Delete { org } => {
            session.done(Request::delete(&[path[0], path[1], &org]), &format!("{org} is deleted.")).await
        }
    }
}
