use std::time::Duration;

use bellwether_core::UnixMillis;
use proptest::prelude::*;

use super::horizon::{Days, Horizon, Outlook};
use super::linear::{Direction, NoForecast, Reach, Target, linear};
use super::season::{NoSeason, continue_hours, seasonal};

const MINUTE: i64 = 60_000;
/// A monday, for no reason.
const START: i64 = 1_700_438_400_000;

/// Deterministic noise of about normal shape, standard deviation 1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        std::iter::repeat_with(|| {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 11) as f64 / (1_u64 << 53) as f64
        })
        .take(12)
        .sum::<f64>()
            - 6.0
    }
}

/// Six hours, a sample a minute.
fn six_hours(of: impl FnMut(f64) -> f64) -> (Vec<i64>, Vec<f64>) {
    let times: Vec<i64> = (0..360).map(|minute| START + minute * MINUTE).collect();
    (times, (0..360).map(f64::from).map(of).collect())
}

const NOW: UnixMillis = UnixMillis(START + 359 * MINUTE);

fn forecast(of: impl FnMut(f64) -> f64, target: f64) -> Result<Reach, NoForecast> {
    let (times, values) = six_hours(of);
    linear(&times, &values, NOW, target)
}

fn until(at: UnixMillis) -> f64 {
    (at.0 - NOW.0) as f64 / MINUTE as f64
}

fn minutes(reach: &Reach) -> (f64, f64, Option<f64>) {
    (
        until(reach.reaches_at),
        until(reach.earliest),
        reach.latest.map(until),
    )
}

#[test]
fn a_clean_line_is_reported_to_the_minute() {
    // 0.05 a minute from 60: 77.95 now, 95 is 341 minutes off.
    let reach = forecast(|minute| 60.0 + minute * 0.05, 95.0).unwrap();
    let (at, earliest, latest) = minutes(&reach);
    assert!(
        (at - 341.0).abs() < 0.5 && (earliest - at).abs() < 0.5,
        "{reach:?}"
    );
    assert!(
        (latest.unwrap() - at).abs() < 0.5 && reach.confidence > 0.999,
        "{reach:?}"
    );
    assert!((reach.slope - 0.05 / 60.0).abs() < 1e-9 && (reach.level - 77.95).abs() < 0.01);
    assert_eq!(reach.describe(NOW), "in 5 h 41 min");
}

#[test]
fn noise_widens_the_band_and_the_truth_lies_in_it() {
    let mut inside = 0;
    for seed in 0..100 {
        let mut noise = Noise(seed);
        let reach = forecast(|minute| 60.0 + minute * 0.05 + noise.next(), 95.0).unwrap();
        let (at, earliest, latest) = minutes(&reach);
        assert!(earliest < at && at < latest.unwrap(), "{reach:?}");
        assert!((at - 341.0).abs() < 60.0, "{reach:?}");
        inside += i32::from(earliest <= 341.0 && 341.0 <= latest.unwrap());
    }
    assert!(
        inside >= 90,
        "the band held the truth {inside} times of 100"
    );
}

fn saw(minute: f64) -> f64 {
    (minute % 30.0) / 3.0
}

#[test]
fn a_saw_that_climbs_is_no_sudden_end_and_a_level_one_is_none() {
    // A log that is rotated each half hour: 10 up and 10 down, over 0.05 a minute.
    let reach = forecast(|minute| 60.0 + minute * 0.05 + saw(minute), 95.0).unwrap();
    let (at, ..) = minutes(&reach);
    assert!((200.0..=341.0).contains(&at), "{reach:?}");
    assert_eq!(
        forecast(|minute| 80.0 + saw(minute), 95.0),
        Err(NoForecast::NoTrend)
    );
}

fn cleaned(minute: f64) -> f64 {
    (if minute < 200.0 { 60.0 } else { 40.0 }) + minute * 0.1
}

fn jumps(minute: f64) -> f64 {
    if minute < 200.0 { 40.0 } else { 70.0 }
}

