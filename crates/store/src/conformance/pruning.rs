//! Contract: what is too old or too much goes, piece by piece; what is still needed stays.

use fanfare_engine::delivery::Trigger;
use fanfare_engine::event::Event;
use fanfare_engine::id::{DeliveryId, EventId, OrganizationId, ProjectId, WebhookId, floor_at};
use fanfare_engine::time::Timestamp;

use super::jobs::bare_webhook;
use super::rig::{ORGANIZATION, OTHER_ORGANIZATION, OTHER_WEBHOOK, PROJECT, Rig, WEBHOOK, key};
use crate::arguments;
use crate::backend::Backend;
use crate::bulk;
use crate::catalogue::idempotency;
use crate::expired::{self, Oldest};
use crate::log::{self, DeliveryFilter};
use crate::query::{Change, Query};
use crate::queue::{Accept, Accepted, Answer, Deliver, Next, Operation, Prune, Resend, Touches, Which};

const DAY: i64 = 24 * 60 * 60;

async fn prune<B: Backend>(rig: &Rig<B>, what: Prune) -> (u64, Option<i64>) {
    match rig.apply(Operation::Prune(what)).await.unwrap() {
        Answer::Pruned { removed, position } => (removed, position),
        other => panic!("pruning was answered with {other:?}"),
    }
}

/// Removes what may go of the organization's events that are older; the host's ids stay known from `keys_before` on.
async fn prune_older<B: Backend>(rig: &Rig<B>, before: Timestamp, keys_before: Timestamp) -> (u64, Option<i64>) {
    let events = rig.read(expired::events_of(ORGANIZATION, EventId(0), floor_at(before), 100)).await;
    prune(rig, Prune::Events { events, which: Which::Final, keys_before, rows: 1_000 }).await
}

async fn prune_old<B: Backend>(rig: &Rig<B>) -> (u64, Option<i64>) {
    prune_older(rig, rig.now(), Timestamp(0)).await
}

/// Removes the final deliveries of a webhook beyond its newest `keep`; answers how many rows that were.
async fn prune_beyond<B: Backend>(rig: &Rig<B>, webhook: WebhookId, keep: u32) -> u64 {
    let [(_, newest)] = rig.read(expired::newest_deliveries_beyond(&[webhook], keep)).await[..] else { return 0 };
    let found = rig.read(expired::deliveries_of(webhook, DeliveryId(0), newest, 100)).await;
    // Also those that are not final: the store looks itself.
    let deliveries = found.into_iter().map(|(id, _)| id).collect();
    prune(rig, Prune::Deliveries { deliveries, keys_before: Timestamp(0) }).await.0
}

async fn event_of<B: Backend>(rig: &Rig<B>, delivery: DeliveryId) -> EventId {
    rig.row(delivery).await.event
}

/// How many rows a table has.
async fn rows<B: Backend>(rig: &Rig<B>, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    rig.read_one(Query { sql: sql.into(), arguments: arguments![], decode: |row| row.int(0) }).await.unwrap()
}

pub(crate) async fn what_is_old_and_final_goes<B: Backend>(rig: &Rig<B>) {
    let retried = rig.leased().await;
    rig.finish(retried, 500, Next::RetryAt(rig.now())).await;
    let lease = rig.claim_only(retried.delivery).await.lease;
    rig.finish(lease, 200, Next::Delivered).await;
    let event = event_of(rig, retried.delivery).await;
    // One that was made late goes with its event, too.
    let late = DeliveryId(rig.id());
    let wish = Deliver { event, webhook: OTHER_WEBHOOK, id: late, trigger: Trigger::Manual };
    rig.released(Operation::Deliver(wish)).await;
    rig.released(Operation::Cancel { deliveries: vec![late] }).await;
    rig.keep(rig.event("job.created"), &[]).await;
    rig.advance(1);

    assert_eq!(prune_old(rig).await, (6, None), "two events, two deliveries, two attempts");
    for table in ["events", "deliveries", "attempts"] {
        assert_eq!(rows(rig, table).await, 0, "{table}");
    }
}

