//! Figures as the console shows them: a number, what it is of, and how fast things go.

use std::time::Duration;

use fanfare_store::stats::{self, Usage};

use super::operator::Operator;
use crate::app::App;
use crate::catalogue::CatalogueResult;
use crate::portal::charts::grouped;

const FIVE_MINUTES: Duration = Duration::from_secs(300);
const HOUR: Duration = Duration::from_secs(3_600);

/// A number with what it is of.
pub(super) struct Figure {
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) note: String,
}

impl Figure {
    pub(super) fn new(label: &'static str, value: impl Into<String>, note: impl Into<String>) -> Figure {
        Figure { label, value: value.into(), note: note.into() }
    }
}

/// What happened in a project of late.
pub(super) struct Pace {
    pub(super) five_minutes: Usage,
    pub(super) hour: Usage,
}

impl Pace {
    /// That of the operator's project.
    pub(super) async fn of(app: &App, operator: &Operator) -> CatalogueResult<Pace> {
        let now = app.now();
        let buckets = app.store.read(stats::project(operator.project.id, now.minus(HOUR))).await?;
        Ok(Pace { five_minutes: Usage::within(&buckets, now, FIVE_MINUTES), hour: Usage::within(&buckets, now, HOUR) })
    }

    /// How many a second now, which is the last five minutes, and in the last hour.
    pub(super) fn figure(&self, label: &'static str, count: fn(&Usage) -> u64) -> Figure {
        let hour = count(&self.hour);
        let rate = |count: u64, span: Duration| amount(count as f64 / span.as_secs_f64());
        let note = format!("{} a second in the last hour, {} in all", rate(hour, HOUR), grouped(hour));
        Figure::new(label, rate(count(&self.five_minutes), FIVE_MINUTES), note)
    }
}

/// An amount with as many digits as say something.
fn amount(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 || value == 0.0 => format!("{value:.1}").trim_end_matches(".0").to_owned(),
        value => format!("{value:.2}"),
    }
}

/// A count, with a word where there may be more.
pub(super) fn at_least(count: u64, more: bool) -> String {
    if more { format!("{} or more", grouped(count)) } else { grouped(count) }
}

/// A span in its largest unit, rounded down.
pub(super) fn age(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{} ms", span.as_millis()),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.0, 0.034, 1.5, 12.34, 1_234.5].map(amount), ["0", "0.03", "1.50", "12.3", "1234"]);
        let ages = [5, 59_000, 600_000, 7_300_000, 400_000_000].map(|ms| age(Duration::from_millis(ms)));
        assert_eq!(ages, ["5 ms", "59 s", "10 min", "2 h", "4 days"]);
        assert_eq!([at_least(1_000_000, true), at_least(12, false)], ["1\u{202f}000\u{202f}000 or more", "12"]);
    }
}
