//! Cost of history: bytes, time and memory.
//!
//! `cargo bench --bench history`. Times are of the whole process, the thread that writes included.
//! `BELLWETHER_HISTORY=FOLDER` packs real samples too, those in the folder of a Bellwether that ran.

// The macros of criterion make undocumented functions.
#![allow(missing_docs, clippy::print_stdout, clippy::expect_used)]

mod resident;

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Queryable};
use bellwether_tsdb::history::{BlockWriter, History, Options, SeriesId};
use criterion::{Criterion, criterion_group};
use resident::resident;
use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;

/// 2026-11-21, where a block begins.
const START: i64 = 1_795_219_200_000;
const HOUR: i64 = 3_600_000;

/// Set in a process of its own: which memory it measures.
const CHILD: &str = "BELLWETHER_BENCH_MEMORY";

/// Values as hosts have them, a quarter each: gauges with two decimals that wander or are noise,
/// counters, constants.
struct Values {
    random: fastrand::Rng,
    last: Vec<f64>,
}

impl Values {
    fn new(series: usize) -> Self {
        Self {
            random: fastrand::Rng::with_seed(7),
            last: vec![50.0; series],
        }
    }

    fn next(&mut self, kind: usize, series: usize) -> f64 {
        let last = &mut self.last[series];
        match kind {
            0 => *last += (self.random.f64() - 0.5) * 2.0,
            1 => *last = self.random.f64() * 100.0,
            2 => *last += f64::from(self.random.u32(..1000)),
            _ => {}
        }
        if kind < 2 {
            (*last * 100.0).round() / 100.0
        } else {
            last.floor()
        }
    }
}

fn named(number: usize) -> LabelSet {
    let name = format!("bench_metric_{}", number % 50);
    LabelSet::new([
        ("__name__", name.as_str()),
        ("instance", &format!("host{}", number / 50)),
    ])
}

fn options(folder: &Path) -> Options {
    Options {
        folder: Some(folder.to_owned()),
        max_bytes: 4 << 30,
        ..Options::default()
    }
}

