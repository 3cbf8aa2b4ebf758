use std::time::Duration;

use bellwether_core::LabelSet;
use bellwether_promql::SampledSeries;
use proptest::prelude::*;

use super::{NoRecommendation, Recommendation, Run, Side, recommend};

const MINUTE: i64 = 60_000;
const DAY: i64 = 1440;

fn minutes(count: i64, of: impl Fn(i64) -> f64) -> SampledSeries {
    let (times, values) = (0..count)
        .map(|minute| (minute * MINUTE, of(minute)))
        .unzip();
    SampledSeries {
        labels: LabelSet::new([("__name__", "x")]),
        times,
        values,
    }
}

/// Two weeks: 20 to 40 all day, 60 from 9 to 17, and what `incident` adds.
fn office(incident: impl Fn(i64) -> f64) -> SampledSeries {
    minutes(14 * DAY, |minute| {
        let busy = if (9 * 60..17 * 60).contains(&(minute % DAY)) {
            30.0
        } else {
            0.0
        };
        20.0 + (minute * 7919 % 101) as f64 / 5.0 + busy + incident(minute)
    })
}

fn recommended(
    series: SampledSeries,
    side: Option<Side>,
    target: f64,
) -> Result<Recommendation, NoRecommendation> {
    recommend(&[series], side, target)
}

fn incident(minute: i64) -> f64 {
    if (9000..9060).contains(&minute) {
        50.0
    } else {
        0.0
    }
}

#[test]
fn what_happens_each_day_is_no_alert_and_the_incident_is() {
    // One hour in two weeks at 20 over the busiest.
    let advice = recommended(office(incident), None, 1.0).unwrap();
    assert_eq!(advice.side, Side::Above);
    assert!((55.0..90.0).contains(&advice.best.threshold), "{advice:?}");
    assert!(
        advice.best.alerts >= 1 && advice.best.per_week <= 1.0,
        "{advice:?}"
    );
    assert!(advice.best.at_most > advice.best.per_week, "{advice:?}");
    assert!((advice.span.as_secs() as i64 - 14 * DAY * 60).abs() < 120);
    // More alerts, an earlier threshold.
    let more = recommended(office(incident), None, 20.0).unwrap();
    assert!(more.best.threshold <= advice.best.threshold, "{more:?}");
    assert!(more.best.per_week <= 20.0, "{more:?}");
}

fn spikes(minute: i64) -> f64 {
    let incident = minute % 60 < 2 || (5000..5030).contains(&minute);
    if incident {
        95.0
    } else {
        10.0 + (minute % 5) as f64
    }
}

#[test]
fn short_spikes_are_held_out_and_long_ones_not() {
    // Each hour a spike of two minutes; once half an hour.
    let advice = recommended(minutes(14 * DAY, spikes), None, 1.0).unwrap();
    assert!(advice.best.hold >= Duration::from_secs(300), "{advice:?}");
    assert!(
        advice.best.threshold < 95.0 && advice.best.alerts == 1,
        "{advice:?}"
    );
}

fn wave(minute: i64) -> f64 {
    let day = minute as f64 / DAY as f64 * std::f64::consts::TAU;
    let noise = (minute * 7919 % 101) as f64 / 25.0 - 2.0;
    30.0 + 20.0 * day.sin() + if minute % 20 == 0 { -15.0 } else { noise }
}

#[test]
fn what_each_afternoon_reaches_is_no_threshold() {
    // 30 and 20 more in the afternoon, with noise that ends every hold time of half an hour.
    for target in [0.5, 1.0, 5.0] {
        let advice = recommended(minutes(14 * DAY, wave), None, target).unwrap();
        assert!(advice.best.threshold >= 49.0, "{advice:?}");
        assert!(
            advice.others.iter().all(|tried| tried.threshold >= 49.0),
            "{advice:?}"
        );
    }
    let below = recommended(
        minutes(14 * DAY, |m| 60.0 - wave(m)),
        Some(Side::Below),
        1.0,
    )
    .unwrap();
    assert!(below.best.threshold <= 11.0, "{below:?}");
}

