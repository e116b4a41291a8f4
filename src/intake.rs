//! Takes events in: finds the webhooks they are for, writes everything, and answers once it is on disk.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_engine::delivery::Trigger;
use fanfare_engine::event::{Entity, EntityRef, Event};
use fanfare_engine::id::{DeliveryId, EventId, OrganizationId, ProjectId, WebhookId};
use fanfare_engine::time::Timestamp;
use fanfare_flow::intake::{self, Placed};
use fanfare_store::queue::{Accept, Accepted, Answer, IdempotencyKey, Learn, NewDelivery, Operation};
use fanfare_store::{StoreError, StoreResult};
use tokio::sync::oneshot;

use crate::compiled::{CompiledOrganization, CompiledWebhook, Fact};
use crate::dispatch::dispatcher::Dispatcher;
use crate::once;
use crate::test_event::TestEvent;

/// An event as the host posted it, checked.
#[derive(Debug)]
pub struct NewEvent {
    pub kind: Arc<str>,
    pub external_id: Option<String>,
    /// JSON text.
    pub data: Bytes,
    pub entity: Option<Entity>,
    pub scope: Vec<EntityRef>,
    pub occurred_at: Option<Timestamp>,
    pub ordering_key: Option<String>,
    /// See [`Event::hops`].
    pub hops: u8,
    pub idempotency: Option<IdempotencyKey>,
}

/// An event that is on its way to the disk.
pub struct Pending {
    event: EventId,
    deliveries: usize,
    answer: oneshot::Receiver<StoreResult<Accepted>>,
}

/// What the host is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// On disk: now, or `repeated` from before.
    Kept { event: EventId, deliveries: usize, repeated: bool },
    /// Its id belongs to an event with other content.
    OtherContent { event: EventId },
    /// Its idempotency key was used for another request.
    OtherRequest,
}

impl Pending {
    /// Waits until the event is on disk.
    pub async fn wait(self) -> StoreResult<Receipt> {
        let closed = || StoreError::Unavailable("it is closing".to_owned());
        Ok(match self.answer.await.map_err(|_| closed())?? {
            Accepted::New { .. } => Receipt::Kept { event: self.event, deliveries: self.deliveries, repeated: false },
            Accepted::Repeated { event, deliveries } => {
                Receipt::Kept { event, deliveries: deliveries as usize, repeated: true }
            }
            Accepted::OtherContent { event } => Receipt::OtherContent { event },
            Accepted::OtherRequest => Receipt::OtherRequest,
        })
    }
}

/// Hands an event and its deliveries to the store. What happens after the commit happens whether or not the caller
/// waits for it.
pub fn accept(dispatcher: &Arc<Dispatcher>, organization: &CompiledOrganization, new: NewEvent) -> Pending {
    let now = dispatcher.tools.clock.now();
    let fingerprint = if new.external_id.is_some() { fingerprint(&new) } else { [0; 16] };
    let idempotency = new.idempotency;
    let mut event = Event {
        id: EventId(0),
        project: organization.project,
        organization: organization.id,
        kind: new.kind,
        external_id: new.external_id,
        data: new.data,
        entity: new.entity,
        scope: new.scope,
        occurred_at: new.occurred_at.unwrap_or(now),
        ordering_key: new.ordering_key,
        hops: new.hops,
    };
    let learn = organization.learns(&event);
    let webhooks: Vec<&Arc<CompiledWebhook>> = organization.matches(&event).collect();
    let ids = dispatcher.tools.ids.run(1 + webhooks.len());
    event.id = EventId(ids[0]);
    let told = Told { event, fingerprint, idempotency, learn };
    write(dispatcher, told, &webhooks, &ids[1..], Trigger::Schedule)
}

/// Makes a single delivery of a test event to one webhook.
pub fn accept_test(
    dispatcher: &Arc<Dispatcher>,
    webhook: &Arc<CompiledWebhook>,
    test: TestEvent,
) -> (DeliveryId, Pending) {
    let now = dispatcher.tools.clock.now();
    let ids = dispatcher.tools.ids.run(2);
    let event = test.event(EventId(ids[0]), webhook.webhook.project, webhook.webhook.organization, now);
    let delivery = DeliveryId(ids[1]);
    let told = Told { event, fingerprint: [0; 16], idempotency: None, learn: Learn::Nothing };
    let pending = write(dispatcher, told, &[webhook], &ids[1..], Trigger::Test);
    (delivery, pending)
}

