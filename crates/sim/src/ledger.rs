//! What really happened, kept apart from the store and from the process, and judged as it happens.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use fanfare_engine::delivery::Trigger;
use fanfare_engine::id::{DeliveryId, EventId, NodeId, OrganizationId, WebhookId};
use fanfare_engine::time::Timestamp;
use fanfare_store::queue::{Accept, Accepted, Answer, Finished, Lease, Next, Operation};

/// A broken invariant.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) rule: &'static str,
    /// The text by which the trace mentions what it is about.
    pub(crate) about: Option<String>,
    pub(crate) message: String,
}

/// What a step of the simulation answers.
pub(crate) type Checked<T = ()> = Result<T, Fault>;

/// Makes a broken invariant.
pub(crate) fn fault<T>(rule: &'static str, about: impl fmt::Display, message: impl Into<String>) -> Checked<T> {
    Err(Fault { rule, about: Some(about.to_string()), message: message.into() })
}

/// What the host was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Promise {
    pub(crate) event: EventId,
    pub(crate) deliveries: usize,
}

/// An event that is on disk.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) organization: OrganizationId,
    pub(crate) data: Bytes,
}

/// What happened to one delivery.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) event: EventId,
    pub(crate) webhook: WebhookId,
    pub(crate) ordering_key: Option<String>,
    pub(crate) kept_at: i64,
    /// Who may finish it now, and since when.
    pub(crate) lease: Option<(Lease, i64)>,
    /// Not to be sent before this moment of the store's clock.
    pub(crate) not_before: Option<Timestamp>,
    /// When it first was with its receiver.
    pub(crate) first_arrival: Option<i64>,
    /// Requests that were with the receiver, and those of them that it accepted.
    pub(crate) arrivals: u32,
    pub(crate) accepted: u32,
    /// Times that its process died and may have been sending it.
    pub(crate) unknown: u32,
    /// The same since its last outcome.
    deaths: u32,
    /// Whether the process that holds it noted that it sends it.
    begun: bool,
    /// Times that somebody had it sent again.
    pub(crate) resent: u32,
    pub(crate) cancelled: bool,
    /// An accepting answer was recorded.
    pub(crate) delivered: bool,
    /// The receiver answered that it is gone.
    pub(crate) gone: bool,
}

