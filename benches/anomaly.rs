//! How good anomaly detection is, scored as the Numenta Anomaly Benchmark scores, beside naive
//! detectors, and what it and trends cost.
//!
//! `cargo bench --bench anomaly`. Quality: five families of NAB, in `../shared/data` or
//! `BELLWETHER_TEST_DATA`; the threshold of each family was chosen on the four others.

// The macros of criterion make undocumented functions.
#![allow(missing_docs, clippy::print_stdout)]

#[path = "../tests/support/nab.rs"]
mod nab;
#[path = "../tests/support/rivals.rs"]
mod rivals;

use std::hint::black_box;
use std::time::Duration;

use bellwether::analysis::Algorithm;
use bellwether::analysis::anomaly::{Detector, Settings};
use bellwether::analysis::trend::{Baselines, Options, trend};
use bellwether::model::Wall;
use criterion::{Criterion, criterion_group, criterion_main};
use jiff::tz::TimeZone;
use nab::{File, Profile};

type Scores = fn(&File) -> Vec<f64>;

const DETECTORS: [(&str, Scores); 8] = [
    ("auto", |file| rivals::ours(file, Algorithm::Auto)),
    ("seasonal", |file| rivals::ours(file, Algorithm::Seasonal)),
    ("mad", |file| rivals::ours(file, Algorithm::Mad)),
    ("iqr", |file| rivals::ours(file, Algorithm::Iqr)),
    ("zscore", |file| rivals::ours(file, Algorithm::ZScore)),
    ("NAB's windowed Gaussian", rivals::windowed_gaussian),
    ("random", |file| rivals::random(file, 42)),
    ("null", |file| vec![0.0; file.values.len()]),
];

fn quality(_: &mut Criterion) {
    let (files, profiles) = match (nab::files(), nab::profiles()) {
        (Ok(files), Ok(profiles)) => (files, profiles),
        (Err(missing), _) | (_, Err(missing)) => {
            return println!("anomaly detection not scored, {missing}");
        }
    };
    for (name, scores) in DETECTORS {
        let scores: Vec<Vec<f64>> = files.iter().map(scores).collect();
        for rows in [rivals::COOLDOWN, 200, 0] {
            let told = profiles.iter().map(|profile| line(&files, &scores, profile, rows));
            println!("NAB {name}, cooldown {rows}: {}", told.collect::<Vec<_>>().join("; "));
        }
    }
}

fn line(files: &[File], scores: &[Vec<f64>], profile: &Profile, rows: u32) -> String {
    let told = rivals::left_out(files, scores, profile, rows);
    let family = |(name, threshold, score): &(String, f64, nab::Score)| {
        // Without windows there is nothing to normalize by.
        let of = if score.perfect > 0.0 { score.normalized() } else { score.raw };
        format!("{name} {of:.1} at {threshold:.2}")
    };
    let families: Vec<String> = told.families.iter().map(family).collect();
    format!("{} {:.1} ({})", profile.name, told.all.normalized(), families.join(", "))
}

/// A value at each 15 s with a day's course and noise.
fn value(step: i64) -> f64 {
    50.0 + 20.0 * (step as f64 / 917.0).sin() + (step * 7919 % 101) as f64 / 25.0
}

fn observing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("anomaly/10000 series, one tick");
    group.sample_size(20);
    for (name, algorithm) in [
        ("auto", Algorithm::Auto),
        ("seasonal", Algorithm::Seasonal),
        ("mad", Algorithm::Mad),
        ("zscore", Algorithm::ZScore),
    ] {
        let settings = Settings { algorithm, ..Settings::default() };
        let mut detector = Detector::new(&settings, Duration::from_secs(15));
        // Two weeks, after which every detector is at its usual pace; each at a place of its own.
        let warm = 2 * 7 * 5760;
        for step in 0..warm {
            detector.observe(Wall(step * 15_000), value(step));
        }
        let mut all: Vec<(Detector, i64)> = Vec::new();
        for series in 0..10_000 {
            detector.observe(Wall((warm + series) * 15_000), value(warm + series));
            all.push((detector.clone(), warm + series));
        }
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for (detector, step) in &mut all {
                    *step += 1;
                    black_box(detector.observe(Wall(*step * 15_000), value(*step)));
                }
            });
        });
    }
    group.finish();
}

fn trends(criterion: &mut Criterion) {
    let times: Vec<i64> = (0..604_800).map(|step| step * 1000).collect();
    let values: Vec<f64> = (0..604_800).map(value).collect();
    let mut group = criterion.benchmark_group("trend/7 d of 1 s");
    group.sample_size(10);
    group.bench_function("course", |bencher| {
        bencher.iter(|| trend(black_box(&times), &values, Wall(i64::MAX), &Options::default()));
    });
    group.bench_function("baselines", |bencher| {
        bencher.iter(|| Baselines::of(black_box(&times), &values, TimeZone::UTC));
    });
    group.finish();
}

criterion_group!(benches, quality, observing, trends);
criterion_main!(benches);
