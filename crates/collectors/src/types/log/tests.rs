use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bellwether_core::{MonoMillis, Now, SeriesBatch, UnixMillis};
use bellwether_schema::{Decode, DecodeContext, Diagnostics, parse};
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::entry::testing::resolve_entry;
use crate::types::log::checkpoint::Checkpoint;
use crate::types::log::follower::Follower;

/// A follower of files in a folder, on virtual time.
struct Rig {
    folder: TempDir,
    yaml: String,
    follower: Follower,
    now: Now,
}

const COUNT: &str = "metrics: [{name: lines_total, match: .}]";

/// Compiles good settings.
fn compiled(yaml: &str) -> (Rules, Files) {
    let mut problems = Diagnostics::default();
    let mut context = DecodeContext::new(&mut problems, &|_| None);
    let settings = Log::decode(&parse(yaml).unwrap(), &mut context).unwrap();
    let rules = compile::rules(&settings, &mut problems);
    let files = settings.files(&mut problems);
    let problems = problems.into_sorted();
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, [""; 0]);
    (rules.unwrap(), files)
}

pub(super) fn rules(yaml: &str) -> Rules {
    compiled(yaml).0
}

fn follower(yaml: &str, checkpoint: Checkpoint) -> Follower {
    let (rules, files) = compiled(yaml);
    Follower::new(files, rules, checkpoint)
}

impl Rig {
    fn new(files: &str, yaml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(files);
        let yaml = format!("files: ['{}']\n{yaml}", path.display());
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Self {
            follower: follower(&yaml, Checkpoint::default()),
            yaml,
            folder,
            now: Now {
                mono: MonoMillis(1_000_000),
                wall: UnixMillis(wall.as_millis() as i64),
            },
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        append(&self.path(name), text);
        writer(&self.path(name)).set_modified(self.time()).unwrap();
    }

    /// Returns the time of the files that are written now.
    fn time(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.now.wall.0 as u64)
    }

    /// Reads to the end `seconds` later.
    fn step(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
        while self.follower.step(self.now) {}
    }

    /// Ends the follower as a kill does, and starts another from its checkpoint.
    fn restart(&mut self) {
        let json = serde_json::to_string(&self.follower.checkpoint()).unwrap();
        self.follower = follower(&self.yaml, serde_json::from_str(&json).unwrap());
    }

    /// Returns the series of the metrics.
    fn lines(&self) -> Vec<String> {
        self.series()
            .into_iter()
            .filter(|line| !line.starts_with("log_collector_"))
            .collect()
    }

    fn series(&self) -> Vec<String> {
        let mut out = SeriesBatch::default();
        self.follower.fill("test", &mut out);
        out.lines().collect()
    }

