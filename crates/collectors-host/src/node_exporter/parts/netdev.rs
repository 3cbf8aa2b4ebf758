//! Traffic of network interfaces, from `/proc/net/dev`.

use super::super::directory::Devices;
use super::super::part::{COUNTER, Part, PartError, ProcFile, Run, total};
use super::super::settings::{Filter, Setup};

/// Columns of the file, in their order.
const COLUMNS: [&str; 16] = [
    "receive_bytes",
    "receive_packets",
    "receive_errs",
    "receive_drop",
    "receive_fifo",
    "receive_frame",
    "receive_compressed",
    "receive_multicast",
    "transmit_bytes",
    "transmit_packets",
    "transmit_errs",
    "transmit_drop",
    "transmit_fifo",
    "transmit_colls",
    "transmit_carrier",
    "transmit_compressed",
];

/// Interfaces of which the file of /sys is kept open.
const KEPT: usize = 64;

struct Netdev {
    file: ProcFile,
    /// Packets that no protocol took are in a file of /sys alone.
    devices: Devices,
    filter: Filter,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Netdev {
        file: setup.net("dev"),
        devices: Devices::new(setup.sys("class/net"), KEPT),
        filter: setup.filters.netdev.clone(),
    })
}

impl Part for Netdev {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let text = self.file.required()?;
        let interfaces: Vec<(&str, Vec<f64>)> = text
            .lines()
            .filter_map(parse)
            .filter(|(device, _)| self.filter.selects(device))
            .collect();
        for (index, column) in COLUMNS.iter().enumerate() {
            let help = ["Network device statistic ", column, "."].concat();
            let name = ["node_network_", column, "_total"].concat();
            run.out.begin(&name, COUNTER, &help);
            for (device, columns) in &interfaces {
                run.out.push(&[("device", device)], columns[index]);
            }
        }
        let help = "Network device statistic receive_nohandler.";
        run.out
            .begin("node_network_receive_nohandler_total", COUNTER, help);
        let is_shown = |name: &str| interfaces.iter().any(|(device, _)| *device == name);
        // The counters of /proc stay without it.
        for device in self.devices.update(is_shown).unwrap_or_default() {
            if let Some(packets) = device.directory.integer("statistics/rx_nohandler") {
                run.out.push(&[("device", &device.name)], packets);
            }
        }
        Ok(())
    }
}

/// Parses a line. Aliases have a colon in their name, and old kernels write no blank behind the last one.
fn parse(line: &str) -> Option<(&str, Vec<f64>)> {
    let (device, columns) = line.rsplit_once(':')?;
    let columns: Option<Vec<f64>> = columns.split_ascii_whitespace().map(total).collect();
    let columns = columns.filter(|columns| columns.len() >= COLUMNS.len())?;
    Some((device.trim(), columns))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn columns_have_their_names_and_bad_lines_cost_themselves() {
        let dev = "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n\
            veth4B09XN:648 8 0 0 0 0 0 0 1943284 10640 0 0 0 0 0 0\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n  bad: 1 2\n";
        let host = Host::with(&[
            ("proc/net/dev", dev),
            ("sys/class/net/eth0/statistics/rx_nohandler", "17\n"),
        ]);
        let lines = collect(&host, "netdev", "netdev: {device_include: '^(eth0|bad)$'}").unwrap();
        assert_eq!(lines.len(), 17);
        for expected in [
            "node_network_receive_bytes_total{device=\"eth0\"} 1",
            "node_network_receive_multicast_total{device=\"eth0\"} 8",
            "node_network_transmit_compressed_total{device=\"eth0\"} 16",
            "node_network_receive_nohandler_total{device=\"eth0\"} 17",
        ] {
            assert!(
                lines.iter().any(|line| line == expected),
                "{expected}: {lines:?}"
            );
        }
        let all = collect(&host, "netdev", "").unwrap();
        assert!(
            all.iter()
                .any(|line| line
                    == "node_network_transmit_bytes_total{device=\"veth4B09XN\"} 1943284")
        );
    }
}
