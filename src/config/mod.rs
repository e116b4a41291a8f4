//! The server's settings: from flags, then `FANFARE_*` variables, then a file, then defaults.

mod keys;
mod profiles;
mod sources;
mod unknown;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fanfare_engine::caller::TrustedProxies;
use fanfare_engine::egress::EgressPolicy;
use fanfare_engine::profile::DEFAULT_PROFILE;

pub use self::keys::{KeyOrigin, Keys, check_admin_key};
pub use self::profiles::{load_profiles, read_profile_files};
pub use self::sources::{LogFormat, Sources};
pub use self::unknown::unknown_variables;
use crate::delivery::proxy::Proxy;

/// The file that is read where none is named, if it is there.
pub const DEFAULT_FILE: &str = "fanfare.toml";
/// The data directory where none is named.
pub const DEFAULT_DATA: &str = "./fanfare-data";

/// Checked settings of a server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the API is served.
    pub listen: SocketAddr,
    /// The embedded store and the keys that were made.
    pub data: PathBuf,
    /// The profile of the project `default` when it is made.
    pub profile: String,
    /// Further profiles, a file each.
    pub profiles_dir: Option<PathBuf>,
    pub egress: EgressPolicy,
    /// What requests to receivers go out through.
    pub egress_proxy: Option<Proxy>,
    /// Further trust roots for receivers, as PEM.
    pub extra_roots: Option<Vec<u8>>,
    /// How the server is reached from outside.
    pub base_url: String,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: TrustedProxies,
    /// Events, deliveries and attempts are kept so long.
    pub retention: Duration,
    /// Final deliveries kept of each webhook; `None` keeps all within the retention.
    pub retention_deliveries: Option<u32>,
    pub https_only: bool,
    /// Requests under way for one webhook, at most.
    pub webhook_concurrency: u32,
    /// Requests under way in all, at most.
    pub concurrency: usize,
    /// Connections to receivers kept for further requests, at most.
    pub kept_connections: usize,
    /// Largest data of one event, in bytes.
    pub max_event_bytes: usize,
    /// Bytes that requests, responses, deliveries and logs may take in memory, together.
    pub memory_bytes: usize,
    /// Bytes that responses of one organization's receivers may add to the log in a day.
    pub log_bytes_per_day: usize,
    /// How long a stop waits for requests under way.
    pub drain: Duration,
    /// How long a stop by SIGTERM goes on serving, though it is not ready any more.
    pub shutdown_delay: Duration,
    /// Grants that a user may have, at most.
    pub max_grants: usize,
}

/// A setting that cannot be used, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A value that is not what it should be.
    #[error("{setting}: {reason}")]
    Value { setting: &'static str, reason: String },
    /// The settings file cannot be read or understood.
    #[error("{file}: {reason}")]
    File { file: String, reason: String },
    /// Mistakes in profiles, a line each.
    #[error("{0}")]
    Profiles(String),
}

impl SettingsError {
    fn value(setting: &'static str, reason: impl Into<String>) -> Self {
        SettingsError::Value { setting, reason: reason.into() }
    }
}

impl Settings {
    /// Checks what the sources say.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn new(sources: &Sources) -> Result<Self, SettingsError> {
        refuse_unsupported(sources)?;
        let listen = sources.listen.as_deref().unwrap_or("127.0.0.1:8686");
        let listen: SocketAddr = listen.parse().map_err(|_| {
            SettingsError::value("listen", format!("{listen:?} is no address with port, such as 127.0.0.1:8686"))
        })?;
        let egress = sources.egress_allow.as_deref().unwrap_or_default();
        let egress: EgressPolicy =
            egress.parse().map_err(|error| SettingsError::value("egress_allow", format!("{error}")))?;
        let days = within("retention_days", sources.retention_days, 30, 1..=3_650)?;
        Ok(Settings {
            listen,
            data: sources.data.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_DATA)),
            profile: sources.profile.clone().unwrap_or_else(|| DEFAULT_PROFILE.to_owned()),
            profiles_dir: sources.profiles_dir.clone(),
            egress: egress.with_own_listeners([listen]),
            egress_proxy: sources
                .egress_proxy
                .as_deref()
                .map(Proxy::parse)
                .transpose()
                .map_err(|reason| SettingsError::value("egress_proxy", reason))?,
            extra_roots: sources.tls_ca_file.as_deref().map(read_roots).transpose()?,
            base_url: base_url(sources.base_url.as_deref(), listen)?,
            trusted_proxies: sources
                .trusted_proxies
                .as_deref()
                .unwrap_or_default()
                .parse()
                .map_err(|error| SettingsError::value("trusted_proxies", format!("{error}")))?,
            retention: Duration::from_secs(u64::from(days) * 86_400),
            retention_deliveries: sources
                .retention_deliveries
                .map(|keep| within("retention_deliveries", Some(keep), keep, 1..=10_000_000))
                .transpose()?,
            https_only: sources.https_only.unwrap_or(false),
            webhook_concurrency: within("webhook_concurrency", sources.webhook_concurrency, 64, 1..=1_024)?,
            concurrency: within("concurrency", sources.concurrency, 4_096, 1..=65_536)? as usize,
            kept_connections: within("kept_connections", sources.kept_connections, 8_192, 0..=262_144)? as usize,
            max_event_bytes: within("max_event_bytes", sources.max_event_bytes, 256 << 10, 1..=(16 << 20))? as usize,
            memory_bytes: within("memory_mib", sources.memory_mib, 256, 4..=65_536)? as usize * (1 << 20),
            log_bytes_per_day: within("log_mib_per_day", sources.log_mib_per_day, 1_024, 1..=1_048_576)? as usize
                * (1 << 20),
            drain: Duration::from_secs(within("drain_seconds", sources.drain_seconds, 30, 0..=3_600)?.into()),
            shutdown_delay: Duration::from_secs(
                within("shutdown_delay_seconds", sources.shutdown_delay_seconds, 0, 0..=3_600)?.into(),
            ),
            max_grants: within("max_grants_per_user", sources.max_grants_per_user, 1_000, 1..=10_000)? as usize,
        })
    }
}

