//! How deep a query is nested: none may exhaust the stack, neither here nor in the parser.

use promql_parser::parser::Expr;

use super::query::ParseError;

/// Deepest nesting of an expression.
const MAX_DEPTH: usize = 500;
/// Greatest [`bound`] of a text that is parsed at all: the parser recurses too.
pub(super) const MAX_BOUND: usize = 2 * MAX_DEPTH;

pub(super) fn too_deep() -> ParseError {
    ParseError(format!("parse error: nested deeper than {MAX_DEPTH}"))
}

/// Gives back an expression that is not nested too deep.
pub(super) fn limited(expr: Expr) -> Result<Expr, ParseError> {
    if depth(&expr) > MAX_DEPTH {
        take_apart(expr);
        return Err(too_deep());
    }
    Ok(expr)
}

/// What is open at one place of a text: a bracket, or the text itself.
#[derive(Default)]
struct Level {
    /// Operators since the bracket or the last comma: each may hold all before it.
    operators: usize,
    /// Greatest bound of what was closed among them.
    inside: usize,
    /// Greatest bound between two commas so far.
    greatest: usize,
}

impl Level {
    fn end_of_part(&mut self) {
        self.greatest = self.greatest.max(self.operators + self.inside);
        (self.operators, self.inside) = (0, 0);
    }
}

/// No less than the depth of the expression that `text` holds, without parsing it.
pub(super) fn bound(text: &str) -> usize {
    let mut levels = vec![Level::default()];
    let close = |levels: &mut Vec<Level>| {
        if levels.len() > 1
            && let Some(mut level) = levels.pop()
        {
            level.end_of_part();
            if let Some(outer) = levels.last_mut() {
                outer.inside = outer.inside.max(level.greatest + 1);
            }
        }
    };
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let mut taken = first.len_utf8();
        if let Some(level) = levels.last_mut() {
            match first {
                ',' => level.end_of_part(),
                // Also a subquery holds what is before it.
                '+' | '-' | '*' | '/' | '%' | '^' | '=' | '!' | '<' | '>' | '[' => {
                    level.operators += 1;
                }
                _ => {}
            }
        }
        match first {
            '(' | '[' | '{' => levels.push(Level::default()),
            ')' | ']' | '}' => close(&mut levels),
            '"' | '\'' | '`' => taken = quoted(rest, first),
            '#' => taken = rest.find('\n').unwrap_or(rest.len()),
            _ if first.is_alphanumeric() || first == '_' => {
                let end = |c: char| !(c.is_alphanumeric() || c == '_');
                taken = rest.find(end).unwrap_or(rest.len());
                let word = rest[..taken].to_ascii_lowercase();
                if let (true, Some(level)) = (is_operator(&word), levels.last_mut()) {
                    level.operators += 1;
                }
            }
            _ => {}
        }
        rest = &rest[taken..];
    }
    while levels.len() > 1 {
        close(&mut levels);
    }
    levels.pop().map_or(0, |mut level| {
        level.end_of_part();
        level.greatest
    })
}

fn is_operator(word: &str) -> bool {
    matches!(word, "and" | "or" | "unless" | "atan2")
}

/// Length of the quoted text in front, with its quotes.
fn quoted(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if quote != '`' => drop(chars.next()),
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Levels of nesting, counted without recursion.
fn depth(expr: &Expr) -> usize {
    let (mut deepest, mut left) = (0, vec![(expr, 1)]);
    while let Some((expr, depth)) = left.pop() {
        deepest = deepest.max(depth);
        left.extend(children(expr).into_iter().map(|child| (child, depth + 1)));
    }
    deepest
}

/// The parts of an expression.
pub(super) fn children(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::Aggregate(one) => one.param.iter().map(|p| &**p).chain([&*one.expr]).collect(),
        Expr::Unary(one) => vec![&one.expr],
        Expr::Binary(one) => vec![&one.lhs, &one.rhs],
        Expr::Paren(one) => vec![&one.expr],
        Expr::Subquery(one) => vec![&one.expr],
        Expr::Call(one) => one.args.args.iter().map(|arg| &**arg).collect(),
        _ => Vec::new(),
    }
}

/// Drops a deep expression level by level: dropping it whole would recurse as deep.
fn take_apart(expr: Expr) {
    let mut left = vec![expr];
    while let Some(expr) = left.pop() {
        match expr {
            Expr::Aggregate(one) => {
                left.push(*one.expr);
                left.extend(one.param.map(|param| *param));
            }
            Expr::Unary(one) => left.push(*one.expr),
            Expr::Binary(one) => left.extend([*one.lhs, *one.rhs]),
            Expr::Paren(one) => left.push(*one.expr),
            Expr::Subquery(one) => left.push(*one.expr),
            Expr::Call(one) => left.extend(one.args.args.into_iter().map(|arg| *arg)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_no_less_than_the_depth() {
        for text in [
            "a",
            "a + b * c - d",
            "sum by (x) (rate(a[5m])) / (b or c and d unless e)",
            "-(-(-a))",
            "label_join(a, \"(((\", '))', `(`, \"x\") == bool 1 # ((((",
            "max_over_time((a > 0)[5m:1m])",
        ] {
            let expr = promql_parser::parser::parse(text).unwrap();
            let (bound, depth) = (bound(text) + 1, depth(&expr));
            assert!((depth..depth + 5).contains(&bound), "{text}: {depth}, {bound}");
        }
        assert_eq!(bound(&"(".repeat(7)), 7);
        assert_eq!(bound(&"a+".repeat(7)), 7);
        assert_eq!(bound("f(a+b, c+d+e, g(h))"), 3);
        assert_eq!(bound("\"((((("), 0);
    }
}
