//! What the commands share that put a question to the API of a running Bellwether.

use anyhow::{Context, bail};
use bellwether_core::{GoQuoted, is_label_name};
use bellwether_template::humanize;
use clap::{Args, ValueEnum};
use reqwest::Method;
use serde_json::Value;

use super::Global;
use super::client::{Answer, Target};

/// Whom to ask, and how to print the answer.
#[derive(Args)]
pub(super) struct Asking {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    form: Form,
}

/// Form of what a command prints.
#[derive(Args)]
pub(super) struct Form {
    /// Form of the answer.
    #[arg(long, value_enum, default_value = "table", value_name = "FORM")]
    format: Format,
    /// The same as --format json, as it was written before.
    #[arg(long, hide = true, conflicts_with = "format")]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Text for people.
    Table,
    /// JSON, as the API has it.
    Json,
}

impl Form {
    /// Whether JSON is asked for.
    pub(super) fn is_json(&self) -> bool {
        self.json || self.format == Format::Json
    }
}

impl Asking {
    /// The data that `path` answers with to `parameters`; those without a value are left out.
    pub(super) fn ask(
        &self,
        global: &Global,
        path: &str,
        parameters: &[(&str, Option<String>)],
    ) -> anyhow::Result<Value> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in parameters {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        let answer = self
            .target
            .get(global, &format!("{path}?{}", query.finish()))?;
        data(path, &answer)
    }

    /// The data that is answered to a change of `path`.
    pub(super) fn change(
        &self,
        global: &Global,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        data(path, &self.target.change(global, method, path, body)?)
    }

    /// Prints `data`: as JSON, or as `screen` shows it.
    pub(super) fn show(&self, data: &Value, screen: impl FnOnce(&Value) -> String) {
        if self.form.is_json() {
            println!("{data:#}");
        } else {
            print!("{}", screen(data));
        }
    }
}

/// The data of an answer.
pub(super) fn data(path: &str, answer: &Answer) -> anyhow::Result<Value> {
    let body: Result<Value, _> = serde_json::from_str(&answer.body);
    match body {
        Ok(mut body) if answer.status == 200 => Ok(body["data"].take()),
        Ok(body) if body["error"].is_string() => bail!("{}", text(&body["error"])),
        Ok(_) => bail!(
            "{path}: {}: {}",
            answer.status,
            printable_lines(answer.body.trim())
        ),
        Err(error) => Err(error).context(format!("{path}: not an answer of Bellwether")),
    }
}

/// The entries of a list.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text without quotes, safe for a terminal; a dash where there is none.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text),
        Value::Null => "-".to_owned(),
        other => printable(&other.to_string()),
    }
}

/// `text` with control characters escaped: labels and messages come from outside, and a terminal would obey them.
/// Characters that change the direction of the text are escaped, too.
pub(super) fn printable(text: &str) -> String {
    let directs = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || directs(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// `printable`, line by line.
pub(super) fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

/// A number for people, with metric prefixes from a thousand on: `0.25`, `97.3`, `1.25G`.
pub(super) fn figure(value: &Value) -> String {
    match value.as_f64() {
        None => text(value),
        Some(value) if value.abs() >= 1000.0 => humanize(value),
        Some(value) if value == 0.0 || value.abs() >= 0.001 => {
            let decimals = if value.abs() >= 100.0 {
                1
            } else if value.abs() >= 1.0 {
                2
            } else {
                4
            };
            let shown = format!("{value:.decimals$}");
            shown.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Some(value) => format!("{value:.1e}"),
    }
}

/// `{a="b", "c-d"="e"}`, as PromQL writes them; nothing where there are no labels.
pub(super) fn labels(value: &Value) -> String {
    let pairs = value.as_object().into_iter().flatten();
    let value = |value: &Value| match value.as_str() {
        Some(text) => GoQuoted(text).to_string(),
        None => value.to_string(),
    };
    let pair = |(name, text): (&String, &Value)| match is_label_name(name) {
        true => printable(&format!("{name}={}", value(text))),
        false => printable(&format!("{}={}", GoQuoted(name), value(text))),
    };
    let pairs: Vec<String> = pairs.map(pair).collect();
    if pairs.is_empty() {
        String::new()
    } else {
        format!("{{{}}}", pairs.join(", "))
    }
}

/// `2026-11-21 08:15:00`, UTC, of RFC 3339.
pub(super) fn time(value: &Value) -> String {
    let whole = text(value).replacen('T', " ", 1);
    whole
        .split(['.', 'Z'])
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// A share or chance in percent.
pub(super) fn percent(value: &Value) -> String {
    match value.as_f64().map(|share| share * 100.0) {
        None => "-".to_owned(),
        Some(percent) if percent < 0.1 => "<0.1 %".to_owned(),
        Some(percent) if percent < 10.0 => format!("{percent:.1} %"),
        Some(percent) => format!("{percent:.0} %"),
    }
}

/// Rows with their columns one below the other, two blanks in between. All but the first column
/// of a row that look like numbers are set to the right.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    // A sentence may begin with a digit, too.
    let is_number = |cell: &str| {
        cell.starts_with(|c: char| c.is_ascii_digit() || "+-<".contains(c))
            && cell.matches(' ').count() < 3
    };
    aligned(rows, |_, cell| is_number(cell))
}

/// Rows with their columns one below the other, two blanks in between. `right` says of the number of a column and
/// a cell of it whether that is set to the right.
pub(super) fn aligned(rows: &[Vec<String>], right: impl Fn(usize, &str) -> bool) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let cells = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| match right(column, cell) {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            });
        let line = cells.collect::<Vec<_>>().join("  ");
        out += line.trim_end();
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_and_names_for_people() {
        let cases = [
            (json!(0), "0"),
            (json!(0.25), "0.25"),
            (json!(97.345), "97.34"),
            (json!(123.456), "123.5"),
            (json!(1.25e9), "1.25G"),
            (json!(1e-9), "1.0e-9"),
            (json!(-3.0), "-3"),
            (json!("+Inf"), "+Inf"),
            (json!(null), "-"),
        ];
        for (value, expected) in cases {
            assert_eq!(figure(&value), expected, "{value}");
        }
        assert_eq!(labels(&json!({"a": "b", "c": "d"})), r#"{a="b", c="d"}"#);
        assert_eq!(
            labels(&json!({"host-name": "a\tb"})),
            r#"{"host-name"="a\tb"}"#
        );
        assert_eq!(labels(&json!({})), "");
        assert_eq!(
            time(&json!("2026-11-21T08:15:00.123Z")),
            "2026-11-21 08:15:00"
        );
        assert_eq!(percent(&json!(0.0004)), "<0.1 %");
        assert_eq!(percent(&json!(0.25)), "25 %");
    }

    #[test]
    fn a_terminal_obeys_nothing_that_comes_from_outside() {
        let hostile = "a\u{1b}]0;owned\u{7}\u{9b}2J\nfiring\r\u{202e}b";
        let shown = r"a\u{1b}]0;owned\u{7}\u{9b}2J\nfiring\r\u{202e}b";
        assert_eq!(text(&json!(hostile)), shown);
        let labels = labels(&json!({ hostile: hostile }));
        assert!(
            labels.chars().all(|c| !c.is_control() && c != '\u{202e}'),
            "{labels}"
        );
    }

    #[test]
    fn columns_stand_below_each_other() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let shown = table(&[row(["a", "mean", "to"]), row(["long", "1.5", "x"])]);
        assert_eq!(shown, "a     mean  to\nlong   1.5  x\n");
    }
}
