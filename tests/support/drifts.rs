//! Made series whose anomalies are slow, with windows as NAB draws them: a temperature of a machine
//! that sags for hours to days before it fails, and a daily and weekly demand whose odd days are
//! holidays and a storm.

#![allow(dead_code, reason = "tests and benches use their own part")]

use std::f64::consts::TAU;

use fastrand::Rng;

use super::nab::{self, File};

/// A Monday, 00:00 UTC.
const BEGIN: i64 = 1_751_241_600_000;
const MINUTE: i64 = 60_000;
/// Share of the rows that is in windows.
const LABELLED: f64 = 0.1;

/// Returns a temperature each 5 minutes for 79 days: noise of minutes and hours around a level that
/// wanders by several degrees, is set anew three times and dips for less than an hour now and then.
/// Four anomalies: a shutdown, two sags of a day or two, and a fall a week after the second.
pub fn machine_temperature(seed: u64) -> File {
    const ROWS: usize = 22_700;
    const DAY: f64 = 288.0;
    let mut random = Rng::with_seed(seed);
    let mut values = vec![90.0; ROWS];
    let wander = [(5.0 * DAY, 4.0), (48.0, 2.5), (0.1, 0.7)];
    for (memory, deviation) in wander {
        add_wander(&mut values, memory, deviation, &mut random);
    }
    for (row, value) in values.iter_mut().enumerate() {
        *value += (row as f64 / DAY * TAU).sin();
    }
    for third in 0..3 {
        let at = (f64::from(third) + random.f64()) / 3.0 * ROWS as f64;
        let by = sign(&mut random) * between(&mut random, 4.0, 8.0);
        add(&mut values, at, [72.0, f64::INFINITY, 1.0], by);
    }
    for eighth in 0..8 {
        let at = (f64::from(eighth) + random.f64()) / 8.0 * ROWS as f64;
        let length = between(&mut random, 3.0, 10.0);
        let by = between(&mut random, -10.0, -6.0);
        add(&mut values, at, [1.0, length, 2.0], by);
    }
    let mut labels = Vec::new();
    let mut day = |from: f64, to: f64| between(&mut random, from, to) * DAY;
    let [shutdown, first, second] = [day(14.0, 22.0), day(32.0, 40.0), day(52.0, 58.0)];
    let fall = second + day(7.0, 10.0);
    for (at, lasts) in [(shutdown, day(0.25, 0.6)), (fall, day(0.3, 0.8))] {
        add(
            &mut values,
            at,
            [24.0, lasts, 72.0],
            day(-75.0, -55.0) / DAY,
        );
        labels.push(at);
    }
    for at in [first, second] {
        let sags = day(0.75, 2.0);
        add(&mut values, at, [sags, 36.0, 72.0], day(-22.0, -12.0) / DAY);
        labels.push(at + sags / 2.0);
    }
    file("machine temperature", seed, 5 * MINUTE, values, labels)
}

/// Returns a demand each 30 minutes for 215 days: working days and weekends of their own course, a
/// slow change over the months, and a few mild holidays that are no anomalies. Five anomalies: a
/// race, a holiday with the days after it, one of two days, a feast at midnight, and a storm.
pub fn daily_demand(seed: u64) -> File {
    const DAYS: usize = 215;
    let mut random = Rng::with_seed(seed);
    let mut special = vec![Special::None; DAYS];
    for fifth in 0..5 {
        let day = fifth * 42 + random.usize(3..39);
        special[day] = Special::Holiday(between(&mut random, 0.9, 1.0));
    }
    let mut days: Vec<usize> = (0..5)
        .map(|slot| 110 + slot * 20 + random.usize(0..13))
        .collect();
    random.shuffle(&mut days);
    let [race, feast, holidays, midnight, storm] = days[..] else {
        unreachable!("five days")
    };
    let mut set = |day: usize, what: &[Special]| {
        special[day..day + what.len()].copy_from_slice(what);
    };
    let mut less = |from: f64, to: f64| between(&mut random, from, to);
    set(race, &[Special::Night(less(1.2, 1.4))]);
    let after = less(0.8, 0.9);
    let days_after = [
        Special::Holiday(less(0.6, 0.7)),
        Special::Holiday(after),
        Special::Times(after),
    ];
    set(feast, &days_after);
    set(
        holidays,
        &[
            Special::Times(less(0.75, 0.85)),
            Special::Holiday(less(0.5, 0.6)),
        ],
    );
    set(midnight, &[Special::Night(less(1.5, 1.8)), Special::None]);
    set(
        storm,
        &[
            Special::Falling(less(0.1, 0.3)),
            Special::Times(less(0.25, 0.5)),
        ],
    );
    let mut values = vec![0.0; DAYS * 48];
    add_wander(&mut values, 20.0 * 48.0, 0.05, &mut random);
    add_wander(&mut values, 24.0, 0.03, &mut random);
    add_wander(&mut values, 0.1, 0.03, &mut random);
    for (row, value) in values.iter_mut().enumerate() {
        let (day, hour) = (row / 48, (row % 48) as f64 / 2.0);
        let season = 1.0 + 0.05 * (row as f64 / (48.0 * 215.0) * TAU).sin();
        let demand = special[day].demand(day, hour);
        *value = (15_000.0 * demand * season * (1.0 + *value))
            .max(0.0)
            .round();
    }
    let labels = days.iter().map(|day| (day * 48 + 24) as f64).collect();
    file("daily demand", seed, 30 * MINUTE, values, labels)
}

