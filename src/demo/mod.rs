//! The demonstration: a whole server, a customer with a webhook, its receiver, and events, in one process.
//!
//! `folder` is where it keeps its data, `stage` makes the customer through the API, `feed` invents what happens, and
//! `screen` shows what becomes of it.

mod feed;
mod folder;
mod screen;
mod stage;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::sync::broadcast::Receiver as Updates;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::feed::Feed;
use self::folder::Folder;
use self::screen::{Examples, Screen};
use self::stage::Stage;
use crate::cli::client::{Client, Request};
use crate::clock::{Clock, SystemClock};
use crate::config::Sources;
use crate::dispatch::updates::DeliveryUpdate;
use crate::random;
use crate::receiver::behaviour::Behaviour;
use crate::receiver::serve::{MAX_UNREAD, Received, Settings, serve};
use crate::receiver::verify::{Keyring, Verdict};
use crate::server::Server;

/// How many ports are tried, from the wanted one on.
const PORTS: u16 = 20;
/// Every so many requests the receiver fails one.
const FAIL_EVERY: NonZeroU64 = NonZeroU64::new(6).expect("it is not 0");
/// Which requests it fails in a row, so that some deliveries need several attempts.
const OUTAGE: Range<u64> = 9..17;
/// How long the first delivery may take before something is wrong.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a stop waits for requests under way.
const DRAIN_SECONDS: u32 = 5;

/// What the demonstration is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where its data are; made if it is not there.
    pub directory: PathBuf,
    /// Whether to start anew where there are data of an earlier demonstration.
    pub fresh: bool,
    /// Where the server listens, or the next free port; 0 takes any.
    pub port: u16,
    /// Events each second, more than 0.
    pub rate: f64,
    /// Whether the output is coloured.
    pub colour: bool,
    /// How this program is called, for the lines to try.
    pub program: String,
}

