//! Daily profile of a series around its daily mean, and the residuals without it.

use super::line::median;

const DAY: i64 = 86_400_000;
/// Slots of a day that are compared between days.
const SLOTS: usize = 96;
/// Minimum number of days with samples.
const FEWEST: usize = 5;
/// Maximum share of the distances from the daily mean that the profile may leave unexplained.
const MAX_UNEXPLAINED: f64 = 0.5;
const HOUR: i64 = 3_600_000;
/// Minimum time with samples of a day before.
const FEWEST_CHANGED: i64 = 3 * HOUR;
/// Length of a slot: a sample of a day before is at most half of it off.
const SAME: i64 = DAY / SLOTS as i64;

/// Typical distance from the daily mean at each time of the day.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DailyProfile {
    /// In ascending order of the time of the day.
    knots: Vec<Knot>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Knot {
    /// Time of the day in milliseconds.
    phase: f64,
    value: f64,
    /// Standard deviation of days around the value.
    spread: f64,
}

impl DailyProfile {
    /// Computes the profile of samples in ascending order of time; `None` if there are too few days
    /// or they have no profile in common.
    pub(super) fn from_samples(times: &[i64], values: &[f64]) -> Option<Self> {
        let (first, last) = (times.first()?, times.last()?);
        if last.saturating_sub(*first) < (FEWEST as i64 - 1) * DAY + 3 * DAY / 2 {
            return Self::from_few_days(times, values);
        }
        Self::from_days(times, values)
    }

    /// Computes the profile of many days. A trend, a jump or an unusual day has little influence:
    /// each value is relative to the mean of the day around it, and the median over all days is
    /// used.
    fn from_days(times: &[i64], values: &[f64]) -> Option<Self> {
        let offsets = offsets(times, values);
        let (first, last) = (offsets.first()?, offsets.last()?);
        if last.0.saturating_sub(first.0) < (FEWEST as i64 - 1) * DAY + DAY / 2 {
            return None;
        }
        let profile = Self::from_offsets(&offsets);
        let size =
            |of: &dyn Fn(&(i64, f64)) -> f64| offsets.iter().map(|o| of(o).abs()).sum::<f64>();
        let (whole, rest) = (size(&|o| o.1), size(&|o| o.1 - profile.at(o.0)));
        (rest < MAX_UNEXPLAINED * whole).then_some(profile)
    }

    /// Computes the profile of a day or a few: the values without the one ramp that explains best
    /// how they differ from those of a day before.
    fn from_few_days(times: &[i64], values: &[f64]) -> Option<Self> {
        let changes = changes(times, values);
        let ramp = Ramp::from_changes(&changes, *times.first()?)?;
        let level: Vec<f64> = times
            .iter()
            .zip(values)
            .map(|(time, value)| value - ramp.at(*time))
            .collect();
        let mean = level.iter().sum::<f64>() / level.len() as f64;
        let whole = level.iter().map(|value| (value - mean).abs()).sum::<f64>();
        let share = |sum: f64, count: usize| sum / count as f64;
        let rest = ramp.unexplained(&changes);
        if share(rest, changes.len()) >= MAX_UNEXPLAINED * share(whole, level.len()) {
            return None;
        }
        let offsets: Vec<(i64, f64)> = times
            .iter()
            .zip(level)
            .map(|(time, value)| (*time, value - mean))
            .collect();
        Some(Self::from_offsets(&offsets))
    }

    fn from_offsets(offsets: &[(i64, f64)]) -> Self {
        let mut slots: Vec<Vec<(f64, f64)>> = vec![Vec::new(); SLOTS];
        for (time, offset) in offsets {
            let phase = time.rem_euclid(DAY);
            slots[(phase * SLOTS as i64 / DAY) as usize].push((phase as f64, *offset));
        }
        let knots = slots.iter().filter(|slot| !slot.is_empty());
        Self {
            knots: knots.map(|slot| Knot::from_slot(slot)).collect(),
        }
    }

