//! Header values that are shown as they are, and those that may be credentials.

use std::borrow::Cow;

use fanfare_engine::attempt::Headers;
use fanfare_engine::header::{may_be_credential, may_be_custom};
use fanfare_engine::profile::{FieldError, Profile};

/// What stands for a value that is not shown.
pub const MASK: &str = "****";

/// Masks every value, for one who may see the webhook and not manage it.
pub(super) fn hide_headers(headers: &mut [(String, String)]) {
    for (_, value) in headers {
        MASK.clone_into(value);
    }
}

/// Masks in the headers of a request what a webhook may have added, for one who may see its log and not manage it.
pub fn hide_sent_headers(headers: &mut Headers, profile: Option<&Profile>) {
    let shown = |(name, value): (Cow<'_, str>, &[u8])| {
        let value = if may_be_custom(profile, &name) { MASK.as_bytes() } else { value };
        (name.into_owned(), value.to_vec())
    };
    let shown: Vec<(String, Vec<u8>)> = headers.iter().map(shown).collect();
    *headers = shown.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
}

/// The headers as people see them: values that may be credentials are masked.
pub fn shown_headers(headers: &[(String, String)]) -> Vec<(String, String)> {
    let shown = |(name, value): &(String, String)| {
        let value = if may_be_credential(name) { MASK.to_owned() } else { value.clone() };
        (name.clone(), value)
    };
    headers.iter().map(shown).collect()
}

/// New headers, with the present value where a mask was sent back.
pub(super) fn unmasked(new: Vec<(String, String)>, present: &[(String, String)]) -> Vec<(String, String)> {
    let value_of = |name: &str| present.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    new.into_iter()
        .map(|(name, value)| match value_of(&name) {
            Some((_, kept)) if value == MASK => (name, kept.clone()),
            _ => (name, value),
        })
        .collect()
}

/// What is wrong where a mask came back of which no value is known: its header got another name, or is gone meanwhile. Sent
/// to receivers it would stand in the place of what they ask for.
pub(super) fn check(headers: &[(String, String)]) -> Option<FieldError> {
    let (name, _) = headers.iter().find(|(_, value)| value == MASK)?;
    Some(FieldError::new(
        "headers",
        format!("has a mask for {name:?}, behind which there is no value; give the value itself"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn values_that_may_be_credentials_are_masked_and_kept() {
        let present = [pair("X-Any", "seen"), pair("X-Api-Key", "canary")];
        let shown = shown_headers(&present);
        assert_eq!(shown, [pair("X-Any", "seen"), pair("X-Api-Key", MASK)]);
        assert_eq!(unmasked(shown, &present), present);
        assert_eq!(unmasked(vec![pair("x-api-key", "new")], &present), [pair("x-api-key", "new")]);
    }

    #[test]
    fn a_mask_with_nothing_behind_it_is_no_value() {
        let present = [pair("X-Api-Key", "canary")];
        assert_eq!(check(&unmasked(vec![pair("x-api-key", MASK)], &present)), None);
        let error = check(&unmasked(vec![pair("X-Renamed", MASK)], &present)).unwrap();
        assert_eq!(error.field, "headers");
        assert!(error.message.contains("X-Renamed"), "{error:?}");
    }

    #[test]
    fn what_a_webhook_added_is_masked_in_the_log() {
        let profiles = fanfare_engine::profile::Profiles::load([]).unwrap();
        let sent = [("Host", "x"), ("webhook-id", "evt_1"), ("X-Own", "canary"), ("Content-Type", "a/b")];
        let hidden = |profile| {
            let mut headers: Headers = sent.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
            hide_sent_headers(&mut headers, profile);
            String::from_utf8(headers.lines().to_vec()).unwrap()
        };
        let profile = profiles.get("standard").map(|profile| &**profile);
        assert_eq!(hidden(profile), "Host: x\nwebhook-id: evt_1\nX-Own: ****\nContent-Type: a/b\n");
        assert_eq!(hidden(None), "Host: x\nwebhook-id: ****\nX-Own: ****\nContent-Type: a/b\n");
    }
}
