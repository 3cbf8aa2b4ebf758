//! The collector of type `log` in the agent: a real nginx, a real journal, rotation, kills and reloads.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::agent::{Agent, request};
use crate::support::{free_port, poll};

const SOON: Duration = Duration::from_secs(60);
const DOCS: &str = include_str!("../../docs/collectors.md");

/// Returns the first block of the documentation behind a text, in which `from` becomes `to`.
fn example(behind: &str, from: &str, to: &Path) -> String {
    let section = DOCS.split_once(behind).unwrap().1;
    let block = section.split_once("```").unwrap().1;
    let block = block.split_once('\n').unwrap().1;
    let block = block.split_once("```").unwrap().0;
    assert!(block.contains(from), "{from} in {block}");
    block.replace(from, &to.display().to_string())
}

fn append(path: &Path, text: &str) {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

/// An nginx of one worker; ended when dropped.
struct Nginx {
    child: Child,
    address: SocketAddr,
}

impl Nginx {
    fn start(folder: &Path, log_format: &str) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let configuration = format!(
            "user root; daemon off; worker_processes 1; pid FOLDER/pid; error_log FOLDER/error.log;\n\
             events {{ }}\n\
             http {{ {log_format}\n server {{ listen {address}; root FOLDER; \
             location = /good {{ return 200 ok; }} location = /bad {{ return 503; }} location / {{ return 404; }} }}\n\
             client_body_temp_path FOLDER/t1; proxy_temp_path FOLDER/t2; fastcgi_temp_path FOLDER/t3;\n\
             uwsgi_temp_path FOLDER/t4; scgi_temp_path FOLDER/t5; }}\n"
        );
        let path = folder.join("nginx.conf");
        let text = configuration.replace("FOLDER", &folder.display().to_string());
        fs::write(&path, text).unwrap();
        let child = Command::new("nginx")
            .arg("-c")
            .arg(path)
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is needed: apt-get install nginx-light");
        let nginx = Self { child, address };
        poll("nginx answers", SOON, || {
            request(address, "GET", "/good", &[], "").ok()
        });
        nginx
    }

    fn get(&self, path: &str, count: usize) {
        for _ in 0..count {
            request(self.address, "GET", path, &[], "").unwrap();
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.signal("TERM");
        self.child.wait().unwrap();
    }
}

#[test]
fn requests_of_a_real_nginx_are_counted_through_a_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let marker = "/var/log/nginx/access.log";
    let format = example("log format of nginx", marker, &log);
    let nginx = Nginx::start(folder.path(), &format);
    let yaml = example("The type `log`", marker, &log).replace("interval: 15s", "interval: 200ms");
    let agent = Agent::start(folder.path(), &yaml);
    let read = "log_collector_lines_total{collector=\"nginx\"}";
    agent.wait_for_value(read, |lines| lines == 0.0);
    nginx.get("/good", 5);
    nginx.get("/bad", 2);
    let good = "nginx_http_requests_total{method=\"GET\",status=\"200\"}";
    agent.wait_for_value(good, |count| count == 5.0);

    // As logrotate does: the writer still has the old file until it gets the signal.
    fs::rename(&log, folder.path().join("access.log.1")).unwrap();
    nginx.get("/good", 3);
    nginx.signal("USR1");
    poll("a new file", SOON, || log.exists().then_some(()));
    nginx.get("/none", 1);
    agent.wait_for_value(good, |count| count == 8.0);
    let missing = "nginx_http_requests_total{method=\"GET\",status=\"404\"}";
    agent.wait_for_value(missing, |count| count == 1.0);
    let observed = "nginx_http_request_duration_seconds_count";
    assert_eq!(agent.value(observed), Some(11.0));
    let bad = "nginx_http_requests_total{method=\"GET\",status=\"503\"}";
    assert_eq!(agent.value(bad), Some(2.0));
    assert_eq!(
        agent.value("log_collector_lag_bytes{collector=\"nginx\"}"),
        Some(0.0)
    );
    assert!(agent.stop().success());
}

#[test]
fn a_json_log_has_the_metrics_of_the_documentation() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("shop.json");
    append(&log, "");
    let yaml = example("A log in JSON", "/var/log/shop/*.json", &log);
    let yaml = yaml.replace("interval: 15s", "interval: 200ms");
    let agent = Agent::start(folder.path(), &yaml);
    agent.wait_for_value("shop_errors_total", |count| count == 0.0);
    append(
        &log,
        "{\"level\":\"info\",\"event\":\"order\",\"amount\":12.5,\"http\":{\"duration_ms\":80}}\n\
         {\"level\":\"error\",\"event\":\"payment\",\"msg\":\"declined\"}\nnot json\n",
    );
    agent.wait_for_value("shop_errors_total", |count| count == 1.0);
    for (series, value) in [
        ("shop_events_total{event=\"order\"}", 1.0),
        ("shop_revenue_euros_total", 12.5),
        ("shop_request_duration_seconds_bucket{le=\"0.1\"}", 1.0),
        (
            "log_collector_lines_unparsed_total{collector=\"shop\"}",
            1.0,
        ),
    ] {
        assert_eq!(agent.value(series), Some(value), "{series}");
    }
    assert!(agent.stop().success());
}

fn counting(folder: &Path, labels: &str) -> String {
    format!(
        "performance_monitor:\n  enabled_collectors: []\n  collectors:\n    - {{name: app, type: log, interval: 100ms, \
         files: ['{}/*.log'], labels: {{{labels}}}, metrics: [{{name: app_lines_total, match: 'line (?P<n>\\d+)'}}, \
         {{name: app_last, type: gauge, match: 'line (?P<n>\\d+)', value: n}}]}}\n",
        folder.display()
    )
}

