//! What is posted and subscribed to under one profile, so that each delivery shows which event it is of.
//!
//! A profile may pass on the event's data, some members of it, or none but the entity. The mark goes where the profile's own
//! payload shows it, and whatever else an event needs is that of the profile's example.

use std::sync::Arc;

use fanfare_engine::egress::Scheme;
use fanfare_engine::profile::{
    Condition, EventTypeKnobs, Field, FieldValue, FilterMatches, FilterRule, Profile, SecretRule, Shape, Source,
    Standing,
};
use fanfare_engine::signing::make_secret;
use serde_json::{Map, Value, json};

use super::mark;
use super::template::NUMBER_PLACE;
use crate::random;

/// The event type that is posted where the profile has none of its own.
pub const EVENT_TYPE: &str = "bench.sent";
/// The id of the entity that webhooks are limited to where the profile wants that.
const LIMITED_TO: &str = "be4c4000-0000-4000-8000-000000000001";
/// The user for whom webhooks are made where the profile asks for an owner's right.
pub const OWNER: &str = "bench";
/// The type of an entity where the profile names none.
const ENTITY_TYPE: &str = "Bench";
/// The header by whose signatures a sample of the deliveries is checked.
const CHECKED: &str = "webhook-signature";

/// See the module.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The event type that is posted.
    pub event_type: String,
    /// Whether it is none of the profile's own, so that it must be made first.
    pub makes_event_type: bool,
    /// Whether deliveries are signed as Standard Webhooks are, so that a sample can be checked.
    pub checked: bool,
    /// A webhook's settings beside its name and URL.
    pub webhook: Map<String, Value>,
    /// What [`OWNER`] must have, where webhooks need an owner.
    pub rights: Option<Value>,
    /// An event's members beside its type and id, as JSON without its braces. In it stand the places of the mark and of the
    /// number, [`mark_place`] and [`NUMBER_PLACE`].
    pub event: String,
    /// Bytes of the JSON value that holds the mark, as it stands in `event`; what is to make it larger follows the mark.
    pub carrier_bytes: usize,
}

/// What stands where a mark is to be stamped.
pub fn mark_place() -> String {
    "-".repeat(mark::LENGTH)
}

/// Where the mark of an event can be seen in its deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Carrier {
    /// The data are passed on whole.
    Data,
    /// This member of the data is.
    Member(String),
    /// The entity itself is, where a webhook asks for it.
    Entity,
}

impl Subject {
    /// Without a profile to choose for: an event type of the measurement's own, with the mark in its data.
    pub fn plain() -> Self {
        let webhook = json!({"events": [EVENT_TYPE]});
        Subject {
            event_type: EVENT_TYPE.to_owned(),
            makes_event_type: true,
            checked: true,
            webhook: object(webhook),
            rights: None,
            event: String::new(),
            carrier_bytes: 0,
        }
        .carrying(&Value::Object(Map::new()), &Carrier::Data, Map::new())
    }

    /// For webhooks of this profile.
    ///
    /// # Errors
    /// Nothing that its payload passes on can hold the mark.
    pub fn under(profile: &Arc<Profile>) -> anyhow::Result<Self> {
        let known: Vec<Option<&EventTypeKnobs>> = match profile.catalogue.iter().next() {
            None => vec![None],
            Some(_) => profile.catalogue.iter().map(Some).collect(),
        };
        let found = known.into_iter().find_map(|known| Some((known, carrier(profile, known)?)));
        let (known, carrier) = found.ok_or_else(|| {
            let name = &profile.name;
            anyhow::anyhow!(
                "no payload of the profile {name} passes on data, a member of them, or the entity, by which a delivery \
                 would show its event"
            )
        })?;
        let name = known.map_or(EVENT_TYPE, |known| &known.name);
        let about = About::of(profile, known);
        let mut webhook = object(json!({"events": [name], "enabled": true}));
        webhook.extend(about.filter.map(|filter| ("filter".to_owned(), filter)));
        if carrier == Carrier::Entity {
            webhook.insert("include_entity".to_owned(), true.into());
        }
        webhook.extend(given_secret(profile).map(|secret| ("secret".to_owned(), secret.into())));
        let example = known.and_then(|known| known.example.as_ref()).map(|example| example.data.as_str());
        let data = example.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| json!({}));
        let subject = Subject {
            event_type: known.and_then(|known| known.listens_to.first()).map_or(name, String::as_str).to_owned(),
            makes_event_type: known.is_none(),
            checked: profile.signatures.iter().any(|signature| signature.header == CHECKED),
            webhook,
            rights: profile.permissions.recheck.then(|| {
                let Standing { roles, permissions } = &profile.permissions.manage;
                json!({"roles": roles, "permissions": permissions, "grants": "all"})
            }),
            event: String::new(),
            carrier_bytes: 0,
        };
        Ok(subject.carrying(&data, &carrier, about.members))
    }

    /// With the mark in these data, or in the entity of `members`.
    fn carrying(mut self, data: &Value, carrier: &Carrier, mut members: Map<String, Value>) -> Self {
        let (mut data, place) = (data.clone(), Value::from(mark_place()));
        let carrying = match carrier {
            Carrier::Entity => {
                let entity = members.entry("entity").or_insert_with(|| numbered(ENTITY_TYPE));
                entity["data"] = json!({ "mark": place });
                &entity["data"]
            }
            Carrier::Data | Carrier::Member(_) => {
                data[if let Carrier::Member(name) = carrier { name } else { "mark" }] = place;
                &data
            }
        };
        self.carrier_bytes = carrying.to_string().len();
        // The data come last, so that a reader of the events finds the small members first.
        members.insert("data".to_owned(), data);
        let text = Value::Object(members).to_string();
        self.event = text[1..text.len() - 1].to_owned();
        self
    }
}

