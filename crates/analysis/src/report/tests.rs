use bellwether_matcher::ValueTest;

use super::*;

const MINUTE: i64 = 60_000;
/// A Tuesday, 22:13:20 in UTC.
const START: i64 = 1_700_000_000_000;

/// Series in memory.
struct Held(Vec<SampledSeries>);

impl Queryable for Held {
    fn select(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<SampledSeries>, StorageError> {
        let accepted =
            |s: &&SampledSeries| matchers.iter().all(|matcher| matcher.matches(&s.labels));
        guard.check()?;
        Ok(self
            .0
            .iter()
            .filter(accepted)
            .map(|series| {
                let start = series.times.partition_point(|time| *time < from.0);
                let end = series.times.partition_point(|time| *time <= to.0);
                SampledSeries {
                    labels: series.labels.clone(),
                    times: series.times[start..end].to_vec(),
                    values: series.values[start..end].to_vec(),
                }
            })
            .collect())
    }

    fn series(
        &self,
        _: &[LabelMatcher],
        _: UnixMillis,
        _: UnixMillis,
        _: &Guard,
    ) -> Result<Vec<LabelSet>, StorageError> {
        Ok(self.0.iter().map(|series| series.labels.clone()).collect())
    }
}

fn noise(minute: i64) -> f64 {
    (minute * 7 % 41) as f64 / 10.0
}

/// Two hosts, one sample a minute for 600 minutes; `b` jumps to 90 at minute 500 for 3 minutes,
/// `a` rises all the time.
fn hosts() -> Held {
    let times: Vec<i64> = (0..600).map(|minute| START + minute * MINUTE).collect();
    let host = |name: &str, value: &dyn Fn(i64) -> f64| SampledSeries {
        labels: LabelSet::new([("__name__", "cpu_percent"), ("host", name)]),
        times: times.clone(),
        values: (0..600).map(value).collect(),
    };
    Held(vec![
        host("b", &|minute| match minute {
            500 | 502 => 90.0,
            501 => 95.0,
            _ => 50.0 + noise(minute),
        }),
        host("a", &|minute| 10.0 + minute as f64 / 10.0 + noise(minute)),
    ])
}

fn cpu() -> [LabelMatcher; 1] {
    [LabelMatcher {
        name: "__name__".into(),
        test: ValueTest::equal("cpu_percent", false),
    }]
}

#[test]
fn anomalies_are_reported_as_runs_with_their_worst_sample() {
    let guard = Guard::default();
    let query = SeriesQuery {
        matchers: &cpu(),
        window: Duration::from_secs(200 * 60),
        now: UnixMillis(START + 599 * MINUTE),
        guard: &guard,
    };
    let settings = anomaly::Settings {
        algorithm: crate::Algorithm::Mad,
        ..Default::default()
    };
    let reports = anomalies(&hosts(), &query, &settings).unwrap();
    let hosts: Vec<&str> = reports
        .iter()
        .map(|series| series.labels.get("host"))
        .collect();
    assert_eq!(hosts, ["a", "b"]);
    assert_eq!(
        (
            reports[0].anomalies.len(),
            reports[0].evaluated,
            reports[0].warming
        ),
        (0, 201, 0)
    );
    let [found] = reports[1].anomalies[..] else {
        panic!("{:?}", reports[1])
    };
    let minute = |at: UnixMillis| (at.0 - START) / MINUTE;
    assert_eq!(
        (minute(found.from), minute(found.at), minute(found.to)),
        (500, 501, 502)
    );
    assert_eq!(
        (found.samples, found.value, found.reported),
        (3, 95.0, true)
    );
    let (low, high) = found.expected.unwrap();
    assert!(
        (30.0..50.0).contains(&low) && (54.0..75.0).contains(&high),
        "{found:?}"
    );
}

#[test]
fn trends_are_of_the_window_and_baselines_of_what_came_before_too() {
    let guard = Guard::default();
    let query = SeriesQuery {
        matchers: &cpu(),
        window: Duration::from_secs(60 * 60),
        now: UnixMillis(START + 599 * MINUTE),
        guard: &guard,
    };
    let day = Duration::from_secs(86_400);
    let trends = trend(&hosts(), &query, &Options::default(), day, &TimeZone::UTC).unwrap();
    let rising = trends[0].trend.as_ref().unwrap();
    assert_eq!(rising.movement, trend::Movement::Increasing, "{rising:?}");
    assert_eq!(rising.statistics.count, 61);
    assert!(
        (rising.slope - 0.1 / 60.0).abs() < 0.02 / 60.0,
        "{rising:?}"
    );
    assert_eq!(
        trends[1].trend.as_ref().unwrap().movement,
        trend::Movement::Stable
    );
    // Minute 599 is 08:12 of Wednesday; the hours before 22 have none.
    assert_eq!(trends[0].latest.unwrap().0, query.now);
    let counts = |hour: usize| trends[0].baselines.hours[hour].map_or(0, |slot| slot.count);
    assert_eq!(
        (counts(21), counts(22), counts(23), counts(8)),
        (0, 47, 60, 13)
    );
    assert_eq!(
        trends[0].from_hour.unwrap().usual,
        trends[0].baselines.hours[8].unwrap()
    );
    assert_eq!(
        trends[0].from_weekday.unwrap().usual,
        trends[0].baselines.weekdays[2].unwrap()
    );
}

#[test]
fn a_question_nobody_waits_for_ends() {
    let guard = Guard::default();
    guard.cancel();
    let query = SeriesQuery {
        matchers: &cpu(),
        window: Duration::from_secs(60),
        now: UnixMillis(START),
        guard: &guard,
    };
    assert!(anomalies(&hosts(), &query, &anomaly::Settings::default()).is_err());
}

#[test]
fn the_interval_is_the_median_step() {
    assert_eq!(interval(&[]), Duration::ZERO);
    assert_eq!(interval(&[5]), Duration::ZERO);
    assert_eq!(
        interval(&[0, 15_000, 30_000, 90_000]),
        Duration::from_secs(15)
    );
}
