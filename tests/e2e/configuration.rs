//! The configuration over HTTP: shown without secrets, checked, changed.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::agent::Agent;
use crate::{queue_rule, set_queue};

const CHANNEL: &str = "{type: webhook, name: pager, url: \"http://127.0.0.1:9/?token=hunter2\", headers: {X-Key: hunter3}}";

fn configuration(allow_edit: bool) -> String {
    format!("{}web: {{allow_edit: {allow_edit}}}\n", queue_rule(CHANNEL))
}

/// An agent whose configuration may be edited, with a variable.
fn start(folder: &Path, yaml: &str) -> Agent {
    Agent::start_as_service(folder, yaml, &[], &[("DEEP_SECRET", "hunter4")])
}

fn post(agent: &Agent, path: &str, body: &Value) -> (u16, Value) {
    let (status, answer) = agent.post(path, &body.to_string());
    let answer = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
    (status, answer)
}

/// The only file: its path, text and checksum.
fn file(agent: &Agent) -> (String, String, String) {
    let (status, answer) = agent.get("/api/v1/config/files");
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let files = answer["data"]["files"].as_array().unwrap();
    assert_eq!(files.len(), 1);
    let text = |key: &str| files[0][key].as_str().unwrap().to_owned();
    (text("path"), text("text"), text("checksum"))
}

fn check(agent: &Agent, path: &str, text: &str) -> Value {
    let body = json!({ "files": { path: text } });
    let (status, answer) = post(agent, "/api/v1/config/check", &body);
    assert_eq!(status, 200, "{answer}");
    answer["data"].clone()
}

fn apply(agent: &Agent, path: &str, text: &str, checksum: &str) -> (u16, Value) {
    let body = json!({ "files": { path: text }, "checksums": { path: checksum } });
    post(agent, "/api/v1/config/apply", &body)
}

#[test]
fn a_change_is_checked_applied_and_keeps_secrets_mode_and_the_version_before() {
    let folder = TempDir::new().unwrap();
    let before = configuration(true);
    let agent = start(folder.path(), &before);
    let on_disk = folder.path().join("bellwether.yaml");
    fs::set_permissions(&on_disk, fs::Permissions::from_mode(0o640)).unwrap();
    let (path, text, checksum) = file(&agent);
    assert!(!text.contains("hunter"), "{text}");
    assert_eq!(check(&agent, &path, &text)["problems"], json!([]));

    let edited = text
        .replace("threshold: 10", "threshold: 20")
        .replace("name: jobs", "name: tasks");
    let report = check(&agent, &path, &edited);
    assert_eq!(report["problems"], json!([]));
    assert_eq!(report["changes"]["rules"]["altered"], json!(["backlog"]));
    assert_eq!(report["changes"]["metrics"]["added"], json!(["tasks"]));
    assert_eq!(report["changes"]["metrics"]["removed"], json!(["jobs"]));
    assert_eq!(
        fs::read_to_string(&on_disk).unwrap(),
        before,
        "a check changes nothing"
    );

    let (status, answer) = apply(&agent, &path, &edited, "00000000");
    assert_eq!(status, 409, "{answer}");
    let (status, answer) = apply(&agent, &path, &edited, &checksum);
    assert_eq!(status, 200, "{answer}");
    let now = fs::read_to_string(&on_disk).unwrap();
    assert_eq!(
        now,
        before
            .replace("threshold: 10", "threshold: 20")
            .replace("name: jobs", "name: tasks")
    );
    let kept = folder.path().join("bellwether.yaml.before");
    assert_eq!(fs::read_to_string(&kept).unwrap(), before);
    for path in [&on_disk, &kept] {
        assert_eq!(
            fs::metadata(path).unwrap().permissions().mode() & 0o777,
            0o640
        );
    }
    let (_, rules) = agent.get("/api/v1/rules");
    assert!(rules.contains("> 20"), "{rules}");
    agent.wait_for_log(&[
        "audit: change of",
        "action=\"configure\"",
        "outcome=\"done\"",
    ]);
    let (status, answer) = apply(&agent, &path, &edited, &checksum);
    assert_eq!(
        status, 409,
        "the checksum is that of the version before: {answer}"
    );
}

