//! Prometheus's own scripts.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use bellwether_core::{LabelSet, METRIC_NAME, UnixMillis};
use bellwether_promql::{Answer, Guard, Options, QueryError, SampledSeries, Value};
use bellwether_tsdb::history::History;

use crate::promql::script::{self, Command, Expected, Point, Series, When};

/// Directory of the scripts, if it exists.
fn scripts() -> Option<PathBuf> {
    let given = std::env::var_os("BELLWETHER_TEST_DATA").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    given
        .into_iter()
        .chain([beside])
        .map(|data| data.join("promql/testdata"))
        .find(|dir| dir.is_dir())
}

/// Series that were loaded since the last `clear`.
struct Loaded {
    history: History,
    samples: BTreeMap<i64, Vec<(LabelSet, f64)>>,
    /// Names of series with native histograms.
    native: BTreeSet<String>,
    /// Names of series whose samples have start times.
    start_times: BTreeSet<String>,
}

impl Loaded {
    fn new() -> Self {
        Self {
            history: History::in_memory(100_000),
            samples: BTreeMap::new(),
            native: BTreeSet::new(),
            start_times: BTreeSet::new(),
        }
    }

    fn load(&mut self, step: i64, series: &[Series], native_too: bool) {
        // Of a series that is given twice the last counts.
        let last: BTreeMap<&LabelSet, &Series> = series
            .iter()
            .filter(|one| !one.start_times)
            .map(|one| (&one.labels, one))
            .collect();
        let with_start = series.iter().filter(|one| one.start_times);
        self.start_times
            .extend(with_start.map(|one| one.labels.name().to_owned()));
        for one in last.into_values() {
            for (index, point) in one.points.iter().enumerate() {
                let value = match point {
                    Point::Missing => continue,
                    Point::Histogram => {
                        self.native.insert(one.labels.name().to_owned());
                        continue;
                    }
                    Point::Float(value) => *value,
                    Point::Stale => SampledSeries::stale(),
                };
                let at = index as i64 * step;
                self.samples
                    .entry(at)
                    .or_default()
                    .push((one.labels.clone(), value));
            }
            if native_too {
                let name = one.labels.name();
                self.native
                    .insert(name.strip_suffix("_bucket").unwrap_or(name).to_owned());
            }
        }
        self.history = History::in_memory(100_000);
        for (at, samples) in &self.samples {
            let samples: Vec<_> = samples
                .iter()
                .map(|(labels, value)| (self.history.series_id(labels).expect("room"), *value))
                .collect();
            self.history.append(UnixMillis(*at), &samples);
        }
    }

    fn ask(&self, when: When, query: &str) -> Result<Answer, String> {
        let query = bellwether_promql::parse(query).map_err(|error| error.to_string())?;
        // As the scripts' own runner has it.
        let options = Options {
            delayed_name_removal: true,
            ..Options::default()
        };
        let guard = Guard::default();
        let answer: Result<Answer, QueryError> = match when {
            When::Instant(at) => query.instant(&self.history, UnixMillis(at), &options, &guard),
            When::Range { start, end, step } => {
                let step = Duration::from_millis(step as u64);
                query.range(
                    &self.history,
                    UnixMillis(start),
                    UnixMillis(end),
                    step,
                    &options,
                    &guard,
                )
            }
        };
        answer.map_err(|error| error.to_string())
    }

    /// An instant is what the middle of a range is, as the scripts' own runner has it: errors of
    /// other steps, and functions of the range itself, aside.
    fn same_in_a_range(&self, when: When, query: &str) -> Result<(), String> {
        const MINUTE: i64 = 60_000;
        let When::Instant(at) = when else {
            return Ok(());
        };
        let about = ["start()", "end()", "step()", "range()"];
        let range = When::Range {
            start: at - MINUTE,
            end: at + MINUTE,
            step: MINUTE,
        };
        let (
            Ok(now),
            Ok(Answer {
                value: Value::Matrix(series),
                ..
            }),
        ) = (self.ask(when, query), self.ask(range, query))
        else {
            return Ok(());
        };
        let in_range = series.into_iter().filter_map(|one| {
            let index = one.times.binary_search(&at).ok()?;
            Some((one.labels, one.values[index]))
        });
        let in_range = in_range.collect::<BTreeMap<_, _>>();
        let now: BTreeMap<LabelSet, f64> = match now.value {
            Value::Vector(samples) => samples
                .into_iter()
                .map(|one| (one.labels, one.value))
                .collect(),
            Value::Scalar { value, .. } => [(LabelSet::default(), value)].into(),
            _ => return Ok(()),
        };
        let same = now.len() == in_range.len()
            && now
                .iter()
                .zip(&in_range)
                .all(|(a, b)| a.0 == b.0 && near(*a.1, *b.1));
        if same || about.iter().any(|part| query.contains(part)) {
            return Ok(());
        }
        Err(format!("{now:?}, but in a range {in_range:?}"))
    }
}

