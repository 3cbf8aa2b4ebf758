//! Writes formulas over the store as queries.

use bellwether_core::MetricDef;

use super::Series;
use super::term::{Term, TermResult, extreme, joined, set, symbol};
use crate::eval::condition::Condition;
use crate::eval::input::{Input, Reduce};
use crate::eval::reading::Reading;
use crate::expr::{Formula, Function, Number, Operator, Test};

pub(super) struct Writer<'a> {
    pub(super) formula: &'a Formula,
    pub(super) metrics: &'a [MetricDef],
}

impl Writer<'_> {
    pub(super) fn number(&self, number: &Number) -> TermResult {
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
        let labelled = def.labels.iter().enumerate();
        let dropped = labelled.filter(|(at, _)| !grouping.by.contains(at));
        let dropped: Vec<&str> = dropped.map(|(_, label)| &**label).collect();
        let (reduce, dropped) = (reduction(grouping.reduce), dropped.join(", "));
        Ok(Term {
            text: format!("{reduce} without ({dropped}) ({read})"),
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

    pub(super) fn test(&self, test: &Test) -> TermResult {
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

fn reduction(reduce: Reduce) -> &'static str {
    match reduce {
        Reduce::Sum => "sum",
        Reduce::Mean => "avg",
        Reduce::Min => "min",
        Reduce::Max => "max",
        Reduce::Count => "count",
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
