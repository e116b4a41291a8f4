//! Opens stores and makes events for them.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use bytes::Bytes;
use fanfare_engine::attempt::{Headers, Outcome};
use fanfare_engine::delivery::{Single, Trigger};
use fanfare_engine::event::Event;
use fanfare_engine::id::{DeliveryId, EventId, IdGenerator, NodeId, OrganizationId, ProjectId, WebhookId};
use fanfare_engine::time::Timestamp;
use fanfare_store::query::Query;
use fanfare_store::queue::{
    Accept, Answer, Finish, Held, Learn, Lease, LoggedAttempt, LoggedResponse, NewDelivery, Next, Operation,
};
use fanfare_store::sqlite::{Joined, Limits};
use fanfare_store::{Store, StoreResult};

const PROJECT: ProjectId = ProjectId(11);
pub(crate) const ORGANIZATION: OrganizationId = OrganizationId(21);
pub(crate) const WEBHOOK: WebhookId = WebhookId(31);
pub(crate) const NOW: Timestamp = Timestamp(1_790_000_000_000);

pub(crate) fn try_open(directory: &Path) -> StoreResult<(Store, Joined)> {
    Store::open(directory, Limits::default(), Arc::new(|| NOW))
}

pub(crate) fn open(directory: &Path) -> (Store, Feed) {
    let (store, joined) = try_open(directory).unwrap();
    let feed = Feed::of(&joined);
    (store, feed)
}

/// Makes events.
pub(crate) struct Feed {
    pub(crate) node: NodeId,
    ids: IdGenerator,
}

impl Feed {
    /// Each round of a test has its own node number, so that no two rounds make the same ids.
    pub(crate) fn of(joined: &Joined) -> Feed {
        Feed { node: joined.node, ids: IdGenerator::new(joined.number) }
    }

    /// An event with so many bytes of data and one delivery, which this node has.
    pub(crate) fn event(&mut self, bytes: usize) -> (Lease, Accept) {
        let event = Event {
            id: EventId(self.ids.next(NOW)),
            project: PROJECT,
            organization: ORGANIZATION,
            kind: Arc::from("job.created"),
            external_id: None,
            data: Bytes::from(vec![b'1'; bytes]),
            entity: None,
            scope: Vec::new(),
            occurred_at: NOW,
            ordering_key: None,
            hops: 0,
        };
        let id = DeliveryId(self.ids.next(NOW));
        let delivery =
            NewDelivery { id, webhook: WEBHOOK, lease: Some(self.node), due: NOW, trigger: Trigger::Schedule };
        let accept = Accept {
            event: Arc::new(event),
            fingerprint: [7; 16],
            idempotency: None,
            deliveries: vec![delivery],
            learn: Learn::Nothing,
        };
        (Lease { delivery: id, node: self.node, claim: 1 }, accept)
    }

    /// A delivered lease, with a response of so many bytes.
    pub(crate) fn finish(&mut self, lease: Lease, bytes: usize) -> Operation {
        let response = LoggedResponse {
            status: 200,
            headers: Headers::default(),
            body: Bytes::from(vec![b'x'; bytes]),
            truncated: false,
        };
        let attempt = LoggedAttempt {
            id: self.ids.next(NOW),
            at: NOW,
            duration_ms: 12,
            outcome: Outcome::Success,
            error: None,
            note: None,
            trigger: Trigger::Schedule,
            request: None,
            response: Some(response),
        };
        let (project, organization, single) = (PROJECT, ORGANIZATION, Single::No);
        let held = Held { project, organization, ordering_key: None, attempts: 0, single };
        let (webhook, attempt) = (WEBHOOK, Some(attempt));
        Operation::Finish(Box::new(Finish { lease, webhook, held, attempt, next: Next::Delivered, report: None }))
    }
}

pub(crate) fn apply(store: &Store, operation: Operation) -> StoreResult<Answer> {
    let (sender, answer) = sync_channel(1);
    store.submit(operation, move |result| sender.send(result).unwrap());
    answer.recv().unwrap()
}

pub(crate) fn read<T: Send + 'static>(store: &Store, query: Query<T>) -> Vec<T> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(store.read(query)).unwrap()
}

/// How many rows a table has.
pub(crate) fn rows(store: &Store, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    read(store, Query { sql: sql.into(), arguments: Vec::new(), decode: |row| row.int(0) })[0]
}

/// Keeps so many events and closes the store again.
pub(crate) fn fill(directory: &Path, events: usize) {
    let (store, mut feed) = open(directory);
    for _ in 0..events {
        apply(&store, Operation::Accept(feed.event(2_000).1)).unwrap();
    }
    store.close();
}
