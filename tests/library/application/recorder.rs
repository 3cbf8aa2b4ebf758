//! The Rust API: values, errors, limits, expiry, many threads, reload.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bellwether_core::Batch;
use bellwether_recorder::{Reason, Recorder};

use super::{at, recorder, recorder_of, rejected, series, values};

#[test]
fn labels_come_in_any_order() {
    let recorder = recorder();
    recorder
        .observe(
            "agent_execution_time",
            &[("agent_name", "cv"), ("status", "ok")],
            2.5,
        )
        .unwrap();
    recorder
        .observe(
            "agent_execution_time",
            &[("status", "ok"), ("agent_name", "cv")],
            0.1,
        )
        .unwrap();
    assert_eq!(
        values(&recorder, "agent_execution_time{cv,ok}"),
        [1.0, 1.0, 2.0, 2.0, 2.6]
    );
}

#[test]
fn each_rejection_has_its_reason_and_is_counted() {
    type Act = fn(&Recorder) -> Result<(), bellwether_recorder::RecordError>;
    let long = "x".repeat(2000);
    let cases: [(Act, Reason, &str); 11] = [
        (|r| r.inc("nope", &[], 1.0), Reason::UnknownMetric, "nope"),
        (
            |r| r.inc("cache_hits", &[("cache", "c")], 1.0),
            Reason::UnknownLabel,
            "cache",
        ),
        (
            |r| r.inc("cache_hits", &[], 1.0),
            Reason::MissingLabel,
            "cache_name",
        ),
        (
            |r| {
                r.inc(
                    "cache_hits",
                    &[("cache_name", "a"), ("cache_name", "b")],
                    1.0,
                )
            },
            Reason::RepeatedLabel,
            "cache_name",
        ),
        (
            |r| r.set("cache_hits", &[("cache_name", "a")], 1.0),
            Reason::WrongKind,
            "cache_hits is a counter: inc",
        ),
        (
            |r| r.observe("queue_length", &[("queue_name", "a")], 1.0),
            Reason::WrongKind,
            "queue_length is a gauge: set or add",
        ),
        (
            |r| r.set("queue_length", &[("queue_name", "a")], f64::NAN),
            Reason::NotANumber,
            "",
        ),
        (
            |r| r.inc("events", &[], f64::INFINITY),
            Reason::Infinite,
            "",
        ),
        (|r| r.inc("events", &[], -1.0), Reason::NegativeCounter, ""),
        (
            |r| r.observe("latency", &[("op", "a")], f64::NAN),
            Reason::NotANumber,
            "",
        ),
        (
            |r| r.counter("queue_length", &[]).map(drop),
            Reason::WrongKind,
            "queue_length is a gauge: set or add",
        ),
    ];
    for (act, reason, subject) in cases {
        let recorder = recorder();
        let before = series(&recorder);
        let error = act(&recorder).unwrap_err();
        assert_eq!((error.reason, &*error.subject), (reason, subject));
        assert_eq!(rejected(&recorder), [(reason.as_str(), 1)].into());
        assert_eq!(
            series(&recorder),
            before,
            "a rejected record leaves no trace: {reason:?}"
        );
    }
    let recorder = recorder();
    let error = recorder
        .inc("cache_hits", &[("cache_name", &long)], 1.0)
        .unwrap_err();
    assert_eq!(error.reason, Reason::LabelTooLong);
    assert!(error.subject.len() < 60);
}

#[test]
fn the_ceiling_holds_for_records_and_handles() {
    let recorder = recorder();
    for who in ["a", "b", "c", "d", "a"] {
        let _ = recorder.inc("few", &[("who", who)], 1.0);
    }
    assert_eq!(
        recorder.counter("few", &[("who", "e")]).unwrap_err().reason,
        Reason::TooManySeries
    );
    let counts = recorder.series_counts();
    let few = counts.iter().find(|count| &*count.metric == "few").unwrap();
    assert_eq!((few.series, few.over_limit), (2, 3));
    assert_eq!(rejected(&recorder), [("too_many_series", 3)].into());
    assert_eq!(values(&recorder, "few{a}"), [2.0]);
}

#[test]
fn what_has_no_labels_and_counts_shows_from_the_start() {
    let recorder = recorder_of(
        "- {name: c, type: counter}\n- {name: g, type: gauge}\n- {name: h, type: histogram, buckets: [1]}\n- {name: s, type: summary}",
    );
    let all = series(&recorder);
    assert_eq!(all.keys().collect::<Vec<_>>(), ["c{}", "h{}", "s{}"]);
    assert_eq!(all["h{}"], [0.0, 0.0, 0.0]);
    assert!(all["s{}"][..3].iter().all(|quantile| quantile.is_nan()));
    recorder.set("g", &[], 3.0).unwrap();
    assert_eq!(values(&recorder, "g{}"), [3.0]);
}