pub(crate) async fn case_076_what_is_to_be_sent_stays<B: Backend>(rig: &Rig<B>) {
    let retry = rig.leased().await;
    rig.finish(retry, 500, Next::RetryAt(rig.in_seconds(1_000_000))).await;
    let sending = rig.leased().await;
    let waiting = rig.waiting().await;
    let again = rig.ended(200, Next::Delivered).await;
    rig.released(Operation::Resend(Resend { deliveries: vec![again] })).await;
    // An event of which one delivery is final and the other is not.
    let mixed = rig.keep_leased(rig.event("job.created"), &[WEBHOOK, OTHER_WEBHOOK]).await;
    rig.finish(mixed[0], 200, Next::Delivered).await;
    rig.advance(60 * DAY);

    assert_eq!(prune_old(rig).await, (0, None));
    for webhook in [WEBHOOK, OTHER_WEBHOOK] {
        rig.change(Change::one(bare_webhook(webhook))).await.unwrap();
        prune_beyond(rig, webhook, 0).await;
    }
    for id in [retry.delivery, sending.delivery, waiting, again, mixed[1].delivery] {
        let event = event_of(rig, id).await;
        assert!(rig.read_one(log::event(ORGANIZATION, event)).await.is_some(), "{id}");
    }
    // They can still be sent whole.
    let claimed = rig.claim(WEBHOOK).await;
    assert_eq!(claimed.len(), 3);
    assert!(claimed.iter().all(|claimed| claimed.event.data == "{\"n\":1}"));
    rig.finish(sending, 200, Next::Delivered).await;
    assert_eq!(prune_old(rig).await, (3, None), "once it is final it goes");
}

pub(crate) async fn pruning_by_age_goes_in_pieces<B: Backend>(rig: &Rig<B>) {
    for _ in 0..3 {
        rig.ended(200, Next::Delivered).await;
    }
    rig.waiting().await;
    rig.ended(200, Next::Delivered).await;
    rig.advance(1);
    let events = rig.read(expired::events(EventId(0), floor_at(rig.now()), 100)).await;
    let mut rest: Vec<EventId> = events.into_iter().map(|(event, _)| event).collect();
    let mut pieces = Vec::new();
    loop {
        let what = Prune::Events { events: rest.clone(), which: Which::Final, keys_before: rig.now(), rows: 4 };
        let (removed, position) = prune(rig, what).await;
        pieces.push(removed);
        let Some(position) = position else { break };
        rest.retain(|event| event.0 > position);
    }
    // The one in between that cannot go does not stop the others.
    assert_eq!(pieces, [6, 6]);
}

pub(crate) async fn organizations_with_events_are_found_by_the_oldest_of_each<B: Backend>(rig: &Rig<B>) {
    let mut oldest = Vec::new();
    for (organization, events) in [(7, 9), (8, 1), (9, 3)] {
        let owner = Event {
            organization: OrganizationId(organization),
            project: ProjectId(90 + organization),
            ..rig.event("t")
        };
        for number in 0..events {
            let event = Event { id: EventId(rig.id()), ..owner.clone() };
            if number == 0 {
                oldest.push(Oldest { organization: owner.organization, project: owner.project, event: event.id });
            }
            rig.keep(event, &[]).await;
        }
    }
    assert_eq!(rig.read(expired::oldest_events(None, 10)).await, oldest);
    assert_eq!(rig.read(expired::oldest_events(None, 2)).await, oldest[..2]);
    assert_eq!(rig.read(expired::oldest_events(Some(OrganizationId(8)), 2)).await, oldest[2..]);
    assert_eq!(rig.read(expired::oldest_events(Some(OrganizationId(9)), 2)).await, []);
}

pub(crate) async fn an_event_for_many_webhooks_goes_in_pieces<B: Backend>(rig: &Rig<B>) {
    const MANY: i64 = 2_500;
    rig.change(Change::one(bare_webhook(WebhookId(1)))).await.unwrap();
    let webhooks: Vec<WebhookId> = (1..=MANY).map(WebhookId).collect();
    let event = rig.event("job.created");
    let id = event.id;
    let deliveries = rig.keep(event, &webhooks).await;
    rig.ended(200, Next::Delivered).await;
    let last = deliveries[MANY as usize - 1];
    rig.released(Operation::Cancel { deliveries: deliveries[..MANY as usize - 1].to_vec() }).await;
    rig.advance(1);
    let next = async || prune_old(rig).await.0;
    assert_eq!(next().await, 3, "none of its deliveries goes while one is to be sent");
    assert_eq!(rows(rig, "deliveries").await, MANY);
    rig.released(Operation::Cancel { deliveries: vec![last] }).await;
    assert_eq!(next().await, 1_000);
    assert!(rig.read_one(log::event(ORGANIZATION, id)).await.is_some(), "the event goes last");
    let got = rig.read(bulk::received(ORGANIZATION, WebhookId(1), 0, i64::MAX, 9)).await;
    assert!(got[0].delivery.is_none() && got[0].is_forgotten, "what it got is not taken for missing");
    assert_eq!((next().await, next().await, next().await), (1_000, 501, 0));
    for table in ["events", "deliveries", "attempts"] {
        assert_eq!(rows(rig, table).await, 0, "{table}");
    }
}

