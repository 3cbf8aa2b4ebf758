//! What a query is once it was read.

use std::time::Duration;

use bellwether_matcher::LabelMatcher;

use super::parse::Signature;

/// Where something stands in the text, in bytes. All places are equal: two expressions are the same
/// wherever they stand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl PartialEq for Span {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// An expression. Its parts are never deeper than the parser allows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    Number(NumberLiteral),
    String(StringLiteral),
    Paren(ParenExpr),
    Unary(UnaryExpr),
    Binary(BinaryExpr),
    Aggregate(AggregateExpr),
    Call(Call),
    VectorSelector(VectorSelector),
    MatrixSelector(MatrixSelector),
    Subquery(SubqueryExpr),
}

/// What kind of value an expression has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueType {
    Scalar,
    Vector,
    Matrix,
    String,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct NumberLiteral {
    pub(super) val: f64,
    pub(super) at: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct StringLiteral {
    pub(super) val: String,
    pub(super) at: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct ParenExpr {
    pub(super) expr: Box<Expr>,
    pub(super) at: Span,
}

/// A minus; a plus is left out.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct UnaryExpr {
    pub(super) expr: Box<Expr>,
    pub(super) at: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    And,
    Or,
    Unless,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct BinaryExpr {
    pub(super) op: Op,
    pub(super) lhs: Box<Expr>,
    pub(super) rhs: Box<Expr>,
    /// Between vectors, and what was written.
    pub(super) modifier: BinModifier,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct BinModifier {
    pub(super) return_bool: bool,
    pub(super) card: Cardinality,
    pub(super) matching: Option<LabelModifier>,
    pub(super) fill: Fill,
}

/// What stands for a side that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Fill {
    pub(super) lhs: Option<f64>,
    pub(super) rhs: Option<f64>,
}

/// How many series of each side match each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Cardinality {
    #[default]
    OneToOne,
    /// `group_left`: with labels of the right.
    ManyToOne(Vec<String>),
    /// `group_right`: with labels of the left.
    OneToMany(Vec<String>),
}

/// `on` or `by`, `ignoring` or `without`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum LabelModifier {
    Include(Vec<String>),
    Exclude(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aggregation {
    Avg,
    Bottomk,
    Count,
    CountValues,
    Group,
    LimitRatio,
    Limitk,
    Max,
    Min,
    Quantile,
    Stddev,
    Stdvar,
    Sum,
    Topk,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct AggregateExpr {
    pub(super) op: Aggregation,
    pub(super) expr: Box<Expr>,
    pub(super) param: Option<Box<Expr>>,
    pub(super) modifier: Option<LabelModifier>,
    pub(super) at: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) func: &'static Signature,
    pub(super) args: Vec<Expr>,
    pub(super) at: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct VectorSelector {
    /// The name in front of the braces.
    pub(super) name: Option<String>,
    /// One list per alternative of an `or`; there is at least one list.
    pub(super) matchers: Vec<Vec<LabelMatcher>>,
    pub(super) moment: TimeModifiers,
    pub(super) at: Span,
}

/// `offset` and `@`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct TimeModifiers {
    /// In milliseconds; below zero it leads ahead.
    pub(super) offset: Option<i64>,
    pub(super) at: Option<AtModifier>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum AtModifier {
    Start,
    End,
    /// Milliseconds since the Unix epoch.
    At(i64),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct MatrixSelector {
    pub(super) vs: VectorSelector,
    pub(super) range: Duration,
    pub(super) at: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct SubqueryExpr {
    pub(super) expr: Box<Expr>,
    pub(super) range: Duration,
    pub(super) step: Option<Duration>,
    pub(super) moment: TimeModifiers,
    pub(super) at: Span,
}

impl Op {
    /// All, as they are written.
    pub(super) const ALL: [(&'static str, Self); 16] = [
        ("+", Self::Add),
        ("-", Self::Sub),
        ("*", Self::Mul),
        ("/", Self::Div),
        ("%", Self::Mod),
        ("^", Self::Pow),
        ("atan2", Self::Atan2),
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        (">", Self::Greater),
        ("<", Self::Less),
        (">=", Self::GreaterOrEqual),
        ("<=", Self::LessOrEqual),
        ("and", Self::And),
        ("or", Self::Or),
        ("unless", Self::Unless),
    ];

    pub(super) fn text(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, op)| *op == self)
            .map_or("", |(text, _)| text)
    }

    pub(super) fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal
                | Self::NotEqual
                | Self::Greater
                | Self::Less
                | Self::GreaterOrEqual
                | Self::LessOrEqual
        )
    }

    pub(super) fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    /// The greater, the closer it binds.
    pub(super) fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            _ if self.is_comparison() => 3,
            Self::Add | Self::Sub => 4,
            Self::Pow => 6,
            _ => 5,
        }
    }
}

