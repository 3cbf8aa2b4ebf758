//! Runs one test: advances the world and compares its state with the expectations.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{LabelSet, METRIC_NAME};
use bellwether_promql::{Guard, Options, Query, Value};
use bellwether_rules::{External, RuleSet};
use bellwether_schema::{SourceLocation, Spanned, format_duration};

use super::diff::{Failure, Line, alerts, samples};
use super::extensions::Step;
use super::message::{self, TestPipeline};
use super::rules_under_test::RulesUnderTest;
use super::settings::{AlertTest, Case, QueryTest, Suite};
use super::test_world::{Features, TestWorld, Times};
use crate::replay::Pipeline;

/// Time after a restart during which an alert may be unknown to the rules, as in the agent.
const GRACE: Duration = Duration::from_secs(60);

/// Result of one test.
#[derive(Clone, Debug)]
pub struct TestResult {
    /// Name of the test, or its number without one.
    pub name: String,
    pub at: SourceLocation,
    /// Failures; the test passes without any.
    pub failures: Vec<Failure>,
    /// Warnings, which do not fail the test.
    pub warnings: Vec<Failure>,
}

/// Runs test `number` of `suite`, unless `guard` stops it.
#[must_use]
pub fn run(
    suite: &Suite,
    number: usize,
    under_test: &RulesUnderTest,
    guard: &Guard,
) -> Option<TestResult> {
    let case = suite.tests.get(number)?;
    let mut result = TestResult {
        name: name(&case.value, number),
        at: case.at.clone(),
        failures: Vec::new(),
        warnings: Vec::new(),
    };
    if let Err(problem) = TestRun::new(suite, &case.value, under_test, guard, &mut result).run() {
        result
            .failures
            .push(Failure::new(&case.at, "the test", problem));
    }
    result.failures.sort_by_key(|failure| failure.at.pos);
    Some(result)
}

/// Returns the name of a test.
#[must_use]
pub fn name(case: &Case, number: usize) -> String {
    let name = case
        .name
        .as_ref()
        .map(|name| name.0.trim())
        .filter(|name| !name.is_empty());
    name.map_or_else(|| format!("test {}", number + 1), str::to_owned)
}

struct TestRun<'a> {
    suite: &'a Suite,
    case: &'a Case,
    under_test: &'a RulesUnderTest,
    guard: &'a Guard,
    result: &'a mut TestResult,
    times: Times,
    /// Alert pipeline, if the test expects notifications.
    pipeline: Option<TestPipeline>,
    /// Time at which alerts of before a restart that are no longer known are resolved.
    reconcile: Option<Duration>,
}

