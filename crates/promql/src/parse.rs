//! From the text of a query to its expression, with Prometheus's errors and their places.
//!
//! Owns the language: its words, its operators and how they bind, the types of all parts. Nothing
//! that was read is deeper than [`MAX_DEPTH`], so whatever walks it does not exhaust the stack.

mod duration;
mod lex;
mod signature;

use std::time::Duration;

use bellwether_core::{MAX_NESTING, METRIC_NAME};
use bellwether_matcher::{LabelMatcher, Pattern, ValueTest};
pub(super) use duration::shown as duration_text;
use hashbrown::HashSet;
pub(super) use signature::Signature;

use self::lex::{Kind, Token};
use super::ast::{
    AggregateExpr, Aggregation, AtModifier, BinModifier, BinaryExpr, Call, Cardinality, Expr,
    LabelModifier, MatrixSelector, NumberLiteral, Op, ParenExpr, Span, StringLiteral, SubqueryExpr,
    TimeModifiers, UnaryExpr, ValueType, VectorSelector,
};
use super::guard::{Guard, Stopped};

/// Deepest expression: each operator holds what is before it. Brackets, signs and operators that
/// wait for their right side are nested [`MAX_NESTING`] deep at the most.
const MAX_DEPTH: usize = 500;
/// Longest duration, as Go has it: 2^63 nanoseconds.
const MAX_DURATION: i64 = i64::MAX / 1_000_000;

/// A place in the text, and what is wrong there.
type Failed = (usize, String);

/// Why a text is no query.
pub(super) enum Refused {
    /// It makes no sense: a place in the text, and why.
    Syntax(usize, String),
    /// Its regular expressions need more than the query may have.
    Stopped(Stopped),
}

impl From<Failed> for Refused {
    fn from((at, why): Failed) -> Self {
        Self::Syntax(at, why)
    }
}

type Result<T> = std::result::Result<T, Refused>;

/// Reads `text`; what its regular expressions take is counted by `guard`.
pub(super) fn parse(text: &str, guard: &Guard) -> Result<Expr> {
    let (tokens, broken) = lex::tokens(text);
    let mut parser = Parser {
        tokens,
        broken,
        at: 0,
        inside: 0,
        guard,
    };
    if parser.peek().kind == Kind::End && parser.broken.is_none() {
        return Err(Refused::Syntax(
            text.len(),
            "no expression found in input".into(),
        ));
    }
    let Parsed { expr, .. } = parser.expression(0)?;
    match parser.peek().kind {
        Kind::End if parser.broken.is_none() => selective(&expr).map(|()| expr),
        _ => Err(parser.unexpected("")),
    }
}

/// Refuses selectors of all series, but for that of the labels that `info` takes.
fn selective(expr: &Expr) -> Result<()> {
    let mut left = vec![expr];
    while let Some(expr) = left.pop() {
        match expr {
            Expr::VectorSelector(one) | Expr::MatrixSelector(MatrixSelector { vs: one, .. }) => {
                let all = |tests: &Vec<LabelMatcher>| tests.iter().all(|one| one.test.accepts(""));
                if one.name.is_none() && one.matchers.iter().any(all) {
                    let why = "vector selector must contain at least one non-empty matcher";
                    return fail(one.at.start, why);
                }
            }
            Expr::Call(call) if call.func.name == "info" => left.extend(call.args.first()),
            other => left.extend(other.children()),
        }
    }
    Ok(())
}

/// An expression and how deep it is.
struct Parsed {
    expr: Expr,
    depth: usize,
}

struct Parser<'t> {
    tokens: Vec<Token<'t>>,
    /// What is no word, behind the last that is one.
    broken: Option<Failed>,
    at: usize,
    /// Brackets and signs around what is read now.
    inside: usize,
    guard: &'t Guard,
}

