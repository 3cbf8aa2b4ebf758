//! Parts of actions and conditions.

use super::lex::Kind;

/// Returns the keys `[a][b]` or `[a, b]` of a metric, and the tokens behind them.
pub(super) fn keys(mut tokens: &[Kind]) -> Option<(Vec<&[Kind]>, &[Kind])> {
    let mut keys = Vec::new();
    while let [Kind::Sign("["), rest @ ..] = tokens {
        let mut depth = 0_usize;
        let end = rest.iter().position(|token| match token {
            Kind::Sign("[" | "(") => {
                depth += 1;
                false
            }
            Kind::Sign("]") if depth == 0 => true,
            Kind::Sign("]" | ")") => {
                depth = depth.saturating_sub(1);
                false
            }
            _ => false,
        })?;
        keys.extend(split(&rest[..end], ","));
        tokens = &rest[end + 1..];
    }
    Some((keys, tokens))
}

/// Splits tokens at a sign outside of parentheses.
pub(super) fn split<'t>(tokens: &'t [Kind], sign: &'static str) -> Vec<&'t [Kind]> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_i32);
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Kind::Sign("(" | "[") => depth += 1,
            Kind::Sign(")" | "]") => depth -= 1,
            Kind::Sign(found) if *found == sign && depth == 0 => {
                parts.push(&tokens[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&tokens[start..]);
    parts
}

/// Returns whether one pair of parentheses is around all tokens.
pub(super) fn is_wrapped(tokens: &[Kind]) -> bool {
    let mut depth = 0_i32;
    let closes_at = tokens.iter().position(|token| {
        match token {
            Kind::Sign("(") => depth += 1,
            Kind::Sign(")") => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    tokens
        .first()
        .is_some_and(|token| *token == Kind::Sign("("))
        && closes_at == Some(tokens.len() - 1)
}

/// Removes parentheses that are around all tokens.
pub(super) fn unwrapped(mut tokens: &[Kind]) -> &[Kind] {
    while is_wrapped(tokens) {
        tokens = &tokens[1..tokens.len() - 1];
    }
    tokens
}

/// Returns both sides of a comparison.
pub(super) fn comparison(tokens: &[Kind]) -> Option<(&[Kind], &'static str, &[Kind])> {
    let at = tokens
        .iter()
        .position(|token| matches!(token, Kind::Sign("==" | "=~" | "!=" | ">")))?;
    match tokens[at] {
        Kind::Sign(sign) => Some((&tokens[..at], sign, unwrapped(&tokens[at + 1..]))),
        _ => None,
    }
}

/// Returns whether the tokens are `getfilename()`.
pub(super) fn is_path(tokens: &[Kind]) -> bool {
    matches!(tokens, [Kind::Word(word), Kind::Sign("("), Kind::Sign(")")] if word == "getfilename")
}

/// Returns tokens as a short text.
pub(super) fn shown(tokens: &[Kind]) -> String {
    let words = tokens.iter().map(|token| match token {
        Kind::Word(text) | Kind::Number(text) => text.clone(),
        Kind::Text(text) => format!("{text:?}"),
        Kind::Regex(text) => format!("/{text}/"),
        Kind::Capture(text) => format!("${text}"),
        Kind::Decorator(text) => format!("@{text}"),
        Kind::Sign(sign) => (*sign).to_owned(),
    });
    let text: String = words.collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
