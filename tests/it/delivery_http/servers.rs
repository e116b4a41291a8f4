//! Servers that customers do use, nginx and Node.js, with latency between them and us: what they do with connections costs no
//! delivery.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fanfare::delivery::exchange::{Exchange, Resent};
use fanfare::delivery::http::{HttpClient, OutgoingRequest};
use fanfare_engine::attempt::Outcome;
use futures_util::{StreamExt, stream};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use super::certificates::Authority;
use super::delay::Delay;
use super::setup::{NAME, Setup, endpoint, request};

/// 20 ms there and back.
const ONE_WAY: Duration = Duration::from_millis(10);
/// Requests under way at once.
const AT_ONCE: usize = 64;
/// Counts the requests of a test, so that it can be told which of them were processed.
const NUMBER: HeaderName = HeaderName::from_static("number");

/// A server in a directory of its own, listening on the Unix socket `socket` there.
struct Server {
    child: Child,
    /// nginx has processes of its own, which it is told to end.
    is_nginx: bool,
    directory: TempDir,
    authority: Authority,
}

impl Server {
    /// Starts a program with the directory prepared, and waits until it says `ready` on its standard error.
    fn start(prepare: impl FnOnce(&Path) -> Command, ready: &str) -> Server {
        let (directory, authority) = (TempDir::new().unwrap(), Authority::new("trusted"));
        let (certificate, key) = authority.certificate(NAME);
        std::fs::write(directory.path().join("certificate.pem"), certificate).unwrap();
        std::fs::write(directory.path().join("key.pem"), key).unwrap();
        let mut command = prepare(directory.path());
        let program = command.get_program().to_owned();
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap_or_else(|error| {
            panic!("{program:?} does not start ({error}): run script/test, or install it");
        });
        let mut said = String::new();
        let mut lines = BufReader::new(child.stderr.as_mut().unwrap());
        while !said.contains(ready) {
            assert!(lines.read_line(&mut said).unwrap() > 0, "{program:?} did not start: {said}");
        }
        Server { child, is_nginx: false, directory, authority }
    }

    fn nginx(listen: &str) -> Server {
        let prepare = |home: &Path| {
            let at = home.display();
            let config = format!(
                "daemon off; user root; worker_processes 2; pid {at}/pid; error_log stderr notice;
                 events {{}}
                 http {{
                     log_format number '$http_number'; access_log {at}/processed number;
                     client_body_temp_path {at}/a; proxy_temp_path {at}/b; fastcgi_temp_path {at}/c;
                     uwsgi_temp_path {at}/d; scgi_temp_path {at}/e;
                     ssl_certificate {at}/certificate.pem; ssl_certificate_key {at}/key.pem;
                     server {{ listen unix:{at}/socket {listen}; location / {{ return 200 ok; }} }}
                 }}"
            );
            std::fs::write(home.join("nginx.conf"), config).unwrap();
            Server::nginx_command(home)
        };
        let mut nginx = Server::start(prepare, "start worker process");
        nginx.is_nginx = true;
        nginx
    }

    fn nginx_command(home: &Path) -> Command {
        // It is where only root looks for programs.
        let program = Some("/usr/sbin/nginx").filter(|path| Path::new(path).exists()).unwrap_or("nginx");
        let mut command = Command::new(program);
        command.arg("-p").arg(home).arg("-c").arg(home.join("nginx.conf")).args(["-e", "stderr"]);
        command
    }

    /// Tells nginx what to do, and returns once it has been told.
    fn tell_nginx(&self, what: &str) {
        let told = Server::nginx_command(self.directory.path()).args(["-s", what]).status().unwrap();
        assert!(told.success());
    }

    fn node(script: &str, argument: &str) -> Server {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/receivers").join(script);
        let prepare = |home: &Path| {
            let mut command = Command::new("node");
            command.arg(script).arg(argument).current_dir(home);
            command
        };
        Server::start(prepare, "listening")
    }

    fn client(&self) -> HttpClient {
        Setup { extra_roots: Some(self.authority.pem()), ..Setup::default() }.client()
    }

    async fn behind_latency(&self) -> Delay {
        Delay::start(self.directory.path().join("socket"), ONE_WAY).await
    }

    fn end(&mut self, how: &str) {
        if self.is_nginx {
            self.tell_nginx(how);
        } else {
            self.child.kill().unwrap();
        }
        self.child.wait().unwrap();
    }

    /// How often each request was processed, by its number. Ends the server.
    async fn processed(mut self) -> BTreeMap<usize, usize> {
        // Elsewhere, since nginx waits until its connections are closed, which happens here.
        let ending = spawn_blocking(move || {
            self.end("quit");
            self
        });
        let log = std::fs::read_to_string(ending.await.unwrap().directory.path().join("processed")).unwrap();
        let mut counts = BTreeMap::new();
        for number in log.lines().map(|line| line.parse().unwrap()) {
            *counts.entry(number).or_default() += 1;
        }
        counts
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.end("stop");
        }
    }
}

