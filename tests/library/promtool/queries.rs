//! PromQL rules, alerting and recording: series with gaps, that end and that come back. Nothing
//! is left out where both could differ but the edges that versions of Prometheus differ in.

use std::fmt::Write;

use bellwether_core::{AlertState, LabelSet, MonoMillis, Now, UnixMillis};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Queryable, SampledSeries};
use bellwether_rules::{
    CompileInput, Engine, RecordingSettings, RuleSettings, SampleStorage, compile,
};
use bellwether_schema::{Decode, DecodeContext, Diagnostics, parse};
use bellwether_tsdb::history::History;
use bellwether_tsdb::store::{Options, Store};
use proptest::prelude::*;

use super::Files;

const MINUTES: usize = 40;
/// Stands for the marker that the series has ended.
const ENDS: u8 = u8::MAX;

/// One rule, what it records where it does, and its two series.
#[derive(Clone, Debug)]
pub struct Case {
    query: &'static str,
    threshold: u32,
    duration: u32,
    keep_firing_for: u32,
    /// One a minute; `None`: no sample, for less than the lookback, where versions differ too.
    values: [Vec<Option<u8>>; 2],
}

/// No range ends on a sample: whether that one belongs to it has changed between versions of
/// Prometheus. `CASE` is the matcher of the case's series, `REC` what it records, `T` the threshold.
const QUERIES: [&str; 12] = [
    "usage{CASE} > T",
    "usage{CASE,zone=\"a\"} != T",
    "sum by (zone) (usage{CASE}) >= T",
    "avg_over_time(usage{CASE}[270s]) < T",
    "changes(usage{CASE}[430s]) > T / 2",
    "usage{CASE} > on (zone) (usage{CASE} offset 2m)",
    "absent(usage{CASE,zone=\"a\"})",
    "usage{CASE,zone=\"a\"} unless on () (usage{CASE,zone=\"b\"} > T)",
    "max_over_time((usage{CASE} > T)[290s:1m]) - T > 2",
    "max without (zone) (usage{CASE}) > bool T > 0",
    "REC > T * 2",
    "idelta(REC[270s]) > 1 or absent_over_time(REC[50s])",
];
const RECORDED: &str = "sum without (zone) (usage{CASE}) > 3";

pub fn case() -> impl Strategy<Value = Case> {
    let value = prop_oneof![6 => (0_u8..10).prop_map(Some), 1 => Just(None)];
    let values = prop::collection::vec(value, MINUTES).prop_flat_map(|values| {
        (Just(values), 0..MINUTES * 2).prop_map(|(mut values, gap)| {
            for at in 4..MINUTES {
                if values[at - 4..=at].iter().all(Option::is_none) {
                    values[at] = Some(at as u8 % 10);
                }
            }
            // A series that ends, and comes back.
            values
                .iter_mut()
                .skip(gap)
                .take(8)
                .for_each(|value| *value = None);
            values
                .iter_mut()
                .skip(gap)
                .take(1)
                .for_each(|value| *value = Some(ENDS));
            values
        })
    });
    let queries = prop::sample::select(QUERIES.to_vec());
    let both = [values.clone().boxed(), values.boxed()];
    (queries, 1_u32..9, 0_u32..4, 0_u32..4, both).prop_map(
        |(query, threshold, duration, keep_firing_for, values)| Case {
            query,
            threshold,
            duration,
            keep_firing_for,
            values,
        },
    )
}

impl Case {
    fn filled(&self, query: &str, n: usize) -> String {
        query
            .replace("CASE", &format!("case=\"{n}\""))
            .replace("REC", &recorded(n))
            .replace('T', &self.threshold.to_string())
    }
}

fn recorded(n: usize) -> String {
    format!("case:usage{n}:sum")
}

/// Result of one minute: the labels of firing alerts and the recorded value, by case.
#[derive(Default)]
struct Minute {
    firing: Vec<Vec<String>>,
    recorded: Vec<Option<f64>>,
}

fn now(minute: usize) -> Now {
    let millis = minute as u64 * 60_000;
    Now {
        mono: MonoMillis(3_600_000 + millis),
        wall: UnixMillis(millis as i64),
    }
}

fn engine(cases: &[Case]) -> (Engine, Store) {
    let (mut rules, mut recordings) = (String::new(), String::new());
    for (n, case) in cases.iter().enumerate() {
        let (
            query,
            Case {
                duration,
                keep_firing_for,
                ..
            },
        ) = (case.filled(case.query, n), case);
        writeln!(
            rules,
            "- {{name: c{n}, promql: '{query}', duration: {duration}m, \
             keep_firing_for: {keep_firing_for}m, interval: 1m}}"
        )
        .expect("text");
        let query = case.filled(RECORDED, n);
        writeln!(
            recordings,
            "- {{record: '{}', promql: '{query}', labels: {{of: '{n}'}}, interval: 1m}}",
            recorded(n)
        )
        .expect("text");
    }
    let mut problems = Diagnostics::default();
    let mut cx = DecodeContext::new(&mut problems, &|_| None);
    let rules = Vec::<RuleSettings>::decode(&parse(&rules).expect("YAML"), &mut cx);
    let recordings = Vec::<RecordingSettings>::decode(&parse(&recordings).expect("YAML"), &mut cx);
    let (rules, recordings) = (rules.expect("rules"), recordings.expect("recording rules"));
    let declared = CompileInput {
        recordings: &recordings,
        ..CompileInput::new(&rules, &[])
    };
    let set = compile(&declared, &mut problems);
    assert!(problems.is_empty(), "{:?}", problems.into_sorted());
    (
        Engine::new(set, now(0)),
        Store::new([].into(), Options::default()),
    )
}

