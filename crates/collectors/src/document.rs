//! Documents as trees that paths go through: JSON, and XML and CSV as JSON.

mod csv;
mod xml;

use bellwether_schema::{Diagnostics, Spanned, string_enum};
use serde_json::Value;
use serde_json_path::JsonPath;

string_enum! {
    /// Formats of documents.
    pub enum DocumentFormat {
        /// JSON.
        Json = "json",
        /// XML: `$` is the root element. An element has its attributes as `@NAME`, the elements in it as lists under
        /// their names, and its text as `#text`; one that has only text is that text.
        Xml = "xml",
        /// CSV with the names of the columns in the first line: a list of rows.
        Csv = "csv",
    }
}

/// A document.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) tree: Value,
    /// Path of the items of a metric that names none; `None`: it has one series, of the document as a whole.
    pub(crate) items: Option<JsonPath>,
}

impl From<Value> for Document {
    fn from(tree: Value) -> Self {
        Self { tree, items: None }
    }
}

impl DocumentFormat {
    /// Returns the format of a body with this `Content-Type` in lower case; JSON if it says nothing of use.
    pub(crate) fn from_content_type(value: &str) -> Self {
        let media = value.split(';').next().unwrap_or_default().trim();
        match media {
            "text/csv" => Self::Csv,
            "application/xml" | "text/xml" => Self::Xml,
            media if media.ends_with("+xml") => Self::Xml,
            _ => Self::Json,
        }
    }

    /// Parses a document. `delimiter` is that of CSV.
    ///
    /// # Errors
    /// The text is invalid, in one sentence.
    pub(crate) fn parse(self, text: &str, delimiter: char) -> Result<Document, String> {
        let tree = match self {
            Self::Json => serde_json::from_str(text).map_err(|error| format!("not JSON: {error}")),
            Self::Xml => xml::parse(text).map_err(|error| format!("not XML: {error}")),
            Self::Csv => csv::parse(text, delimiter),
        };
        Ok(Document {
            tree: tree?,
            items: match self {
                Self::Json | Self::Xml => None,
                Self::Csv => JsonPath::parse("$[*]").ok(),
            },
        })
    }
}

/// Returns the delimiter of CSV, and reports an invalid one.
pub(crate) fn delimiter(setting: &Spanned<String>, problems: &mut Diagnostics) -> Option<char> {
    let mut characters = setting.chars();
    let delimiter = characters.next().filter(|_| characters.next().is_none());
    let delimiter = delimiter.filter(|delimiter| !matches!(delimiter, '"' | '\n' | '\r'));
    if delimiter.is_none() {
        problems
            .error(&setting.at, format!("not a delimiter: {:?}", setting.value))
            .hint("one character, such as \";\" or \"\\t\"");
    }
    delimiter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_the_format_of_its_content_type() {
        for (value, format) in [
            ("application/json", DocumentFormat::Json),
            (
                "text/csv; charset=utf-8; header=present",
                DocumentFormat::Csv,
            ),
            ("text/xml", DocumentFormat::Xml),
            ("application/rss+xml; charset=utf-8", DocumentFormat::Xml),
            ("text/plain", DocumentFormat::Json),
            ("", DocumentFormat::Json),
        ] {
            assert_eq!(DocumentFormat::from_content_type(value), format, "{value}");
        }
    }
}
