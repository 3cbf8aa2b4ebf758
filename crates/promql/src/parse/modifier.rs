//! Ranges, offsets and `@` behind an expression.

use std::time::Duration;

use super::super::ast::{
    AtModifier, Expr, MatrixSelector, Span, SubqueryExpr, TimeModifiers, ValueType,
};
use super::duration;
use super::lex;
use super::lex::{Kind, Token};
use super::{Parsed, Parser, Result, fail};

/// Longest duration in milliseconds. Go's limit is 2^63 nanoseconds.
const MAX_DURATION: i64 = i64::MAX / 1_000_000;

impl Parser<'_> {
    /// Parses an expression without operators, with the ranges, offsets and `@` behind it.
    pub(super) fn postfix(&mut self) -> Result<Parsed> {
        let mut parsed = self.primary()?;
        loop {
            let token = self.peek();
            if token.is("[") {
                parsed = self.range(parsed)?;
            } else if token.is_word("offset") {
                self.next();
                let offset = self.duration(true)?;
                let modifiers = time_modifiers(&mut parsed.expr, "offset")?;
                if modifiers.offset.replace(offset).is_some() {
                    return fail(
                        parsed.expr.span().start,
                        "offset may not be set multiple times",
                    );
                }
                self.extend_span(&mut parsed.expr);
            } else if token.is("@") {
                self.next();
                let at = self.at_timestamp(parsed.expr.span().start)?;
                let modifiers = time_modifiers(&mut parsed.expr, "@")?;
                if modifiers.at.replace(at).is_some() {
                    return fail(
                        parsed.expr.span().start,
                        "@ <timestamp> may not be set multiple times",
                    );
                }
                self.extend_span(&mut parsed.expr);
            } else {
                return Ok(parsed);
            }
        }
    }

    /// Extends the span of `expr` to the end of the last token.
    fn extend_span(&self, expr: &mut Expr) {
        let end = self.end();
        match expr {
            Expr::VectorSelector(one) => one.at.end = end,
            Expr::MatrixSelector(one) => one.at.end = end,
            Expr::Subquery(one) => one.at.end = end,
            _ => {}
        }
    }

    fn at_timestamp(&mut self, selected: usize) -> Result<AtModifier> {
        for (word, at) in [("start", AtModifier::Start), ("end", AtModifier::End)] {
            if self.peek().is_word(word) {
                self.next();
                self.expect_symbol("(", " in @, expected \"(\"")?;
                self.expect_symbol(")", " in @, expected \")\"")?;
                return Ok(at);
            }
        }
        let seconds = self.signed_number(" in @, expected timestamp")?;
        let millis = (seconds * 1000.0).round();
        if millis.is_nan() || millis.abs() >= i64::MAX as f64 {
            let shown = crate::functions::short_text(seconds);
            return fail(
                selected,
                format!("timestamp out of bounds for @ modifier: {shown}"),
            );
        }
        Ok(AtModifier::At(millis as i64))
    }

    pub(super) fn signed_number(&mut self, context: &str) -> Result<f64> {
        let minus = self.peek().is("-");
        if minus || self.peek().is("+") {
            self.next();
        }
        let value = self
            .number_of(self.peek())?
            .ok_or_else(|| self.unexpected(context))?;
        self.next();
        Ok(if minus { -value } else { value })
    }

    pub(super) fn number_of(&self, token: Token<'_>) -> Result<Option<f64>> {
        Ok(match token.kind {
            Kind::Number if !lex::in_range(token.text) => {
                let why = format!(
                    "error parsing number: strconv.ParseFloat: parsing {:?}: value out of range",
                    token.text
                );
                return fail(token.start, why);
            }
            Kind::Number => lex::value(token.text),
            Kind::Duration => duration::parse(token.text).map(|millis| millis as f64 / 1000.0),
            _ if token.is_word("inf") => Some(f64::INFINITY),
            _ if token.is_word("nan") => Some(f64::NAN),
            _ => None,
        })
    }

    /// Parses a duration such as `5m` or a number of seconds; positive unless `signed`. Returns
    /// milliseconds.
    fn duration(&mut self, signed: bool) -> Result<i64> {
        let first = self.peek();
        let context = if signed {
            " in offset, expected number or duration"
        } else {
            " in subquery or range selector, expected number or duration"
        };
        let minus = self.peek().is("-");
        if minus || self.peek().is("+") {
            if !signed && minus {
                return fail(first.start, "duration must be greater than 0");
            }
            self.next();
        }
        let token = self.peek();
        let millis = match token.kind {
            Kind::Duration => duration::parse(token.text),
            _ => {
                let seconds = self
                    .number_of(token)?
                    .ok_or_else(|| self.unexpected(context))?;
                let millis = (seconds * 1000.0).round();
                (millis.abs() <= MAX_DURATION as f64).then_some(millis as i64)
            }
        };
        self.next();
        let millis = millis.filter(|millis| *millis <= MAX_DURATION);
        let Some(millis) = millis else {
            return fail(token.start, "duration out of range");
        };
        if !signed && millis <= 0 {
            return fail(token.start, "duration must be greater than 0");
        }
        Ok(if minus { -millis } else { millis })
    }

    /// Parses the step of a subquery over `range`, and the closing bracket.
    fn subquery(&mut self, parsed: Parsed, range: Duration) -> Result<Parsed> {
        let step = match self.peek().is("]") {
            true => None,
            false => Some(Duration::from_millis(self.duration(false)?.unsigned_abs())),
        };
        self.expect_symbol("]", " in subquery selector, expected \"]\"")?;
        let kind = parsed.expr.value_type();
        if kind != ValueType::Vector {
            let kind = format!("{kind:?}").to_lowercase();
            let why = format!("subquery is only allowed on instant vector, got {kind} instead");
            return fail(parsed.expr.span().start, why);
        }
        let at = Span {
            start: parsed.expr.span().start,
            end: self.end(),
        };
        let subquery = SubqueryExpr {
            expr: Box::new(parsed.expr),
            range,
            step,
            modifiers: TimeModifiers::default(),
            at,
        };
        Self::parsed(Expr::Subquery(subquery), parsed.depth)
    }

    /// Parses `[5m]` or `[1h:5m]` behind `parsed`.
    fn range(&mut self, parsed: Parsed) -> Result<Parsed> {
        let bracket = self.next();
        let range = Duration::from_millis(self.duration(false)?.unsigned_abs());
        if self.eat(":") {
            return self.subquery(parsed, range);
        }
        self.expect_symbol(
            "]",
            " in subquery or range selector, expected \":\" or \"]\"",
        )?;
        let end = self.end();
        match parsed.expr {
            Expr::VectorSelector(vs) if vs.modifiers.offset.is_some() => {
                fail(bracket.start, "no offset modifiers allowed before range")
            }
            Expr::VectorSelector(vs) if vs.modifiers.at.is_some() => {
                fail(bracket.start, "no @ modifiers allowed before range")
            }
            Expr::VectorSelector(vs) => {
                let at = Span { end, ..vs.at };
                let matrix = MatrixSelector { vs, range, at };
                Ok(Parsed {
                    expr: Expr::MatrixSelector(matrix),
                    ..parsed
                })
            }
            _ => fail(bracket.start, "ranges only allowed for vector selectors"),
        }
    }
}

/// Returns the time modifiers of a selector or a subquery.
fn time_modifiers<'e>(expr: &'e mut Expr, word: &str) -> Result<&'e mut TimeModifiers> {
    match expr {
        Expr::VectorSelector(one) => Ok(&mut one.modifiers),
        Expr::MatrixSelector(one) => Ok(&mut one.vs.modifiers),
        Expr::Subquery(one) => Ok(&mut one.modifiers),
        other => fail(
            other.span().start,
            format!(
                "{word} modifier must be preceded by an instant vector selector or range vector selector or a subquery"
            ),
        ),
    }
}
