//! A profile's file, read knob by knob; what the file leaves out has the default given here.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::HeaderValue;
use toml::de::DeTable;

use super::error::ProfileError;
use super::knobs::{
    Activation, AfterUnknown, AutoDisable, Choice, CustomHeaders, EventPolicy, Handshake, Ids, LogKnobs, LoggedId,
    MessageIdForm, MessageIdOf, OwnApi, RetryKnobs, RetrySends, SecretPolicy, SecretRule, SecretText, TestOn, Timeouts,
    WebhookIdForm,
};
use super::message_signatures;
use super::needs::Need;
use super::reader::{Entry, Mistakes, Section, Word};
use super::{MAX_EVENT_NAMES, MAX_RETRIES, MAX_RETRY_DELAY, MAX_TIMEOUT_SECONDS, Profile};
use super::{catalogue_file, permissions, wire};
use crate::egress::Scheme;
use crate::webhook::{ContentType, Method};

/// The most bytes of a response's body that a profile may have kept.
const MAX_CAPTURED_BYTES: u32 = 1024 * 1024;
/// The most bytes of random or key that a secret may have.
const MAX_KEY_BYTES: u32 = 512;
/// The longest overlap at rotation, in seconds: 30 days.
const MAX_OVERLAP_SECONDS: f64 = 30.0 * 86_400.0;
/// The longest name of a profile.
const MAX_NAME: usize = 64;

/// Reads the file `file` with the content `text`.
pub(super) fn parse(file: &str, text: &str) -> Result<Profile, Vec<ProfileError>> {
    let mistakes = Mistakes::new(file, text);
    let (document, syntax) = DeTable::parse_recoverable(text);
    for error in syntax {
        mistakes.note(error.span().unwrap_or(0..0), "", error.message().trim());
    }
    if !mistakes.is_empty() {
        return Err(mistakes.into_list());
    }
    let root = Section::new(String::new(), 0..0, document.get_ref(), &mistakes);
    let profile = read(&root);
    root.finish();
    if mistakes.is_empty() { Ok(profile) } else { Err(mistakes.into_list()) }
}

fn read(root: &Section) -> Profile {
    let filter = root.section("filter", catalogue_file::filter);
    let mut profile = Profile {
        name: root.need("name", String::new(), name).into(),
        description: root.or("description", String::new(), owned),
        user_agent: root.or("user_agent", HeaderValue::from_static("Fanfare"), user_agent),
        ids: root.section("ids", ids),
        name_required: root.or("name_required", false, Entry::boolean),
        schemes: root.section("url", |url| words(url, "schemes", &[Scheme::Https, Scheme::Http])),
        events: root.section("events", events),
        catalogue: catalogue_file::event_types(root, &filter),
        filter,
        methods: root.section("method", |method| choice(method, Method::Post)),
        content_types: root.section("content_type", |kind| choice(kind, ContentType::Json)),
        include_entity: root.or("include_entity", false, Entry::boolean),
        custom_headers: root.or("custom_headers", CustomHeaders::Any, Entry::word),
        auth: root.each("auth", Entry::word),
        payloads: wire::payloads(root),
        headers: root.each("headers", wire::header),
        signatures: root.each("signatures", wire::signature),
        message_signatures: root.each("message_signatures", message_signatures::read),
        secret: root.section("secret", secret),
        timeouts: root.section("timeout", timeouts),
        retry: root.section("retry", retry),
        activation: root.section("activation", activation),
        log: root.section("log", log),
        auto_disable: root.section("auto_disable", |knobs| AutoDisable {
            on_410: knobs.or("on_410", false, Entry::boolean),
            after: knobs.entry("after_hours").and_then(|entry| hours(&entry)),
        }),
        handshake: root.or("handshake", Handshake::None, Entry::word),
        own_api: root.or("own_api", OwnApi::None, Entry::word),
        needs: Vec::new(),
        sender_host: "localhost".into(),
        permissions: root.section("permissions", permissions::permissions),
    };
    profile.needs = Need::of(&profile);
    wire::check_together(&profile, root);
    catalogue_file::check_together(&profile, root);
    message_signatures::check_together(&profile, root);
    profile
}

fn owned(entry: &Entry) -> Option<String> {
    entry.text().map(str::to_owned)
}

fn name(entry: &Entry) -> Option<String> {
    let name = entry.text()?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(plain) {
        entry.note(format!("must be 1 to {MAX_NAME} small letters, digits, - and _"));
        return None;
    }
    Some(name.to_owned())
}

fn user_agent(entry: &Entry) -> Option<HeaderValue> {
    let value = HeaderValue::from_str(entry.text()?).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        entry.note("cannot be sent: a header's value is visible ASCII");
    }
    value
}

fn ids(knobs: &Section) -> Ids {
    Ids {
        webhook: knobs.or("webhook", WebhookIdForm::Prefixed, Entry::word),
        message: knobs.or("message", MessageIdOf::Event, Entry::word),
        message_form: knobs.or("message_form", MessageIdForm::Prefixed, Entry::word),
    }
}

fn events(knobs: &Section) -> EventPolicy {
    let limit = MAX_EVENT_NAMES as u32;
    EventPolicy {
        all: knobs.or("all", true, Entry::boolean),
        required: knobs.or("required", false, Entry::boolean),
        open: knobs.or("open", false, Entry::boolean),
        at_most: knobs.or("at_most", limit, |entry| entry.whole(1..=limit)) as usize,
    }
}

