//! Configurations that `bellwether convert` writes, beside the programs whose configurations it reads.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::agent::request;
use crate::support::process::Process;
use crate::support::{free_port, poll};

/// A sample: its name, its labels, its value.
type Sample = (String, BTreeSet<String>, String);

fn samples(exposition: &str) -> BTreeSet<Sample> {
    let lines = exposition
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    let samples = lines.filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = labels.trim_end_matches('}').split(',');
        let labels = labels.filter(|label| !label.is_empty());
        let value: f64 = value.parse().ok()?;
        Some((
            name.to_owned(),
            labels.map(str::to_owned).collect(),
            value.to_string(),
        ))
    });
    samples.collect()
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn bellwether() -> Command {
    Command::new(env!("CARGO_BIN_EXE_bellwether"))
}

/// Converts a file, completes what is written with `replacements`, and returns the samples of all its collectors.
fn converted(source: &Path, replacements: &[(&str, &str)]) -> BTreeSet<Sample> {
    let path = source.with_extension("yaml");
    output(bellwether().arg("convert").arg(source).arg("-o").arg(&path));
    let mut text = fs::read_to_string(&path).unwrap();
    for (from, to) in replacements {
        assert!(text.contains(from), "{text}");
        text = text.replace(from, to);
    }
    fs::write(&path, text).unwrap();
    samples(&output(
        bellwether()
            .arg("test-collector")
            .arg("--config")
            .arg(&path),
    ))
}

const PROGRAM: &str = r#"
counter http_requests_total by method, code
counter http_sent_bytes_total by code
counter http_errors_total by code
gauge last_duration
histogram http_duration_seconds by code buckets 0.1, 0.5, 1, 5
counter lines_total
counter mails by kind
counter mail_bytes by application
const METHOD /(?P<method>[A-Z]+)/

def syslog {
  /^(?P<date>\w+\s+\d+\s+\d+:\d+:\d+)/ {
    strptime($date, "Jan _2 15:04:05")
    next
  }
}

/^\S+ "/ + METHOD + / \S+ HTTP\/[\d.]+" (?P<code>\d{3}) (?P<bytes>\d+) (?P<ms>\d+)ms$/ {
  http_requests_total[$method][$code]++
  http_sent_bytes_total[$code] += $bytes
  http_duration_seconds[$code] = $ms / 1000.0
  last_duration = $ms
  $code == 500 {
    http_errors_total[$code]++
  }
}
/$/ {
  lines_total++
}
@syslog {
  /postfix\/(smtp|lmtp)\[/ {
    mails[$1]++
  }
}
/^h (?P<application>smtp|lmtp): / {
  $application == "smtp" {
    /size=(?P<size>\d+)$/ {
      mail_bytes["smtp"] += $size
    }
  }
}
"#;

fn log() -> String {
    let mut log = String::new();
    for line in 0..300 {
        let (method, code) = (["GET", "POST"][line % 2], [200, 404, 500][line % 3]);
        let kind = ["smtp", "lmtp", "qmgr"][line / 6 % 3];
        let _ = match line % 6 {
            0..3 => writeln!(
                log,
                "h \"{method} /a HTTP/1.1\" {code} {} {}ms",
                line * 7,
                line * 13 + 1
            ),
            3 => writeln!(log, "Nov 30 10:11:12 h postfix/{kind}[12]: sent"),
            4 => writeln!(log, "h {kind}: from=a size={line}"),
            // No date, so it is no line of syslog.
            _ => writeln!(log, "postfix/{kind}[12]: sent"),
        };
    }
    log
}

#[test]
fn a_program_of_mtail_counts_the_same_lines() {
    let folder = tempfile::tempdir().unwrap();
    let (program, path) = (
        folder.path().join("web.mtail"),
        folder.path().join("web.log"),
    );
    fs::write(&program, PROGRAM).unwrap();
    fs::write(&path, log()).unwrap();
    let theirs = output(
        Command::new("mtail")
            .args([
                "-one_shot",
                "-one_shot_format",
                "prometheus",
                "-address",
                "127.0.0.1",
            ])
            .arg(format!("-port={}", free_port()))
            .arg(format!("-progs={}", program.display()))
            .arg(format!("-logs={}", path.display())),
    );
    let ours = converted(
        &program,
        &[
            ("      enabled: false\n", "      start: beginning\n"),
            ("/var/log/syslog", &path.display().to_string()),
        ],
    );
    let ours: BTreeSet<Sample> = ours
        .into_iter()
        .filter(|(name, _, _)| !name.starts_with("log_collector_"))
        .collect();
    assert!(ours.len() > 30, "{ours:?}");
    assert_eq!(ours, samples(&theirs));
}

/// Processes of a group are those of the first argument, also where the program of the kernel has another name.
#[test]
fn groups_of_process_exporter_have_the_same_processes() {
    let folder = tempfile::tempdir().unwrap();
    let (config, link) = (
        folder.path().join("process.yml"),
        folder.path().join("sleeper"),
    );
    let sleep = ["/usr/bin/sleep", "/bin/sleep"].map(PathBuf::from);
    std::os::unix::fs::symlink(sleep.iter().find(|path| path.exists()).unwrap(), &link).unwrap();
    fs::write(
        &config,
        "process_names:\n\
         - {name: \"{{.ExeBase}}-{{.Matches.Seconds}}\", exe: [sleeper], cmdline: ['(?P<Seconds>7654\\d+)']}\n\
         - {name: \"{{.Comm}}\", comm: [sleeper]}\n",
    )
    .unwrap();
    let link = link.display().to_string();
    let _processes =
        ["76541", "76542", "76542", "8765"].map(|seconds| Process::start(&link, &[seconds]));
    let port = free_port();
    let arguments = [
        format!("-config.path={}", config.display()),
        format!("-web.listen-address=127.0.0.1:{port}"),
    ];
    let _exporter = Process::start(
        "prometheus-process-exporter",
        &arguments.each_ref().map(String::as_str),
    );
    let counts = |samples: BTreeSet<Sample>| -> BTreeSet<Sample> {
        let of_groups = samples.into_iter().filter(|(name, labels, _)| {
            name == "namedprocess_namegroup_num_procs"
                && labels.iter().any(|label| label.contains("sleeper"))
        });
        of_groups.collect()
    };
    let theirs = poll("process-exporter answers", Duration::from_secs(20), || {
        let answer = request(([127, 0, 0, 1], port).into(), "GET", "/metrics", &[], "");
        answer
            .ok()
            .map(|(_, body)| counts(samples(&body)))
            .filter(|counts| counts.len() == 3)
    });
    assert_eq!(counts(converted(&config, &[])), theirs);
}
