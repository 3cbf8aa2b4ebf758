//! Series that sources bring under names of their own.

use bellwether_core::{LabelSet, Rejected, Rejection, SeriesBatch, SeriesLimits};
use bellwether_promql::{Guard, Queryable, SampledSeries};

use super::super::{GeneratedName, Ingestion};
use super::*;
use crate::history::History;

fn store_with(history: Option<Arc<History>>) -> Store {
    let default_labels = Labels::from([("host".to_owned(), "a".to_owned())]);
    Store::new(
        metrics(),
        Options {
            default_labels,
            history,
            generated: vec![
                GeneratedName {
                    name: "up".into(),
                    labels: Some(vec!["collector".into()]),
                },
                GeneratedName {
                    name: "recorded".into(),
                    labels: None,
                },
            ],
            ..Options::default()
        },
    )
}

/// Name, type, and values by the label `queue`.
type FamilyOf<'a> = (&'a str, Option<Kind>, &'a [(&'a str, f64)]);

fn batch(families: &[FamilyOf<'_>]) -> SeriesBatch {
    let mut batch = SeriesBatch::default();
    for (name, kind, samples) in families {
        batch.begin(name, *kind, "Help.");
        for (queue, value) in *samples {
            batch.push(&[("queue", queue)], *value);
        }
    }
    batch
}

fn jobs(samples: &[(&str, f64)]) -> SeriesBatch {
    batch(&[("jobs_total", Some(Kind::Counter), samples)])
}

fn source(name: &str) -> Origin {
    Origin::new(name)
}

fn ingest(store: &Store, name: &str, batch: &SeriesBatch, seconds: u64) -> Ingestion {
    store.ingest(
        source(name),
        batch,
        SeriesLimits::of_series(100),
        at(seconds),
    )
}

fn exposition(store: &Store, format: Format) -> Vec<String> {
    let mut text = Vec::new();
    let mut renderer = Renderer::new(store.snapshot(), format);
    while renderer.next_chunk(&mut text) {}
    let text = String::from_utf8(text).unwrap();
    parse(&text, format).unwrap_or_else(|error| panic!("{error} in {text}"));
    let lines = text.lines().filter(|line| !line.starts_with("# HELP"));
    lines.map(str::to_owned).collect()
}

/// Asserts that both formats have these lines, but for the end of OpenMetrics.
fn assert_both_formats(store: &Store, expected: &[&str]) {
    for format in [Format::Text, Format::OpenMetrics] {
        let mut lines = exposition(store, format);
        lines.retain(|line| line != "# EOF");
        assert_eq!(lines, expected);
    }
}

#[test]
fn a_collection_replaces_the_series_of_its_source_alone() {
    let store = store_with(None);
    ingest(&store, "one", &jobs(&[("x", 1.0), ("y", 2.0)]), 1);
    ingest(&store, "two", &jobs(&[("z", 3.0)]), 1);
    let done = ingest(&store, "one", &jobs(&[("y", 5.0), ("w", 6.0)]), 2);
    assert_eq!((done.series, done.rejected.notes().len()), (2, 0));
    assert_eq!(
        exposition(&store, Format::Text),
        [
            "# TYPE jobs_total counter",
            "jobs_total{queue=\"y\",host=\"a\"} 5",
            "jobs_total{queue=\"z\",host=\"a\"} 3",
            "jobs_total{queue=\"w\",host=\"a\"} 6",
        ]
    );
    assert_eq!(store.series(), 3);
    ingest(&store, "one", &SeriesBatch::default(), 3);
    ingest(&store, "two", &SeriesBatch::default(), 3);
    assert_eq!(
        (exposition(&store, Format::Text).len(), store.series()),
        (0, 0)
    );
}

#[test]
fn samples_that_would_spoil_the_exposition_are_rejected_with_a_reason() {
    let store = store_with(None);
    ingest(&store, "one", &jobs(&[("x", 1.0)]), 1);
    let mut bad = batch(&[
        ("x_gauge", Some(Kind::Counter), &[("a", 1.0)]),
        ("x_histogram_sum", None, &[("a", 1.0)]),
        ("jobs_total", Some(Kind::Gauge), &[("y", 1.0)]),
        ("twice", None, &[("a", 1.0), ("a", 2.0)]),
        ("not-a-name", None, &[("a", 1.0)]),
    ]);
    bad.begin("labels", None, "");
    bad.push(&[("b-c", "d")], 1.0);
    bad.push_packed(b"not packed", 1.0);
    let done = ingest(&store, "two", &bad, 1);
    let counts: Vec<_> = done
        .rejected
        .iter()
        .map(|(reason, count, _)| (reason, count))
        .collect();
    assert_eq!(
        counts,
        [
            (Rejection::NameInUse, 2),
            (Rejection::Type, 1),
            (Rejection::Duplicate, 1),
            (Rejection::Invalid, 3),
        ]
    );
    let first = (Rejection::Type, 1, "jobs_total{queue=\"y\"}");
    assert!(done.rejected.iter().any(|rejected| rejected == first));
    let stolen = ingest(&store, "three", &jobs(&[("x", 9.0)]), 1);
    assert_eq!(stolen.rejected.count(Rejection::Duplicate), 1);
    let limited = store.ingest(
        source("four"),
        &batch(&[("m", None, &[("a", 1.0), ("b", 1.0), ("c", 1.0)])]),
        SeriesLimits::of_series(2),
        at(1),
    );
    assert_eq!(
        (limited.series, limited.rejected.count(Rejection::Limit)),
        (2, 1)
    );
    assert_eq!(
        exposition(&store, Format::Text),
        [
            "# TYPE jobs_total counter",
            "jobs_total{queue=\"x\",host=\"a\"} 1",
            "# TYPE m untyped",
            "m{queue=\"a\",host=\"a\"} 1",
            "m{queue=\"b\",host=\"a\"} 1",
            "# TYPE twice untyped",
            "twice{queue=\"a\",host=\"a\"} 1",
        ]
    );
}

#[test]
fn series_that_something_else_appends_to_history_are_not_overwritten() {
    let store = store_with(None);
    let mut pushed = batch(&[("recorded", None, &[("a", 1.0)])]);
    pushed.begin("up", None, "");
    for labels in [
        &[("collector", "x")][..],
        &[("collector", "x"), ("host", "a")],
        &[("instance", "x")],
        &[("collector", "x"), ("instance", "x")],
    ] {
        pushed.push(labels, 1.0);
    }
    let done = ingest(&store, "one", &pushed, 1);
    assert_eq!(
        (done.series, done.rejected.count(Rejection::NameInUse)),
        (2, 3)
    );
}

#[test]
fn series_that_are_there_come_before_new_ones() {
    let store = store_with(None);
    let limits = SeriesLimits::of_series(2);
    let ingest =
        |samples: &[(&str, f64)]| store.ingest(source("one"), &jobs(samples), limits, at(1));
    ingest(&[("x", 1.0), ("y", 1.0)]);
    let full = ingest(&[("new", 1.0), ("x", 2.0), ("y", 2.0)]);
    assert_eq!((full.series, full.rejected.count(Rejection::Limit)), (2, 1));
    let first = (Rejection::Limit, 1, "jobs_total{queue=\"new\"}");
    assert!(full.rejected.iter().any(|rejected| rejected == first));
    let replaced = ingest(&[("new", 1.0), ("x", 3.0)]);
    assert_eq!((replaced.series, replaced.rejected.notes().len()), (2, 0));
}

#[test]
fn a_metric_and_a_label_have_limits_of_their_own() {
    let ingest = |limits| {
        let mut many = batch(&[("few", None, &[("a", 1.0)])]);
        many.begin("many", Some(Kind::Histogram), "");
        for id in 0..6 {
            for le in ["1", "+Inf"] {
                let labels = [("id", format!("{id}")), ("le", le.to_owned())];
                let labels = [("__name__", "many_bucket".to_owned())]
                    .into_iter()
                    .chain(labels);
                many.push_packed(LabelSet::new(labels).packed(), 1.0);
            }
        }
        let store = store_with(None);
        store.ingest(source("one"), &many, limits, at(1))
    };
    let limits = SeriesLimits::of_series(100);
    let by_metric = ingest(SeriesLimits {
        metric_series: Some(5),
        ..limits
    });
    assert_eq!(by_metric.series, 6);
    assert_eq!(
        by_metric.notes(),
        [
            "rejected 7 samples of many (7), such as many_bucket{id=\"2\", le=\"+Inf\"}: the metric has as many series as \
             limits.metric_series allows"
        ]
    );
    let by_label = ingest(SeriesLimits {
        label_values: Some(4),
        ..limits
    });
    assert_eq!(by_label.series, 9);
    assert_eq!(
        by_label.notes(),
        [
            "rejected 4 samples of many{id} (4), such as many_bucket{id=\"4\", le=\"1\"}: the label has as many values as \
             limits.label_values allows"
        ]
    );
    assert_eq!(ingest(limits).series, 13);
}

#[test]
fn series_that_come_and_go_are_churn() {
    let store = store_with(None);
    let mut last = Ingestion::default();
    for round in 0..30 {
        let names: Vec<String> = (0..50).map(|id| format!("{round}-{id}")).collect();
        let samples: Vec<_> = names.iter().map(|name| (name.as_str(), 1.0)).collect();
        last = ingest(&store, "one", &jobs(&samples), 15 * round);
    }
    assert_eq!((last.series, last.rejected.notes().len()), (50, 0));
    let notes = last.notes();
    assert!(
        notes[0].starts_with("churn: 1450 new series in an hour, and 50 current"),
        "{notes:?}"
    );
    assert!(
        ingest(&store, "two", &jobs(&[("x", 1.0)]), 600)
            .notes()
            .is_empty()
    );
}

#[test]
fn a_name_of_a_configured_metric_is_shared_by_series_with_other_labels() {
    let store = store_with(None);
    let mut own = Batch::default();
    own.push(GAUGE, &["x", "y"], 1.0);
    store.commit(&own, at(1));
    let mut batch = SeriesBatch::default();
    batch.begin("x_gauge", Some(Kind::Gauge), "Of another.");
    batch.push(&[("job", "node")], 2.0);
    batch.push(&[("a", "x"), ("b", "y")], 3.0);
    // `host` is a default label, which the metric's own series have, too.
    batch.push(&[("a", "x"), ("b", "y"), ("host", "other")], 4.0);
    let done = ingest(&store, "one", &batch, 1);
    assert_eq!(done.rejected.count(Rejection::NameInUse), 2);
    assert_both_formats(
        &store,
        &[
            "# TYPE x_gauge gauge",
            "x_gauge{a=\"x\",b=\"y\",host=\"a\"} 1",
            "x_gauge{job=\"node\",host=\"a\"} 2",
        ],
    );
    // Also while the metric itself has no series.
    store.expire(at(1000));
    assert_eq!(
        exposition(&store, Format::Text),
        ["# TYPE x_gauge gauge", "x_gauge{job=\"node\",host=\"a\"} 2"]
    );
}

#[test]
fn a_series_of_an_unknown_type_takes_that_of_its_name() {
    let store = store_with(None);
    let mut own = Batch::default();
    own.push(GAUGE, &["x", "y"], 1.0);
    store.commit(&own, at(1));
    // What remote write 1.0 sends before and after its metadata.
    let sent = |kind, help| {
        let mut batch = SeriesBatch::default();
        batch.begin("x_gauge", kind, help);
        batch.push(&[("job", "node")], 2.0);
        batch.push(&[("a", "x"), ("b", "y")], 3.0);
        batch
    };
    let mut typed = SeriesBatch::default();
    typed.begin("x_gauge", Some(Kind::Gauge), "Of another.");
    typed.push(&[("job", "typed")], 4.0);
    let gauge = Some(Kind::Gauge);
    for (seconds, batch) in [(1, sent(None, "")), (2, sent(gauge, "Of a sender."))] {
        let done = ingest(&store, "one", &batch, seconds);
        assert_eq!(done.rejected.count(Rejection::NameInUse), 1);
        assert_eq!(ingest(&store, "two", &typed, seconds).series, 1);
        assert_both_formats(
            &store,
            &[
                "# TYPE x_gauge gauge",
                "x_gauge{a=\"x\",b=\"y\",host=\"a\"} 1",
                "x_gauge{job=\"node\",host=\"a\"} 2",
                "x_gauge{job=\"typed\",host=\"a\"} 4",
            ],
        );
    }
    // Its type is another one in the end.
    let done = ingest(&store, "one", &sent(Some(Kind::Counter), ""), 3);
    assert_eq!(
        (done.series, done.rejected.count(Rejection::NameInUse)),
        (0, 2)
    );
    assert_eq!(exposition(&store, Format::Text).len(), 3);
}

#[test]
fn names_that_open_metrics_has_for_a_configured_counter_are_reserved() {
    let mut counter = metrics()[0].clone();
    counter.kind = Kind::Counter;
    counter.exported = "x_done_total".into();
    let store = Store::new([counter].into(), Options::default());
    store.commit(&gauge(["a", "b"], 1.0), at(1));
    let named = |name| (name, Some(Kind::Gauge), &[("a", 1.0)][..]);
    let taken = batch(&[named("x_done"), named("x_done_created")]);
    let done = ingest(&store, "one", &taken, 1);
    assert_eq!(done.rejected.count(Rejection::NameInUse), 2);
    assert_eq!(
        exposition(&store, Format::OpenMetrics),
        [
            "# TYPE x_done counter",
            "x_done_total{a=\"a\",b=\"b\"} 1",
            "# EOF"
        ]
    );
}

#[test]
fn open_metrics_has_no_clash_of_names() {
    let store = store_with(None);
    let mut batch = batch(&[
        ("a", Some(Kind::Gauge), &[("x", 1.0)]),
        ("a_total", Some(Kind::Counter), &[("x", 2.0)]),
        ("b", Some(Kind::Counter), &[("x", 3.0)]),
        ("b_created", Some(Kind::Gauge), &[("x", 4.0)]),
    ]);
    batch.begin("h", Some(Kind::Histogram), "");
    batch.push_histogram(&[], [(0.5, 1.0)], 2.0, Some(3.0));
    ingest(&store, "one", &batch, 1);
    assert_eq!(
        exposition(&store, Format::OpenMetrics),
        [
            "# TYPE a gauge",
            "a{queue=\"x\",host=\"a\"} 1",
            "# TYPE a_total unknown",
            "a_total{queue=\"x\",host=\"a\"} 2",
            "# TYPE b counter",
            "b_total{queue=\"x\",host=\"a\"} 3",
            "# TYPE h histogram",
            "h_bucket{le=\"0.5\",host=\"a\"} 1",
            "h_bucket{le=\"+Inf\",host=\"a\"} 2",
            "h_sum{host=\"a\"} 3",
            "h_count{host=\"a\"} 2",
            "# EOF",
        ]
    );
    assert!(
        exposition(&store, Format::Text)
            .contains(&"b_created{queue=\"x\",host=\"a\"} 4".to_owned())
    );
}

/// Wherever a chunk ends, also within a header, each family has its header once.
#[test]
fn a_header_is_there_once_wherever_a_chunk_ends() {
    for shift in (0..200).step_by(10) {
        let mut metrics = metrics().to_vec();
        let template = metrics[0].clone();
        metrics.extend((0..400).map(|index| {
            let mut def = template.clone();
            def.exported = format!("x_other_{index}").into();
            def.help = "h".repeat(100).into();
            def
        }));
        metrics[0].help = "h".repeat(shift + 1).into();
        let store = Store::new(metrics.into(), Options::default());
        let mut own = Batch::default();
        own.push(GAUGE, &["a", "b"], 1.0);
        for index in 0..400 {
            own.push(MetricId(2 + index), &["a", "b"], 1.0);
        }
        store.commit(&own, at(1));
        let mut ingested = SeriesBatch::default();
        for index in 0..400 {
            ingested.begin(&format!("i{index}"), Some(Kind::Gauge), &"h".repeat(100));
            ingested.push(&[("queue", "a")], 1.0);
        }
        store.ingest(
            source("one"),
            &ingested,
            SeriesLimits::of_series(1000),
            at(1),
        );
        let lines = exposition(&store, Format::Text);
        let headers = lines.iter().filter(|line| line.starts_with("# TYPE"));
        assert_eq!((headers.count(), lines.len()), (801, 1602), "{shift}");
    }
}

#[test]
fn history_has_the_samples_and_their_end() {
    let history = Arc::new(History::in_memory(1000));
    let store = store_with(Some(history.clone()));
    let count = |seconds: i64| {
        let query = bellwether_promql::parse("count(jobs_total{host=\"a\"}) or vector(0)").unwrap();
        let result = query
            .instant(
                &*history,
                UnixMillis(seconds * 1000),
                &bellwether_promql::Options::default(),
                &bellwether_promql::Guard::default(),
            )
            .unwrap();
        match result.value {
            bellwether_promql::Value::Vector(samples) => samples[0].value,
            other => panic!("{other:?}"),
        }
    };
    ingest(&store, "one", &jobs(&[("x", 1.0), ("y", 2.0)]), 100);
    assert_eq!(count(101), 2.0);
    ingest(&store, "one", &jobs(&[("y", 2.0)]), 110);
    assert_eq!(count(111), 1.0);

    // A reload keeps the series of sources that stay, and ends the others.
    ingest(&store, "two", &jobs(&[("z", 2.0)]), 120);
    let next = store_with(Some(history.clone()));
    next.adopt(&store);
    assert_eq!((next.series(), count(121)), (2, 2.0));
    next.retain_sources(&[source("two")], at(130));
    assert_eq!((next.series(), count(131)), (1, 1.0));
    ingest(&next, "two", &jobs(&[("z", 3.0)]), 140);
    assert_eq!((next.series(), count(141)), (1, 1.0));
}

#[test]
fn values_of_a_source_that_runs_rarely_stay_in_history() {
    let history = Arc::new(History::in_memory(1000));
    let store = store_with(Some(history.clone()));
    ingest(&store, "nightly", &jobs(&[("x", 1.0)]), 100);
    let samples = || history.stats().appended;
    let before = samples();
    store.expire(at(159));
    assert_eq!(samples(), before, "a minute is not over");
    store.expire(at(160));
    store.expire(at(161));
    assert_eq!(samples(), before + 1);
    ingest(&store, "nightly", &SeriesBatch::default(), 200);
    let ended = samples();
    store.expire(at(300));
    assert_eq!(samples(), ended, "its series have ended");
}

proptest! {
    #[test]
    fn any_sequence_of_collections_leaves_what_the_last_of_each_source_brought(
        rounds in prop::collection::vec((0..3_usize, prop::collection::vec(0..12_u8, 0..10)), 1..30)
    ) {
        let store = store_with(None);
        let mut model: BTreeMap<usize, std::collections::BTreeSet<u8>> = BTreeMap::new();
        for (round, (number, queues)) in rounds.into_iter().enumerate() {
            // Each source has queues of its own, so that nothing is rejected as a duplicate of another.
            let queues: std::collections::BTreeSet<u8> = queues.into_iter().collect();
            let names: Vec<String> = queues.iter().map(|queue| format!("{number}-{queue}")).collect();
            let samples: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), round as f64)).collect();
            let done = ingest(&store, &format!("source{number}"), &jobs(&samples), round as u64);
            prop_assert_eq!((done.series, done.rejected.notes().len()), (queues.len(), 0));
            model.insert(number, queues);
        }
        let expected: usize = model.values().map(std::collections::BTreeSet::len).sum();
        prop_assert_eq!(store.series(), expected);
        let mut lines = exposition(&store, Format::Text);
        lines.retain(|line| !line.starts_with('#'));
        prop_assert_eq!(lines.len(), expected);
        for (number, queues) in model {
            for queue in queues {
                let start = format!("jobs_total{{queue=\"{number}-{queue}\",");
                prop_assert!(lines.iter().any(|line| line.starts_with(&start)));
            }
        }
    }
}

