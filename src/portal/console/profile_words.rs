//! What a profile's knobs mean, in words.

use fanfare_engine::profile::{
    AfterUnknown, AuthKind, CustomHeaders, FilterMatches, FilterRule, Handshake, MessageIdOf, OwnApi, Profile,
    RetrySends, Scheme, SecretRule, TestOn,
};
use fanfare_engine::retry::RetryPolicy;

use crate::portal::texts::Texts;
use crate::portal::words::{schedule, span};

/// A knob, or several that belong together: what it is of, and how it is set.
pub(super) type Said = (&'static str, String);

/// Everything that a profile sets, in the order in which a request comes about.
pub(super) fn said(t: &Texts, profile: &Profile) -> Vec<Said> {
    let words = &t.words;
    let mut said = vec![
        ("Addresses", schemes(profile)),
        ("Methods", choice(&profile.methods.allowed, profile.methods.default, |method| method.as_http().to_string())),
        (
            "Content types",
            choice(&profile.content_types.allowed, profile.content_types.default, |kind| kind.as_str().to_owned()),
        ),
        ("Events", events(profile)),
        ("Filter by entity", filter(profile)),
        ("Message id", message_id(profile).to_owned()),
        ("Entity in the payload", yes_no(profile.include_entity, "may be asked for", "never").to_owned()),
        ("Headers", headers(profile)),
        ("Own headers of a webhook", own_headers(profile).to_owned()),
        ("Authentication", auth(profile)),
        ("Signature", signature(profile)),
        ("Secret", secret(profile, &span(words, profile.secret.overlap))),
        ("Handshake", handshake(profile).to_owned()),
        ("Accepted by", accepted(profile)),
    ];
    let policy = RetryPolicy {
        delays: profile.retry.delays.clone(),
        jitter: profile.retry.jitter,
        honour_retry_after: profile.retry.honour_retry_after,
        stop_after_unknown: profile.retry.after_unknown == AfterUnknown::Stop,
        disable_on_410: profile.auto_disable.on_410,
    };
    said.extend([
        ("Retries", schedule(words, &policy)),
        ("Retries send", sends(profile).to_owned()),
        ("After an unknown outcome", unknown(profile).to_owned()),
        ("Retry-After", yes_no(profile.retry.honour_retry_after, "is honoured", "is passed over").to_owned()),
        (
            "Time for an exchange",
            format!(
                "{}, of which {} to connect{}",
                span(words, profile.timeouts.exchange),
                span(words, profile.timeouts.connect),
                yes_no(profile.timeouts.own, "; a webhook may have its own", "")
            ),
        ),
        ("Switched off", switched_off(t, profile)),
        ("New webhooks", activation(profile)),
        (
            "Log of a webhook",
            profile.log.deliveries_shown.map_or_else(
                || "all deliveries that are kept".to_owned(),
                |most| format!("its newest {most} deliveries"),
            ),
        ),
    ]);
    if let Some(paths) = own_api(profile) {
        said.push(("Own API", paths.to_owned()));
    }
    said
}

fn yes_no<'a>(yes: bool, then: &'a str, otherwise: &'a str) -> &'a str {
    if yes { then } else { otherwise }
}

fn choice<T: Copy + PartialEq>(allowed: &[T], default: T, name: impl Fn(T) -> String) -> String {
    let named = |value: &T| match *value == default && allowed.len() > 1 {
        true => format!("{} (usual)", name(*value)),
        false => name(*value),
    };
    allowed.iter().map(named).collect::<Vec<_>>().join(", ")
}

fn schemes(profile: &Profile) -> String {
    let name = |scheme: &Scheme| match scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    profile.schemes.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn events(profile: &Profile) -> String {
    let all = yes_no(profile.events.all, "all, or ", "");
    let some = match profile.events.at_most {
        1 => "one event type a webhook".to_owned(),
        most => format!("up to {most} event types a webhook"),
    };
    let brought = match profile.catalogue.iter().count() {
        0 => String::new(),
        count => format!("; it brings {count} event types"),
    };
    format!("{all}{some}{brought}")
}

fn filter(profile: &Profile) -> String {
    let rule = match profile.filter.rule {
        FilterRule::None => return "none".to_owned(),
        FilterRule::Optional => "possible",
        FilterRule::Required => "needed",
    };
    let compared = match profile.filter.matches {
        FilterMatches::Entity => "compared with the event's entity",
        FilterMatches::Scope => "compared with the event's entity and what it belongs to",
    };
    format!("{rule}; {compared}")
}

fn message_id(profile: &Profile) -> &'static str {
    match profile.ids.message {
        MessageIdOf::Event => "the event's, the same for all webhooks and attempts",
        MessageIdOf::External => "the host's own id of the event where it gave one",
        MessageIdOf::Delivery => "the delivery's, the same for all its attempts",
    }
}

fn headers(profile: &Profile) -> String {
    let mut names: Vec<&str> = Vec::new();
    for header in &profile.headers {
        if !names.contains(&header.name.as_str()) {
            names.push(header.name.as_str());
        }
    }
    if names.is_empty() { "none beyond those of HTTP".to_owned() } else { names.join(", ") }
}

fn own_headers(profile: &Profile) -> &'static str {
    match profile.custom_headers {
        CustomHeaders::None => "none",
        CustomHeaders::One => "one",
        CustomHeaders::Any => "any",
    }
}

