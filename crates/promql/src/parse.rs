//! Parser of queries, with the error messages of Prometheus and their positions.
//!
//! Owns the language: tokens, operators and their precedence, types. No expression is deeper than
//! [`MAX_DEPTH`], so that recursive functions do not exhaust the stack.

mod duration;
mod lex;
mod signature;

use std::time::Duration;

use bellwether_core::{MAX_NESTING, METRIC_NAME};
use bellwether_matcher::{LabelMatcher, Pattern, PatternError, ValueTest};
pub(super) use duration::format as duration_text;
use hashbrown::HashSet;
pub(super) use signature::Signature;

use self::lex::{Kind, Token};
use super::ast::{
    AggregateExpr, Aggregation, AtModifier, BinModifier, BinaryExpr, Call, Cardinality, Expr,
    LabelModifier, MatrixSelector, NumberLiteral, Op, ParenExpr, Span, StringLiteral, SubqueryExpr,
    TimeModifiers, UnaryExpr, ValueType, VectorSelector,
};
use super::guard::{Guard, Stopped};

/// Largest depth of an expression: each operator contains the expression before it. Brackets, signs and
/// right sides of operators are nested at most [`MAX_NESTING`] deep.
const MAX_DEPTH: usize = 500;
/// Longest duration in milliseconds. Go's limit is 2^63 nanoseconds.
const MAX_DURATION: i64 = i64::MAX / 1_000_000;

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

