//! Copies of a running store are whole, and can be put in place of a stopped one.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use fanfare_store::StoreError;
use fanfare_store::queue::Operation;
use fanfare_store::sqlite::{Unfinished, backup, restore};
use rusqlite::Connection;

use super::feed;
use super::refusals::{contents, ours};

fn count(directory: &Path) -> i64 {
    let (store, _) = feed::open(directory);
    let events = feed::rows(&store, "events");
    assert_eq!(feed::rows(&store, "deliveries"), events);
    store.close();
    events
}

#[track_caller]
fn assert_refused(result: Result<(), StoreError>, words: &[&str]) {
    let error = result.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
}

#[test]
fn a_backup_asks_for_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    feed::open(directory.path()).0.close();
    let to = directory.path().join("missing/copy.db");
    let refused = backup(directory.path(), &to).unwrap_err();
    assert!(matches!(&refused, StoreError::Refused(why) if why.contains("missing is no directory")), "{refused}");
    assert!(!to.parent().unwrap().exists());
}

#[test]
fn a_busy_store_is_copied_as_of_one_moment() {
    let live = tempfile::tempdir().unwrap();
    let place = tempfile::tempdir().unwrap();
    let (store, mut feed) = feed::open(live.path());
    let accepted = AtomicI64::new(0);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                feed::apply(&store, Operation::Accept(feed.event(2_000).1)).unwrap();
                accepted.fetch_add(1, Ordering::SeqCst);
            }
        });
        for round in 1..=5 {
            let enough = round * 100;
            while accepted.load(Ordering::SeqCst) < enough {
                std::thread::yield_now();
            }
            let before = accepted.load(Ordering::SeqCst);
            let to = place.path().join(format!("copy-{round}"));
            backup(live.path(), &to).unwrap();
            let after = accepted.load(Ordering::SeqCst) + 1;

            let restored = tempfile::tempdir().unwrap();
            restore(&to, restored.path(), Unfinished::MayHaveBeenSent).unwrap();
            let copied = count(restored.path());
            assert!((before..=after).contains(&copied), "{before} <= {copied} <= {after}");
        }
        stop.store(true, Ordering::SeqCst);
    });
    let names: Vec<_> = contents(place.path()).into_keys().collect();
    assert_eq!(names, ["copy-1", "copy-2", "copy-3", "copy-4", "copy-5"], "single files, and nothing else");
    store.close();
}

#[test]
fn a_closed_store_is_a_single_file() {
    for _ in 0..10 {
        let directory = tempfile::tempdir().unwrap();
        feed::fill(directory.path(), 1);
        assert_eq!(contents(directory.path()).into_keys().collect::<Vec<_>>(), ["fanfare.db"]);
    }
}

#[cfg(unix)]
#[test]
fn a_database_and_its_copy_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let live = tempfile::tempdir().unwrap();
    feed::fill(live.path(), 1);
    assert_eq!(fs::metadata(live.path().join("fanfare.db")).unwrap().permissions().mode() & 0o777, 0o600);
    let to = live.path().join("copy");
    backup(live.path(), &to).unwrap();
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
}

#[cfg(unix)]
#[test]
fn what_root_restores_is_the_servers() {
    use std::os::unix::fs::{MetadataExt, chown};

    let live = tempfile::tempdir().unwrap();
    feed::fill(live.path(), 1);
    let copy = live.path().join("copy");
    backup(live.path(), &copy).unwrap();
    let own = fs::metadata(&copy).unwrap().uid();
    // Only root may give files away, and needs to.
    let server = if own == 0 { 12_345 } else { own };
    let owner = |path: &Path| fs::metadata(path).unwrap().uid();

    let fresh = tempfile::tempdir().unwrap();
    chown(fresh.path(), Some(server), None).unwrap();
    restore(&copy, fresh.path(), Unfinished::MayHaveBeenSent).unwrap();
    for name in ["fanfare.db", "fanfare.lock"] {
        assert_eq!(owner(&fresh.path().join(name)), server, "{name}");
    }
    // A directory may be root's though the database is not.
    chown(fresh.path(), Some(own), None).unwrap();
    restore(&copy, fresh.path(), Unfinished::MayHaveBeenSent).unwrap();
    assert_eq!(owner(&fresh.path().join("fanfare.db")), server);
}

#[test]
fn a_backup_overwrites_nothing() {
    let live = tempfile::Builder::new().prefix("a %20?b#c").tempdir().unwrap();
    feed::fill(live.path(), 1);
    let to = live.path().join("copy");
    fs::write(&to, "precious").unwrap();
    assert_refused(backup(live.path(), &to), &["exists", to.to_str().unwrap()]);
    assert_eq!(fs::read(&to).unwrap(), b"precious");
    assert_eq!(contents(live.path()).len(), 2, "nothing is left behind");
}

#[test]
fn a_backup_needs_a_whole_database() {
    let live = tempfile::tempdir().unwrap();
    let to = live.path().join("copy");
    assert_refused(backup(live.path(), &to), &["fanfare.db"]);
    let path = live.path().join("fanfare.db");
    ours(&path, "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET rootpage = 3 WHERE name = 'attempts'");
    assert_refused(backup(live.path(), &to), &["damaged", "fanfare.db"]);
    assert!(!to.exists());
    assert!(!contents(live.path()).into_keys().any(|name| name.contains("copy")), "nothing of it is left");
}

