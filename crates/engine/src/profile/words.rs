//! The words that profile files use for the values of knobs.

use super::knobs::{
    AfterUnknown, AuthKind, CustomHeaders, FilterMatches, FilterRule, Handshake, IdForm, LoggedId, MessageIdForm,
    MessageIdOf, Missing, OwnApi, RetrySends, SecretRule, SecretText, TestOn, WebhookIdForm,
};
use super::message_signatures::ContentDigest;
use super::reader::Word;
use crate::egress::Scheme;
use crate::signing::{Algorithm, Encoding, KeyForm};
use crate::webhook::{ContentType, Method};

macro_rules! words {
    ($($kind:ident { $($word:literal = $value:ident),* $(,)? })*) => {$(
        impl Word for $kind {
            const WORDS: &'static [(&'static str, $kind)] = &[$(($word, $kind::$value)),*];
        }
    )*};
}

words! {
    WebhookIdForm { "prefixed" = Prefixed, "uuid" = Uuid, "number" = Number }
    MessageIdOf { "event" = Event, "external" = External, "delivery" = Delivery }
    MessageIdForm { "prefixed" = Prefixed, "uuid" = Uuid }
    FilterRule { "none" = None, "optional" = Optional, "required" = Required }
    IdForm { "text" = Text, "uuid" = Uuid }
    FilterMatches { "entity" = Entity, "scope" = Scope }
    Scheme { "https" = Https, "http" = Http }
    Method { "POST" = Post, "GET" = Get }
    ContentType {
        "application/json" = Json,
        "application/x-www-form-urlencoded" = Form,
        "application/cloudevents+json" = CloudEvents,
    }
    CustomHeaders { "none" = None, "one" = One, "any" = Any }
    AuthKind { "basic" = Basic, "bearer" = Bearer }
    Algorithm { "hmac-sha1" = HmacSha1, "hmac-sha256" = HmacSha256, "hmac-sha512" = HmacSha512, "ed25519" = Ed25519 }
    KeyForm { "utf8" = Utf8, "whsec" = Whsec, "whsk" = Whsk, "hex" = Hex, "base64" = Base64 }
    Encoding { "hex" = Hex, "base64" = Base64 }
    SecretRule { "none" = None, "given" = Given, "generated" = Generated }
    SecretText { "base64" = Base64, "hex" = Hex, "url-safe" = UrlSafe }
    RetrySends { "current" = Current, "as-first-sent" = AsFirstSent }
    AfterUnknown { "resend" = Resend, "stop" = Stop }
    LoggedId { "delivery" = Delivery, "event" = Event }
    TestOn { "never" = Never, "creation" = Creation, "switch-on" = SwitchOn }
    Missing { "null" = Blank, "empty" = Blank, "omit" = Omit, "required" = Required }
    Handshake { "none" = None, "challenge" = Challenge, "cloudevents" = CloudEvents }
    ContentDigest { "none" = None, "sha-256" = Sha256, "sha-512" = Sha512 }
    OwnApi { "none" = None, "enate" = Enate, "etlworks" = Etlworks }
}
