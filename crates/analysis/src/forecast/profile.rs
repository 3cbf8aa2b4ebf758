//! Profile of a series over the day or the week, and the residuals without it.

use super::line::median;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
/// Length of a slot of the profile; a sample of a period before is at most half of it off.
const SLOT: i64 = 900_000;
/// Minimum length of samples for medians over days.
const MANY_DAYS: i64 = 5 * DAY + DAY / 2;
/// Minimum length of samples for a weekly profile.
const FEWEST_WEEKS: i64 = 2 * WEEK;
/// Minimum time with samples of a period before.
const FEWEST_CHANGED: i64 = 3 * HOUR;
/// Maximum share of the distances from the mean that the profile may leave unexplained.
const MAX_UNEXPLAINED: f64 = 0.5;
/// Maximum change from week to week, as a share of that from day to day, for a weekly profile.
const MAX_WEEKLY: f64 = 0.75;
/// Maximum number of changes, and of beginnings, that are compared for a ramp.
const MOST: usize = 150;

/// Typical distance from the mean at each time of the day, or of the week.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Profile {
    /// Length of the day or week in milliseconds.
    period: i64,
    /// In ascending order of their phase.
    knots: Vec<Knot>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Knot {
    /// Time since the beginning of the period in milliseconds.
    phase: f64,
    value: f64,
    /// Standard deviation of periods around the value.
    spread: f64,
}

impl Profile {
    /// Computes the profile of samples in ascending order of time; `None` if there is less than a
    /// day and a few hours, or they have no profile in common. A weekly one needs two weeks, and
    /// weeks that are more alike than days.
    pub(super) fn from_samples(times: &[i64], values: &[f64]) -> Option<Self> {
        let length = times.last()?.saturating_sub(*times.first()?);
        if length < MANY_DAYS {
            return Decomposition::new(times, values, DAY)?.profile(times);
        }
        let daily = Self::from_days(times, values);
        if length < FEWEST_WEEKS {
            return daily;
        }
        let weekly = Decomposition::new(times, values, WEEK)
            .zip(Decomposition::new(times, values, DAY))
            .filter(|(week, day)| week.unexplained < MAX_WEEKLY * day.unexplained)
            .and_then(|(week, _)| week.profile(times));
        weekly.or(daily)
    }

    /// Computes the daily profile of many days. A trend, a jump or an unusual day has little
    /// influence: each value is relative to the mean of the day around it, and the median over all
    /// days is used.
    fn from_days(times: &[i64], values: &[f64]) -> Option<Self> {
        let offsets = offsets(times, values);
        let (first, last) = (offsets.first()?, offsets.last()?);
        if last.0.saturating_sub(first.0) < MANY_DAYS - DAY {
            return None;
        }
        let profile = Self::from_offsets(&offsets, DAY);
        let size =
            |of: &dyn Fn(&(i64, f64)) -> f64| offsets.iter().map(|o| of(o).abs()).sum::<f64>();
        let (whole, rest) = (size(&|o| o.1), size(&|o| o.1 - profile.at(o.0)));
        (rest < MAX_UNEXPLAINED * whole).then_some(profile)
    }

    fn from_offsets(offsets: &[(i64, f64)], period: i64) -> Self {
        let mut slots: Vec<Vec<(f64, f64)>> = vec![Vec::new(); (period / SLOT) as usize];
        for (time, offset) in offsets {
            let phase = time.rem_euclid(period);
            slots[(phase / SLOT) as usize].push((phase as f64, *offset));
        }
        let knots = slots.iter().filter(|slot| !slot.is_empty());
        Self {
            period,
            knots: knots.map(|slot| Knot::from_slot(slot)).collect(),
        }
    }

    /// Returns the profile at this time, interpolated between two knots.
    pub(super) fn at(&self, time: i64) -> f64 {
        let (before, after, share) = self.around(time);
        let (before, after) = (self.knots[before].value, self.knots[after].value);
        before + share * (after - before)
    }

    /// Returns the highest usual value at this time; the lowest if `sign` is -1. Where a
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
        let phase = time.rem_euclid(self.period) as f64;
        let next = self.knots.partition_point(|knot| knot.phase <= phase);
        let count = self.knots.len();
        let (before, after) = ((next + count - 1) % count, next % count);
        let since = |phase: f64| (phase - self.knots[before].phase).rem_euclid(self.period as f64);
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

/// Values as a sum of what is the same in each period, and one ramp.
struct Decomposition {
    period: i64,
    /// Values without the ramp, around their mean.
    offsets: Vec<f64>,
    /// Mean distance of the changes since a period before from those by the ramp.
    unexplained: f64,
}

impl Decomposition {
    fn new(times: &[i64], values: &[f64], period: i64) -> Option<Self> {
        let changes = changes(times, values, period);
        let ramp = Ramp::from_changes(&changes, *times.first()?, period)?;
        let mut offsets: Vec<f64> = times
            .iter()
            .zip(values)
            .map(|(time, value)| value - ramp.at(*time))
            .collect();
        let mean = offsets.iter().sum::<f64>() / offsets.len() as f64;
        for offset in &mut offsets {
            *offset -= mean;
        }
        Some(Self {
            period,
            offsets,
            unexplained: ramp.unexplained(&changes, period),
        })
    }

