//! A panic costs what it happened on, and nothing else is lost or waits for ever.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;

use fanfare_store::queue::{Answer, Operation};
use fanfare_store::sqlite::Limits;
use fanfare_store::{Store, StoreError, StoreResult};

use super::feed::{Feed, NOW, open};

/// Writes an event and waits for the answer.
fn keep(store: &Store, feed: &mut Feed) -> StoreResult<Answer> {
    let (sender, answer) = sync_channel(1);
    store.submit(Operation::Accept(feed.event(1).1), move |result| sender.send(result).unwrap());
    answer.recv().unwrap()
}

#[test]
fn the_writer_goes_on_after_a_listener_panics() {
    let directory = tempfile::tempdir().unwrap();
    let (store, mut feed) = open(directory.path());
    for _ in 0..3 {
        store.submit(Operation::Accept(feed.event(1).1), |_| panic!("a listener's own fault"));
        keep(&store, &mut feed).unwrap();
    }
    store.close();
    // Who is refused may panic, too: whoever handed it in goes on.
    let refused = Operation::Accept(feed.event(1).1);
    catch_unwind(AssertUnwindSafe(|| store.submit(refused, |_| panic!("a listener's own fault")))).unwrap();
}

#[test]
fn the_writer_goes_on_after_it_panics_on_an_operation() {
    let directory = tempfile::tempdir().unwrap();
    let panics = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&panics);
    let now = move || {
        assert!(!seen.load(Ordering::SeqCst), "a fault of the writer");
        NOW
    };
    let (store, joined) = Store::open(directory.path(), Limits::default(), Arc::new(now)).unwrap();
    let mut feed = Feed::of(&joined);
    panics.store(true, Ordering::SeqCst);
    let refused = keep(&store, &mut feed).unwrap_err();
    assert!(matches!(&refused, StoreError::Damaged(why) if why.contains("panicked")), "{refused:?}");
    panics.store(false, Ordering::SeqCst);
    keep(&store, &mut feed).unwrap();
    store.close();
}