#[test]
fn silent_series_are_forgotten_where_the_configuration_says_so() {
    let recorder = recorder();
    recorder.set("fleeting", &[("who", "a")], 1.0).unwrap();
    recorder
        .set("queue_length", &[("queue_name", "a")], 1.0)
        .unwrap();
    recorder.advance(at(3600));
    recorder.set("fleeting", &[("who", "b")], 1.0).unwrap();
    recorder.advance(at(3630));
    recorder.advance(at(3660));
    let names: Vec<_> = series(&recorder).into_keys().collect();
    assert_eq!(names, ["events{}", "fleeting{b}", "queue_length{a}"]);
}

#[test]
fn a_summary_forgets_after_its_max_age() {
    let recorder = recorder();
    recorder.advance(at(3600));
    recorder.observe("latency", &[("op", "a")], 9.0).unwrap();
    recorder.advance(at(3630));
    recorder.observe("latency", &[("op", "a")], 1.0).unwrap();
    assert_eq!(values(&recorder, "latency{a}"), [1.0, 9.0, 2.0, 10.0]);
    recorder.advance(at(3650));
    assert_eq!(values(&recorder, "latency{a}"), [1.0, 1.0, 2.0, 10.0]);
    recorder.advance(at(3700));
    let got = values(&recorder, "latency{a}");
    assert!(got[0].is_nan() && got[1].is_nan());
    assert_eq!(got[2..], [2.0, 10.0]);
}

#[test]
fn the_helpers_record_the_duration_and_the_count() {
    let recorder = recorder();
    let took = Duration::from_millis(500);
    recorder.agent_execution("cv", took, "success").unwrap();
    recorder.agent_error("cv", "Timeout").unwrap();
    recorder.api_request("/api", "GET", took, 200).unwrap();
    recorder.api_error("/api", "GET", "Timeout").unwrap();
    recorder.queue_length("mail", 42).unwrap();
    recorder.queue_processing("mail", took).unwrap();
    recorder
        .entity_processing("Camera", "create", took)
        .unwrap();
    recorder.cache_hit("c").unwrap();
    recorder.cache_miss("c").unwrap();
    recorder.cache_size("c", 150).unwrap();
    let expected: [(&str, &[f64]); 15] = [
        ("agent_error_count{cv,Timeout}", &[1.0]),
        ("agent_execution_count{cv,success}", &[1.0]),
        (
            "agent_execution_time{cv,success}",
            &[0.0, 1.0, 1.0, 1.0, 0.5],
        ),
        ("api_error_count{/api,GET,Timeout}", &[1.0]),
        ("api_request_count{/api,GET,200}", &[1.0]),
        ("api_request_duration{/api,GET,200}", &[1.0, 1.0, 0.5]),
        ("cache_hits{c}", &[1.0]),
        ("cache_misses{c}", &[1.0]),
        ("cache_size{c}", &[150.0]),
        ("entities_processed_total{Camera,create}", &[1.0]),
        ("entities_processing_time{Camera,create}", &[1.0, 1.0, 0.5]),
        ("events{}", &[0.0]),
        ("queue_items_processed{mail}", &[1.0]),
        ("queue_length{mail}", &[42.0]),
        ("queue_processing_time{mail}", &[1.0, 1.0, 0.5]),
    ];
    let expected = expected.map(|(name, values)| (name.to_owned(), values.to_vec()));
    assert_eq!(series(&recorder), expected.into());
}

#[test]
fn a_helper_records_what_is_declared_and_says_what_is_not() {
    let recorder =
        recorder_of("- {name: queue_items_processed, type: counter, labels: [queue_name]}");
    let error = recorder
        .queue_processing("mail", Duration::from_secs(1))
        .unwrap_err();
    assert_eq!(error.subject, "queue_processing_time");
    assert_eq!(values(&recorder, "queue_items_processed{mail}"), [1.0]);
    assert_eq!(rejected(&recorder), [("unknown_metric", 1)].into());
}

/// Every thread records everywhere by name and by handle while another reads: totals are exact,
/// and no reading shows a histogram whose sum does not belong to its count.
#[test]
fn many_threads_lose_nothing_and_every_reading_is_of_one_moment() {
    const THREADS: usize = 8;
    const ROUNDS: usize = 5_000;
    let recorder = recorder();
    let (start, done) = (Barrier::new(THREADS + 1), AtomicBool::new(false));
    thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    hammer(&recorder, ROUNDS);
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            start.wait();
            let mut readings = 0;
            while !done.load(Ordering::Relaxed) || readings == 0 {
                check_histograms(&recorder);
                readings += 1;
            }
        });
        workers
            .into_iter()
            .for_each(|worker| worker.join().unwrap());
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    });
    let total = (THREADS * ROUNDS) as f64;
    let all = series(&recorder);
    assert_eq!(all["events{}"], [total * 2.0]);
    assert_eq!(all["queue_length{q}"], [total]);
    let latency = &all["latency{x}"];
    assert_eq!(latency[2..], [total, total * 3.0]);
    let counted: f64 = (0..7).map(|n| all[&format!("cache_hits{{c{n}}}")][0]).sum();
    assert_eq!(counted, total * 0.5);
    assert_eq!(
        all["agent_execution_time{a,b}"],
        [0.0, 0.0, total * 2.0, total * 2.0, total * 6.0]
    );
}