    /// Returns the profile; `None` if periods differ too much.
    fn profile(&self, times: &[i64]) -> Option<Profile> {
        let offsets = self.offsets.iter();
        let whole = offsets.map(|offset| offset.abs()).sum::<f64>() / self.offsets.len() as f64;
        (self.unexplained < MAX_UNEXPLAINED * whole).then(|| {
            let offsets = times.iter().copied().zip(self.offsets.iter().copied());
            Profile::from_offsets(&offsets.collect::<Vec<_>>(), self.period)
        })
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
    /// Finds the ramp that explains most of the changes since a period before, by least absolute
    /// errors. It may have begun before the `first` sample. `None` if there are too few changes.
    fn from_changes(changes: &[(i64, f64)], first: i64, period: i64) -> Option<Self> {
        let (last, _) = changes.last()?;
        let length = last.saturating_sub(first);
        if length < period + FEWEST_CHANGED {
            return None;
        }
        let every = changes.len().div_ceil(MOST);
        let thinned: Vec<(i64, f64)> = changes.iter().copied().step_by(every).collect();
        let step = HOUR.max(length / MOST as i64);
        (0..length / step)
            .map(|number| first.saturating_add(number * step))
            .map(|begins| Self::beginning_at(begins, &thinned, period))
            .map(|ramp| (ramp.unexplained(&thinned, period), ramp))
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, ramp)| ramp)
    }

    /// The slope is the weighted median of those of all changes.
    fn beginning_at(begins: i64, changes: &[(i64, f64)], period: i64) -> Self {
        let unit = Self { begins, slope: 1.0 };
        let mut slopes: Vec<(f64, f64)> = changes
            .iter()
            .map(|(time, change)| (unit.change(*time, period), change))
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

    /// Returns the rise within the period before `time`.
    fn change(self, time: i64, period: i64) -> f64 {
        self.at(time) - self.at(time.saturating_sub(period))
    }

    /// Returns the mean distance of changes from those by the ramp.
    fn unexplained(self, changes: &[(i64, f64)], period: i64) -> f64 {
        let distance = |(time, change): &(i64, f64)| (change - self.change(*time, period)).abs();
        changes.iter().map(distance).sum::<f64>() / changes.len() as f64
    }
}

/// Returns how each value differs from that of a period before, where there is one.
fn changes(times: &[i64], values: &[f64], period: i64) -> Vec<(i64, f64)> {
    let mut before = 0;
    let mut changes = Vec::new();
    for (time, value) in times.iter().zip(values) {
        let then = time.saturating_sub(period);
        while times[before] < then.saturating_sub(SLOT / 2) {
            before += 1;
        }
        if times[before].abs_diff(then) <= SLOT as u64 / 2 {
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

    const MINUTE: i64 = 60_000;
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
        let profile = Profile::from_samples(&times, &values).unwrap();
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
    fn two_days_of_which_the_second_fills_have_the_profile_of_both() {
        let (times, values) = quarters(2, |day| wave(day) + 60.0 * (day - 1.2).max(0.0));
        let profile = Profile::from_samples(&times, &values).unwrap();
        let rests = profile.residuals(&times, &values);
        assert!((rests[191] - rests[100] - 60.0 * 0.79).abs() < 1.0);
        assert!((rests[90] - rests[10]).abs() < 1.0);
    }

    #[test]
    fn three_weeks_with_quiet_weekends_have_a_weekly_profile() {
        let worked = |day: f64| {
            let weekend = (day as i64 + 3) % 7 >= 5;
            wave(day) * if weekend { 0.3 } else { 1.0 } + 4.0 * (day - 19.0).max(0.0)
        };
        let (times, values) = quarters(21, worked);
        let profile = Profile::from_samples(&times, &values).unwrap();
        assert_eq!(profile.period, WEEK);
        let rests = profile.residuals(&times, &values);
        assert!((rests[2015] - rests[1824] - 8.0).abs() < 1.0);
        let (times, values) = quarters(21, wave);
        assert_eq!(Profile::from_samples(&times, &values).unwrap().period, DAY);
    }

    #[test]
    fn a_crest_is_as_high_as_a_rise_may_get_between_samples() {
        // A tooth from 2 to 5 o'clock, of which the last sample is at 4:45.
        let tooth = |day: f64| {
            let hour = 24.0 * day.fract();
            if (2.0..4.9).contains(&hour) {
                hour - 2.0
            } else {
                0.0
            }
        };
        let (times, values) = quarters(8, tooth);
        let profile = Profile::from_samples(&times, &values).unwrap();
        let nearly_five = 5 * HOUR - MINUTE;
        let crest = profile.crest(nearly_five, 1.0) - profile.at(HOUR);
        assert!((2.9..=3.0).contains(&crest), "{crest}");
        assert!(profile.at(nearly_five) - profile.at(HOUR) < 0.5);
    }

    #[test]
    fn hours_and_random_days_have_no_profile() {
        let (times, values) = quarters(1, wave);
        assert_eq!(Profile::from_samples(&times, &values), None);
        let mut random = fastrand::Rng::with_seed(1);
        let (times, mut values) = quarters(14, |_| 0.0);
        values.fill_with(|| random.f64());
        assert_eq!(Profile::from_samples(&times, &values), None);
        assert_eq!(Profile::from_samples(&[], &[]), None);
        values.fill(5.0);
        assert_eq!(Profile::from_samples(&times, &values), None, "a constant");
    }
}
