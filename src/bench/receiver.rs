//! The receiver under load: a thread of its own that answers every request with 200 and records its mark.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;

use super::give_way::give_way;
use super::ledger::{Clock, Ledger};
use super::link::Link;
use super::mark::Mark;
use super::sample::Sample;
use super::wire::{self, Frame};
use crate::clock::{Clock as _, SystemClock};

/// The most connections it serves at once; more wait in the backlog.
const MAX_CONNECTIONS: usize = 8192;
/// Connections that wait to be accepted. The usual 128 would overflow when a server opens hundreds at once, and each that
/// is turned away costs it a second that it is not to blame for. The kernel may allow fewer (net.core.somaxconn).
const BACKLOG: u32 = 4096;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// What arrivals are recorded in.
pub struct Run {
    /// Which deliveries came, and when.
    pub ledger: Arc<Ledger>,
    /// Whether they were signed.
    pub sample: Sample,
}

type Current = Arc<Mutex<Option<Arc<Run>>>>;

/// The running receiver; dropping it ends its thread.
pub struct Receiver {
    address: SocketAddr,
    current: Current,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Starts to receive on `address` (port 0 takes a free one).
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn start(address: SocketAddr, clock: Clock) -> anyhow::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address).with_context(|| format!("cannot listen on {address}"))?;
        let address = socket.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let listening = {
            // The listener belongs to the runtime that it is made in.
            let _within = runtime.enter();
            socket.listen(BACKLOG)
        };
        let listener = match listening {
            Ok(listener) => listener,
            Err(error) => {
                // The caller may be in a runtime itself, where none may be waited for.
                runtime.shutdown_background();
                return Err(error).with_context(|| format!("cannot listen on {address}"));
            }
        };
        let current = Current::default();
        let (stop, stopped) = oneshot::channel();
        let serving = current.clone();
        let thread = std::thread::Builder::new().name("bench-receiver".into()).spawn(move || {
            give_way();
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    _ = accept(listener, clock, serving) => {}
                }
            });
        })?;
        Ok(Receiver { address, current, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on arrivals are recorded in `run`.
    pub fn record(&self, run: Arc<Run>) {
        *self.current.lock() = Some(run);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, clock: Clock, current: Current) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
        // A connection that could not be accepted is the sender's to open again.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let Ok(link) = Link::over(stream) else { continue };
        let current = current.clone();
        connections.spawn(async move {
            // How a connection ends is seen in the ledger, as what did not arrive.
            let _ = serve(link, clock, &current).await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(mut link: Link, clock: Clock, current: &Current) -> io::Result<()> {
    while let Some(frame) = link.receive().await? {
        let now = clock.micros();
        let run = current.lock().clone();
        let agreement = match run {
            Some(run) => {
                record(&run, frame, link.message(), now);
                None
            }
            None => agree(frame, link.message()),
        };
        match agreement {
            Some(answer) => link.send(answer.as_bytes()).await?,
            None => link.send(ANSWER).await?,
        }
        if frame.close {
            break;
        }
    }
    Ok(())
}

/// What a profile's handshake wants to hear, before anything is measured: that any sender may call, or a challenge again.
fn agree(frame: Frame, message: &[u8]) -> Option<String> {
    let (head, body) = message.split_at(frame.head);
    if head.starts_with(b"OPTIONS ") {
        return Some("HTTP/1.1 200 OK\r\nwebhook-allowed-origin: *\r\ncontent-length: 0\r\n\r\n".to_owned());
    }
    let body: Value = serde_json::from_slice(body).ok()?;
    let challenge = body.get("challenge")?.as_str()?;
    Some(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{challenge}", challenge.len()))
}

fn record(run: &Run, frame: Frame, message: &[u8], now: u64) {
    let (head, body) = message.split_at(frame.head);
    let (Some(mark), Some(webhook)) = (Mark::find(body), webhook(wire::path(head))) else {
        return run.ledger.stray();
    };
    run.ledger.arrive(mark, webhook, now);
    if mark.run == run.ledger.run && run.sample.wants(mark.event) {
        run.sample.check(webhook, head, body, SystemClock.now().seconds());
    }
}

/// The path of the `number`-th webhook, from 0.
pub fn webhook_path(number: usize) -> String {
    format!("/w/{number}")
}

fn webhook(path: &[u8]) -> Option<usize> {
    std::str::from_utf8(path.strip_prefix(b"/w/")?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::subject::Subject;
    use crate::bench::template::{Address, Template};

    #[tokio::test]
    async fn records_what_comes_and_answers() {
        let clock = Clock::start();
        let receiver = Receiver::start("127.0.0.1:0".parse().unwrap(), clock).unwrap();
        let ledger = Arc::new(Ledger::new(5, 2, 2));
        receiver.record(Arc::new(Run { ledger: ledger.clone(), sample: Sample::default() }));
        let mut link = Link::dial(receiver.address()).await.unwrap();
        let mut posts =
            [Template::new(&Address { host: "h", path: &webhook_path(1), key: "" }, 200, 0, 5, &Subject::plain()), {
                Template::new(&Address { host: "h", path: "/elsewhere", key: "" }, 200, 0, 5, &Subject::plain())
            }];
        for post in &mut posts {
            link.send(post.stamp(1, 0)).await.unwrap();
            link.receive().await.unwrap().unwrap();
            assert_eq!(wire::status(link.message()), 200);
        }
        let totals = ledger.totals();
        assert_eq!((totals.arrived, totals.duplicates, totals.strays), (1, 0, 1));
    }
}