/// Whether webhooks of this profile may be called without TLS, as those of a measurement are.
pub fn allows_http(profile: &Profile) -> bool {
    profile.schemes.contains(&Scheme::Http)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// An entity of its own for each event.
fn numbered(kind: &str) -> Value {
    json!({"type": kind, "id": NUMBER_PLACE, "url": "https://example.com/entities"})
}

/// Which entity an event is about, and the filter that a webhook needs to get it.
struct About {
    filter: Option<Value>,
    members: Map<String, Value>,
}

impl About {
    fn of(profile: &Profile, known: Option<&EventTypeKnobs>) -> About {
        let example = known.and_then(|known| known.example.as_ref());
        let kind = example.and_then(|example| example.entity.as_ref()).map(|entity| entity.kind.as_str());
        let mut members = Map::new();
        if let Some(kind) = kind {
            members.insert("entity".to_owned(), numbered(kind));
        }
        let policy = (profile.filter.rule, FilterRule::Optional, profile.filter.matches);
        let (rule, id, matches) = known.map_or(policy, |of| (of.filter.rule, of.filter.id, of.filter.matches));
        if rule != FilterRule::Required {
            return About { filter: None, members };
        }
        let named = known.and_then(|known| known.filter.types.first()).map(String::as_str);
        let listed = profile.filter.types.first().map(|kind| kind.name.as_str());
        let wanted = named.or(listed).unwrap_or(ENTITY_TYPE);
        let filter = match id {
            FilterRule::None => json!({ "type": wanted }),
            FilterRule::Optional | FilterRule::Required => json!({"type": wanted, "id": LIMITED_TO}),
        };
        let ancestor = json!({"type": wanted, "id": LIMITED_TO});
        match (matches, id) {
            (FilterMatches::Scope, _) => {
                members.entry("entity").or_insert_with(|| numbered(ENTITY_TYPE));
                members.insert("scope".to_owned(), json!([ancestor]));
            }
            (FilterMatches::Entity, FilterRule::None) => {
                members.insert("entity".to_owned(), numbered(wanted));
            }
            (FilterMatches::Entity, FilterRule::Optional | FilterRule::Required) => {
                members.insert("entity".to_owned(), ancestor);
            }
        }
        About { filter: Some(filter), members }
    }
}

/// A secret where the profile signs with one and makes none.
fn given_secret(profile: &Profile) -> Option<String> {
    let signs = profile.signatures.iter().any(|signature| signature.when.secret.is_none());
    (profile.secret.rule == SecretRule::Given && signs)
        .then(|| make_secret(profile, &random::bytes::<64>()[..profile.secret.generated_bytes.min(64)]))
}

fn carrier(profile: &Profile, known: Option<&EventTypeKnobs>) -> Option<Carrier> {
    let kind = known.and_then(|known| known.listens_to.first()).map_or(EVENT_TYPE, String::as_str);
    let with_entity = profile.include_entity.then_some(true);
    std::iter::once(false).chain(with_entity).find_map(|include_entity| {
        let case = Case { profile, kind, include_entity };
        let payload = profile.payloads.iter().find(|payload| case.meets(&payload.when))?;
        match &payload.shape {
            Shape::Raw => Some(Carrier::Data),
            Shape::Object(fields) => case.best(fields),
        }
    })
}

/// A webhook with the profile's defaults, and an event's type.
struct Case<'a> {
    profile: &'a Profile,
    kind: &'a str,
    include_entity: bool,
}

