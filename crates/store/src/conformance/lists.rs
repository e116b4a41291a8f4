//! Contract: the log's lists find what was asked for, page by page, within bounds.

use fanfare_engine::delivery::{SkipReason, State, Trigger};
use fanfare_engine::event::Event;
use fanfare_engine::id::{DeliveryId, ProjectId, WebhookId};
use fanfare_engine::time::Timestamp;

use super::access;
use super::rig::{ORGANIZATION, OTHER_ORGANIZATION, OTHER_WEBHOOK, PROJECT, Rig, URL, WEBHOOK};
use crate::backend::Backend;
use crate::catalogue::webhooks;
use crate::log::{self, DeliveryFilter, Search};
use crate::queue::{Deliver, Next, Operation, Resend};

fn all() -> DeliveryFilter {
    DeliveryFilter::default()
}

pub(crate) async fn deliveries_by_what_they_belong_to<B: Backend>(rig: &Rig<B>) {
    let first = rig.event("job.created");
    let event = first.id;
    let a = rig.keep(first, &[WEBHOOK, OTHER_WEBHOOK]).await;
    let b = rig.keep(Event { organization: OTHER_ORGANIZATION, ..rig.event("job.closed") }, &[OTHER_WEBHOOK]).await;
    let c = rig.keep(Event { project: ProjectId(99), ..rig.event("job.created") }, &[WEBHOOK]).await;

    let expectations = [
        (all(), vec![c[0], b[0], a[1], a[0]]),
        (DeliveryFilter { organization: Some(ORGANIZATION), ..all() }, vec![c[0], a[1], a[0]]),
        (DeliveryFilter { organization: Some(OTHER_ORGANIZATION), ..all() }, vec![b[0]]),
        (DeliveryFilter { project: Some(PROJECT), ..all() }, vec![b[0], a[1], a[0]]),
        (DeliveryFilter { webhook: Some(WEBHOOK), ..all() }, vec![c[0], a[0]]),
        (DeliveryFilter { event: Some(event), ..all() }, vec![a[1], a[0]]),
        (DeliveryFilter { event_type: Some("job.created".to_owned()), ..all() }, vec![c[0], a[1], a[0]]),
        // Each narrows the others: nobody sees another's by naming it.
        (DeliveryFilter { organization: Some(OTHER_ORGANIZATION), event: Some(event), ..all() }, vec![]),
        (DeliveryFilter { organization: Some(OTHER_ORGANIZATION), webhook: Some(WEBHOOK), ..all() }, vec![]),
        (DeliveryFilter { project: Some(PROJECT), webhook: Some(WEBHOOK), ..all() }, vec![a[0]]),
        (DeliveryFilter { event: Some(event), webhook: Some(OTHER_WEBHOOK), ..all() }, vec![a[1]]),
    ];
    for (filter, expected) in expectations {
        assert_eq!(rig.found(&filter).await, expected, "{filter:?}");
    }
}

pub(crate) async fn deliveries_by_text<B: Backend>(rig: &Rig<B>) {
    access::organization(rig, ORGANIZATION).await;
    rig.change(webhooks::insert(&access::webhook_of(rig, WEBHOOK, None), None)).await.unwrap();
    let a = rig.keep(rig.event("job.created"), &[WEBHOOK, OTHER_WEBHOOK]).await;
    let b = rig.keep(rig.event("Über_100%.done"), &[OTHER_WEBHOOK]).await;
    let find = async |search: Search, more: DeliveryFilter| {
        rig.found(&DeliveryFilter { organization: Some(ORGANIZATION), search: Some(search), ..more }).await
    };
    let text = |text: &str| Search::Text(text.to_owned());
    let expectations = [
        (text("JOB."), vec![a[1], a[0]]),
        (text("Über_100%"), vec![b[0]]),
        (text("j%d"), vec![]),
        (text("Receiver.example/H"), vec![a[0]]),
        (text("e"), vec![b[0], a[1], a[0]]),
        (Search::Delivery(a[1]), vec![a[1]]),
        (Search::Delivery(DeliveryId(1)), vec![]),
    ];
    for (search, expected) in expectations {
        assert_eq!(find(search.clone(), all()).await, expected, "{search:?}");
    }
    // It narrows what else is asked for, and goes on in pages.
    let narrowed = DeliveryFilter { webhook: Some(OTHER_WEBHOOK), ..all() };
    assert_eq!(find(text("job"), narrowed.clone()).await, [a[1]]);
    assert_eq!(find(Search::Delivery(a[0]), narrowed).await, []);
    assert_eq!(find(text("job"), DeliveryFilter { before: Some(a[1]), ..all() }).await, [a[0]]);
    let other =
        DeliveryFilter { organization: Some(OTHER_ORGANIZATION), search: Some(Search::Delivery(a[0])), ..all() };
    assert_eq!(rig.found(&other).await, []);
}

