//! What the demonstration shows: where to look and what to try, then a line for each attempt, and a summary.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use fanfare_engine::attempt::Outcome;
use fanfare_engine::delivery::State;
use fanfare_engine::id::DeliveryId;
use fanfare_engine::time::Timestamp;
use serde_json::Value;

use super::Tally;
use super::stage::ORGANIZATION;
use crate::dispatch::updates::DeliveryUpdate;

/// What the lines to try are made of.
pub(super) struct Examples {
    /// The server's.
    pub(super) url: String,
    /// A link into the customer's portal.
    pub(super) portal: String,
    /// A link that signs in at the console.
    pub(super) console: String,
    /// The admin key, and the file it is in.
    pub(super) key: String,
    pub(super) key_file: PathBuf,
    /// How this program is called.
    pub(super) program: String,
    /// Where the webhook points.
    pub(super) receiver: String,
    /// A delivery that there is.
    pub(super) delivery: String,
    /// An event to post.
    pub(super) event: Value,
}

#[derive(Clone, Copy)]
enum Ink {
    Bold,
    Dim,
    Green,
    Yellow,
    Red,
    Cyan,
}

impl Ink {
    fn code(self) -> &'static str {
        match self {
            Ink::Bold => "1",
            Ink::Dim => "2",
            Ink::Red => "31",
            Ink::Green => "32",
            Ink::Yellow => "33",
            Ink::Cyan => "36",
        }
    }
}

/// Where it is shown, and what was shown so far.
pub(super) struct Screen<'a> {
    out: &'a mut (dyn Write + Send),
    colour: bool,
    delivered: u64,
    retries: u64,
    exhausted: u64,
    waiting: BTreeSet<DeliveryId>,
}

impl<'a> Screen<'a> {
    pub(super) fn new(out: &'a mut (dyn Write + Send), colour: bool) -> Self {
        Screen { out, colour, delivered: 0, retries: 0, exhausted: 0, waiting: BTreeSet::new() }
    }

    fn ink(&self, ink: Ink, text: &str) -> String {
        if self.colour { format!("\u{1b}[{}m{text}\u{1b}[0m", ink.code()) } else { text.to_owned() }
    }

    fn write(&mut self, text: &str) -> anyhow::Result<()> {
        self.out.write_all(text.as_bytes())?;
        Ok(self.out.flush()?)
    }

    /// A line of its own.
    pub(super) fn say(&mut self, text: &str) -> anyhow::Result<()> {
        let line = format!("{}\n", self.ink(Ink::Dim, text));
        self.write(&line)
    }

    /// Where everything is, and what to try.
    pub(super) fn greet(&mut self, examples: &Examples) -> anyhow::Result<()> {
        let Examples { url, portal, console, key, receiver, .. } = examples;
        let mut text = format!(
            "\n  {} shows a server, a customer and its receiver in one process.\n\n",
            self.ink(Ink::Bold, "fanfare demo")
        );
        let rows = [
            ("Portal", format!("{portal} (opens once, within ten minutes)")),
            ("Console", format!("{console} (likewise; the operator's)")),
            ("API", url.clone()),
            ("Docs", format!("{url}/docs")),
            ("Admin key", key.clone()),
            ("Customer", format!("Acme, external id {ORGANIZATION}")),
            ("Webhook", format!("all events, to {receiver}, which fails now and then")),
        ];
        for (title, value) in rows {
            text.push_str(&format!("  {}  {value}\n", self.ink(Ink::Cyan, &format!("{title:<9}"))));
        }
        text.push_str("\n  To try in another terminal:\n");
        for (what, line) in lines_to_try(examples) {
            text.push_str(&format!("\n  {}\n{line}\n", self.ink(Ink::Dim, &format!("# {what}"))));
        }
        let titles = format!(
            "{:<8}  {:<13}  {:<17}  {:>3}  {:<9}  {:<6}  {:>4}  NEXT TRY",
            "TIME UTC", "EVENT TYPE", "DELIVERY", "TRY", "OUTCOME", "STATUS", "MS"
        );
        text.push_str(&format!("\n  Ctrl-C ends it.\n\n{}\n", self.ink(Ink::Bold, &titles)));
        self.write(&text)
    }

    /// A line for what an attempt came to.
    pub(super) fn show(&mut self, update: &DeliveryUpdate) -> anyhow::Result<()> {
        self.count(update);
        let (ink, word) = match update.state {
            // One that was sent again stays delivered.
            State::Delivered if update.outcome != Some(Outcome::Success) => (Ink::Yellow, "failed"),
            State::Delivered => (Ink::Green, "delivered"),
            State::Pending | State::Delivering => (Ink::Yellow, "failed"),
            State::Exhausted => (Ink::Red, "exhausted"),
            State::Skipped => (Ink::Dim, "skipped"),
            State::Cancelled => (Ink::Dim, "cancelled"),
        };
        let status = match (update.response_code, update.outcome) {
            (Some(code), _) => code.to_string(),
            (None, Some(Outcome::Success) | None) => "-".to_owned(),
            (None, Some(outcome)) => outcome.name().to_owned(),
        };
        let milliseconds = match update.duration_ms {
            None => "-".to_owned(),
            Some(0) => "<1".to_owned(),
            Some(duration) => duration.to_string(),
        };
        let next = update.next_attempt_at.map(|at| format!("in {} s", seconds_until(update.at, at)));
        let line = format!(
            "{}  {:<13}  {:<17}  {:>3}  {}  {status:<6}  {milliseconds:>4}  {}",
            time_of_day(update.at),
            update.event_type,
            update.delivery.to_string(),
            update.attempts,
            self.ink(ink, &format!("{word:<9}")),
            next.unwrap_or_default(),
        );
        self.write(&format!("{}\n", line.trim_end()))
    }

