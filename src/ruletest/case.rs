//! One test: lets time pass on the stage and compares what is there with what is expected.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{LabelSet, METRIC_NAME};
use bellwether_promql::{Guard, Options, Query, Value};
use bellwether_rules::{External, RuleSet};
use bellwether_schema::{SourceLocation, Spanned, format_duration};

use super::beyond::Step;
use super::diff::{Failure, Line, alerts, samples};
use super::message::{self, Desk};
use super::settings::{AlertTest, Case, QueryTest, Suite};
use super::stage::{Stage, Times, Wants};
use super::subject::Subject;
use crate::replay::Pipeline;

/// How long after a restart an alert may be unknown to the rules, as live.
const GRACE: Duration = Duration::from_secs(60);

/// What became of one test.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Its name, or its number where it has none.
    pub name: String,
    /// Where it is.
    pub at: SourceLocation,
    /// Why it fails; none: it passes.
    pub failures: Vec<Failure>,
    /// What is odd but no failure.
    pub warnings: Vec<Failure>,
}

/// Runs the test `number` of `suite`.
#[must_use]
pub fn run(suite: &Suite, number: usize, subject: &Subject) -> Option<Verdict> {
    let case = suite.tests.get(number)?;
    let mut verdict = Verdict {
        name: name(&case.value, number),
        at: case.at.clone(),
        failures: Vec::new(),
        warnings: Vec::new(),
    };
    if let Err(problem) = Running::new(suite, &case.value, subject, &mut verdict).run() {
        verdict
            .failures
            .push(Failure::new(&case.at, "the test", problem));
    }
    verdict.failures.sort_by_key(|failure| failure.at.pos);
    Some(verdict)
}

/// What a test is called.
#[must_use]
pub fn name(case: &Case, number: usize) -> String {
    let name = case
        .name
        .as_ref()
        .map(|name| name.0.trim())
        .filter(|name| !name.is_empty());
    name.map_or_else(|| format!("test {}", number + 1), str::to_owned)
}

struct Running<'a> {
    suite: &'a Suite,
    case: &'a Case,
    subject: &'a Subject,
    verdict: &'a mut Verdict,
    times: Times,
    /// Where nobody asks for notifications there are none.
    desk: Option<Desk>,
    /// When what was told before a restart and is not known any more is resolved.
    reconcile: Option<Duration>,
}

