//! The values of series, recorded by many threads at once.
//!
//! Owns the arithmetic; does not know the names of metrics and labels.
//!
//! Counters and gauges are atomics. Histograms and summaries hold a lock for the few
//! nanoseconds that an observation takes: uncontended it costs as much as the two atomic
//! additions it replaces, and buckets, count and sum are always read as of one moment.
//!
//! Series of one metric are side by side in chunks, so that a scrape reads them without waiting for memory.
//! A chunk never moves, so that a handle finds its cell without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use bellwether_core::Kind;
use parking_lot::Mutex;

use super::error::Reason;
use super::sketch::Sketch;

/// Values of some series of one metric.
#[derive(Debug)]
pub(super) struct Chunk {
    values: Values,
    /// [`TOUCHED`] and the number of handles, by series.
    marks: Box<[AtomicU32]>,
}

/// Set by each record, cleared by `take_touched`.
const TOUCHED: u32 = 1 << 31;

#[derive(Debug)]
enum Values {
    Counters(Box<[Counter]>),
    Gauges(Box<[AtomicU64]>),
    Histograms(Box<[Mutex<Histogram>]>),
    Summaries(Box<[Mutex<Summary>]>),
}

/// Value of one series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell<'a> {
    chunk: &'a Chunk,
    index: usize,
}

/// Cell that is not given to another series meanwhile.
#[derive(Debug)]
pub(super) struct CellHandle {
    chunk: Arc<Chunk>,
    index: usize,
}

/// Whole increments, which are nearly all, go to `whole`, which needs no retry under contention.
#[derive(Debug, Default)]
struct Counter {
    whole: AtomicU64,
    /// Bits of an `f64`.
    fraction: AtomicU64,
}

#[derive(Debug)]
struct Histogram {
    /// Observations by bucket, not cumulative; the last one is `+Inf`.
    buckets: Box<[u64]>,
    sum: f64,
    /// Part of an observation left over by fractional weights.
    carry: f64,
}

#[derive(Debug, Default)]
struct Summary {
    sketch: Sketch,
    count: u64,
    sum: f64,
    carry: f64,
}

/// The part of a metric's definition that its cells need.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape<'a> {
    pub(super) buckets: &'a [f64],
    pub(super) quantiles: &'a [f64],
    /// Number of the current slot of summaries.
    pub(super) slot: u64,
}

impl Chunk {
    /// Creates a chunk of empty cells for a metric of `kind` with this many bucket bounds.
    pub(super) fn new(kind: Kind, bounds: usize, length: usize) -> Self {
        let cells = 0..length;
        let values = match kind {
            Kind::Counter => Values::Counters(cells.map(|_| Counter::default()).collect()),
            Kind::Gauge => Values::Gauges(cells.map(|_| AtomicU64::new(0)).collect()),
            Kind::Histogram => {
                let histogram = |_| Mutex::new(Histogram::new(bounds));
                Values::Histograms(cells.map(histogram).collect())
            }
            Kind::Summary => Values::Summaries(cells.map(|_| Mutex::default()).collect()),
        };
        Self {
            values,
            marks: (0..length).map(|_| AtomicU32::new(TOUCHED)).collect(),
        }
    }

    /// Returns the number of cells.
    pub(super) fn len(&self) -> usize {
        self.marks.len()
    }

    /// Returns the cell at `index`.
    #[inline]
    pub(super) fn cell(&self, index: usize) -> Cell<'_> {
        Cell { chunk: self, index }
    }

    /// Appends the values of the first `count` cells, each as [`Cell::read`] does.
    pub(super) fn read(
        &self,
        count: usize,
        shape: Shape<'_>,
        scratch: &mut Vec<(i32, u32)>,
        values: &mut Vec<f64>,
    ) {
        match &self.values {
            Values::Counters(counters) => {
                values.extend(counters[..count].iter().map(Counter::total));
            }
            Values::Gauges(gauges) => values.extend(gauges[..count].iter().map(load)),
            Values::Histograms(histograms) => {
                for histogram in &histograms[..count] {
                    histogram.lock().read(values);
                }
            }
            Values::Summaries(summaries) => {
                for summary in &summaries[..count] {
                    summary.lock().read(shape, scratch, values);
                }
            }
        }
    }
}

