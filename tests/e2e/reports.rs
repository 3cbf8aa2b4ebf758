//! Reports by schedule and audit lines, to a real mail server and a real receiver.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::agent::{Agent, request};
use crate::support::poll;
use crate::support::receiver::{Mood, Receiver};
use crate::support::smtp::Smtp;
use crate::{queue_rule, set_queue};

const SOON: Duration = Duration::from_secs(60);

/// Channels that get no alerts: `mail`, if there is a server, and `hook`.
fn channels(mail: Option<&Smtp>, hook: &Receiver) -> String {
    let mail = mail.map(|mail| {
        format!(
            "{{type: email, name: mail, smtp_server: 127.0.0.1, smtp_port: {}, tls: none, from: b@example.org, \
             recipients: [ops@example.org], alerts: false}}, ",
            mail.port()
        )
    });
    format!(
        "{}{{type: webhook, name: hook, url: \"http://{}/\", timeout: 2s, alerts: false, \
         retry: {{initial: 20ms, max: 50ms}}}}",
        mail.unwrap_or_default(),
        hook.address()
    )
}

fn saved(folder: &Path, file: &str) -> Option<Value> {
    let text = fs::read_to_string(folder.join("state").join(file)).ok()?;
    serde_json::from_str(&text).ok()
}

/// Waits until the schedule on disk has `report`. Returns up to when it is made.
fn made_until(folder: &Path, report: &str) -> i64 {
    poll("the schedule of reports on disk", SOON, || {
        saved(folder, "reports.json")?["reports"][report]["until"].as_i64()
    })
}

/// Waits until the queue of `channel` on disk is empty, with a delivery of `topic`.
fn noted_as_delivered(folder: &Path, channel: &str, topic: &str) {
    poll("the delivery on disk", SOON, || {
        let queue = saved(folder, &format!("bulletins/{channel}.json"))?;
        let is_empty = queue["waiting"] == serde_json::json!([]);
        (is_empty && queue["delivered"][topic].is_object()).then_some(())
    });
}

/// Makes `report` due: the agent, which must not run, takes it for made up to a month ago only.
fn miss(folder: &Path, report: &str) {
    let mut schedule = saved(folder, "reports.json").unwrap();
    let until = schedule["reports"][report]["until"].as_i64().unwrap();
    schedule["reports"][report]["until"] = (until - 30 * 86_400_000).into();
    fs::write(folder.join("state/reports.json"), schedule.to_string()).unwrap();
}

/// Starts the agent, and ends it once the schedule is on disk.
fn start_once(folder: &Path, yaml: &str, report: &str) -> i64 {
    let agent = Agent::start(folder, yaml);
    let until = made_until(folder, report);
    agent.kill();
    until
}

#[test]
fn a_report_that_was_missed_is_sent_once_by_mail_and_to_a_receiver() {
    let (folder, hook) = (TempDir::new().unwrap(), Receiver::start(0));
    let mail = Smtp::start(folder.path(), &[]);
    let path = folder.path();
    let yaml = queue_rule(&channels(Some(&mail), &hook))
        + "reports:\n  - {name: weekly, schedule: '0 7 * * mon', channels: [mail]}\n  \
             - {name: data, schedule: '@daily', range: 1d, format: json, channels: [hook]}\n";
    start_once(path, &yaml, "data");
    miss(path, "weekly");
    miss(path, "data");

    let agent = Agent::start(path, &yaml);
    set_queue(&agent, "mail", 42.0);
    let letter = poll("the report by mail", SOON, || mail.mails().pop());
    let body = poll("the report for the receiver", SOON, || hook.bodies().pop());
    let subject = letter["headers"]["Subject"].as_str().unwrap();
    assert!(subject.starts_with("Report weekly of "), "{subject}");
    assert!(
        letter["plain"]
            .as_str()
            .unwrap()
            .contains("No alert fired."),
        "{letter}"
    );
    let [name, kind, page] =
        [0, 1, 2].map(|index| letter["attachments"][0][index].as_str().unwrap());
    assert!(
        name.starts_with("weekly-") && name.ends_with("T0700Z.html"),
        "{name}"
    );
    assert_eq!(kind, "text/html");
    assert!(page.contains("</html>"), "{page}");

    assert_eq!(
        (&body["version"], &body["bulletin"]),
        (&"1".into(), &"report/data".into())
    );
    let document = &body["document"];
    assert_eq!(document["contentType"], "application/json");
    assert_eq!(
        document["content"]["missing"],
        serde_json::json!([]),
        "{document:#}"
    );
    let (from, to) = (&document["content"]["from"], &document["content"]["to"]);
    assert!(to.as_str().unwrap().ends_with("T00:00:00Z") && from.as_str() < to.as_str());

    let (_, health) = agent.get("/api/v1/health");
    let health: Value = serde_json::from_str(&health).unwrap();
    let reports = &health["data"]["reports"];
    assert_eq!(reports[0]["name"], "weekly");
    assert!(reports[0]["next"].is_string(), "{reports:#}");
    made_after(path, "data");
    // Before that it is on no disk that they were delivered, and both come again, as they must.
    noted_as_delivered(path, "mail", "report/weekly");
    noted_as_delivered(path, "hook", "report/data");
    agent.kill();

    // Killed after the delivery and before the schedule was saved: made again, and known by its id.
    miss(path, "data");
    let agent = Agent::start(path, &yaml);
    made_after(path, "data");
    agent.wait_for_log(&["report made", "data"]);
    let log = agent.log();
    assert!(
        !log.iter()
            .any(|line| line.contains("report made") && line.contains("weekly"))
    );
    assert_eq!((mail.mails().len(), hook.attempts()), (1, 1));
    let sent = "bellwether_bulletin_last_success_timestamp_seconds{channel=\"hook\",bulletin=\"report/data\"";
    assert!(agent.wait_for_value(sent, |at| at > 0.0) > 1_700_000_000.0);
}

