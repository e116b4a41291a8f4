//! `fanfare event`: posting and reading events, on a running server.

use clap::{Args, Subcommand};
use serde_json::value::to_raw_value;
use serde_json::{Map, Value, json};

use super::answers::{Session, print};
use super::client::Request;
use super::connection::{PageArgs, ServerArgs};
use super::{input, table};

/// Send events, and see what was sent
#[derive(Args, Debug)]
pub struct EventArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: EventCommand,
}

#[derive(Debug, Subcommand)]
enum EventCommand {
    /// Say that something happened; answers how many webhooks it matched
    Send(Box<SendArgs>),
    /// List events, newest first
    List {
        /// The organization's id or external id
        #[arg(long, env = "FANFARE_ORG", hide_env_values = true)]
        org: String,
        /// Only events of this type
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Show an event
    Get {
        /// The organization's id or external id
        #[arg(long, env = "FANFARE_ORG", hide_env_values = true)]
        org: String,
        /// The event's id, or your own id for it
        event: String,
    },
    /// Say for each webhook why it got the event, or why not
    Explain {
        /// The organization's id or external id
        #[arg(long, env = "FANFARE_ORG", hide_env_values = true)]
        org: String,
        /// The event's id, or your own id for it
        event: String,
    },
}

#[derive(Args, Debug)]
struct SendArgs {
    /// The organization's id or external id
    #[arg(long, env = "FANFARE_ORG", hide_env_values = true)]
    org: String,
    /// The event type, such as job.created
    #[arg(long = "type", value_name = "TYPE")]
    kind: String,
    /// What happened: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON", default_value = "{}")]
    data: String,
    /// Your own id for the event: sending it again gives the same answer and no further deliveries
    #[arg(long)]
    id: Option<String>,
    /// What it is about
    #[arg(long, value_name = "TYPE:ID", value_parser = input::reference)]
    entity: Option<(String, String)>,
    /// Where your API gives the entity
    #[arg(long, value_name = "URL", requires = "entity")]
    entity_url: Option<String>,
    /// What the entity belongs to; may be given several times
    #[arg(long, value_name = "TYPE:ID", value_parser = input::reference)]
    scope: Vec<(String, String)>,
    /// Deliveries of events with the same key to one webhook go one after the other
    #[arg(long, value_name = "KEY")]
    ordering_key: Option<String>,
    /// When it happened, such as 2026-11-22T09:30:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    occurred_at: Option<String>,
}

/// Runs one of the commands.
///
/// # Errors
/// The server cannot be reached or refuses, or the data are no JSON.
pub async fn run(args: EventArgs) -> anyhow::Result<()> {
    let session = args.server.session()?;
    match args.command {
        EventCommand::Send(send_args) => send(&session, *send_args).await,
        EventCommand::List { org, kind, page } => {
            let columns = [
                ("ID", "id"),
                ("YOUR ID", "external_id"),
                ("TYPE", "type"),
                ("OCCURRED", "occurred_at"),
                ("DELIVERIES", "deliveries"),
            ];
            session.list(Request::get(&events(&org)).query("type", kind), &page, "events", &columns).await
        }
        EventCommand::Get { org, event } => {
            session.one(Request::get(&["v1", "organizations", &org, "events", &event])).await
        }
        EventCommand::Explain { org, event } => explain(&session, &org, &event).await,
    }
}

fn events(org: &str) -> [&str; 4] {
    ["v1", "organizations", org, "events"]
}

async fn send(session: &Session, args: SendArgs) -> anyhow::Result<()> {
    let mut body = std::collections::BTreeMap::new();
    body.insert("data", input::json("data", &args.data)?);
    body.insert("type", to_raw_value(&args.kind)?);
    for (name, given) in [("id", args.id), ("ordering_key", args.ordering_key), ("occurred_at", args.occurred_at)] {
        if let Some(given) = given {
            body.insert(name, to_raw_value(&given)?);
        }
    }
    if let Some((kind, id)) = args.entity {
        let mut entity = Map::new();
        entity.insert("type".to_owned(), kind.into());
        entity.insert("id".to_owned(), id.into());
        entity.extend(args.entity_url.map(|url| ("url".to_owned(), Value::from(url))));
        body.insert("entity", to_raw_value(&entity)?);
    }
    if !args.scope.is_empty() {
        let scope: Vec<Value> = args.scope.iter().map(|(kind, id)| json!({"type": kind, "id": id})).collect();
        body.insert("scope", to_raw_value(&scope)?);
    }
    session.one(Request::post(&events(&args.org)).json(&body)?).await
}

async fn explain(session: &Session, org: &str, event: &str) -> anyhow::Result<()> {
    let request = Request::get(&["v1", "organizations", org, "events", event, "explain"]);
    let Some(explanation) = session.ask(request).await? else { return Ok(()) };
    let webhooks = explanation["webhooks"].as_array().map(Vec::as_slice).unwrap_or_default();
    if webhooks.is_empty() {
        return print("The organization has no webhooks.\n");
    }
    let columns = [
        ("WEBHOOK", "webhook_id"),
        ("NAME", "name"),
        ("MATCHED", "matched"),
        ("DELIVERY", "delivery_id"),
        ("STATE", "delivery_state"),
        ("WHY", "detail"),
    ];
    print(&table::of(webhooks, &columns, table::Cells::for_output()))
}
