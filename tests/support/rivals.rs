//! Detectors that are scored on NAB: ours, naive ones beside them, and the choice of thresholds.

#![allow(dead_code, reason = "tests and benches use their own part")]

use bellwether_analysis::Algorithm;
use bellwether_analysis::anomaly::{Detector, Settings};
use bellwether_analysis::report::interval;
use bellwether_core::UnixMillis;

use super::nab::{File, Profile, Score};

/// Rows after a hit in which no further one counts; as a time, by the usual step of the file.
pub const COOLDOWN: u32 = 100;

/// The z from which the published results of "windowedGaussian", 1 less the chance of a value as
/// large, say 1.0: they have 12 digits.
pub const CERTAIN: f64 = 7.130_506_848;

/// The scores of one of our algorithms with its defaults, in the order of the rows.
pub fn ours(file: &File, algorithm: Algorithm) -> Vec<f64> {
    let settings = Settings {
        algorithm,
        ..Settings::default()
    };
    let mut detector = Detector::new(&settings, interval(&file.times));
    let rows = file.times.iter().zip(&file.values);
    rows.map(|(time, value)| detector.observe(UnixMillis(*time), *value).score)
        .collect()
}

/// NAB's "windowedGaussian" in standard deviations, of the values so far; no file is as long as
/// its window of 6400.
pub fn windowed_gaussian(file: &File) -> Vec<f64> {
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    // Sums from the first value on, or large and steady values lose their differences.
    let first = file.values.first().copied().unwrap_or_default();
    let score = |value: &f64| {
        let value = value - first;
        let mean = sum / f64::max(count, 1.0);
        let deviation = (squares / f64::max(count, 1.0) - mean * mean)
            .max(0.0)
            .sqrt();
        let z = (value - mean) / if deviation > 1e-9 { deviation } else { 1e-6 };
        let seen = if count > 0.0 { z.abs() } else { 0.0 };
        (count, sum, squares) = (count + 1.0, sum + value, squares + value * value);
        seen
    };
    file.values.iter().map(score).collect()
}

/// Scores that chance makes.
pub fn random(file: &File, seed: u64) -> Vec<f64> {
    let mut random = fastrand::Rng::with_seed(seed);
    file.values.iter().map(|_| random.f64()).collect()
}

/// The rows that the detector reports as it ships, one for each event.
pub fn shipped(file: &File) -> Vec<bool> {
    reported(file, &Settings::default())
}

/// The rows that a detector reports.
pub fn reported(file: &File, settings: &Settings) -> Vec<bool> {
    let mut detector = Detector::new(settings, interval(&file.times));
    let rows = file.times.iter().zip(&file.values);
    rows.map(|(time, value)| detector.observe(UnixMillis(*time), *value).reported)
        .collect()
}

/// The default detector with the sensitivity of each family chosen on the others, for whether the
/// default is a lucky one.
pub fn shipped_left_out(files: &[File], profile: &Profile) -> LeftOut {
    let sensitivities: Vec<f64> = (14..=30).map(|half| f64::from(half) / 2.0).collect();
    let row = |file: &File| {
        let score = |sensitivity: &f64| {
            let settings = Settings {
                sensitivity: Some(*sensitivity),
                ..Settings::default()
            };
            profile.score(file, &reported(file, &settings))
        };
        sensitivities.iter().map(score).collect()
    };
    let table: Vec<Vec<Score>> = files.iter().map(row).collect();
    chosen(files, &table, &sensitivities)
}

/// Scores of each family at a threshold that was the best for all the others.
#[derive(Debug, Default)]
pub struct LeftOut {
    /// Family, threshold, score.
    pub families: Vec<(String, f64, Score)>,
    /// Of all families.
    pub all: Score,
}

/// Scores `scores`, a list per file, with the threshold of each family chosen on the others.
pub fn left_out(files: &[File], scores: &[Vec<f64>], profile: &Profile, rows: u32) -> LeftOut {
    let thresholds = thresholds(scores);
    let table: Vec<Vec<Score>> = files
        .iter()
        .zip(scores)
        .map(|(file, scores)| {
            let score =
                |threshold: &f64| profile.score(file, &hits(file, scores, *threshold, rows));
            thresholds.iter().map(score).collect()
        })
        .collect();
    chosen(files, &table, &thresholds)
}

/// Each family at the threshold that is the best for the others; `table` has a row per file.
fn chosen(files: &[File], table: &[Vec<Score>], thresholds: &[f64]) -> LeftOut {
    let mut families: Vec<&str> = files.iter().map(|file| &*file.family).collect();
    families.dedup();
    let mut scores = LeftOut::default();
    for family in families {
        let sum = |threshold: usize, inside: bool| {
            let mut sum = Score::default();
            let of = files
                .iter()
                .zip(table)
                .filter(|(file, _)| (file.family == family) == inside);
            of.for_each(|(_, row)| sum.add(row[threshold]));
            sum
        };
        let best = (0..thresholds.len())
            .max_by(|a, b| sum(*a, false).raw.total_cmp(&sum(*b, false).raw))
            .unwrap_or_default();
        scores.all.add(sum(best, true));
        scores
            .families
            .push((family.into(), thresholds[best], sum(best, true)));
    }
    scores
}

/// 200 thresholds, from one that hardly any score reaches to one that 15 of 100 do.
fn thresholds(scores: &[Vec<f64>]) -> Vec<f64> {
    let mut all: Vec<f64> = scores.iter().flatten().copied().collect();
    all.sort_unstable_by(|a, b| b.total_cmp(a));
    let place = |step: i32| {
        let part = 2e-5 * (0.15_f64 / 2e-5).powf(f64::from(step) / 199.0);
        all[(part * all.len() as f64) as usize]
    };
    let mut chosen: Vec<f64> = (0..200).map(place).collect();
    chosen.dedup();
    chosen
}

/// Returns the rows that are hits at `threshold`, each followed by `rows` that are none.
pub fn hits(file: &File, scores: &[f64], threshold: f64, rows: u32) -> Vec<bool> {
    let cooldown = interval(&file.times) * rows;
    let mut last: Option<UnixMillis> = None;
    let hit = |(time, score): (&i64, &f64)| {
        let at = UnixMillis(*time);
        let quiet = last.is_some_and(|last| at.since(last) < cooldown);
        let hit = *score > 0.0 && *score >= threshold && !quiet;
        if hit {
            last = Some(at);
        }
        hit
    };
    file.times.iter().zip(scores).map(hit).collect()
}
