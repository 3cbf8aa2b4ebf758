use proptest::prelude::*;

use super::*;

const ALL: [Algorithm; 5] = [
    Algorithm::Auto,
    Algorithm::ZScore,
    Algorithm::Iqr,
    Algorithm::Mad,
    Algorithm::Seasonal,
];
const MINUTE: Duration = Duration::from_secs(60);

fn settings(algorithm: Algorithm) -> Settings {
    Settings {
        algorithm,
        min_samples: 20,
        ..Settings::default()
    }
}

fn at_minute(index: usize) -> UnixMillis {
    UnixMillis(1_700_000_000_000 + index as i64 * 60_000)
}

/// Observations of `values`, one a minute.
fn observed(settings: &Settings, values: &[f64]) -> Vec<Observation> {
    let mut detector = Detector::new(settings, MINUTE);
    values
        .iter()
        .enumerate()
        .map(|(index, value)| detector.observe(at_minute(index), *value))
        .collect()
}

/// 200 values around 50, from 48 to 52, and then `last`.
fn around_fifty(last: f64) -> Vec<f64> {
    let usual = (0..200).map(|index| 48.0 + f64::from(index * 7 % 41) / 10.0);
    usual.chain([last]).collect()
}

fn last(settings: &Settings, values: &[f64]) -> Observation {
    *observed(settings, values).last().unwrap()
}

#[test]
fn every_algorithm_distinguishes_a_jump_from_what_is_usual() {
    for algorithm in ALL {
        for (value, anomalous) in [(50.0, false), (51.9, false), (90.0, true), (10.0, true)] {
            let seen = last(&settings(algorithm), &around_fifty(value));
            assert_eq!(seen.anomalous, anomalous, "{algorithm:?} {value}: {seen:?}");
            let (low, high) = seen.expected.unwrap();
            assert_eq!(
                anomalous,
                value < low || value > high,
                "{algorithm:?} {value}: {seen:?}"
            );
            assert!(
                (30.0..50.0).contains(&low) && (50.0..70.0).contains(&high),
                "{seen:?}"
            );
        }
    }
}

#[test]
fn scores_are_in_the_measure_of_the_algorithm() {
    // 1, 2, ..., 100: mean 50.5, deviation 28.87, quartiles 26 and 75 (nearest rank), median 51.
    let mut values: Vec<f64> = (1..=100).map(f64::from).collect();
    values.push(150.0);
    for (algorithm, score) in [
        (Algorithm::ZScore, (150.0 - 50.5) / 28.866_070),
        (Algorithm::Iqr, (150.0 - 75.0) / 49.0),
        (Algorithm::Mad, (150.0 - 51.0) / (1.4826 * 25.0)),
    ] {
        let seen = last(&settings(algorithm), &values);
        assert!(
            (seen.score - score).abs() < 1e-3,
            "{algorithm:?}: {seen:?}, not {score}"
        );
    }
}

#[test]
fn nothing_is_evaluated_before_there_are_enough_samples() {
    let mut values = vec![50.0; 19];
    values.extend([1e9, 1e9]);
    let seen = observed(&settings(Algorithm::Mad), &values);
    assert!(
        seen[..20]
            .iter()
            .all(|seen| seen.warming && !seen.anomalous)
    );
    assert!(!seen[20].warming && seen[20].anomalous, "{:?}", seen[20]);
}

#[test]
fn sensitivity_direction_and_least_deviation_decide_what_counts() {
    let base = settings(Algorithm::ZScore);
    let with = |change: fn(&mut Settings)| {
        let mut settings = base.clone();
        change(&mut settings);
        [40.0, 60.0].map(|value| last(&settings, &around_fifty(value)).anomalous)
    };
    assert_eq!(with(|_| {}), [true, true]);
    assert_eq!(
        with(|settings| settings.sensitivity = Some(20.0)),
        [false, false]
    );
    assert_eq!(
        with(|settings| settings.direction = Direction::Above),
        [false, true]
    );
    assert_eq!(
        with(|settings| settings.direction = Direction::Below),
        [true, false]
    );
    let least = |deviation| {
        let settings = Settings {
            min_deviation: deviation,
            ..base.clone()
        };
        last(&settings, &around_fifty(60.0)).anomalous
    };
    assert!(least(Deviation::Absolute(9.9)) && !least(Deviation::Absolute(10.1)));
    assert!(least(Deviation::Percent(19.0)) && !least(Deviation::Percent(21.0)));
}

