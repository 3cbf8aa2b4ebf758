use bellwether_core::AlertState;

use crate::query::query_batch::testing::Bench;
use crate::testing::{at, remember};

const NOTHING: [&str; 0] = [];

/// A quiet value around 20.
fn quiet(n: u64) -> f64 {
    20.0 + (n * 7 % 5) as f64
}

/// An anomaly rule that has seen `samples` quiet values.
fn warmed(yaml: &str, samples: u64) -> Bench {
    let mut bench = Bench::rule(yaml);
    for n in 0..samples {
        assert_eq!(bench.next(&[("cpu_percent", quiet(n))]), NOTHING);
    }
    bench
}

const MAD: &str = "metric: cpu_percent, anomaly: {algorithm: mad, min_samples: 50}";

#[test]
fn an_anomalous_value_fires_and_reports_what_was_expected() {
    let mut bench = warmed(
        &format!(
            "{MAD}, message: '{{{{ value }}}} not {{{{ expected_low | round }}}} to {{{{ expected_high | round }}}} ({{{{ score | round }}}})'"
        ),
        60,
    );
    let changes = bench.next(&[("cpu_percent", 90.0)]);
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(
        changes[0]
            .starts_with(" inactive > firing warning: cpu_percent 90 is anomalous, expected ")
    );
    let alert = bench.engine.alerts().remove(0);
    assert!(
        alert.message.starts_with("90 not ") && alert.message.contains(" to "),
        "{}",
        alert.message
    );
    assert!(
        alert.annotations["expected"].contains(" to "),
        "{:?}",
        alert.annotations
    );
    assert_eq!(
        bench.next(&[("cpu_percent", 21.0)]),
        [" firing > inactive warning: cpu_percent 21 is as expected; fired for 30s at 90, peak 90"]
    );
    let bench = warmed(MAD, 51);
    assert!(bench.engine.alerts().is_empty());
}

#[test]
fn too_few_samples_are_no_verdict_and_that_is_reported() {
    let mut bench = warmed(MAD, 40);
    assert_eq!(bench.next(&[("cpu_percent", 90.0)]), NOTHING);
    let last = bench.engine.rules().next().unwrap().last.unwrap().clone();
    assert_eq!((last.unknown, last.error), (1, None));
    assert_eq!(
        last.note.unwrap(),
        "1 of 1 series have fewer than 50 samples"
    );
}

#[test]
fn detectors_are_warmed_from_history_after_a_restart() {
    let before = warmed(MAD, 60);
    let mut bench = Bench::rule(MAD);
    (bench.history, bench.now) = (before.history, before.now);
    let changes = bench.next(&[("cpu_percent", 90.0)]);
    assert!(
        changes.len() == 1 && changes[0].contains("is anomalous"),
        "{changes:?}"
    );
}

#[test]
fn each_label_set_has_its_own_detector_and_matchers_choose() {
    let mut bench = Bench::rule(
        "metric: disk_usage_percent, anomaly: {algorithm: mad, min_samples: 20},
         labels: {mount_point: '!=/tmp'}",
    );
    let series = |mount: &str| format!("disk_usage_percent{{host=\"h\",mount_point=\"{mount}\"}}");
    let (root, data, tmp) = (series("/"), series("/data"), series("/tmp"));
    for n in 0..30 {
        let all = [
            (&*root, quiet(n)),
            (&*data, 50.0 + quiet(n)),
            (&*tmp, quiet(n)),
        ];
        assert_eq!(bench.next(&all), NOTHING);
    }
    let changes = bench.next(&[(&*root, 70.0), (&*data, 71.0), (&*tmp, 70.0)]);
    assert_eq!(changes.len(), 1, "70 is anomalous for / alone: {changes:?}");
    let alert = bench.engine.alerts().remove(0);
    assert_eq!(
        alert.labels,
        [("mount_point".to_owned(), "/".to_owned())].into(),
        "as declared"
    );
}

