//! Go templates, as annotations of Prometheus and messages of Alertmanager are written with, to
//! templates of ours.
//!
//! Pure. What has no counterpart is named, never left out.

mod lex;
mod parse;
mod write;

#[cfg(test)]
mod tests;

pub(super) use write::Dialect;

/// What cannot be translated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Foreign {
    /// The line of the template, from 0.
    pub line: u32,
    /// What.
    pub what: String,
    /// What to do instead.
    pub hint: Option<String>,
}

impl Foreign {
    fn new(line: u32, what: impl Into<String>) -> Self {
        Self { line, what: what.into(), hint: None }
    }

    fn hint(line: u32, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { line, what: what.into(), hint: Some(hint.into()) }
    }
}

/// `text` as a template of ours; one without actions stays as it is.
pub(super) fn translate(text: &str, dialect: Dialect) -> Result<String, Foreign> {
    if !text.contains("{{") {
        return Ok(write::plain(text));
    }
    write::write(&parse::parse(lex::pieces(text)?)?, dialect)
}

/// A template of ours that gives `text` as it is.
pub(super) fn literal(text: &str) -> String {
    format!("{{{{ {} }}}}", write::quoted(text))
}