#[test]
fn a_type_that_changes_or_becomes_known_is_that_of_the_series_from_then_on() {
    let store = store_with(None);
    let untyped = batch(&[
        ("jobs", None, &[("a", 1.0)]),
        ("t_sum", None, &[("a", 2.0)]),
    ]);
    ingest(&store, "one", &untyped, 1);
    let mut typed = batch(&[("jobs", Some(Kind::Gauge), &[("a", 1.0), ("b", 1.0)])]);
    typed.begin("t", Some(Kind::Summary), "Help.");
    typed.push_suffixed("_sum", &[("queue", "a")], 3.0);
    let done = ingest(&store, "one", &typed, 2);
    assert_eq!((done.series, done.rejected.notes().len()), (3, 0));
    assert_eq!(
        exposition(&store, Format::Text),
        [
            "# TYPE jobs gauge",
            "jobs{queue=\"a\",host=\"a\"} 1",
            "jobs{queue=\"b\",host=\"a\"} 1",
            "# TYPE t summary",
            "t_sum{queue=\"a\",host=\"a\"} 3",
        ]
    );
}

/// Samples of `jobs_total` by queue, time in seconds and value.
fn timed(samples: &[(&str, u64, f64)]) -> SeriesBatch {
    let mut batch = SeriesBatch::default();
    batch.set_time(UnixMillis(0));
    batch.begin("jobs_total", Some(Kind::Counter), "Jobs.");
    for (queue, seconds, value) in samples {
        batch.set_time(at(*seconds).wall);
        batch.push(&[("queue", queue)], *value);
    }
    batch
}

