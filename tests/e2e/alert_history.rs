//! The history of alerts as its users meet it: by API and command line, over a receiver that fails,
//! kill -9 and a folder that cannot be used.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::agent::Agent;
use crate::support::poll;
use crate::support::receiver::{Mood, Receiver};
use crate::{queue_rule, set_queue};

const SOON: Duration = Duration::from_secs(60);

fn webhook(receiver: &Receiver) -> String {
    format!(
        "{{type: webhook, name: pager, url: \"http://{}/\", timeout: 1s, \
         retry: {{initial: 100ms, max: 500ms}}}}",
        receiver.address()
    )
}

fn ask(agent: &Agent, parameters: &str) -> Value {
    let (status, body) = agent.get(&format!("/api/v1/alerts/history?{parameters}"));
    assert_eq!(status, 200, "{body}");
    let mut body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["status"], "success");
    body["data"].take()
}

fn events(data: &Value) -> Vec<String> {
    let records = data["records"].as_array().unwrap();
    records
        .iter()
        .map(|record| record["event"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until the history, oldest first and without repeated failures, is `expected`.
fn wait_for_events(agent: &Agent, expected: &[&str]) {
    poll(&format!("the history {expected:?}"), SOON, || {
        let mut found = events(&ask(agent, "order=oldest&limit=0"));
        found.dedup();
        (found == expected).then_some(())
    });
}

/// Runs `bellwether alerts` with the configuration in `folder`.
fn alerts(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .arg("alerts")
        .args(arguments)
        .arg("--config")
        .arg(folder.join("bellwether.yaml"))
        .env("STATE_DIRECTORY", folder.join("state"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_became_of_an_alert_is_reported_by_api_and_command_line_also_after_kill_9() {
    let (folder, receiver) = (TempDir::new().unwrap(), Receiver::start(0));
    let yaml = queue_rule(&webhook(&receiver));
    let agent = Agent::start(folder.path(), &yaml);
    receiver.mood(Mood::Status(503));
    set_queue(&agent, "mail", 42.0);
    let last =
        || ask(&agent, "event=failed&channel=pager&limit=1")["records"][0]["attempt"].as_u64();
    poll("two rejected attempts", SOON, || {
        last().filter(|attempt| *attempt >= 2)
    });
    wait_for_events(&agent, &["pending", "firing", "queued", "failed"]);
    agent.wait_for_saved("firing");
    agent.kill();

    receiver.mood(Mood::Good);
    let agent = Agent::start(folder.path(), &yaml);
    set_queue(&agent, "mail", 42.0);
    let began = ["pending", "firing", "queued", "failed", "delivered"];
    wait_for_events(&agent, &began);
    let url = format!("http://{}", agent.address());
    let now = alerts(folder.path(), &["--url", &url]);
    assert!(
        now.contains("firing") && now.contains("backlog{queue_name=\"mail\"}"),
        "{now}"
    );
    assert!(!alerts(folder.path(), &["--url", &url, "--state", "pending"]).contains("backlog"));
    set_queue(&agent, "mail", 3.0);
    let whole = [&began[..], &["resolved", "queued", "delivered"]].concat();
    wait_for_events(&agent, &whole);

    let failed = ask(&agent, "event=failed&channel=pager&limit=1");
    assert_eq!(
        failed["records"][0]["attempt"]
            .as_u64()
            .map(|attempt| attempt >= 2),
        Some(true)
    );
    assert!(
        failed["records"][0]["error"]
            .as_str()
            .unwrap()
            .contains("503"),
        "{failed}"
    );
    assert!(failed["nextCursor"].is_string());
    let ended = &ask(&agent, "state=resolved&kind=transition&rule=backlog")["records"][0];
    assert!(ended["firedForSeconds"].as_f64().unwrap() > 0.0, "{ended}");
    assert_eq!(ended["value"], 3.0);
    let selector = "match[]=%7Bqueue_name%3D%22other%22%7D";
    assert_eq!(events(&ask(&agent, selector)), Vec::<String>::new());
    let (status, body) = agent.get("/api/v1/alerts/history?event=exploded");
    assert!(
        status == 400 && body.contains("\"errorType\":\"bad_data\""),
        "{body}"
    );

    let story = alerts(folder.path(), &["--history", "--url", &url]);
    for words in [
        "FIRING, critical:",
        "firing FAILED, attempt 1:",
        "RESOLVED after",
        "delivered",
    ] {
        assert!(story.contains(words), "{words} is missing in:\n{story}");
    }
    agent.kill();
    // Nobody answers on the declared port, so it is read from the folder.
    let offline = yaml.replace("metric_prefix: test", "metric_prefix: test\n    port: 1");
    fs::write(folder.path().join("bellwether.yaml"), offline).unwrap();
    assert_eq!(alerts(folder.path(), &["--history"]), story);
    let json = alerts(
        folder.path(),
        &["--history", "--format", "json", "--event", "firing"],
    );
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(events(&json), ["firing"]);
}

#[test]
fn a_folder_that_cannot_be_written_costs_no_alert_and_is_reported() {
    let (folder, receiver) = (TempDir::new().unwrap(), Receiver::start(0));
    let agent = Agent::start_without_disk(folder.path(), &queue_rule(&webhook(&receiver)));
    set_queue(&agent, "mail", 42.0);
    poll("the notification", SOON, || {
        (receiver.taken().len() == 1).then_some(())
    });
    wait_for_events(&agent, &["pending", "firing", "queued", "delivered"]);
    let failures = "bellwether_alert_history_write_failures_total";
    agent.wait_for_value(failures, |failures| failures >= 1.0);
    let (_, health) = agent.get("/api/v1/health");
    let health: Value = serde_json::from_str(&health).unwrap();
    assert_eq!(health["data"]["status"], "degraded");
    assert!(
        health["data"]["alertHistory"]["error"].is_string(),
        "{health}"
    );
    agent.wait_for_log(&["alert history is in memory"]);
}
