//! The real program as a child process: started on a directory, signalled, and never left behind.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::sync::watch;

use super::client::Api;
use super::patience::within;

/// The admin key of every server here.
pub(super) const ADMIN_KEY: &str = "ffk_the_admin_key_of_the_tests";
/// What a running server says when it can be asked.
const LISTENING: &str = "listening address=";

/// A directory in which servers run, one after the other; removed when dropped.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Home {
        Home(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The directory of the store and the keys.
    pub(super) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// A server with the settings of most tests.
    pub(crate) fn launch(&self) -> Launch {
        let launch = Launch { directory: self.path().to_owned(), variables: BTreeMap::new(), limits: Vec::new() };
        launch
            .set("FANFARE_DATA", &self.data().display().to_string())
            .set("FANFARE_LISTEN", "127.0.0.1:0")
            .set("FANFARE_ADMIN_KEY", ADMIN_KEY)
            .set("FANFARE_EGRESS_ALLOW", "127.0.0.0/8,localhost")
            .set("FANFARE_LOG", "info")
    }
}

/// A server that is about to start.
pub(crate) struct Launch {
    directory: PathBuf,
    variables: BTreeMap<String, String>,
    /// What a shell sets its limits to before it becomes the server: options of `ulimit`.
    limits: Vec<String>,
}

impl Launch {
    pub(crate) fn set(mut self, name: &str, value: &str) -> Launch {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(super) fn unset(mut self, name: &str) -> Launch {
        self.variables.remove(name);
        self
    }

    /// Lets no file of the server grow beyond so many bytes, until [`Running::lift_file_limit`].
    pub(super) fn limit_files(mut self, bytes: u64) -> Launch {
        self.limits.push(format!("-S -f {}", bytes / 512));
        self
    }

    /// Lets it have no more than so many files and connections open.
    pub(super) fn limit_descriptors(mut self, most: u64) -> Launch {
        self.limits.push(format!("-n {most}"));
        self
    }

    fn spawn(self) -> (Child, Output) {
        let program = env!("CARGO_BIN_EXE_fanfare");
        let mut command = match self.limits.is_empty() {
            true => Command::new(program),
            false => {
                // Ignored signals stay ignored: a write beyond the limit fails instead of killing.
                let mut shell = Command::new("sh");
                let limits: String = self.limits.iter().map(|limit| format!("ulimit {limit}; ")).collect();
                shell.arg("-c").arg(format!("trap '' XFSZ; {limits}exec \"$0\" \"$@\"")).arg(program);
                shell
            }
        };
        let mut child = command
            .arg("serve")
            .env_clear()
            .envs(&self.variables)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = Output::of(child.stderr.take().unwrap());
        (child, output)
    }

    /// Starts it and waits until it says this; it cannot be asked.
    pub(super) async fn start_with(self, line: &str) -> Running {
        let (child, output) = self.spawn();
        let running = Running { child: Some(child), output, address: ([127, 0, 0, 1], 0).into(), key: String::new() };
        running.output.line_with(line).await;
        running
    }

    /// Starts it and waits until it can be asked.
    pub(crate) async fn start(self) -> Running {
        let key = self.variables.get("FANFARE_ADMIN_KEY").cloned().unwrap_or_default();
        let (child, output) = self.spawn();
        let mut running = Running { child: Some(child), output, address: ([127, 0, 0, 1], 0).into(), key };
        let line = running.output.line_with(LISTENING).await;
        let address = line.split(LISTENING).nth(1).unwrap().split(' ').next().unwrap();
        running.address = address.parse().unwrap();
        running
    }

    /// Starts it and expects it to refuse: a failure's exit status. Answers what it said.
    pub(super) async fn refused(self) -> String {
        let (child, output) = self.spawn();
        let mut running =
            Running { child: Some(child), output, address: ([127, 0, 0, 1], 0).into(), key: String::new() };
        let status = running.wait().await;
        let said = running.output.text();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        said
    }
}

/// A server under way. What is dropped without an end is killed, and fails its test.
pub(crate) struct Running {
    child: Option<Child>,
    output: Output,
    address: SocketAddr,
    key: String,
}

impl Running {
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The API, by the admin key.
    pub(crate) fn api(&self) -> Api {
        Api::new(self.address, &self.key)
    }

    /// What it has logged.
    pub(super) fn log(&self) -> String {
        self.output.text()
    }

