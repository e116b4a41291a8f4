//! What is counted of events and attempts: the columns of one table, added up as things happen.

use fanfare_engine::attempt::Outcome;

use crate::error::{StoreError, StoreResult};
use crate::query::Row;

/// The longest attempts that each part of the histogram of durations counts, in milliseconds; one part more counts those
/// that took longer.
pub const DURATIONS_MS: [u32; 15] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000];

/// The columns, in the order of [`Figures::columns`].
pub const COLUMNS: [&str; 28] = [
    "events",
    "deliveries",
    "succeeded",
    "failed_status",
    "failed_timeout",
    "failed_connection",
    "failed_other",
    "answered_2xx",
    "answered_3xx",
    "answered_4xx",
    "answered_5xx",
    "duration_ms",
    "took_0",
    "took_1",
    "took_2",
    "took_3",
    "took_4",
    "took_5",
    "took_6",
    "took_7",
    "took_8",
    "took_9",
    "took_10",
    "took_11",
    "took_12",
    "took_13",
    "took_14",
    "took_15",
];

/// Where the histogram starts among the columns.
const TOOK: usize = COLUMNS.len() - (DURATIONS_MS.len() + 1);

/// What happened in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub events: u64,
    /// Deliveries that were made.
    pub deliveries: u64,
    /// Attempts that the receiver accepted.
    pub succeeded: u64,
    /// Attempts that were answered with a status that is no success.
    pub failed_status: u64,
    pub failed_timeout: u64,
    /// Attempts that failed at the name, the connection, TLS or the protocol.
    pub failed_connection: u64,
    /// Attempts that were not sent, or of which nobody knows whether they were.
    pub failed_other: u64,
    /// Attempts by the class of their answers' statuses: 2xx, 3xx, 4xx, 5xx.
    pub answered: [u64; 4],
    /// Of all attempts together.
    pub duration_ms: u64,
    /// How many attempts took how long; see [`DURATIONS_MS`].
    pub took: [u64; DURATIONS_MS.len() + 1],
}

impl Figures {
    /// Attempts, whatever came of them.
    pub fn attempts(&self) -> u64 {
        self.succeeded + self.failed()
    }

    /// Attempts that did not succeed.
    pub fn failed(&self) -> u64 {
        self.failed_status + self.failed_timeout + self.failed_connection + self.failed_other
    }

    /// Counts an attempt.
    pub fn count_attempt(&mut self, outcome: Outcome, response_code: Option<u16>, duration_ms: u32) {
        let kind = match outcome {
            Outcome::Success => &mut self.succeeded,
            Outcome::Status => &mut self.failed_status,
            Outcome::Timeout => &mut self.failed_timeout,
            Outcome::Dns | Outcome::Connect | Outcome::Tls | Outcome::Reset | Outcome::Protocol => {
                &mut self.failed_connection
            }
            Outcome::Blocked | Outcome::Unknown | Outcome::Render => &mut self.failed_other,
        };
        *kind += 1;
        let class = response_code.and_then(|code| self.answered.get_mut(usize::from(code / 100).wrapping_sub(2)));
        if let Some(class) = class {
            *class += 1;
        }
        self.duration_ms += u64::from(duration_ms);
        self.took[DURATIONS_MS.partition_point(|longest| duration_ms > *longest)] += 1;
    }

    /// Adds what happened in another time.
    pub fn add(&mut self, other: &Figures) {
        let sum = self.columns().iter().zip(other.columns()).map(|(one, other)| one + other).collect::<Vec<_>>();
        *self = Figures::of(|column| Ok(sum[column])).unwrap_or_default();
    }

