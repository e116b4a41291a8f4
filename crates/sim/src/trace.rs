//! What happened in a run, line by line, to be read when an invariant was broken.

use std::collections::VecDeque;
use std::fmt;

/// Lines kept; older ones are forgotten.
const KEPT: usize = 50_000;
/// Lines shown of the last steps, whatever they are about.
const SHOWN: usize = 40;
/// Lines shown of those that mention the broken thing.
const SHOWN_ABOUT: usize = 60;

/// See the module.
#[derive(Debug)]
pub(crate) struct Trace {
    lines: VecDeque<String>,
    digest: u64,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Trace { lines: VecDeque::new(), digest: 0xCBF2_9CE4_8422_2325 }
    }

    /// Adds a line that happened `at` milliseconds after the start.
    pub(crate) fn note(&mut self, at: i64, what: fmt::Arguments<'_>) {
        let line = format!("{:>10}.{:03}  {what}", at / 1000, at % 1000);
        for byte in line.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// A number that two runs share only if every line of theirs is the same.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    /// The last lines that mention `about`, then the last lines of all.
    pub(crate) fn show(&self, about: Option<&str>) -> String {
        let mut text = String::new();
        if let Some(about) = about {
            let mentions: Vec<&String> = self.lines.iter().filter(|line| line.contains(about)).collect();
            text.push_str(&format!("what happened to {about}:\n"));
            push_last(&mut text, &mentions, SHOWN_ABOUT);
        }
        text.push_str("the last steps:\n");
        let all: Vec<&String> = self.lines.iter().collect();
        push_last(&mut text, &all, SHOWN);
        text
    }
}

fn push_last(text: &mut String, lines: &[&String], most: usize) {
    let from = lines.len().saturating_sub(most);
    if from > 0 {
        text.push_str(&format!("  … {from} earlier lines\n"));
    }
    for line in &lines[from..] {
        text.push_str(line);
        text.push('\n');
    }
}
