//! How a receiver checks the signature of one webhook's requests, read from what its profile sends.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fanfare_engine::profile::{Condition, Part, Profile, SignatureKnobs, Source, Template, TimeForm, WebhookIdForm};
use fanfare_engine::signing::{Algorithm, Encoding, Key, KeyForm};
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::{Method, Secret};
use http::HeaderName;

use crate::catalogue::webhooks::OpenWebhook;

/// The present time's difference from a signed one that is still taken, in seconds.
pub(super) const TOLERANCE_SECONDS: u32 = 300;
/// The bytes of an ed25519 key: a seed, and with its public half.
const SEED_BYTES: usize = 32;

/// How to check a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recipe {
    /// The header with the signatures, in small letters.
    pub(super) header: String,
    pub(super) algorithm: Algorithm,
    pub(super) key: KeyForm,
    pub(super) encoding: Encoding,
    /// What stands before the signatures in their header.
    pub(super) lead: Option<Lead>,
    /// What stands before each signature.
    pub(super) before: String,
    /// What stands after each.
    pub(super) after: String,
    /// What stands between them; empty where nothing does.
    pub(super) join: String,
    /// What is signed, in pieces.
    pub(super) signed: Vec<Piece>,
    /// What is read from other headers.
    pub(super) values: Vec<Value>,
    /// Which value is the time of sending.
    pub(super) time: Option<Time>,
    /// The secret as it is shown.
    pub(super) secret: String,
}

/// A value before the signatures, as in `t=1492774577,v1=…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lead {
    pub(super) before: String,
    pub(super) name: String,
    pub(super) after: String,
}

/// A piece of what is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    /// What was read under this name.
    Value(String),
    Body,
}

/// A value that a header holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) name: String,
    pub(super) header: String,
}

/// The value that says when a request was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) name: String,
    pub(super) millis: bool,
}

/// Why there is no code to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Without {
    /// The profile signs nothing.
    NotSigned,
    /// It signs, but this webhook has no secret.
    NoSecret,
    /// Requests of this method or content type are not signed.
    NotThese,
    /// By RFC 9421.
    MessageSignatures,
    /// By an ed25519 key, whose public half is given as base64.
    Ed25519 { public_key: String, header: String },
    /// What is signed cannot be put together from the request alone.
    Unreadable,
}

impl Recipe {
    /// How requests of a webhook are checked now; of several ways the strongest.
    ///
    /// # Errors
    /// Why that cannot be shown as code.
    pub(super) fn of(profile: &Profile, webhook: &OpenWebhook, now: Timestamp) -> Result<Recipe, Without> {
        if !profile.signs() {
            return Err(Without::NotSigned);
        }
        let live: Vec<&Secret> = webhook.credentials.secrets.iter().filter(|secret| secret.is_live(now)).collect();
        if live.is_empty() {
            return Err(Without::NoSecret);
        }
        let keyed = |name: &HeaderName, algorithm, form| {
            let mut named = live.iter().filter(|secret| secret.header.as_deref().is_none_or(|own| name == own));
            let bytes = &profile.secret.bytes;
            named.find(|secret| Key::prepare(algorithm, form, &secret.value, bytes.clone()).is_ok()).copied()
        };
        let mut ways: Vec<(&SignatureKnobs, &Secret)> = profile
            .signatures
            .iter()
            .filter(|knobs| holds(&knobs.when, webhook))
            .filter_map(|knobs| Some((knobs, keyed(&knobs.header, knobs.algorithm, knobs.key)?)))
            .collect();
        // The order of the file among equals.
        ways.sort_by_key(|(knobs, _)| strength(knobs.algorithm));
        let mut why = None;
        for (knobs, secret) in ways {
            match read(profile, webhook, knobs, secret) {
                Ok(recipe) => return Ok(recipe),
                Err(reason) => drop(why.get_or_insert(reason)),
            }
        }
        let other = if profile.message_signatures.is_empty() { Without::NotThese } else { Without::MessageSignatures };
        Err(why.unwrap_or(other))
    }

    /// The same with something else in the secret's place.
    pub(super) fn with_secret(self, secret: String) -> Recipe {
        Recipe { secret, ..self }
    }

    pub(super) fn is_base64(&self) -> bool {
        self.encoding == Encoding::Base64
    }

    /// Whether the key is had from base64.
    pub(super) fn has_base64_key(&self) -> bool {
        matches!(self.key, KeyForm::Base64 | KeyForm::Whsec | KeyForm::Whsk)
    }

