//! Syntax tree of a query.

use std::time::Duration;

use bellwether_matcher::LabelMatcher;

use super::parse::Signature;

/// Byte range in the source text. All spans compare equal, so that two expressions are equal wherever
/// they are.
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

/// An expression. The parser limits its depth.
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

/// Type of an expression.
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

/// Unary minus; a unary plus is dropped.
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
    /// Modifiers as they were written; they apply to vectors.
    pub(super) modifier: BinModifier,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct BinModifier {
    pub(super) return_bool: bool,
    pub(super) card: Cardinality,
    pub(super) matching: Option<LabelModifier>,
    pub(super) fill: Fill,
}

/// Values in place of a side that has no series.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Fill {
    pub(super) lhs: Option<f64>,
    pub(super) rhs: Option<f64>,
}

/// Cardinality of vector matching.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Cardinality {
    #[default]
    OneToOne,
    /// `group_left` with labels of the right side.
    ManyToOne(Vec<String>),
    /// `group_right` with labels of the left side.
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
    /// Metric name in front of the braces, or quoted inside of them.
    pub(super) name: Option<String>,
    /// One list per alternative of an `or`, at least node.
    pub(super) matchers: Vec<Vec<LabelMatcher>>,
    pub(super) modifiers: TimeModifiers,
    pub(super) at: Span,
}

/// `offset` and `@`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct TimeModifiers {
    /// Milliseconds; a negative offset leads ahead.
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
    pub(super) modifiers: TimeModifiers,
    pub(super) at: Span,
}

impl Op {
    /// All of them with their text.
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

    /// Precedence; a greater node binds tighter.
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
    /// All of them with their text.
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

    /// Returns the type of the parameter, if there is node.
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
    /// Returns the name of the type in the messages of Prometheus.
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
            Self::Paren(node) => node.expr.value_type(),
            Self::Unary(node) => node.expr.value_type(),
            Self::Binary(node) => {
                if [&node.lhs, &node.rhs]
                    .iter()
                    .all(|side| side.value_type() == ValueType::Scalar)
                {
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

    /// Returns the position in the source text.
    pub(super) fn span(&self) -> Span {
        match self {
            Self::Number(node) => node.at,
            Self::String(node) => node.at,
            Self::Paren(node) => node.at,
            Self::Unary(node) => node.at,
            Self::Binary(node) => Span {
                start: node.lhs.span().start,
                end: node.rhs.span().end,
            },
            Self::Aggregate(node) => node.at,
            Self::Call(node) => node.at,
            Self::VectorSelector(node) => node.at,
            Self::MatrixSelector(node) => node.at,
            Self::Subquery(node) => node.at,
        }
    }

    /// Returns the direct subexpressions.
    pub(super) fn children(&self) -> Vec<&Self> {
        match self {
            Self::Aggregate(node) => node
                .param
                .iter()
                .map(|p| &**p)
                .chain([&*node.expr])
                .collect(),
            Self::Unary(node) => vec![&node.expr],
            Self::Binary(node) => vec![&node.lhs, &node.rhs],
            Self::Paren(node) => vec![&node.expr],
            Self::Subquery(node) => vec![&node.expr],
            Self::Call(node) => node.args.iter().collect(),
            Self::Number(_)
            | Self::String(_)
            | Self::VectorSelector(_)
            | Self::MatrixSelector(_) => Vec::new(),
        }
    }

    /// Returns the expression without parentheses around it.
    pub(super) fn unwrapped(&self) -> &Self {
        let mut expr = self;
        while let Self::Paren(inner) = expr {
            expr = &inner.expr;
        }
        expr
    }
}
