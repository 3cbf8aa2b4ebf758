//! Configurations of Alertmanager: amtool says where alerts go, and so do we.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use bellwether_config::{self as config, Plan, Source};
use bellwether_core::{Alert, Labels, Severity};
use bellwether_routing::View;

/// Matchers of every form, routes that go on, and routes that nothing more reaches.
const CONFIG: &str = r#"
global:
  smtp_smarthost: 'localhost:25'
  smtp_from: am@example.org
  slack_api_url: https://hooks.slack.com/services/x
route:
  receiver: default
  group_by: [alertname, cluster]
  routes:
    - matchers: ['service=~"foo1|foo2|baz"']
      receiver: team-x-mails
      routes:
        - match: {severity: critical}
          receiver: team-x-pager
    - match_re: {service: '^(files|blobs)$', cluster: 'eu.*'}
      receiver: team-y-mails
      continue: true
      routes:
        - {matchers: [severity = critical], receiver: team-y-pager, continue: true}
        - {matchers: [owner!="team-x"], receiver: team-y-chat}
    - matchers: [service="files", owner!~"team-.*"]
      receiver: nobody
    - match: {service: database}
      receiver: team-db-pager
      routes:
        - {matchers: [owner=team-x], receiver: team-x-pager, continue: true}
        - {matchers: [owner=~"team-(x|y)"], receiver: team-y-pager}
    - matchers: ['{severity="warning"}']
      mute_time_intervals: [night]
      receiver: team-x-mails
receivers:
  - name: default
  - name: team-x-mails
    email_configs: [{to: x@example.org}]
  - name: team-x-pager
    email_configs: [{to: page-x@example.org}]
    pagerduty_configs: [{routing_key: k}]
  - name: team-y-mails
    email_configs: [{to: y@example.org}]
  - name: team-y-pager
    pagerduty_configs: [{routing_key: k}]
  - name: team-y-chat
    slack_configs: [{title: '{{ .CommonLabels.alertname }}'}]
  - name: team-db-pager
    opsgenie_configs: [{api_key: k}]
  - name: nobody
time_intervals:
  - name: night
    time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}]}]
inhibit_rules:
  - {source_matchers: [severity="critical"], target_match: {severity: warning}, equal: [alertname]}
"#;

fn plan(folder: &Path) -> Plan {
    let source = Source::File(folder.join("bellwether.yaml"));
    let loaded = config::load(&source, &|_| None).and_then(config::plan);
    loaded.map_err(|report| report.to_string()).unwrap()
}

/// The receivers that amtool names.
fn amtool(file: &Path, labels: &Labels) -> BTreeSet<String> {
    let mut command = Command::new("amtool");
    command
        .args(["config", "routes", "test", "--config.file"])
        .arg(file);
    command.args(labels.iter().map(|(name, value)| format!("{name}={value}")));
    let output = command.output().expect("amtool is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let said = String::from_utf8(output.stdout).unwrap();
    said.trim().split(',').map(str::to_owned).collect()
}

fn alert(labels: &Labels) -> Alert {
    Alert::firing("Any", Severity::Info, labels.clone())
}

#[test]
fn alerts_go_where_amtool_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alertmanager.yml");
    fs::write(&file, CONFIG).unwrap();
    let configuration = "performance_monitor: {alerting: {alertmanager_config: alertmanager.yml}}";
    fs::write(folder.path().join("bellwether.yaml"), configuration).unwrap();
    let plan = plan(folder.path());
    let tree = &plan.routing.tree;
    let values = [
        ("service", ["", "foo1", "files", "database"]),
        ("severity", ["info", "critical", "warning", "page"]),
        ("owner", ["", "team-x", "team-y", "other"]),
        ("cluster", ["", "eu1", "us", "eu"]),
    ];
    let mut seen = BTreeSet::new();
    for number in 0..256_usize {
        let mut labels = Labels::from([("alertname".to_owned(), "Any".to_owned())]);
        for (place, (name, values)) in values.iter().enumerate() {
            let value = values[number / 4_usize.pow(place as u32) % 4];
            if !value.is_empty() {
                labels.insert((*name).to_owned(), value.to_owned());
            }
        }
        let alert = alert(&labels);
        let taken = tree.matching_routes(&View {
            alert: &alert,
            sender: &Labels::new(),
        });
        let found: BTreeSet<String> = taken
            .iter()
            .map(|route| tree.routes()[*route].receiver.name.clone())
            .collect();
        assert_eq!(found, amtool(&file, &labels), "{labels:?}");
        seen.extend(found);
    }
    assert_eq!(
        seen.len(),
        8,
        "every receiver is notified of something: {seen:?}"
    );
}

#[test]
fn the_active_config_has_what_the_alertmanager_configuration_says() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("alertmanager.yml"), CONFIG).unwrap();
    let configuration = "performance_monitor: {alerting: {alertmanager_config: alertmanager.yml, \
                       notifications: {channels: [{type: log}]}}}";
    fs::write(folder.path().join("bellwether.yaml"), configuration).unwrap();
    let plan = plan(folder.path());
    let printed = config::print(&plan.root).unwrap();
    for expected in [
        "name: team-x-pager-pagerduty",
        "- name: night",
        "receiver: team-y-chat",
    ] {
        assert!(printed.contains(expected), "{printed}");
    }
    assert!(!printed.contains("alertmanager_config"), "{printed}");
    let channels = &plan
        .root
        .performance_monitor
        .alerting
        .notifications
        .channels;
    assert_eq!(channels.len(), 1 + 7);
}

#[test]
fn routes_beside_a_configuration_are_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("alertmanager.yml"), CONFIG).unwrap();
    let path = folder.path().join("bellwether.yaml");
    for (configuration, expected) in [
        (
            "{alertmanager_config: alertmanager.yml, routes: []}",
            "both `alertmanager_config` and `routes`",
        ),
        (
            "{alertmanager_config: none.yml}",
            "none.yml: cannot read: No such file",
        ),
    ] {
        fs::write(
            &path,
            format!("performance_monitor: {{alerting: {configuration}}}"),
        )
        .unwrap();
        let loaded = config::load(&Source::File(path.clone()), &|_| None).and_then(config::plan);
        let report = loaded.err().unwrap().to_string();
        assert!(report.contains(expected), "{report}");
    }
}
