//! Samples that the store appends to history: the series of the exposition, and their staleness markers.

use bellwether_core::{LabelSet, METRIC_NAME, UnixMillis};
use bellwether_promql::{Guard, Queryable, SampledSeries};

use super::*;
use crate::history::History;

fn summary() -> MetricDef {
    MetricDef {
        name: "summary".into(),
        exported: "x_summary".into(),
        kind: Kind::Summary,
        labels: [].into(),
        buckets: [].into(),
        quantiles: [0.5, 0.99].into(),
        ..metrics()[0].clone()
    }
}

fn with_history(history: &Arc<History>, prefix: &str) -> Store {
    let mut metrics = metrics().to_vec();
    metrics.push(summary());
    for def in &mut metrics {
        def.exported = format!("{prefix}_{}", def.name).into();
    }
    let default_labels = [
        ("b", "default"),
        ("quantile", "never"),
        ("le", "never"),
        ("env", ""),
    ]
    .map(|(name, value)| (name.into(), value.into()));
    let history = Some(history.clone());
    let options = Options {
        default_labels: default_labels.into(),
        history,
        ..Options::default()
    };
    Store::new(metrics.into(), options)
}

fn wall(seconds: u64) -> Now {
    Now {
        wall: UnixMillis(1_000_000 + seconds as i64 * 1000),
        ..at(seconds)
    }
}

fn all(history: &History) -> BTreeMap<LabelSet, SampledSeries> {
    let selected = history
        .select(
            &[],
            UnixMillis(0),
            UnixMillis(i64::MAX),
            &Guard::new(1_000_000),
        )
        .unwrap();
    selected
        .into_iter()
        .map(|series| (series.labels.clone(), series))
        .collect()
}

fn last(history: &History) -> BTreeMap<LabelSet, f64> {
    all(history)
        .into_values()
        .map(|series| (series.labels, *series.values.last().unwrap()))
        .filter(|(_, value)| !SampledSeries::is_stale(*value))
        .collect()
}

fn on_page(store: &Store) -> BTreeMap<LabelSet, f64> {
    let families = parse(&exposition(store, Format::Text), Format::Text).unwrap();
    let samples = families.into_iter().flat_map(|family| family.samples);
    samples
        .map(|sample| {
            let name = (METRIC_NAME.to_owned(), sample.name);
            (
                LabelSet::new(sample.labels.into_iter().chain([name])),
                sample.value,
            )
        })
        .collect()
}

fn everything(value: f64) -> Batch {
    let mut batch = Batch::default();
    for label in HOSTILE {
        batch.push(GAUGE, &[label, "own"], value);
        batch.push_values(HISTOGRAM, &[label], &[value, value + 1.0, value + 0.5]);
    }
    batch.push_values(MetricId(2), &[], &[0.25, value, 7.0, 2.5]);
    batch
}

#[test]
fn history_has_the_series_and_values_of_the_text_exposition() {
    let history = Arc::new(History::in_memory(1000));
    let store = with_history(&history, "x");
    for second in 1..5 {
        store.commit(&everything(second as f64), wall(second));
        store.refresh(&everything(-1.0), wall(second));
        store.commit(
            &everything(second as f64 + 0.5),
            wall(second).after(Duration::from_millis(500)),
        );
        assert_eq!(last(&history), on_page(&store));
    }
    let series = HOSTILE.len() * 5 + 4;
    let remembered = all(&history);
    assert_eq!(remembered.len(), series);
    assert!(remembered.values().all(|series| series.times.len() == 8));
    let bucket = LabelSet::new([
        ("__name__", "x_histogram_bucket"),
        ("a", "ab"),
        ("b", "default"),
        ("le", "+Inf"),
        ("quantile", "never"),
    ]);
    assert_eq!(remembered[&bucket].times[..2], [1_001_000, 1_001_500]);
    assert_eq!(remembered[&bucket].values[..2], [2.0, 2.5]);
    assert_eq!(history.stats().rejected.total(), 0);
}

