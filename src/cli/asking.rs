//! Shared parts of the commands that query the API of a running Bellwether.

use anyhow::bail;
use bellwether_core::{GoQuoted, counted, is_label_name};
use bellwether_logging::printable::controls_text;
use bellwether_template::humanize;
use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::Global;
use super::client::{Answer, Target};
use super::form::{
    Format, FormatFlags, Layout, ListFormat, OutputFormat, format_data, format_table,
};
use super::table::Table;
pub(super) use bellwether_report::api_data::{at_steps, list};

/// Target of a command and format of its output.
#[derive(Args)]
pub(super) struct Asking<F: OutputFormat = Format> {
    #[command(flatten)]
    form: FormatFlags<F>,
    #[command(flatten)]
    target: Target,
}

/// The same for a command whose answer is also a list of records.
pub(super) type ListAsking = Asking<ListFormat>;

impl<F: OutputFormat> Asking<F> {
    /// Returns the data of a GET of `path` with `parameters`; parameters without a value are
    /// omitted.
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

    /// Returns the data of a request that changes state at `path`.
    pub(super) fn change(
        &self,
        global: &Global,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        data(path, &self.target.change(global, method, path, body)?)
    }
}

impl Asking {
    /// Prints `data` in the output format; `screen` formats it for people.
    pub(super) fn show(&self, data: &Value, screen: impl FnOnce(&Value) -> String) {
        self.form.show(data, screen);
    }
}

impl ListAsking {
    /// Prints `data` in the output format; `screen` formats it for people, and `records` has every
    /// value of it.
    pub(super) fn show(
        &self,
        data: &Value,
        screen: impl FnOnce(&Value) -> String,
        records: impl FnOnce(&Value) -> Table,
    ) {
        let text = match (self.form.selected(), self.form.layout()) {
            (ListFormat::Table, _) => screen(data),
            (_, layout @ (Layout::Text(_) | Layout::Csv)) => {
                format_table(layout, &records(data), "none")
            }
            (_, layout) => format_data(layout, data),
        };
        print!("{text}");
    }
}

/// Returns the data of an API response.
pub(super) fn data(path: &str, answer: &Answer) -> anyhow::Result<Value> {
    let body: Result<Value, _> = serde_json::from_str(&answer.body);
    match body {
        Ok(mut body) if answer.status == 200 => Ok(body["data"].take()),
        Ok(body) if body["error"].is_string() => bail!("{}", text(&body["error"])),
        Ok(_) | Err(_) => Err(answer.foreign(path)),
    }
}

/// Formats a count and its noun, `1 rule`; an absent count is `-`.
pub(super) fn count(value: &Value, noun: &str) -> String {
    match value.as_f64() {
        Some(count) => counted(count, noun),
        None => format!("{} {noun}s", text(value)),
    }
}

/// Formats a text without quotes, safe for a terminal; a dash if it is absent.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text),
        Value::Null => "-".to_owned(),
        other => printable(&other.to_string()),
    }
}

/// Escapes control characters, because labels and messages come from outside and a terminal would
/// obey them. Characters that change the direction of the text are escaped, too.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if controls_text(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Applies [`printable`] to each line.
pub(super) fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

/// Formats a number for people, with metric prefixes from a thousand on: `0.25`, `97.3`, `1.25G`.
pub(super) fn number(value: &Value) -> String {
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

/// Formats labels as PromQL does: `{a="b", "c-d"="e"}`; empty without labels.
pub(super) fn labels(value: &Value) -> String {
    let pairs: Vec<String> = value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, text)| match is_label_name(name) {
            true => printable(&format!("{name}={}", quoted(text))),
            false => printable(&format!("{}={}", GoQuoted(name), quoted(text))),
        })
        .collect();
    if pairs.is_empty() {
        String::new()
    } else {
        format!("{{{}}}", pairs.join(", "))
    }
}

/// Formats an RFC 3339 time in UTC: `2026-11-21 08:15:00`.
pub(super) fn time(value: &Value) -> String {
    let whole = text(value).replacen('T', " ", 1);
    whole
        .split(['.', 'Z'])
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// Quotes the value of a label.
fn quoted(value: &Value) -> String {
    match value.as_str() {
        Some(text) => GoQuoted(text).to_string(),
        None => value.to_string(),
    }
}

/// Formats a share or probability in percent.
pub(super) fn percent(value: &Value) -> String {
    match value.as_f64().map(|share| share * 100.0) {
        None => "-".to_owned(),
        Some(percent) if percent < 0.1 => "<0.1 %".to_owned(),
        Some(percent) if percent < 10.0 => format!("{percent:.1} %"),
        Some(percent) => format!("{percent:.0} %"),
    }
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
            assert_eq!(number(&value), expected, "{value}");
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
    fn gaps_of_a_series_stay_gaps() {
        let series = json!({"values": [[100.0, "1"], [120.0, "3"], [130.0, "NaN"]]});
        let values = at_steps(&series, 100.0, 10.0, 60);
        assert_eq!(values[..4], [Some(1.0), None, Some(3.0), None]);
        assert_eq!(values.len(), 60);
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
}
