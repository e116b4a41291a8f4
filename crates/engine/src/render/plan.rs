//! What of a webhook's requests can be worked out before there is an event.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use url::Url;
use uuid::Uuid;

use super::value::{Escape, Facts};
use super::{RenderError, Rendered, body, message_signatures};
use crate::egress::parse_url;
use crate::event::Event;
use crate::header::HOPS;
use crate::id::{DeliveryId, WebhookId};
use crate::profile::{Missing, Profile};
use crate::signing::{Key, KeyError, SIGNATURE, check_secret};
use crate::spelling::Spelling;
use crate::time::Timestamp;
use crate::webhook::{Auth, ContentType, Method, Webhook};

/// How many bytes the values that differ from request to request seldom exceed: room for them is made at once.
const VALUES: usize = 256;

/// Why a webhook cannot be sent anything. Settings that its profile allows give none of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("the URL cannot be read: {0}")]
    Url(String),
    #[error("the header {0} cannot be sent")]
    Header(String),
    #[error("the secret {0}")]
    Secret(String),
}

/// A webhook prepared for sending: its fixed headers, its decoded keys.
#[derive(Debug)]
pub struct Plan {
    pub(super) profile: Arc<Profile>,
    pub(super) method: Method,
    pub(super) content_type: ContentType,
    pub(super) include_entity: bool,
    pub(super) url: Arc<Url>,
    pub(super) webhook: Identity,
    fixed: Vec<(HeaderName, HeaderValue)>,
    /// The webhook's own headers and its authorization: for its own receiver only.
    credentials: Vec<(HeaderName, HeaderValue)>,
    signers: Vec<Signer>,
    spelling: Spelling,
}

/// What payloads and headers may say about the webhook.
#[derive(Debug)]
pub(super) struct Identity {
    pub id: WebhookId,
    pub uuid: Uuid,
    pub number: i64,
    pub name: String,
}

/// One of the profile's signatures: its index in their list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Plain(usize),
    /// Of the message signatures.
    Message(usize),
}

/// A key for one of the profile's signatures.
#[derive(Debug)]
pub(super) struct Signer {
    slot: Slot,
    /// The header that holds its signature.
    header: HeaderName,
    /// Whether its secret is for that header alone.
    alone: bool,
    pub key: Key,
    expires_at: Option<Timestamp>,
}

impl Plan {
    /// Prepares `webhook`, whose profile is `profile`.
    ///
    /// # Errors
    /// Where its settings are none that the profile allows; see [`Profile::check_settings`].
    pub fn compile(profile: &Arc<Profile>, webhook: &Webhook) -> Result<Plan, PlanError> {
        let settings = &webhook.settings;
        let url = parse_url(&settings.url).map_err(|reason| PlanError::Url(reason.to_string()))?;
        Ok(Plan {
            profile: profile.clone(),
            method: settings.method,
            content_type: settings.content_type,
            include_entity: settings.include_entity,
            url: Arc::new(url),
            webhook: Identity {
                id: webhook.id,
                uuid: webhook.uuid,
                number: webhook.number,
                name: settings.name.clone(),
            },
            fixed: fixed_headers(profile, webhook),
            credentials: credential_headers(webhook)?,
            signers: signers(profile, webhook)?,
            spelling: spelling(profile, webhook),
        })
    }

    /// The webhook's profile.
    pub fn profile(&self) -> &Arc<Profile> {
        &self.profile
    }

    /// Where its requests go.
    pub fn url(&self) -> &Arc<Url> {
        &self.url
    }

    /// How the names of its headers are written.
    pub fn spelling(&self) -> &Spelling {
        &self.spelling
    }

    /// About how many bytes the webhook's own headers and its keys take.
    pub fn weight(&self) -> usize {
        let headers = self.fixed.iter().chain(&self.credentials);
        let headers: usize = headers.map(|(name, value)| name.as_str().len() + value.len() + 64).sum();
        headers + self.signers.len() * size_of::<Signer>() + self.webhook.name.len() + self.spelling.weight()
    }

    /// Whether a secret signs at `now`.
    pub(super) fn signs_at(&self, now: Timestamp) -> bool {
        self.signers.iter().any(|signer| signer.is_live(now))
    }

    /// The request for `event`, sent as `delivery` at `now`. The message's id is the same for each attempt; its timestamp and
    /// signatures are of `now`.
    ///
    /// # Errors
    /// Where the event has no payload in this profile, or a value that cannot stand in a header.
    pub fn render(&self, event: &Event, delivery: DeliveryId, now: Timestamp) -> Result<Rendered, RenderError> {
        let facts = Facts::new(self, event, delivery, now);
        let (body, verbatim) = body::write(&facts)?;
        let headers =
            HeaderMap::with_capacity(self.fixed.len() + self.credentials.len() + self.profile.headers.len() + 4);
        let rendered = Rendered { method: self.method.as_http(), url: self.url.clone(), headers, body, verbatim };
        self.with_headers(&facts, rendered, None)
    }

