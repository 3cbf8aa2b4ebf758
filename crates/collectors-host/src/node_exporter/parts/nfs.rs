//! Client of NFS, from `/proc/net/rpc/nfs`.

pub(super) mod table;

use table::{Table, V2, V3};

use super::super::part::{COUNTER, Part, PartError, ProcFile, Run};
use super::super::settings::Setup;

/// Procedures of version 4, in the order of the kernel.
const V4: [&str; 59] = [
    "Null",
    "Read",
    "Write",
    "Commit",
    "Open",
    "OpenConfirm",
    "OpenNoattr",
    "OpenDowngrade",
    "Close",
    "Setattr",
    "FsInfo",
    "Renew",
    "SetClientID",
    "SetClientIDConfirm",
    "Lock",
    "Lockt",
    "Locku",
    "Access",
    "Getattr",
    "Lookup",
    "LookupRoot",
    "Remove",
    "Rename",
    "Link",
    "Symlink",
    "Create",
    "Pathconf",
    "StatFs",
    "ReadLink",
    "ReadDir",
    "ServerCaps",
    "DelegReturn",
    "GetACL",
    "SetACL",
    "FsLocations",
    "ReleaseLockowner",
    "Secinfo",
    "FsidPresent",
    "ExchangeID",
    "CreateSession",
    "DestroySession",
    "Sequence",
    "GetLeaseTime",
    "ReclaimComplete",
    "GetDeviceInfo",
    "LayoutGet",
    "LayoutCommit",
    "LayoutReturn",
    "SecinfoNoName",
    "TestStateID",
    "FreeStateID",
    "GetDeviceList",
    "BindConnToSession",
    "DestroyClientID",
    "Seek",
    "Allocate",
    "DeAllocate",
    "LayoutStats",
    "Clone",
];

struct Nfs(ProcFile);

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Nfs(setup.net("rpc/nfs")))
}

impl Part for Nfs {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let text = self.0.optional()?;
        let table = Table::parse(&text);
        let help = "Total NFSd network packets (sent+received) by protocol type.";
        run.out.begin("node_nfs_packets_total", COUNTER, help);
        for (protocol, column) in [("udp", 1), ("tcp", 2)] {
            let packets = table.value("net", column);
            run.out.push(&[("protocol", protocol)], packets);
        }
        for (name, help, row, column) in [
            (
                "connections_total",
                "Total number of NFSd TCP connections.",
                "net",
                3,
            ),
            ("rpcs_total", "Total number of RPCs performed.", "rpc", 0),
            (
                "rpc_retransmissions_total",
                "Number of RPC transmissions performed.",
                "rpc",
                1,
            ),
            (
                "rpc_authentication_refreshes_total",
                "Number of RPC authentication refreshes performed.",
                "rpc",
                2,
            ),
        ] {
            let value = table.value(row, column);
            run.out
                .counter(&format!("node_nfs_{name}"), help, &[], value);
        }
        let help = "Number of NFS procedures invoked.";
        run.out.begin("node_nfs_requests_total", COUNTER, help);
        let versions: [(&str, &str, &[&str]); 3] = [
            ("2", "proc2", &V2),
            ("3", "proc3", &V3),
            ("4", "proc4", &V4),
        ];
        for (version, row, procedures) in versions {
            for (index, procedure) in procedures.iter().enumerate() {
                let labels = [("proto", version), ("method", *procedure)];
                // The first column is their number.
                run.out.push(&labels, table.value(row, index + 1));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn procedures_have_their_version_and_those_of_later_kernels_are_zero() {
        let nfs = "net 70 69 5 45\nrpc 1218785755 374636 1218815394\nproc2 18 16 57 74 52 71 73 45 86 0 52 83 61 17 53 50 23 70 82\nproc3 22 0 1061909262 48906\nproc4 3 98 51 54\n";
        let lines = collect(&Host::with(&[("proc/net/rpc/nfs", nfs)]), "nfs", "").unwrap();
        assert_eq!(lines.len(), 6 + 18 + 22 + 59);
        for expected in [
            "node_nfs_packets_total{protocol=\"tcp\"} 5",
            "node_nfs_connections_total 45",
            "node_nfs_rpcs_total 1218785755",
            "node_nfs_requests_total{method=\"GetAttr\", proto=\"2\"} 57",
            "node_nfs_requests_total{method=\"GetAttr\", proto=\"3\"} 1061909262",
            "node_nfs_requests_total{method=\"Write\", proto=\"4\"} 54",
            "node_nfs_requests_total{method=\"Clone\", proto=\"4\"} 0",
        ] {
            assert!(
                lines.iter().any(|line| line == expected),
                "{expected}: {lines:?}"
            );
        }
    }
}
