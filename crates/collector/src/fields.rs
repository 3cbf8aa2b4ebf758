//! Fields of the status of a server, and the series that they become.

use std::collections::BTreeMap;

use bellwether_core::{Kind, SeriesBatch};

/// Field of a status with a number as its value, as a row of a table. Rows of one metric follow each other.
pub struct Field {
    /// Name in the status.
    key: &'static str,
    /// Name of the metric.
    metric: &'static str,
    kind: Kind,
    labels: &'static [(&'static str, &'static str)],
    /// The value in the status times this is that of the series.
    scale: f64,
    help: &'static str,
}

impl Field {
    pub const fn gauge(key: &'static str, metric: &'static str, help: &'static str) -> Self {
        Self::new(Kind::Gauge, key, metric, help)
    }

    pub const fn counter(key: &'static str, metric: &'static str, help: &'static str) -> Self {
        Self::new(Kind::Counter, key, metric, help)
    }

    const fn new(kind: Kind, key: &'static str, metric: &'static str, help: &'static str) -> Self {
        Self {
            key,
            metric,
            kind,
            labels: &[],
            scale: 1.0,
            help,
        }
    }

    pub const fn key(&self) -> &'static str {
        self.key
    }

    /// Returns the row with labels of its series.
    pub const fn with(self, labels: &'static [(&'static str, &'static str)]) -> Self {
        Self { labels, ..self }
    }

    /// Returns the row with a factor on its value.
    pub const fn scaled(self, scale: f64) -> Self {
        Self { scale, ..self }
    }
}

/// Appends a series for each field that `value` has a number for.
pub fn push_fields(fields: &[Field], value: impl Fn(&str) -> Option<f64>, out: &mut SeriesBatch) {
    let mut begun = "";
    for field in fields {
        let Some(value) = value(field.key) else {
            continue;
        };
        if begun != field.metric {
            out.begin(field.metric, Some(field.kind), field.help);
            begun = field.metric;
        }
        out.push(field.labels, value * field.scale);
    }
}

/// Entry of a status that has fields of its own, such as a database.
pub struct Entry<'a> {
    /// Labels of its series.
    pub labels: Vec<(&'a str, &'a str)>,
    /// Values of its fields.
    pub values: BTreeMap<&'a str, &'a str>,
}

/// Appends a series for each field of each entry that has a number.
pub fn push_entries(fields: &[Field], entries: &[Entry<'_>], out: &mut SeriesBatch) {
    for field in fields {
        out.begin(field.metric, Some(field.kind), field.help);
        for entry in entries {
            let value = entry.values.get(field.key);
            if let Some(value) = value.and_then(|value| value.parse::<f64>().ok()) {
                out.push(&entry.labels, value * field.scale);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_are_missing_have_no_series() {
        const FIELDS: &[Field] = &[
            Field::counter("hits", "requests_total", "Requests.").with(&[("status", "hit")]),
            Field::counter("misses", "requests_total", "Requests.").with(&[("status", "miss")]),
            Field::gauge("kb", "size_bytes", "Size.").scaled(1000.0),
            Field::gauge("gone", "gone", "Gone."),
        ];
        let mut out = SeriesBatch::default();
        let value = |key: &str| {
            [("misses", 2.0), ("kb", 3.0)]
                .into_iter()
                .find_map(|(name, value)| (name == key).then_some(value))
        };
        push_fields(FIELDS, value, &mut out);
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(
            lines,
            ["requests_total{status=\"miss\"} 2", "size_bytes 3000"]
        );
        assert_eq!(out.families().count(), 2);
    }
}
