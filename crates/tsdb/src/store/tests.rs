//! The store against a simple model, and through an exposition and back.

mod history;
mod ingested;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Kind, LabelValues, MonoMillis, Origin, UnixMillis};
use bellwether_exposition::{Format, Renderer, parse};
use proptest::prelude::*;

use super::*;

const GAUGE: MetricId = MetricId(0);
const HISTOGRAM: MetricId = MetricId(1);
const WINDOW: Duration = Duration::from_secs(60);

fn metrics() -> Arc<[MetricDef]> {
    let def = |name: &str, kind, labels: &[&str], buckets: &[f64], interval| MetricDef {
        name: name.into(),
        exported: format!("x_{name}").into(),
        help: "".into(),
        kind,
        labels: labels.iter().map(|label| Arc::from(*label)).collect(),
        buckets: buckets.into(),
        quantiles: [].into(),
        origin: Origin::APPLICATION,
        interval: Duration::from_secs(interval),
    };
    [
        def("gauge", Kind::Gauge, &["a", "b"], &[], 10),
        def("histogram", Kind::Histogram, &["a"], &[1.0], 20),
    ]
    .into()
}

fn store() -> Store {
    let default_labels = Labels::from([("b".into(), "default".into())]);
    let windows = vec![
        (HISTOGRAM, WINDOW / 2),
        (HISTOGRAM, WINDOW),
        (HISTOGRAM, WINDOW / 3),
    ];
    Store::new(
        metrics(),
        Options {
            default_labels,
            windows,
            ..Options::default()
        },
    )
}

fn at(seconds: u64) -> Now {
    Now::default().after(Duration::from_secs(seconds))
}

fn gauge(labels: [&str; 2], value: f64) -> Batch {
    let mut batch = Batch::default();
    batch.push(GAUGE, &labels, value);
    batch
}

fn histogram(label: &str, values: [f64; 3]) -> Batch {
    let mut batch = Batch::default();
    batch.push_values(HISTOGRAM, &[label], &values);
    batch
}

fn exposition(store: &Store, format: Format) -> String {
    let mut renderer = Renderer::new(store.snapshot(), format);
    let mut out = Vec::new();
    while renderer.next_chunk(&mut out) {}
    String::from_utf8(out).unwrap()
}

/// Times and values of a histogram's samples.
fn samples(store: &Store, label: &str, since: Now) -> Vec<(u64, Vec<f64>)> {
    let reader = store.read();
    let family = reader.family(HISTOGRAM);
    let slot = family.find(LabelValues::new(&[label]).packed()).unwrap();
    let window = family.get(slot).unwrap().window(since.mono);
    window
        .map(|(time, values)| (time.0 / 1000, values.to_vec()))
        .collect()
}

#[test]
fn points_that_do_not_fit_are_rejected_and_counted() {
    let store = store();
    let mut batch = Batch::default();
    batch.push(GAUGE, &["only one"], 1.0);
    batch.push(GAUGE, &["one", "two", "three"], 1.0);
    batch.push_values(GAUGE, &["two", "values"], &[1.0, 2.0]);
    batch.push_packed(GAUGE, b"not\xFFended", &[1.0]);
    batch.push_packed(GAUGE, b"no \xC3 UTF-8\xFF\xFF", &[1.0]);
    batch.push(MetricId(7), &[], 1.0);
    batch.push(GAUGE, &["fits", ""], f64::NAN);
    store.commit(&batch, at(1));
    assert_eq!((store.series(), store.rejected()), (1, 6));
    assert_eq!(
        exposition(&store, Format::Text),
        "# TYPE x_gauge gauge\nx_gauge{a=\"fits\",b=\"\"} NaN\n"
    );
}

#[test]
fn of_two_points_for_one_series_the_last_wins() {
    let store = store();
    let mut batch = histogram("x", [1.0, 1.0, 1.0]);
    batch.push_values(HISTOGRAM, &["x"], &[2.0, 2.0, 2.0]);
    store.commit(&batch, at(5));
    assert_eq!(samples(&store, "x", at(0)), [(5, vec![2.0, 2.0, 2.0])]);
    assert_eq!(store.rejected(), 0);
}

