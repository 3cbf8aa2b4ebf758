//! The two formats, and content negotiation.

use super::protobuf::PROTOBUF;

/// Media type of OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text";

/// A text format of the exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// Returns the `Content-Type`. It has no `escaping` parameter, because all names are valid
    /// without escaping.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Returns the format of a body with this `Content-Type`; `None` for protocol buffers. Without one, and
    /// with that of another text, it is [`Format::Text`], as for Prometheus 2.
    #[must_use]
    pub fn from_content_type(value: &str) -> Option<Format> {
        let media = value.split(';').next().unwrap_or_default().trim();
        match media.to_ascii_lowercase().as_str() {
            OPEN_METRICS => Some(Format::OpenMetrics),
            PROTOBUF => None,
            _ => Some(Format::Text),
        }
    }

    /// Selects the format for an `Accept` header (several are joined by commas; empty if there is
    /// none). The highest `q` wins, then the first. Returns [`Format::Text`] if none is acceptable,
    /// because a response in another format is more useful than an error.
    #[must_use]
    pub fn negotiate(accept: &str) -> Format {
        let mut best = (Format::Text, 0.0);
        for range in accept.split(',') {
            if let Some((format, quality)) = offer(range)
                && quality > best.1
            {
                best = (format, quality);
            }
        }
        best.0
    }
}

/// Returns the format and the quality of one media range.
fn offer(range: &str) -> Option<(Format, f64)> {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next()?.to_ascii_lowercase();
    let (mut version, mut quality) = (None, 1.0);
    for parameter in parts {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "version" => version = Some(value),
            "q" => quality = value.parse().ok().filter(|q| (0.0..=1.0).contains(q))?,
            _ => {}
        }
    }
    let (format, own_version) = match media.as_str() {
        OPEN_METRICS => (Format::OpenMetrics, "1.0.0"),
        "text/plain" | "text/*" | "*/*" => (Format::Text, "0.0.4"),
        _ => return None,
    };
    version
        .is_none_or(|version| version == own_version)
        .then_some((format, quality))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_the_format_of_its_content_type() {
        for format in [Format::Text, Format::OpenMetrics] {
            assert_eq!(
                Format::from_content_type(format.content_type()),
                Some(format)
            );
        }
        assert_eq!(Format::from_content_type(""), Some(Format::Text));
        let delimited = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily";
        assert_eq!(Format::from_content_type(delimited), None);
    }

    #[test]
    fn negotiation() {
        // What Prometheus 2.42 and 3.5 send.
        let v2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let v3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let text_first = "text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.2";
        for (accept, format) in [
            (v2, Format::OpenMetrics),
            (v3, Format::OpenMetrics),
            (text_first, Format::Text),
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Text),
            ("application/openmetrics-text", Format::OpenMetrics),
            (
                "Application/OpenMetrics-Text ; Version=\"1.0.0\"",
                Format::OpenMetrics,
            ),
            ("application/openmetrics-text;version=2.0.0", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
            (
                "application/openmetrics-text;q=0.2,text/*;q=0.1",
                Format::OpenMetrics,
            ),
            ("text/plain,application/openmetrics-text", Format::Text),
            (
                "application/openmetrics-text,text/plain",
                Format::OpenMetrics,
            ),
            ("application/json", Format::Text),
            ("application/openmetrics-text;q=9", Format::Text),
            ("application/openmetrics-text;q=NaN", Format::Text),
            (";;=,,q=\u{0},é", Format::Text),
        ] {
            assert_eq!(Format::negotiate(accept), format, "{accept:?}");
        }
    }
}