#[test]
fn within_the_cooldown_there_is_no_new_alert() {
    let mut bench = warmed(
        &format!("{}, cooldown: 10m}}", MAD.trim_end_matches('}')),
        60,
    );
    assert_eq!(bench.next(&[("cpu_percent", 90.0)]).len(), 1);
    assert_eq!(bench.next(&[("cpu_percent", 91.0)]), NOTHING, "it goes on");
    assert_eq!(bench.engine.alerts().len(), 1);
    assert_eq!(bench.next(&[("cpu_percent", 20.0)]).len(), 1);
    assert_eq!(
        bench.next(&[("cpu_percent", 92.0)]),
        NOTHING,
        "too soon after the last"
    );
    for n in 0..20 {
        bench.next(&[("cpu_percent", quiet(n))]);
    }
    assert_eq!(bench.next(&[("cpu_percent", 93.0)]).len(), 1);
}

#[test]
fn an_aggregation_is_looked_at_as_it_is_evaluated() {
    let mut bench = Bench::rule(
        "metric: cache_hits, aggregation: rate, window: 2m,
         anomaly: {algorithm: zscore, min_samples: 20, direction: above}",
    );
    let mut total = 0.0;
    for n in 0..40 {
        total += 300.0 + quiet(n);
        assert_eq!(bench.next(&[("cache_hits{cache=\"c\"}", total)]), NOTHING);
    }
    total += 30_000.0;
    let changes = bench.next(&[("cache_hits{cache=\"c\"}", total)]);
    assert!(
        changes.len() == 1 && changes[0].contains("rate of cache_hits over 2m"),
        "{changes:?}"
    );
}

/// About normal, mean 10 and deviation 1, each seed another.
fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut random = fastrand::Rng::with_seed(seed);
    move || 4.0 + (0..12).map(|_| random.f64()).sum::<f64>()
}

/// Returns the changes of a rule over `value` after `warm` samples of noise, one each 30 s.
fn changes_of(yaml: &str, warm: u64, samples: u64, value: impl Fn(u64, f64) -> f64) -> Vec<String> {
    let (mut bench, mut noise) = (Bench::rule(yaml), noise(7));
    let mut changes = Vec::new();
    for n in 0..warm + samples {
        let usual = noise();
        let value = if n < warm {
            usual
        } else {
            value(n - warm, usual)
        };
        changes.extend(bench.next(&[("cpu_percent", value)]));
    }
    changes.retain(|line| line.contains("firing"));
    changes
}

const LASTING: &str = "metric: cpu_percent, anomaly: true, duration: 5m";

#[test]
fn a_duration_is_of_the_value_itself_being_outside() {
    assert_eq!(
        changes_of(LASTING, 360, 100, |n, usual| if n == 0 {
            60.0
        } else {
            usual
        }),
        NOTHING,
        "one anomalous sample"
    );
    let nine = |n, usual| if n % 40 == 0 && n < 360 { 60.0 } else { usual };
    assert_eq!(changes_of(LASTING, 360, 400, nine), NOTHING, "nine of them");
    let flat = |n, _| if n == 0 { 10.0 } else { 0.0 };
    assert_eq!(changes_of(LASTING, 0, 100, |_, _| 0.0), NOTHING);
    assert_eq!(
        changes_of(LASTING, 0, 300, |n, _| flat(n.abs_diff(200), 0.0)),
        NOTHING,
        "flat zeros"
    );
    // A rate of 100, and 0 at the restart of the counter.
    assert_eq!(
        changes_of(LASTING, 0, 300, |n, _| if n == 200 { 0.0 } else { 100.0 }),
        NOTHING
    );
}