#[test]
fn a_restore_replaces_all() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    feed::fill(one.path(), 3);
    let copy = one.path().join("copy");
    backup(one.path(), &copy).unwrap();
    // The other was killed: its log is not folded, and would be taken for the new file's.
    let (store, mut feed) = feed::open(other.path());
    for _ in 0..20 {
        feed::apply(&store, Operation::Accept(feed.event(2_000).1)).unwrap();
    }
    let killed = tempfile::tempdir().unwrap();
    for name in ["fanfare.db", "fanfare.db-wal"] {
        fs::copy(other.path().join(name), killed.path().join(name)).unwrap();
    }
    store.close();
    assert!(contents(killed.path())["fanfare.db-wal"].len() > 10_000);

    restore(&copy, killed.path(), Unfinished::MayHaveBeenSent).unwrap();
    assert_eq!(contents(killed.path()).into_keys().collect::<Vec<_>>(), ["fanfare.db"]);
    assert_eq!(count(killed.path()), 3);
}

#[test]
fn a_restore_takes_the_log_beside_its_source() {
    let live = tempfile::tempdir().unwrap();
    let (store, mut feed) = feed::open(live.path());
    for _ in 0..20 {
        feed::apply(&store, Operation::Accept(feed.event(2_000).1)).unwrap();
    }
    let copied = tempfile::tempdir().unwrap();
    for name in ["fanfare.db", "fanfare.db-wal"] {
        fs::copy(live.path().join(name), copied.path().join(name)).unwrap();
    }
    store.close();
    let target = tempfile::tempdir().unwrap();
    restore(&copied.path().join("fanfare.db"), &target.path().join("new"), Unfinished::MayHaveBeenSent).unwrap();
    assert_eq!(count(&target.path().join("new")), 20);
}

#[test]
fn a_restored_retry_keeps_its_time() {
    let live = tempfile::tempdir().unwrap();
    let (store, mut feed) = feed::open(live.path());
    let (lease, accept) = feed.event(10);
    feed::apply(&store, Operation::Accept(accept)).unwrap();
    let later = feed::NOW.plus(Duration::from_secs(3_600));
    feed::apply(&store, Operation::PutOff(lease, later)).unwrap();
    let copy = live.path().join("copy");
    backup(live.path(), &copy).unwrap();
    store.close();

    for (unfinished, unknown) in [(Unfinished::MayHaveBeenSent, 1), (Unfinished::Resend, 0)] {
        let restored = tempfile::tempdir().unwrap();
        restore(&copy, restored.path(), unfinished).unwrap();
        let (store, joined) = feed::try_open(restored.path()).unwrap();
        for node in joined.dead {
            feed::apply(&store, Operation::Rescue { node, limit: 10 }).unwrap();
        }
        assert_eq!(feed::rows(&store, "attempts"), unknown, "{unfinished:?}");
        store.close();
        let database = Connection::open(restored.path().join("fanfare.db")).unwrap();
        let (due, holder): (i64, i64) = database
            .query_row("SELECT next_attempt_at, lease_node FROM deliveries", (), |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        assert_eq!((due, holder), (later.0, 0), "{unfinished:?}");
    }
}

#[test]
fn a_store_in_use_is_not_replaced() {
    let live = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let (store, mut feed) = feed::open(live.path());
    feed::apply(&store, Operation::Accept(feed.event(10).1)).unwrap();
    let copy = scratch.path().join("copy");
    backup(live.path(), &copy).unwrap();
    assert_refused(
        restore(&copy, live.path(), Unfinished::MayHaveBeenSent),
        &["in use", live.path().to_str().unwrap()],
    );
    feed::apply(&store, Operation::Accept(feed.event(10).1)).unwrap();
    store.close();
    assert_eq!(count(live.path()), 2);
}

#[test]
fn a_source_that_is_no_backup_is_refused() {
    let target = tempfile::tempdir().unwrap();
    feed::fill(target.path(), 4);
    let before = contents(target.path());
    let scratch = tempfile::tempdir().unwrap();
    let source = scratch.path().join("fanfare.db");
    let check = |words: &[&str]| {
        assert_refused(restore(&source, target.path(), Unfinished::MayHaveBeenSent), words);
        assert!(contents(target.path()) == before, "the old database is as it was");
    };
    check(&["not there"]);
    fs::write(&source, "").unwrap();
    check(&["holds no database"]);
    fs::write(&source, "garbage").unwrap();
    check(&["cannot be read"]);

    fs::remove_file(&source).unwrap();
    Connection::open(&source).unwrap().execute_batch("CREATE TABLE theirs (id)").unwrap();
    check(&["not one of Fanfare's"]);
    Connection::open(&source).unwrap().execute_batch("DROP TABLE theirs").unwrap();
    check(&["no tables of Fanfare's"]);

    fs::remove_file(&source).unwrap();
    ours(&source, "PRAGMA user_version = 999");
    check(&["newer", "999"]);
    ours_again(&source);
    let whole = fs::read(&source).unwrap();
    fs::write(&source, &whole[..whole.len() / 2]).unwrap();
    check(&["cannot be read"]);
    // Something in the middle was overwritten.
    let mut torn = whole;
    let middle = torn.len() / 2;
    torn[middle..].fill(0xa5);
    fs::write(&source, &torn).unwrap();
    check(&["damaged"]);
}

/// A fresh database of ours in place of what is there.
fn ours_again(path: &Path) {
    fs::remove_file(path).unwrap();
    ours(path, "");
}