/// Returns whether two numbers count as equal, as in the scripts' own runner.
fn near(a: f64, b: f64) -> bool {
    const EPSILON: f64 = 1e-6;
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (difference, sum) = ((a - b).abs(), a.abs() + b.abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}

/// Returns the error of an answer.
fn check(when: When, expected: &Expected, got: Result<Answer, String>) -> Result<(), String> {
    let answer = match got {
        Err(error) if expected.fail => {
            let wrong = expected.unlike(&error);
            return wrong.map_or(Ok(()), |text| {
                Err(format!("fails with {error:?}, not {text:?}"))
            });
        }
        Err(error) => return Err(format!("fails: {error}")),
        Ok(_) if expected.fail => return Err("does not fail".into()),
        Ok(answer) => answer,
    };
    for (what, wanted, got) in [
        ("warning", &expected.warn, &answer.warnings),
        ("info", &expected.info, &answer.infos),
    ] {
        if !wanted.fits(got) {
            return Err(format!("{what}s: {got:?}, not {wanted:?}"));
        }
    }
    match &answer.value {
        Value::Scalar { value, .. } => match expected.scalar {
            Some(wanted) if near(*value, wanted) => Ok(()),
            wanted => Err(format!("{value}, not {wanted:?}")),
        },
        Value::String { text, .. } => match &expected.string {
            Some(wanted) if wanted == text => Ok(()),
            wanted => Err(format!("{text:?}, not {wanted:?}")),
        },
        Value::Vector(samples) => {
            let got: Vec<_> = samples
                .iter()
                .map(|one| (one.labels.clone(), vec![(0, one.value)]))
                .collect();
            compare(&wanted(when, expected), &got, expected.ordered)
        }
        Value::Matrix(series) => {
            let got: Vec<_> = series
                .iter()
                .map(|one| {
                    let points = one.times.iter().copied().zip(one.values.iter().copied());
                    (one.labels.clone(), points.collect())
                })
                .collect();
            compare(&wanted(when, expected), &got, false)
        }
    }
}

type Points = (LabelSet, Vec<(i64, f64)>);
type Lines = Vec<Points>;

fn wanted(when: When, expected: &Expected) -> Lines {
    let (start, step) = match (when, expected.times) {
        (_, Some(times)) => times,
        (When::Range { start, step, .. }, None) => (start, step),
        (When::Instant(_), None) => (0, 0),
    };
    let lines = expected.series.iter().map(|one| {
        let points = one
            .points
            .iter()
            .enumerate()
            .filter_map(|(index, point)| match point {
                Point::Float(value) => Some((start + index as i64 * step, *value)),
                Point::Histogram => Some((i64::MIN, 0.0)),
                _ => None,
            });
        (one.labels.clone(), points.collect::<Vec<_>>())
    });
    lines.filter(|(_, points)| !points.is_empty()).collect()
}

fn compare(wanted: &Lines, got: &Lines, ordered: bool) -> Result<(), String> {
    let (mut wanted, mut got) = (wanted.clone(), got.clone());
    if !ordered {
        wanted.sort_by(|a, b| a.0.cmp(&b.0));
        got.sort_by(|a, b| a.0.cmp(&b.0));
    }
    let same = |(a, b): (&Points, &Points)| {
        a.0 == b.0
            && a.1.len() == b.1.len()
            && a.1
                .iter()
                .zip(&b.1)
                .all(|(a, b)| a.0 == b.0 && near(a.1, b.1))
    };
    if wanted.len() == got.len() && wanted.iter().zip(&got).all(same) {
        return Ok(());
    }
    Err(format!("got {got:?}\n      not {wanted:?}"))
}

const NO_UTF_8: &str = "a text that is not UTF-8, which the parser cannot hold";
const START_TIMES: &str = "start times of samples, an experimental part of the storage";

/// Returns the unsupported feature that a failing eval needs.
fn reason(query: &str, expected: &Expected, loaded: &Loaded) -> Option<&'static str> {
    let Ok(parsed) = bellwether_promql::parse(query) else {
        let experimental = |words: &[&str]| words.iter().any(|word| query.contains(word));
        return match () {
            () if experimental(&["anchored", "smoothed"]) => {
                Some("anchored and smoothed selectors, which the parser lacks")
            }
            () if experimental(&["</", ">/"]) => Some("native histograms"),
            () if experimental(&["start_timestamp("]) => Some(START_TIMES),
            () if experimental(&["\\x"]) => Some(NO_UTF_8),
            () if query.starts_with("info(") => {
                Some("selectors that match all series, which the parser rejects in info() too")
            }
            () if experimental(&["[", "offset"]) => {
                Some("arithmetic in durations, which the parser lacks")
            }
            () => None,
        };
    };
    let histograms = expected
        .series
        .iter()
        .any(|one| one.points.contains(&Point::Histogram));
    let named = |name: &String| {
        parsed.selectors().iter().any(|selector| {
            let by_name = selector
                .matchers
                .iter()
                .find(|one| &*one.name == METRIC_NAME);
            by_name.is_none_or(|one| one.test.matches(name))
        })
    };
    if histograms || loaded.native.iter().any(named) {
        return Some("native histograms");
    }
    if loaded.start_times.iter().any(named) {
        return Some(START_TIMES);
    }
    let swapped = query.contains("group_right fill_");
    swapped.then_some("sides of `group_right` that Prometheus 3.16 fills the other way round")
}

