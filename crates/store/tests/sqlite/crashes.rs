//! A killed server loses nothing that it acknowledged.

use std::fs;
use std::path::Path;
use std::sync::mpsc::sync_channel;

use fanfare_engine::delivery::State;
use fanfare_engine::id::{DeliveryId, EventId};
use fanfare_store::attempts::{Piece, attempts};
use fanfare_store::log;
use fanfare_store::queue::{Answer, Finished, Operation};
use rusqlite::Connection;

use super::feed::{self, ORGANIZATION};
use super::process::{Process, child_directory, say};

/// Events that a child has under way at a time.
const UNDER_WAY: usize = 64;
/// Bytes of each event's data.
const BYTES: usize = 1_000;

/// Accepts and finishes events for ever, and says of each when it is on the disk.
fn write_for_ever(directory: &Path) {
    let (store, mut feed) = feed::open(directory);
    let (ended, ends) = sync_channel(UNDER_WAY);
    for number in 0.. {
        if number >= UNDER_WAY {
            ends.recv().unwrap();
        }
        let (lease, accept) = feed.event(BYTES);
        let (event, delivery, ended) = (accept.event.id.0, lease.delivery.0, ended.clone());
        store.submit(Operation::Accept(accept), move |answer| {
            assert!(matches!(answer, Ok(Answer::Accepted(_))), "{answer:?}");
            say("accepted", event);
        });
        store.submit(feed.finish(lease, 100), move |answer| {
            assert!(matches!(answer, Ok(Answer::Finished(Finished::Recorded { .. }))), "{answer:?}");
            say("finished", delivery);
            ended.send(()).unwrap();
        });
    }
}

#[test]
fn case_056_killed_in_the_middle_of_commits() {
    if let Some(directory) = child_directory() {
        return write_for_ever(&directory);
    }
    let directory = tempfile::tempdir().unwrap();
    let mut said = Vec::new();
    // The first is killed early; the later ones begin with what a killed one left.
    for messages in [1, 500, 3_000] {
        let mut child = Process::start(&[], "crashes::case_056_killed_in_the_middle_of_commits", directory.path());
        said.extend((0..messages).map(|_| child.message().expect("the child ended by itself")));
        said.extend(child.kill());
    }
    let (store, _) = feed::open(directory.path());
    for (word, id) in &said {
        if word == "accepted" {
            let event = feed::read(&store, log::event(ORGANIZATION, EventId(*id))).pop().expect("an event is lost");
            assert_eq!((event.data.len(), event.deliveries), (BYTES, 1));
        } else {
            let id = DeliveryId(*id);
            assert_eq!(feed::read(&store, log::delivery(id))[0].state, State::Delivered);
            assert_eq!(feed::read(&store, attempts(id, Piece::ALL)).len(), 1);
        }
    }
    assert!(said.len() >= 3_501);
    // Events and deliveries were kept together or not at all.
    assert_eq!(feed::rows(&store, "events"), feed::rows(&store, "deliveries"));
    store.close();
}

#[test]
fn case_067_killed_during_the_first_start() {
    if let Some(directory) = child_directory() {
        say("opening", 0);
        feed::open(&directory).0.close();
        return;
    }
    for _ in 0..8 {
        let directory = tempfile::tempdir().unwrap();
        let mut child = Process::start(&[], "crashes::case_067_killed_during_the_first_start", directory.path());
        assert_eq!(child.message(), Some(("opening".to_owned(), 0)));
        child.kill();
        feed::fill(directory.path(), 1);
    }
}

#[test]
fn case_067_an_interrupted_first_start_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fanfare.db");
    fs::write(&path, "").unwrap();
    feed::fill(directory.path(), 1);

    // The tables were being made; their transaction did not end.
    let directory = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let source = scratch.path().join("fanfare.db");
    let connection = Connection::open(&source).unwrap();
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).unwrap();
    connection.pragma_update(None, "cache_size", 1).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE; CREATE TABLE meta (key); CREATE TABLE nodes (id);").unwrap();
    connection.execute("INSERT INTO meta VALUES (zeroblob(100000))", ()).unwrap();
    for suffix in ["", "-wal"] {
        let name = format!("fanfare.db{suffix}");
        fs::copy(scratch.path().join(&name), directory.path().join(&name)).unwrap();
    }
    feed::fill(directory.path(), 1);
}

#[test]
fn one_process_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = feed::open(directory.path());
    let error = feed::try_open(directory.path()).map(|_| ()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, fanfare_store::StoreError::Refused(_)));
    assert!(text.contains("in use") && text.contains(directory.path().to_str().unwrap()), "{text}");
    store.close();
    feed::open(directory.path()).0.close();
}
