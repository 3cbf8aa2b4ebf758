//! Quantiles over a sliding window in bounded memory, for the series of summaries.
//!
//! Owns the arithmetic; does not know labels, names or clocks (time is the number of the current
//! slot).
//!
//! A value falls into the bin of its sign, its binary exponent and the top five bits of its
//! fraction, so bins are 1/32 wide relative to their octave and a quantile is off by at most
//! 1/64 (1.6 %) of its value. The window slides in [`SLOTS`] steps; each slot keeps at most
//! [`MAX_BINS`] bins (16 octaves of spread at full resolution) and merges those nearest to zero
//! beyond that, so one series costs 20 kB at the most, usually below 1 kB.

/// Steps in which the window of a [`Sketch`] slides.
pub const SLOTS: usize = 5;
const MAX_BINS: usize = 512;
const FRACTION_BITS: u32 = 5;
const SHIFT: u32 = 52 - FRACTION_BITS;

/// Observations of the last [`SLOTS`] slots, of which quantiles are asked for.
#[derive(Debug, Default)]
pub struct Sketch {
    slots: [Slot; SLOTS],
    /// Number of the newest slot, counted since the start.
    newest: u64,
}

/// Counts by bin, ascending; the extremes make a lone or constant value exact.
#[derive(Debug, Default)]
struct Slot {
    bins: Vec<(i32, u32)>,
    least: f64,
    most: f64,
}

impl Sketch {
    /// Adds `weight` observations of `value`, finite, in slot number `slot`.
    pub fn observe(&mut self, value: f64, weight: u32, slot: u64) {
        self.advance(slot);
        self.slots[(self.newest % SLOTS as u64) as usize].add(value, weight);
    }

    /// Writes the value at each of `quantiles` (ascending) to the front of `out`; NaN if the
    /// window up to slot number `slot` is empty. `scratch` is a buffer that callers reuse.
    pub fn quantiles(
        &mut self,
        quantiles: &[f64],
        slot: u64,
        scratch: &mut Vec<(i32, u32)>,
        out: &mut [f64],
    ) {
        self.advance(slot);
        scratch.clear();
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for slot in self.slots.iter().filter(|slot| !slot.bins.is_empty()) {
            scratch.extend_from_slice(&slot.bins);
            (least, most) = (least.min(slot.least), most.max(slot.most));
        }
        scratch.sort_unstable_by_key(|(bin, _)| *bin);
        let total: u64 = scratch.iter().map(|(_, count)| u64::from(*count)).sum();
        let (mut below, mut bins) = (0, scratch.iter());
        let mut value = f64::NAN;
        for (quantile, out) in quantiles.iter().zip(out) {
            // The nearest-rank definition: the smallest value with at least q * n at or below.
            let rank = ((quantile * total as f64).ceil() as u64).clamp(1, total.max(1));
            while below < rank {
                let Some((bin, count)) = bins.next() else {
                    break;
                };
                below += u64::from(*count);
                value = middle(*bin).clamp(least, most);
            }
            *out = match rank {
                _ if total == 0 => f64::NAN,
                _ if rank == total => most,
                1 => least,
                _ => value,
            };
        }
    }

    fn advance(&mut self, slot: u64) {
        let steps = slot.saturating_sub(self.newest);
        for step in 1..=steps.min(SLOTS as u64) {
            self.slots[((self.newest + step) % SLOTS as u64) as usize]
                .bins
                .clear();
        }
        self.newest += steps;
    }
}

impl Slot {
    fn add(&mut self, value: f64, weight: u32) {
        if self.bins.is_empty() {
            (self.least, self.most) = (value, value);
        }
        (self.least, self.most) = (self.least.min(value), self.most.max(value));
        let bin = bin(value);
        match self.bins.binary_search_by_key(&bin, |(bin, _)| *bin) {
            Ok(at) => self.bins[at].1 = self.bins[at].1.saturating_add(weight),
            Err(at) => {
                self.bins.insert(at, (bin, weight));
                if self.bins.len() > MAX_BINS {
                    self.merge_smallest();
                }
            }
        }
    }

    /// Merges the bin nearest to zero into its neighbour farther from it.
    fn merge_smallest(&mut self) {
        let positive = self.bins.partition_point(|(bin, _)| *bin < 0);
        let (from, into) = if positive + 1 < self.bins.len() {
            (positive, positive + 1)
        } else {
            (positive - 1, positive - 2)
        };
        self.bins[into].1 = self.bins[into].1.saturating_add(self.bins[from].1);
        self.bins.remove(from);
    }
}

