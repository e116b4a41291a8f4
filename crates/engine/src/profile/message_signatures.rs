//! The part of a profile's file about HTTP message signatures (RFC 9421) and Content-Digest (RFC 9530).

use std::time::Duration;

use http::HeaderName;

use super::Profile;
use super::knobs::Condition;
use super::reader::{Entry, Section};
use super::template::Template;
use super::wire::{condition, header_template};
use crate::signing::{
    Algorithm, CONTENT_DIGEST, Component, DigestAlgorithm, KeyForm, SIGNATURE, SIGNATURE_INPUT, is_label,
};

/// The most components that one signature may cover.
const MAX_COMPONENTS: usize = 32;
/// The longest label and tag, in bytes.
const MAX_NAME: usize = 64;
/// The longest life of a signature, in seconds: a day.
const MAX_EXPIRES: u32 = 86_400;
/// Headers that every request has.
const AUTOMATIC: [HeaderName; 4] =
    [http::header::USER_AGENT, http::header::ACCEPT, http::header::ACCEPT_ENCODING, http::header::CONTENT_TYPE];

/// Which digest of the body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentDigest {
    None,
    Sha256,
    Sha512,
}

impl ContentDigest {
    /// The digest's algorithm; `None` where none is sent.
    pub fn algorithm(self) -> Option<DigestAlgorithm> {
        match self {
            ContentDigest::None => None,
            ContentDigest::Sha256 => Some(DigestAlgorithm::Sha256),
            ContentDigest::Sha512 => Some(DigestAlgorithm::Sha512),
        }
    }
}

/// A signature over parts of the request, sent in Signature-Input and Signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageSignatureKnobs {
    /// Its name in both headers, `sig1`; the further ones of several live secrets count on, `sig2`.
    pub label: String,
    /// HMAC-SHA256 or ed25519.
    pub algorithm: Algorithm,
    pub key: KeyForm,
    /// By which the receiver finds the key.
    pub keyid: Option<Template>,
    /// What is signed, in this order. What a request lacks (a GET has no content type) is left out of it.
    pub components: Vec<Component>,
    pub content_digest: ContentDigest,
    /// What the signature is for, by which the receiver tells it from others.
    pub tag: Option<String>,
    /// From its making until it is void.
    pub expires: Option<Duration>,
    pub when: Condition,
}

impl MessageSignatureKnobs {
    /// Whether it brings a header of this name.
    pub fn sends(&self, name: &HeaderName) -> bool {
        let digest = self.content_digest != ContentDigest::None && *name == CONTENT_DIGEST;
        digest || *name == SIGNATURE || *name == SIGNATURE_INPUT
    }
}

/// Reads one of `[[message_signatures]]`.
pub(super) fn read(entry: &Entry) -> Option<MessageSignatureKnobs> {
    let knobs = entry.section()?;
    let label = knobs.or("label", "sig1".to_owned(), label);
    let algorithm = knobs.need("algorithm", None, |entry| Some(algorithm(entry)));
    let key = knobs.or("key", KeyForm::Utf8, Entry::word);
    let keyid = knobs.entry("keyid").and_then(|entry| header_template(&entry, &[]));
    let components = knobs.need("components", None, |entry| Some(Some(components(entry))));
    let content_digest = knobs.or("content_digest", ContentDigest::None, Entry::word);
    let tag = knobs.entry("tag").and_then(|entry| tag(&entry));
    let expires = knobs.entry("expires_seconds").and_then(|entry| entry.whole(1..=MAX_EXPIRES));
    let when = condition(&knobs);
    knobs.finish();
    Some(MessageSignatureKnobs {
        label,
        algorithm: algorithm?,
        key,
        keyid,
        components: components?,
        content_digest,
        tag,
        expires: expires.map(|seconds| Duration::from_secs(seconds.into())),
        when,
    })
}

fn label(entry: &Entry) -> Option<String> {
    let text = entry.text()?;
    if !is_label(text) || text.len() > MAX_NAME {
        entry
            .note(format!("must be 1 to {MAX_NAME} small letters, digits, -, _, . and *, starting with a letter or *"));
        return None;
    }
    Some(text.to_owned())
}

fn algorithm(entry: &Entry) -> Option<Algorithm> {
    let algorithm = entry.word()?;
    if !matches!(algorithm, Algorithm::HmacSha256 | Algorithm::Ed25519) {
        entry.note("must be \"hmac-sha256\" or \"ed25519\" in a message signature");
        return None;
    }
    Some(algorithm)
}

fn components(entry: &Entry) -> Vec<Component> {
    let items = entry.some_of("\"@method\"");
    if items.len() > MAX_COMPONENTS {
        entry.note(format!("has {} entries, but at most {MAX_COMPONENTS} are allowed", items.len()));
    }
    let mut found = Vec::new();
    for item in &items {
        match item.text().map(Component::parse) {
            Some(Ok(component)) if found.contains(&component) => item.note("is there twice"),
            Some(Ok(component)) => found.push(component),
            Some(Err(reason)) => item.note(reason),
            None => {}
        }
    }
    found
}

fn tag(entry: &Entry) -> Option<String> {
    let text = entry.text()?;
    if text.is_empty() || text.len() > MAX_NAME || !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        entry.note(format!("must be 1 to {MAX_NAME} bytes of visible ASCII"));
        return None;
    }
    Some(text.to_owned())
}

/// What can only be judged once all knobs are read.
pub(super) fn check_together(profile: &Profile, root: &Section) {
    let Some(list) = root.entry("message_signatures").and_then(|entry| entry.list()) else { return };
    let places: Vec<Entry> = list.iter().filter_map(|entry| entry.section()?.entry("components")).collect();
    // Where one could not be read, the places are not those of what was read; that mistake is told already.
    if list.len() != profile.message_signatures.len() || places.len() != list.len() {
        return;
    }
    for (signature, place) in profile.message_signatures.iter().zip(&places) {
        for component in &signature.components {
            if let Component::Header(name) = component
                && let Err(reason) = is_sent(profile, signature, name)
            {
                place.note(format!("has {:?}, but {reason}", name.as_str()));
            }
        }
        if signature.content_digest != ContentDigest::None
            && !signature.components.contains(&Component::Header(CONTENT_DIGEST.clone()))
        {
            place.note("must have \"content-digest\" where content_digest is sent, else the digest is not signed");
        }
    }
    for name in [&SIGNATURE, &SIGNATURE_INPUT, &CONTENT_DIGEST] {
        let own = profile.headers.iter().any(|header| header.name == *name)
            || profile.signatures.iter().any(|signature| signature.header == *name);
        if own && profile.message_signatures.iter().any(|signature| signature.sends(name)) {
            let entry = root.entry("message_signatures");
            entry.iter().for_each(|entry| entry.note(format!("the header {name} is sent by others already")));
        }
    }
}

fn is_sent(profile: &Profile, signature: &MessageSignatureKnobs, name: &HeaderName) -> Result<(), String> {
    if *name == CONTENT_DIGEST && signature.content_digest == ContentDigest::None {
        return Err("content_digest is \"none\"; set \"sha-256\" or \"sha-512\"".to_owned());
    }
    if *name == SIGNATURE || *name == SIGNATURE_INPUT {
        return Err("a signature cannot cover what is made after it".to_owned());
    }
    if AUTOMATIC.contains(name) || profile.sends_header(name) {
        return Ok(());
    }
    Err("requests of this profile have no such header; add it to headers, or leave it out".to_owned())
}
