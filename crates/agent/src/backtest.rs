//! The rules of a configuration over recorded samples: the same for the command `backtest` and for the API.

use std::fmt;

use bellwether_config::{self as config, Loaded, Plan, Report};
use bellwether_core::UnixMillis;
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Queryable, StorageError};
use bellwether_schema::{HumanDuration, Spanned, format_duration};

use crate::replay::view::Range;
use crate::replay::{self, Outcome, Setup};

/// Factor by which collections may come late without their interval being another one.
const LATE: f64 = 1.2;

/// Recorded samples over a time range.
pub struct Recording<'a> {
    /// Source of the samples.
    pub source: &'a dyn Queryable,
    /// Selects series where several hosts were recorded.
    pub matchers: &'a [LabelMatcher],
    /// Start and end.
    pub range: Range,
}

/// Error of a backtest.
#[derive(Debug)]
pub enum BacktestError {
    /// The configuration is invalid.
    Configuration(Report),
    /// The samples cannot be read, or the guard stopped the run.
    Recording(StorageError),
}

impl fmt::Display for BacktestError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(report) => report.fmt(out),
            Self::Recording(error) => write!(out, "cannot read what was recorded: {error}"),
        }
    }
}

impl std::error::Error for BacktestError {}

impl From<Report> for BacktestError {
    fn from(report: Report) -> Self {
        Self::Configuration(report)
    }
}

impl From<StorageError> for BacktestError {
    fn from(error: StorageError) -> Self {
        Self::Recording(error)
    }
}

impl Recording<'_> {
    /// Runs the rules of the configuration that `load` returns. Calls `progress` with the time reached.
    ///
    /// # Errors
    /// The configuration is invalid, or the samples cannot be read.
    pub fn run(
        &self,
        load: &dyn Fn() -> Result<Loaded, Report>,
        guard: &Guard,
        progress: &mut dyn FnMut(UnixMillis),
    ) -> Result<Outcome, BacktestError> {
        let (plan, warning) = self.plan(load, guard)?;
        let setup = Setup {
            metrics: plan.metrics,
            rules: plan.rules,
            routing: plan.routing,
            channels: &plan
                .root
                .performance_monitor
                .alerting
                .notifications
                .channels,
            matchers: self.matchers,
        };
        let (from, to) = self.range;
        let mut outcome = replay::run(self.source, setup, from, to, guard, progress)?;
        outcome.warnings.splice(0..0, warning);
        Ok(outcome)
    }

    /// Returns the plan with the recorded interval where that is longer than the configured one, and a
    /// warning: series would become stale between samples otherwise.
    fn plan(
        &self,
        load: &dyn Fn() -> Result<Loaded, Report>,
        guard: &Guard,
    ) -> Result<(Plan, Option<String>), BacktestError> {
        let plan = config::plan(load()?)?;
        let configured = plan.schedule.interval;
        let observed = replay::observed_interval(
            self.source,
            &plan.metrics,
            self.matchers,
            self.range.1,
            guard,
        )?;
        let Some(observed) = observed.filter(|observed| *observed > configured.mul_f64(LATE))
        else {
            return Ok((plan, None));
        };
        let mut loaded = load()?;
        if let Some(root) = &mut loaded.root {
            root.performance_monitor.value.collection_interval =
                Spanned::nowhere(HumanDuration(observed));
        }
        let warning = format!(
            "recorded every {}, configured every {}: the recorded interval is used",
            format_duration(observed),
            format_duration(configured)
        );
        Ok((config::plan(loaded)?, Some(warning)))
    }
}
