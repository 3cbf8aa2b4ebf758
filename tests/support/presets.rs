//! Presets that are shipped.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::agent::Agent;

/// Returns the path of the preset of this name.
pub fn preset(name: &str) -> PathBuf {
    let presets = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/presets");
    presets.join(format!("{name}.yaml"))
}

/// Asserts that `agent` has all metrics of the dashboard of a preset whose names begin with `prefix`.
pub fn has_dashboard(agent: &Agent, name: &str, prefix: &str) {
    let missing = missing_on_the_dashboard(name, prefix, &agent.get("/metrics").1);
    assert!(missing.is_empty(), "{missing:?}");
}

/// Returns the metrics of the dashboard of a preset, whose names begin with `prefix`, that `exposition` does not have.
/// A dashboard without any is an error.
pub fn missing_on_the_dashboard(name: &str, prefix: &str, exposition: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(preset(name)).unwrap();
    let (_, dashboards) = text.split_once("\ndashboards:").unwrap();
    let words = dashboards.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let mut metrics: BTreeSet<String> = words
        .filter(|word| word.starts_with(prefix))
        .map(str::to_owned)
        .collect();
    assert!(!metrics.is_empty(), "{name}");
    for line in exposition.lines() {
        metrics.remove(line.split(['{', ' ']).next().unwrap_or_default());
    }
    metrics
}
