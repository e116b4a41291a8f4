//! The customer of the demonstration, made through the API as a host application would: its event types and webhook.

use anyhow::Context as _;
use serde_json::{Value, json};

use super::feed;
use crate::app::App;
use crate::catalogue::operators::{self, Operates};
use crate::cli::client::{Client, Request};

/// The customer's external id.
pub(super) const ORGANIZATION: &str = "acme";
/// The name by which the webhook is found again.
const WEBHOOK: &str = "Demo receiver";
/// How long a visit to the portal lasts: a day.
const PORTAL_SECONDS: u32 = 86_400;
/// Seconds between attempts: short, so that retries are seen.
const RETRY_DELAYS: [u32; 3] = [1, 3, 10];

/// What was set up.
#[derive(Debug)]
pub(super) struct Stage {
    /// Where the webhook points.
    pub(super) receiver: String,
    /// The webhook's signing secret.
    pub(super) secret: String,
}

impl Stage {
    /// Makes the customer, or finds that of an earlier demonstration, and points its webhook at `receiver`.
    pub(super) async fn set(client: &Client, receiver: &str) -> anyhow::Result<Stage> {
        let request = Request::put(&["v1", "organizations", ORGANIZATION]);
        client.call(request.json(&json!({"name": "Acme"}))?).await?;
        for kind in feed::event_types() {
            match client.call(Request::post(&["v1", "event-types"]).json(&kind)?).await {
                Err(error) if !error.has_code("taken") => return Err(error.into()),
                _ => {}
            }
        }
        let webhook = webhook(client, receiver).await?;
        let id = webhook["id"].as_str().context("the webhook has no id")?;
        let secret =
            client.json(Request::get(&["v1", "organizations", ORGANIZATION, "webhooks", id, "secret"])).await?;
        let secret = secret["secret"].as_str().context("the webhook has no secret")?.to_owned();
        Ok(Stage { receiver: receiver.to_owned(), secret })
    }
}

/// A link into the customer's portal, good once.
pub(super) async fn portal_link(client: &Client) -> anyhow::Result<String> {
    let request = Request::post(&["v1", "organizations", ORGANIZATION, "portal-sessions"]);
    let made = client.json(request.json(&json!({"expires_in": PORTAL_SECONDS}))?).await?;
    made["url"].as_str().map(str::to_owned).context("the server gave no link into the portal")
}

async fn webhook(client: &Client, receiver: &str) -> anyhow::Result<Value> {
    let path = ["v1", "organizations", ORGANIZATION, "webhooks"];
    let settings = json!({
        "name": WEBHOOK, "url": receiver, "events": "all", "enabled": true,
        "retry": {"delays_seconds": RETRY_DELAYS, "jitter": 0},
    });
    let found = client.json(Request::get(&path).query("search", Some(WEBHOOK))).await?;
    let request = match found["data"][0]["id"].as_str() {
        Some(id) => Request::patch(&[path[0], path[1], path[2], path[3], id]),
        None => Request::post(&path),
    };
    Ok(client.json(request.json(&settings)?).await?)
}

/// A link that signs the operator in at the console, good once.
pub(super) async fn console_link(app: &App, url: &str) -> anyhow::Result<String> {
    let (_, code) = operators::begin(app, &Operates::Admin).await?;
    Ok(format!("{url}/console/open/{code}"))
}
