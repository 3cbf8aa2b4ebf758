//! Names and units of OpenTelemetry as names of Prometheus
//! (<https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/>), as the OTLP receiver of
//! Prometheus forms them.

use std::borrow::Cow;

/// Units by their UCUM code.
const UNITS: &[(&str, &str)] = &[
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
];

/// Units behind a slash.
const PER_UNITS: &[(&str, &str)] = &[
    ("s", "second"),
    ("m", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

/// Ending of a name, beside its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// `_total`, of a monotonic sum.
    Total,
    /// `_ratio`, of a gauge with the unit 1.
    Gauge,
    None,
}

/// Returns the name of a metric.
pub(super) fn metric_name(name: &str, unit: &str, ending: Ending) -> String {
    let is_separator = |character: char| !character.is_ascii_alphanumeric() && character != ':';
    let mut words: Vec<Cow<'_, str>> = name
        .split(is_separator)
        .filter(|word| !word.is_empty())
        .map(Cow::Borrowed)
        .collect();
    for word in unit_words(unit) {
        if !words.iter().any(|other| *other == word) {
            words.push(word.into());
        }
    }
    let last = match ending {
        Ending::Total => Some("total"),
        Ending::Gauge => (unit == "1").then_some("ratio"),
        Ending::None => None,
    };
    if let Some(last) = last {
        words.retain(|word| word != last);
        words.push(last.into());
    }
    let name = words.join("_");
    match name.starts_with(|first: char| first.is_ascii_digit()) {
        true => format!("_{name}"),
        false => name,
    }
}

/// Returns the words of a unit: `By/s` is `bytes` and `per_second`. Text in braces is a remark.
fn unit_words(unit: &str) -> impl Iterator<Item = String> {
    let (unit, per) = unit.split_once('/').unwrap_or((unit, ""));
    let unit = word(unit, UNITS);
    let per = word(per, PER_UNITS).map(|per| format!("per_{per}"));
    unit.into_iter().chain(per)
}

fn word(code: &str, known: &[(&str, &str)]) -> Option<String> {
    let code = code.trim();
    if code.contains(['{', '}']) {
        return None;
    }
    let found = known.iter().find(|(known, _)| *known == code);
    let text = found.map_or(code, |(_, word)| word);
    let words = text.split(|character: char| !character.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    (!words.is_empty()).then(|| words.join("_"))
}

/// Returns the name of a label. Two underscores at its beginning are for Prometheus itself.
pub(super) fn label_name(attribute: &str) -> Cow<'_, str> {
    let is_valid = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let name = match attribute.chars().all(is_valid) {
        true => Cow::Borrowed(attribute),
        false => Cow::Owned(attribute.replace(|character| !is_valid(character), "_")),
    };
    if name.starts_with("__") {
        return format!("key{name}").into();
    }
    match name.starts_with(|first: char| first.is_ascii_digit()) {
        true => format!("key_{name}").into(),
        false => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the tests of <https://github.com/prometheus/otlptranslator>.
    #[test]
    fn names_are_those_of_prometheus() {
        for (name, unit, ending, expected) in [
            (
                "system.io",
                "foo/bar",
                Ending::Total,
                "system_io_foo_per_bar_total",
            ),
            (
                "metric.with.{foreign}.chars",
                "",
                Ending::None,
                "metric_with_foreign_chars",
            ),
            (
                "system.network.dropped",
                "{packets}",
                Ending::Gauge,
                "system_network_dropped",
            ),
            (
                "active_directory.ds.replication.network.io",
                "By",
                Ending::Total,
                "active_directory_ds_replication_network_io_bytes_total",
            ),
            (
                "mongodbatlas.process.db.query_executor.scanned",
                "{objects}/s",
                Ending::Gauge,
                "mongodbatlas_process_db_query_executor_scanned_per_second",
            ),
            (
                "elasticsearch.cluster.state_queue",
                "{{}}",
                Ending::Total,
                "elasticsearch_cluster_state_queue_total",
            ),
            (
                "http.server.duration",
                "s",
                Ending::None,
                "http_server_duration_seconds",
            ),
            (
                "request_duration_seconds",
                "s",
                Ending::None,
                "request_duration_seconds",
            ),
            ("total.total.requests", "1", Ending::Total, "requests_total"),
            (
                "apache.current_connections",
                "1",
                Ending::Gauge,
                "apache_current_connections_ratio",
            ),
            ("speed", "km/h", Ending::Gauge, "speed_km_per_hour"),
            (
                "storage.filesystem.utilization",
                "%",
                Ending::Gauge,
                "storage_filesystem_utilization_percent",
            ),
            ("3xx", "", Ending::None, "_3xx"),
            ("__leading__", "%{x}", Ending::None, "leading"),
            ("rule:name", "", Ending::None, "rule:name"),
            ("é", "", Ending::None, ""),
        ] {
            assert_eq!(metric_name(name, unit, ending), expected, "{name} {unit}");
        }
    }

    #[test]
    fn labels_are_valid_and_never_those_of_prometheus() {
        for (attribute, expected) in [
            ("http.method", "http_method"),
            ("3a", "key_3a"),
            ("__name__", "key__name__"),
            ("_a", "_a"),
            ("ü", "_"),
            ("", ""),
        ] {
            assert_eq!(label_name(attribute), expected);
        }
    }
}
