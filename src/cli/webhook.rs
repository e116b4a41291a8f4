//! `fanfare webhook`: the customers' webhooks, on a running server.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::answers::Session;
use super::client::Request;
use super::connection::{PageArgs, ServerArgs};
use super::input;

/// Look after webhooks
#[derive(Args, Debug)]
pub struct WebhookArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: WebhookCommand,
}

#[derive(Debug, Subcommand)]
enum WebhookCommand {
    /// List webhooks, newest first
    List {
        /// Only this organization's: its id or external id
        #[arg(long, env = "FANFARE_ORG", hide_env_values = true)]
        org: Option<String>,
        /// Only those with this status
        #[arg(long, value_parser = ["active", "deactivated", "paused", "auto_disabled"])]
        status: Option<String>,
        /// Only those with this in their name or URL
        #[arg(long)]
        search: Option<String>,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Show a webhook
    Get(OneWebhook),
    /// Make a webhook; what is not said is as its profile has it
    Create(Box<CreateArgs>),
    /// Switch a webhook on
    Enable(OneWebhook),
    /// Switch a webhook off: it gets no events, and what waits for it is skipped
    Disable(OneWebhook),
    /// Hold a webhook: its events wait
    Pause(OneWebhook),
    /// Let a held webhook go on: what waited is sent
    Resume(OneWebhook),
    /// Delete a webhook; what waits for it is skipped
    Delete(OneWebhook),
    /// Show the signing secret
    Secret(OneWebhook),
    /// Replace the signing secret; the present one still signs for a while
    Rotate {
        #[command(flatten)]
        webhook: OneWebhook,
        /// The new secret [default: one is made]
        #[arg(long)]
        secret: Option<String>,
        /// How long the present one still signs, in seconds [default: as the profile says]
        #[arg(long, value_name = "SECONDS")]
        overlap: Option<u32>,
    },
    /// Send a test event to a webhook
    Test {
        #[command(flatten)]
        webhook: OneWebhook,
        /// The event type whose example is sent
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
    },
}

#[derive(Args, Debug)]
struct OneWebhook {
    /// The organization's id or external id
    #[arg(long, env = "FANFARE_ORG", hide_env_values = true)]
    org: String,
    /// The webhook's id
    webhook: String,
}

impl OneWebhook {
    fn path<'a>(&'a self, further: &[&'a str]) -> Vec<&'a str> {
        let path = ["v1", "organizations", &self.org, "webhooks", &self.webhook];
        path.into_iter().chain(further.iter().copied()).collect()
    }
}

#[derive(Args, Debug)]
struct CreateArgs {
    /// The organization's id or external id
    #[arg(long, env = "FANFARE_ORG", hide_env_values = true)]
    org: String,
    /// Where the requests go
    endpoint: String,
    /// For people
    #[arg(long)]
    name: Option<String>,
    /// The event types it gets, with commas between, or "all"
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    events: Vec<String>,
    /// One of the project's profiles
    #[arg(long)]
    profile: Option<String>,
    /// The signing secret [default: one is made, and shown]
    #[arg(long)]
    secret: Option<String>,
    /// Only events of this type of entity, or of this one entity
    #[arg(long, value_name = "TYPE[:ID]")]
    filter: Option<String>,
    /// A further header; may be given several times
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = input::header)]
    headers: Vec<(String, String)>,
    /// Seconds from each attempt to the next, such as 5,60,600
    #[arg(long, value_name = "SECONDS", value_delimiter = ',')]
    retry: Vec<u32>,
    /// How long an exchange may take, in seconds
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u32>,
    /// Requests a second, at most
    #[arg(long, value_name = "N")]
    rate_limit: Option<u32>,
    /// Requests a minute, at most, for less than one a second
    #[arg(long, value_name = "N", conflicts_with = "rate_limit")]
    rate_limit_per_minute: Option<u32>,
    /// Make it switched off
    #[arg(long)]
    disabled: bool,
    /// Further members as the API names them: a JSON object, @FILE, or - for standard input
    #[arg(long, value_name = "JSON")]
    settings: Option<String>,
}

