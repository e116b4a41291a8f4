//! Contract: events come in once, whole, with their deliveries.

use std::sync::Arc;

use fanfare_engine::delivery::{State, Trigger};
use fanfare_engine::event::Event;
use fanfare_engine::id::{EventId, WebhookId};

use super::rig::{ORGANIZATION, OTHER_ORGANIZATION, OTHER_WEBHOOK, PROJECT, Rig, WEBHOOK, key};
use crate::backend::Backend;
use crate::catalogue::meta;
use crate::error::StoreError;
use crate::log::{self, DeliveryFilter, DeliveryRow, Live};
use crate::queue::{Accept, Accepted, Answer, IDEMPOTENCY_LIFETIME, Operation};

fn named(event: Event, external_id: &str) -> Event {
    Event { external_id: Some(external_id.to_owned()), ..event }
}

async fn everything<B: Backend>(rig: &Rig<B>) -> usize {
    rig.found(&DeliveryFilter::default()).await.len()
}

pub(crate) async fn what_is_accepted_can_be_found<B: Backend>(rig: &Rig<B>) {
    let event = named(rig.event("job.created"), "host-1");
    let (id, data) = (event.id, event.data.clone());
    let deliveries = rig.keep(event, &[WEBHOOK, OTHER_WEBHOOK]).await;

    let row = rig.read_one(log::event(ORGANIZATION, id)).await.unwrap();
    assert_eq!((row.kind.as_str(), row.external_id.as_deref(), row.deliveries), ("job.created", Some("host-1"), 2));
    assert_eq!((&row.data[..], row.occurred_at), (&data[..], rig.now()));
    assert_eq!(rig.read_one(log::event(OTHER_ORGANIZATION, id)).await, None);
    assert_eq!(rig.read_one(log::event_by_external_id(ORGANIZATION, "host-1")).await, Some(id));

    let expected = DeliveryRow {
        id: deliveries[0],
        event: id,
        event_type: "job.created".to_owned(),
        project: PROJECT,
        organization: ORGANIZATION,
        webhook: WEBHOOK,
        state: State::Pending,
        leased: false,
        skipped_reason: None,
        attempts: 0,
        next_attempt_at: Some(rig.now()),
        response_code: None,
        completed_at: None,
        trigger: Trigger::Schedule,
    };
    assert_eq!(rig.row(deliveries[0]).await, expected);
    assert_eq!(rig.row(deliveries[1]).await, DeliveryRow { id: deliveries[1], webhook: OTHER_WEBHOOK, ..expected });
}

pub(crate) async fn an_event_without_deliveries_is_kept<B: Backend>(rig: &Rig<B>) {
    let event = rig.event("job.created");
    let id = event.id;
    assert!(rig.keep(event, &[]).await.is_empty());
    assert_eq!(rig.read_one(log::event(ORGANIZATION, id)).await.unwrap().deliveries, 0);
}

pub(crate) async fn the_hosts_id_stands_for_one_content<B: Backend>(rig: &Rig<B>) {
    let first = named(rig.event("job.created"), "host-1");
    let id = first.id;
    rig.keep(first, &[WEBHOOK]).await;

    // The same content: the same answer, though other webhooks would match by now.
    let again = rig.acceptance(named(rig.event("job.created"), "host-1"), &[], None);
    assert_eq!(rig.accept(again).await, Accepted::Repeated { event: id, deliveries: 1 });
    let other = rig.acceptance(named(rig.event("job.created"), "host-1"), &[WEBHOOK], None);
    assert_eq!(rig.accept(Accept { fingerprint: [8; 16], ..other }).await, Accepted::OtherContent { event: id });
    assert_eq!(everything(rig).await, 1);
}

pub(crate) async fn the_hosts_id_belongs_to_its_organization<B: Backend>(rig: &Rig<B>) {
    rig.keep(named(rig.event("job.created"), "host-1"), &[WEBHOOK]).await;
    let theirs = Event { organization: OTHER_ORGANIZATION, ..named(rig.event("job.created"), "host-1") };
    let id = theirs.id;
    rig.keep(theirs, &[OTHER_WEBHOOK]).await;
    assert_eq!(rig.read_one(log::event_by_external_id(OTHER_ORGANIZATION, "host-1")).await, Some(id));
}