#[test]
fn only_what_follows_a_change_counts() {
    let mut noise = Noise(1);
    assert_eq!(
        forecast(|minute| jumps(minute) + noise.next() * 0.1, 95.0),
        Err(NoForecast::NoTrend)
    );
    // Cleaned up after 200 minutes, and filling on as before.
    let (at, ..) = minutes(&forecast(cleaned, 95.0).unwrap());
    assert!((at - 191.0).abs() < 2.0, "{at}");
    // Quiet, then filling for an hour.
    let reach = forecast(|minute| 50.0 + (minute - 300.0).max(0.0) * 0.5, 95.0).unwrap();
    let (at, ..) = minutes(&reach);
    assert!((at - 31.0).abs() < 3.0, "{at}");
    assert!((reach.since.0 - START) / MINUTE >= 295, "{reach:?}");
}

#[test]
fn chance_makes_no_trend() {
    let (mut noise, mut found) = (Noise(7), 0);
    for _ in 0..200 {
        let mut wanders = 50.0;
        let reach = forecast(
            |_| {
                wanders += noise.next();
                wanders
            },
            95.0,
        );
        found += i32::from(reach.is_ok());
    }
    assert!(found <= 24, "{found} of 200 random walks");
    let found = (0..200)
        .filter(|_| forecast(|_| 50.0 + noise.next(), 95.0).is_ok())
        .count();
    assert!(found <= 4, "{found} of 200 without any trend");
}

#[test]
fn reasons() {
    for (expected, of, target) in [
        (NoForecast::NoTrend, (|_| 50.0) as fn(f64) -> f64, 95.0),
        (NoForecast::AlreadyReached { value: 96.0 }, |_| 96.0, 95.0),
        (NoForecast::AlreadyReached { value: 95.0 }, |_| 95.0, 95.0),
        (
            NoForecast::TooFewSamples { have: 9, need: 10 },
            |m| if m < 9.0 { m } else { f64::NAN },
            95.0,
        ),
        (
            NoForecast::TooFewSamples { have: 0, need: 10 },
            |_| f64::INFINITY,
            95.0,
        ),
        (NoForecast::TooFarOff, |m| m * 1e-6, 95.0),
    ] {
        assert_eq!(forecast(of, target), Err(expected));
    }
    let falls = forecast(|minute| 50.0 - minute * 0.1, 95.0);
    assert!(
        matches!(falls, Err(NoForecast::MovesAway { slope }) if slope < 0.0),
        "{falls:?}"
    );
    assert_eq!(
        linear(&[], &[], NOW, 1.0),
        Err(NoForecast::TooFewSamples { have: 0, need: 10 })
    );
    assert_eq!(
        linear(&[START; 20], &[1.0; 20], NOW, 2.0),
        Err(NoForecast::NoTrend)
    );
    // What comes after now is not known yet.
    let (times, values) = six_hours(|minute| minute);
    let early = linear(&times, &values, UnixMillis(START + 4 * MINUTE), 95.0);
    assert_eq!(early, Err(NoForecast::TooFewSamples { have: 5, need: 10 }));
}

#[test]
fn things_that_run_out_are_reached_from_above() {
    let (times, values) = six_hours(|minute| 8e9 - minute * 1e7);
    let target = Target {
        value: 1e9,
        direction: Direction::Falling,
    };
    let reach = linear(&times, &values, NOW, target).unwrap();
    let (at, ..) = minutes(&reach);
    assert!((at - 341.0).abs() < 0.5 && reach.slope < 0.0, "{reach:?}");
    assert_eq!(reach.describe(NOW), "in 5 h 41 min");
}

#[test]
fn spikes_and_a_late_look_change_nothing() {
    let (at, ..) = minutes(
        &forecast(
            |minute| {
                if minute as i64 % 50 == 7 {
                    94.0
                } else {
                    60.0 + minute * 0.05
                }
            },
            95.0,
        )
        .unwrap(),
    );
    assert!((at - 341.0).abs() < 1.0, "{at}");
    let (times, values) = six_hours(|minute| 60.0 + minute * 0.05);
    let later = UnixMillis(NOW.0).0 + 100 * MINUTE;
    let reach = linear(&times, &values, UnixMillis(later), 95.0).unwrap();
    assert!((reach.reaches_at.since(UnixMillis(later)).as_secs_f64() / 60.0 - 241.0).abs() < 1.0);
    assert_eq!(reach.reaches_at.since(UnixMillis(i64::MAX)), Duration::ZERO);
}

