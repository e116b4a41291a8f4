//! Secrets at rest: sealing them under the master key, and the hashes and marks that depend on it.
//!
//! Each use has a key of its own, derived from the master key. What is sealed is bound to what it is and whose, so
//! that a sealed value copied to another row cannot be opened there.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use fanfare_engine::id::WebhookId;
use fanfare_engine::webhook::Credentials;
use fanfare_store::catalogue::meta;
use fanfare_store::{Store, StoreError};

use crate::random;

/// The first byte of what is sealed: the form of the rest.
const FORM: u8 = 1;
const NONCE: usize = 24;
/// Under which key of `meta` the check value is.
const CHECK: &str = "master-key-check";
const CURSOR_MARK: usize = 16;

/// The key from which all others are derived: 32 bytes, given as 64 hexadecimal digits or as base64.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// A key that nobody can guess.
    pub fn generate() -> Self {
        MasterKey(random::bytes())
    }

    /// The form in which it is kept in a file: 64 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(****)")
    }
}

impl FromStr for MasterKey {
    type Err = VaultError;

    fn from_str(text: &str) -> Result<Self, VaultError> {
        let text = text.trim();
        if let Ok(hash) = blake3::Hash::from_hex(text) {
            return Ok(MasterKey(*hash.as_bytes()));
        }
        let bytes = STANDARD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text)).map_err(|_| VaultError::KeyForm)?;
        bytes.try_into().map(MasterKey).map_err(|_| VaultError::KeyForm)
    }
}

/// What goes wrong with sealed values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    #[error("the master key must be 32 bytes, written as 64 hexadecimal digits or as base64")]
    KeyForm,
    #[error(
        "the master key is not the one under which this database was sealed; start with that key, or restore the backup that belongs to this one"
    )]
    WrongKey,
    #[error("a sealed value cannot be opened: it is damaged or was moved")]
    Damaged,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Seals and opens what must not be read from the database, and hashes what need not be read at all.
#[derive(Clone)]
pub struct Vault {
    cipher: XChaCha20Poly1305,
    api_keys: [u8; 32],
    cursors: [u8; 32],
    sessions: [u8; 32],
    forms: [u8; 32],
    check: [u8; 32],
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(****)")
    }
}

fn masked(mark: [u8; 32], mask: [u8; 32]) -> [u8; 32] {
    std::array::from_fn(|at| mark[at] ^ mask[at])
}

/// Whether two marks of forms are of the same session. How long it takes tells nothing of them.
pub fn is_same_form_mark(one: &str, other: &str) -> bool {
    let mark = |text: &str| {
        let bytes: [u8; 64] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (mask, mark) = bytes.split_first_chunk::<32>()?;
        Some(blake3::hash(&masked(mark.try_into().ok()?, *mask)))
    };
    mark(one).is_some_and(|one| mark(other) == Some(one))
}

impl Vault {
    /// The vault under this key.
    pub fn new(key: &MasterKey) -> Self {
        let derive = |purpose: &str| blake3::derive_key(purpose, &key.0);
        Vault {
            cipher: XChaCha20Poly1305::new(&derive("fanfare 2026 sealed values").into()),
            api_keys: derive("fanfare 2026 api key hashes"),
            cursors: derive("fanfare 2026 list cursors"),
            sessions: derive("fanfare 2026 session hashes"),
            forms: derive("fanfare 2026 form marks"),
            check: derive("fanfare 2026 master key check"),
        }
    }

    /// Whether the store was bound to a master key before.
    pub async fn is_bound(store: &Store) -> Result<bool, StoreError> {
        Ok(store.read_one(meta::get(CHECK)).await?.is_some())
    }

