//! Collectors whose interval is short for the time that they take, by the agent that runs with the configuration.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether_collector::CollectorPlan;
use bellwether_config::Plan;
use bellwether_schema::{Diagnostic, HumanDuration, SourceLocation};
use serde_json::Value;

use crate::cli::asking::data;
use crate::cli::client::{Address, Request, Target, connect};
use crate::cli::running_agents::of_configuration;

/// Endpoint with the duration of the last collection of each collector.
const HEALTH: &str = "/api/v1/health";
/// Timeout of the request: a check does not wait for an agent that hangs.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Returns a warning for each collector whose last collection took more than half of its interval, in the agent that
/// runs with the file `configuration`. Empty if there is no such agent, or it does not answer.
pub(super) fn slow_collectors(plan: &Plan, configuration: &Path) -> Vec<Diagnostic> {
    let state = plan.root.performance_monitor.state_directory.as_deref();
    match health_of(configuration, state.cloned()) {
        Ok(Some(health)) => warnings(plan, &health["collectors"]),
        // Whether the configuration is good does not depend on the agent.
        Ok(None) | Err(_) => Vec::new(),
    }
}

fn health_of(configuration: &Path, state: Option<PathBuf>) -> anyhow::Result<Option<Value>> {
    let Some(agent) = of_configuration(configuration, state) else {
        return Ok(None);
    };
    let client = connect(&Target::default(), Address::of_agent(agent)?)?;
    let answer = client.send(&Request {
        timeout: TIMEOUT,
        ..Request::get(HEALTH)
    })?;
    data(HEALTH, &answer).map(Some)
}

fn warnings(plan: &Plan, collectors: &Value) -> Vec<Diagnostic> {
    let warnings = plan.collectors.iter().filter_map(|collector| {
        let took = collectors[collector.origin.as_str()]["lastDurationSeconds"].as_f64()?;
        let message = warning(collector, Duration::try_from_secs_f64(took).ok()?)?;
        Some(Diagnostic {
            location: location(plan, collector.origin.as_str()),
            message,
            help: Some("set a longer interval".into()),
        })
    });
    warnings.collect()
}

fn warning(collector: &CollectorPlan, took: Duration) -> Option<String> {
    let interval = collector.schedule.interval;
    let is_slow = collector.times.is_none() && took * 2 > interval;
    is_slow.then(|| {
        format!(
            "the last collection of {:?} took {:.1} s, more than half of its interval of {}",
            collector.origin.as_str(),
            took.as_secs_f64(),
            HumanDuration(interval)
        )
    })
}

/// Returns the place of a collector of the list; that of the file for a built-in one.
fn location(plan: &Plan, name: &str) -> SourceLocation {
    let mut entries = plan.root.performance_monitor.collectors.iter();
    let entry = entries.find(|entry| *entry.common.name.value == *name);
    entry.map_or_else(SourceLocation::default, |entry| {
        entry.common.name.at.clone()
    })
}
