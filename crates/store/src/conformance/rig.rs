//! A fresh store with a clock and ids, and short words for what the cases do with it.

use std::any::Any;
use std::future::Future;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fanfare_engine::attempt::{Attempt, Outcome};
use fanfare_engine::delivery::{Single, State, Trigger};
use fanfare_engine::event::Event;
use fanfare_engine::id::{DeliveryId, EventId, IdGenerator, NodeId, OrganizationId, ProjectId, WebhookId};
use fanfare_engine::time::Timestamp;
use tokio::sync::oneshot;

use crate::arguments;
use crate::attempts::{Piece, attempts};
use crate::backend::Backend;
use crate::error::StoreResult;
use crate::log::{self, DeliveryFilter, DeliveryRow};
use crate::query::{Change, Query};
use crate::queue::{
    Accept, Accepted, Answer, Claim, Claimed, ClaimedDelivery, Finish, Finished, Held, IdempotencyKey, Learn, Lease,
    LoggedAttempt, LoggedBody, LoggedRequest, LoggedResponse, NewDelivery, Next, Operation,
};

/// The clock that a store is given.
pub(crate) type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// An opened, empty store.
pub(crate) struct Opened<B> {
    pub(crate) store: B,
    pub(crate) node: NodeId,
    /// What must live as long as the store: its directory, its database.
    pub(crate) keep: Box<dyn Any>,
}

/// When every case starts.
const START: Timestamp = Timestamp(1_790_000_000_000);
/// A number for ids that no store gives to its nodes in these cases.
const NUMBER: u16 = 900;

pub(crate) const PROJECT: ProjectId = ProjectId(11);
pub(crate) const ORGANIZATION: OrganizationId = OrganizationId(21);
pub(crate) const OTHER_ORGANIZATION: OrganizationId = OrganizationId(22);
pub(crate) const WEBHOOK: WebhookId = WebhookId(31);
pub(crate) const OTHER_WEBHOOK: WebhookId = WebhookId(32);
pub(crate) const URL: &str = "https://receiver.example/hook";

/// See the module.
pub(crate) struct Rig<B> {
    pub(crate) store: B,
    /// The node that joined when the store was opened.
    pub(crate) node: NodeId,
    clock: Arc<AtomicI64>,
    ids: Mutex<IdGenerator>,
    _keep: Box<dyn Any>,
}

impl<B: Backend> Rig<B> {
    pub(super) async fn over<O: Future<Output = Opened<B>>>(open: impl FnOnce(Now) -> O) -> Self {
        let clock = Arc::new(AtomicI64::new(START.millis()));
        let read = Arc::clone(&clock);
        let Opened { store, node, keep } = open(Arc::new(move || Timestamp(read.load(Ordering::SeqCst)))).await;
        Rig { store, node, clock, ids: Mutex::new(IdGenerator::new(NUMBER)), _keep: keep }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(self.clock.load(Ordering::SeqCst))
    }

    pub(crate) fn in_seconds(&self, seconds: u64) -> Timestamp {
        self.now().plus(Duration::from_secs(seconds))
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }

    /// A node that never joined.
    pub(crate) fn stranger(&self) -> NodeId {
        NodeId(self.node.0 + 1)
    }

    pub(crate) fn id(&self) -> i64 {
        self.ids.lock().unwrap().next(self.now())
    }

    pub(crate) async fn apply(&self, operation: Operation) -> StoreResult<Answer> {
        let (sender, answer) = oneshot::channel();
        self.store.submit(operation, move |result| sender.send(result).unwrap());
        answer.await.unwrap()
    }

    /// Hands over all before it waits for any, so that they may share a commit.
    pub(crate) async fn apply_all(&self, operations: Vec<Operation>) -> Vec<StoreResult<Answer>> {
        let mut waiting = Vec::new();
        for operation in operations {
            let (sender, answer) = oneshot::channel();
            self.store.submit(operation, move |result| sender.send(result).unwrap());
            waiting.push(answer);
        }
        let mut answers = Vec::new();
        for answer in waiting {
            answers.push(answer.await.unwrap());
        }
        answers
    }

