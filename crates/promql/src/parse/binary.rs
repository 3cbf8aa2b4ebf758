//! Binary operators and their modifiers.

use hashbrown::HashSet;

use super::super::ast::{BinModifier, BinaryExpr, Cardinality, Expr, LabelModifier, Op, ValueType};
use super::lex;
use super::lex::{Kind, Token};
use super::{Parsed, Parser, Result, fail};

impl Parser<'_> {
    /// Parses operators with at least this precedence.
    pub(super) fn expression(&mut self, min_precedence: u8) -> Result<Parsed> {
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
        if self.eat_word("bool") {
            modifier.return_bool = true;
            if !op.is_comparison() {
                return fail(
                    place,
                    "bool modifier can only be used on comparison operators",
                );
            }
        }
        let matched = self.matching(&mut modifier, op, left, place)?;
        let filled = self.fill(&mut modifier, op, left)?;
        Ok((modifier, matched || filled))
    }

    /// Parses `on` or `ignoring`, with the grouping behind it. Returns false if there is neither.
    fn matching(
        &mut self,
        modifier: &mut BinModifier,
        op: Op,
        left: usize,
        place: usize,
    ) -> Result<bool> {
        let on = self.peek().is_word("on");
        if !on && !self.peek().is_word("ignoring") {
            return Ok(false);
        }
        self.next();
        let labels = self.grouping()?;
        let matching = if on {
            LabelModifier::Include(labels)
        } else {
            LabelModifier::Exclude(labels)
        };
        if let Some(cardinality) = self.cardinality(&matching, op, left, place)? {
            modifier.card = cardinality;
        }
        modifier.matching = Some(matching);
        Ok(true)
    }

    /// Parses `group_left` or `group_right`, if one is next.
    fn cardinality(
        &mut self,
        matching: &LabelModifier,
        op: Op,
        left: usize,
        place: usize,
    ) -> Result<Option<Cardinality>> {
        let group_left = self.peek().is_word("group_left");
        if !group_left && !self.peek().is_word("group_right") {
            return Ok(None);
        }
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
        if let LabelModifier::Include(on) = matching {
            let included: HashSet<&String> = include.iter().collect();
            if let Some(label) = on.iter().find(|on| included.contains(on)) {
                let why = format!("label {label:?} must not occur in ON and GROUP clause at once");
                return fail(place, why);
            }
        }
        Ok(Some(if group_left {
            Cardinality::ManyToOne(include)
        } else {
            Cardinality::OneToMany(include)
        }))
    }

    /// Parses values for missing series. Returns false if there are none.
    fn fill(&mut self, modifier: &mut BinModifier, op: Op, left: usize) -> Result<bool> {
        let mut filled = false;
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
            filled = true;
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
        Ok(filled)
    }

    /// Parses label names in parentheses.
    pub(super) fn grouping(&mut self) -> Result<Vec<String>> {
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