/// Event at a time of the test.
enum Event<'a> {
    Step(&'a Spanned<Step>),
    Alerts(&'a Spanned<AlertTest>),
}

impl<'a> TestRun<'a> {
    fn new(
        suite: &'a Suite,
        case: &'a Case,
        under_test: &'a RulesUnderTest,
        guard: &'a Guard,
        result: &'a mut TestResult,
    ) -> Self {
        let evaluation = suite.evaluation_interval.value.0;
        let interval = case
            .interval
            .as_ref()
            .map_or(evaluation, |interval| interval.value.0);
        let times = Times {
            start: case.start_timestamp.0,
            interval,
            evaluation,
        };
        let pipeline = case.exp_notifications.as_ref().map(|_| {
            let start = times.at(Duration::ZERO);
            let pipeline =
                Pipeline::new(Arc::clone(&under_test.routing), &under_test.channels, start);
            TestPipeline::new(pipeline, times.start)
        });
        Self {
            suite,
            case,
            under_test,
            guard,
            result,
            times,
            pipeline,
            reconcile: None,
        }
    }

    fn run(&mut self) -> Result<(), String> {
        let case = self.case;
        let rules = self.rules()?;
        let queries: Vec<_> = case
            .promql_expr_test
            .iter()
            .map(|test| self.query(test))
            .collect();
        let features = Features {
            alerts: queries.iter().flatten().any(asks_for_alerts),
            restart: case.steps.iter().any(|step| step.value.restart.is_some()),
        };
        let series = case
            .input_series
            .iter()
            .map(|input| (&input.series.value.0, &input.values));
        let mut world = TestWorld::new(self.under_test, rules, series, self.times, features);
        for (first, second) in &world.duplicates {
            let message =
                format!("{first} and {second} are the same series of a configured metric");
            self.result
                .warnings
                .push(Failure::new(&self.result.at, "input_series", message));
        }
        for (at, event) in self.events() {
            match event {
                // A step comes before what else happens at its time.
                Event::Step(step) => {
                    self.pass(&mut world, at, false)?;
                    self.step(&mut world, step, at)?;
                }
                Event::Alerts(test) => {
                    self.pass(&mut world, at, true)?;
                    self.alerts(&world, test);
                }
            }
        }
        let last = case
            .times()
            .map(|time| time.value.0)
            .max()
            .unwrap_or_default();
        self.pass(&mut world, last, true)?;
        for (name, (at, error)) in &world.failed {
            let title = format!("rule {name} at {}", format_duration(*at));
            self.result
                .failures
                .push(Failure::new(&self.result.at, &title, error.clone()));
        }
        for (test, query) in case.promql_expr_test.iter().zip(&queries) {
            if let Some(query) = query {
                self.answer(&world, &test.value, query);
            }
        }
        self.notifications();
        Ok(())
    }

    /// Returns the rules with the external labels and URL of the test.
    fn rules(&self) -> Result<Arc<RuleSet>, String> {
        let labels = self.case.external_labels.iter();
        let sender = &self.under_test.sender;
        let external = External {
            labels: match self.case.external_labels.is_empty() {
                true => sender.labels.clone(),
                false => labels
                    .map(|(name, value)| (name.clone(), value.0.clone()))
                    .collect(),
            },
            url: self
                .case
                .external_url
                .as_ref()
                .map_or(&sender.url, |url| &url.0)
                .clone(),
        };
        self.under_test
            .rules(self.times.interval, self.times.evaluation, external)
    }

    /// Returns steps and alert tests by time.
    fn events(&self) -> Vec<(Duration, Event<'a>)> {
        let steps = self
            .case
            .steps
            .iter()
            .map(|step| (step.value.at.value.0, Event::Step(step)));
        let tests = self
            .case
            .alert_rule_test
            .iter()
            .map(|test| (test.value.eval_time.value.0, Event::Alerts(test)));
        let mut events: Vec<_> = steps.chain(tests).collect();
        events.sort_by_key(|(at, _)| *at);
        events
    }

    /// Advances up to `until`, and past that time if `included`.
    fn pass(
        &mut self,
        world: &mut TestWorld<'_>,
        until: Duration,
        included: bool,
    ) -> Result<(), String> {
        while world.next() < until || included && world.next() == until {
            let samples = self.guard.charge(self.case.input_series.len());
            samples.map_err(|stopped| stopped.to_string())?;
            let at = world.next();
            let (now, tick) = world.advance();
            let Some(pipeline) = &mut self.pipeline else {
                continue;
            };
            pipeline.evaluated(&tick, now);
            if self.reconcile.is_some_and(|due| at >= due) {
                self.reconcile = None;
                let active = world
                    .alerts_now()
                    .iter()
                    .map(|alert| alert.fingerprint)
                    .collect();
                pipeline.reconcile(active, now);
            }
        }
        let Some(pipeline) = &mut self.pipeline else {
            return Ok(());
        };
        match included {
            true => pipeline.advance(&[], self.times.at(until)),
            false => pipeline.advance_before(self.times.at(until)),
        }
        Ok(())
    }

    fn step(
        &mut self,
        world: &mut TestWorld<'_>,
        step: &Spanned<Step>,
        at: Duration,
    ) -> Result<(), String> {
        let (at_file, step) = (&step.at, &step.value);
        if let Some(restart) = &step.restart {
            let up = at + restart.value.0.0;
            let rules = self.rules()?;
            let (firing, ended) = world.restart(at, up, rules)?;
            self.reconcile = Some(up + GRACE);
            if let Some(pipeline) = &mut self.pipeline {
                pipeline.restart(firing, &ended, self.times.at(up));
            }
        }
        if let Some(selector) = &step.missing {
            let until = step
                .r#for
                .as_ref()
                .map_or(Duration::MAX, |span| at + span.value.0);
            world.hide(selector.value.0.clone(), until);
        }
        let Some(pipeline) = &mut self.pipeline else {
            return Ok(());
        };
        let now = self.times.at(at);
        let (what, done) = match (&step.silence, &step.expire_silence, &step.acknowledge) {
            (Some(silence), ..) => ("silence", pipeline.silence(silence, now)),
            (_, Some(name), _) => ("expire_silence", pipeline.expire(&name.value, now)),
            (.., Some(who)) => (
                "acknowledge",
                pipeline.acknowledge(&who.value, &world.alerts_now(), now),
            ),
            _ => return Ok(()),
        };
        if let Err(problem) = done {
            let title = format!("{what} at {}", step.at.value);
            self.result
                .failures
                .push(Failure::new(at_file, &title, problem));
        }
        Ok(())
    }

    /// Compares the firing alerts.
    fn alerts(&mut self, world: &TestWorld<'_>, test: &Spanned<AlertTest>) {
        let Spanned { value: test, at } = test;
        let name = &test.alertname.value.0;
        if !self.under_test.has_alert(name) {
            let message = format!("no rule under test is called {name:?}");
            self.result
                .warnings
                .push(Failure::new(&test.alertname.at, "alertname", message));
        }
        let firing = world
            .firing(name)
            .into_iter()
            .map(|alert| (self.under_test.labels(&alert), alert));
        let lines = alerts(test, firing.collect());
        if !lines.is_empty() {
            let title = format!("alert {name} at {}", test.eval_time.value);
            self.result.failures.push(Failure {
                at: at.clone(),
                title,
                lines,
            });
        }
    }

    fn query(&mut self, test: &Spanned<QueryTest>) -> Option<Query> {
        match bellwether_promql::parse(&test.value.expr.value) {
            Ok(query) => Some(query),
            Err(error) => {
                let failure = Failure::new(&test.value.expr.at, "query", error.to_string());
                self.result.failures.push(failure);
                None
            }
        }
    }

    fn answer(&mut self, world: &TestWorld<'_>, test: &QueryTest, query: &Query) {
        let options = Options {
            subquery_step: self.times.evaluation,
            ..Options::default()
        };
        let at = self.times.at(test.eval_time.value.0).wall;
        let answer = query.instant(&world.samples(), at, &options, self.guard);
        let fuzzy = self.suite.fuzzy_compare;
        let lines = match answer.map(|answer| answer.value) {
            Ok(Value::Vector(got)) => {
                let got = got.into_iter().map(|sample| (sample.labels, sample.value));
                samples(test, got.collect(), fuzzy)
            }
            Ok(Value::Scalar { value, .. }) => {
                samples(test, vec![(LabelSet::default(), value)], fuzzy)
            }
            Ok(_) => vec![Line::Note("the answer is no vector and no scalar".into())],
            Err(error) => vec![Line::Note(error.to_string())],
        };
        if !lines.is_empty() {
            let query = test
                .expr
                .value
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ");
            let title = format!("query {query} at {}", test.eval_time.value);
            self.result.failures.push(Failure {
                at: test.expr.at.clone(),
                title,
                lines,
            });
        }
    }

    fn notifications(&mut self) {
        let (Some(expected), Some(pipeline)) = (&self.case.exp_notifications, self.pipeline.take())
        else {
            return;
        };
        let exact = self.case.exp_notifications_exact;
        let mut sender = self.under_test.sender.clone();
        if let Some(url) = &self.case.external_url {
            sender.url.clone_from(&url.0);
        }
        let failures =
            message::compare(expected, pipeline.messages, exact, &self.result.at, &sender);
        self.result.failures.extend(failures);
    }
}

/// Returns whether a query may select the series of alerts.
fn asks_for_alerts(query: &Query) -> bool {
    query.selectors().iter().any(|selector| {
        let mut names = selector
            .matchers
            .iter()
            .filter(|matcher| &*matcher.name == METRIC_NAME);
        names.all(|name| {
            ["ALERTS", "ALERTS_FOR_STATE"]
                .iter()
                .any(|own| name.test.matches(own))
        })
    })
}