#[test]
fn what_stays_outside_for_the_duration_fires_once_and_ends_as_the_new_level() {
    for (warm, to) in [(150, 20.0), (360, 17.0), (2880, 17.0), (2880, 3.0)] {
        let changes = changes_of(LASTING, warm, 400, |_, usual| usual - 10.0 + to);
        assert_eq!(changes.len(), 2, "{warm}, {to}: {changes:?}");
        assert!(
            changes[0].contains("inactive > firing") || changes[0].contains("pending > firing")
        );
        assert!(changes[0].ends_with(" for 5m"), "{changes:?}");
        assert!(changes[1].contains("firing > inactive"), "{changes:?}");
    }
}

#[test]
fn an_event_is_one_alert_and_its_message_says_a_value_outside() {
    // Spikes an hour and more apart, each a single sample, and one with another 10 minutes later.
    let rule = "metric: cpu_percent, anomaly: true";
    let at = [0, 20, 200, 400, 600];
    let changes = changes_of(
        rule,
        1000,
        800,
        |n, usual| if at.contains(&n) { 60.0 } else { usual },
    );
    let fired: Vec<_> = changes
        .iter()
        .filter(|line| line.contains("> firing"))
        .collect();
    assert_eq!(fired.len(), 4, "{changes:#?}");
    for line in &fired {
        assert!(
            line.contains("cpu_percent 60 is anomalous, expected "),
            "{line}"
        );
    }
    // A spike that the duration let pass is no alert, and keeps none back.
    let changes = changes_of(LASTING, 1000, 100, |n, usual| match n {
        0 => 60.0,
        20..60 => usual + 20.0,
        _ => usual,
    });
    assert_eq!(changes.len(), 2, "{changes:?}");
}

const FULL: &str = "metric: disk_usage_percent, forecast: {reaches: 95, within: 4h, window: 1h}";
const DISK: &str = "disk_usage_percent{mount_point=\"/\"}";

#[test]
fn what_fills_fires_before_it_is_full_and_until_it_is() {
    let mut bench = Bench::rule(&format!(
        "{FULL}, message: '{{{{ labels.mount_point }}}} full {{{{ forecast }}}}'"
    ));
    // 10 percent an hour from 20: 95 in seven and a half hours, in four half an hour before the line
    // is as old as it looks ahead.
    let level = |n: u64| 20.0 + n as f64 / 12.0 + (n % 2) as f64 * 0.01;
    let mut fired = None;
    for n in 0..900 {
        let changes = bench.next(&[(DISK, level(n))]);
        if let (None, false) = (fired, changes.is_empty()) {
            fired = Some(n);
            assert!(
                changes[0]
                    .starts_with("/ inactive > firing warning: disk_usage_percent reaches 95 in "),
                "{changes:?}"
            );
            let alert = bench.engine.alerts().remove(0);
            assert!(alert.message.starts_with("/ full in "), "{}", alert.message);
            assert!(alert.annotations["forecast"].starts_with("in "));
            assert!(alert.value.is_some_and(|seconds| seconds <= 14_400.0));
        } else {
            assert_eq!(changes, NOTHING, "{n}");
        }
    }
    let fired = fired.unwrap();
    assert!(
        (480..=490).contains(&fired),
        "four hours in, give or take: {fired}"
    );
    // Full: what was foreseen has come, and that is no end.
    assert!(level(901) > 95.0);
    assert_eq!(bench.next(&[(DISK, 95.5)]), NOTHING);
    bench.next(&[(DISK, 95.5)]);
    assert_eq!(bench.engine.alerts()[0].message, "/ full now");
    // Emptied, it has no trend, with the reason.
    let changes = (0..200)
        .flat_map(|_| bench.next(&[(DISK, 40.0)]))
        .collect::<Vec<_>>();
    let ended = "/ firing > inactive warning: disk_usage_percent no longer reaches 95 within 4h; fired for 3h";
    assert!(
        changes.len() == 1 && changes[0].starts_with(ended),
        "{changes:?}"
    );
    let last = bench.engine.rules().next().unwrap().last.unwrap().clone();
    assert_eq!(last.error, None);
    assert!(
        last.note
            .unwrap()
            .starts_with("no forecast for {mount_point=\"/\"}: ")
    );
}