/// A test event for one webhook, to be kept together with what asks for it; it waits in the store then. `trigger` says whether
/// it is retried.
pub fn test_to_keep(
    dispatcher: &Arc<Dispatcher>,
    (project, organization, webhook): (ProjectId, OrganizationId, WebhookId),
    test: TestEvent,
    trigger: Trigger,
) -> Accept {
    let now = dispatcher.tools.clock.now();
    let ids = dispatcher.tools.ids.run(2);
    let event = test.event(EventId(ids[0]), project, organization, now);
    let delivery = NewDelivery { id: DeliveryId(ids[1]), webhook, lease: None, due: now, trigger };
    let (event, deliveries) = (Arc::new(event), vec![delivery]);
    Accept { event, fingerprint: [0; 16], idempotency: None, deliveries, learn: Learn::Nothing }
}

/// An event with what is to be kept along.
struct Told {
    event: Event,
    fingerprint: [u8; 16],
    idempotency: Option<IdempotencyKey>,
    learn: Learn,
}

fn write(
    dispatcher: &Arc<Dispatcher>,
    told: Told,
    webhooks: &[&Arc<CompiledWebhook>],
    ids: &[i64],
    trigger: Trigger,
) -> Pending {
    let Told { event, fingerprint, idempotency, learn } = told;
    let now = dispatcher.tools.clock.now();
    let targets = webhooks.iter().zip(ids).map(|(webhook, id)| (DeliveryId(*id), webhook.webhook.id, webhook.lane()));
    let admit = |_, webhook, lane, weight| dispatcher.admit(webhook, lane, weight);
    let placed = intake::place(event, targets, dispatcher.tools.node, trigger, now, admit);
    let (sender, answer) = oneshot::channel();
    let pending = Pending { event: placed.event.id, deliveries: placed.deliveries.len(), answer };
    let teller = Arc::clone(dispatcher);
    let made = if trigger == Trigger::Test { ids.first().map(|id| DeliveryId(*id).to_string()) } else { None };
    let (event, deliveries) = (Arc::clone(&placed.event), placed.deliveries.clone());
    let accept = Operation::Accept(Accept { event, fingerprint, idempotency, deliveries, learn });
    // Events take their own key; a test is a request like any other.
    let accept = match made {
        Some(made) => once::keyed(accept, &made),
        None => accept,
    };
    dispatcher.tools.store.submit(accept, move |result| {
        let result = result.and_then(|answer| match answer {
            Answer::Accepted(accepted) => Ok(accepted),
            other => Err(StoreError::Damaged(format!("an event was answered with {other:?}"))),
        });
        tell(&teller, placed, &result);
        // The host may have gone; what is on disk is on disk.
        let _ = sender.send(result);
    });
    pending
}

/// Updates metrics, caches and scheduler with the store's answer.
fn tell(dispatcher: &Arc<Dispatcher>, placed: Placed, result: &StoreResult<Accepted>) {
    let metrics = &dispatcher.tools.metrics;
    match result {
        Ok(Accepted::New { .. }) => metrics.accepted(placed.deliveries.len()),
        Ok(_) => metrics.repeated(),
        Err(_) => metrics.refused(),
    }
    if let (Ok(Accepted::New { learnt: true, .. }), Some(entity)) = (result, &placed.event.entity) {
        // Before the scheduler is told, so that the right to these deliveries is judged by the news.
        let entity = EntityRef { kind: entity.kind.clone(), id: entity.id.clone() }.canonical();
        dispatcher.tools.compiled.fact_changed(placed.event.organization, &Fact::Entity(entity));
    }
    dispatcher.tell_all(placed.inputs(result));
}

/// Of everything the host said of an event. Each part is preceded by its length, so that no two events share one.
fn fingerprint(event: &NewEvent) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    let mut add = |part: Option<&[u8]>| {
        let length = part.map_or(u64::MAX, |part| part.len() as u64);
        hasher.update(&length.to_le_bytes());
        hasher.update(part.unwrap_or_default());
    };
    add(Some(event.kind.as_bytes()));
    add(Some(&event.data));
    let entity = event.entity.as_ref();
    add(entity.map(|entity| entity.kind.as_bytes()));
    add(entity.map(|entity| entity.id.as_bytes()));
    add(entity.and_then(|entity| entity.url.as_deref()).map(str::as_bytes));
    add(entity.and_then(|entity| entity.data.as_deref()));
    for EntityRef { kind, id } in &event.scope {
        add(Some(kind.as_bytes()));
        add(Some(id.as_bytes()));
    }
    add(event.occurred_at.map(|at| at.millis().to_le_bytes()).as_ref().map(<[u8; 8]>::as_slice));
    add(event.ordering_key.as_deref().map(str::as_bytes));
    let mut short = [0; 16];
    short.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    short
}
