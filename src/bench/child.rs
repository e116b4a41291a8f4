//! Processes started for a measurement, and the directory they write to; both end with the measurement.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::time::Instant;

use super::api::Api;

/// How long a server may take until it is ready.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How often it is asked whether a server is ready; also how exactly its start is measured.
const READY_PAUSE: Duration = Duration::from_millis(2);
/// How much of a failed server's output is shown, in lines.
const SHOWN_LINES: usize = 20;

/// A directory that is removed, with everything in it, when dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes a fresh directory in `parent`.
    ///
    /// # Errors
    /// It cannot be made there.
    pub fn new(parent: &Path) -> anyhow::Result<Self> {
        let path = parent.join(format!("fanfare-bench-{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("cannot make the directory {}", path.display()))?;
        Ok(Scratch(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("could not remove {}: {error}", self.0.display());
        }
    }
}

/// A process that is killed when dropped.
pub struct Child(std::process::Child);

impl Child {
    fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let program = command.get_program().to_owned();
        command.spawn().map(Child).with_context(|| format!("cannot start {}", program.display()))
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How to start the server that is to be measured.
pub struct ServerCommand {
    /// The program; `serve` is its first argument.
    pub program: PathBuf,
    /// The admin key it is given.
    pub key: String,
    /// Further settings, over those that the measurement needs.
    pub settings: Vec<(String, String)>,
}

/// A server that is ready.
pub struct Started {
    /// Its process.
    pub child: Child,
    /// Its API.
    pub api: Api,
    /// When its process was started.
    pub at: Instant,
    /// From then until it was ready.
    pub took: Duration,
}

/// Starts a server on a free port of the loopback and returns when it is ready. Its data and its output go to
/// `directory`; where data is there already, it goes on with it.
///
/// # Errors
/// It cannot be started, ends at once, or is not ready within 30 seconds; then with the end of its output.
pub async fn start_server(wanted: &ServerCommand, directory: &Path) -> anyhow::Result<Started> {
    let address = free_address()?;
    let output = directory.join("server.log");
    let log = File::create(&output)?;
    let mut command = Command::new(&wanted.program);
    forget_settings(&mut command);
    command
        .arg("serve")
        .env("FANFARE_DATA", directory.join("data"))
        .env("FANFARE_LISTEN", address.to_string())
        .env("FANFARE_ADMIN_KEY", &wanted.key)
        .env("FANFARE_EGRESS_ALLOW", "127.0.0.0/8")
        .env("FANFARE_LOG", "warn")
        .envs(wanted.settings.iter().map(|(name, value)| (name, value)))
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let api = Api::new(&format!("http://{address}"), &wanted.key).await?;
    let at = Instant::now();
    let mut server = Child::spawn(&mut command)?;
    let ready = tokio::time::timeout(START_TIMEOUT, async {
        while !api.is_ready().await {
            if let Ok(Some(status)) = server.0.try_wait() {
                return Err(status);
            }
            tokio::time::sleep(READY_PAUSE).await;
        }
        Ok(())
    });
    match ready.await {
        Ok(Ok(())) => Ok(Started { child: server, api, at, took: at.elapsed() }),
        Ok(Err(status)) => bail!("the server ended before it was ready ({status}); it said:\n{}", tail(&output)),
        Err(_) => bail!("the server was not ready after {} s; it said:\n{}", START_TIMEOUT.as_secs(), tail(&output)),
    }
}

/// Settings of a real installation must not leak into what is measured.
#[expect(clippy::disallowed_methods, reason = "nothing is read from them: the process is started without them")]
fn forget_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"FANFARE_")) {
        command.env_remove(name);
    }
}

/// A port that is free now. Another process could take it before the server does; then the server says so.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn tail(output: &Path) -> String {
    let text = std::fs::read(output).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

/// Starts the bare forwarder and returns it with its address.
///
/// # Errors
/// It cannot be started or does not say where it listens.
pub fn start_forwarder(
    program: &Path,
    directory: &Path,
    target: SocketAddr,
    fan_out: usize,
    connections: usize,
) -> anyhow::Result<(Child, SocketAddr)> {
    let mut command = Command::new(program);
    command
        .arg("bench-forwarder")
        .args(["--target", &target.to_string()])
        .args(["--fan-out", &fan_out.to_string()])
        .args(["--connections", &connections.to_string()])
        .arg("--log")
        .arg(directory.join("forwarder.log"))
        // It ends when this pipe does, so that nothing is left behind even if the measurement is killed.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut forwarder = Child::spawn(&mut command)?;
    let stdout = forwarder.0.stdout.take().context("the forwarder has no output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let address =
        line.trim().parse().with_context(|| format!("the forwarder did not say where it listens: {line:?}"))?;
    Ok((forwarder, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratch_goes_with_its_content() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(parent.path()).unwrap();
        std::fs::write(scratch.path().join("a"), "b").unwrap();
        let path = scratch.path().to_owned();
        drop(scratch);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_server_that_ends_at_once_is_reported_with_its_words() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("program");
        std::fs::write(&program, "#!/bin/sh\necho \"cannot $1 $FANFARE_EXTRA\"\nexit 3\n").unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let settings = [("FANFARE_EXTRA".to_owned(), "today".to_owned())];
        let wanted = ServerCommand { program, key: "k".to_owned(), settings: settings.to_vec() };
        let error = start_server(&wanted, directory.path()).await.err().unwrap().to_string();
        assert!(error.contains("exit status: 3") && error.contains("cannot serve today"), "{error}");
    }
}