/// A writer of lines, and its rotations.
struct Writer {
    log: PathBuf,
    lines: u32,
    rotations: u32,
}

impl Writer {
    fn write(&mut self, count: u32) {
        let lines: String = (1..=count)
            .map(|line| format!("line {}\n", self.lines + line))
            .collect();
        self.lines += count;
        append(&self.log, &lines);
    }

    fn rotated(&mut self) -> PathBuf {
        self.rotations += 1;
        self.log
            .with_file_name(format!("app.log-{}", self.rotations))
    }
}

#[test]
fn each_line_is_counted_once_over_kills_rotations_and_reloads() {
    let (folder, logs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut writer = Writer {
        log: logs.path().join("app.log"),
        lines: 0,
        rotations: 0,
    };
    let mut yaml = counting(logs.path(), "");
    let mut agent = Agent::start(folder.path(), &yaml);
    agent.wait_for_value("app_lines_total", |count| count == 0.0);
    for round in 1..=4 {
        writer.write(5000);
        // Seen by a reader of /metrics, so it does not fall after the kill.
        let before = agent.wait_for_value("app_lines_total", |count| count > 0.0);
        writer.write(5000);
        agent.kill();
        writer.write(100);
        let rotated = writer.rotated();
        match round % 2 {
            0 => fs::rename(&writer.log, rotated).unwrap(),
            _ => {
                fs::copy(&writer.log, rotated).unwrap();
                let file = File::options().write(true).open(&writer.log).unwrap();
                file.set_len(0).unwrap();
            }
        }
        writer.write(10);
        agent = Agent::start(folder.path(), &yaml);
        let first = agent.wait_for_value("app_lines_total", |_| true);
        assert!(first >= before, "{first} after {before}");
        let all = f64::from(writer.lines);
        agent.wait_for_value("app_lines_total", |count| count >= all);
        // A reload continues as well, under other labels.
        writer.write(50);
        yaml = counting(logs.path(), &format!("round: '{round}'"));
        agent.write_config(&yaml);
        agent.signal("HUP");
        writer.write(50);
        let series = format!("app_lines_total{{round=\"{round}\"}}");
        let all = f64::from(writer.lines);
        agent.wait_for_value(&series, |count| count >= all);
        assert_eq!(agent.value(&series), Some(all));
        // The next round asks without a label.
        yaml = counting(logs.path(), "");
        agent.write_config(&yaml);
        agent.signal("HUP");
        agent.wait_for_value("app_lines_total", |count| count == all);
    }
    assert_eq!(agent.value("app_last"), Some(f64::from(writer.lines)));
    assert!(agent.stop().success());
}

/// Entries in the export format of the journal.
fn entries(range: std::ops::Range<u64>) -> String {
    let entry = |n: u64| {
        let unit = if n.is_multiple_of(2) {
            "ssh.service"
        } else {
            "cron.service"
        };
        format!(
            "__REALTIME_TIMESTAMP={}\n__MONOTONIC_TIMESTAMP={n}\n_BOOT_ID=0123456789abcdef0123456789abcdef\n\
             _SYSTEMD_UNIT={unit}\nPRIORITY=4\nMESSAGE=Failed password for user{n}\n\n",
            1_700_000_000_000_000 + n
        )
    };
    range.map(entry).collect()
}

/// Writes entries into the journal of a directory, with the program that receives them from other hosts.
fn write_journal(directory: &Path, range: std::ops::Range<u64>) {
    let mut program = Command::new("/lib/systemd/systemd-journal-remote")
        .arg("-o")
        .arg(directory.join("remote.journal"))
        .arg("-")
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("systemd-journal-remote is needed: apt-get install systemd-journal-remote");
    let mut input = program.stdin.take().unwrap();
    input.write_all(entries(range).as_bytes()).unwrap();
    drop(input);
    assert!(program.wait().unwrap().success());
}

#[test]
fn entries_of_a_real_journal_are_counted_once_over_a_kill() {
    let (folder, journal) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_journal(journal.path(), 0..10);
    let yaml = format!(
        "performance_monitor:\n  enabled_collectors: []\n  collectors:\n    - {{name: auth, type: log, interval: 200ms, \
         start: beginning, journal: {{directory: '{}', units: [ssh.service]}}, metrics: [{{name: failed_logins_total, \
         match: 'Failed password', labels: {{unit: '{{{{ _SYSTEMD_UNIT }}}}', priority: '{{{{ PRIORITY }}}}'}}}}]}}\n",
        journal.path().display()
    );
    let series = "failed_logins_total{priority=\"4\",unit=\"ssh.service\"}";
    let agent = Agent::start(folder.path(), &yaml);
    agent.wait_for_value(series, |count| count == 5.0);
    write_journal(journal.path(), 10..20);
    agent.wait_for_value(series, |count| count == 10.0);
    agent.kill();
    write_journal(journal.path(), 20..24);
    // Without its cursor it would begin at the end.
    let yaml = yaml.replace("start: beginning", "start: end");
    let agent = Agent::start(folder.path(), &yaml);
    agent.wait_for_value(series, |count| count == 12.0);
    let read = "log_collector_lines_total{collector=\"auth\"}";
    assert_eq!(agent.value(read), Some(12.0));
    assert!(agent.stop().success());
}
