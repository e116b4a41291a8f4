//! What of a webhook's settings a profile does not allow, field by field.

use std::collections::BTreeMap;

use url::Url;

use super::{AuthKind, MAX_RETRIES, MAX_RETRY_DELAY, MAX_TIMEOUT_SECONDS, Profile, SecretRule};
use crate::event::is_valid_type_name;
use crate::header;
use crate::signing::check_secret;
use crate::webhook::{Auth, Credentials, Events, RateLimit, RetryOverride, Secret, Settings};

/// The longest name of a webhook, in characters.
pub const MAX_NAME_CHARS: usize = 200;
/// The longest URL, in bytes.
pub const MAX_URL_BYTES: usize = 2_048;
/// The most entries of a webhook's metadata.
pub const MAX_METADATA_ENTRIES: usize = 50;
/// The longest key of a webhook's metadata, in bytes.
pub const MAX_METADATA_KEY_BYTES: usize = 64;
/// The longest value of a webhook's metadata, in bytes.
pub const MAX_METADATA_VALUE_BYTES: usize = 512;
/// The most requests a second that a rate limit may name.
pub const MAX_RATE_PER_SECOND: u32 = 10_000;
/// The most secrets that a webhook may have at once, replaced ones included.
pub const MAX_SECRETS: usize = 10;
/// The longest type or id in a filter, in bytes.
pub const MAX_FILTER_BYTES: usize = 256;
/// The longest user name, password or token, in bytes.
pub const MAX_AUTH_BYTES: usize = 2_048;

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field's path, `retry.delays_seconds[3]`.
    pub field: String,
    /// For people; reads on after the field's name.
    pub message: String,
}

impl FieldError {
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        FieldError { field: field.into(), message: message.into() }
    }
}

impl Profile {
    /// Whether a webhook of this profile may have these settings. Which addresses may be dialled is not judged here.
    ///
    /// # Errors
    /// Every field that it may not have so.
    pub fn check_settings(&self, settings: &Settings, credentials: &Credentials) -> Result<(), Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut check = |field: &str, result: Result<(), String>| {
            errors.extend(result.err().map(|message| FieldError::new(field, message)));
        };
        check("name", self.check_name(&settings.name));
        check("url", self.check_url(&settings.url));
        check("events", self.check_events(&settings.events));
        check("method", one_of(&settings.method, &self.methods.allowed, |method| method.as_http().to_string()));
        check(
            "content_type",
            one_of(&settings.content_type, &self.content_types.allowed, |kind| kind.as_str().to_owned()),
        );
        if settings.include_entity && !self.include_entity {
            check("include_entity", Err("must be false: this profile's payload has no entity".to_owned()));
        }
        check("timeout_seconds", self.check_timeout(settings.timeout_seconds));
        if let Some(limit) = settings.rate_limit {
            check(limit.field(), check_rate(limit));
        }
        check("metadata", check_metadata(&settings.metadata));
        errors.extend(self.check_filter(&settings.events, settings.filter.as_ref()));
        let mut check = |field: &str, result: Result<(), String>| {
            errors.extend(result.err().map(|message| FieldError::new(field, message)));
        };
        if let Some(auth) = &credentials.auth {
            check("auth", self.check_auth(auth));
        }
        if let Some(retry) = &settings.retry {
            errors.extend(self.check_retry(retry));
        }
        errors.extend(header::check_custom(self, &credentials.headers, credentials.auth.is_some()));
        errors.extend(self.check_secrets(&credentials.secrets));
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Whether webhooks of this profile may have this URL, by its form alone.
    ///
    /// # Errors
    /// What it must be.
    pub fn check_url(&self, text: &str) -> Result<(), String> {
        if text.len() > MAX_URL_BYTES {
            return Err(format!("must have at most {MAX_URL_BYTES} bytes"));
        }
        // The URL standard drops or rewrites these silently; what was saved would not be what is called.
        if text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err("must not contain spaces, control characters or backslashes".to_owned());
        }
        let example = "write a whole URL such as https://example.com/webhooks";
        let url = match Url::parse(text) {
            Ok(url) => url,
            Err(_) if text.is_empty() => return Err(format!("is empty; {example}")),
            Err(url::ParseError::RelativeUrlWithoutBase) => return Err(format!("is not a whole one; {example}")),
            Err(reason) => return Err(format!("is no URL ({reason}); {example}")),
        };
        if !self.schemes.iter().any(|scheme| scheme.as_str() == url.scheme()) {
            let allowed: Vec<String> = self.schemes.iter().map(|scheme| format!("{}://", scheme.as_str())).collect();
            return Err(format!("must start with {}", allowed.join(" or ")));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not contain a user name or password; use auth for them".to_owned());
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err("must name a host".to_owned());
        }
        Ok(())
    }

    fn check_name(&self, name: &str) -> Result<(), String> {
        if self.name_required && name.trim().is_empty() {
            return Err("is required".to_owned());
        }
        if name.chars().count() > MAX_NAME_CHARS {
            return Err(format!("must have at most {MAX_NAME_CHARS} characters"));
        }
        match name.contains(char::is_control) {
            true => Err("must not contain line breaks and other control characters".to_owned()),
            false => Ok(()),
        }
    }

    fn check_events(&self, events: &Events) -> Result<(), String> {
        let names = match events {
            Events::All if self.events.all => return Ok(()),
            Events::All => return Err("must name event types: this profile does not offer \"all\"".to_owned()),
            Events::Only(names) => names,
        };
        if names.is_empty() && self.events.at_most > 1 {
            return Err("must name at least one event type".to_owned());
        }
        if names.is_empty() || names.len() > self.events.at_most {
            let most = self.events.at_most;
            let wanted =
                if most == 1 { "exactly one event type".to_owned() } else { format!("1 to {most} event types") };
            return Err(format!("must name {wanted}, not {}", names.len()));
        }
        match names.iter().find(|name| !is_valid_type_name(name)) {
            Some(name) => Err(format!("has {name:?}, which is no name of an event type")),
            None => Ok(()),
        }
    }

    fn check_auth(&self, auth: &Auth) -> Result<(), String> {
        let kind = match auth {
            Auth::Basic { .. } => AuthKind::Basic,
            Auth::Bearer { .. } => AuthKind::Bearer,
        };
        if !self.auth.contains(&kind) {
            let named = |kind: &AuthKind| if *kind == AuthKind::Basic { "basic" } else { "bearer" };
            let allowed: Vec<&str> = self.auth.iter().map(named).collect();
            return Err(match allowed.is_empty() {
                true => "must be null: webhooks of this profile do not log in".to_owned(),
                false => format!("must be {} in this profile", allowed.join(" or ")),
            });
        }
        check_auth_text(auth)
    }

    fn check_timeout(&self, seconds: Option<u32>) -> Result<(), String> {
        match seconds {
            Some(_) if !self.timeouts.own => Err("cannot be set in this profile".to_owned()),
            Some(seconds) if !(1..=MAX_TIMEOUT_SECONDS).contains(&seconds) => {
                Err(format!("must be from 1 to {MAX_TIMEOUT_SECONDS}"))
            }
            _ => Ok(()),
        }
    }

    fn check_retry(&self, retry: &RetryOverride) -> Vec<FieldError> {
        if !self.retry.own {
            return vec![FieldError::new("retry", "cannot be set in this profile")];
        }
        let mut errors = Vec::new();
        let count = retry.delays_seconds.len();
        if count > MAX_RETRIES {
            let message = format!("must have at most {MAX_RETRIES} delays, not {count}");
            errors.push(FieldError::new("retry.delays_seconds", message));
        }
        let longest = MAX_RETRY_DELAY.as_secs();
        let outside = |delay: u32| !(1..=longest).contains(&u64::from(delay));
        if let Some(index) = retry.delays_seconds.iter().position(|delay| outside(*delay)) {
            let message = format!("must be from 1 to {longest} (7 days)");
            errors.push(FieldError::new(format!("retry.delays_seconds[{index}]"), message));
        }
        if !(0.0..=1.0).contains(&retry.jitter) {
            errors.push(FieldError::new("retry.jitter", "must be from 0 to 1"));
        }
        errors
    }

    fn check_secrets(&self, secrets: &[Secret]) -> Vec<FieldError> {
        if secrets.is_empty() {
            return Vec::new();
        }
        if self.secret.rule == SecretRule::None {
            return vec![FieldError::new("secret", "is not used: webhooks of this profile are not signed")];
        }
        if secrets.len() > MAX_SECRETS {
            return vec![FieldError::new("secrets", format!("must be at most {MAX_SECRETS}, not {}", secrets.len()))];
        }
        let check = |(index, secret): (usize, &Secret)| {
            let field = if index == 0 { "secret".to_owned() } else { format!("secrets[{index}]") };
            check_secret(self, &secret.value, secret.header.as_deref())
                .err()
                .map(|message| FieldError::new(field, message))
        };
        secrets.iter().enumerate().filter_map(check).collect()
    }
}

