//! The state folder under a real process: shared by two, in the way, deleted, with unexpected files in it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::agent::Agent;
use crate::support::poll;
use crate::support::receiver::Receiver;
use crate::{queue_rule, set_queue};

const SOON: Duration = Duration::from_secs(60);

/// `state` and `status` of `/api/v1/health`.
fn state_problem(agent: &Agent) -> (Option<String>, String) {
    let (_, body) = agent.get("/api/v1/health");
    let health: Value = serde_json::from_str(&body).unwrap();
    let problem = health["data"]["state"]["error"].as_str().map(str::to_owned);
    (
        problem,
        health["data"]["status"].as_str().unwrap().to_owned(),
    )
}

fn wait_for_problem(agent: &Agent, wrong: bool) -> String {
    poll(&format!("state with a problem: {wrong}"), SOON, || {
        let (problem, _) = state_problem(agent);
        (problem.is_some() == wrong).then(|| problem.unwrap_or_default())
    })
}

fn status(agent: &Agent) -> String {
    let url = format!("http://{}", agent.address());
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    let output = command.args(["status", "--url", &url]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Silences alerts of the rule `x` with a comment: the exit status, and what was printed.
fn silence(agent: &Agent, comment: &str) -> (Option<i32>, String) {
    let url = format!("http://{}", agent.address());
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    command.args([
        "silence",
        "add",
        "alertname=x",
        "--for",
        "1h",
        "--comment",
        comment,
    ]);
    let output = command.args(["--url", &url]).output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(printed).unwrap())
}

#[test]
fn of_two_on_one_folder_the_first_keeps_its_alerts_and_silences() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join("state").join(name);
    let first = Agent::start(folder.path(), &queue_rule("{type: log}"));
    set_queue(&first, "mail", 42.0);
    first.wait_for_saved("firing");
    let (code, answer) = silence(&first, "first");
    assert_eq!(code, Some(0), "{answer}");
    let second = Agent::start(folder.path(), &queue_rule("{type: log}"));
    let error = wait_for_problem(&second, true);
    assert!(
        error.contains("another Bellwether has the state directory"),
        "{error}"
    );
    assert!(
        status(&second).contains("DEGRADED another Bellwether"),
        "{}",
        status(&second)
    );
    assert_eq!(second.value("bellwether_state_on_disk"), Some(0.0));
    assert_eq!(first.value("bellwether_state_on_disk"), Some(1.0));
    let (_, answer) = silence(&second, "second");
    assert!(answer.contains("not saved for a restart"), "{answer}");
    assert!(second.stop().success());
    assert!(
        fs::read_to_string(at("silences.json"))
            .unwrap()
            .contains("first")
    );
    assert!(
        !fs::read_to_string(at("silences.json"))
            .unwrap()
            .contains("second")
    );
    assert!(
        fs::read_to_string(at("alerts.json"))
            .unwrap()
            .contains("firing")
    );
    assert_eq!(state_problem(&first).0, None);
    first.kill();
    let third = Agent::start(folder.path(), &queue_rule("{type: log}"));
    assert_eq!(state_problem(&third).0, None);
    assert!(third.get("/api/v1/silences").1.contains("first"));
}

#[test]
fn a_folder_that_cannot_be_used_is_reported_and_used_once_it_can() {
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("state");
    fs::write(&state, "in the way").unwrap();
    let agent = Agent::start(folder.path(), &queue_rule("{type: log}"));
    let error = wait_for_problem(&agent, true);
    assert!(error.contains("cannot use the state directory"), "{error}");
    assert!(
        !agent.log().join("\n").contains("another process"),
        "it is not said who is not there"
    );
    set_queue(&agent, "mail", 42.0);
    agent.wait_for_value("bellwether_state_save_failures_total", |failures| {
        failures > 1.0
    });
    let saved = |line: &&String| line.contains("cannot save the state of the alerts");
    assert_eq!(
        agent.log().iter().filter(saved).count(),
        1,
        "once per outage"
    );
    fs::remove_file(&state).unwrap();
    wait_for_problem(&agent, false);
    agent.wait_for_saved("firing");
    poll("the queue on disk", SOON, || {
        state.join("outbox/log.jsonl").exists().then_some(())
    });
    agent.wait_for_value("bellwether_state_on_disk", |on_disk| on_disk == 1.0);
}

