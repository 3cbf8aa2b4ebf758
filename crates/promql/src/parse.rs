//! Parser of queries, with the error messages of Prometheus and their positions.
//!
//! Owns the language: tokens, operators and their precedence, types. No expression is deeper than
//! [`MAX_DEPTH`], so that recursive functions do not exhaust the stack.

mod binary;
mod call;
mod duration;
mod lex;
mod modifier;
mod selector;
mod signature;

use bellwether_core::MAX_NESTING;
pub(super) use duration::format as duration_text;
use selector::check_selectors;
pub(super) use selector::{PatternFailure, pattern};
pub(super) use signature::Signature;

use self::lex::{Kind, Token};
use super::ast::{
    Aggregation, Expr, NumberLiteral, Op, ParenExpr, Span, StringLiteral, UnaryExpr, ValueType,
};
use super::guard::{Guard, Stopped};

/// Largest depth of an expression: each operator contains the expression before it. Brackets, signs and
/// right sides of operators are nested at most [`MAX_NESTING`] deep.
const MAX_DEPTH: usize = 500;

/// Violation of the syntax.
#[derive(Clone, Debug)]
pub(super) struct SyntaxError {
    /// Byte offset in the text.
    pub(super) at: usize,
    pub(super) reason: String,
}

impl SyntaxError {
    fn new(at: usize, reason: impl Into<String>) -> Self {
        Self {
            at,
            reason: reason.into(),
        }
    }
}

/// Failure of the parser.
pub(super) enum Failure {
    Syntax(SyntaxError),
    /// The guard stopped the query.
    Stopped(Stopped),
}

impl From<SyntaxError> for Failure {
    fn from(error: SyntaxError) -> Self {
        Self::Syntax(error)
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        Self::Stopped(stopped)
    }
}

type Result<T> = std::result::Result<T, Failure>;

/// Parses `text`, and charges `guard` for its regular expressions.
pub(super) fn parse(text: &str, guard: &Guard) -> Result<Expr> {
    let (tokens, lex_error) = lex::tokens(text);
    let mut parser = Parser {
        tokens,
        lex_error,
        at: 0,
        nesting: 0,
        guard,
    };
    if parser.peek().kind == Kind::End && parser.lex_error.is_none() {
        return fail(text.len(), "no expression found in input");
    }
    let Parsed { expr, .. } = parser.expression(0)?;
    match parser.peek().kind {
        Kind::End if parser.lex_error.is_none() => check_selectors(&expr).map(|()| expr),
        _ => Err(parser.unexpected("")),
    }
}

/// An expression and its depth.
struct Parsed {
    expr: Expr,
    depth: usize,
}

struct Parser<'t> {
    tokens: Vec<Token<'t>>,
    /// Lexical error behind the last token.
    lex_error: Option<SyntaxError>,
    at: usize,
    /// Number of brackets and signs around the current token.
    nesting: usize,
    guard: &'t Guard,
}

