//! The host posts events; the process takes them in as the server's intake does.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_engine::delivery::{Single, Trigger};
use fanfare_engine::event::Event;
use fanfare_engine::id::{DeliveryId, EventId, OrganizationId, ProjectId, WebhookId};
use fanfare_engine::scheduler::{Input, Job, LaneConfig};
use fanfare_store::StoreResult;
use fanfare_store::queue::{Accept, Accepted, Answer, IdempotencyKey, Learn, NewDelivery, Operation};

use super::script::{CATCHES_UP_FOR, RETURNS_AT};
use super::{Happening, World, note};
use crate::disk::Then;
use crate::ledger::{Checked, Promise, fault};
use crate::plan::Sabotage;

/// What a delivery weighs beside its share of the event, in bytes.
const DELIVERY_WEIGHT: usize = 512;

/// Something that the host posts until it is answered.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) organization: OrganizationId,
    pub(super) kind: u32,
    pub(super) external_id: Option<String>,
    pub(super) idempotency: Option<String>,
    pub(super) ordering_key: Option<String>,
    pub(super) data: Bytes,
    /// When it was posted first.
    pub(super) posted: Option<i64>,
    pub(super) answered: Option<Promise>,
}

impl Post {
    fn event(&self, clock: fanfare_engine::time::Timestamp) -> Event {
        Event {
            id: EventId(0),
            project: ProjectId(1),
            organization: self.organization,
            kind: Arc::from(format!("kind-{}", self.kind)),
            external_id: self.external_id.clone(),
            data: self.data.clone(),
            entity: None,
            scope: Vec::new(),
            occurred_at: clock,
            ordering_key: self.ordering_key.clone(),
            hops: 0,
        }
    }

    fn idempotency(&self) -> Option<IdempotencyKey> {
        let scope = self.organization.to_string();
        self.idempotency.clone().map(|key| IdempotencyKey { scope, key, fingerprint: [7; 16] })
    }
}

impl World {
    pub(super) fn post(&mut self, number: usize) -> Checked {
        let clock = self.clock();
        self.posts[number].posted.get_or_insert(self.now);
        let post = self.posts[number].clone();
        let mut event = post.event(clock);
        let webhooks: Vec<(WebhookId, LaneConfig)> =
            self.catalogue.matching(post.organization, post.kind).iter().map(|w| (w.id, self.lane(w))).collect();
        let ignores_order = self.is_sabotaged(Sabotage::IgnoreOrder);
        let Some(process) = self.process.as_mut().filter(|process| !process.drained) else {
            return self.post_again(number);
        };
        event.id = EventId(process.ids.next(clock));
        let weight = event.weight() + DELIVERY_WEIGHT;
        let deliveries: Vec<NewDelivery> = webhooks
            .into_iter()
            .map(|(webhook, lane)| {
                let ordered = event.ordering_key.is_some() && !ignores_order;
                let in_memory = !ordered && process.scheduler.admit(clock, webhook, lane, weight);
                let lease = in_memory.then_some(process.node);
                let id = DeliveryId(process.ids.next(clock));
                if in_memory {
                    process.holds(id, weight);
                }
                NewDelivery { id, webhook, lease, due: clock, trigger: Trigger::Schedule }
            })
            .collect();
        note!(self, "host posts #{number} as {} for {} webhooks", event.id, deliveries.len());
        let event = Arc::new(event);
        let fingerprint = [1; 16];
        let accept = Accept {
            event: Arc::clone(&event),
            fingerprint,
            idempotency: post.idempotency(),
            deliveries: deliveries.clone(),
            learn: Learn::Nothing,
        };
        if self.is_sabotaged(Sabotage::AnswerBeforeCommit) && post.external_id.is_none() && post.idempotency.is_none() {
            self.answer(number, Promise { event: event.id, deliveries: deliveries.len() })?;
        }
        self.submit(Operation::Accept(accept), Then::Accepted { post: number, event, deliveries, weight })
    }

    fn post_again(&mut self, number: usize) -> Checked {
        if self.posts[number].answered.is_none() {
            let after = self.chance.between(100, 2_000);
            self.after(after, Happening::Post(number));
        }
        Ok(())
    }

    /// The store has answered: the scheduler learns what is its own, the host that its event is kept.
    pub(super) fn accepted(
        &mut self,
        post: usize,
        event: &Arc<Event>,
        deliveries: Vec<NewDelivery>,
        weight: usize,
        answer: StoreResult<Answer>,
    ) -> Checked {
        let accepted = match answer {
            Ok(Answer::Accepted(accepted)) => Some(accepted),
            Ok(other) => return fault("answers fit", event.id, format!("accepting was answered with {other:?}")),
            Err(_) => None,
        };
        let kept = matches!(accepted, Some(Accepted::New { .. }));
        let held_back = match &accepted {
            Some(Accepted::New { held_back, .. }) => held_back.clone(),
            _ => Vec::new(),
        };
        let promise = match accepted {
            Some(Accepted::New { .. }) => Some(Promise { event: event.id, deliveries: deliveries.len() }),
            Some(Accepted::Repeated { event, deliveries }) => Some(Promise { event, deliveries: deliveries as usize }),
            Some(other) => {
                return fault("repeated posts are known", event.id, format!("#{post} was answered {other:?}"));
            }
            None => None,
        };
        for delivery in deliveries {
            let webhook = delivery.webhook;
            match (kept, delivery.lease) {
                (true, Some(_)) => self.tell(Input::Accepted(job(event, &delivery, weight)))?,
                (false, Some(_)) => {
                    if let Some(process) = &mut self.process {
                        process.gives_up(delivery.id);
                    }
                    self.tell(Input::Refused { webhook, weight })?;
                }
                (true, None) if held_back.contains(&delivery.id) => {}
                (true, None) => self.tell(Input::Stored { webhook, config: None, due: delivery.due })?,
                (false, None) => {}
            }
        }
        match promise {
            Some(promise) => self.answer(post, promise),
            None => self.post_again(post),
        }
    }

    /// The host is answered. The same post gets the same answer whenever it is made.
    fn answer(&mut self, number: usize, promise: Promise) -> Checked {
        note!(self, "host is answered #{number}: {} with {} deliveries", promise.event, promise.deliveries);
        let post = &mut self.posts[number];
        let catches_up = RETURNS_AT..RETURNS_AT + CATCHES_UP_FOR;
        self.acks.extend(post.posted.filter(|posted| catches_up.contains(posted)).map(|posted| self.now - posted));
        let known = post.external_id.is_some() || post.idempotency.is_some();
        match post.answered.replace(promise) {
            Some(before) if known && before != promise => {
                let message = format!("#{number} was answered {before:?} and then {promise:?}");
                fault("repeated posts are known", promise.event, message)
            }
            _ => {
                self.ledger.promises.push(promise);
                Ok(())
            }
        }
    }
}

fn job(event: &Arc<Event>, delivery: &NewDelivery, weight: usize) -> Job {
    Job {
        delivery: delivery.id,
        webhook: delivery.webhook,
        claim: 1,
        event: Arc::clone(event),
        attempts: 0,
        failures: 0,
        trigger: delivery.trigger,
        single: Single::No,
        may_have_been_sent: false,
        weight,
    }
}
