//! Calls in expressions: arithmetic, aggregations over time, aggregations over series.

use std::time::Duration;

use bellwether_schema::{did_you_mean, parse_duration};
use evalexpr::{Node, Operator as Op};

use super::super::aggregate::{Aggregate, Aggregation};
use super::super::input::{Input, Reduce};
use super::super::reading;
use super::Fault;
use super::lower::{Lowering, Typed, arguments as arguments_of, bare};
use super::program::{Function, Number};
use super::scan::Operand;

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
    ) -> Result<Typed, Fault> {
        if name == "if" {
            let [test, yes, no] = arguments else {
                return Err(Fault::new(column, "if takes a comparison and two numbers"));
            };
            let (yes, no) = (self.number(yes)?, self.number(no)?);
            let test = Box::new(self.test(test)?);
            return Ok(Typed::Number(Number::If(test, Box::new(yes), Box::new(no))));
        }
        let over_time = arguments.len() == 2 && self.text(&arguments[1]).is_some();
        let function = Function::ALL.iter().find(|(known, ..)| *known == name);
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

    /// A call that reads series: over time, or over series.
    fn reads(&self, name: &str, column: usize, arguments: &[Node]) -> Result<Input, Fault> {
        if let Some((_, reduce)) = Reduce::ALL.iter().find(|(known, _)| *known == name) {
            return self.over_series(*reduce, column, arguments);
        }
        match Aggregation::parse(name) {
            Some(aggregation) => self.over_time(name, column, aggregation, arguments),
            None => {
                let functions = Function::ALL.iter().map(|(known, ..)| *known);
                let known = functions
                    .chain(Reduce::ALL.iter().map(|(known, _)| *known))
                    .chain(OVER_TIME)
                    .chain(["if"]);
                Err(Fault {
                    hint: did_you_mean(name, known),
                    ..Fault::new(column, format!("unknown function {name:?}"))
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
    ) -> Result<Input, Fault> {
        let [metric, window @ ..] = arguments else {
            return Err(Fault::new(
                column,
                format!("{name} takes a metric and a window"),
            ));
        };
        let window = match (window, aggregation.window) {
            ([], Some(window)) => Some(window),
            ([], None) => self.implied_window(name, column, aggregation.aggregate)?,
            ([window], None) => Some(self.window(window, column)?),
            _ => {
                return Err(Fault::new(
                    column,
                    format!("{name} takes a metric and one window"),
                ));
            }
        };
        let (name, at) = self.metric_name(metric, column)?;
        let (id, def) = self.metric(name, at)?;
        let reading =
            reading::resolve(def, Some(aggregation.aggregate), window).map_err(|refusal| {
                Fault {
                    hint: refusal.hint,
                    ..Fault::new(at, refusal.message)
                }
            })?;
        Ok(Input::whole(id, def, reading))
    }

    /// The default window, except for names that others use for aggregations over series.
    fn implied_window(
        &self,
        name: &str,
        column: usize,
        aggregate: Aggregate,
    ) -> Result<Option<Duration>, Fault> {
        match aggregate {
            Aggregate::Sum | Aggregate::Count | Aggregate::Mean => {
                Err(
                    Fault::new(column, format!("{name} over what?")).hint(format!(
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
    ) -> Result<Input, Fault> {
        let [of, labels @ ..] = arguments else {
            return Err(Fault::new(column, "takes a metric and the labels to keep"));
        };
        let of = bare(of);
        let input = match (of.operator(), of.children()) {
            (Op::FunctionIdentifier { identifier }, [inner]) => {
                let (operand, column) = self.operand(identifier)?;
                let (Operand::Function(name) | Operand::Name(name)) = operand else {
                    return Err(Fault::new(*column, "expected a metric"));
                };
                self.reads(name, *column, arguments_of(inner))?
            }
            _ => {
                let (name, at) = self.metric_name(of, column)?;
                let (id, def) = self.metric(name, at)?;
                let reading = reading::resolve(def, None, None).map_err(|refusal| Fault {
                    hint: refusal.hint,
                    ..Fault::new(at, refusal.message)
                })?;
                Input::whole(id, def, reading)
            }
        };
        if input.grouping.is_some() {
            return Err(Fault::new(column, "groups cannot be grouped again"));
        }
        let def = &self.metrics[input.metric.0 as usize];
        let mut by = Vec::new();
        for label in labels {
            let at = self.column(label).unwrap_or(column);
            let name = self.text(label).ok_or_else(|| {
                Fault::new(at, "expected a label").hint("labels are quoted: sum_by(x, \"method\")")
            })?;
            let index = def.labels.iter().position(|known| &**known == name);
            by.push(index.ok_or_else(|| Fault {
                hint: did_you_mean(name, def.labels.iter().map(|label| &**label)),
                ..Fault::new(at, format!("metric {:?} has no label {name:?}", &*def.name))
            })?);
        }
        Ok(input.grouped(def, reduce, by))
    }

    /// The text that `node` is, if it is one.
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

    fn metric_name(&self, node: &Node, column: usize) -> Result<(&str, usize), Fault> {
        match self.leaf(node) {
            Some((Operand::Name(name), at)) => Ok((name, *at)),
            _ => Err(
                Fault::new(self.column(node).unwrap_or(column), "expected a metric")
                    .hint("aggregations take one metric, not a calculation"),
            ),
        }
    }

    fn window(&self, node: &Node, column: usize) -> Result<Duration, Fault> {
        let text = self.text(node);
        text.and_then(parse_duration)
            .filter(|window| !window.is_zero())
            .ok_or_else(|| {
                Fault::new(
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
) -> Fault {
    let (least, most) = (counts.start(), counts.end());
    let expected = if least == most {
        least.to_string()
    } else {
        format!("{least} to {most}")
    };
    Fault::new(
        column,
        format!("{name} takes {expected} numbers, found {found}"),
    )
}
