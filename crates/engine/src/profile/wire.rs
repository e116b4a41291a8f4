//! The part of a profile's file that says what goes over the wire: payloads, headers, signatures.

use http::HeaderName;

use super::Profile;
use super::knobs::{Condition, Field, FieldValue, Header, Missing, Payload, SecretRule, Shape, SignatureKnobs};
use super::reader::{Entry, Section};
use super::source::Source;
use super::template::{Part, Template};
use crate::header;
use crate::signing::{Encoding, KeyForm};
use crate::webhook::ContentType;

/// How deep objects may nest in a payload.
const MAX_DEPTH: usize = 8;

pub(super) fn payloads(root: &Section) -> Vec<Payload> {
    let Some(entry) = root.entry("payload") else {
        return vec![Payload { when: Condition::default(), shape: Shape::Raw, form_member: None }];
    };
    let items = if entry.is_section() { vec![entry] } else { entry.some_of("[payload] with its fields") };
    items.iter().filter_map(payload).collect()
}

fn payload(entry: &Entry) -> Option<Payload> {
    let knobs = entry.section()?;
    let when = condition(&knobs);
    let raw = knobs.or("raw", false, Entry::boolean);
    let fields = knobs.entry("fields").map(|list| fields(&list, 0));
    let form_member = knobs.entry("form_member").and_then(|entry| entry.text()).map(str::to_owned);
    if raw == fields.is_some() {
        knobs.note("must have either fields = […] or raw = true");
    }
    knobs.finish();
    Some(Payload { when, shape: fields.map_or(Shape::Raw, Shape::Object), form_member })
}

fn fields(list: &Entry, depth: usize) -> Vec<Field> {
    if depth >= MAX_DEPTH {
        list.note(format!("is nested deeper than {MAX_DEPTH} objects"));
        return Vec::new();
    }
    let items = list.list().unwrap_or_default();
    let mut fields: Vec<Field> = Vec::with_capacity(items.len());
    for item in &items {
        let Some(field) = field(item, depth) else { continue };
        // Two of one name may stand for different events or content types, but not both without a condition.
        if fields.iter().any(|other| other.name == field.name && other.when == field.when) {
            item.note(format!("is a second field {:?} under the same condition", field.name));
        }
        fields.push(field);
    }
    fields
}

fn field(entry: &Entry, depth: usize) -> Option<Field> {
    let knobs = entry.section()?;
    let name = knobs.need("name", "", Entry::text).to_owned();
    let from = knobs.entry("from").and_then(|entry| source(&entry));
    let or = knobs.entry("or").and_then(|entry| source(&entry));
    let text = knobs.entry("text").and_then(|entry| template(&entry, &[])).map(FieldValue::Text);
    let object = knobs.entry("fields").map(|list| FieldValue::Object(fields(&list, depth + 1)));
    let given = [knobs.entry("from"), knobs.entry("text"), knobs.entry("fields")].into_iter().flatten().count();
    if given != 1 {
        knobs.note("must have exactly one of from = \"…\", text = \"…\" and fields = […]");
    }
    if knobs.entry("or").is_some() && knobs.entry("from").is_none() {
        knobs.note("or goes with from");
    }
    let missing = knobs.or("missing", Missing::Blank, Entry::word);
    if or.is_some() && missing == Missing::Required {
        knobs.note("missing = \"required\" does not go with or");
    }
    let when = condition(&knobs);
    check_required(&knobs, missing, &when);
    knobs.finish();
    let key = format!("{}:", serde_json::Value::from(name.as_str()));
    let from = from.map(|from| match or {
        Some(or) => FieldValue::Either(from, or),
        None => FieldValue::From(from),
    });
    from.or(text).or(object).map(|value| Field { name, key, value, missing, when })
}

fn source(entry: &Entry) -> Option<Source> {
    Source::parse(entry.text()?).map_err(|reason| entry.note(reason)).ok()
}

pub(super) fn template(entry: &Entry, extra: &[(&str, Part)]) -> Option<Template> {
    Template::parse(entry.text()?, extra).map_err(|reason| entry.note(reason)).ok()
}

/// A template whose fixed parts can stand in a header.
pub(super) fn header_template(entry: &Entry, extra: &[(&str, Part)]) -> Option<Template> {
    let template = template(entry, extra)?;
    for part in &template.parts {
        if let Part::Text(text) = part
            && !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
        {
            entry.note("cannot be sent: a header's value is visible ASCII");
            return None;
        }
    }
    Some(template)
}

/// A header's name, and how it is written.
fn header_name(entry: &Entry) -> Option<(HeaderName, String)> {
    let written = entry.text()?;
    match header::profile_name(written) {
        Ok(name) => Some((name, written.to_owned())),
        Err(reason) => {
            entry.note(reason);
            None
        }
    }
}

