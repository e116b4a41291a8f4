//! Figures that are each to reach a bound, as a table and as JSON.

use serde_json::{Map, Value, json};

use super::report::{Spread, aligned, grouped};

/// What a figure is to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// Not more than this.
    AtMost(f64),
    /// Not less than this.
    AtLeast(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Bound::AtMost(most) => value <= most,
            Bound::AtLeast(least) => value >= least,
        }
    }

    fn text(self, decimals: usize) -> String {
        match self {
            Bound::AtMost(most) => format!("≤ {}", grouped(most, decimals)),
            Bound::AtLeast(least) => format!("≥ {}", grouped(least, decimals)),
        }
    }
}

/// One thing that was measured, perhaps several times.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Its name in JSON, with its unit at the end.
    pub name: &'static str,
    /// What people read.
    pub label: &'static str,
    /// How many decimals they are shown.
    pub decimals: usize,
    /// What its median is to reach.
    pub bound: Option<Bound>,
    /// What was measured.
    pub values: Vec<f64>,
}

impl Figure {
    /// A figure without a bound.
    pub fn new(name: &'static str, label: &'static str, decimals: usize, values: Vec<f64>) -> Self {
        Figure { name, label, decimals, bound: None, values }
    }

    /// The same with what it is to reach.
    pub fn bound(self, bound: Bound) -> Self {
        Figure { bound: Some(bound), ..self }
    }

    fn is_reached(&self) -> Option<bool> {
        let median = Spread::of(self.values.clone())?.median;
        self.bound.map(|bound| bound.holds(median))
    }

    fn row(&self) -> Vec<String> {
        let spread = Spread::of(self.values.clone());
        let verdict = self.is_reached().map_or("", |reached| if reached { "reached" } else { "missed" });
        vec![
            self.label.to_owned(),
            spread.map_or("-".to_owned(), |spread| spread.text(self.decimals)),
            self.bound.map_or(String::new(), |bound| bound.text(self.decimals)),
            verdict.to_owned(),
        ]
    }
}

/// The figures as a table: median (least–most), and what is to be reached.
pub fn table(title: &str, figures: &[Figure]) -> String {
    let header = ["", "measured", "to reach", ""].map(str::to_owned).to_vec();
    let rows: Vec<_> = std::iter::once(header).chain(figures.iter().map(Figure::row)).collect();
    format!("{title}\n\n{}", aligned(&rows))
}

/// The figures for machines: settings as given, and of each figure every value and the summary.
pub fn json(settings: Value, figures: &[Figure]) -> Value {
    let of = |figure: &Figure| {
        let spread = Spread::of(figure.values.clone());
        let mut summary = spread.map_or(json!({}), |s| json!({"median": s.median, "min": s.min, "max": s.max}));
        summary["values"] = json!(figure.values);
        summary["reached"] = json!(figure.is_reached());
        match figure.bound {
            Some(Bound::AtMost(most)) => summary["at_most"] = json!(most),
            Some(Bound::AtLeast(least)) => summary["at_least"] = json!(least),
            None => {}
        }
        (figure.name.to_owned(), summary)
    };
    let figures: Map<String, Value> = figures.iter().map(of).collect();
    json!({"settings": settings, "figures": figures})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> [Figure; 3] {
        [
            Figure::new("ready_ms", "start to ready, ms", 0, vec![10.0, 30.0, 20.0]).bound(Bound::AtMost(15.0)),
            Figure::new("ratio", "ratio", 2, vec![0.9]).bound(Bound::AtLeast(0.8)),
            Figure::new("memory_mib", "memory, MiB", 1, Vec::new()),
        ]
    }

    #[test]
    fn the_table_says_what_was_missed() {
        let text = table("Title", &figures());
        let row = |label: &str| text.lines().find(|line| line.starts_with(label)).unwrap();
        assert!(row("start").contains("20 (10–30)") && row("start").ends_with("≤ 15    missed"), "{text}");
        assert!(row("ratio").ends_with("≥ 0.80   reached"), "{text}");
        assert!(row("memory").ends_with('-'), "{text}");
    }

    #[test]
    fn json_has_every_value_and_the_bound() {
        let report = json(json!({"rounds": 3}), &figures());
        let ready = &report["figures"]["ready_ms"];
        assert_eq!(ready["values"], json!([10.0, 30.0, 20.0]));
        assert_eq!(
            (&ready["median"], &ready["at_most"], &ready["reached"]),
            (&json!(20.0), &json!(15.0), &json!(false))
        );
        assert_eq!(report["figures"]["memory_mib"]["reached"], Value::Null);
    }
}
