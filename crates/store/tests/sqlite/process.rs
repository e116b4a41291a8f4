//! Runs one of these tests again as a process of its own, which can be killed or starved.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Tells a test that it is the child, and in which directory to work.
const DIRECTORY: &str = "FANFARE_TEST_CHILD_DIRECTORY";

/// The directory that a child works in; `None` in the test itself.
#[expect(clippy::disallowed_methods, reason = "a test binary's arguments belong to its harness")]
pub(crate) fn child_directory() -> Option<PathBuf> {
    std::env::var_os(DIRECTORY).map(PathBuf::from)
}

/// A running child.
pub(crate) struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// Starts the test of this name as a child. `wrapper` is a command that runs the one behind it.
    pub(crate) fn start(wrapper: &[&str], test: &str, directory: &Path) -> Self {
        let own = std::env::current_exe().unwrap();
        let own = own.to_str().unwrap();
        let mut words = wrapper.iter().copied().chain([own, test, "--exact", "--nocapture"]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).env(DIRECTORY, directory).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Process { child, output }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next message of the child; `None` when it has ended. See [`say`].
    pub(crate) fn message(&mut self) -> Option<(String, i64)> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.output.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            // A line that a kill cut short says nothing.
            let Some(words) = line.strip_prefix("> ").and_then(|line| line.strip_suffix(" .\n")) else { continue };
            let (word, number) = words.split_once(' ').unwrap();
            return Some((word.to_owned(), number.parse().unwrap()));
        }
    }

    /// Ends it at once, wherever it is (`kill -9`), and gives what it had said before.
    pub(crate) fn kill(mut self) -> Vec<(String, i64)> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::iter::from_fn(|| self.message()).collect()
    }

    /// Waits for its end, which must be a success.
    pub(crate) fn succeeds(mut self) {
        let said: Vec<_> = std::iter::from_fn(|| self.message()).collect();
        assert!(self.child.wait().unwrap().success(), "the child failed after {said:?}");
    }
}

/// In the child: tells the parent.
pub(crate) fn say(word: &str, number: i64) {
    // The line before may be the harness's own, unfinished.
    println!("\n> {word} {number} .");
}
