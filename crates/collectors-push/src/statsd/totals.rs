//! Own series of a collector of type `statsd`, under the names of statsd_exporter.

use std::sync::atomic::{AtomicU64, Ordering};

use bellwether_core::{Kind, SeriesBatch};

use crate::sockets;

/// Numbers of what was taken and what was not.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) lines: u64,
    /// Samples by the number of their type.
    pub(super) samples: [u64; 3],
    /// Samples of names without a mapping.
    pub(super) unmapped: u64,
    /// Lines that a mapping drops.
    pub(super) dropped: u64,
    /// Tags without a value, or with a name that no label has.
    pub(super) ignored_tags: u64,
}

/// Adds the series of the collector `name`.
pub(super) fn fill(name: &str, own: &Totals, sockets: &sockets::Totals, out: &mut SeriesBatch) {
    let label = ("collector", name);
    let mut counter = |name: &str, help, value: u64| {
        let name = format!("statsd_exporter_{name}_total");
        out.counter(&name, help, &[label], value as f64);
    };
    let get = |total: &AtomicU64| total.load(Ordering::Relaxed);
    counter("lines", "Lines received.", own.lines);
    counter(
        "events_unmapped",
        "Samples whose names no mapping matches.",
        own.unmapped,
    );
    counter("tag_errors", "Tags that were ignored.", own.ignored_tags);
    counter(
        "udp_packets",
        "UDP packets received.",
        get(&sockets.udp_packets),
    );
    counter(
        "unixgram_packets",
        "Packets received over Unix sockets.",
        get(&sockets.unix_packets),
    );
    counter(
        "tcp_connections",
        "Connections accepted.",
        get(&sockets.connections),
    );
    counter(
        "tcp_connection_errors",
        "Connections that ended with an error.",
        get(&sockets.failed_connections),
    );
    counter(
        "tcp_connections_rejected",
        "Connections above the limit.",
        get(&sockets.rejected_connections),
    );
    counter(
        "tcp_too_long_lines",
        "Lines above the limit.",
        get(&sockets.long_lines),
    );
    let help = "Samples taken.";
    out.begin("statsd_exporter_events_total", Some(Kind::Counter), help);
    for (kind, count) in ["counter", "gauge", "observer"].iter().zip(own.samples) {
        out.push(&[label, ("type", kind)], count as f64);
    }
    let help = "Lines by the action of their mapping.";
    out.begin(
        "statsd_exporter_events_actions_total",
        Some(Kind::Counter),
        help,
    );
    out.push(&[label, ("action", "drop")], own.dropped as f64);
}
