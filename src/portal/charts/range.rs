//! Which time a chart shows, and into how many slots it is cut.

use fanfare_engine::time::Timestamp;
use fanfare_store::stats::{Figures, Span};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A time up to now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::portal) enum Range {
    Hour,
    #[default]
    Day,
    Week,
    Month,
}

/// What happened from one mark of the clock to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slot {
    pub(super) start: Timestamp,
    /// In milliseconds.
    pub(super) length: i64,
    pub(super) figures: Figures,
}

impl Range {
    pub(in crate::portal) const ALL: [Range; 4] = [Range::Hour, Range::Day, Range::Week, Range::Month];

    /// As it is in an address.
    pub(in crate::portal) fn name(self) -> &'static str {
        match self {
            Range::Hour => "1h",
            Range::Day => "24h",
            Range::Week => "7d",
            Range::Month => "30d",
        }
    }

    /// The range of this name; the usual one where there is none of it.
    pub(in crate::portal) fn named(name: &str) -> Range {
        Range::ALL.into_iter().find(|range| range.name() == name).unwrap_or_default()
    }

    /// Whether it is the same; for templates.
    pub(in crate::portal) fn is(self, other: &Range) -> bool {
        self == *other
    }

    /// How finely its figures are kept.
    pub(in crate::portal) fn span(self) -> Span {
        match self {
            Range::Hour | Range::Day => Span::FiveMinutes,
            Range::Week | Range::Month => Span::Hour,
        }
    }

    /// How many slots there are, and how long each is in milliseconds.
    const fn cut(self) -> (i64, i64) {
        match self {
            Range::Hour => (12, 5 * MINUTE),
            Range::Day => (48, 30 * MINUTE),
            Range::Week => (56, 3 * HOUR),
            Range::Month => (30, DAY),
        }
    }

    /// How far apart marks on the axis of time are, in milliseconds; slots start at each.
    pub(super) const fn between_marks(self) -> i64 {
        match self {
            Range::Hour => 10 * MINUTE,
            Range::Day => 4 * HOUR,
            Range::Week => DAY,
            Range::Month => 5 * DAY,
        }
    }

    /// Whether marks are days, not times of the day.
    pub(super) const fn marks_days(self) -> bool {
        matches!(self, Range::Week | Range::Month)
    }

    /// Where the first slot starts. Slots start at round times in UTC, and the last one holds `now`.
    pub(in crate::portal) fn start(self, now: Timestamp) -> Timestamp {
        let (count, length) = self.cut();
        Timestamp(now.0 - now.0.rem_euclid(length) - (count - 1) * length)
    }

    /// What happened in each slot, oldest first, from figures with the time of their start.
    pub(super) fn slots(self, now: Timestamp, rows: &[(Timestamp, Figures)]) -> Vec<Slot> {
        let (count, length) = self.cut();
        let first = self.start(now).0;
        let empty = |at| Slot { start: Timestamp(first + at * length), length, figures: Figures::default() };
        let mut slots: Vec<Slot> = (0..count).map(empty).collect();
        for (start, figures) in rows {
            let slot = usize::try_from((start.0 - first).div_euclid(length)).ok().and_then(|at| slots.get_mut(at));
            if let Some(slot) = slot {
                slot.figures.add(figures);
            }
        }
        slots
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn figures(succeeded: u64) -> Figures {
        Figures { succeeded, ..Figures::default() }
    }

    #[test]
    fn names_are_read_back() {
        for range in Range::ALL {
            assert_eq!(Range::named(range.name()), range);
        }
        assert_eq!(Range::named("2y"), Range::Day);
    }

    proptest! {
        #[test]
        fn every_figure_of_the_time_is_in_one_slot(
            now in 1_500_000_000_000_i64..2_500_000_000_000,
            ago in proptest::collection::vec(0_i64..40 * DAY, 0..50),
            range in prop_oneof![Just(Range::Hour), Just(Range::Day), Just(Range::Week), Just(Range::Month)],
        ) {
            let now = Timestamp(now);
            let rows: Vec<_> =
                ago.iter().map(|ago| (Timestamp(range.span().start(Timestamp(now.0 - ago))), figures(1))).collect();
            let slots = range.slots(now, &rows);
            let within = rows.iter().filter(|(start, _)| *start >= range.start(now)).count();
            prop_assert_eq!(slots.iter().map(|slot| slot.figures.succeeded).sum::<u64>(), within as u64);
            let last = slots.last().unwrap();
            prop_assert!(last.start <= now && now.0 < last.start.0 + last.length);
            prop_assert_eq!(slots[0].start, range.start(now));
            prop_assert_eq!(slots[0].start.0.rem_euclid(last.length), 0);
            prop_assert_eq!(range.between_marks().rem_euclid(last.length), 0);
        }
    }
}
