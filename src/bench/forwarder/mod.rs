//! A bare forwarder, as a person would write one in an afternoon from the libraries that Fanfare is made of.
//!
//! It takes an event with hyper's server, has it in an append-only log on the disk (one `fdatasync` for all that wait),
//! acknowledges it, signs it by Standard Webhooks, and sends it on with hyper's client over connections that are kept.
//! It knows no webhook, matches nothing, forgets what fails, logs no attempt and answers no question. So it is the
//! limit of this choice of libraries: the rate and the CPU time of a delivery in which Fanfare itself would cost
//! nothing. It is not the limit of the machine; the bench's column `direct` is nearer to that.

mod journal;
mod outbox;

use std::convert::Infallible;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use journal::Journal;
use outbox::Outbox;

/// The most connections it takes.
const MAX_CONNECTIONS: usize = 8192;
/// The largest event it takes, in bytes.
const MAX_EVENT: usize = 1024 * 1024;

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
pub async fn run(settings: Settings) -> anyhow::Result<()> {
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
}

/// Forwards what comes to `listener`, until it is dropped.
async fn forward(listener: TcpListener, settings: Settings) -> anyhow::Result<()> {
    let journal =
        Journal::open(&settings.log).with_context(|| format!("cannot write the log {}", settings.log.display()))?;
    let Settings { target, fan_out, connections, .. } = settings;
    let mut tasks = JoinSet::new();
    let outbox = Arc::new(Outbox::start(target, fan_out, connections, &mut tasks));
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = places.clone().acquire_owned().await?;
        let (stream, _) = listener.accept().await?;
        tasks.spawn(serve(stream, place, journal.clone(), outbox.clone()));
        while tasks.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, place: OwnedSemaphorePermit, journal: Journal, outbox: Arc<Outbox>) {
    // Answers are small and must not wait for more; where this fails, they are late.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| async { Ok::<_, Infallible>(take(request, &journal, &outbox).await) });
    // The sender sees a broken connection itself.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    drop(place);
}

/// Acknowledges an event once it is on the disk, and has it sent on.
async fn take(request: Request<Incoming>, journal: &Journal, outbox: &Outbox) -> Response<Full<Bytes>> {
    let Ok(body) = Limited::new(request.into_body(), MAX_EVENT).collect().await else {
        return answer(StatusCode::BAD_REQUEST);
    };
    let body = body.to_bytes();
    if journal.append(body.clone()).await.is_err() {
        return answer(StatusCode::SERVICE_UNAVAILABLE);
    }
    outbox.put(&body).await;
    answer(StatusCode::ACCEPTED)
}

fn answer(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::ledger::{Clock, Ledger};
    use crate::bench::link::Link;
    use crate::bench::receiver::{Receiver, Run};
    use crate::bench::sample::Sample;
    use crate::bench::subject::Subject;
    use crate::bench::template::{Address, Template};
    use crate::bench::wire;

    #[tokio::test]
    async fn forwards_what_it_acknowledged_signed_and_durable() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let receiver = Receiver::start("127.0.0.1:0".parse().unwrap(), Clock::start()).unwrap();
        let ledger = Arc::new(Ledger::new(1, 10, 3));
        let sample = Sample::new(&vec![SECRET.to_owned(); 3]).unwrap();
        let run = Arc::new(Run { ledger: ledger.clone(), sample });
        receiver.record(run.clone());
        let settings = Settings { target: receiver.address(), fan_out: 3, connections: 2, log: log.clone() };

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut forwarder = JoinSet::new();
        forwarder.spawn(forward(listener, settings));
        let mut link = Link::dial(address).await.unwrap();
        let mut template = Template::new(&Address { host: "h", path: "/", key: "k" }, 200, 0, 1, &Subject::plain());
        for event in 0..10 {
            link.send(template.stamp(event, 0)).await.unwrap();
            link.receive().await.unwrap().unwrap();
            assert_eq!(wire::status(link.message()), 202);
            ledger.ack(event, 0, 0);
        }
        let logged = std::fs::read_to_string(&log).unwrap();
        assert_eq!(logged.matches("fanfare-mark-").count(), 10, "acknowledged before it was written");
        ledger.expect_all();
        while ledger.missing() > 0 {
            ledger.completed().await;
        }
        forwarder.shutdown().await;
        drop(receiver);
        assert_eq!(ledger.totals().duplicates, 0);
        assert_eq!(run.sample.counts(), (3, 0));
    }
}
