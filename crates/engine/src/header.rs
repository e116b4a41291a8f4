//! Which headers a webhook or a profile may add to requests.

use http::{HeaderName, HeaderValue};

use crate::profile::{CustomHeaders, FieldError, Profile};

/// The most bytes that a webhook's headers may have in all, names and values.
pub const MAX_HEADERS_BYTES: usize = 16 * 1024;
/// The most bytes that one header's value may have.
pub const MAX_VALUE_BYTES: usize = 4 * 1024;
/// The most bytes that a header's name may have.
pub const MAX_NAME_BYTES: usize = 256;

/// Headers that belong to the connection; whoever sets them breaks or smuggles requests.
const CONNECTION: [&str; 10] = [
    "host",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "connection",
    "upgrade",
    "expect",
    "keep-alive",
    "http2-settings",
];
/// On the delivery of an event that was a delivery before: how many it is now. Other deliveries have no such header, so that their
/// wire format is the profile's alone.
pub const HOPS: HeaderName = HeaderName::from_static("fanfare-hops");
/// Headers that are on every request anyway, would contradict it, or would hide a loop.
const AUTOMATIC: [&str; 6] =
    ["user-agent", "accept", "accept-encoding", "content-type", "content-encoding", "fanfare-hops"];
/// Parts of header names by which a value is taken for a credential.
const CREDENTIALS: [&str; 11] = [
    "auth",
    "token",
    "secret",
    "passw",
    "passphrase",
    "apikey",
    "accesskey",
    "cookie",
    "credential",
    "signature",
    "session",
];
/// Whole words of header names by which it is, too; as parts they stand in other words.
const CREDENTIAL_WORDS: [&str; 8] = ["key", "keys", "pass", "pwd", "pin", "sig", "sign", "jwt"];

/// Whether the value of a header with this name, in any case, may be a credential, and is not to be shown or logged.
pub fn may_be_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let mut words = name.split(|letter: char| !letter.is_ascii_alphanumeric());
    CREDENTIALS.iter().any(|part| name.contains(part)) || words.any(|word| CREDENTIAL_WORDS.contains(&word))
}

/// Whether a header that was sent may be one that a webhook added, so that its value is its managers' alone. `profile` is the
/// webhook's, where it is known.
pub fn may_be_custom(profile: Option<&Profile>, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_profiles =
        |profile: &Profile| HeaderName::try_from(name.as_str()).is_ok_and(|name| profile.sends_header(&name));
    !profile.is_some_and(is_profiles) && !CONNECTION.iter().chain(&AUTOMATIC).any(|reserved| *reserved == name)
}

/// What is wrong with a webhook's own headers under `profile`; nothing where all may be sent. `with_auth` says whether the
/// webhook logs in, which is a header too.
pub fn check_custom(profile: &Profile, headers: &[(String, String)], with_auth: bool) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Some(reason) = too_many(profile.custom_headers, headers.len()) {
        errors.push(FieldError::new("headers", reason));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > MAX_HEADERS_BYTES {
        errors.push(FieldError::new(
            "headers",
            format!("must have at most {MAX_HEADERS_BYTES} bytes in all, not {bytes}"),
        ));
        return errors;
    }
    let mut seen = std::collections::HashSet::new();
    for (name, value) in headers {
        let field = || format!("headers.{}", name.escape_debug());
        match custom_name(profile, name, with_auth) {
            Ok(parsed) => {
                if !seen.insert(parsed) {
                    errors.push(FieldError::new(field(), "is given twice"));
                }
            }
            Err(reason) => errors.push(FieldError::new(field(), reason)),
        }
        if let Err(reason) = check_value(value) {
            errors.push(FieldError::new(field(), reason));
        }
    }
    errors
}

fn too_many(allowed: CustomHeaders, count: usize) -> Option<&'static str> {
    match allowed {
        CustomHeaders::None if count > 0 => {
            Some("are not allowed: webhooks of this profile have no headers of their own")
        }
        CustomHeaders::One if count > 1 => Some("must be one at most in this profile"),
        _ => None,
    }
}

fn custom_name(profile: &Profile, name: &str, with_auth: bool) -> Result<HeaderName, String> {
    let parsed = free_name(name)?;
    if profile.sends_header(&parsed) {
        return Err("is sent by the profile itself".to_owned());
    }
    if with_auth && parsed == http::header::AUTHORIZATION {
        return Err("is set by auth already; give one of the two".to_owned());
    }
    Ok(parsed)
}

/// The name of a header that a profile sends. The error says why it may not.
pub(crate) fn profile_name(name: &str) -> Result<HeaderName, String> {
    match free_name(name)? {
        http::header::AUTHORIZATION => Err("is set by a webhook's auth".to_owned()),
        parsed => Ok(parsed),
    }
}

/// A header name that is neither the connection's nor automatic.
fn free_name(name: &str) -> Result<HeaderName, String> {
    if name.len() > MAX_NAME_BYTES {
        return Err(format!("must have a name of at most {MAX_NAME_BYTES} bytes"));
    }
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| "is no header name: letters, digits and - are, spaces and colons are not".to_owned())?;
    let text = parsed.as_str();
    if CONNECTION.contains(&text) || text.starts_with("proxy-") {
        return Err("belongs to the connection and cannot be set".to_owned());
    }
    if AUTOMATIC.contains(&text) {
        return Err("is set automatically and cannot be set here".to_owned());
    }
    Ok(parsed)
}

/// Whether a header's value can be sent. The error is for people.
pub fn check_value(value: &str) -> Result<(), String> {
    if value.len() > MAX_VALUE_BYTES {
        return Err(format!("must have a value of at most {MAX_VALUE_BYTES} bytes, not {}", value.len()));
    }
    match HeaderValue::from_bytes(value.as_bytes()) {
        Ok(_) => Ok(()),
        Err(_) => Err("must have a value without line breaks and other control characters".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_credentials_are_known() {
        for name in [
            "Authorization",
            "X-Api-Key",
            "X-APIKEY",
            "X-Functions-Key",
            "Ocp-Apim-Subscription-Key",
            "X-Access-Key",
            "X-Pass",
            "X-Pwd",
            "X-Sig",
            "X-Hub-Signature",
            "X-Auth-Token",
            "Cookie",
            "x_key",
            "X-Passphrase",
            "X-Session-Id",
        ] {
            assert!(may_be_credential(name), "{name}");
        }
        for name in
            ["X-Tenant", "X-Monkey", "X-Keyboard", "X-Design", "X-Bypass", "X-Passenger", "new-schedule", "X-Team"]
        {
            assert!(!may_be_credential(name), "{name}");
        }
    }
}
