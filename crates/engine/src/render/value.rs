//! The values of fields for one delivery, and conditions on it.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::fmt::Write as _;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::value::RawValue;
use url::Url;

use super::again::FirstSent;
use super::plan::Plan;
use crate::event::Event;
use crate::id::DeliveryId;
use crate::profile::{Condition, MessageIdForm, MessageIdOf, Part, Source, Template, TimeForm, WebhookIdForm};
use crate::time::Timestamp;
use crate::webhook::{ContentType, Method};

/// What CloudEvents' HTTP binding percent-encodes in a header, besides everything that is not ASCII.
const IN_HEADER: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// A field's value.
pub(super) enum Value<'a> {
    Missing,
    Text(Cow<'a, str>),
    Number(i64),
    /// JSON text, to be written as it is.
    Json(&'a str),
}

/// How field values are written into a text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    None,
    Percent,
}

type Members<'a> = HashMap<Cow<'a, str>, &'a RawValue>;

/// One delivery at one moment.
pub(super) struct Facts<'a> {
    pub plan: &'a Plan,
    pub event: &'a Event,
    pub delivery: DeliveryId,
    pub now: Timestamp,
    pub message_id: String,
    /// Whether a secret signs at this moment.
    pub signed: bool,
    /// Of the request, which may be one that is made again.
    method: Method,
    content_type: ContentType,
    pub url: &'a Url,
    members: OnceCell<Members<'a>>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(plan: &'a Plan, event: &'a Event, delivery: DeliveryId, now: Timestamp) -> Self {
        let ids = plan.profile.ids;
        let message_id = match (ids.message, ids.message_form, &event.external_id) {
            (MessageIdOf::External, _, Some(id)) => id.clone(),
            (MessageIdOf::Delivery, MessageIdForm::Prefixed, _) => delivery.to_string(),
            (MessageIdOf::Delivery, MessageIdForm::Uuid, _) => delivery.uuid().to_string(),
            (_, MessageIdForm::Prefixed, _) => event.id.to_string(),
            (_, MessageIdForm::Uuid, _) => event.id.uuid().to_string(),
        };
        let signed = plan.signs_at(now);
        let (method, content_type, url) = (plan.method, plan.content_type, &*plan.url);
        Facts { plan, event, delivery, now, message_id, signed, method, content_type, url, members: OnceCell::new() }
    }

    /// Of a request that is made again.
    pub(super) fn again(
        plan: &'a Plan,
        event: &'a Event,
        delivery: DeliveryId,
        now: Timestamp,
        first: &'a FirstSent,
    ) -> Self {
        let content_type = first.kind().unwrap_or(plan.content_type);
        Facts { method: first.method, content_type, url: &first.url, ..Facts::new(plan, event, delivery, now) }
    }

    /// Whether `condition` holds for this delivery.
    pub(super) fn meets(&self, condition: &Condition) -> bool {
        condition.method.is_none_or(|method| method == self.method)
            && condition.content_type.is_none_or(|kind| kind == self.content_type)
            && condition.include_entity.is_none_or(|wanted| wanted == self.plan.include_entity)
            && condition.secret.is_none_or(|wanted| wanted == self.signed)
            && (condition.events.is_empty() || condition.events.iter().any(|kind| **kind == *self.event.kind))
    }

    /// The value of `first`, or of `second` where that is missing or null.
    pub(super) fn either(&self, first: &Source, second: &Source) -> Value<'_> {
        match self.value(first) {
            Value::Missing | Value::Json("null") => self.value(second),
            value => value,
        }
    }

    pub(super) fn value(&self, source: &Source) -> Value<'_> {
        let event = self.event;
        let entity = event.entity.as_ref();
        match source {
            Source::MessageId => text(&self.message_id),
            Source::EventId => shown(event.id),
            Source::EventUuid => shown(event.id.uuid()),
            Source::EventExternalId => optional(event.external_id.as_deref()),
            Source::EventType => text(&event.kind),
            Source::EventData => json(&event.data),
            Source::EventMember(path) => self.member(path),
            Source::OccurredAt(form) => moment(event.occurred_at, *form),
            Source::EntityType => optional(entity.map(|entity| entity.kind.as_str())),
            Source::EntityId => optional(entity.map(|entity| entity.id.as_str())),
            Source::EntityNumber => entity.map_or(Value::Missing, |entity| number_or_text(&entity.id)),
            Source::EntityUrl => optional(entity.and_then(|entity| entity.url.as_deref())),
            Source::EntityData => {
                entity.and_then(|entity| entity.data.as_ref()).map_or(Value::Missing, |data| json(data))
            }
            Source::Scope(kind) => {
                optional(event.scope.iter().find(|entity| entity.kind == *kind).map(|entity| entity.id.as_str()))
            }
            Source::WebhookId => match self.plan.profile.ids.webhook {
                WebhookIdForm::Prefixed => shown(self.plan.webhook.id),
                WebhookIdForm::Uuid => shown(self.plan.webhook.uuid),
                WebhookIdForm::Number => Value::Number(self.plan.webhook.number),
            },
            Source::WebhookUuid => shown(self.plan.webhook.uuid),
            Source::WebhookNumber => Value::Number(self.plan.webhook.number),
            Source::WebhookName => text(&self.plan.webhook.name),
            Source::WebhookUrl => text(self.url.as_str()),
            Source::DeliveryId => shown(self.delivery),
            Source::DeliveryUuid => shown(self.delivery.uuid()),
            Source::OrganizationId => shown(event.organization),
            Source::ProjectId => shown(event.project),
            Source::SenderHost => text(&self.plan.profile.sender_host),
            Source::Now(form) => moment(self.now, *form),
        }
    }

    /// A member of the event's data; missing where the data are no object or have no such member.
    fn member(&self, path: &[String]) -> Value<'a> {
        let Some((first, deeper)) = path.split_first() else { return Value::Missing };
        let members = self.members.get_or_init(|| serde_json::from_slice(&self.event.data).unwrap_or_default());
        let mut found = members.get(first.as_str()).copied();
        for name in deeper {
            let inner: Option<Members> = found.and_then(|value| serde_json::from_str(value.get()).ok());
            found = inner.and_then(|members| members.get(name.as_str()).copied());
        }
        found.map_or(Value::Missing, |value| Value::Json(value.get()))
    }

    /// Appends `template` with its fields filled in, `signature` in place of its signature. `false` where a field has no
    /// value; the field is then left empty.
    pub(super) fn expand(&self, template: &Template, signature: &str, escape: Escape, out: &mut String) -> bool {
        let mut complete = true;
        for part in &template.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Signature => out.push_str(signature),
                // Only what is signed has a body in it; see `segments`.
                Part::Body => {}
                Part::Field(source) if escape == Escape::None => complete &= self.value(source).append_plain(out),
                Part::Field(source) => {
                    let mut plain = String::new();
                    complete &= self.value(source).append_plain(&mut plain);
                    out.extend(utf8_percent_encode(&plain, IN_HEADER));
                }
            }
        }
        complete
    }

    /// The texts of `template` before, between and after its bodies.
    pub(super) fn segments(&self, template: &Template) -> Vec<String> {
        let mut segments = vec![String::new()];
        for part in &template.parts {
            match part {
                Part::Body => segments.push(String::new()),
                Part::Text(text) => segments.last_mut().expect("never empty").push_str(text),
                Part::Signature => {}
                Part::Field(source) => {
                    self.value(source).append_plain(segments.last_mut().expect("never empty"));
                }
            }
        }
        segments
    }
}

