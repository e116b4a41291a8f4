//! What an event with its delivery, attempt and outcome costs, by the size of the batch, on a real file.
//!
//! `cargo bench -p fanfare-store`. On Linux the time is what the writer's thread spent on the CPU, so that it depends little
//! on what else the machine does and not on how long its disk takes; elsewhere it is the wall clock's.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fanfare_engine::attempt::Outcome;
use fanfare_engine::delivery::{Single, Trigger};
use fanfare_engine::event::Event;
use fanfare_engine::id::{DeliveryId, EventId, IdGenerator, NodeId, OrganizationId, ProjectId, WebhookId};
use fanfare_engine::time::Timestamp;
use fanfare_store::queue::{
    Accept, Finish, Held, Learn, Lease, LoggedAttempt, LoggedBody, LoggedRequest, LoggedResponse, NewDelivery, Next,
    Operation,
};
use fanfare_store::sqlite::Core;

/// Bytes of an event's data.
const DATA: usize = 600;
/// Webhooks that the events are spread over.
const WEBHOOKS: i64 = 50;
/// Events in the database before anything is measured, so that its trees have their usual depth.
const BEFORE: usize = 20_000;
const NOW: Timestamp = Timestamp(1_790_000_000_000);

struct Source {
    ids: IdGenerator,
    node: NodeId,
    url: Arc<str>,
    data: Bytes,
}

impl Source {
    /// The acceptances of so many events, and their outcomes.
    fn batch(&mut self, events: usize) -> (Vec<Operation>, Vec<Operation>) {
        (0..events).map(|_| self.one()).unzip()
    }

    fn one(&mut self) -> (Operation, Operation) {
        let id = EventId(self.ids.next(NOW));
        let webhook = WebhookId(1 + id.0 % WEBHOOKS);
        let event = Event {
            id,
            project: ProjectId(1),
            organization: OrganizationId(webhook.0 / 5),
            kind: Arc::from("job.created"),
            external_id: None,
            data: self.data.clone(),
            entity: None,
            scope: Vec::new(),
            occurred_at: NOW,
            ordering_key: None,
            hops: 0,
        };
        let delivery = DeliveryId(self.ids.next(NOW));
        let new = NewDelivery { id: delivery, webhook, lease: Some(self.node), due: NOW, trigger: Trigger::Schedule };
        let held = Held::of(&event, 0, Single::No);
        let accept = Accept {
            event: Arc::new(event),
            fingerprint: [7; 16],
            idempotency: None,
            deliveries: vec![new],
            learn: Learn::Nothing,
        };
        let lease = Lease { delivery, node: self.node, claim: 1 };
        let attempt = Some(self.attempt());
        let finish = Finish { lease, webhook, held, attempt, next: Next::Delivered, report: None };
        (Operation::Accept(accept), Operation::Finish(Box::new(finish)))
    }

    fn attempt(&mut self) -> LoggedAttempt {
        let headers = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let request = LoggedRequest {
            method: http::Method::POST,
            url: Arc::clone(&self.url),
            headers: headers(&[
                ("Content-Type", "application/json"),
                ("User-Agent", "Fanfare/0.1"),
                ("Webhook-Id", "evt_0a03zkr03gg00"),
                ("Webhook-Timestamp", "1790000000"),
                ("Webhook-Signature", "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="),
            ]),
            body: LoggedBody::AroundData {
                head: Bytes::from_static(b"{\"type\":\"job.created\",\"data\":"),
                tail: Bytes::from_static(b"}"),
            },
        };
        let response = LoggedResponse {
            status: 200,
            headers: headers(&[("Content-Length", "2"), ("Date", "Sun, 22 Nov 2026 09:00:00 GMT")]),
            body: Bytes::from_static(b"ok"),
            truncated: false,
        };
        LoggedAttempt {
            id: self.ids.next(NOW),
            at: NOW,
            duration_ms: 12,
            outcome: Outcome::Success,
            error: None,
            note: None,
            trigger: Trigger::Schedule,
            request: Some(request),
            response: Some(response),
        }
    }
}

fn carry_out(core: &mut Core, operations: &[Operation]) {
    let answers = core.apply(NOW, operations);
    assert!(black_box(answers).iter().all(Result::is_ok));
}

/// What both steps of a batch take.
fn cost(core: &mut Core, (accepts, finishes): (Vec<Operation>, Vec<Operation>)) -> Duration {
    let started = spent();
    carry_out(core, &accepts);
    carry_out(core, &finishes);
    spent().saturating_sub(started)
}

/// The time that this thread has spent so far.
fn spent() -> Duration {
    let on_cpu = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = on_cpu.and_then(|text| text.split(' ').next().and_then(|nanos| nanos.parse().ok()));
    nanos.map_or_else(wall_clock, Duration::from_nanos)
}

#[expect(clippy::disallowed_methods, reason = "measuring is what a benchmark is for")]
fn wall_clock() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

fn accept_and_finish(criterion: &mut Criterion) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on a real disk");
    let mut core = Core::open(&directory.path().join("fanfare.db")).expect("a new database");
    let joined = core.join(NOW).expect("a node");
    let data = Bytes::from(format!("{{\"text\":\"{}\"}}", "x".repeat(DATA)));
    let ids = IdGenerator::new(joined.number);
    let mut source = Source { ids, node: joined.node, url: Arc::from("https://receiver.example/hooks/fanfare"), data };
    for _ in 0..BEFORE / 500 {
        let (accepts, finishes) = source.batch(500);
        carry_out(&mut core, &accepts);
        carry_out(&mut core, &finishes);
        core.checkpoint();
    }
    let mut group = criterion.benchmark_group("accept and finish");
    for size in [1, 64, 500] {
        group.throughput(Throughput::Elements(size as u64));
        group.bench_with_input(BenchmarkId::from_parameter(size), &size, |bencher, &size| {
            bencher.iter_custom(|rounds| (0..rounds).map(|_| cost(&mut core, source.batch(size))).sum());
        });
        core.checkpoint();
    }
    group.finish();
}

fn settings() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4)).sample_size(20)
}

criterion_group!(name = benches; config = settings(); targets = accept_and_finish);
criterion_main!(benches);