impl Case<'_> {
    fn meets(&self, when: &Condition) -> bool {
        when.method.is_none_or(|method| method == self.profile.methods.default)
            && when.content_type.is_none_or(|kind| kind == self.profile.content_types.default)
            && when.include_entity.is_none_or(|include| include == self.include_entity)
            && when.secret.is_none()
            && (when.events.is_empty() || when.events.iter().any(|kind| kind == self.kind))
    }

    /// The data whole, or the first member of them that is passed on, or the entity.
    fn best(&self, fields: &[Field]) -> Option<Carrier> {
        let mut found = Vec::new();
        self.collect(fields, &mut found);
        let whole = found.iter().position(|carrier| *carrier == Carrier::Data);
        let member = found.iter().position(|carrier| matches!(carrier, Carrier::Member(_)));
        let at = whole.or(member).or(if found.is_empty() { None } else { Some(0) })?;
        Some(found.swap_remove(at))
    }

    fn collect(&self, fields: &[Field], found: &mut Vec<Carrier>) {
        for field in fields.iter().filter(|field| self.meets(&field.when)) {
            match &field.value {
                FieldValue::From(Source::EventData) => found.push(Carrier::Data),
                FieldValue::From(Source::EventMember(path)) if path.len() == 1 => {
                    found.push(Carrier::Member(path[0].clone()));
                }
                FieldValue::From(Source::EntityData) if self.include_entity => found.push(Carrier::Entity),
                FieldValue::Object(fields) => self.collect(fields, found),
                FieldValue::From(_) | FieldValue::Either(..) | FieldValue::Text(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use fanfare_engine::profile::Profiles;

    use super::*;
    use crate::bench::template::{Address, Template};

    fn builtin(name: &str) -> Arc<Profile> {
        Profiles::load([]).unwrap().get(name).unwrap().clone()
    }

    #[test]
    fn each_profile_shows_the_mark_in_its_own_way() {
        for (name, event_type, expected) in [
            ("standard", EVENT_TYPE, Carrier::Data),
            ("cloudevents-binary", EVENT_TYPE, Carrier::Data),
            ("enablenow", "categorizationjob.completed", Carrier::Data),
            ("enate", "PacketCreated", Carrier::Member("CustomerName".to_owned())),
            ("etlworks", "Flow.Created", Carrier::Entity),
        ] {
            let profile = builtin(name);
            assert_eq!(carrier(&profile, profile.catalogue.iter().next()), Some(expected), "{name}");
            assert_eq!(Subject::under(&profile).unwrap().event_type, event_type, "{name}");
        }
        assert!(!allows_http(&builtin("one-click-contractor")) && allows_http(&builtin("enate")));
    }

    #[test]
    fn a_profile_that_passes_nothing_on_is_refused() {
        let text = "name = \"mute\"\n[payload]\nfields = [{ name = \"event\", from = \"event.type\" }]\n";
        let profile = Arc::new(Profile::parse("mute.toml", text).unwrap());
        let error = Subject::under(&profile).unwrap_err().to_string();
        assert!(error.contains("the profile mute passes on"), "{error}");
    }

    #[test]
    fn an_event_is_about_what_its_webhooks_are_limited_to() {
        let subject = Subject::under(&builtin("enate")).unwrap();
        assert_eq!(subject.webhook["filter"], json!({"type": "Company", "id": LIMITED_TO}));
        let mut template = Template::new(&Address { host: "h", path: "/", key: "k" }, 1024, 7, 1, &subject);
        let event: Value = serde_json::from_slice(template.event(5, 9)).unwrap();
        assert_eq!(event["scope"], json!([{"type": "Company", "id": LIMITED_TO}]));
        assert_eq!(event["entity"]["id"], "10000000005");
        assert_eq!(event["data"].to_string().len(), 1024);
        assert_eq!(event["data"]["Status"], 0);
        assert!(!subject.checked && subject.webhook.get("secret").is_none());
    }

    #[test]
    fn the_entity_has_the_size_that_is_asked_for() {
        let subject = Subject::under(&builtin("etlworks")).unwrap();
        assert_eq!(subject.webhook["include_entity"], true);
        assert!(subject.webhook["secret"].as_str().unwrap().len() > 16, "{subject:?}");
        let mut template = Template::new(&Address { host: "h", path: "/", key: "k" }, 1024, 7, 1, &subject);
        let event: Value = serde_json::from_slice(template.event(6, 9)).unwrap();
        assert_eq!((event["entity"]["data"].to_string().len(), &event["data"]), (1024, &json!({})));
        assert_eq!(event["entity"]["id"], "10000000006");
    }
}
