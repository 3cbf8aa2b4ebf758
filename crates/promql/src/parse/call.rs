//! Calls of functions, and aggregations.

use super::super::ast::{AggregateExpr, Aggregation, Call, Expr, LabelModifier, Span, ValueType};
use super::signature;
use super::{Parsed, Parser, Result, Signature, fail};

impl Parser<'_> {
    pub(super) fn aggregation(&mut self, op: Aggregation) -> Result<Parsed> {
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

    pub(super) fn call(&mut self) -> Result<Parsed> {
        let token = self.next();
        let Some(func) = signature::find(token.text) else {
            return fail(
                token.start,
                format!("unknown function with name {:?}", token.text),
            );
        };
        let (args, depth) = self.arguments()?;
        check_count(func, args.len(), token.start)?;
        for (place, arg) in args.iter().enumerate() {
            check_argument(func, place, arg)?;
        }
        let at = Span {
            start: token.start,
            end: self.end(),
        };
        Self::parsed(Expr::Call(Call { func, args, at }), depth)
    }
}

fn check_count(func: &Signature, count: usize, at: usize) -> Result<()> {
    let (min, max) = (func.min_arguments, func.max_arguments);
    let wanted = if min == max && count != min {
        min.to_string()
    } else if count < min {
        format!("at least {min}")
    } else if count > max {
        format!("at most {max}")
    } else {
        return Ok(());
    };
    let name = func.name;
    let why = format!("expected {wanted} argument(s) in call to {name:?}, got {count}");
    fail(at, why)
}

fn check_argument(func: &Signature, place: usize, arg: &Expr) -> Result<()> {
    let is_selector = func.name == "info" && place == 1;
    if is_selector && !matches!(arg, Expr::VectorSelector(_)) {
        return fail(arg.span().start, "expected label selectors only");
    }
    let kind = func.arguments.get(place).or(func.arguments.last()).copied();
    let context = format!("call to function {:?}", func.name);
    expect_type(arg, kind.unwrap_or(ValueType::Vector), &context)?;
    if let (Expr::VectorSelector(selector), true) = (arg, is_selector)
        && selector.name.is_some()
    {
        let why = "expected label selectors only, got vector selector instead";
        return fail(arg.span().start, why);
    }
    Ok(())
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