#[test]
fn what_is_deleted_while_it_runs_is_written_anew() {
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("state");
    let agent = Agent::start(folder.path(), &queue_rule("{type: log}"));
    set_queue(&agent, "mail", 42.0);
    agent.wait_for_saved("firing");
    let queue = state.join("outbox/log.jsonl");
    poll("the queue on disk", SOON, || queue.exists().then_some(()));
    fs::remove_dir_all(state.join("outbox")).unwrap();
    poll("the queue again", SOON, || queue.exists().then_some(()));
    fs::remove_dir_all(&state).unwrap();
    poll("all of it again", SOON, || queue.exists().then_some(()));
    agent.wait_for_saved("firing");
    assert_eq!(state_problem(&agent).0, None);
}

#[test]
fn unexpected_files_in_the_folder_do_not_hold_up_the_start_and_are_kept() {
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("state");
    fs::create_dir_all(state.join("outbox")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", state.join("alerts.json")).unwrap();
    fs::File::create(state.join("silences.json"))
        .unwrap()
        .set_len(3 << 30)
        .unwrap();
    let fifo = state.join("outbox/log.jsonl");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let agent = Agent::start(folder.path(), &queue_rule("{type: log}"));
    set_queue(&agent, "mail", 42.0);
    agent.wait_for_saved("firing");
    wait_for_problem(&agent, false);
    for name in ["alerts.json", "silences.json", "outbox/log.jsonl"] {
        let aside = state.join(format!("{name}.corrupt"));
        assert!(
            fs::symlink_metadata(&aside).is_ok(),
            "{} is kept",
            aside.display()
        );
    }
    assert!(
        fs::symlink_metadata(state.join("alerts.json"))
            .unwrap()
            .is_file()
    );
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// Files that a kill -9 of version 0.1 left.
#[test]
fn the_state_of_version_0_1_is_gone_on_from() {
    let (folder, receiver) = (TempDir::new().unwrap(), Receiver::start(0));
    let state = folder.path().join("state");
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/state");
    copy(Path::new(fixture), &state);
    let channel = |name: &str| {
        let address = receiver.address();
        format!("{{type: webhook, name: {name}, url: \"http://{address}/\"}}")
    };
    let channels = ["good", "bad", "down"].map(channel).join(", ");
    let agent = Agent::start(folder.path(), &queue_rule(&channels));
    let (_, alerts) = agent.get("/api/v1/alerts");
    assert!(alerts.contains("42.5 wait in mail"), "{alerts}");
    assert!(alerts.contains("2026-11-29T02:08:34.058Z"), "{alerts}");
    let (_, silences) = agent.get("/api/v1/silences");
    assert!(silences.contains("nights"), "{silences}");
    let (_, explanation) = agent.get("/api/v1/explain?rule=backlog");
    assert!(explanation.contains("on it"), "{explanation}");
    let (_, letters) = agent.get("/api/v1/dead-letters");
    assert_eq!(letters.matches("answered 400").count(), 6, "{letters}");
    let (_, history) = agent.get("/api/v1/alerts/history?order=oldest");
    let history: Value = serde_json::from_str(&history).unwrap();
    assert_eq!(history["data"]["damaged"], 0);
    assert_eq!(
        history["data"]["records"][0]["fingerprint"],
        "a80c06749851d7c7"
    );
    let queued = "firing backlog queue_name=mail,severity=critical".to_owned();
    poll("what was queued", SOON, || {
        receiver.taken().contains(&queued).then_some(())
    });
    assert!(agent.stop().success());
    let start = |name: &str| fs::read_to_string(state.join(name)).unwrap();
    assert!(start("alerts.json").starts_with("{\"version\":3,"));
    assert!(start("silences.json").starts_with("{\"version\":1,"));
    for channel in ["good", "bad", "down"] {
        let journal = start(&format!("outbox/{channel}.jsonl"));
        assert!(journal.starts_with("{\"version\":2}\n"), "{journal}");
    }
    for name in ["alerts.json", "silences.json", "outbox/bad.jsonl"] {
        assert!(!state.join(format!("{name}.corrupt")).exists(), "{name}");
    }
}