pub(crate) async fn case_053_an_idempotency_key_stands_for_one_request<B: Backend>(rig: &Rig<B>) {
    let first = rig.acceptance(rig.event("job.created"), &[WEBHOOK, OTHER_WEBHOOK], None);
    let id = first.event.id;
    rig.accept(Accept { idempotency: Some(key("events", "k", 1)), ..first }).await;

    let again = rig.acceptance(rig.event("job.created"), &[WEBHOOK], None);
    let again = rig.accept(Accept { idempotency: Some(key("events", "k", 1)), ..again }).await;
    assert_eq!(again, Accepted::Repeated { event: id, deliveries: 2 });
    let other = rig.acceptance(rig.event("job.created"), &[WEBHOOK], None);
    let other = rig.accept(Accept { idempotency: Some(key("events", "k", 2)), ..other }).await;
    assert_eq!(other, Accepted::OtherRequest);
    assert_eq!(everything(rig).await, 2);
}

pub(crate) async fn case_054_an_idempotency_key_belongs_to_its_scope<B: Backend>(rig: &Rig<B>) {
    for scope in ["events of one", "events of another"] {
        let accept = rig.acceptance(rig.event("job.created"), &[WEBHOOK], None);
        let accepted = rig.accept(Accept { idempotency: Some(key(scope, "k", 1)), ..accept }).await;
        assert_eq!(accepted, Accepted::New { held_back: Vec::new(), learnt: false });
    }
}

pub(crate) async fn case_054_an_idempotency_key_ends<B: Backend>(rig: &Rig<B>) {
    let attempt = async |fingerprint| {
        let accept = rig.acceptance(rig.event("job.created"), &[WEBHOOK], None);
        rig.accept(Accept { idempotency: Some(key("events", "k", fingerprint)), ..accept }).await
    };
    let lifetime = i64::try_from(IDEMPOTENCY_LIFETIME.as_secs()).unwrap();
    attempt(1).await;
    rig.advance(lifetime);
    assert_eq!(attempt(2).await, Accepted::OtherRequest);
    rig.advance(1);
    assert_eq!(attempt(2).await, Accepted::New { held_back: Vec::new(), learnt: false });
    // From then on the key stands for the new request.
    assert_eq!(attempt(1).await, Accepted::OtherRequest);
    assert!(matches!(attempt(2).await, Accepted::Repeated { .. }));
}

pub(crate) async fn a_repeated_event_keeps_the_new_key<B: Backend>(rig: &Rig<B>) {
    let first = named(rig.event("job.created"), "host-1");
    let id = first.id;
    rig.keep(first, &[WEBHOOK]).await;
    let again = rig.acceptance(named(rig.event("job.created"), "host-1"), &[WEBHOOK], None);
    let again = rig.accept(Accept { idempotency: Some(key("events", "k", 1)), ..again }).await;
    assert_eq!(again, Accepted::Repeated { event: id, deliveries: 1 });
    let other = rig.acceptance(rig.event("job.created"), &[WEBHOOK], None);
    let other = rig.accept(Accept { idempotency: Some(key("events", "k", 2)), ..other }).await;
    assert_eq!(other, Accepted::OtherRequest);
}