proptest! {
    #[test]
    fn nothing_panics_and_bands_are_ordered(
        samples in prop::collection::vec((any::<i32>(), any::<f64>()), 0..60),
        target in any::<f64>(),
        now in any::<i64>(),
    ) {
        let mut samples = samples;
        samples.sort_by_key(|sample| sample.0);
        samples.dedup_by_key(|sample| sample.0);
        let (times, values): (Vec<i64>, Vec<f64>) =
            samples.into_iter().map(|(time, value)| (i64::from(time) * 1000, value)).unzip();
        if let Ok(reach) = linear(&times, &values, UnixMillis(now), target) {
            prop_assert!(reach.earliest <= reach.reaches_at, "{:?}", reach);
            prop_assert!(reach.latest.is_none_or(|latest| latest >= reach.reaches_at), "{:?}", reach);
            prop_assert!((0.0..=1.0).contains(&reach.confidence), "{:?}", reach);
        }
    }
}

/// Hours since [`START`], each with four samples of what `of` says about it.
fn quarters(hours: i64, of: impl Fn(i64) -> f64) -> (Vec<i64>, Vec<f64>) {
    (0..hours * 4)
        .map(|index| (START + index * 15 * MINUTE, of(index / 4)))
        .unzip()
}

fn after(hours: i64) -> UnixMillis {
    UnixMillis(START + hours * 60 * MINUTE + 5 * MINUTE)
}

fn busy(hour: i64) -> f64 {
    let day = if (8..18).contains(&(hour % 24)) {
        80.0
    } else {
        20.0
    };
    if hour / 24 % 7 >= 5 { day / 2.0 } else { day }
}

#[test]
fn days_and_weeks_go_on() {
    // Busy from 8 to 18, half as much at the weekend; 4 weeks and 6 hours.
    let known = 4 * 168 + 4 * 24 + 6;
    let (times, values) = quarters(known, busy);
    let season = seasonal(&times, &values, after(known), 48).unwrap();
    assert_eq!(season.from, UnixMillis(START + known * 60 * MINUTE));
    for (ahead, value) in season.values.iter().enumerate() {
        // Friday is forecast as Friday and Saturday as Saturday: "as a day before" would be 40 off.
        let came = busy(known + ahead as i64);
        assert!((value - came).abs() < 8.0, "{ahead}: {value} for {came}");
    }
    assert!(season.error < season.error_of_last_day, "{season:?}");
    assert!(season.below <= 0.0 && season.above >= 0.0, "{season:?}");
}

#[test]
fn no_season_has_reasons() {
    let mut noise = Noise(3);
    let random: Vec<f64> = (0..500).map(|_| noise.next()).collect();
    assert_eq!(continue_hours(&random, 48), Err(NoSeason::NoPattern));
    assert_eq!(
        continue_hours(&[1.0; 119], 48),
        Err(NoSeason::TooFewHours { have: 119 })
    );
    let (times, values) = quarters(200, |hour| if hour < 190 { f64::NAN } else { 1.0 });
    let season = seasonal(&times, &values, after(200), 48);
    assert_eq!(season, Err(NoSeason::TooFewHours { have: 10 }));
    assert_eq!(
        seasonal(&[], &[], NOW, 48),
        Err(NoSeason::TooFewHours { have: 0 })
    );
    // The last sample is older than half of all: what it says about now is nothing.
    let (times, values) = quarters(200, |hour| (hour % 24) as f64);
    let season = seasonal(&times, &values, after(500), 48);
    assert_eq!(season, Err(NoSeason::TooFewHours { have: 200 }));
}

#[test]
fn a_constant_goes_on_and_gaps_are_filled() {
    assert_eq!(continue_hours(&[5.0; 200], 3).unwrap().values, [5.0; 3]);
    let (times, values) = quarters(300, |hour| {
        if hour % 10 == 0 {
            f64::NAN
        } else {
            (hour % 24) as f64
        }
    });
    let season = seasonal(&times, &values, after(300), 24).unwrap();
    for (ahead, value) in season.values.iter().enumerate() {
        assert!(
            (value - ((300 + ahead) % 24) as f64).abs() < 2.0,
            "{ahead}: {value}"
        );
    }
}