    /// Returns the names of the files that are open for reading, sorted.
    fn open_files(&self) -> Vec<String> {
        let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
        let open = open.filter_map(|entry| {
            let info = PathBuf::from("/proc/self/fdinfo").join(entry.file_name());
            let info = fs::read_to_string(info).ok()?;
            let is_read = info
                .lines()
                .any(|line| line.starts_with("flags:") && line.ends_with('0'));
            let path = fs::read_link(entry.path()).ok().filter(|_| is_read)?;
            let name = path.strip_prefix(self.folder.path()).ok()?;
            Some(name.display().to_string())
        });
        let mut names: Vec<String> = open.collect();
        names.sort();
        names
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Compresses a file, as gzip does: the modification time stays.
fn compress(path: &Path) {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    let mut target = path.as_os_str().to_owned();
    target.push(".gz");
    let mut encoder = GzEncoder::new(File::create(target).unwrap(), Compression::fast());
    encoder.write_all(&fs::read(path).unwrap()).unwrap();
    encoder.finish().unwrap().set_modified(modified).unwrap();
    fs::remove_file(path).unwrap();
}

#[test]
fn an_access_log_becomes_counters_and_a_histogram() {
    let mut rig = Rig::new(
        "access.log",
        r#"
match: '"(?P<method>[A-Z]+) [^"]*" (?P<status>\d)\d\d (?P<bytes>\d+|-) (?P<seconds>[\d.]+)$'
metrics:
  - {name: requests_total, labels: {method: "{{ method }}", status: "{{ status }}xx", site: shop}}
  - {name: sent_bytes_total, value: bytes}
  - {name: errors_total, where: {status: "5"}}
  - {name: request_seconds, type: histogram, value: seconds, buckets: [0.1, 1]}
"#,
    );
    rig.step(0);
    assert_eq!(
        rig.lines(),
        [
            "sent_bytes_total 0",
            "errors_total 0",
            "request_seconds_bucket{le=\"0.1\"} 0",
            "request_seconds_bucket{le=\"1\"} 0",
            "request_seconds_bucket{le=\"+Inf\"} 0",
            "request_seconds_sum 0",
            "request_seconds_count 0",
        ]
    );
    rig.append(
        "access.log",
        "h - - [t] \"GET /a HTTP/1.1\" 200 512 0.05\nh - - [t] \"GET /b HTTP/1.1\" 204 - 0.5\n\
         h - - [t] \"POST /c HTTP/1.1\" 502 10 2.5\nsomething else\n",
    );
    rig.step(1);
    assert_eq!(
        rig.lines(),
        [
            "requests_total{method=\"GET\", site=\"shop\", status=\"2xx\"} 2",
            "requests_total{method=\"POST\", site=\"shop\", status=\"5xx\"} 1",
            "sent_bytes_total 522",
            "errors_total 1",
            "request_seconds_bucket{le=\"0.1\"} 1",
            "request_seconds_bucket{le=\"1\"} 2",
            "request_seconds_bucket{le=\"+Inf\"} 3",
            "request_seconds_sum 3.05",
            "request_seconds_count 3",
        ]
    );
    let series = rig.series();
    for own in [
        "log_collector_lines_total{collector=\"test\"} 4",
        "log_collector_lines_matched_total{collector=\"test\"} 3",
        "log_collector_read_bytes_total{collector=\"test\"} 134",
        "log_collector_lag_bytes{collector=\"test\"} 0",
    ] {
        assert!(
            series.iter().any(|line| line == own),
            "{own} in {series:#?}"
        );
    }
}

#[test]
fn json_and_logfmt_have_their_fields() {
    let metrics = "
metrics:
  - {name: messages_total, labels: {level: '{{ level }}', file: '{{ _path }}'}}
  - {name: queue_length, type: gauge, value: queue.length, where: {level: info|warn}}
  - {name: took_seconds_total, value: took_ms, scale: 0.001}
";
    for (format, text) in [
        (
            "json",
            "{\"level\":\"info\",\"queue\":{\"length\":7},\"took_ms\":250}\n\
             {\"level\":\"error\",\"queue\":{\"length\":9},\"took_ms\":\"x\"}\n\
             {\"level\":\"warn\",\"queue.length\":\"5\",\"took_ms\":-1}\nnot json\n",
        ),
        (
            "logfmt",
            "level=info queue.length=7 took_ms=250\nlevel=error queue.length=9 took_ms=x\n\
             level=warn queue.length=\"5\" took_ms=-1\nneither\n",
        ),
    ] {
        let mut rig = Rig::new("app.log", &format!("format: {format}{metrics}"));
        rig.append("app.log", "");
        rig.step(0);
        rig.append("app.log", text);
        rig.step(1);
        let path = rig.path("app.log").display().to_string();
        let messages = |level| format!("messages_total{{file=\"{path}\", level=\"{level}\"}} 1");
        let expected = [
            messages("error"),
            messages("info"),
            messages("warn"),
            "queue_length 5".to_owned(),
            "took_seconds_total 0.25".to_owned(),
        ];
        assert_eq!(rig.lines(), expected, "{format}");
        let series = rig.series();
        for own in [
            "log_collector_lines_unparsed_total{collector=\"test\"} 1",
            "log_collector_samples_dropped_total{collector=\"test\", reason=\"value\"} 2",
        ] {
            assert!(
                series.iter().any(|line| line == own),
                "{own} in {series:#?}"
            );
        }
    }
}

#[test]
fn several_expressions_count_for_one_metric_or_for_their_own() {
    let mut rig = Rig::new(
        "*.log",
        "
start: beginning
metrics:
  - {name: events_total, match: 'login (?P<user>\\w+)', labels: {event: login, user: '{{ user }}'}}
  - {name: events_total, match: 'logout', labels: {event: logout}}
  - {name: logins_total, match: 'login (?P<user>\\w+)'}
",
    );
    rig.append("a.log", "login ann\nlogout\nlogin bob\nother\n");
    rig.append("b.log", "login ann\n");
    rig.step(0);
    assert_eq!(
        rig.lines(),
        [
            "events_total{event=\"login\", user=\"ann\"} 2",
            "events_total{event=\"login\", user=\"bob\"} 1",
            "events_total{event=\"logout\"} 1",
            "logins_total 3",
        ]
    );
}

#[test]
fn the_first_start_begins_at_the_end_and_later_files_at_their_beginning() {
    let mut rig = Rig::new("*.log", COUNT);
    rig.append("old.log", "1\n2\n");
    rig.step(0);
    rig.append("old.log", "3\n");
    rig.append("new.log", "1\n2\n");
    rig.step(1);
    assert_eq!(rig.lines(), ["lines_total 3"]);
    // A restart does not begin anew, and a file of the meantime is new.
    rig.restart();
    rig.append("third.log", "1\n");
    rig.append("old.log", "4\n");
    rig.step(1);
    assert_eq!(rig.lines(), ["lines_total 5"]);
}

#[test]
fn a_start_at_the_beginning_reads_rotated_and_compressed_files_too() {
    let yaml = "start: beginning\nmetrics: [{name: last, type: gauge, match: '(?P<n>\\d+)', value: n}, {name: lines_total, match: .}]";
    let mut rig = Rig::new("app.log*", yaml);
    for (name, text) in [
        ("app.log.2", "1\n2\n"),
        ("app.log.1", "3\n4"),
        ("app.log", "5\n"),
    ] {
        rig.append(name, text);
    }
    compress(&rig.path("app.log.2"));
    fs::write(rig.path("app.log.3.gz"), "damaged").unwrap();
    rig.step(100);
    assert_eq!(rig.lines(), ["last 5", "lines_total 5"]);
}

#[test]
fn lines_of_a_writer_that_still_has_the_rotated_file_are_counted() {
    let mut rig = Rig::new("app.log", COUNT);
    rig.append("app.log", "1\n");
    rig.step(0);
    let mut writer = OpenOptions::new()
        .append(true)
        .open(rig.path("app.log"))
        .unwrap();
    writer.write_all(b"2\n").unwrap();
    rig.rename("app.log", "app.log.1");
    rig.append("app.log", "");
    rig.step(1);
    writer.write_all(b"3\n").unwrap();
    rig.step(1);
    rig.append("app.log", "4\n");
    writer.write_all(b"5\n").unwrap();
    rig.step(0);
    assert_eq!(rig.lines(), ["lines_total 3"]);
    rig.step(10);
    assert_eq!(rig.lines(), ["lines_total 4"], "the new file follows");
}

/// Opens a file as its writer has it.
fn writer(path: &Path) -> File {
    OpenOptions::new().append(true).open(path).unwrap()
}

/// Returns a log with a line, and its file as its writer has it.
fn log_with_writer() -> (Rig, File) {
    let mut rig = Rig::new("app.log", COUNT);
    rig.append("app.log", "");
    rig.step(0);
    let mut file = writer(&rig.path("app.log"));
    file.write_all(b"1\n").unwrap();
    rig.step(1);
    (rig, file)
}

#[test]
fn late_lines_of_a_rotated_file_are_counted_beside_the_new_one() {
    let (mut rig, mut old) = log_with_writer();
    rig.step(3600);
    rig.rename("app.log", "app.log.7");
    rig.append("app.log", "2\n");
    rig.step(10);
    assert_eq!(rig.lines(), ["lines_total 2"]);
    old.write_all(b"3\n4").unwrap();
    let lag = |rig: &Rig| {
        let series = rig.series();
        let lag = series
            .iter()
            .find_map(|line| line.strip_prefix("log_collector_lag_bytes{collector=\"test\"} "));
        lag.unwrap().to_owned()
    };
    assert_eq!(lag(&rig), "3");
    rig.step(1);
    assert_eq!(rig.lines(), ["lines_total 3"]);
    assert_eq!(lag(&rig), "0");

    // Over a restart, with the rest of an unfinished line.
    let checkpoint = rig.follower.checkpoint();
    old.write_all(b"\n5\n").unwrap();
    rig.append("app.log", "6\n");
    rig.step(1);
    assert_eq!(rig.lines(), ["lines_total 6"]);
    rig.follower = follower(&rig.yaml, checkpoint);
    rig.step(1);
    assert_eq!(rig.lines(), ["lines_total 6"]);

    // The next rotation passes over the file, whose late lines made it newer than the other.
    old.write_all(b"7\n").unwrap();
    rig.rename("app.log", "app.log.1");
    old.write_all(b"8\n").unwrap();
    rig.append("app.log", "9\n");
    rig.step(10);
    rig.step(1);
    assert_eq!(rig.lines(), ["lines_total 9"]);
    // Each line makes it last longer. What it has no line end for is a line in the end.
    rig.step(50);
    old.write_all(b"10\n11").unwrap();
    rig.step(8);
    rig.step(50);
    assert_eq!(rig.lines(), ["lines_total 10"]);
    assert_eq!(rig.open_files(), ["app.log", "app.log.7"]);
    rig.step(10);
    assert_eq!(rig.lines(), ["lines_total 11"]);
    assert_eq!(rig.open_files(), ["app.log"]);
    assert_eq!(rig.follower.checkpoint().late.len(), 0);
}

#[test]
fn a_rotated_file_that_is_compressed_or_deleted_has_late_lines() {
    let (mut rig, mut old) = log_with_writer();
    rig.rename("app.log", "app.log.1");
    rig.append("app.log", "2\n");
    rig.step(10);
    let checkpoint = rig.follower.checkpoint();
    old.write_all(b"3\n").unwrap();
    compress(&rig.path("app.log.1"));
    rig.step(1);
    old.write_all(b"4\n").unwrap();
    rig.step(1);
    assert_eq!(rig.lines(), ["lines_total 4"]);
    rig.restart();
    rig.step(1);
    assert_eq!(rig.lines(), ["lines_total 4"]);
    rig.follower = follower(&rig.yaml, checkpoint);
    rig.step(1);
    assert_eq!(rig.lines(), ["lines_total 3"], "4 is in no file");
}

#[test]
fn events_of_an_old_and_a_new_file_do_not_mix() {
    let mut rig = Rig::new(
        "app.log",
        "
multiline: {start: '^\\S', timeout: 5s}
metrics: [{name: events_total, match: '(?s)^(?P<text>.*)$', labels: {text: '{{ text }}'}}]
",
    );
    rig.append("app.log", "");
    rig.step(0);
    let mut old = writer(&rig.path("app.log"));
    old.write_all(b"old\n").unwrap();
    rig.step(0);
    rig.rename("app.log", "app.log.1");
    rig.append("app.log", "new\n");
    rig.step(2);
    old.write_all(b" a\n").unwrap();
    rig.append("app.log", " b\n");
    rig.step(2);
    rig.step(6);
    old.write_all(b"late\n").unwrap();
    rig.step(1);
    old.write_all(b" c\n").unwrap();
    rig.append("app.log", "next\n");
    rig.step(1);
    rig.step(6);
    let mut lines = rig.lines();
    lines.sort();
    assert_eq!(
        lines,
        ["late\\n c", "new\\n b", "next", "old\\n a"]
            .map(|text| format!("events_total{{text=\"{text}\"}} 1"))
    );
}

#[test]
fn a_few_rotated_files_are_open_at_a_time() {
    let mut rig = Rig::new("app.log", COUNT);
    rig.append("app.log", "0\n");
    rig.step(0);
    for number in 1..=8 {
        rig.rename("app.log", &format!("app.log-2026010{number}"));
        rig.append("app.log", &format!("{number}\n"));
        rig.step(3);
        rig.step(0);
    }
    assert_eq!(rig.lines(), ["lines_total 8"]);
    assert_eq!(rig.open_files().len(), 5);
}

#[test]
fn what_a_truncation_removed_is_read_in_the_copy() {
    let mut rig = Rig::new("app.log", COUNT);
    rig.step(0);
    rig.append("app.log", "1\n2\n");
    rig.step(1);
    rig.append("app.log", "3\n4\n");
    fs::copy(rig.path("app.log"), rig.path("app.log.1")).unwrap();
    let file = File::options()
        .write(true)
        .open(rig.path("app.log"))
        .unwrap();
    file.set_len(0).unwrap();
    // As long as before, so that only the content tells.
    rig.append("app.log", "5\n6\n7\n8\n");
    rig.step(10);
    rig.step(10);
    assert_eq!(rig.lines(), ["lines_total 8"]);
    // Without a copy, what was not read is lost, and the rest is counted.
    rig.append("app.log", "9\n");
    file.set_len(0).unwrap();
    rig.append("app.log", "10\n");
    rig.step(10);
    rig.step(10);
    assert_eq!(rig.lines(), ["lines_total 9"]);
}

#[test]
fn a_restart_continues_in_files_that_were_rotated_and_compressed_meanwhile() {
    let mut rig = Rig::new("app.log", COUNT);
    rig.step(0);
    rig.append("app.log", "1\n2\n");
    rig.step(1);
    let checkpoint = rig.follower.checkpoint();
    // Read, and not in the checkpoint.
    rig.append("app.log", "3\n");
    rig.step(1);
    rig.rename("app.log", "app.log.1");
    rig.append("app.log", "4\n5\n");
    rig.rename("app.log.1", "app.log.2");
    compress(&rig.path("app.log.2"));
    rig.rename("app.log", "app.log.1");
    rig.append("app.log", "6\n");
    rig.follower = follower(&rig.yaml, checkpoint);
    rig.step(10);
    assert_eq!(rig.lines(), ["lines_total 6"]);
}

#[test]
fn a_log_that_is_gone_is_read_to_its_end() {
    let mut rig = Rig::new("app.log", COUNT);
    rig.step(0);
    rig.append("app.log", "1\n2\n");
    rig.step(1);
    rig.append("app.log", "3\nlast");
    rig.rename("app.log", "moved");
    rig.step(1);
    fs::remove_file(rig.path("moved")).unwrap();
    rig.step(100);
    assert_eq!(rig.lines(), ["lines_total 4"]);
    rig.append("app.log", "1\n");
    rig.step(1);
    assert_eq!(rig.lines(), ["lines_total 5"]);
}

#[test]
fn a_rotated_file_that_matches_is_no_log_of_its_own() {
    let mut rig = Rig::new("app*", COUNT);
    rig.step(0);
    rig.append("app.log", "1\n");
    rig.step(1);
    // The next file comes with its first line.
    rig.rename("app.log", "app.log.1");
    rig.step(1);
    rig.step(100);
    rig.step(100);
    rig.restart();
    rig.step(1);
    assert_eq!(rig.lines(), ["lines_total 1"]);
    rig.append("app.log", "2\n");
    rig.step(1);
    assert_eq!(rig.lines(), ["lines_total 2"]);
    rig.yaml += "\nexclude: '*/app.log'";
    rig.restart();
    rig.append("app.log", "3\n");
    rig.step(1);
    assert_eq!(rig.lines(), ["lines_total 2"]);
}

#[test]
fn what_is_no_file_is_named_and_the_others_are_read() {
    let mut rig = Rig::new("*", COUNT);
    fs::create_dir(rig.path("folder")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        rig.path("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    for (target, link) in [("/dev/zero", "device"), ("nothing", "dangling")] {
        std::os::unix::fs::symlink(target, rig.path(link)).unwrap();
    }
    rig.step(0);
    rig.append("app.log", "1\n");
    rig.step(1);
    let problems = rig.follower.problems();
    let expected = [
        ("device", "a device"),
        ("fifo", "a FIFO"),
        ("folder", "a directory"),
    ];
    let expected = expected
        .map(|(name, what)| format!("{}: {what}, not a regular file", rig.path(name).display()));
    assert_eq!(problems, expected);
    assert_eq!(rig.lines(), ["lines_total 1"]);
    fs::remove_file(rig.path("fifo")).unwrap();
    fs::remove_file(rig.path("device")).unwrap();
    fs::remove_dir(rig.path("folder")).unwrap();
    rig.step(100);
    assert_eq!(rig.follower.problems(), [""; 0]);
}

#[test]
fn a_file_that_was_closed_is_opened_again_when_it_grows() {
    let mut rig = Rig::new("app.log", COUNT);
    rig.append("app.log", "1\n");
    rig.step(0);
    rig.append("app.log", "2\n");
    rig.step(1);
    rig.step(1);
    rig.step(1000);
    assert_eq!(rig.open_files(), [""; 0]);
    rig.append("app.log", "3\n");
    rig.step(1);
    assert_eq!(rig.lines(), ["lines_total 2"]);
}

#[test]
fn long_lines_are_cut_and_events_have_several_lines() {
    let mut rig = Rig::new(
        "app.log",
        "
max_line: 30B
multiline: {start: '^\\S', timeout: 3s}
metrics: [{name: failures_total, match: '(?s)^ERROR.*at (?P<place>\\w+)', labels: {place: '{{ place }}'}}]
",
    );
    rig.step(0);
    rig.append("app.log", "ERROR x\n at main\n at b\nINFO\nERROR y\n at io");
    rig.step(1);
    assert_eq!(rig.lines(), ["failures_total{place=\"b\"} 1"]);
    rig.append("app.log", "\n");
    rig.step(1);
    rig.step(3);
    assert_eq!(rig.lines().len(), 2, "complete after a time");
    rig.append("app.log", &format!("ERROR {}\n", "z".repeat(100)));
    rig.append("app.log", "INFO\n");
    rig.step(1);
    let cut = "log_collector_lines_cut_total{collector=\"test\"} 1";
    assert!(rig.series().iter().any(|line| line == cut));
}

#[test]
fn wrong_settings_are_errors_with_hints() {
    let files = "files: [/var/log/x]";
    for (yaml, expected) in [
        (
            "metrics: [{name: a, match: x}]",
            "neither files nor a journal",
        ),
        (
            "files: [/x], journal: {}, metrics: [{name: a, match: x}]",
            "both files and a journal",
        ),
        (
            "files: [x], metrics: [{name: a, match: x}]",
            "not an absolute path: x",
        ),
        ("FILES, metrics: []", "no metrics"),
        ("FILES, metrics: [{name: a}]", "no match: metric \"a\""),
        (
            "FILES, metrics: [{name: a, match: '('}]",
            "invalid regular expression: unclosed group",
        ),
        (
            "FILES, metrics: [{name: a, match: x, labels: {b: '{{ c }}'}}]",
            "unknown placeholder \"c\"",
        ),
        (
            "FILES, metrics: [{name: a, match: '(?P<d>x)', value: c}]",
            "one of d, _path",
        ),
        (
            "FILES, format: json, metrics: [{name: a, match: x}]",
            "match does not apply to the format json",
        ),
        (
            "FILES, format: json, metrics: [{name: a, type: gauge}]",
            "a gauge without a value",
        ),
        (
            "FILES, format: json, metrics: [{name: a, where: {b: '('}}]",
            "where.b: unclosed group",
        ),
        (
            "FILES, metrics: [{name: a, match: x, buckets: [1]}]",
            "a counter has no buckets",
        ),
        (
            "FILES, format: json, metrics: [{name: a, type: histogram, value: b, labels: {le: x}}]",
            "not a label name: \"le\"",
        ),
        (
            "FILES, format: json, metrics: [{name: a}, {name: a, type: gauge, value: b}]",
            "metric \"a\" again, and not the same",
        ),
        (
            "FILES, max_line: 1B, metrics: [{name: a, match: x}]",
            "not a length of lines: 1B",
        ),
        (
            "journal: {}, multiline: {start: x}, metrics: [{name: a, match: x}]",
            "multiline does not apply to a journal",
        ),
    ] {
        let yaml = yaml.replace("FILES", files);
        let errors = resolve_entry(&format!("{{name: l, type: log, {yaml}}}"));
        let errors = errors.err().unwrap_or_default();
        assert!(
            errors.len() == 1 && errors[0].contains(expected),
            "{yaml}: {errors:?}"
        );
    }
}

/// A thing that happens to a log.
#[derive(Clone, Debug)]
enum Event {
    Lines(usize),
    /// A line in two writes, with a read between them.
    HalfLine,
    Rename,
    /// A line in the renamed file, and one in the log behind it.
    Late,
    CopyTruncate,
    Compress,
    Step(u64),
    Checkpoint,
    Kill,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1..5_usize).prop_map(Event::Lines),
        1 => Just(Event::HalfLine),
        2 => Just(Event::Rename),
        2 => Just(Event::Late),
        2 => Just(Event::CopyTruncate),
        1 => Just(Event::Compress),
        4 => (0..4_u64).prop_map(Event::Step),
        2 => Just(Event::Checkpoint),
        1 => Just(Event::Kill),
    ]
}

/// A log whose lines are all different.
struct Writer {
    rig: Rig,
    checkpoint: Checkpoint,
    lines: u64,
    rotations: u32,
    /// Rotated files that are not compressed, newest first.
    rotated: Vec<String>,
    /// Renamed file that the writer still has open.
    old: Option<File>,
    /// Seconds since the writer wrote to it.
    quiet: u64,
}

impl Writer {
    fn line(&mut self) -> String {
        self.lines += 1;
        format!("line {} of a log\n", self.lines)
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Lines(count) => {
                let text: String = (0..*count).map(|_| self.line()).collect();
                self.rig.append("app.log", &text);
            }
            Event::HalfLine => {
                let line = self.line();
                let (first, second) = line.split_at(9);
                self.rig.append("app.log", first);
                self.rig.step(0);
                self.rig.append("app.log", second);
            }
            Event::Rename => {
                let name = self.rotation();
                self.quiet = 0;
                self.old = Some(writer(&self.rig.path("app.log")));
                self.rig.rename("app.log", &name);
                self.rig.append("app.log", "");
            }
            Event::Late => {
                let (late, line) = (self.line(), self.line());
                match self.old.as_mut().filter(|_| self.quiet < 50) {
                    Some(old) => {
                        self.quiet = 0;
                        old.write_all(late.as_bytes()).unwrap();
                        old.set_modified(self.rig.time()).unwrap();
                    }
                    None => self.rig.append("app.log", &late),
                }
                self.rig.append("app.log", &line);
            }
            Event::CopyTruncate => {
                let name = self.rotation();
                // Files are sorted by their last lines: only that before the log gets some.
                self.old = None;
                let path = self.rig.path("app.log");
                fs::copy(&path, self.rig.path(&name)).unwrap();
                let file = File::options().write(true).open(&path).unwrap();
                file.set_len(0).unwrap();
                self.rig.append(&name, "");
                self.rig.append("app.log", "");
            }
            Event::Compress => {
                if let Some(name) = self.rotated.pop() {
                    compress(&self.rig.path(&name));
                    // Late lines would be in no file.
                    self.old.take_if(|_| self.rotated.is_empty());
                }
            }
            Event::Step(seconds) => {
                self.quiet += seconds;
                self.rig.step(*seconds);
            }
            Event::Checkpoint => self.checkpoint = self.rig.follower.checkpoint(),
            Event::Kill => {
                self.rig.follower = follower(&self.rig.yaml, self.checkpoint.clone());
            }
        }
    }

