//! The report of a measurement: every metric's median, least and most over the rounds, and how targets compare.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::round::Measured;

/// One row of the report.
struct Metric {
    name: &'static str,
    label: &'static str,
    decimals: usize,
    /// Whether a ratio to the limits says something.
    compared: bool,
    of: fn(&Measured) -> Option<f64>,
}

const fn metric(
    name: &'static str,
    label: &'static str,
    decimals: usize,
    compared: bool,
    of: fn(&Measured) -> Option<f64>,
) -> Metric {
    Metric { name, label, decimals, compared, of }
}

const METRICS: [Metric; 19] = [
    metric("acks_per_second", "acks/s", 0, true, |m| m.acks_per_second),
    metric("deliveries_per_second", "deliveries/s", 0, true, |m| m.deliveries_per_second),
    metric("cpu_ms_per_delivery", "CPU ms/delivery", 4, true, |m| m.cpu_ms_per_delivery),
    metric("load_cpu_ms_per_delivery", "load's CPU ms/delivery", 4, false, |m| m.load_cpu_ms_per_delivery),
    metric("peak_memory_mib", "peak memory MiB", 1, true, |m| m.peak_memory_mib),
    metric("latency_p50_ms", "latency p50 ms", 2, true, |m| m.latency_p50_ms),
    metric("latency_p95_ms", "latency p95 ms", 2, true, |m| m.latency_p95_ms),
    metric("latency_p99_ms", "latency p99 ms", 2, true, |m| m.latency_p99_ms),
    metric("latency_max_ms", "latency max ms", 2, false, |m| m.latency_max_ms),
    metric("ack_p50_ms", "ack p50 ms", 2, true, |m| m.ack_p50_ms),
    metric("ack_p95_ms", "ack p95 ms", 2, true, |m| m.ack_p95_ms),
    metric("ack_p99_ms", "ack p99 ms", 2, true, |m| m.ack_p99_ms),
    metric("ack_max_ms", "ack max ms", 2, false, |m| m.ack_max_ms),
    metric("lost", "lost", 0, false, |m| Some(m.lost as f64)),
    metric("duplicates", "duplicates", 0, false, |m| Some(m.duplicates as f64)),
    metric("refused", "refused", 0, false, |m| Some(m.refused as f64)),
    metric("broken", "broken", 0, false, |m| Some(m.broken as f64)),
    metric("signatures_valid", "signatures valid", 0, false, |m| Some(m.signatures_valid as f64)),
    metric("signatures_invalid", "signatures invalid", 0, false, |m| Some(m.signatures_invalid as f64)),
];

/// All rounds against one target.
pub struct Series {
    /// Its column.
    pub name: &'static str,
    /// One entry a round.
    pub rounds: Vec<Measured>,
}

impl Series {
    fn spread(&self, metric: &Metric) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter_map(metric.of).collect())
    }
}

/// Median, least and most of some rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    pub(super) fn of(mut values: Vec<f64>) -> Option<Spread> {
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Some(Spread { median, min, max })
    }

    pub(super) fn text(&self, decimals: usize) -> String {
        let number = |value| grouped(value, decimals);
        if number(self.min) == number(self.max) {
            return number(self.median);
        }
        format!("{} ({}–{})", number(self.median), number(self.min), number(self.max))
    }
}

/// The first series' median over another's; `None` where either is missing or there is nothing to divide by.
fn ratio(series: &[Series], other: &Series, metric: &Metric) -> Option<f64> {
    let ours = series.first()?.spread(metric)?.median;
    let theirs = other.spread(metric)?.median;
    (metric.compared && theirs > 0.0).then_some(ours / theirs)
}

