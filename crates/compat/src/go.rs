//! Translation of Go templates, of annotations of Prometheus and messages of Alertmanager, to our
//! templates.
//!
//! Pure. A part without a counterpart is an error, never left out.

mod lex;
mod parse;
mod write;

#[cfg(test)]
mod tests;

pub(super) use write::Dialect;

/// Definitions that templates may use.
#[derive(Clone, Debug, Default)]
pub(super) struct Library(parse::Definitions);

impl Library {
    /// Adds the definitions of `text`; returns the errors of those that cannot be read.
    pub(super) fn add(&mut self, text: &str) -> Vec<Untranslatable> {
        let pieces = match lex::placed(text) {
            Ok(pieces) => pieces,
            Err(foreign) => return vec![foreign],
        };
        let chunks = write::wholes(&pieces).into_iter();
        let read = chunks.map(|chunk| {
            let pieces = pieces[chunk]
                .iter()
                .map(|(piece, _)| piece.clone())
                .collect();
            parse::parse(pieces, &mut self.0)
        });
        read.filter_map(Result::err).collect()
    }
}

/// Part of a template that cannot be translated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Untranslatable {
    /// Line of the template, from 0.
    pub line: u32,
    /// Description.
    pub what: String,
    pub hint: Option<String>,
}

impl Untranslatable {
    fn new(line: u32, what: impl Into<String>) -> Self {
        Self {
            line,
            what: what.into(),
            hint: None,
        }
    }

    fn hint(line: u32, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            line,
            what: what.into(),
            hint: Some(hint.into()),
        }
    }
}

/// Translates `text`; without actions it stays as it is.
pub(super) fn translate(text: &str, dialect: Dialect) -> Result<String, Untranslatable> {
    translate_with(text, dialect, &Library::default())
}

/// Translates `text`, which may use the definitions of `library`.
pub(super) fn translate_with(
    text: &str,
    dialect: Dialect,
    library: &Library,
) -> Result<String, Untranslatable> {
    if !text.contains("{{") {
        return Ok(write::plain(text));
    }
    let mut definitions = library.0.clone();
    let nodes = parse::parse(lex::pieces(text)?, &mut definitions)?;
    write::write(&nodes, dialect, &definitions)
}

/// Translates `text`; parts that cannot be translated stay as they are written and are returned.
pub(super) fn translate_in_part(text: &str, dialect: Dialect) -> (String, Vec<Untranslatable>) {
    match translate(text, dialect) {
        Ok(template) => (template, Vec::new()),
        Err(first) => match lex::placed(text) {
            Ok(pieces) => write::write_in_part(text, &pieces, dialect),
            Err(_) => (literal(text), vec![first]),
        },
    }
}

/// Returns a template that renders `text` as it is.
pub(super) fn literal(text: &str) -> String {
    format!("{{{{ {} }}}}", write::quoted(text))
}
