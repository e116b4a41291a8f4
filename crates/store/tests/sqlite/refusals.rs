//! A file that this version cannot use is left as it is, byte for byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use fanfare_store::StoreError;
use rusqlite::Connection;

use super::feed;

/// Every file of a directory, but for the lock.
pub(crate) fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let named = files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()));
    named.filter(|(name, _)| name != "fanfare.lock").collect()
}

/// Opens what `prepare` left in a directory; it must be refused with a text that has these words.
#[track_caller]
fn assert_refused(prepare: impl FnOnce(&Path), words: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fanfare.db");
    prepare(&path);
    let before = contents(directory.path());
    for _ in 0..2 {
        let error = feed::try_open(directory.path()).map(|_| ()).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
        assert!(text.contains(path.to_str().unwrap()), "{text}");
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
    let mut after = contents(directory.path());
    // To read a log beside a file, SQLite makes an index of it.
    if before.contains_key("fanfare.db-wal") {
        after.remove("fanfare.db-shm");
    }
    assert!(before == after, "changed: {:?} became {:?}", before.keys(), after.keys());
}

/// A database of ours with some events, then changed by hand.
pub(crate) fn ours(path: &Path, sql: &str) {
    feed::fill(path.parent().unwrap(), 50);
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(sql).unwrap();
    connection.close().unwrap();
}

#[test]
fn a_newer_schema_is_refused() {
    assert_refused(|path| ours(path, "PRAGMA user_version = 999"), &["newer", "999"]);
}

#[test]
fn a_newer_schema_in_the_log_is_refused() {
    // Killed before its log was folded: the main file alone would look as if it were ours.
    let scratch = tempfile::tempdir().unwrap();
    let source = scratch.path().join("fanfare.db");
    ours(&source, "");
    let connection = Connection::open(&source).unwrap();
    connection.pragma_update(None, "user_version", 999).unwrap();
    let log = fs::read(scratch.path().join("fanfare.db-wal")).unwrap();
    let main = fs::read(&source).unwrap();
    let write = |path: &Path| {
        fs::write(path, &main).unwrap();
        fs::write(path.with_extension("db-wal"), &log).unwrap();
    };
    assert_refused(write, &["newer", "999"]);
}

#[test]
fn another_programs_file_is_refused() {
    let foreign = |path: &Path| {
        let connection = Connection::open(path).unwrap();
        connection.execute_batch("PRAGMA application_id = 7; CREATE TABLE theirs (id)").unwrap();
    };
    assert_refused(foreign, &["not one of Fanfare's"]);
    let unmarked = |path: &Path| {
        Connection::open(path).unwrap().execute_batch("CREATE TABLE theirs (id)").unwrap();
    };
    assert_refused(unmarked, &["not one of Fanfare's"]);
}

#[test]
fn garbage_is_refused() {
    assert_refused(|path| fs::write(path, "garbage").unwrap(), &["left as it is"]);
    assert_refused(|path| fs::write(path, vec![0xa5; 100_000]).unwrap(), &["left as it is"]);
}

#[test]
fn a_truncated_file_is_refused() {
    for keep in [3, 2] {
        let truncated = |path: &Path| {
            ours(path, "");
            let whole = fs::read(path).unwrap();
            fs::write(path, &whole[..whole.len() * keep / 4]).unwrap();
        };
        assert_refused(truncated, &["left as it is"]);
    }
}

#[test]
fn a_directory_that_is_not_there_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let error = feed::try_open(&directory.path().join("gone")).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("gone"), "{error}");
}