    /// As [`Plan::render`], but a POST of the event's data as they are, whatever the profile's payload is.
    ///
    /// # Errors
    /// Where the event has a value that cannot stand in a header.
    pub fn render_data(&self, event: &Event, delivery: DeliveryId, now: Timestamp) -> Result<Rendered, RenderError> {
        let facts = Facts::new(self, event, delivery, now);
        let rendered = Rendered {
            method: http::Method::POST,
            url: self.url.clone(),
            headers: HeaderMap::new(),
            body: event.data.clone(),
            verbatim: Some(0..event.data.len()),
        };
        self.with_headers(&facts, rendered, Some(Some(HeaderValue::from_static("application/json"))))
    }

    /// Adds all headers, the signatures last. Where `content_type` is given, it stands instead of the webhook's own.
    pub(super) fn with_headers(
        &self,
        facts: &Facts,
        mut rendered: Rendered,
        content_type: Option<Option<HeaderValue>>,
    ) -> Result<Rendered, RenderError> {
        let Rendered { method, url, headers, body, .. } = &mut rendered;
        let own = if self.is_own_receiver(url) { &self.credentials[..] } else { &[] };
        for (name, value) in self.fixed.iter().chain(own) {
            headers.insert(name, value.clone());
        }
        if let Some(kind) = content_type {
            headers.remove(header::CONTENT_TYPE);
            headers.extend(kind.map(|kind| (header::CONTENT_TYPE, kind)));
        }
        if facts.event.hops > 0 {
            headers.insert(HOPS, HeaderValue::from(u16::from(facts.event.hops) + 1));
        }
        let mut values = Values::with_capacity(VALUES);
        self.add_profile_headers(facts, &mut values, headers)?;
        self.add_signatures(facts, body, &mut values, headers)?;
        if !self.profile.message_signatures.is_empty() {
            message_signatures::add(self, facts, method, body, headers)?;
        }
        Ok(rendered)
    }

    /// Whether a request to `url` reaches the receiver that the webhook has now. Receivers of different customers may share a
    /// host, each with its own path.
    fn is_own_receiver(&self, url: &Arc<Url>) -> bool {
        Arc::ptr_eq(url, &self.url) || (url.origin() == self.url.origin() && url.path() == self.url.path())
    }

    /// The keys that sign in `slot` at `now`: where some secrets are for its header alone, only theirs.
    pub(super) fn live_signers(&self, slot: Slot, now: Timestamp) -> impl Iterator<Item = &Signer> {
        let live = move |signer: &&Signer| signer.is_live(now);
        let header = self.signers.iter().find(|signer| signer.slot == slot).map(|signer| &signer.header);
        let reserved = self.signers.iter().filter(live).any(|signer| signer.alone && Some(&signer.header) == header);
        self.signers.iter().filter(live).filter(move |signer| signer.slot == slot && signer.alone == reserved)
    }

    fn add_profile_headers(
        &self,
        facts: &Facts,
        values: &mut Values,
        headers: &mut HeaderMap,
    ) -> Result<(), RenderError> {
        for header in self.profile.headers.iter().filter(|header| facts.meets(&header.when)) {
            values.text.clear();
            let escape = if header.percent_encoded { Escape::Percent } else { Escape::None };
            let complete = facts.expand(&header.value, "", escape, &mut values.text);
            if !complete && header.missing == Missing::Omit {
                continue;
            }
            if !complete {
                values.text.clear();
            }
            headers.insert(&header.name, values.take(&header.name)?);
        }
        Ok(())
    }

    fn add_signatures(
        &self,
        facts: &Facts,
        body: &[u8],
        values: &mut Values,
        headers: &mut HeaderMap,
    ) -> Result<(), RenderError> {
        let signatures = &self.profile.signatures;
        for (index, first) in signatures.iter().enumerate() {
            // Signatures that share a header are sent together, where the first of them stands.
            if signatures[..index].iter().any(|earlier| earlier.header == first.header) {
                continue;
            }
            let mut items = String::new();
            for (index, other) in signatures.iter().enumerate().skip(index) {
                if other.header == first.header && facts.meets(&other.when) {
                    self.append_items(index, facts, body, &mut items);
                }
            }
            if !items.is_empty() {
                values.text.clear();
                facts.expand(&first.value, &items, Escape::None, &mut values.text);
                headers.insert(&first.header, values.take(&first.header)?);
            }
        }
        Ok(())
    }