/// The report as a table. The first series is what is measured; the others are limits, against which it is set.
pub fn table(title: &str, series: &[Series]) -> String {
    let limits = series.get(1..).unwrap_or_default();
    let mut header = vec![String::new()];
    header.extend(series.iter().map(|column| column.name.to_owned()));
    header.extend(limits.iter().map(|limit| format!("{}/{}", series[0].name, limit.name)));
    let mut rows = vec![header];
    for metric in &METRICS {
        let mut row = vec![metric.label.to_owned()];
        let spread =
            |column: &Series| column.spread(metric).map_or("-".to_owned(), |spread| spread.text(metric.decimals));
        row.extend(series.iter().map(spread));
        let compare =
            |limit: &Series| ratio(series, limit, metric).map_or(String::new(), |ratio| format!("{ratio:.2}"));
        row.extend(limits.iter().map(compare));
        rows.push(row);
    }
    let mut out = format!("{title}\n\n{}", aligned(&rows));
    for column in series {
        if let Some(failure) = column.rounds.iter().find_map(|round| round.first_failure.as_ref()) {
            let _ = writeln!(out, "{}: first failure: {}", column.name, failure.escape_debug());
        }
    }
    out
}

pub(super) fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = format!("{:<width$}", row[0], width = widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            let _ = write!(line, "   {cell:>width$}");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// The number with its thousands apart.
pub(super) fn grouped(value: f64, decimals: usize) -> String {
    let plain = format!("{value:.decimals$}");
    let (whole, fraction) = plain.split_once('.').map_or((plain.as_str(), ""), |(whole, fraction)| (whole, fraction));
    let mut out = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// The report for machines: settings as given, every round, the summaries and the ratios.
pub fn json(settings: Value, series: &[Series]) -> Value {
    let mut targets = Map::new();
    for column in series {
        let mut summary = Map::new();
        for metric in &METRICS {
            let spread = column.spread(metric).map(|s| json!({"median": s.median, "min": s.min, "max": s.max}));
            summary.insert(metric.name.to_owned(), spread.unwrap_or(Value::Null));
        }
        targets.insert(column.name.to_owned(), json!({"summary": summary, "rounds": column.rounds}));
    }
    let mut ratios = Map::new();
    for limit in series.get(1..).unwrap_or_default() {
        let all =
            METRICS.iter().filter_map(|metric| Some((metric.name.to_owned(), ratio(series, limit, metric)?.into())));
        ratios.insert(limit.name.to_owned(), Value::Object(all.collect()));
    }
    json!({"settings": settings, "targets": targets, "ratios": ratios})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &'static str, rates: &[f64]) -> Series {
        let round = |&rate| Measured { deliveries_per_second: Some(rate), ..Measured::default() };
        Series { name, rounds: rates.iter().map(round).collect() }
    }

    #[test]
    fn the_table_shows_median_spread_and_ratio() {
        let text = table("Title", &[series("fanfare", &[9000.0, 8000.0, 12_345.0]), series("forwarder", &[18_000.0])]);
        let row = text.lines().find(|line| line.starts_with("deliveries/s")).unwrap();
        let cells: Vec<&str> = row.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert_eq!(cells, ["deliveries/s", "9,000 (8,000–12,345)", "18,000", "0.50"]);
        let row = text.lines().find(|line| line.starts_with("latency p50")).unwrap();
        assert_eq!(row.split_whitespace().filter(|&cell| cell == "-").count(), 2);
    }

    #[test]
    fn json_has_every_round() {
        let report = json(json!({"events": 3}), &[series("fanfare", &[1.0, 3.0]), series("direct", &[4.0])]);
        assert_eq!(report["targets"]["fanfare"]["summary"]["deliveries_per_second"]["median"], 2.0);
        assert_eq!(report["targets"]["fanfare"]["rounds"].as_array().unwrap().len(), 2);
        assert_eq!(report["ratios"]["direct"]["deliveries_per_second"], 0.5);
        assert_eq!(report["ratios"]["direct"]["latency_p50_ms"], Value::Null);
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(1_234_567.0, 0), "1,234,567");
        assert_eq!(grouped(999.25, 1), "999.2");
        assert_eq!(grouped(0.046, 3), "0.046");
        assert_eq!(grouped(-123_456.0, 0), "-123,456");
    }
}