#[test]
fn a_window_takes_commits_in_order_and_no_refresh() {
    let store = store();
    store.commit(&histogram("x", [1.0; 3]), at(10));
    store.refresh(&histogram("x", [2.0; 3]), at(15));
    store.commit(&histogram("x", [3.0; 3]), at(20));
    store.commit(&histogram("x", [4.0; 3]), at(19));
    assert_eq!(
        samples(&store, "x", at(0)),
        [(10, vec![1.0; 3]), (20, vec![3.0; 3])]
    );
    assert_eq!(samples(&store, "x", at(11)), [(20, vec![3.0; 3])]);
    assert_eq!(store.rejected(), 1);
    let reader = store.read();
    let (_, series) = reader.family(HISTOGRAM).series().next().unwrap();
    assert_eq!(series.updated(), at(20).mono);
    let mut backwards = series.window(MonoMillis(0)).rev().map(|(time, _)| time);
    assert_eq!((backwards.next(), backwards.len()), (Some(at(20).mono), 1));
}

#[test]
fn a_window_keeps_its_span_and_one_interval() {
    let store = store();
    for second in (0..=1000).step_by(10) {
        store.commit(&histogram("x", [second as f64; 3]), at(second));
        let kept = samples(&store, "x", at(0));
        let oldest = second.saturating_sub(80);
        let expected: Vec<u64> = (oldest..=second).step_by(10).collect();
        assert_eq!(
            kept.iter().map(|(time, _)| *time).collect::<Vec<_>>(),
            expected
        );
        assert!(
            kept.iter()
                .all(|(time, values)| values == &vec![*time as f64; 3])
        );
    }
}

fn refresh_part(store: &Store, version: u64, samples: &[([&str; 2], f64)], now: Now) {
    store.refresh_each(now, |refresh| {
        refresh.set_part(GAUGE, 3, version, |refresh| {
            if refresh.is_same() {
                let values: Vec<f64> = samples.iter().map(|(_, value)| *value).collect();
                return refresh.set_all(&values);
            }
            for (labels, value) in samples {
                refresh.set(Sample {
                    metric: GAUGE,
                    labels: LabelValues::new(labels).packed(),
                    values: &[*value],
                });
            }
        });
    });
}

/// Values of the gauge by its first label.
fn gauges(store: &Store) -> Vec<(String, f64)> {
    let reader = store.read();
    let series = reader.family(GAUGE).series();
    let mut gauges: Vec<_> = series
        .map(|(_, series)| {
            (
                series.labels().get(0).unwrap().to_owned(),
                series.values()[0],
            )
        })
        .collect();
    gauges.sort_by(|a, b| a.0.cmp(&b.0));
    gauges
}

#[test]
fn labels_of_a_part_count_once_per_version() {
    let expect = |store: &Store, expected: &[(&str, f64)]| {
        let expected = expected
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value));
        assert_eq!(gauges(store), expected.collect::<Vec<_>>());
    };
    let store = store();
    refresh_part(&store, 1, &[(["b", ""], 1.0), (["a", ""], 2.0)], at(0));
    expect(&store, &[("a", 2.0), ("b", 1.0)]);
    refresh_part(&store, 1, &[(["?", ""], 3.0), (["!", ""], 4.0)], at(0));
    expect(&store, &[("a", 4.0), ("b", 3.0)]);
    // Another series in the family: slots may have moved.
    store.refresh(&gauge(["c", ""], 5.0), at(0));
    refresh_part(&store, 1, &[(["b", ""], 6.0), (["a", ""], 7.0)], at(60));
    expect(&store, &[("a", 7.0), ("b", 6.0), ("c", 5.0)]);
    // A refresh without labels counts as a refresh.
    refresh_part(&store, 1, &[(["?", ""], 8.0), (["?", ""], 9.0)], at(120));
    store.expire(at(121));
    expect(&store, &[("a", 9.0), ("b", 8.0)]);
    refresh_part(&store, 2, &[(["a", ""], 1.0)], at(122));
    expect(&store, &[("a", 1.0), ("b", 8.0)]);
    refresh_part(&store, 1, &[(["b", ""], 2.0), (["a", ""], 3.0)], at(123));
    expect(&store, &[("a", 3.0), ("b", 2.0)]);
    // Slots of expired series belong to others.
    store.expire(at(400));
    expect(&store, &[]);
    store.refresh(&gauge(["d", ""], 4.0), at(401));
    refresh_part(&store, 1, &[(["b", ""], 5.0), (["a", ""], 6.0)], at(402));
    expect(&store, &[("a", 6.0), ("b", 5.0), ("d", 4.0)]);
}