pub(crate) async fn a_webhooks_view_ends_at_its_newest<B: Backend>(rig: &Rig<B>) {
    let mut all_of_it = Vec::new();
    for _ in 0..5 {
        let first = rig.event("job.created");
        let event = first.id;
        let made = rig.keep(first, &[WEBHOOK, OTHER_WEBHOOK]).await;
        all_of_it.insert(0, (made[0], event));
    }
    let shown = DeliveryFilter { webhook: Some(WEBHOOK), newest: Some(3), ..all() };
    let newest: Vec<DeliveryId> = all_of_it[..3].iter().map(|(id, _)| *id).collect();
    assert_eq!(rig.found(&shown).await, newest);
    assert_eq!(rig.found(&DeliveryFilter { before: Some(newest[1]), ..shown.clone() }).await, newest[2..]);
    assert_eq!(rig.found(&DeliveryFilter { event: Some(all_of_it[2].1), ..shown.clone() }).await, newest[2..]);
    assert!(rig.found(&DeliveryFilter { event: Some(all_of_it[3].1), ..shown.clone() }).await.is_empty());
    assert!(rig.found(&DeliveryFilter { state: Some(State::Delivered), ..shown.clone() }).await.is_empty());
    assert_eq!(rig.found(&DeliveryFilter { newest: Some(9), ..shown.clone() }).await.len(), 5);
    assert_eq!(rig.found(&DeliveryFilter { newest: Some(1), ..shown }).await, newest[..1]);
}

pub(crate) async fn deliveries_by_state<B: Backend>(rig: &Rig<B>) {
    let delivered = rig.ended(200, Next::Delivered).await;
    let exhausted = rig.ended(500, Next::Exhausted).await;
    let skipped = rig.ended(500, Next::Skipped(SkipReason::AccessRevoked)).await;
    let cancelled = rig.waiting().await;
    rig.released(Operation::Cancel { deliveries: vec![cancelled] }).await;
    let pending = rig.waiting().await;
    let delivering = rig.leased().await.delivery;

    let states = [
        (State::Pending, pending),
        (State::Delivering, delivering),
        (State::Delivered, delivered),
        (State::Exhausted, exhausted),
        (State::Skipped, skipped),
        (State::Cancelled, cancelled),
    ];
    for (state, expected) in states {
        assert_eq!(rig.state(expected).await, state);
        let by_state = DeliveryFilter { state: Some(state), ..all() };
        let narrowed = [
            by_state.clone(),
            DeliveryFilter { organization: Some(ORGANIZATION), ..by_state.clone() },
            DeliveryFilter { webhook: Some(WEBHOOK), ..by_state.clone() },
        ];
        for filter in narrowed {
            assert_eq!(rig.found(&filter).await, [expected], "{filter:?}");
        }
        assert_eq!(rig.found(&DeliveryFilter { organization: Some(OTHER_ORGANIZATION), ..by_state }).await, []);
    }
}

pub(crate) async fn deliveries_by_code<B: Backend>(rig: &Rig<B>) {
    let lease = rig.leased().await;
    rig.finish(lease, 503, Next::RetryAt(rig.now())).await;
    let other = rig.ended(200, Next::Delivered).await;
    let by_code = |code| DeliveryFilter { response_code: Some(code), ..all() };
    assert_eq!(rig.found(&by_code(503)).await, [lease.delivery]);
    assert_eq!(rig.found(&by_code(200)).await, [other]);
    // The code is the last attempt's.
    let lease = rig.claim_only(lease.delivery).await.lease;
    rig.finish(lease, 404, Next::Exhausted).await;
    assert_eq!(rig.found(&by_code(503)).await, []);
    assert_eq!(rig.found(&by_code(404)).await, [lease.delivery]);
}

pub(crate) async fn deliveries_by_time<B: Backend>(rig: &Rig<B>) {
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push((rig.now(), rig.waiting().await));
        rig.advance(10);
    }
    let times = |since: Option<Timestamp>, until: Option<Timestamp>| DeliveryFilter { since, until, ..all() };
    let (second, third) = (Some(made[1].0), Some(made[2].0));
    assert_eq!(rig.found(&times(second, None)).await, [made[2].1, made[1].1], "since includes its moment");
    assert_eq!(rig.found(&times(None, second)).await, [made[0].1], "until does not");
    assert_eq!(rig.found(&times(second, third)).await, [made[1].1]);
    let webhook = DeliveryFilter { webhook: Some(WEBHOOK), ..times(second, third) };
    assert_eq!(rig.found(&webhook).await, [made[1].1]);
    assert_eq!(rig.found(&times(third, second)).await, []);
    assert_eq!(rig.found(&times(Some(Timestamp(i64::MIN)), Some(Timestamp::NEVER))).await.len(), 3);
}