    fn count(&mut self, update: &DeliveryUpdate) {
        self.retries += u64::from(update.attempts > 1);
        self.delivered += u64::from(update.outcome == Some(Outcome::Success));
        self.exhausted += u64::from(update.state == State::Exhausted);
        if update.next_attempt_at.is_some() {
            self.waiting.insert(update.delivery);
        } else {
            self.waiting.remove(&update.delivery);
        }
    }

    /// What there was in all.
    pub(super) fn summary(&mut self, events: u64, tally: &Tally) -> anyhow::Result<()> {
        let Screen { delivered, retries, exhausted, .. } = *self;
        let title = self.ink(Ink::Bold, "In all");
        let mut text = format!(
            "\n{title}: {events} events sent, {delivered} delivered, {retries} retried, {exhausted} exhausted.\n\
             The receiver got {} requests and verified the signatures of {}.\n",
            tally.requests, tally.verified
        );
        let waiting = match self.waiting.len() {
            0 => String::new(),
            1 => "One delivery waits for its next try, which the next demo makes.\n".to_owned(),
            several => format!("{several} deliveries wait for their next try, which the next demo makes.\n"),
        };
        text.push_str(&waiting);
        self.write(&text)
    }
}

/// What can be done, and the line that does it; each works on its own, from any directory.
fn lines_to_try(examples: &Examples) -> [(&'static str, String); 5] {
    let Examples { url, program, delivery, event, .. } = examples;
    let key_file = quoted(examples.key_file.as_path());
    let key = format!("-H \"Authorization: Bearer $(cat {key_file})\"");
    let base = format!("{url}/v1/organizations/{ORGANIZATION}");
    [
        (
            "post an event",
            format!("curl -s {base}/events \\\n  {key} \\\n  -H 'Content-Type: application/json' \\\n  -d '{event}'"),
        ),
        ("list deliveries", format!("curl -s '{base}/deliveries?limit=3' \\\n  {key}")),
        ("see the attempts of one", format!("curl -s {base}/deliveries/{delivery}/attempts \\\n  {key}")),
        ("send one again", format!("curl -s -X POST {base}/deliveries/{delivery}/resend \\\n  {key}")),
        (
            "the same by this program, in tables",
            format!(
                "{} delivery list --org {ORGANIZATION} --url {url} --key \"$(cat {key_file})\"",
                quoted(Path::new(program))
            ),
        ),
    ]
}

/// A path as the shell takes it for one word.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// `09:30:05` of a time in UTC.
fn time_of_day(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(11..19).unwrap_or(&text).to_owned()
}

/// Whole seconds from one time to another, at least 1.
fn seconds_until(from: Timestamp, to: Timestamp) -> i64 {
    ((to.millis() - from.millis() + 500) / 1_000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfare_engine::id::{EventId, OrganizationId, WebhookId};
    use std::sync::Arc;

    fn update(attempts: u32, state: State) -> DeliveryUpdate {
        let at = Timestamp(1_795_339_805_000);
        let failed = state != State::Delivered;
        DeliveryUpdate {
            at,
            organization: OrganizationId(1),
            delivery: DeliveryId(7),
            event: EventId(2),
            event_type: Arc::from("job.created"),
            webhook: WebhookId(3),
            state,
            attempts,
            outcome: Some(if failed { Outcome::Timeout } else { Outcome::Success }),
            response_code: (!failed).then_some(200),
            duration_ms: Some(12),
            next_attempt_at: (state == State::Pending).then(|| Timestamp(at.millis() + 2_900)),
        }
    }

    fn shown(colour: bool, show: impl Fn(&mut Screen<'_>)) -> String {
        let mut out = Vec::new();
        show(&mut Screen::new(&mut out, colour));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_says_what_came_of_an_attempt() {
        let text = shown(false, |screen| {
            screen.show(&update(1, State::Pending)).unwrap();
            screen.show(&update(2, State::Delivered)).unwrap();
            screen.summary(1, &Tally { requests: 2, verified: 2 }).unwrap();
        });
        let id = DeliveryId(7).to_string();
        let expected = [
            format!("09:30:05  job.created    {id:<17}    1  failed     timeout    12  in 3 s"),
            format!("09:30:05  job.created    {id:<17}    2  delivered  200       12"),
            String::new(),
            "In all: 1 events sent, 1 delivered, 1 retried, 0 exhausted.".to_owned(),
            "The receiver got 2 requests and verified the signatures of 2.".to_owned(),
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn colours_are_for_terminals() {
        let paint = |colour| shown(colour, |screen| screen.show(&update(1, State::Exhausted)).unwrap());
        assert!(paint(true).contains("\u{1b}[31mexhausted\u{1b}[0m"));
        assert!(!paint(false).contains('\u{1b}'));
    }

    #[test]
    fn what_waits_is_said_at_the_end() {
        let text = shown(false, |screen| {
            screen.show(&update(1, State::Pending)).unwrap();
            screen.summary(1, &Tally::default()).unwrap();
        });
        assert!(text.ends_with("One delivery waits for its next try, which the next demo makes.\n"), "{text}");
    }

    #[test]
    fn paths_are_one_word_for_the_shell() {
        assert_eq!(quoted(Path::new("/a/b-c.d")), "/a/b-c.d");
        assert_eq!(quoted(Path::new("/a b/it's")), "'/a b/it'\\''s'");
    }
}