#[test]
fn an_event_is_reported_once_and_over_after_the_cooldown() {
    // Odd for seven minutes, and again after two and after five that are not.
    let mut values = around_fifty(90.0);
    for (usual, anomalies) in [(0, 7), (2, 1), (5, 1)] {
        values.extend(std::iter::repeat_n(50.0, usual));
        values.extend(std::iter::repeat_n(90.0, anomalies));
    }
    let found = |settings: &Settings| {
        let seen = observed(settings, &values);
        let of = |wanted: fn(&Observation) -> bool| -> Vec<usize> {
            (200..values.len())
                .filter(|index| wanted(&seen[*index]))
                .collect()
        };
        (of(|seen| seen.reported), of(|seen| seen.repeated))
    };
    let settings = Settings {
        cooldown: 4 * MINUTE,
        ..settings(Algorithm::Mad)
    };
    let (reported, repeated) = found(&settings);
    assert_eq!(reported, [200, 216]);
    assert_eq!(repeated, [201, 202, 203, 204, 205, 206, 207, 210]);
    let (reported, _) = found(&Settings {
        cooldown: Duration::ZERO,
        ..settings.clone()
    });
    assert_eq!(reported, [200, 210, 216], "each run");
    let (reported, repeated) = found(&Settings {
        hold: 5 * MINUTE,
        ..settings
    });
    assert_eq!(
        (reported, repeated),
        (vec![205], vec![206, 207, 210]),
        "what lasts"
    );
}

#[test]
fn what_follows_a_spike_is_as_expected() {
    for warm in [120, 400, 3000] {
        let mut random = fastrand::Rng::with_seed(3);
        let mut normal = || 4.0 + (0..12).map(|_| random.f64()).sum::<f64>();
        let mut values: Vec<f64> = (0..warm).map(|_| normal()).collect();
        values.push(60.0);
        values.extend((0..60).map(|_| normal()));
        let seen = observed(
            &Settings {
                min_samples: 100,
                ..Settings::default()
            },
            &values,
        );
        let anomalies: Vec<usize> = (warm..seen.len())
            .filter(|at| seen[*at].anomalous)
            .collect();
        assert_eq!(anomalies, [warm], "{warm}");
    }
    let mut zeros = vec![0.0; 300];
    zeros[200] = 10.0;
    let seen = observed(&Settings::default(), &zeros);
    assert_eq!(
        (0..300)
            .filter(|at| seen[*at].anomalous)
            .collect::<Vec<_>>(),
        [200]
    );
}

#[test]
fn a_new_level_is_outside_until_the_event_is_over_and_then_usual() {
    let mut random = fastrand::Rng::with_seed(5);
    let values: Vec<f64> = (0..800)
        .map(|at| {
            let normal = 4.0 + (0..12).map(|_| random.f64()).sum::<f64>();
            normal + if at < 400 { 0.0 } else { 10.0 }
        })
        .collect();
    let seen = observed(&Settings::default(), &values);
    assert!(seen[400..=460].iter().all(|seen| seen.anomalous), "an hour");
    assert!(
        seen[470..].iter().all(|seen| !seen.anomalous),
        "and then it is usual"
    );
    assert_eq!(seen.iter().filter(|seen| seen.reported).count(), 1);
}

