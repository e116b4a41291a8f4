//! Secrets as text: how they are made, and whether a given one suits a profile.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Encoding, Key, KeyError, SIGNATURE};
use crate::profile::{Profile, SecretText};

/// The longest secret, in bytes of its text.
pub const MAX_SECRET_TEXT: usize = 1_024;

/// The text of a new secret for webhooks of `profile`: its prefix and the first
/// [`generated_bytes`](crate::profile::SecretPolicy::generated_bytes) of `random`, encoded.
///
/// # Panics
/// Where `random` has fewer bytes than that.
pub fn make_secret(profile: &Profile, random: &[u8]) -> String {
    let policy = &profile.secret;
    let bytes = &random[..policy.generated_bytes];
    let mut text = policy.prefix.clone();
    match policy.text {
        SecretText::Base64 => Encoding::Base64.append(bytes, &mut text),
        SecretText::Hex => Encoding::Hex.append(bytes, &mut text),
        SecretText::UrlSafe => URL_SAFE_NO_PAD.encode_string(bytes, &mut text),
    }
    text
}

/// Whether at least one of the profile's signatures can sign with `secret`: one in `header`, where that is said. The error
/// is for people.
pub fn check_secret(profile: &Profile, secret: &str, header: Option<&str>) -> Result<(), String> {
    if secret.is_empty() || secret.len() > MAX_SECRET_TEXT {
        return Err(format!("must be 1 to {MAX_SECRET_TEXT} bytes of text"));
    }
    let classic = profile.signatures.iter().map(|knobs| (&knobs.header, knobs.algorithm, knobs.key));
    let message = profile.message_signatures.iter().map(|knobs| (&SIGNATURE, knobs.algorithm, knobs.key));
    let mut reasons = Vec::new();
    for (name, algorithm, form) in classic.chain(message) {
        if header.is_some_and(|header| name != header) {
            continue;
        }
        match Key::prepare(algorithm, form, secret, profile.secret.bytes.clone()) {
            Ok(_) => return Ok(()),
            Err(reason) => reasons.push(reason),
        }
    }
    if reasons.is_empty() && profile.signs() {
        let names: Vec<String> = profile.signature_headers().iter().map(ToString::to_string).collect();
        return Err(format!("must have a header that holds signatures in this profile: {}", names.join(", ")));
    }
    // A secret that has a form's prefix was meant as that form: only that form's complaint is of use.
    let meant: Vec<_> = reasons.iter().filter(|reason| !matches!(reason, KeyError::Prefix(_))).collect();
    let shown = if meant.is_empty() { reasons.iter().collect() } else { meant };
    let mut texts: Vec<String> = shown.into_iter().map(KeyError::to_string).collect();
    texts.dedup();
    match texts.is_empty() {
        true => Err("is not used: webhooks of this profile are not signed".to_owned()),
        false => Err(one_sentence(&texts)),
    }
}

/// The reasons as one sentence; what the first begins with is not said again: `must start with a or b`.
fn one_sentence(reasons: &[String]) -> String {
    let shared = ["must start with ", "must be ", "must "]
        .into_iter()
        .find(|words| reasons.iter().all(|reason| reason.starts_with(words)));
    let shared = shared.unwrap_or_default();
    let rest: Vec<&str> = reasons.iter().map(|reason| &reason[shared.len()..]).collect();
    format!("{shared}{}", rest.join(" or "))
}
