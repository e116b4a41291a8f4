//! Keys, decoded and prepared so that signing a message costs no more than its bytes.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::{Algorithm, KeyForm, Signature, decode_hex};

/// Why a secret's text gives no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is of another form, which another signature of the profile may take.
    #[error("must start with {0}")]
    Prefix(&'static str),
    #[error("must be {0}")]
    Encoding(&'static str),
    #[error("must hold {} to {} bytes, but holds {actual}", .allowed.start(), .allowed.end())]
    Length { allowed: RangeInclusive<usize>, actual: usize },
    #[error("holds a public key that does not belong to its private key")]
    KeyPair,
}

/// A key ready to sign.
#[derive(Clone)]
pub struct Key(Prepared);

#[derive(Clone)]
enum Prepared {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha512(Box<Hmac<Sha512>>),
    Ed25519(Box<SigningKey>),
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(****)")
    }
}

impl Key {
    /// Decodes `secret` and prepares its key. `bounds` are the bytes that an HMAC key may have.
    pub fn prepare(
        algorithm: Algorithm,
        form: KeyForm,
        secret: &str,
        bounds: RangeInclusive<usize>,
    ) -> Result<Key, KeyError> {
        let bytes = decode(form, secret)?;
        if algorithm == Algorithm::Ed25519 {
            return Ok(Key(Prepared::Ed25519(Box::new(signing_key(&bytes)?))));
        }
        if !bounds.contains(&bytes.len()) {
            return Err(KeyError::Length { allowed: bounds, actual: bytes.len() });
        }
        Ok(Key(match algorithm {
            Algorithm::HmacSha1 => Prepared::Sha1(keyed(&bytes)),
            Algorithm::HmacSha512 => Prepared::Sha512(Box::new(keyed(&bytes))),
            Algorithm::HmacSha256 | Algorithm::Ed25519 => Prepared::Sha256(keyed(&bytes)),
        }))
    }

    /// Signs the message that `pieces` make together.
    pub fn sign<'a>(&self, pieces: impl Iterator<Item = &'a [u8]>) -> Signature {
        match &self.0 {
            Prepared::Sha1(mac) => authenticate(mac.clone(), pieces),
            Prepared::Sha256(mac) => authenticate(mac.clone(), pieces),
            Prepared::Sha512(mac) => authenticate(mac.as_ref().clone(), pieces),
            Prepared::Ed25519(key) => {
                let message: Vec<u8> = pieces.flatten().copied().collect();
                Signature::new(&key.sign(&message).to_bytes())
            }
        }
    }
}

fn keyed<M: KeyInit>(key: &[u8]) -> M {
    M::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn authenticate<'a, M: Mac>(mut mac: M, pieces: impl Iterator<Item = &'a [u8]>) -> Signature {
    pieces.for_each(|piece| mac.update(piece));
    Signature::new(&mac.finalize().into_bytes())
}

fn signing_key(bytes: &[u8]) -> Result<SigningKey, KeyError> {
    if let Ok(seed) = <&[u8; 32]>::try_from(bytes) {
        return Ok(SigningKey::from_bytes(seed));
    }
    match <&[u8; 64]>::try_from(bytes) {
        Ok(pair) => SigningKey::from_keypair_bytes(pair).map_err(|_| KeyError::KeyPair),
        Err(_) => Err(KeyError::Length { allowed: 32..=64, actual: bytes.len() }),
    }
}

fn decode(form: KeyForm, secret: &str) -> Result<Vec<u8>, KeyError> {
    let rest = secret.strip_prefix(form.prefix()).ok_or(KeyError::Prefix(form.prefix()))?;
    match form {
        KeyForm::Utf8 => Ok(rest.as_bytes().to_vec()),
        KeyForm::Hex => decode_hex(rest).ok_or(KeyError::Encoding("hexadecimal digits, two for each byte")),
        KeyForm::Base64 => decode_base64(rest).ok_or(KeyError::Encoding("base64")),
        KeyForm::Whsec => decode_base64(rest).ok_or(KeyError::Encoding("whsec_ followed by base64")),
        KeyForm::Whsk => decode_base64(rest).ok_or(KeyError::Encoding("whsk_ followed by base64")),
    }
}

/// With padding or without: receivers in the field have both.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepare(form: KeyForm, secret: &str) -> Result<Key, KeyError> {
        Key::prepare(Algorithm::HmacSha256, form, secret, 24..=64)
    }

    #[test]
    fn secrets_that_give_no_key_say_why() {
        assert_eq!(prepare(KeyForm::Whsec, "hush").unwrap_err(), KeyError::Prefix("whsec_"));
        assert_eq!(prepare(KeyForm::Whsec, "whsec_?").unwrap_err().to_string(), "must be whsec_ followed by base64");
        assert_eq!(
            prepare(KeyForm::Hex, "0x").unwrap_err().to_string(),
            "must be hexadecimal digits, two for each byte"
        );
        let short = prepare(KeyForm::Utf8, "short").unwrap_err();
        assert_eq!(short.to_string(), "must hold 24 to 64 bytes, but holds 5");
    }

    #[test]
    fn a_key_pair_whose_halves_do_not_match_is_refused() {
        let pair = format!("whsk_{}", STANDARD.encode([7u8; 64]));
        assert_eq!(Key::prepare(Algorithm::Ed25519, KeyForm::Whsk, &pair, 0..=64).unwrap_err(), KeyError::KeyPair);
        let seed = format!("whsk_{}", STANDARD.encode([7u8; 32]));
        assert!(Key::prepare(Algorithm::Ed25519, KeyForm::Whsk, &seed, 0..=64).is_ok());
    }

    #[test]
    fn a_message_in_pieces_is_signed_as_a_whole() {
        for algorithm in [Algorithm::HmacSha1, Algorithm::HmacSha512, Algorithm::Ed25519] {
            let key = Key::prepare(algorithm, KeyForm::Utf8, &"k".repeat(32), 1..=64).unwrap();
            let whole = key.sign([b"ab.cd".as_slice()].into_iter());
            let pieces = key.sign([b"ab".as_slice(), b".", b"cd"].into_iter());
            assert_eq!(whole.as_bytes(), pieces.as_bytes());
        }
    }

    #[test]
    fn a_key_does_not_show_itself() {
        let key = prepare(KeyForm::Utf8, "a very secret secret of some bytes").unwrap();
        assert_eq!(format!("{key:?}"), "Key(****)");
    }
}
