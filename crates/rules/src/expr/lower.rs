//! Lowering of evalexpr's operator tree to the typed program.

use bellwether_core::{MetricDef, MetricId};
use evalexpr::{Node, Operator as Op, build_operator_tree};

use super::program::{Number, Operator, Test};
use super::scan::{Operand, Scanned, scan};
use super::{ExprError, unknown_metric_hint};
use crate::eval::condition::Condition;
use crate::eval::input::Input;
use crate::eval::reading;

/// Compiled expression, evaluated for each joined row of its inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Formula {
    /// Inputs; a row's values come in this order.
    pub inputs: Vec<Input>,
    pub outcome: Outcome,
}

/// Result of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Number, to be compared by the rule.
    Number(Number),
    /// Number compared with a constant in the expression itself.
    Compared(Number, Condition, f64),
    /// Boolean.
    Test(Test),
}

impl Formula {
    /// Returns the value to compare; of a test 1 or 0. NaN if unknown.
    #[must_use]
    pub fn evaluate(&self, inputs: &[f64]) -> f64 {
        match &self.outcome {
            Outcome::Number(number) | Outcome::Compared(number, ..) => number.value(inputs),
            Outcome::Test(test) => test.holds(inputs).map_or(f64::NAN, f64::from),
        }
    }

    /// Returns the value to show: of a test, the first number that it compares.
    #[must_use]
    pub fn shown(&self, inputs: &[f64]) -> Option<f64> {
        let value = match &self.outcome {
            Outcome::Number(number) | Outcome::Compared(number, ..) => number.value(inputs),
            Outcome::Test(test) => test.shown()?.value(inputs),
        };
        (!value.is_nan()).then_some(value)
    }
}

/// Compiles `text` over `metrics`; a [`MetricId`] is an index into them.
///
/// # Errors
/// The first error, with its column.
pub fn compile(text: &str, metrics: &[MetricDef]) -> Result<Formula, ExprError> {
    let scanned = scan(text)?;
    let tree = build_operator_tree(&scanned.skeleton)
        .map_err(|error| ExprError::new(None, error.to_string()))?;
    let mut lowering = Lowering {
        metrics,
        scanned: &scanned,
        inputs: Vec::new(),
    };
    let outcome = match lowering.lower(&tree)? {
        Typed::Number(number) => Outcome::Number(number),
        Typed::Test(Test::Compare(condition, value, Number::Constant(threshold))) => {
            Outcome::Compared(value, condition, threshold)
        }
        Typed::Test(Test::Compare(condition, Number::Constant(threshold), value)) => {
            Outcome::Compared(value, condition.flipped(), threshold)
        }
        Typed::Test(test) => Outcome::Test(test),
        Typed::Text(column) => {
            return Err(ExprError::new(column, "text where a value is expected"));
        }
    };
    if lowering.inputs.is_empty() {
        return Err(ExprError::new(None, "the expression has no metric"));
    }
    Ok(Formula {
        inputs: lowering.inputs,
        outcome,
    })
}

pub(super) enum Typed {
    Number(Number),
    Test(Test),
    /// Text, only as the argument of a function; with its column.
    Text(usize),
}

impl Typed {
    fn form(&self) -> &'static str {
        match self {
            Self::Number(_) => "a number",
            Self::Test(_) => "true or false",
            Self::Text(_) => "text",
        }
    }
}

pub(super) struct Lowering<'a> {
    pub(super) metrics: &'a [MetricDef],
    scanned: &'a Scanned,
    inputs: Vec<Input>,
}

impl<'a> Lowering<'a> {
    pub(super) fn lower(&mut self, node: &Node) -> Result<Typed, ExprError> {
        let children = node.children();
        let number = |number| Ok(Typed::Number(number));
        if let (Some(operator), [a, b]) = (arithmetic(node.operator()), children) {
            let constants = self.column(b);
            let number = fold(operator, self.number(a)?, self.number(b)?);
            return number
                .map(Typed::Number)
                .ok_or_else(|| ExprError::new(constants, "the result is not a number"));
        }
        if let (Some(condition), [a, b]) = (comparison(node.operator()), children) {
            return self.compare(condition, a, b).map(Typed::Test);
        }
        let test = |test| Ok(Typed::Test(test));
        match (node.operator(), children) {
            (Op::RootNode, [inner]) => self.lower(inner),
            (Op::Neg, [inner]) => match self.number(inner)? {
                Number::Constant(value) => number(Number::Constant(-value)),
                inner => number(Number::Negate(Box::new(inner))),
            },
            (Op::Not, [inner]) => test(Test::Not(Box::new(self.test(inner)?))),
            (Op::And, [a, b]) => test(Test::And(Box::new(self.test(a)?), Box::new(self.test(b)?))),
            (Op::Or, [a, b]) => test(Test::Or(Box::new(self.test(a)?), Box::new(self.test(b)?))),
            (Op::VariableIdentifierRead { identifier }, []) => self.value(identifier),
            (Op::FunctionIdentifier { identifier }, [argument]) => {
                let (operand, column) = self.operand(identifier)?;
                let Operand::Function(name) = operand else {
                    return Err(ExprError::new(
                        *column,
                        "expected an operator after this value",
                    ));
                };
                self.call(name, *column, arguments(argument))
            }
            _ => Err(ExprError::new(
                self.column(node),
                "this is not an expression",
            )),
        }
    }

