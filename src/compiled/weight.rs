//! About how many bytes of memory webhooks and senders take, so that caches of them are bounded honestly.

use fanfare_engine::matching::Want;
use fanfare_engine::webhook::{Auth, Events, Secret, Webhook};

use super::webhook::{CompiledWebhook, Sender};

/// What an allocation takes beside what is in it, about, in bytes.
const ALLOCATION: usize = 16;
/// What a webhook's place in the index and in lists takes, about, in bytes.
const INDEXED: usize = 192;
/// What a sender takes beside its texts, about, in bytes.
const SENDER: usize = 2_560;

impl CompiledWebhook {
    /// About how many bytes it takes, its place in an index included and what is needed to send not.
    pub(super) fn weight(&self) -> usize {
        let Webhook { settings, credentials, status_reason, created_by, owner, .. } = &self.webhook;
        let text = |text: &str| text.len() + ALLOCATION;
        let optional = |value: &Option<String>| value.as_deref().map_or(0, text);
        let events = match &settings.events {
            Events::All => 0,
            // In the settings and among what it is interested in.
            Events::Only(names) => names.iter().map(|name| 2 * (text(name) + size_of::<Want>())).sum(),
        };
        let filter = settings.filter.as_ref().map_or(0, |filter| 3 * (text(&filter.kind) + optional(&filter.id)));
        let metadata: usize = settings.metadata.iter().map(|(key, value)| 2 * (text(key) + text(value))).sum();
        let headers: usize = credentials.headers.iter().map(|(name, value)| 2 * (text(name) + text(value))).sum();
        let secrets: usize = credentials.secrets.iter().map(|secret| text(&secret.value) + size_of::<Secret>()).sum();
        let auth = credentials.auth.as_ref().map_or(0, |auth| match auth {
            Auth::Basic { username, password } => text(username) + text(password),
            Auth::Bearer { token } => text(token),
        });
        let retry = settings.retry.as_ref().map_or(0, |retry| retry.delays_seconds.len() * 4 + ALLOCATION);
        size_of::<CompiledWebhook>()
            + INDEXED
            + text(&settings.name)
            + text(&settings.url)
            + text(&self.host)
            + text(&self.webhook.profile)
            + optional(status_reason)
            + optional(created_by)
            + optional(owner)
            + events
            + filter
            + metadata
            + headers
            + secrets
            + auth
            + retry
    }
}

impl Sender {
    /// About how many bytes it takes.
    pub(super) fn weight(&self) -> u32 {
        u32::try_from(SENDER + 4 * self.url.len() + self.plan.weight()).unwrap_or(u32::MAX)
    }
}