impl CellHandle {
    pub(super) fn new(chunk: &Arc<Chunk>, index: usize) -> Self {
        chunk.marks[index].fetch_add(1, Ordering::Relaxed);
        Self {
            chunk: chunk.clone(),
            index,
        }
    }

    #[inline]
    pub(super) fn cell(&self) -> Cell<'_> {
        self.chunk.cell(self.index)
    }
}

impl Clone for CellHandle {
    fn clone(&self) -> Self {
        Self::new(&self.chunk, self.index)
    }
}

impl Drop for CellHandle {
    fn drop(&mut self) {
        // With `has_handle`: what was recorded through the handle is done before the cell is another series'.
        self.chunk.marks[self.index].fetch_sub(1, Ordering::Release);
    }
}

impl Cell<'_> {
    /// Empties the cell, for another series.
    pub(super) fn reset(self) {
        match &self.chunk.values {
            Values::Counters(counters) => {
                let counter = &counters[self.index];
                counter.whole.store(0, Ordering::Relaxed);
                counter.fraction.store(0, Ordering::Relaxed);
            }
            Values::Gauges(gauges) => gauges[self.index].store(0, Ordering::Relaxed),
            Values::Histograms(histograms) => {
                let mut histogram = histograms[self.index].lock();
                *histogram = Histogram::new(histogram.buckets.len() - 1);
            }
            Values::Summaries(summaries) => *summaries[self.index].lock() = Summary::default(),
        }
        self.touch();
    }

    /// Adds `weight` observations, at least 1 (sampled `StatsD` lines).
    pub(super) fn observe(self, shape: Shape<'_>, value: f64, weight: f64) -> Result<(), Reason> {
        finite(value)?;
        match &self.chunk.values {
            Values::Histograms(histograms) => {
                histograms[self.index]
                    .lock()
                    .observe(shape.buckets, value, weight)
            }
            Values::Summaries(summaries) => summaries[self.index]
                .lock()
                .observe(shape.slot, value, weight),
            Values::Counters(_) | Values::Gauges(_) => Err(Reason::WrongKind),
        }?;
        self.touch();
        Ok(())
    }

    /// Adds `by` to a counter.
    pub(super) fn inc(self, by: f64) -> Result<(), Reason> {
        let Values::Counters(counters) = &self.chunk.values else {
            return Err(Reason::WrongKind);
        };
        counters[self.index].inc(by)?;
        self.touch();
        Ok(())
    }

    /// Sets a gauge; infinities are accepted.
    pub(super) fn set(self, value: f64) -> Result<(), Reason> {
        let Values::Gauges(gauges) = &self.chunk.values else {
            return Err(Reason::WrongKind);
        };
        if value.is_nan() {
            return Err(Reason::NotANumber);
        }
        gauges[self.index].store(value.to_bits(), Ordering::Relaxed);
        self.touch();
        Ok(())
    }

    /// Adds `by`, which may be negative, to a gauge.
    pub(super) fn add(self, by: f64) -> Result<(), Reason> {
        let Values::Gauges(gauges) = &self.chunk.values else {
            return Err(Reason::WrongKind);
        };
        finite(by)?;
        add_to(&gauges[self.index], by)?;
        self.touch();
        Ok(())
    }

    /// Appends the values in the order of `MetricDef::width`.
    #[inline]
    pub(super) fn read(
        self,
        shape: Shape<'_>,
        scratch: &mut Vec<(i32, u32)>,
        values: &mut Vec<f64>,
    ) {
        match &self.chunk.values {
            Values::Counters(counters) => values.push(counters[self.index].total()),
            Values::Gauges(gauges) => values.push(load(&gauges[self.index])),
            Values::Histograms(histograms) => histograms[self.index].lock().read(values),
            Values::Summaries(summaries) => {
                summaries[self.index].lock().read(shape, scratch, values);
            }
        }
    }

    /// Returns whether there was a record since the last call.
    pub(super) fn take_touched(self) -> bool {
        self.mark().fetch_and(!TOUCHED, Ordering::Relaxed) & TOUCHED != 0
    }

    /// Returns whether there is a handle.
    pub(super) fn has_handle(self) -> bool {
        self.mark().load(Ordering::Acquire) & !TOUCHED != 0
    }

    /// Reads first, so that busy series do not pass the cache line from core to core for it.
    #[inline]
    fn touch(self) {
        if self.mark().load(Ordering::Relaxed) & TOUCHED == 0 {
            self.mark().fetch_or(TOUCHED, Ordering::Relaxed);
        }
    }

    #[inline]
    fn mark(&self) -> &AtomicU32 {
        &self.chunk.marks[self.index]
    }
}

