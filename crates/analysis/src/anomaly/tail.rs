//! Rareness of a distance among past distances.

use bellwether_core::UnixMillis;

/// Maximum number of distances, 8 bytes each.
const CAPACITY: usize = 256;
/// Number of distances from which a limit is known.
const FEWEST: usize = 100;
/// Quantile at which the tail begins.
const BODY: f64 = 0.8;

/// Sample of distances in which old ones fade: when it is full, every other one by size is removed,
/// and new ones are added at half the rate, until half of the sample is as old as the window. So it
/// costs the same at any collection interval.
#[derive(Clone, Debug)]
pub(super) struct Tail {
    sorted: Vec<f64>,
    /// Minimum time between two distances, in milliseconds.
    stride: i64,
    /// Time between distances at which the sample covers a window.
    widest: i64,
    /// Time of the last distance.
    last: Option<UnixMillis>,
    /// Time and size of the last thinning.
    since: Option<(UnixMillis, usize)>,
    /// True if the next thinning removes the smallest.
    from_smallest: bool,
    shape: Shape,
}

/// Threshold and decay of the tail: a generalized Pareto distribution by its moments, as for peaks
/// over a threshold (Hosking and Wallis 1987). Without weight it is exponential.
#[derive(Clone, Copy, Debug, Default)]
struct Shape {
    begins: f64,
    scale: f64,
    weight: f64,
}

impl Tail {
    /// Creates an empty sample for a window in milliseconds.
    pub(super) fn new(window: i64) -> Self {
        Self {
            sorted: Vec::new(),
            stride: 0,
            widest: window / (CAPACITY as i64 / 2),
            last: None,
            since: None,
            from_smallest: false,
            shape: Shape::default(),
        }
    }

    /// Adds a distance, or the one with the score `limit` if that is less and the sample is not small.
    pub(super) fn push_limited(&mut self, at: UnixMillis, distance: f64, limit: f64) {
        let known = self.sorted.len() >= FEWEST && limit.is_finite();
        let farthest = if known {
            self.distance(limit, f64::MIN_POSITIVE)
        } else {
            f64::INFINITY
        };
        self.push(at, distance.min(farthest));
    }

    /// Adds a distance, 0 or more.
    pub(super) fn push(&mut self, at: UnixMillis, distance: f64) {
        if self
            .last
            .is_some_and(|last| at.0 < last.0.saturating_add(self.stride))
        {
            return;
        }
        self.last = Some(at);
        let (since, _) = *self.since.get_or_insert((at, 0));
        if self.sorted.len() == CAPACITY {
            self.make_room(at, since);
        }
        let place = self.sorted.partition_point(|held| *held < distance);
        self.sorted.insert(place, distance);
        self.shape = Shape::of(&self.sorted);
    }

    fn make_room(&mut self, at: UnixMillis, since: UnixMillis) {
        let before = self.since.map_or(0, |(_, held)| held);
        let apart = at.0.saturating_sub(since.0) / (CAPACITY - before) as i64;
        self.stride = apart.saturating_mul(2).clamp(0, self.widest);
        let mut keep = self.from_smallest;
        self.sorted.retain(|_| {
            keep = !keep;
            keep
        });
        self.from_smallest = !self.from_smallest;
        self.since = Some((at, self.sorted.len()));
    }

    /// Returns the score of `distance`: the negative logarithm of the part of the tail that is as
    /// far out, so 1 more is e times as rare. 0 in the body of the distribution. `least` is a
    /// distance too small to matter.
    pub(super) fn rarity(&self, distance: f64, least: f64) -> f64 {
        let Shape { begins, weight, .. } = self.shape;
        let beyond = (distance - begins) / self.scale(least);
        match beyond {
            _ if beyond <= 0.0 => 0.0,
            _ if weight > 1e-3 => (weight * beyond).ln_1p() / weight,
            _ => beyond,
        }
    }

    /// Returns the distance with this score.
    pub(super) fn distance(&self, rarity: f64, least: f64) -> f64 {
        let Shape { begins, weight, .. } = self.shape;
        let beyond = if weight > 1e-3 {
            (weight * rarity).exp_m1() / weight
        } else {
            rarity
        };
        begins + beyond * self.scale(least)
    }

