//! `fanfare listen`: a receiver for developers, which shows each webhook it gets and whether its signature holds.

use std::io::Write;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http::StatusCode;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::clock::{Clock, SystemClock};
use crate::receiver::behaviour::Behaviour;
use crate::receiver::print;
use crate::receiver::serve::{MAX_UNREAD, Received, Settings, serve};
use crate::receiver::verify::{Keyring, Verdict};

/// The longest delay that can be asked for, in milliseconds: longer than any sender waits.
const MAX_DELAY_MS: u64 = 10 * 60 * 1000;

/// Receive webhooks on this machine and show them
#[derive(clap::Args, Debug)]
pub struct ListenArgs {
    /// The port to listen on; 0 takes a free one
    #[arg(long, short, default_value_t = 8687)]
    pub port: u16,
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub host: String,
    /// Check signatures of Standard Webhooks (the headers webhook-id, webhook-timestamp and webhook-signature) with this secret (whsec_…) or public key (whpk_…); may be given several times
    #[arg(long = "secret", short, value_name = "SECRET", env = "FANFARE_LISTEN_SECRET", hide_env_values = true)]
    pub secrets: Vec<String>,
    /// Answer with this status
    #[arg(long, default_value = "200", value_parser = status)]
    pub status: StatusCode,
    /// Wait this many milliseconds before answering
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=MAX_DELAY_MS))]
    pub delay: u64,
    /// Fail every N-th request
    #[arg(long, value_name = "N")]
    pub fail_every: Option<NonZeroU64>,
    /// The status of the requests that --fail-every fails
    #[arg(long, value_name = "STATUS", default_value = "500", value_parser = status)]
    pub fail_status: StatusCode,
    /// Take requests and never answer them
    #[arg(long)]
    pub stall: bool,
    /// Write one JSON object a line
    #[arg(long)]
    pub json: bool,
}

fn status(text: &str) -> Result<StatusCode, String> {
    let code = text.parse::<u16>().ok().filter(|code| (200..=599).contains(code));
    code.and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or_else(|| "an HTTP status from 200 to 599 is expected".to_owned())
}

/// Listens until Ctrl-C.
///
/// # Errors
/// A secret that cannot be read, an address that cannot be listened on, or standard output gone.
pub async fn run(args: ListenArgs) -> anyhow::Result<()> {
    let stop = async {
        // Without a handler there is no clean end, but Ctrl-C still ends the process.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    listen(args, Arc::new(SystemClock), &mut std::io::stdout(), stop).await
}

async fn listen(
    args: ListenArgs,
    clock: Arc<dyn Clock>,
    out: &mut impl Write,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let keys =
        Keyring::parse(&args.secrets).map_err(|(at, error)| anyhow::anyhow!("--secret (number {at}): {error}"))?;
    let listener = TcpListener::bind((args.host.as_str(), args.port)).await.with_context(|| {
        format!("cannot listen on {}:{}; is the port taken? --port chooses another", args.host, args.port)
    })?;
    let url = format!("http://{}/", listener.local_addr()?);
    let greeting = match args.json {
        true => json!({"kind": "listening", "url": url}).to_string(),
        false => format!("Listening on {url} (Ctrl-C ends)\n"),
    };
    writeln!(out, "{greeting}")?;
    out.flush()?;

    let behaviour = Behaviour {
        status: args.status,
        delay: Duration::from_millis(args.delay),
        fail_every: args.fail_every,
        outage: 0..0,
        failure: args.fail_status,
        stall: args.stall,
    };
    let (sink, mut requests) = mpsc::channel(MAX_UNREAD);
    let receiver = serve(listener, Settings { keys, behaviour, clock }, sink);
    tokio::pin!(receiver, stop);
    let mut tally = Tally::default();
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            Some(received) = requests.recv() => {
                tally.count(&received);
                show(&received, args.json, out)?;
            }
            () = &mut receiver => break,
        }
    }
    if !args.json {
        writeln!(out, "{tally}")?;
    }
    Ok(())
}