impl Counter {
    fn inc(&self, by: f64) -> Result<(), Reason> {
        /// Largest increment that an integer addition takes: 2^53, where `f64` stops being exact.
        const WHOLE: f64 = 9_007_199_254_740_992.0;
        finite(by)?;
        if by < 0.0 {
            return Err(Reason::NegativeCounter);
        }
        let whole = by as u64;
        if by <= WHOLE && whole as f64 == by {
            self.whole.fetch_add(whole, Ordering::Relaxed);
            Ok(())
        } else {
            add_to(&self.fraction, by)
        }
    }

    #[inline]
    fn total(&self) -> f64 {
        self.whole.load(Ordering::Relaxed) as f64 + load(&self.fraction)
    }
}

impl Histogram {
    fn new(bounds: usize) -> Self {
        Self {
            buckets: vec![0; bounds + 1].into_boxed_slice(),
            sum: 0.0,
            carry: 0.0,
        }
    }

    fn observe(&mut self, bounds: &[f64], value: f64, weight: f64) -> Result<(), Reason> {
        let times = whole_weight(weight, &mut self.carry);
        self.sum = finite(self.sum + value * times as f64)?;
        let bucket = bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count = count.saturating_add(times);
        }
        Ok(())
    }

    fn read(&self, values: &mut Vec<f64>) {
        let mut cumulative = 0;
        values.extend(self.buckets.iter().map(|count| {
            cumulative += count;
            cumulative as f64
        }));
        values.push(self.sum);
    }
}

impl Summary {
    fn observe(&mut self, slot: u64, value: f64, weight: f64) -> Result<(), Reason> {
        let times = whole_weight(weight, &mut self.carry);
        self.sum = finite(self.sum + value * times as f64)?;
        self.count = self.count.saturating_add(times);
        self.sketch
            .observe(value, u32::try_from(times).unwrap_or(u32::MAX), slot);
        Ok(())
    }

    fn read(&mut self, shape: Shape<'_>, scratch: &mut Vec<(i32, u32)>, values: &mut Vec<f64>) {
        let start = values.len();
        values.resize(start + shape.quantiles.len(), f64::NAN);
        self.sketch
            .quantiles(shape.quantiles, shape.slot, scratch, &mut values[start..]);
        values.extend([self.count as f64, self.sum]);
    }
}

/// Counts must be whole: rounds the weight down and carries the rest over to the next one, so
/// that a sample rate of 0.3 counts right in the long run.
fn whole_weight(weight: f64, carry: &mut f64) -> u64 {
    let weight = weight + *carry;
    let whole = weight as u64;
    *carry = weight - whole as f64;
    whole
}

fn finite(value: f64) -> Result<f64, Reason> {
    match value {
        _ if value.is_finite() => Ok(value),
        _ if value.is_nan() => Err(Reason::NotANumber),
        _ => Err(Reason::Infinite),
    }
}

#[inline]
fn load(bits: &AtomicU64) -> f64 {
    f64::from_bits(bits.load(Ordering::Relaxed))
}

