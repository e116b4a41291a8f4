//! Profiles, webhooks and events for tests, complete and valid until a test changes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use fanfare_engine::event::{Entity, EntityRef, Event};
use fanfare_engine::id::{DeliveryId, EventId, OrganizationId, ProjectId, WebhookId};
use fanfare_engine::profile::{Profile, Profiles};
use fanfare_engine::render::{Plan, Rendered};
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::{ContentType, Credentials, Events, Method, Secret, Settings, Status, Webhook};

/// A secret that the standard profile takes.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub(crate) fn standard() -> Arc<Profile> {
    builtin("standard")
}

/// The profile of this name that comes with the program.
pub(crate) fn builtin(name: &str) -> Arc<Profile> {
    Profiles::load([])
        .expect("the built-in profiles are right")
        .sent_from("hooks.example.com")
        .get(name)
        .expect("there is one")
        .clone()
}

/// A profile named `test` with these further knobs.
pub(crate) fn profile(knobs: &str) -> Arc<Profile> {
    match Profile::parse("test.toml", &format!("name = \"test\"\n{knobs}")) {
        Ok(profile) => Arc::new(profile),
        Err(errors) => panic!("{}", errors.iter().map(|error| format!("{error}\n")).collect::<String>()),
    }
}

/// What is wrong with such a profile, one text for each mistake.
pub(crate) fn mistakes(knobs: &str) -> Vec<String> {
    let errors = Profile::parse("test.toml", &format!("name = \"test\"\n{knobs}")).expect_err("there are mistakes");
    errors.iter().map(ToString::to_string).collect()
}

pub(crate) fn secret(value: &str) -> Secret {
    Secret::new(value)
}

pub(crate) fn settings() -> Settings {
    Settings {
        name: "Orders".to_owned(),
        url: "https://example.com/h".to_owned(),
        events: Events::All,
        method: Method::Post,
        content_type: ContentType::Json,
        include_entity: false,
        filter: None,
        retry: None,
        timeout_seconds: None,
        rate_limit: None,
        metadata: BTreeMap::new(),
    }
}

pub(crate) fn webhook(secrets: &[&str]) -> Webhook {
    Webhook {
        id: WebhookId(7),
        project: ProjectId(1),
        organization: OrganizationId(2),
        number: 1,
        uuid: "a3bc0b28-8023-4ac2-a0c4-2144e8a2d659".parse().expect("a UUID"),
        profile: "test".into(),
        status: Status::Active,
        status_reason: None,
        failing_since: None,
        failed_at: None,
        settings: settings(),
        credentials: Credentials { secrets: secrets.iter().map(|value| secret(value)).collect(), ..Default::default() },
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        created_by: None,
        owner: None,
    }
}

pub(crate) fn event(kind: &str, data: &str) -> Event {
    Event {
        id: EventId(12_345),
        project: ProjectId(1),
        organization: OrganizationId(2),
        kind: kind.into(),
        external_id: None,
        data: Bytes::copy_from_slice(data.as_bytes()),
        entity: Some(Entity {
            kind: "Flow".to_owned(),
            id: "11225".to_owned(),
            url: Some("https://app.etlworks.com/rest/v1/flows/1?auditId=11225".to_owned()),
            data: Some(Bytes::from_static(b"{\"id\": 11225}")),
        }),
        scope: vec![EntityRef { kind: "Company".to_owned(), id: "c-17".to_owned() }],
        occurred_at: Timestamp(1_588_429_200_207),
        ordering_key: None,
        hops: 0,
    }
}

pub(crate) const DELIVERY: DeliveryId = DeliveryId(99);

/// The request of `webhook` under `profile` for `event`, `seconds` after the epoch.
pub(crate) fn render(profile: &Arc<Profile>, webhook: &Webhook, event: &Event, seconds: i64) -> Rendered {
    let plan = Plan::compile(profile, webhook).expect("the webhook suits its profile");
    plan.render(event, DELIVERY, Timestamp(seconds * 1000)).expect("the event can be rendered")
}

pub(crate) fn header<'a>(rendered: &'a Rendered, name: &str) -> &'a str {
    rendered.headers.get(name).map_or("(none)", |value| value.to_str().expect("ASCII"))
}

pub(crate) fn body(rendered: &Rendered) -> &str {
    std::str::from_utf8(&rendered.body).expect("UTF-8")
}

/// A request as text: target, headers by name but for those that every request has, body.
pub(crate) fn written(rendered: &Rendered) -> String {
    let automatic = ["accept", "accept-encoding"];
    let mut headers: Vec<String> = rendered
        .headers
        .iter()
        .filter(|(name, _)| !automatic.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {}\n", value.to_str().expect("ASCII")))
        .collect();
    headers.sort_unstable();
    format!("{} {}\n{}\n{}\n", rendered.method, rendered.url, headers.concat(), body(rendered))
}