    fn read_and_save(&mut self) {
        for _ in 0..4 {
            self.rig.step(3);
        }
        self.checkpoint = self.rig.follower.checkpoint();
    }

    /// Returns the name of the next rotated file: a date, so that the others keep theirs.
    fn rotation(&mut self) -> String {
        self.rotations += 1;
        let name = format!("app.log-{:08}", self.rotations);
        self.rotated.insert(0, name.clone());
        name
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens to a log, each line is counted once.
    #[test]
    fn each_line_is_counted_once_through_rotations_and_kills(
        events in prop::collection::vec(event(), 0..40)
    ) {
        let mut rig = Rig::new("app.log", COUNT);
        rig.append("app.log", "");
        rig.step(0);
        let mut writer = Writer {
            checkpoint: rig.follower.checkpoint(),
            rig,
            lines: 0,
            rotations: 0,
            rotated: Vec::new(),
            old: None,
            quiet: 0,
        };
        // So that no file is rotated that was never read.
        writer.happen(&Event::Lines(1));
        writer.read_and_save();
        for event in &events {
            writer.happen(event);
        }
        let last = writer.line();
        writer.rig.append("app.log", &last);
        for _ in 0..10 {
            writer.rig.step(70);
        }
        prop_assert_eq!(writer.rig.lines(), [format!("lines_total {}", writer.lines)]);
    }
}
