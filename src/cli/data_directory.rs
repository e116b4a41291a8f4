//! Which data directory a command works on that needs no running server.

use std::path::PathBuf;

use clap::Args;

use crate::config::{DEFAULT_DATA, Sources};

/// The data directory of a server.
#[derive(Args, Clone, Debug)]
pub struct DataArgs {
    /// Directory of the embedded store and the keys [default: as the settings file says, else ./fanfare-data]
    #[arg(long, env = "FANFARE_DATA", hide_env_values = true, value_name = "DIRECTORY")]
    data: Option<PathBuf>,
    /// Settings file [default: fanfare.toml, if it is there]
    #[arg(long, env = "FANFARE_CONFIG", hide_env_values = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl DataArgs {
    /// The directory; it need not be there.
    ///
    /// # Errors
    /// The settings file cannot be read or understood.
    pub fn directory(self) -> anyhow::Result<PathBuf> {
        if let Some(data) = self.data {
            return Ok(data);
        }
        let settings = Sources::read(self.config.as_deref())?;
        Ok(settings.data.unwrap_or_else(|| PathBuf::from(DEFAULT_DATA)))
    }
}
