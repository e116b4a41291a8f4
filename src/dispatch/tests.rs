//! A dispatcher over a catalogue that panics: no slot, claim or delivery is lost by it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_engine::access::User;
use fanfare_engine::attempt::Outcome;
use fanfare_engine::delivery::{Single, State, Trigger};
use fanfare_engine::egress::EgressPolicy;
use fanfare_engine::event::{EntityRef, Event};
use fanfare_engine::id::{DeliveryId, EventId, OrganizationId, ProjectId, WebhookId};
use fanfare_engine::profile::Profiles;
use fanfare_engine::scheduler::{Input, Job, LaneConfig, Limits};
use fanfare_engine::time::Timestamp;
use fanfare_store::queue::{Accept, Learn, NewDelivery, Operation};
use fanfare_store::{Store, StoreResult, attempts, log};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::dispatcher::{Dispatcher, Tools};
use crate::clock::ManualClock;
use crate::compiled::{Compiled, Hold, Source, StoredOrganization, StoredScope, StoredTypes, StoredWebhook};
use crate::delivery::dns::DnsResolver;
use crate::delivery::http::{ClientConfig, HttpClient, PoolLimits};
use crate::ids::Ids;
use crate::memory_budget::MemoryBudget;
use crate::trusted_clock::TrustedClock;

const ORG: OrganizationId = OrganizationId(7);
const WEBHOOK: WebhookId = WebhookId(70);
const NOW: Timestamp = Timestamp(1_790_000_000_000);
/// Long enough on any machine for what is under way to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A catalogue that panics when it is asked.
struct Faulty;

fn panics<T: Send + 'static>() -> BoxFuture<'static, StoreResult<T>> {
    async { panic!("a fault of the catalogue") }.boxed()
}

impl Source for Faulty {
    fn organization(&self, _: OrganizationId) -> BoxFuture<'_, StoreResult<Option<StoredOrganization>>> {
        panics()
    }

    fn webhooks(&self, _: OrganizationId, _: Vec<WebhookId>) -> BoxFuture<'_, StoreResult<Vec<StoredWebhook>>> {
        panics()
    }

    fn users(&self, _: OrganizationId, _: Vec<String>) -> BoxFuture<'_, StoreResult<Vec<User>>> {
        panics()
    }

    fn scopes(&self, _: OrganizationId, _: Vec<EntityRef>) -> BoxFuture<'_, StoreResult<Vec<StoredScope>>> {
        panics()
    }

    fn owner(&self, _: WebhookId) -> BoxFuture<'_, StoreResult<Option<OrganizationId>>> {
        panics()
    }

    fn by_external_id<'a>(&'a self, _: ProjectId, _: &'a str) -> BoxFuture<'a, StoreResult<Option<OrganizationId>>> {
        panics()
    }

    fn operator(&self, _: ProjectId) -> BoxFuture<'_, StoreResult<Option<OrganizationId>>> {
        panics()
    }

    fn event_types(&self, _: ProjectId) -> BoxFuture<'_, StoreResult<Option<StoredTypes>>> {
        panics()
    }

    fn holds(&self) -> BoxFuture<'_, StoreResult<Vec<Hold>>> {
        async { Ok(Vec::new()) }.boxed()
    }
}

struct Stage {
    _directory: tempfile::TempDir,
    dispatcher: Arc<Dispatcher>,
}

async fn stage() -> Stage {
    let directory = tempfile::tempdir().unwrap();
    let limits = fanfare_store::sqlite::Limits::default();
    let (store, joined) = Store::open(directory.path(), limits, Arc::new(|| NOW)).unwrap();
    let profiles = Arc::new(Profiles::load([]).unwrap());
    let clock = Arc::new(ManualClock::new(NOW));
    let http = HttpClient::new(ClientConfig {
        egress: EgressPolicy::default(),
        resolver: Arc::new(DnsResolver::from_system(1).unwrap()),
        extra_roots: None,
        proxy: None,
        pool: PoolLimits::default(),
    });
    let tools = Tools {
        store,
        node: joined.node,
        clock: Arc::clone(&clock) as _,
        trusted_clock: Arc::new(TrustedClock::start(Arc::clone(&clock) as _, None)),
        ids: Arc::new(Ids::new(joined.number, joined.newest_id, Arc::clone(&clock) as _)),
        compiled: Arc::new(Compiled::load(Arc::new(Faulty), profiles, 8).await.unwrap()),
        http: http.unwrap(),
        metrics: Arc::default(),
        supervisor: Arc::default(),
        memory: MemoryBudget::new(64 << 20),
        runtime: tokio::runtime::Handle::current(),
    };
    let dispatcher = Dispatcher::new(tools, Limits::default(), 1 << 30);
    Stage { _directory: directory, dispatcher }
}

