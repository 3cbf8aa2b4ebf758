//! A day of 1,000 series at 15 s evaluated by 100 rules; a month is thirty of them.
//!
//! The samples are made as they are asked for, so this is the cost of judging, not of a disk.

use std::hint::black_box;
use std::time::Duration;

use bellwether_agent::replay::{self, Setup};
use bellwether_config::{self as config, Source};
use bellwether_core::{LabelSet, METRIC_NAME, UnixMillis};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Queryable, SampledSeries, StorageError};
use criterion::{Criterion, criterion_group, criterion_main};

const STEP_MS: i64 = 15_000;
const DAY_MS: i64 = 86_400_000;
const METRICS: usize = 100;
const SERIES: usize = 10;

/// A hundred metrics of ten series, each a wave with a phase of its own.
struct Waves;

impl Queryable for Waves {
    fn select(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<SampledSeries>, StorageError> {
        let mut all = Vec::new();
        for labels in self.series(matchers, from, to, guard)? {
            let phase = labels
                .get("host")
                .trim_start_matches('h')
                .parse()
                .unwrap_or(0.0);
            let first = from.0.div_euclid(STEP_MS) + i64::from(from.0.rem_euclid(STEP_MS) > 0);
            let times: Vec<i64> = (first..=to.0.div_euclid(STEP_MS))
                .map(|n| n * STEP_MS)
                .collect();
            let value = |at: &i64| 50.0 + 50.0 * (*at as f64 / 3.6e6 + phase).sin();
            guard.charge(times.len())?;
            all.push(SampledSeries {
                labels,
                values: times.iter().map(value).collect(),
                times,
            });
        }
        Ok(all)
    }

    fn series(
        &self,
        matchers: &[LabelMatcher],
        _from: UnixMillis,
        _to: UnixMillis,
        _guard: &Guard,
    ) -> Result<Vec<LabelSet>, StorageError> {
        let all = (0..METRICS).flat_map(|metric| {
            (0..SERIES).map(move |host| {
                LabelSet::new([
                    (METRIC_NAME, format!("m{metric}")),
                    ("host", format!("h{host}")),
                ])
            })
        });
        let accepted = |labels: &LabelSet| matchers.iter().all(|one| one.matches(labels));
        Ok(all.filter(accepted).collect())
    }
}

/// A hundred rules: thresholds with durations, and means over five minutes.
fn configuration() -> String {
    let metrics: String = (0..METRICS)
        .map(|n| format!("    - {{name: m{n}, type: gauge, labels: [host]}}\n"))
        .collect();
    let rules: String = (0..100)
        .map(|n| {
            let (metric, threshold) = (n % METRICS, 60 + n % 40);
            let aggregation = if n % 2 == 0 { "" } else { ", aggregation: mean, window: 5m" };
            format!(
                "      - {{name: r{n}, metric: m{metric}, condition: '>', threshold: {threshold}, duration: 5m{aggregation}}}\n"
            )
        })
        .collect();
    format!(
        "performance_monitor:\n  collection_interval: 15\n  prometheus: {{metric_prefix: ''}}\n  application_metrics:\n{metrics}  alerting:\n    notifications: {{channels: [{{type: log}}]}}\n    rules:\n{rules}"
    )
}

fn day(criterion: &mut Criterion) {
    let text = configuration();
    let mut group = criterion.benchmark_group("replay");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(20));
    group.bench_function("day_1000_series_100_rules", |bencher| {
        bencher.iter(|| {
            let loaded = config::decode(&Source::Embedded, &text, &|_| None);
            let Ok(plan) = config::plan(loaded) else {
                return;
            };
            let setup = Setup {
                metrics: plan.metrics,
                rules: plan.rules,
                routing: plan.routing,
                channels: &plan
                    .root
                    .performance_monitor
                    .value
                    .alerting
                    .notifications
                    .channels,
                matchers: &[],
            };
            let from = UnixMillis(1_700_000_000_000);
            let to = UnixMillis(from.0 + DAY_MS);
            let outcome = replay::run(&Waves, setup, from, to, &Guard::default(), &mut |_| {});
            assert!(outcome.as_ref().is_ok_and(|one| one.samples > 5_000_000));
            black_box(outcome.is_ok());
        });
    });
    group.finish();
}

criterion_group!(benches, day);
criterion_main!(benches);
