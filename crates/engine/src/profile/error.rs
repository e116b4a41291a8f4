//! What is wrong with a profile's file: where, which knob, and what would be right.

use std::fmt;

/// One mistake in a profile's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileError {
    /// The file as the caller named it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// The knob's dotted path, `signatures[0].input`; empty where the file as a whole is meant.
    pub key: String,
    /// What is wrong and what would be right.
    pub reason: String,
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for ProfileError {}