/// Something at a time of the test.
enum Event<'a> {
    Step(&'a Spanned<Step>),
    Alerts(&'a Spanned<AlertTest>),
}

impl<'a> Running<'a> {
    fn new(
        suite: &'a Suite,
        case: &'a Case,
        subject: &'a Subject,
        verdict: &'a mut Verdict,
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
        let desk = case.exp_notifications.as_ref().map(|_| {
            let start = times.at(Duration::ZERO);
            let pipeline = Pipeline::new(Arc::clone(&subject.routing), &subject.channels, start);
            Desk::new(pipeline, times.start)
        });
        Self {
            suite,
            case,
            subject,
            verdict,
            times,
            desk,
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
        let wants = Wants {
            alerts: queries.iter().flatten().any(asks_for_alerts),
            restart: case.steps.iter().any(|step| step.value.restart.is_some()),
        };
        let series = case
            .input_series
            .iter()
            .map(|one| (&one.series.value.0, &one.values));
        let mut stage = Stage::new(self.subject, rules, series, self.times, wants);
        for (one, other) in &stage.twins {
            let told = format!("{one} and {other} are one series of a declared metric");
            self.verdict
                .warnings
                .push(Failure::new(&self.verdict.at, "input_series", told));
        }
        for (at, event) in self.events() {
            match event {
                // A step comes before what else happens at its time.
                Event::Step(step) => {
                    self.pass(&mut stage, at, false);
                    self.step(&mut stage, step, at)?;
                }
                Event::Alerts(test) => {
                    self.pass(&mut stage, at, true);
                    self.alerts(&stage, test);
                }
            }
        }
        let last = case
            .times()
            .map(|time| time.value.0)
            .max()
            .unwrap_or_default();
        self.pass(&mut stage, last, true);
        for (name, (at, error)) in &stage.failed {
            let title = format!("rule {name} at {}", format_duration(*at));
            self.verdict
                .failures
                .push(Failure::new(&self.verdict.at, &title, error.clone()));
        }
        for (test, query) in case.promql_expr_test.iter().zip(&queries) {
            if let Some(query) = query {
                self.answer(&stage, &test.value, query);
            }
        }
        self.notifications();
        Ok(())
    }

    /// The rules, which know this process as the test says.
    fn rules(&self) -> Result<Arc<RuleSet>, String> {
        let labels = self.case.external_labels.iter();
        let sender = &self.subject.sender;
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
        self.subject
            .rules(self.times.interval, self.times.evaluation, external)
    }

    /// Steps and alerts that are looked at, by time.
    fn events(&self) -> Vec<(Duration, Event<'a>)> {
        let steps = self
            .case
            .steps
            .iter()
            .map(|step| (step.value.at.value.0, Event::Step(step)));
        let tests = self.case.alert_rule_test.iter();
        let tests = tests.map(|test| (test.value.eval_time.value.0, Event::Alerts(test)));
        let mut events: Vec<_> = steps.chain(tests).collect();
        events.sort_by_key(|(at, _)| *at);
        events
    }

    /// Lets time pass up to `until`, and through that moment where it is `included`.
    fn pass(&mut self, stage: &mut Stage<'_>, until: Duration, included: bool) {
        while stage.next() < until || included && stage.next() == until {
            let at = stage.next();
            let (now, tick) = stage.turn();
            let Some(desk) = &mut self.desk else { continue };
            desk.evaluated(&tick, now);
            if self.reconcile.is_some_and(|due| at >= due) {
                self.reconcile = None;
                let standing = stage
                    .alerts_now()
                    .iter()
                    .map(|alert| alert.fingerprint)
                    .collect();
                desk.reconcile(standing, now);
            }
        }
        let Some(desk) = &mut self.desk else { return };
        match included {
            true => desk.advance(&[], self.times.at(until)),
            false => desk.advance_before(self.times.at(until)),
        }
    }

    fn step(
        &mut self,
        stage: &mut Stage<'_>,
        step: &Spanned<Step>,
        at: Duration,
    ) -> Result<(), String> {
        let (at_file, step) = (&step.at, &step.value);
        if let Some(restart) = &step.restart {
            let up = at + restart.value.0.0;
            let rules = self.rules()?;
            let (firing, ended) = stage.restart(at, up, rules)?;
            self.reconcile = Some(up + GRACE);
            if let Some(desk) = &mut self.desk {
                desk.restart(firing, &ended, self.times.at(up));
            }
        }
        if let Some(selector) = &step.missing {
            let until = step
                .r#for
                .as_ref()
                .map_or(Duration::MAX, |span| at + span.value.0);
            stage.hide(selector.value.0.clone(), until);
        }
        let Some(desk) = &mut self.desk else {
            return Ok(());
        };
        let now = self.times.at(at);
        let (what, done) = match (&step.silence, &step.expire_silence, &step.acknowledge) {
            (Some(silence), ..) => ("silence", desk.silence(silence, now)),
            (_, Some(name), _) => ("expire_silence", desk.expire(&name.value, now)),
            (.., Some(who)) => (
                "acknowledge",
                desk.acknowledge(&who.value, &stage.alerts_now(), now),
            ),
            _ => return Ok(()),
        };
        if let Err(problem) = done {
            let title = format!("{what} at {}", step.at.value);
            self.verdict
                .failures
                .push(Failure::new(at_file, &title, problem));
        }
        Ok(())
    }

    /// The alerts that fire.
    fn alerts(&mut self, stage: &Stage<'_>, test: &Spanned<AlertTest>) {
        let Spanned { value: test, at } = test;
        let name = &test.alertname.value.0;
        if !self.subject.has_alert(name) {
            let told = format!("no rule under test is called {name:?}");
            self.verdict
                .warnings
                .push(Failure::new(&test.alertname.at, "alertname", told));
        }
        let firing = stage.firing(name).into_iter();
        let firing = firing.map(|alert| (self.subject.labels(&alert), alert));
        let lines = alerts(test, firing.collect());
        if !lines.is_empty() {
            let title = format!("alert {name} at {}", test.eval_time.value);
            self.verdict.failures.push(Failure {
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
                self.verdict.failures.push(failure);
                None
            }
        }
    }

    fn answer(&mut self, stage: &Stage<'_>, test: &QueryTest, query: &Query) {
        let options = Options {
            subquery_step: self.times.evaluation,
            ..Options::default()
        };
        let at = self.times.at(test.eval_time.value.0).wall;
        let answer = query.instant(&stage.samples(), at, &options, &Guard::default());
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
            self.verdict.failures.push(Failure {
                at: test.expr.at.clone(),
                title,
                lines,
            });
        }
    }

    fn notifications(&mut self) {
        let (Some(expected), Some(desk)) = (&self.case.exp_notifications, self.desk.take()) else {
            return;
        };
        let exact = self.case.exp_notifications_exact;
        let mut sender = self.subject.sender.clone();
        if let Some(url) = &self.case.external_url {
            sender.url.clone_from(&url.0);
        }
        let failures = message::compare(expected, desk.messages, exact, &self.verdict.at, &sender);
        self.verdict.failures.extend(failures);
    }
}

/// Whether a query may read the series of alerts.
fn asks_for_alerts(query: &Query) -> bool {
    query.selectors().iter().any(|selector| {
        let mut names = selector
            .matchers
            .iter()
            .filter(|one| &*one.name == METRIC_NAME);
        names.all(|name| {
            ["ALERTS", "ALERTS_FOR_STATE"]
                .iter()
                .any(|own| name.test.accepts(own))
        })
    })
}
