//! Draws bars that stand on each other, and lines, as SVG.

use std::fmt::Write as _;

use fanfare_engine::time::Timestamp;

use super::range::{Range, Slot};
use super::ticks;

/// How high the part is that holds bars and lines, in pixels.
const HEIGHT: f64 = 132.0;
/// What is left free above it, for the topmost mark's text.
const ABOVE: f64 = 8.0;
/// What is left free below it, for the times.
const BELOW: f64 = 22.0;
/// How wide the texts beside the axis of amounts are.
const BESIDE: u32 = 48;
/// How much of its slot a bar takes.
const BAR: f64 = 0.78;
/// The least that a bar is high where there is anything, in pixels.
const LEAST: f64 = 1.5;
/// How far the drawing of lines goes across, in its own units.
const ACROSS: f64 = 1_000.0;

/// What is drawn over the slots.
pub(super) enum Marks {
    /// For each slot, the amounts of every layer, from the bottom up.
    Bars(Vec<Vec<u64>>),
    /// For each layer, its value in every slot; none where there is nothing to say.
    Lines(Vec<Vec<Option<f64>>>),
}

/// One drawing.
pub(super) struct Plot<'a> {
    pub(super) range: Range,
    pub(super) slots: &'a [Slot],
    /// The classes of its layers.
    pub(super) classes: &'a [&'static str],
    pub(super) marks: Marks,
    /// The marks of the axis of amounts, from 0 up, with their texts.
    pub(super) scale: Vec<(f64, String)>,
    /// What each slot is said to hold where it is pointed at.
    pub(super) said: Vec<String>,
    /// Short names of the months, January first.
    pub(super) months: Vec<&'static str>,
}

impl Plot<'_> {
    /// The drawing as markup: the texts of the axis of amounts, then all the rest.
    pub(super) fn draw(&self) -> String {
        let mut out = String::with_capacity(16 * 1024);
        let all = ABOVE + HEIGHT + BELOW;
        write(&mut out, format_args!("<svg class=\"scale\" width=\"{BESIDE}\" height=\"{all}\" aria-hidden=\"true\">"));
        for (value, text) in &self.scale {
            let y = self.down(*value) + 4.0;
            write(&mut out, format_args!("<text x=\"{}\" y=\"{y:.1}\">{}</text>", BESIDE - 8, escaped(text)));
        }
        write(
            &mut out,
            format_args!("</svg><svg class=\"field\" width=\"100%\" height=\"{all}\" aria-hidden=\"true\">"),
        );
        self.draw_grid(&mut out);
        match &self.marks {
            Marks::Bars(bars) => self.draw_bars(&mut out, bars),
            Marks::Lines(lines) => self.draw_lines(&mut out, lines),
        }
        self.draw_pointers(&mut out);
        out.push_str("</svg>");
        out
    }

    fn largest(&self) -> f64 {
        self.scale.last().map_or(1.0, |(value, _)| *value)
    }

    /// How far down a value stands.
    fn down(&self, value: f64) -> f64 {
        ABOVE + HEIGHT * (1.0 - (value / self.largest()).clamp(0.0, 1.0))
    }

    /// Where a slot starts, in percent.
    fn across(&self, at: usize) -> f64 {
        100.0 * at as f64 / self.slots.len().max(1) as f64
    }

    fn draw_grid(&self, out: &mut String) {
        for (at, (value, _)) in self.scale.iter().enumerate() {
            let class = if at == 0 { "ground" } else { "grid" };
            // Half a pixel down, so that a line fills one row of pixels.
            let y = self.down(*value).round() + 0.5;
            write(out, format_args!("<line class=\"{class}\" x1=\"0\" x2=\"100%\" y1=\"{y}\" y2=\"{y}\"/>"));
        }
        for (number, (at, start)) in ticks::times(self.range, self.slots).into_iter().enumerate() {
            let across = self.across(at) + 50.0 / self.slots.len().max(1) as f64;
            let anchor = match across {
                across if across < 4.0 => "start",
                across if across > 96.0 => "end",
                _ => "middle",
            };
            let minor = if number % 2 == 1 { " minor" } else { "" };
            let (form, text) = self.time(start);
            write(
                out,
                format_args!(
                    "<text class=\"when{minor}\" x=\"{across:.2}%\" y=\"{}\" text-anchor=\"{anchor}\" data-at=\"{start}\" data-form=\"{form}\">{}</text>",
                    ABOVE + HEIGHT + 16.0,
                    escaped(&text)
                ),
            );
        }
    }

    /// The text of a mark of time, and its form: a day or a time of the day.
    fn time(&self, at: Timestamp) -> (&'static str, String) {
        let exact = at.to_string();
        if !self.range.marks_days() {
            return ("time", exact.get(11..16).unwrap_or_default().to_owned());
        }
        let number = |from: usize| exact.get(from..from + 2).and_then(|text| text.parse::<usize>().ok()).unwrap_or(1);
        let month = self.months.get(number(5) - 1).copied().unwrap_or_default();
        ("day", format!("{} {month}", number(8)))
    }

    fn draw_bars(&self, out: &mut String, bars: &[Vec<u64>]) {
        let slot = self.across(1);
        let width = slot * BAR;
        for (at, amounts) in bars.iter().enumerate() {
            let x = self.across(at) + (slot - width) / 2.0;
            let mut y = ABOVE + HEIGHT;
            for (height, class) in heights(amounts, self.largest()).into_iter().zip(self.classes) {
                if height > 0.0 {
                    y -= height;
                    write(
                        out,
                        format_args!(
                            "<rect class=\"{class}\" x=\"{x:.2}%\" y=\"{y:.1}\" width=\"{width:.2}%\" height=\"{height:.1}\"/>"
                        ),
                    );
                }
            }
        }
    }

    fn draw_lines(&self, out: &mut String, lines: &[Vec<Option<f64>>]) {
        write(
            out,
            format_args!(
                "<svg x=\"0\" y=\"0\" width=\"100%\" height=\"{0}\" viewBox=\"0 0 {ACROSS} {0}\" preserveAspectRatio=\"none\">",
                ABOVE + HEIGHT
            ),
        );
        for (values, class) in lines.iter().zip(self.classes) {
            for (first, run) in runs(values) {
                let points: Vec<String> =
                    run.iter().enumerate().map(|(at, value)| self.point(first + at, *value)).collect();
                let path = points.join("L");
                match &points[..] {
                    // A line of one point has no length; round ends show it as a dot.
                    [point] => write(out, format_args!("<path class=\"{class} dot\" d=\"M{point}L{point}\"/>")),
                    _ => write(out, format_args!("<path class=\"{class}\" d=\"M{path}\"/>")),
                }
            }
        }
        out.push_str("</svg>");
    }

    fn point(&self, at: usize, value: f64) -> String {
        let x = (at as f64 + 0.5) * ACROSS / self.slots.len().max(1) as f64;
        format!("{x:.1} {:.1}", self.down(value))
    }

    /// What shows a slot's figures where it is pointed at.
    fn draw_pointers(&self, out: &mut String) {
        let width = self.across(1);
        for (at, (said, slot)) in self.said.iter().zip(self.slots).enumerate() {
            let end = Timestamp(slot.start.0 + slot.length);
            write(
                out,
                format_args!(
                    "<rect class=\"slot\" data-from=\"{}\" data-to=\"{end}\" x=\"{:.2}%\" y=\"{ABOVE}\" width=\"{width:.2}%\" height=\"{HEIGHT}\"><title>{}</title></rect>",
                    slot.start,
                    self.across(at),
                    escaped(said)
                ),
            );
        }
    }
}

