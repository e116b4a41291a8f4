//! Checks Standard Webhooks signatures: `v1` with shared secrets, `v1a` with public keys.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha2::Sha256;

/// How far the sender's clock may be from ours, either way, in seconds.
pub const TOLERANCE_SECONDS: i64 = 5 * 60;
/// At most this many secrets and public keys.
pub const MAX_KEYS: usize = 16;
/// At most this many signatures of one request are looked at.
const MAX_SIGNATURES: usize = 16;

/// The headers of Standard Webhooks.
const HEADERS: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];

/// Why a secret or public key given by the user cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The prefix is neither of the two that are known.
    #[error("a secret starts with whsec_, a public key with whpk_; this one starts with neither")]
    UnknownPrefix,
    /// The private half was given; a receiver needs the public one.
    #[error("whsk_ is the sender's private key; give the public key, which starts with whpk_")]
    PrivateKey,
    /// What follows the prefix is not base64, or is nothing.
    #[error("what follows the prefix is not base64; copy the whole secret, with its = signs")]
    NotBase64,
    /// The base64 is not a point of the curve.
    #[error("not an ed25519 public key: 32 bytes are expected after whpk_")]
    NotEd25519,
    /// More keys than [`MAX_KEYS`].
    #[error("too many secrets; at most {MAX_KEYS} are accepted")]
    TooMany,
}

enum Key {
    Secret(Vec<u8>),
    Public(Box<VerifyingKey>),
}

impl Key {
    fn parse(text: &str) -> Result<Self, KeyError> {
        let decode = |encoded: &str| STANDARD.decode(encoded).ok().filter(|k| !k.is_empty()).ok_or(KeyError::NotBase64);
        if let Some(encoded) = text.strip_prefix("whsec_") {
            return Ok(Key::Secret(decode(encoded)?));
        }
        if let Some(encoded) = text.strip_prefix("whpk_") {
            let bytes: [u8; 32] = decode(encoded)?.try_into().map_err(|_| KeyError::NotEd25519)?;
            let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::NotEd25519)?;
            return Ok(Key::Public(Box::new(key)));
        }
        Err(if text.starts_with("whsk_") { KeyError::PrivateKey } else { KeyError::UnknownPrefix })
    }

    fn accepts(&self, version: &str, signature: &[u8], signed: &Signed<'_>) -> bool {
        match (self, version) {
            (Key::Secret(secret), "v1") => {
                let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return false };
                signed.parts().for_each(|part| mac.update(part));
                mac.verify_slice(signature).is_ok()
            }
            (Key::Public(key), "v1a") => {
                let Ok(signature) = ed25519_dalek::Signature::from_slice(signature) else { return false };
                let message: Vec<u8> = signed.parts().flatten().copied().collect();
                key.verify_strict(&message, &signature).is_ok()
            }
            _ => false,
        }
    }
}

/// What is signed: `id.timestamp.body`.
struct Signed<'a> {
    id: &'a str,
    timestamp: &'a str,
    body: &'a [u8],
}

impl<'a> Signed<'a> {
    fn parts(&self) -> impl Iterator<Item = &'a [u8]> {
        [self.id.as_bytes(), b".", self.timestamp.as_bytes(), b".", self.body].into_iter()
    }
}

/// The keys that a receiver trusts; with none, nothing is checked.
#[derive(Default)]
pub struct Keyring(Vec<Key>);