fn drops(minute: i64) -> f64 {
    if minute % 5000 < 30 {
        5.0
    } else {
        80.0 + (minute % 7) as f64
    }
}

#[test]
fn little_can_be_bad() {
    let advice = recommended(minutes(14 * DAY, drops), None, 5.0).unwrap();
    assert_eq!((advice.side, advice.side.condition()), (Side::Below, "<"));
    assert!(
        advice.best.threshold > 5.0 && advice.best.alerts == 5,
        "{advice:?}"
    );
    let above = recommended(minutes(14 * DAY, drops), Some(Side::Above), 1.0).unwrap();
    assert!(above.best.threshold > 80.0, "{above:?}");
}

#[test]
fn what_never_was_is_the_threshold_where_all_is_usual() {
    let advice = recommended(
        minutes(7 * DAY, |minute| 50.0 + (minute as f64 / 10.0).sin() * 10.0),
        None,
        0.5,
    )
    .unwrap();
    assert!(
        advice.best.threshold >= 55.0 && advice.best.alerts == 0,
        "{advice:?}"
    );
    // A week without an alert proves at most three a week.
    assert!((2.9..3.1).contains(&advice.best.at_most), "{advice:?}");
}

fn high(times: &[i64]) -> Run {
    let values = vec![9.0; times.len()];
    Run::new(&SampledSeries {
        labels: LabelSet::default(),
        times: times.to_vec(),
        values,
    })
}

#[test]
fn alerts_fire_once_while_they_hold_and_silence_is_not_held() {
    let run = high(&[0, MINUTE, 2 * MINUTE, 3 * MINUTE]);
    let alerts =
        |run: &Run, minutes: u64| run.alerts(Side::Above, 5.0, Duration::from_secs(minutes * 60));
    assert_eq!(
        (alerts(&run, 0), alerts(&run, 3), alerts(&run, 4)),
        (1, 1, 0)
    );
    let gap = high(&[0, MINUTE, 2 * MINUTE, 62 * MINUTE, 63 * MINUTE]);
    assert_eq!((alerts(&gap, 3), alerts(&gap, 4)), (1, 0));
}

fn too_little(samples: usize, secs: u64) -> NoRecommendation {
    NoRecommendation::TooLittle {
        samples,
        span: Duration::from_secs(secs),
    }
}

#[test]
fn no_advice_has_reasons() {
    assert_eq!(recommend(&[], None, 1.0), Err(too_little(0, 0)));
    assert_eq!(
        recommended(minutes(50, |m| m as f64), None, 1.0),
        Err(too_little(50, 49 * 60))
    );
    assert_eq!(
        recommended(minutes(500, |_| f64::NAN), None, 1.0),
        Err(too_little(0, 0))
    );
    assert_eq!(
        recommended(minutes(500, |_| 3.0), None, 1.0),
        Err(NoRecommendation::Constant)
    );
}

#[test]
fn thresholds_are_round() {
    let advice = recommended(minutes(DAY, |m| (m % 100) as f64 * 0.003), None, 1.0).unwrap();
    let text = advice.best.threshold.to_string();
    assert!(text.len() <= 5, "{text}");
    let advice = recommended(minutes(DAY, |m| (m % 100) as f64 * 3e9), None, 1.0).unwrap();
    assert_eq!(advice.best.threshold % 1e9, 0.0, "{advice:?}");
}

proptest! {
    #[test]
    fn nothing_panics(values in prop::collection::vec(any::<f64>(), 0..300), target in any::<f64>()) {
        let series = minutes(values.len() as i64, |minute| values[minute as usize]);
        if let Ok(advice) = recommended(series, None, target) {
            prop_assert!(advice.others.contains(&advice.best), "{:?}", advice);
        }
    }
}