/// Rejects selectors that match all series, except for the label selector of `info`.
fn check_selectors(expr: &Expr) -> Result<()> {
    let mut pending = vec![expr];
    while let Some(expr) = pending.pop() {
        match expr {
            Expr::VectorSelector(one) | Expr::MatrixSelector(MatrixSelector { vs: one, .. }) => {
                if one.name.is_none()
                    && one
                        .matchers
                        .iter()
                        .any(|tests| tests.iter().all(|one| one.test.matches("")))
                {
                    let why = "vector selector must contain at least one non-empty matcher";
                    return fail(one.at.start, why);
                }
            }
            Expr::Call(call) if call.func.name == "info" => pending.extend(call.args.first()),
            other => pending.extend(other.children()),
        }
    }
    Ok(())
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

    /// Parses operators with at least this precedence.
    fn expression(&mut self, min_precedence: u8) -> Result<Parsed> {
        let mut left = self.operand()?;
        while let Some(op) = self
            .operator()
            .filter(|op| op.precedence() >= min_precedence)
        {
            let token = self.next();
            let (modifier, modified) = self.modifier(op, left.expr.span().start, token.start)?;
            let precedence = op.precedence();
            let after = if op == Op::Pow {
                precedence
            } else {
                precedence + 1
            };
            self.enter()?;
            let right = self.expression(after)?;
            self.nesting -= 1;
            let depth = left.depth.max(right.depth);
            let (lhs, rhs) = (Box::new(left.expr), Box::new(right.expr));
            let binary = BinaryExpr {
                op,
                lhs,
                rhs,
                modifier,
            };
            check_binary(&binary, token, modified)?;
            left = Self::parsed(Expr::Binary(binary), depth)?;
        }
        Ok(left)
    }

    fn operator(&self) -> Option<Op> {
        let token = self.peek();
        Op::ALL
            .iter()
            .find(|(text, _)| token.is(text) || token.is_word(text))
            .map(|(_, op)| *op)
    }

    /// Parses the modifiers of the operator at `place`, whose left side is at `left`. Returns whether some
    /// of them require vectors.
    fn modifier(&mut self, op: Op, left: usize, place: usize) -> Result<(BinModifier, bool)> {
        let mut modifier = BinModifier::default();
        let mut modified = false;
        if self.eat_word("bool") {
            modifier.return_bool = true;
            if !op.is_comparison() {
                return fail(
                    place,
                    "bool modifier can only be used on comparison operators",
                );
            }
        }
        let on = self.peek().is_word("on");
        if on || self.peek().is_word("ignoring") {
            self.next();
            modified = true;
            let labels = self.grouping()?;
            modifier.matching = Some(if on {
                LabelModifier::Include(labels)
            } else {
                LabelModifier::Exclude(labels)
            });
            let group_left = self.peek().is_word("group_left");
            if group_left || self.peek().is_word("group_right") {
                self.next();
                let include = if self.peek().is("(") {
                    self.grouping()?
                } else {
                    Vec::new()
                };
                if op.is_set() {
                    return fail(
                        left,
                        format!("no grouping allowed for {:?} operation", op.text()),
                    );
                }
                let twice = match &modifier.matching {
                    Some(LabelModifier::Include(on)) => {
                        let included: HashSet<&String> = include.iter().collect();
                        on.iter().find(|on| included.contains(on))
                    }
                    _ => None,
                };
                if let Some(label) = twice {
                    let why =
                        format!("label {label:?} must not occur in ON and GROUP clause at once");
                    return fail(place, why);
                }
                modifier.card = if group_left {
                    Cardinality::ManyToOne(include)
                } else {
                    Cardinality::OneToMany(include)
                };
            }
        }
        while let Some(side) = ["fill", "fill_left", "fill_right"]
            .into_iter()
            .find(|word| self.peek().is_word(word) && self.ahead(1).is("("))
        {
            self.next();
            if op.is_set() {
                return fail(
                    left,
                    "filling in missing series not allowed for set operators",
                );
            }
            modified = true;
            self.next();
            let value = self.signed_number(" in fill modifier, expected number")?;
            self.expect_symbol(")", " in fill modifier, expected \")\"")?;
            if side != "fill_right" {
                modifier.fill.lhs = Some(value);
            }
            if side != "fill_left" {
                modifier.fill.rhs = Some(value);
            }
        }
        Ok((modifier, modified))
    }

    fn expect_symbol(&mut self, symbol: &str, context: &str) -> Result<()> {
        if self.eat(symbol) {
            Ok(())
        } else {
            Err(self.unexpected(context))
        }
    }

    /// Parses label names in parentheses.
    fn grouping(&mut self) -> Result<Vec<String>> {
        const CONTEXT: &str = " in grouping opts, expected label";
        self.expect_symbol("(", " in grouping opts, expected \"(\"")?;
        let mut labels = Vec::new();
        while !self.eat(")") {
            let token = self.peek();
            labels.push(match token.kind {
                Kind::Identifier if !token.text.contains(':') => token.text.to_owned(),
                Kind::String => lex::unquoted(&token)?,
                _ => return Err(self.unexpected(CONTEXT)),
            });
            self.next();
            if !self.eat(",") && !self.peek().is(")") {
                return Err(self.unexpected(" in grouping opts, expected \",\" or \")\""));
            }
        }
        Ok(labels)
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
        let kind = inner.expr.value_type();
        if !matches!(kind, ValueType::Scalar | ValueType::Vector) {
            let why = format!(
                "unary expression only allowed on expressions of type scalar or instant vector, got {:?}",
                kind.described()
            );
            return fail(sign.start, why);
        }
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

    /// Parses an expression without operators, with the ranges, offsets and `@` behind it.
    fn postfix(&mut self) -> Result<Parsed> {
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
            let shown = super::functions::short_text(seconds);
            return fail(
                selected,
                format!("timestamp out of bounds for @ modifier: {shown}"),
            );
        }
        Ok(AtModifier::At(millis as i64))
    }

    fn signed_number(&mut self, context: &str) -> Result<f64> {
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

    fn number_of(&self, token: Token<'_>) -> Result<Option<f64>> {
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

    /// Parses `[5m]` or `[1h:5m]` behind `parsed`.
    fn range(&mut self, parsed: Parsed) -> Result<Parsed> {
        let bracket = self.next();
        let range = Duration::from_millis(self.duration(false)?.unsigned_abs());
        if self.eat(":") {
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
            let expr = Box::new(parsed.expr);
            let modifiers = TimeModifiers::default();
            let subquery = SubqueryExpr {
                expr,
                range,
                step,
                modifiers,
                at,
            };
            return Self::parsed(Expr::Subquery(subquery), parsed.depth);
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

    fn aggregation(&mut self, op: Aggregation) -> Result<Parsed> {
        let start = self.next().start;
        let mut modifier = self.aggregation_modifier()?;
        let (mut args, depth) = self.arguments()?;
        if modifier.is_none() {
            modifier = self.aggregation_modifier()?;
        }
        let at = Span {
            start,
            end: self.end(),
        };
        let wanted = 1 + usize::from(op.parameter().is_some());
        if args.is_empty() {
            return fail(start, "no arguments for aggregate expression provided");
        }
        if args.len() != wanted {
            let why = format!(
                "wrong number of arguments for aggregate expression provided, expected {wanted}, got {}",
                args.len()
            );
            return fail(start, why);
        }
        let Some(expr) = args.pop() else {
            return Err(self.unexpected(""));
        };
        expect_type(&expr, ValueType::Vector, "aggregation expression")?;
        let param = args.pop().map(Box::new);
        if let (Some(param), Some(kind)) = (&param, op.parameter()) {
            expect_type(param, kind, "aggregation parameter")?;
        }
        let expr = Box::new(expr);
        Self::parsed(
            Expr::Aggregate(AggregateExpr {
                op,
                expr,
                param,
                modifier,
                at,
            }),
            depth,
        )
    }

    fn aggregation_modifier(&mut self) -> Result<Option<LabelModifier>> {
        if self.eat_word("by") {
            Ok(Some(LabelModifier::Include(self.grouping()?)))
        } else if self.eat_word("without") {
            Ok(Some(LabelModifier::Exclude(self.grouping()?)))
        } else {
            Ok(None)
        }
    }

    /// Parses arguments in parentheses; returns them with the largest depth.
    fn arguments(&mut self) -> Result<(Vec<Expr>, usize)> {
        self.expect_symbol("(", " in aggregation, expected \"(\"")?;
        self.enter()?;
        let (mut args, mut depth) = (Vec::new(), 0);
        while !self.eat(")") {
            let parsed = self.expression(0)?;
            depth = depth.max(parsed.depth);
            args.push(parsed.expr);
            let comma = self.peek();
            if self.eat(",") {
                if self.peek().is(")") {
                    return fail(
                        comma.start,
                        "trailing commas not allowed in function call args",
                    );
                }
            } else if !self.peek().is(")") {
                return Err(self.unexpected(""));
            }
        }
        self.nesting -= 1;
        Ok((args, depth))
    }

    fn call(&mut self) -> Result<Parsed> {
        let token = self.next();
        let Some(func) = signature::find(token.text) else {
            return fail(
                token.start,
                format!("unknown function with name {:?}", token.text),
            );
        };
        let (args, depth) = self.arguments()?;
        let wrong = |wanted: String| {
            let (name, got) = (func.name, args.len());
            fail(
                token.start,
                format!("expected {wanted} argument(s) in call to {name:?}, got {got}"),
            )
        };
        if func.min_arguments == func.max_arguments && args.len() != func.min_arguments {
            return wrong(func.min_arguments.to_string());
        } else if args.len() < func.min_arguments {
            return wrong(format!("at least {}", func.min_arguments));
        } else if args.len() > func.max_arguments {
            return wrong(format!("at most {}", func.max_arguments));
        }
        for (place, arg) in args.iter().enumerate() {
            let kind = func.arguments.get(place).or(func.arguments.last()).copied();
            let context = format!("call to function {:?}", func.name);
            if func.name == "info" && place == 1 && !matches!(arg, Expr::VectorSelector(_)) {
                return fail(arg.span().start, "expected label selectors only");
            }
            expect_type(arg, kind.unwrap_or(ValueType::Vector), &context)?;
            let labels = func.name == "info" && place == 1;
            if let (Expr::VectorSelector(selector), true) = (arg, labels)
                && selector.name.is_some()
            {
                let why = "expected label selectors only, got vector selector instead";
                return fail(arg.span().start, why);
            }
        }
        let at = Span {
            start: token.start,
            end: self.end(),
        };
        Self::parsed(Expr::Call(Call { func, args, at }), depth)
    }

    fn selector(&mut self, name: Option<Token<'t>>) -> Result<Parsed> {
        let start = name.map_or(self.peek().start, |name| name.start);
        let mut named = name.map(|name| name.text.to_owned());
        let mut alternatives = vec![Vec::new()];
        let mut quoted = None;
        if self.eat("{") {
            while !self.eat("}") {
                let token = self.peek();
                match self.matcher()? {
                    BraceItem::Name(text) => {
                        if let Some(before) = named.replace(text.clone()) {
                            return fail(start, duplicate_name(&before, &text));
                        }
                        quoted = Some(token.start);
                    }
                    BraceItem::Matcher(matcher) => {
                        if let Some(last) = alternatives.last_mut() {
                            last.push(matcher);
                        }
                    }
                }
                if self.eat_word("or") {
                    alternatives.push(Vec::new());
                } else if !self.eat(",") && !self.peek().is("}") {
                    return Err(self.unexpected(" in label matching, expected \",\" or \"}\""));
                }
            }
        }
        if let Some(name) = &named {
            let other = alternatives
                .iter()
                .flatten()
                .find(|one| &*one.name == METRIC_NAME);
            if let Some(other) = other {
                return fail(
                    quoted.unwrap_or(start),
                    duplicate_name(name, other.test.operand()),
                );
            }
        }
        let at = Span {
            start,
            end: self.end(),
        };
        let modifiers = TimeModifiers::default();
        let selector = VectorSelector {
            name: named,
            matchers: alternatives,
            modifiers,
            at,
        };
        Self::parsed(Expr::VectorSelector(selector), 0)
    }

    /// Parses `a="b"`, or a quoted metric name.
    fn matcher(&mut self) -> Result<BraceItem> {
        let token = self.peek();
        let name = match token.kind {
            Kind::Identifier => token.text.to_owned(),
            Kind::String => lex::unquoted(&token)?,
            _ => {
                return Err(self.unexpected(" in label matching, expected identifier or \"}\""));
            }
        };
        self.next();
        let op = self.peek();
        let is_end = op.is(",") || op.is("}") || op.is_word("or");
        if token.kind == Kind::String && is_end {
            return Ok(BraceItem::Name(name));
        }
        if op.kind != Kind::Symbol || !matches!(op.text, "=" | "!=" | "=~" | "!~") {
            return Err(self.unexpected(" in label matching, expected label matching operator"));
        }
        self.next();
        let value = self.peek();
        if value.kind != Kind::String {
            return Err(self.unexpected(" in label matching, expected string"));
        }
        let text = lex::unquoted(&value)?;
        self.next();
        let negated = op.text.starts_with('!');
        let test = if op.text.ends_with('~') {
            let pattern = pattern(&text, self.guard).map_err(|error| match error {
                PatternFailure::Invalid(why) => {
                    SyntaxError::new(token.start, format!("error parsing regexp: {why}")).into()
                }
                PatternFailure::Stopped(stopped) => Failure::Stopped(stopped),
            })?;
            ValueTest::from_pattern(pattern, negated)
        } else {
            self.guard.charge_bytes(text.len())?;
            ValueTest::equal(&text, negated)
        };
        Ok(BraceItem::Matcher(LabelMatcher {
            name: name.into(),
            test,
        }))
    }
}

/// Item in the braces of a selector.
enum BraceItem {
    Name(String),
    Matcher(LabelMatcher),
}

/// Failure to compile a regular expression.
pub(super) enum PatternFailure {
    Invalid(PatternError),
    /// The guard stopped the query.
    Stopped(Stopped),
}

/// Compiles a regular expression. Charges the guard with the memory of compilation before it, and with
/// the memory of the result after it.
pub(super) fn pattern(source: &str, guard: &Guard) -> std::result::Result<Pattern, PatternFailure> {
    let before = guard.usage();
    guard
        .charge_bytes(Pattern::parse_bytes(source))
        .map_err(PatternFailure::Stopped)?;
    let pattern = Pattern::new(source).map_err(PatternFailure::Invalid)?;
    let held = super::guard::Usage {
        samples: 0,
        bytes: pattern.bytes() as u64,
    };
    guard
        .settle(before, held)
        .map_err(PatternFailure::Stopped)?;
    Ok(pattern)
}

fn too_deep(at: usize, limit: usize) -> Failure {
    SyntaxError::new(at, format!("nested deeper than {limit}")).into()
}

fn duplicate_name(one: &str, other: &str) -> String {
    format!("metric name must not be set twice: {one:?} or {other:?}")
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

fn expect_type(expr: &Expr, kind: ValueType, context: &str) -> Result<()> {
    let got = expr.value_type();
    if got == kind {
        return Ok(());
    }
    let (kind, got) = (kind.described(), got.described());
    fail(
        expr.span().start,
        format!("expected type {kind} in {context}, got {got}"),
    )
}

fn check_binary(binary: &BinaryExpr, op: Token<'_>, modified: bool) -> Result<()> {
    let BinaryExpr {
        lhs, rhs, modifier, ..
    } = binary;
    for side in [lhs, rhs] {
        if !matches!(side.value_type(), ValueType::Scalar | ValueType::Vector) {
            let why = "binary expression must contain only scalar and instant vector types";
            return fail(side.span().start, why);
        }
    }
    let left = lhs.value_type() == ValueType::Scalar;
    let right = rhs.value_type() == ValueType::Scalar;
    let at = lhs.span().start;
    if binary.op.is_comparison() && !modifier.return_bool && left && right {
        return fail(
            op.start,
            "comparisons between scalars must use BOOL modifier",
        );
    }
    if binary.op.is_set() && (left || right) {
        let why = format!(
            "set operator {:?} not allowed in binary scalar expression",
            op.text
        );
        return fail(at, why);
    }
    if modified && (left || right) {
        return fail(at, "vector matching only allowed between instant vectors");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
