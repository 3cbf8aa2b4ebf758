//! History out to files and back in, with the real binary, promtool, Prometheus and
//! VictoriaMetrics.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::agent::Agent;
use crate::support::poll;
use crate::support::storage::{Storage, difference, lines};

fn bellwether(arguments: &[&str], history: &Path, input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .args(arguments)
        .arg("--history")
        .arg(history)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // A command that fails early does not read on.
    let feeding = std::thread::spawn(move || stdin.write_all(input.as_bytes()).ok());
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn run(arguments: &[&str], history: &Path, input: &str) -> String {
    let output = bellwether(arguments, history, input);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

fn export(history: &Path) -> String {
    run(&["export"], history, "")
}

/// Six hours of counters, gauges and histograms of a few jobs, as an export writes them.
fn exposition() -> String {
    let start = 1_760_000_000_i64;
    let mut exposition = String::new();
    let mut family = |name: &str, labels: &[&str], value: &dyn Fn(i64, usize) -> f64| {
        writeln!(exposition, "# TYPE {name} unknown").unwrap();
        for (number, labels) in labels.iter().enumerate() {
            for step in 0..1440 {
                let mut shown = value(step, number).to_string();
                if shown == "inf" {
                    shown = "+Inf".into();
                }
                writeln!(
                    exposition,
                    "{name}{labels} {shown} {}.{:03}",
                    start + step * 15,
                    number
                )
                .unwrap();
            }
        }
    };
    let jobs = [
        "{job=\"a\"}",
        "{job=\"b \\\"quoted\\\" \\\\ \\n é\"}",
        "{job=\"c\",zone=\"1\"}",
    ];
    family("gauge", &jobs, &|step, number| {
        ((step * 37 + number as i64) % 1000) as f64 / 100.0
    });
    family(
        "latency_bucket",
        &["{le=\"+Inf\"}", "{le=\"0.5\"}"],
        &|step, _| (step / 3) as f64,
    );
    family("latency_count", &[""], &|step, _| (step / 3) as f64);
    family("odd", &[""], &|step, _| match step % 4 {
        0 => f64::NAN,
        1 => f64::INFINITY,
        2 => -0.1,
        _ => 1e-3,
    });
    family("requests_total", &jobs, &|step, number| {
        (step * (number as i64 + 1)) as f64
    });
    exposition + "# EOF\n"
}

#[test]
fn what_goes_out_comes_in_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let exposition = exposition();
    let output = run(&["import", "-"], &first, &exposition);
    assert!(
        output.starts_with("imported 14400 samples of 10 series into "),
        "{output}"
    );
    assert!(
        output.contains(", 2025-10-09T08:53:20Z to 2025-10-09T14:53:05.002Z"),
        "{output}"
    );
    let out = export(&first);
    assert_eq!(out, exposition);
    let file = folder.path().join("out.om");
    run(&["export", "--file", file.to_str().unwrap()], &first, "");
    run(&["import", file.to_str().unwrap()], &second, "");
    assert_eq!(export(&second), out);
    // Again, and in another format: nothing changes.
    let json = run(&["export", "-o", "json"], &second, "");
    run(&["import", "-"], &second, &json);
    assert_eq!(export(&second), out);
    let csv = run(&["export", "-o", "csv", "--match", "odd"], &second, "");
    assert_eq!(
        csv.lines().nth(3),
        Some("2025-10-09T08:53:50.000Z,\"odd\",-0.1")
    );
}

#[test]
fn a_part_is_what_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    run(&["import", "-"], folder.path(), &exposition());
    let part = run(
        &[
            "export",
            "--match",
            "gauge{job=\"a\"}",
            "--match",
            "{__name__=~\"latency_.*\",le=\"\"}",
            "--from",
            "1760000015",
            "--to",
            "1760000030",
        ],
        folder.path(),
        "",
    );
    assert_eq!(
        part,
        "# TYPE gauge unknown\ngauge{job=\"a\"} 0.37 1760000015.000\n\
         gauge{job=\"a\"} 0.74 1760000030.000\n# TYPE latency_count unknown\n\
         latency_count 0 1760000015.000\nlatency_count 0 1760000030.000\n# EOF\n"
    );
    let bad = bellwether(&["export", "--match", "rate(a[5m])"], folder.path(), "");
    assert!(!bad.status.success());
    assert!(
        text(&bad.stderr).contains("--match rate(a[5m]): not a series selector"),
        "{}",
        text(&bad.stderr)
    );
}

