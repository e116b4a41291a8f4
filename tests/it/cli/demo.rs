//! `fanfare demo`: shows deliveries and retries, gives lines that work, and ends cleanly.

use std::io::{BufRead, BufReader, Lines, Read as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

use super::{fanfare, run};

/// A running demo; killed where a test fails.
struct Demo {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Demo {
    fn start(directory: &Path, further: &[&str]) -> Demo {
        let mut command = fanfare(directory);
        command.args(["demo", "--port", "0", "--rate", "20"]).args(further);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Demo { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("the demo ended").unwrap()
    }

    /// Everything up to the titles of the table.
    fn head(&mut self) -> String {
        let mut head = String::new();
        loop {
            let line = self.line();
            if line.starts_with("TIME UTC") {
                return head;
            }
            head.push_str(&line);
            head.push('\n');
        }
    }

    /// Ends it as Ctrl-C does; gives what it said from then on.
    fn interrupt(mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let mut rest = String::new();
        for line in self.lines.by_ref() {
            rest.push_str(&line.unwrap());
            rest.push('\n');
        }
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{rest}");
        rest
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines to try, each with its continuations.
fn lines_to_try(head: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut open = false;
    for line in head.lines() {
        match lines.last_mut().filter(|_| open) {
            Some(last) => {
                last.push('\n');
                last.push_str(line);
            }
            None if line.starts_with("curl ") || line.contains(" delivery list ") => lines.push(line.to_owned()),
            None => continue,
        }
        open = line.ends_with('\\');
    }
    lines
}

/// What the shell would give to curl.
fn curls_arguments(line: &str) -> Vec<String> {
    let script = format!("set -eu\ncurl() {{ for word; do printf '%s\\0' \"$word\"; done; }}\n{line}\n");
    let out = run(Command::new("sh").args(["-c", &script])).well();
    out.split_terminator('\0').map(str::to_owned).collect()
}

fn value<'a>(head: &'a str, title: &str) -> &'a str {
    let line = head.lines().map(str::trim).find_map(|line| line.strip_prefix(title)).unwrap();
    line.trim()
}

#[test]
fn it_shows_deliveries_and_retries_and_ends_when_told() {
    // A blank in the path, for the quotes in the lines to try.
    let parent = TempDir::with_prefix("fanfare demo ").unwrap();
    let mut demo = Demo::start(parent.path(), &[]);
    let head = demo.head();
    assert!(!head.contains('\u{1b}'), "colours though it is no terminal: {head}");
    let url = value(&head, "API");
    let key = value(&head, "Admin key");

    let lines = lines_to_try(&head);
    assert_eq!(lines.len(), 5, "{head}");
    for line in &lines[..4] {
        let words = curls_arguments(line);
        assert!(words.iter().any(|word| word.starts_with(&format!("{url}/v1/organizations/acme/"))), "{words:?}");
        assert!(words.contains(&format!("Authorization: Bearer {key}")), "{words:?}");
    }
    let posted = curls_arguments(&lines[0]);
    let data = posted.iter().skip_while(|word| *word != "-d").nth(1).unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(data).unwrap()["type"].is_string(), "{data}");
    let table = run(Command::new("sh").args(["-c", &lines[4]])).well();
    assert!(table.contains("dlv_") && table.contains("job.created"), "{table}");

    let (mut delivered, mut failed, mut again) = (false, false, false);
    while !(delivered && failed && again) {
        let line = demo.line();
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, _, id, attempt, outcome, status, _, ..] = words[..] else { panic!("{line:?} is no line of the table") };
        assert!(id.starts_with("dlv_"), "{line}");
        delivered |= (outcome, status) == ("delivered", "200");
        failed |= (outcome, status) == ("failed", "503") && line.contains(" in ");
        again |= attempt != "1";
    }
    let rest = demo.interrupt();
    assert!(rest.contains("In all: ") && rest.contains(" exhausted."), "{rest}");
    let tally = rest.lines().find(|line| line.starts_with("The receiver got")).unwrap();
    let numbers: Vec<u64> = tally.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
    assert!(numbers.len() == 2 && numbers[0] > 0 && numbers[0] == numbers[1], "{tally}");
    assert!(TcpStream::connect(url.strip_prefix("http://").unwrap()).is_err(), "the server still listens");
}

#[test]
fn its_data_are_used_again_until_a_fresh_start() {
    let parent = tempfile::tempdir().unwrap();
    let key = |further: &[&str]| {
        let mut demo = Demo::start(parent.path(), further);
        let head = demo.head();
        demo.interrupt();
        value(&head, "Admin key").to_owned()
    };
    let first = key(&[]);
    assert_eq!(key(&[]), first);
    assert_ne!(key(&["--fresh"]), first);
}

#[test]
fn a_directory_of_something_else_is_left_alone() {
    let parent = tempfile::tempdir().unwrap();
    std::fs::create_dir(parent.path().join("mine")).unwrap();
    std::fs::write(parent.path().join("mine/letter"), "dear").unwrap();
    let said = run(fanfare(parent.path()).args(["demo", "--fresh", "--port", "0", "--data", "mine"])).badly();
    assert!(said.contains("mine holds something else"), "{said}");
    let mut letter = String::new();
    std::fs::File::open(parent.path().join("mine/letter")).unwrap().read_to_string(&mut letter).unwrap();
    assert_eq!(letter, "dear");
}