fn fail<T>(at: usize, why: impl Into<String>) -> Result<T> {
    Err(SyntaxError::new(at, why).into())
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Token<'t> {
        self.ahead(0)
    }

    fn ahead(&self, by: usize) -> Token<'t> {
        self.tokens[(self.at + by).min(self.tokens.len() - 1)]
    }

    fn next(&mut self) -> Token<'t> {
        let token = self.peek();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    /// Consumes the next token if it is `symbol`.
    fn eat(&mut self, symbol: &str) -> bool {
        let is = self.peek().is(symbol);
        if is {
            self.next();
        }
        is
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let is = self.peek().is_word(word);
        if is {
            self.next();
        }
        is
    }

    /// Returns the end of the last token.
    fn end(&self) -> usize {
        self.at
            .checked_sub(1)
            .map_or(0, |last| self.tokens[last].span().end)
    }

    /// Returns the error for an unexpected next token; `context` says where and what was expected.
    fn unexpected(&self, context: &str) -> Failure {
        let token = self.peek();
        match &self.lex_error {
            Some(error) if token.kind == Kind::End => error.clone().into(),
            _ => SyntaxError::new(
                token.start,
                format!("unexpected {}{context}", token.described()),
            )
            .into(),
        }
    }

    fn enter(&mut self) -> Result<()> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            Err(too_deep(self.peek().start, MAX_NESTING))
        } else {
            Ok(())
        }
    }

    /// Wraps an expression whose deepest part is `depth` deep.
    fn parsed(expr: Expr, depth: usize) -> Result<Parsed> {
        if depth >= MAX_DEPTH {
            return Err(too_deep(expr.span().start, MAX_DEPTH));
        }
        Ok(Parsed {
            expr,
            depth: depth + 1,
        })
    }

    /// Parses an operand with its sign, if it has one.
    fn operand(&mut self) -> Result<Parsed> {
        let sign = self.peek();
        if !sign.is("-") && !sign.is("+") {
            return self.postfix();
        }
        self.next();
        self.enter()?;
        let inner = self.expression(Op::Pow.precedence())?;
        self.nesting -= 1;
        check_signed(&inner.expr, sign.start)?;
        let at = Span {
            start: sign.start,
            end: inner.expr.span().end,
        };
        match inner.expr {
            Expr::Number(number) => {
                let val = if sign.is("-") {
                    -number.val
                } else {
                    number.val
                };
                Ok(Parsed {
                    expr: Expr::Number(NumberLiteral { val, at }),
                    ..inner
                })
            }
            expr if sign.is("+") => Ok(Parsed { expr, ..inner }),
            expr => Self::parsed(
                Expr::Unary(UnaryExpr {
                    expr: Box::new(expr),
                    at,
                }),
                inner.depth,
            ),
        }
    }

    fn expect_symbol(&mut self, symbol: &str, context: &str) -> Result<()> {
        if self.eat(symbol) {
            Ok(())
        } else {
            Err(self.unexpected(context))
        }
    }

    fn primary(&mut self) -> Result<Parsed> {
        let token = self.peek();
        match token.kind {
            Kind::Number | Kind::Duration => self.number(),
            Kind::String => {
                self.next();
                let (val, at) = (lex::unquoted(&token)?, token.span());
                Self::parsed(Expr::String(StringLiteral { val, at }), 0)
            }
            Kind::Symbol if token.text == "(" => self.parenthesized(),
            Kind::Symbol if token.text == "{" => self.selector(None),
            Kind::Identifier => self.identifier(),
            _ => Err(self.unexpected("")),
        }
    }

    fn number(&mut self) -> Result<Parsed> {
        let token = self.peek();
        let val = self.number_of(token)?.ok_or_else(|| self.unexpected(""))?;
        self.next();
        Self::parsed(
            Expr::Number(NumberLiteral {
                val,
                at: token.span(),
            }),
            0,
        )
    }

    fn parenthesized(&mut self) -> Result<Parsed> {
        let start = self.next().start;
        self.enter()?;
        let inner = self.expression(0)?;
        self.nesting -= 1;
        self.expect_symbol(")", "")?;
        let at = Span {
            start,
            end: self.end(),
        };
        Self::parsed(
            Expr::Paren(ParenExpr {
                expr: Box::new(inner.expr),
                at,
            }),
            inner.depth,
        )
    }

    /// Parses an expression that begins with an identifier: an aggregation, a call, a number or a
    /// selector.
    fn identifier(&mut self) -> Result<Parsed> {
        let token = self.peek();
        let word = token.text.to_ascii_lowercase();
        let behind = self.ahead(1);
        let aggregation = Aggregation::ALL.iter().find(|(name, _)| *name == word);
        if let Some((_, op)) = aggregation
            && (behind.is("(") || behind.is_word("by") || behind.is_word("without"))
        {
            return self.aggregation(*op);
        }
        match word.as_str() {
            "inf" | "nan" => return self.number(),
            "on" | "ignoring" | "bool" | "group_left" | "group_right" | "atan2" => {
                return Err(self.unexpected(""));
            }
            _ => {}
        }
        if behind.is("(") {
            return self.call();
        }
        self.next();
        self.selector(Some(token))
    }
}

/// Rejects a sign at `at` before strings and ranges.
fn check_signed(expr: &Expr, at: usize) -> Result<()> {
    let kind = expr.value_type();
    if !matches!(kind, ValueType::Scalar | ValueType::Vector) {
        let why = format!(
            "unary expression only allowed on expressions of type scalar or instant vector, got {:?}",
            kind.described()
        );
        return fail(at, why);
    }
    Ok(())
}

fn too_deep(at: usize, limit: usize) -> Failure {
    SyntaxError::new(at, format!("nested deeper than {limit}")).into()
}

#[cfg(test)]
mod tests;