/// Bins ascend with the values; those of negative values are negative.
fn bin(value: f64) -> i32 {
    let magnitude = (value.abs().to_bits() >> SHIFT) as i32;
    if value.is_sign_negative() && value != 0.0 {
        -magnitude - 1
    } else {
        magnitude
    }
}

/// The middle of a bin.
fn middle(bin: i32) -> f64 {
    if bin == 0 {
        return 0.0;
    }
    let (sign, magnitude) = if bin < 0 {
        (-1.0, -(bin + 1))
    } else {
        (1.0, bin)
    };
    let bits = (u64::from(magnitude.unsigned_abs()) << SHIFT) | (1 << (SHIFT - 1));
    sign * f64::from_bits(bits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quantiles(sketch: &mut Sketch, quantiles: &[f64], slot: u64) -> Vec<f64> {
        let mut out = vec![0.0; quantiles.len()];
        sketch.quantiles(quantiles, slot, &mut Vec::new(), &mut out);
        out
    }

    #[test]
    fn an_empty_window_is_nan_and_a_single_value_is_exact() {
        let mut sketch = Sketch::default();
        assert!(quantiles(&mut sketch, &[0.5], 0)[0].is_nan());
        sketch.observe(2.5, 1, 0);
        assert_eq!(quantiles(&mut sketch, &[0.0, 0.5, 1.0], 0), [2.5, 2.5, 2.5]);
    }

    #[test]
    fn the_window_slides_and_a_long_silence_empties_it() {
        let mut sketch = Sketch::default();
        for slot in 0..SLOTS as u64 {
            sketch.observe(10.0_f64.powi(slot as i32), 1, slot);
        }
        assert_eq!(quantiles(&mut sketch, &[0.0, 1.0], 4), [1.0, 10_000.0]);
        let low = quantiles(&mut sketch, &[0.0], 5)[0];
        assert!(
            (low / 10.0 - 1.0).abs() < 0.016,
            "{low}: the oldest slot is still there"
        );
        assert!(quantiles(&mut sketch, &[0.5], 9)[0].is_nan());
        assert!(quantiles(&mut sketch, &[0.5], 1_000_000)[0].is_nan());
    }

    #[test]
    fn weights_count_as_many_observations() {
        let mut sketch = Sketch::default();
        sketch.observe(1.0, 99, 0);
        sketch.observe(100.0, 1, 0);
        let out = quantiles(&mut sketch, &[0.5, 0.99, 0.999], 0);
        assert!(out[0] < 1.02 && out[1] < 1.02 && out[2] > 98.0, "{out:?}");
    }

    #[test]
    fn memory_is_bounded_and_the_high_quantiles_stay_right() {
        let mut sketch = Sketch::default();
        for exponent in -300..300 {
            for step in 0..32 {
                let value = 2.0_f64.powi(exponent) * (1.0 + f64::from(step) / 32.0);
                sketch.observe(value, 1, 0);
            }
        }
        assert_eq!(sketch.slots[0].bins.len(), MAX_BINS);
        let total: u32 = sketch.slots[0].bins.iter().map(|(_, count)| count).sum();
        assert_eq!(total, 600 * 32);
        let p999 = quantiles(&mut sketch, &[0.999], 0)[0];
        let exact = 2.0_f64.powi(299) * (1.0 + 12.0 / 32.0);
        assert!((p999 / exact - 1.0).abs() < 0.016, "{p999} for {exact}");
    }

    #[test]
    fn only_negative_values_can_be_merged_too() {
        let mut slot = Slot::default();
        (0..2_000).for_each(|n| slot.add(-1.05_f64.powi(n), 1));
        assert_eq!(slot.bins.len(), MAX_BINS);
        assert!(slot.bins.is_sorted());
    }

    proptest! {
        #[test]
        fn quantiles_are_near_the_exact_ones(
            mut values in prop::collection::vec(-1.0e3..1.0e3_f64, 1..300),
            quantile in 0.0..1.0_f64,
        ) {
            let mut sketch = Sketch::default();
            for (index, value) in values.iter().enumerate() {
                sketch.observe(*value, 1, index as u64 % 3);
            }
            let got = quantiles(&mut sketch, &[quantile], 2)[0];
            values.sort_by(f64::total_cmp);
            let rank = (quantile * values.len() as f64).ceil().max(1.0) as usize;
            let exact = values[rank - 1];
            prop_assert!((got - exact).abs() <= exact.abs() / 64.0 + 1e-12, "{got} for {exact}");
        }

        #[test]
        fn bins_ascend_with_values(a in any::<f64>(), b in any::<f64>()) {
            prop_assume!(a.is_finite() && b.is_finite() && a < b);
            prop_assert!(bin(a) <= bin(b));
        }
    }
}