/// Waits until the schedule on disk has `report` as made today.
fn made_after(folder: &Path, report: &str) {
    poll("the report is made", SOON, || {
        let until = saved(folder, "reports.json")?["reports"][report]["until"].as_i64()?;
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        (now.as_millis() as i64 - until < 25 * 3_600_000).then_some(())
    });
}

#[test]
fn a_report_outlives_kill_9_between_its_time_and_its_delivery() {
    let (folder, hook) = (TempDir::new().unwrap(), Receiver::start(0));
    let path = folder.path();
    let yaml = queue_rule(&channels(None, &hook))
        + "reports: [{name: daily, schedule: '@daily', format: csv, channels: [hook]}]\n";
    start_once(path, &yaml, "daily");
    miss(path, "daily");
    hook.mood(Mood::Status(503));
    let agent = Agent::start(path, &yaml);
    let queued = poll("the report in its queue on disk", SOON, || {
        let queue = saved(path, "bulletins/hook.json")?;
        queue["waiting"][0]["id"].as_str().map(str::to_owned)
    });
    poll("an attempt", SOON, || (hook.attempts() > 1).then_some(()));
    agent.wait_for_value(
        "bellwether_bulletins_total{channel=\"hook\",bulletin=\"report/daily\"",
        |_| true,
    );
    let (_, summary) = agent.get("/api/v1/health");
    assert!(summary.contains("\"lastError\":\"hook: "), "{summary}");
    agent.kill();

    hook.mood(Mood::Good);
    let agent = Agent::start(path, &yaml);
    let body = poll("the report", SOON, || hook.bodies().pop());
    assert_eq!(body["id"], queued.as_str());
    assert!(
        body["document"]["content"]
            .as_str()
            .unwrap()
            .starts_with("section,item,field,value\r\n")
    );
    noted_as_delivered(path, "hook", "report/daily");
    assert!(agent.stop().success());
    assert_eq!(hook.bodies().len(), 1);
}

#[test]
fn audit_lines_go_to_their_channel_and_no_change_waits_for_it() {
    let (folder, hook) = (TempDir::new().unwrap(), Receiver::start(0));
    let yaml = queue_rule(&channels(None, &hook)) + "logging: {audit: {channel: hook}}\n";
    hook.mood(Mood::Mute);
    let agent = Agent::start(folder.path(), &yaml);
    // The receiver never answers; both changes are done all the same.
    assert_eq!(agent.post("/-/reload", "").0, 200);
    poll("an attempt that hangs", SOON, || {
        (hook.attempts() > 0).then_some(())
    });
    let silence = r#"{"matchers": "alertname=\"backlog\"", "duration": "1h", "created_by": "ada"}"#;
    let (status, answer) = agent.post("/api/v1/silences", silence);
    assert_eq!(status, 200, "{answer}");
    agent.kill();

    // What the receiver did not confirm comes again, and so does a line of the last moment before a stop.
    hook.mood(Mood::Good);
    let agent = Agent::start(folder.path(), &yaml);
    let text = || {
        let bodies = hook.bodies();
        let texts = bodies
            .iter()
            .map(|body| body["text"].as_str().unwrap().to_owned());
        texts.collect::<Vec<_>>().join("\n")
    };
    poll("the line of the reload", SOON, || {
        text()
            .contains(" audit: reload: 2 metrics, 1 rule action=\"reload\" outcome=\"done\"")
            .then_some(())
    });
    let evil = [("origin", "https://evil.example")];
    assert_eq!(
        request(agent.address(), "POST", "/-/reload", &evil, "")
            .unwrap()
            .0,
        403
    );
    assert!(agent.stop().success());
    assert!(text().contains("outcome=\"rejected\""), "{}", text());
    let bodies = hook.bodies();
    assert!(
        bodies.iter().all(|body| body["bulletin"] == "audit"),
        "{bodies:#?}"
    );
}

