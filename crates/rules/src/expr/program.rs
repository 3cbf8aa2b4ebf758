//! Typed program and its evaluation. Pure arithmetic in three-valued logic.

use crate::eval::condition::Condition;

/// Numeric expression; NaN is unknown.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    Constant(f64),
    /// Input with this index.
    Input(usize),
    Negate(Box<Number>),
    Arithmetic(Operator, Box<Number>, Box<Number>),
    Call(Function, Vec<Number>),
    /// First number if the test holds, else the second.
    If(Box<Test>, Box<Number>, Box<Number>),
}

/// Arithmetic operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Add,
    Subtract,
    Multiply,
    /// Quotient; unknown for a division by zero.
    Divide,
    /// Remainder with the sign of the dividend; unknown for a division by zero.
    Remainder,
    Power,
}

/// Function of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Absolute value.
    Abs,
    /// Largest integer at or below.
    Floor,
    /// Smallest integer at or above.
    Ceil,
    /// Nearest integer, halves away from zero.
    Round,
    Sqrt,
    /// Natural logarithm.
    Ln,
    Log2,
    Log10,
    /// e to the power of the argument.
    Exp,
    Pow,
    Min,
    Max,
    /// First argument, limited to the range from the second to the third.
    Clamp,
}

impl Function {
    /// Functions with their names and numbers of arguments.
    pub const ALL: [(&'static str, Function, std::ops::RangeInclusive<usize>); 13] = [
        ("abs", Self::Abs, 1..=1),
        ("floor", Self::Floor, 1..=1),
        ("ceil", Self::Ceil, 1..=1),
        ("round", Self::Round, 1..=1),
        ("sqrt", Self::Sqrt, 1..=1),
        ("ln", Self::Ln, 1..=1),
        ("log2", Self::Log2, 1..=1),
        ("log10", Self::Log10, 1..=1),
        ("exp", Self::Exp, 1..=1),
        ("pow", Self::Pow, 2..=2),
        ("min", Self::Min, 2..=16),
        ("max", Self::Max, 2..=16),
        ("clamp", Self::Clamp, 3..=3),
    ];

    fn apply(self, arguments: &[Number], inputs: &[f64]) -> f64 {
        let argument = |index: usize| arguments.get(index).map_or(f64::NAN, |n| n.value(inputs));
        // `f64::min` and `max` ignore a NaN; unknown must stay unknown.
        let fold = |better: fn(f64, f64) -> f64| {
            (1..arguments.len()).fold(argument(0), |best, index| {
                let next = argument(index);
                if best.is_nan() || next.is_nan() {
                    f64::NAN
                } else {
                    better(best, next)
                }
            })
        };
        match self {
            Self::Abs => argument(0).abs(),
            Self::Floor => argument(0).floor(),
            Self::Ceil => argument(0).ceil(),
            Self::Round => argument(0).round(),
            Self::Sqrt => argument(0).sqrt(),
            Self::Ln => argument(0).ln(),
            Self::Log2 => argument(0).log2(),
            Self::Log10 => argument(0).log10(),
            Self::Exp => argument(0).exp(),
            Self::Pow => argument(0).powf(argument(1)),
            Self::Min => fold(f64::min),
            Self::Max => fold(f64::max),
            Self::Clamp => {
                let (value, low, high) = (argument(0), argument(1), argument(2));
                if low <= high {
                    value.clamp(low, high)
                } else {
                    f64::NAN
                }
            }
        }
    }
}

impl Number {
    /// Evaluates the number; NaN if unknown.
    #[must_use]
    pub fn value(&self, inputs: &[f64]) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Input(index) => inputs[*index],
            Self::Negate(inner) => -inner.value(inputs),
            Self::Arithmetic(operator, a, b) => operator.apply(a.value(inputs), b.value(inputs)),
            Self::Call(function, arguments) => function.apply(arguments, inputs),
            Self::If(test, yes, no) => match test.holds(inputs) {
                Some(true) => yes.value(inputs),
                Some(false) => no.value(inputs),
                None => f64::NAN,
            },
        }
    }
}

impl Operator {
    fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide | Self::Remainder if b == 0.0 => f64::NAN,
            Self::Divide => a / b,
            Self::Remainder => a % b,
            Self::Power => a.powf(b),
        }
    }
}

/// Boolean expression in three-valued logic.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    Constant(bool),
    /// Comparison of two numbers; unknown if one of them is.
    Compare(Condition, Number, Number),
    Not(Box<Test>),
    /// False as soon as one is false.
    And(Box<Test>, Box<Test>),
    /// True as soon as one is true.
    Or(Box<Test>, Box<Test>),
    /// True if both tests have the same result.
    Same(Box<Test>, Box<Test>),
}

impl Test {
    /// Evaluates the test; `None` if unknown.
    #[must_use]
    pub fn holds(&self, inputs: &[f64]) -> Option<bool> {
        match self {
            Self::Constant(value) => Some(*value),
            Self::Compare(condition, a, b) => {
                let (a, b) = (a.value(inputs), b.value(inputs));
                (!a.is_nan() && !b.is_nan()).then(|| condition.holds(a, b))
            }
            Self::Not(test) => test.holds(inputs).map(|value| !value),
            Self::And(a, b) => match (a.holds(inputs), b.holds(inputs)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Self::Or(a, b) => match (a.holds(inputs), b.holds(inputs)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Self::Same(a, b) => Some(a.holds(inputs)? == b.holds(inputs)?),
        }
    }

    /// Returns the first number compared, which is the one to show.
    #[must_use]
    pub fn shown(&self) -> Option<&Number> {
        match self {
            Self::Constant(_) => None,
            Self::Compare(_, a, b) => Some(if matches!(a, Number::Constant(_)) {
                b
            } else {
                a
            }),
            Self::Not(test) => test.shown(),
            Self::And(a, b) | Self::Or(a, b) | Self::Same(a, b) => a.shown().or_else(|| b.shown()),
        }
    }
}