    /// Returns the profile at this time, interpolated between two knots.
    pub(super) fn at(&self, time: i64) -> f64 {
        let (before, after, share) = self.around(time);
        let (before, after) = (self.knots[before].value, self.knots[after].value);
        before + share * (after - before)
    }

    /// Returns the highest value of a usual day at this time; the lowest if `sign` is -1. Where a
    /// rise of two knots ends, it may have gone on until shortly before the next knot.
    pub(super) fn crest(&self, time: i64, sign: f64) -> f64 {
        let (before, after, share) = self.around(time);
        let count = self.knots.len();
        let knot = |back: usize| self.knots[(before + 2 * count - back) % count];
        let rise = |back: usize| sign * (knot(back).value - knot(back + 1).value);
        let further = knot(0).value + sign * rise(0).min(rise(1)).max(0.0) * share;
        let spread = knot(0).spread + share * (self.knots[after].spread - knot(0).spread);
        sign * (sign * self.at(time)).max(sign * further) + sign * spread
    }

    /// Returns the knots around this time, and the share of the way between them.
    fn around(&self, time: i64) -> (usize, usize, f64) {
        let phase = time.rem_euclid(DAY) as f64;
        let next = self.knots.partition_point(|knot| knot.phase <= phase);
        let count = self.knots.len();
        let (before, after) = ((next + count - 1) % count, next % count);
        let since = |phase: f64| (phase - self.knots[before].phase).rem_euclid(DAY as f64);
        let (width, passed) = (since(self.knots[after].phase), since(phase));
        let share = if width > 0.0 { passed / width } else { 0.0 };
        (before, after, share)
    }

    /// Returns all values of the profile.
    pub(super) fn values(&self) -> impl Iterator<Item = f64> {
        self.knots.iter().map(|knot| knot.value)
    }

    /// Returns the values without the profile.
    pub(super) fn residuals(&self, times: &[i64], values: &[f64]) -> Vec<f64> {
        times
            .iter()
            .zip(values)
            .map(|(time, value)| value - self.at(*time))
            .collect()
    }
}

impl Knot {
    /// Creates the knot of the times of the day and offsets in a slot.
    fn from_slot(slot: &[(f64, f64)]) -> Self {
        let value = median(&mut slot.iter().map(|(_, offset)| *offset).collect::<Vec<_>>());
        let mut sizes: Vec<f64> = slot.iter().map(|(_, o)| (o - value).abs()).collect();
        sizes.sort_by(f64::total_cmp);
        Self {
            phase: slot.iter().map(|(phase, _)| phase).sum::<f64>() / slot.len() as f64,
            value,
            spread: sizes[(sizes.len() - 1) * 2 / 3],
        }
    }
}

/// A rise that begins at a time and goes on.
#[derive(Clone, Copy, Debug)]
struct Ramp {
    begins: i64,
    /// Rise per millisecond.
    slope: f64,
}

impl Ramp {
    /// Finds the ramp that explains most of the changes since a day before, by least absolute
    /// errors. It may have begun before the `first` sample. `None` if there are too few changes.
    fn from_changes(changes: &[(i64, f64)], first: i64) -> Option<Self> {
        let (last, _) = changes.last()?;
        if last.saturating_sub(first) < DAY + FEWEST_CHANGED {
            return None;
        }
        let hours = last.saturating_sub(first) / HOUR;
        (0..hours)
            .map(|hour| Self::beginning_at(first.saturating_add(hour * HOUR), changes))
            .map(|ramp| (ramp.unexplained(changes), ramp))
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, ramp)| ramp)
    }

    /// The slope is the weighted median of those of all changes.
    fn beginning_at(begins: i64, changes: &[(i64, f64)]) -> Self {
        let unit = Self { begins, slope: 1.0 };
        let mut slopes: Vec<(f64, f64)> = changes
            .iter()
            .map(|(time, change)| (unit.change(*time), change))
            .filter(|(weight, _)| *weight > 0.0)
            .map(|(weight, change)| (change / weight, weight))
            .collect();
        slopes.sort_by(|a, b| a.0.total_cmp(&b.0));
        let half = slopes.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
        let mut sum = 0.0;
        let middle = slopes.iter().find(|(_, weight)| {
            sum += weight;
            sum >= half
        });
        Self {
            begins,
            slope: middle.map_or(0.0, |(slope, _)| *slope),
        }
    }

    fn at(self, time: i64) -> f64 {
        self.slope * time.saturating_sub(self.begins).max(0) as f64
    }

    /// Returns the rise within the day before `time`.
    fn change(self, time: i64) -> f64 {
        self.at(time) - self.at(time.saturating_sub(DAY))
    }

    fn unexplained(self, changes: &[(i64, f64)]) -> f64 {
        changes
            .iter()
            .map(|(time, change)| (change - self.change(*time)).abs())
            .sum()
    }
}

