//! Kills a process that writes history, again and again, and looks whether what it was reported to be
//! durable is there.
//!
//! `cargo bench --bench history_crash`; `BELLWETHER_KILLS=N` for another number of kills. It
//! measures nothing; it ends with an error if a sample is missing or wrong.

#![allow(clippy::print_stdout, clippy::expect_used, clippy::disallowed_methods)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_promql::{Guard, Queryable};
use bellwether_tsdb::history::{History, Options, Recovery, SeriesId};
use tempfile::TempDir;

const FOLDER: &str = "BELLWETHER_CRASH_FOLDER";
const SERIES: usize = 40;
/// 2026-11-21.
const START: i64 = 1_795_219_200_000;
/// Far enough apart that blocks are cut all the time.
const STEP: i64 = 120_000;

fn named(number: usize) -> LabelSet {
    LabelSet::new([("__name__", "crash"), ("number", &number.to_string())])
}

fn value(series: usize, round: i64) -> f64 {
    (series as i64 * 31 + round * 7 % 1013) as f64 / 100.0
}

fn open(folder: &Path, round: i64) -> (History, Recovery) {
    let options = Options {
        folder: Some(folder.to_owned()),
        ..Options::default()
    };
    History::open(options, UnixMillis(START + round * STEP))
}

/// Appends until it is killed, and says which round is durable.
fn write(folder: &Path) {
    let mut input = String::new();
    std::io::stdin()
        .read_line(&mut input)
        .expect("where to begin");
    let first: i64 = input.trim().parse().expect("a number");
    let (history, _) = open(folder, first);
    let refs: Vec<SeriesId> = (0..SERIES)
        .map(|number| history.series_id(&named(number)).expect("room"))
        .collect();
    let mut out = std::io::stdout();
    for round in first.. {
        let sample = |(number, series): (usize, &SeriesId)| (*series, value(number, round));
        let samples: Vec<_> = refs.iter().enumerate().map(sample).collect();
        history.append(UnixMillis(START + round * STEP), &samples);
        if history.sync() {
            writeln!(out, "{round}")
                .and_then(|()| out.flush())
                .expect("a reader");
        }
    }
}

/// Lets a process write and kills it. Returns the last round that it called durable.
fn kill_one(folder: &Path, first: i64, after: Duration) -> i64 {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .env(FOLDER, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    writeln!(child.stdin.take().expect("a pipe"), "{first}").expect("it reads");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let began = lines.next().and_then(Result::ok);
    let reader = std::thread::spawn(move || lines.map_while(Result::ok).last());
    std::thread::sleep(after);
    child.kill().expect("killed");
    child.wait().expect("ended");
    let last = reader.join().expect("read").or(began);
    last.and_then(|line| line.parse().ok()).unwrap_or(first - 1)
}

/// Reads all and compares. Returns the last round there is.
fn look(folder: &Path, durable: i64) -> i64 {
    let (history, recovery) = open(folder, durable);
    assert_eq!(recovery.error, None);
    let all = history
        .select(&[], UnixMillis(0), UnixMillis(i64::MAX), &Guard::default())
        .expect("readable");
    let mut last = durable;
    for series in &all {
        let number: usize = series.labels.get("number").parse().expect("a number");
        let oldest = history.stats().oldest.map_or(START, |oldest| oldest.0);
        let first = (oldest - START) / STEP;
        let rounds = series.times.iter().map(|time| (time - START) / STEP);
        assert!(
            rounds.clone().eq(first..first + series.times.len() as i64),
            "a hole in {number}"
        );
        for (round, found) in rounds.zip(&series.values) {
            assert_eq!(
                found.to_bits(),
                value(number, round).to_bits(),
                "{number} at {round}"
            );
            last = last.max(round);
        }
        let end = first + series.times.len() as i64 - 1;
        assert!(
            end >= durable,
            "series {number} ends at {end}, {durable} was durable"
        );
    }
    assert!(durable < 0 || all.len() == SERIES, "{} series", all.len());
    last
}

fn main() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return write(Path::new(&folder));
    }
    let kills = std::env::var("BELLWETHER_KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok());
    let kills: u32 = kills.unwrap_or(100);
    let folder = TempDir::new().expect("a temporary folder");
    let mut next = 0;
    for _ in 0..kills {
        let after = Duration::from_micros(fastrand::u64(..200_000));
        let durable = kill_one(folder.path(), next, after);
        next = look(folder.path(), durable) + 1;
    }
    println!("{kills} kills, {next} collections of {SERIES} series, nothing lost");
}