/// Returns Bellwether's result of each minute.
fn seen(cases: &[Case]) -> Vec<Minute> {
    let (mut engine, store) = engine(cases);
    let history = History::in_memory(100_000);
    let mut minutes = Vec::new();
    for minute in 0..MINUTES {
        let now = now(minute);
        let mut samples = Vec::new();
        for (n, case) in cases.iter().enumerate() {
            for (zone, values) in ["a", "b"].iter().zip(&case.values) {
                let Some(value) = values[minute] else {
                    continue;
                };
                let labels = [
                    ("__name__", "usage"),
                    ("case", &n.to_string()),
                    ("zone", zone),
                ];
                let value = if value == ENDS {
                    SampledSeries::stale()
                } else {
                    f64::from(value)
                };
                samples.push((LabelSet::new(labels), value));
            }
        }
        assert_eq!(history.record(now.wall, &samples), 0);
        let tick = engine.tick(&store, Some(&history), now, None);
        assert_eq!((tick.evaluated, tick.failed), (cases.len() * 2, 0));
        let mut firing = vec![Vec::new(); cases.len()];
        for alert in engine
            .alerts()
            .iter()
            .filter(|alert| alert.state == AlertState::Firing)
        {
            let n: usize = alert.rule[1..].parse().expect("a number");
            let labels: Vec<String> = alert
                .labels
                .iter()
                .map(|(name, value)| format!("{name}: \"{value}\""))
                .collect();
            firing[n].push(format!("{{exp_labels: {{{}}}}}", labels.join(", ")));
        }
        let recorded = (0..cases.len()).map(|n| value_of(&history, &recorded(n), now.wall));
        minutes.push(Minute {
            firing,
            recorded: recorded.collect(),
        });
    }
    minutes
}

/// The value recorded at `at`; none where the series has ended.
fn value_of(history: &History, name: &str, at: UnixMillis) -> Option<f64> {
    let matchers = [LabelMatcher::equal("__name__", name)];
    let found = history
        .select(&matchers, at, at, &Guard::default())
        .expect("readable");
    let value = found
        .first()
        .and_then(|series| series.values.last().copied());
    value.filter(|value| !SampledSeries::is_stale(*value))
}

/// The rules and the test that promtool runs.
fn for_promtool(cases: &[Case], minutes: &[Minute]) -> (String, String) {
    let mut rules = "groups:\n- name: g\n  interval: 1m\n  rules:\n".to_owned();
    let mut test = "rule_files: [rules.yaml]\nevaluation_interval: 1m\ntests:\n\
                    - interval: 1m\n  input_series:\n"
        .to_owned();
    for (n, case) in cases.iter().enumerate() {
        let query = case.filled(RECORDED, n);
        writeln!(
            rules,
            "  - {{record: '{}', expr: '{query}', labels: {{of: '{n}'}}}}",
            recorded(n)
        )
        .expect("text");
    }
    for (n, case) in cases.iter().enumerate() {
        let (
            query,
            Case {
                duration,
                keep_firing_for,
                ..
            },
        ) = (case.filled(case.query, n), case);
        writeln!(
            rules,
            "  - {{alert: c{n}, expr: '{query}', for: {duration}m, keep_firing_for: {keep_firing_for}m}}"
        )
        .expect("text");
        for (zone, values) in ["a", "b"].iter().zip(&case.values) {
            let values: Vec<String> = values
                .iter()
                .map(|value| match value {
                    None => "_".to_owned(),
                    Some(ENDS) => "stale".to_owned(),
                    Some(value) => value.to_string(),
                })
                .collect();
            let values = values.join(" ");
            writeln!(
                test,
                "  - {{series: 'usage{{case=\"{n}\",zone=\"{zone}\"}}', values: '{values}'}}"
            )
            .expect("text");
        }
    }
    test.push_str("  alert_rule_test:\n");
    for (minute, seen) in minutes.iter().enumerate() {
        for (n, alerts) in seen.firing.iter().enumerate() {
            let alerts = alerts.join(", ");
            writeln!(
                test,
                "  - {{eval_time: {minute}m, alertname: c{n}, exp_alerts: [{alerts}]}}"
            )
            .expect("text");
        }
    }
    test.push_str("  promql_expr_test:\n");
    for (minute, seen) in minutes.iter().enumerate() {
        for (n, value) in seen.recorded.iter().enumerate() {
            let name = recorded(n);
            let sample = value.map(|value| {
                format!("{{labels: '{name}{{case=\"{n}\",of=\"{n}\"}}', value: {value}}}")
            });
            let sample = sample.unwrap_or_default();
            writeln!(
                test,
                "  - {{expr: '{name}', eval_time: {minute}m, exp_samples: [{sample}]}}"
            )
            .expect("text");
        }
    }
    (rules, test)
}

/// Returns Bellwether's results of `cases`.
pub fn run(cases: &[Case]) -> Files {
    let minutes = seen(cases);
    let (rules, test) = for_promtool(cases, &minutes);
    let alerts = minutes.iter().flat_map(|minute| &minute.firing);
    Files {
        rules,
        test,
        firing: alerts.filter(|alerts| !alerts.is_empty()).count(),
    }
}