fn past(history: &History) -> Vec<(String, i64, f64)> {
    let guard = Guard::default();
    let series = history.select(&[], UnixMillis(i64::MIN), UnixMillis(i64::MAX), &guard);
    let mut samples: Vec<_> = series
        .unwrap()
        .into_iter()
        .flat_map(|series| {
            let queue = series.labels.get("queue").to_owned();
            let samples = series.times.into_iter().zip(series.values);
            samples.map(move |(at, value)| (queue.clone(), at / 1000, value))
        })
        .collect();
    samples.sort_by(|a, b| a.partial_cmp(b).unwrap());
    samples
}

#[test]
fn samples_with_times_are_in_history_at_these_times_alone() {
    let history = Arc::new(History::in_memory(100));
    let store = store_with(Some(history.clone()));
    let limits = SeriesLimits::of_series(2);
    let samples = [
        ("x", 10, 2.0),
        ("x", 20, 3.0),
        ("gone", 5, 1.0),
        ("third", 5, 1.0),
    ];
    let rejected = store.append_timed(source("one"), &timed(&samples), limits, at(30));
    assert_eq!(rejected.count(Rejection::Limit), 1);
    let mut expected = vec![("gone", 5, 1.0), ("x", 10, 2.0), ("x", 20, 3.0)];
    let has = |expected: &[(&str, i64, f64)]| {
        let samples = expected.iter();
        let samples = samples.map(|(queue, at, value)| ((*queue).to_owned(), *at, *value));
        assert_eq!(past(&history), samples.collect::<Vec<_>>());
    };
    has(&expected);
    assert_eq!(exposition(&store, Format::Text), [""; 0]);
    store.ingest(source("one"), &timed(&[("x", 20, 3.0)]), limits, at(30));
    assert_eq!(
        exposition(&store, Format::Text)[1..],
        ["jobs_total{queue=\"x\",host=\"a\"} 3"]
    );
    let more = timed(&[("x", 25, 3.5)]);
    store.append_timed(source("one"), &more, limits, at(31));
    expected.push(("x", 25, 3.5));
    has(&expected);
    // It is not repeated, and its end is up to its client: what it could not send may come later.
    store.expire(at(1000));
    store.ingest(source("one"), &timed(&[]), limits, at(1010));
    store.append_timed(
        source("one"),
        &timed(&[("x", 40, 4.0), ("x", 15, 9.0)]),
        limits,
        at(1020),
    );
    store.ingest(source("one"), &timed(&[("x", 40, 4.0)]), limits, at(1030));
    store.retain_sources(&[], at(1040));
    expected.push(("x", 40, 4.0));
    has(&expected);
}

