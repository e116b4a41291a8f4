//! The values that payloads, headers and signatures can take from an event and its delivery, by name.

/// How a moment is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeForm {
    /// RFC 3339 in UTC with milliseconds.
    Rfc3339,
    /// Whole seconds since the Unix epoch.
    Seconds,
    /// Milliseconds since the Unix epoch.
    Millis,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The message's id as the profile's `ids` say: the same on every attempt.
    MessageId,
    EventId,
    EventUuid,
    /// The host's own id for the event.
    EventExternalId,
    EventType,
    /// The event's data as JSON, unchanged.
    EventData,
    /// A member of the event's data, by its path.
    EventMember(Vec<String>),
    OccurredAt(TimeForm),
    EntityType,
    EntityId,
    /// The entity's id: a number where it is an integer in canonical decimal, otherwise the text.
    EntityNumber,
    EntityUrl,
    /// The entity as JSON, unchanged.
    EntityData,
    /// The id of the entity's ancestor of this type.
    Scope(String),
    /// The webhook's id as the profile's `ids` say.
    WebhookId,
    WebhookUuid,
    WebhookNumber,
    WebhookName,
    WebhookUrl,
    DeliveryId,
    DeliveryUuid,
    OrganizationId,
    ProjectId,
    /// The host under which this server is reached.
    SenderHost,
    /// The moment of the attempt: fresh on each.
    Now(TimeForm),
}

const FIXED: [(&str, Source); 29] = [
    ("id", Source::MessageId),
    ("timestamp", Source::Now(TimeForm::Seconds)),
    ("message.id", Source::MessageId),
    ("event.id", Source::EventId),
    ("event.uuid", Source::EventUuid),
    ("event.external_id", Source::EventExternalId),
    ("event.type", Source::EventType),
    ("event.data", Source::EventData),
    ("event.occurred_at", Source::OccurredAt(TimeForm::Rfc3339)),
    ("event.occurred_at_seconds", Source::OccurredAt(TimeForm::Seconds)),
    ("event.occurred_at_millis", Source::OccurredAt(TimeForm::Millis)),
    ("entity.type", Source::EntityType),
    ("entity.id", Source::EntityId),
    ("entity.number", Source::EntityNumber),
    ("entity.url", Source::EntityUrl),
    ("entity.data", Source::EntityData),
    ("webhook.id", Source::WebhookId),
    ("webhook.uuid", Source::WebhookUuid),
    ("webhook.number", Source::WebhookNumber),
    ("webhook.name", Source::WebhookName),
    ("webhook.url", Source::WebhookUrl),
    ("delivery.id", Source::DeliveryId),
    ("delivery.uuid", Source::DeliveryUuid),
    ("organization.id", Source::OrganizationId),
    ("project.id", Source::ProjectId),
    ("sender.host", Source::SenderHost),
    ("time.rfc3339", Source::Now(TimeForm::Rfc3339)),
    ("time.seconds", Source::Now(TimeForm::Seconds)),
    ("time.millis", Source::Now(TimeForm::Millis)),
];

impl Source {
    /// Reads a name such as `event.type`, `event.data.Title` or `scope.Company`. The error says which names there are.
    pub fn parse(name: &str) -> Result<Source, String> {
        if let Some((_, source)) = FIXED.iter().find(|(known, _)| *known == name) {
            return Ok(source.clone());
        }
        if let Some(path) = name.strip_prefix("event.data.") {
            let path: Vec<String> = path.split('.').map(str::to_owned).collect();
            if path.iter().all(|member| !member.is_empty()) {
                return Ok(Source::EventMember(path));
            }
        }
        if let Some(kind) = name.strip_prefix("scope.").filter(|kind| !kind.is_empty()) {
            return Ok(Source::Scope(kind.to_owned()));
        }
        let known: Vec<&str> = FIXED.iter().map(|(known, _)| *known).collect();
        Err(format!(
            "{name:?} is no field; known are {}, event.data.<member> and scope.<entity type>",
            known.join(", ")
        ))
    }
}
