//! Hosts of Fibre Channel, from `/sys/class/fc_host`.

use std::path::PathBuf;

use super::super::directory::{Directory, entries};
use super::super::part::{COUNTER, Part, PartError, Run};
use super::super::settings::Setup;

/// Labels of a host, with their files.
const LABELS: [&str; 10] = [
    "speed",
    "port_state",
    "port_type",
    "port_id",
    "port_name",
    "fabric_name",
    "symbolic_name",
    "supported_classes",
    "supported_speeds",
    "dev_loss_tmo",
];
/// Labels whose values begin with `0x`, which node_exporter removes.
const HEXADECIMAL: [&str; 3] = ["port_id", "port_name", "fabric_name"];

/// Metrics and their files.
const COUNTERS: [(&str, &str, &str); 14] = [
    (
        "dumped_frames_total",
        "dumped_frames",
        "Number of dumped frames",
    ),
    (
        "error_frames_total",
        "error_frames",
        "Number of errors in frames",
    ),
    (
        "invalid_crc_total",
        "invalid_crc_count",
        "Invalid Cyclic Redundancy Check count",
    ),
    ("rx_frames_total", "rx_frames", "Number of frames received"),
    (
        "rx_words_total",
        "rx_words",
        "Number of words received by host port",
    ),
    (
        "tx_frames_total",
        "tx_frames",
        "Number of frames transmitted by host port",
    ),
    (
        "tx_words_total",
        "tx_words",
        "Number of words transmitted by host port",
    ),
    (
        "seconds_since_last_reset_total",
        "seconds_since_last_reset",
        "Number of seconds since last host port reset",
    ),
    (
        "invalid_tx_words_total",
        "invalid_tx_word_count",
        "Number of invalid words transmitted by host port",
    ),
    (
        "link_failure_total",
        "link_failure_count",
        "Number of times the host port link has failed",
    ),
    (
        "loss_of_sync_total",
        "loss_of_sync_count",
        "Number of failures on either bit or transmission word boundaries",
    ),
    (
        "loss_of_signal_total",
        "loss_of_signal_count",
        "Number of times signal has been lost",
    ),
    (
        "nos_total",
        "nos_count",
        "Number Not_Operational Primitive Sequence received by host port",
    ),
    (
        "fcp_packet_aborts_total",
        "fcp_packet_aborts",
        "Number of aborted packets",
    ),
];
/// Value of a counter that the adapter does not have: all bits set.
const NO_VALUE: f64 = u64::MAX as f64;

struct Fibrechannel(PathBuf);

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Fibrechannel(setup.sys("class/fc_host")))
}

impl Part for Fibrechannel {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let names = entries(&self.0).map_err(|error| PartError::optional(&self.0, &error))?;
        let mut hosts = Vec::new();
        for name in names {
            let directory = Directory::optional(self.0.join(&name))?;
            push_info(&directory, &name, run);
            hosts.push((name, directory));
        }
        for (name, file, help) in COUNTERS {
            run.out
                .begin(&format!("node_fibrechannel_{name}"), COUNTER, help);
            for (host, directory) in &hosts {
                if let Some(value) = counter(directory, file) {
                    run.out.push(&[("fc_host", host)], value);
                }
            }
        }
        Ok(())
    }
}

fn push_info(directory: &Directory, name: &str, run: &mut Run<'_>) {
    let texts = LABELS.map(|label| {
        let text = directory.text(label).unwrap_or_default();
        let is_hexadecimal = HEXADECIMAL.contains(&label) && text.len() > 2;
        (
            label,
            if is_hexadecimal {
                text[2..].to_owned()
            } else {
                text
            },
        )
    });
    let labels = texts.iter().map(|(label, text)| (*label, text.as_str()));
    let labels: Vec<(&str, &str)> = labels.chain([("fc_host", name)]).collect();
    let help = "Non-numeric data from /sys/class/fc_host/<host>, value is always 1.";
    run.out.gauge("node_fibrechannel_info", help, &labels, 1.0);
}

/// Returns a counter; 0 while the state of the port is unknown, as in node_exporter.
fn counter(directory: &Directory, file: &str) -> Option<f64> {
    let state = directory.text("port_state");
    if state.is_none_or(|state| state == "Unknown") {
        return Some(0.0);
    }
    let value = directory.integer(&format!("statistics/{file}"))?;
    (value < NO_VALUE).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn counters_are_hexadecimal_and_all_bits_are_no_value() {
        let host = Host::with(&[
            ("sys/class/fc_host/host0/port_state", "Online\n"),
            ("sys/class/fc_host/host0/port_id", "0x000002\n"),
            ("sys/class/fc_host/host0/statistics/rx_frames", "0xff\n"),
            (
                "sys/class/fc_host/host0/statistics/dumped_frames",
                "0xffffffffffffffff\n",
            ),
        ]);
        let expected = [
            "node_fibrechannel_info{fc_host=\"host0\", port_id=\"000002\", port_state=\"Online\"} 1",
            "node_fibrechannel_rx_frames_total{fc_host=\"host0\"} 255",
        ];
        assert_eq!(collect(&host, "fibrechannel", "").unwrap(), expected);
    }
}