/// How high each layer of a bar is, in pixels. What is there at all can be seen, and nothing grows over the top.
fn heights(amounts: &[u64], largest: f64) -> Vec<f64> {
    let all: f64 = amounts.iter().map(|amount| *amount as f64).sum();
    let high = (HEIGHT * all / largest).clamp(0.0, HEIGHT);
    let mut heights: Vec<f64> = amounts
        .iter()
        .map(|amount| if *amount == 0 { 0.0 } else { (high * *amount as f64 / all).max(LEAST) })
        .collect();
    // What the smallest were given more is taken from the largest.
    let over = heights.iter().sum::<f64>() - HEIGHT;
    if over > 0.0
        && let Some(most) = heights.iter_mut().max_by(|one, other| one.total_cmp(other))
    {
        *most -= over;
    }
    heights
}

/// The runs of values without a gap, each with the place of its first.
fn runs(values: &[Option<f64>]) -> Vec<(usize, Vec<f64>)> {
    let mut runs: Vec<(usize, Vec<f64>)> = Vec::new();
    for (at, value) in values.iter().enumerate() {
        let Some(value) = *value else { continue };
        match runs.last_mut() {
            Some((first, run)) if *first + run.len() == at => run.push(value),
            _ => runs.push((at, vec![value])),
        }
    }
    runs
}

/// Writing to a text does not fail.
fn write(out: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(what);
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_break_where_there_is_nothing() {
        let values = [None, Some(1.0), Some(2.0), None, None, Some(3.0)];
        assert_eq!(runs(&values), [(1, vec![1.0, 2.0]), (5, vec![3.0])]);
        assert_eq!(runs(&[None; 3]), []);
    }

    #[test]
    fn texts_do_not_become_markup() {
        assert_eq!(escaped("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
    }

    proptest! {
        #[test]
        fn bars_stay_within_the_drawing(
            amounts in proptest::collection::vec(prop_oneof![Just(0), 1_u64..10, 1_u64..10_000_000], 1..6),
            more in 1.0_f64..4.0,
        ) {
            let largest = amounts.iter().sum::<u64>().max(1) as f64 * more;
            let heights = heights(&amounts, largest);
            prop_assert!(heights.iter().sum::<f64>() <= HEIGHT + 1e-6);
            for (amount, height) in amounts.iter().zip(&heights) {
                prop_assert_eq!(*amount > 0, *height > 0.0);
                prop_assert!(*amount == 0 || *height >= LEAST - 1e-6, "{} is {} high", amount, height);
            }
        }
    }
}