proptest! {
    #[test]
    fn no_season_panics(hours in prop::collection::vec(any::<f64>(), 0..400), ahead in 0_usize..60) {
        let times: Vec<i64> = (0..hours.len() as i64).map(|hour| START + hour * 60 * MINUTE).collect();
        let season = seasonal(&times, &hours, after(hours.len() as i64), ahead);
        if let Ok(season) = season {
            prop_assert!(season.values.len() == ahead.min(48));
        }
    }
}

const MINUTES_OF_DAY: usize = 1440;

/// Outlooks of a rule every ten minutes from minute `from` on, of a series with a sample a minute.
fn outlooks(
    values: &[f64],
    target: Target,
    within: Duration,
    from: usize,
) -> impl Iterator<Item = (usize, Outlook)> {
    let horizon = Horizon {
        target,
        within,
        window: Duration::from_secs(6 * 3600),
    };
    let spaced = move |end: usize, span: Duration, step: usize| -> (Vec<i64>, Vec<f64>) {
        let from = end.saturating_sub((span.as_secs() / 60) as usize);
        let picked = (from..=end).filter(|at| (end - at).is_multiple_of(step));
        picked
            .map(|at| (START + at as i64 * MINUTE, values[at]))
            .unzip()
    };
    let step = ((horizon.lookback().as_secs() / 60 / 360) as usize).max(1);
    let mut days = Days::default();
    (from + 10..values.len()).step_by(10).map(move |at| {
        let (times, recent) = spaced(at, horizon.lookback(), step);
        let now = UnixMillis(START + at as i64 * MINUTE);
        (
            at,
            horizon.outlook(&times, &recent, now, &mut days, || {
                let (span, step) = horizon.past();
                spaced(at, span, (step.as_secs() / 60) as usize)
            }),
        )
    })
}

fn first_alarm(values: &[f64], within: Duration, from: usize) -> Option<usize> {
    outlooks(values, 95.0.into(), within, from)
        .find(|(_, outlook)| matches!(outlook, Outlook::Soon(_)))
        .map(|(at, _)| at)
}

const HOURS: fn(u64) -> Duration = |hours| Duration::from_secs(hours * 3600);

fn climb(since: usize, length: usize) -> f64 {
    since.min(length) as f64 / length as f64
}

/// A minute of what fills and empties by itself, without noise.
fn pattern(name: &str, minute: usize) -> f64 {
    let of_day = minute % MINUTES_OF_DAY;
    let of_week = (minute + 3 * MINUTES_OF_DAY) % (7 * MINUTES_OF_DAY);
    match name {
        "log rotated daily" => 60.0 + 25.0 * climb(of_day, MINUTES_OF_DAY),
        "day and night" => {
            75.0 - 10.0 * (climb(of_day, MINUTES_OF_DAY) * std::f64::consts::TAU).cos()
        }
        "nightly burst" if (120..300).contains(&of_day) => 70.0 + 18.0 * climb(of_day - 120, 180),
        "nightly burst" => 70.0,
        "hourly saw" => 70.0 + 20.0 * climb(minute % 60, 60),
        "weekly backup" if of_week < 240 => 60.0 + 30.0 * climb(of_week, 180),
        "weekly backup" => 60.0,
        "steady" => 94.0,
        "steady, a quarter full" => 25.0,
        _ => unreachable!(),
    }
}

#[test]
fn what_empties_by_itself_is_no_alarm_not_even_on_the_first_day() {
    let names = [
        "log rotated daily",
        "day and night",
        "nightly burst",
        "hourly saw",
        "weekly backup",
        "steady",
        "steady, a quarter full",
    ];
    for within in [HOURS(4), HOURS(24)] {
        for name in names {
            let mut noise = Noise(11);
            let values: Vec<f64> = (0..15 * MINUTES_OF_DAY)
                .map(|minute| pattern(name, minute) + 0.1 * noise.next())
                .collect();
            assert_eq!(first_alarm(&values, within, 0), None, "{name}, {within:?}");
        }
    }
}

