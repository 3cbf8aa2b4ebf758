//! Results of a probe, under the names of blackbox_exporter.

use std::time::Duration;

use bellwether_core::{Kind, SeriesBatch};

/// A metric of probes.
#[derive(Debug)]
pub(super) struct Metric {
    name: &'static str,
    help: &'static str,
}

macro_rules! metrics {
    ($( $constant:ident = $name:literal, $help:literal; )+) => {
        $( pub(super) const $constant: Metric = Metric { name: $name, help: $help }; )+
    };
}

metrics! {
    SUCCESS = "probe_success", "Result of the probe: 1 succeeded, 0 failed.";
    DURATION = "probe_duration_seconds", "Duration of the probe.";
    DNS_LOOKUP = "probe_dns_lookup_time_seconds", "Duration of the look-up of the host's addresses.";
    IP_PROTOCOL = "probe_ip_protocol", "Version of IP: 4 or 6.";
    HTTP_DURATION = "probe_http_duration_seconds", "Duration of the request by phase, over all redirects.";
    HTTP_STATUS = "probe_http_status_code", "Status of the last response; 0 if there was none.";
    HTTP_REDIRECTS = "probe_http_redirects", "Number of redirects.";
    HTTP_SSL = "probe_http_ssl", "TLS for the last response: 1 or 0.";
    HTTP_VERSION = "probe_http_version", "Version of HTTP of the last response.";
    HTTP_CONTENT_LENGTH = "probe_http_content_length", "Length of the body as its header has it; -1 if it has none.";
    HTTP_BODY_LENGTH = "probe_http_uncompressed_body_length", "Length of the body.";
    FAILED_BY_REGEX = "probe_failed_due_to_regex", "The probe failed because of a regular expression: 1 or 0.";
    FAILED_BY_BYTES = "probe_failed_due_to_bytes", "The probe failed because of other bytes than expected: 1 or 0.";
    EXPECT_INFO = "probe_expect_info", "Parts of the lines that were expected.";
    CERT_EXPIRY = "probe_ssl_earliest_cert_expiry", "Earliest expiry of the certificates that the server sent, as a Unix timestamp.";
    TLS_VERSION = "probe_tls_version_info", "Version of TLS.";
    DNS_DURATION = "probe_dns_duration_seconds", "Duration of the DNS query by phase.";
    DNS_ANSWERS = "probe_dns_answer_rrs", "Number of records in the section answer.";
    DNS_AUTHORITY = "probe_dns_authority_rrs", "Number of records in the section authority.";
    DNS_ADDITIONAL = "probe_dns_additional_rrs", "Number of records in the section additional.";
    DNS_SUCCEEDED = "probe_dns_query_succeeded", "The server answered: 1 or 0.";
    ICMP_DURATION = "probe_icmp_duration_seconds", "Duration of the echo by phase.";
    GRPC_DURATION = "probe_grpc_duration_seconds", "Duration of the gRPC request by phase.";
    GRPC_SSL = "probe_grpc_ssl", "TLS for the gRPC connection: 1 or 0.";
    GRPC_STATUS = "probe_grpc_status_code", "Status code of the gRPC response.";
    GRPC_HEALTH = "probe_grpc_healthcheck_response", "Answer of the health check by serving status: 1 or 0.";
}

/// Series that a probe has so far. They stay when the probe runs out of time.
#[derive(Debug, Default)]
pub(super) struct Report {
    values: Vec<(&'static str, Value)>,
}

#[derive(Debug)]
struct Value {
    help: &'static str,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Report {
    /// Sets the value of a metric.
    pub(super) fn set(&mut self, metric: &Metric, value: f64) {
        self.set_with(metric, Vec::new(), value);
    }

    /// Sets the value of a metric for one value of a label.
    pub(super) fn set_labeled(&mut self, metric: &Metric, label: &str, text: &str, value: f64) {
        self.set_with(metric, vec![(label.to_owned(), text.to_owned())], value);
    }

    /// Adds a duration to that of a phase.
    pub(super) fn add_phase(&mut self, metric: &Metric, phase: &str, duration: Duration) {
        let before = self.get(metric, Some(("phase", phase))).unwrap_or_default();
        self.set_labeled(metric, "phase", phase, before + duration.as_secs_f64());
    }

    /// Sets the value of a metric for the values of its labels.
    pub(super) fn set_with(&mut self, metric: &Metric, labels: Vec<(String, String)>, value: f64) {
        let known = self
            .values
            .iter_mut()
            .find(|(name, known)| *name == metric.name && known.labels == labels);
        match known {
            Some((_, known)) => known.value = value,
            None => self.values.push((
                metric.name,
                Value {
                    help: metric.help,
                    labels,
                    value,
                },
            )),
        }
    }

    /// Returns the value of a metric, for a value of its label.
    pub(super) fn get(&self, metric: &Metric, label: Option<(&str, &str)>) -> Option<f64> {
        let found = self.values.iter().find(|(name, value)| {
            let labels = value.labels.iter();
            let labels = labels.map(|(label, text)| (label.as_str(), text.as_str()));
            *name == metric.name && labels.eq(label)
        });
        found.map(|(_, value)| value.value)
    }

    /// Appends the samples, with `labels` on each.
    pub(super) fn push(&self, labels: &[(&str, &str)], out: &mut SeriesBatch) {
        for (name, value) in &self.values {
            out.begin(name, Some(Kind::Gauge), value.help);
            let own = value.labels.iter();
            let own = own.map(|(label, text)| (label.as_str(), text.as_str()));
            let all: Vec<_> = labels.iter().copied().chain(own).collect();
            out.push(&all, value.value);
        }
    }
}
