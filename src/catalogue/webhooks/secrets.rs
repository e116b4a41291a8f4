//! Replacing a webhook's secret so that receivers have time to learn the new one.

use std::time::Duration;

use fanfare_engine::profile::{FieldError, MAX_SECRETS, SecretRule};
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::{Credentials, Secret};

use super::create::fresh_secret;
use super::edit::write;
use super::{NAME, OpenWebhook, Place, managed, turn};
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
    /// The header whose secret is to be replaced, where a webhook has several; the present one's where it is not said.
    pub header: Option<String>,
}

/// Replaces a webhook's secret. Those that it had still sign for the overlap, unless their own end comes before.
///
/// # Errors
/// It is unknown in this place, the user may not manage it, its profile does not sign, the secret does not suit, or too many
/// still sign.
pub async fn rotate(app: &App, place: &Place, text: &str, rotation: &Rotation) -> CatalogueResult<OpenWebhook> {
    if rotation.overlap_seconds.is_some_and(|seconds| seconds > MAX_OVERLAP_SECONDS) {
        let message = format!("must be from 0 to {MAX_OVERLAP_SECONDS} (30 days)");
        return Err(CatalogueError::field("overlap_seconds", message));
    }
    let _turn = turn(app, place, text).await?;
    for _ in 0..EDIT_TRIES {
        let before = managed(app, place, text).await?;
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
        let header = rotation.header.as_ref().map(|name| name.to_lowercase());
        replace_secret(&mut after.credentials, value, overlap, app.now(), header)?;
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
    let errors: Vec<FieldError> = errors.into_iter().filter(|error| error.field.starts_with("secret")).collect();
    if errors.is_empty() { Ok(()) } else { Err(CatalogueError::Invalid(errors)) }
}

/// Puts `value` in the place of the secret for `header`, or of the first one; those that it replaces end after `overlap`,
/// and those whose end has come are dropped.
pub(super) fn replace_secret(
    credentials: &mut Credentials,
    value: String,
    overlap: Duration,
    now: Timestamp,
    header: Option<String>,
) -> CatalogueResult<()> {
    let present = match &header {
        Some(_) => credentials.secrets.iter().position(|secret| secret.expires_at.is_none() && secret.header == header),
        None => Some(0),
    };
    let Some(place) = present else {
        let message = "names no header for which this webhook has a secret of its own; leave it out to replace its present secret";
        return Err(CatalogueError::field("header", message));
    };
    let header = header.or_else(|| credentials.secrets.first().and_then(|first| first.header.clone()));
    if credentials.secrets.get(place).is_some_and(|current| current.value == value) {
        return Err(CatalogueError::field("secret", "is the present one already; give another one"));
    }
    let end = now.plus(overlap);
    let new = Secret { value, expires_at: None, header };
    let mut secrets = Vec::with_capacity(credentials.secrets.len() + 1);
    for (index, mut secret) in credentials.secrets.drain(..).enumerate() {
        if index == place {
            secrets.push(new.clone());
        }
        if secret.shares_header_with(&new) {
            secret.expires_at = Some(secret.expires_at.map_or(end, |own| own.min(end)));
        }
        let again = secret.shares_header_with(&new) && secret.value == new.value;
        if secret.is_live(now) && !again {
            secrets.push(secret);
        }
    }
    if secrets.is_empty() {
        secrets.push(new);
    }
    if secrets.len() > MAX_SECRETS {
        let message = format!(
            "cannot be replaced now: {MAX_SECRETS} secrets still sign; choose an overlap of 0, which ends them at once"
        );
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
            replace_secret(&mut credentials, value.to_owned(), Duration::from_millis(overlap), Timestamp(now), None)
                .unwrap();
            credentials.clone()
        };
        assert_eq!(values(&replace("a", 10, 0)), [("a", None)]);
        assert_eq!(values(&replace("b", 10, 0)), [("b", None), ("a", Some(10))]);
        assert_eq!(values(&replace("c", 100, 5)), [("c", None), ("b", Some(105)), ("a", Some(10))]);
        assert_eq!(values(&replace("d", 100, 10)), [("d", None), ("c", Some(110)), ("b", Some(105))]);
        assert_eq!(values(&replace("e", 0, 20)), [("e", None)]);
    }

    #[test]
    fn the_secret_of_another_header_stays() {
        let old = Secret { header: Some("x-old".to_owned()), ..Secret::new("old") };
        let mut credentials = Credentials { secrets: vec![Secret::new("a"), old], ..Default::default() };
        let mut replace = |value: &str, header: Option<&str>| {
            let (overlap, header) = (Duration::from_millis(10), header.map(str::to_owned));
            replace_secret(&mut credentials, value.to_owned(), overlap, Timestamp(0), header)
                .map(|()| credentials.clone())
        };
        assert_eq!(values(&replace("b", None).unwrap()), [("b", None), ("a", Some(10)), ("old", None)]);
        let both = replace("older", Some("x-old")).unwrap();
        assert_eq!(values(&both), [("b", None), ("a", Some(10)), ("older", None), ("old", Some(10))]);
        assert_eq!(both.secrets[2].header.as_deref(), Some("x-old"));
        assert!(replace("c", Some("x-other")).is_err());
    }

    #[test]
    fn no_more_sign_than_may() {
        let mut credentials = Credentials::default();
        let overlap = Duration::from_secs(60);
        for number in 0..MAX_SECRETS {
            replace_secret(&mut credentials, number.to_string(), overlap, Timestamp(0), None).unwrap();
        }
        assert!(replace_secret(&mut credentials.clone(), "x".to_owned(), overlap, Timestamp(0), None).is_err());
        assert!(replace_secret(&mut credentials, "x".to_owned(), Duration::ZERO, Timestamp(0), None).is_ok());
    }
}
