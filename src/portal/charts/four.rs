//! The charts that pages show: how much was sent and what became of it, the share that failed, how long receivers took, and
//! what they answered.

use fanfare_engine::time::Timestamp;
use fanfare_store::stats::Figures;

use super::plot::{Marks, Plot};
use super::range::{Range, Slot};
use super::ticks;
use crate::portal::texts::{ChartsTexts, Texts, fill};
use crate::portal::words::Moment;

/// The shares of attempts whose durations are drawn.
const SHARES: [f64; 3] = [0.5, 0.95, 0.99];

/// All charts of one subject.
pub(in crate::portal) struct Charts {
    pub(in crate::portal) range: Range,
    pub(in crate::portal) charts: Vec<Chart>,
}

/// A chart with its table.
pub(in crate::portal) struct Chart {
    /// Its name among the charts, for ids and classes.
    pub(in crate::portal) name: &'static str,
    pub(in crate::portal) title: &'static str,
    /// What it shows, in a sentence.
    pub(in crate::portal) summary: String,
    /// Markup; none where there is nothing to show.
    pub(in crate::portal) drawing: Option<String>,
    /// The classes of its layers, their names, and what they came to over the whole time.
    pub(in crate::portal) legend: Vec<(&'static str, &'static str, String)>,
    /// For each slot in which something was sent: its start, and what each layer came to in it. Newest first.
    pub(in crate::portal) rows: Vec<(Moment, Vec<String>)>,
}

impl Charts {
    pub(super) fn of(t: &Texts, range: Range, slots: &[Slot]) -> Charts {
        let t = &t.charts;
        let maker = Maker { t, range, slots };
        Charts { range, charts: vec![maker.volume(), maker.failures(), maker.latency(), maker.codes()] }
    }

    /// Whether there is nothing to draw.
    pub(in crate::portal) fn are_empty(&self) -> bool {
        self.charts.iter().all(|chart| chart.drawing.is_none())
    }

    /// Each range with its label.
    pub(in crate::portal) fn ranges(&self, t: &Texts) -> [(Range, &'static str); 4] {
        let t = &t.charts;
        [(Range::Hour, t.hour), (Range::Day, t.day), (Range::Week, t.week), (Range::Month, t.month)]
    }
}

struct Maker<'a> {
    t: &'a ChartsTexts,
    range: Range,
    slots: &'a [Slot],
}

/// A layer of a chart: its class, its name and what it is of some figures.
struct Layer<T> {
    class: &'static str,
    name: &'static str,
    value: fn(&Figures) -> T,
}

