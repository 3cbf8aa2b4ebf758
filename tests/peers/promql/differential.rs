//! The same samples in Bellwether and in a real Prometheus, asked the same queries, compared value
//! by value. Debian's is 2.42, we do as Prometheus 3: what differs between these two is not asked,
//! which is samples on the left edge of a window (the times avoid it) and `atan2` keeping the name.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_promql::{Guard, Options, Value};
use bellwether_tsdb::history::History;
use serde_json::Value as Json;

use crate::support::prometheus::Prometheus;

const QUERIES: &str = include_str!("queries.txt");

/// Seconds of the first minute with samples. All samples are taken 7 s after a quarter of a
/// minute, all steps are 13 s after one: none is on the edge of a window.
const BASE: i64 = 1_700_000_040;
const SAMPLES: i64 = 240;
const INSTANT: i64 = BASE + 40 * 60 + 13;

/// A series: its name, its labels, and its value by number of the sample.
type Series = (
    &'static str,
    Vec<(&'static str, &'static str)>,
    Box<dyn Fn(i64) -> Option<f64>>,
);

/// A number between 0 and 1 that looks as if by chance.
fn noise(seed: i64, index: i64) -> f64 {
    let mixed = (seed * 1_000_003 + index).wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64) as u64;
    (mixed >> 40) as f64 / (1_u64 << 24) as f64
}

/// A counter that grows by about `slope` a sample and starts anew each `period` samples.
fn counter(seed: i64, slope: f64, period: i64) -> Box<dyn Fn(i64) -> Option<f64>> {
    Box::new(move |index| {
        let since = index % period;
        Some((since as f64 * slope + noise(seed, since)).floor())
    })
}

fn data() -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    let mut seed = 0;
    for job in ["api", "web"] {
        for instance in ["a", "b", "c"] {
            for code in ["200", "500"] {
                seed += 1;
                let slope = if code == "200" {
                    20.0 + seed as f64
                } else {
                    0.7 * seed as f64
                };
                let labels = vec![("job", job), ("instance", instance), ("code", code)];
                all.push((
                    "requests_total",
                    labels,
                    counter(seed, slope, 70 + 31 * seed),
                ));
            }
        }
        for (rank, le) in ["0.1", "0.5", "1", "2.5", "+Inf"].into_iter().enumerate() {
            let slope = [3.0, 8.0, 15.0, 17.0, 19.0][rank] * if job == "api" { 1.0 } else { 2.5 };
            let labels = vec![("job", job), ("le", le)];
            all.push((
                "latency_bucket",
                labels,
                Box::new(move |i| Some((i as f64 * slope).floor())),
            ));
        }
        all.push(("latency_count", vec![("job", job)], counter(90, 19.0, 1000)));
        all.push(("latency_sum", vec![("job", job)], counter(91, 14.5, 1000)));
    }
    for instance in ["a", "b", "c"] {
        for mode in ["user", "system"] {
            seed += 1;
            let wave = move |index: i64| {
                50.0 + 40.0 * (index as f64 / 17.0 + seed as f64).sin() + 9.0 * noise(seed, index)
            };
            let labels = vec![("instance", instance), ("mode", mode)];
            all.push((
                "cpu_usage",
                labels,
                Box::new(move |index| Some(wave(index))),
            ));
        }
        let limit = f64::from(instance.as_bytes()[0] - b'a') * 10.0 + 40.0;
        all.push((
            "total_limit",
            vec![("instance", instance)],
            Box::new(move |_| Some(limit)),
        ));
    }
    for (instance, version) in [("a", "1"), ("b", "2")] {
        let labels = vec![("instance", instance), ("version", version)];
        all.push(("build_info", labels, Box::new(|_| Some(1.0))));
    }
    for (room, gap) in [("north", 7), ("south", 3)] {
        all.push((
            "temperature",
            vec![("room", room)],
            Box::new(move |index| {
                let value = (noise(gap, index / 2) * 40.0 - 15.0).round() / 2.0;
                (index % gap != 1 && !(100..130).contains(&index)).then_some(value)
            }),
        ));
    }
    let odd =
        |index: i64| [1.0, f64::NAN, f64::INFINITY, -2.0, f64::NEG_INFINITY, 0.0][index as usize];
    all.push((
        "odd_values",
        vec![("kind", "x")],
        Box::new(move |i| Some(odd(i / 16 % 6))),
    ));
    all.push((
        "odd_values",
        vec![("kind", "y")],
        Box::new(move |i| Some(odd(i / 9 % 4))),
    ));
    let short = |index: i64| {
        (60..120)
            .contains(&index)
            .then_some(index as f64 * 3.0 - 100.0)
    };
    all.push(("short_lived", vec![("job", "batch")], Box::new(short)));
    all
}

fn time(index: i64) -> i64 {
    BASE + 7 + 15 * index
}

fn ours(data: &[Series]) -> History {
    let history = History::in_memory(1000);
    let series = data.iter().map(|(name, labels, value)| {
        let labels = labels.iter().copied().chain([("__name__", *name)]);
        (
            history.series_id(&LabelSet::new(labels)).expect("room"),
            value,
        )
    });
    let series: Vec<_> = series.collect();
    for index in 0..SAMPLES {
        let samples = series
            .iter()
            .filter_map(|(one, value)| Some((*one, value(index)?)));
        history.append(UnixMillis(time(index) * 1000), &samples.collect::<Vec<_>>());
    }
    history
}