/// Hands over fifty that are all the same; one is new, and the others are answered with it.
async fn fifty_at_once<B: Backend>(rig: &Rig<B>, one: impl Fn() -> Accept) {
    let operations: Vec<_> = (0..50).map(|_| Operation::Accept(one())).collect();
    let ids: Vec<_> = operations
        .iter()
        .map(|operation| match operation {
            Operation::Accept(accept) => accept.event.id,
            _ => unreachable!(),
        })
        .collect();
    let answers = rig.apply_all(operations).await;
    let mut new = Vec::new();
    let mut repeated = Vec::new();
    for (id, answer) in ids.into_iter().zip(answers) {
        match answer.unwrap() {
            Answer::Accepted(Accepted::New { .. }) => new.push(id),
            Answer::Accepted(Accepted::Repeated { event, deliveries: 1 }) => repeated.push(event),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((new.len(), repeated.len()), (1, 49));
    assert!(repeated.iter().all(|event| *event == new[0]));
    assert_eq!(everything(rig).await, 1);
}

pub(crate) async fn case_052_the_same_event_fifty_times_at_once<B: Backend>(rig: &Rig<B>) {
    fifty_at_once(rig, || rig.acceptance(named(rig.event("job.created"), "host-1"), &[WEBHOOK], None)).await;
}

pub(crate) async fn case_052_the_same_key_fifty_times_at_once<B: Backend>(rig: &Rig<B>) {
    fifty_at_once(rig, || {
        let accept = rig.acceptance(rig.event("job.created"), &[WEBHOOK], None);
        Accept { idempotency: Some(key("events", "k", 1)), ..accept }
    })
    .await;
}

pub(crate) async fn a_failing_operation_leaves_the_others_alone<B: Backend>(rig: &Rig<B>) {
    rig.change(meta::insert("taken", vec![1])).await.unwrap();
    let taken = || Operation::Change { change: meta::insert("taken", vec![2]), touches: None, report: None };
    let (before, twice) = (rig.event("job.created"), rig.event("job.created"));
    let accept = |event: &Event| Operation::Accept(rig.acceptance(event.clone(), &[WEBHOOK], None));
    // An event whose id is there already is no repetition but a mistake; nothing of it may stay behind.
    let operations = vec![
        accept(&before),
        taken(),
        accept(&twice),
        accept(&twice),
        taken(),
        Operation::Accept(rig.acceptance(rig.event("job.created"), &[WEBHOOK], None)),
    ];
    let answers = rig.apply_all(operations).await;
    let new = |answer| matches!(answer, &Ok(Answer::Accepted(Accepted::New { .. })));
    assert!(new(&answers[0]) && new(&answers[2]) && new(&answers[5]), "{answers:?}");
    for failed in [1, 4] {
        assert_eq!(answers[failed].as_ref().unwrap_err(), &StoreError::Taken("value"));
    }
    assert!(answers[3].is_err());
    assert_eq!(everything(rig).await, 3);
}

/// More webhooks than a backend writes deliveries for in one commit.
fn many() -> Vec<WebhookId> {
    (1..=3_000).map(WebhookId).collect()
}

pub(crate) async fn an_event_for_many_webhooks_is_kept_whole<B: Backend>(rig: &Rig<B>) {
    let wide = rig.acceptance(named(rig.event("job.created"), "host-1"), &many(), None);
    let (event, deliveries) = (Arc::clone(&wide.event), wide.deliveries.clone());
    let last = deliveries[deliveries.len() - 1];
    let operations = vec![
        Operation::Accept(wide),
        // The same once more, and somebody who cancels what is written last.
        Operation::Accept(rig.acceptance(Event { id: EventId(rig.id()), ..(*event).clone() }, &[], None)),
        Operation::Cancel { deliveries: vec![last.id] },
        Operation::Accept(rig.acceptance(rig.event("job.created"), &many(), Some(rig.node))),
    ];
    let answers = rig.apply_all(operations).await;
    let new = Accepted::New { held_back: Vec::new(), learnt: false };
    assert!(matches!(&answers[0], Ok(Answer::Accepted(accepted)) if *accepted == new), "{:?}", answers[0]);
    let repeated = Accepted::Repeated { event: event.id, deliveries: 3_000 };
    assert!(matches!(&answers[1], Ok(Answer::Accepted(accepted)) if *accepted == repeated), "{:?}", answers[1]);
    assert!(matches!(&answers[2], Ok(Answer::Released(webhooks)) if webhooks[..] == [(last.webhook, 1)]));
    assert!(matches!(&answers[3], Ok(Answer::Accepted(accepted)) if *accepted == new), "{:?}", answers[3]);
    for delivery in &deliveries {
        let row = rig.row(delivery.id).await;
        assert_eq!((row.event, row.webhook, row.leased), (event.id, delivery.webhook, false));
        assert_eq!(row.state, if delivery.id == last.id { State::Cancelled } else { State::Pending });
    }
    assert_eq!(rig.read_one(log::live()).await, Some(Live { backlog: 5_999, leased: 3_000 }));
}

pub(crate) async fn no_event_overtakes_another_of_its_organization<B: Backend>(rig: &Rig<B>) {
    let ordered = || Event { ordering_key: Some("k".to_owned()), ..rig.event("job.created") };
    let wide = rig.acceptance(ordered(), &many(), None);
    let last = wide.deliveries[wide.deliveries.len() - 1];
    let next = rig.acceptance(ordered(), &[last.webhook], None);
    let held = next.deliveries[0].id;
    let answers = rig.apply_all(vec![Operation::Accept(wide), Operation::Accept(next)]).await;
    for (answer, expected) in answers.iter().zip([vec![], vec![held]]) {
        let Ok(Answer::Accepted(Accepted::New { held_back, .. })) = answer else { panic!("{answer:?}") };
        assert_eq!(*held_back, expected);
    }
    let claimed = rig.claim(last.webhook).await;
    assert_eq!(claimed.iter().map(|claimed| claimed.lease.delivery).collect::<Vec<_>>(), [last.id]);
}