#[test]
fn a_forecast_is_made_once_a_minute_and_needs_samples() {
    let mut bench = Bench::rule(FULL);
    let mut evaluated = 0;
    for n in 0..8 {
        evaluated += bench.tick(&[(DISK, 90.0 + n as f64)]).evaluated;
    }
    assert_eq!(evaluated, 4);
    let status = bench.engine.rules().next().unwrap();
    assert_eq!(
        (status.state, status.last.unwrap().clear),
        (AlertState::Inactive, 1)
    );
    assert!(
        status
            .last
            .unwrap()
            .note
            .as_ref()
            .unwrap()
            .contains("too few samples")
    );
}

#[test]
fn what_falls_is_foreseen_from_above_and_what_is_gone_is_not() {
    let mut bench = Bench::rule(
        "metric: cpu_percent, forecast: {reaches: 0, within: 1h, window: 1h, direction: falling}",
    );
    let changes: Vec<String> = (0..150)
        .flat_map(|n| bench.next(&[("cpu_percent", 100.0 - n as f64 / 2.0)]))
        .collect();
    assert_eq!(changes.len(), 1, "{changes:?}");
    // It ends: nothing is left that could reach anything.
    remember(
        &bench.history,
        at(bench.now + 1),
        &[("cpu_percent", f64::from_bits(0x7ff0_0000_0000_0002))],
    );
    let changes: Vec<String> = (0..4).flat_map(|_| bench.next(&[])).collect();
    assert_eq!(changes, NOTHING, "no data keeps it");
    assert_eq!(
        bench.engine.rules().next().unwrap().last.unwrap().unknown,
        1
    );
}

#[test]
fn what_a_series_does_each_day_is_no_alarm_and_says_why() {
    let rule = "metric: disk_usage_percent, forecast: {reaches: 95, within: 24h}, interval: 10m";
    let mut bench = Bench::rule(rule);
    let mut notes = std::collections::BTreeSet::new();
    // 25 percent in a day, and down again; a sample each half minute.
    for n in 0..3 * 2880_u64 {
        assert_eq!(
            bench.next(&[(DISK, 60.0 + 25.0 * (n % 2880) as f64 / 2880.0)]),
            NOTHING,
            "{n}"
        );
        let note = bench
            .engine
            .rules()
            .next()
            .unwrap()
            .last
            .and_then(|last| last.note.clone());
        notes.extend(note.map(|note| note.split_once("}: ").unwrap().1.to_owned()));
    }
    assert!(
        notes.iter().any(|note| note.ends_with(", 1 d are needed")),
        "{notes:?}"
    );
}

#[test]
fn a_query_has_forecasts_and_anomalies_as_a_metric_has() {
    let fill = "promql: \"max by (mount_point) (disk_usage_percent)\", forecast: {reaches: 95, within: 4h, window: 1h}";
    let mut bench = Bench::rule(fill);
    let level = |n: u64| 20.0 + n as f64 / 12.0 + (n % 2) as f64 * 0.01;
    let changes: Vec<String> = (0..600)
        .flat_map(|n| bench.next(&[(DISK, level(n))]))
        .collect();
    assert_eq!(changes.len(), 1, "{changes:?}");
    let firing =
        "/ inactive > firing warning: `max by (mount_point) (disk_usage_percent)` reaches 95 in ";
    assert!(changes[0].starts_with(firing), "{changes:?}");

    let mut bench = warmed(
        "promql: \"cpu_percent * 2\", anomaly: {algorithm: mad, min_samples: 50}",
        60,
    );
    let changes = bench.next(&[("cpu_percent", 90.0)]);
    let firing = " inactive > firing warning: `cpu_percent * 2`: 180 is anomalous, expected ";
    assert!(
        changes.len() == 1 && changes[0].starts_with(firing),
        "{changes:?}"
    );
}
