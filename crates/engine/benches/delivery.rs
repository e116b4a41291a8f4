//! What the engine alone takes of a delivery: finding the webhooks that an event is for, rendering and signing a request.

mod allocations;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fanfare_engine::event::{Entity, EntityRef, Event};
use fanfare_engine::id::{DeliveryId, EventId, OrganizationId, ProjectId, WebhookId};
use fanfare_engine::matching::{Index, Interest, Want, Wants};
use fanfare_engine::profile::{FilterMatches, IdForm, Profile, Profiles};
use fanfare_engine::render::Plan;
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::{
    Auth, ContentType, Credentials, Events, Filter, Method, Secret, Settings, Status, Webhook,
};

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting::new();

/// Size of the event's data, or of its entity, in bytes.
const DATA: usize = 1_024;
/// Webhooks of the organization in which the event's are to be found.
const WEBHOOKS: u32 = 100_000;
const KIND: &str = "job.created";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn builtin(name: &str) -> Arc<Profile> {
    Profiles::load([]).expect("the built-in profiles are right").get(name).expect("it is built in").clone()
}

fn webhook() -> Webhook {
    let settings = Settings {
        name: "Orders".to_owned(),
        url: "https://example.com/hook".to_owned(),
        events: Events::All,
        method: Method::Post,
        content_type: ContentType::Json,
        include_entity: false,
        filter: None,
        retry: None,
        timeout_seconds: None,
        rate_limit: None,
        metadata: BTreeMap::new(),
    };
    let secret = Secret::new(SECRET);
    Webhook {
        id: WebhookId(7),
        project: ProjectId(1),
        organization: OrganizationId(2),
        number: 1,
        uuid: uuid::Uuid::from_u128(7),
        profile: "standard".into(),
        status: Status::Active,
        status_reason: None,
        failing_since: None,
        failed_at: None,
        settings,
        credentials: Credentials { secrets: vec![secret], ..Credentials::default() },
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        created_by: None,
        owner: None,
    }
}

/// An event about the job with this number.
fn event(number: u32) -> Event {
    Event {
        id: EventId(12_345),
        project: ProjectId(1),
        organization: OrganizationId(2),
        kind: KIND.into(),
        external_id: None,
        data: json(),
        entity: Some(Entity { kind: "Job".to_owned(), id: format!("job-{number}"), url: None, data: None }),
        scope: vec![EntityRef { kind: "Client".to_owned(), id: "client-17".to_owned() }],
        occurred_at: Timestamp(1_588_429_200_207),
        ordering_key: None,
        hops: 0,
    }
}

/// JSON of so many bytes.
fn json() -> Bytes {
    let text = "x".repeat(DATA - "{\"text\":\"\"}".len());
    Bytes::from(format!("{{\"text\":\"{text}\"}}"))
}

/// A webhook of Etlworks that is signed, logs in, and wants the entity; and an event that has one.
fn etlworks() -> (Webhook, Event) {
    let mut webhook = webhook();
    webhook.settings.include_entity = true;
    webhook.credentials.secrets = vec![Secret::new("ZjZlZDdlOWE3OGQ0NTk4MTU1MjkzNDA0")];
    webhook.credentials.auth = Some(Auth::Basic { username: "admin".to_owned(), password: "admin".to_owned() });
    let entity = Entity {
        kind: "Flow".to_owned(),
        id: "11225".to_owned(),
        url: Some("https://app.etlworks.com/rest/v1/flows/1?auditId=11225".to_owned()),
        data: Some(json()),
    };
    let kind = Arc::from("Flow.Executed");
    (webhook, Event { kind, data: Bytes::from_static(b"{}"), entity: Some(entity), ..event(1) })
}

/// Webhooks that want this type of event, each of another job.
fn filtered() -> Vec<Interest> {
    let interest = |number| Interest {
        wants: Wants::Only([Want { kind: KIND.to_owned(), matches: FilterMatches::Scope }].into()),
        filter: Some(Filter { kind: "Job".to_owned(), id: Some(format!("job-{number}")) }),
        id_form: IdForm::Text,
    };
    (0..WEBHOOKS).map(interest).collect()
}

fn render_and_sign(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("render");
    group.throughput(Throughput::Bytes(DATA as u64));
    for (name, profile, (webhook, event)) in [
        ("and sign 1 KiB, standard profile", "standard", (webhook(), event(1))),
        ("and sign 1 KiB, etlworks profile, JSON with entity", "etlworks", etlworks()),
    ] {
        let plan = Plan::compile(&builtin(profile), &webhook).expect("the webhook suits its profile");
        let now = Timestamp(1_588_429_200_207);
        let rendered = plan.render(&event, DeliveryId(99), now).expect("the event has what the profile needs");
        assert!(
            rendered.body.len() > DATA && rendered.headers.keys().any(|name| name.as_str().ends_with("-signature"))
        );
        group.bench_function(name, |bencher| bencher.iter(|| plan.render(black_box(&event), DeliveryId(99), now)));
    }
    group.finish();
}

fn matching(criterion: &mut Criterion) {
    let (interests, kept) = ALLOCATOR.around(filtered);
    let (index, taken) = ALLOCATOR.around(|| Index::build(&interests));
    let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    println!(
        "the index of {WEBHOOKS} filtered webhooks takes {:.1} MiB in {} pieces ({} bytes a webhook); what it was made of, {:.1} MiB",
        mib(taken.bytes),
        taken.pieces,
        taken.bytes / WEBHOOKS as usize,
        mib(kept.bytes),
    );
    let event = event(WEBHOOKS / 2);
    assert_eq!(
        index.matches(&event, |number| &interests[number as usize]),
        [WEBHOOKS / 2],
        "the event is for one webhook"
    );
    let mut group = criterion.benchmark_group("match");
    group.bench_function("an event among 100,000 filtered webhooks", |bencher| {
        bencher.iter(|| index.matches(black_box(&event), |number| &interests[number as usize]));
    });
    group.finish();
}

criterion_group!(benches, render_and_sign, matching);
criterion_main!(benches);
