use jiff::tz::{Offset, TimeZone};
use proptest::prelude::*;

use super::*;

/// Monday, 2026-11-16, 00:00 UTC.
const MONDAY: i64 = 1_794_787_200_000;
const HOUR: i64 = 3_600_000;

/// One sample every 15 s for a day.
fn day(value: impl FnMut(usize) -> f64) -> (Vec<i64>, Vec<f64>) {
    let times = (0..5760).map(|index| MONDAY + index * 15_000).collect();
    (times, (0..5760).map(value).collect())
}

fn trend_of(value: impl FnMut(usize) -> f64) -> Trend {
    let (times, values) = day(value);
    trend(
        &times,
        &values,
        UnixMillis(MONDAY + 24 * HOUR),
        &Options::default(),
    )
    .unwrap()
}

/// Normal enough noise of deviation 1, the same at each run.
fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut random = fastrand::Rng::with_seed(seed);
    move || (0..12).map(|_| random.f64()).sum::<f64>() - 6.0
}

#[test]
fn movements_are_distinguished() {
    let mut noise = noise(1);
    let mut with = |line: fn(f64) -> f64, spread: f64| {
        trend_of(|index| line(index as f64 / 5760.0) + spread * noise())
    };
    for (name, trend, movement) in [
        (
            "rises",
            with(|x| 50.0 + 10.0 * x, 5.0),
            Movement::Increasing,
        ),
        (
            "falls",
            with(|x| 50.0 - 10.0 * x, 5.0),
            Movement::Decreasing,
        ),
        (
            "rises too little to matter",
            with(|x| 50.0 + x, 0.1),
            Movement::Stable,
        ),
        ("level", with(|_| 50.0, 5.0), Movement::Stable),
        ("swings", with(|_| 50.0, 25.0), Movement::Volatile),
        ("around nothing", with(|_| 0.0, 1.0), Movement::Volatile),
        ("constant", with(|_| 50.0, 0.0), Movement::Stable),
        ("constant nothing", with(|_| 0.0, 0.0), Movement::Stable),
    ] {
        assert_eq!(trend.movement, movement, "{name}: {trend:?}");
        assert_eq!(
            trend.slight,
            name == "rises too little to matter",
            "{name}: {trend:?}"
        );
    }
}

#[test]
fn the_slope_is_per_second_and_its_error_holds_it() {
    let mut noise = noise(2);
    let trend = trend_of(|index| 20.0 + 0.001 * 15.0 * index as f64 + 2.0 * noise());
    assert!(
        (trend.slope - 0.001).abs() < 3.0 * trend.slope_error,
        "{trend:?}"
    );
    assert!(
        trend.slope_error < 1e-5 && trend.slope_error > 1e-7,
        "{trend:?}"
    );
    assert!(
        (trend.change - 86.4).abs() < 1.0 && trend.p_value < 1e-5,
        "{trend:?}"
    );
    assert!((trend.from, trend.to) == (UnixMillis(MONDAY), UnixMillis(MONDAY + 5759 * 15_000)));
}

#[test]
fn chance_makes_no_trend_however_samples_hang_together() {
    // The share of trends found in noise where each value keeps a part of the one before.
    for (kept, most) in [(0.0, 0.03), (0.9, 0.03), (0.99, 0.05)] {
        let found = (0..200).filter(|seed| {
            let (mut noise, mut value) = (noise(*seed), 0.0);
            let times: Vec<i64> = (0..1000).map(|index| MONDAY + index * 15_000).collect();
            let values: Vec<f64> = times
                .iter()
                .map(|_| {
                    value = kept * value + noise();
                    100.0 + 30.0 * value
                })
                .collect();
            let options = Options {
                least_change: Deviation::Absolute(0.0),
                ..Options::default()
            };
            trend(&times, &values, UnixMillis(i64::MAX), &options)
                .unwrap()
                .p_value
                <= 0.01
        });
        let share = found.count() as f64 / 200.0;
        assert!(share <= most, "{kept}: {share}");
    }
}

#[test]
fn a_spike_makes_no_trend() {
    let trend = trend_of(|index| {
        if index > 5700 {
            1e6
        } else {
            50.0 + (index % 7) as f64
        }
    });
    assert!(trend.p_value > 0.05, "{trend:?}");
}

