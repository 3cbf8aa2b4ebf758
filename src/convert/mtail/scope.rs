//! Conditions that hold at a statement, and what metrics take of the lines that they match.

use std::collections::BTreeSet;

use regex::bytes::Regex;

use super::super::yaml::{Map, Yaml};
use super::lex::Kind;
use super::parse::Statement;
use super::pattern::{field, joined, narrowed};
use super::terms::{is_path, split};

/// Field with the path of the log.
pub(super) const PATH: &str = "_path";

/// Conditions that hold at a statement.
#[derive(Clone, Default)]
pub(super) struct Scope<'p> {
    pub(super) patterns: Vec<String>,
    pub(super) conditions: Vec<Condition>,
    /// Expressions that a group was compared with, and the number of patterns before: references to their groups have no
    /// counterpart.
    pub(super) compared: Vec<(usize, String)>,
    /// Body of the use of a definition, for `next` in it.
    pub(super) body: &'p [Statement],
}

/// Condition on a field.
#[derive(Clone)]
pub(super) struct Condition {
    /// Pattern that the field is of; the path is of none.
    pub(super) pattern: Option<usize>,
    pub(super) field: String,
    pub(super) test: Test,
}

#[derive(Clone)]
pub(super) enum Test {
    Equals(String),
    /// The whole field matches an expression.
    Matches(String),
}

impl Test {
    fn expression(&self) -> String {
        match self {
            Self::Equals(text) => regex::escape(text),
            Self::Matches(expression) => expression.clone(),
        }
    }
}

/// A text of fields and words, with the patterns that the fields are from.
#[derive(Default)]
pub(super) struct Composed {
    pub(super) text: String,
    pub(super) patterns: BTreeSet<usize>,
}

impl Scope<'_> {
    /// Returns the pattern and the field of a reference to a group; the innermost pattern counts.
    pub(super) fn field(&self, reference: &str) -> Option<(usize, String)> {
        let mut patterns = self.patterns.iter().enumerate().rev();
        let (index, name) =
            patterns.find_map(|(index, pattern)| Some((index, field(pattern, reference)?)))?;
        let is_hidden = self
            .compared
            .iter()
            .any(|(before, pattern)| *before > index && field(pattern, reference).is_some());
        (!is_hidden).then_some((index, name))
    }

    /// Returns the text of groups and texts with `+` between them.
    pub(super) fn compose(&self, tokens: &[Kind]) -> Option<Composed> {
        let mut composed = Composed::default();
        for part in split(tokens, "+") {
            match part {
                [Kind::Capture(reference)] => {
                    let (pattern, name) = self.field(reference)?;
                    composed.patterns.insert(pattern);
                    composed.text += &format!("{{{{ {name} }}}}");
                }
                [Kind::Text(text) | Kind::Number(text)] if !text.contains("{{") => {
                    composed.text += text
                }
                tokens if is_path(tokens) => composed.text += &format!("{{{{ {PATH} }}}}"),
                _ => return None,
            }
        }
        Some(composed)
    }

    /// Returns the expression with the groups that are used, and the conditions beside it.
    pub(super) fn matched(&self, used: &BTreeSet<usize>) -> Result<(String, Map), &'static str> {
        if used.len() > 1 {
            return Err("groups of two expressions");
        }
        // Without groups, that of a condition is the simplest.
        let tested = || {
            self.conditions
                .iter()
                .rev()
                .find_map(|condition| condition.pattern)
        };
        let main = used
            .first()
            .copied()
            .or_else(tested)
            .or(self.patterns.len().checked_sub(1));
        let mut conditions = Map::default();
        let mut others = self.patterns.clone();
        for condition in &self.conditions {
            let is_own = condition.pattern.is_none() || condition.pattern == main;
            match (condition.pattern, &condition.test) {
                _ if is_own => add(
                    &mut conditions,
                    &condition.field,
                    &condition.test.expression(),
                )?,
                (Some(pattern), Test::Equals(text)) => {
                    others[pattern] = narrowed(&others[pattern], &condition.field, text)
                        .ok_or("a condition on a group of another expression")?;
                }
                _ => return Err("a condition on a group of another expression"),
            }
        }
        let Some(main) = main else {
            return Ok(("^".to_owned(), conditions));
        };
        let expression = others.remove(main);
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let (expression, lines) =
            joined(&expression, &others).ok_or("an expression within another one")?;
        for (field, expression) in lines {
            add(&mut conditions, &field, &expression)?;
        }
        match Regex::new(&expression) {
            Ok(_) => Ok((expression, conditions)),
            Err(_) => Err("expressions within one another"),
        }
    }
}

fn add(conditions: &mut Map, field: &str, expression: &str) -> Result<(), &'static str> {
    if conditions.has(field) {
        return Err("two conditions on one group");
    }
    conditions.put(field, Yaml::raw(expression));
    Ok(())
}
