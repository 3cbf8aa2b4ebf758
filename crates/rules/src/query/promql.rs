//! Rules as PromQL.
//!
//! Owns the query of a reading, for anomalies and forecasts over history, and that of a whole
//! condition, for a Prometheus that scrapes `/metrics`. An error names the part that PromQL cannot
//! express.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Kind, MetricDef};

use crate::eval::aggregate::Aggregate;
use crate::eval::condition::Condition;
use crate::eval::input::{Input, Reduce};
use crate::eval::reading::Reading;
use crate::expr::{Formula, Function, Number, Operator, Outcome, Test};
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
                declared,
                ..
            }) => Ok(declared
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

/// Part of a query.
struct Term {
    text: String,
    /// Labels of its series; `None` for a number.
    labels: Option<BTreeSet<Arc<str>>>,
    /// Set if it needs parentheses as a part of another.
    compound: bool,
}

impl Term {
    fn part(&self) -> String {
        if self.compound {
            format!("({})", self.text)
        } else {
            self.text.clone()
        }
    }
}

struct Writer<'a> {
    formula: &'a Formula,
    metrics: &'a [MetricDef],
}

type TermResult = Result<Term, NotPromql>;

impl Writer<'_> {
    fn number(&self, number: &Number) -> TermResult {
        match number {
            Number::Constant(value) => Ok(Term {
                text: value.to_string(),
                labels: None,
                compound: *value < 0.0,
            }),
            Number::Input(index) => self.input(&self.formula.inputs[*index]),
            Number::Negate(inner) => {
                let inner = self.number(inner)?;
                Ok(Term {
                    text: format!("-{}", inner.part()),
                    compound: true,
                    ..inner
                })
            }
            Number::Arithmetic(operator, a, b) => {
                let (a, mut b) = (self.number(a)?, self.number(b)?);
                let by_zero = matches!(operator, Operator::Divide | Operator::Remainder);
                // A division by zero is unknown here; in PromQL it is infinite, above any
                // threshold.
                if by_zero && b.labels.is_some() {
                    b = Term {
                        text: format!("{} != 0", b.part()),
                        compound: true,
                        ..b
                    };
                }
                joined(&a, symbol(*operator), &b)
            }
            Number::Call(function, arguments) => self.call(*function, arguments),
            Number::If(..) => Err("`if` chooses between numbers".into()),
        }
    }

    fn input(&self, input: &Input) -> TermResult {
        let def = &self.metrics[input.metric.0 as usize];
        let mut matchers = Vec::new();
        for (index, matcher) in &input.matchers {
            let label = &def.labels[*index];
            let text = matcher.promql(label);
            matchers
                .push(text.ok_or_else(|| format!("several matchers of {label:?}, some negative"))?);
        }
        let series = Series {
            def,
            matchers: matchers.join(","),
            scraped: true,
        };
        let read = series.read(&input.reading);
        let labels = Some(input.labels.iter().cloned().collect());
        let Some(grouping) = &input.grouping else {
            let compound = matches!(input.reading, Reading::Observed { .. });
            return Ok(Term {
                text: read,
                labels,
                compound,
            });
        };
        let dropped = def
            .labels
            .iter()
            .enumerate()
            .filter(|(at, _)| !grouping.by.contains(at));
        let dropped: Vec<&str> = dropped.map(|(_, label)| &**label).collect();
        let reduce = match grouping.reduce {
            Reduce::Sum => "sum",
            Reduce::Mean => "avg",
            Reduce::Min => "min",
            Reduce::Max => "max",
            Reduce::Count => "count",
        };
        let text = format!("{reduce} without ({}) ({read})", dropped.join(", "));
        Ok(Term {
            text,
            labels,
            compound: false,
        })
    }

    fn call(&self, function: Function, arguments: &[Number]) -> TermResult {
        let terms: Vec<Term> = arguments
            .iter()
            .map(|argument| self.number(argument))
            .collect::<Result<_, _>>()?;
        let name = Function::ALL
            .iter()
            .find(|(_, other, _)| *other == function);
        let name = name.map_or("", |(name, ..)| *name);
        match (function, terms.as_slice()) {
            (Function::Pow, [a, b]) => joined(a, "^", b),
            (Function::Min | Function::Max, [first, rest @ ..]) => {
                let first = Term {
                    text: first.text.clone(),
                    labels: first.labels.clone(),
                    ..*first
                };
                rest.iter()
                    .try_fold(first, |best, next| extreme(function, &best, next))
            }
            (Function::Clamp, [value, low, high])
                if low.labels.is_none() && high.labels.is_none() =>
            {
                let text = format!("clamp({}, {}, {})", value.text, low.text, high.text);
                Ok(Term {
                    text,
                    labels: value.labels.clone(),
                    compound: false,
                })
            }
            (Function::Clamp, _) => Err("`clamp` between series".into()),
            (_, [one]) => {
                let text = format!("{name}({})", one.text);
                Ok(Term {
                    text,
                    labels: one.labels.clone(),
                    compound: false,
                })
            }
            _ => Err(format!("the function `{name}`").into()),
        }
    }

    fn test(&self, test: &Test) -> TermResult {
        match test {
            Test::Compare(condition, a, b) => {
                let (a, b) = (self.number(a)?, self.number(b)?);
                joined(&a, condition.as_str(), &b)
            }
            Test::And(a, b) => set(&self.test(a)?, "and", &self.test(b)?),
            Test::Or(a, b) => set(&self.test(a)?, "or", &self.test(b)?),
            Test::Not(inner) => match &**inner {
                Test::Not(inner) => self.test(inner),
                Test::Compare(condition, a, b) => {
                    self.test(&Test::Compare(opposite(*condition), a.clone(), b.clone()))
                }
                Test::And(a, b) => set(
                    &self.test(&Test::Not(a.clone()))?,
                    "or",
                    &self.test(&Test::Not(b.clone()))?,
                ),
                Test::Or(a, b) => set(
                    &self.test(&Test::Not(a.clone()))?,
                    "and",
                    &self.test(&Test::Not(b.clone()))?,
                ),
                Test::Constant(_) | Test::Same(..) => Err("a comparison of booleans".into()),
            },
            Test::Constant(_) | Test::Same(..) => Err("a comparison of booleans".into()),
        }
    }
}

