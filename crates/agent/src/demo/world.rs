//! The demo's world at a moment: a web shop on one host, its database, and their incidents.
//!
//! Pure functions of the time. Incidents are placed relative to the start of the demo, the rhythm of
//! days and weeks follows the clock.

use bellwether_core::UnixMillis;

use super::noise::{Noise, smooth};

/// Memory of the host, in bytes.
pub(super) const MEMORY_BYTES: f64 = 16.0 * 1024.0 * 1024.0 * 1024.0;
/// Cores of the host.
pub(super) const CORES: f64 = 4.0;

const MINUTE: f64 = 60.0;
const HOUR: f64 = 3600.0;
const DAY: f64 = 86_400.0;

/// Ramp at the begin and the end of an incident.
const RAMP: f64 = 3.0 * MINUTE;
/// Time after which a worker that leaks is restarted.
const LEAK_PERIOD: f64 = 5.0 * DAY;
/// Age of the leak at the start of the demo.
const LEAK_AGE: f64 = 4.5 * DAY;
/// Distance of the bursts of work while the demo runs, and their length.
const BURST_PERIOD: f64 = 6.0 * MINUTE;
const BURST_LENGTH: f64 = 75.0;

/// State of the world that all series are made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Unix time in seconds.
    pub(super) seconds: f64,
    /// Time since the start of the demo, in seconds; negative in its past.
    pub(super) age: f64,
    /// Requests to the shop, relative to a usual working hour.
    pub(super) traffic: f64,
    /// Factor of the duration of queries.
    pub(super) database_slowness: f64,
    /// False while the database is restarted.
    pub(super) database_up: bool,
    /// Share of the requests that fail.
    pub(super) errors: f64,
    /// Share of the processors in use, from 0 to 1.
    pub(super) cpu: f64,
    /// Intensity of the crawler, from 0 to 1.
    pub(super) crawler: f64,
    /// Intensity of the nightly backup, from 0 to 1.
    pub(super) backup: f64,
    /// Share of the memory in use, from 0 to 1.
    pub(super) memory: f64,
    /// Bytes that the worker that leaks has.
    pub(super) leaked: f64,
    /// Items in the queue of mails.
    pub(super) backlog: f64,
    /// Factor of the duration of the checkout.
    pub(super) checkout_slowness: f64,
    /// Share of look-ups of sessions that the cache answers.
    pub(super) session_hits: f64,
    /// Usage of the file system of the database, from 0 to 1.
    pub(super) disk: f64,
}

impl Moment {
    /// Returns the world at `at`, for a demo that began at `start`.
    pub(super) fn new(seed: u64, at: UnixMillis, start: UnixMillis) -> Self {
        let seconds = at.0 as f64 / 1000.0;
        let age = (at.0 - start.0) as f64 / 1000.0;
        let sway = |name: &str| Noise::new(seed, name).at(seconds);
        let crawler = incident(age, -21.6 * HOUR, 25.0 * MINUTE);
        let backup = nightly(seconds, 1.0, 0.7);
        let slow = incident(age, -9.0 * DAY, 47.0 * MINUTE);
        let deploy = incident(age, -3.1 * DAY, 40.0 * MINUTE);
        let burst = burst(age);
        let traffic = traffic(seconds) * (1.0 + 0.12 * sway("traffic")) + 1.8 * crawler;
        let cpu = 0.10 + 0.30 * traffic + 0.14 * backup + 0.85 * deploy + 0.8 * burst;
        let leaked = leak(age);
        Self {
            seconds,
            age,
            traffic,
            database_slowness: 1.0 + 24.0 * slow + 0.5 * backup + 0.3 * sway("database"),
            database_up: !is_patched(seconds),
            errors: 0.001 + 0.12 * slow + 0.2 * deploy,
            cpu: (cpu * (1.0 + 0.08 * sway("cpu"))).clamp(0.01, 0.995),
            crawler,
            backup,
            memory: memory(age, leaked) + 0.004 * sway("memory"),
            leaked,
            backlog: backlog(age) + 40.0 * traffic * (1.0 + 0.5 * sway("mails")),
            checkout_slowness: 1.0 + 2.4 * smooth((age + 14.0 * MINUTE) / (3.0 * MINUTE)),
            session_hits: 0.93 - 0.55 * smooth((age + 26.0 * HOUR) / HOUR),
            disk: disk(age),
        }
    }
}

/// Returns the intensity of an incident that begins at `begin` and takes `length`, from 0 to 1.
fn incident(age: f64, begin: f64, length: f64) -> f64 {
    smooth((age - begin) / RAMP) * smooth((begin + length - age) / RAMP)
}

