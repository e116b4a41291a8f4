//! Structured logs on standard error: text for people, JSON for machines.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, SettingsError};

/// What is logged where nothing is said.
const DEFAULT_FILTER: &str = "info";

/// Starts logging. `filter` is a level or a list such as `info,fanfare::delivery=debug`.
///
/// # Errors
/// A filter that cannot be understood.
pub fn start(filter: Option<&str>, format: LogFormat) -> Result<(), SettingsError> {
    let filter = self::filter(filter.unwrap_or(DEFAULT_FILTER))?;
    let colours = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    // A second start (in tests) keeps what the first set up.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    Ok(())
}

/// Reads what is to be logged.
///
/// # Errors
/// A filter that cannot be understood.
pub fn filter(text: &str) -> Result<EnvFilter, SettingsError> {
    EnvFilter::try_new(text)
        .map_err(|error| SettingsError::Value { setting: "log", reason: format!("{text:?}: {error}") })
}
