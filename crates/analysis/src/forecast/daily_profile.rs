//! Daily profile of a series around its daily mean, and the residuals without it.

use super::line::median;

const DAY: i64 = 86_400_000;
/// Slots of a day that are compared between days.
const SLOTS: usize = 96;
/// Minimum number of days with samples.
const FEWEST: usize = 5;
/// Maximum share of the distances from the daily mean that the profile may leave unexplained.
const MAX_UNEXPLAINED: f64 = 0.5;

/// Typical distance from the daily mean at each time of the day.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DailyProfile {
    /// Time of the day in milliseconds, ascending, with the distance.
    knots: Vec<(f64, f64)>,
}

impl DailyProfile {
    /// Computes the profile of samples in ascending order of time; `None` if there are too few days
    /// or they have no profile in common. A trend, a jump or an unusual day has little influence:
    /// each value is relative to the mean of the day around it, and the median over all days is
    /// used.
    pub(super) fn from_samples(times: &[i64], values: &[f64]) -> Option<Self> {
        let offsets = offsets(times, values);
        let mut slots: Vec<Vec<(f64, f64)>> = vec![Vec::new(); SLOTS];
        for (time, offset) in &offsets {
            let phase = time.rem_euclid(DAY);
            slots[(phase * SLOTS as i64 / DAY) as usize].push((phase as f64, *offset));
        }
        let profile = Self {
            knots: slots
                .iter()
                .filter(|slot| !slot.is_empty())
                .map(|slot| {
                    let phase =
                        slot.iter().map(|(phase, _)| phase).sum::<f64>() / slot.len() as f64;
                    (
                        phase,
                        median(&mut slot.iter().map(|(_, offset)| *offset).collect::<Vec<_>>()),
                    )
                })
                .collect(),
        };
        let (Some((first, _)), Some((last, _))) = (offsets.first(), offsets.last()) else {
            return None;
        };
        if last.saturating_sub(*first) < (FEWEST as i64 - 1) * DAY + DAY / 2 {
            return None;
        }
        let size =
            |of: &dyn Fn(&(i64, f64)) -> f64| offsets.iter().map(|o| of(o).abs()).sum::<f64>();
        let (whole, rest) = (size(&|o| o.1), size(&|o| o.1 - profile.at(o.0)));
        (rest < MAX_UNEXPLAINED * whole).then_some(profile)
    }

    /// Returns the profile at this time, interpolated between two knots.
    pub(super) fn at(&self, time: i64) -> f64 {
        let phase = time.rem_euclid(DAY) as f64;
        let next = self.knots.partition_point(|(knot, _)| *knot <= phase);
        let count = self.knots.len();
        let (before, before_value) = self.knots[(next + count - 1) % count];
        let (after, after_value) = self.knots[next % count];
        let day = DAY as f64;
        let (width, passed) = (
            (after - before).rem_euclid(day),
            (phase - before).rem_euclid(day),
        );
        let share = if width > 0.0 { passed / width } else { 0.0 };
        before_value + share * (after_value - before_value)
    }

    /// Returns all values of the profile.
    pub(super) fn values(&self) -> impl Iterator<Item = f64> {
        self.knots.iter().map(|(_, value)| *value)
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
