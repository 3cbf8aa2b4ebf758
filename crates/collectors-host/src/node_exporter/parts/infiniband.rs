//! Ports of InfiniBand and RoCE adapters, from `/sys/class/infiniband`.

mod counters;

use std::path::PathBuf;

use counters::{COUNTERS, Counter};

use super::super::directory::{Directory, entries};
use super::super::part::{COUNTER, GAUGE, Part, PartError, Run};
use super::super::settings::{Filter, Setup};

/// Bytes per second of a gigabit per second.
const GIGABIT: f64 = 125_000_000.0;

struct Infiniband {
    directory: PathBuf,
    filter: Filter,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Infiniband {
        directory: setup.sys("class/infiniband"),
        filter: setup.filters.infiniband.clone(),
    })
}

struct Port {
    device: String,
    number: String,
    directory: Directory,
}

impl Part for Infiniband {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let devices = entries(&self.directory)
            .map_err(|error| PartError::optional(&self.directory, &error))?;
        let mut ports = Vec::new();
        for device in devices.into_iter().filter(|name| self.filter.selects(name)) {
            let directory = Directory::optional(self.directory.join(&device))?;
            push_info(&directory, &device, run);
            for number in entries(&directory.path().join("ports")).unwrap_or_default() {
                ports.push(Port {
                    device: device.clone(),
                    directory: Directory::optional(directory.path().join("ports").join(&number))?,
                    number,
                });
            }
        }
        for port in &ports {
            port.push_states(run);
        }
        for counter in &COUNTERS {
            push_counter(counter, &ports, run);
        }
        Ok(())
    }
}

fn push_info(directory: &Directory, device: &str, run: &mut Run<'_>) {
    let text = |file| directory.text(file).unwrap_or_default();
    let (board, firmware, kind) = (text("board_id"), text("fw_ver"), text("hca_type"));
    let labels = [
        ("device", device),
        ("board_id", &board),
        ("firmware_version", &firmware),
        ("hca_type", &kind),
    ];
    let help = "Non-numeric data from /sys/class/infiniband/<device>, value is always 1.";
    run.out.gauge("node_infiniband_info", help, &labels, 1.0);
}

fn push_counter(counter: &Counter, ports: &[Port], run: &mut Run<'_>) {
    let Counter {
        name,
        file,
        help,
        factor,
    } = counter;
    // The age of the adapter's counters is no counter itself.
    let kind = if name.ends_with("_total") {
        COUNTER
    } else {
        GAUGE
    };
    run.out
        .begin(&format!("node_infiniband_{name}"), kind, help);
    for port in ports {
        if let Some(value) = port.directory.integer(file) {
            run.out.push(&port.labels(), (value * factor).trunc());
        }
    }
}

impl Port {
    fn labels(&self) -> [(&str, &str); 2] {
        [("device", &self.device), ("port", &self.number)]
    }

    fn push_states(&self, run: &mut Run<'_>) {
        let number = |file: &str, end| {
            let text = self.directory.text(file)?;
            text.split(end).next()?.trim().parse::<f64>().ok()
        };
        if let Some(state) = number("state", ':') {
            let help = "State of the InfiniBand port (0: no change, 1: down, 2: init, 3: armed, 4: active, 5: act defer)";
            run.out
                .gauge("node_infiniband_state_id", help, &self.labels(), state);
        }
        if let Some(state) = number("phys_state", ':') {
            let help = "Physical state of the InfiniBand port (0: no change, 1: sleep, 2: polling, 3: disable, 4: shift, 5: link up, 6: link error recover, 7: phytest)";
            let name = "node_infiniband_physical_state_id";
            run.out.gauge(name, help, &self.labels(), state);
        }
        if let Some(rate) = number("rate", ' ') {
            let help = "Maximum signal transfer rate";
            let name = "node_infiniband_rate_bytes_per_second";
            run.out.gauge(name, help, &self.labels(), rate * GIGABIT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn counters_have_their_units_and_missing_ones_no_series() {
        let host = Host::below(
            "sys/class/infiniband/mlx4_0",
            &[
                ("board_id", "SM_1141000001000\n"),
                ("fw_ver", "2.31.5050\n"),
                ("hca_type", "MT4099\n"),
                ("ports/1/state", "4: ACTIVE\n"),
                ("ports/1/phys_state", "5: LinkUp\n"),
                ("ports/1/rate", "40 Gb/sec (4X QDR)\n"),
                ("ports/1/counters/port_rcv_data", "4631917\n"),
                ("ports/1/counters/VL15_dropped", "N/A (no PMA)\n"),
                ("ports/1/hw_counters/lifespan", "10500\n"),
            ],
        );
        let expected = [
            "node_infiniband_info{board_id=\"SM_1141000001000\", device=\"mlx4_0\", firmware_version=\"2.31.5050\", hca_type=\"MT4099\"} 1",
            "node_infiniband_state_id{device=\"mlx4_0\", port=\"1\"} 4",
            "node_infiniband_physical_state_id{device=\"mlx4_0\", port=\"1\"} 5",
            "node_infiniband_rate_bytes_per_second{device=\"mlx4_0\", port=\"1\"} 5000000000",
            "node_infiniband_port_data_received_bytes_total{device=\"mlx4_0\", port=\"1\"} 18527668",
            "node_infiniband_lifespan_seconds{device=\"mlx4_0\", port=\"1\"} 10",
        ];
        assert_eq!(collect(&host, "infiniband", "").unwrap(), expected);
    }
}
