//! An event for many webhooks is written in pieces, and others go ahead between them.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use fanfare_engine::event::Event;
use fanfare_engine::id::{DeliveryId, OrganizationId, WebhookId};
use fanfare_store::queue::{Accept, Answer, NewDelivery, Operation};

use super::feed::{self, Feed};

const MANY: i64 = 5_000;

/// An event of an organization for so many webhooks.
fn event(feed: &mut Feed, organization: i64, webhooks: i64) -> Accept {
    let (_, accept) = feed.event(100);
    let event = Event { organization: OrganizationId(organization), ..(*accept.event).clone() };
    let delivery = |number| NewDelivery {
        id: DeliveryId(accept.event.id.0 + number),
        webhook: WebhookId(number),
        ..accept.deliveries[0]
    };
    let deliveries = (1..=webhooks).map(delivery).collect();
    Accept { event: Arc::new(event), deliveries, ..accept }
}

#[test]
fn others_do_not_wait_for_the_whole_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let (store, mut feed) = feed::open(directory.path());
    // Ids follow their events directly; the next event's are beyond the many deliveries of the first.
    let wide = event(&mut feed, 1, MANY);
    let mut other = event(&mut feed, 2, 1);
    let beyond = 2 * MANY;
    other.event = Arc::new(Event { id: (other.event.id.0 + beyond).into(), ..(*other.event).clone() });
    other.deliveries[0].id = DeliveryId(other.deliveries[0].id.0 + beyond);

    // The writer waits until both are handed over.
    let (go, gone) = sync_channel::<()>(0);
    let (tell, told) = sync_channel(3);
    store.submit(Operation::Heartbeat { node: feed.node }, move |_| gone.recv().unwrap());
    for (name, accept) in [("wide", wide), ("other", other)] {
        let tell = tell.clone();
        store.submit(Operation::Accept(accept), move |answer| {
            assert!(matches!(answer, Ok(Answer::Accepted(_))), "{answer:?}");
            tell.send(name).unwrap();
        });
    }
    go.send(()).unwrap();
    assert_eq!([told.recv().unwrap(), told.recv().unwrap()], ["other", "wide"]);
    assert_eq!(feed::rows(&store, "deliveries"), MANY + 1);
    assert_eq!(feed::rows(&store, "unfinished_events"), 0);
    let commits = store.figures().commits.load(std::sync::atomic::Ordering::Relaxed);
    assert!(commits > 10, "{commits} commits");
    store.close();
}

#[test]
fn what_is_under_way_is_written_before_the_store_closes() {
    let directory = tempfile::tempdir().unwrap();
    let (store, mut feed) = feed::open(directory.path());
    let (tell, told) = sync_channel(1);
    store.submit(Operation::Accept(event(&mut feed, 1, MANY)), move |answer| tell.send(answer.is_ok()).unwrap());
    store.close();
    assert!(told.recv().unwrap());
    let (store, _) = feed::open(directory.path());
    assert_eq!(feed::rows(&store, "deliveries"), MANY);
    store.close();
}
