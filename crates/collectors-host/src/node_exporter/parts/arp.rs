//! Entries of the ARP table by interface, from `/proc/net/arp`.

use std::collections::BTreeMap;

use super::super::part::{GAUGE, Part, PartError, ProcFile, Run};
use super::super::settings::{Filter, Setup};

struct Arp {
    file: ProcFile,
    filter: Filter,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Arp {
        file: setup.net("arp"),
        filter: setup.filters.arp.clone(),
    })
}

impl Part for Arp {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let text = self.file.optional()?;
        let mut counts = BTreeMap::new();
        for line in text.lines().skip(1) {
            if let Some(device) = line.split_whitespace().nth(5) {
                *counts.entry(device).or_insert(0_u32) += 1;
            }
        }
        run.out
            .begin("node_arp_entries", GAUGE, "ARP entries by device");
        for (device, count) in counts {
            if self.filter.selects(device) {
                run.out.push(&[("device", device)], f64::from(count));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn entries_are_counted_by_device() {
        let table = "IP address HW type Flags HW address Mask Device\n\
            10.0.0.1 0x1 0x2 00:00:00:00:00:01 * eth0\n10.0.0.2 0x1 0x0 00:00:00:00:00:00 * eth0\n\
            10.0.1.1 0x1 0x2 00:00:00:00:00:02 * eth1\ncut\n";
        let host = Host::with(&[("proc/net/arp", table)]);
        let lines = collect(&host, "arp", "arp: {device_exclude: ^eth1$}").unwrap();
        assert_eq!(lines, ["node_arp_entries{device=\"eth0\"} 2"]);
    }
}
