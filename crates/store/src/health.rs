//! What is kept of a webhook's health.

use std::borrow::Cow;

use fanfare_engine::id::WebhookId;
use fanfare_engine::time::Timestamp;
use fanfare_engine::webhook::Status;

use crate::arguments;
use crate::query::{Change, Expect, Step};

/// Keeps since when every attempt of a webhook has failed; `None` once one succeeded.
pub fn set_failing_since(webhook: WebhookId, since: Option<Timestamp>) -> Change {
    Change::one(Step {
        sql: Cow::Borrowed("UPDATE webhooks SET failing_since = ?2 WHERE id = ?1"),
        arguments: arguments![webhook.0, since],
        expect: Expect::Any,
        unique: "",
    })
}

/// Switches a webhook off, unless it is off already: then the change is [`StoreError::Stale`](crate::StoreError).
pub fn auto_disable(webhook: WebhookId, reason: &str, now: Timestamp) -> Change {
    Change::one(Step {
        sql: Cow::Borrowed(
            "UPDATE webhooks SET status = ?2, status_reason = ?3, updated_at = ?4, version = version + 1
             WHERE id = ?1 AND status IN (?5, ?6)",
        ),
        arguments: arguments![
            webhook.0,
            Status::AutoDisabled as i64,
            reason,
            now,
            Status::Active as i64,
            Status::Paused as i64
        ],
        expect: Expect::Some("webhook"),
        unique: "",
    })
}