#[test]
fn samples_with_times_are_rejected_for_the_reasons_of_current_values() {
    let history = Arc::new(History::in_memory(100));
    let store = store_with(Some(history.clone()));
    let limits = SeriesLimits {
        metric_series: Some(1),
        ..SeriesLimits::of_series(10)
    };
    ingest(&store, "two", &jobs(&[("z", 1.0)]), 10);
    let mut batch = timed(&[
        ("z", 10, 2.0),
        ("x", 10, 1.0),
        ("y", 10, 1.0),
        ("x", 20, 2.0),
    ]);
    batch.begin("recorded", None, "");
    batch.push(&[], 1.0);
    batch.begin("no-name", None, "");
    batch.push(&[], 1.0);
    // The name of a configured metric, with another type, and with one that comes later.
    for (queue, kind) in [("a", Some(Kind::Counter)), ("b", None)] {
        batch.begin("x_gauge", kind, "");
        batch.push(&[("queue", queue)], 1.0);
    }
    let reasons = |rejected: &Rejected| -> Vec<_> {
        let all = rejected.iter();
        all.map(|(reason, count, _)| (reason, count)).collect()
    };
    let rejected = store.append_timed(source("one"), &batch, limits, at(20));
    assert_eq!(
        reasons(&rejected),
        [
            (Rejection::MetricLimit, 1),
            (Rejection::NameInUse, 2),
            (Rejection::Duplicate, 1),
            (Rejection::Invalid, 1)
        ]
    );
    assert_eq!(past(&history).len(), 1 + 2 + 1);
    let before = timed(&[("x", 20, 2.0), ("x", 15, 2.0)]);
    let rejected = store.append_timed(source("one"), &before, limits, at(30));
    assert_eq!(reasons(&rejected), [(Rejection::TooOld, 1)]);
    assert_eq!(history.stats().rejected.duplicate, 1, "sent again");
}

#[test]
fn a_staleness_marker_makes_no_series() {
    let history = Arc::new(History::in_memory(100));
    let store = store_with(Some(history.clone()));
    let limits = SeriesLimits::of_series(10);
    let stale = SampledSeries::stale();
    let batch = timed(&[("x", 10, 1.0)]);
    store.append_timed(source("one"), &batch, limits, at(10));
    store.ingest(source("one"), &timed(&[]), limits, at(15));
    let ends = timed(&[("x", 20, stale), ("y", 20, stale)]);
    assert_eq!(
        store.append_timed(source("one"), &ends, limits, at(20)),
        Rejected::default()
    );
    let samples = past(&history);
    assert_eq!((samples.len(), history.stats().series), (2, 1));
    assert_eq!(samples[1].2.to_bits(), stale.to_bits());
}