impl Stage {
    /// Keeps an event with a delivery that this node has, and answers the job.
    async fn accepted(&self) -> Job {
        let tools = &self.dispatcher.tools;
        let (event, delivery) = (EventId(tools.ids.next()), DeliveryId(tools.ids.next()));
        let event = Arc::new(Event {
            id: event,
            project: ProjectId(1),
            organization: ORG,
            kind: "job.created".into(),
            external_id: None,
            data: Bytes::from_static(b"{}"),
            entity: None,
            scope: Vec::new(),
            occurred_at: NOW,
            ordering_key: None,
            hops: 0,
        });
        let lease = Some(tools.node);
        let new = NewDelivery { id: delivery, webhook: WEBHOOK, lease, due: NOW, trigger: Trigger::Schedule };
        let accept = Accept {
            event: Arc::clone(&event),
            fingerprint: [0; 16],
            idempotency: None,
            deliveries: vec![new],
            learn: Learn::Nothing,
        };
        tools.store.apply(Operation::Accept(accept)).await.unwrap();
        let config = LaneConfig { organization: ORG, ..LaneConfig::UNKNOWN };
        assert!(self.dispatcher.admit(WEBHOOK, config, 1));
        Job {
            delivery,
            webhook: WEBHOOK,
            claim: 1,
            event,
            attempts: 0,
            failures: 0,
            trigger: Trigger::Schedule,
            single: Single::No,
            may_have_been_sent: false,
            weight: 1,
        }
    }
}

#[tokio::test]
async fn a_delivery_on_which_we_panic_keeps_no_slot_and_is_tried_again() {
    let stage = stage().await;
    let job = stage.accepted().await;
    let delivery = job.delivery;
    stage.dispatcher.tell(Input::Accepted(job));
    assert!(stage.dispatcher.drain(PATIENCE).await, "a slot is lost");
    let store = &stage.dispatcher.tools.store;
    let row = store.read_one(log::delivery(delivery)).await.unwrap().unwrap();
    assert_eq!((row.state, row.next_attempt_at), (State::Pending, Some(NOW.plus(Duration::from_secs(60)))));
    let attempts = store.read(attempts::attempts(delivery, attempts::Piece::ALL)).await.unwrap();
    let [attempt] = &attempts[..] else { panic!("{attempts:?}") };
    assert_eq!((attempt.outcome, attempt.error.as_deref()), (Outcome::Render, Some(super::record::OWN_FAULT)));
}

#[tokio::test]
async fn what_may_have_been_sent_stays_so_where_we_panic_on_it() {
    let stage = stage().await;
    let job = Job { may_have_been_sent: true, ..stage.accepted().await };
    let delivery = job.delivery;
    stage.dispatcher.tell(Input::Accepted(job));
    assert!(stage.dispatcher.drain(PATIENCE).await, "a slot is lost");
    let row = stage.dispatcher.tools.store.read_one(log::delivery(delivery)).await.unwrap().unwrap();
    assert_eq!((row.state, row.attempts), (State::Pending, 0));
}

#[tokio::test]
async fn a_claim_that_panics_is_over() {
    let stage = stage().await;
    let config = LaneConfig { organization: ORG, ..LaneConfig::UNKNOWN };
    stage.dispatcher.tell(Input::Stored { webhook: WEBHOOK, config: Some(config), due: NOW });
    assert!(stage.dispatcher.figures().bytes > 0, "it keeps memory free for what it may bring");
    assert!(stage.dispatcher.drain(PATIENCE).await, "a claim is lost");
    assert_eq!(stage.dispatcher.figures().bytes, 0);
}
