//! Own series of a collector of type `log`.

use bellwether_core::{Kind, SeriesBatch};
use serde::{Deserialize, Serialize};

/// Totals of what was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Totals {
    pub(super) bytes: u64,
    pub(super) lines: u64,
    /// Lines that became a sample.
    pub(super) matched: u64,
    /// Lines that do not have the format.
    pub(super) unparsed: u64,
    /// Lines that were longer than the limit.
    pub(super) cut: u64,
    /// Values that are no number, or would make a counter fall.
    pub(super) invalid: u64,
}

impl Totals {
    /// Adds the series. `dropped` is the number of samples of series above a limit, `lag` the bytes that are not read.
    pub(super) fn fill(
        &self,
        collector: &str,
        dropped: u64,
        lag: Option<u64>,
        out: &mut SeriesBatch,
    ) {
        let label = [("collector", collector)];
        for (name, help, value) in [
            ("log_collector_lines_total", "Lines read.", self.lines),
            (
                "log_collector_lines_matched_total",
                "Lines that a metric counts.",
                self.matched,
            ),
            (
                "log_collector_lines_unparsed_total",
                "Lines without the format.",
                self.unparsed,
            ),
            (
                "log_collector_lines_cut_total",
                "Lines longer than max_line.",
                self.cut,
            ),
            ("log_collector_read_bytes_total", "Bytes read.", self.bytes),
        ] {
            out.counter(name, help, &label, value as f64);
        }
        let help = "Samples that were dropped.";
        out.begin(
            "log_collector_samples_dropped_total",
            Some(Kind::Counter),
            help,
        );
        for (reason, count) in [("max_series", dropped), ("value", self.invalid)] {
            out.push(&[label[0], ("reason", reason)], count as f64);
        }
        if let Some(lag) = lag {
            let help = "Bytes in the files that are not read yet.";
            out.gauge("log_collector_lag_bytes", help, &label, lag as f64);
        }
    }
}
