//! Virtual servers of the kernel, from `/proc/net/ip_vs_stats` and `/proc/net/ip_vs`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::part::{GAUGE, Part, PartError, ProcFile, Run, hexadecimal, total};
use super::super::settings::Setup;

/// Columns of `ip_vs_stats`, which are hexadecimal.
const TOTALS: [(&str, &str); 5] = [
    ("connections", "The total number of connections made."),
    ("incoming_packets", "The total number of incoming packets."),
    ("outgoing_packets", "The total number of outgoing packets."),
    ("incoming_bytes", "The total amount of incoming data."),
    ("outgoing_bytes", "The total amount of outgoing data."),
];
/// Figures of a backend, with their columns of `ip_vs`.
const BACKENDS: [(&str, &str, usize); 3] = [
    (
        "connections_active",
        "The current active connections by local and remote address.",
        4,
    ),
    (
        "connections_inactive",
        "The current inactive connections by local and remote address.",
        5,
    ),
    (
        "weight",
        "The current backend weight by local and remote address.",
        3,
    ),
];

struct Ipvs {
    totals: ProcFile,
    backends: ProcFile,
}

/// Backend of a virtual server.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Backend {
    local_address: String,
    local_port: String,
    remote_address: String,
    remote_port: String,
    protocol: String,
    local_mark: String,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Ipvs {
        totals: setup.net("ip_vs_stats"),
        backends: setup.net("ip_vs"),
    })
}

impl Part for Ipvs {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let text = self.totals.optional()?;
        let line = text.lines().nth(2).unwrap_or_default();
        let values: Option<Vec<f64>> = line.split_whitespace().map(hexadecimal).collect();
        let values = values.filter(|values| values.len() == TOTALS.len());
        let expected = "five hexadecimal totals in the third line";
        let values = values.ok_or_else(|| text.malformed(expected, &text))?;
        for ((name, help), value) in TOTALS.iter().zip(values) {
            run.out
                .counter(&format!("node_ipvs_{name}_total"), help, &[], value);
        }
        let backends = backends(&self.backends.optional()?);
        for (index, (name, help, _)) in BACKENDS.iter().enumerate() {
            run.out
                .begin(&format!("node_ipvs_backend_{name}"), GAUGE, help);
            for (backend, values) in &backends {
                run.out.push(&backend.labels(), values[index]);
            }
        }
        Ok(())
    }
}

/// Parses the table: a virtual server, and below it its backends.
fn backends(text: &str) -> BTreeMap<Backend, [f64; BACKENDS.len()]> {
    let mut found: BTreeMap<Backend, [f64; BACKENDS.len()]> = BTreeMap::new();
    let mut server = Backend::default();
    for line in text.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields.as_slice() {
            [protocol @ ("TCP" | "UDP" | "SCTP"), local, ..] => {
                let (local_address, local_port) = address(local).unwrap_or_default();
                server = Backend {
                    protocol: (*protocol).to_owned(),
                    local_address,
                    local_port,
                    ..Backend::default()
                };
            }
            ["FWM", mark, ..] => {
                server = Backend {
                    protocol: "FWM".to_owned(),
                    local_mark: (*mark).to_owned(),
                    local_port: "0".to_owned(),
                    ..Backend::default()
                };
            }
            ["->", remote, ..] => {
                let Some((remote_address, remote_port)) = address(remote) else {
                    continue;
                };
                let backend = Backend {
                    remote_address,
                    remote_port,
                    ..server.clone()
                };
                let sums = found.entry(backend).or_default();
                for (sum, (_, _, column)) in sums.iter_mut().zip(BACKENDS) {
                    *sum += fields
                        .get(column)
                        .and_then(|field| total(field))
                        .unwrap_or(0.0);
                }
            }
            _ => {}
        }
    }
    found
}

/// Parses `C0A80016:0CEA` or `[2620:0000:...:0011]:0050`.
fn address(text: &str) -> Option<(String, String)> {
    let (address, port) = text.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let address = match address.strip_prefix('[') {
        Some(address) => {
            let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
            address.to_string()
        }
        None => Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?).to_string(),
    };
    Some((address, port.to_string()))
}

impl Backend {
    fn labels(&self) -> [(&str, &str); 6] {
        [
            ("local_address", &self.local_address),
            ("local_port", &self.local_port),
            ("remote_address", &self.remote_address),
            ("remote_port", &self.remote_port),
            ("proto", &self.protocol),
            ("local_mark", &self.local_mark),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn totals_and_backends_have_their_addresses() {
        let host = Host::with(&[
            (
                "proc/net/ip_vs_stats",
                "   Total Incoming Outgoing         Incoming         Outgoing\n   Conns  Packets  Packets            Bytes            Bytes\n 16AA370 E33656E5        0     51D8C8883AB3                0\n\n",
            ),
            (
                "proc/net/ip_vs",
                "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n\
                 TCP  C0A80016:0CEA wlc\n  -> C0A85216:0CEA      Tunnel  100    248        2\n\
                 TCP  [2620:0000:0000:0000:0000:0000:0000:0001]:0050 sh\n  -> [2620:0000:0000:0000:0000:0000:0000:0002]:0050      Route   1      0          3\n\
                 FWM  10001000 wlc\n  -> C0A83215:0CEA      Route   20     1        0\n  -> broken 1\n",
            ),
        ]);
        let lines = collect(&host, "ipvs", "").unwrap();
        for expected in [
            "node_ipvs_connections_total 23765872",
            "node_ipvs_incoming_bytes_total 89991519156915",
            "node_ipvs_backend_weight{local_address=\"192.168.0.22\", local_port=\"3306\", proto=\"TCP\", remote_address=\"192.168.82.22\", remote_port=\"3306\"} 100",
            "node_ipvs_backend_connections_inactive{local_address=\"2620::1\", local_port=\"80\", proto=\"TCP\", remote_address=\"2620::2\", remote_port=\"80\"} 3",
            "node_ipvs_backend_connections_active{local_mark=\"10001000\", local_port=\"0\", proto=\"FWM\", remote_address=\"192.168.50.21\", remote_port=\"3306\"} 1",
        ] {
            assert!(
                lines.iter().any(|line| line == expected),
                "{expected}: {lines:?}"
            );
        }
        assert_eq!(lines.len(), 14);
    }
}