    /// About how long the `share` of attempts took that were the quickest, in milliseconds: 0.5 for the median. `None`
    /// where there were none. Within a part of the histogram attempts are taken as evenly spread.
    pub fn percentile_ms(&self, share: f64) -> Option<f64> {
        let all: u64 = self.took.iter().sum();
        let wanted = all as f64 * share;
        let mut below = 0.0;
        for (part, &count) in self.took.iter().enumerate().filter(|(_, count)| **count > 0) {
            if below + count as f64 >= wanted {
                let from = if part == 0 { 0.0 } else { f64::from(DURATIONS_MS[part - 1]) };
                // Those of the last part took longer than any bound; how much longer is not known.
                let to = DURATIONS_MS.get(part).map_or(from, |longest| f64::from(*longest));
                return Some(from + (to - from) * ((wanted - below) / count as f64).clamp(0.0, 1.0));
            }
            below += count as f64;
        }
        None
    }

    /// The values of [`COLUMNS`].
    pub fn columns(&self) -> [u64; COLUMNS.len()] {
        let mut columns = [0; COLUMNS.len()];
        columns[..7].copy_from_slice(&[
            self.events,
            self.deliveries,
            self.succeeded,
            self.failed_status,
            self.failed_timeout,
            self.failed_connection,
            self.failed_other,
        ]);
        columns[7..11].copy_from_slice(&self.answered);
        columns[11] = self.duration_ms;
        columns[TOOK..].copy_from_slice(&self.took);
        columns
    }

    /// Reads the columns of a row, which start at `first`.
    pub(crate) fn read(row: &dyn Row, first: usize) -> StoreResult<Figures> {
        let negative = |_| StoreError::Damaged("a figure is below zero".to_owned());
        Figures::of(|column| u64::try_from(row.int(first + column)?).map_err(negative))
    }

    /// The figures with these values of [`COLUMNS`].
    pub(crate) fn from_columns(columns: &[u64; COLUMNS.len()]) -> Figures {
        Figures::of(|column| Ok(columns[column])).unwrap_or_default()
    }

    fn of(value: impl Fn(usize) -> StoreResult<u64>) -> StoreResult<Figures> {
        let mut figures = Figures {
            events: value(0)?,
            deliveries: value(1)?,
            succeeded: value(2)?,
            failed_status: value(3)?,
            failed_timeout: value(4)?,
            failed_connection: value(5)?,
            failed_other: value(6)?,
            answered: [value(7)?, value(8)?, value(9)?, value(10)?],
            duration_ms: value(11)?,
            ..Figures::default()
        };
        for (part, took) in figures.took.iter_mut().enumerate() {
            *took = value(TOOK + part)?;
        }
        Ok(figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(durations: &[u32]) -> Figures {
        let mut figures = Figures::default();
        durations.iter().for_each(|duration| figures.count_attempt(Outcome::Success, Some(200), *duration));
        figures
    }

    #[test]
    fn columns_and_members_are_the_same() {
        let mut figures = after(&[0, 7, 70_000]);
        figures.count_attempt(Outcome::Status, Some(404), 3);
        figures.count_attempt(Outcome::Timeout, None, 15_000);
        figures.count_attempt(Outcome::Tls, None, 1);
        figures.count_attempt(Outcome::Blocked, Some(101), 0);
        figures.events = 9;
        let columns = figures.columns();
        assert_eq!(Figures::of(|column| Ok(columns[column])), Ok(figures));
        assert_eq!((figures.attempts(), figures.failed(), figures.answered), (7, 4, [3, 0, 1, 0]));
        assert_eq!(figures.took.iter().sum::<u64>(), 7);
        let mut twice = figures;
        twice.add(&figures);
        assert_eq!((twice.events, twice.attempts(), twice.took[0]), (18, 14, 2 * figures.took[0]));
    }

    #[test]
    fn percentiles_lie_within_their_part() {
        assert_eq!(Figures::default().percentile_ms(0.5), None);
        let figures = after(&[4; 100]);
        let median = figures.percentile_ms(0.5).unwrap();
        assert!((median - 3.5).abs() < 1e-9, "{median}");
        let mut spread = after(&[8; 90]);
        spread.add(&after(&[400; 10]));
        assert!(spread.percentile_ms(0.5).unwrap() <= 10.0);
        assert!((200.0..=500.0).contains(&spread.percentile_ms(0.99).unwrap()));
        assert_eq!(after(&[60_000]).percentile_ms(0.5), Some(30_000.0));
    }
}