#[test]
fn prometheus_scripts_pass() {
    let Some(folder) = scripts() else {
        println!(
            "NOT RUN: Prometheus's scripts are missing: set BELLWETHER_TEST_DATA to the folder that holds promql/testdata"
        );
        return;
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let (mut passed, mut left_out) = (0, BTreeMap::<&str, Vec<String>>::new());
    let mut failed = Vec::new();
    for path in files {
        let file = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let text = std::fs::read_to_string(&path).expect("a script");
        let mut loaded = Loaded::new();
        for command in script::read(&text) {
            match command {
                Command::Clear => loaded = Loaded::new(),
                Command::Load {
                    step,
                    series,
                    native_too,
                } => loaded.load(step, &series, native_too),
                Command::Eval {
                    line,
                    when,
                    query,
                    expected,
                } => {
                    let checked = check(when, &expected, loaded.ask(when, &query))
                        .and_then(|()| loaded.same_in_a_range(when, &query));
                    let Err(wrong) = checked else {
                        passed += 1;
                        continue;
                    };
                    match reason(&query, &expected, &loaded) {
                        Some(reason) => {
                            left_out
                                .entry(reason)
                                .or_default()
                                .push(format!("{file}:{line}"));
                        }
                        None => failed.push(format!("{file}:{line}: {query}\n      {wrong}")),
                    }
                }
            }
        }
    }
    assert!(
        failed.is_empty(),
        "{} fail:\n{}",
        failed.len(),
        failed.join("\n")
    );
    let mut report = format!("{passed} pass\n");
    for (reason, evals) in &left_out {
        report += &format!(
            "\n{} left out: {reason}\n{}\n",
            evals.len(),
            evals.join("\n")
        );
    }
    // Past the harness, which keeps what tests print to itself.
    let heads = report.lines().filter(|line| line.contains(' '));
    let heads: Vec<&str> = heads.collect();
    writeln!(
        std::io::stderr(),
        "Prometheus's scripts: {}",
        heads.join("; ")
    )
    .expect("stderr");
    let list = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers/promql/left_out.txt");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&list, &report).expect("a writable list");
    }
    let known = std::fs::read_to_string(&list).expect("the list");
    assert_eq!(
        known, report,
        "tests/peers/promql/left_out.txt is another list; UPDATE_EXPECTED=1 writes it"
    );
}
