//! `fanfare profile try`: the request that a receiver would get, printed and not sent.

use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use fanfare_engine::profile::{Profile, SecretRule};
use fanfare_engine::render::Rendered;
use fanfare_engine::time::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answers::print;
use crate::clock::{Clock as _, SystemClock};
use crate::curl;
use crate::example::{self, Example, Wanted};

/// What to try.
#[derive(Args, Debug)]
pub struct TryArgs {
    /// The profile's name
    name: String,
    /// An event type; by default the profile's first
    event_type: Option<String>,
    /// The event's data as JSON, instead of the event type's example
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// Where the request would go
    #[arg(long, default_value = "https://example.com/webhook")]
    url: String,
    /// The webhook's method
    #[arg(long)]
    method: Option<String>,
    /// The webhook's content type
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// With the entity in the payload
    #[arg(long)]
    include_entity: bool,
    /// The webhook's signing secret; without it one is made, the same each time, where the profile makes them
    #[arg(long)]
    secret: Option<String>,
    /// The moment of the attempt, as RFC 3339; now, where it is left out
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl TryArgs {
    /// The profile that is asked for.
    pub fn profile(&self) -> &str {
        &self.name
    }
}

/// Renders, signs and prints.
///
/// # Errors
/// What the profile does not allow, an unknown event type, or data that is no JSON.
pub fn run(args: &TryArgs, profile: Profile) -> anyhow::Result<()> {
    let profile = Arc::new(profile);
    if let Some(data) = &args.data {
        serde_json::from_str::<serde::de::IgnoredAny>(data).context("--data is no JSON")?;
    }
    let wanted = Wanted {
        url: &args.url,
        event_type: args.event_type.as_deref(),
        data: args.data.as_deref(),
        method: args.method.as_deref().map(|method| word("--method", &method.to_uppercase())).transpose()?,
        content_type: args.content_type.as_deref().map(|kind| word("--content-type", kind)).transpose()?,
        include_entity: args.include_entity,
        secret: args.secret.as_deref(),
        at: args.at.unwrap_or_else(|| SystemClock.now()),
    };
    let Example { request, secret, signed } = example::request(&profile, &wanted)?;
    match args.json {
        true => print(&format!("{}\n", as_json(&request, secret.as_deref()))),
        false => print(&as_text(&request, &signed_by(&profile, secret.as_deref(), signed))),
    }
}

fn word<T: DeserializeOwned>(flag: &'static str, text: &str) -> anyhow::Result<T> {
    serde_json::from_value(Value::from(text)).context(flag)
}

fn target(rendered: &Rendered) -> String {
    let url = &rendered.url;
    url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
}

fn headers(rendered: &Rendered) -> Vec<(String, String)> {
    let host = rendered.url.host_str().unwrap_or_default();
    let authority = rendered.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let own = rendered.headers.iter().map(|(name, value)| (name.to_string(), text(value)));
    let length = (!rendered.body.is_empty()).then(|| ("content-length".to_owned(), rendered.body.len().to_string()));
    std::iter::once(("host".to_owned(), authority)).chain(own).chain(length).collect()
}

fn signed_by(profile: &Profile, secret: Option<&str>, signed: bool) -> String {
    match secret {
        Some(_) if !signed => "# not signed: the profile signs nothing of such a request\n".to_owned(),
        Some(secret) => format!("# signed with {secret}\n"),
        None if profile.secret.rule == SecretRule::None => String::new(),
        None => "# not signed; with --secret it would be\n".to_owned(),
    }
}

fn as_text(rendered: &Rendered, signed_by: &str) -> String {
    let mut text = format!("{} {} HTTP/1.1\n", rendered.method, target(rendered));
    for (name, value) in headers(rendered) {
        text.push_str(&format!("{name}: {value}\n"));
    }
    text.push('\n');
    if !rendered.body.is_empty() {
        text.push_str(&String::from_utf8_lossy(&rendered.body));
        text.push_str("\n\n");
    }
    text.push_str(signed_by);
    text.push_str(&command(rendered));
    text.push('\n');
    text
}

fn as_json(rendered: &Rendered, secret: Option<&str>) -> Value {
    json!({
        "method": rendered.method.as_str(),
        "url": rendered.url.as_str(),
        "headers": headers(rendered).into_iter().map(|(name, value)| (name, Value::from(value))).collect::<serde_json::Map<_, _>>(),
        "body": String::from_utf8_lossy(&rendered.body),
        "secret": secret,
        "curl": command(rendered),
    })
}

fn command(rendered: &Rendered) -> String {
    curl::command(&rendered.method, rendered.url.as_str(), &rendered.headers, &rendered.body)
}
