//! History under a real process: kill -9, full disks, folders that cannot be used, two at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bellwether_core::UnixMillis;
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Queryable, SampledSeries};
use bellwether_tsdb::history::History;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::agent::Agent;
use crate::support::poll;
use crate::{queue_rule, set_queue};

const SOON: Duration = Duration::from_secs(60);

fn folder(state: &TempDir) -> PathBuf {
    state.path().join("state/history")
}

/// Samples of a queue's length that a reader of `folder` in another process sees.
fn queue(folder: &Path, queue: &str) -> SampledSeries {
    let (history, _) = History::open_read_only(folder);
    let matchers = [
        LabelMatcher::equal("__name__", "test_queue_length"),
        LabelMatcher::equal("queue_name", queue),
    ];
    let all = history
        .select(
            &matchers,
            UnixMillis(0),
            UnixMillis(i64::MAX),
            &Guard::new(10_000_000),
        )
        .unwrap();
    assert!(all.len() <= 1, "{all:?}");
    let series = all.into_iter().next().unwrap_or_default();
    assert!(
        series.times.is_sorted_by(|a, b| a < b),
        "{:?}",
        series.times
    );
    series
}

/// Waits until a reader of `folder` sees `value`.
fn wait_for_kept(folder: &Path, name: &str, value: f64) -> SampledSeries {
    poll(&format!("{value} of {name} on disk"), SOON, || {
        let series = queue(folder, name);
        series.values.contains(&value).then_some(series)
    })
}

fn health(agent: &Agent) -> Value {
    let (status, body) = agent.get("/api/v1/health");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["data"].take()
}

/// Waits until `/api/v1/health` reports an error of history, or none.
fn wait_for_problem(agent: &Agent, wrong: bool) -> String {
    poll(&format!("history with a problem: {wrong}"), SOON, || {
        let health = health(agent);
        let problem = health["history"]["error"].as_str();
        // The agent may still be starting, and the history of alerts and the state may still wait for the folder.
        let others = [&health["alertHistory"]["error"], &health["state"]["error"]];
        if health["ready"] == true && others.iter().all(|error| error.is_null()) {
            assert_eq!(
                health["status"] == "degraded",
                problem.is_some(),
                "{health}"
            );
        }
        (problem.is_some() == wrong).then(|| problem.unwrap_or_default().to_owned())
    })
}

#[test]
fn what_was_kept_survives_kill_9_and_goes_on() {
    let state = TempDir::new().unwrap();
    let yaml = queue_rule("{type: log}");
    let (mut expected, mut samples) = (Vec::new(), 0);
    for round in 1..=3 {
        let agent = Agent::start(state.path(), &yaml);
        set_queue(&agent, "mail", f64::from(round));
        let kept = wait_for_kept(&folder(&state), "mail", f64::from(round));
        agent.kill();
        let after = queue(&folder(&state), "mail");
        assert!(
            after.times.starts_with(&kept.times),
            "lost what a reader saw"
        );
        expected.push(f64::from(round));
        samples = after.values.len();
        let mut values = after.values;
        values.dedup();
        assert_eq!(values, expected);
    }
    let agent = Agent::start(state.path(), &yaml);
    agent.wait_for_log(&["history is open"]);
    assert_eq!(health(&agent)["history"]["error"], Value::Null);
    agent.wait_for_value("bellwether_history_samples{part=\"head\"", |samples| {
        samples > 3.0
    });
    // Nobody has set the queue since the last start: all of this is from disk.
    let count = "count_over_time(test_queue_length%7Bqueue_name=%22mail%22%7D%5B1h%5D)";
    let (status, body) = agent.get(&format!("/api/v1/query?query={count}"));
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        answer["data"]["result"][0]["value"][1],
        samples.to_string(),
        "{body}"
    );
}

#[test]
fn a_clean_stop_loses_nothing_and_ends_no_series() {
    let state = TempDir::new().unwrap();
    let agent = Agent::start(state.path(), &queue_rule("{type: log}"));
    set_queue(&agent, "mail", 5.0);
    wait_for_kept(&folder(&state), "mail", 5.0);
    assert!(agent.stop().success());
    let series = queue(&folder(&state), "mail");
    assert!(
        series.values.iter().all(|value| *value == 5.0),
        "{:?}",
        series.values
    );
}

#[test]
fn windows_of_rules_are_filled_after_a_restart() {
    let state = TempDir::new().unwrap();
    let yaml = queue_rule("{type: log}");
    let agent = Agent::start(state.path(), &yaml);
    set_queue(&agent, "mail", 9.0);
    poll("ten samples on disk", SOON, || {
        (queue(&folder(&state), "mail").values.len() >= 10).then_some(())
    });
    agent.kill();
    // The rule is new, so nothing but history knows of the nines.
    let rule = "    rules:\n      - {name: busy, metric: queue_length, aggregation: max, window: 10m, \
                condition: \">\", threshold: 8, message: \"{{ value }} at the most\"}\n";
    let yaml = yaml.replace("    rules:\n", rule);
    let agent = Agent::start(state.path(), &yaml);
    set_queue(&agent, "mail", 1.0);
    agent.wait_for_log(&["=> firing", "busy"]);
    let (_, alerts) = agent.get("/api/v1/alerts");
    assert!(alerts.contains("9 at the most"), "{alerts}");
}

