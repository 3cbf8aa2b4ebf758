//! Charts as SVG, which needs no script.

use std::fmt::Write;

use bellwether_core::UnixMillis;

use super::{Report, Series, strftime};
use crate::units::Unit;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 140.0;
/// Room for the labels of the axes.
const LEFT: f64 = 58.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 24.0;
/// Lines across, beside the lowest.
const LINES: usize = 4;
/// Marks of the time.
const MARKS: usize = 5;

/// Draws a series over the range of the report, with bars below where an alert fired.
pub(super) fn svg(series: &Series, report: &Report) -> String {
    let axis = Axis::of(series);
    let plot = Plot {
        series,
        report,
        axis,
    };
    let mut out = format!(
        r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}">"#,
        super::html::escaped(&plot.description())
    );
    plot.grid(&mut out);
    plot.course(&mut out);
    plot.alerts(&mut out);
    out.push_str("</svg>");
    out
}

/// Range of the values.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Axis {
    low: f64,
    step: f64,
}

impl Axis {
    /// Returns an axis of round steps that has all values; it begins at 0 where the values are not far from it.
    fn of(series: &Series) -> Self {
        let values = || series.values.iter().flatten().copied();
        let low = values().reduce(f64::min).unwrap_or(0.0);
        let high = values().reduce(f64::max).unwrap_or(1.0);
        let is_near = series.unit == Unit::Percent || low < 0.6 * high;
        let base = if low >= 0.0 && is_near { 0.0 } else { low };
        let prefix = series.unit.prefix(high);
        let round = |step: f64| round_step(step / prefix) * prefix;
        let step = round((high - base).max(high.abs() * 0.02) / LINES as f64);
        let low = (base / step).floor() * step;
        // The rounded begin may leave the highest value outside.
        match low + step * LINES as f64 >= high {
            true => Self { low, step },
            false => Self {
                low,
                step: round(step * 1.2),
            },
        }
    }

    fn high(self) -> f64 {
        self.low + self.step * LINES as f64
    }
}

/// Returns the next 1, 2, 2.5 or 5 times a power of ten.
fn round_step(least: f64) -> f64 {
    if least.is_nan() || least <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(least.log10().floor());
    let factors = [1.0, 2.0, 2.5, 5.0, 10.0];
    let factor = factors
        .iter()
        .find(|factor| *factor * power >= least * 0.999);
    factor.unwrap_or(&10.0) * power
}

struct Plot<'a> {
    series: &'a Series,
    report: &'a Report,
    axis: Axis,
}

impl Plot<'_> {
    fn x(&self, at: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (at / self.report.seconds().max(1.0)).clamp(0.0, 1.0)
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.axis.low) / (self.axis.high() - self.axis.low);
        TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - share.clamp(0.0, 1.0))
    }

    fn description(&self) -> String {
        let values = || self.series.values.iter().flatten().copied();
        let format = |value: Option<f64>| self.series.unit.format(value);
        format!(
            "{}: from {} to {}, last {}",
            self.series.title,
            format(values().reduce(f64::min)),
            format(values().reduce(f64::max)),
            format(values().next_back()),
        )
    }

    fn grid(&self, out: &mut String) {
        for line in 0..=LINES {
            let value = self.axis.low + self.axis.step * line as f64;
            let y = self.y(value);
            let label = super::html::escaped(&self.series.unit.format(value));
            write!(
                out,
                r#"<line class="grid" x1="{LEFT}" x2="{}" y1="{y:.1}" y2="{y:.1}"/><text class="axis" x="{}" y="{:.1}" text-anchor="end">{label}</text>"#,
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 3.5,
            )
            .ok();
        }
        let format = if self.report.seconds() > 2.5 * 86_400.0 {
            "%d %b"
        } else {
            "%H:%M"
        };
        for mark in 0..MARKS {
            let at = self.report.seconds() * (mark as f64 + 0.5) / MARKS as f64;
            let time = UnixMillis(self.report.from.0 + (at * 1000.0) as i64);
            write!(
                out,
                r#"<text class="axis" x="{:.1}" y="{}" text-anchor="middle">{}</text>"#,
                self.x(at),
                HEIGHT - 5.0,
                strftime(time, format),
            )
            .ok();
        }
    }

    /// Draws the values: a line and its area for each part without a gap.
    fn course(&self, out: &mut String) {
        let points = self.series.values.iter().enumerate();
        let points: Vec<Option<(f64, f64)>> = points
            .map(|(index, value)| {
                value.map(|value| (self.x(index as f64 * self.series.step), self.y(value)))
            })
            .collect();
        for part in points
            .split(Option::is_none)
            .filter(|part| !part.is_empty())
        {
            let part: Vec<(f64, f64)> = part.iter().copied().flatten().collect();
            let line: Vec<String> = part.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let line = line.join(" ");
            let (first, last) = (part[0].0, part[part.len() - 1].0);
            let floor = HEIGHT - BOTTOM;
            write!(
                out,
                r#"<polygon class="area" points="{first:.1},{floor} {line} {last:.1},{floor}"/><polyline class="line" points="{line}"/>"#
            )
            .ok();
        }
    }

    fn alerts(&self, out: &mut String) {
        for alert in &self.report.alerts {
            let begin = alert
                .fired_at
                .max(self.report.from)
                .since(self.report.from)
                .as_secs_f64();
            let end = alert
                .resolved_at
                .unwrap_or(self.report.to)
                .since(self.report.from)
                .as_secs_f64();
            let (x, width) = (self.x(begin), (self.x(end) - self.x(begin)).max(1.5));
            write!(
                out,
                r#"<rect class="alert {}" x="{x:.1}" y="{}" width="{width:.1}" height="4"/>"#,
                super::html::class(&alert.severity),
                HEIGHT - BOTTOM,
            )
            .ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(values: &[f64]) -> (f64, f64) {
        let series = Series {
            values: values.iter().copied().map(Some).collect(),
            ..Series::default()
        };
        let axis = Axis::of(&series);
        (axis.low, axis.high())
    }

    #[test]
    fn an_axis_has_round_steps_and_all_values() {
        assert_eq!(axis(&[3.0, 91.0]), (0.0, 100.0));
        assert_eq!(axis(&[]), (0.0, 1.0));
        assert_eq!(axis(&[0.0, 0.0]), (0.0, 4.0));
        for values in [
            [64.0, 91.0],
            [1e9, 1.01e9],
            [-3.0, 5.0],
            [1e-9, 2e-9],
            [99.0, 100.0],
        ] {
            let (low, high) = axis(&values);
            assert!(
                low <= values[0] && high >= values[1] && high.is_finite(),
                "{values:?} {low} {high}"
            );
        }
    }
}