    /// Waits for a line of its log.
    pub(super) async fn says(&self, part: &str) -> String {
        self.output.line_with(part).await
    }

    /// Sends a signal, such as `TERM`.
    pub(super) fn signal(&self, name: &str) {
        self.run("kill", &[&format!("-{name}"), &self.pid()]);
    }

    /// Lets files grow again.
    pub(super) fn lift_file_limit(&self) {
        self.run("prlimit", &["--pid", &self.pid(), "--fsize=unlimited"]);
    }

    /// Lets it open no further file or connection.
    pub(super) fn stop_descriptors(&self) {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap();
        let open: Vec<u32> = open.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
        let free = (0..).find(|number| !open.contains(number)).unwrap();
        self.run("prlimit", &["--pid", &self.pid(), &format!("--nofile={free}:")]);
    }

    /// Lets it open some again.
    pub(super) fn allow_descriptors(&self) {
        self.run("prlimit", &["--pid", &self.pid(), "--nofile=1024:"]);
    }

    fn pid(&self) -> String {
        self.child.as_ref().unwrap().id().to_string()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let status = Command::new(program).args(arguments).status();
        assert!(status.as_ref().is_ok_and(ExitStatus::success), "{program} {arguments:?}: {status:?}");
    }

    /// Ends it as a power cut would, as far as the process goes.
    pub(crate) async fn kill(mut self) {
        self.child.as_mut().unwrap().kill().unwrap();
        self.wait().await;
        self.assert_sound();
    }

    /// Tells it to stop, and expects an orderly end. Answers its log.
    pub(crate) async fn stop(self) -> String {
        self.signal("TERM");
        self.ended().await
    }

    /// Expects an orderly end after a signal that was sent already. Answers its log.
    pub(super) async fn ended(mut self) -> String {
        let status = self.wait().await;
        assert_eq!(status.code(), Some(0), "{}", self.log());
        self.assert_sound();
        self.log()
    }

    async fn wait(&mut self) -> ExitStatus {
        self.output.end().await;
        // The end of its output is its own end, but for a moment.
        self.child.take().unwrap().wait().unwrap()
    }

    fn assert_sound(&self) {
        let log = self.log();
        let bad = log.lines().find(|line| line.contains("panicked") || line.contains(" ERROR "));
        assert!(bad.is_none(), "{log}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // It may have ended by itself; then there is nothing to kill.
        let _ = child.kill();
        let _ = child.wait();
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        } else {
            panic!("the test ended and its server ran on");
        }
    }
}

/// What a server writes, line by line, read by a thread that ends with the server.
struct Output {
    lines: Arc<Mutex<Vec<String>>>,
    progress: watch::Receiver<Progress>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Clone, Copy, Default)]
struct Progress {
    lines: usize,
    ended: bool,
}

impl Output {
    fn of(source: impl Read + Send + 'static) -> Output {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let (teller, progress) = watch::channel(Progress::default());
        let kept = Arc::clone(&lines);
        let read = move || {
            for line in BufReader::new(source).split(b'\n') {
                let line = String::from_utf8_lossy(&line.unwrap()).into_owned();
                kept.lock().push(line);
                teller.send_modify(|progress| progress.lines += 1);
            }
            teller.send_modify(|progress| progress.ended = true);
        };
        let reader = std::thread::Builder::new().name("server-output".to_owned()).spawn(read).unwrap();
        Output { lines, progress, reader: Some(reader) }
    }

    fn text(&self) -> String {
        self.lines.lock().join("\n")
    }

    async fn line_with(&self, part: &str) -> String {
        let mut progress = self.progress.clone();
        within(&format!("a line with {part:?}"), async {
            let mut seen = 0;
            loop {
                let now = *progress.borrow_and_update();
                let found = self.lines.lock()[seen..now.lines].iter().find(|line| line.contains(part)).cloned();
                if let Some(line) = found {
                    return line;
                }
                assert!(!now.ended, "the server ended without {part:?}; it said:\n{}", self.text());
                seen = now.lines;
                progress.changed().await.unwrap();
            }
        })
        .await
    }

    async fn end(&mut self) {
        let mut progress = self.progress.clone();
        within("the server's end", progress.wait_for(|progress| progress.ended)).await.unwrap();
        self.reader.take().unwrap().join().unwrap();
    }
}
