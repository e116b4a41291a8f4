//! What a profile can set, as checked data.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::time::Duration;

use http::HeaderName;
use uuid::Uuid;

use super::catalogue::EntityType;
use super::source::Source;
use super::template::Template;
use crate::event::canonical_id;
use crate::signing::{Algorithm, Encoding, KeyForm};
use crate::webhook::{ContentType, Method};

/// How ids appear on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// The form of `{webhook.id}`.
    pub webhook: WebhookIdForm,
    /// Whose id `{message.id}` is.
    pub message: MessageIdOf,
    /// The form of `{message.id}`.
    pub message_form: MessageIdForm,
}

/// The form of a webhook's id on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookIdForm {
    /// `whk_…`
    Prefixed,
    Uuid,
    /// Counted from 1 in the organization.
    Number,
}

/// What a message's id identifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageIdOf {
    /// The event: all webhooks that get it see the same id.
    Event,
    /// The event by the host's own id where it gave one, which is then sent as it is.
    External,
    /// The delivery: each webhook sees another id.
    Delivery,
}

/// The form of a message's id on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageIdForm {
    /// `evt_…` or `dlv_…`
    Prefixed,
    Uuid,
}

/// Which values a webhook may choose from, and what it has where it does not choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice<T> {
    pub allowed: Vec<T>,
    pub default: T,
}

/// What a webhook may subscribe to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPolicy {
    /// Whether "all" may be chosen.
    pub all: bool,
    /// Whether a new webhook must say which it wants; without that, one that doesn't gets all.
    pub required: bool,
    /// Whether a webhook may name event types that the project doesn't have.
    pub open: bool,
    /// How many event types one webhook may name.
    pub at_most: usize,
}

/// Whether a webhook names an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterRule {
    None,
    Optional,
    Required,
}

impl FilterRule {
    /// The word for it in files and answers.
    pub fn name(self) -> &'static str {
        match self {
            FilterRule::None => "none",
            FilterRule::Optional => "optional",
            FilterRule::Required => "required",
        }
    }
}

/// What a webhook's filter is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterMatches {
    /// The event's own entity.
    Entity,
    /// The event's entity and its ancestors.
    Scope,
}

/// How a filter's id is compared with those of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdForm {
    /// Byte for byte.
    #[default]
    Text,
    /// As UUIDs, in whatever spelling; one that is no UUID byte for byte.
    Uuid,
}

impl IdForm {
    /// Whether an id is of this form.
    pub fn fits(self, id: &str) -> bool {
        match self {
            IdForm::Text => true,
            IdForm::Uuid => Uuid::try_parse(id).is_ok(),
        }
    }

    /// The id as it is compared.
    pub fn canonical(self, id: &str) -> Cow<'_, str> {
        match self {
            IdForm::Text => Cow::Borrowed(id),
            IdForm::Uuid => canonical_id(id),
        }
    }
}

/// Filters on entities. Where an event type of the profile says otherwise, that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterPolicy {
    pub rule: FilterRule,
    pub matches: FilterMatches,
    /// The types of entity that there are; empty for any.
    pub types: Vec<EntityType>,
    pub id_form: IdForm,
    /// Whether an id that is not of that form is refused.
    pub strict_ids: bool,
    /// Ids that stand for none, in the form in which ids are compared.
    pub empty_ids: Vec<String>,
}

impl FilterPolicy {
    /// Whether a webhook's filter may have this id.
    pub fn takes_id(&self, id: &str) -> bool {
        !self.strict_ids || self.id_form.fits(id)
    }

    /// Whether an id stands for none.
    pub fn is_empty_id(&self, id: &str) -> bool {
        let id = self.id_form.canonical(id);
        id.is_empty() || self.empty_ids.iter().any(|empty| *empty == id)
    }
}

/// When a field, a header, a signature or a payload is used. What is not set does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    pub method: Option<Method>,
    pub content_type: Option<ContentType>,
    pub include_entity: Option<bool>,
    /// Whether the webhook has a secret that signs now.
    pub secret: Option<bool>,
    /// The event types for which it holds; empty for all.
    pub events: Vec<String>,
}

/// A shape of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    pub when: Condition,
    pub shape: Shape,
    /// In a form: the one member that holds the whole JSON document, instead of a member for each field.
    pub form_member: Option<String>,
}

/// What the body is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The event's data, byte for byte.
    Raw,
    /// An object of these members, in this order.
    Object(Vec<Field>),
}

/// A member of the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    /// The name as JSON with its colon, `"type":`.
    pub key: String,
    pub value: FieldValue,
    pub missing: Missing,
    pub when: Condition,
}

/// What a member holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    From(Source),
    /// The first, or the second where the event lacks the first or has null there.
    Either(Source, Source),
    /// A text with fields.
    Text(Template),
    /// An object inside the object.
    Object(Vec<Field>),
}

/// What becomes of a member or header whose value the event lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It is left out.
    Omit,
    /// A member is null (in a form it is left out, which has no null), a header empty.
    Blank,
    /// An event that lacks it is refused; in a test event it is as `Blank`.
    Required,
}

