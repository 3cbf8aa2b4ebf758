//! Rules that ask history, in the running product: what fires, resolves, is recorded and survives.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::set_queue;
use crate::support::agent::Agent;
use crate::support::poll;
use crate::support::receiver::Receiver;

const SOON: Duration = Duration::from_secs(60);
const FIRING: &str = "firing backlog queue_name=mail,severity=critical,team=post";
const RESOLVED: &str = "resolved backlog queue_name=mail,severity=critical,team=post";

fn configuration(receiver: &Receiver) -> String {
    let address = receiver.address();
    format!(
        r#"
performance_monitor:
  collection_interval: 200ms
  enabled_collectors: [application]
  application_metrics:
    - {{name: queue_length, type: gauge, labels: [queue_name]}}
  prometheus:
    metric_prefix: test
  alerting:
    notifications:
      channels:
        - {{type: log}}
        - {{type: webhook, url: "http://{address}/", timeout: 1s, retry: {{initial: 100ms, max: 500ms}}}}
    recording_rules:
      - {{record: "queue:length:double", promql: "test_queue_length * 2"}}
    rules:
      - {{name: backlog, promql: "queue:length:double", condition: ">", threshold: 20, duration: 1s,
         severity: critical, add_labels: {{team: post}}, message: "{{{{ value }}}} wait in {{{{ labels.queue_name }}}}"}}
"#
    )
}

fn wait_for(receiver: &Receiver, expected: &[&str]) {
    let taken = || (receiver.taken().len() >= expected.len()).then(|| receiver.taken());
    assert_eq!(poll("the notifications", SOON, taken), expected);
}

#[test]
fn a_query_over_a_recorded_series_fires_survives_a_restart_and_resolves() {
    let (folder, receiver) = (TempDir::new().unwrap(), Receiver::start(0));
    let yaml = configuration(&receiver);
    let agent = Agent::start(folder.path(), &yaml);
    set_queue(&agent, "mail", 42.0);
    set_queue(&agent, "other", 1.0);
    agent.wait_for_log(&["inactive => pending", "backlog"]);
    wait_for(&receiver, &[FIRING]);
    assert_eq!(
        receiver.bodies()[0]["alerts"][0]["message"],
        "84 wait in mail"
    );

    let (status, rules) = agent.get("/api/v1/rules");
    assert_eq!(status, 200);
    let rules: serde_json::Value = serde_json::from_str(&rules).unwrap();
    let [recording, alerting] = [0, 1].map(|n| &rules["data"]["groups"][0]["rules"][n]);
    assert_eq!(
        (&recording["type"], &recording["health"]),
        (&"recording".into(), &"ok".into())
    );
    assert_eq!(recording["query"], "test_queue_length * 2");
    assert_eq!(
        (&alerting["query"], &alerting["state"]),
        (&"queue:length:double > 20".into(), &"firing".into())
    );
    assert!(
        alerting["evaluationTime"]
            .as_f64()
            .is_some_and(|seconds| seconds > 0.0)
    );

    agent.wait_for_delivered(1);
    agent.kill();
    let agent = Agent::start(folder.path(), &yaml);
    set_queue(&agent, "mail", 42.0);
    agent.wait_for_value("bellwether_alerts{state=\"firing\"", |firing| firing == 1.0);
    set_queue(&agent, "mail", 3.0);
    wait_for(&receiver, &[FIRING, RESOLVED]);
}

#[test]
fn a_broken_query_is_reported_with_its_place_and_an_unknown_name_is_a_warning() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("x.yaml");
    let check = |query: &str| {
        let yaml = format!(
            "performance_monitor:\n  system_metrics: [{{name: cpu_percent, type: gauge}}]\n  \
             prometheus: {{metric_prefix: host}}\n  alerting:\n    rules:\n      \
             - {{name: r, promql: '{query}'}}\n"
        );
        std::fs::write(&file, yaml).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
        let output = command.arg("check").arg(&file).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    let (code, text) = check("sum(rate(up[5m])");
    assert_eq!(code, Some(1));
    assert!(
        text.contains("x.yaml:6:27: ") && text.contains("rules[0].promql: 1:17: parse error"),
        "{text}"
    );
    for (query, hint) in [
        (
            "cpu_percent > 5",
            "its name in history and in /metrics is \"host_cpu_percent\"",
        ),
        ("host_cpu_precent > 5", "did you mean \"host_cpu_percent\"?"),
    ] {
        let (code, text) = check(query);
        assert_eq!(code, Some(0), "{text}");
        assert!(
            text.contains("x.yaml:6:27: ") && text.contains(hint),
            "{text}"
        );
    }
    assert!(!check("host_cpu_percent > 5").1.contains("nobody"));
}