fn auth(profile: &Profile) -> String {
    let name = |kind: &AuthKind| match kind {
        AuthKind::Basic => "Basic",
        AuthKind::Bearer => "Bearer token",
    };
    match &profile.auth[..] {
        [] => "none".to_owned(),
        kinds => kinds.iter().map(name).collect::<Vec<_>>().join(", "),
    }
}

fn signature(profile: &Profile) -> String {
    let names: Vec<String> = profile.signature_headers().iter().map(ToString::to_string).collect();
    if profile.signs() { format!("in {}", names.join(", ")) } else { "none".to_owned() }
}

fn secret(profile: &Profile, overlap: &str) -> String {
    let rule = match profile.secret.rule {
        SecretRule::None => return "none".to_owned(),
        SecretRule::Given => "given by who makes the webhook; without one, nothing is signed",
        SecretRule::Generated => "made where none is given",
    };
    format!("{rule}; a replaced one still signs for {overlap}")
}

fn handshake(profile: &Profile) -> &'static str {
    match profile.handshake {
        Handshake::None => "none",
        Handshake::Challenge => "the receiver echoes a challenge before it gets events",
        Handshake::CloudEvents => "the receiver permits by OPTIONS before it gets events",
    }
}

fn accepted(profile: &Profile) -> String {
    let range = |range: &std::ops::RangeInclusive<u16>| match range.start() == range.end() {
        true => range.start().to_string(),
        false => format!("{}–{}", range.start(), range.end()),
    };
    format!("a status of {}", profile.retry.success.iter().map(range).collect::<Vec<_>>().join(", "))
}

fn sends(profile: &Profile) -> &'static str {
    match profile.retry.sends {
        RetrySends::Current => "what the webhook is set to at that moment",
        RetrySends::AsFirstSent => "the request as it was first sent",
    }
}

fn unknown(profile: &Profile) -> &'static str {
    match profile.retry.after_unknown {
        AfterUnknown::Resend => "sent again: at least once",
        AfterUnknown::Stop => "given up: at most once",
    }
}

fn switched_off(t: &Texts, profile: &Profile) -> String {
    let after = profile.auto_disable.after.map(|after| format!("after failing for {}", span(&t.words, after)));
    let gone = profile.auto_disable.on_410.then(|| "at once by the answer 410 Gone".to_owned());
    let all: Vec<String> = after.into_iter().chain(gone).collect();
    if all.is_empty() { "never automatically".to_owned() } else { all.join(", or ") }
}

fn activation(profile: &Profile) -> String {
    let start = yes_no(profile.activation.enabled, "are on", "are off");
    let test = match profile.activation.test_on {
        TestOn::Never => "",
        TestOn::Creation => ", and get a test event when they are made",
        TestOn::SwitchOn => ", and get a test event each time they are switched on",
    };
    format!("{start}{test}")
}

fn own_api(profile: &Profile) -> Option<&'static str> {
    match profile.own_api {
        OwnApi::None => None,
        OwnApi::Enate => Some("/WebHookSubscription/…"),
        OwnApi::Etlworks => Some("/rest/v1/webhooks"),
    }
}

#[cfg(test)]
mod tests {
    use fanfare_engine::profile::Profiles;

    use super::*;
    use crate::portal::texts::for_languages;

    #[test]
    fn every_profile_that_comes_with_the_program_is_said_in_words() {
        let profiles = Profiles::load([]).unwrap();
        assert!(profiles.iter().count() > 1);
        for profile in profiles.iter() {
            for (label, value) in said(for_languages("en"), profile) {
                assert!(!value.is_empty(), "{}: {label}", profile.name);
            }
        }
    }
}
