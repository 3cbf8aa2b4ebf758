//! The examples of PromQL and of export in `docs/history.md`, run as they are written against the shipped configuration.

use std::process::{Command, Output};

use bellwether::config::EMBEDDED;
use tempfile::TempDir;

use crate::support::agent::Agent;
use crate::support::poll;

const HISTORY: &str = include_str!("../../docs/history.md");

/// The lines of code in the section of this title, comments left out.
fn examples(title: &str) -> Vec<&'static str> {
    let section = HISTORY
        .split("\n## ")
        .find(|section| section.starts_with(title))
        .expect(title);
    let code = section.lines().filter_map(|line| line.strip_prefix("    "));
    code.map(|line| line.split("   #").next().unwrap_or(line).trim_end())
        .collect()
}

/// Runs a line in a shell, as a user of this agent would.
fn shell(line: &str, agent: &Agent, folder: &TempDir, config: &str) -> Output {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_bellwether"));
    let search = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{search}", program.parent().unwrap().display());
    let line = line.replace("localhost:9091", &agent.address().to_string());
    Command::new("sh")
        .args(["-c", &line])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("BELLWETHER_CONFIG", config)
        .env("BELLWETHER_URL", agent.address().to_string())
        .output()
        .unwrap()
}

#[test]
fn every_query_and_export_gives_data() {
    let folder = TempDir::new().unwrap();
    let yaml = EMBEDDED.replace("collection_interval: 30\n", "collection_interval: 500ms\n");
    let state = folder.path().join("state");
    let yaml = yaml.replacen(
        "performance_monitor:\n",
        &format!(
            "performance_monitor:\n  state_directory: {}\n",
            state.display()
        ),
        1,
    );
    let config = folder.path().join("readme.yaml");
    std::fs::write(&config, &yaml).unwrap();
    let agent = Agent::start(folder.path(), &yaml);
    poll(
        "two collections",
        std::time::Duration::from_secs(30),
        || {
            let query = "/api/v1/query?query=rate(multi_agent_system_network_bytes_recv%5B5m%5D)";
            agent.get(query).1.contains("\"value\"").then_some(())
        },
    );
    let mut tried = 0;
    for title in ["PromQL", "Export and import"] {
        for line in examples(title) {
            let runs = [
                "curl -g",
                "promtool query",
                "bellwether query",
                "bellwether export --from",
            ];
            if !runs.iter().any(|start| line.starts_with(start)) {
                continue;
            }
            tried += 1;
            let output = shell(line, &agent, &folder, config.to_str().unwrap());
            let (out, err) = (
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr),
            );
            assert!(output.status.success(), "{line}: {out}{err}");
            assert!(!err.contains("hint:"), "{line}: {err}");
            let empty = out.contains("\"result\":[]")
                || (out.trim().is_empty() && !err.contains("exported"));
            assert!(!empty, "{line}: no data: {out}{err}");
        }
    }
    assert_eq!(tried, 4, "examples of docs/history.md");
}