#[test]
fn statistics_are_those_of_prometheus() {
    let statistics = Statistics::of(&[4.0, -2.0, 1.0, 3.0], &[0.0, 0.5, 0.9, 1.0, 7.0]).unwrap();
    assert_eq!(
        (
            statistics.count,
            statistics.mean,
            statistics.min,
            statistics.max
        ),
        (4, 1.5, -2.0, 4.0)
    );
    assert_eq!(
        (statistics.mean_size, statistics.deviation),
        (2.5, 5.25_f64.sqrt())
    );
    let quantiles: Vec<f64> = statistics
        .quantiles
        .iter()
        .map(|(_, value)| *value)
        .collect();
    assert_eq!(quantiles, [-2.0, 2.0, 3.7, 4.0, 4.0]);
    assert_eq!(Statistics::of(&[], &[0.5]), None);
}

#[test]
fn too_little_is_no_trend() {
    let few = trend(
        &[1, 2, 3],
        &[1.0, f64::NAN, 2.0],
        UnixMillis(10),
        &Options::default(),
    );
    assert_eq!(few, Err(TooFewSamples { have: 2 }));
    let one_time = trend(&[5; 20], &[1.0; 20], UnixMillis(10), &Options::default());
    assert_eq!(one_time, Err(TooFewSamples { have: 20 }));
    assert_eq!(
        few.unwrap_err().to_string(),
        "too few samples: 2; 10 are needed, at different times"
    );
}

fn value_at(time: &i64) -> f64 {
    let hours = (time - MONDAY) / HOUR;
    (hours % 24) as f64 + if hours / 24 == 6 { 100.0 } else { 0.0 }
}

#[test]
fn baselines_are_of_the_local_hour_and_weekday() {
    // A week at five minutes: the value is the hour in UTC, and 100 more on Sunday.
    let times: Vec<i64> = (0..7 * 288).map(|index| MONDAY + index * 300_000).collect();
    let values: Vec<f64> = times.iter().map(value_at).collect();
    let baselines = Baselines::of(&times, &values, TimeZone::UTC);
    let hour = |baselines: &Baselines, hour: usize| baselines.hours[hour].unwrap();
    assert_eq!(
        hour(&baselines, 9),
        Slot {
            count: 84,
            median: 9.0,
            spread: 0.0
        }
    );
    assert_eq!(baselines.weekdays[6].unwrap().median, 111.5);
    let at = UnixMillis(MONDAY + 9 * HOUR + 1);
    let departure = baselines.from_hour(at, 18.0).unwrap();
    assert_eq!(
        (departure.difference, departure.percent),
        (9.0, Some(100.0))
    );
    assert_eq!(departure.score, None, "the hour has no spread");
    assert_eq!(baselines.from_weekday(at, 11.5).unwrap().score, Some(0.0));
    // Half an hour off: half of each local hour is of the hour before.
    let zone = TimeZone::fixed(Offset::from_seconds(5 * 3600 + 1800).unwrap());
    let alike: Vec<f64> = values.iter().map(|value_at| value_at % 100.0).collect();
    let india = Baselines::of(&times, &alike, zone);
    assert_eq!(hour(&india, 9).median, 3.5);
    assert_eq!(india.weekdays[0].unwrap().count, 288);
}

#[test]
fn a_slot_without_samples_has_no_baseline() {
    let baselines = Baselines::of(&[MONDAY, MONDAY + 1], &[1.0, f64::NAN], TimeZone::UTC);
    assert_eq!(baselines.hours[0].map(|slot| slot.count), Some(1));
    assert_eq!(baselines.from_hour(UnixMillis(MONDAY + HOUR), 1.0), None);
    assert_eq!(baselines.from_hour(UnixMillis(i64::MAX), 1.0), None);
}

proptest! {
    #[test]
    fn whatever_the_samples_are_there_is_an_answer(
        samples in prop::collection::vec((any::<i64>(), prop::num::f64::ANY), 0..100),
    ) {
        let (mut times, values): (Vec<i64>, Vec<f64>) = samples.into_iter().unzip();
        times.sort_unstable();
        if let Ok(trend) = trend(&times, &values, UnixMillis(i64::MAX), &Options::default()) {
            prop_assert!((0.0..=1.0).contains(&trend.p_value), "{:?}", trend);
            prop_assert!(trend.statistics.min <= trend.statistics.max);
        }
        let baselines = Baselines::of(&times, &values, TimeZone::UTC);
        prop_assert!(baselines.hours.iter().flatten().all(|slot| slot.count > 0));
    }
}
