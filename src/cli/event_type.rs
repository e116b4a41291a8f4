//! `fanfare event-type`: the catalogue of what may happen, on a running server.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::client::Request;
use super::connection::{PageArgs, ServerArgs};
use super::input;

/// Look after event types: the catalogue of what may happen
#[derive(Args, Debug)]
pub struct EventTypeArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: EventTypeCommand,
}

#[derive(Debug, Subcommand)]
enum EventTypeCommand {
    /// List event types
    List {
        /// Only those of this group
        #[arg(long)]
        kind: Option<String>,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Show an event type
    Get {
        /// Its name, such as job.created
        name: String,
    },
    /// Make an event type
    Create {
        /// Its name, such as job.created; it never changes
        name: String,
        /// What it is grouped under
        #[arg(long)]
        kind: Option<String>,
        /// What it means, for your customers
        #[arg(long)]
        description: Option<String>,
        /// A JSON Schema of the data: JSON, @FILE, or - for standard input
        #[arg(long, value_name = "JSON")]
        schema: Option<String>,
        /// An example of the data, which must fit the schema: JSON, @FILE, or - for standard input
        #[arg(long, value_name = "JSON")]
        example: Option<String>,
    },
    /// Deprecate an event type: the portal does not offer it any more, the API and its events go on
    Deprecate {
        /// Its name
        name: String,
    },
    /// Offer an event type again that was deprecated
    Offer {
        /// Its name
        name: String,
    },
    /// Delete an event type; webhooks that name it keep the name
    Delete {
        /// Its name
        name: String,
    },
}

/// Runs one of the commands.
///
/// # Errors
/// The server cannot be reached or refuses, or an option is no JSON.
pub async fn run(args: EventTypeArgs) -> anyhow::Result<()> {
    let session = args.server.session()?;
    let path = ["v1", "event-types"];
    match args.command {
        EventTypeCommand::List { kind, page } => {
            let columns = [
                ("NAME", "name"),
                ("KIND", "kind"),
                ("DESCRIPTION", "description"),
                ("DEPRECATED", "deprecated_at"),
                ("UPDATED", "updated_at"),
            ];
            session.list(Request::get(&path).query("kind", kind), &page, "event types", &columns).await
        }
        EventTypeCommand::Get { name } => session.one(Request::get(&[path[0], path[1], &name])).await,
        EventTypeCommand::Create { name, kind, description, schema, example } => {
            let mut body = Map::new();
            body.insert("name".to_owned(), name.into());
            body.extend(kind.map(|kind| ("kind".to_owned(), Value::from(kind))));
            body.extend(description.map(|text| ("description".to_owned(), Value::from(text))));
            for (option, given) in [("schema", schema), ("example", example)] {
                if let Some(given) = given {
                    body.insert(option.to_owned(), serde_json::from_str(input::json(option, &given)?.get())?);
                }
            }
            session.one(Request::post(&path).json(&body)?).await
        }
        EventTypeCommand::Deprecate { name } => {
            session.one(Request::patch(&[path[0], path[1], &name]).json(&json!({"deprecated": true}))?).await
        }
        EventTypeCommand::Offer { name } => {
            session.one(Request::patch(&[path[0], path[1], &name]).json(&json!({"deprecated": false}))?).await
        }
        EventTypeCommand::Delete { name } => {
            session.done(Request::delete(&[path[0], path[1], &name]), &format!("{name} is deleted.")).await
        }
    }
}
