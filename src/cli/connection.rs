//! How a command reaches a running server: its URL, the key, and where the key is looked for.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::answers::Session;
use super::client::{Client, Request};

/// Where the admin key is where nothing says otherwise: a server's, then the demo's.
const KEY_DIRECTORIES: [&str; 2] = ["./fanfare-data", "./fanfare-demo"];
const KEY_FILE: &str = "admin-key";

/// Which server, with which key, and how its answers are shown.
#[derive(Args, Clone)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// Where the server is
    #[arg(long, env = "FANFARE_URL", hide_env_values = true, default_value = "http://127.0.0.1:8686", global = true)]
    url: String,
    /// The key to its API [default: FANFARE_ADMIN_KEY, else the file admin-key of ./fanfare-data or ./fanfare-demo]
    #[arg(long, env = "FANFARE_KEY", hide_env_values = true, global = true)]
    key: Option<String>,
    #[arg(long, env = "FANFARE_ADMIN_KEY", hide = true, hide_env_values = true, global = true)]
    admin_key: Option<String>,
    #[arg(long, env = "FANFARE_DATA", hide = true, global = true)]
    data_directory: Option<PathBuf>,
    /// PEM file of further trust roots for https
    #[arg(long, value_name = "FILE", global = true)]
    ca_file: Option<PathBuf>,
    /// Print the API's answer as it is, JSON
    #[arg(long, global = true)]
    json: bool,
}

impl std::fmt::Debug for ServerArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Keys are among them.
        f.debug_struct("ServerArgs").field("url", &self.url).finish_non_exhaustive()
    }
}

impl ServerArgs {
    /// A session with the server. Nothing is sent yet.
    ///
    /// # Errors
    /// There is no key, or the URL cannot be used.
    pub fn session(&self) -> anyhow::Result<Session> {
        let key = match self.key.as_ref().or(self.admin_key.as_ref()) {
            Some(key) => key.trim().to_owned(),
            None => self.kept_key()?,
        };
        Ok(Session::new(Client::new(&self.url, &key, self.ca_file.as_deref())?, self.json))
    }

    fn kept_key(&self) -> anyhow::Result<String> {
        let directories: Vec<&Path> = match &self.data_directory {
            Some(directory) => vec![directory],
            None => KEY_DIRECTORIES.map(Path::new).to_vec(),
        };
        for directory in &directories {
            let file = directory.join(KEY_FILE);
            match std::fs::read_to_string(&file) {
                Ok(key) => return Ok(key.trim().to_owned()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
            }
        }
        let looked: Vec<String> = directories.iter().map(|path| path.join(KEY_FILE).display().to_string()).collect();
        anyhow::bail!(
            "no key: give one by --key, FANFARE_KEY or FANFARE_ADMIN_KEY (there is no {} either)",
            looked.join(" and no ")
        )
    }
}

/// Which piece of a list.
#[derive(Args, Clone, Debug, Default)]
pub struct PageArgs {
    /// At most so many, 1 to 250 [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=250))]
    pub limit: Option<u32>,
    /// Go on where the last list ended
    #[arg(long)]
    pub cursor: Option<String>,
}

impl PageArgs {
    /// The request for that piece.
    pub fn of(&self, request: Request) -> Request {
        request.query("limit", self.limit).query("cursor", self.cursor.as_deref())
    }
}
