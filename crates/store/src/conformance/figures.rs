//! Contract: figures are counted as things happen.

use fanfare_engine::attempt::Outcome;
use fanfare_engine::id::DeliveryId;
use fanfare_engine::time::Timestamp;

use super::jobs::bare_webhook;
use super::rig::{ORGANIZATION, OTHER_WEBHOOK, PROJECT, Rig, WEBHOOK};
use crate::backend::Backend;
use crate::query::Change;
use crate::queue::{Deliver, Next, Operation};
use crate::stats::{self, Attempts, LastAttempt, Span, Subject, Usage};

fn ago<B: Backend>(rig: &Rig<B>, seconds: i64) -> Timestamp {
    Timestamp(rig.now().millis() - seconds * 1_000)
}

pub(crate) async fn attempts_of_a_webhook_by_time<B: Backend>(rig: &Rig<B>) {
    rig.ended(500, Next::Exhausted).await;
    rig.advance(86_400);
    rig.ended(200, Next::Delivered).await;
    rig.ended(200, Next::Delivered).await;
    let since = [ago(rig, 3_600), ago(rig, 7_200), ago(rig, 7 * 86_400)];
    let new = Attempts { succeeded: 2, failed: 0, duration_ms: 24 };
    let all = Attempts { succeeded: 2, failed: 1, duration_ms: 36 };
    assert_eq!(rig.read_one(stats::attempts(WEBHOOK, since)).await, Some([new, new, all]));
    assert_eq!(rig.read_one(stats::attempts(OTHER_WEBHOOK, since)).await, Some([Attempts::default(); 3]));
}

pub(crate) async fn the_last_attempt_of_a_webhook<B: Backend>(rig: &Rig<B>) {
    assert_eq!(rig.read_one(stats::last_attempt(WEBHOOK)).await, None);
    rig.ended(200, Next::Delivered).await;
    for status in [503, 200, 500] {
        rig.advance(400);
        rig.ended(204, Next::Delivered).await;
        rig.advance(1);
        rig.ended(status, Next::Exhausted).await;
        let outcome = if status == 200 { Outcome::Success } else { Outcome::Status };
        let last = LastAttempt { at: rig.now(), outcome, response_code: Some(status) };
        assert_eq!(rig.read_one(stats::last_attempt(WEBHOOK)).await, Some(last));
        assert_eq!(rig.read(stats::last_attempts(&[OTHER_WEBHOOK, WEBHOOK])).await, [(WEBHOOK, last)]);
    }
    assert_eq!(rig.read(stats::last_attempts(&[])).await, []);
}

pub(crate) async fn when_webhooks_were_last_sent_something<B: Backend>(rig: &Rig<B>) {
    for webhook in [WEBHOOK, OTHER_WEBHOOK] {
        rig.change(Change::one(bare_webhook(webhook))).await.unwrap();
    }
    rig.ended(200, Next::Delivered).await;
    rig.advance(7_200);
    rig.ended(500, Next::Exhausted).await;
    let last = rig.now();
    rig.advance(7_200);
    // An event without an attempt.
    rig.keep(rig.event("a"), &[WEBHOOK, OTHER_WEBHOOK]).await;
    assert_eq!(rig.read(stats::last_sent(&[WEBHOOK, OTHER_WEBHOOK])).await, [(WEBHOOK, last)]);
}

pub(crate) async fn what_happens_in_a_project<B: Backend>(rig: &Rig<B>) {
    let start = rig.now().millis() - rig.now().millis().rem_euclid(Span::FiveMinutes.millis());
    let event = rig.event("a");
    let id = event.id;
    rig.keep(event, &[OTHER_WEBHOOK]).await;
    let late = Deliver {
        event: id,
        webhook: WEBHOOK,
        id: DeliveryId(rig.id()),
        trigger: fanfare_engine::delivery::Trigger::Manual,
    };
    rig.released(Operation::Deliver(late)).await;
    rig.ended(500, Next::Exhausted).await;
    rig.ended(200, Next::Delivered).await;
    let usage = Usage { events: 3, deliveries: 4, attempts: 2, failed: 1 };
    assert_eq!(rig.read(stats::project(PROJECT, rig.now())).await, [(Timestamp(start), usage)]);
    assert_eq!(rig.read(stats::project(PROJECT, rig.in_seconds(300))).await, []);
    assert_eq!(rig.read(stats::usage_of(&[ORGANIZATION], rig.now())).await, [(ORGANIZATION, usage)]);
    assert_eq!(rig.read(stats::usage_of(&[], rig.now())).await, []);
}

pub(crate) async fn attempts_by_kind_and_duration<B: Backend>(rig: &Rig<B>) {
    for status in [200, 204, 302, 404, 410, 500] {
        rig.ended(status, if status < 300 { Next::Delivered } else { Next::Exhausted }).await;
    }
    let of = async |subject, span| {
        let series = rig.read(stats::series(subject, span, Timestamp(0))).await;
        let [(start, figures)] = series[..] else { panic!("{series:?}") };
        assert_eq!(start.millis(), span.start(rig.now()));
        figures
    };
    let figures = of(Subject::Webhook(WEBHOOK), Span::FiveMinutes).await;
    assert_eq!((figures.succeeded, figures.failed_status, figures.attempts()), (2, 4, 6));
    assert_eq!(figures.answered, [2, 1, 2, 1]);
    assert_eq!(figures.took.iter().sum::<u64>(), 6);
    let slowest = figures.percentile_ms(1.0).unwrap_or_default();
    assert!((10.0..=20.0).contains(&slowest), "each took 12 ms, not {slowest}");
    assert_eq!(of(Subject::Webhook(WEBHOOK), Span::Hour).await, figures);
    let owners = of(Subject::Organization(ORGANIZATION), Span::Hour).await;
    assert_eq!((owners.attempts(), owners.events, owners.deliveries), (6, 6, 6));
    assert_eq!(of(Subject::Project(PROJECT), Span::FiveMinutes).await, owners);
}

pub(crate) async fn a_repeated_event_is_counted_once<B: Backend>(rig: &Rig<B>) {
    let mut event = rig.event("a");
    event.external_id = Some("mine".to_owned());
    rig.keep(event.clone(), &[WEBHOOK]).await;
    rig.accept(rig.acceptance(event, &[WEBHOOK], None)).await;
    let found = rig.read(stats::project(PROJECT, rig.now())).await;
    let usage = Usage { events: 1, deliveries: 1, attempts: 0, failed: 0 };
    assert_eq!(found.into_iter().map(|(_, usage)| usage).collect::<Vec<_>>(), [usage]);
}
