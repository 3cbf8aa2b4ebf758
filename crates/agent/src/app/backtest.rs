//! A rule over recorded history, beside the one of its name that is in force: what the command
//! `backtest` does for files.

use bellwether_config::{self as config, Loaded, Report};
use bellwether_promql::Guard;
use bellwether_rules::RuleSettings;
use bellwether_schema::{Decode, DecodeContext, Diagnostics, Node, Value, parse};
use bellwether_server::{BackendError, Backtest};
use serde_json::json;

use super::App;
use crate::backtest::{BacktestError, Recording};
use crate::replay::{Outcome, view};

/// Runs the rule over history. Blocks.
///
/// # Errors
/// The rule is invalid, history is disabled or cannot be read, or `guard` stopped the run.
pub(super) fn run(
    app: &App,
    request: &Backtest,
    guard: &Guard,
) -> Result<serde_json::Value, BackendError> {
    let rule = decode(&request.rule)?;
    let today = today(app, &rule.name)?;
    let after = replayed(app, &rule, request, guard)?;
    let before = today.map(|today| replayed(app, &today, request, guard));
    let before = before.transpose()?;
    let range = (request.from, request.to);
    Ok(json!({
        "before": before.as_ref().map(|before| view::outcome("active", before, range)),
        "after": view::outcome("request", &after, range),
        "changes": before.as_ref().map(|before| view::changes(before, &after, range)),
    }))
}

/// Decodes a rule, or a list with one rule. It may not name variables, whose values its texts would
/// show.
///
/// # Errors
/// Every problem of the rule.
pub(super) fn decode(text: &str) -> Result<RuleSettings, BackendError> {
    let invalid = |message: String| BackendError::Invalid(message);
    let node = parse(text).map_err(|error| invalid(error.to_string()))?;
    let node = match node.value {
        Value::List(mut items) if items.len() == 1 => items.remove(0),
        value => Node { value, ..node },
    };
    let mut problems = Diagnostics::default();
    let no_variables = |_: &str| None;
    let rule = RuleSettings::decode(&node, &mut DecodeContext::new(&mut problems, &no_variables));
    match rule {
        Some(rule) if problems.is_empty() => Ok(rule),
        _ => {
            let problems = problems.into_sorted();
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Err(invalid(lines.join("\n")))
        }
    }
}

/// Returns the rule of this name that is in the configuration on disk.
fn today(app: &App, name: &str) -> Result<Option<RuleSettings>, BackendError> {
    let root = load(app)
        .map_err(|report| BackendError::Failed(report.to_string()))?
        .root;
    let rules = root.map(|root| root.performance_monitor.value.alerting.rules);
    let mut rules = rules.unwrap_or_default().into_iter();
    Ok(rules.find(|rule| *rule.name == *name))
}

/// Loads the configuration on disk.
///
/// # Errors
/// It cannot be read.
pub(super) fn load(app: &App) -> Result<Loaded, Report> {
    config::load(&app.launch.source, &|name| app.launch.environment(name))
}

/// Replays history with this rule alone.
fn replayed(
    app: &App,
    rule: &RuleSettings,
    request: &Backtest,
    guard: &Guard,
) -> Result<Outcome, BackendError> {
    let history = app.history();
    let history = history.ok_or_else(|| {
        BackendError::Failed("history is disabled: there is nothing to run over".into())
    })?;
    let load = || {
        let mut loaded = load(app)?;
        if let Some(root) = &mut loaded.root {
            root.performance_monitor.value.alerting.rules = vec![rule.clone()];
        }
        loaded.rule_files = Vec::new();
        Ok(loaded)
    };
    let recording = Recording {
        source: &*history,
        matchers: &[],
        range: (request.from, request.to),
    };
    let outcome = recording.run(&load, guard, &mut |_| {});
    outcome.map_err(|error| match error {
        BacktestError::Configuration(report) => BackendError::Invalid(report.to_string()),
        BacktestError::Recording(_) => BackendError::Failed(error.to_string()),
    })
}