/// Rejects a step out of the range of finite values, since no later step could lead back.
fn add_to(bits: &AtomicU64, by: f64) -> Result<(), Reason> {
    bits.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| {
        let sum = f64::from_bits(old) + by;
        sum.is_finite().then(|| sum.to_bits())
    })
    .map(drop)
    .map_err(|_| Reason::Infinite)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape<'_> = Shape {
        buckets: &[1.0, 5.0],
        quantiles: &[0.5, 0.9],
        slot: 0,
    };

    fn values(cell: Cell<'_>) -> Vec<f64> {
        let mut values = Vec::new();
        cell.read(SHAPE, &mut Vec::new(), &mut values);
        values
    }

    #[test]
    fn a_bound_belongs_to_its_bucket_and_buckets_are_cumulative() {
        let chunk = Chunk::new(Kind::Histogram, 2, 1);
        let cell = chunk.cell(0);
        for value in [-3.0, 1.0, 1.5, 5.0, 7.0] {
            cell.observe(SHAPE, value, 1.0).unwrap();
        }
        assert_eq!(values(cell), [2.0, 4.0, 5.0, 11.5]);
    }

    #[test]
    fn a_summary_reads_quantiles_count_and_sum() {
        let chunk = Chunk::new(Kind::Summary, 0, 1);
        let cell = chunk.cell(0);
        (1..=3).for_each(|value| cell.observe(SHAPE, f64::from(value), 1.0).unwrap());
        let got = values(cell);
        assert!((got[0] - 2.0).abs() < 0.04, "{got:?}");
        assert_eq!(got[1..], [3.0, 3.0, 6.0]);
    }

    #[test]
    fn fractional_weights_count_right_in_the_long_run() {
        let chunk = Chunk::new(Kind::Histogram, 2, 1);
        let cell = chunk.cell(0);
        for _ in 0..300 {
            cell.observe(SHAPE, 2.0, 1.0 / 0.3).unwrap();
        }
        let got = values(cell);
        assert!((got[2] - 1000.0).abs() <= 1.0, "{got:?}");
        assert_eq!(got[3], got[2] * 2.0);
    }

    #[test]
    fn counters_take_fractions_and_never_fall() {
        let chunk = Chunk::new(Kind::Counter, 0, 1);
        let cell = chunk.cell(0);
        for by in [1.0, 0.25, 2.0_f64.powi(60), 0.0] {
            cell.inc(by).unwrap();
        }
        assert_eq!(values(cell), [2.0_f64.powi(60) + 1.25]);
        assert_eq!(cell.inc(-0.1), Err(Reason::NegativeCounter));
        assert_eq!(cell.inc(f64::NAN), Err(Reason::NotANumber));
        assert_eq!(cell.inc(f64::INFINITY), Err(Reason::Infinite));
    }

    #[test]
    fn gauges_move_both_ways_and_may_be_infinite() {
        let chunk = Chunk::new(Kind::Gauge, 0, 1);
        let cell = chunk.cell(0);
        cell.set(5.0).unwrap();
        cell.add(-7.5).unwrap();
        assert_eq!(values(cell), [-2.5]);
        cell.set(f64::NEG_INFINITY).unwrap();
        assert_eq!(values(cell), [f64::NEG_INFINITY]);
        assert_eq!(cell.set(f64::NAN), Err(Reason::NotANumber));
        assert_eq!(cell.add(f64::INFINITY), Err(Reason::Infinite));
    }

    #[test]
    fn sums_stay_finite() {
        let chunk = Chunk::new(Kind::Counter, 0, 1);
        let counter = chunk.cell(0);
        counter.inc(f64::MAX).unwrap();
        assert_eq!(counter.inc(f64::MAX), Err(Reason::Infinite));
        assert_eq!(values(counter), [f64::MAX]);
        let chunk = Chunk::new(Kind::Histogram, 2, 1);
        let histogram = chunk.cell(0);
        histogram.observe(SHAPE, f64::MAX, 1.0).unwrap();
        assert_eq!(
            histogram.observe(SHAPE, f64::MAX, 1.0),
            Err(Reason::Infinite)
        );
        assert_eq!(values(histogram), [0.0, 0.0, 1.0, f64::MAX]);
    }

    #[test]
    fn operations_of_another_kind_are_rejected() {
        let kinds = [Kind::Counter, Kind::Gauge, Kind::Histogram, Kind::Summary];
        for kind in kinds {
            let chunk = Chunk::new(kind, 2, 1);
            let cell = chunk.cell(0);
            let observed = cell.observe(SHAPE, 1.0, 1.0).is_ok();
            assert_eq!(observed, matches!(kind, Kind::Histogram | Kind::Summary));
            assert_eq!(cell.inc(1.0).is_ok(), kind == Kind::Counter);
            assert_eq!(cell.set(1.0).is_ok(), kind == Kind::Gauge);
            assert_eq!(cell.add(1.0).is_ok(), kind == Kind::Gauge);
        }
    }

    #[test]
    fn touched_says_whether_anything_came_since() {
        let chunk = Chunk::new(Kind::Gauge, 0, 1);
        let cell = chunk.cell(0);
        assert!(cell.take_touched());
        assert!(!cell.take_touched());
        assert!(cell.set(f64::NAN).is_err());
        assert!(!cell.take_touched(), "a rejected value does not count");
        cell.set(1.0).unwrap();
        assert!(cell.take_touched());
    }
}