/// Writes the samples as blocks of a Prometheus below `folder`, and starts it.
fn theirs(data: &[Series], folder: &Path) -> Prometheus {
    let mut text = String::new();
    for (name, labels, value) in data {
        let labels: Vec<String> = labels.iter().map(|(n, v)| format!("{n}={v:?}")).collect();
        for index in 0..SAMPLES {
            if let Some(value) = value(index) {
                let (labels, time) = (labels.join(","), time(index));
                writeln!(text, "{name}{{{labels}}} {value} {time}").expect("text");
            }
        }
    }
    let file = folder.join("samples.txt");
    std::fs::write(&file, text + "# EOF\n").expect("a file");
    let output = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .arg(file)
        .arg(folder.join("prometheus"))
        .output()
        .expect("promtool is needed: apt-get install prometheus");
    assert!(output.status.success(), "{output:?}");
    Prometheus::start(folder, "")
}

/// By labels, times in milliseconds and values; or what kind of error.
type Answer = Result<BTreeMap<String, Vec<(i64, f64)>>, String>;

/// As our own kinds: theirs are `execution` and `bad_data` too.
fn parsed(answer: &Json) -> Answer {
    if answer["status"] != "success" {
        return Err(answer["errorType"].as_str().unwrap_or_default().to_owned());
    }
    let point = |pair: &Json| {
        let seconds = pair[0].as_f64().expect("a time");
        let value = pair[1].as_str().expect("a value");
        (
            (seconds * 1000.0).round() as i64,
            value.parse().unwrap_or(f64::NAN),
        )
    };
    let data = &answer["data"];
    if ["scalar", "string"]
        .iter()
        .any(|kind| data["resultType"] == *kind)
    {
        return Ok([(String::new(), vec![point(&data["result"])])].into());
    }
    let series = data["result"]
        .as_array()
        .expect("series")
        .iter()
        .map(|one| {
            let labels: BTreeMap<String, String> =
                serde_json::from_value(one["metric"].clone()).expect("labels");
            let values = match one["values"].as_array() {
                Some(values) => values.iter().map(point).collect(),
                None => vec![point(&one["value"])],
            };
            (LabelSet::new(labels).to_string(), values)
        });
    Ok(series.collect())
}

fn calculated(answer: Result<bellwether_promql::Answer, bellwether_promql::QueryError>) -> Answer {
    let answer = answer.map_err(|error| error.kind().to_owned())?;
    Ok(match answer.value {
        Value::Scalar { at, value } => [(String::new(), vec![(at.0, value)])].into(),
        Value::String { at, .. } => [(String::new(), vec![(at.0, f64::NAN)])].into(),
        Value::Vector(samples) => samples
            .into_iter()
            .map(|one| (one.labels.to_string(), vec![(one.at.0, one.value)]))
            .collect(),
        Value::Matrix(series) => series
            .into_iter()
            .map(|one| {
                (
                    one.labels.to_string(),
                    one.times.into_iter().zip(one.values).collect(),
                )
            })
            .collect(),
    })
}

/// Equal but for the last digits: Prometheus 3 adds with a correction, 2.42 does not everywhere.
fn same(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-3)
}

/// The first difference.
fn differ(ours: &Answer, theirs: &Answer) -> Option<String> {
    let (ours, theirs) = match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(ours), Err(theirs)) if ours == theirs => return None,
        (ours, theirs) => return Some(format!("{ours:?}, not {theirs:?}")),
    };
    if !ours.keys().eq(theirs.keys()) {
        return Some(format!("{:?}, not {:?}", ours.keys(), theirs.keys()));
    }
    for (labels, ours) in ours {
        let theirs = &theirs[labels];
        let points = ours.iter().zip(theirs);
        let wrong = points.clone().find(|(a, b)| a.0 != b.0 || !same(a.1, b.1));
        if let Some((ours, theirs)) = wrong {
            return Some(format!("{labels}: {ours:?}, not {theirs:?}"));
        }
        if ours.len() != theirs.len() {
            return Some(format!(
                "{labels}: {} samples, not {}",
                ours.len(),
                theirs.len()
            ));
        }
    }
    None
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn answers_are_those_of_prometheus() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = data();
    let (ours, theirs) = (ours(&data), theirs(&data, folder.path()));
    // The lookback that the real one is started with.
    let options = Options {
        lookback: Duration::from_secs(60),
        ..Options::default()
    };
    let (start, end) = (BASE - 2 * 60 + 13, BASE + 64 * 60 + 13);
    let (mut asked, mut values, mut wrong) = (0, 0, Vec::new());
    for text in QUERIES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        asked += 1;
        let ask = |when: Option<(UnixMillis, UnixMillis)>| {
            let guard = Guard::default();
            let query = bellwether_promql::parse(text).map_err(|_| "bad_data".to_owned())?;
            calculated(match when {
                None => query.instant(&ours, UnixMillis(INSTANT * 1000), &options, &guard),
                Some((from, to)) => {
                    query.range(&ours, from, to, Duration::from_secs(60), &options, &guard)
                }
            })
        };
        let (instant, range) = (
            ask(None),
            ask(Some((UnixMillis(start * 1000), UnixMillis(end * 1000)))),
        );
        let encoded = encoded(text);
        let paths = [
            format!("/api/v1/query?query={encoded}&time={INSTANT}"),
            format!("/api/v1/query_range?query={encoded}&start={start}&end={end}&step=60"),
        ];
        for (path, ours) in paths.iter().zip([instant, range]) {
            let theirs = parsed(&theirs.ask(path).1);
            values += theirs
                .iter()
                .flat_map(BTreeMap::values)
                .map(Vec::len)
                .sum::<usize>();
            if let Some(difference) = differ(&ours, &theirs) {
                let kind = if path.contains("range") {
                    "range"
                } else {
                    "instant"
                };
                wrong.push(format!("{kind} {text}\n      {difference}"));
            }
        }
    }
    println!("{asked} queries, each as an instant and as a range: {values} values of Prometheus");
    assert!(
        asked >= 100 && values > 10_000,
        "{asked} queries, {values} values"
    );
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
