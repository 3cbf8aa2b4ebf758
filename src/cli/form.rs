//! Output formats, chosen by `-o`.

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::output::{self, Screen};
use super::table::Table;

/// Set of output formats, which has JSON.
pub(super) trait OutputFormat: ValueEnum + Copy + Send + Sync + 'static {
    const JSON: Self;
}

/// Flags that select one of the formats `F`.
#[derive(Args)]
pub(super) struct FormatFlags<F: OutputFormat> {
    /// Output format.
    #[arg(
        short,
        long,
        alias = "format",
        value_enum,
        default_value = "table",
        value_name = "FORMAT"
    )]
    output: F,
    /// Same as --output json; kept for compatibility.
    #[arg(long, hide = true, conflicts_with = "output")]
    json: bool,
}

impl<F: OutputFormat> FormatFlags<F> {
    pub(super) fn selected(&self) -> F {
        if self.json { F::JSON } else { self.output }
    }
}

/// Output format of a command that shows one thing.
pub(super) type Form = FormatFlags<Format>;

/// Output format of a command that lists things.
pub(super) type ListForm = FormatFlags<ListFormat>;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Text for people.
    Table,
    /// JSON as the API returns it.
    Json,
    /// The same as YAML.
    Yaml,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ListFormat {
    /// Text for people, as wide as the terminal.
    Table,
    /// Text for people; nothing is cut or rounded, and no column is left out.
    Wide,
    /// JSON as the API returns it.
    Json,
    /// The same as YAML.
    Yaml,
    /// One line per entry, with a heading.
    Csv,
}

impl OutputFormat for Format {
    const JSON: Self = Self::Json;
}

impl OutputFormat for ListFormat {
    const JSON: Self = Self::Json;
}

/// Form of the output, for the code of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Text(Screen),
    Json,
    Yaml,
    Csv,
}

impl Layout {
    /// Returns whether tables are shown as such, as text or as CSV.
    pub(super) fn is_table(self) -> bool {
        matches!(self, Self::Text(_) | Self::Csv)
    }
}

impl Form {
    /// Prints `data` in the output format; `text` formats it for people.
    pub(super) fn show(&self, data: &Value, text: impl FnOnce(&Value) -> String) {
        match self.layout() {
            Layout::Text(_) => print!("{}", text(data)),
            layout => print!("{}", format_data(layout, data)),
        }
    }

    pub(super) fn layout(&self) -> Layout {
        match self.selected() {
            Format::Table => Layout::Text(output::screen()),
            Format::Json => Layout::Json,
            Format::Yaml => Layout::Yaml,
        }
    }
}

impl ListForm {
    pub(super) fn layout(&self) -> Layout {
        match self.selected() {
            ListFormat::Table => Layout::Text(output::screen()),
            ListFormat::Wide => Layout::Text(Screen {
                width: None,
                ..output::screen()
            }),
            ListFormat::Json => Layout::Json,
            ListFormat::Yaml => Layout::Yaml,
            ListFormat::Csv => Layout::Csv,
        }
    }
}

/// Formats a value as JSON or YAML.
pub(super) fn format_data(layout: Layout, data: &Value) -> String {
    let json = || format!("{data:#}\n");
    match layout {
        // JSON is YAML, too.
        Layout::Yaml => serde_yaml::to_string(data).unwrap_or_else(|_| json()),
        _ => json(),
    }
}

/// Formats a table as text or as CSV; `empty` is the text if it has no rows.
pub(super) fn format_table(layout: Layout, table: &Table, empty: &str) -> String {
    match layout {
        Layout::Text(_) if table.is_empty() => format!("{empty}\n"),
        Layout::Text(screen) => table.render(screen),
        _ => table.csv(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        form: ListForm,
    }

    fn layout(arguments: &[&str]) -> Result<Layout, clap::Error> {
        let line = Line::try_parse_from([&["x"], arguments].concat())?;
        Ok(line.form.layout())
    }

    #[test]
    fn the_former_flags_mean_the_same() {
        for arguments in [
            &["-o", "json"][..],
            &["-ojson"],
            &["--output", "json"],
            &["--format", "json"],
            &["--format=json"],
            &["--json"],
        ] {
            assert_eq!(layout(arguments).unwrap(), Layout::Json, "{arguments:?}");
        }
        assert!(layout(&["--json", "-o", "csv"]).is_err());
        assert!(matches!(layout(&[]).unwrap(), Layout::Text(_)));
        let wide = layout(&["-o", "wide"]).unwrap();
        assert!(matches!(wide, Layout::Text(Screen { width: None, .. })));
    }

    #[test]
    fn yaml_has_the_same_data() {
        let data = json!({"alerts": [{"value": 1.5, "message": "a: b\n"}], "none": null});
        let text = format_data(Layout::Yaml, &data);
        assert!(text.starts_with("alerts:\n- "), "{text}");
        assert_eq!(serde_yaml::from_str::<Value>(&text).unwrap(), data);
    }
}
