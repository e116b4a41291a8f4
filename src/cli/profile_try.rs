//! `fanfare profile try`: the request that a receiver would get, printed and not sent.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use fanfare_engine::event::Event;
use fanfare_engine::id::{DeliveryId, EventId, OrganizationId, ProjectId, WebhookId};
use fanfare_engine::profile::{Profile, SecretRule};
use fanfare_engine::render::{Plan, Rendered};
use fanfare_engine::signing::make_secret;
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::{ContentType, Credentials, Events, Method, Secret, Settings, Status, Webhook};
use serde_json::{Value, json};
use uuid::Uuid;

use super::answers::print;
use crate::clock::{Clock as _, SystemClock};
use crate::compiled::EventTypes;
use crate::curl;
use crate::test_event::{self, TestEvent};

/// The ids of what is not there: an example's event, delivery, webhook and owner.
const ID: i64 = 1 << 40;
/// What a secret is made of where none is given, so that everybody's example is signed alike.
const EXAMPLE_KEY: u8 = 0x5a;

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
    let at = args.at.unwrap_or_else(|| SystemClock.now());
    let webhook = webhook(args, &profile)?;
    let event = event(args, &profile, &webhook.settings, at)?;
    let plan = Plan::compile(&profile, &webhook)?;
    let rendered = plan.render(&event, DeliveryId(ID + 1), at)?;
    let secret = webhook.credentials.secrets.first().map(|secret| secret.value.as_str());
    match args.json {
        true => print(&format!("{}\n", as_json(&rendered, secret))),
        false => print(&as_text(&rendered, &signed_by(&profile, secret))),
    }
}

fn webhook(args: &TryArgs, profile: &Profile) -> anyhow::Result<Webhook> {
    let word = |text: &str| serde_json::from_value(Value::from(text)).ok();
    let method: Method = match &args.method {
        Some(text) => word(&text.to_uppercase()).map_or_else(|| bail!("--method must be POST or GET"), Ok)?,
        None => profile.methods.default,
    };
    let content_type: ContentType = match &args.content_type {
        Some(text) => serde_json::from_value(Value::from(text.as_str())).context("--content-type")?,
        None => profile.content_types.default,
    };
    let named = event_type(args, profile)?.map(str::to_owned);
    let mut settings = Settings {
        name: "Example".to_owned(),
        url: args.url.clone(),
        events: named.map_or(Events::All, |name| Events::Only(vec![name])),
        method,
        content_type,
        include_entity: args.include_entity,
        filter: None,
        retry: None,
        timeout_seconds: None,
        rate_limit: None,
        metadata: Default::default(),
    };
    profile.normalise(&mut settings);
    let credentials = Credentials { secrets: secrets(args, profile), ..Credentials::default() };
    // Which entities it is limited to is no part of a request.
    let errors = profile.check_settings(&settings, &credentials).err().unwrap_or_default();
    if let Some(error) = errors.iter().find(|error| !error.field.starts_with("filter")) {
        bail!("{} {}", error.field, error.message);
    }
    Ok(Webhook {
        id: WebhookId(ID),
        project: ProjectId(ID),
        organization: OrganizationId(ID),
        number: 1,
        uuid: Uuid::from_u128(u128::from(EXAMPLE_KEY)),
        profile: profile.name.clone(),
        status: Status::Active,
        status_reason: None,
        failing_since: None,
        settings,
        credentials,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        created_by: None,
        owner: None,
    })
}

fn secrets(args: &TryArgs, profile: &Profile) -> Vec<Secret> {
    let made = || (profile.secret.rule == SecretRule::Generated).then(|| make_secret(profile, &[EXAMPLE_KEY; 512]));
    let value = args.secret.clone().or_else(made);
    value.map(Secret::new).into_iter().collect()
}

/// The event type that is asked for, or the first of the profile. A profile that lists none takes any.
fn event_type<'a>(args: &'a TryArgs, profile: &'a Profile) -> anyhow::Result<Option<&'a str>> {
    let known: Vec<&str> = profile.catalogue.iter().map(|known| known.name.as_str()).collect();
    let Some(wanted) = args.event_type.as_deref() else { return Ok(known.first().copied()) };
    let tests = profile.activation.test_event.as_deref() == Some(wanted);
    if known.is_empty() || tests || profile.catalogue.get(wanted).is_some() {
        return Ok(Some(wanted));
    }
    bail!("{wanted:?} is no event type of the profile {}; it has {}", profile.name, known.join(", "))
}

fn event(args: &TryArgs, profile: &Profile, settings: &Settings, at: Timestamp) -> anyhow::Result<Event> {
    let wanted = event_type(args, profile)?;
    let chosen = test_event::choose(profile, settings, &EventTypes::default(), wanted);
    let chosen = chosen.unwrap_or_else(|| TestEvent::bare(wanted.unwrap_or_default()));
    if let Some(data) = &args.data {
        serde_json::from_str::<serde::de::IgnoredAny>(data).context("--data is no JSON")?;
    }
    Ok(Event {
        id: EventId(ID),
        project: ProjectId(ID),
        organization: OrganizationId(ID),
        kind: chosen.kind,
        external_id: None,
        data: args.data.as_ref().map_or(chosen.data, |data| data.clone().into()),
        entity: chosen.entity,
        scope: chosen.scope,
        occurred_at: at,
        ordering_key: None,
    })
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

fn signed_by(profile: &Profile, secret: Option<&str>) -> String {
    match secret {
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
