//! Formats of targets, and the header that asks for them.

use bellwether_schema::{Diagnostics, Spanned, string_enum};
use reqwest::header::HeaderValue;

string_enum! {
    /// Formats of targets, under the names that Prometheus has for them.
    pub enum ScrapeProtocol {
        /// Protocol buffers.
        Protobuf = "PrometheusProto",
        /// Text format 0.0.4.
        Text004 = "PrometheusText0.0.4",
        /// Text format 1.0.0.
        Text100 = "PrometheusText1.0.0",
        /// OpenMetrics 0.0.1.
        OpenMetrics001 = "OpenMetricsText0.0.1",
        /// OpenMetrics 1.0.0.
        OpenMetrics100 = "OpenMetricsText1.0.0",
    }
}

/// Reports formats that cannot be asked for.
pub(super) fn check(protocols: &Spanned<Vec<ScrapeProtocol>>, problems: &mut Diagnostics) {
    let mut all = protocols.iter().enumerate();
    let twice = all.find(|(at, protocol)| protocols[..*at].contains(protocol));
    if protocols.is_empty() {
        problems
            .error(&protocols.at, "no `scrape_protocols`")
            .hint("leave it out for the default");
    } else if let Some((_, twice)) = twice {
        let message = format!("{} twice", twice.as_str());
        problems.error(&protocols.at, message).hint("keep one");
    }
}

impl ScrapeProtocol {
    fn media_range(self) -> &'static str {
        match self {
            Self::Protobuf => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
            Self::Text004 => "text/plain;version=0.0.4",
            Self::Text100 => "text/plain;version=1.0.0",
            Self::OpenMetrics001 => "application/openmetrics-text;version=0.0.1",
            Self::OpenMetrics100 => "application/openmetrics-text;version=1.0.0",
        }
    }
}

/// Returns the header `Accept`, as Prometheus has it: any other format comes last.
pub(super) fn accept(protocols: &[ScrapeProtocol]) -> Option<HeaderValue> {
    let ranges = protocols.iter().map(|protocol| protocol.media_range());
    let qualities = (2..=protocols.len() + 1).rev();
    let mut accept: String = ranges
        .zip(qualities)
        .map(|(range, quality)| format!("{range};q=0.{quality},"))
        .collect();
    accept += "*/*;q=0.1";
    HeaderValue::try_from(accept).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_asked_for_in_the_order_of_preference() {
        let accept = accept(&[ScrapeProtocol::Protobuf, ScrapeProtocol::Text004]).unwrap();
        assert_eq!(
            accept,
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.3,\
             text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
        );
    }
}