fn fills_once(minute: usize) -> f64 {
    20.0 + 0.6 * minute.clamp(2, 10) as f64
}

#[test]
fn ten_minutes_of_filling_are_no_forecast() {
    // 8 minutes of filling, and then as it was.
    let values: Vec<f64> = (0..600).map(fills_once).collect();
    assert_eq!(first_alarm(&values, HOURS(4), 0), None);
    let (_, at_ten) = outlooks(&values, 95.0.into(), HOURS(4), 0).next().unwrap();
    let Outlook::Young { seen, needed, .. } = at_ten else {
        panic!("{at_ten:?}")
    };
    assert!(
        seen <= Duration::from_secs(600) && needed == HOURS(4),
        "{at_ten:?}"
    );
}

#[test]
fn a_real_fill_is_reported_half_its_horizon_ahead() {
    for (within, hours) in [
        (HOURS(4), 6.5),
        (HOURS(4), 16.0),
        (HOURS(24), 37.0),
        (HOURS(24), 90.0),
    ] {
        for quiet in [0, 12 * MINUTES_OF_DAY] {
            let mut noise = Noise(5);
            let until = quiet + (hours * 60.0) as usize;
            let values: Vec<f64> = (0..until)
                .map(|minute| {
                    let part = minute.saturating_sub(quiet) as f64 / (hours * 60.0);
                    50.0 + 45.0 * part + 0.1 * noise.next()
                })
                .collect();
            let at = first_alarm(&values, within, quiet).unwrap();
            let ahead = Duration::from_secs((until - at) as u64 * 60);
            assert!(
                ahead >= within / 2 && ahead <= within * 11 / 10,
                "{within:?} {hours} {quiet}: {ahead:?}"
            );
        }
    }
    // Faster than the log that is rotated each day ever grew.
    let start = 12 * MINUTES_OF_DAY;
    let values: Vec<f64> = (0..start + 480)
        .map(|minute| match minute.checked_sub(start) {
            Some(passed) => 60.0 + 35.0 * passed as f64 / 480.0,
            None => pattern("log rotated daily", minute),
        })
        .collect();
    let at = first_alarm(&values, HOURS(4), start).unwrap();
    assert!((start..=start + 360).contains(&at), "{at}");
}

#[test]
fn a_fill_on_top_of_a_day_is_reported_half_its_horizon_ahead() {
    const QUIET: usize = 12 * MINUTES_OF_DAY;
    for name in ["day and night", "log rotated daily"] {
        for (within, hours) in [(4, 10.0), (24, 40.0)] {
            for phase in [360, 1080] {
                let mut noise = Noise(5);
                let began = QUIET + phase;
                let values: Vec<f64> = (0..began + (hours * 120.0) as usize)
                    .map(|minute| {
                        let filled = minute.saturating_sub(began) as f64 / (hours * 60.0);
                        // Around 60, whatever its days are around.
                        let level = 0.6 * (pattern(name, minute) - 75.0) + 60.0 + 40.0 * filled;
                        level + 0.1 * noise.next()
                    })
                    .collect();
                let full = values.iter().position(|value| *value >= 95.0).unwrap();
                let within = HOURS(within);
                let Some(at) = first_alarm(&values[..full], within, QUIET - MINUTES_OF_DAY) else {
                    panic!("{name}, {within:?} {hours} {phase}: it never fired");
                };
                let ahead = Duration::from_secs((full - at) as u64 * 60);
                assert!(
                    at >= began && ahead >= within / 2 && ahead <= within * 11 / 10,
                    "{name}, {within:?} {hours} {phase}: {ahead:?}"
                );
            }
        }
    }
}

