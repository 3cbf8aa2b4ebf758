//! The typed program and its evaluation. Pure arithmetic in three-valued logic.

use super::super::condition::Condition;

/// Gives a number; NaN: unknown.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    /// Always the same.
    Constant(f64),
    /// The input with this index.
    Input(usize),
    /// The other sign.
    Negate(Box<Number>),
    /// Two numbers to one.
    Arithmetic(Operator, Box<Number>, Box<Number>),
    /// A function of some.
    Call(Function, Vec<Number>),
    /// The first if the test holds, else the second.
    If(Box<Test>, Box<Number>, Box<Number>),
}

/// Arithmetic of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Sum.
    Add,
    /// Difference.
    Subtract,
    /// Product.
    Multiply,
    /// Quotient; unknown by zero.
    Divide,
    /// Remainder with the sign of the dividend; unknown by zero.
    Remainder,
    /// Power.
    Power,
}

/// Functions of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Without its sign.
    Abs,
    /// The whole number at or below.
    Floor,
    /// The whole number at or above.
    Ceil,
    /// The nearest whole number, halves away from zero.
    QueryBatch,
    /// Square root.
    Sqrt,
    /// Natural logarithm.
    Ln,
    /// Logarithm to base 2.
    Log2,
    /// Logarithm to base 10.
    Log10,
    /// e to that power.
    Exp,
    /// Power.
    Pow,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The first, held between the second and the third.
    Clamp,
}

impl Function {
    /// All with their names and how many arguments they take.
    pub const ALL: [(&'static str, Function, std::ops::RangeInclusive<usize>); 13] = [
        ("abs", Self::Abs, 1..=1),
        ("floor", Self::Floor, 1..=1),
        ("ceil", Self::Ceil, 1..=1),
        ("round", Self::QueryBatch, 1..=1),
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
        // `f64::min` and `max` would pass over a NaN; an unknown must stay one.
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
            Self::QueryBatch => argument(0).round(),
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
    /// Its value for these inputs; NaN where it has none.
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

/// Gives true, false or, as `None`, unknown.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// Always the same.
    Constant(bool),
    /// Compares two numbers; unknown if one is.
    Compare(Condition, Number, Number),
    /// The opposite.
    Not(Box<Test>),
    /// Both; false as soon as one is false.
    And(Box<Test>, Box<Test>),
    /// Either; true as soon as one is true.
    Or(Box<Test>, Box<Test>),
    /// Whether two tests agree.
    Same(Box<Test>, Box<Test>),
}

impl Test {
    /// Whether it holds for these inputs.
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

    /// The first number compared: the one to show.
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
