//! The forwarder's deliveries: a bounded queue, and connections that sign and send what is in it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{Error, Result, Write as _};
use std::net::SocketAddr;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::sync::Semaphore;

use super::super::link::Link;
use super::SECRET;
use crate::clock::{Clock as _, SystemClock};

/// The most deliveries that wait; beyond that, whoever takes events waits.
const MAX_QUEUED: usize = 64 * 1024;

struct Delivery {
    id: u64,
    webhook: usize,
    body: Bytes,
}

/// Deliveries on their way.
pub(super) struct Outbox {
    target: SocketAddr,
    fan_out: usize,
    next_id: Cell<u64>,
    queue: RefCell<VecDeque<Delivery>>,
    ready: Semaphore,
    room: Semaphore,
    key: Hmac<Sha256>,
}

impl Outbox {
    /// An empty outbox that makes `fan_out` deliveries of each event, all to `target`.
    pub(super) fn new(target: SocketAddr, fan_out: usize) -> Self {
        let secret = SECRET.strip_prefix("whsec_").and_then(|encoded| STANDARD.decode(encoded).ok());
        let key = Hmac::new_from_slice(&secret.unwrap_or_default()).expect("HMAC takes a key of any length");
        Outbox {
            target,
            fan_out,
            next_id: Cell::new(0),
            queue: RefCell::default(),
            ready: Semaphore::new(0),
            room: Semaphore::new(MAX_QUEUED),
            key,
        }
    }

    /// Queues an event's deliveries; waits while there is no room.
    pub(super) async fn put(&self, body: Bytes) {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        for webhook in 0..self.fan_out {
            if let Ok(place) = self.room.acquire().await {
                place.forget();
            }
            self.queue.borrow_mut().push_back(Delivery { id, webhook, body: body.clone() });
            self.ready.add_permits(1);
        }
    }

    /// Sends deliveries over one connection, for ever. A delivery that fails is tried once more, over a new one.
    pub(super) async fn send_all(self: Rc<Self>) {
        let mut link = None;
        let mut request = Vec::new();
        while let Some(delivery) = self.next().await {
            self.write(&delivery, &mut request);
            for _ in 0..2 {
                match self.send(&mut link, &request).await {
                    Ok(()) => break,
                    Err(_) => link = None,
                }
            }
        }
    }

    async fn next(&self) -> Option<Delivery> {
        self.ready.acquire().await.ok()?.forget();
        self.room.add_permits(1);
        self.queue.borrow_mut().pop_front()
    }

    async fn send(&self, link: &mut Option<Link>, request: &[u8]) -> Result<()> {
        let connected = match link {
            Some(link) => link,
            None => link.insert(Link::dial(self.target).await?),
        };
        connected.send(request).await?;
        let frame = connected.receive().await?.ok_or_else(|| Error::other("closed before the answer"))?;
        if frame.close {
            *link = None;
        }
        Ok(())
    }

    fn write(&self, delivery: &Delivery, request: &mut Vec<u8>) {
        let Delivery { id, webhook, body } = delivery;
        let timestamp = SystemClock.now().seconds();
        let id = format!("msg_{id:016x}");
        let mut mac = self.key.clone();
        mac.update(id.as_bytes());
        mac.update(format!(".{timestamp}.").as_bytes());
        mac.update(body);
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        request.clear();
        // Writing to memory does not fail.
        let _ = write!(
            request,
            "POST /w/{webhook} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             webhook-id: {id}\r\nwebhook-timestamp: {timestamp}\r\nwebhook-signature: v1,{signature}\r\n\r\n",
            self.target,
            body.len()
        );
        request.extend_from_slice(body);
    }
}