#[test]
fn days_are_learnt_once_an_hour_and_only_near_the_target() {
    let asked = |base: f64| {
        let mut noise = Noise(3);
        let mut days = Days::default();
        let horizon = Horizon {
            target: 95.0.into(),
            within: HOURS(4),
            window: HOURS(6),
        };
        let values: Vec<f64> = (0..10 * MINUTES_OF_DAY)
            .map(|minute| base + pattern("day and night", minute) - 75.0 + 0.1 * noise.next())
            .collect();
        let spaced = |end: usize, span: usize, step: usize| -> (Vec<i64>, Vec<f64>) {
            let picked =
                (end.saturating_sub(span)..=end).filter(|at| (end - at).is_multiple_of(step));
            picked
                .map(|at| (START + at as i64 * MINUTE, values[at]))
                .unzip()
        };
        let mut asked = 0;
        for at in 9 * MINUTES_OF_DAY..values.len() {
            let (times, recent) = spaced(at, 360, 1);
            let now = UnixMillis(START + at as i64 * MINUTE);
            let outlook = horizon.outlook(&times, &recent, now, &mut days, || {
                asked += 1;
                spaced(at, 21 * MINUTES_OF_DAY, 15)
            });
            assert!(!matches!(outlook, Outlook::Soon(_)), "{outlook:?}");
        }
        asked
    };
    assert!((1..=48).contains(&asked(82.0)), "{}", asked(82.0));
    assert_eq!(asked(10.0), 0);
}

#[test]
fn what_runs_out_and_comes_back_daily_is_no_alarm_either() {
    let values: Vec<f64> = (0..15 * MINUTES_OF_DAY)
        .map(|minute| 155.0 - pattern("log rotated daily", minute))
        .collect();
    let target = Target {
        value: 60.0,
        direction: Direction::Falling,
    };
    let found: Vec<_> = outlooks(&values, target, HOURS(24), 0).collect();
    assert!(
        !found
            .iter()
            .any(|(_, outlook)| matches!(outlook, Outlook::Soon(_)))
    );
    assert!(
        found.iter().any(|(at, outlook)| {
            *at > 7 * MINUTES_OF_DAY && matches!(outlook, Outlook::None(NoForecast::NoTrend))
        }),
        "without its days it has no trend"
    );
}

fn stairs(minute: f64) -> f64 {
    let (turns, rest) = ((minute / 180.0).floor(), minute % 180.0);
    40.0 + turns * 18.0
        + if rest < 90.0 {
            rest * 0.19
        } else {
            17.1 + (rest - 90.0) * 0.01
        }
}

#[test]
fn a_pace_that_changes_widens_the_band() {
    // Fast and slow by turns, an hour and a half each.
    let reach = forecast(stairs, 95.0).unwrap();
    let (at, earliest, latest) = minutes(&reach);
    assert!(
        earliest < 0.8 * at && latest.is_none_or(|latest| latest > 1.25 * at),
        "{reach:?}"
    );
}

#[test]
fn a_value_that_fell_off_its_line_has_none() {
    assert_eq!(
        forecast(
            |minute| {
                if minute < 357.0 {
                    60.0 + minute * 0.05
                } else {
                    60.0
                }
            },
            95.0
        ),
        Err(NoForecast::NoTrend)
    );
}

fn queue(hour: i64) -> f64 {
    if (8..18).contains(&(hour % 24)) {
        40.0 + (hour % 7) as f64
    } else {
        0.0
    }
}

#[test]
fn a_season_stays_within_what_can_be() {
    // A queue that is empty at night.
    let known = 21 * 24;
    let (times, values) = quarters(known, queue);
    let season = seasonal(&times, &values, after(known), 48).unwrap();
    for hour in 0..48 {
        let (low, high) = season.band(hour).unwrap();
        assert!(
            season.values[hour] >= 0.0 && low >= 0.0 && high >= low,
            "{hour}: {season:?}"
        );
    }
    let season = season.bounded(f64::NEG_INFINITY, 41.0);
    assert!(season.values.iter().all(|value| *value <= 41.0));
    assert!((0..48).all(|hour| season.band(hour).unwrap().1 <= 41.0));
    assert_eq!(season.band(48), None);
    // What was negative may be so again.
    let (times, values) = quarters(known, |hour| queue(hour) - 20.0);
    let season = seasonal(&times, &values, after(known), 48).unwrap();
    assert!(season.values.iter().any(|value| *value < -15.0));
}