/// Runs one of the commands.
///
/// # Errors
/// The server cannot be reached or refuses.
pub async fn run(args: WebhookArgs) -> anyhow::Result<()> {
    let session = args.server.session()?;
    match args.command {
        WebhookCommand::List { org, status, search, page } => {
            let path = match &org {
                Some(org) => vec!["v1", "organizations", org, "webhooks"],
                None => vec!["v1", "webhooks"],
            };
            let request = Request::get(&path).query("status", status).query("search", search);
            list(&session, request, &page).await
        }
        WebhookCommand::Create(args) => {
            let body = body(&args)?;
            session.one(Request::post(&["v1", "organizations", &args.org, "webhooks"]).json(&body)?).await
        }
        WebhookCommand::Get(webhook) => session.one(Request::get(&webhook.path(&[]))).await,
        WebhookCommand::Enable(webhook) => session.one(Request::post(&webhook.path(&["enable"]))).await,
        WebhookCommand::Disable(webhook) => session.one(Request::post(&webhook.path(&["disable"]))).await,
        WebhookCommand::Pause(webhook) => session.one(Request::post(&webhook.path(&["pause"]))).await,
        WebhookCommand::Resume(webhook) => session.one(Request::post(&webhook.path(&["resume"]))).await,
        WebhookCommand::Delete(webhook) => {
            let said = format!("{} is deleted.", webhook.webhook);
            session.done(Request::delete(&webhook.path(&[])), &said).await
        }
        WebhookCommand::Secret(webhook) => session.one(Request::get(&webhook.path(&["secret"]))).await,
        WebhookCommand::Rotate { webhook, secret, overlap } => {
            let members = [("secret", secret.map(Value::from)), ("overlap_seconds", overlap.map(Value::from))];
            let request = Request::post(&webhook.path(&["secret", "rotate"])).json(&given(members))?;
            session.one(request).await
        }
        WebhookCommand::Test { webhook, kind } => {
            let body = given([("event_type", kind.map(Value::from))]);
            session.one(Request::post(&webhook.path(&["test"])).json(&body)?).await
        }
    }
}

async fn list(session: &Session, request: Request, page: &PageArgs) -> anyhow::Result<()> {
    let columns = [
        ("ID", "id"),
        ("NAME", "name"),
        ("URL", "url"),
        ("EVENTS", "events"),
        ("STATUS", "status"),
        ("ORGANIZATION", "organization_id"),
    ];
    session.list(request, page, "webhooks", &columns).await
}

/// The members that have a value.
fn given<const N: usize>(members: [(&str, Option<Value>); N]) -> Map<String, Value> {
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn rate_limit(args: &CreateArgs) -> Option<Value> {
    let per_second = args.rate_limit.map(|count| json!({"per_second": count}));
    per_second.or_else(|| args.rate_limit_per_minute.map(|count| json!({"per_minute": count})))
}

fn body(args: &CreateArgs) -> anyhow::Result<Map<String, Value>> {
    let events = match args.events.as_slice() {
        [] => None,
        [all] if all == "all" => Some(json!("all")),
        names => Some(json!(names)),
    };
    let filter = args.filter.as_ref().map(|filter| match filter.split_once(':') {
        Some((kind, id)) => json!({"type": kind, "id": id}),
        None => json!({"type": filter}),
    });
    let headers: Map<String, Value> =
        args.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    let mut body = given([
        ("url", Some(json!(args.endpoint))),
        ("name", args.name.clone().map(Value::from)),
        ("events", events),
        ("profile", args.profile.clone().map(Value::from)),
        ("secret", args.secret.clone().map(Value::from)),
        ("filter", filter),
        ("headers", (!headers.is_empty()).then_some(headers.into())),
        ("retry", (!args.retry.is_empty()).then(|| json!({"delays_seconds": args.retry}))),
        ("timeout_seconds", args.timeout.map(Value::from)),
        ("rate_limit", rate_limit(args)),
        ("enabled", args.disabled.then_some(false.into())),
    ]);
    if let Some(settings) = &args.settings {
        let settings = input::json("settings", settings)?;
        let Ok(settings) = serde_json::from_str::<Map<String, Value>>(settings.get()) else {
            anyhow::bail!("--settings must be a JSON object, such as {{\"method\": \"GET\"}}");
        };
        body.extend(settings);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        args: CreateArgs,
    }

    fn made(args: &[&str]) -> anyhow::Result<Value> {
        let program = Program::try_parse_from(["create", "--org", "o"].iter().chain(args))?;
        Ok(body(&program.args)?.into())
    }

    #[test]
    fn options_become_the_members_that_the_api_takes() {
        assert_eq!(made(&["http://a/"]).unwrap(), json!({"url": "http://a/"}));
        let made = made(&[
            "http://a/",
            "--events",
            "job.created,job.closed",
            "--filter",
            "job:1:2",
            "--header",
            "X-A: b",
            "--retry",
            "1,3,10",
            "--rate-limit",
            "5",
            "--disabled",
            "--settings",
            "{\"method\": \"GET\"}",
        ]);
        let expected = json!({
            "url": "http://a/", "events": ["job.created", "job.closed"], "filter": {"type": "job", "id": "1:2"},
            "headers": {"X-A": "b"}, "retry": {"delays_seconds": [1, 3, 10]}, "rate_limit": {"per_second": 5},
            "enabled": false, "method": "GET",
        });
        assert_eq!(made.unwrap(), expected);
    }

    #[test]
    fn all_events_and_bad_settings() {
        assert_eq!(made(&["http://a/", "--events", "all"]).unwrap()["events"], "all");
        assert!(made(&["http://a/", "--settings", "[]"]).unwrap_err().to_string().contains("must be a JSON object"));
        assert!(made(&["http://a/", "--retry", "soon"]).is_err());
    }
}
