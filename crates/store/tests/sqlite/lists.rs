//! A page of a list is of one moment, and of so many bytes.

use std::sync::{Mutex, OnceLock};

use fanfare_store::Store;
use fanfare_store::log::DeliveryFilter;
use fanfare_store::query::{Listed, Listing, Query, Row, Value};
use fanfare_store::queue::Operation;
use fanfare_store::{StoreResult, log};
use rusqlite::{Connection, StatementStatus};

use super::feed::{Feed, ORGANIZATION, apply, open};

fn list<T: Send + 'static>(store: &Store, listing: Listing<T, i64>) -> Listed<T, i64> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(store.list(listing)).unwrap()
}

/// What is written to while a page is read.
static BUSY: OnceLock<(Store, Mutex<Feed>)> = OnceLock::new();

/// Keeps another event before it reads a row.
fn read_late(row: &dyn Row) -> StoreResult<i64> {
    let (store, feed) = BUSY.get().unwrap();
    apply(store, Operation::Accept(feed.lock().unwrap().event(1).1))?;
    row.int(0)
}

#[test]
fn what_is_written_meanwhile_shifts_no_end() {
    let directory = tempfile::tempdir().unwrap();
    let (store, mut feed) = open(directory.path());
    for _ in 0..5 {
        apply(&store, Operation::Accept(feed.event(1).1)).unwrap();
    }
    assert!(BUSY.set((store.clone(), Mutex::new(feed))).is_ok());
    let newest_first = "SELECT id FROM events ORDER BY id DESC";
    let query = |sql: String, decode| Query { sql: sql.into(), arguments: Vec::new(), decode };
    let found = list(
        &store,
        Listing {
            rows: query(format!("{newest_first} LIMIT 3"), read_late),
            limit: 4,
            bytes: usize::MAX,
            end: Some(query(format!("{newest_first} LIMIT 1 OFFSET 2"), |row| row.int(0))),
        },
    );
    assert_eq!(found.end.as_ref(), found.rows.last(), "the scan ended where the rows did");
    store.close();
}

#[test]
fn a_page_ends_with_the_row_that_reaches_its_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let (store, mut feed) = open(directory.path());
    for _ in 0..5 {
        apply(&store, Operation::Accept(feed.event(1_000).1)).unwrap();
    }
    let page = |bytes| {
        let rows = log::events(ORGANIZATION, None, None, 5, 10);
        let end = Some(log::event_scan_end(ORGANIZATION, None, 10));
        let found = list(&store, Listing { rows, limit: 5, bytes, end });
        (found.rows.len(), found.full)
    };
    assert_eq!(page(1), (1, true), "the first comes however large it is");
    assert_eq!(page(1_500), (2, true));
    assert_eq!(page(1_000_000), (5, false));
    store.close();
}

/// How many steps SQLite takes to look through an organization's deliveries, where every second event has none.
fn steps_to_look_through(events: usize) -> i32 {
    let directory = tempfile::tempdir().unwrap();
    let (store, mut feed) = open(directory.path());
    for number in 0..events {
        let mut accept = feed.event(1).1;
        if number % 2 == 0 {
            accept.deliveries.clear();
        }
        apply(&store, Operation::Accept(accept)).unwrap();
    }
    store.close();
    let filter = DeliveryFilter {
        organization: Some(ORGANIZATION),
        event_type: Some("none".to_owned()),
        ..DeliveryFilter::default()
    };
    let query = log::deliveries(&filter, 50, 10_000);
    let database = Connection::open(directory.path().join("fanfare.db")).unwrap();
    let mut statement = database.prepare(&query.sql).unwrap();
    let arguments = query.arguments.iter().map(|argument| match argument {
        Value::Int(number) => rusqlite::types::Value::Integer(*number),
        Value::Text(text) => rusqlite::types::Value::Text(text.clone()),
        other => panic!("{other:?} in a list of deliveries"),
    });
    assert!(statement.query(rusqlite::params_from_iter(arguments)).unwrap().next().unwrap().is_none());
    statement.get_status(StatementStatus::VmStep)
}

#[test]
fn a_list_of_deliveries_costs_no_more_than_its_events() {
    let (few, many) = (steps_to_look_through(200), steps_to_look_through(800));
    assert!(many < 6 * few, "four times the events took {few} -> {many} steps");
}
