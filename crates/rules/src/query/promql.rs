//! Rules as PromQL.
//!
//! Owns the query of a reading, for anomalies and forecasts over history, and that of a whole
//! condition, for a Prometheus that scrapes `/metrics`. An error names the part that PromQL cannot
//! express.

mod term;
mod writer;

use std::borrow::Cow;
use std::time::Duration;

use bellwether_core::{Kind, MetricDef};

use self::writer::Writer;
use crate::eval::aggregate::Aggregate;
use crate::eval::condition::Condition;
use crate::eval::reading::Reading;
use crate::expr::Outcome;
use crate::query::history_query::{HistoryQuery, QueryKind};
use crate::rule::{Rule, Source};

/// Series of a metric.
pub(crate) struct Series<'a> {
    pub def: &'a MetricDef,
    /// Matchers: `a="b",c=~"d"`.
    pub matchers: String,
    /// Set for series that Prometheus makes from a scrape of `/metrics`, and not those of history.
    pub scraped: bool,
}

impl Series<'_> {
    /// Returns a selector of the series with `suffix` that also match `more`.
    fn selector(&self, suffix: &str, more: &str) -> String {
        let name = format!("{}{suffix}", self.def.exported);
        let matchers = [self.matchers.as_str(), more];
        let matchers = matchers.iter().filter(|text| !text.is_empty()).copied();
        // A scrape in OpenMetrics adds `_total` to counters; in the text format they keep their
        // names.
        let counter = self.def.kind == Kind::Counter && !name.ends_with("_total");
        if self.scraped && counter {
            let either = format!("__name__=~\"{name}|{name}_total\"");
            let all: Vec<&str> = std::iter::once(either.as_str()).chain(matchers).collect();
            return format!("{{{}}}", all.join(","));
        }
        let all: Vec<&str> = matchers.collect();
        if all.is_empty() {
            name
        } else {
            format!("{name}{{{}}}", all.join(","))
        }
    }

    /// Returns the query of `reading`.
    pub(crate) fn read(&self, reading: &Reading) -> String {
        let over = |suffix: &str, window: Duration| {
            format!("{}[{}]", self.selector(suffix, ""), shown(window))
        };
        match *reading {
            Reading::Current { column } => match self.def.quantiles.get(column) {
                Some(quantile) => self.selector("", &format!("quantile=\"{quantile}\"")),
                None => self.selector("", ""),
            },
            Reading::Window {
                aggregate,
                column,
                window,
            } => {
                let suffix = match column {
                    _ if self.def.width() == 1 => "",
                    _ if column + 1 == self.def.width() => "_sum",
                    _ => "_count",
                };
                let range = over(suffix, window);
                match aggregate {
                    Aggregate::Quantile(q) => format!("quantile_over_time({q}, {range})"),
                    other => format!("{}({range})", function(other)),
                }
            }
            Reading::Quantile { q, window } => {
                format!(
                    "histogram_quantile({q}, increase({}))",
                    over("_bucket", window)
                )
            }
            Reading::Observed { window } => {
                format!(
                    "increase({}) / increase({})",
                    over("_sum", window),
                    over("_count", window)
                )
            }
        }
    }
}

fn function(aggregate: Aggregate) -> &'static str {
    match aggregate {
        Aggregate::Last | Aggregate::Quantile(_) => "last_over_time",
        Aggregate::Mean => "avg_over_time",
        Aggregate::Max => "max_over_time",
        Aggregate::Min => "min_over_time",
        Aggregate::Sum => "sum_over_time",
        Aggregate::Count => "count_over_time",
        Aggregate::Stddev => "stddev_over_time",
        Aggregate::Rate => "rate",
        Aggregate::Increase => "increase",
        Aggregate::Delta => "delta",
    }
}

/// Formats a duration for PromQL.
fn shown(window: Duration) -> String {
    bellwether_schema::format_duration(window)
}

/// Part of a rule that PromQL cannot express.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotPromql(Cow<'static, str>);

impl<T: Into<Cow<'static, str>>> From<T> for NotPromql {
    fn from(part: T) -> Self {
        Self(part.into())
    }
}

impl Rule {
    /// Returns the query whose series are the alerts of `level`, over the series that a scrape of
    /// `/metrics` makes; `metrics` are those that the rule was compiled with.
    ///
    /// # Errors
    /// Returns an error if PromQL cannot express a part of the rule.
    pub fn promql(&self, level: usize, metrics: &[MetricDef]) -> Result<String, NotPromql> {
        let compared = |value: String, condition: Condition| {
            let threshold = self.threshold(level).unwrap_or_default();
            format!("{value} {} {threshold}", condition.as_str())
        };
        match &self.source {
            Source::History(HistoryQuery {
                kind: QueryKind::Present,
                query,
                configured,
                ..
            }) => Ok(configured
                .as_ref()
                .map_or_else(|| query.to_string(), |text| text.trim().to_owned())),
            Source::History(HistoryQuery {
                kind: QueryKind::Compared,
                query,
                ..
            }) => Ok(compared(format!("({query})"), self.comparison.condition)),
            Source::History(HistoryQuery {
                kind: QueryKind::Anomaly(_),
                ..
            }) => Err("PromQL cannot express an anomaly rule".into()),
            Source::History(HistoryQuery {
                kind: QueryKind::Forecast(_),
                ..
            }) => Err("PromQL cannot express a forecast rule".into()),
            Source::Series(formula) => {
                let writer = Writer { formula, metrics };
                match &formula.outcome {
                    Outcome::Number(number) | Outcome::Compared(number, ..) => Ok(compared(
                        writer.number(number)?.part(),
                        self.comparison.condition,
                    )),
                    Outcome::Test(test) => Ok(writer.test(test)?.text),
                }
            }
        }
    }
}
