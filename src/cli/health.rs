//! `bellwether health`: for container and service checks.

use anyhow::bail;
use serde_json::Value;

use super::Global;
use super::client::Target;

pub(super) fn run(global: &Global, target: &Target) -> anyhow::Result<()> {
    for path in ["/-/healthy", "/-/ready"] {
        let answer = target.get(global, path)?;
        if answer.status != 200 {
            bail!("{path}: {}: {}", answer.status, answer.body.trim());
        }
    }
    // The state of what it runs is no reason to restart it, so the exit status stays 0.
    let summary = target
        .get(global, "/api/v1/summary")
        .ok()
        .and_then(|answer| serde_json::from_str::<Value>(&answer.body).ok());
    let status = summary
        .as_ref()
        .and_then(|summary| summary["data"]["status"].as_str());
    match status {
        Some(status @ "degraded") => {
            println!("healthy and ready; {status}: `bellwether status` shows what fails");
        }
        _ => println!("healthy and ready"),
    }
    Ok(())
}
