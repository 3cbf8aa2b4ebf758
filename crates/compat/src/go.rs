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

/// Definitions that templates may use.
#[derive(Clone, Debug, Default)]
pub(super) struct Library(parse::Definitions);

impl Library {
    /// Adds what `text` defines; what of it cannot be read.
    pub(super) fn add(&mut self, text: &str) -> Vec<Foreign> {
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

/// `text` as a template of ours; one without actions stays as it is.
pub(super) fn translate(text: &str, dialect: Dialect) -> Result<String, Foreign> {
    translate_with(text, dialect, &Library::default())
}

/// The same where `text` may use what `library` defines.
pub(super) fn translate_with(
    text: &str,
    dialect: Dialect,
    library: &Library,
) -> Result<String, Foreign> {
    if !text.contains("{{") {
        return Ok(write::plain(text));
    }
    let mut definitions = library.0.clone();
    let nodes = parse::parse(lex::pieces(text)?, &mut definitions)?;
    write::write(&nodes, dialect, &definitions)
}

/// `text` as a template of ours in which what cannot be translated stands as it is written, and
/// what that is.
pub(super) fn translate_in_part(text: &str, dialect: Dialect) -> (String, Vec<Foreign>) {
    match translate(text, dialect) {
        Ok(template) => (template, Vec::new()),
        Err(first) => match lex::placed(text) {
            Ok(pieces) => write::write_in_part(text, &pieces, dialect),
            Err(_) => (literal(text), vec![first]),
        },
    }
}

/// A template of ours that gives `text` as it is.
pub(super) fn literal(text: &str) -> String {
    format!("{{{{ {} }}}}", write::quoted(text))
}