pub(crate) async fn pages_follow_each_other<B: Backend>(rig: &Rig<B>) {
    let mut expected = Vec::new();
    for _ in 0..7 {
        expected.insert(0, rig.waiting().await);
    }
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let filter = DeliveryFilter { organization: Some(ORGANIZATION), before, ..all() };
        let page: Vec<DeliveryId> = rig.read(log::deliveries(&filter, 3, 100)).await.iter().map(|row| row.id).collect();
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        before = Some(*last);
        seen.extend(page);
    }
    assert_eq!(seen, expected);
}

pub(crate) async fn a_page_looks_at_so_many_rows<B: Backend>(rig: &Rig<B>) {
    let oldest = rig.keep(rig.event("rare"), &[WEBHOOK]).await[0];
    let mut newer = Vec::new();
    for _ in 0..5 {
        newer.insert(0, rig.waiting().await);
    }
    for narrowed in [all(), DeliveryFilter { webhook: Some(WEBHOOK), ..all() }] {
        let filter = DeliveryFilter { event_type: Some("rare".to_owned()), ..narrowed };
        assert!(rig.read(log::deliveries(&filter, 10, 3)).await.is_empty(), "it stops before the one that matches");
        // The next page goes on where the scan stopped.
        let stopped = rig.read_one(log::delivery_scan_end(&filter, 3)).await;
        assert_eq!(stopped, Some(newer[2]));
        let filter = DeliveryFilter { before: stopped, ..filter };
        assert_eq!(rig.read(log::deliveries(&filter, 10, 3)).await[0].id, oldest);
        let filter = DeliveryFilter { before: Some(oldest), ..filter };
        assert_eq!(rig.read_one(log::delivery_scan_end(&filter, 3)).await, None, "nothing is left");
    }
}

pub(crate) async fn a_page_looks_at_so_many_events<B: Backend>(rig: &Rig<B>) {
    let bare = async || {
        for _ in 0..7 {
            rig.keep(rig.event("job.created"), &[]).await;
        }
    };
    bare().await;
    let only = rig.waiting().await;
    bare().await;
    let all = DeliveryFilter { organization: Some(ORGANIZATION), ..all() };
    for mut filter in [all.clone(), DeliveryFilter { after: Some(DeliveryId(0)), ..all }] {
        let (mut pages, mut found) = (0, Vec::new());
        loop {
            found.extend(rig.read(log::deliveries(&filter, 10, 4)).await.iter().map(|row| row.id));
            pages += 1;
            let Some(stopped) = rig.read_one(log::delivery_scan_end(&filter, 4)).await else { break };
            match filter.after {
                None => filter.before = Some(stopped),
                Some(_) => filter.after = Some(stopped),
            }
        }
        // There are fifteen events, of which four are looked at for a page.
        assert_eq!((found, pages), (vec![only], 4));
    }
}

