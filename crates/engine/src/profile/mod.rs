//! Profiles: how webhooks look and behave on the wire and over time, as data read from TOML.
//!
//! A profile is one file. Nothing in the program asks for a profile's name: a further system is a further file.
//! `profiles/standard.toml` is the example that explains every knob.

mod builtin;
mod catalogue;
mod catalogue_file;
mod error;
mod knobs;
mod message_signatures;
mod needs;
mod parse;
mod permissions;
mod reader;
mod set;
mod settings;
mod source;
mod template;
mod wire;
mod words;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

pub use catalogue::{EntityType, EventCatalogue, EventFilter, EventTypeKnobs, Example};
pub use error::ProfileError;
pub use knobs::*;
pub use message_signatures::{ContentDigest, MessageSignatureKnobs};
pub use needs::{Need, ToldEvent};
pub use permissions::{MAX_STANDING_BYTES, Permissions, Standing};
pub use set::Profiles;
pub use settings::*;
pub use source::{Source, TimeForm};
pub use template::{Part, Template};

pub use crate::egress::Scheme;

use crate::health::HealthPolicy;
use crate::retry::RetryPolicy;
use crate::signing::SIGNATURE;
use crate::webhook::{ContentType, Method, Settings};

/// The name of the profile that webhooks have where nothing else is chosen; it comes with the program.
pub const DEFAULT_PROFILE: &str = "standard";
/// The most event types that one webhook may name.
pub const MAX_EVENT_NAMES: usize = 1_000;
/// The most retries that a schedule may have.
pub const MAX_RETRIES: usize = 50;
/// The longest delay of a schedule.
pub const MAX_RETRY_DELAY: Duration = Duration::from_secs(7 * 86_400);
/// The longest that an exchange may take.
pub const MAX_TIMEOUT_SECONDS: u32 = 60;

/// A checked profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    pub name: Arc<str>,
    /// For people who choose a profile.
    pub description: String,
    pub user_agent: HeaderValue,
    pub ids: Ids,
    /// Whether a webhook needs a name.
    pub name_required: bool,
    /// The URL schemes that may be called; never empty.
    pub schemes: Vec<Scheme>,
    pub events: EventPolicy,
    /// The event types that come with it.
    pub catalogue: EventCatalogue,
    pub filter: FilterPolicy,
    pub methods: Choice<Method>,
    pub content_types: Choice<ContentType>,
    /// Whether a webhook may ask for the entity itself in its payload.
    pub include_entity: bool,
    pub custom_headers: CustomHeaders,
    /// How a webhook may log in at its receiver; empty for not at all.
    pub auth: Vec<AuthKind>,
    /// The first whose condition holds is the body; never empty.
    pub payloads: Vec<Payload>,
    pub headers: Vec<Header>,
    pub signatures: Vec<SignatureKnobs>,
    pub message_signatures: Vec<MessageSignatureKnobs>,
    pub secret: SecretPolicy,
    pub timeouts: Timeouts,
    pub retry: RetryKnobs,
    pub activation: Activation,
    pub log: LogKnobs,
    pub auto_disable: AutoDisable,
    pub handshake: Handshake,
    pub own_api: OwnApi,
    /// What an event must not lack.
    pub needs: Vec<Need>,
    /// The host under which the server is reached, with its port if any. Not a knob: see [`Profiles::sent_from`].
    pub sender_host: Arc<str>,
    /// Who may see and manage webhooks.
    pub permissions: Permissions,
}

impl Profile {
    /// Reads a profile's file. `file` names it in errors.
    ///
    /// # Errors
    /// Every mistake in the file, in the order of its lines.
    pub fn parse(file: &str, text: &str) -> Result<Profile, Vec<ProfileError>> {
        parse::parse(file, text)
    }

    /// Whether the profile itself sends a header of this name.
    pub fn sends_header(&self, name: &HeaderName) -> bool {
        self.headers.iter().any(|header| header.name == *name)
            || self.signatures.iter().any(|signature| signature.header == *name)
            || self.message_signatures.iter().any(|signature| signature.sends(name))
    }

    /// The headers that hold signatures, each once.
    pub fn signature_headers(&self) -> Vec<HeaderName> {
        let mut names: Vec<HeaderName> = Vec::new();
        let message = self.message_signatures.first().map(|_| &SIGNATURE);
        for name in self.signatures.iter().map(|signature| &signature.header).chain(message) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// Whether anything is signed.
    pub fn signs(&self) -> bool {
        !self.signatures.is_empty() || !self.message_signatures.is_empty()
    }

    /// The schedule of a webhook with these settings: its own, where the profile allows that, or the profile's.
    pub fn retry_policy(&self, settings: &Settings) -> RetryPolicy {
        let own = settings.retry.as_ref().filter(|_| self.retry.own);
        let seconds = |delays: &[u32]| delays.iter().map(|delay| Duration::from_secs((*delay).into())).collect();
        RetryPolicy {
            delays: own.map_or_else(|| self.retry.delays.clone(), |own| seconds(&own.delays_seconds)),
            jitter: own.map_or(self.retry.jitter, |own| own.jitter),
            honour_retry_after: self.retry.honour_retry_after,
            stop_after_unknown: self.retry.after_unknown == AfterUnknown::Stop,
            disable_on_410: self.auto_disable.on_410,
        }
    }

    /// How long a whole exchange of a webhook with these settings may take.
    pub fn exchange_timeout(&self, settings: &Settings) -> Duration {
        let own = settings.timeout_seconds.filter(|_| self.timeouts.own);
        own.map_or(self.timeouts.exchange, |seconds| Duration::from_secs(seconds.into()))
    }

    /// Whether an answer with this status means that the receiver accepted.
    pub fn accepts_status(&self, status: u16) -> bool {
        self.retry.success.iter().any(|range| range.contains(&status))
    }

    /// When webhooks of this profile are switched off for failing.
    pub fn health_policy(&self) -> HealthPolicy {
        HealthPolicy { after: self.auto_disable.after }
    }
}