/// Writes `a operator b`, matched on the labels that both have.
fn joined(a: &Term, operator: &str, b: &Term) -> TermResult {
    let term = |between: &str, labels| {
        let text = format!("{} {between} {}", a.part(), b.part());
        Ok(Term {
            text,
            labels,
            compound: true,
        })
    };
    let (Some(left), Some(right)) = (&a.labels, &b.labels) else {
        return term(operator, a.labels.clone().or_else(|| b.labels.clone()));
    };
    let list = |labels: BTreeSet<&Arc<str>>| {
        labels
            .into_iter()
            .map(|label| &**label)
            .collect::<Vec<&str>>()
            .join(", ")
    };
    let (more, fewer): (BTreeSet<_>, BTreeSet<_>) = (
        left.difference(right).collect(),
        right.difference(left).collect(),
    );
    match (more.is_empty(), fewer.is_empty()) {
        (true, true) => term(operator, a.labels.clone()),
        (false, true) => term(
            &format!("{operator} ignoring ({}) group_left ()", list(more)),
            a.labels.clone(),
        ),
        (true, false) => term(
            &format!("{operator} ignoring ({}) group_right ()", list(fewer)),
            b.labels.clone(),
        ),
        _ => Err("series are joined that have labels of their own on both sides".into()),
    }
}

fn set(a: &Term, operator: &str, b: &Term) -> TermResult {
    if a.labels != b.labels {
        return Err(format!("`{operator}` between series with different labels").into());
    }
    let text = format!("{} {operator} {}", a.part(), b.part());
    Ok(Term {
        text,
        labels: a.labels.clone(),
        compound: true,
    })
}

/// Writes the smaller or the larger of two.
fn extreme(function: Function, a: &Term, b: &Term) -> TermResult {
    let (clamp, keeps) = if function == Function::Min {
        ("clamp_max", "<=")
    } else {
        ("clamp_min", ">=")
    };
    let (series, number) = match (&a.labels, &b.labels) {
        (Some(_), None) => (a, b),
        (None, Some(_)) => (b, a),
        _ => {
            let selected = joined(a, keeps, b)?;
            return set(&selected, "or", b);
        }
    };
    let text = format!("{clamp}({}, {})", series.text, number.text);
    Ok(Term {
        text,
        labels: series.labels.clone(),
        compound: false,
    })
}

fn symbol(operator: Operator) -> &'static str {
    match operator {
        Operator::Add => "+",
        Operator::Subtract => "-",
        Operator::Multiply => "*",
        Operator::Divide => "/",
        Operator::Remainder => "%",
        Operator::Power => "^",
    }
}

fn opposite(condition: Condition) -> Condition {
    match condition {
        Condition::Greater => Condition::LessOrEqual,
        Condition::Less => Condition::GreaterOrEqual,
        Condition::GreaterOrEqual => Condition::Less,
        Condition::LessOrEqual => Condition::Greater,
        Condition::Equals => Condition::NotEquals,
        Condition::NotEquals => Condition::Equals,
    }
}
