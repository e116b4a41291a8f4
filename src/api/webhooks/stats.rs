//! Figures of a webhook.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use fanfare_engine::time::Timestamp;
use fanfare_store::stats::{self, Attempts, LastAttempt};
use serde::Serialize;
use utoipa::ToSchema;

use super::answers::customer_place;
use crate::api::auth::Reader;
use crate::api::problem::Answer;
use crate::api::request::PathParts;
use crate::app::App;
use crate::catalogue::webhooks;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// How a webhook does. The times go back to a full five minutes, that of seven days to a full hour.
#[derive(Serialize, ToSchema)]
pub(super) struct WebhookStats {
    last_hour: AttemptFigures,
    last_24_hours: AttemptFigures,
    last_7_days: AttemptFigures,
    /// Since when every attempt has failed; null where the last one succeeded or none was made.
    #[schema(value_type = Option<String>, format = "date-time")]
    failing_since: Option<Timestamp>,
    /// Until when nothing is sent because the receiver asked for that, with 429 or 503 and Retry-After: an hour at most. Null
    /// where it did not.
    #[schema(value_type = Option<String>, format = "date-time")]
    backs_off_until: Option<Timestamp>,
    /// Null where none is known.
    last_attempt: Option<LastAttemptBody>,
}

/// Attempts in some time.
#[derive(Serialize, ToSchema)]
struct AttemptFigures {
    succeeded: u64,
    failed: u64,
    /// The share that succeeded, from 0 to 1; null where none was made.
    success_rate: Option<f64>,
    /// Null where none was made.
    average_duration_ms: Option<u64>,
}

impl From<Attempts> for AttemptFigures {
    fn from(figures: Attempts) -> Self {
        let Attempts { succeeded, failed, duration_ms } = figures;
        let all = succeeded + failed;
        AttemptFigures {
            succeeded,
            failed,
            success_rate: (all > 0).then(|| succeeded as f64 / all as f64),
            average_duration_ms: duration_ms.checked_div(all),
        }
    }
}

/// How the last attempt ended.
#[derive(Serialize, ToSchema)]
struct LastAttemptBody {
    #[schema(value_type = String, format = "date-time")]
    at: Timestamp,
    /// As in the log of attempts.
    outcome: &'static str,
    response_code: Option<u16>,
}

impl From<LastAttempt> for LastAttemptBody {
    fn from(last: LastAttempt) -> Self {
        LastAttemptBody { at: last.at, outcome: last.outcome.name(), response_code: last.response_code }
    }
}

/// How a webhook does: attempts of the last hour, day and week, and the last one.
#[utoipa::path(get, path = "/v1/organizations/{org}/webhooks/{webhook}/stats", tag = "Webhooks",
    params(("org" = String, Path, description = "The organization's id or external id"),
        ("webhook" = String, Path, description = "The webhook's id")),
    responses((status = 200, body = WebhookStats)))]
pub(super) async fn stats(
    State(app): State<Arc<App>>,
    Reader(principal): Reader,
    PathParts((org, webhook)): PathParts<(String, String)>,
) -> Answer<Json<WebhookStats>> {
    let place = customer_place(&app, &principal, &org).await?;
    let row = webhooks::seen(&app, &place, &webhook).await?.row;
    let since = [HOUR, DAY, WEEK].map(|span| app.now().minus(span));
    let [hour, day, week] = app.store.read_one(stats::attempts(row.id, since)).await?.unwrap_or_default();
    let last = app.store.read_one(stats::last_attempt(row.id)).await?;
    Ok(Json(WebhookStats {
        last_hour: hour.into(),
        last_24_hours: day.into(),
        last_7_days: week.into(),
        failing_since: row.failing_since,
        backs_off_until: app.dispatcher.backs_off_until(row.id),
        last_attempt: last.map(LastAttemptBody::from),
    }))
}
