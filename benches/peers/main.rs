//! Bellwether beside what a user would pick instead, as whole processes over HTTP, in one run.
//!
//! `cargo bench --bench peers`, or `make bench`. A peer that is not installed is named and left
//! out. Results are for `benches/README.md`, as ratios: the figures are those of one machine.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod declarations;
mod process;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use process::Process;
use tempfile::TempDir;

const BELLWETHER: &str = env!("CARGO_BIN_EXE_bellwether");
/// Debian's name, then the project's own.
const NODE_EXPORTER: [&str; 2] = ["prometheus-node-exporter", "node_exporter"];
/// What node_exporter needs for the figures of the shipped declaration, and nothing else.
const SAME_FIGURES: [&str; 7] = [
    "--collector.disable-defaults",
    "--collector.cpu",
    "--collector.cpufreq",
    "--collector.meminfo",
    "--collector.filesystem",
    "--collector.diskstats",
    "--collector.netdev",
];

fn main() {
    println!("{:<44} {:>12} {:>12} {:>8}", "", "bellwether", "peer", "ratio");
    let folder = TempDir::new().expect("folder");
    host(folder.path());
    start(folder.path());
    for series in [10_000, 100_000] {
        page(folder.path(), series);
    }
    rules(folder.path());
}

/// One line of the table; the ratio is how many times less Bellwether needs.
fn tell(what: &str, unit: &str, ours: f64, theirs: f64) {
    println!(
        "{:<44} {ours:>12.3} {theirs:>12.3} {:>7.1}x",
        format!("{what}, {unit}"),
        theirs / ours
    );
}

fn skip(what: &str, tool: &str) {
    println!("{what}: left out, {tool} is not installed");
}

fn bellwether(folder: &Path, yaml: &str) -> Process {
    let config = folder.join("bellwether.yaml");
    std::fs::write(&config, yaml).expect("written");
    Process::start(folder, |address| {
        let mut command = Command::new(BELLWETHER);
        command.args(["run", "--config"]).arg(&config).args(["--web.listen-address", address]);
        command
    })
}

fn node_exporter(folder: &Path) -> Option<Process> {
    let tool = NODE_EXPORTER.into_iter().find(|tool| process::installed(tool))?;
    Some(Process::start(folder, |address| {
        let mut command = Command::new(tool);
        command.args(SAME_FIGURES).arg(format!("--web.listen-address={address}"));
        command
    }))
}

/// A scrape of the host every 100 ms. Bellwether collects beside it at the same rhythm, so its
/// processor time holds the collection too.
fn host(folder: &Path) {
    const SCRAPES: u32 = 200;
    let Some(theirs) = node_exporter(folder) else { return skip("host scrape", NODE_EXPORTER[0]) };
    let ours = bellwether(folder, &declarations::host());
    let rhythm = Duration::from_millis(100);
    let (our_cpu, their_cpu) = (ours.cpu(), theirs.cpu());
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for _ in 0..SCRAPES {
        let begun = Instant::now();
        our_times.push(ours.scrape());
        their_times.push(theirs.scrape());
        std::thread::sleep(rhythm.saturating_sub(begun.elapsed()));
    }
    let each = |cpu: Duration| process::millis(cpu) / f64::from(SCRAPES);
    tell("host scrape, p50", "ms", process::median(our_times), process::median(their_times));
    tell(
        "host, CPU of scrape and collection",
        "ms",
        each(ours.cpu() - our_cpu),
        each(theirs.cpu() - their_cpu),
    );
    tell("resident memory after it", "MiB", ours.memory("VmRSS"), theirs.memory("VmRSS"));
}

/// From the start of the process to its first page.
fn start(folder: &Path) {
    const STARTS: usize = 10;
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..STARTS {
        let Some(theirs) = node_exporter(folder) else { return skip("start", NODE_EXPORTER[0]) };
        times[1].push(theirs.started_in());
        times[0].push(bellwether(folder, &declarations::host()).started_in());
    }
    let [ours, theirs] = times.map(process::median);
    tell("start to first page, p50", "ms", ours, theirs);
}

/// A page of many series, against a program with client_golang that holds the same.
fn page(folder: &Path, series: usize) {
    const SCRAPES: usize = 30;
    if !process::installed("go") {
        return skip("page", "go");
    }
    let program = folder.join("client_golang");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/client_golang");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(source)
        .status();
    assert!(built.is_ok_and(|status| status.success()), "client_golang cannot be built");
    let theirs = Process::start(folder, |address| {
        let mut command = Command::new(&program);
        command.args([&series.to_string(), address]);
        command
    });
    let ours = bellwether(folder, &declarations::gauges());
    declarations::record(&ours, series);
    let both = (0..SCRAPES).map(|_| (ours.scrape(), theirs.scrape()));
    let (our_times, their_times): (Vec<_>, Vec<_>) = both.unzip();
    let what = format!("page of {series} series, p50");
    tell(&what, "ms", process::median(our_times), process::median(their_times));
    tell("    peak memory", "MiB", ours.memory("VmHWM"), theirs.memory("VmHWM"));
}

/// Ten thousand rules, each on a series of its own: the time of one evaluation of all.
fn rules(folder: &Path) {
    if !process::installed("prometheus") {
        return skip("rules", "prometheus");
    }
    for (what, kind) in [
        ("10,000 threshold rules, one tick", declarations::Rules::Threshold),
        ("10,000 rules on 20 s means, one tick", declarations::Rules::Mean),
    ] {
        let ours = bellwether(folder, &declarations::rules(kind));
        declarations::record(&ours, declarations::RULES);
        let theirs = declarations::prometheus(folder, &ours, kind);
        // Long enough for the windows to be full.
        std::thread::sleep(Duration::from_secs(30));
        let ticks = (0..10).map(|_| {
            std::thread::sleep(Duration::from_secs(1));
            let ours = ours.figure("bellwether_rule_tick_duration_seconds");
            (ours, theirs.figure("prometheus_rule_group_last_duration_seconds"))
        });
        let (our_ticks, their_ticks): (Vec<_>, Vec<_>) = ticks.unzip();
        tell(what, "ms", 1e3 * process::median(our_ticks), 1e3 * process::median(their_ticks));
    }
}
