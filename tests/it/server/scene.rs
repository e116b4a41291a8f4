//! A server with an organization and an event type, and a receiver: where most tests begin.

use serde_json::{Value, json};

use super::client::{Api, Webhook};
use super::process::{Home, Launch, Running};
use super::receiver::Receiver;

/// The organization of most tests.
pub(super) const ORG: &str = "acme";
/// Their event type.
pub(super) const TYPE: &str = "job.created";

/// See the module.
pub(super) struct Scene {
    pub(super) home: Home,
    pub(super) server: Running,
    pub(super) api: Api,
    pub(super) receiver: Receiver,
}

impl Scene {
    pub(super) async fn start() -> Scene {
        Scene::with(|launch| launch).await
    }

    /// With further settings.
    pub(super) async fn with(settings: impl FnOnce(Launch) -> Launch) -> Scene {
        let home = Home::new();
        let server = settings(home.launch()).start().await;
        let api = server.api();
        api.make_event_type(&json!({"name": TYPE})).await;
        api.make_organization(ORG).await;
        Scene { home, server, api, receiver: Receiver::start().await }
    }

    /// A webhook of the organization, at a path of the receiver, that retries soon.
    pub(super) async fn webhook(&self, path: &str) -> Webhook {
        self.webhook_with(path, json!({})).await
    }

    /// The same with further members.
    pub(super) async fn webhook_with(&self, path: &str, members: Value) -> Webhook {
        self.api.make_webhook(ORG, &with(webhook(&self.receiver.url(path)), members)).await
    }

    /// Posts an event; answers its id.
    pub(super) async fn post(&self, data: Value) -> String {
        self.api.post_event(ORG, &event(data)).await
    }
}

/// A webhook that wants everything and retries three times, a second apart.
pub(super) fn webhook(url: &str) -> Value {
    json!({"name": "test", "url": url, "events": "all", "retry": {"delays_seconds": [1, 1, 1], "jitter": 0.0}})
}

pub(super) fn event(data: Value) -> Value {
    json!({"type": TYPE, "data": data})
}

/// An object with further members, which replace those of the same name.
pub(super) fn with(mut object: Value, members: Value) -> Value {
    let Value::Object(members) = members else { panic!("not an object: {members}") };
    object.as_object_mut().unwrap().extend(members);
    object
}
