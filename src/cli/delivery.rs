//! `fanfare delivery`: what was sent, what came back, and sending it again, on a running server.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::answers::{Session, print, say_more};
use super::client::Request;
use super::connection::{PageArgs, ServerArgs};
use crate::terminal;

/// See deliveries and their attempts, resend or cancel them
#[derive(Args, Debug)]
pub struct DeliveryArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: DeliveryCommand,
}

#[derive(Debug, Subcommand)]
enum DeliveryCommand {
    /// List deliveries, newest first
    List(Box<ListArgs>),
    /// Show a delivery with its payload
    Get(OneDelivery),
    /// List a delivery's attempts, newest first
    Attempts {
        #[command(flatten)]
        delivery: OneDelivery,
        /// Show the requests and the answers, too
        #[arg(long)]
        full: bool,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Send a delivery again, now
    Resend(OneDelivery),
    /// Give a delivery up: it is not tried again
    Cancel(OneDelivery),
}

#[derive(Args, Debug)]
struct OneDelivery {
    /// The organization's id or external id
    #[arg(long, env = "FANFARE_ORG", hide_env_values = true)]
    org: String,
    /// The delivery's id
    delivery: String,
}

impl OneDelivery {
    fn path(&self) -> [&str; 5] {
        ["v1", "organizations", &self.org, "deliveries", &self.delivery]
    }

    fn path_to<'a>(&'a self, action: &'a str) -> Vec<&'a str> {
        self.path().into_iter().chain([action]).collect()
    }
}

#[derive(Args, Debug)]
struct ListArgs {
    /// Only this organization's: its id or external id
    #[arg(long, env = "FANFARE_ORG", hide_env_values = true)]
    org: Option<String>,
    /// Only those for this webhook
    #[arg(long, value_name = "ID")]
    webhook: Option<String>,
    /// Only those of this event
    #[arg(long, value_name = "ID")]
    event: Option<String>,
    /// Only what this finds: an id of a delivery or event, a part of an event type or of a webhook's name or URL
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only those of events of this type
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Only those in this state
    #[arg(long, value_parser = ["pending", "delivering", "delivered", "exhausted", "skipped", "cancelled"])]
    state: Option<String>,
    /// Only those whose last answer had this status
    #[arg(long, value_name = "STATUS")]
    response_code: Option<u16>,
    /// Only those made at this time or later, such as 2026-11-22T09:30:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only those made before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    #[command(flatten)]
    page: PageArgs,
}

/// Runs one of the commands.
///
/// # Errors
/// The server cannot be reached or refuses.
pub async fn run(args: DeliveryArgs) -> anyhow::Result<()> {
    let session = args.server.session()?;
    match args.command {
        DeliveryCommand::List(args) => list(&session, *args).await,
        DeliveryCommand::Get(delivery) => session.one(Request::get(&delivery.path())).await,
        DeliveryCommand::Attempts { delivery, full, page } => attempts(&session, &delivery, full, &page).await,
        DeliveryCommand::Resend(delivery) => session.one(Request::post(&delivery.path_to("resend"))).await,
        DeliveryCommand::Cancel(delivery) => session.one(Request::post(&delivery.path_to("cancel"))).await,
    }
}

async fn list(session: &Session, args: ListArgs) -> anyhow::Result<()> {
    let path = match &args.org {
        Some(org) => vec!["v1", "organizations", org, "deliveries"],
        None => vec!["v1", "deliveries"],
    };
    let request = Request::get(&path)
        .query("webhook", args.webhook)
        .query("event", args.event)
        .query("event_type", args.kind)
        .query("search", args.search)
        .query("state", args.state)
        .query("response_code", args.response_code)
        .query("since", args.since)
        .query("until", args.until);
    let columns = [
        ("ID", "id"),
        ("TYPE", "event_type"),
        ("WEBHOOK", "webhook_id"),
        ("STATE", "state"),
        ("ATTEMPTS", "attempts"),
        ("STATUS", "response_code"),
        ("CREATED", "created_at"),
        ("NEXT ATTEMPT", "next_attempt_at"),
        ("SKIPPED BECAUSE", "skipped_reason"),
    ];
    session.list(request, &args.page, "deliveries", &columns).await
}

async fn attempts(session: &Session, delivery: &OneDelivery, full: bool, page: &PageArgs) -> anyhow::Result<()> {
    let request = Request::get(&delivery.path_to("attempts"));
    if !full {
        let columns = [
            ("NUMBER", "number"),
            ("AT", "at"),
            ("OUTCOME", "outcome"),
            ("STATUS", "response.status"),
            ("MS", "duration_ms"),
            ("TRIGGER", "trigger"),
            ("ERROR", "error"),
        ];
        return session.list(request, page, "attempts yet", &columns).await;
    }
    let Some(answer) = session.ask(page.of(request)).await? else { return Ok(()) };
    for attempt in answer["data"].as_array().into_iter().flatten() {
        print(&in_full(attempt))?;
    }
    say_more(&answer);
    Ok(())
}

/// One attempt with its request and its answer.
fn in_full(attempt: &Value) -> String {
    let text = |value: &Value| terminal::line(value.as_str().unwrap_or_default());
    let mut shown = format!(
        "Attempt {} at {}: {} after {} ms\n",
        attempt["number"],
        text(&attempt["at"]),
        text(&attempt["outcome"]),
        attempt["duration_ms"]
    );
    if attempt["error"].is_string() {
        shown.push_str(&format!("  {}\n", text(&attempt["error"])));
    }
    if attempt["note"].is_string() {
        shown.push_str(&format!("  {}\n", text(&attempt["note"])));
    }
    if let Some(request) = attempt.get("request") {
        shown.push_str(&format!("\n  > {} {}\n", text(&request["method"]), text(&request["url"])));
        shown.push_str(&message(request, "  > "));
    }
    if let Some(response) = attempt.get("response") {
        shown.push_str(&format!("\n  < {}\n", response["status"]));
        shown.push_str(&message(response, "  < "));
        if response["truncated"] == true {
            shown.push_str("  (more came than is kept)\n");
        }
    }
    shown.push('\n');
    shown
}

fn message(message: &Value, mark: &str) -> String {
    let mut shown = String::new();
    for (name, value) in message["headers"].as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        shown.push_str(&format!("{mark}{}: {}\n", terminal::line(name), terminal::line(value)));
    }
    let body = message["body"].as_str().unwrap_or_default();
    if !body.is_empty() {
        shown.push_str(&format!("{}\n", mark.trim_end()));
        body.lines().for_each(|line| shown.push_str(&format!("{mark}{}\n", terminal::line(line))));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_attempt_in_full_shows_both_sides() {
        let attempt = json!({
            "number": 2, "at": "2026-11-22T09:30:00Z", "outcome": "status", "duration_ms": 7,
            "request": {"method": "POST", "url": "http://a/", "headers": {"webhook-id": "evt_1"}, "body": "{}"},
            "response": {"status": 503, "headers": {}, "body": "a\n\u{1b}b", "truncated": true},
        });
        let expected = "Attempt 2 at 2026-11-22T09:30:00Z: status after 7 ms\n\n  > POST http://a/\n  > webhook-id: evt_1\n  >\n  > {}\n\n  < 503\n  <\n  < a\n  < \u{fffd}b\n  (more came than is kept)\n\n";
        assert_eq!(in_full(&attempt), expected);
    }
}
