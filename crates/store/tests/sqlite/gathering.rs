//! Figures are gathered over several commits while much comes at once, not for long, and outlive a crash.

use std::path::Path;
use std::sync::Arc;

use fanfare_engine::event::Event;
use fanfare_engine::id::OrganizationId;
use fanfare_engine::time::Timestamp;
use fanfare_store::query::Query;
use fanfare_store::queue::{Accept, Operation};
use fanfare_store::sqlite::Core;
use fanfare_store::stats::{self, Span, Subject};

use super::feed::{self, Feed, NOW, ORGANIZATION};

fn events(feed: &mut Feed, count: usize) -> Vec<Operation> {
    (0..count).map(|_| Operation::Accept(feed.event(1).1)).collect()
}

fn written(core: &Core) -> u64 {
    let series = core.read(&stats::series(Subject::Organization(ORGANIZATION), Span::Hour, Timestamp(0))).unwrap();
    series.iter().map(|(_, figures)| figures.events).sum()
}

fn later(millis: i64) -> Timestamp {
    Timestamp(NOW.millis() + millis)
}

#[test]
fn many_operations_share_the_writing_of_figures() {
    let mut core = Core::in_memory().unwrap();
    let mut feed = Feed::of(&core.join(NOW).unwrap());
    let mut keep = |core: &mut Core, at, count| {
        assert!(core.apply(at, &events(&mut feed, count)).iter().all(Result::is_ok));
    };
    keep(&mut core, NOW, 1);
    keep(&mut core, later(10), 100);
    assert_eq!(written(&core), 101, "few in a second are written with their own commit");
    keep(&mut core, later(20), 100);
    keep(&mut core, later(500), 1);
    keep(&mut core, later(5_019), 1);
    assert_eq!(written(&core), 101);
    keep(&mut core, later(5_020), 1);
    keep(&mut core, later(5_021), 1);
    assert_eq!(written(&core), 204, "some seconds are over, and the next commit writes all that was gathered then");
    core.write_figures().unwrap();
    assert_eq!(written(&core), 205);
    keep(&mut core, later(9_000), 1);
    assert_eq!(written(&core), 206, "it is quiet again");
}

const ORGANIZATIONS: i64 = 600;

/// Counts an event of each of many organizations, writes so many pieces of the figures, and is killed.
fn count_and_crash(path: &Path, pieces: usize) {
    let mut core = Core::open(path).unwrap();
    let mut feed = Feed::of(&core.join(NOW).unwrap());
    let event = |organization| {
        let (_, accept) = feed.event(1);
        let event = Event { organization: OrganizationId(organization), ..(*accept.event).clone() };
        Operation::Accept(Accept { event: Arc::new(event), ..accept })
    };
    let events: Vec<Operation> = (1..=ORGANIZATIONS).map(event).collect();
    assert!(core.apply(NOW, &events).iter().all(Result::is_ok));
    core.apply(later(5_000), &[]);
    write_pieces(&mut core, pieces);
}

fn write_pieces(core: &mut Core, pieces: usize) {
    (0..pieces).for_each(|_| assert!(core.apply(later(5_000), &[]).is_empty()));
}

/// The events of all organizations, and those of their project, in the figures by the hour.
fn counted(core: &Core) -> (i64, i64) {
    let sum = |kind: i64| {
        let sql = "SELECT coalesce(sum(events), 0) FROM stats WHERE span = 1 AND kind = ?1";
        let arguments = fanfare_store::arguments![kind];
        core.read(&Query { sql: sql.into(), arguments, decode: |row| row.int(0) }).unwrap()[0]
    };
    (sum(1), sum(0))
}

#[test]
fn a_crash_loses_no_figures_and_counts_none_twice() {
    for (first, second) in [(0, 0), (1, 0), (2, 1), (3, 2), (1, 3), (2, 4), (4, 1)] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fanfare.db");
        count_and_crash(&path, first);
        // What is left is written by a second process, which is killed, too.
        write_pieces(&mut Core::open(&path).unwrap(), second);
        let mut core = Core::open(&path).unwrap();
        core.write_figures().unwrap();
        assert_eq!(counted(&core), (ORGANIZATIONS, ORGANIZATIONS), "after {first} and {second} pieces");
        let notes =
            Query { sql: "SELECT count(*) FROM uncounted".into(), arguments: Vec::new(), decode: |row| row.int(0) };
        assert_eq!(core.read(&notes).unwrap(), [0]);
    }
}

#[test]
fn figures_do_not_wait_for_further_operations() {
    let directory = tempfile::tempdir().unwrap();
    let (store, mut feed) = feed::open(directory.path());
    for event in events(&mut feed, 300) {
        store.submit(event, |answer| assert!(answer.is_ok()));
    }
    let project = || {
        let series = stats::series(Subject::Organization(ORGANIZATION), Span::Hour, Timestamp(0));
        feed::read(&store, series).iter().map(|(_, figures)| figures.events).sum::<u64>()
    };
    // The clock stands still, and nothing else comes.
    while project() < 300 {
        std::thread::yield_now();
    }
    assert_eq!(project(), 300);
    store.close();
}