impl Keyring {
    /// Reads secrets (`whsec_…`) and public keys (`whpk_…`). The error comes with the 1-based position of the bad one.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, (usize, KeyError)> {
        if texts.len() > MAX_KEYS {
            return Err((MAX_KEYS + 1, KeyError::TooMany));
        }
        let keys = texts.iter().enumerate();
        keys.map(|(at, text)| Key::parse(text.as_ref().trim()).map_err(|error| (at + 1, error)))
            .collect::<Result<_, _>>()
            .map(Keyring)
    }

    /// Judges one request; `now_seconds` is since the Unix epoch.
    pub fn verify(&self, headers: &HeaderMap, body: &[u8], now_seconds: i64) -> Verdict {
        if self.0.is_empty() {
            return Verdict::Unchecked;
        }
        if HEADERS.iter().all(|name| !headers.contains_key(*name)) {
            return Verdict::OtherScheme;
        }
        self.judge(headers, body, now_seconds).unwrap_or_else(Verdict::Invalid)
    }

    fn judge(&self, headers: &HeaderMap, body: &[u8], now_seconds: i64) -> Result<Verdict, Reason> {
        let id = header(headers, "webhook-id")?;
        let timestamp = header(headers, "webhook-timestamp")?;
        let signatures = header(headers, "webhook-signature")?;
        let signed = Signed { id, timestamp, body };
        let mut checkable = 0;
        for signature in signatures.split(' ').filter(|s| !s.is_empty()).take(MAX_SIGNATURES) {
            let Some((version, encoded)) = signature.split_once(',') else { continue };
            if !self.can_check(version) {
                continue;
            }
            checkable += 1;
            let Ok(bytes) = STANDARD.decode(encoded) else { continue };
            if let Some(at) = self.0.iter().position(|key| key.accepts(version, &bytes, &signed)) {
                check_time(timestamp, now_seconds)?;
                return Ok(Verdict::Valid { version: if version == "v1a" { "v1a" } else { "v1" }, key: at + 1 });
            }
        }
        if checkable == 0 { Err(Reason::NothingToCheck) } else { Err(Reason::Mismatch { keys: self.0.len() }) }
    }

    fn can_check(&self, version: &str) -> bool {
        self.0.iter().any(|key| matches!((key, version), (Key::Secret(_), "v1") | (Key::Public(_), "v1a")))
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, Reason> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(Reason::Missing(name))?;
    if values.next().is_some() {
        return Err(Reason::Repeated(name));
    }
    value.to_str().map_err(|_| Reason::NotText(name))
}

fn check_time(timestamp: &str, now_seconds: i64) -> Result<(), Reason> {
    let sent: i64 = timestamp.parse().map_err(|_| Reason::BadTimestamp)?;
    let age = now_seconds.saturating_sub(sent);
    if age > TOLERANCE_SECONDS {
        return Err(Reason::TooOld { seconds: age });
    }
    if age < -TOLERANCE_SECONDS {
        return Err(Reason::Ahead { seconds: age.saturating_neg() });
    }
    Ok(())
}

/// What came of checking a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There was no key to check with.
    Unchecked,
    /// It has none of the headers of Standard Webhooks: it is not signed, or in another way.
    OtherScheme,
    /// A signature of `version` (`v1` or `v1a`) fits the `key`-th key, counted from 1.
    Valid {
        /// The scheme that fitted.
        version: &'static str,
        /// Which key fitted, counted from 1.
        key: usize,
    },
    /// The request would be refused by a careful receiver.
    Invalid(Reason),
}