    pub(super) fn has_hex_key(&self) -> bool {
        self.key == KeyForm::Hex
    }

    /// What the secret's text starts with that is not of the key.
    pub(super) fn prefix(&self) -> &'static str {
        self.key.prefix()
    }

    /// Whether the value of this name is the time of sending.
    pub(super) fn is_time(&self, name: &str) -> bool {
        self.time.as_ref().is_some_and(|time| time.name == name)
    }

    /// Whether the time of sending is in milliseconds.
    pub(super) fn has_millis(&self) -> bool {
        self.time.as_ref().is_some_and(|time| time.millis)
    }

    /// What is signed, for people: `{webhook-id}.{body}`, with headers by their names.
    pub(super) fn signed_in_words(&self) -> String {
        let header = |name: &String| self.values.iter().find(|value| value.name == *name).map(|value| &value.header);
        let word = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Value(name) => format!("{{{}}}", header(name).unwrap_or(name)),
            Piece::Body => "{body}".to_owned(),
        };
        self.signed.iter().map(word).collect()
    }

    /// What the header looks like, for people.
    pub(super) fn header_in_words(&self) -> String {
        let lead = self.lead.as_ref().map(|lead| format!("{}{{{}}}{}", lead.before, lead.name, lead.after));
        format!("{}: {}{}{{signature}}{}", self.header, lead.unwrap_or_default(), self.before, self.after)
    }

    /// The number of the hash function: SHA-1, SHA-256, SHA-512.
    pub(super) fn sha(&self) -> u32 {
        match self.algorithm {
            Algorithm::HmacSha1 => 1,
            Algorithm::HmacSha512 => 512,
            Algorithm::HmacSha256 | Algorithm::Ed25519 => 256,
        }
    }
}

/// Whether a condition can hold for a webhook; one on event types may.
fn holds(when: &Condition, webhook: &OpenWebhook) -> bool {
    let settings = &webhook.row.settings;
    let typed = |kind| settings.method != Method::Get && settings.content_type == kind;
    when.method.is_none_or(|method| method == settings.method)
        && when.content_type.is_none_or(typed)
        && when.include_entity.is_none_or(|wanted| wanted == settings.include_entity)
        && when.secret.is_none_or(|wanted| wanted)
}

fn strength(algorithm: Algorithm) -> u8 {
    match algorithm {
        Algorithm::HmacSha512 => 0,
        Algorithm::HmacSha256 => 1,
        Algorithm::HmacSha1 => 2,
        Algorithm::Ed25519 => 3,
    }
}

fn read(profile: &Profile, webhook: &OpenWebhook, knobs: &SignatureKnobs, secret: &Secret) -> Result<Recipe, Without> {
    let header = knobs.header.to_string();
    if knobs.algorithm == Algorithm::Ed25519 {
        let public_key = public_key(knobs.key, &secret.value).ok_or(Without::Unreadable)?;
        return Err(Without::Ed25519 { public_key, header });
    }
    let mut found = Found { profile, webhook, lead: None, values: Vec::new(), time: None };
    let lead = found.lead(&knobs.value).ok_or(Without::Unreadable)?;
    let (before, after) = around(&found, &knobs.item).ok_or(Without::Unreadable)?;
    let signed = knobs.input.parts.iter().map(|part| found.piece(part)).collect::<Option<Vec<_>>>();
    let signed = signed.ok_or(Without::Unreadable)?;
    Ok(Recipe {
        header,
        algorithm: knobs.algorithm,
        key: knobs.key,
        encoding: knobs.encoding,
        lead,
        before,
        after,
        join: knobs.join.clone(),
        signed,
        values: found.values,
        time: found.time,
        secret: padded(knobs.key, &secret.value),
    })
}

/// Some languages insist on the padding of base64.
fn padded(form: KeyForm, secret: &str) -> String {
    let encoded = secret.strip_prefix(form.prefix()).unwrap_or(secret);
    let lacks = match form {
        KeyForm::Base64 | KeyForm::Whsec | KeyForm::Whsk => (4 - encoded.len() % 4) % 4,
        KeyForm::Utf8 | KeyForm::Hex => 0,
    };
    format!("{secret}{}", "=".repeat(lacks))
}

