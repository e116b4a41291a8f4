//! Nothing that was acknowledged is lost when everything is dropped that was not yet on disk, as by a power cut.
//!
//! A file system for SQLite stands in front of the real one: whenever a file is synced, its content at that moment is kept
//! apart. The power cut is then a directory with just those contents.
#![expect(unsafe_code, reason = "SQLite's file system is a table of C functions")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use fanfare_engine::delivery::Trigger;
use fanfare_engine::event::Event;
use fanfare_engine::id::{DeliveryId, EventId, OrganizationId, ProjectId, WebhookId};
use fanfare_engine::time::Timestamp;
use fanfare_store::Store;
use fanfare_store::log::{self, DeliveryFilter};
use fanfare_store::queue::{Accept, Learn, NewDelivery, Operation};
use fanfare_store::sqlite::Limits;
use rusqlite::ffi;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// The real file system's functions.
static REAL: OnceLock<Real> = OnceLock::new();
/// Which file is open where.
static OPEN: Mutex<BTreeMap<usize, PathBuf>> = Mutex::new(BTreeMap::new());
/// What is on disk of each file.
static ON_DISK: Mutex<BTreeMap<PathBuf, Vec<u8>>> = Mutex::new(BTreeMap::new());

type Open =
    unsafe extern "C" fn(*mut ffi::sqlite3_vfs, *const c_char, *mut ffi::sqlite3_file, c_int, *mut c_int) -> c_int;
type Sync = unsafe extern "C" fn(*mut ffi::sqlite3_file, c_int) -> c_int;

type Delete = unsafe extern "C" fn(*mut ffi::sqlite3_vfs, *const c_char, c_int) -> c_int;

struct Real {
    open: Open,
    delete: Delete,
    sync: OnceLock<Sync>,
}

/// Opens a file as ever, and gives it a copy of its functions in which only the sync is another.
unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let real = REAL.get().unwrap();
    // SAFETY: SQLite gives what the real function expects; on success the file has its functions, and a name ends with 0.
    unsafe {
        let answer = (real.open)(vfs, name, file, flags, out);
        if answer == ffi::SQLITE_OK && !name.is_null() {
            let mut functions = *(*file).pMethods;
            real.sync.get_or_init(|| functions.xSync.unwrap());
            functions.xSync = Some(sync);
            (*file).pMethods = Box::leak(Box::new(functions));
            let path = PathBuf::from(OsStr::from_bytes(CStr::from_ptr(name).to_bytes()));
            OPEN.lock().unwrap().insert(file as usize, path);
        }
        answer
    }
}

/// Removes a file as ever. The sync that follows takes it from the disk, too.
unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: SQLite gives what the real function expects, and a name ends with 0.
    let (answer, name) = unsafe { ((REAL.get().unwrap().delete)(vfs, name, sync), CStr::from_ptr(name)) };
    ON_DISK.lock().unwrap().remove(&PathBuf::from(OsStr::from_bytes(name.to_bytes())));
    answer
}

/// Syncs as ever, and keeps what is on disk now.
unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: the file was opened by the real file system, whose function this is.
    let answer = unsafe { REAL.get().unwrap().sync.get().unwrap()(file, flags) };
    if let Some(path) = OPEN.lock().unwrap().get(&(file as usize)) {
        ON_DISK.lock().unwrap().insert(path.clone(), std::fs::read(path).unwrap());
    }
    answer
}

fn stand_in_front() {
    // SAFETY: the default file system lives for ever, and so does the copy that is registered in front of it.
    unsafe {
        let mut vfs = *ffi::sqlite3_vfs_find(std::ptr::null());
        assert!(
            REAL.set(Real { open: vfs.xOpen.unwrap(), delete: vfs.xDelete.unwrap(), sync: OnceLock::new() }).is_ok()
        );
        vfs.xOpen = Some(open);
        vfs.xDelete = Some(delete);
        vfs.zName = c"watched".as_ptr();
        vfs.pNext = std::ptr::null_mut();
        assert_eq!(ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 1), ffi::SQLITE_OK);
    }
}

fn accept(id: i64) -> Operation {
    let event = Event {
        id: EventId(id),
        project: ProjectId(1),
        organization: OrganizationId(1),
        kind: "t".into(),
        external_id: None,
        data: Bytes::from(vec![b'1'; 4_000]),
        entity: None,
        scope: Vec::new(),
        occurred_at: NOW,
        ordering_key: None,
        hops: 0,
    };
    let (id, webhook) = (DeliveryId(id + 1), WebhookId(1));
    let delivery = NewDelivery { id, webhook, lease: None, due: NOW, trigger: Trigger::Schedule };
    Operation::Accept(Accept {
        event: Arc::new(event),
        fingerprint: [0; 16],
        idempotency: None,
        deliveries: vec![delivery],
        learn: Learn::Nothing,
    })
}

/// The deliveries that there are after a power cut at this moment.
async fn after_a_power_cut(of: &std::path::Path) -> Vec<DeliveryId> {
    let directory = tempfile::tempdir().unwrap();
    for (path, content) in ON_DISK.lock().unwrap().iter().filter(|(path, _)| path.starts_with(of)) {
        std::fs::write(directory.path().join(path.file_name().unwrap()), content).unwrap();
    }
    let (store, _) = Store::open(directory.path(), Limits::default(), Arc::new(|| NOW)).unwrap();
    let found = store.read(log::deliveries(&DeliveryFilter::default(), 100_000, 100_000)).await.unwrap();
    store.close();
    found.into_iter().map(|row| row.id).collect()
}

#[tokio::test]
async fn case_066_what_was_acknowledged_is_there_after_a_power_cut() {
    stand_in_front();
    let directory = tempfile::tempdir().unwrap();
    let (store, joined) = Store::open(directory.path(), Limits::default(), Arc::new(|| NOW)).unwrap();
    let mut next = joined.newest_id;
    let main = directory.path().join("fanfare.db");
    // Until the log of changes was folded into the main file meanwhile.
    for round in 0.. {
        let mut answers = Vec::new();
        for _ in 0..1_000 {
            let (sender, answer) = tokio::sync::oneshot::channel();
            next += 2;
            store.submit(accept(next), move |result| sender.send(result).unwrap());
            answers.push(answer);
        }
        for answer in answers {
            answer.await.unwrap().unwrap();
        }
        let is_folded = ON_DISK.lock().unwrap()[&main].len() > 1 << 20;
        if round % 3 == 0 || is_folded {
            let found = after_a_power_cut(directory.path()).await;
            assert_eq!(found.len(), (round + 1) * 1_000, "acknowledged, and gone");
        }
        if is_folded {
            break;
        }
    }
    store.close();
}