/// Sends so many requests, with `meanwhile` called before each.
async fn send_many(
    client: &HttpClient,
    url: &str,
    count: usize,
    at_most_once: bool,
    meanwhile: impl Fn(usize),
) -> Vec<Exchange> {
    let endpoint = endpoint(url);
    let requests = (0..count).map(|number| {
        meanwhile(number);
        let endpoint = &endpoint;
        async move {
            let headers = || HeaderMap::from_iter([(NUMBER, HeaderValue::from(number))]);
            let next =
                OutgoingRequest { at_most_once, headers: headers(), headers_again: &headers, ..request(endpoint) };
            client.send(next).await
        }
    });
    stream::iter(requests).buffer_unordered(AT_ONCE).collect().await
}

#[track_caller]
fn assert_all_succeeded(exchanges: &[Exchange]) {
    let failed: Vec<_> = exchanges.iter().filter(|exchange| exchange.outcome != Outcome::Success).collect();
    assert!(failed.is_empty(), "{} of {} failed, such as {:?}", failed.len(), exchanges.len(), failed[0]);
}

fn resent(exchanges: &[Exchange], why: Resent) -> usize {
    exchanges.iter().filter(|exchange| exchange.resent == Some(why)).count()
}

#[track_caller]
fn assert_each_once(processed: &BTreeMap<usize, usize>, count: usize) {
    assert_eq!(processed.len(), count, "all were processed");
    assert!(processed.values().all(|times| *times == 1), "none was processed twice: {processed:?}");
}

#[tokio::test]
async fn nginx_closes_an_http2_connection_after_a_thousand_requests() {
    let nginx = Server::nginx("ssl http2");
    let (delay, client) = (nginx.behind_latency().await, nginx.client());
    let url = format!("https://{NAME}:{}/hook", delay.port());
    let exchanges = send_many(&client, &url, 2_500, true, |_| {}).await;
    assert_all_succeeded(&exchanges);
    assert!(resent(&exchanges, Resent::Refused) > 0, "it refused none: this shows nothing");
    drop(client);
    assert_each_once(&nginx.processed().await, 2_500);
}

#[tokio::test]
async fn nginx_reloads_under_http2() {
    let nginx = Server::nginx("ssl http2");
    let (delay, client) = (nginx.behind_latency().await, nginx.client());
    let url = format!("https://{NAME}:{}/hook", delay.port());
    let reload = |number| {
        if number % 250 == 249 {
            nginx.tell_nginx("reload");
        }
    };
    let exchanges = send_many(&client, &url, 1_000, true, reload).await;
    assert_all_succeeded(&exchanges);
    drop(client);
    assert_each_once(&nginx.processed().await, 1_000);
}

#[tokio::test]
async fn nginx_reloads_under_http1() {
    let nginx = Server::nginx("");
    let (delay, client) = (nginx.behind_latency().await, nginx.client());
    let url = format!("http://127.0.0.1:{}/hook", delay.port());
    let reload = |number| {
        if number % 250 == 249 {
            nginx.tell_nginx("reload");
        }
    };
    let exchanges = send_many(&client, &url, 1_000, false, reload).await;
    assert_all_succeeded(&exchanges);
    drop(client);
    assert_eq!(nginx.processed().await.len(), 1_000, "all were processed");
}

#[tokio::test]
async fn nginx_reloads_under_what_may_arrive_once_only() {
    let nginx = Server::nginx("");
    let (delay, client) = (nginx.behind_latency().await, nginx.client());
    let url = format!("http://127.0.0.1:{}/hook", delay.port());
    let reload = |number| {
        if number % 250 == 249 {
            nginx.tell_nginx("reload");
        }
    };
    let exchanges = send_many(&client, &url, 500, true, reload).await;
    assert_all_succeeded(&exchanges);
    assert!(exchanges.iter().all(|exchange| exchange.resent.is_none() && !exchange.reused_connection));
    drop(client);
    assert_each_once(&nginx.processed().await, 500);
}

#[tokio::test]
async fn node_closes_an_http2_connection_after_a_hundred_requests() {
    let node = Server::node("http2_closing.mjs", "100");
    let (delay, client) = (node.behind_latency().await, node.client());
    let url = format!("https://{NAME}:{}/hook", delay.port());
    let exchanges = send_many(&client, &url, 1_001, true, |_| {}).await;
    assert_all_succeeded(&exchanges);
    assert!(resent(&exchanges, Resent::Refused) > 0, "it refused none: this shows nothing");
    drop(client);
    assert_each_once(&node.processed().await, 1_001);
}