    /// Appends an item for each key of the signature `index` that signs now.
    fn append_items(&self, index: usize, facts: &Facts, body: &[u8], items: &mut String) {
        let knobs = &self.profile.signatures[index];
        let mut segments = None;
        for signer in self.live_signers(Slot::Plain(index), facts.now) {
            let segments = segments.get_or_insert_with(|| facts.segments(&knobs.input));
            let (first, rest) = segments.split_first().expect("never empty");
            let pieces = rest.iter().flat_map(|text| [body, text.as_bytes()]);
            let signature = signer.key.sign(std::iter::once(first.as_bytes()).chain(pieces));
            let mut encoded = String::with_capacity(128);
            knobs.encoding.append(signature.as_bytes(), &mut encoded);
            if !items.is_empty() {
                items.push_str(&knobs.join);
            }
            facts.expand(&knobs.item, &encoded, Escape::None, items);
        }
    }
}

impl Signer {
    fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// Makes header values that share their memory, so that a request's headers cost few allocations and are cheap to copy.
struct Values {
    /// The next value.
    text: String,
    shared: BytesMut,
}

impl Values {
    fn with_capacity(bytes: usize) -> Values {
        Values { text: String::with_capacity(bytes), shared: BytesMut::with_capacity(bytes) }
    }

    /// The text as the value of the header `name`.
    fn take(&mut self, name: &HeaderName) -> Result<HeaderValue, RenderError> {
        self.shared.extend_from_slice(self.text.as_bytes());
        let value = self.shared.split().freeze();
        HeaderValue::from_maybe_shared(value).map_err(|_| RenderError::Header(name.to_string()))
    }
}

pub(super) fn sendable(name: &HeaderName, text: String) -> Result<HeaderValue, RenderError> {
    HeaderValue::try_from(text).map_err(|_| RenderError::Header(name.to_string()))
}

fn fixed_headers(profile: &Profile, webhook: &Webhook) -> Vec<(HeaderName, HeaderValue)> {
    let mut fixed = vec![
        (header::USER_AGENT, profile.user_agent.clone()),
        (header::ACCEPT, HeaderValue::from_static("*/*")),
        // Answers are kept as they come and never decompressed.
        (header::ACCEPT_ENCODING, HeaderValue::from_static("identity")),
    ];
    if webhook.settings.method != Method::Get {
        let kind = HeaderValue::from_static(webhook.settings.content_type.as_str());
        fixed.push((header::CONTENT_TYPE, kind));
    }
    fixed
}

/// The names as the profile writes them, and the webhook's own as its owner does.
fn spelling(profile: &Profile, webhook: &Webhook) -> Spelling {
    let headers = profile.headers.iter().map(|header| header.written.as_str());
    let signatures = profile.signatures.iter().map(|signature| signature.written.as_str());
    let own = webhook.credentials.headers.iter().map(|(name, _)| name.as_str());
    Spelling::of(headers.chain(signatures).chain(own))
}

fn credential_headers(webhook: &Webhook) -> Result<Vec<(HeaderName, HeaderValue)>, PlanError> {
    let mut headers = Vec::new();
    for (name, value) in &webhook.credentials.headers {
        let parsed = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_bytes(value.as_bytes()).ok());
        let (parsed, mut value) = parsed.ok_or_else(|| PlanError::Header(name.clone()))?;
        value.set_sensitive(true);
        headers.push((parsed, value));
    }
    if let Some(auth) = &webhook.credentials.auth {
        headers.push((header::AUTHORIZATION, authorization(auth)?));
    }
    Ok(headers)
}

fn authorization(auth: &Auth) -> Result<HeaderValue, PlanError> {
    let text = match auth {
        Auth::Basic { username, password } => format!("Basic {}", BASE64.encode(format!("{username}:{password}"))),
        Auth::Bearer { token } => format!("Bearer {token}"),
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| PlanError::Header("authorization".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The keys in the order of the profile's signatures, and within each in the order of the secrets.
fn signers(profile: &Profile, webhook: &Webhook) -> Result<Vec<Signer>, PlanError> {
    let secrets = &webhook.credentials.secrets;
    let mut signers = Vec::new();
    if !profile.signs() {
        return Ok(signers);
    }
    for secret in secrets {
        check_secret(profile, &secret.value, secret.header.as_deref()).map_err(PlanError::Secret)?;
    }
    let plain = profile.signatures.iter().enumerate();
    let plain = plain.map(|(index, knobs)| (Slot::Plain(index), &knobs.header, knobs.algorithm, knobs.key));
    let message = profile.message_signatures.iter().enumerate();
    let message = message.map(|(index, knobs)| (Slot::Message(index), &SIGNATURE, knobs.algorithm, knobs.key));
    for (slot, header, algorithm, form) in plain.chain(message) {
        for secret in secrets.iter().filter(|secret| secret.header.as_deref().is_none_or(|name| header == name)) {
            let key: Result<Key, KeyError> = Key::prepare(algorithm, form, &secret.value, profile.secret.bytes.clone());
            // A key of another form is for another of the signatures.
            signers.extend(key.ok().map(|key| Signer {
                slot,
                header: header.clone(),
                alone: secret.header.is_some(),
                key,
                expires_at: secret.expires_at,
            }));
        }
    }
    Ok(signers)
}