/// Requests by the time of the day and of the week: a low at 4, a plateau from 10 to 21 o'clock.
fn traffic(seconds: f64) -> f64 {
    let hour = (seconds / HOUR).rem_euclid(24.0);
    let day = 0.5 - 0.5 * ((hour - 4.0) / 24.0 * std::f64::consts::TAU).cos();
    let weekend = if weekday(seconds) >= 5 { 0.7 } else { 1.0 };
    weekend * (0.15 + 0.95 * smooth(day))
}

/// Intensity of work that begins every night at `hour` and takes `hours`.
fn nightly(seconds: f64, hour: f64, hours: f64) -> f64 {
    let into = (seconds / HOUR - hour).rem_euclid(24.0);
    smooth(into / 0.05) * smooth((hours - into) / 0.05)
}

/// Returns whether the database is being patched: on Sundays from 2:20 to 2:41.
fn is_patched(seconds: f64) -> bool {
    let minute = (seconds / MINUTE).rem_euclid(24.0 * 60.0);
    weekday(seconds) == 6 && (140.0..161.0).contains(&minute)
}

/// Day of the week in UTC; 0 is Monday. The first day of Unix time was a Thursday.
fn weekday(seconds: f64) -> u8 {
    ((seconds / DAY).floor() + 3.0).rem_euclid(7.0) as u8
}

/// Short bursts of work from the start on, so that a visitor sees alerts come and go.
fn burst(age: f64) -> f64 {
    let into = (age - MINUTE).rem_euclid(BURST_PERIOD);
    if age > 0.0 && into < BURST_LENGTH {
        1.0
    } else {
        0.0
    }
}

/// Bytes of the worker that leaks: it grows until it is restarted.
fn leak(age: f64) -> f64 {
    let share = (age + LEAK_AGE).rem_euclid(LEAK_PERIOD) / LEAK_PERIOD;
    0.013 * MEMORY_BYTES + 0.365 * MEMORY_BYTES * share
}

/// Share of the memory in use: what leaked, and a cache that is filled 12 minutes before the start.
fn memory(age: f64, leaked: f64) -> f64 {
    0.49 + leaked / MEMORY_BYTES + 0.03 * smooth((age + 12.0 * MINUTE) / MINUTE)
}

/// Mails that wait since the relay slowed down 50 minutes before the start.
fn backlog(age: f64) -> f64 {
    let minutes = ((age + 50.0 * MINUTE) / MINUTE).max(0.0);
    60.0 * minutes.min(90.0)
}

/// Usage of the database's file system: it grows slowly, and 7 hours before the start fast.
fn disk(age: f64) -> f64 {
    let slow = 0.64 + 0.004 * (age + 14.0 * DAY) / DAY;
    let hours = ((age + 7.0 * HOUR) / HOUR).max(0.0);
    (slow + 0.028 * hours).min(0.995)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: UnixMillis = UnixMillis(1_767_225_600_000);

    fn at(age: f64) -> Moment {
        Moment::new(7, UnixMillis(START.0 + (age * 1000.0) as i64), START)
    }

    #[test]
    fn a_disk_fills_and_is_nearly_full_at_the_start() {
        assert!(at(-10.0 * DAY).disk < 0.67);
        assert!((0.87..0.94).contains(&at(0.0).disk), "{}", at(0.0).disk);
        assert!(at(0.0).disk < at(HOUR).disk && at(3.0 * DAY).disk <= 0.995);
    }

    #[test]
    fn incidents_begin_and_end() {
        let slow = |age| at(age).database_slowness;
        assert!(slow(-9.0 * DAY + 20.0 * MINUTE) > 20.0);
        assert!(slow(-9.0 * DAY - 20.0 * MINUTE) < 3.0 && slow(-8.9 * DAY) < 3.0);
        assert!(at(90.0).cpu > 0.9 && at(-90.0).cpu < 0.8);
        assert!(at(0.0).backlog > 2000.0 && at(-2.0 * HOUR).backlog < 200.0);
    }

    #[test]
    fn the_database_is_patched_on_sundays_only() {
        // 2026-01-04 is a Sunday.
        let sunday = 1_767_484_800.0;
        assert!(is_patched(sunday + 2.5 * HOUR));
        assert!(!is_patched(sunday + 4.0 * HOUR) && !is_patched(sunday + DAY + 2.5 * HOUR));
    }

    #[test]
    fn nights_are_calm() {
        let day = 1_767_571_200.0;
        assert!(traffic(day + 4.0 * HOUR) < 0.3 * traffic(day + 15.0 * HOUR));
    }
}