/// A list of words, which may not be empty.
fn words<E: Word>(knobs: &Section, key: &'static str, default: &[E]) -> Vec<E> {
    let Some(entry) = knobs.entry(key) else { return default.to_vec() };
    let (example, _) = E::WORDS[0];
    entry.some_of(&format!("{example:?}")).iter().filter_map(Entry::word).collect()
}

fn choice<E: Word + PartialEq>(knobs: &Section, default: E) -> Choice<E> {
    let allowed = words(knobs, "allowed", &[default]);
    let first = allowed.first().copied().unwrap_or(default);
    let default = knobs.or("default", first, |entry| {
        let word = entry.word()?;
        if !allowed.contains(&word) {
            entry.note("must be one of those allowed");
        }
        Some(word)
    });
    Choice { allowed, default }
}

fn secret(knobs: &Section) -> SecretPolicy {
    let bytes = |key, default| knobs.or(key, default, |entry| entry.whole(1..=MAX_KEY_BYTES)) as usize;
    let (least, most) = (bytes("min_bytes", 1), bytes("max_bytes", MAX_KEY_BYTES));
    let generated_bytes = bytes("generated_bytes", 24);
    if least > most {
        knobs.note("min_bytes must not be above max_bytes");
    }
    SecretPolicy {
        rule: knobs.or("rule", SecretRule::None, Entry::word),
        prefix: knobs.or("prefix", String::new(), owned),
        text: knobs.or("text", SecretText::Base64, Entry::word),
        generated_bytes,
        bytes: least..=most,
        overlap: knobs.or("overlap_seconds", Duration::from_secs(86_400), |entry| {
            entry.number(0.0..=MAX_OVERLAP_SECONDS).map(Duration::from_secs_f64)
        }),
    }
}

fn timeouts(knobs: &Section) -> Timeouts {
    let seconds = |key, default| {
        let read = |entry: &Entry| entry.number(0.1..=f64::from(MAX_TIMEOUT_SECONDS)).map(Duration::from_secs_f64);
        knobs.or(key, Duration::from_secs(default), read)
    };
    Timeouts {
        exchange: seconds("exchange_seconds", 15),
        connect: seconds("connect_seconds", 5),
        own: knobs.or("own", false, Entry::boolean),
    }
}

fn retry(knobs: &Section) -> RetryKnobs {
    RetryKnobs {
        delays: knobs.or("delays_seconds", Vec::new(), delays),
        jitter: knobs.or("jitter", 0.0, |entry| entry.number(0.0..=1.0)),
        honour_retry_after: knobs.or("honour_retry_after", false, Entry::boolean),
        success: knobs.or("success", vec![200..=299], statuses),
        sends: knobs.or("sends", RetrySends::Current, Entry::word),
        after_unknown: knobs.or("after_unknown", AfterUnknown::Resend, Entry::word),
        own: knobs.or("own", false, Entry::boolean),
        by_hand: knobs.or("by_hand", true, Entry::boolean),
    }
}

fn delays(entry: &Entry) -> Option<Vec<Duration>> {
    let items = entry.list()?;
    if items.len() > MAX_RETRIES {
        entry.note(format!("has {} delays, but at most {MAX_RETRIES} are allowed", items.len()));
    }
    let delay = |item: &Entry| item.number(0.001..=MAX_RETRY_DELAY.as_secs_f64()).map(Duration::from_secs_f64);
    Some(items.iter().filter_map(delay).collect())
}

fn statuses(entry: &Entry) -> Option<Vec<RangeInclusive<u16>>> {
    Some(entry.some_of("\"2xx\"").iter().filter_map(status_range).collect())
}

fn status_range(entry: &Entry) -> Option<RangeInclusive<u16>> {
    let text = entry.text()?;
    let range = match text.strip_suffix("xx") {
        Some(class) => class.parse::<u16>().ok().map(|class| class * 100..=class * 100 + 99),
        None => {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            first.parse().ok().zip(last.parse().ok()).map(|(first, last)| first..=last)
        }
    };
    let range = range.filter(|range| *range.start() >= 200 && range.start() <= range.end() && *range.end() <= 599);
    if range.is_none() {
        entry.note(format!("is {text:?}, but must be a class \"2xx\", a status \"202\" or a span \"200-204\""));
    }
    range
}

fn activation(knobs: &Section) -> Activation {
    Activation {
        enabled: knobs.or("enabled", true, Entry::boolean),
        test_on: knobs.or("test_on", TestOn::Never, Entry::word),
        test_event: knobs.entry("test_event").and_then(|entry| catalogue_file::type_name(&entry)),
        test_retries: knobs.or("test_retries", false, Entry::boolean),
    }
}

fn log(knobs: &Section) -> LogKnobs {
    LogKnobs {
        id: knobs.or("id", LoggedId::Delivery, Entry::word),
        however_old: knobs.or("however_old", false, Entry::boolean),
        deliveries_shown: knobs.entry("deliveries_shown").and_then(|entry| entry.whole(1..=u32::MAX)),
        captured_bytes: knobs.or("captured_bytes", 65_536, |entry| entry.whole(0..=MAX_CAPTURED_BYTES)) as usize,
    }
}

/// At most a year.
fn hours(entry: &Entry) -> Option<Duration> {
    entry.number(0.01..=8_760.0).map(|hours| Duration::from_secs_f64(hours * 3_600.0))
}