impl Story {
    fn was_rescued(&mut self) {
        self.lease = None;
        self.not_before = None;
        // What was taken back before says so when it is sent again.
        if std::mem::take(&mut self.begun) || self.deaths == 0 {
            self.unknown += 1;
            self.deaths += 1;
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) promises: Vec<Promise>,
    pub(crate) events: BTreeMap<EventId, Kept>,
    pub(crate) stories: BTreeMap<DeliveryId, Story>,
    /// Deliveries of a webhook and an ordering key, in the order in which they came to be on disk.
    pub(crate) order: BTreeMap<(WebhookId, String), Vec<DeliveryId>>,
}

impl Ledger {
    /// Takes note of what the store did, also when the process did not live to learn of it. `clock` is the wall clock
    /// that the store saw.
    pub(crate) fn note(&mut self, at: i64, clock: Timestamp, operation: &Operation, answer: &Answer) -> Checked {
        match (operation, answer) {
            (Operation::Accept(accept), Answer::Accepted(Accepted::New { held_back, .. })) => {
                self.kept(at, accept, held_back);
                Ok(())
            }
            (Operation::Claim(_), Answer::Claimed(claimed)) => {
                claimed.deliveries.iter().try_for_each(|claimed| self.claimed(at, clock, claimed.lease))
            }
            (Operation::Finish(finish), Answer::Finished(Finished::Recorded { .. })) => {
                self.finished(finish.lease, finish.next, finish.attempt.is_some())
            }
            (Operation::Begin(lease), Answer::Count(1)) => {
                self.each(&[lease.delivery], |story| story.begun = true);
                Ok(())
            }
            (Operation::Release(leases), Answer::Count(_)) => {
                leases.iter().for_each(|lease| self.released(*lease));
                Ok(())
            }
            (Operation::Resend(wish), Answer::Released(freed)) if !freed.is_empty() => {
                self.each(&wish.deliveries, |story| {
                    // What is leased is left alone, so a rescue that is not through yet has taken it back.
                    if story.lease.is_some() {
                        story.was_rescued();
                    }
                    story.resent += 1;
                    story.deaths = 0;
                    story.not_before = None;
                });
                Ok(())
            }
            (Operation::Cancel { deliveries }, Answer::Released(freed)) if !freed.is_empty() => {
                self.each(deliveries, |story| story.cancelled = true);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn each(&mut self, deliveries: &[DeliveryId], mut change: impl FnMut(&mut Story)) {
        for id in deliveries {
            if let Some(story) = self.stories.get_mut(id) {
                change(story);
            }
        }
    }

    fn kept(&mut self, at: i64, accept: &Accept, held_back: &[DeliveryId]) {
        let event = &accept.event;
        self.events.insert(event.id, Kept { organization: event.organization, data: event.data.clone() });
        for delivery in &accept.deliveries {
            let lease = delivery.lease.filter(|_| !held_back.contains(&delivery.id));
            let story = Story {
                event: event.id,
                webhook: delivery.webhook,
                ordering_key: event.ordering_key.clone(),
                kept_at: at,
                lease: lease.map(|node| (Lease { delivery: delivery.id, node, claim: 1 }, at)),
                not_before: None,
                first_arrival: None,
                arrivals: 0,
                accepted: 0,
                unknown: 0,
                deaths: 0,
                begun: false,
                resent: 0,
                cancelled: false,
                delivered: false,
                gone: false,
            };
            self.stories.insert(delivery.id, story);
            if let Some(key) = &event.ordering_key {
                self.order.entry((delivery.webhook, key.clone())).or_default().push(delivery.id);
            }
        }
    }

    fn claimed(&mut self, at: i64, clock: Timestamp, lease: Lease) -> Checked {
        let id = lease.delivery;
        let Some(story) = self.stories.get_mut(&id) else {
            return fault("accepted events only", id, format!("{id} was claimed and never accepted"));
        };
        match story.lease {
            Some((held, _)) if held.node == lease.node => {
                return fault("one lease at a time", id, format!("{id} was leased to {held:?} and to {lease:?}"));
            }
            // A rescue that is not through yet has taken it back from a dead process.
            Some(_) => story.was_rescued(),
            None => {}
        }
        if let Some(due) = story.not_before.filter(|due| *due > clock) {
            return fault("nothing before it is due", id, format!("{id} was claimed at {clock} and due at {due}"));
        }
        // Its moment has come, even if the clock is set back before it is sent.
        story.not_before = None;
        story.lease = Some((lease, at));
        Ok(())
    }

    fn finished(&mut self, lease: Lease, next: Next, tried: bool) -> Checked {
        let id = lease.delivery;
        let Some(story) = self.stories.get_mut(&id) else { return Ok(()) };
        if story.lease.is_none_or(|(held, _)| held != lease) {
            return fault(
                "stale leases are fenced",
                id,
                format!("{id} was finished by {lease:?}, held: {:?}", story.lease),
            );
        }
        story.lease = None;
        story.begun = false;
        if tried {
            story.deaths = 0;
        }
        story.delivered |= next == Next::Delivered;
        Ok(())
    }

    fn released(&mut self, lease: Lease) {
        if let Some(story) = self.stories.get_mut(&lease.delivery)
            && story.lease.is_some_and(|(held, _)| held == lease)
        {
            story.lease = None;
            story.begun = false;
        }
    }

    /// Takes note that everything that a dead node held was taken back.
    pub(crate) fn rescued(&mut self, node: NodeId) {
        for story in self.stories.values_mut() {
            if story.lease.is_some_and(|(lease, _)| lease.node == node) {
                story.was_rescued();
            }
        }
    }

    /// Judges whether a delivery may be sent by the holder of `lease`.
    pub(crate) fn may_send(&self, lease: Lease, at_most_once: bool) -> Checked {
        let id = lease.delivery;
        let Some(story) = self.stories.get(&id) else {
            return fault("accepted events only", id, format!("{id} is sent and not on disk"));
        };
        if story.lease.is_none_or(|(held, _)| held != lease) {
            return fault(
                "only the leased is sent",
                id,
                format!("{id} is sent with {lease:?}, held: {:?}", story.lease),
            );
        }
        if at_most_once && story.deaths > 0 {
            let message = format!("{id} is sent though it may have been: {story:?}");
            return fault("nothing twice to who wants it at most once", id, message);
        }
        if story.deaths > 0 && !story.begun {
            let message = format!("{id} is sent and the store does not know: {story:?}");
            return fault("what was taken back is sent with a note", id, message);
        }
        let may_repeat = story.unknown + story.resent;
        if story.accepted > may_repeat {
            return fault("no duplicates", id, format!("{id} is sent again though its receiver accepted it"));
        }
        Ok(())
    }

    /// The deliveries that must be final before this one is sent.
    pub(crate) fn earlier_of_its_key(&self, id: DeliveryId, trigger: Trigger) -> Vec<DeliveryId> {
        let Some(story) = self.stories.get(&id).filter(|_| trigger == Trigger::Schedule) else { return Vec::new() };
        let Some(key) = &story.ordering_key else { return Vec::new() };
        let all = self.order.get(&(story.webhook, key.clone())).map_or(&[][..], Vec::as_slice);
        // One that somebody had sent again is live out of its turn.
        all.iter().copied().take_while(|other| *other != id).filter(|other| self.stories[other].resent == 0).collect()
    }

    /// Takes note that a request is with its receiver.
    pub(crate) fn arrived(&mut self, at: i64, id: DeliveryId, accepted: bool) {
        if let Some(story) = self.stories.get_mut(&id) {
            story.first_arrival.get_or_insert(at);
            story.arrivals += 1;
            story.accepted += u32::from(accepted);
        }
    }

    /// The delivery that a node has held for longest without finishing it, and since when.
    pub(crate) fn oldest_lease(&self, node: NodeId) -> Option<(DeliveryId, i64)> {
        let held = |story: &Story| story.lease.filter(|(lease, _)| lease.node == node).map(|(_, since)| since);
        self.stories.iter().filter_map(|(id, story)| Some((*id, held(story)?))).min_by_key(|(_, since)| *since)
    }
}