#[test]
fn rows_of_a_part_are_set_at_once() {
    let store = store();
    let set = |rows: [[f64; 3]; 2]| {
        store.refresh_each(at(1), |refresh| {
            refresh.set_part(HISTOGRAM, 0, 1, |refresh| {
                if refresh.is_same() {
                    return refresh.set_all(rows.as_flattened());
                }
                for (path, values) in ["/b", "/a"].into_iter().zip(&rows) {
                    refresh.set(Sample {
                        metric: HISTOGRAM,
                        labels: LabelValues::new(&[path]).packed(),
                        values,
                    });
                }
            });
        });
    };
    let rows = || {
        let reader = store.read();
        let rows = reader
            .family(HISTOGRAM)
            .series()
            .map(|(_, series)| series.values().to_vec());
        rows.collect::<Vec<_>>()
    };
    let mut value = 0.0;
    for _ in 0..2 {
        let next = [[value, 1.0, 2.0], [3.0, 4.0, value]];
        set(next);
        assert_eq!(rows(), next.map(Vec::from));
        value += 10.0;
    }
}

#[test]
fn a_part_with_a_rejected_sample_is_looked_at_each_time() {
    let store = store();
    for round in 1..3 {
        store.refresh_each(at(1), |refresh| {
            refresh.set_part(GAUGE, 0, 1, |refresh| {
                for labels in [&b"too few\xFF"[..], b"a\xFF\xFF"] {
                    refresh.set(Sample {
                        metric: GAUGE,
                        labels,
                        values: &[round as f64],
                    });
                }
            });
        });
        assert_eq!(store.rejected(), round);
        assert_eq!(gauges(&store), [("a".to_owned(), round as f64)]);
    }
}

#[test]
fn series_not_refreshed_for_three_intervals_go() {
    let store = store();
    store.commit(&gauge(["old", ""], 1.0), at(0));
    store.commit(&gauge(["new", ""], 1.0), at(1));
    let generation = store.read().family(GAUGE).generation();
    assert_eq!(store.expire(at(30)), 0);
    assert_eq!(store.read().family(GAUGE).generation(), generation);
    assert_eq!(store.expire(at(31)), 1);
    assert_ne!(store.read().family(GAUGE).generation(), generation);
    assert_eq!((store.series(), store.dropped()), (1, 1));
    store.refresh(&gauge(["new", ""], 2.0), at(31));
    assert_eq!(store.expire(at(61)), 0);
    assert!(!exposition(&store, Format::Text).contains("old"));
}

#[test]
fn an_exposition_is_sorted_by_exported_name_and_values() {
    let store = store();
    store.commit(&histogram("z", [0.0; 3]), at(0));
    for label in ["b", "ab", "", "a\u{1}", "a"] {
        store.commit(&gauge([label, "c"], 0.0), at(0));
        exposition(&store, Format::Text);
    }
    let families = parse(&exposition(&store, Format::Text), Format::Text).unwrap();
    let names: Vec<_> = families.iter().map(|family| family.name.as_str()).collect();
    assert_eq!(names, ["x_gauge", "x_histogram"]);
    let order: Vec<_> = families[0]
        .samples
        .iter()
        .map(|sample| &sample.labels["a"])
        .collect();
    assert_eq!(order, ["", "a", "a\u{1}", "ab", "b"]);
    assert_eq!(families[1].samples[0].labels["b"], "default");
}

