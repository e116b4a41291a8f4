//! The load: posts events over keep-alive connections, each as fast as it is answered, or all together at a rate.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::LocalSet;

use super::ledger::{Clock, Ledger};
use super::link::Link;
use super::template::Template;
use super::wire;

/// After so many failures without one acknowledgement, there is no point in going on.
const HOPELESS: u64 = 100;
/// How much of a refusal is kept to be shown, in bytes.
const SHOWN_REFUSAL: usize = 300;
/// The wait of a connection after it was refused or broken, so that a busy server is not made busier.
const AFTER_FAILURE: Duration = Duration::from_millis(2);
/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// At a rate, what has come due is let go at least this often.
const PACE: Duration = Duration::from_micros(200);

/// What to send.
pub struct Plan {
    /// Where to.
    pub target: SocketAddr,
    /// The request of each event.
    pub template: Template,
    /// Over how many connections.
    pub connections: usize,
    /// The most events.
    pub events: u32,
    /// Stop after this time, whatever is left.
    pub duration: Option<Duration>,
    /// Events a second, all connections together, whether earlier ones are answered or not; without it, each
    /// connection sends its next event when the last is answered.
    pub rate: Option<f64>,
}

/// How the sending went; acknowledgements are in the ledger.
#[derive(Debug, Default, Clone)]
pub struct Sent {
    /// When the first event was (to be) sent, on the measuring process's clock, in microseconds.
    pub started: u64,
    /// Events answered with something else than success.
    pub refused: u64,
    /// Events whose connection failed: nobody knows whether they were taken.
    pub broken: u64,
    /// The first refusal or failure, for people.
    pub first_failure: Option<String>,
    /// The load gave up, because nothing was ever acknowledged.
    pub hopeless: bool,
}

/// Sends everything and returns when the last answer has come. Blocks: meant for a thread of its own.
///
/// # Errors
/// The runtime or a thread cannot be made.
pub fn run(plan: Plan, ledger: Arc<Ledger>, clock: Clock) -> std::io::Result<Sent> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let started = clock.micros();
    let due = Arc::new(Semaphore::new(0));
    // Dropping the sender, when the load is over, ends the pacer.
    let (running, ended) = sync_channel::<()>(0);
    let pacer = match plan.rate {
        Some(rate) => {
            let (due, events) = (due.clone(), plan.events);
            let pace = move || pace(rate, events, started, clock, &due, &ended);
            Some(std::thread::Builder::new().name("bench-pacer".into()).spawn(pace)?)
        }
        None => None,
    };
    let connections = plan.connections;
    let load = Rc::new(Load {
        plan,
        ledger,
        clock,
        due,
        next: Cell::new(0),
        acked: Cell::new(0),
        sent: RefCell::new(Sent { started, ..Sent::default() }),
    });
    let tasks = LocalSet::new();
    for _ in 0..connections {
        tasks.spawn_local(load.clone().connection());
    }
    runtime.block_on(tasks);
    drop(running);
    if let Some(pacer) = pacer {
        let _ = pacer.join();
    }
    Ok(load.sent.borrow().clone())
}