fn show(received: &Received, json: bool, out: &mut impl Write) -> std::io::Result<()> {
    match json {
        true => writeln!(out, "{}", print::json_line(received))?,
        false => out.write_all(print::text(received).as_bytes())?,
    }
    out.flush()
}

/// What is said at the end.
#[derive(Default)]
struct Tally {
    requests: u64,
    valid: u64,
    invalid: u64,
}

impl Tally {
    fn count(&mut self, received: &Received) {
        self.requests += 1;
        match received.verdict {
            Verdict::Valid { .. } => self.valid += 1,
            Verdict::Invalid(_) => self.invalid += 1,
            Verdict::Unchecked | Verdict::OtherScheme => {}
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} requests: {} valid, {} invalid", self.requests, self.valid, self.invalid)?;
        match self.requests - self.valid - self.invalid {
            0 => Ok(()),
            unchecked => write!(f, ", {unchecked} not checked"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use clap::Parser as _;
    use fanfare_engine::time::Timestamp;
    use serde_json::Value;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::Notify;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const REQUEST: &str = "POST /in HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
        webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek\r\nwebhook-timestamp: 1614265330\r\n\
        webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\r\n\
        content-length: 20\r\n\r\n{\"test\": 2432232314}";

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        args: ListenArgs,
    }

    fn parse(args: &[&str]) -> Result<ListenArgs, clap::Error> {
        Program::try_parse_from(std::iter::once(&"listen").chain(args)).map(|program| program.args)
    }

    /// Standard output for a test: each line goes to whoever waits for it.
    struct Lines(mpsc::Sender<String>, Vec<u8>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.1.extend_from_slice(bytes);
            while let Some(end) = self.1.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.1.drain(..=end).collect();
                let _ = self.0.try_send(String::from_utf8(line).unwrap().trim_end().to_owned());
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn then() -> Arc<dyn Clock> {
        Arc::new(ManualClock::new(Timestamp(1_614_265_330_000)))
    }

    #[tokio::test]
    async fn listens_shows_answers_and_ends_when_told() {
        let (sender, mut lines) = mpsc::channel(8);
        let stop = Notify::new();
        let args = parse(&["--port", "0", "--secret", SECRET, "--status", "202", "--json"]).unwrap();
        let mut out = Lines(sender, Vec::new());
        let listening = listen(args, then(), &mut out, stop.notified());
        let customer = async {
            let greeting: Value = serde_json::from_str(&lines.recv().await.unwrap()).unwrap();
            let url = url::Url::parse(greeting["url"].as_str().unwrap()).unwrap();
            let address = url.socket_addrs(|| None).unwrap()[0];
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(REQUEST.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
            let line: Value = serde_json::from_str(&lines.recv().await.unwrap()).unwrap();
            assert_eq!(line["signature"], json!({"result": "valid", "version": "v1", "secret": 1}));
            assert_eq!(line["path"], "/in");
            stop.notify_one();
            address
        };
        let (result, address) = tokio::join!(listening, customer);
        result.unwrap();
        assert!(TcpStream::connect(address).await.is_err(), "the port is still open");
    }

    #[tokio::test]
    async fn a_bad_secret_is_named() {
        let args = parse(&["--port", "0", "--secret", SECRET, "--secret", "hush"]).unwrap();
        let error = listen(args, then(), &mut Vec::new(), std::future::ready(())).await.unwrap_err();
        assert!(error.to_string().starts_with("--secret (number 2): a secret starts with whsec_"), "{error}");
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        assert!(parse(&["--status", "99"]).is_err());
        assert!(parse(&["--status", "600"]).is_err());
        assert!(parse(&["--fail-every", "0"]).is_err());
        assert!(parse(&["--delay", "99999999"]).is_err());
        assert_eq!(parse(&["--status", "503"]).unwrap().status, StatusCode::SERVICE_UNAVAILABLE);
    }
}