#[test]
fn the_section_of_the_core_document_works_as_written() {
    let state = TempDir::new().unwrap();
    let section = "
trend_analysis:
  enabled: true
  storage:
    backend: \"file\"
    path: \"logs/metrics_history\"
    retention_days: 30
  anomaly_detection:
    enabled: true
    algorithm: \"zscore\"
    sensitivity: 2.0
    min_samples: 100
";
    let agent = Agent::start(state.path(), &(queue_rule("{type: log}") + section));
    set_queue(&agent, "mail", 5.0);
    wait_for_kept(&state.path().join("logs/metrics_history"), "mail", 5.0);
    assert!(!folder(&state).exists());
    assert!(
        !agent.log().iter().any(|line| line.contains("WARN")),
        "{:?}",
        agent.log()
    );
}

#[test]
fn without_history_nothing_is_written() {
    let state = TempDir::new().unwrap();
    let yaml = queue_rule("{type: log}") + "trend_analysis: {enabled: false}\n";
    let agent = Agent::start(state.path(), &yaml);
    set_queue(&agent, "mail", 5.0);
    agent.wait_for_value("test_queue_length{queue_name=\"mail\"", |value| {
        value == 5.0
    });
    assert_eq!(health(&agent)["history"], Value::Null);
    agent.wait_for_value("bellwether_series ", |series| series > 0.0);
    assert!(agent.value("bellwether_history_series").is_none());
    assert!(!folder(&state).exists());
}

#[test]
fn history_is_the_same_over_a_reload() {
    let state = TempDir::new().unwrap();
    let yaml = queue_rule("{type: log}");
    let agent = Agent::start(state.path(), &yaml);
    set_queue(&agent, "mail", 5.0);
    wait_for_kept(&folder(&state), "mail", 5.0);
    agent.write_config(&(yaml + "trend_analysis: {storage: {retention_days: 3}}\n"));
    assert_eq!(agent.post("/-/reload", "").0, 200);
    agent.wait_for_log(&["trend_analysis.storage", "next start"]);
    set_queue(&agent, "mail", 6.0);
    let series = wait_for_kept(&folder(&state), "mail", 6.0);
    let mut values = series.values;
    values.dedup();
    assert_eq!(values, [5.0, 6.0], "neither ended nor begun anew");
}

#[test]
fn where_the_folder_cannot_be_used_history_is_in_memory_and_says_so() {
    let state = TempDir::new().unwrap();
    let in_the_way = state.path().join("a file");
    fs::write(&in_the_way, "").unwrap();
    for path in [in_the_way.to_str().unwrap(), "/proc/bellwether-history"] {
        let storage = format!("trend_analysis: {{storage: {{path: {path:?}}}}}\n");
        let agent = Agent::start(state.path(), &(queue_rule("{type: log}") + &storage));
        agent.wait_for_log(&["WARN", "history is in memory until", path]);
        assert!(wait_for_problem(&agent, true).contains(path));
        set_queue(&agent, "mail", 5.0);
        agent.wait_for_value("bellwether_history_samples{part=\"head\"", |samples| {
            samples > 0.0
        });
        let status = Command::new(env!("CARGO_BIN_EXE_bellwether"))
            .args(["status", "--url", &format!("http://{}", agent.address())])
            .output()
            .unwrap();
        let screen = String::from_utf8_lossy(&status.stdout).into_owned();
        assert!(screen.contains("DEGRADED"), "{screen}");
    }
}

#[test]
fn of_two_on_one_folder_the_first_has_it() {
    let state = TempDir::new().unwrap();
    let yaml = queue_rule("{type: log}");
    let first = Agent::start(state.path(), &yaml);
    set_queue(&first, "mail", 1.0);
    wait_for_kept(&folder(&state), "mail", 1.0);
    let second = Agent::start(state.path(), &yaml);
    wait_for_problem(&second, true);
    set_queue(&second, "mail", 2.0);
    second.wait_for_value("test_queue_length{queue_name=\"mail\"", |value| {
        value == 2.0
    });
    set_queue(&first, "mail", 3.0);
    let series = wait_for_kept(&folder(&state), "mail", 3.0);
    assert!(
        !series.values.contains(&2.0),
        "the second wrote into the first's"
    );
    wait_for_problem(&first, false);
    // Once the first is gone, the next to start has it.
    first.kill();
    drop(second);
    let third = Agent::start(state.path(), &yaml);
    wait_for_problem(&third, false);
}

