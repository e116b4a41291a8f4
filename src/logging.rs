//! Structured logs on standard error: text for people, JSON for machines.

use std::io::{self, IsTerminal as _, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::config::{LogFormat, SettingsError};
use crate::terminal;

/// What is logged where nothing is said.
const DEFAULT_FILTER: &str = "info";

/// Starts logging. `filter` is a level or a list such as `info,fanfare::delivery=debug`.
///
/// # Errors
/// A filter that cannot be understood.
pub fn start(filter: Option<&str>, format: LogFormat) -> Result<(), SettingsError> {
    let filter = self::filter(filter.unwrap_or(DEFAULT_FILTER))?;
    let colours = io::stderr().is_terminal();
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Shown(io::stderr())).with_ansi(colours);
    // A second start (in tests) keeps what the first set up.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    Ok(())
}

/// Writes lines without characters that hide or reorder text: parts of them are what customers wrote. Control characters are
/// escaped before.
struct Shown<W>(W);

impl<W: Write> Write for Shown<W> {
    /// Takes a whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_all(terminal::log_line(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Reads what is to be logged.
///
/// # Errors
/// A filter that cannot be understood.
pub fn filter(text: &str) -> Result<EnvFilter, SettingsError> {
    let wrong = |reason: String| SettingsError::Value { setting: "log", reason: format!("{text:?}: {reason}") };
    if let Some(word) = text.split(',').map(str::trim).find(|word| is_mistyped_level(word)) {
        return Err(wrong(format!("{word} is no level; use error, warn, info, debug or trace, or target=level")));
    }
    EnvFilter::try_new(text).map_err(|error| wrong(error.to_string()))
}

/// A word by itself that is no level names a part of the program, and nothing else would be logged. The parts of this program
/// start with its name.
fn is_mistyped_level(word: &str) -> bool {
    let is_word = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_word && word.parse::<LevelFilter>().is_err() && !word.starts_with(env!("CARGO_PKG_NAME"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_misleads_nobody() {
        let mut out = Vec::new();
        Shown(&mut out).write_all("user=\"\u{202e}nimda\"\n".as_bytes()).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "user=\"\u{fffd}nimda\"\n");
    }

    #[test]
    fn a_mistyped_level_is_refused() {
        for good in [
            "info",
            "WARN",
            "off",
            "0",
            "",
            "fanfare",
            "fanfare::delivery",
            "warn,fanfare=debug",
            "hyper=trace",
            "[span]",
        ] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["inof", "info,verbose", "fanfare=inof"] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }
}