pub(crate) async fn notes_of_changes_go_and_versions_count_on<B: Backend>(rig: &Rig<B>) {
    let touch = async || {
        let touches = Some(Touches { project: PROJECT, organization: None });
        let change = Change { steps: Vec::new() };
        match rig.apply(Operation::Change { change, touches, report: None }).await.unwrap() {
            Answer::Changed { catalogue_version } => catalogue_version,
            other => panic!("a change was answered with {other:?}"),
        }
    };
    let mut last = 0;
    for _ in 0..5 {
        last = touch().await;
    }
    let old = Timestamp(0);
    let what = Prune::Keys {
        event_keys_before: old,
        idempotency_before: old,
        fine_stats_before: old,
        stats_before: old,
        sessions_before: old,
        limit: 3,
    };
    assert!(matches!(prune(rig, what.clone()).await, (3, Some(_))));
    assert_eq!(prune(rig, what.clone()).await, (1, None));
    assert_eq!(prune(rig, what).await, (0, None));
    assert_eq!(rows(rig, "catalogue_changes").await, 1);
    assert_eq!(touch().await, last + 1);
}

pub(crate) async fn other_organizations_and_newer_events_stay<B: Backend>(rig: &Rig<B>) {
    let theirs = Event { organization: OTHER_ORGANIZATION, ..rig.event("job.created") };
    let theirs_id = theirs.id;
    rig.keep(theirs, &[]).await;
    rig.keep(rig.event("job.created"), &[]).await;
    rig.advance(10);
    let edge = rig.now();
    let newer = rig.event("job.created");
    let newer_id = newer.id;
    rig.keep(newer, &[]).await;
    rig.advance(10);
    assert_eq!(prune_older(rig, edge, Timestamp(0)).await.0, 1);
    for (owner, id) in [(OTHER_ORGANIZATION, theirs_id), (ORGANIZATION, newer_id)] {
        assert!(rig.read_one(log::event(owner, id)).await.is_some());
    }
}

pub(crate) async fn only_the_newest_are_kept<B: Backend>(rig: &Rig<B>) {
    let live = rig.waiting().await;
    let mut made = vec![live];
    for _ in 0..6 {
        made.push(rig.ended(200, Next::Delivered).await);
    }
    let other = rig.keep(rig.event("job.created"), &[OTHER_WEBHOOK]).await[0];
    rig.change(Change::one(bare_webhook(WEBHOOK))).await.unwrap();
    assert_eq!(prune_beyond(rig, WEBHOOK, 2).await, 12, "four deliveries, each with its attempt and its event");
    assert_eq!(prune_beyond(rig, WEBHOOK, 2).await, 0);
    assert_eq!(rig.found(&DeliveryFilter::default()).await, [other, made[6], made[5], live]);
    assert_eq!(rows(rig, "attempts").await, 2);
    assert_eq!(rows(rig, "events").await, 4);
}

pub(crate) async fn an_event_goes_with_its_last_delivery<B: Backend>(rig: &Rig<B>) {
    for webhook in [WEBHOOK, OTHER_WEBHOOK] {
        rig.change(Change::one(bare_webhook(webhook))).await.unwrap();
    }
    let event = Event { external_id: Some("host-1".to_owned()), ..rig.event("job.created") };
    let id = event.id;
    let both = rig.keep(event.clone(), &[WEBHOOK, OTHER_WEBHOOK]).await;
    rig.released(Operation::Cancel { deliveries: both }).await;
    prune_beyond(rig, WEBHOOK, 0).await;
    assert!(rig.read_one(log::event(ORGANIZATION, id)).await.is_some(), "the other webhook's delivery is there");
    prune_beyond(rig, OTHER_WEBHOOK, 0).await;
    assert!(rig.read_one(log::event(ORGANIZATION, id)).await.is_none());
    let again = rig.accept(rig.acceptance(event, &[WEBHOOK], None)).await;
    assert_eq!(again, Accepted::Repeated { event: id, deliveries: 2 }, "the host's id for it stays known");
}

pub(crate) async fn events_that_nobody_wanted_go_by_their_number<B: Backend>(rig: &Rig<B>) {
    let wanted = rig.waiting().await;
    let mut bare = Vec::new();
    for _ in 0..5 {
        let event = rig.event("job.created");
        bare.push(event.id);
        rig.keep(event, &[]).await;
    }
    // One that had none got one late.
    let late = Deliver { event: bare[0], webhook: WEBHOOK, id: DeliveryId(rig.id()), trigger: Trigger::Manual };
    rig.released(Operation::Deliver(late)).await;
    assert_eq!(rig.read(expired::newest_events_beyond(&[ORGANIZATION, OTHER_ORGANIZATION], 6)).await, []);
    assert_eq!(rig.read(expired::newest_events_beyond(&[], 1)).await, []);
    let beyond = rig.read(expired::newest_events_beyond(&[ORGANIZATION], 2)).await;
    assert_eq!(beyond, [(ORGANIZATION, bare[2])]);
    let found = rig.read(expired::bare_events_of(ORGANIZATION, EventId(0), bare[2], 100)).await;
    let first = event_of(rig, wanted).await;
    assert_eq!(found, [(first, false), (bare[0], false), (bare[1], true), (bare[2], true)]);
    assert_eq!(rig.read(expired::bare_events_of(ORGANIZATION, first, bare[2], 1)).await, [(bare[0], false)]);

    // The store looks itself.
    let events = found.into_iter().map(|(event, _)| event).collect();
    let what = Prune::Events { events, which: Which::Bare, keys_before: Timestamp(0), rows: 100 };
    assert_eq!(prune(rig, what).await, (2, None));
    let left = [first, bare[0], bare[3], bare[4]];
    let events = rig.read(expired::events(EventId(0), i64::MAX, 100)).await;
    assert_eq!(events, left.map(|event| (event, PROJECT)));
}

