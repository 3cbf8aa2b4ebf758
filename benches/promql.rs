//! PromQL over history: a tick of a thousand rules, and range queries as a dashboard makes them.
//!
//! 10,000 series of 1,000 samples each, 15 s apart: ten million samples, in history as it is after
//! a start, in memory. Each rule reads ten series by two of their three labels.

use std::hint::black_box;
use std::time::Duration;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_promql::{Guard, Options, Query, parse};
use bellwether_tsdb::history::History;
use criterion::{Criterion, criterion_group, criterion_main};

const SERIES: usize = 10_000;
const SAMPLES: i64 = 1_000;
const STEP: i64 = 15_000;
const START: i64 = 1_700_000_000_000;
const END: UnixMillis = UnixMillis(START + (SAMPLES - 1) * STEP);
const RULES: usize = 1_000;

/// Gauges with two decimals in half of the series, counters in the others.
fn filled() -> History {
    let history = History::in_memory(SERIES);
    let names = ["queue_depth", "requests_total"];
    let series = (0..SERIES).map(|index| {
        let (service, instance) = (index / 20, index / 2 % 10);
        let labels = LabelSet::new([
            ("__name__", names[index % 2].to_owned()),
            ("service", format!("service-{service}")),
            ("instance", format!("10.0.0.{instance}:9100")),
            ("region", ["eu", "us"][service % 2].to_owned()),
        ]);
        history.series_id(&labels).map(|series| (series, index))
    });
    let series: Vec<_> = series.flatten().collect();
    let mut samples = Vec::with_capacity(SERIES);
    for step in 0..SAMPLES {
        samples.clear();
        samples.extend(series.iter().map(|(series, index)| {
            let phase = (step as f64 / 40.0 + *index as f64).sin();
            let gauge = (5_000.0 + 4_000.0 * phase).round() / 100.0;
            (
                *series,
                if index % 2 == 0 {
                    gauge
                } else {
                    (step * (1 + *index as i64 % 7)) as f64
                },
            )
        }));
        history.append(UnixMillis(START + step * STEP), &samples);
    }
    history
}

/// One rule a service, `{}` being its number.
fn rules(text: &str) -> Vec<Query> {
    let service = |rule: usize| format!("service-{}", rule % (SERIES / 20));
    (0..RULES)
        .flat_map(|rule| parse(&text.replace("{}", &service(rule))))
        .collect()
}

fn ask(history: &History, queries: &[Query]) {
    for query in queries {
        black_box(
            query
                .instant(history, END, &Options::default(), &Guard::default())
                .ok(),
        );
    }
}

fn queries(criterion: &mut Criterion) {
    let history = filled();
    let mut group = criterion.benchmark_group("promql");
    group.sample_size(10);
    for (name, text) in [
        (
            "1000_threshold_rules",
            "queue_depth{service=\"{}\",region=~\"eu|us\"} > 95",
        ),
        (
            "1000_rate_rules",
            "sum(rate(requests_total{service=\"{}\"}[5m])) > 1000",
        ),
    ] {
        let rules = rules(text);
        assert_eq!(rules.len(), RULES);
        group.bench_function(name, |bencher| bencher.iter(|| ask(&history, &rules)));
    }
    for (name, text, hours) in [
        (
            "range_1h_sum_by_rate",
            "sum by (service) (rate(requests_total[5m]))",
            1,
        ),
        (
            "range_4h_10_series",
            "queue_depth{service=\"service-7\"}",
            4,
        ),
        ("range_4h_avg_of_5000", "avg(queue_depth)", 4),
    ] {
        let (Ok(query), step) = (parse(text), Duration::from_secs(60)) else {
            continue;
        };
        let start = END.before(Duration::from_secs(hours * 3600));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let guard = Guard::default();
                black_box(query.range(&history, start, END, step, &Options::default(), &guard))
            });
        });
    }
    for service in ["service-1", "service-499"] {
        // What is measured finds something.
        let query = parse(&format!("count(queue_depth{{service=\"{service}\"}})"));
        let query = query.ok().map(|query| {
            query
                .instant(&history, END, &Options::default(), &Guard::default())
                .ok()
        });
        assert!(format!("{query:?}").contains("value: 10.0"), "{query:?}");
    }
}

criterion_group!(benches, queries);
criterion_main!(benches);
