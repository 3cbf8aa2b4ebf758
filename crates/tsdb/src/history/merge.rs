//! Merging of runs of samples into one series.

use super::time_span::TimeSpan;

/// Samples of one series, added run by run in the order in which they were written.
#[derive(Debug, Default)]
pub(super) struct Merge {
    times: Vec<i64>,
    values: Vec<f64>,
    /// A run started before the end of an earlier one: the clock went back, or blocks overlap.
    overlapping: bool,
}

impl Merge {
    /// Adds the part of an ascending run that is in `span`.
    pub fn push(&mut self, times: &[i64], values: &[f64], span: TimeSpan) {
        let part = span.range_of(times);
        let (start, end) = (part.start, part.end.min(values.len()));
        if start >= end {
            return;
        }
        self.overlapping |= self.times.last().is_some_and(|last| *last >= times[start]);
        self.times.extend_from_slice(&times[start..end]);
        self.values.extend_from_slice(&values[start..end]);
    }

    /// Returns the number of samples so far, duplicates included.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Returns times and values, ascending. Of two samples at the same time the later run counts.
    pub fn finish(self) -> (Vec<i64>, Vec<f64>) {
        if !self.overlapping {
            return (self.times, self.values);
        }
        let mut order: Vec<usize> = (0..self.times.len()).collect();
        order.sort_by_key(|at| self.times[*at]);
        let mut times: Vec<i64> = Vec::with_capacity(order.len());
        let mut values = Vec::with_capacity(order.len());
        for at in order {
            if times.last() == Some(&self.times[at]) {
                values.pop();
            } else {
                times.push(self.times[at]);
            }
            values.push(self.values[at]);
        }
        (times, values)
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::UnixMillis;

    use super::*;

    #[test]
    fn the_later_run_counts() {
        let mut merge = Merge::default();
        let span = TimeSpan {
            first: UnixMillis(2),
            last: UnixMillis(9),
        };
        merge.push(&[1, 3, 5], &[1.0, 3.0, 5.0], span);
        merge.push(&[2, 3, 9, 10], &[20.0, 30.0, 90.0, 100.0], span);
        assert_eq!(merge.len(), 5);
        assert_eq!(
            merge.finish(),
            (vec![2, 3, 5, 9], vec![20.0, 30.0, 5.0, 90.0])
        );
    }
}
