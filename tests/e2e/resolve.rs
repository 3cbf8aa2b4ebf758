//! Alerts that people resolve by hand.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::agent::Agent;
use crate::support::poll;
use crate::support::receiver::Receiver;
use crate::{queue_rule, set_queue};

const FIRING: &str = "firing backlog queue_name=mail,severity=critical";
const RESOLVED: &str = "resolved backlog queue_name=mail,severity=critical";
const SOON: Duration = Duration::from_secs(60);

fn resolve(agent: &Agent, arguments: &[&str]) -> (bool, String) {
    let url = format!("http://{}", agent.address());
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    let output = command
        .arg("resolve")
        .args(arguments)
        .args(["--url", &url])
        .output()
        .unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(printed).unwrap())
}

fn wait_for(receiver: &Receiver, expected: &[&str]) {
    let taken = || (receiver.taken().len() >= expected.len()).then(|| receiver.taken());
    assert_eq!(poll("the notifications", SOON, taken), expected);
}

/// Waits until the rule was evaluated another `count` times.
fn wait_for_evaluations(agent: &Agent, count: usize) {
    let last = || {
        let (_, answer) = agent.get("/api/v1/explain?rule=backlog");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["data"]["rules"][0]["lastEvaluation"].clone()
    };
    for _ in 0..count {
        let before = last();
        poll("an evaluation", SOON, || (last() != before).then_some(()));
    }
}

/// Reasons of the transitions to or from firing, the oldest first.
fn reasons(agent: &Agent) -> Vec<String> {
    let (_, answer) = agent.get("/api/v1/alerts/history?kind=transition&limit=0");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let entries = answer["data"]["records"].as_array().unwrap().iter();
    let mut reasons: Vec<String> = entries
        .filter(|entry| entry["event"] == "firing" || entry["event"] == "resolved")
        .map(|entry| entry["reason"].as_str().unwrap().to_owned())
        .collect();
    reasons.reverse();
    reasons
}

#[test]
fn an_alert_that_was_resolved_by_hand_fires_anew_once_its_condition_did_not_hold() {
    let (folder, receiver) = (TempDir::new().unwrap(), Receiver::start(0));
    let webhook = format!("{{type: webhook, url: \"http://{}/\"}}", receiver.address());
    let agent = Agent::start(folder.path(), &queue_rule(&webhook));
    set_queue(&agent, "mail", 42.0);
    wait_for(&receiver, &[FIRING]);
    let arguments = ["backlog", "--by", "ada", "--comment", "moved"];
    let (success, printed) = resolve(&agent, &arguments);
    assert!(
        success && printed.contains("is resolved by ada"),
        "{printed}"
    );
    wait_for(&receiver, &[FIRING, RESOLVED]);
    agent.wait_for_log(&[
        "audit: resolve alert",
        "by \"ada\": \"moved\"",
        "outcome=\"done\"",
    ]);
    let (success, printed) = resolve(&agent, &arguments);
    assert!(
        !success && printed.contains("no alert \"backlog\" fires"),
        "{printed}"
    );
    wait_for_evaluations(&agent, 3);

    agent.signal("HUP");
    agent.wait_for_log(&["reloaded:"]);
    wait_for_evaluations(&agent, 3);
    let address = agent.address();
    agent.kill();
    let agent = Agent::start_with(
        folder.path(),
        &["--web.listen-address", &address.to_string()],
    );
    set_queue(&agent, "mail", 43.0);
    wait_for_evaluations(&agent, 10);
    assert_eq!(
        receiver.taken(),
        [FIRING, RESOLVED],
        "its condition still holds"
    );
    set_queue(&agent, "mail", 3.0);
    wait_for_evaluations(&agent, 3);
    set_queue(&agent, "mail", 44.0);
    wait_for(&receiver, &[FIRING, RESOLVED, FIRING]);
    let reasons = reasons(&agent);
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert_eq!(reasons[1], "resolved by \"ada\": \"moved\"");
}