fn hammer(recorder: &Recorder, rounds: usize) {
    let labels = [("agent_name", "a"), ("status", "b")];
    let time = recorder.observer("agent_execution_time", &labels).unwrap();
    let events = recorder.counter("events", &[]).unwrap();
    let queue = recorder
        .gauge("queue_length", &[("queue_name", "q")])
        .unwrap();
    for round in 0..rounds {
        time.observe(3.0).unwrap();
        recorder
            .observe("agent_execution_time", &labels, 3.0)
            .unwrap();
        recorder.observe("latency", &[("op", "x")], 3.0).unwrap();
        events.inc(1.0).unwrap();
        recorder.inc("events", &[], 1.0).unwrap();
        queue.add(1.0).unwrap();
        let cache = format!("c{}", round % 7);
        recorder
            .inc("cache_hits", &[("cache_name", &cache)], 0.5)
            .unwrap();
    }
}

fn check_histograms(recorder: &Recorder) {
    let mut batch = Batch::default();
    recorder.fill(&mut batch);
    for sample in batch.iter().filter(|sample| sample.metric.0 == 0) {
        let [.., third, count, sum] = sample.values else {
            panic!("{sample:?}")
        };
        assert_eq!((third, *sum), (count, count * 3.0));
    }
}

#[test]
fn parts_hold_each_series_once_and_are_small() {
    let recorder = recorder();
    for agent in 0..1000 {
        recorder
            .queue_length(&format!("queue {agent}"), agent)
            .unwrap();
    }
    let whole: Vec<String> = series(&recorder).into_keys().collect();
    let mut taken = Vec::new();
    recorder.for_each_part(|part| {
        let before = taken.len();
        if let Some(series) = part.read() {
            let (mut values, mut at_once) = (Vec::new(), Vec::new());
            series.for_each(|sample| {
                taken.push(sample.labels.to_vec());
                values.extend_from_slice(sample.values);
            });
            series.read_values(&mut at_once);
            assert_eq!(at_once, values);
        }
        let count = taken.len() - before;
        assert!(count < 500, "{count} samples");
    });
    assert_eq!(taken.len(), whole.len());
    let queues: BTreeSet<Vec<u8>> = taken
        .into_iter()
        .filter(|labels| labels.starts_with(b"queue "))
        .collect();
    assert_eq!(queues.len(), 1000);
}

#[test]
fn a_reload_keeps_what_did_not_change() {
    let old = recorder();
    let handle = old.counter("events", &[]).unwrap();
    handle.inc(2.0).unwrap();
    old.cache_hit("c").unwrap();
    old.queue_length("q", 7).unwrap();
    let _ = old.inc("nope", &[], 1.0);
    // The same metrics at other places; one changed, one gone, one new.
    let new = recorder_of(
        "- {name: fresh, type: counter}\n- {name: events, type: counter, help: Other words.}\n\
         - {name: cache_hits, type: counter, labels: [cache_name, tier]}",
    );
    new.adopt(&old);
    handle.inc(1.0).unwrap();
    assert_eq!(values(&new, "events{}"), [3.0]);
    let names: Vec<_> = series(&new).into_keys().collect();
    assert_eq!(names, ["events{}", "fresh{}"]);
    assert_eq!(rejected(&new), [("unknown_metric", 1)].into());
}

#[test]
fn clones_from_before_several_reloads_still_record() {
    let first = recorder();
    let embedded = first.clone();
    let second = recorder_of("- {name: events, type: counter}");
    second.adopt(&first);
    drop(first);
    let third = recorder_of("- {name: events, type: counter}\n- {name: late, type: counter}");
    third.adopt(&second);
    embedded.inc("late", &[], 1.0).unwrap();
    embedded.inc("events", &[], 1.0).unwrap();
    second.inc("events", &[], 1.0).unwrap();
    assert_eq!(values(&third, "late{}"), [1.0]);
    assert_eq!(values(&third, "events{}"), [2.0]);
    assert_eq!(
        embedded.cache_hit("c").unwrap_err().reason,
        Reason::UnknownMetric
    );
}

/// Threads record over reload after reload; nothing is lost on the way.
#[test]
fn reloads_under_load_lose_nothing() {
    const EACH: usize = 20_000;
    let metrics = "- {name: events, type: counter}\n- {name: hits, type: counter, labels: [a]}";
    let first = recorder_of(metrics);
    let (writer, mut current) = (first.clone(), first);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    for round in 0..EACH {
                        writer.inc("events", &[], 1.0).unwrap();
                        writer
                            .inc("hits", &[("a", &(round % 50).to_string())], 1.0)
                            .unwrap();
                    }
                })
            })
            .collect();
        while threads.iter().any(|thread| !thread.is_finished()) {
            let next = recorder_of(metrics);
            next.adopt(&current);
            current = next;
        }
    });
    let all = series(&current);
    assert_eq!(all["events{}"], [2.0 * EACH as f64]);
    let hits: f64 = (0..50).map(|n| all[&format!("hits{{{n}}}")][0]).sum();
    assert_eq!(hits, 2.0 * EACH as f64);
}