/// Collections of `series` series, made beforehand in parts so that making them is not measured.
/// Returns how long appending took, until all of it was durable, and the CPU time.
fn fill(
    history: &History,
    series: usize,
    rounds: usize,
    step: i64,
    kind: impl Fn(usize) -> usize,
) -> (Duration, Duration) {
    let refs: Vec<SeriesId> = (0..series)
        .map(|number| history.series_id(&named(number)).expect("room"))
        .collect();
    let mut values = Values::new(series);
    let (mut wall, mut cpu) = (Duration::ZERO, Duration::ZERO);
    for part in (0..rounds).collect::<Vec<_>>().chunks(100) {
        let made: Vec<(UnixMillis, Vec<(SeriesId, f64)>)> = part
            .iter()
            .map(|round| {
                let sample = |(number, series): (usize, &SeriesId)| {
                    (*series, values.next(kind(number), number))
                };
                (
                    UnixMillis(START + *round as i64 * step),
                    refs.iter().enumerate().map(sample).collect(),
                )
            })
            .collect();
        let (began, used) = (Instant::now(), cpu_time());
        for (at, samples) in &made {
            history.append(*at, samples);
        }
        history.sync();
        wall += began.elapsed();
        cpu += cpu_time() - used;
    }
    (wall, cpu)
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// In a process of its own: what it takes more once it holds so much history.
fn memory_child(what: &str) {
    let folder = TempDir::new().expect("a temporary folder");
    let (series, rounds, step) = if what.contains("100 series") {
        (100, 10_000, 15_000)
    } else {
        (500, 5_760, 15_000)
    };
    let mut options = options(folder.path());
    if what.contains("memory only") {
        options.folder = None;
    }
    let before = resident();
    let (history, _) = History::open(options, UnixMillis(START));
    fill(&history, series, rounds, step, |number| number % 4);
    let grown = resident().saturating_sub(before);
    let stats = history.stats();
    println!(
        "{what}: resident {:.1} MB more, of which the head says {:.1}; {} samples, {} in blocks",
        grown as f64 / 1e6,
        stats.head_bytes as f64 / 1e6,
        stats.head_samples + stats.block_samples,
        stats.block_samples,
    );
}

fn memory(_: &mut Criterion) {
    for samples in ["100 series x 10,000 samples", "500 series x 24 h at 15 s"] {
        for place in ["on disk", "memory only"] {
            let what = format!("{samples}, {place}");
            let this = std::env::current_exe().expect("this program");
            let output = Command::new(this)
                .env(CHILD, what)
                .output()
                .expect("it runs");
            print!("{}", String::from_utf8_lossy(&output.stdout));
        }
    }
}

fn append(_: &mut Criterion) {
    const SERIES: usize = 1_000;
    const ROUNDS: usize = 10_000;
    let folder = TempDir::new().expect("a temporary folder");
    let (history, _) = History::open(options(folder.path()), UnixMillis(START));
    let (wall, cpu) = fill(&history, SERIES, ROUNDS, 15_000, |number| number % 4);
    let stats = history.stats();
    let samples = (SERIES * ROUNDS) as f64;
    println!(
        "append, 10 M samples of 1,000 series at 15 s: {:.2} M samples/s, {:.0} ns of CPU each, \
         {} blocks, not logged {}",
        samples / wall.as_secs_f64() / 1e6,
        cpu.as_nanos() as f64 / samples,
        stats.blocks,
        stats.dropped,
    );
    drop(history);
    reopen(folder.path(), "10 M samples over 42 h, most in blocks");
    let folder = TempDir::new().expect("a temporary folder");
    let (history, _) = History::open(options(folder.path()), UnixMillis(START));
    fill(&history, 1_400, 7_143, 1_000, |number| number % 4);
    drop(history);
    reopen(folder.path(), "10 M samples, all in the log");
}

fn reopen(folder: &Path, what: &str) {
    let (began, used) = (Instant::now(), cpu_time());
    let (history, recovery) = History::open(options(folder), UnixMillis(START + 42 * HOUR));
    let (took, cpu) = (began.elapsed(), cpu_time() - used);
    println!(
        "open, {what}: {:.2} s, {:.2} s of CPU, {} samples read back, {} blocks",
        took.as_secs_f64(),
        cpu.as_secs_f64(),
        recovery.samples,
        recovery.blocks
    );
    drop(history);
}

fn bytes(_: &mut Criterion) {
    let kinds = [
        "wandering gauges, 2 decimals",
        "noise, 2 decimals",
        "counters",
        "constants",
    ];
    for (kind, what) in kinds.into_iter().enumerate() {
        println!("{what}, 15 s: {:.2} bytes per sample", packed(&|_| kind));
    }
    println!(
        "a quarter of each, 15 s: {:.2} bytes per sample",
        packed(&|number| number % 4)
    );
    if let Some(folder) = std::env::var_os("BELLWETHER_HISTORY") {
        real(Path::new(&folder));
    }
}

/// Bytes of the blocks of 24 hours, everything in them counted, per sample.
fn packed(kind: &dyn Fn(usize) -> usize) -> f64 {
    let folder = TempDir::new().expect("a temporary folder");
    let (history, _) = History::open(options(folder.path()), UnixMillis(START));
    fill(&history, 200, 26 * 240, 15_000, kind);
    let stats = history.stats();
    stats.block_bytes as f64 / stats.block_samples as f64
}

/// The samples of a real run, packed into blocks anew: those that are still in the log too.
fn real(folder: &Path) {
    let (history, recovery) = History::open_read_only(folder);
    if let Some(error) = recovery.error {
        return println!("real samples not packed: {error}");
    }
    let stats = history.stats();
    let (Some(oldest), Some(newest)) = (stats.oldest, stats.newest) else {
        return;
    };
    let anew = TempDir::new().expect("a temporary folder");
    let (mut samples, mut bytes) = (0, 0);
    let mut from = History::block_range(oldest).start;
    while from <= newest {
        let range = History::block_range(from);
        let to = UnixMillis(range.end.0 - 1);
        let series = history
            .select(&[], range.start, to, &Guard::default())
            .expect("readable");
        let mut writer = BlockWriter::create(anew.path(), range.clone()).expect("a block");
        for one in &series {
            samples += one.times.len();
            writer
                .add(&one.labels, &one.times, &one.values)
                .expect("added");
        }
        let path = writer.finish().expect("finished");
        bytes += std::fs::metadata(path).expect("there").len();
        from = range.end;
    }
    println!(
        "real samples: {:.2} bytes per sample; {samples} samples of {} series over {:.2} h",
        bytes as f64 / samples as f64,
        stats.series,
        newest.since(oldest).as_secs_f64() / 3600.0
    );
}

fn read(c: &mut Criterion) {
    let folder = TempDir::new().expect("a temporary folder");
    let (history, _) = History::open(options(folder.path()), UnixMillis(START));
    fill(&history, 500, 25 * 3600 / 5, 5_000, |number| number % 4);
    let matchers = [
        LabelMatcher::equal("__name__", "bench_metric_7"),
        LabelMatcher::equal("instance", "host3"),
    ];
    let mut select = |name: &str, from: i64, to: i64| {
        c.bench_function(name, |b| {
            b.iter(|| {
                let guard = Guard::default();
                black_box(history.select(&matchers, UnixMillis(from), UnixMillis(to), &guard))
                    .expect("read")
            });
        });
    };
    select(
        "history/one hour of one series, in a block",
        START + 5 * HOUR,
        START + 6 * HOUR,
    );
    select(
        "history/one hour of one series, over two blocks",
        START + 9 * HOUR / 2,
        START + 11 * HOUR / 2,
    );
    select(
        "history/one hour of one series, in memory",
        START + 24 * HOUR,
        START + 25 * HOUR,
    );
    select(
        "history/24 hours of one series",
        START + HOUR,
        START + 25 * HOUR,
    );
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2)).sample_size(20);
    targets = memory, bytes, append, read
}

mod group {
    criterion::criterion_main!(super::benches);

    pub fn run() {
        main();
    }
}

fn main() {
    match std::env::var(CHILD) {
        Ok(what) => memory_child(&what),
        Err(_) => group::run(),
    }
}