impl Maker<'_> {
    fn volume(&self) -> Chart {
        let t = self.t;
        let layer = |class, name, value| Layer { class, name, value };
        self.bars(
            "volume",
            t.volume,
            &[
                layer("good", t.succeeded, |figures| figures.succeeded),
                layer("status", t.failed_status, |figures| figures.failed_status),
                layer("timeout", t.failed_timeout, |figures| figures.failed_timeout),
                layer("connection", t.failed_connection, |figures| figures.failed_connection),
                layer("other", t.failed_other, |figures| figures.failed_other),
            ],
        )
    }

    fn codes(&self) -> Chart {
        let t = self.t;
        let layer = |class, name, value| Layer { class, name, value };
        self.bars(
            "codes",
            t.codes,
            &[
                layer("good", "2xx", |figures| figures.answered[0]),
                layer("redirect", "3xx", |figures| figures.answered[1]),
                layer("timeout", "4xx", |figures| figures.answered[2]),
                layer("status", "5xx", |figures| figures.answered[3]),
                layer("other", t.unanswered, |figures| {
                    figures.attempts().saturating_sub(figures.answered.iter().sum())
                }),
            ],
        )
    }

    fn failures(&self) -> Chart {
        let t = self.t;
        let share = |figures: &Figures| {
            let attempts = figures.attempts();
            (attempts > 0).then(|| figures.failed() as f64 / attempts as f64)
        };
        // A chart of nothing but zeros still goes up to one in a hundred.
        let least = 0.01;
        self.lines(
            "failures",
            t.failures,
            &[Layer { class: "bad", name: t.failed, value: share }],
            least,
            ticks::percent,
        )
    }

    fn latency(&self) -> Chart {
        let t = self.t;
        let layers = [
            Layer { class: "p50", name: t.p50, value: |figures: &Figures| figures.percentile_ms(SHARES[0]) },
            Layer { class: "p95", name: t.p95, value: |figures: &Figures| figures.percentile_ms(SHARES[1]) },
            Layer { class: "p99", name: t.p99, value: |figures: &Figures| figures.percentile_ms(SHARES[2]) },
        ];
        self.lines("latency", t.latency, &layers, 1.0, ticks::duration)
    }

    fn bars(&self, name: &'static str, title: &'static str, layers: &[Layer<u64>]) -> Chart {
        let bars: Vec<Vec<u64>> = self.slots.iter().map(|slot| values(layers, &slot.figures)).collect();
        let largest = bars.iter().map(|bar| bar.iter().sum::<u64>()).max().unwrap_or_default();
        let scale = ticks::amounts(largest as f64, ticks::Marks::Whole);
        let texts = |figures: &Figures| values(layers, figures).into_iter().map(ticks::grouped).collect();
        self.chart(name, title, layers, texts, Marks::Bars(bars), scale, ticks::short)
    }

    fn lines(
        &self,
        name: &'static str,
        title: &'static str,
        layers: &[Layer<Option<f64>>],
        least: f64,
        shown: fn(f64) -> String,
    ) -> Chart {
        let lines: Vec<Vec<Option<f64>>> =
            layers.iter().map(|layer| self.slots.iter().map(|slot| (layer.value)(&slot.figures)).collect()).collect();
        let largest = lines.iter().flatten().flatten().fold(least, |largest, value| largest.max(*value));
        let scale = ticks::amounts(largest, ticks::Marks::Any);
        let texts = |figures: &Figures| {
            let said = |value: Option<f64>| value.map_or_else(|| self.t.nothing.to_owned(), shown);
            values(layers, figures).into_iter().map(said).collect()
        };
        self.chart(name, title, layers, texts, Marks::Lines(lines), scale, shown)
    }

    #[expect(clippy::too_many_arguments, reason = "what differs between charts, each given once")]
    fn chart<T>(
        &self,
        name: &'static str,
        title: &'static str,
        layers: &[Layer<T>],
        texts: impl Fn(&Figures) -> Vec<String>,
        marks: Marks,
        scale: Vec<f64>,
        shown: fn(f64) -> String,
    ) -> Chart {
        let mut all = Figures::default();
        self.slots.iter().for_each(|slot| all.add(&slot.figures));
        let totals = texts(&all);
        let names: Vec<&str> = layers.iter().map(|layer| layer.name).collect();
        let classes: Vec<&'static str> = layers.iter().map(|layer| layer.class).collect();
        let in_words = |values: &[String]| {
            let said = names.iter().zip(values).map(|(name, value)| format!("{name}: {value}"));
            said.collect::<Vec<_>>().join(", ")
        };
        let sent = |slot: &&Slot| slot.figures.attempts() > 0;
        let drawing = (all.attempts() > 0).then(|| {
            let said = |slot: &Slot| format!("{}\n{}", self.times(slot), in_words(&texts(&slot.figures)));
            let plot = Plot {
                range: self.range,
                slots: self.slots,
                classes: &classes,
                marks,
                scale: scale.into_iter().map(|value| (value, shown(value))).collect(),
                said: self.slots.iter().map(said).collect(),
                months: self.t.months.split(' ').collect(),
            };
            plot.draw()
        });
        Chart {
            name,
            title,
            summary: fill(self.t.summary, &[("title", &title), ("values", &in_words(&totals))]),
            drawing,
            rows: self.slots.iter().rev().filter(sent).map(|slot| (slot.start.into(), texts(&slot.figures))).collect(),
            legend: layers.iter().zip(totals).map(|(layer, total)| (layer.class, layer.name, total)).collect(),
        }
    }

    /// From when to when a slot goes, in UTC.
    fn times(&self, slot: &Slot) -> String {
        let minute = |at: Timestamp| Moment::from(at).utc.get(..16).unwrap_or_default().to_owned();
        let end = minute(Timestamp(slot.start.0 + slot.length));
        fill(self.t.slot, &[("from", &minute(slot.start)), ("to", &end.get(11..).unwrap_or_default())])
    }
}

