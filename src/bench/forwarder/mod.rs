//! A bare forwarder: takes an event, makes it durable, acknowledges it, signs it, sends it on. Nothing else.
//!
//! It matches nothing, retries nothing and logs no attempt; it is the least that any sender must do, and so the limit
//! that a real server is compared with on the same machine.

mod journal;
mod outbox;

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::LocalSet;

use super::link::Link;
use journal::Journal;
use outbox::Outbox;

/// The most connections it takes.
const MAX_CONNECTIONS: usize = 8192;
const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

/// The secret that every delivery is signed with; it guards nothing.
pub const SECRET: &str = "whsec_YmFyZS1mb3J3YXJkZXItc2VjcmV0LTAwMDE=";

/// What the forwarder does.
pub struct Settings {
    /// Where to send deliveries.
    pub target: SocketAddr,
    /// How many deliveries to make of each event.
    pub fan_out: usize,
    /// Over how many connections to send them.
    pub connections: usize,
    /// The file that events are made durable in.
    pub log: PathBuf,
}

/// Forwards until standard input ends. The first line on standard output is the address it listens on.
///
/// # Errors
/// The log cannot be written or the loopback not listened on.
pub fn run(settings: Settings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let mut stdout = std::io::stdout();
        writeln!(stdout, "{}", listener.local_addr()?)?;
        stdout.flush()?;
        let (ended, end) = tokio::sync::oneshot::channel();
        // Nobody joins it: it reads until the input ends, and with the input ends the process.
        std::thread::Builder::new().name("input".into()).spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            let _ = ended.send(());
        })?;
        tokio::select! {
            result = forward(listener, settings) => result,
            _ = end => Ok(()),
        }
    })
}

/// Forwards what comes to `listener`, within a [`LocalSet`].
async fn forward(listener: TcpListener, settings: Settings) -> anyhow::Result<()> {
    let journal =
        Journal::open(&settings.log).with_context(|| format!("cannot write the log {}", settings.log.display()))?;
    let outbox = Rc::new(Outbox::new(settings.target, settings.fan_out));
    for _ in 0..settings.connections {
        tokio::task::spawn_local(outbox.clone().send_all());
    }
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = places.clone().acquire_owned().await?;
        let (stream, _) = listener.accept().await?;
        let (journal, outbox) = (journal.clone(), outbox.clone());
        tokio::task::spawn_local(async move {
            // The sender sees a broken connection itself.
            let _ = take(stream, &journal, &outbox).await;
            drop(place);
        });
    }
}

async fn take(stream: TcpStream, journal: &Journal, outbox: &Outbox) -> std::io::Result<()> {
    let mut link = Link::over(stream)?;
    while let Some(frame) = link.receive().await? {
        let body = Bytes::copy_from_slice(&link.message()[frame.head..]);
        journal.append(body.clone()).await?;
        link.send(ACCEPTED).await?;
        outbox.put(body).await;
        if frame.close {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::ledger::{Clock, Ledger};
    use crate::bench::receiver::{Receiver, Run};
    use crate::bench::sample::Sample;
    use crate::bench::template::{Address, Template};
    use crate::bench::wire;

    #[test]
    fn forwards_what_it_acknowledged_signed_and_durable() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let receiver = Receiver::start("127.0.0.1:0".parse().unwrap(), Clock::start()).unwrap();
        let ledger = Arc::new(Ledger::new(1, 10, 3));
        let sample = Sample::new(&vec![SECRET.to_owned(); 3]).unwrap();
        let run = Arc::new(Run { ledger: ledger.clone(), sample });
        receiver.record(run.clone());
        let settings = Settings { target: receiver.address(), fan_out: 3, connections: 2, log: log.clone() };

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::task::spawn_local(forward(listener, settings));
            let mut link = Link::dial(address).await.unwrap();
            let mut template = Template::new(&Address { host: "h", path: "/", key: "k" }, 200, 0, 1);
            for event in 0..10 {
                link.send(template.stamp(event, 0)).await.unwrap();
                link.receive().await.unwrap().unwrap();
                assert_eq!(wire::status(link.message()), 202);
                ledger.ack(event, 0, 0);
            }
            let logged = std::fs::read_to_string(&log).unwrap();
            assert_eq!(logged.matches("fanfare-mark:").count(), 10, "acknowledged before it was written");
            ledger.expect_all();
            while ledger.missing() > 0 {
                ledger.completed().await;
            }
        });
        drop(receiver);
        assert_eq!(ledger.totals().duplicates, 0);
        assert_eq!(run.sample.counts(), (3, 0));
    }
}
