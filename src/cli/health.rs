//! `bellwether health`: for container and service checks.

use anyhow::bail;
use serde_json::Value;

use super::Global;
use super::client::Target;

const SUMMARY: &str = "/api/v1/summary";

pub(super) fn run(global: &Global, target: &Target) -> anyhow::Result<()> {
    for path in ["/-/healthy", "/-/ready"] {
        let answer = target.get(global, path)?;
        match answer.status {
            200 => {}
            503 => bail!("{path}: {}: {}", answer.status, answer.body.trim()),
            _ => return Err(answer.foreign(path)),
        }
    }
    // A password may be missing, which the paths above do not need.
    let summary = target.get(global, SUMMARY).ok();
    // Other services have these paths too.
    if let Some(answer) = summary.as_ref().filter(|answer| answer.is_foreign()) {
        return Err(answer.foreign(SUMMARY));
    }
    // The state of what it runs is no reason to restart it, so the exit status stays 0.
    let summary = summary.and_then(|answer| serde_json::from_str::<Value>(&answer.body).ok());
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