fn values<T>(layers: &[Layer<T>], figures: &Figures) -> Vec<T> {
    layers.iter().map(|layer| (layer.value)(figures)).collect()
}

#[cfg(test)]
mod tests {
    use fanfare_engine::attempt::Outcome;
    use proptest::prelude::*;

    use super::*;
    use crate::portal::texts::for_languages;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    fn charts(rows: &[(Timestamp, Figures)], range: Range) -> Charts {
        Charts::of(for_languages("en"), range, &range.slots(NOW, rows))
    }

    fn attempts(made: &[(Outcome, Option<u16>, u32)]) -> Figures {
        let mut figures = Figures::default();
        made.iter().for_each(|(outcome, code, ms)| figures.count_attempt(*outcome, *code, *ms));
        figures
    }

    #[test]
    fn nothing_sent_is_an_empty_chart() {
        for chart in charts(&[], Range::Day).charts {
            assert!(chart.drawing.is_none() && chart.rows.is_empty(), "{}", chart.name);
        }
    }

    #[test]
    fn tables_say_what_is_drawn() {
        let figures = attempts(&[
            (Outcome::Success, Some(200), 40),
            (Outcome::Success, Some(204), 45),
            (Outcome::Status, Some(503), 90),
            (Outcome::Timeout, None, 15_000),
        ]);
        let charts = charts(&[(NOW, figures)], Range::Hour);
        let row = |name| {
            let chart = charts.charts.iter().find(|chart| chart.name == name).unwrap();
            assert_eq!(chart.rows.len(), 1);
            chart.rows[0].1.clone()
        };
        assert_eq!(row("volume"), ["2", "1", "1", "0", "0"]);
        assert_eq!(row("failures"), ["50 %"]);
        assert_eq!(row("codes"), ["2", "0", "0", "1", "1"]);
        assert_eq!(row("latency").len(), 3);
        let volume = &charts.charts[0];
        let drawing = volume.drawing.as_ref().unwrap();
        for class in ["good", "status", "timeout"] {
            assert_eq!(drawing.matches(&format!("<rect class=\"{class}\"")).count(), 1, "{drawing}");
        }
        assert!(!drawing.contains("class=\"connection\"") && !drawing.contains("style="), "{drawing}");
        assert_eq!(drawing.matches("class=\"slot\"").count(), 12);
    }

    proptest! {
        #[test]
        fn percentiles_rise_and_lie_where_they_were_counted(took in proptest::collection::vec(0_u32..40_000, 1..200)) {
            let figures = attempts(&took.iter().map(|ms| (Outcome::Success, Some(200), *ms)).collect::<Vec<_>>());
            let mut sorted = took.clone();
            sorted.sort_unstable();
            let found = SHARES.map(|share| figures.percentile_ms(share).unwrap());
            prop_assert!(found[0] <= found[1] && found[1] <= found[2], "{:?}", found);
            for (share, found) in SHARES.into_iter().zip(found) {
                let rank = (sorted.len() as f64 * share).ceil() as usize;
                let exact = f64::from(sorted[rank.clamp(1, sorted.len()) - 1]);
                // The parts of the histogram grow by 2.5 at most, so that is how far off it may be.
                prop_assert!(found <= exact.max(1.0) * 2.5 + 1e-6 && found * 2.5 + 2.0 >= exact.min(30_000.0), "{found} for {exact}");
            }
        }

        #[test]
        fn every_drawing_is_whole(
            made in proptest::collection::vec((0_i64..3_000_000, 0_u32..60_000, 100_u16..600, any::<bool>()), 0..80)
        ) {
            let row = |(ago, ms, code, good): &(i64, u32, u16, bool)| {
                let outcome = if *good { Outcome::Success } else { Outcome::Status };
                (Timestamp(NOW.0 - ago * 1_000), attempts(&[(outcome, Some(*code), *ms)]))
            };
            let rows: Vec<_> = made.iter().map(row).collect();
            for range in Range::ALL {
                for chart in charts(&rows, range).charts {
                    let Some(drawing) = chart.drawing else { continue };
                    prop_assert!(!drawing.contains("NaN") && !drawing.contains("inf") && !drawing.contains("=\"-"), "{}", drawing);
                    prop_assert_eq!(drawing.matches("<svg").count(), drawing.matches("</svg>").count());
                }
            }
        }
    }
}