fn bellwether(folder: &Path, agent: &Agent, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    command.args(arguments);
    let config = folder.join("bellwether.yaml");
    let target = [
        "--config".to_owned(),
        config.display().to_string(),
        "--url".to_owned(),
        format!("http://{}", agent.address()),
    ];
    command.args(target).current_dir(folder).output().unwrap()
}

#[test]
fn a_report_is_tried_at_once_and_everything_exported_in_one_run() {
    let (folder, hook) = (TempDir::new().unwrap(), Receiver::start(0));
    let path = folder.path();
    let yaml = queue_rule(&channels(None, &hook))
        + "reports: [{name: weekly, schedule: '@weekly', format: markdown, channels: [hook]}]\n";
    let agent = Agent::start(path, &yaml);
    set_queue(&agent, "mail", 42.0);
    let active = "bellwether_alerts{state=\"firing\"}";
    agent.wait_for_value(active, |firing| firing > 0.0);
    let sent = bellwether(path, &agent, &["report", "--send", "weekly"]);
    let printed = String::from_utf8(sent.stdout).unwrap();
    assert!(
        sent.status.success() && printed.starts_with("hook: bulletin delivered in "),
        "{printed}"
    );
    let body = hook.bodies().pop().unwrap();
    assert!(
        body["document"]["content"]
            .as_str()
            .unwrap()
            .contains("backlog"),
        "{body:#}"
    );
    // A channel without alerts is tested by what it is for.
    let mut test = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    test.args(["notify-test", "hook", "--config"])
        .arg(path.join("bellwether.yaml"));
    let printed = String::from_utf8(test.output().unwrap().stdout).unwrap();
    assert!(
        printed.starts_with("hook: bulletin delivered in "),
        "{printed}"
    );
    assert_eq!(hook.bodies().pop().unwrap()["title"], "[TEST] channel hook");
    let unknown = bellwether(path, &agent, &["report", "--send", "weakly"]);
    let error = String::from_utf8(unknown.stderr).unwrap();
    assert!(
        !unknown.status.success() && error.contains("did you mean \"weekly\"?"),
        "{error}"
    );
    hook.mood(Mood::Status(400));
    let rejected = bellwether(path, &agent, &["report", "--send", "weekly"]);
    let printed = String::from_utf8(rejected.stdout).unwrap();
    assert!(
        !rejected.status.success() && printed.contains("hook: bulletin rejected"),
        "{printed}"
    );

    let history = path.join("state/history").display().to_string();
    let all = [
        "export",
        "--all",
        "everything",
        "--window",
        "1h",
        "--format",
        "json,csv,html,prometheus,markdown",
        "--history",
        &history,
    ];
    let exported = bellwether(path, &agent, &all);
    let error = String::from_utf8_lossy(&exported.stderr).into_owned();
    assert!(exported.status.success(), "{error}");
    let named = format!(" from {history} to everything/metrics.om\n");
    assert!(error.contains(&named), "{error}");
    let read = |file: &str| fs::read_to_string(path.join("everything").join(file)).unwrap();
    for (file, words) in [
        ("metrics.om", "test_queue_length{queue_name=\"mail\"} 42"),
        ("metrics.json", "test_queue_length"),
        ("metrics.csv", "test_queue_length"),
        ("alerts.csv", "backlog"),
        ("bottlenecks.csv", "impact"),
        ("trends.csv", "movement"),
        ("report.json", "\"bottlenecks\""),
        ("report.html", "</html>"),
        ("report.md", "backlog"),
    ] {
        assert!(read(file).contains(words), "{file}: {}", read(file));
    }
}
