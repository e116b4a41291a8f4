//! The forwarder's deliveries: one task for each connection signs and sends what is in its queue.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use sha2::Sha256;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::super::receiver::webhook_path;
use super::SECRET;
use crate::clock::{Clock as _, SystemClock};

/// The most deliveries that wait for one connection; beyond that, whoever takes events waits.
const MAX_QUEUED: usize = 1024;
/// How much of an answer is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

struct Delivery {
    id: u64,
    webhook: usize,
    body: Bytes,
}

/// Deliveries on their way.
pub(super) struct Outbox {
    fan_out: usize,
    next_id: AtomicU64,
    queues: Vec<mpsc::Sender<Delivery>>,
}

impl Outbox {
    /// Starts as many `connections` in `tasks`, over which each event is sent `fan_out` times to `target`.
    pub(super) fn start(target: SocketAddr, fan_out: usize, connections: usize, tasks: &mut JoinSet<()>) -> Self {
        let secret = SECRET.strip_prefix("whsec_").and_then(|encoded| STANDARD.decode(encoded).ok());
        let key = Hmac::new_from_slice(&secret.unwrap_or_default()).expect("HMAC takes a key of any length");
        let sender = Arc::new(Sender { target, host: target.to_string(), key });
        let queues = (0..connections)
            .map(|_| {
                let (queue, deliveries) = mpsc::channel(MAX_QUEUED);
                tasks.spawn(sender.clone().send_all(deliveries));
                queue
            })
            .collect();
        Outbox { fan_out, next_id: AtomicU64::new(0), queues }
    }

    /// Queues an event's deliveries over the connections in turn; waits while there is no room.
    pub(super) async fn put(&self, body: &Bytes) {
        for webhook in 0..self.fan_out {
            let id = self.next_id.fetch_add(1, Relaxed);
            let queue = &self.queues[id as usize % self.queues.len()];
            // Its task ends only with the forwarder.
            let _ = queue.send(Delivery { id, webhook, body: body.clone() }).await;
        }
    }
}

struct Sender {
    target: SocketAddr,
    host: String,
    key: Hmac<Sha256>,
}

/// An open connection and the task that drives it.
struct Connection {
    requests: SendRequest<Full<Bytes>>,
    _driver: JoinSet<()>,
}

impl Sender {
    /// Sends deliveries over one connection. A delivery that fails is tried once more, over a new one.
    async fn send_all(self: Arc<Self>, mut deliveries: mpsc::Receiver<Delivery>) {
        let mut connection = None;
        while let Some(delivery) = deliveries.recv().await {
            for _ in 0..2 {
                match self.send(&mut connection, &delivery).await {
                    Ok(()) => break,
                    Err(_) => connection = None,
                }
            }
        }
    }

    async fn send(&self, connection: &mut Option<Connection>, delivery: &Delivery) -> Result<()> {
        let open = match connection {
            Some(open) => open,
            None => connection.insert(self.connect().await?),
        };
        open.requests.ready().await?;
        let answer = open.requests.send_request(self.request(delivery)?).await?;
        Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(|error| anyhow::anyhow!(error))?;
        Ok(())
    }

    async fn connect(&self) -> Result<Connection> {
        let stream = TcpStream::connect(self.target).await?;
        stream.set_nodelay(true)?;
        let (requests, connection) = handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // How it ended is seen by the request that it was to carry.
            let _ = connection.await;
        });
        Ok(Connection { requests, _driver: driver })
    }

    fn request(&self, delivery: &Delivery) -> Result<Request<Full<Bytes>>> {
        let Delivery { id, webhook, body } = delivery;
        let timestamp = SystemClock.now().seconds();
        let id = format!("msg_{id:016x}");
        let mut mac = self.key.clone();
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let request = Request::post(webhook_path(*webhook))
            .header(header::HOST, &self.host)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", format!("v1,{signature}"));
        Ok(request.body(Full::new(body.clone()))?)
    }
}