    fn scale(&self, least: f64) -> f64 {
        // Where all distances are alike a step of 2 % is one.
        self.shape.scale.max(0.02 * self.shape.begins).max(least)
    }
}

impl Shape {
    fn of(sorted: &[f64]) -> Self {
        let place = ((sorted.len() - 1) as f64 * BODY) as usize;
        let (begins, tail) = (sorted[place], &sorted[place + 1..]);
        let count = tail.len().max(1) as f64;
        let mean = tail.iter().map(|far| far - begins).sum::<f64>() / count;
        let squares = tail.iter().map(|far| (far - begins).powi(2)).sum::<f64>() / count;
        let variance = squares - mean * mean;
        if variance <= mean * mean {
            return Self {
                begins,
                scale: mean,
                weight: 0.0,
            };
        }
        let ratio = mean * mean / variance;
        Self {
            begins,
            scale: 0.5 * mean * (1.0 + ratio),
            weight: 0.5 * (1.0 - ratio),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn filled(window: i64, distances: impl Iterator<Item = f64>) -> Tail {
        let mut tail = Tail::new(window);
        for (step, distance) in distances.enumerate() {
            tail.push(UnixMillis(step as i64 * HOUR), distance);
        }
        tail
    }

    /// Exponential with mean 1, evenly spread over its quantiles, in a mixed order.
    fn exponential(count: u32) -> impl Iterator<Item = f64> {
        (0..count).map(move |step| {
            let part = f64::from(step * 7919 % count);
            -(1.0 - (part + 0.5) / f64::from(count)).ln()
        })
    }

    #[test]
    fn one_more_is_e_times_as_seldom() {
        let tail = filled(i64::MAX, exponential(250));
        // 8 of 10 are below ln 5, where the tail begins.
        assert_eq!(tail.rarity(1.5, 0.0), 0.0);
        for distance in [2.0, 4.0, 6.0] {
            let rarity = tail.rarity(distance, 0.0);
            assert!(
                (rarity - (distance - 5.0_f64.ln())).abs() < 0.3,
                "{distance}: {rarity}"
            );
            assert!((tail.distance(rarity, 0.0) - distance).abs() < 1e-9);
        }
    }

    #[test]
    fn a_series_full_of_spikes_is_not_surprised_by_one() {
        let spikes =
            |count| (0..count).map(|step: u32| if step.is_multiple_of(20) { 90.0 } else { 1.0 });
        let calm = filled(i64::MAX, exponential(250));
        let wild = filled(i64::MAX, spikes(250));
        assert!(
            calm.rarity(100.0, 0.0) > 50.0,
            "{}",
            calm.rarity(100.0, 0.0)
        );
        assert!(wild.rarity(100.0, 0.0) < 5.0, "{}", wild.rarity(100.0, 0.0));
    }

    #[test]
    fn what_is_held_is_bounded_and_the_old_fades() {
        let week = 168 * HOUR;
        let distances = (0..2000).map(|step| if step < 1000 { 100.0 } else { 1.0 });
        let tail = filled(week, distances);
        assert!(tail.sorted.len() <= CAPACITY);
        let old = tail
            .sorted
            .iter()
            .filter(|distance| **distance > 50.0)
            .count();
        // Half of it goes in 1 to 2 windows, as samples come every hour and one in 1.3 is taken.
        assert!(
            old * 8 < tail.sorted.len(),
            "{old} of {} after 6 windows",
            tail.sorted.len()
        );
        assert!((HOUR..=2 * HOUR).contains(&tail.stride), "{}", tail.stride);
    }

    #[test]
    fn a_step_too_small_to_matter_is_no_surprise() {
        let tail = filled(i64::MAX, std::iter::repeat_n(0.0, 100));
        assert!(tail.rarity(1e-12, 1e-9) < 1.0);
        assert!(tail.rarity(1.0, 1e-9) > 1e6);
    }
}