fn reported(days: std::ops::Range<u32>) -> u32 {
    let mut random = fastrand::Rng::with_seed(9);
    let mut detector = Detector::new(&Settings::default(), 5 * MINUTE);
    let mut count = 0;
    for step in 0..days.end * 288 {
        let noise = 50.0 + (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
        let spike = step % 288 == 200 && days.contains(&(step / 288));
        let value = if spike { noise + 8.0 } else { noise };
        let seen = detector.observe(UnixMillis(i64::from(step) * 300_000), value);
        count += u32::from(seen.reported);
    }
    count
}

#[test]
fn events_become_usual_and_fade() {
    // A value of 58 each day: the score that it needs grows with each.
    assert!(
        reported(1..3) >= 2 && reported(29..30) >= 1,
        "each of the first"
    );
    assert!((2..=12).contains(&reported(1..30)), "{}", reported(1..30));
}

#[test]
fn a_constant_series_expects_that_value_and_nothing_else() {
    for algorithm in ALL {
        for constant in [0.0_f64, 45.0, -1e100, 1e-300] {
            let mut values = vec![constant; 100];
            values.push(constant + constant.abs() * 0.01 + 1e-290);
            let seen = observed(&settings(algorithm), &values);
            let anomalies: Vec<usize> = (0..101).filter(|index| seen[*index].anomalous).collect();
            assert_eq!(anomalies, [100], "{algorithm:?} {constant}");
        }
    }
}

#[test]
fn deviations_are_read_as_they_are_written() {
    for (text, read) in [
        ("5", Some(Deviation::Absolute(5.0))),
        ("0.5", Some(Deviation::Absolute(0.5))),
        ("10%", Some(Deviation::Percent(10.0))),
        (" 10 % ", Some(Deviation::Percent(10.0))),
        ("-5", None),
        ("inf", None),
        ("NaN%", None),
        ("%", None),
        ("", None),
    ] {
        assert_eq!(Deviation::parse(text), read, "{text}");
    }
    assert_eq!(Deviation::Percent(10.0).to_string(), "10%");
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        5 => -100.0..100.0_f64,
        2 => Just(7.0),
        1 => prop::num::f64::ANY,
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::MAX, f64::MIN, 0.0, -0.0]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_comes_there_is_an_answer_and_the_future_does_not_change_it(
        values in prop::collection::vec(any_value(), 0..300),
        later in prop::collection::vec(any_value(), 0..50),
        algorithm in prop::sample::select(ALL.to_vec()),
    ) {
        let settings = settings(algorithm);
        let seen = observed(&settings, &values);
        for (one, value) in seen.iter().zip(&values) {
            let outside = one.expected.is_some_and(|(low, high)| *value < low || *value > high);
            prop_assert!(!one.anomalous || outside, "{:?} of {}", one, value);
            prop_assert!(one.score >= 0.0, "{:?}", one);
            prop_assert!(one.expected.is_none_or(|(low, high)| low <= high), "{:?}", one);
            prop_assert!(!(one.reported || one.repeated) || one.anomalous);
            prop_assert!(!(one.reported && one.repeated), "{:?}", one);
        }
        let longer = observed(&settings, &[values.clone(), later].concat());
        prop_assert_eq!(&longer[..values.len()], &seen[..]);
    }

    #[test]
    fn times_in_any_order_do_no_harm(
        samples in prop::collection::vec((any::<i64>(), any_value()), 0..200),
    ) {
        let mut detector = Detector::new(&settings(Algorithm::Auto), MINUTE);
        for (at, value) in samples {
            detector.observe(UnixMillis(at), value);
        }
    }
}

/// A day's course of 288 values, for `days` days, a little noise on it.
fn course(days: u32) -> Vec<f64> {
    (0..days * 288)
        .map(|step| {
            let day = f64::from(step % 288) / 288.0 * std::f64::consts::TAU;
            50.0 + 30.0 * day.sin() + f64::from(step * 7919 % 101) / 50.0
        })
        .collect()
}

fn at_step(step: usize) -> UnixMillis {
    UnixMillis(1_700_000_000_000 + step as i64 * 300_000)
}

fn each_five_minutes(algorithm: Algorithm, values: &[f64]) -> Vec<Observation> {
    let mut detector = Detector::new(&settings(algorithm), 5 * MINUTE);
    values
        .iter()
        .enumerate()
        .map(|(step, value)| detector.observe(at_step(step), *value))
        .collect()
}

#[test]
fn a_value_of_the_night_at_noon_is_anomalous_to_those_who_know_the_day() {
    // A quarter of the way into the day it should be 80; 35 is usual at another time.
    let mut values = course(7);
    values.truncate(6 * 288 + 72);
    values.push(35.0);
    assert_eq!(
        ALL.map(|algorithm| {
            let seen = each_five_minutes(algorithm, &values);
            (algorithm, seen.last().unwrap().anomalous)
        }),
        [
            (Algorithm::Auto, true),
            (Algorithm::ZScore, false),
            (Algorithm::Iqr, false),
            (Algorithm::Mad, false),
            (Algorithm::Seasonal, true),
        ]
    );
}

#[test]
fn the_usual_course_of_a_day_is_seldom_anomalous() {
    for algorithm in ALL {
        let seen = each_five_minutes(algorithm, &course(14));
        let anomalies = seen[3 * 288..].iter().filter(|seen| seen.anomalous).count();
        assert!(anomalies <= 3, "{algorithm:?}: {anomalies} of {}", 11 * 288);
    }
}

