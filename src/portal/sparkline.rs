//! A small chart of a day: a bar for each hour, what was accepted below and what failed above.

use std::collections::BTreeMap;

use fanfare_engine::id::WebhookId;
use fanfare_engine::time::Timestamp;
use fanfare_store::stats::{self, HourOfWebhook};

use crate::app::App;
use crate::catalogue::CatalogueResult;

/// How many hours are shown.
const HOURS: usize = 24;
const HOUR_MS: i64 = 3_600_000;
/// Sizes in the drawing's own units.
const HEIGHT: u64 = 24;
const STEP: usize = 5;
const BAR: usize = 4;
/// The least that a bar is high where there is anything.
const LEAST: u64 = 2;

/// The day of one webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Day {
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) bars: Vec<Bar>,
}

/// One rectangle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) x: usize,
    pub(super) y: u64,
    pub(super) height: u64,
    pub(super) width: usize,
    /// `good`, `bad` or `idle`.
    pub(super) class: &'static str,
}

/// The last 24 hours of each of these webhooks.
pub(super) async fn days(app: &App, webhooks: &[WebhookId]) -> CatalogueResult<BTreeMap<WebhookId, Day>> {
    let now = app.now().millis();
    let first = now - now.rem_euclid(HOUR_MS) - (HOURS as i64 - 1) * HOUR_MS;
    let rows = app.store.read(stats::hours(webhooks, Timestamp(first))).await?;
    Ok(webhooks.iter().map(|id| (*id, day(first, rows.iter().filter(|row| row.webhook == *id)))).collect())
}

fn day<'a>(first: i64, rows: impl Iterator<Item = &'a HourOfWebhook>) -> Day {
    let mut hours = [(0, 0); HOURS];
    for row in rows {
        let at = usize::try_from((row.start.millis() - first) / HOUR_MS).unwrap_or(HOURS);
        if let Some(hour) = hours.get_mut(at) {
            hour.0 += row.succeeded;
            hour.1 += row.failed;
        }
    }
    let most = hours.iter().map(|(good, bad)| good + bad).max().unwrap_or_default();
    let bars = hours.iter().enumerate().flat_map(|(at, hour)| bars(at * STEP, *hour, most));
    Day {
        succeeded: hours.iter().map(|hour| hour.0).sum(),
        failed: hours.iter().map(|hour| hour.1).sum(),
        bars: bars.collect(),
    }
}

fn bars(x: usize, (good, bad): (u64, u64), most: u64) -> Vec<Bar> {
    let bar = |y: u64, height: u64, class| Bar { x, y, height, width: BAR, class };
    if good + bad == 0 {
        return vec![bar(HEIGHT - 1, 1, "idle")];
    }
    let height = |count: u64| match count {
        0 => 0,
        count => (count * HEIGHT / most.max(1)).max(LEAST),
    };
    let (low, high) = (height(good).min(HEIGHT - if bad > 0 { LEAST } else { 0 }), height(bad));
    let high = high.min(HEIGHT - low);
    [bar(HEIGHT - low, low, "good"), bar(HEIGHT - low - high, high, "bad")]
        .into_iter()
        .filter(|bar| bar.height > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stand_on_each_other_within_the_drawing() {
        let row = |hour: i64, succeeded, failed| HourOfWebhook {
            webhook: WebhookId(1),
            start: Timestamp(hour * HOUR_MS),
            succeeded,
            failed,
        };
        let rows = [row(0, 10, 10), row(1, 1_000_000, 1), row(23, 0, 3)];
        let day = day(0, rows.iter());
        assert_eq!((day.succeeded, day.failed), (1_000_010, 14));
        for bar in &day.bars {
            assert!(bar.y + bar.height <= HEIGHT && bar.height > 0, "{bar:?}");
        }
        let failed = |x: usize| day.bars.iter().any(|bar| bar.x == x && bar.class == "bad");
        assert!(failed(0) && failed(STEP) && failed(23 * STEP), "what failed is seen though little of much: {day:?}");
        assert!(day.bars.iter().any(|bar| bar.class == "idle"));
    }
}