impl Settings {
    /// The host of the base URL, with its port if it has one.
    pub fn base_authority(&self) -> &str {
        let after = self.base_url.split_once("://").map_or(self.base_url.as_str(), |(_, rest)| rest);
        after.split('/').next().unwrap_or(after)
    }
}

/// What is settled for later must not be passed over in silence.
fn refuse_unsupported(sources: &Sources) -> Result<(), SettingsError> {
    if sources.database_url.is_some() {
        let reason = "this version keeps its data in the embedded store only; remove the setting";
        return Err(SettingsError::value("database_url", reason));
    }
    Ok(())
}

fn within(
    setting: &'static str,
    value: Option<u32>,
    default: u32,
    range: std::ops::RangeInclusive<u32>,
) -> Result<u32, SettingsError> {
    let value = value.unwrap_or(default);
    if range.contains(&value) {
        return Ok(value);
    }
    Err(SettingsError::value(setting, format!("{value} is not from {} to {}", range.start(), range.end())))
}

fn read_roots(path: &Path) -> Result<Vec<u8>, SettingsError> {
    std::fs::read(path).map_err(|error| SettingsError::value("tls_ca_file", format!("{}: {error}", path.display())))
}

fn base_url(given: Option<&str>, listen: SocketAddr) -> Result<String, SettingsError> {
    let Some(given) = given else { return Ok(format!("http://{listen}")) };
    let wrong = |reason: String| SettingsError::value("base_url", format!("{given:?} {reason}"));
    let url = url::Url::parse(given).map_err(|error| wrong(format!("is no URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
        return Err(wrong("must start with https:// or http://".to_owned()));
    }
    // Paths are added at its end.
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("must be a host, and a path if there is one, without user name, ? and #".to_owned()));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<Settings, SettingsError> {
        Settings::new(&Sources::parse("fanfare.toml", text)?)
    }

    #[test]
    fn defaults_stand_where_nothing_is_said() {
        let settings = settings("").unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8686");
        assert_eq!(settings.base_url, "http://127.0.0.1:8686");
        assert_eq!(settings.max_event_bytes, 262_144);
    }

    #[test]
    fn what_may_be_called_is_a_text_or_a_list() {
        let allowed = |value: &str| settings(&format!("egress_allow = {value}")).unwrap().egress;
        assert_eq!(allowed("[\"10.0.0.0/8\", \"localhost\"]"), allowed("\"10.0.0.0/8, localhost\""));
        assert_eq!(allowed("[]"), settings("").unwrap().egress);
    }

    #[test]
    fn the_base_urls_host_is_the_senders() {
        let host = |url: &str| settings(&format!("base_url = {url:?}")).unwrap().base_authority().to_owned();
        assert_eq!(host("https://hooks.example.com/fanfare/"), "hooks.example.com");
        assert_eq!(host("http://[::1]:8686"), "[::1]:8686");
        assert_eq!(host(" https:hooks.example.com"), "hooks.example.com");
    }

    #[test]
    fn a_base_url_is_one_to_which_a_path_can_be_added() {
        let base = |url: &str| settings(&format!("base_url = {url:?}")).map(|settings| settings.base_url);
        assert_eq!(base(" HTTPS://Example.com/a/ ").unwrap(), "https://example.com/a");
        for bad in
            ["https://example.com/?a", "https://example.com/#a", "https://u@example.com", "https://u:p@example.com"]
        {
            assert!(base(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bad_value_is_named() {
        let error = settings("listen = \"8686\"").unwrap_err().to_string();
        assert_eq!(error, "listen: \"8686\" is no address with port, such as 127.0.0.1:8686");
        let error = settings("retention_days = 0").unwrap_err().to_string();
        assert_eq!(error, "retention_days: 0 is not from 1 to 3650");
        assert!(settings("base_url = \"ftp://x\"").is_err());
        assert!(settings("egress_allow = \"10.0.0.0/33\"").is_err());
        assert!(settings("egress_allow = [\"10.0.0.0/8\", \"10.0.0.0/33\"]").is_err());
        assert!(
            settings("trusted_proxies = [\"proxy.example.com\"]").unwrap_err().to_string().contains("is no network")
        );
        assert!(settings("egress_allow = 7").unwrap_err().to_string().contains("or a list of texts"));
    }

    #[test]
    fn a_broken_file_is_refused_with_its_line() {
        let error = settings("listen = \"127.0.0.1:1\"\nlisten_to = 3").unwrap_err().to_string();
        assert!(error.starts_with("fanfare.toml: line 2"), "{error}");
        assert!(error.contains("listen_to"), "{error}");
    }

    #[test]
    fn what_is_not_supported_is_not_passed_over() {
        assert!(settings("database_url = \"postgres://x\"").is_err());
    }
}