#[test]
fn a_run_that_is_a_little_off_is_anomalous_as_a_run() {
    // Twelve values of 3.2 deviations: each alone comes in one of a few hundred.
    let mut random = fastrand::Rng::with_seed(1);
    let mut values: Vec<f64> = (0..2000)
        .map(|_| 50.0 + ((0..12).map(|_| random.f64()).sum::<f64>() - 6.0))
        .collect();
    values.extend([53.2; 12]);
    let seen = observed(&settings(Algorithm::Auto), &values);
    assert!(
        !seen[2000].anomalous && seen[2008].anomalous,
        "{:?}",
        &seen[2000..]
    );
    assert!(!last(&settings(Algorithm::Mad), &values).anomalous);
}

/// A level of 50 that wanders slowly by a few units, for `days` days each 5 minutes, with a fall of 60
/// for a day on the 20th and `sag`, at its deepest after a day and a half, on the 30th.
fn wandering(days: u32, sag: f64) -> Vec<f64> {
    let mut random = fastrand::Rng::with_seed(4);
    let mut wander = 0.0;
    (0..days * 288)
        .map(|step| {
            let mut normal = || (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
            wander = 0.98 * wander + 0.5 * normal();
            let day = f64::from(step) / 288.0;
            let fallen = if (20.0..21.0).contains(&day) {
                60.0
            } else {
                0.0
            };
            let sagged = sag * ((day - 30.0) / 1.5).clamp(0.0, 1.0);
            100.0 + wander + 0.5 * normal() - fallen - sagged
        })
        .collect()
}

fn reports(values: &[f64]) -> Vec<usize> {
    let mut detector = Detector::new(&Settings::default(), 5 * MINUTE);
    let seen = values.iter().enumerate().map(|(step, value)| {
        let seen = detector.observe(at_step(step), *value);
        let (low, high) = seen.expected.unwrap_or((*value, *value));
        assert!(!seen.anomalous || *value < low || *value > high, "{seen:?}");
        seen.reported
    });
    let reported: Vec<bool> = seen.collect();
    (28 * 288..values.len())
        .filter(|step| reported[*step])
        .collect()
}

#[test]
fn a_slow_sag_after_a_failure_is_one_event() {
    // The failure ten days before is far larger, and does not hide it.
    assert_eq!(reports(&wandering(34, 0.0)), [0; 0]);
    let sagged = reports(&wandering(33, 16.0));
    assert_eq!(sagged.len(), 1, "{sagged:?}");
    assert!((30 * 288..32 * 288).contains(&sagged[0]), "{sagged:?}");
}

#[test]
fn a_working_day_like_a_sunday_is_anomalous_to_those_who_know_the_week() {
    let value = |step: u32, holiday: u32| {
        let (day, hour) = (step / 48, f64::from(step % 48) / 2.0);
        let rests = day % 7 >= 5 || day == holiday;
        let busy = if (8.0..18.0).contains(&hour) && !rests {
            60.0
        } else {
            0.0
        };
        20.0 + busy + f64::from(step * 7919 % 101) / 25.0
    };
    let reported = |holiday: u32| {
        let mut detector = Detector::new(&Settings::default(), 30 * MINUTE);
        let midnight = 1_751_241_600_000;
        let steps = (0..49 * 48_u32).filter(|step| {
            let at = UnixMillis(midnight + i64::from(*step) * 1_800_000);
            detector.observe(at, value(*step, holiday)).reported
        });
        let days: Vec<u32> = steps.map(|step| step / 48).collect();
        days.into_iter()
            .filter(|day| *day >= 28)
            .collect::<Vec<_>>()
    };
    // The Wednesday of the sixth week; the one after is as usual.
    assert_eq!(reported(37), [37]);
    assert_eq!(reported(1000), [0; 0]);
}

#[test]
fn a_detector_is_outdated_once_its_window_and_a_week_have_passed() {
    let at = |days: u64| UnixMillis(0).after(Duration::from_secs(days * 86_400));
    let settings = Settings {
        window: Duration::from_secs(86_400),
        ..Settings::default()
    };
    let mut detector = Detector::new(&settings, MINUTE);
    detector.observe(at(1), 5.0);
    assert!(!detector.is_outdated(at(8)));
    assert!(detector.is_outdated(at(10)));
    detector.observe(at(10), 5.0);
    assert!(!detector.is_outdated(at(10)));
}
