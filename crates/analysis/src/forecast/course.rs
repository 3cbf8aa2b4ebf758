//! The course of a day around its own level, and series with it taken off.

use super::line::median;

const DAY: i64 = 86_400_000;
/// Parts of a day whose values are compared from day to day.
const SLOTS: usize = 96;
/// Days in which a part must have been seen.
const FEWEST: usize = 5;
/// Part of the distances from the level of the day that the course may leave unexplained.
const LEFT: f64 = 0.5;

/// What a day has at each time, above or below its mean.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Course {
    /// Milliseconds of the day, ascending, and what is there.
    knots: Vec<(f64, f64)>,
}

impl Course {
    /// Of samples ascending in time; `None` where too few days were seen or they have no course in
    /// common. A fill of days, a jump or a day that was another makes little of a difference: each
    /// value counts from the mean of the day around it, and the middle one of all days is taken.
    pub(super) fn of(times: &[i64], values: &[f64]) -> Option<Self> {
        let offsets = offsets(times, values);
        let mut slots: Vec<Vec<(f64, f64)>> = vec![Vec::new(); SLOTS];
        for (time, offset) in &offsets {
            let phase = time.rem_euclid(DAY);
            slots[(phase * SLOTS as i64 / DAY) as usize].push((phase as f64, *offset));
        }
        let seen = |slot: &&Vec<(f64, f64)>| !slot.is_empty();
        let knot = |slot: &Vec<(f64, f64)>| {
            let phase = slot.iter().map(|(phase, _)| phase).sum::<f64>() / slot.len() as f64;
            (
                phase,
                median(&mut slot.iter().map(|(_, offset)| *offset).collect::<Vec<_>>()),
            )
        };
        let course = Self {
            knots: slots.iter().filter(seen).map(knot).collect(),
        };
        let (Some((first, _)), Some((last, _))) = (offsets.first(), offsets.last()) else {
            return None;
        };
        if last.saturating_sub(*first) < (FEWEST as i64 - 1) * DAY + DAY / 2 {
            return None;
        }
        let size =
            |of: &dyn Fn(&(i64, f64)) -> f64| offsets.iter().map(|o| of(o).abs()).sum::<f64>();
        let (whole, rest) = (size(&|o| o.1), size(&|o| o.1 - course.at(o.0)));
        (rest < LEFT * whole).then_some(course)
    }

    /// What the day has at this time: between two knots in proportion.
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

    /// What it has at all times.
    pub(super) fn values(&self) -> impl Iterator<Item = f64> {
        self.knots.iter().map(|(_, value)| *value)
    }

    /// The values without it.
    pub(super) fn off(&self, times: &[i64], values: &[f64]) -> Vec<f64> {
        times
            .iter()
            .zip(values)
            .map(|(time, value)| value - self.at(*time))
            .collect()
    }
}

/// How far each value is from the mean of the day around it, where nearly all of that day is known.
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

    /// A value each quarter of an hour of so many days.
    fn quarters(days: i64, of: impl Fn(f64) -> f64) -> (Vec<i64>, Vec<f64>) {
        (0..days * 96)
            .map(|step| (step * QUARTER, of(step as f64 / 96.0)))
            .unzip()
    }

    fn wave(day: f64) -> f64 {
        10.0 * (day * std::f64::consts::TAU).sin()
    }

    #[test]
    fn a_course_is_known_in_spite_of_a_fill_and_of_a_day_that_was_another() {
        let level = |day: f64| {
            let wild = if (5.0..6.0).contains(&day) { 30.0 } else { 0.0 };
            50.0 + wave(day) + 4.0 * day + wild
        };
        let (times, values) = quarters(12, level);
        let course = Course::of(&times, &values).unwrap();
        for hour in 0..24 {
            let told = course.at(hour * 4 * QUARTER);
            assert!(
                (told - wave(hour as f64 / 24.0)).abs() < 1.5,
                "{hour}: {told}"
            );
        }
        let rests = course.off(&times, &values);
        assert!(
            (rests[1000] - rests[904] - 4.0).abs() < 0.1,
            "what is left is the fill"
        );
    }

    #[test]
    fn a_few_days_or_days_of_chance_have_no_course() {
        let (times, values) = quarters(5, wave);
        assert_eq!(Course::of(&times, &values), None);
        let mut random = fastrand::Rng::with_seed(1);
        let (times, mut values) = quarters(14, |_| 0.0);
        values.fill_with(|| random.f64());
        assert_eq!(Course::of(&times, &values), None);
        assert_eq!(Course::of(&[], &[]), None);
        values.fill(5.0);
        assert_eq!(Course::of(&times, &values), None, "a constant");
    }
}
