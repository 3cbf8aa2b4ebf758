//! The files in `grafana/`.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::plan;

fn shipped(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("shipped file")
}

#[test]
fn the_shipped_dashboard_is_that_of_the_shipped_configuration() {
    let output = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .args(["dashboard", "--config", "config/bellwether.yaml"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        String::from_utf8_lossy(&output.stdout) == shipped("grafana/dashboards/bellwether.json"),
        "out of date: bellwether dashboard --config config/bellwether.yaml > grafana/dashboards/bellwether.json"
    );
}

#[test]
fn grafana_finds_the_data_source_and_the_dashboard() {
    let yaml =
        |path: &str| -> serde_yaml::Value { serde_yaml::from_str(&shipped(path)).expect("yaml") };
    let source = yaml("grafana/provisioning/datasources/bellwether.yml");
    assert_eq!(source["apiVersion"].as_u64(), Some(1));
    assert_eq!(
        source["datasources"][0]["type"].as_str(),
        Some("prometheus")
    );
    // $__rate_interval is four of these: it must be the interval of the scrapes.
    let scrapes = yaml("deploy/prometheus.yml");
    assert_eq!(
        source["datasources"][0]["jsonData"]["timeInterval"],
        scrapes["global"]["scrape_interval"]
    );
    let interval = plan(bellwether_config::EMBEDDED).schedule.interval;
    assert_eq!(
        scrapes["global"]["scrape_interval"].as_str(),
        Some(&*format!("{}s", interval.as_secs()))
    );

    let provider = yaml("grafana/provisioning/dashboards/bellwether.yml");
    assert_eq!(provider["providers"][0]["type"].as_str(), Some("file"));
    let docs = shipped("docs/grafana.md");
    let folder = provider["providers"][0]["options"]["path"]
        .as_str()
        .expect("path");
    assert!(
        docs.contains(folder),
        "docs/grafana.md copies the dashboard elsewhere than {folder}"
    );
}