impl Aggregation {
    /// All, as they are written.
    pub(super) const ALL: [(&'static str, Self); 14] = [
        ("avg", Self::Avg),
        ("bottomk", Self::Bottomk),
        ("count", Self::Count),
        ("count_values", Self::CountValues),
        ("group", Self::Group),
        ("limit_ratio", Self::LimitRatio),
        ("limitk", Self::Limitk),
        ("max", Self::Max),
        ("min", Self::Min),
        ("quantile", Self::Quantile),
        ("stddev", Self::Stddev),
        ("stdvar", Self::Stdvar),
        ("sum", Self::Sum),
        ("topk", Self::Topk),
    ];

    pub(super) fn text(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, op)| *op == self)
            .map_or("", |(text, _)| text)
    }

    /// The type of its parameter, if it has one.
    pub(super) fn parameter(self) -> Option<ValueType> {
        match self {
            Self::Bottomk | Self::LimitRatio | Self::Limitk | Self::Quantile | Self::Topk => {
                Some(ValueType::Scalar)
            }
            Self::CountValues => Some(ValueType::String),
            _ => None,
        }
    }
}

impl ValueType {
    /// In Prometheus's words.
    pub(super) fn described(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::String => "string",
        }
    }
}

impl Expr {
    pub(super) fn value_type(&self) -> ValueType {
        match self {
            Self::Number(_) => ValueType::Scalar,
            Self::String(_) => ValueType::String,
            Self::Paren(one) => one.expr.value_type(),
            Self::Unary(one) => one.expr.value_type(),
            Self::Binary(one) => {
                let scalar = |side: &Self| side.value_type() == ValueType::Scalar;
                if scalar(&one.lhs) && scalar(&one.rhs) {
                    ValueType::Scalar
                } else {
                    ValueType::Vector
                }
            }
            Self::Aggregate(_) | Self::VectorSelector(_) => ValueType::Vector,
            Self::Call(call) => call.func.returns,
            Self::MatrixSelector(_) | Self::Subquery(_) => ValueType::Matrix,
        }
    }

    /// Where it stands in the text.
    pub(super) fn span(&self) -> Span {
        match self {
            Self::Number(one) => one.at,
            Self::String(one) => one.at,
            Self::Paren(one) => one.at,
            Self::Unary(one) => one.at,
            Self::Binary(one) => Span {
                start: one.lhs.span().start,
                end: one.rhs.span().end,
            },
            Self::Aggregate(one) => one.at,
            Self::Call(one) => one.at,
            Self::VectorSelector(one) => one.at,
            Self::MatrixSelector(one) => one.at,
            Self::Subquery(one) => one.at,
        }
    }

    /// Its parts.
    pub(super) fn children(&self) -> Vec<&Self> {
        match self {
            Self::Aggregate(one) => one.param.iter().map(|p| &**p).chain([&*one.expr]).collect(),
            Self::Unary(one) => vec![&one.expr],
            Self::Binary(one) => vec![&one.lhs, &one.rhs],
            Self::Paren(one) => vec![&one.expr],
            Self::Subquery(one) => vec![&one.expr],
            Self::Call(one) => one.args.iter().collect(),
            Self::Number(_)
            | Self::String(_)
            | Self::VectorSelector(_)
            | Self::MatrixSelector(_) => Vec::new(),
        }
    }

    /// Without brackets around it.
    pub(super) fn unwrapped(&self) -> &Self {
        let mut expr = self;
        while let Self::Paren(inner) = expr {
            expr = &inner.expr;
        }
        expr
    }
}
