//! What the engine alone takes of a delivery: finding the webhooks that an event is for, rendering and signing a request.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fanfare_engine::event::{Entity, EntityRef, Event};
use fanfare_engine::id::{DeliveryId, EventId, OrganizationId, ProjectId, WebhookId};
use fanfare_engine::matching::{Index, Interest, Want, Wants};
use fanfare_engine::profile::{FilterMatches, Profile, Profiles};
use fanfare_engine::render::Plan;
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::{ContentType, Credentials, Events, Filter, Method, Secret, Settings, Status, Webhook};

/// Size of the event's data, in bytes.
const DATA: usize = 1_024;
/// Webhooks of the organization in which the event's are to be found.
const WEBHOOKS: u32 = 100_000;
const KIND: &str = "job.created";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn standard() -> Arc<Profile> {
    Profiles::load([]).expect("the built-in profiles are right").get("standard").expect("it is built in").clone()
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
    let text = "x".repeat(DATA - "{\"text\":\"\"}".len());
    Event {
        id: EventId(12_345),
        project: ProjectId(1),
        organization: OrganizationId(2),
        kind: KIND.into(),
        external_id: None,
        data: Bytes::from(format!("{{\"text\":\"{text}\"}}")),
        entity: Some(Entity { kind: "Job".to_owned(), id: format!("job-{number}"), url: None, data: None }),
        scope: vec![EntityRef { kind: "Client".to_owned(), id: "client-17".to_owned() }],
        occurred_at: Timestamp(1_588_429_200_207),
        ordering_key: None,
    }
}

/// Webhooks that want this type of event, each of another job.
fn filtered() -> Vec<Interest> {
    let interest = |number| Interest {
        wants: Wants::Only([Want { kind: KIND.to_owned(), matches: FilterMatches::Scope }].into()),
        filter: Some(Filter { kind: "Job".to_owned(), id: Some(format!("job-{number}")) }),
    };
    (0..WEBHOOKS).map(interest).collect()
}

fn render_and_sign(criterion: &mut Criterion) {
    let plan = Plan::compile(&standard(), &webhook()).expect("the webhook suits its profile");
    let event = event(1);
    let mut group = criterion.benchmark_group("render");
    group.throughput(Throughput::Bytes(DATA as u64));
    group.bench_function("and sign 1 KiB, standard profile", |bencher| {
        bencher.iter(|| plan.render(black_box(&event), DeliveryId(99), Timestamp(1_588_429_200_207)));
    });
    group.finish();
}

fn matching(criterion: &mut Criterion) {
    let interests = filtered();
    let index = Index::build(&interests);
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
