//! Output of Nagios plugins: performance data, in base units. See the development guidelines of Monitoring Plugins.

/// One item of performance data.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    pub(super) label: String,
    pub(super) value: f64,
    pub(super) unit: Unit,
}

/// Unit of an item, after the conversion.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Unit {
    Seconds,
    Bytes,
    Ratio,
    Counter,
    /// No unit, or another one.
    Other(String),
}

/// Parses the performance data of an output: behind the first `|` of the first line, and all lines from a later
/// `|` on.
pub(super) fn parse(output: &str) -> Result<Vec<Item>, String> {
    let (first, rest) = output.split_once('\n').unwrap_or((output, ""));
    let mut items = Vec::new();
    if let Some((_, data)) = first.split_once('|') {
        parse_items(data, &mut items)?;
    }
    if let Some((_, data)) = rest.split_once('|') {
        parse_items(data, &mut items)?;
    }
    Ok(items)
}

fn parse_items(text: &str, items: &mut Vec<Item>) -> Result<(), String> {
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (label, behind) = label(rest).ok_or_else(|| invalid(rest))?;
        let end = behind.find(char::is_whitespace).unwrap_or(behind.len());
        let (value, after) = behind.split_at(end);
        // Thresholds and limits follow.
        let value = value.split(';').next().unwrap_or_default();
        // `U` is an unknown value.
        if value != "U" && !value.is_empty() {
            let (value, unit) = quantity(value).ok_or_else(|| invalid(rest))?;
            items.push(Item { label, value, unit });
        }
        rest = after.trim_start();
    }
    Ok(())
}

fn invalid(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let shown = &line[..line.floor_char_boundary(60)];
    format!("invalid performance data: {shown:?}")
}

/// Splits a label from what is behind its `=`. Quotes allow any character in it; two are one.
fn label(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('\'') else {
        let (label, behind) = text.split_once('=')?;
        let is_valid = !label.is_empty() && !label.contains(char::is_whitespace);
        return is_valid.then(|| (label.to_owned(), behind));
    };
    let mut label = String::new();
    let mut rest = quoted;
    loop {
        let (part, behind) = rest.split_once('\'')?;
        label.push_str(part);
        if let Some(more) = behind.strip_prefix('\'') {
            label.push('\'');
            rest = more;
        } else {
            return Some((label, behind.strip_prefix('=')?));
        }
    }
}

/// Parses a number with its unit. Units of bytes are powers of 1024, as the plugins mean them.
fn quantity(text: &str) -> Option<(f64, Unit)> {
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | ',');
    let end = text.find(|c| !is_number(c)).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.replace(',', ".").parse().ok()?;
    let power = |exponent| 1024f64.powi(exponent);
    let (factor, unit) = match unit {
        "s" => (1.0, Unit::Seconds),
        "ms" => (1e-3, Unit::Seconds),
        "us" => (1e-6, Unit::Seconds),
        "ns" => (1e-9, Unit::Seconds),
        "%" => (0.01, Unit::Ratio),
        "c" => (1.0, Unit::Counter),
        "B" => (1.0, Unit::Bytes),
        "KB" | "kB" | "KiB" => (power(1), Unit::Bytes),
        "MB" | "MiB" => (power(2), Unit::Bytes),
        "GB" | "GiB" => (power(3), Unit::Bytes),
        "TB" | "TiB" => (power(4), Unit::Bytes),
        "PB" | "PiB" => (power(5), Unit::Bytes),
        other => (1.0, Unit::Other(other.to_owned())),
    };
    let value = match factor {
        factor if factor < 1.0 => number / (1.0 / factor).round(),
        factor => number * factor,
    };
    Some((value, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(label: &str, value: f64, unit: Unit) -> Item {
        Item {
            label: label.to_owned(),
            value,
            unit,
        }
    }

    #[test]
    fn values_are_in_base_units() {
        let output = "DISK OK - free space: / 3326 MB (56%); | /=2643MB;5948;5958;0;5968\n\
            / 15272 MB (77%);\n/boot 68 MB (69%); | /boot=68MB;88;93;0;98\n'it''s a=b'=12,5% requests=7c rta=30ms;1;2 \
            load=0.5;;; t=U x=-3W";
        let mib = 1024.0 * 1024.0;
        assert_eq!(
            parse(output).unwrap(),
            [
                item("/", 2643.0 * mib, Unit::Bytes),
                item("/boot", 68.0 * mib, Unit::Bytes),
                item("it's a=b", 0.125, Unit::Ratio),
                item("requests", 7.0, Unit::Counter),
                item("rta", 0.03, Unit::Seconds),
                item("load", 0.5, Unit::Other(String::new())),
                item("x", -3.0, Unit::Other("W".to_owned())),
            ]
        );
        assert_eq!(parse("PING OK").unwrap(), []);
        assert_eq!(parse("OK |").unwrap(), []);
    }

    #[test]
    fn what_is_no_performance_data_is_an_error() {
        for output in [
            "x | a",
            "x | =5",
            "x | 'a=5",
            "x | a=b",
            "x | 'a'5",
            "x | a=1-2",
        ] {
            let error = parse(output).unwrap_err();
            assert!(
                error.starts_with("invalid performance data: "),
                "{output}: {error}"
            );
        }
    }
}
