//! Calls in expressions: arithmetic, aggregations over time, aggregations over series.

use std::time::Duration;

use bellwether_schema::{did_you_mean, parse_duration};
use evalexpr::{Node, Operator as Op};

use super::ExprError;
use super::lower::{Lowering, Typed, arguments as arguments_of, bare};
use super::program::{Function, Number};
use super::scan::Operand;
use crate::eval::aggregate::{Aggregate, Aggregation};
use crate::eval::input::{Input, Reduce};
use crate::eval::reading;

/// Names of aggregations over time, for "did you mean".
const OVER_TIME: [&str; 11] = [
    "rate", "increase", "delta", "mean", "avg", "sum", "count", "last", "stddev", "p95", "median",
];

impl Lowering<'_> {
    pub(super) fn call(
        &mut self,
        name: &str,
        column: usize,
        arguments: &[Node],
    ) -> Result<Typed, ExprError> {
        if name == "if" {
            let [test, yes, no] = arguments else {
                return Err(ExprError::new(
                    column,
                    "if takes a comparison and two numbers",
                ));
            };
            let (yes, no) = (self.number(yes)?, self.number(no)?);
            let test = Box::new(self.test(test)?);
            return Ok(Typed::Number(Number::If(test, Box::new(yes), Box::new(no))));
        }
        let over_time = arguments.len() == 2 && self.text(&arguments[1]).is_some();
        let function = Function::ALL
            .iter()
            .find(|(function, ..)| *function == name);
        if let Some((_, function, counts)) = function.filter(|_| !over_time) {
            if !counts.contains(&arguments.len()) {
                return Err(wrong_count(name, column, counts, arguments.len()));
            }
            let arguments = arguments.iter().map(|argument| self.number(argument));
            return Ok(Typed::Number(Number::Call(
                *function,
                arguments.collect::<Result<_, _>>()?,
            )));
        }
        let input = self.reads(name, column, arguments)?;
        Ok(self.input(input))
    }

    /// Compiles a call that reads series: over time, or over series.
    fn reads(&self, name: &str, column: usize, arguments: &[Node]) -> Result<Input, ExprError> {
        if let Some((_, reduce)) = Reduce::ALL.iter().find(|(reduce, _)| *reduce == name) {
            return self.over_series(*reduce, column, arguments);
        }
        match Aggregation::parse(name) {
            Some(aggregation) => self.over_time(name, column, aggregation, arguments),
            None => {
                let functions = Function::ALL.iter().map(|(name, ..)| *name);
                let names = functions
                    .chain(Reduce::ALL.iter().map(|(name, _)| *name))
                    .chain(OVER_TIME)
                    .chain(["if"]);
                Err(ExprError {
                    hint: did_you_mean(name, names),
                    ..ExprError::new(column, format!("unknown function {name:?}"))
                })
            }
        }
    }

    fn over_time(
        &self,
        name: &str,
        column: usize,
        aggregation: Aggregation,
        arguments: &[Node],
    ) -> Result<Input, ExprError> {
        let [metric, window @ ..] = arguments else {
            return Err(ExprError::new(
                column,
                format!("{name} takes a metric and a window"),
            ));
        };
        let window = match (window, aggregation.window) {
            ([], Some(window)) => Some(window),
            ([], None) => self.implied_window(name, column, aggregation.aggregate)?,
            ([window], None) => Some(self.window(window, column)?),
            _ => {
                return Err(ExprError::new(
                    column,
                    format!("{name} takes a metric and one window"),
                ));
            }
        };
        let (name, at) = self.metric_name(metric, column)?;
        let (id, def) = self.metric(name, at)?;
        let reading =
            reading::resolve(def, Some(aggregation.aggregate), window).map_err(|error| {
                ExprError {
                    hint: error.hint,
                    ..ExprError::new(at, error.message)
                }
            })?;
        Ok(Input::all_series(id, def, reading))
    }

    /// Returns the default window; an error for names that are ambiguous with aggregations over
    /// series.
    fn implied_window(
        &self,
        name: &str,
        column: usize,
        aggregate: Aggregate,
    ) -> Result<Option<Duration>, ExprError> {
        match aggregate {
            Aggregate::Sum | Aggregate::Count | Aggregate::Mean => {
                Err(
                    ExprError::new(column, format!("{name} is ambiguous")).hint(format!(
                        "{name}(x, \"5m\") is over time, {name}_by(x) over series"
                    )),
                )
            }
            Aggregate::Last => Ok(None),
            _ => Ok(Some(reading::DEFAULT_WINDOW)),
        }
    }

    fn over_series(
        &self,
        reduce: Reduce,
        column: usize,
        arguments: &[Node],
    ) -> Result<Input, ExprError> {
        let [of, labels @ ..] = arguments else {
            return Err(ExprError::new(
                column,
                "takes a metric and the labels to keep",
            ));
        };
        let input = self.grouped_input(bare(of), column)?;
        if input.grouping.is_some() {
            return Err(ExprError::new(column, "groups cannot be grouped again"));
        }
        let def = &self.metrics[input.metric.0 as usize];
        let mut by = Vec::new();
        for label in labels {
            let at = self.column(label).unwrap_or(column);
            let name = self.text(label).ok_or_else(|| {
                ExprError::new(at, "expected a label")
                    .hint("labels are quoted: sum_by(x, \"method\")")
            })?;
            let index = def.labels.iter().position(|label| &**label == name);
            by.push(index.ok_or_else(|| ExprError {
                hint: did_you_mean(name, def.labels.iter().map(|label| &**label)),
                ..ExprError::new(at, format!("metric {:?} has no label {name:?}", &*def.name))
            })?);
        }
        Ok(input.grouped(def, reduce, by))
    }

    /// Compiles the series that are grouped: a metric, or an aggregation of it over time.
    fn grouped_input(&self, of: &Node, column: usize) -> Result<Input, ExprError> {
        if let (Op::FunctionIdentifier { identifier }, [inner]) = (of.operator(), of.children()) {
            let (operand, column) = self.operand(identifier)?;
            let (Operand::Function(name) | Operand::Name(name)) = operand else {
                return Err(ExprError::new(*column, "expected a metric"));
            };
            return self.reads(name, *column, arguments_of(inner));
        }
        let (name, at) = self.metric_name(of, column)?;
        let (id, def) = self.metric(name, at)?;
        let reading = reading::resolve(def, None, None).map_err(|error| ExprError {
            hint: error.hint,
            ..ExprError::new(at, error.message)
        })?;
        Ok(Input::all_series(id, def, reading))
    }

    /// Returns the text of `node`, if it is a quoted text.
    fn text(&self, node: &Node) -> Option<&str> {
        match self.leaf(node)? {
            (Operand::Text(text), _) => Some(text),
            _ => None,
        }
    }

    fn leaf(&self, node: &Node) -> Option<&(Operand, usize)> {
        let node = bare(node);
        match (node.operator(), node.children()) {
            (Op::VariableIdentifierRead { identifier }, []) => self.operand(identifier).ok(),
            _ => None,
        }
    }

    fn metric_name(&self, node: &Node, column: usize) -> Result<(&str, usize), ExprError> {
        match self.leaf(node) {
            Some((Operand::Name(name), at)) => Ok((name, *at)),
            _ => Err(
                ExprError::new(self.column(node).unwrap_or(column), "expected a metric")
                    .hint("aggregations take one metric, not a calculation"),
            ),
        }
    }

    fn window(&self, node: &Node, column: usize) -> Result<Duration, ExprError> {
        let text = self.text(node);
        text.and_then(parse_duration)
            .filter(|window| !window.is_zero())
            .ok_or_else(|| {
                ExprError::new(
                    self.column(node).unwrap_or(column),
                    "expected a window such as \"5m\"",
                )
            })
    }
}

fn wrong_count(
    name: &str,
    column: usize,
    counts: &std::ops::RangeInclusive<usize>,
    found: usize,
) -> ExprError {
    let (least, most) = (counts.start(), counts.end());
    let expected = if least == most {
        least.to_string()
    } else {
        format!("{least} to {most}")
    };
    ExprError::new(
        column,
        format!("{name} takes {expected} numbers, found {found}"),
    )
}
