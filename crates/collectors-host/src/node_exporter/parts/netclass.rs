//! State and properties of network interfaces, from `/sys/class/net`.

use bellwether_core::Kind;

use super::super::directory::{Device, Devices};
use super::super::part::{COUNTER, GAUGE, Part, PartError, Run};
use super::super::settings::{Filter, Setup};

/// Metrics, which are files of an interface.
const PROPERTIES: [(&str, &str, Option<Kind>); 16] = [
    ("address_assign_type", "addr_assign_type", GAUGE),
    ("carrier", "carrier", GAUGE),
    ("carrier_changes_total", "carrier_changes", COUNTER),
    ("carrier_up_changes_total", "carrier_up_count", COUNTER),
    ("carrier_down_changes_total", "carrier_down_count", COUNTER),
    ("device_id", "dev_id", GAUGE),
    ("dormant", "dormant", GAUGE),
    ("flags", "flags", GAUGE),
    ("iface_id", "ifindex", GAUGE),
    ("iface_link", "iflink", GAUGE),
    ("iface_link_mode", "link_mode", GAUGE),
    ("mtu_bytes", "mtu", GAUGE),
    ("name_assign_type", "name_assign_type", GAUGE),
    ("net_dev_group", "netdev_group", GAUGE),
    ("transmit_queue_length", "tx_queue_len", GAUGE),
    ("protocol_type", "type", GAUGE),
];
/// Index of `flags` among them.
const FLAGS: usize = 7;
/// Bytes per second of a megabit per second.
const MEGABIT: f64 = 125_000.0;
/// Flag of an interface that is switched on.
const UP: u64 = 1;
/// Interfaces whose files are kept open. A host with thousands of containers has more.
const KEPT: usize = 16;

struct Netclass {
    devices: Devices,
    filter: Filter,
    ignores_invalid_speed: bool,
}

/// An interface.
struct Interface<'d> {
    name: &'d str,
    properties: [Option<f64>; PROPERTIES.len()],
    /// Megabits per second.
    speed: Option<f64>,
    state: String,
    /// Labels of `node_network_info`, with the files that they are in.
    texts: [(&'static str, String); 4],
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Netclass {
        devices: Devices::new(setup.sys("class/net"), KEPT),
        filter: setup.filters.netclass.clone(),
        ignores_invalid_speed: setup.ignore_invalid_speed,
    })
}

impl Part for Netclass {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let filter = &self.filter;
        let devices = self.devices.update(|name| filter.selects(name))?;
        let interfaces: Vec<Interface<'_>> = devices.iter().map(Interface::read).collect();
        push_states(&interfaces, run);
        for (index, (name, _, kind)) in PROPERTIES.iter().enumerate() {
            let help = ["Network device property: ", name].concat();
            run.out
                .begin(&["node_network_", name].concat(), *kind, &help);
            for interface in &interfaces {
                if let Some(value) = interface.properties[index] {
                    run.out.push(&[("device", interface.name)], value);
                }
            }
        }
        let help = "Network device property: speed_bytes";
        run.out.begin("node_network_speed_bytes", GAUGE, help);
        for interface in &interfaces {
            let speed = interface.speed;
            let shown = speed.filter(|speed| *speed >= 0.0 || !self.ignores_invalid_speed);
            if let Some(speed) = shown {
                let labels = [("device", interface.name)];
                run.out.push(&labels, (speed * MEGABIT).trunc());
            }
        }
        Ok(())
    }
}

impl<'d> Interface<'d> {
    fn read(device: &'d Device) -> Self {
        let directory = &device.directory;
        let text = |file| directory.text(file).unwrap_or_default();
        Self {
            name: &device.name,
            properties: PROPERTIES.map(|(_, file, _)| directory.integer(file)),
            speed: directory.integer("speed"),
            state: text("operstate"),
            texts: ["address", "broadcast", "duplex", "ifalias"].map(|file| (file, text(file))),
        }
    }

    fn administrative_state(&self) -> &'static str {
        match self.properties[FLAGS] {
            None => "unknown",
            Some(flags) if flags as u64 & UP != 0 => "up",
            Some(_) => "down",
        }
    }
}

fn push_states(interfaces: &[Interface<'_>], run: &mut Run<'_>) {
    let help = "Value is 1 if operstate is 'up', 0 otherwise.";
    run.out.begin("node_network_up", GAUGE, help);
    for interface in interfaces {
        let is_up = f64::from(u8::from(interface.state == "up"));
        run.out.push(&[("device", interface.name)], is_up);
    }
    let help = "Non-numeric data from /sys/class/net/<iface>, value is always 1.";
    run.out.begin("node_network_info", GAUGE, help);
    for interface in interfaces {
        let [address, broadcast, duplex, alias] = &interface.texts;
        let labels = [address, broadcast, duplex, alias].map(|(name, text)| (*name, text.as_str()));
        let [address, broadcast, duplex, alias] = labels;
        let own = [
            ("device", interface.name),
            ("operstate", &interface.state),
            ("adminstate", interface.administrative_state()),
        ];
        let [device, operational, administrative] = own;
        let labels = [
            address,
            broadcast,
            duplex,
            alias,
            device,
            operational,
            administrative,
        ];
        run.out.push(&labels, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn interfaces_have_the_properties_that_their_drivers_have() {
        let files = [
            ("sys/class/net/bonding_masters", "\n"),
            ("sys/class/net/eth0/operstate", "up\n"),
            ("sys/class/net/eth0/address", "01:01:01:01:01:01\n"),
            ("sys/class/net/eth0/duplex", "full\n"),
            ("sys/class/net/eth0/flags", "0x1003\n"),
            ("sys/class/net/eth0/carrier_changes", "2\n"),
            ("sys/class/net/eth0/speed", "1000\n"),
            ("sys/class/net/wlan0/operstate", "down\n"),
            ("sys/class/net/wlan0/speed", "-1\n"),
        ];
        let expected = [
            "node_network_up{device=\"eth0\"} 1",
            "node_network_up{device=\"wlan0\"} 0",
            "node_network_info{address=\"01:01:01:01:01:01\", adminstate=\"up\", device=\"eth0\", duplex=\"full\", operstate=\"up\"} 1",
            "node_network_info{adminstate=\"unknown\", device=\"wlan0\", operstate=\"down\"} 1",
            "node_network_carrier_changes_total{device=\"eth0\"} 2",
            "node_network_flags{device=\"eth0\"} 4099",
            "node_network_speed_bytes{device=\"eth0\"} 125000000",
            "node_network_speed_bytes{device=\"wlan0\"} -125000",
        ];
        let host = Host::with(&files);
        assert_eq!(collect(&host, "netclass", "").unwrap(), expected);
        let lines = collect(&host, "netclass", "netclass: {ignore_invalid_speed: true}").unwrap();
        assert_eq!(lines.len(), expected.len() - 1);
        let lines = collect(&host, "netclass", "netclass: {ignored_devices: ^wlan}").unwrap();
        assert_eq!(lines.len(), 5);
    }
}
