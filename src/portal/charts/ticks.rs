//! Where an axis is marked: a few round values that are easy to read between.

use fanfare_engine::time::Timestamp;

use super::range::{Range, Slot};

/// The most steps of an axis of amounts.
const MOST_STEPS: f64 = 4.0;

/// Whether an axis has marks between whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marks {
    Whole,
    Any,
}

/// Round values at even steps of 1, 2 or 5 times a power of ten: from 0 to the first that is not below `largest`.
pub(super) fn amounts(largest: f64, marks: Marks) -> Vec<f64> {
    let largest = if largest.is_finite() && largest > 0.0 { largest } else { 1.0 };
    let step = round_step(largest / MOST_STEPS);
    let step = if marks == Marks::Whole { step.max(1.0) } else { step };
    let steps = (largest / step).ceil().max(1.0) as u32;
    // Products of a step below one are not exact; what is shown of them is.
    (0..=steps).map(|number| f64::from(number) * step).collect()
}

/// The smallest of 1, 2 or 5 times a power of ten that is not below `least`.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let fits = |factor: &f64| factor * power >= least * (1.0 - 1e-9);
    [1.0, 2.0, 5.0, 10.0].into_iter().find(fits).unwrap_or(10.0) * power
}

/// The slots at which an axis of time is marked, by their places. Times of the day and days are those of UTC.
pub(super) fn times(range: Range, slots: &[Slot]) -> Vec<(usize, Timestamp)> {
    let between = range.between_marks();
    let round = |slot: &Slot| slot.start.0.rem_euclid(between) == 0;
    slots.iter().enumerate().filter(|(_, slot)| round(slot)).map(|(at, slot)| (at, slot.start)).collect()
}

/// An amount in few digits: `950`, `1.2k`, `3M`.
pub(super) fn short(amount: f64) -> String {
    let units = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    match units.into_iter().find(|(unit, _)| amount >= *unit) {
        Some((unit, name)) => format!("{}{name}", digits(amount / unit)),
        None => digits(amount),
    }
}

/// A count with its thousands apart: `12 345`.
pub(in crate::portal) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A duration in its own unit: `250 ms`, `1.5 s`.
pub(super) fn duration(ms: f64) -> String {
    if ms < 1_000.0 { format!("{} ms", digits(ms)) } else { format!("{} s", digits(ms / 1_000.0)) }
}

/// A share in percent, of one: `2.5 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{} %", digits(share * 100.0))
}

/// Three digits at most, and none that say nothing.
fn digits(value: f64) -> String {
    let places = match value {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn marks_are_round() {
        assert_eq!(amounts(0.0, Marks::Whole), [0.0, 1.0]);
        assert_eq!(amounts(1.0, Marks::Whole), [0.0, 1.0]);
        assert_eq!(amounts(7.0, Marks::Whole), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(amounts(100.0, Marks::Any), [0.0, 50.0, 100.0]);
        assert_eq!(amounts(f64::NAN, Marks::Any), amounts(1.0, Marks::Any));
    }

    #[test]
    fn values_are_short() {
        assert_eq!([0.0, 950.0, 1_200.0, 3e6, 2.5e9].map(short), ["0", "950", "1.2k", "3M", "2.5G"]);
        assert_eq!([0, 950, 1_200, 3_000_000].map(grouped), ["0", "950", "1\u{202f}200", "3\u{202f}000\u{202f}000"]);
        assert_eq!([0.0, 0.5, 250.0, 1_500.0, 30_000.0].map(duration), ["0 ms", "0.5 ms", "250 ms", "1.5 s", "30 s"]);
        assert_eq!([0.0, 0.001, 0.025, 1.0].map(percent), ["0 %", "0.1 %", "2.5 %", "100 %"]);
    }

    #[test]
    fn marks_of_time_stand_at_round_times() {
        let now = "2026-11-22T09:37:12Z".parse().unwrap();
        let marked = |range: Range| {
            let slots = range.slots(now, &[]);
            let at = times(range, &slots);
            at.iter().map(|(_, at)| at.to_string()[5..16].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(marked(Range::Hour)[..2], ["11-22T08:40", "11-22T08:50"]);
        assert_eq!(marked(Range::Day)[..2], ["11-21T12:00", "11-21T16:00"]);
        assert_eq!(marked(Range::Week).len(), 7);
        assert!(marked(Range::Month).iter().all(|mark| mark.ends_with("T00:00")));
    }

    proptest! {
        #[test]
        fn marks_cover_everything_in_few_even_steps(largest in 1e-3_f64..1e12, whole: bool) {
            let marks = amounts(largest, if whole { Marks::Whole } else { Marks::Any });
            prop_assert_eq!(marks[0], 0.0);
            prop_assert!((2..=MOST_STEPS as usize + 1).contains(&marks.len()), "{:?}", marks);
            prop_assert!(*marks.last().unwrap() >= largest * (1.0 - 1e-9));
            let step = marks[1];
            let power = 10_f64.powf(step.log10().round());
            let round = [0.2, 0.5, 1.0, 2.0, 5.0].iter().any(|factor| (step / power / factor - 1.0).abs() < 1e-6);
            prop_assert!(round, "{}", step);
            prop_assert!(!whole || marks.iter().all(|mark| mark.fract() == 0.0));
            for (number, mark) in marks.iter().enumerate() {
                prop_assert!((mark - number as f64 * step).abs() <= step * 1e-9);
            }
        }
    }
}