/// Configured metrics and self-metrics have their types; a histogram is one family.
#[test]
fn types_that_are_known_go_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let configuration = "\
performance_monitor:
  application_metrics:
    - {name: hits_total, type: counter}
    - {name: load, type: gauge, labels: [host]}
    - {name: took, type: histogram, labels: [path], buckets: [0.5, 10]}
";
    std::fs::write(path("bellwether.yaml"), configuration).unwrap();
    let exposition = "\
# TYPE bellwether_series gauge
bellwether_series 7 1760000000.000
# TYPE hits counter
hits_total 3 1760000000.000
hits_total 4 1760000015.000
# TYPE load gauge
load{host=\"a\"} 0.5 1760000000.000
# TYPE others_total unknown
others_total 1 1760000000.000
# TYPE took histogram
took_bucket{le=\"0.5\",path=\"/\"} 1 1760000000.000
took_bucket{le=\"10\",path=\"/\"} 2 1760000000.000
took_bucket{le=\"+Inf\",path=\"/\"} 2 1760000000.000
took_count{path=\"/\"} 2 1760000000.000
took_sum{path=\"/\"} 3.5 1760000000.000
took_bucket{le=\"0.5\",path=\"/a\"} 1 1760000000.000
took_count{path=\"/a\"} 2 1760000000.000
# TYPE took_bytes unknown
took_bytes 1 1760000000.000
# EOF
";
    run(&["import", "-"], &path("first"), exposition);
    let config = path("bellwether.yaml");
    let export = ["export", "--config", config.to_str().unwrap()];
    let out = run(&export, &path("first"), "");
    assert_eq!(out, exposition);
    run(&["import", "-"], &path("second"), &out);
    assert_eq!(run(&export, &path("second"), ""), exposition);
    std::fs::write(path("out.om"), &out).unwrap();
    let promtool = |arguments: &[&str]| {
        let output = Command::new("promtool")
            .args(arguments)
            .current_dir(folder.path())
            .output();
        let output = output.expect("promtool is needed: apt-get install prometheus");
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    };
    promtool(&[
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        "out.om",
        "data",
    ]);
    // Which a dump asks for; a Prometheus would have made it.
    std::fs::create_dir(path("data/wal")).unwrap();
    run(
        &["import", "-"],
        &path("third"),
        &promtool(&["tsdb", "dump", "data"]),
    );
    assert_eq!(run(&export, &path("third"), ""), exposition);
}

#[test]
fn promtool_and_prometheus_take_it_and_give_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let exposition = exposition();
    std::fs::write(path("exposition.om"), &exposition).unwrap();
    run(
        &["import", path("exposition.om").to_str().unwrap()],
        &path("history"),
        "",
    );
    run(
        &["export", "--file", path("out.om").to_str().unwrap()],
        &path("history"),
        "",
    );
    std::fs::create_dir_all(path("prometheus")).unwrap();
    let promtool = |arguments: &[&str]| {
        let output = Command::new("promtool").args(arguments).output();
        let output = output.expect("promtool is needed: apt-get install prometheus");
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    };
    let data = path("prometheus/data");
    promtool(&[
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        path("out.om").to_str().unwrap(),
        data.to_str().unwrap(),
    ]);

    let ours = lines(&run(&["export", "-o", "json"], &path("history"), ""));
    let mut prometheus = Storage::prometheus(&path("prometheus"));
    assert_eq!(
        difference(&ours, &prometheus.samples(), prometheus.rounding()),
        [""; 0]
    );
    prometheus.end("TERM");

    let dump = promtool(&["tsdb", "dump", data.to_str().unwrap()]);
    assert!(dump.starts_with("{__name__=\""), "{}", &dump[..100]);
    run(&["import", "-"], &path("again"), &dump);
    // A single NaN of a dump is taken for a staleness marker, for which OpenMetrics has no word.
    let numbers = exposition
        .split_inclusive('\n')
        .filter(|line| !line.contains(" NaN "));
    assert_eq!(export(&path("again")), numbers.collect::<String>());
}

#[test]
fn victoria_metrics_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history");
    run(&["import", "-"], &history, &exposition());
    // The one of Debian rejects lines with NaN or infinity, which stand by themselves.
    let json = run(&["export", "-o", "json"], &history, "");
    let finite: String = json
        .split_inclusive('\n')
        .filter(|line| !line.contains("Infinity") && !line.contains("NaN"))
        .collect();
    let victoria = Storage::victoria_metrics(&folder.path().join("victoria"));
    victoria.post("/api/v1/import", &json);
    let start = Instant::now();
    loop {
        let found = difference(&lines(&finite), &victoria.samples(), victoria.rounding());
        if found.is_empty() {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{found:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn bad_lines_are_reported_with_file_and_line_and_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (file, history) = (folder.path().join("bad.om"), folder.path().join("history"));
    std::fs::write(
        &file,
        "up 1 1760000000\nup{job=} 1 1760000001\nup 2\nup 3 1760000003\n",
    )
    .unwrap();
    let failed = bellwether(&["import", file.to_str().unwrap()], &history, "");
    assert!(!failed.status.success());
    let output = text(&failed.stderr);
    let expected = format!(
        "bellwether: {}:2: expected =\"value\" after the label name: job; nothing was imported; hint: \
         name{{label=\"value\"}} VALUE SECONDS, or a line of promtool tsdb dump\n",
        file.display()
    );
    assert_eq!(output, expected);
    assert!(!history.exists());
    let output = run(
        &["import", "--skip-bad", file.to_str().unwrap()],
        &history,
        "",
    );
    assert!(
        output.contains("imported 2 samples of 1 series"),
        "{output}"
    );
    assert!(
        output.contains("skipped 3 invalid lines; the first: ") && output.contains("bad.om:2: "),
        "{output}"
    );
    assert_eq!(
        export(&history),
        "# TYPE up unknown\nup 1 1760000000.000\nup 3 1760000003.000\n# EOF\n"
    );
}

/// Killed again and again while it writes blocks: what is there is whole, and importing again
/// makes it complete.
#[test]
fn an_import_that_is_killed_leaves_no_half_block() {
    let folder = tempfile::tempdir().unwrap();
    let (file, history) = (
        folder.path().join("exposition.om"),
        folder.path().join("history"),
    );
    let exposition = exposition();
    std::fs::write(&file, &exposition).unwrap();
    let mut killed = 0;
    for wait in (0..40).map(|step| Duration::from_millis(step * 5)) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bellwether"))
            .arg("import")
            .arg(&file)
            .arg("--history")
            .arg(&history)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(wait);
        child.kill().unwrap();
        killed += usize::from(!child.wait().unwrap().success());
        if history.exists() {
            let whole: std::collections::HashSet<&str> = exposition.lines().collect();
            let there = export(&history);
            assert!(there.lines().all(|line| whole.contains(line)));
            // Of each block all series are there or none.
            let samples = there.lines().filter(|line| !line.starts_with('#')).count();
            assert_eq!(samples % 10, 0, "{samples}");
        }
    }
    assert!(killed > 0);
    run(&["import", file.to_str().unwrap()], &history, "");
    assert_eq!(export(&history), exposition);
}

#[test]
fn a_running_agent_takes_an_import_and_can_be_exported() {
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(
        folder.path(),
        "performance_monitor:\n  collection_interval: 200ms\n  enabled_collectors: [system]\n  \
         system_metrics: [{name: cpu_percent, type: gauge}]\ntrend_analysis: {storage: {retention_days: 3650}}\n",
    );
    let history = folder.path().join("state/history");
    poll("samples on disk", Duration::from_secs(30), || {
        let there = export(&history);
        there.contains("cpu_percent").then_some(())
    });
    run(&["import", "-"], &history, "old_one 7 1760000000\n# EOF\n");
    assert!(export(&history).contains("old_one 7 1760000000.000\n"));
    let before = agent.value("bellwether_history_blocks").unwrap();
    agent.wait_for_value("bellwether_history_blocks", |blocks| blocks > before);
    assert!(agent.stop().success());
    assert!(export(&history).contains("old_one 7 1760000000.000\n"));
}