/// Shows Fanfare at work until `stop`, then finishes what is under way and says what there was.
///
/// # Errors
/// The directory is not the demonstration's, no port is free, or the server does not do what it should.
pub async fn run(options: Options, out: &mut (dyn Write + Send), stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let folder = Folder::claim(&options.directory, options.fresh)?;
    let port = free_port(options.port)?;
    let listener = receiver_listener(port).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let server = Server::start(&sources(folder.path(), port), Arc::clone(&clock)).await?;
    let mut updates = server.app.dispatcher.updates();

    let shown = async {
        let mut show = Show::start(&server, listener, clock).await?;
        let first = show.first_delivery(&mut updates).await?;
        let mut screen = Screen::new(out, options.colour);
        screen.greet(&Examples {
            url: show.url.clone(),
            portal: stage::portal_link(&show.client).await?,
            console: stage::console_link(&server.app, &show.url).await?,
            key: server.admin_key.clone(),
            key_file: folder.path().join("admin-key"),
            program: options.program.clone(),
            receiver: show.stage.receiver.clone(),
            delivery: first.delivery.to_string(),
            event: show.feed.next(),
        })?;
        screen.show(&first)?;
        show.play(&mut updates, &mut screen, options.rate, stop).await?;
        screen.say("Stopping: finishing what is under way.")?;
        anyhow::Ok((show, screen))
    };
    let shown = shown.await;
    let finished = server.stop().await;
    let (mut show, mut screen) = match shown {
        Ok(shown) => shown,
        // Whoever watched has seen enough.
        Err(error) if is_broken_pipe(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    loop {
        match updates.try_recv() {
            Ok(update) => screen.show(&update)?,
            Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    while let Ok(received) = show.received.try_recv() {
        show.tally.count(&received);
    }
    screen.summary(show.sent, &show.tally)?;
    if !finished {
        screen.say("Not everything was finished in time; the next demo goes on with it.")?;
    }
    Ok(())
}

/// Settings of the demonstration alone: neither the environment's nor a file's.
fn sources(directory: &Path, port: u16) -> Sources {
    Sources {
        listen: Some(format!("127.0.0.1:{port}")),
        data: Some(directory.to_owned()),
        egress_allow: Some("127.0.0.0/8,localhost".to_owned()),
        drain_seconds: Some(DRAIN_SECONDS),
        ..Sources::default()
    }
}

/// The wanted port, or the next one that is free.
fn free_port(wanted: u16) -> anyhow::Result<u16> {
    if wanted == 0 {
        return Ok(0);
    }
    let mut candidates = wanted..=wanted.saturating_add(PORTS - 1);
    match candidates.find(|port| std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()) {
        Some(port) => Ok(port),
        None => bail!("no port from {wanted} on is free; --port chooses another"),
    }
}

/// A listener for the receiver, on a port beside the server's.
async fn receiver_listener(server: u16) -> anyhow::Result<TcpListener> {
    if server != 0 {
        for port in (server + 1..=u16::MAX).take(PORTS.into()) {
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
                return Ok(listener);
            }
        }
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free for the receiver")
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// What the receiver got.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    requests: u64,
    /// Whose signature held.
    verified: u64,
}

impl Tally {
    fn count(&mut self, received: &Received) {
        self.requests += 1;
        self.verified += u64::from(matches!(received.verdict, Verdict::Valid { .. }));
    }
}

/// The customer, its receiver, and the events.
struct Show {
    client: Client,
    url: String,
    stage: Stage,
    feed: Feed,
    /// Events that were accepted.
    sent: u64,
    received: mpsc::Receiver<Received>,
    tally: Tally,
    /// Ends with the show.
    _receiver: JoinSet<()>,
}

impl Show {
    async fn start(server: &Server, listener: TcpListener, clock: Arc<dyn Clock>) -> anyhow::Result<Show> {
        let url = format!("http://{}", server.address);
        let client = Client::new(&url, &server.admin_key, None)?;
        let address: SocketAddr = listener.local_addr()?;
        let stage = Stage::set(&client, &format!("http://{address}/hook")).await?;
        let keys = Keyring::parse(&[&stage.secret]).map_err(|(_, error)| error)?;
        let behaviour = Behaviour {
            fail_every: Some(FAIL_EVERY),
            outage: OUTAGE,
            failure: StatusCode::SERVICE_UNAVAILABLE,
            ..Behaviour::default()
        };
        let (sink, received) = mpsc::channel(MAX_UNREAD);
        let mut receiver = JoinSet::new();
        receiver.spawn(serve(listener, Settings { keys, behaviour, clock }, sink));
        let tally = Tally::default();
        Ok(Show { client, url, stage, feed: Feed::default(), sent: 0, received, tally, _receiver: receiver })
    }

    /// Sends one event and waits until its delivery was attempted.
    async fn first_delivery(
        &mut self,
        updates: &mut Updates<Arc<DeliveryUpdate>>,
    ) -> anyhow::Result<Arc<DeliveryUpdate>> {
        let event = self.send().await?;
        let attempted = async {
            loop {
                match updates.recv().await {
                    Ok(update) if update.event.to_string() == event => return Some(update),
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        };
        let attempted = tokio::time::timeout(PATIENCE, attempted).await.ok().flatten();
        attempted.with_context(|| format!("the first event was not delivered within {} s", PATIENCE.as_secs()))
    }

    /// Posts the next event; answers its id.
    async fn send(&mut self) -> anyhow::Result<String> {
        let request = Request::post(&["v1", "organizations", stage::ORGANIZATION, "events"]).json(&self.feed.next())?;
        let answer = self.client.json(request).await?;
        self.sent += 1;
        answer["id"].as_str().map(str::to_owned).context("the server gave the event no id")
    }

    async fn play(
        &mut self,
        updates: &mut Updates<Arc<DeliveryUpdate>>,
        screen: &mut Screen<'_>,
        rate: f64,
        stop: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let mut stop = pin!(stop);
        let pause = || Duration::from_secs_f64((0.5 + random::jitter()) / rate);
        let mut next = pin!(tokio::time::sleep(pause()));
        loop {
            tokio::select! {
                () = &mut stop => return Ok(()),
                () = &mut next => {
                    self.send().await?;
                    next.set(tokio::time::sleep(pause()));
                }
                update = updates.recv() => match update {
                    Ok(update) => screen.show(&update)?,
                    Err(RecvError::Lagged(count)) => screen.say(&format!("({count} lines left out)"))?,
                    Err(RecvError::Closed) => return Ok(()),
                },
                Some(received) = self.received.recv() => self.tally.count(&received),
            }
        }
    }
}
