//! Curves of a query: filled from history, then moved on by what arrives live. Pure.

use std::time::Duration;

use bellwether_core::UnixMillis;
use bellwether_report::units::Unit;
use serde_json::Value;

use super::query::Query;
use crate::cli::asking::{at_steps, labels, list};

/// Values of a curve.
pub(super) const POINTS: usize = 60;
/// Time for which a value holds without a newer one, as in PromQL.
const LOOKBACK: Duration = Duration::from_secs(300);

/// A query with its series over the window.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plot {
    pub(super) query: Query,
    pub(super) curves: Vec<Curve>,
    /// Time of the newest values.
    pub(super) end: UnixMillis,
    pub(super) step: Duration,
}

/// A series over the window.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Curve {
    pub(super) name: String,
    pub(super) unit: Unit,
    /// Evenly spaced values, the oldest first; `None` is a gap.
    pub(super) values: Vec<Option<f64>>,
}

/// Places of values in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grid {
    /// Time of the newest value.
    pub(super) end: UnixMillis,
    /// Length of the curves.
    pub(super) window: Duration,
}

impl Grid {
    pub(super) fn step(self) -> Duration {
        self.window / POINTS as u32
    }

    /// Time of the oldest value.
    pub(super) fn start(self) -> UnixMillis {
        self.end.before(self.step() * (POINTS as u32 - 1))
    }
}

impl Curve {
    /// Returns the newest value, unless the series ended.
    pub(super) fn last(&self) -> Option<f64> {
        self.values.iter().rev().take(2).find_map(|value| *value)
    }

    /// Returns the largest value.
    pub(super) fn max(&self) -> Option<f64> {
        self.values.iter().flatten().copied().reduce(f64::max)
    }

    /// Returns the smallest value.
    pub(super) fn min(&self) -> Option<f64> {
        self.values.iter().flatten().copied().reduce(f64::min)
    }
}

impl Plot {
    pub(super) fn new(query: Query) -> Self {
        Self {
            query,
            ..Self::default()
        }
    }

    /// Sets the curves to the answer of a range query over `grid`.
    pub(super) fn fill(&mut self, answer: &Value, grid: Grid) {
        let seconds = |at: UnixMillis| at.0 as f64 / 1000.0;
        let (start, step) = (seconds(grid.start()), grid.step().as_secs_f64());
        let series = list(&answer["result"]).iter().take(self.query.most);
        let curves = series.map(|series| Curve {
            name: self.name(&series["metric"]),
            unit: self.query.unit,
            values: at_steps(series, start, step, POINTS),
        });
        self.curves = curves.collect();
        self.end = grid.end;
        self.step = grid.step();
    }

    /// Adds the values of a live update, each with `labels` and `value`. A series that is not there has ended.
    pub(super) fn push(&mut self, series: &[Value], at: UnixMillis, window: Duration) {
        if self.step.is_zero() {
            let grid = Grid { end: at, window };
            (self.end, self.step) = (at, grid.step());
        }
        self.advance(at);
        let values = series
            .iter()
            .map(|series| (self.name(&series["labels"]), series["value"].as_f64()));
        let mut values: Vec<(String, Option<f64>)> = values.collect();
        for curve in &mut self.curves {
            let place = values.iter().position(|(name, _)| *name == curve.name);
            let value = place.and_then(|place| values.swap_remove(place).1);
            if let Some(last) = curve.values.last_mut() {
                *last = value;
            }
        }
        self.curves
            .retain(|curve| curve.values.iter().any(Option::is_some));
        let room = self.query.most.saturating_sub(self.curves.len());
        values.sort_by(|one, other| one.0.cmp(&other.0));
        let unit = self.query.unit;
        self.curves
            .extend(values.into_iter().take(room).map(|(name, value)| {
                let mut values = vec![None; POINTS];
                values[POINTS - 1] = value;
                Curve { name, unit, values }
            }));
    }

    /// Moves the curves on, so that the newest place is that of `at`. A value holds until the next one, and not
    /// longer than in a query.
    fn advance(&mut self, at: UnixMillis) {
        let (late, step) = (at.since(self.end), self.step.max(Duration::from_millis(1)));
        let steps = u32::try_from(late.as_nanos().div_ceil(step.as_nanos())).unwrap_or(u32::MAX);
        let holds = late <= LOOKBACK;
        for curve in &mut self.curves {
            let held = curve.values.last().copied().flatten().filter(|_| holds);
            let moved = (steps as usize).min(curve.values.len());
            curve.values.drain(..moved);
            curve.values.extend(std::iter::repeat_n(held, moved));
        }
        self.end = self.end.after(step.saturating_mul(steps));
    }