pub(crate) async fn keys_outlive_their_events<B: Backend>(rig: &Rig<B>) {
    let named = |id: &str| Event { external_id: Some(id.to_owned()), ..rig.event("job.created") };
    let again = async |id: &str| rig.accept(rig.acceptance(named(id), &[], None)).await;
    rig.keep(named("gone"), &[]).await;
    let kept = named("kept");
    let kept_id = kept.id;
    rig.keep(kept, &[WEBHOOK]).await;
    let with_key = rig.acceptance(rig.event("job.created"), &[], None);
    rig.accept(Accept { idempotency: Some(key("events", "k", 1)), ..with_key }).await;
    rig.ended(200, Next::Delivered).await;

    let sweep = async |days: i64| {
        prune_old(rig).await;
        let before = Timestamp(rig.now().millis() - days * DAY * 1_000);
        let what = Prune::Keys {
            event_keys_before: before,
            idempotency_before: before,
            fine_stats_before: before,
            stats_before: before,
            sessions_before: before,
            limit: 100,
        };
        prune(rig, what).await
    };
    rig.advance(6 * DAY);
    assert_eq!(sweep(7).await, (0, None));
    assert!(matches!(again("gone").await, Accepted::Repeated { .. }), "seven days are not over");
    assert!(rig.read_one(idempotency::get(&key("events", "k", 1), Timestamp(0))).await.is_some());
    assert_eq!(rows(rig, "stats").await, 6, "of the project, the organization and the webhook, by two spans");

    rig.advance(2 * DAY);
    assert_eq!(sweep(7).await, (8, None), "an event's key, a request's key and six rows of figures");
    assert_eq!(again("kept").await, Accepted::Repeated { event: kept_id, deliveries: 1 }, "its event is there");
    assert!(rig.read_one(idempotency::get(&key("events", "k", 1), Timestamp(0))).await.is_none());
    assert_eq!(rows(rig, "stats").await, 0);
    assert_eq!(again("gone").await, Accepted::New { held_back: Vec::new(), learnt: false });
}

pub(crate) async fn keys_go_in_pieces<B: Backend>(rig: &Rig<B>) {
    for number in 0..7 {
        let event = Event { external_id: Some(format!("host-{number}")), ..rig.event("job.created") };
        // Every other event is still there when the keys are looked at.
        let webhooks = if number % 2 == 0 { &[][..] } else { &[WEBHOOK] };
        rig.keep(event, webhooks).await;
    }
    rig.advance(1);
    prune_old(rig).await;
    assert_eq!(rows(rig, "event_keys").await, 4);
    let what = Prune::Keys {
        event_keys_before: rig.now(),
        idempotency_before: rig.now(),
        fine_stats_before: rig.now(),
        stats_before: rig.now(),
        sessions_before: rig.now(),
        limit: 3,
    };
    // With the keys, by two spans a row of figures of the project and of the organization.
    assert!(matches!(prune(rig, what.clone()).await, (7, Some(_))));
    assert_eq!(prune(rig, what).await, (1, None));
    assert_eq!(rows(rig, "event_keys").await, 0);
}

pub(crate) async fn keys_of_events_that_are_old_enough_go_with_them<B: Backend>(rig: &Rig<B>) {
    let named = |id: &str| Event { external_id: Some(id.to_owned()), ..rig.event("job.created") };
    rig.keep(named("old"), &[]).await;
    rig.advance(10);
    let edge = rig.now();
    rig.keep(named("young"), &[]).await;
    rig.advance(10);
    assert_eq!(prune_older(rig, rig.now(), edge).await, (2, None));
    assert_eq!(rows(rig, "event_keys").await, 1);
    let again = rig.accept(rig.acceptance(named("young"), &[], None)).await;
    assert!(matches!(again, Accepted::Repeated { .. }));
    let again = rig.accept(rig.acceptance(named("old"), &[], None)).await;
    assert!(matches!(again, Accepted::New { .. }));
}