pub(crate) async fn events_are_listed<B: Backend>(rig: &Rig<B>) {
    let mut ids = Vec::new();
    for kind in ["job.created", "job.closed", "job.created"] {
        let event = rig.event(kind);
        ids.insert(0, event.id);
        rig.keep(event, &[]).await;
    }
    rig.keep(Event { organization: OTHER_ORGANIZATION, ..rig.event("job.created") }, &[]).await;
    let list = async |kind, before, limit, scan| {
        let rows = rig.read(log::events(ORGANIZATION, kind, before, limit, scan)).await;
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(list(None, None, 10, 100).await, ids);
    assert_eq!(list(None, None, 2, 100).await, ids[..2]);
    assert_eq!(list(None, Some(ids[0]), 10, 100).await, ids[1..]);
    assert_eq!(list(Some("job.created"), None, 10, 100).await, [ids[0], ids[2]]);
    assert_eq!(list(Some("job.created"), None, 10, 2).await, ids[..1], "no more rows than it may look at");
}

pub(crate) async fn the_last_url_of_each<B: Backend>(rig: &Rig<B>) {
    let once = rig.ended(200, Next::Delivered).await;
    let never = rig.waiting().await;
    rig.released(Operation::Cancel { deliveries: vec![never] }).await;
    let twice = rig.leased().await;
    rig.finish(twice, 500, Next::RetryAt(rig.now())).await;
    let lease = rig.claim_only(twice.delivery).await.lease;
    let mut attempt = rig.attempt(200);
    attempt.request.as_mut().unwrap().url = "https://moved.example/".into();
    rig.end(lease, Some(attempt), Next::Delivered).await;

    let mut urls = rig.read(log::last_urls(&[once, never, twice.delivery])).await;
    urls.sort();
    let expected = [(once, URL), (never, ""), (twice.delivery, "https://moved.example/")];
    assert_eq!(urls, expected.map(|(id, url)| (id, url.to_owned())));
    assert_eq!(rig.read(log::last_urls(&[])).await, []);
}

pub(crate) async fn who_waits<B: Backend>(rig: &Rig<B>) {
    assert_eq!(rig.read(log::waiting_webhooks()).await, []);
    let lease = rig.leased().await;
    rig.ended(200, Next::Delivered).await;
    assert_eq!(rig.read(log::waiting_webhooks()).await, [], "what is being sent or final does not wait");
    let due = rig.in_seconds(60);
    rig.finish(lease, 500, Next::RetryAt(due)).await;
    rig.keep(rig.event("job.created"), &[OTHER_WEBHOOK]).await;
    assert_eq!(rig.read(log::waiting_webhooks()).await, [(WEBHOOK, due), (OTHER_WEBHOOK, rig.now())]);
    rig.waiting().await;
    assert_eq!(rig.read(log::waiting_webhooks()).await, [(WEBHOOK, rig.now()), (OTHER_WEBHOOK, rig.now())]);
}

pub(crate) async fn the_backlog_is_counted<B: Backend>(rig: &Rig<B>) {
    let live = async || rig.read_one(log::live()).await.map(|live| (live.backlog, live.leased));
    assert_eq!(live().await, Some((0, 0)));
    rig.waiting().await;
    rig.leased().await;
    rig.ordered("a").await;
    rig.ordered("a").await;
    let delivered = rig.ended(200, Next::Delivered).await;
    assert_eq!(live().await, Some((4, 1)));
    assert_eq!(rig.read_one(log::waiting(9)).await, Some(3));
    assert_eq!(rig.read_one(log::waiting(2)).await, Some(2));
    rig.released(Operation::Resend(Resend { deliveries: vec![delivered] })).await;
    assert_eq!(live().await, Some((5, 1)));
}

pub(crate) async fn an_events_deliveries_by_webhook<B: Backend>(rig: &Rig<B>) {
    let first = rig.event("job.created");
    let event = first.id;
    let made = rig.keep(first, &[WEBHOOK, OTHER_WEBHOOK, WEBHOOK]).await;
    rig.keep(rig.event("job.created"), &[WEBHOOK]).await;
    let found = async |webhooks: &[WebhookId]| {
        let found = rig.read(log::event_deliveries(event, webhooks)).await;
        let mut found: Vec<_> = found.into_iter().map(|delivery| (delivery.webhook, delivery.id)).collect();
        found.sort_unstable_by_key(|(_, delivery)| delivery.0);
        found
    };
    assert_eq!(found(&[WEBHOOK, OTHER_WEBHOOK, WebhookId(99)]).await, [(OTHER_WEBHOOK, made[1]), (WEBHOOK, made[2])]);
    assert_eq!(found(&[OTHER_WEBHOOK]).await, [(OTHER_WEBHOOK, made[1])]);
    assert!(found(&[]).await.is_empty());
    let many: Vec<WebhookId> = (1..2_000).map(WebhookId).chain([WEBHOOK]).collect();
    assert_eq!(found(&many).await.last(), Some(&(WEBHOOK, made[2])));
}

pub(crate) async fn deliveries_made_late_stand_where_they_were_made<B: Backend>(rig: &Rig<B>) {
    let mut made = Vec::new();
    let first = rig.event("job.created");
    let first_id = first.id;
    made.extend(rig.keep(first, &[WEBHOOK, OTHER_WEBHOOK]).await);
    rig.advance(1);
    made.push(rig.waiting().await);
    rig.advance(1);
    let late = DeliveryId(rig.id());
    let wish = Deliver { event: first_id, webhook: WebhookId(77), id: late, trigger: Trigger::Manual };
    rig.released(Operation::Deliver(wish)).await;
    made.push(late);
    rig.advance(1);
    made.push(rig.waiting().await);
    let theirs = Event { organization: OTHER_ORGANIZATION, ..rig.event("job.created") };
    rig.keep(theirs, &[WEBHOOK]).await;

    let all = DeliveryFilter { organization: Some(ORGANIZATION), ..DeliveryFilter::default() };
    let newest_first: Vec<DeliveryId> = made.iter().rev().copied().collect();
    assert_eq!(rig.found(&all).await, newest_first);
    let upwards = DeliveryFilter { after: Some(DeliveryId(0)), ..all.clone() };
    assert_eq!(rig.found(&upwards).await, made);
    for (place, id) in made.iter().enumerate() {
        let before = DeliveryFilter { before: Some(*id), ..all.clone() };
        assert_eq!(rig.found(&before).await, newest_first[made.len() - place..]);
        let after = DeliveryFilter { after: Some(*id), ..all.clone() };
        assert_eq!(rig.found(&after).await, made[place + 1..]);
        let stopped = rig.read_one(log::delivery_scan_end(&all, place as u32 + 1)).await;
        assert_eq!(stopped, Some(newest_first[place]));
    }
}