/// Lets events go as they come due. A thread, because the runtime's timer knows milliseconds only.
fn pace(rate: f64, events: u32, started: u64, clock: Clock, due: &Semaphore, ended: &Receiver<()>) {
    let mut released = 0u64;
    while released < u64::from(events) {
        let elapsed = clock.micros().saturating_sub(started) as f64 / 1e6;
        let ripe = ((elapsed * rate) as u64 + 1).min(u64::from(events));
        if ripe > released {
            due.add_permits((ripe - released) as usize);
            released = ripe;
        }
        let next = Duration::from_secs_f64(released as f64 / rate).as_micros() as u64 + started;
        let wait = Duration::from_micros(next.saturating_sub(clock.micros()));
        if ended.recv_timeout(wait.max(PACE)) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

struct Load {
    plan: Plan,
    ledger: Arc<Ledger>,
    clock: Clock,
    due: Arc<Semaphore>,
    next: Cell<u32>,
    acked: Cell<u64>,
    sent: RefCell<Sent>,
}

impl Load {
    async fn connection(self: Rc<Self>) {
        let mut template = self.plan.template.clone();
        let mut link = None;
        while let Some((event, sent)) = self.next_event().await {
            match self.post(&mut link, template.stamp(event, sent)).await {
                Ok(None) => {
                    self.acked.set(self.acked.get() + 1);
                    self.ledger.ack(event, sent, self.clock.micros());
                    continue;
                }
                Ok(Some(refusal)) => {
                    self.sent.borrow_mut().refused += 1;
                    self.failed(refusal);
                }
                Err(error) => {
                    link = None;
                    self.sent.borrow_mut().broken += 1;
                    self.failed(error.to_string());
                }
            }
            tokio::time::sleep(AFTER_FAILURE).await;
        }
    }

    /// The next event's number and the time that counts as its sending; `None` when the load is over.
    async fn next_event(&self) -> Option<(u32, u64)> {
        let event = self.next.get();
        let elapsed = self.clock.micros().saturating_sub(self.sent.borrow().started);
        let over = self.plan.duration.is_some_and(|duration| u128::from(elapsed) >= duration.as_micros());
        if event >= self.plan.events || over || self.sent.borrow().hopeless {
            return None;
        }
        self.next.set(event + 1);
        let Some(rate) = self.plan.rate else { return Some((event, self.clock.micros())) };
        self.due.acquire().await.ok()?.forget();
        let offset = (f64::from(event) / rate * 1e6) as u64;
        Some((event, self.sent.borrow().started + offset))
    }

    /// Posts one event; `Some` is a refusal.
    async fn post(&self, link: &mut Option<Link>, request: &[u8]) -> std::io::Result<Option<String>> {
        let connected = match link {
            Some(link) => link,
            None => link.insert(Link::dial(self.plan.target).await?),
        };
        connected.send(request).await?;
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, connected.receive()).await;
        let answer = answer.map_err(|_| std::io::Error::other("no answer came in time"))??;
        let frame = answer.ok_or_else(|| std::io::Error::other("the connection was closed instead of an answer"))?;
        let message = connected.message();
        let refusal = (!(200..300).contains(&wire::status(message))).then(|| refusal(message));
        if frame.close {
            *link = None;
        }
        Ok(refusal)
    }

    fn failed(&self, what: String) {
        let mut sent = self.sent.borrow_mut();
        sent.first_failure.get_or_insert(what);
        if self.acked.get() == 0 && sent.refused + sent.broken >= HOPELESS {
            sent.hopeless = true;
            self.due.close();
        }
    }
}

fn refusal(message: &[u8]) -> String {
    let line_end = message.iter().position(|&byte| byte == b'\r').unwrap_or(message.len());
    let body = wire::frame(message).ok().flatten().map_or(message.len(), |frame| frame.head);
    let body = &message[body..message.len().min(body + SHOWN_REFUSAL)];
    format!("{} {}", String::from_utf8_lossy(&message[..line_end]), String::from_utf8_lossy(body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::receiver::{Receiver, Run, webhook_path};
    use crate::bench::sample::Sample;
    use crate::bench::subject::Subject;
    use crate::bench::template::Address;
    use crate::clock::SystemClock;
    use crate::receiver::behaviour::Behaviour;
    use crate::receiver::serve::{Settings, serve};
    use crate::receiver::verify::Keyring;
    use http::StatusCode;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;
    use tokio::task::JoinSet;

    fn plan(target: SocketAddr, events: u32) -> Plan {
        let address = Address { host: "h", path: &webhook_path(0), key: "k" };
        let template = Template::new(&address, 100, 1, 9, &Subject::plain());
        Plan { target, template, connections: 4, events, duration: None, rate: None }
    }

    fn receiver(clock: Clock, events: usize) -> (Receiver, Arc<Ledger>) {
        let receiver = Receiver::start("127.0.0.1:0".parse().unwrap(), clock).unwrap();
        let ledger = Arc::new(Ledger::new(9, events, 1));
        receiver.record(Arc::new(Run { ledger: ledger.clone(), sample: Sample::default() }));
        (receiver, ledger)
    }

    #[test]
    fn a_closed_loop_sends_each_event_once() {
        let clock = Clock::start();
        let (receiver, ledger) = receiver(clock, 500);
        let sent = run(plan(receiver.address(), 500), ledger.clone(), clock).unwrap();
        let totals = ledger.totals();
        assert_eq!((totals.acks, totals.arrived, totals.lost, totals.duplicates), (500, 500, 0, 0));
        assert_eq!((sent.refused, sent.broken), (0, 0));
    }

    #[test]
    fn an_open_loop_takes_as_long_as_its_rate_says() {
        let clock = Clock::start();
        let (receiver, ledger) = receiver(clock, 200);
        let sent = run(Plan { rate: Some(2000.0), ..plan(receiver.address(), 200) }, ledger.clone(), clock).unwrap();
        let totals = ledger.totals();
        assert_eq!((totals.acks, totals.lost), (200, 0));
        // The last of 200 events at 2,000 a second is due after 99.5 ms.
        assert!(totals.last_ack - sent.started >= 99_500, "{}", totals.last_ack - sent.started);
    }

    #[tokio::test]
    async fn gives_up_on_a_server_that_refuses_everything() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let plan = plan(listener.local_addr().unwrap(), 100_000);
        let behaviour = Behaviour { status: StatusCode::UNAUTHORIZED, ..Behaviour::default() };
        let settings = Settings { keys: Keyring::default(), behaviour, clock: Arc::new(SystemClock) };
        // Nobody reads the requests; all that can come before the load gives up have a place.
        let (sink, _unread) = mpsc::channel(2 * HOPELESS as usize);
        let mut server = JoinSet::new();
        server.spawn(serve(listener, settings, sink));
        let ledger = Arc::new(Ledger::new(9, 100_000, 1));
        let sent = tokio::task::spawn_blocking(|| run(plan, ledger, Clock::start())).await.unwrap().unwrap();
        assert!(sent.hopeless && sent.refused < 2 * HOPELESS, "{sent:?}");
        assert_eq!(sent.first_failure.unwrap().trim(), "HTTP/1.1 401 Unauthorized");
    }
}
