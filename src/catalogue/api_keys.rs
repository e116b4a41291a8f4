//! API keys: made, listed, deleted. A key is shown once; a hash of it is kept.

use fanfare_engine::id::{ApiKeyId, OrganizationId, ProjectId};
use fanfare_engine::time::Timestamp;
use fanfare_store::catalogue::Page;
use fanfare_store::catalogue::api_keys::{self as rows, ApiKey};

use super::fields::Faults;
use super::{CatalogueResult, check_room};
use crate::app::App;
use crate::random;

/// How many keys a project may have.
pub const MAX_API_KEYS: u32 = 1_000;
/// What a key starts with.
pub const KEY_PREFIX: &str = "ffk_";
/// The scope of keys that act for the host itself.
const HOST: &str = "host";
/// How many characters follow: more than 238 bits.
const KEY_CHARS: usize = 40;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    pub name: String,
    /// The names of its scopes.
    pub scopes: Vec<String>,
    pub organization: Option<OrganizationId>,
    pub user: Option<String>,
    pub expires_at: Option<Timestamp>,
}

/// A text that nobody can guess, to be a key.
pub fn make_key() -> String {
    let mut key = KEY_PREFIX.to_owned();
    while key.len() < KEY_PREFIX.len() + KEY_CHARS {
        // Bytes beyond the last multiple of 62 are thrown away, so that all characters are equally likely.
        let fresh = random::bytes::<64>().into_iter().filter(|byte| *byte < 248);
        let missing = KEY_PREFIX.len() + KEY_CHARS - key.len();
        key.extend(fresh.take(missing).map(|byte| char::from(ALPHABET[usize::from(byte % 62)])));
    }
    key
}

/// Whether a key looks like those that Fanfare makes, API keys and admin keys, which nobody can guess.
pub fn is_made(key: &str) -> bool {
    let rest = key.strip_prefix(KEY_PREFIX).unwrap_or_default();
    rest.len() >= KEY_CHARS && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Makes a key; answers the key itself, too, which is shown this once.
///
/// # Errors
/// Fields that are not valid, or too many keys.
pub async fn create(app: &App, project: ProjectId, new: NewApiKey) -> CatalogueResult<(ApiKey, String)> {
    let now = app.now();
    check(&new, now)?;
    check_room(app.store.read_one(rows::count(project)).await?, "API keys in a project", MAX_API_KEYS)?;
    let row = ApiKey {
        id: app.ids.next(),
        project,
        name: new.name,
        scopes: new.scopes,
        organization: new.organization,
        user: new.user,
        created_at: now,
        expires_at: new.expires_at,
    };
    let key = make_key();
    app.make(rows::insert(&row, &app.vault.hash_api_key(&key)), None, &row.id.to_string()).await?;
    Ok((row, key))
}

/// A page of a project's keys.
pub async fn list(app: &App, project: ProjectId, page: Page) -> CatalogueResult<Vec<ApiKey>> {
    Ok(app.store.read(rows::list(project, page)).await?)
}

/// Deletes a key: it is refused from now on.
pub async fn delete(app: &App, project: ProjectId, id: ApiKeyId) -> CatalogueResult<()> {
    app.change(rows::delete(project, id), None).await?;
    app.keyring.forget();
    Ok(())
}

fn check(new: &NewApiKey, now: Timestamp) -> CatalogueResult<()> {
    let mut faults = Faults::default();
    faults.name("name", &new.name);
    faults.require(!new.scopes.is_empty(), "scopes", || "must name at least one scope".to_owned());
    if let Some(user) = &new.user {
        faults.external_id("user", user);
        let is_hosts = new.scopes.iter().any(|scope| scope == HOST);
        faults.require(!is_hosts, "user", || "cannot go with the scope host: the key acts for the user".to_owned());
        faults.require(new.organization.is_some(), "user", || "needs organization: a user belongs to one".to_owned());
    }
    faults.require(new.expires_at.is_none_or(|end| end > now), "expires_at", || "must be in the future".to_owned());
    faults.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_long_and_differ() {
        let (one, other) = (make_key(), make_key());
        assert_ne!(one, other);
        assert_eq!(one.len(), KEY_PREFIX.len() + KEY_CHARS);
        assert!(
            is_made(&one)
                && !is_made("ffk_short")
                && !is_made("a key that somebody thought up, longer than forty-four")
        );
        assert!(one[KEY_PREFIX.len()..].bytes().all(|byte| byte.is_ascii_alphanumeric()), "{one}");
    }
}
