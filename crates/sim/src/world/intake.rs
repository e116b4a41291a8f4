//! The host posts events; the process takes them in as the server's intake does.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_engine::delivery::Trigger;
use fanfare_engine::event::Event;
use fanfare_engine::id::{DeliveryId, EventId, OrganizationId, ProjectId, WebhookId};
use fanfare_engine::scheduler::LaneConfig;
use fanfare_flow::intake::{self, Placed};
use fanfare_store::StoreResult;
use fanfare_store::queue::{Accept, Accepted, Answer, IdempotencyKey, Learn, Operation};

use super::script::{CATCHES_UP_FOR, RETURNS_AT};
use super::{Happening, World, note};
use crate::disk::Then;
use crate::ledger::{Checked, Promise, fault};
use crate::plan::Sabotage;

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
        let kept = Arc::new(event.clone());
        if ignores_order {
            event.ordering_key = None;
        }
        let targets: Vec<_> =
            webhooks.into_iter().map(|(webhook, lane)| (DeliveryId(process.ids.next(clock)), webhook, lane)).collect();
        let node = process.node;
        let placed =
            intake::place(event, targets.into_iter(), node, Trigger::Schedule, clock, |id, webhook, lane, weight| {
                let has_room = process.scheduler.admit(clock, webhook, lane, weight);
                if has_room {
                    process.holds(id, weight);
                }
                has_room
            });
        note!(self, "host posts #{number} as {} for {} webhooks", kept.id, placed.deliveries.len());
        let fingerprint = [1; 16];
        let accept = Accept {
            event: kept,
            fingerprint,
            idempotency: post.idempotency(),
            deliveries: placed.deliveries.clone(),
            learn: Learn::Nothing,
        };
        if self.is_sabotaged(Sabotage::AnswerBeforeCommit) && post.external_id.is_none() && post.idempotency.is_none() {
            self.answer(number, Promise { event: placed.event.id, deliveries: placed.deliveries.len() })?;
        }
        self.submit(Operation::Accept(accept), Then::Accepted { post: number, placed })
    }

    fn post_again(&mut self, number: usize) -> Checked {
        if self.posts[number].answered.is_none() {
            let after = self.chance.between(100, 2_000);
            self.after(after, Happening::Post(number));
        }
        Ok(())
    }

    /// The store has answered: the scheduler learns what is its own, the host that its event is kept.
    pub(super) fn accepted(&mut self, post: usize, placed: Placed, answer: StoreResult<Answer>) -> Checked {
        let (event, count) = (placed.event.id, placed.deliveries.len());
        let accepted = match answer {
            Ok(Answer::Accepted(accepted)) => Ok(accepted),
            Ok(other) => return fault("answers fit", event, format!("accepting was answered with {other:?}")),
            Err(error) => Err(error),
        };
        let promise = match &accepted {
            Ok(Accepted::New { .. }) => Some(Promise { event, deliveries: count }),
            Ok(Accepted::Repeated { event, deliveries }) => {
                Some(Promise { event: *event, deliveries: *deliveries as usize })
            }
            Ok(other) => {
                return fault("repeated posts are known", event, format!("#{post} was answered {other:?}"));
            }
            Err(_) => None,
        };
        if !matches!(accepted, Ok(Accepted::New { .. }))
            && let Some(process) = &mut self.process
        {
            placed.deliveries.iter().for_each(|delivery| process.is_refused(delivery.id));
        }
        for input in placed.inputs(&accepted).collect::<Vec<_>>() {
            self.tell(input)?;
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
