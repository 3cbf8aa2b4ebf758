//! Expected value of a series at this hour of the week.

use bellwether_core::UnixMillis;

const HOUR: i64 = 3_600_000;
const HOURS: usize = 168;
/// Number of weeks that an hour is known from.
const WEEKS: usize = 3;
/// Number of weeks from which an hour has an expected value.
const FEWEST: usize = 2;

/// Means of the hours of the last weeks, 5 KiB. The middle one is expected, so
/// that an odd day is neither expected a week later nor are the usual ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Week {
    hours: Vec<Hour>,
    /// Current hour since the epoch, with sum and count of its values.
    visit: Option<(i64, f64, f64)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Hour {
    means: [f64; WEEKS],
    weeks: usize,
}

impl Hour {
    fn push(&mut self, mean: f64) {
        self.means[self.weeks % WEEKS] = mean;
        self.weeks += 1;
    }

    fn usual(&self) -> Option<f64> {
        match (self.weeks, self.means) {
            (weeks, _) if weeks < FEWEST => None,
            (2, [a, b, _]) => Some(a.midpoint(b)),
            (_, [a, b, c]) => Some(a.min(b).max(a.max(b).min(c))),
        }
    }
}

impl Week {
    /// Returns the middle value of earlier weeks at the time of `at`, interpolated between the middles
    /// of two hours; `None` before two weeks.
    pub(super) fn usual(&self, at: UnixMillis, value: f64) -> Option<f64> {
        let (hour, part) = (
            at.0.div_euclid(HOUR),
            at.0.rem_euclid(HOUR) as f64 / HOUR as f64,
        );
        let here = self.hour(hour)?;
        let beside = self.hour(if part > 0.5 { hour + 1 } else { hour - 1 });
        let share = (part - 0.5).abs();
        let between = here + share * (beside.unwrap_or(here) - here);
        // What begins on the hour is not interpolated.
        let nearer = (value - here).abs() < (value - between).abs();
        Some(if nearer { here } else { between })
    }

    fn hour(&self, hour: i64) -> Option<f64> {
        self.hours.get(place(hour))?.usual()
    }

    pub(super) fn push(&mut self, at: UnixMillis, value: f64) {
        let hour = at.0.div_euclid(HOUR);
        match &mut self.visit {
            Some((current, sum, count)) if *current == hour => {
                *sum += value;
                *count += 1.0;
            }
            visit => {
                if let Some((left, sum, count)) = visit.replace((hour, value, 1.0)) {
                    if self.hours.is_empty() {
                        self.hours = vec![Hour::default(); HOURS];
                    }
                    self.hours[place(left)].push(sum / count);
                }
            }
        }
    }
}

fn place(hour: i64) -> usize {
    hour.rem_euclid(HOURS as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `weeks` weeks of values each half hour, 100 on working days and 0 else, and 0 in the whole
    /// week `odd`.
    fn after(weeks: i64, odd: i64) -> Week {
        let mut week = Week::default();
        for step in 0..weeks * 336 {
            let rests = step / 48 % 7 >= 5 || step / 336 == odd;
            week.push(UnixMillis(step * HOUR / 2), if rests { 0.0 } else { 100.0 });
        }
        week
    }

    fn noon(day: i64) -> UnixMillis {
        UnixMillis((day * 24 + 12) * HOUR)
    }

    #[test]
    fn days_of_the_week_are_known_after_two() {
        assert_eq!(after(1, -1).usual(noon(7), 50.0), None);
        let week = after(3, -1);
        assert_eq!(week.usual(noon(21), 50.0), Some(100.0));
        assert_eq!(week.usual(noon(26), 50.0), Some(0.0));
    }

    #[test]
    fn an_odd_week_is_not_expected_afterwards() {
        assert_eq!(after(4, 3).usual(noon(28), 50.0), Some(100.0));
    }

    #[test]
    fn what_begins_on_the_hour_is_expected_on_the_hour() {
        // Midnight to Saturday: the half hours around it would be interpolated.
        let (week, minute) = (after(3, -1), HOUR / 60);
        let midnight = 26 * 24 * HOUR;
        let usual = |at: i64, value: f64| week.usual(UnixMillis(midnight + at * minute), value);
        assert_eq!([usual(-1, 99.0), usual(1, 1.0)], [Some(100.0), Some(0.0)]);
    }
}