    fn name(&self, metric: &Value) -> String {
        let (begin, end) = &self.query.name;
        format!("{begin}{}{end}", own_labels(metric))
    }
}

/// Formats the labels of a series without its name and those that all series of an agent have.
fn own_labels(metric: &Value) -> String {
    let mut metric = metric.clone();
    if let Some(all) = metric.as_object_mut() {
        all.retain(|name, _| !matches!(name.as_str(), "__name__" | "instance" | "environment"));
    }
    labels(&metric)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(600);

    fn plot() -> Plot {
        let mut plot = Plot::new(Query {
            name: ("x".into(), " p95"),
            most: 2,
            ..Query::default()
        });
        let series = |disk: &str, value: &str| json!({"metric": {"__name__": "x", "instance": "a", "disk": disk}, "values": [[990.0, value], [1000.0, value]]});
        let grid = Grid {
            end: UnixMillis(1_000_000),
            window: WINDOW,
        };
        let answer =
            json!({"result": [series("sda", "1"), series("sdb", "2"), series("sdc", "3")]});
        plot.fill(&answer, grid);
        plot
    }

    fn live(disk: &str, value: f64) -> Value {
        json!({"labels": {"disk": disk, "instance": "a"}, "value": value})
    }

    fn ends(plot: &Plot) -> Vec<(&str, &[Option<f64>])> {
        let curves = plot.curves.iter();
        curves
            .map(|curve| (curve.name.as_str(), &curve.values[POINTS - 4..]))
            .collect()
    }

    #[test]
    fn a_series_is_named_by_what_is_its_own_and_there_are_not_too_many() {
        let plot = plot();
        let ends = ends(&plot);
        assert_eq!(ends.len(), 2);
        assert_eq!(ends[0].0, "x{disk=\"sda\"} p95");
        assert_eq!(ends[0].1, [None, None, Some(1.0), Some(1.0)]);
    }

    #[test]
    fn a_curve_goes_on_with_what_arrives_live() {
        let mut plot = plot();
        let at = |seconds: i64| UnixMillis(seconds * 1000);
        // Within a step the newest value is replaced; then it is kept.
        plot.push(&[live("sdb", 5.0), live("sda", 4.0)], at(1004), WINDOW);
        plot.push(&[live("sdb", 7.0), live("sda", 6.0)], at(1009), WINDOW);
        assert_eq!(
            ends(&plot)[0].1,
            [None, Some(1.0), Some(1.0), Some(6.0)],
            "one step"
        );
        assert_eq!(plot.curves[1].last(), Some(7.0));
        plot.push(&[live("sda", 8.0), live("sdb", 8.0)], at(1035), WINDOW);
        assert_eq!(
            ends(&plot)[0].1,
            [Some(6.0), Some(6.0), Some(6.0), Some(8.0)],
            "a value holds"
        );
        assert!(plot.curves.iter().all(|curve| curve.values.len() == POINTS));
        plot.push(&[live("sda", 9.0)], at(1_600), WINDOW);
        assert_eq!(
            ends(&plot)[0].1,
            [None, None, None, Some(9.0)],
            "but not for ever"
        );
    }

    #[test]
    fn a_series_that_ended_is_a_gap_and_a_new_one_has_its_place() {
        let mut plot = plot();
        plot.push(&[live("sda", 4.0)], UnixMillis(1_010_000), WINDOW);
        assert_eq!(plot.curves[1].values[POINTS - 1], None);
        plot.push(&[live("sda", 4.0)], UnixMillis(2_000_000), WINDOW);
        assert_eq!(ends(&plot).len(), 1, "all of it is out of the window");
        plot.push(
            &[live("sda", 4.0), live("sde", 1.0), live("sdd", 2.0)],
            UnixMillis(2_001_000),
            WINDOW,
        );
        assert_eq!(ends(&plot)[1].0, "x{disk=\"sdd\"} p95");
        assert_eq!(ends(&plot).len(), 2);
        let mut empty = Plot::new(Query {
            most: 1,
            ..Query::default()
        });
        empty.push(&[live("sda", 4.0)], UnixMillis(1), WINDOW);
        assert_eq!(empty.curves[0].last(), Some(4.0), "before history is known");
    }
}