#[test]
fn a_dropped_series_ends_in_history_and_may_come_back() {
    let history = Arc::new(History::in_memory(1000));
    let store = with_history(&history, "x");
    store.commit(&histogram("gone", [1.0, 2.0, 3.0]), wall(0));
    store.commit(&gauge(["stays", ""], 1.0), wall(50));
    assert_eq!(store.expire(wall(61)), 1);
    let ended: Vec<SampledSeries> = all(&history)
        .into_values()
        .filter(|series| series.labels.get("a") == "gone")
        .collect();
    assert_eq!(ended.len(), 4);
    for series in ended {
        assert_eq!(series.times, [1_000_000, 1_061_000]);
        assert!(SampledSeries::is_stale(series.values[1]));
    }
    // Another series in the slot that came free, then the first again.
    store.commit(&histogram("other", [5.0; 3]), wall(62));
    store.commit(&histogram("gone", [7.0; 3]), wall(63));
    assert_eq!(last(&history), on_page(&store));
    assert_eq!(all(&history).len(), 9);
}

#[test]
fn series_go_on_over_a_reload_and_begin_anew_under_another_name() {
    let history = Arc::new(History::in_memory(1000));
    let old = with_history(&history, "x");
    old.commit(&everything(1.0), wall(1));
    let same = with_history(&history, "x");
    same.adopt(&old);
    same.commit(&everything(2.0), wall(2));
    assert!(all(&history).values().all(|series| series.times.len() == 2));
    let renamed = with_history(&history, "y");
    renamed.adopt(&same);
    renamed.commit(&everything(3.0), wall(3));
    let third = all(&history);
    assert!(third.values().all(|series| series.times.len() <= 2));
    assert_eq!(third.len(), 2 * (HOSTILE.len() * 5 + 4));
    // A history of its own does not know the series ids of the other.
    let other = Arc::new(History::in_memory(1000));
    let elsewhere = with_history(&other, "y");
    elsewhere.adopt(&renamed);
    elsewhere.commit(&gauge(["only", ""], 1.0), wall(4));
    assert_eq!(all(&other).len(), 1);
}

#[test]
fn a_series_over_the_ceiling_is_in_the_exposition_and_counted() {
    let history = Arc::new(History::in_memory(2));
    let store = with_history(&history, "x");
    for second in 1..4 {
        store.commit(&histogram("wide", [1.0, 2.0, 3.0]), wall(second));
    }
    assert_eq!(on_page(&store).len(), 4);
    assert_eq!(all(&history).len(), 2);
    assert_eq!(history.stats().rejected.total(), 6);
}

/// The clocks of a process that started when the wall stood at `wall(seconds)`.
fn restarted(seconds: u64) -> Now {
    Now {
        mono: MonoMillis(500_000),
        ..wall(seconds)
    }
}

fn looking_back(history: &Arc<History>, window: Duration) -> Store {
    let windows = vec![(HISTOGRAM, window)];
    let options = Options {
        windows,
        history: Some(history.clone()),
        ..Options::default()
    };
    Store::new(metrics(), options)
}

fn rows(store: &Store, label: &str) -> Vec<(u64, Vec<f64>)> {
    let reader = store.read();
    let family = reader.family(HISTOGRAM);
    let slot = family.find(LabelValues::new(&[label]).packed()).unwrap();
    let window = family.get(slot).unwrap().window(MonoMillis(0));
    window
        .map(|(time, values)| (time.0, values.to_vec()))
        .collect()
}