    pub(crate) async fn read<T: Send + 'static>(&self, query: Query<T>) -> Vec<T> {
        self.store.read(query).await.unwrap()
    }

    pub(crate) async fn read_one<T: Send + 'static>(&self, query: Query<T>) -> Option<T> {
        let mut rows = self.read(query).await;
        assert!(rows.len() <= 1, "more than one row");
        rows.pop()
    }

    /// An event of a type, with a fresh id.
    pub(crate) fn event(&self, kind: &str) -> Event {
        Event {
            id: EventId(self.id()),
            project: PROJECT,
            organization: ORGANIZATION,
            kind: Arc::from(kind),
            external_id: None,
            data: Bytes::from_static(br#"{"n":1}"#),
            entity: None,
            scope: Vec::new(),
            occurred_at: self.now(),
            ordering_key: None,
            hops: 0,
        }
    }

    /// The acceptance of an event for these webhooks; `lease` says who takes the deliveries.
    pub(crate) fn acceptance(&self, event: Event, webhooks: &[WebhookId], lease: Option<NodeId>) -> Accept {
        let delivery = |webhook: &WebhookId| NewDelivery {
            id: DeliveryId(self.id()),
            webhook: *webhook,
            lease,
            due: self.now(),
            trigger: Trigger::Schedule,
        };
        let deliveries = webhooks.iter().map(delivery).collect();
        Accept { event: Arc::new(event), fingerprint: [7; 16], idempotency: None, deliveries, learn: Learn::Nothing }
    }

    pub(crate) async fn accept(&self, accept: Accept) -> Accepted {
        match self.apply(Operation::Accept(accept)).await.unwrap() {
            Answer::Accepted(accepted) => accepted,
            other => panic!("an acceptance was answered with {other:?}"),
        }
    }

    /// Keeps an event with deliveries that wait in the store.
    pub(crate) async fn keep(&self, event: Event, webhooks: &[WebhookId]) -> Vec<DeliveryId> {
        self.keep_for(event, webhooks, None).await
    }

    /// Keeps an event with deliveries that this node has.
    pub(crate) async fn keep_leased(&self, event: Event, webhooks: &[WebhookId]) -> Vec<Lease> {
        let node = self.node;
        let deliveries = self.keep_for(event, webhooks, Some(node)).await;
        deliveries.into_iter().map(|delivery| Lease { delivery, node, claim: 1 }).collect()
    }

    async fn keep_for(&self, event: Event, webhooks: &[WebhookId], lease: Option<NodeId>) -> Vec<DeliveryId> {
        let accept = self.acceptance(event, webhooks, lease);
        let deliveries = accept.deliveries.iter().map(|delivery| delivery.id).collect();
        let accepted = self.accept(accept).await;
        assert!(matches!(accepted, Accepted::New { .. }), "{accepted:?}");
        deliveries
    }

    /// One waiting delivery for [`WEBHOOK`].
    pub(crate) async fn waiting(&self) -> DeliveryId {
        self.keep(self.event("job.created"), &[WEBHOOK]).await[0]
    }

    /// One delivery for [`WEBHOOK`] that this node has.
    pub(crate) async fn leased(&self) -> Lease {
        self.keep_leased(self.event("job.created"), &[WEBHOOK]).await[0]
    }

    /// One waiting delivery for [`WEBHOOK`] with an ordering key.
    pub(crate) async fn ordered(&self, key: &str) -> DeliveryId {
        let event = Event { ordering_key: Some(key.to_owned()), ..self.event("job.created") };
        self.keep(event, &[WEBHOOK]).await[0]
    }

    /// Claims whatever this node can get of a webhook.
    pub(crate) async fn claim(&self, webhook: WebhookId) -> Vec<ClaimedDelivery> {
        self.claim_by(self.node, webhook, 100).await.deliveries
    }

    pub(crate) async fn claim_by(&self, node: NodeId, webhook: WebhookId, limit: u32) -> Claimed {
        self.claim_with(Claim { webhook, node, limit, max_bytes: usize::MAX }).await
    }

    pub(crate) async fn claim_with(&self, wish: Claim) -> Claimed {
        match self.apply(Operation::Claim(wish)).await.unwrap() {
            Answer::Claimed(claimed) => claimed,
            other => panic!("a claim was answered with {other:?}"),
        }
    }

    /// Claims what is due of [`WEBHOOK`], which must be just this delivery.
    pub(crate) async fn claim_only(&self, delivery: DeliveryId) -> ClaimedDelivery {
        let claimed = self.claim(WEBHOOK).await;
        assert_eq!(claimed.iter().map(|claimed| claimed.lease.delivery).collect::<Vec<_>>(), [delivery]);
        claimed.into_iter().next().unwrap()
    }

    /// An attempt that got this status, with a request and a response.
    pub(crate) fn attempt(&self, status: u16) -> LoggedAttempt {
        LoggedAttempt {
            id: self.id(),
            at: self.now(),
            duration_ms: 12,
            outcome: if (200..300).contains(&status) { Outcome::Success } else { Outcome::Status },
            error: None,
            note: None,
            trigger: Trigger::Schedule,
            request: Some(LoggedRequest {
                method: http::Method::POST,
                url: Arc::from(URL),
                headers: [("Webhook-Id", &b"evt_1"[..])].into_iter().collect(),
                body: LoggedBody::AroundData {
                    head: Bytes::from_static(b"{\"data\":"),
                    tail: Bytes::from_static(b"}"),
                },
            }),
            response: Some(LoggedResponse {
                status,
                headers: [("Server", &b"test"[..])].into_iter().collect(),
                body: Bytes::from_static(b"thanks"),
                truncated: false,
            }),
        }
    }

    /// Ends a lease of a delivery of [`WEBHOOK`] after an attempt that got this status.
    pub(crate) async fn finish(&self, lease: Lease, status: u16, next: Next) -> Finished {
        self.end(lease, Some(self.attempt(status)), next).await
    }

    /// Ends a lease of a delivery of [`WEBHOOK`].
    pub(crate) async fn end(&self, lease: Lease, attempt: Option<LoggedAttempt>, next: Next) -> Finished {
        self.end_with(lease, attempt, next, None).await
    }

    /// The same, with an event that tells of it.
    pub(crate) async fn end_with(
        &self,
        lease: Lease,
        attempt: Option<LoggedAttempt>,
        next: Next,
        report: Option<Accept>,
    ) -> Finished {
        let held = self.read_one(held(lease.delivery)).await.unwrap();
        let finish = Finish { lease, webhook: WEBHOOK, held, attempt, next, report };
        match self.apply(Operation::Finish(Box::new(finish))).await.unwrap() {
            Answer::Finished(finished) => finished,
            other => panic!("an outcome was answered with {other:?}"),
        }
    }

    /// A delivery of [`WEBHOOK`] that ended so.
    pub(crate) async fn ended(&self, status: u16, next: Next) -> DeliveryId {
        let lease = self.leased().await;
        assert_eq!(self.finish(lease, status, next).await, RECORDED);
        lease.delivery
    }

    pub(crate) async fn count(&self, operation: Operation) -> u64 {
        match self.apply(operation).await.unwrap() {
            Answer::Count(count) => count,
            other => panic!("expected a count, not {other:?}"),
        }
    }

    pub(crate) async fn released(&self, operation: Operation) -> Vec<(WebhookId, u32)> {
        match self.apply(operation).await.unwrap() {
            Answer::Released(webhooks) => webhooks,
            other => panic!("expected webhooks, not {other:?}"),
        }
    }

    pub(crate) async fn change(&self, change: Change) -> StoreResult<i64> {
        match self.apply(Operation::Change { change, touches: None, report: None }).await? {
            Answer::Changed { catalogue_version } => Ok(catalogue_version),
            other => panic!("a change was answered with {other:?}"),
        }
    }

    pub(crate) async fn row(&self, delivery: DeliveryId) -> DeliveryRow {
        self.read_one(log::delivery(delivery)).await.unwrap_or_else(|| panic!("{delivery} is not there"))
    }

    pub(crate) async fn state(&self, delivery: DeliveryId) -> State {
        self.row(delivery).await.state
    }

    /// All attempts of a delivery, in their order.
    pub(crate) async fn attempts(&self, delivery: DeliveryId) -> Vec<Attempt> {
        let mut attempts = self.read(attempts(delivery, Piece::ALL)).await;
        attempts.reverse();
        attempts
    }

    /// The ids that a filter finds, newest first.
    pub(crate) async fn found(&self, filter: &DeliveryFilter) -> Vec<DeliveryId> {
        self.read(log::deliveries(filter, 250, 10_000)).await.into_iter().map(|row| row.id).collect()
    }
}

pub(crate) const RECORDED: Finished = Finished::Recorded { unblocked: false };
pub(crate) const UNBLOCKED: Finished = Finished::Recorded { unblocked: true };

pub(crate) fn key(scope: &str, key: &str, fingerprint: u8) -> IdempotencyKey {
    IdempotencyKey { scope: scope.to_owned(), key: key.to_owned(), fingerprint: [fingerprint; 16] }
}

/// What who holds a delivery knows of it.
fn held(delivery: DeliveryId) -> Query<Held> {
    Query {
        sql: "SELECT project_id, organization_id, ordering_key, attempts, one_shot FROM deliveries WHERE id = ?1"
            .into(),
        arguments: arguments![delivery.0],
        decode: |row| {
            Ok(Held {
                project: ProjectId(row.int(0)?),
                organization: OrganizationId(row.int(1)?),
                ordering_key: row.text_or_null(2)?,
                attempts: u32::try_from(row.int(3)?).unwrap(),
                single: Single::from_number(row.int(4)?),
            })
        },
    }
}