/// A header that the profile sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub name: HeaderName,
    /// The name as the profile writes it.
    pub written: String,
    pub value: Template,
    pub missing: Missing,
    /// Whether values are percent-encoded where they are not plain visible ASCII.
    pub percent_encoded: bool,
    pub when: Condition,
}

/// How many headers a webhook may add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CustomHeaders {
    None,
    One,
    /// Bounded by bytes.
    Any,
}

/// How a webhook may log in at its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthKind {
    Basic,
    Bearer,
}

/// A signature that is sent. Several may share a header; their items are then joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureKnobs {
    pub header: HeaderName,
    /// The header's name as the profile writes it.
    pub written: String,
    pub algorithm: Algorithm,
    pub key: KeyForm,
    /// What is signed.
    pub input: Template,
    pub encoding: Encoding,
    /// The form of one signature, `v1,{signature}`.
    pub item: Template,
    /// What stands between items.
    pub join: String,
    /// The whole header around the joined items, `t={timestamp},{signatures}`.
    pub value: Template,
    pub when: Condition,
}

/// Who makes a webhook's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretRule {
    /// Webhooks have none.
    None,
    /// The one who makes the webhook may give one; without it nothing is signed.
    Given,
    /// As `Given`, but where none is given one is made.
    Generated,
}

/// How the random bytes of a generated secret are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretText {
    Base64,
    Hex,
    /// Base64 with `-` and `_`, not padded.
    UrlSafe,
}

/// What secrets look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretPolicy {
    pub rule: SecretRule,
    /// What a generated one starts with.
    pub prefix: String,
    pub text: SecretText,
    /// How many random bytes a generated one holds.
    pub generated_bytes: usize,
    /// How many bytes the decoded key of a given one may have.
    pub bytes: RangeInclusive<usize>,
    /// How long a replaced secret still signs, where the one who rotates does not say.
    pub overlap: Duration,
}

/// How long an exchange may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the first packet to the head of the response.
    pub exchange: Duration,
    /// Until a connection stands, TLS included.
    pub connect: Duration,
    /// Whether a webhook may have its own `timeout_seconds`.
    pub own: bool,
}

/// What method, URL, content type and body a later attempt has, be it of the schedule or asked for by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetrySends {
    /// As the webhook is set up at that moment.
    Current,
    /// As on the first attempt.
    AsFirstSent,
}

/// What follows an attempt of which nobody knows whether it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterUnknown {
    /// It is sent again: at least once.
    Resend,
    /// It is given up: at most once.
    Stop,
}

/// When a delivery is tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryKnobs {
    /// From one attempt's end to the next attempt; as many retries as there are delays.
    pub delays: Vec<Duration>,
    /// The share of each delay that chance adds at most, 0 to 1.
    pub jitter: f64,
    pub honour_retry_after: bool,
    /// The statuses that mean "accepted".
    pub success: Vec<RangeInclusive<u16>>,
    pub sends: RetrySends,
    pub after_unknown: AfterUnknown,
    /// Whether a webhook may have its own schedule.
    pub own: bool,
    /// Whether people may send a delivery again, and recover what a webhook missed.
    pub by_hand: bool,
}

/// When a test event is sent without being asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestOn {
    Never,
    Creation,
    /// Each time that the webhook is switched from off to on.
    SwitchOn,
}

/// How a webhook starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    /// Whether a new webhook is active where the request does not say.
    pub enabled: bool,
    pub test_on: TestOn,
    /// The event type of test events; `None` for the first that the webhook names, or the first of the profile.
    pub test_event: Option<String>,
    /// Whether a test event that is sent by itself is retried by the schedule.
    pub test_retries: bool,
}

/// Whose id the log shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoggedId {
    Delivery,
    Event,
}

/// What the log shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogKnobs {
    /// How many deliveries the view of one webhook shows at most; `None` for all that are kept.
    pub deliveries_shown: Option<u32>,
    /// Whose id stands in the list of deliveries.
    pub id: LoggedId,
    /// Whether the system shows deliveries however old they are. The server's retention removes them all the same, and a start
    /// says so.
    pub however_old: bool,
    /// How many bytes of a response's body are kept.
    pub captured_bytes: usize,
}

/// When a webhook is switched off because its receiver fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AutoDisable {
    /// At once when the receiver answers 410 Gone.
    pub on_410: bool,
    /// After nothing but failure for this long; `None` for never.
    pub after: Option<Duration>,
}

/// The API of the system that a profile stands in for, which is answered beside Fanfare's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnApi {
    None,
    /// `/WebHookSubscription/…`
    Enate,
    /// `/rest/v1/webhooks`
    Etlworks,
}

/// How a receiver proves that it agrees to get events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    None,
    /// It echoes a challenge that it is posted, as Slack's receivers do.
    Challenge,
    /// It answers OPTIONS with the permission that CloudEvents' webhooks ask for.
    CloudEvents,
}
