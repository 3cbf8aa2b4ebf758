//! From a value to a notification: pending, firing, resolved; receivers that fail; kill -9.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::agent::Agent;
use crate::support::poll;
use crate::support::receiver::{Mood, Receiver};
use crate::{queue_rule, set_queue};

const FIRING: &str = "firing backlog queue_name=mail,severity=critical";
const RESOLVED: &str = "resolved backlog queue_name=mail,severity=critical";
const SOON: Duration = Duration::from_secs(60);

fn webhook(receiver: &Receiver) -> String {
    format!(
        "{{type: log}}, {{type: webhook, url: \"http://{}/\", timeout: 1s, retry: {{initial: 100ms, max: 500ms}}}}",
        receiver.address()
    )
}

fn wait_for(receiver: &Receiver, expected: &[&str]) {
    let taken = || (receiver.taken().len() >= expected.len()).then(|| receiver.taken());
    assert_eq!(poll("the notifications", SOON, taken), expected);
}

#[test]
fn a_rule_goes_pending_fires_and_resolves_in_log_and_webhook() {
    let (folder, receiver) = (TempDir::new().unwrap(), Receiver::start(0));
    let agent = Agent::start(folder.path(), &queue_rule(&webhook(&receiver)));
    set_queue(&agent, "mail", 42.0);
    agent.wait_for_log(&["inactive => pending", "backlog"]);
    assert!(receiver.taken().is_empty(), "notified before its duration");
    agent.wait_for_log(&["pending => firing", "backlog"]);
    wait_for(&receiver, &[FIRING]);
    set_queue(&agent, "mail", 3.0);
    agent.wait_for_log(&["firing => inactive", "backlog"]);
    wait_for(&receiver, &[FIRING, RESOLVED]);

    let bodies = receiver.bodies();
    assert_eq!(bodies[0]["version"], "4");
    assert_eq!(bodies[0]["alerts"][0]["message"], "42 wait in mail");
    let started = bodies[0]["alerts"][0]["startsAt"].as_str().unwrap();
    assert_eq!(
        bodies[1]["alerts"][0]["startsAt"].as_str().unwrap(),
        started
    );
    assert_eq!(
        bodies[0]["alerts"][0]["fingerprint"],
        bodies[1]["alerts"][0]["fingerprint"]
    );
    agent.wait_for_value(
        "bellwether_notifications_total{channel=\"webhook\",result=\"sent\"",
        |value| value == 2.0,
    );
}

#[test]
fn a_spike_shorter_than_the_duration_notifies_nobody() {
    let (folder, receiver) = (TempDir::new().unwrap(), Receiver::start(0));
    let agent = Agent::start(folder.path(), &queue_rule(&webhook(&receiver)));
    set_queue(&agent, "mail", 42.0);
    agent.wait_for_log(&["inactive => pending"]);
    set_queue(&agent, "mail", 3.0);
    agent.wait_for_log(&["pending => inactive"]);
    // A second alert that does fire shows that the first would have been sent by now.
    set_queue(&agent, "other", 42.0);
    wait_for(
        &receiver,
        &["firing backlog queue_name=other,severity=critical"],
    );
}

#[test]
fn nothing_is_lost_or_doubled_while_the_receiver_is_down_rejects_or_hangs() {
    let (folder, receiver) = (TempDir::new().unwrap(), Receiver::start(0));
    let agent = Agent::start(folder.path(), &queue_rule(&webhook(&receiver)));

    receiver.mood(Mood::Status(500));
    set_queue(&agent, "mail", 42.0);
    poll("three rejected attempts", SOON, || {
        (receiver.attempts() >= 3).then_some(())
    });
    assert!(receiver.taken().is_empty());
    receiver.mood(Mood::Good);
    wait_for(&receiver, &[FIRING]);

    receiver.mood(Mood::Mute);
    let before = receiver.attempts();
    set_queue(&agent, "mail", 3.0);
    poll("two attempts without an answer", SOON, || {
        (receiver.attempts() >= before + 2).then_some(())
    });
    receiver.mood(Mood::Good);
    wait_for(&receiver, &[FIRING, RESOLVED]);

    let port = receiver.address().port();
    receiver.stop();
    set_queue(&agent, "mail", 42.0);
    agent.wait_for_value(
        "bellwether_notification_queue_length{channel=\"webhook\"",
        |n| n >= 1.0,
    );
    let receiver = Receiver::start(port);
    wait_for(&receiver, &[FIRING]);
}

#[test]
fn what_was_not_delivered_survives_kill_9_and_what_was_is_not_sent_again() {
    let (folder, receiver) = (TempDir::new().unwrap(), Receiver::start(0));
    let yaml = queue_rule(&webhook(&receiver));
    let agent = Agent::start(folder.path(), &yaml);
    set_queue(&agent, "mail", 42.0);
    wait_for(&receiver, &[FIRING]);
    agent.wait_for_delivered(1);
    receiver.mood(Mood::Status(503));
    set_queue(&agent, "other", 42.0);
    agent.wait_for_value(
        "bellwether_notification_queue_length{channel=\"webhook\"",
        |n| n >= 1.0,
    );
    agent.kill();

    receiver.mood(Mood::Good);
    let agent = Agent::start(folder.path(), &yaml);
    let other = "firing backlog queue_name=other,severity=critical";
    wait_for(&receiver, &[FIRING, other]);
    // Both still hold after the restart, and both stay quiet until they end.
    set_queue(&agent, "mail", 42.0);
    set_queue(&agent, "other", 42.0);
    agent.wait_for_value("bellwether_alerts{state=\"firing\"", |firing| firing == 2.0);
    set_queue(&agent, "mail", 3.0);
    wait_for(&receiver, &[FIRING, other, RESOLVED]);
    set_queue(&agent, "other", 3.0);
    let ended = "resolved backlog queue_name=other,severity=critical";
    wait_for(&receiver, &[FIRING, other, RESOLVED, ended]);
}