/// The public half of an ed25519 key, as base64.
fn public_key(form: KeyForm, secret: &str) -> Option<String> {
    let text = secret.strip_prefix(form.prefix())?;
    let bytes = match form {
        KeyForm::Base64 | KeyForm::Whsec | KeyForm::Whsk => STANDARD.decode(padded(KeyForm::Base64, text)).ok()?,
        KeyForm::Utf8 => text.as_bytes().to_vec(),
        KeyForm::Hex => return None,
    };
    let seed = <[u8; SEED_BYTES]>::try_from(bytes.get(..SEED_BYTES)?).ok()?;
    Some(STANDARD.encode(ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key().as_bytes()))
}

/// The fixed texts around a signature.
fn around(found: &Found, item: &Template) -> Option<(String, String)> {
    let at = item.parts.iter().position(|part| *part == Part::Signature)?;
    let text = |parts: &[Part]| parts.iter().map(|part| found.fixed_part(part)).collect::<Option<String>>();
    Some((text(&item.parts[..at])?, text(&item.parts[at + 1..])?))
}

/// What is found while a recipe is put together.
struct Found<'a> {
    profile: &'a Profile,
    webhook: &'a OpenWebhook,
    /// What the signature's own header holds, and its name.
    lead: Option<(Source, String)>,
    values: Vec<Value>,
    time: Option<Time>,
}

impl Found<'_> {
    /// What stands before the signatures; outer `None` where the header is of a shape that is not known here.
    fn lead(&mut self, value: &Template) -> Option<Option<Lead>> {
        let text = |part: &Part| match part {
            Part::Text(text) => Some(text.clone()),
            _ => None,
        };
        let (before, source, after) = match &value.parts[..] {
            [Part::Signature] => return Some(None),
            [before, Part::Field(source), after, Part::Signature] => (text(before)?, source, text(after)?),
            [Part::Field(source), after, Part::Signature] => (String::new(), source, text(after)?),
            _ => return None,
        };
        let name = self.name(source);
        self.note_time(source, &name);
        self.lead = Some((source.clone(), name.clone()));
        Some(Some(Lead { before, name, after }))
    }

    fn piece(&mut self, part: &Part) -> Option<Piece> {
        let source = match part {
            Part::Text(text) => return Some(Piece::Text(text.clone())),
            Part::Body => return Some(Piece::Body),
            Part::Signature => return None,
            Part::Field(source) => source,
        };
        if let Some(text) = self.fixed(source) {
            return Some(Piece::Text(text));
        }
        if let Some((_, name)) = self.lead.as_ref().filter(|(known, _)| known == source) {
            return Some(Piece::Value(name.clone()));
        }
        let alone = [Part::Field(source.clone())];
        let sent = self.profile.headers.iter().find(|header| {
            header.value.parts == alone && !header.percent_encoded && holds(&header.when, self.webhook)
        })?;
        let header = sent.name.to_string();
        if let Some(known) = self.values.iter().find(|known| known.header == header) {
            return Some(Piece::Value(known.name.clone()));
        }
        let name = self.name(source);
        self.note_time(source, &name);
        self.values.push(Value { name: name.clone(), header });
        Some(Piece::Value(name))
    }

    /// A name that every language takes.
    fn name(&self, source: &Source) -> String {
        match source {
            Source::MessageId => "id".to_owned(),
            Source::Now(_) if self.time.is_none() => "timestamp".to_owned(),
            _ => format!("value{}", self.values.len() + 1),
        }
    }

    fn note_time(&mut self, source: &Source, name: &str) {
        let Source::Now(form @ (TimeForm::Seconds | TimeForm::Millis)) = source else { return };
        self.time.get_or_insert(Time { name: name.to_owned(), millis: *form == TimeForm::Millis });
    }

    fn fixed_part(&self, part: &Part) -> Option<String> {
        match part {
            Part::Text(text) => Some(text.clone()),
            Part::Field(source) => self.fixed(source),
            Part::Body | Part::Signature => None,
        }
    }

    /// What is the same in every request of the webhook.
    fn fixed(&self, source: &Source) -> Option<String> {
        let row = &self.webhook.row;
        match source {
            Source::WebhookId => Some(match self.profile.ids.webhook {
                WebhookIdForm::Prefixed => row.id.to_string(),
                WebhookIdForm::Uuid => row.uuid.to_string(),
                WebhookIdForm::Number => row.number.to_string(),
            }),
            Source::WebhookUuid => Some(row.uuid.to_string()),
            Source::WebhookNumber => Some(row.number.to_string()),
            Source::WebhookName => Some(row.settings.name.clone()),
            Source::OrganizationId => Some(row.organization.to_string()),
            Source::ProjectId => Some(row.project.to_string()),
            Source::SenderHost => Some(self.profile.sender_host.to_string()),
            _ => None,
        }
    }
}
