//! Formats forecasts for people.

use std::time::Duration;

use bellwether_core::UnixMillis;

use super::linear::Reach;

impl Reach {
    /// Formats the time to the target: `in 3 h 10 min, 2 h 40 min to 4 h 5 min`.
    #[must_use]
    pub fn describe(&self, now: UnixMillis) -> String {
        let until = |at: UnixMillis| span(at.since(now));
        let latest = self.latest.map_or_else(|| "never".to_owned(), until);
        let (middle, earliest) = (until(self.reaches_at), until(self.earliest));
        if earliest == middle && latest == middle {
            return format!("in {middle}");
        }
        format!("in {middle}, {earliest} to {latest}")
    }
}

/// Formats a duration in its two largest units, rounded: `45 s`, `3 h 10 min`, `12 d`.
#[must_use]
pub fn span(span: Duration) -> String {
    const UNITS: [(&str, u64, u64); 3] = [("d", 86_400, 3600), ("h", 3600, 60), ("min", 60, 1)];
    const NAMES: [&str; 3] = ["h", "min", "s"];
    let seconds = (span.as_millis() as f64 / 1000.0).round() as u64;
    for ((unit, size, part), name) in UNITS.iter().zip(NAMES) {
        if seconds < *size {
            continue;
        }
        let parts = (seconds as f64 / *part as f64).round() as u64;
        let (whole, rest) = (parts * part / size, parts * part % size / part);
        // From ten on the smaller unit says nothing any more.
        return if rest == 0 || whole >= 10 && *unit != "h" {
            format!("{} {unit}", (seconds as f64 / *size as f64).round())
        } else {
            format!("{whole} {unit} {rest} {name}")
        };
    }
    format!("{seconds} s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_units() {
        for (seconds, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (660, "11 min"),
            (3599, "60 min"),
            (3600, "1 h"),
            (11_400, "3 h 10 min"),
            (11_429, "3 h 10 min"),
            (86_399, "24 h"),
            (90_000, "1 d 1 h"),
            (1_036_800, "12 d"),
            (1_080_000, "13 d"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), expected, "{seconds}");
        }
    }

    fn minutes(minutes: i64) -> UnixMillis {
        UnixMillis(minutes * 60_000)
    }

    #[test]
    fn a_forecast_reports_its_band() {
        let reach = Reach {
            reaches_at: minutes(190),
            earliest: minutes(160),
            latest: Some(minutes(245)),
            slope: 1.0,
            confidence: 1.0,
            level: 0.0,
            since: UnixMillis(0),
        };
        assert_eq!(
            reach.describe(UnixMillis(0)),
            "in 3 h 10 min, 2 h 40 min to 4 h 5 min"
        );
        let never = Reach {
            latest: None,
            ..reach
        };
        assert_eq!(
            never.describe(UnixMillis(0)),
            "in 3 h 10 min, 2 h 40 min to never"
        );
        let sharp = Reach {
            earliest: minutes(190),
            latest: Some(minutes(190)),
            ..reach
        };
        assert_eq!(sharp.describe(UnixMillis(0)), "in 3 h 10 min");
    }
}