#[test]
fn an_alert_whose_rule_is_gone_after_a_restart_is_resolved() {
    let (folder, receiver) = (TempDir::new().unwrap(), Receiver::start(0));
    let yaml = queue_rule(&webhook(&receiver));
    let agent = Agent::start(folder.path(), &yaml);
    set_queue(&agent, "mail", 42.0);
    wait_for(&receiver, &[FIRING]);
    agent.wait_for_delivered(1);
    agent.wait_for_saved("firing");
    agent.kill();
    let _agent = Agent::start(
        folder.path(),
        &yaml.replace("name: backlog", "name: renamed"),
    );
    wait_for(&receiver, &[FIRING, RESOLVED]);
}

#[test]
fn a_full_disk_costs_neither_the_rules_nor_the_exposition_nor_the_notifications() {
    let (folder, receiver) = (TempDir::new().unwrap(), Receiver::start(0));
    let agent = Agent::start_without_disk(folder.path(), &queue_rule(&webhook(&receiver)));
    set_queue(&agent, "mail", 42.0);
    wait_for(&receiver, &[FIRING]);
    assert_eq!(agent.get("/metrics").0, 200);
    set_queue(&agent, "mail", 3.0);
    wait_for(&receiver, &[FIRING, RESOLVED]);
    agent.wait_for_value("bellwether_state_save_failures_total", |failures| {
        failures >= 1.0
    });
    agent.wait_for_log(&["cannot save the queue of channel"]);
}

/// Samples of each queue: times in milliseconds, and lengths.
fn collected(agent: &Agent) -> BTreeMap<String, Vec<(i64, f64)>> {
    let (status, body) = agent.get("/api/v1/query?query=test_queue_length%5B1m%5D");
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    let sample = |pair: &Value| {
        let length = pair[1].as_str().unwrap().parse().unwrap();
        ((pair[0].as_f64().unwrap() * 1000.0).round() as i64, length)
    };
    let series = body["data"]["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let queue = one["metric"]["queue_name"].as_str().unwrap().to_owned();
            (
                queue,
                one["values"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(sample)
                    .collect(),
            )
        });
    series.collect()
}

/// Times of the transition `event` of each queue, in milliseconds.
fn became(agent: &Agent, event: &str) -> BTreeMap<String, i64> {
    let path = format!("/api/v1/alerts/history?kind=transition&event={event}&limit=0");
    let (status, body) = agent.get(&path);
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    let records = body["data"]["records"].as_array().unwrap();
    let at = |record: &Value| {
        let at: jiff::Timestamp = record["at"].as_str().unwrap().parse().unwrap();
        (
            record["labels"]["queue_name"].as_str().unwrap().to_owned(),
            at.as_millisecond(),
        )
    };
    let all: BTreeMap<_, _> = records.iter().map(at).collect();
    assert_eq!(all.len(), records.len(), "each once: {body}");
    all
}

/// Ten begin with each of ten evaluations, so that the jitter of many is met. Prometheus evaluates at
/// whole intervals: an alert fires with the first evaluation that is at least its duration of them
/// after the one that made it pending, and no other.
#[test]
fn a_hundred_alerts_at_once_fire_on_the_interval_at_which_their_duration_is_over() {
    let (folder, receiver) = (TempDir::new().unwrap(), Receiver::start(0));
    let yaml = queue_rule(&webhook(&receiver));
    let yaml = yaml.replace("collection_interval: 200ms", "collection_interval: 1s");
    let agent = Agent::start(folder.path(), &yaml.replace("duration: 1s", "duration: 2s"));
    for begun in (0..100).step_by(10) {
        (begun..begun + 10).for_each(|queue| set_queue(&agent, &format!("q{queue}"), 42.0));
        poll("the next are pending", SOON, || {
            (became(&agent, "pending").len() == begun + 10).then_some(())
        });
    }
    let fired = poll("all fire", SOON, || {
        let fired = became(&agent, "firing");
        (fired.len() == 100).then_some(fired)
    });
    let (pending, collected) = (became(&agent, "pending"), collected(&agent));
    for (queue, fired) in fired {
        let samples = &collected[&queue];
        // The evaluation of the last collection by then.
        let evaluation = |at: i64| samples.iter().rposition(|(time, _)| *time <= at).unwrap();
        let begun = evaluation(pending[&queue]);
        let intervals = |(time, _): &(i64, f64)| (time - samples[begun].0 + 500) / 1000;
        let due = samples
            .iter()
            .position(|sample| intervals(sample) >= 2)
            .unwrap();
        assert_eq!(evaluation(fired), due, "{queue} at {fired}: {samples:?}");
    }
    poll("all are notified", SOON, || {
        (receiver.taken().len() == 100).then_some(())
    });
}
