//! Formats of a report.

use super::Report;
use super::csv::csv;
use super::html::html;
use super::markdown::markdown;

bellwether_schema::string_enum! {
    /// Formats of a report.
    pub enum Format {
        /// One page with charts, which prints well; it loads nothing and has no script.
        Html = "html",
        /// Everything, with the values of the charts.
        Json = "json",
        /// One line for each number or text.
        Csv = "csv",
        /// Tables, for a ticket or a chat.
        Markdown = "markdown",
    }
}

impl Format {
    /// Returns the ending of a file.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Markdown => "md",
        }
    }

    /// Returns the content type, with the charset where it has one.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Markdown => "text/markdown; charset=utf-8",
        }
    }

    /// Formats `report`.
    ///
    /// # Errors
    /// It has a number that cannot be expressed.
    pub fn format(self, report: &Report) -> Result<String, serde_json::Error> {
        Ok(match self {
            Self::Html => html(report),
            Self::Json => serde_json::to_string_pretty(report)? + "\n",
            Self::Csv => csv(report)?,
            Self::Markdown => markdown(report),
        })
    }
}
