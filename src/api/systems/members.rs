//! The body and the query of a request to a system's own API: members in any case, null as absent, unknown members ignored.
//!
//! A setting never gets lost: a member that is given twice is refused, and so is one that Fanfare has a setting for and this
//! API does not.

use std::collections::BTreeMap;
use std::fmt;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use fanfare_engine::profile::FieldError;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use url::form_urlencoded;

use crate::api::body::{self, MAX_BODY_BYTES};
use crate::api::problem::{Answer, Code, Problem};

/// The most errors reported for one body.
const MAX_ERRORS: usize = 20;

/// What an API calls its members: the name that it accepts, and the one under which it is read.
pub(super) type Names = &'static [(&'static str, &'static str)];

/// Something that is read from such a body.
pub(super) trait Input: DeserializeOwned {
    const MEMBERS: Names;
}

/// The body, as JSON.
pub(super) struct Members<T>(pub T);

impl<T: Input, S: Send + Sync> FromRequest<S> for Members<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Answer<Self> {
        let (parts, body) = request.into_parts();
        let bytes = body::read(&parts.headers, body, MAX_BODY_BYTES).await?;
        body::check_media_type(&parts.headers)?;
        read(&bytes).map(Members)
    }
}

fn read<T: Input>(bytes: &[u8]) -> Answer<T> {
    let given: Pairs = body::parse(bytes)?;
    let known = given.known(T::MEMBERS).map_err(Problem::invalid)?;
    let text = serde_json::to_vec(&known).map_err(|error| Problem::internal(&error))?;
    body::parse(&text)
}

/// An object's members as they were given.
pub(super) struct Pairs(Vec<(String, Box<RawValue>)>);

impl Pairs {
    /// Those that are known and not null, under the names by which they are read.
    ///
    /// # Errors
    /// Members that are given twice, and settings that this API doesn't have.
    pub(super) fn known(self, names: Names) -> Result<BTreeMap<&'static str, Box<RawValue>>, Vec<FieldError>> {
        let mut known = BTreeMap::new();
        let mut errors = Vec::new();
        for (name, value) in self.0.into_iter().filter(|(_, value)| value.get() != "null") {
            if errors.len() == MAX_ERRORS {
                break;
            }
            match names.iter().find(|(accepted, _)| accepted.eq_ignore_ascii_case(&name)) {
                Some((_, own)) if known.insert(*own, value).is_some() => {
                    errors.push(FieldError::new(*own, "is given twice"));
                }
                None if is_setting(&name) => {
                    let message =
                        "is not part of this API; set it with PATCH /v1/organizations/{org}/webhooks/{webhook}";
                    errors.push(FieldError::new(name, message));
                }
                Some(_) | None => {}
            }
        }
        if errors.is_empty() { Ok(known) } else { Err(errors) }
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// Reads an object within a body by the same rules.
///
/// # Errors
/// It is no object, or a member is missing or wrong.
pub(super) fn object<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
    names: Names,
) -> Result<T, D::Error> {
    let known = Pairs::deserialize(deserializer)?.known(names).map_err(|errors| {
        let first = errors.into_iter().next();
        D::Error::custom(first.map_or_else(String::new, |error| format!("{} {}", error.field, error.message)))
    })?;
    let text = serde_json::to_string(&known).map_err(D::Error::custom)?;
    serde_json::from_str(&text).map_err(D::Error::custom)
}

/// Whether Fanfare's own API has a setting of this name, however it is written: `timeout_seconds`, `TimeoutSeconds`.
fn is_setting(name: &str) -> bool {
    const SETTINGS: [&str; 17] = [
        "name",
        "url",
        "events",
        "enabled",
        "method",
        "contenttype",
        "includeentity",
        "filter",
        "auth",
        "headers",
        "secret",
        "profile",
        "retry",
        "timeoutseconds",
        "ratelimit",
        "owner",
        "metadata",
    ];
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    SETTINGS.contains(&letters.to_ascii_lowercase().as_str())
}

/// A query parameter whose name may be written in any case.
pub(super) trait Parameter {
    const NAME: &'static str;

    fn of(text: String) -> Self;
}

/// The one parameter that a route needs.
pub(super) struct Named<T>(pub T);

impl<T: Parameter, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        let query = parts.uri.query().unwrap_or_default();
        let found = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name.eq_ignore_ascii_case(T::NAME));
        match found {
            Some((_, value)) => Ok(Named(T::of(value.into_owned()))),
            None => Err(Problem::field(Code::InvalidParameter, T::NAME, "is required")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names = &[("GUID", "guid"), ("SubscriptionGUID", "guid"), ("Url", "url")];

    fn known(text: &str) -> Result<Vec<(String, String)>, Vec<String>> {
        let pairs: Pairs = serde_json::from_str(text).unwrap();
        let owned = |(name, value): (&str, Box<RawValue>)| (name.to_owned(), value.get().to_owned());
        let told = |errors: Vec<FieldError>| errors.into_iter().map(|error| error.field).collect();
        pairs.known(NAMES).map(|known| known.into_iter().map(owned).collect()).map_err(told)
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn names_are_known_in_any_case_and_null_is_absent() {
        let text = r#"{"guid":"a","URL":null,"Anything":1}"#;
        assert_eq!(known(text).unwrap(), [pair("guid", "\"a\"")]);
        assert_eq!(known(r#"{"subscriptionGuid":1.50}"#).unwrap(), [pair("guid", "1.50")], "values stay as they are");
        assert_eq!(known(r#"{"url":null,"URL":1}"#).unwrap(), [pair("url", "1")]);
    }

    #[test]
    fn no_setting_is_lost() {
        assert_eq!(known(r#"{"url":1,"URL":2}"#).unwrap_err(), ["url"]);
        assert_eq!(known(r#"{"url":1,"url":2}"#).unwrap_err(), ["url"]);
        assert_eq!(known(r#"{"GUID":1,"subscriptionguid":2}"#).unwrap_err(), ["guid"]);
        assert_eq!(known(r#"{"Enabled":false,"Rate_Limit":{},"a":1}"#).unwrap_err(), ["Enabled", "Rate_Limit"]);
        assert_eq!(known(r#"{"Enabled":null}"#).unwrap(), []);
    }
}