#[test]
fn a_snapshot_does_not_change_and_holds_no_lock() {
    let store = store();
    store.commit(&gauge(["a", "b"], 1.0), at(0));
    let snapshot = store.snapshot();
    store.commit(&gauge(["a", "b"], 2.0), at(1));
    store.commit(&gauge(["c", "d"], 3.0), at(1));
    let mut out = Vec::new();
    Renderer::new(snapshot, Format::Text).next_chunk(&mut out);
    assert!(
        String::from_utf8(out)
            .unwrap()
            .ends_with("\nx_gauge{a=\"a\",b=\"b\"} 1\n")
    );
}

#[test]
fn a_new_store_adopts_what_did_not_change_its_shape() {
    let old = store();
    old.commit(&gauge(["a", "b"], 1.0), at(0));
    old.commit(&gauge(["c", "d"], 1.0), at(40));
    old.expire(at(40));
    old.commit(&histogram("x", [1.0; 3]), at(50));
    let mut changed: Vec<MetricDef> = metrics().to_vec();
    changed.reverse();
    changed[1].labels = ["a".into(), "c".into()].into();
    changed[0].interval = Duration::from_secs(1);
    let windows = vec![(MetricId(0), WINDOW)];
    let new = Store::new(
        changed.into(),
        Options {
            windows,
            ..Options::default()
        },
    );
    new.adopt(&old);
    assert_eq!((new.series(), new.dropped(), old.series()), (1, 1, 2));
    new.commit(&Batch::default(), at(51));
    let reader = new.read();
    let (slot, series) = reader.family(MetricId(0)).series().next().unwrap();
    assert_eq!(series.window(MonoMillis(0)).times(), [at(50).mono]);
    assert_eq!(reader.family(MetricId(0)).find(b"x\xFF"), Some(slot));
}

/// Step of the property test.
#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Given>),
    Refresh(Vec<Given>),
    Expire,
    Pass(u64),
    Reload,
}

/// Metric, label values and a number.
type Given = (bool, [String; 2], i32);

#[derive(Clone, Debug, PartialEq)]
struct Modelled {
    values: Vec<f64>,
    updated: u64,
    samples: Vec<(u64, Vec<f64>)>,
}

type Model = BTreeMap<(MetricId, Vec<String>), Modelled>;

const HOSTILE: &[&str] = &[
    "", "a", "ab", "\"", "\\", "\n", "\\n", "é\u{0}", "} 1\n", ",a=\"", "\u{FFFF}",
];

fn label() -> impl Strategy<Value = String> {
    let hostile = prop::sample::select(HOSTILE).prop_map(String::from);
    prop_oneof![4 => hostile, 1 => any::<String>()]
}

fn data() -> impl Strategy<Value = Vec<Given>> {
    prop::collection::vec((any::<bool>(), [label(), label()], any::<i32>()), 0..12)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => data().prop_map(Step::Commit),
        1 => data().prop_map(Step::Refresh),
        2 => Just(Step::Expire),
        4 => (1..25u64).prop_map(Step::Pass),
        1 => Just(Step::Reload),
    ]
}

fn apply(model: &mut Model, data: &[Given], now: u64, sampled: bool) -> Batch {
    let mut batch = Batch::default();
    for (is_gauge, labels, number) in data {
        let number = f64::from(*number) / 8.0;
        let (id, labels, values) = if *is_gauge {
            (GAUGE, &labels[..], vec![number])
        } else {
            (
                HISTOGRAM,
                &labels[..1],
                vec![number, number * 2.0, number * 3.0],
            )
        };
        let borrowed: Vec<&str> = labels.iter().map(String::as_str).collect();
        batch.push_values(id, &borrowed, &values);
        let samples = Vec::new();
        let series = model.entry((id, labels.to_vec())).or_insert(Modelled {
            values: vec![],
            updated: 0,
            samples,
        });
        (series.values, series.updated) = (values.clone(), now);
        if sampled && id == HISTOGRAM {
            series
                .samples
                .retain(|(time, _)| *time != now && *time + 80 >= now);
            series.samples.push((now, values));
        }
    }
    batch
}

