//! Selectors of series, and the matchers in their braces.

use bellwether_core::METRIC_NAME;
use bellwether_matcher::{LabelMatcher, Pattern, PatternError, ValueTest};

use super::super::ast::{Expr, MatrixSelector, Span, TimeModifiers, VectorSelector};
use super::super::guard::{Guard, Stopped, Usage};
use super::lex;
use super::lex::{Kind, Token};
use super::{Parsed, Parser, Result, fail};

/// Rejects selectors that match all series, except for the label selector of `info`.
pub(super) fn check_selectors(expr: &Expr) -> Result<()> {
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

impl<'t> Parser<'t> {
    pub(super) fn selector(&mut self, name: Option<Token<'t>>) -> Result<Parsed> {
        let start = name.map_or(self.peek().start, |name| name.start);
        let mut selector = Selected {
            start,
            name: name.map(|name| name.text.to_owned()),
            quoted: None,
            alternatives: vec![Vec::new()],
        };
        if self.eat("{") {
            self.braces(&mut selector)?;
        }
        selector.check_name()?;
        let at = Span {
            start,
            end: self.end(),
        };
        let selector = VectorSelector {
            name: selector.name,
            matchers: selector.alternatives,
            modifiers: TimeModifiers::default(),
            at,
        };
        Self::parsed(Expr::VectorSelector(selector), 0)
    }

    /// Parses the items in the braces of a selector, and the closing brace.
    fn braces(&mut self, selector: &mut Selected) -> Result<()> {
        while !self.eat("}") {
            let token = self.peek();
            match self.matcher()? {
                BraceItem::Name(text) => {
                    if let Some(before) = selector.name.replace(text.clone()) {
                        return fail(selector.start, duplicate_name(&before, &text));
                    }
                    selector.quoted = Some(token.start);
                }
                BraceItem::Matcher(matcher) => {
                    if let Some(last) = selector.alternatives.last_mut() {
                        last.push(matcher);
                    }
                }
            }
            if self.eat_word("or") {
                selector.alternatives.push(Vec::new());
            } else if !self.eat(",") && !self.peek().is("}") {
                return Err(self.unexpected(" in label matching, expected \",\" or \"}\""));
            }
        }
        Ok(())
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
        let test = self.value_test(op.text, &text, token.start)?;
        Ok(BraceItem::Matcher(LabelMatcher {
            name: name.into(),
            test,
        }))
    }

    /// Compiles the test of a matcher that begins at `at`, and charges the guard for it.
    fn value_test(&self, op: &str, text: &str, at: usize) -> Result<ValueTest> {
        let negated = op.starts_with('!');
        if !op.ends_with('~') {
            self.guard.charge_bytes(text.len())?;
            return Ok(ValueTest::equal(text, negated));
        }
        match pattern(text, self.guard) {
            Ok(pattern) => Ok(ValueTest::from_pattern(pattern, negated)),
            Err(PatternFailure::Invalid(why)) => fail(at, format!("error parsing regexp: {why}")),
            Err(PatternFailure::Stopped(stopped)) => Err(stopped.into()),
        }
    }
}

/// A selector while it is parsed.
struct Selected {
    start: usize,
    name: Option<String>,
    /// Position of the name, if it is in the braces.
    quoted: Option<usize>,
    /// Matchers of each alternative.
    alternatives: Vec<Vec<LabelMatcher>>,
}

impl Selected {
    /// Rejects a matcher of the name beside a name.
    fn check_name(&self) -> Result<()> {
        let Some(name) = &self.name else {
            return Ok(());
        };
        let mut matchers = self.alternatives.iter().flatten();
        match matchers.find(|matcher| &*matcher.name == METRIC_NAME) {
            Some(other) => {
                let at = self.quoted.unwrap_or(self.start);
                fail(at, duplicate_name(name, other.test.operand()))
            }
            None => Ok(()),
        }
    }
}

/// Item in the braces of a selector.
enum BraceItem {
    Name(String),
    Matcher(LabelMatcher),
}

/// Failure to compile a regular expression.
pub(crate) enum PatternFailure {
    Invalid(PatternError),
    /// The guard stopped the query.
    Stopped(Stopped),
}

/// Compiles a regular expression. Charges the guard with the memory of compilation before it, and with
/// the memory of the result after it.
pub(crate) fn pattern(source: &str, guard: &Guard) -> std::result::Result<Pattern, PatternFailure> {
    let before = guard.usage();
    guard
        .charge_bytes(Pattern::parse_bytes(source))
        .map_err(PatternFailure::Stopped)?;
    let pattern = Pattern::new(source).map_err(PatternFailure::Invalid)?;
    let held = Usage {
        samples: 0,
        bytes: pattern.bytes() as u64,
    };
    guard
        .settle(before, held)
        .map_err(PatternFailure::Stopped)?;
    Ok(pattern)
}

fn duplicate_name(one: &str, other: &str) -> String {
    format!("metric name must not be set twice: {one:?} or {other:?}")
}