#[test]
fn an_invalid_change_leaves_everything_as_it_is() {
    let folder = TempDir::new().unwrap();
    let before = configuration(true);
    let agent = start(folder.path(), &before);
    let on_disk = folder.path().join("bellwether.yaml");
    let (path, text, checksum) = file(&agent);
    let wrong = text.replace("threshold: 10", "treshold: 10");
    let report = check(&agent, &path, &wrong);
    let problem = &report["problems"][0];
    assert!(
        problem["line"].as_u64() > Some(1) && problem["column"].as_u64() > Some(1),
        "{report}"
    );
    assert_eq!(problem["file"], path.as_str());
    assert!(report.to_string().contains("did you mean"), "{report}");
    for edited in [
        wrong,
        text.clone() + "\n  - : [",
        text.replace("name: pager", "name: other"),
        text.replace("{X-Key:", "{Y-Key:"),
        text.replace("prefix: test", "prefix: <secret>"),
    ] {
        let (status, answer) = apply(&agent, &path, &edited, &checksum);
        assert_eq!(status, 422, "{answer}");
        assert!(!answer.to_string().contains("hunter"), "{answer}");
    }
    // What only a reload finds: the port is taken.
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let statsd = format!("  application: {{statsd: {{listen: \"{listen}\"}}}}\n  alerting:\n");
    let edited = text.replace("  alerting:\n", &statsd);
    assert_eq!(check(&agent, &path, &edited)["problems"], json!([]));
    let (status, answer) = apply(&agent, &path, &edited, &checksum);
    assert_eq!(status, 500, "{answer}");
    assert!(
        answer.to_string().contains("the files are as before"),
        "{answer}"
    );
    assert_eq!(fs::read_to_string(&on_disk).unwrap(), before);
    assert_eq!(
        fs::read_dir(folder.path())
            .unwrap()
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .contains("before")
            })
            .count(),
        0
    );
}

#[test]
fn a_check_looks_into_nothing_else() {
    let folder = TempDir::new().unwrap();
    let agent = start(folder.path(), &configuration(true));
    let (path, text, checksum) = file(&agent);
    let secret = folder.path().join("token");
    fs::write(&secret, "hunter5: [\n").unwrap();
    for added in [
        format!("include: ['{}']\n", secret.display()),
        "include: ['/etc/passwd']\n".to_owned(),
        "alert_history: {max_bytes: '${DEEP_SECRET}'}\n".to_owned(),
        "logging: {level: \"a${DEEP_SECRET}b\"}\n".to_owned(),
    ] {
        let report = check(&agent, &path, &(added.clone() + &text)).to_string();
        assert!(
            !report.contains("hunter") && !report.contains("root:"),
            "{added}: {report}"
        );
        assert!(report.contains("\"message\""), "{added}: {report}");
    }
    let rules = text.replace(
        "  alerting:\n",
        &format!(
            "  alerting:\n    rule_files: ['{}', '/etc/passwd']\n",
            secret.display()
        ),
    );
    let report = check(&agent, &path, &rules).to_string();
    assert!(
        !report.contains("hunter") && !report.contains("root:"),
        "{report}"
    );
    for other in [
        "/etc/passwd",
        "../etc/passwd",
        &format!("{path}/../token"),
        "",
        "token",
    ] {
        let body = json!({ "files": { other: "x" }, "checksums": { other: checksum } });
        for endpoint in ["/api/v1/config/check", "/api/v1/config/apply"] {
            let (status, answer) = post(&agent, endpoint, &body);
            assert_eq!(status, 404, "{other}: {answer}");
        }
    }
}

#[test]
fn without_leave_nothing_is_written() {
    let folder = TempDir::new().unwrap();
    let before = configuration(false);
    let agent = start(folder.path(), &before);
    let (path, text, checksum) = file(&agent);
    let edited = text.replace("allow_edit: false", "allow_edit: true");
    let (status, answer) = apply(&agent, &path, &edited, &checksum);
    assert_eq!(status, 403, "{answer}");
    assert!(answer.to_string().contains("web.allow_edit"), "{answer}");
    let on_disk = folder.path().join("bellwether.yaml");
    assert_eq!(fs::read_to_string(on_disk).unwrap(), before);
}

#[test]
fn a_symbolic_link_stays_and_its_file_is_replaced() {
    let folder = TempDir::new().unwrap();
    let real = folder.path().join("real");
    fs::create_dir(&real).unwrap();
    let target = real.join("target.yaml");
    fs::write(&target, configuration(true)).unwrap();
    let link = folder.path().join("bellwether.yaml");
    symlink(&target, &link).unwrap();
    let agent = Agent::start_with(folder.path(), &["--web.listen-address", "127.0.0.1:0"]);
    let (path, text, checksum) = file(&agent);
    let edited = text.replace("threshold: 10", "threshold: 30");
    let (status, answer) = apply(&agent, &path, &edited, &checksum);
    assert_eq!(status, 200, "{answer}");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(
        fs::read_to_string(&target)
            .unwrap()
            .contains("threshold: 30")
    );
    assert!(real.join("target.yaml.before").exists());
}