/// A day that is not as others.
#[derive(Clone, Copy)]
enum Special {
    None,
    /// The course of a Sunday, times this.
    Holiday(f64),
    /// The usual course, times this.
    Times(f64),
    /// More in its first hours, and the course of a Sunday, four fifths of it.
    Night(f64),
    /// From noon on it falls to this.
    Falling(f64),
}

impl Special {
    fn demand(self, day: usize, hour: f64) -> f64 {
        let usual = course(day % 7, hour);
        match self {
            Self::None => usual,
            Self::Holiday(times) => times * course(6, hour),
            Self::Times(times) => times * usual,
            Self::Night(times) if hour < 4.0 => times * course(6, hour),
            Self::Night(_) => 0.8 * course(6, hour),
            Self::Falling(to) => usual * (1.0 - (1.0 - to) * ((hour - 12.0) / 8.0).clamp(0.0, 1.0)),
        }
    }
}

/// Returns the usual demand of a weekday, 0 for Monday, at an hour.
fn course(weekday: usize, hour: f64) -> f64 {
    const WORKING: [f64; 13] = [
        0.6, 0.3, 0.15, 0.6, 1.1, 1.0, 1.05, 1.0, 0.9, 1.3, 1.25, 1.05, 0.6,
    ];
    const RESTING: [f64; 13] = [
        1.1, 0.8, 0.35, 0.25, 0.6, 0.95, 1.1, 1.1, 1.05, 1.2, 1.1, 1.0, 1.1,
    ];
    const LEVEL: [f64; 7] = [0.92, 0.98, 1.0, 1.04, 1.08, 1.1, 0.95];
    let points = if weekday >= 5 { RESTING } else { WORKING };
    let place = hour / 2.0;
    let (before, part) = (place as usize, place.fract());
    LEVEL[weekday] * (points[before] * (1.0 - part) + points[before + 1] * part)
}

/// Adds a wander around 0 that forgets in `memory` rows.
fn add_wander(values: &mut [f64], memory: f64, deviation: f64, random: &mut Rng) {
    let keeps = (-1.0 / memory).exp();
    let mut at = deviation * normal(random);
    for value in values {
        at = keeps * at + deviation * (1.0 - keeps * keeps).sqrt() * normal(random);
        *value += at;
    }
}

/// Adds `by` from the row `at` on; `lengths` are those of its rise, of its stay and of its return.
fn add(values: &mut [f64], at: f64, lengths: [f64; 3], by: f64) {
    let [rise, stay, back] = lengths;
    for (row, value) in values.iter_mut().enumerate() {
        let since = row as f64 - at;
        let share = (since / rise).clamp(0.0, 1.0);
        let left = ((since - rise - stay) / back).clamp(0.0, 1.0);
        *value += by * (share - left);
    }
}

fn normal(random: &mut Rng) -> f64 {
    (0..12).map(|_| random.f64()).sum::<f64>() - 6.0
}

fn between(random: &mut Rng, from: f64, to: f64) -> f64 {
    from + (to - from) * random.f64()
}

fn sign(random: &mut Rng) -> f64 {
    if random.bool() { 1.0 } else { -1.0 }
}

/// Returns the series with a window around each label: together a tenth of the rows.
fn file(family: &str, seed: u64, step: i64, values: Vec<f64>, labels: Vec<f64>) -> File {
    let rows = values.len();
    let half = LABELLED * rows as f64 / labels.len() as f64 / 2.0;
    let mut windows: Vec<(usize, usize)> = labels
        .iter()
        .map(|label| {
            (
                (label - half) as usize,
                ((label + half) as usize).min(rows - 1),
            )
        })
        .collect();
    windows.sort_unstable();
    File {
        family: family.into(),
        name: seed.to_string(),
        times: (0..rows as i64).map(|row| BEGIN + row * step).collect(),
        places: nab::places(rows, &windows),
        windows: windows.len(),
        values,
    }
}
