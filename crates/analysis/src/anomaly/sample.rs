//! A bounded sample of the past of a series.

use std::collections::VecDeque;
use std::time::Duration;

use bellwether_core::UnixMillis;

/// Maximum number of values: 4 KiB, and the same for their order.
const CAPACITY: usize = 512;

/// Values of the last `span`, thinned evenly if there are too many: at most [`CAPACITY`], and at
/// least half as many once that was reached. About 12 KiB.
#[derive(Clone, Debug)]
pub struct Sample {
    span: i64,
    /// Minimum time between two stored values.
    stride: i64,
    /// Time between values at which [`CAPACITY`] values cover `span`.
    widest: i64,
    held: VecDeque<(i64, f64)>,
    summary: Option<Summary>,
    scratch: Vec<f64>,
}

/// Summary statistics of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    pub mean: f64,
    /// Standard deviation.
    pub deviation: f64,
    pub median: f64,
    pub q1: f64,
    pub q3: f64,
    /// Median absolute deviation.
    pub mad: f64,
}

impl Sample {
    pub fn new(span: Duration, interval: Duration) -> Self {
        let span = millis(span).max(1);
        Self {
            span,
            stride: 1,
            widest: (span / CAPACITY as i64).max(millis(interval) / 2),
            held: VecDeque::new(),
            summary: None,
            scratch: Vec::new(),
        }
    }

    /// Adds a value; one that is not later than all before is ignored.
    pub fn push(&mut self, at: UnixMillis, value: f64) {
        if self
            .held
            .back()
            .is_some_and(|(last, _)| at.0 < last.saturating_add(self.stride))
        {
            return;
        }
        while self
            .held
            .front()
            .is_some_and(|(first, _)| at.0.saturating_sub(*first) > self.span)
        {
            self.held.pop_front();
        }
        if self.held.len() == CAPACITY {
            self.thin();
        }
        self.held.push_back((at.0, value));
        self.summary = None;
    }

    /// Makes room: removes every other value, or the oldest if they are thin enough.
    fn thin(&mut self) {
        let covered = match (self.held.front(), self.held.back()) {
            (Some((first, _)), Some((last, _))) => last.saturating_sub(*first),
            _ => 0,
        };
        let apart = covered / (CAPACITY as i64 - 1);
        if apart >= self.widest {
            self.held.pop_front();
            return;
        }
        self.stride = (apart * 3 / 2).max(self.stride);
        let mut keep = false;
        self.held.retain(|_| {
            keep = !keep;
            keep
        });
    }

    /// Returns the summary; `None` if empty.
    pub fn summary(&mut self) -> Option<Summary> {
        if self.summary.is_none() && !self.held.is_empty() {
            self.summary = Some(self.summarize());
        }
        self.summary
    }

    fn summarize(&mut self) -> Summary {
        let sorted = &mut self.scratch;
        sorted.clear();
        sorted.extend(self.held.iter().map(|(_, value)| *value));
        let count = sorted.len() as f64;
        let mean = sorted.iter().map(|value| value / count).sum::<f64>();
        let variance = sorted
            .iter()
            .map(|value| (value - mean).powi(2) / count)
            .sum::<f64>();
        sorted.sort_unstable_by(f64::total_cmp);
        let [q1, median, q3] = [0.25, 0.5, 0.75]
            .map(|part| sorted[((sorted.len() - 1) as f64 * part).round() as usize]);
        for value in sorted.iter_mut() {
            *value = (*value - median).abs();
        }
        let middle = (sorted.len() - 1) / 2;
        let (_, mad, _) = sorted.select_nth_unstable_by(middle, f64::total_cmp);
        Summary {
            mean,
            deviation: variance.sqrt(),
            median,
            q1,
            q3,
            mad: *mad,
        }
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX / 4)
}
