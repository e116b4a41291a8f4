//! The body: the event's data as they are, an object of fields, or a form.

use std::ops::Range;

use bytes::Bytes;
use form_urlencoded::byte_serialize;

use super::RenderError;
use super::value::{Escape, Facts, Value};
use crate::profile::{Field, FieldValue, Missing, Payload, Shape, Source};
use crate::webhook::{ContentType, Method};

/// Room for what stands around the event's data.
const AROUND_DATA: usize = 256;

/// A body, and where in it the event's data stand byte for byte.
pub(super) type Body = (Bytes, Option<Range<usize>>);

pub(super) fn write(facts: &Facts) -> Result<Body, RenderError> {
    if facts.plan.method == Method::Get {
        return Ok((Bytes::new(), None));
    }
    let payload = facts.plan.profile.payloads.iter().find(|payload| facts.meets(&payload.when));
    let payload = payload.ok_or_else(|| RenderError::NoPayload(facts.event.kind.to_string()))?;
    match facts.plan.content_type {
        ContentType::Form => Ok((form(facts, payload).into(), None)),
        ContentType::Json | ContentType::CloudEvents => Ok(document(facts, payload)),
    }
}

fn document(facts: &Facts, payload: &Payload) -> Body {
    let data = &facts.event.data;
    match &payload.shape {
        Shape::Raw => (data.clone(), Some(0..data.len())),
        Shape::Object(fields) => {
            let entity = facts.event.entity.as_ref().and_then(|entity| entity.data.as_ref()).map_or(0, Bytes::len);
            let mut out = Json { text: String::with_capacity(data.len() + entity + AROUND_DATA), verbatim: None };
            out.object(facts, fields);
            (out.text.into(), out.verbatim)
        }
    }
}

/// JSON being written.
struct Json {
    text: String,
    verbatim: Option<Range<usize>>,
}

impl Json {
    fn object(&mut self, facts: &Facts, fields: &[Field]) {
        let mut separator = '{';
        for field in fields.iter().filter(|field| facts.meets(&field.when)) {
            let start = self.text.len();
            self.text.push(separator);
            self.text.push_str(&field.key);
            if self.field_value(facts, &field.value) {
                separator = ',';
            } else if field.missing != Missing::Omit {
                self.text.push_str("null");
                separator = ',';
            } else {
                self.text.truncate(start);
            }
        }
        if separator == '{' {
            self.text.push('{');
        }
        self.text.push('}');
    }

    /// `false` where there is no value; nothing is written then.
    fn field_value(&mut self, facts: &Facts, value: &FieldValue) -> bool {
        match value {
            FieldValue::From(source) => self.value(&facts.value(source), *source == Source::EventData),
            FieldValue::Either(first, second) => self.value(&facts.either(first, second), false),
            FieldValue::Object(fields) => {
                self.object(facts, fields);
                true
            }
            FieldValue::Text(template) => {
                let mut text = String::new();
                let complete = facts.expand(template, "", Escape::None, &mut text);
                complete && self.value(&Value::Text(text.into()), false)
            }
        }
    }

    fn value(&mut self, value: &Value, is_data: bool) -> bool {
        match value {
            Value::Missing => return false,
            Value::Number(_) => {
                value.append_plain(&mut self.text);
            }
            Value::Text(text) => self.quoted(text),
            Value::Json(json) => {
                let start = self.text.len();
                self.text.push_str(json);
                if is_data {
                    self.verbatim = Some(start..self.text.len());
                }
            }
        }
        true
    }

    fn quoted(&mut self, text: &str) {
        let plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
        if text.bytes().all(plain) {
            self.text.push('"');
            self.text.push_str(text);
            self.text.push('"');
        } else {
            self.text.push_str(&serde_json::Value::from(text).to_string());
        }
    }
}

fn form(facts: &Facts, payload: &Payload) -> String {
    let mut out = String::new();
    match (&payload.form_member, &payload.shape) {
        (Some(member), _) => {
            let (document, _) = document(facts, payload);
            append_pair(&mut out, member, &document);
        }
        (None, Shape::Object(fields)) => {
            for field in fields.iter().filter(|field| facts.meets(&field.when)) {
                if let Some(value) = form_value(facts, &field.value) {
                    append_pair(&mut out, &field.name, value.as_bytes());
                }
            }
        }
        // A profile that allows this does not pass its check.
        (None, Shape::Raw) => {}
    }
    out
}

/// A field's value as text: JSON objects and lists as their JSON. `None` where there is none.
fn form_value(facts: &Facts, value: &FieldValue) -> Option<String> {
    let mut text = String::new();
    let complete = match value {
        FieldValue::From(source) => facts.value(source).append_plain(&mut text),
        FieldValue::Either(first, second) => facts.either(first, second).append_plain(&mut text),
        FieldValue::Text(template) => facts.expand(template, "", Escape::None, &mut text),
        FieldValue::Object(fields) => {
            let mut json = Json { text: String::new(), verbatim: None };
            json.object(facts, fields);
            text = json.text;
            true
        }
    };
    complete.then_some(text)
}

fn append_pair(out: &mut String, name: &str, value: &[u8]) {
    if !out.is_empty() {
        out.push('&');
    }
    out.extend(byte_serialize(name.as_bytes()));
    out.push('=');
    out.extend(byte_serialize(value));
}
