//! Runs the contract's suite against the embedded store, each case on a file of its own.

use crate::conformance::{Now, Opened, conformance_suite};
use crate::sqlite::{Limits, Store};

async fn open(now: Now) -> Opened<Store> {
    let directory = tempfile::tempdir().unwrap();
    let (store, joined) = Store::open(directory.path(), Limits::default(), now).unwrap();
    Opened { store, node: joined.node, keep: Box::new(directory) }
}

conformance_suite!(super::open);