#[test]
fn after_a_restart_windows_have_what_history_has_and_the_exposition_has_not() {
    let history = Arc::new(History::in_memory(1000));
    let before = looking_back(&history, WINDOW);
    for second in (0..=200).step_by(10) {
        before.commit(&histogram("x", [second as f64; 3]), wall(second));
        before.commit(&histogram("never again", [second as f64; 3]), wall(second));
    }
    let after = looking_back(&history, WINDOW);
    after.warm_up(restarted(230)).unwrap();
    assert_eq!(after.series(), 0);
    after.commit(&histogram("x", [9.0; 3]), restarted(231));
    let older = (150..=200)
        .step_by(10)
        .map(|second| (500_000 - (230 - second) * 1000, second as f64));
    let expected: Vec<_> = older
        .chain([(500_000, 9.0)])
        .map(|(at, n)| (at, vec![n; 3]))
        .collect();
    assert_eq!(rows(&after, "x"), expected);
    // Whoever comes too late begins anew.
    let late = Now {
        mono: MonoMillis(500_000 + 61_000),
        ..wall(292)
    };
    after.expire(late);
    after.commit(&histogram("never again", [1.0; 3]), late);
    assert_eq!(rows(&after, "never again"), [(561_000, vec![1.0; 3])]);
}

#[test]
fn a_longer_window_after_a_reload_is_filled_from_history() {
    let history = Arc::new(History::in_memory(1000));
    let old = looking_back(&history, Duration::from_secs(10));
    for second in (0..=100).step_by(10) {
        old.commit(&histogram("x", [second as f64; 3]), wall(second));
    }
    assert_eq!(rows(&old, "x").len(), 4);
    let new = looking_back(&history, WINDOW);
    new.adopt(&old);
    new.warm_up(wall(105)).unwrap();
    let times: Vec<u64> = rows(&new, "x")
        .into_iter()
        .map(|(time, _)| time / 1000)
        .collect();
    assert_eq!(times, (30..=100).step_by(10).collect::<Vec<_>>());
}

#[test]
fn rows_that_history_has_not_whole_are_not_recalled() {
    let history = Arc::new(History::in_memory(4));
    let before = looking_back(&history, WINDOW);
    before.commit(&histogram("whole", [1.0; 3]), wall(0));
    before.commit(&histogram("over the ceiling", [1.0; 3]), wall(0));
    before.expire(wall(61));
    let after = looking_back(&history, WINDOW);
    after.warm_up(restarted(62)).unwrap();
    for label in ["whole", "over the ceiling"] {
        after.commit(&histogram(label, [2.0; 3]), restarted(63));
    }
    assert_eq!(rows(&after, "whole").len(), 2);
    assert_eq!(rows(&after, "over the ceiling").len(), 1);
}

#[test]
fn a_wall_clock_that_jumps_loses_no_collection() {
    let folder = tempfile::tempdir().unwrap();
    let options = crate::history::Options {
        folder: Some(folder.path().to_owned()),
        ..crate::history::Options::default()
    };
    let (history, recovery) = History::open(options.clone(), wall(0).wall);
    assert_eq!(recovery.error, None);
    let history = Arc::new(history);
    let store = with_history(&history, "x");
    let (hour, days) = (3_600_000, 16 * 86_400_000);
    let jumps = [0, 2 * hour, -hour, days, 0];
    let mut expected = BTreeMap::new();
    for (index, second) in (0..500).step_by(10).enumerate() {
        let now = wall(second + 7 * 3600);
        let now = Now {
            wall: UnixMillis(now.wall.0 + jumps[index / 10]),
            ..now
        };
        store.commit(&gauge(["x", "y"], index as f64), now);
        store.expire(now);
        expected.insert(now.wall.0, index as f64);
    }
    assert!(history.sync());
    history.close();
    let found = |history: &History| -> BTreeMap<i64, f64> {
        let series = all(history).into_values().next().unwrap();
        series.times.into_iter().zip(series.values).collect()
    };
    assert_eq!(found(&history), expected);
    let (again, recovery) = History::open(options, wall(8 * 3600).wall);
    assert!(
        recovery.error.is_none() && recovery.losses.is_empty(),
        "{recovery:?}"
    );
    assert_eq!(found(&again), expected);
}