/// Why a request's signature is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The header is absent.
    Missing(&'static str),
    /// The header is there more than once.
    Repeated(&'static str),
    /// The header's value is not visible ASCII.
    NotText(&'static str),
    /// The signature fits, but the timestamp is no number.
    BadTimestamp,
    /// The signature fits, but was made too long ago.
    TooOld {
        /// Its age.
        seconds: i64,
    },
    /// The signature fits, but comes from the future.
    Ahead {
        /// How far ahead it is.
        seconds: i64,
    },
    /// No signature is of a version that the keys can check.
    NothingToCheck,
    /// Signatures were checked and none fitted.
    Mismatch {
        /// How many keys were tried.
        keys: usize,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Missing(name) => write!(f, "the {name} header is missing"),
            Reason::Repeated(name) => write!(f, "the {name} header is there more than once"),
            Reason::NotText(name) => write!(f, "the {name} header is not plain text"),
            Reason::BadTimestamp => write!(f, "webhook-timestamp is not a number of seconds since 1970"),
            Reason::TooOld { seconds } => {
                write!(f, "signed {seconds} s ago, more than the {TOLERANCE_SECONDS} s that are tolerated")
            }
            Reason::Ahead { seconds } => {
                write!(f, "signed {seconds} s in the future, more than the {TOLERANCE_SECONDS} s that are tolerated")
            }
            Reason::NothingToCheck => write!(
                f,
                "webhook-signature has nothing that the given keys can check (v1 needs a whsec_ secret, v1a a whpk_ key)"
            ),
            Reason::Mismatch { keys: 1 } => {
                write!(f, "no signature fits the secret; is it this webhook's, and is the body unchanged?")
            }
            Reason::Mismatch { keys } => {
                write!(
                    f,
                    "no signature fits any of the {keys} secrets; is one this webhook's, and is the body unchanged?"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const OTHER: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    const BODY: &[u8] = b"{\"test\": 2432232314}";
    const SENT: i64 = 1_614_265_330;
    const V1: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const V1A: &str = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";

    fn headers(signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek".parse().unwrap());
        headers.insert("webhook-timestamp", SENT.to_string().parse().unwrap());
        headers.insert("webhook-signature", signature.parse().unwrap());
        headers
    }

    fn verify(keys: &[&str], signature: &str, now: i64) -> Verdict {
        Keyring::parse(keys).unwrap().verify(&headers(signature), BODY, now)
    }

    #[test]
    fn accepts_the_known_answer() {
        assert_eq!(verify(&[SECRET], V1, SENT), Verdict::Valid { version: "v1", key: 1 });
    }

    #[test]
    fn accepts_any_of_several_secrets_and_signatures() {
        let both = format!("v1,AAAA v2,xyz {V1}");
        assert_eq!(verify(&[OTHER, SECRET], &both, SENT), Verdict::Valid { version: "v1", key: 2 });
    }

    #[test]
    fn accepts_a_standard_ed25519_signature() {
        let private = STANDARD
            .decode("6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==")
            .unwrap();
        let public = format!("whpk_{}", STANDARD.encode(&private[32..]));
        assert_eq!(verify(&[SECRET, &public], V1A, SENT), Verdict::Valid { version: "v1a", key: 2 });
        let forged = V1A.replacen("hnO3", "hnO4", 1);
        assert_eq!(verify(&[&public], &forged, SENT), Verdict::Invalid(Reason::Mismatch { keys: 1 }));
    }

    #[test]
    fn judges_the_time_only_of_a_signature_that_fits() {
        let old = SENT + TOLERANCE_SECONDS;
        assert_eq!(verify(&[SECRET], V1, old), Verdict::Valid { version: "v1", key: 1 });
        assert_eq!(verify(&[SECRET], V1, old + 1), Verdict::Invalid(Reason::TooOld { seconds: 301 }));
        assert_eq!(verify(&[SECRET], V1, SENT - 301), Verdict::Invalid(Reason::Ahead { seconds: 301 }));
        assert_eq!(verify(&[OTHER], V1, old + 1), Verdict::Invalid(Reason::Mismatch { keys: 1 }));
    }

    #[test]
    fn a_changed_body_or_id_does_not_fit() {
        let keys = Keyring::parse(&[SECRET]).unwrap();
        let mismatch = Verdict::Invalid(Reason::Mismatch { keys: 1 });
        assert_eq!(keys.verify(&headers(V1), b"{\"test\": 1}", SENT), mismatch);
        let mut moved = headers(V1);
        moved.insert("webhook-id", "msg_other".parse().unwrap());
        assert_eq!(keys.verify(&moved, BODY, SENT), mismatch);
    }

    #[test]
    fn says_which_header_is_missing_or_repeated() {
        let keys = Keyring::parse(&[SECRET]).unwrap();
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            let mut partial = headers(V1);
            partial.remove(name);
            assert_eq!(keys.verify(&partial, BODY, SENT), Verdict::Invalid(Reason::Missing(name)));
            let mut twice = headers(V1);
            twice.append(name, "again".parse().unwrap());
            assert_eq!(keys.verify(&twice, BODY, SENT), Verdict::Invalid(Reason::Repeated(name)));
        }
        assert_eq!(keys.verify(&headers(V1A), BODY, SENT), Verdict::Invalid(Reason::NothingToCheck));
        assert_eq!(keys.verify(&HeaderMap::new(), BODY, SENT), Verdict::OtherScheme);
        assert_eq!(Keyring::default().verify(&headers(V1), BODY, SENT), Verdict::Unchecked);
    }

    #[test]
    fn refuses_keys_it_cannot_use_and_says_which() {
        let refusal = |key: &str| Keyring::parse(&[SECRET, key]).err().unwrap();
        assert_eq!(refusal("hush"), (2, KeyError::UnknownPrefix));
        assert_eq!(refusal("whsk_AAAA"), (2, KeyError::PrivateKey));
        assert_eq!(refusal("whsec_***"), (2, KeyError::NotBase64));
        assert_eq!(refusal("whsec_"), (2, KeyError::NotBase64));
        assert_eq!(refusal("whpk_AAAA"), (2, KeyError::NotEd25519));
        assert!(Keyring::parse(&[SECRET; MAX_KEYS + 1]).is_err());
    }
}
