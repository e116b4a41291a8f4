//! What a webhook's page says of it: figures, settings in words, secrets.

use std::time::Duration;

use fanfare_engine::id::WebhookId;
use fanfare_engine::profile::{Profile, SecretRule};
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::{Auth, Events, RateLimit};
use fanfare_store::stats::{self, Attempts};

use crate::app::App;
use crate::catalogue::CatalogueResult;
use crate::catalogue::webhooks::{OpenWebhook, shown_headers};
use crate::portal::texts::{Texts, fill};
use crate::portal::words::{self, Moment};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// Attempts in some time.
pub(super) struct Figures {
    pub(super) label: &'static str,
    /// The share that was accepted.
    pub(super) share: String,
    pub(super) counts: String,
    pub(super) average: Option<String>,
}

/// A setting in words.
pub(super) struct Setting {
    pub(super) label: &'static str,
    pub(super) values: Vec<String>,
    /// Whether the values are names and the like.
    pub(super) code: bool,
}

/// A secret that signs.
pub(super) struct LiveSecret {
    pub(super) value: String,
    pub(super) until: Option<Moment>,
    pub(super) header: Option<String>,
}

/// The figures of the last hour, day and week.
pub(super) async fn figures(app: &App, t: &Texts, webhook: WebhookId) -> CatalogueResult<Vec<Figures>> {
    let now = app.now().millis();
    let since = [HOUR, DAY, WEEK].map(|span| Timestamp(now - i64::try_from(span.as_millis()).unwrap_or(i64::MAX)));
    let found = app.store.read_one(stats::attempts(webhook, since)).await?.unwrap_or_default();
    let labels = [t.webhook.last_hour, t.webhook.last_24_hours, t.webhook.last_7_days];
    let show = |(label, Attempts { succeeded, failed, duration_ms }): (&'static str, Attempts)| Figures {
        label,
        share: words::percent(succeeded, succeeded + failed),
        counts: fill(t.webhook.counts, &[("succeeded", &succeeded), ("failed", &failed)]),
        average: duration_ms.checked_div(succeeded + failed).map(|ms| fill(t.webhook.average, &[("ms", &ms)])),
    };
    Ok(labels.into_iter().zip(found).map(show).collect())
}

/// When the last attempt was, how it ended, and the status of its answer.
pub(super) async fn last(
    app: &App,
    t: &Texts,
    webhook: WebhookId,
) -> CatalogueResult<Option<(Moment, &'static str, Option<u16>)>> {
    let last = app.store.read_one(stats::last_attempt(webhook)).await?;
    Ok(last.map(|last| (last.at.into(), words::outcome(t, last.outcome), last.response_code)))
}

/// Whether a webhook of this profile may have a secret.
pub(super) fn signs(profile: &Profile) -> bool {
    profile.secret.rule != SecretRule::None
}

/// How long a replaced secret still signs where nothing is said.
pub(super) fn usual_overlap(t: &Texts, profile: Option<&Profile>) -> String {
    let overlap = profile.map(|profile| profile.secret.overlap).unwrap_or_default();
    fill(t.webhook.rotate_default, &[("span", &words::span(&t.words, overlap))])
}

/// The secrets that sign now, the present one first.
pub(super) fn live_secrets(webhook: &OpenWebhook, now: Timestamp) -> Vec<LiveSecret> {
    let live = webhook.credentials.secrets.iter().filter(|secret| secret.is_live(now));
    let show = |secret: &fanfare_engine::webhook::Secret| LiveSecret {
        value: secret.value.clone(),
        until: secret.expires_at.map(Moment::from),
        header: secret.header.clone(),
    };
    live.map(show).collect()
}

/// The settings in the order of the form.
pub(super) fn settings(t: &Texts, profile: Option<&Profile>, webhook: &OpenWebhook) -> Vec<Setting> {
    let w = &t.webhook;
    let row = &webhook.row;
    let settings = &row.settings;
    let mut found = Vec::new();
    let mut add = |label, values: Vec<String>, code| {
        if !values.is_empty() {
            found.push(Setting { label, values, code });
        }
    };
    let entity = if settings.include_entity { format!(", {}", w.entity_included) } else { String::new() };
    add(w.sends, vec![format!("{} {}{entity}", settings.method.as_http(), settings.content_type.as_str())], false);
    match &settings.events {
        Events::All => add(w.events, vec![t.webhooks.all_events.to_owned()], false),
        Events::Only(names) => add(w.events, names.clone(), true),
    }
    if let Some(filter) = &settings.filter {
        let kind = profile.map_or(filter.kind.clone(), |profile| profile.entity_type_label(&filter.kind));
        add(w.filter, vec![filter.id.as_ref().map_or(kind.clone(), |id| format!("{kind} {id}"))], false);
    }
    let auth = match &webhook.credentials.auth {
        None => t.form.auth_none.to_owned(),
        Some(Auth::Basic { username, .. }) => format!("{}: {username}", t.form.auth_basic),
        Some(Auth::Bearer { .. }) => t.form.auth_bearer.to_owned(),
    };
    if profile.is_none_or(|profile| !profile.auth.is_empty()) {
        add(w.auth, vec![auth], false);
    }
    let headers = shown_headers(&webhook.credentials.headers);
    add(w.headers, headers.into_iter().map(|(name, value)| format!("{name}: {value}")).collect(), true);
    if let Some(profile) = profile {
        add(w.retries, vec![words::schedule(&t.words, &profile.retry_policy(settings))], false);
        let timeout = profile.exchange_timeout(settings).as_secs();
        add(w.timeout, vec![fill(w.seconds, &[("n", &timeout)])], false);
    }
    if let Some(limit) = settings.rate_limit {
        let (text, count) = match limit {
            RateLimit::PerSecond(count) => (w.per_second, count),
            RateLimit::PerMinute(count) => (w.per_minute, count),
        };
        add(w.rate_limit, vec![fill(text, &[("n", &count)])], false);
    }
    add(w.profile, vec![row.profile.clone()], false);
    add(w.owner, row.owner.iter().cloned().collect(), false);
    add(w.number, vec![row.number.to_string()], false);
    add(w.id, vec![row.id.to_string()], true);
    add(w.uuid, vec![row.uuid.to_string()], true);
    add(w.created, vec![format!("{} UTC", Moment::from(row.created_at).utc)], false);
    add(w.created_by, row.created_by.iter().cloned().collect(), false);
    found
}
