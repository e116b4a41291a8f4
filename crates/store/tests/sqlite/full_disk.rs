//! A full disk stops new work and nothing else. Its place is taken by a limit on the size of files.

use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{TryRecvError, sync_channel};
use std::time::Duration;

use fanfare_engine::delivery::State;
use fanfare_engine::id::{DeliveryId, EventId};
use fanfare_store::queue::{Answer, Finished, Operation};
use fanfare_store::{StoreError, log};

use super::feed::{self, ORGANIZATION};
use super::process::{Process, child_directory, say};

/// Runs the command behind it with files limited to 8192 blocks of 512 bytes; what goes beyond fails and does not kill.
const STARVE: [&str; 4] = ["sh", "-c", "trap '' XFSZ; ulimit -S -f 8192; exec \"$@\"", "sh"];
const BYTES: usize = 4_000;
/// Bytes that fit into no gap that an event did not fit into.
const LARGE: usize = 100_000;
/// The longest that an outcome may take once there is room.
const PATIENCE: Duration = Duration::from_secs(60);

fn live_through(directory: &Path) {
    let (store, mut feed) = feed::open(directory);
    let (lease, accept) = feed.event(BYTES);
    say("accepted", accept.event.id.0);
    feed::apply(&store, Operation::Accept(accept)).unwrap();
    loop {
        let (_, accept) = feed.event(BYTES);
        let id = accept.event.id.0;
        match feed::apply(&store, Operation::Accept(accept)) {
            Ok(_) => say("accepted", id),
            Err(StoreError::Unavailable(_)) => break say("refused", id),
            Err(other) => panic!("{other:?}"),
        }
    }
    let (sender, outcome) = sync_channel(1);
    store.submit(feed.finish(lease, LARGE), move |answer| sender.send(answer).unwrap());
    // Its answer comes after the outcome was tried.
    let (_, accept) = feed.event(LARGE);
    assert!(matches!(feed::apply(&store, Operation::Accept(accept)), Err(StoreError::Unavailable(_))));
    assert!(matches!(outcome.try_recv(), Err(TryRecvError::Empty)), "the outcome is neither written nor given up");
    assert_eq!(feed::read(&store, log::delivery(lease.delivery))[0].state, State::Delivering);
    say("full", lease.delivery.0);

    let answer = outcome.recv_timeout(PATIENCE).expect("the outcome was not written once there was room");
    assert!(matches!(answer, Ok(Answer::Finished(Finished::Recorded { .. }))), "{answer:?}");
    let (_, accept) = feed.event(LARGE);
    say("accepted", accept.event.id.0);
    feed::apply(&store, Operation::Accept(accept)).unwrap();
    store.close();
}

#[test]
fn case_063_a_full_disk() {
    if let Some(directory) = child_directory() {
        return live_through(&directory);
    }
    let directory = tempfile::tempdir().unwrap();
    let mut child = Process::start(&STARVE, "full_disk::case_063_a_full_disk", directory.path());
    let mut accepted = Vec::new();
    let mut refused = Vec::new();
    let mut delivered = None;
    while let Some((word, id)) = child.message() {
        match word.as_str() {
            "accepted" => accepted.push(EventId(id)),
            "refused" => refused.push(EventId(id)),
            _ => {
                delivered = Some(DeliveryId(id));
                let mut room = Command::new("prlimit");
                room.args(["--pid", &child.id().to_string(), "--fsize=unlimited:"]);
                assert!(room.status().unwrap().success());
            }
        }
    }
    child.succeeds();

    let (store, _) = feed::open(directory.path());
    let there = |event: &EventId| !feed::read(&store, log::event(ORGANIZATION, *event)).is_empty();
    assert!(accepted.len() > 10 && accepted.iter().all(there));
    assert!(!refused.is_empty() && !refused.iter().any(there));
    let delivered = delivered.expect("the child did not come to a full disk");
    assert_eq!(feed::read(&store, log::delivery(delivered))[0].state, State::Delivered);
    store.close();
}