#[test]
fn a_channel_is_tested_and_a_route_is_explained() {
    let folder = TempDir::new().unwrap();
    let agent = start(folder.path(), &configuration(false));
    let (status, answer) = post(
        &agent,
        "/api/v1/channels/pager/test",
        &json!({"resolve": true}),
    );
    assert_eq!(status, 200, "{answer}");
    let result = &answer["data"]["results"][0];
    assert_eq!(
        (&result["status"], &result["delivered"]),
        (&json!("firing"), &json!(false))
    );
    assert!(
        result["error"].is_string() && !answer.to_string().contains("hunter"),
        "{answer}"
    );
    agent.wait_for_log(&[
        "audit: test notification to channel pager",
        "outcome=\"failed\"",
    ]);
    let (status, _) = post(&agent, "/api/v1/channels/nobody/test", &json!({}));
    assert_eq!(status, 400);
    let labels = json!({"labels": {"alertname": "backlog", "severity": "critical"}});
    let (status, answer) = post(&agent, "/api/v1/route", &labels);
    assert_eq!(
        (status, &answer["data"]["routes"][0]["channels"]),
        (200, &json!(["pager"]))
    );
}

#[test]
fn unit_tests_of_the_configured_rules_run_in_the_agent() {
    let folder = TempDir::new().unwrap();
    let agent = start(folder.path(), &configuration(false));
    let tests = "tests:
  - name: fires at eleven
    input_series: [{series: 'queue_length{queue_name=\"mail\"}', values: '0 11x9'}]
    alert_rule_test:
      - eval_time: 5m
        alertname: backlog
        exp_alerts: [{exp_labels: {severity: critical, queue_name: mail}}]
";
    let run = |body: Value| post(&agent, "/api/v1/rules/test", &body);
    let (status, answer) = run(json!({ "tests": tests }));
    assert_eq!(
        (status, &answer["data"]["passed"]),
        (200, &json!(1)),
        "{answer}"
    );
    let rule = "{name: backlog, metric: queue_length, condition: '>', threshold: 20}";
    let (_, answer) = run(json!({ "tests": tests, "rule": rule }));
    let failure = &answer["data"]["tests"][0]["failures"][0];
    assert_eq!(failure["title"], "alert backlog at 5m", "{answer}");
    assert_eq!(failure["lines"][0]["kind"], "expected", "{answer}");
    bellwether_server::check_answer("POST", "/api/v1/rules/test", &answer).unwrap();
    for invalid in [
        "{",
        "tests: [{name: 1, alertname: x}]",
        "rule_files: [/etc/passwd]",
        "environment: {DEEP_SECRET: x}",
    ] {
        let (status, answer) = run(json!({ "tests": invalid }));
        assert_eq!(status, 400, "{invalid}: {answer}");
    }
}

#[test]
fn a_rule_runs_over_history_beside_the_one_in_force() {
    let folder = TempDir::new().unwrap();
    let agent = start(folder.path(), &configuration(false));
    set_queue(&agent, "mail", 15.0);
    agent.wait_for_log(&["pending => firing", "backlog"]);
    let rule = |threshold: u32| {
        let text =
            format!("name: backlog, metric: queue_length, condition: '>', threshold: {threshold}");
        json!({ "rule": format!("{{{text}}}") })
    };
    let (status, answer) = post(&agent, "/api/v1/backtest", &rule(20));
    assert_eq!(status, 200, "{answer}");
    let data = &answer["data"];
    let fired = |run: &str| data[run]["rules"][0]["fired"].clone();
    assert_eq!(
        (fired("before"), fired("after")),
        (json!(1), json!(0)),
        "{data}"
    );
    assert!(
        data["changes"]["backlog"][0]["before"].is_object(),
        "{data}"
    );
    bellwether_server::check_answer("POST", "/api/v1/backtest", &answer).unwrap();
    for invalid in [
        "{",
        "[]",
        "{name: x}",
        "{name: x, metric: nothing, condition: '>', threshold: 1}",
        "{name: x, metric: queue_length, condition: '>', threshold: '${DEEP_SECRET}'}",
    ] {
        let (status, answer) = post(&agent, "/api/v1/backtest", &json!({ "rule": invalid }));
        assert_eq!(status, 400, "{invalid}: {answer}");
        assert!(!answer.to_string().contains("hunter"), "{answer}");
    }
}