    /// Returns the operand of a placeholder, with its column.
    pub(super) fn operand(&self, placeholder: &str) -> Result<&'a (Operand, usize), ExprError> {
        let index = placeholder
            .strip_prefix('v')
            .and_then(|index| index.parse::<usize>().ok());
        index
            .and_then(|index| self.scanned.operands.get(index))
            .ok_or_else(|| ExprError::new(None, "this is not an expression"))
    }

    /// Returns the column of the leftmost operand below `node`.
    pub(super) fn column(&self, node: &Node) -> Option<usize> {
        match node.operator() {
            Op::VariableIdentifierRead { identifier } | Op::FunctionIdentifier { identifier } => {
                self.operand(identifier).ok().map(|(_, column)| *column)
            }
            _ => node.children().iter().find_map(|child| self.column(child)),
        }
    }

    fn value(&mut self, placeholder: &str) -> Result<Typed, ExprError> {
        let (operand, column) = self.operand(placeholder)?;
        match operand {
            Operand::Number(value) => Ok(Typed::Number(Number::Constant(*value))),
            Operand::Bool(value) => Ok(Typed::Test(Test::Constant(*value))),
            Operand::Text(_) => Ok(Typed::Text(*column)),
            Operand::Name(name) | Operand::Function(name) => {
                let (metric, def) = self.metric(name, *column)?;
                let reading = reading::resolve(def, None, None).map_err(|error| {
                    let hint = format!("write p95({name}, \"5m\") or rate({name}, \"5m\")");
                    ExprError::new(*column, error.message).hint(hint)
                })?;
                Ok(self.input(Input::all_series(metric, def, reading)))
            }
        }
    }

    pub(super) fn metric(
        &self,
        name: &str,
        column: usize,
    ) -> Result<(MetricId, &'a MetricDef), ExprError> {
        let metric = self
            .metrics
            .iter()
            .enumerate()
            .find(|(_, def)| &*def.name == name);
        metric
            .map(|(index, def)| (MetricId(index as u32), def))
            .ok_or_else(|| ExprError {
                hint: Some(unknown_metric_hint(name, self.metrics)),
                ..ExprError::new(column, format!("unknown metric {name:?}"))
            })
    }

    /// Returns the value of an input; equal inputs are read only once.
    pub(super) fn input(&mut self, input: Input) -> Typed {
        let existing = self.inputs.iter().position(|other| *other == input);
        let index = existing.unwrap_or_else(|| {
            self.inputs.push(input);
            self.inputs.len() - 1
        });
        Typed::Number(Number::Input(index))
    }

    pub(super) fn number(&mut self, node: &Node) -> Result<Number, ExprError> {
        match self.lower(node)? {
            Typed::Number(number) => Ok(number),
            other => Err(self.mismatch(node, "a number", &other)),
        }
    }

    pub(super) fn test(&mut self, node: &Node) -> Result<Test, ExprError> {
        match self.lower(node)? {
            Typed::Test(test) => Ok(test),
            other => Err(self.mismatch(node, "a comparison", &other)),
        }
    }

    fn mismatch(&self, node: &Node, expected: &str, actual: &Typed) -> ExprError {
        ExprError::new(
            self.column(node),
            format!("expected {expected}, found {}", actual.form()),
        )
    }

    fn compare(&mut self, condition: Condition, a: &Node, b: &Node) -> Result<Test, ExprError> {
        match (self.lower(a)?, self.lower(b)?) {
            (Typed::Number(a), Typed::Number(b)) => Ok(Test::Compare(condition, a, b)),
            (Typed::Test(a), Typed::Test(b)) if condition == Condition::Equals => {
                Ok(Test::Same(Box::new(a), Box::new(b)))
            }
            (Typed::Test(a), Typed::Test(b)) if condition == Condition::NotEquals => {
                Ok(Test::Not(Box::new(Test::Same(Box::new(a), Box::new(b)))))
            }
            (left, right) => Err(ExprError::new(
                self.column(a),
                format!("cannot compare {} with {}", left.form(), right.form()),
            )),
        }
    }
}

/// Folds a calculation of two constants; `None` if it has no result.
fn fold(operator: Operator, a: Number, b: Number) -> Option<Number> {
    let constant = matches!((&a, &b), (Number::Constant(_), Number::Constant(_)));
    let number = Number::Arithmetic(operator, Box::new(a), Box::new(b));
    if !constant {
        return Some(number);
    }
    Some(number.value(&[]))
        .filter(|value| value.is_finite())
        .map(Number::Constant)
}

/// Removes the parentheses around a node.
pub(super) fn bare(node: &Node) -> &Node {
    match (node.operator(), node.children()) {
        (Op::RootNode, [inner]) => bare(inner),
        _ => node,
    }
}

/// Returns the arguments of a call, without the parentheses and the tuple of evalexpr.
pub(super) fn arguments(node: &Node) -> &[Node] {
    match (node.operator(), node.children()) {
        (Op::RootNode, [inner]) if *inner.operator() == Op::Tuple => inner.children(),
        (Op::RootNode, inner) => inner,
        _ => std::slice::from_ref(node),
    }
}

fn arithmetic(operator: &Op) -> Option<Operator> {
    Some(match operator {
        Op::Add => Operator::Add,
        Op::Sub => Operator::Subtract,
        Op::Mul => Operator::Multiply,
        Op::Div => Operator::Divide,
        Op::Mod => Operator::Remainder,
        Op::Exp => Operator::Power,
        _ => return None,
    })
}

fn comparison(operator: &Op) -> Option<Condition> {
    Some(match operator {
        Op::Gt => Condition::Greater,
        Op::Lt => Condition::Less,
        Op::Geq => Condition::GreaterOrEqual,
        Op::Leq => Condition::LessOrEqual,
        Op::Eq => Condition::Equals,
        Op::Neq => Condition::NotEquals,
        _ => return None,
    })
}
