//! Replacing a webhook's secret so that receivers have time to learn the new one.

use std::time::Duration;

use fanfare_engine::profile::{FieldError, MAX_SECRETS, SecretRule};
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::{Credentials, Secret};

use super::create::fresh_secret;
use super::edit::write;
use super::{NAME, OpenWebhook, Place, find, turn};
use crate::app::App;
use crate::catalogue::{CatalogueError, CatalogueResult, EDIT_TRIES};

/// The longest that a replaced secret may still sign: 30 days.
pub const MAX_OVERLAP_SECONDS: u32 = 30 * 86_400;

/// How a secret is to be replaced.
#[derive(Clone, Default)]
pub struct Rotation {
    /// The new one; one is made where none is given.
    pub secret: Option<String>,
    /// How long the replaced ones still sign at most; the profile's overlap where it is not said.
    pub overlap_seconds: Option<u32>,
}

/// Replaces a webhook's secret. Those that it had still sign for the overlap, unless their own end comes before.
///
/// # Errors
/// It is unknown in this place, its profile does not sign, the secret does not suit, or too many still sign.
pub async fn rotate(app: &App, place: &Place, text: &str, rotation: &Rotation) -> CatalogueResult<OpenWebhook> {
    if rotation.overlap_seconds.is_some_and(|seconds| seconds > MAX_OVERLAP_SECONDS) {
        let message = format!("must be from 0 to {MAX_OVERLAP_SECONDS} (30 days)");
        return Err(CatalogueError::field("overlap_seconds", message));
    }
    let _turn = turn(app, text).await?;
    for _ in 0..EDIT_TRIES {
        let before = find(app, place, text).await?;
        let unknown = "the webhook's profile is not among this server's profiles any more; choose another one for it";
        let profile = app.profiles.get(&before.row.profile).cloned().ok_or(CatalogueError::State(unknown))?;
        if profile.secret.rule == SecretRule::None {
            return Err(CatalogueError::State(
                "webhooks of this profile are not signed, so there is no secret to rotate",
            ));
        }
        let value = rotation.secret.clone().unwrap_or_else(|| fresh_secret(&profile));
        let overlap =
            rotation.overlap_seconds.map_or(profile.secret.overlap, |seconds| Duration::from_secs(seconds.into()));
        let mut after = before.clone();
        replace_secret(&mut after.credentials, value, overlap, app.now())?;
        check_secret(&profile, &after)?;
        if let Some(done) = write(app, place, &profile, &before, after).await? {
            return Ok(done);
        }
    }
    Err(CatalogueError::Contended(NAME))
}

/// Only what is wrong with the secrets: another field that does not suit any more must not prevent a rotation.
fn check_secret(profile: &fanfare_engine::profile::Profile, webhook: &OpenWebhook) -> CatalogueResult<()> {
    let Err(errors) = profile.check_settings(&webhook.row.settings, &webhook.credentials) else { return Ok(()) };
    let errors: Vec<FieldError> = errors.into_iter().filter(|error| error.field == "secret").collect();
    if errors.is_empty() { Ok(()) } else { Err(CatalogueError::Invalid(errors)) }
}

/// Puts `value` first; those before it end after `overlap`, and those whose end has come are dropped.
pub(super) fn replace_secret(
    credentials: &mut Credentials,
    value: String,
    overlap: Duration,
    now: Timestamp,
) -> CatalogueResult<()> {
    if credentials.secrets.first().is_some_and(|current| current.value == value) {
        return Err(CatalogueError::field("secret", "is the present one already; give another one"));
    }
    let end = now.plus(overlap);
    let mut secrets = vec![Secret { value, expires_at: None }];
    for mut secret in credentials.secrets.drain(..) {
        secret.expires_at = Some(secret.expires_at.map_or(end, |own| own.min(end)));
        if secret.is_live(now) && secret.value != secrets[0].value {
            secrets.push(secret);
        }
    }
    if secrets.len() > MAX_SECRETS {
        let message =
            format!("cannot be replaced now: {MAX_SECRETS} secrets still sign; set overlap_seconds to 0 to end them");
        return Err(CatalogueError::field("secret", message));
    }
    credentials.secrets = secrets;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(credentials: &Credentials) -> Vec<(&str, Option<i64>)> {
        credentials.secrets.iter().map(|secret| (secret.value.as_str(), secret.expires_at.map(|end| end.0))).collect()
    }

    #[test]
    fn case_075_a_replaced_secret_signs_until_its_overlap_ends() {
        let mut credentials = Credentials::default();
        let mut replace = |value: &str, overlap: u64, now: i64| {
            replace_secret(&mut credentials, value.to_owned(), Duration::from_millis(overlap), Timestamp(now)).unwrap();
            credentials.clone()
        };
        assert_eq!(values(&replace("a", 10, 0)), [("a", None)]);
        assert_eq!(values(&replace("b", 10, 0)), [("b", None), ("a", Some(10))]);
        assert_eq!(values(&replace("c", 100, 5)), [("c", None), ("b", Some(105)), ("a", Some(10))]);
        assert_eq!(values(&replace("d", 100, 10)), [("d", None), ("c", Some(110)), ("b", Some(105))]);
        assert_eq!(values(&replace("e", 0, 20)), [("e", None)]);
    }

    #[test]
    fn no_more_sign_than_may() {
        let mut credentials = Credentials::default();
        let overlap = Duration::from_secs(60);
        for number in 0..MAX_SECRETS {
            replace_secret(&mut credentials, number.to_string(), overlap, Timestamp(0)).unwrap();
        }
        assert!(replace_secret(&mut credentials.clone(), "x".to_owned(), overlap, Timestamp(0)).is_err());
        assert!(replace_secret(&mut credentials, "x".to_owned(), Duration::ZERO, Timestamp(0)).is_ok());
    }
}