/// Returns how each value differs from that of a day before, where there is one.
fn changes(times: &[i64], values: &[f64]) -> Vec<(i64, f64)> {
    let mut before = 0;
    let mut changes = Vec::new();
    for (time, value) in times.iter().zip(values) {
        let then = time.saturating_sub(DAY);
        while times[before] < then - SAME / 2 {
            before += 1;
        }
        if (times[before] - then).abs() <= SAME / 2 {
            changes.push((*time, value - values[before]));
        }
    }
    changes
}

/// Returns the distance of each value from the mean of the day around it, where nearly all of that
/// day has samples.
fn offsets(times: &[i64], values: &[f64]) -> Vec<(i64, f64)> {
    let (Some(first), Some(last)) = (times.first(), times.last()) else {
        return Vec::new();
    };
    let days = last.saturating_sub(*first) as f64 / DAY as f64;
    let usual = times.len() as f64 / days.max(1.0);
    let (mut from, mut to, mut sum) = (0, 0, 0.0);
    let mut offsets = Vec::new();
    for (time, value) in times.iter().zip(values) {
        let (begin, end) = (time.saturating_sub(DAY / 2), time.saturating_add(DAY / 2));
        while to < times.len() && times[to] < end {
            sum += values[to];
            to += 1;
        }
        while times[from] < begin {
            sum -= values[from];
            from += 1;
        }
        let count = (to - from) as f64;
        if begin >= *first && end <= *last && count >= 0.8 * usual {
            offsets.push((*time, value - sum / count));
        }
    }
    offsets
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUARTER: i64 = 900_000;

    /// Creates a value for every 15 minutes of a number of days.
    fn quarters(days: i64, of: impl Fn(f64) -> f64) -> (Vec<i64>, Vec<f64>) {
        (0..days * 96)
            .map(|step| (step * QUARTER, of(step as f64 / 96.0)))
            .unzip()
    }

    fn wave(day: f64) -> f64 {
        10.0 * (day * std::f64::consts::TAU).sin()
    }

    #[test]
    fn a_profile_is_robust_to_a_trend_and_an_unusual_day() {
        let (times, values) = quarters(12, |day| {
            let wild = if (5.0..6.0).contains(&day) { 30.0 } else { 0.0 };
            50.0 + wave(day) + 4.0 * day + wild
        });
        let profile = DailyProfile::from_samples(&times, &values).unwrap();
        for hour in 0..24 {
            let value = profile.at(hour * 4 * QUARTER);
            assert!(
                (value - wave(hour as f64 / 24.0)).abs() < 1.5,
                "{hour}: {value}"
            );
        }
        let rests = profile.residuals(&times, &values);
        assert!(
            (rests[1000] - rests[904] - 4.0).abs() < 0.1,
            "the trend remains"
        );
    }

    #[test]
    fn few_days_and_random_days_have_no_profile() {
        let (times, values) = quarters(5, wave);
        assert_eq!(DailyProfile::from_samples(&times, &values), None);
        let mut random = fastrand::Rng::with_seed(1);
        let (times, mut values) = quarters(14, |_| 0.0);
        values.fill_with(|| random.f64());
        assert_eq!(DailyProfile::from_samples(&times, &values), None);
        assert_eq!(DailyProfile::from_samples(&[], &[]), None);
        values.fill(5.0);
        assert_eq!(
            DailyProfile::from_samples(&times, &values),
            None,
            "a constant"
        );
    }
}