impl Value<'_> {
    /// Appends the value as it stands in a header or form: texts without quotes. `false` where there is none.
    pub(super) fn append_plain(&self, out: &mut String) -> bool {
        match self {
            Value::Missing => return false,
            Value::Text(text) => out.push_str(text),
            Value::Number(number) => write!(out, "{number}").expect("writing to a String does not fail"),
            Value::Json(json) => match json.trim_ascii() {
                "null" => return false,
                quoted if quoted.starts_with('"') => match serde_json::from_str::<Cow<str>>(quoted) {
                    Ok(text) => out.push_str(&text),
                    Err(_) => return false,
                },
                other => out.push_str(other),
            },
        }
        true
    }
}

fn text(text: &str) -> Value<'_> {
    Value::Text(Cow::Borrowed(text))
}

fn shown<'a>(value: impl ToString) -> Value<'a> {
    Value::Text(Cow::Owned(value.to_string()))
}

fn optional(value: Option<&str>) -> Value<'_> {
    value.map_or(Value::Missing, text)
}

/// JSON that was accepted is UTF-8; should it not be, there is no value rather than a broken body.
fn json(bytes: &[u8]) -> Value<'_> {
    std::str::from_utf8(bytes).map_or(Value::Missing, Value::Json)
}

fn moment<'a>(at: Timestamp, form: TimeForm) -> Value<'a> {
    match form {
        TimeForm::Rfc3339 => shown(at),
        TimeForm::Seconds => Value::Number(at.seconds()),
        TimeForm::Millis => Value::Number(at.millis()),
    }
}

/// A number where `id` is one in canonical decimal: no sign but a minus, no leading zeros.
fn number_or_text(id: &str) -> Value<'_> {
    match id.parse::<i64>() {
        Ok(number) if number.to_string() == id => Value::Number(number),
        _ => text(id),
    }
}