fn fail<T>(at: usize, why: impl Into<String>) -> Result<T> {
    Err(Refused::Syntax(at, why.into()))
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

    /// Takes the symbol if it is next.
    fn takes(&mut self, symbol: &str) -> bool {
        let is = self.peek().is(symbol);
        if is {
            self.next();
        }
        is
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is = self.peek().is_word(word);
        if is {
            self.next();
        }
        is
    }

    /// Where what was taken last ends.
    fn end(&self) -> usize {
        self.at
            .checked_sub(1)
            .map_or(0, |last| self.tokens[last].span().end)
    }

    /// What is next does not belong there; `context` says where, and what does.
    fn unexpected(&self, context: &str) -> Refused {
        let token = self.peek();
        match &self.broken {
            Some((at, why)) if token.kind == Kind::End => Refused::Syntax(*at, why.clone()),
            _ => Refused::Syntax(
                token.start,
                format!("unexpected {}{context}", token.described()),
            ),
        }
    }

    fn deeper(&mut self) -> Result<()> {
        self.inside += 1;
        if self.inside > MAX_NESTING {
            Err(too_deep(self.peek().start, MAX_NESTING))
        } else {
            Ok(())
        }
    }

    /// An expression of `parts`, the deepest of which is `depth` deep.
    fn made(expr: Expr, depth: usize) -> Result<Parsed> {
        if depth >= MAX_DEPTH {
            return Err(too_deep(expr.span().start, MAX_DEPTH));
        }
        Ok(Parsed {
            expr,
            depth: depth + 1,
        })
    }

    /// Operators that bind at least as close as `least`.
    fn expression(&mut self, least: u8) -> Result<Parsed> {
        let mut left = self.operand()?;
        while let Some(op) = self.operator().filter(|op| op.precedence() >= least) {
            let token = self.next();
            let (modifier, modified) = self.modifier(op, left.expr.span().start, token.start)?;
            let precedence = op.precedence();
            let after = if op == Op::Pow {
                precedence
            } else {
                precedence + 1
            };
            self.deeper()?;
            let right = self.expression(after)?;
            self.inside -= 1;
            let depth = left.depth.max(right.depth);
            let (lhs, rhs) = (Box::new(left.expr), Box::new(right.expr));
            let binary = BinaryExpr {
                op,
                lhs,
                rhs,
                modifier,
            };
            checked_binary(&binary, token, modified)?;
            left = Self::made(Expr::Binary(binary), depth)?;
        }
        Ok(left)
    }

    fn operator(&self) -> Option<Op> {
        let token = self.peek();
        let known = |(text, _): &&(&str, Op)| token.is(text) || token.is_word(text);
        Op::ALL.iter().find(known).map(|(_, op)| *op)
    }

    /// What stands behind an operator at `place`, whose left side is at `left`; and whether some of
    /// it needs vectors.
    fn modifier(&mut self, op: Op, left: usize, place: usize) -> Result<(BinModifier, bool)> {
        let mut modifier = BinModifier::default();
        let mut modified = false;
        if self.takes_word("bool") {
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
            self.closed(")", " in fill modifier, expected \")\"")?;
            if side != "fill_right" {
                modifier.fill.lhs = Some(value);
            }
            if side != "fill_left" {
                modifier.fill.rhs = Some(value);
            }
        }
        Ok((modifier, modified))
    }

    fn closed(&mut self, symbol: &str, context: &str) -> Result<()> {
        if self.takes(symbol) {
            Ok(())
        } else {
            Err(self.unexpected(context))
        }
    }

    /// Names of labels in brackets.
    fn grouping(&mut self) -> Result<Vec<String>> {
        const CONTEXT: &str = " in grouping opts, expected label";
        self.closed("(", " in grouping opts, expected \"(\"")?;
        let mut labels = Vec::new();
        while !self.takes(")") {
            let token = self.peek();
            labels.push(match token.kind {
                Kind::Identifier if !token.text.contains(':') => token.text.to_owned(),
                Kind::String => lex::unquoted(&token)?,
                _ => return Err(self.unexpected(CONTEXT)),
            });
            self.next();
            if !self.takes(",") && !self.peek().is(")") {
                return Err(self.unexpected(" in grouping opts, expected \",\" or \")\""));
            }
        }
        Ok(labels)
    }

    /// A sign and what it is in front of, or what has none, with what follows it.
    fn operand(&mut self) -> Result<Parsed> {
        let sign = self.peek();
        if !sign.is("-") && !sign.is("+") {
            return self.followed();
        }
        self.next();
        self.deeper()?;
        let inner = self.expression(Op::Pow.precedence())?;
        self.inside -= 1;
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
            expr => Self::made(
                Expr::Unary(UnaryExpr {
                    expr: Box::new(expr),
                    at,
                }),
                inner.depth,
            ),
        }
    }

    /// An expression without operators, with ranges, offsets and `@` behind it.
    fn followed(&mut self) -> Result<Parsed> {
        let mut parsed = self.primary()?;
        loop {
            let token = self.peek();
            if token.is("[") {
                parsed = self.range(parsed)?;
            } else if token.is_word("offset") {
                self.next();
                let offset = self.duration(true)?;
                let moment = moment_of(&mut parsed.expr, "offset")?;
                if moment.offset.replace(offset).is_some() {
                    return fail(
                        parsed.expr.span().start,
                        "offset may not be set multiple times",
                    );
                }
                self.stretch(&mut parsed.expr);
            } else if token.is("@") {
                self.next();
                let at = self.moment(parsed.expr.span().start)?;
                let moment = moment_of(&mut parsed.expr, "@")?;
                if moment.at.replace(at).is_some() {
                    return fail(
                        parsed.expr.span().start,
                        "@ <timestamp> may not be set multiple times",
                    );
                }
                self.stretch(&mut parsed.expr);
            } else {
                return Ok(parsed);
            }
        }
    }

    /// Lets `expr` end where what was taken last does.
    fn stretch(&self, expr: &mut Expr) {
        let end = self.end();
        match expr {
            Expr::VectorSelector(one) => one.at.end = end,
            Expr::MatrixSelector(one) => one.at.end = end,
            Expr::Subquery(one) => one.at.end = end,
            _ => {}
        }
    }

    fn moment(&mut self, selected: usize) -> Result<AtModifier> {
        for (word, at) in [("start", AtModifier::Start), ("end", AtModifier::End)] {
            if self.peek().is_word(word) {
                self.next();
                self.closed("(", " in @, expected \"(\"")?;
                self.closed(")", " in @, expected \")\"")?;
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

    /// Milliseconds, of `5m` or of a number of seconds; more than 0 unless `signed`.
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

    /// `[5m]` or `[1h:5m]` behind `parsed`.
    fn range(&mut self, parsed: Parsed) -> Result<Parsed> {
        let bracket = self.next();
        let range = Duration::from_millis(self.duration(false)?.unsigned_abs());
        if self.takes(":") {
            let step = match self.peek().is("]") {
                true => None,
                false => Some(Duration::from_millis(self.duration(false)?.unsigned_abs())),
            };
            self.closed("]", " in subquery selector, expected \"]\"")?;
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
            let moment = TimeModifiers::default();
            let subquery = SubqueryExpr {
                expr,
                range,
                step,
                moment,
                at,
            };
            return Self::made(Expr::Subquery(subquery), parsed.depth);
        }
        self.closed(
            "]",
            " in subquery or range selector, expected \":\" or \"]\"",
        )?;
        let end = self.end();
        match parsed.expr {
            Expr::VectorSelector(vs) if vs.moment.offset.is_some() => {
                fail(bracket.start, "no offset modifiers allowed before range")
            }
            Expr::VectorSelector(vs) if vs.moment.at.is_some() => {
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
                Self::made(Expr::String(StringLiteral { val, at }), 0)
            }
            Kind::Symbol if token.text == "(" => self.bracketed(),
            Kind::Symbol if token.text == "{" => self.selector(None),
            Kind::Identifier => self.named(),
            _ => Err(self.unexpected("")),
        }
    }

    fn number(&mut self) -> Result<Parsed> {
        let token = self.peek();
        let val = self.number_of(token)?.ok_or_else(|| self.unexpected(""))?;
        self.next();
        Self::made(
            Expr::Number(NumberLiteral {
                val,
                at: token.span(),
            }),
            0,
        )
    }

    fn bracketed(&mut self) -> Result<Parsed> {
        let start = self.next().start;
        self.deeper()?;
        let inner = self.expression(0)?;
        self.inside -= 1;
        self.closed(")", "")?;
        let at = Span {
            start,
            end: self.end(),
        };
        Self::made(
            Expr::Paren(ParenExpr {
                expr: Box::new(inner.expr),
                at,
            }),
            inner.depth,
        )
    }

    /// What begins with a name: an aggregation, a call, a number, a selector.
    fn named(&mut self) -> Result<Parsed> {
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
        is_of(&expr, ValueType::Vector, "aggregation expression")?;
        let param = args.pop().map(Box::new);
        if let (Some(param), Some(kind)) = (&param, op.parameter()) {
            is_of(param, kind, "aggregation parameter")?;
        }
        let expr = Box::new(expr);
        Self::made(
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
        if self.takes_word("by") {
            Ok(Some(LabelModifier::Include(self.grouping()?)))
        } else if self.takes_word("without") {
            Ok(Some(LabelModifier::Exclude(self.grouping()?)))
        } else {
            Ok(None)
        }
    }

    /// Arguments in brackets, and how deep they are.
    fn arguments(&mut self) -> Result<(Vec<Expr>, usize)> {
        self.closed("(", " in aggregation, expected \"(\"")?;
        self.deeper()?;
        let (mut args, mut depth) = (Vec::new(), 0);
        while !self.takes(")") {
            let parsed = self.expression(0)?;
            depth = depth.max(parsed.depth);
            args.push(parsed.expr);
            let comma = self.peek();
            if self.takes(",") {
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
        self.inside -= 1;
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
        if func.least == func.most && args.len() != func.least {
            return wrong(func.least.to_string());
        } else if args.len() < func.least {
            return wrong(format!("at least {}", func.least));
        } else if args.len() > func.most {
            return wrong(format!("at most {}", func.most));
        }
        for (place, arg) in args.iter().enumerate() {
            let kind = func.takes.get(place).or(func.takes.last()).copied();
            let context = format!("call to function {:?}", func.name);
            if func.name == "info" && place == 1 && !matches!(arg, Expr::VectorSelector(_)) {
                return fail(arg.span().start, "expected label selectors only");
            }
            is_of(arg, kind.unwrap_or(ValueType::Vector), &context)?;
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
        Self::made(Expr::Call(Call { func, args, at }), depth)
    }

    fn selector(&mut self, name: Option<Token<'t>>) -> Result<Parsed> {
        let start = name.map_or(self.peek().start, |name| name.start);
        let mut named = name.map(|name| name.text.to_owned());
        let mut alternatives = vec![Vec::new()];
        let mut quoted = None;
        if self.takes("{") {
            while !self.takes("}") {
                let token = self.peek();
                match self.matcher()? {
                    Found::Name(text) => {
                        if let Some(before) = named.replace(text.clone()) {
                            return fail(start, twice(&before, &text));
                        }
                        quoted = Some(token.start);
                    }
                    Found::Matcher(matcher) => {
                        if let Some(last) = alternatives.last_mut() {
                            last.push(matcher);
                        }
                    }
                }
                if self.takes_word("or") {
                    alternatives.push(Vec::new());
                } else if !self.takes(",") && !self.peek().is("}") {
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
                return fail(quoted.unwrap_or(start), twice(name, other.test.operand()));
            }
        }
        let at = Span {
            start,
            end: self.end(),
        };
        let moment = TimeModifiers::default();
        let selector = VectorSelector {
            name: named,
            matchers: alternatives,
            moment,
            at,
        };
        Self::made(Expr::VectorSelector(selector), 0)
    }

    /// `a="b"`, or a quoted name of a metric.
    fn matcher(&mut self) -> Result<Found> {
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
            return Ok(Found::Name(name));
        }
        let known = op.kind == Kind::Symbol && matches!(op.text, "=" | "!=" | "=~" | "!~");
        if !known {
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
                Refused::Syntax(_, why) => {
                    Refused::Syntax(token.start, format!("error parsing regexp: {why}"))
                }
                stopped => stopped,
            })?;
            ValueTest::matching(pattern, negated)
        } else {
            self.guard
                .charge_bytes(text.len())
                .map_err(Refused::Stopped)?;
            ValueTest::equal(&text, negated)
        };
        Ok(Found::Matcher(LabelMatcher {
            name: name.into(),
            test,
        }))
    }
}

/// What stands between the braces of a selector.
enum Found {
    Name(String),
    Matcher(LabelMatcher),
}

/// A regular expression, counted before it is compiled and then as what it takes.
pub(super) fn pattern(source: &str, guard: &Guard) -> Result<Pattern> {
    let before = guard.held();
    guard
        .charge_bytes(Pattern::reading(source))
        .map_err(Refused::Stopped)?;
    let pattern = Pattern::new(source).map_err(|why| Refused::Syntax(0, why))?;
    let held = super::guard::Held {
        samples: 0,
        bytes: pattern.bytes() as u64,
    };
    guard.settle(before, held).map_err(Refused::Stopped)?;
    Ok(pattern)
}

fn too_deep(at: usize, most: usize) -> Refused {
    Refused::Syntax(at, format!("nested deeper than {most}"))
}

fn twice(one: &str, other: &str) -> String {
    format!("metric name must not be set twice: {one:?} or {other:?}")
}

/// Where `offset` or `@` of a selector or a subquery goes.
fn moment_of<'e>(expr: &'e mut Expr, word: &str) -> Result<&'e mut TimeModifiers> {
    match expr {
        Expr::VectorSelector(one) => Ok(&mut one.moment),
        Expr::MatrixSelector(one) => Ok(&mut one.vs.moment),
        Expr::Subquery(one) => Ok(&mut one.moment),
        other => fail(
            other.span().start,
            format!(
                "{word} modifier must be preceded by an instant vector selector or range vector selector or a subquery"
            ),
        ),
    }
}

fn is_of(expr: &Expr, kind: ValueType, context: &str) -> Result<()> {
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

fn checked_binary(binary: &BinaryExpr, op: Token<'_>, modified: bool) -> Result<()> {
    let BinaryExpr {
        lhs, rhs, modifier, ..
    } = binary;
    for side in [lhs, rhs] {
        if !matches!(side.value_type(), ValueType::Scalar | ValueType::Vector) {
            let why = "binary expression must contain only scalar and instant vector types";
            return fail(side.span().start, why);
        }
    }
    let scalar = |side: &Expr| side.value_type() == ValueType::Scalar;
    let (left, right) = (scalar(lhs), scalar(rhs));
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
