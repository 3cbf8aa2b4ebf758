//! Parts of a query, and how two of them are joined.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::NotPromql;
use crate::expr::{Function, Operator};

/// Part of a query.
pub(super) struct Term {
    pub(super) text: String,
    /// Labels of its series; `None` for a number.
    pub(super) labels: Option<BTreeSet<Arc<str>>>,
    /// Set if it needs parentheses as a part of another.
    pub(super) compound: bool,
}

impl Term {
    pub(super) fn part(&self) -> String {
        if self.compound {
            format!("({})", self.text)
        } else {
            self.text.clone()
        }
    }
}

pub(super) type TermResult = Result<Term, NotPromql>;

/// Writes `a operator b`, matched on the labels that both have.
pub(super) fn joined(a: &Term, operator: &str, b: &Term) -> TermResult {
    let term = |between: &str, labels| {
        let text = format!("{} {between} {}", a.part(), b.part());
        Ok(Term {
            text,
            labels,
            compound: true,
        })
    };
    let (Some(left), Some(right)) = (&a.labels, &b.labels) else {
        return term(operator, a.labels.clone().or_else(|| b.labels.clone()));
    };
    let (more, fewer): (BTreeSet<_>, BTreeSet<_>) = (
        left.difference(right).collect(),
        right.difference(left).collect(),
    );
    match (more.is_empty(), fewer.is_empty()) {
        (true, true) => term(operator, a.labels.clone()),
        (false, true) => term(
            &format!("{operator} ignoring ({}) group_left ()", list(more)),
            a.labels.clone(),
        ),
        (true, false) => term(
            &format!("{operator} ignoring ({}) group_right ()", list(fewer)),
            b.labels.clone(),
        ),
        _ => Err("series are joined that have labels of their own on both sides".into()),
    }
}

pub(super) fn set(a: &Term, operator: &str, b: &Term) -> TermResult {
    if a.labels != b.labels {
        return Err(format!("`{operator}` between series with different labels").into());
    }
    let text = format!("{} {operator} {}", a.part(), b.part());
    Ok(Term {
        text,
        labels: a.labels.clone(),
        compound: true,
    })
}

/// Writes the smaller or the larger of two.
pub(super) fn extreme(function: Function, a: &Term, b: &Term) -> TermResult {
    let (clamp, keeps) = if function == Function::Min {
        ("clamp_max", "<=")
    } else {
        ("clamp_min", ">=")
    };
    let (series, number) = match (&a.labels, &b.labels) {
        (Some(_), None) => (a, b),
        (None, Some(_)) => (b, a),
        _ => {
            let selected = joined(a, keeps, b)?;
            return set(&selected, "or", b);
        }
    };
    let text = format!("{clamp}({}, {})", series.text, number.text);
    Ok(Term {
        text,
        labels: series.labels.clone(),
        compound: false,
    })
}

pub(super) fn symbol(operator: Operator) -> &'static str {
    match operator {
        Operator::Add => "+",
        Operator::Subtract => "-",
        Operator::Multiply => "*",
        Operator::Divide => "/",
        Operator::Remainder => "%",
        Operator::Power => "^",
    }
}

fn list(labels: BTreeSet<&Arc<str>>) -> String {
    let labels = labels.into_iter().map(|label| &**label);
    labels.collect::<Vec<&str>>().join(", ")
}
