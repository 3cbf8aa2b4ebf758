mod crash;
mod damage;
mod disk;
mod late;
mod limits;
mod mounted;
mod property;
mod tail;

use std::collections::BTreeMap;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

/// 2026-11-21, where a block begins.
const START: i64 = 1_795_219_200_000;
const HOUR: i64 = 3_600_000;

/// Expected content of a history: samples by series and time.
type Model = BTreeMap<String, BTreeMap<i64, u64>>;

fn named(number: usize) -> LabelSet {
    LabelSet::new([("__name__", "load"), ("host", &format!("h{number}"))])
}

fn options(folder: &TempDir) -> Options {
    Options {
        folder: Some(folder.path().join("history")),
        ..Options::default()
    }
}

fn open(folder: &TempDir) -> (History, Recovery) {
    open_at(folder, START)
}

fn open_at(folder: &TempDir, now: i64) -> (History, Recovery) {
    History::open(options(folder), UnixMillis(now))
}

fn refs(history: &History, count: usize) -> Vec<SeriesId> {
    (0..count)
        .map(|number| history.series_id(&named(number)).unwrap())
        .collect()
}

/// Appends a collection of `series` at each step, with values that show their origin.
fn fill(history: &History, series: &[SeriesId], times: impl IntoIterator<Item = i64>) {
    for at in times {
        history.append(
            UnixMillis(at),
            &series
                .iter()
                .enumerate()
                .map(|(number, series)| (*series, value(number, at)))
                .collect::<Vec<_>>(),
        );
    }
}

fn value(number: usize, at: i64) -> f64 {
    (number as i64 * 1000 + at.rem_euclid(977_000) / 1000) as f64 / 100.0
}

fn every(seconds: i64, from: i64, to: i64) -> impl Iterator<Item = i64> {
    (from..to).step_by(seconds as usize * 1000)
}

fn everything(history: &History) -> Model {
    between(history, i64::MIN, i64::MAX)
}

fn between(history: &History, from: i64, to: i64) -> Model {
    let selected = history
        .select(&[], UnixMillis(from), UnixMillis(to), &Guard::default())
        .unwrap();
    selected
        .into_iter()
        .map(|series| {
            assert!(
                series.times.windows(2).all(|two| two[0] < two[1]),
                "{:?}",
                series.times
            );
            let bits = series.values.iter().map(|value| value.to_bits());
            let samples: BTreeMap<i64, u64> = series.times.iter().copied().zip(bits).collect();
            assert_eq!(
                (samples.len(), series.values.len()),
                (series.times.len(), series.times.len())
            );
            (series.labels.to_string(), samples)
        })
        .collect()
}

fn count(model: &Model) -> usize {
    model.values().map(BTreeMap::len).sum()
}

/// Files of the history in `folder` whose names end so.
fn files(folder: &TempDir, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.path().join("history")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_str().unwrap().ends_with(ending));
    files.sort();
    files
}

#[test]
fn what_was_appended_is_selected() {
    let history = History::in_memory(1);
    let up = LabelSet::new([("__name__", "up"), ("job", "x")]);
    let series = history.series_id(&up).unwrap();
    assert_eq!(history.series_id(&up), Some(series));
    assert_eq!(
        history.series_id(&LabelSet::new([("__name__", "down")])),
        None
    );
    for second in 0..10 {
        history.append(UnixMillis(second * 1000), &[(series, second as f64)]);
    }
    history.append(UnixMillis(9000), &[(series, 0.0)]);
    history.append(UnixMillis(9000), &[(SeriesId(7), 0.0)]);
    let rejected = history.stats().rejected;
    assert_eq!(
        rejected,
        Rejected {
            duplicate: 1,
            out_of_order: 0,
            series_limit: 1,
            unknown: 1
        }
    );
    let matchers = [LabelMatcher::equal("job", "x")];
    let guard = Guard::new(100);
    let selected = history
        .select(&matchers, UnixMillis(2000), UnixMillis(4500), &guard)
        .unwrap();
    let expected = SampledSeries {
        labels: up.clone(),
        times: vec![2000, 3000, 4000],
        values: vec![2.0, 3.0, 4.0],
    };
    assert_eq!(selected, [expected]);
    assert_eq!(
        history
            .series(&matchers, UnixMillis(0), UnixMillis(0), &guard)
            .unwrap(),
        [up]
    );
    assert_eq!(
        history
            .series(&matchers, UnixMillis(10_000), UnixMillis(20_000), &guard)
            .unwrap(),
        []
    );
}

#[test]
fn a_query_over_its_limit_ends() {
    let history = History::in_memory(10);
    let series = refs(&history, 10);
    fill(&history, &series, every(1, START, START + 600_000));
    let guard = Guard::new(5_999);
    let ended = history
        .select(&[], UnixMillis(START), UnixMillis(i64::MAX), &guard)
        .unwrap_err();
    assert!(matches!(ended, StorageError::Stopped(_)), "{ended}");
    assert!(
        history
            .select(
                &[],
                UnixMillis(START),
                UnixMillis(i64::MAX),
                &Guard::new(6_000)
            )
            .is_ok()
    );
}
