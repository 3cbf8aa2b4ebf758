//! The Numenta Anomaly Benchmark: its files, and its scoring as `nab/sweeper.py` and
//! `nab/runner.py` of numenta/NAB have it (Lavin and Ahmad 2015).

#![allow(clippy::expect_used, clippy::panic, reason = "for tests and benches")]
#![allow(dead_code, reason = "tests and benches use their own part")]

use std::path::{Path, PathBuf};
use std::{env, fs};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

/// The part of a file that is not scored, of at most 5000 rows.
const PROBATION: f64 = 0.15;

/// One file with its windows of anomaly.
pub struct File {
    pub family: String,
    pub name: String,
    /// Milliseconds since the epoch, as if in UTC.
    pub times: Vec<i64>,
    pub values: Vec<f64>,
    pub places: Vec<Place>,
    pub windows: usize,
}

/// Role of a row in the scoring, and score of a hit there, before weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    Probation,
    /// Of the window with this number; 1 at its beginning, near 0 at its end.
    Window(usize, f64),
    /// Between windows; -1 far away, more right after one.
    Outside(f64),
}

/// Weights of hits and misses.
#[derive(Clone, Debug)]
pub struct Profile {
    pub name: String,
    pub true_positive: f64,
    pub false_positive: f64,
    pub false_negative: f64,
}

/// Score with the two it is normalized by: that of no hit at all, and of all windows hit at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Score {
    pub raw: f64,
    pub null: f64,
    pub perfect: f64,
}

impl Score {
    /// 0 for no hit at all, 100 for perfection; NaN without windows.
    pub fn normalized(&self) -> f64 {
        100.0 * (self.raw - self.null) / (self.perfect - self.null)
    }

    pub fn add(&mut self, other: Score) {
        self.raw += other.raw;
        self.null += other.null;
        self.perfect += other.perfect;
    }
}

/// -1 to 1: how good a hit is at `position`, where a window is from -1 to 0.
fn sigmoid(position: f64) -> f64 {
    if position > 3.0 {
        -1.0
    } else {
        2.0 / (1.0 + (5.0 * position).exp()) - 1.0
    }
}

/// The places of `rows` rows with `windows`, first and last row of each.
pub fn places(rows: usize, windows: &[(usize, usize)]) -> Vec<Place> {
    let probation = (PROBATION * rows as f64).floor().min(PROBATION * 5000.0) as usize;
    let place = |row: usize| {
        if row < probation {
            return Place::Probation;
        }
        if let Some(number) = windows.iter().position(|(a, b)| (*a..=*b).contains(&row)) {
            let (first, last) = windows[number];
            let position = -((last - row + 1) as f64) / (last - first + 1) as f64;
            return Place::Window(number, sigmoid(position) / sigmoid(-1.0));
        }
        let before = windows.iter().rev().find(|(_, last)| *last < row);
        Place::Outside(before.map_or(-1.0, |(first, last)| {
            sigmoid((row - last) as f64 / (last - first) as f64)
        }))
    };
    (0..rows).map(place).collect()
}

impl Profile {
    /// Scores `hits`, one per row of `file`.
    pub fn score(&self, file: &File, hits: &[bool]) -> Score {
        assert_eq!(hits.len(), file.places.len());
        let mut best: Vec<Option<f64>> = vec![None; file.windows];
        let mut score = Score {
            perfect: file.windows as f64 * self.true_positive,
            ..Score::default()
        };
        for (place, hit) in file.places.iter().zip(hits) {
            match *place {
                Place::Window(number, worth) => {
                    let best = best[number].get_or_insert(-self.false_negative);
                    if *hit {
                        *best = best.max(worth * self.true_positive);
                    }
                }
                Place::Outside(worth) if *hit => score.raw += worth * self.false_positive,
                Place::Probation | Place::Outside(_) => {}
            }
        }
        for worth in best.into_iter().flatten() {
            score.raw += worth;
            score.null -= self.false_negative;
        }
        score
    }
}

fn folder() -> PathBuf {
    let given = env::var_os("BELLWETHER_TEST_DATA").map(PathBuf::from);
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    given.unwrap_or_else(beside).join("nab")
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("missing: {}: {error}", file.display()))
}

fn json(file: &Path) -> Result<Value, String> {
    Ok(serde_json::from_str(&read(file)?).expect("JSON"))
}

/// The profiles, the standard one first, or what is missing.
pub fn profiles() -> Result<Vec<Profile>, String> {
    let all = json(&folder().join("config/profiles.json"))?;
    let profile = |name: &str| {
        let weight = |key: &str| all[name]["CostMatrix"][key].as_f64().expect("a weight");
        Profile {
            name: name.into(),
            true_positive: weight("tpWeight"),
            false_positive: weight("fpWeight"),
            false_negative: weight("fnWeight"),
        }
    };
    Ok(["standard", "reward_low_FP_rate", "reward_low_FN_rate"]
        .map(profile)
        .into())
}

/// All files, by family and name, or what is missing.
pub fn files() -> Result<Vec<File>, String> {
    let windows = json(&folder().join("labels/combined_windows.json"))?;
    let data = folder().join("data");
    let mut found = Vec::new();
    for family in listed(&data)? {
        for name in listed(&data.join(&family))? {
            let text = read(&data.join(&family).join(&name))?;
            let windows = windows[format!("{family}/{name}")]
                .as_array()
                .expect("windows");
            found.push(file(&family, &name, &text, windows));
        }
    }
    Ok(found)
}

fn listed(folder: &Path) -> Result<Vec<String>, String> {
    let missing = |error| format!("missing: {}: {error}", folder.display());
    let entries = fs::read_dir(folder).map_err(missing)?;
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("readable")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    names.sort();
    Ok(names)
}

fn file(family: &str, name: &str, text: &str, windows: &[Value]) -> File {
    let rows = text.lines().skip(1).map(|line| {
        let (time, value) = line.split_once(',').expect("two columns");
        (millis(time), value.trim().parse::<f64>().expect("a number"))
    });
    let (times, values): (Vec<i64>, Vec<f64>) = rows.unzip();
    let row = |time: &Value| {
        let time = millis(time.as_str().expect("a time"));
        times
            .iter()
            .position(|other| *other == time)
            .expect("a row of that time")
    };
    let windows: Vec<_> = windows
        .iter()
        .map(|ends| (row(&ends[0]), row(&ends[1])))
        .collect();
    File {
        family: family.into(),
        name: name.into(),
        places: places(values.len(), &windows),
        windows: windows.len(),
        times,
        values,
    }
}

fn millis(text: &str) -> i64 {
    let time: DateTime = text.trim().parse().expect("a time");
    time.to_zoned(TimeZone::UTC)
        .expect("within the calendar")
        .timestamp()
        .as_millisecond()
}
