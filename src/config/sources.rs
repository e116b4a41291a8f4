//! Where settings come from: one list of names for flags, environment and file.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::{Deserialize, Deserializer};

use super::{DEFAULT_FILE, SettingsError};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Declares each setting once: its flag, its variable and its key in the file share one name.
macro_rules! sources {
    ($($(#[doc = $doc:literal])+ $(#[clap($($clap:tt)*)])? $(#[serde($($serde:tt)*)])? $name:ident: $type:ty = $variable:literal,)*) => {
        /// What one or several sources say. `None`: nothing.
        #[derive(Clone, Default, Args, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Sources {
            $(
                $(#[doc = $doc])+
                #[arg(long, env = $variable, $($($clap)*)?)]
                $(#[serde($($serde)*)])?
                pub $name: Option<$type>,
            )*
        }

        impl Sources {
            /// The settings' names, as they are in the file.
            pub const NAMES: &[&str] = &[$(stringify!($name)),*];

            /// Each setting that is given, alone, with its name and its variable.
            pub fn each(&self) -> Vec<(&'static str, &'static str, Sources)> {
                let mut each = Vec::new();
                $(if self.$name.is_some() {
                    let single = Sources { $name: self.$name.clone(), ..Sources::default() };
                    each.push((stringify!($name), $variable, single));
                })*
                each
            }

            /// What these say, and where they say nothing what `other` says.
            #[must_use]
            pub fn or(self, other: Sources) -> Sources {
                Sources { $($name: self.$name.or(other.$name),)* }
            }
        }
    };
}

sources! {
    /// Address and port of the API [default: 127.0.0.1:8686]
    listen: String = "FANFARE_LISTEN",
    /// Directory of the embedded store and the keys [default: ./fanfare-data]
    data: PathBuf = "FANFARE_DATA",
    /// PostgreSQL instead of the embedded store
    #[clap(hide = true, hide_env_values = true)]
    database_url: String = "FANFARE_DATABASE_URL",
    /// The key that may do everything [default: made at the first start, in the file admin-key of the data directory]
    #[clap(hide_env_values = true)]
    admin_key: String = "FANFARE_ADMIN_KEY",
    /// Encrypts secrets in the store: 64 hexadecimal digits or base64 of 32 bytes [default: made, in the file master-key]
    #[clap(hide_env_values = true)]
    master_key: String = "FANFARE_MASTER_KEY",
    /// Profile of the first project, at its first start [default: standard]
    profile: String = "FANFARE_PROFILE",
    /// Directory of further profiles, *.toml
    profiles_dir: PathBuf = "FANFARE_PROFILES_DIR",
    /// Networks and host names that may be called though private, such as 127.0.0.0/8,localhost
    #[serde(default, deserialize_with = "text_or_list")]
    egress_allow: String = "FANFARE_EGRESS_ALLOW",
    /// Proxy that requests to receivers go out through, such as `http://proxy.example.com:3128` [default: none]
    #[clap(hide_env_values = true)]
    egress_proxy: String = "FANFARE_EGRESS_PROXY",
    /// PEM file of certificates to trust besides the public roots: authorities, or receivers' own self-signed ones
    tls_ca_file: PathBuf = "FANFARE_TLS_CA_FILE",
    /// How the server is reached from outside [default: http:// and the listening address]
    base_url: String = "FANFARE_BASE_URL",
    /// Networks of proxies before this server whose X-Forwarded-For says who sends a request, such as 10.0.0.0/8 [default: none]
    #[serde(default, deserialize_with = "text_or_list")]
    trusted_proxies: String = "FANFARE_TRUSTED_PROXIES",
    /// How long events, deliveries and attempts are kept, in days [default: 30]
    retention_days: u32 = "FANFARE_RETENTION_DAYS",
    /// How many deliveries each webhook keeps, the newest; an event goes with its last delivery, and each organization keeps
    /// as many events without any [default: all]
    retention_deliveries: u32 = "FANFARE_RETENTION_DELIVERIES",
    /// Forbids http in every profile
    #[clap(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    https_only: bool = "FANFARE_HTTPS_ONLY",
    /// What is logged, such as info or fanfare=debug [default: info]
    log: String = "FANFARE_LOG",
    /// How it is logged [default: text]
    log_format: LogFormat = "FANFARE_LOG_FORMAT",
    /// Requests under way for one webhook at once [default: 64]
    webhook_concurrency: u32 = "FANFARE_WEBHOOK_CONCURRENCY",
    /// Requests under way in all [default: 4096]
    concurrency: u32 = "FANFARE_CONCURRENCY",
    /// Connections to receivers kept for further requests; at most a third of the file descriptors are used for it
    /// [default: 8192]
    kept_connections: u32 = "FANFARE_KEPT_CONNECTIONS",
    /// Largest data of one event in bytes [default: 262144]
    max_event_bytes: u32 = "FANFARE_MAX_EVENT_BYTES",
    /// Memory for requests, responses, deliveries and logs together, in MiB; see below [default: 256]
    memory_mib: u32 = "FANFARE_MEMORY_MIB",
    /// What receivers of one organization may add to the log by their responses in a day, in MiB; then successful ones are logged
    /// without bodies [default: 1024]
    log_mib_per_day: u32 = "FANFARE_LOG_MIB_PER_DAY",
    /// How long a stop waits for requests under way, in seconds [default: 30]
    drain_seconds: u32 = "FANFARE_DRAIN_SECONDS",
    /// How long a stop by SIGTERM goes on serving while /readyz answers 503, in seconds [default: 0]
    shutdown_delay_seconds: u32 = "FANFARE_SHUTDOWN_DELAY_SECONDS",
    /// How many grants a user may have [default: 1000]
    max_grants_per_user: u32 = "FANFARE_MAX_GRANTS_PER_USER",
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Keys are among them.
        f.write_str("Sources { **** }")
    }
}

/// A text, or a list of texts, which are put together with commas.
fn text_or_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a text with commas between, or a list of texts")]
    enum Form {
        Text(String),
        List(Vec<String>),
    }
    Ok(Some(match Form::deserialize(deserializer)? {
        Form::Text(text) => text,
        Form::List(texts) => texts.join(","),
    }))
}

impl Sources {
    /// The settings of which the file may have a list.
    pub const LISTS: &[&str] = &["egress_allow", "trusted_proxies"];

    /// Reads the text of a settings file. `file` names it in errors.
    pub fn parse(file: &str, text: &str) -> Result<Self, SettingsError> {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            let reason = format!("line {line}: {}", error.message());
            SettingsError::File { file: file.to_owned(), reason }
        })
    }

    /// Reads the named file; or, where none is named, `fanfare.toml` if it is there.
    pub fn read(named: Option<&Path>) -> Result<Self, SettingsError> {
        let path = named.unwrap_or(Path::new(DEFAULT_FILE));
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&file, &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => Ok(Sources::default()),
            Err(error) => Err(SettingsError::File { file, reason: error.to_string() }),
        }
    }
}