#[test]
fn garbage_in_the_folder_costs_only_itself() {
    let state = TempDir::new().unwrap();
    let yaml = queue_rule("{type: log}");
    let agent = Agent::start(state.path(), &yaml);
    set_queue(&agent, "mail", 1.0);
    wait_for_kept(&folder(&state), "mail", 1.0);
    agent.kill();
    let noise: Vec<u8> = (0..5000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    for file in files(&folder(&state)) {
        let mut bytes = fs::read(&file).unwrap();
        bytes.extend(&noise);
        fs::write(&file, bytes).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        fs::write(file.with_file_name(format!("{name}.bak")), &noise).unwrap();
        fs::create_dir(file.with_file_name(format!("{name}.d"))).unwrap();
    }
    fs::write(folder(&state).join("README"), &noise).unwrap();
    let agent = Agent::start(state.path(), &yaml);
    set_queue(&agent, "mail", 2.0);
    let series = wait_for_kept(&folder(&state), "mail", 2.0);
    assert!(series.values.contains(&1.0), "what was whole is lost");
    wait_for_problem(&agent, false);
}

#[test]
fn a_folder_deleted_while_it_runs_ends_nothing() {
    let state = TempDir::new().unwrap();
    let agent = Agent::start(state.path(), &queue_rule("{type: log}"));
    set_queue(&agent, "mail", 1.0);
    wait_for_kept(&folder(&state), "mail", 1.0);
    fs::remove_dir_all(folder(&state)).unwrap();
    let before = agent
        .value("bellwether_history_samples_appended_total")
        .unwrap();
    set_queue(&agent, "mail", 2.0);
    agent.wait_for_value("bellwether_history_samples_appended_total", |now| {
        now > before + 20.0
    });
    assert_eq!(agent.get("/metrics").0, 200);
    assert!(wait_for_problem(&agent, true).contains("history"));
    assert!(agent.stop().success());
}

#[test]
fn on_a_full_disk_the_agent_goes_on_and_recovers_with_the_room() {
    let state = TempDir::new().unwrap();
    let agent = Agent::start_deaf_to_limits(state.path(), &queue_rule("{type: log}"));
    set_queue(&agent, "mail", 1.0);
    wait_for_kept(&folder(&state), "mail", 1.0);
    limit_files(&agent, "0");
    set_queue(&agent, "mail", 2.0);
    wait_for_problem(&agent, true);
    agent.wait_for_value("bellwether_history_write_failures_total", |failures| {
        failures >= 1.0
    });
    assert_eq!(agent.get("/metrics").0, 200);
    limit_files(&agent, "unlimited");
    wait_for_problem(&agent, false);
    set_queue(&agent, "mail", 3.0);
    let series = wait_for_kept(&folder(&state), "mail", 3.0);
    assert!(series.values.contains(&1.0));
    let lost: f64 = agent
        .get("/metrics")
        .1
        .lines()
        .filter(|line| line.starts_with("bellwether_history_samples_lost_total{"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum();
    assert!(
        series.values.contains(&2.0) || lost > 0.0,
        "lost, and not counted"
    );
    agent.kill();
    assert!(queue(&folder(&state), "mail").values.contains(&3.0));
}

/// Largest file that the agent may write from now on.
fn limit_files(agent: &Agent, bytes: &str) {
    let pid = agent.pid().to_string();
    let limit = format!("--fsize={bytes}:");
    let done = Command::new("prlimit")
        .args(["--pid", &pid, &limit])
        .status();
    assert!(done.expect("missing tool: prlimit").success());
}

/// A real file system of 1 MB, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`: this user may not mount.
    fn mount(folder: &Path) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(folder)
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then(|| Self(folder.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_file_system_that_fills_up_and_is_cleared() {
    let state = TempDir::new().unwrap();
    let Some(disk) = SmallDisk::mount(&state.path().join("small")) else {
        eprintln!("not run: mounting a tmpfs needs root with CAP_SYS_ADMIN");
        return;
    };
    let path = disk.0.join("history");
    let storage = format!("trend_analysis: {{storage: {{path: {path:?}}}}}\n");
    let agent = Agent::start(state.path(), &(queue_rule("{type: log}") + &storage));
    set_queue(&agent, "mail", 1.0);
    wait_for_kept(&path, "mail", 1.0);
    let ballast = disk.0.join("ballast");
    assert!(
        fs::write(&ballast, vec![1; 2 << 20]).is_err(),
        "the disk takes 2 MB"
    );
    set_queue(&agent, "mail", 2.0);
    wait_for_problem(&agent, true);
    assert_eq!(agent.get("/metrics").0, 200);
    fs::remove_file(ballast).unwrap();
    wait_for_problem(&agent, false);
    set_queue(&agent, "mail", 3.0);
    let series = wait_for_kept(&path, "mail", 3.0);
    assert!(series.values.contains(&1.0));
    assert!(agent.stop().success());
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}