fn one_of<T: PartialEq>(value: &T, allowed: &[T], text: impl Fn(&T) -> String) -> Result<(), String> {
    if allowed.contains(value) {
        return Ok(());
    }
    let allowed: Vec<String> = allowed.iter().map(text).collect();
    Err(format!("must be {} in this profile", allowed.join(" or ")))
}

fn check_auth_text(auth: &Auth) -> Result<(), String> {
    let long = |text: &str| text.len() > MAX_AUTH_BYTES;
    match auth {
        Auth::Basic { username, password } if long(username) || long(password) => {
            Err(format!("must have a user name and password of at most {MAX_AUTH_BYTES} bytes each"))
        }
        Auth::Basic { username, .. } if username.contains(':') => {
            Err("must have a user name without a colon, which separates it from the password".to_owned())
        }
        Auth::Basic { username, password }
            if [username, password].iter().any(|text| text.contains(char::is_control)) =>
        {
            Err("must have a user name and password without control characters".to_owned())
        }
        Auth::Bearer { token }
            if token.is_empty() || long(token) || !token.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            Err(format!("must have a token of 1 to {MAX_AUTH_BYTES} visible ASCII characters"))
        }
        _ => Ok(()),
    }
}

fn check_rate(limit: RateLimit) -> Result<(), String> {
    let (count, most) = match limit {
        RateLimit::PerSecond(count) => (count, MAX_RATE_PER_SECOND),
        RateLimit::PerMinute(count) => (count, MAX_RATE_PER_SECOND * 60),
    };
    if (1..=most).contains(&count) { Ok(()) } else { Err(format!("must be from 1 to {most}")) }
}

fn check_metadata(metadata: &BTreeMap<String, String>) -> Result<(), String> {
    if metadata.len() > MAX_METADATA_ENTRIES {
        return Err(format!("must have at most {MAX_METADATA_ENTRIES} entries, not {}", metadata.len()));
    }
    if metadata.keys().any(|key| key.is_empty() || key.len() > MAX_METADATA_KEY_BYTES) {
        return Err(format!("must have keys of 1 to {MAX_METADATA_KEY_BYTES} bytes"));
    }
    match metadata.values().any(|value| value.len() > MAX_METADATA_VALUE_BYTES) {
        true => Err(format!("must have values of at most {MAX_METADATA_VALUE_BYTES} bytes")),
        false => Ok(()),
    }
}
