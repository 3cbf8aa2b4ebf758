//! Translation of our messages to Go templates: values and pipes through functions.
//!
//! Pure. Other templates have no counterpart here.

/// Values of variables that are known at export.
pub(super) struct KnownValues<'a> {
    pub threshold: Option<f64>,
    pub rule: &'a str,
    pub alertname: &'a str,
    pub severity: &'a str,
    /// Description of the value.
    pub metric: &'a str,
}

/// Translates `text`; `None` if it has no counterpart.
pub(super) fn to_go(text: &str, values: &KnownValues<'_>) -> Option<String> {
    if text.contains("{%") || text.contains("{#") {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        out.push_str(&rest[..open]);
        let mut reader = Reader {
            rest: &rest[open + 2..],
            values,
        };
        out.push_str(&reader.action()?);
        rest = reader.rest;
    }
    out.push_str(rest);
    Some(out)
}

/// Returns a Go template that renders `text` as it is.
pub(super) fn literal(text: &str) -> String {
    if text.contains("{{") {
        format!("{{{{ {} }}}}", quoted(text))
    } else {
        text.to_owned()
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

struct Reader<'t, 'k> {
    rest: &'t str,
    values: &'k KnownValues<'k>,
}

/// Value in Go: a constant text, or an expression.
enum Value {
    Known(String),
    Expression(String),
}

impl Value {
    fn operand(&self) -> String {
        match self {
            Self::Known(text) if text.parse::<f64>().is_ok() => text.clone(),
            Self::Known(text) => quoted(text),
            Self::Expression(text) if text.contains(' ') => format!("({text})"),
            Self::Expression(text) => text.clone(),
        }
    }
}

impl Reader<'_, '_> {
    /// Translates an action up to its closing braces.
    fn action(&mut self) -> Option<String> {
        let mut value = self.value()?;
        loop {
            self.blanks();
            if self.skip("}}") {
                return Some(match value {
                    Value::Known(text) => text,
                    Value::Expression(text) => format!("{{{{ {text} }}}}"),
                });
            }
            if !self.skip("|") {
                return None;
            }
            self.blanks();
            let name = self.word()?;
            let arguments = if self.skip("(") {
                self.arguments()?
            } else {
                Vec::new()
            };
            value = Value::Expression(piped(&name, &arguments, &value)?);
        }
    }

    fn value(&mut self) -> Option<Value> {
        self.blanks();
        if self.rest.starts_with(['"', '\'']) {
            return self.text().map(Value::Known);
        }
        if self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            let end = self.rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
            let (number, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Some(Value::Known(number.to_owned()));
        }
        self.skip("$");
        let word = self.word()?;
        match word.as_str() {
            "labels" if self.skip(".") => {
                let label = self.word()?;
                Some(Value::Expression(format!("$labels.{label}")))
            }
            "labels" if self.skip("[") => {
                let label = self.text()?;
                self.skip("]")
                    .then(|| Value::Expression(format!("index $labels {}", quoted(&label))))
            }
            "value" => Some(Value::Expression("$value".to_owned())),
            "threshold" => Some(Value::Known(self.values.threshold?.to_string())),
            "rule" => Some(Value::Known(self.values.rule.to_owned())),
            "alertname" => Some(Value::Known(self.values.alertname.to_owned())),
            "severity" => Some(Value::Known(self.values.severity.to_owned())),
            "metric" => Some(Value::Known(self.values.metric.to_owned())),
            "print" if self.skip("(") => match self.arguments()?.as_slice() {
                [one] => Some(Value::Expression(one.clone())),
                _ => None,
            },
            "printf" if self.skip("(") => Some(Value::Expression(format!(
                "printf {}",
                self.arguments()?.join(" ")
            ))),
            _ => None,
        }
    }

    /// Parses arguments up to the closing parenthesis.
    fn arguments(&mut self) -> Option<Vec<String>> {
        let mut arguments = Vec::new();
        loop {
            self.blanks();
            if self.skip(")") {
                return Some(arguments);
            }
            arguments.push(self.value()?.operand());
            self.blanks();
            self.skip(",");
        }
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn skip(&mut self, sign: &str) -> bool {
        let after = self.rest.strip_prefix(sign);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn word(&mut self) -> Option<String> {
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then(|| word.to_owned())
    }

    /// Parses a text without escapes.
    fn text(&mut self) -> Option<String> {
        let quote = self.rest.chars().next()?;
        let end = self.rest[1..].find(quote)?;
        let text = self.rest[1..=end].to_owned();
        self.rest = &self.rest[end + 2..];
        (!text.contains('\\')).then_some(text)
    }
}

/// Writes `value | name(arguments)` in Go.
fn piped(name: &str, arguments: &[String], value: &Value) -> Option<String> {
    const SAME: [&str; 14] = [
        "humanize",
        "humanize1024",
        "humanizeDuration",
        "humanizePercentage",
        "humanizeTimestamp",
        "toUpper",
        "toLower",
        "title",
        "stripPort",
        "stripDomain",
        "match",
        "reReplaceAll",
        "printf",
        "parseDuration",
    ];
    let operand = value.operand();
    match (name, arguments) {
        ("round", []) => Some(format!("printf \"%.0f\" {operand}")),
        ("round", [digits]) => Some(format!("printf \"%.{digits}f\" {operand}")),
        ("upper", []) => Some(format!("{operand} | toUpper")),
        ("lower", []) => Some(format!("{operand} | toLower")),
        ("print", []) => Some(operand),
        (name, arguments) if SAME.contains(&name) => {
            let words = std::iter::once(name).chain(arguments.iter().map(String::as_str));
            let call = words.collect::<Vec<_>>().join(" ");
            let from = match value {
                Value::Expression(text) => text.clone(),
                Value::Known(_) => operand,
            };
            Some(format!("{from} | {call}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_pipes() {
        let values = KnownValues {
            threshold: Some(85.0),
            rule: "disk",
            alertname: "Disk",
            severity: "warning",
            metric: "disk_usage",
        };
        for (text, expected) in [
            ("plain {x} $value", Some("plain {x} $value")),
            (
                "{{ labels.mount }} is {{ value | round(1) }} %",
                Some("{{ $labels.mount }} is {{ printf \"%.1f\" $value }} %"),
            ),
            (
                "{{ labels[\"a-b\"] }} {{ $value }}",
                Some("{{ index $labels \"a-b\" }} {{ $value }}"),
            ),
            (
                "{{ value | humanize }} > {{ threshold }}",
                Some("{{ $value | humanize }} > 85"),
            ),
            (
                "{{ rule }} {{ alertname }} {{ severity }} {{ metric }}",
                Some("disk Disk warning disk_usage"),
            ),
            (
                "{{ printf(\"%.2f\", value) }} {{ print(value) }}",
                Some("{{ printf \"%.2f\" $value }} {{ $value }}"),
            ),
            (
                "{{ labels.a | reReplaceAll(\"x\", \"y\") | toUpper }}",
                Some("{{ $labels.a | reReplaceAll \"x\" \"y\" | toUpper }}"),
            ),
            (
                "{{ value | round | printf(\"%5s\") }}",
                Some("{{ printf \"%.0f\" $value | printf \"%5s\" }}"),
            ),
            ("{% if value %}x{% endif %}", None),
            ("{{ (value * 100) | round }}", None),
            ("{{ expected_low }}", None),
            ("{{ value", None),
        ] {
            assert_eq!(to_go(text, &values).as_deref(), expected, "{text}");
        }
        assert_eq!(literal("{{ x }} \"y\""), "{{ \"{{ x }} \\\"y\\\"\" }}");
    }
}
