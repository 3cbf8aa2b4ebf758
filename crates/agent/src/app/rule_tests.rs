//! Unit tests of the configured rules: what the command `test` does for files.

use bellwether_config as config;
use bellwether_promql::Guard;
use bellwether_rules::RuleSettings;
use bellwether_server::{BackendError, RuleTests};
use serde_json::{Value, json};

use super::App;
use super::backtest::{decode, load};
use crate::ruletest::{self, Failure, Line, RulesUnderTest, Suite, TestResult};

/// Runs the tests, with the rule of the request in place of the one of its name. Blocks.
///
/// # Errors
/// The tests or the rule are invalid, or `guard` stopped the run.
pub(super) fn run(app: &App, request: &RuleTests, guard: &Guard) -> Result<Value, BackendError> {
    let suite = suite(&request.tests)?;
    let rule = request.rule.as_deref().map(decode).transpose()?;
    let rules = under_test(app, rule)?;
    let mut results = Vec::new();
    for number in 0..suite.tests.len() {
        results.extend(ruletest::run(&suite, number, &rules, guard));
        let checked = guard.check();
        checked.map_err(|stopped| BackendError::Failed(format!("the tests: {stopped}")))?;
    }
    Ok(view(&results, &rules.warnings))
}

/// Parses the tests, which may name neither files nor variables.
fn suite(text: &str) -> Result<Suite, BackendError> {
    let suite = ruletest::read(text).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        BackendError::Invalid(lines.join("\n"))
    })?;
    if suite.rule_files.is_empty() && suite.environment.is_empty() {
        return Ok(suite);
    }
    Err(BackendError::Invalid(
        "the rules of the configuration are tested; hint: remove rule_files and environment".into(),
    ))
}

fn under_test(app: &App, rule: Option<RuleSettings>) -> Result<RulesUnderTest, BackendError> {
    let loaded = load(app).map_err(|report| BackendError::Failed(report.to_string()));
    let mut loaded = loaded?;
    if let (Some(rule), Some(root)) = (rule, &mut loaded.root) {
        let rules = &mut root.performance_monitor.value.alerting.rules;
        match rules.iter_mut().find(|other| *other.name == *rule.name) {
            Some(other) => *other = rule,
            None => rules.push(rule),
        }
    }
    let plan = config::plan(loaded).map_err(|report| BackendError::Invalid(report.to_string()))?;
    Ok(RulesUnderTest::of_plan(&plan))
}

fn view(results: &[TestResult], warnings: &[String]) -> Value {
    let has_passed = |result: &&TestResult| result.failures.is_empty();
    let passed = results.iter().filter(has_passed).count();
    let tests = results.iter().map(|result| {
        json!({
            "name": result.name,
            "line": result.at.pos.line,
            "passed": has_passed(&result),
            "failures": findings(&result.failures),
            "warnings": findings(&result.warnings),
        })
    });
    json!({
        "passed": passed,
        "failed": results.len() - passed,
        "warnings": warnings,
        "tests": tests.collect::<Vec<_>>(),
    })
}

fn findings(failures: &[Failure]) -> Vec<Value> {
    let view = |failure: &Failure| {
        let lines = failure.lines.iter().map(line);
        json!({
            "title": failure.title,
            "line": failure.at.pos.line,
            "column": failure.at.pos.column,
            "lines": lines.collect::<Vec<_>>(),
        })
    };
    failures.iter().map(view).collect()
}

fn line(line: &Line) -> Value {
    let (kind, text) = match line {
        Line::Expected(text) => ("expected", text),
        Line::Got(text) => ("got", text),
        Line::Note(text) => ("note", text),
    };
    json!({"kind": kind, "text": text})
}