    /// Makes sure that this database belongs to this master key; a new database is bound to it.
    ///
    /// # Errors
    /// [`VaultError::WrongKey`] where it was sealed under another one.
    pub async fn bind(&self, store: &Store) -> Result<(), VaultError> {
        match store.change(meta::insert(CHECK, self.check.to_vec()), None).await {
            Ok(_) => return Ok(()),
            Err(StoreError::Taken(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let kept = store.read_one(meta::get(CHECK)).await?.unwrap_or_default();
        match <[u8; 32]>::try_from(kept) {
            Ok(kept) if blake3::Hash::from_bytes(kept) == blake3::Hash::from_bytes(self.check) => Ok(()),
            _ => Err(VaultError::WrongKey),
        }
    }

    /// Encrypts `plain`. `whose` says what it is and whose, and must be the same to open it.
    pub fn seal(&self, whose: &str, plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE] = random::bytes();
        let payload = Payload { msg: plain, aad: whose.as_bytes() };
        let text = self.cipher.encrypt(&XNonce::from(nonce), payload).expect("it is far below the cipher's limit");
        let mut sealed = Vec::with_capacity(1 + NONCE + text.len());
        sealed.push(FORM);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&text);
        sealed
    }

    /// Decrypts what [`Vault::seal`] gave for the same `whose`.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] for anything else.
    pub fn open(&self, whose: &str, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        let (form, rest) = sealed.split_first().ok_or(VaultError::Damaged)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE>().ok_or(VaultError::Damaged)?;
        if *form != FORM {
            return Err(VaultError::Damaged);
        }
        let payload = Payload { msg: text, aad: whose.as_bytes() };
        self.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| VaultError::Damaged)
    }

    /// Encrypts the credentials of a webhook.
    pub fn seal_credentials(&self, webhook: WebhookId, credentials: &Credentials) -> Vec<u8> {
        let plain = serde_json::to_vec(credentials).expect("credentials are text");
        self.seal(&whose_credentials(webhook), &plain)
    }

    /// Decrypts the credentials of a webhook.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] where they are not this webhook's.
    pub fn open_credentials(&self, webhook: WebhookId, sealed: &[u8]) -> Result<Credentials, VaultError> {
        let plain = self.open(&whose_credentials(webhook), sealed)?;
        serde_json::from_slice(&plain).map_err(|_| VaultError::Damaged)
    }

    /// What is kept of an API key. Keys are compared by it, so the comparison's time tells nothing of the key.
    pub fn hash_api_key(&self, key: &str) -> [u8; 32] {
        *blake3::keyed_hash(&self.api_keys, key.as_bytes()).as_bytes()
    }

    /// What is kept of the texts that open a session and that its browser shows.
    pub fn hash_session(&self, text: &str) -> [u8; 32] {
        *blake3::keyed_hash(&self.sessions, text.as_bytes()).as_bytes()
    }

    /// What the forms of a session carry, so that no other site can send them: of the text that its browser shows. It is
    /// written differently each time, so that the size of compressed pages tells nothing of it.
    pub fn form_mark(&self, token: &str) -> String {
        let mask: [u8; 32] = random::bytes();
        let mark = *blake3::keyed_hash(&self.forms, token.as_bytes()).as_bytes();
        URL_SAFE_NO_PAD.encode([mask, masked(mark, mask)].concat())
    }

    /// The text by which a list goes on below `id`. `list` says which list and whose; it is accepted there only.
    pub fn cursor(&self, list: &str, id: i64) -> String {
        let mut bytes = id.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.cursor_mark(list, id));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Where a cursor that [`Vault::cursor`] gave for the same list goes on; `None` for any other text.
    pub fn read_cursor(&self, list: &str, cursor: &str) -> Option<i64> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (id, mark) = bytes.split_first_chunk::<8>()?;
        let id = i64::from_be_bytes(*id);
        (mark == self.cursor_mark(list, id)).then_some(id)
    }

    fn cursor_mark(&self, list: &str, id: i64) -> [u8; CURSOR_MARK] {
        let mut hasher = blake3::Hasher::new_keyed(&self.cursors);
        hasher.update(&id.to_be_bytes()).update(list.as_bytes());
        let mut mark = [0; CURSOR_MARK];
        hasher.finalize_xof().fill(&mut mark);
        mark
    }
}

