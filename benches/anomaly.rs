//! Quality of anomaly detection, scored as the Numenta Anomaly Benchmark scores, beside naive
//! detectors, and the cost of it and of trends.
//!
//! `cargo bench --bench anomaly`. Quality: five families of NAB, in `../shared/data` or
//! `BELLWETHER_TEST_DATA`, and two made families whose anomalies are slow. The first lines are what ships, all settings the default; in the others the
//! threshold of each family was chosen on the four others.

// The macros of criterion make undocumented functions.
#![allow(missing_docs, clippy::print_stdout)]

#[path = "../tests/support/drifts.rs"]
mod drifts;
#[path = "../tests/support/nab.rs"]
mod nab;
#[path = "../tests/support/rivals.rs"]
mod rivals;

use std::hint::black_box;
use std::time::Duration;

use bellwether_analysis::Algorithm;
use bellwether_analysis::anomaly::{Detector, Settings};
use bellwether_analysis::trend::{Baselines, Options, trend};
use bellwether_core::UnixMillis;
use criterion::{Criterion, criterion_group, criterion_main};
use jiff::tz::TimeZone;
use nab::{File, Profile, Score};
use rivals::LeftOut;

type Scores = fn(&File) -> Vec<f64>;

const DETECTORS: [(&str, Scores); 7] = [
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
    let all = profiles.iter().map(|profile| {
        let scores: Vec<_> = files
            .iter()
            .map(|file| profile.score(file, &rivals::shipped(file)))
            .collect();
        shown(&profile.name, &files, &scores)
    });
    println!("NAB as shipped: {}", all.collect::<Vec<_>>().join("; "));
    let made: Vec<File> = [drifts::machine_temperature, drifts::daily_demand]
        .into_iter()
        .flat_map(|family| (0..10).map(family))
        .collect();
    for profile in &profiles {
        let scores: Vec<_> = made
            .iter()
            .map(|file| profile.score(file, &rivals::shipped(file)))
            .collect();
        println!(
            "made series with slow anomalies, as shipped: {}",
            shown(&profile.name, &made, &scores)
        );
    }
    let all = profiles
        .iter()
        .map(|profile| line(rivals::shipped_left_out(&files, profile), profile));
    println!(
        "NAB as shipped but for the sensitivity: {}",
        all.collect::<Vec<_>>().join("; ")
    );
    for (name, scores) in DETECTORS {
        let scores: Vec<Vec<f64>> = files.iter().map(scores).collect();
        for rows in [rivals::COOLDOWN, 200, 0] {
            let lines = profiles
                .iter()
                .map(|profile| line(rivals::left_out(&files, &scores, profile, rows), profile));
            println!(
                "NAB {name}, cooldown {rows}: {}",
                lines.collect::<Vec<_>>().join("; ")
            );
        }
    }
}

/// Of all families and of each.
fn shown(profile: &str, files: &[File], scores: &[Score]) -> String {
    let mut families: Vec<(&str, Score)> = Vec::new();
    let mut all = Score::default();
    for (file, score) in files.iter().zip(scores) {
        all.add(*score);
        match families.last_mut() {
            Some((name, sum)) if *name == file.family => sum.add(*score),
            _ => families.push((&file.family, *score)),
        }
    }
    let of = |(name, score): &(&str, Score)| format!("{name} {:.1}", figure(score));
    let families: Vec<String> = families.iter().map(of).collect();
    format!(
        "{profile} {:.1} ({})",
        all.normalized(),
        families.join(", ")
    )
}

/// Without windows there is nothing to normalize by.
fn figure(score: &Score) -> f64 {
    if score.perfect > 0.0 {
        score.normalized()
    } else {
        score.raw
    }
}

fn line(scores: LeftOut, profile: &Profile) -> String {
    let family = |(name, threshold, score): &(String, f64, Score)| {
        format!("{name} {:.1} at {threshold:.2}", figure(score))
    };
    let families: Vec<String> = scores.families.iter().map(family).collect();
    format!(
        "{} {:.1} ({})",
        profile.name,
        scores.all.normalized(),
        families.join(", ")
    )
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
        let settings = Settings {
            algorithm,
            ..Settings::default()
        };
        let mut detector = Detector::new(&settings, Duration::from_secs(15));
        // Two weeks, after which every detector is at its usual pace; each at a place of its own.
        let warm = 2 * 7 * 5760;
        for step in 0..warm {
            detector.observe(UnixMillis(step * 15_000), value(step));
        }
        let mut all: Vec<(Detector, i64)> = Vec::new();
        for series in 0..10_000 {
            detector.observe(UnixMillis((warm + series) * 15_000), value(warm + series));
            all.push((detector.clone(), warm + series));
        }
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for (detector, step) in &mut all {
                    *step += 1;
                    black_box(detector.observe(UnixMillis(*step * 15_000), value(*step)));
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
        bencher.iter(|| {
            trend(
                black_box(&times),
                &values,
                UnixMillis(i64::MAX),
                &Options::default(),
            )
        });
    });
    group.bench_function("baselines", |bencher| {
        bencher.iter(|| Baselines::of(black_box(&times), &values, TimeZone::UTC));
    });
    group.finish();
}

criterion_group!(benches, quality, observing, trends);
criterion_main!(benches);
