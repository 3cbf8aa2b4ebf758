//! Texts with placeholders: `{{ name }}`.

/// A text with placeholders for values, which are known by their index.
#[derive(Clone, Debug, PartialEq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Value(usize),
}

/// Error of a template.
#[derive(Debug, PartialEq)]
pub struct TemplateError {
    pub message: String,
    pub hint: String,
}

impl TemplateError {
    /// Creates the error of a placeholder that is none of `names`.
    pub fn unknown<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        let names: Vec<&str> = names.into_iter().collect();
        Self {
            message: format!("unknown placeholder {word:?}"),
            hint: format!("one of {}", names.join(", ")),
        }
    }
}

impl Template {
    /// Parses a text; `index` returns the index of the value of a placeholder.
    pub fn parse(
        text: &str,
        mut index: impl FnMut(&str) -> Result<usize, TemplateError>,
    ) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("{{") {
            let Some((word, after)) = behind.split_once("}}") else {
                return Err(TemplateError {
                    message: format!("a placeholder without its end: {text:?}"),
                    hint: "write it as {{ name }}".to_owned(),
                });
            };
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Value(index(word.trim())?));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// Creates a text without placeholders.
    pub fn fixed(text: &str) -> Self {
        Self(vec![Part::Text(text.to_owned())])
    }

    /// Returns the text, if there is no placeholder.
    pub fn as_fixed(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Returns the indices of the values.
    pub fn values(&self) -> impl Iterator<Item = usize> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Value(index) => Some(*index),
        })
    }

    /// Appends the text to `out`, with the values that `value` returns.
    pub fn render<'a>(&self, out: &mut String, value: impl Fn(usize) -> &'a str) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value(index) => out.push_str(value(*index)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Template, TemplateError> {
        let names = ["a", "b"];
        Template::parse(text, |word| {
            let index = names.iter().position(|name| *name == word);
            index.ok_or_else(|| TemplateError::unknown(word, names))
        })
    }

    #[test]
    fn placeholders_become_values() {
        let mut out = String::new();
        parse("{{a}}/{{ b }}x")
            .unwrap()
            .render(&mut out, |index| ["1", "2"][index]);
        assert_eq!(out, "1/2x");
        assert_eq!(parse("{{ b }}").unwrap().values().collect::<Vec<_>>(), [1]);
        assert_eq!(parse("x").unwrap().as_fixed(), Some("x"));
        assert_eq!(parse("").unwrap().as_fixed(), Some(""));
        assert_eq!(parse("{{ a }}").unwrap().as_fixed(), None);
    }

    #[test]
    fn a_wrong_placeholder_is_an_error_with_all_right_ones() {
        let error = parse("{{ c }}").unwrap_err();
        assert_eq!(error.message, "unknown placeholder \"c\"");
        assert_eq!(error.hint, "one of a, b");
        assert!(parse("x{{ a").is_err());
    }
}