fn whose_credentials(webhook: WebhookId) -> String {
    format!("webhook:{webhook}")
}

#[cfg(test)]
mod tests {
    use fanfare_engine::webhook::{Auth, Secret};

    use super::*;

    fn vault() -> Vault {
        Vault::new(&MasterKey([7; 32]))
    }

    fn credentials() -> Credentials {
        Credentials {
            secrets: vec![Secret::new("whsec_canary")],
            auth: Some(Auth::Bearer { token: "canary-token".to_owned() }),
            headers: vec![("X-Any".to_owned(), "canary-header".to_owned())],
        }
    }

    #[test]
    fn master_keys_are_read_from_hex_and_base64() {
        let key = MasterKey([0xab; 32]);
        assert_eq!("ab".repeat(32).parse::<MasterKey>(), Ok(key.clone()));
        assert_eq!(key.to_hex().parse::<MasterKey>(), Ok(key.clone()));
        assert_eq!(STANDARD.encode([0xab; 32]).parse::<MasterKey>(), Ok(key.clone()));
        assert_eq!(URL_SAFE_NO_PAD.encode([0xab; 32]).parse::<MasterKey>(), Ok(key));
        assert_eq!("ab".repeat(31).parse::<MasterKey>(), Err(VaultError::KeyForm));
        assert_eq!("not a key".parse::<MasterKey>(), Err(VaultError::KeyForm));
    }

    #[test]
    fn credentials_are_opened_for_their_own_webhook_only() {
        let sealed = vault().seal_credentials(WebhookId(1), &credentials());
        assert_eq!(vault().open_credentials(WebhookId(1), &sealed), Ok(credentials()));
        assert_eq!(vault().open_credentials(WebhookId(2), &sealed), Err(VaultError::Damaged));
        let other = Vault::new(&MasterKey([8; 32]));
        assert_eq!(other.open_credentials(WebhookId(1), &sealed), Err(VaultError::Damaged));
    }

    #[test]
    fn a_changed_or_cut_value_is_refused() {
        let sealed = vault().seal("it", b"plain");
        assert_ne!(sealed, vault().seal("it", b"plain"));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(vault().open("it", &changed), Err(VaultError::Damaged), "byte {at}");
            assert_eq!(vault().open("it", &sealed[..at]), Err(VaultError::Damaged), "cut at {at}");
        }
    }

    #[test]
    fn case_084_debug_texts_hold_no_secret() {
        let key: MasterKey = "ab".repeat(32).parse().unwrap();
        let shown = format!("{key:?} {:?} {:?}", Vault::new(&key), credentials());
        assert!(!shown.contains("abab") && !shown.contains("canary-token") && !shown.contains("whsec_"), "{shown}");
    }

    #[test]
    fn case_089_api_keys_are_compared_by_a_hash_under_the_master_key() {
        let hash = vault().hash_api_key("ffk_a");
        assert_eq!(hash, vault().hash_api_key("ffk_a"));
        assert_ne!(hash, vault().hash_api_key("ffk_b"));
        assert_ne!(hash, Vault::new(&MasterKey([8; 32])).hash_api_key("ffk_a"));
        assert_ne!(hash, *blake3::hash(b"ffk_a").as_bytes());
    }

    #[test]
    fn cursors_are_good_for_their_own_list_only() {
        let cursor = vault().cursor("webhooks", 42);
        assert_eq!(vault().read_cursor("webhooks", &cursor), Some(42));
        assert_eq!(vault().read_cursor("events", &cursor), None);
        assert_eq!(Vault::new(&MasterKey([8; 32])).read_cursor("webhooks", &cursor), None);
        assert_eq!(vault().read_cursor("webhooks", "AAAA"), None);
    }
}