fn read(store: &Store) -> Model {
    let reader = store.read();
    let mut model = Model::new();
    for (index, family) in reader.families().enumerate() {
        for (slot, series) in family.series() {
            assert_eq!(family.find(series.labels().packed()), Some(slot));
            let samples = series.window(MonoMillis(0));
            let seen = Modelled {
                values: series.values().to_vec(),
                updated: series.updated().0 / 1000,
                samples: samples
                    .map(|(time, row)| (time.0 / 1000, row.to_vec()))
                    .collect(),
            };
            let labels = series.labels().iter().map(String::from).collect();
            model.insert((MetricId(index as u32), labels), seen);
        }
        assert_eq!(family.slots().count(), family.len());
    }
    model
}

/// The samples that an exposition of `model` has to hold: name, labels, value.
/// OpenMetrics has no sum below zero, and no count of a histogram without its sum.
fn expected_samples(model: &Model, format: Format) -> BTreeMap<(String, Labels), f64> {
    let mut expected = BTreeMap::new();
    for ((id, values), series) in model {
        let names = ["a", "b"].map(String::from).into_iter();
        let mut labels: Labels = names.zip(values.iter().cloned()).collect();
        labels.entry("b".into()).or_insert("default".into());
        if *id == GAUGE {
            expected.insert(("x_gauge".into(), labels), series.values[0]);
            continue;
        }
        for (le, number) in ["1", "+Inf"].iter().zip(&series.values) {
            let mut labels = labels.clone();
            labels.insert("le".into(), (*le).into());
            expected.insert(("x_histogram_bucket".into(), labels), *number);
        }
        if format == Format::OpenMetrics && series.values[2] < 0.0 {
            continue;
        }
        expected.insert(
            ("x_histogram_count".into(), labels.clone()),
            series.values[1],
        );
        expected.insert(("x_histogram_sum".into(), labels), series.values[2]);
    }
    expected
}

fn parsed_samples(exposition: &str, format: Format) -> BTreeMap<(String, Labels), f64> {
    let families = parse(exposition, format).unwrap();
    let samples = families.into_iter().flat_map(|family| family.samples);
    samples
        .map(|mut sample| {
            if sample.labels.get("le").is_some_and(|le| le == "1.0") {
                sample.labels.insert("le".into(), "1".into());
            }
            ((sample.name, sample.labels), sample.value)
        })
        .collect()
}

proptest! {
    #[test]
    fn behaves_as_the_model_and_renders_what_it_holds(steps in prop::collection::vec(step(), 1..40)) {
        let (mut store, mut model, mut now) = (store(), Model::new(), 1);
        for step in &steps {
            match step {
                Step::Commit(data) => {
                    let batch = apply(&mut model, data, now, true);
                    store.commit(&batch, at(now));
                }
                Step::Refresh(data) => {
                    let batch = apply(&mut model, data, now, false);
                    store.refresh(&batch, at(now));
                }
                Step::Expire => {
                    let before = model.len();
                    model.retain(|(id, _), series| {
                        now - series.updated <= if *id == GAUGE { 30 } else { 60 }
                    });
                    prop_assert_eq!(store.expire(at(now)), before - model.len());
                }
                Step::Pass(seconds) => now += seconds,
                Step::Reload => {
                    let reloaded = self::store();
                    reloaded.adopt(&store);
                    store = reloaded;
                }
            }
            prop_assert_eq!(read(&store), model.clone());
            // Not after each step, so that a layout is also carried over several changes.
            if matches!(step, Step::Pass(_)) {
                let format = if now % 2 == 0 { Format::Text } else { Format::OpenMetrics };
                let exposition = exposition(&store, format);
                prop_assert_eq!(parsed_samples(&exposition, format), expected_samples(&model, format));
            }
        }
        prop_assert_eq!(store.rejected(), 0);
    }

    #[test]
    fn the_parser_never_panics(exposition in prop_oneof![any::<String>(), "[a\"\\\\{}=,# \n0-9.A-Z_]{0,60}"]) {
        for format in [Format::Text, Format::OpenMetrics] {
            if let Err(error) = parse(&exposition, format) {
                prop_assert!(error.line >= 1);
            }
        }
    }
}