pub(super) fn header(entry: &Entry) -> Option<Header> {
    let knobs = entry.section()?;
    let name = knobs.need("name", None, |entry| Some(header_name(entry)));
    let value = knobs.need("value", None, |entry| Some(header_template(entry, &[])));
    let missing = knobs.or("missing", Missing::Omit, Entry::word);
    let percent_encoded = knobs.or("percent_encoded", false, Entry::boolean);
    let when = condition(&knobs);
    check_required(&knobs, missing, &when);
    knobs.finish();
    let (name, written) = name?;
    Some(Header { name, written, value: value?, missing, percent_encoded, when })
}

pub(super) fn signature(entry: &Entry) -> Option<SignatureKnobs> {
    let knobs = entry.section()?;
    let header = knobs.need("header", None, |entry| Some(header_name(entry)));
    let algorithm = knobs.need("algorithm", None, |entry| Some(entry.word()));
    let key = knobs.or("key", KeyForm::Utf8, Entry::word);
    let input = knobs.or("input", Template::of(Part::Body), |entry| template(entry, &[("body", Part::Body)]));
    let encoding = knobs.or("encoding", Encoding::Hex, Entry::word);
    let item = knobs.or("item", Template::of(Part::Signature), |entry| around(entry, "signature"));
    let join =
        knobs.or("join", " ".to_owned(), |entry| header_template(entry, &[]).and(entry.text()).map(str::to_owned));
    let value = knobs.or("value", Template::of(Part::Signature), |entry| around(entry, "signatures"));
    let when = condition(&knobs);
    knobs.finish();
    let (header, written) = header?;
    Some(SignatureKnobs { header, written, algorithm: algorithm?, key, input, encoding, item, join, value, when })
}

/// A header's template that must have the field `name`.
fn around(entry: &Entry, name: &str) -> Option<Template> {
    let template = header_template(entry, &[(name, Part::Signature)])?;
    if !template.has(&Part::Signature) {
        entry.note(format!("must contain {{{name}}}"));
    }
    Some(template)
}

/// What is needed only by some webhooks cannot be asked of every event.
fn check_required(knobs: &Section, missing: Missing, when: &Condition) {
    let of_event = Condition { events: when.events.clone(), ..Condition::default() };
    if missing == Missing::Required && *when != of_event {
        knobs.note("missing = \"required\" goes with when.events alone, since an event is checked before its webhooks");
    }
}

pub(super) fn condition(knobs: &Section) -> Condition {
    knobs.section("when", |when| Condition {
        method: when.entry("method").and_then(|entry| entry.word()),
        content_type: when.entry("content_type").and_then(|entry| entry.word()),
        include_entity: when.entry("include_entity").and_then(|entry| entry.boolean()),
        secret: when.entry("secret").and_then(|entry| entry.boolean()),
        events: when.each("events", |entry| entry.text().map(str::to_owned)),
    })
}

/// What can only be judged once all knobs are read.
pub(super) fn check_together(profile: &Profile, root: &Section) {
    let note = |key: &'static str, reason: String| match root.entry(key) {
        Some(entry) => entry.note(reason),
        None => root.note(format!("{key}: {reason}")),
    };
    let form = profile.content_types.allowed.contains(&ContentType::Form);
    for payload in &profile.payloads {
        let never = payload.when.content_type.is_some_and(|kind| kind != ContentType::Form);
        if form && !never && payload.shape == Shape::Raw && payload.form_member.is_none() {
            note("payload", "a raw payload can be sent as a form only with form_member = \"…\"".to_owned());
        }
    }
    match (profile.secret.rule, !profile.signs()) {
        (SecretRule::None, false) => {
            note("secret", "rule is \"none\", but there are signatures; set \"given\" or \"generated\"".to_owned());
        }
        (SecretRule::Given | SecretRule::Generated, true) => {
            note("secret", "there are secrets, but no signatures that use them".to_owned());
        }
        _ => {}
    }
    for (index, signature) in profile.signatures.iter().enumerate() {
        if profile.headers.iter().any(|header| header.name == signature.header) {
            note("signatures", format!("[{index}]: the header {} is sent by headers already", signature.header));
        }
        let clashes = |other: &&SignatureKnobs| {
            other.header == signature.header && (&other.join, &other.value) != (&signature.join, &signature.value)
        };
        if profile.signatures[..index].iter().any(|other| clashes(&other)) {
            note("signatures", format!("[{index}]: signatures in one header must have the same join and value"));
        }
    }
    if profile.secret.rule == SecretRule::Generated {
        check_generated(profile, note);
    }
}

/// A generated secret must be one that the profile's own signatures can use.
fn check_generated(profile: &Profile, note: impl Fn(&'static str, String)) {
    let sample = crate::signing::make_secret(profile, &[0x5a; 512]);
    if let Err(reason) = crate::signing::check_secret(profile, &sample, None) {
        note("secret", format!("what would be generated cannot sign: it {reason}"));
    }
}
