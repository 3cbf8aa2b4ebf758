//! Server of NFS, from `/proc/net/rpc/nfsd`.

use super::super::part::{COUNTER, GAUGE, Part, PartError, ProcFile, Run};
use super::super::settings::Setup;
use super::nfs::table::{Table, V2, V3};

/// Operations of version 4, in the order of the kernel. Those without a name are not shown, as in node_exporter.
const V4: [&str; 40] = [
    "",
    "",
    "",
    "Access",
    "Close",
    "Commit",
    "Create",
    "DelegPurge",
    "DelegReturn",
    "GetAttr",
    "GetFH",
    "Link",
    "Lock",
    "Lockt",
    "Locku",
    "Lookup",
    "LookupRoot",
    "Nverify",
    "Open",
    "OpenAttr",
    "OpenConfirm",
    "OpenDgrd",
    "PutFH",
    "",
    "",
    "Read",
    "ReadDir",
    "ReadLink",
    "Remove",
    "Rename",
    "Renew",
    "RestoreFH",
    "SaveFH",
    "SecInfo",
    "SetAttr",
    "SetClientID",
    "SetClientIDConfirm",
    "Verify",
    "Write",
    "RelLockOwner",
];

/// Single numbers: metric, type, help, row and column.
const NUMBERS: [(&str, Option<bellwether_core::Kind>, &str, &str, usize); 11] = [
    (
        "reply_cache_hits_total",
        COUNTER,
        "Total number of NFSd Reply Cache hits (client lost server response).",
        "rc",
        0,
    ),
    (
        "reply_cache_misses_total",
        COUNTER,
        "Total number of NFSd Reply Cache an operation that requires caching (idempotent).",
        "rc",
        1,
    ),
    (
        "reply_cache_nocache_total",
        COUNTER,
        "Total number of NFSd Reply Cache non-idempotent operations (rename/delete/…).",
        "rc",
        2,
    ),
    (
        "file_handles_stale_total",
        COUNTER,
        "Total number of NFSd stale file handles",
        "fh",
        0,
    ),
    (
        "disk_bytes_read_total",
        COUNTER,
        "Total NFSd bytes read.",
        "io",
        0,
    ),
    (
        "disk_bytes_written_total",
        COUNTER,
        "Total NFSd bytes written.",
        "io",
        1,
    ),
    (
        "server_threads",
        GAUGE,
        "Total number of NFSd kernel threads that are running.",
        "th",
        0,
    ),
    (
        "read_ahead_cache_size_blocks",
        GAUGE,
        "How large the read ahead cache is in blocks.",
        "ra",
        0,
    ),
    (
        "read_ahead_cache_not_found_total",
        COUNTER,
        "Total number of NFSd read ahead cache not found.",
        "ra",
        11,
    ),
    (
        "connections_total",
        COUNTER,
        "Total number of NFSd TCP connections.",
        "net",
        3,
    ),
    (
        "server_rpcs_total",
        COUNTER,
        "Total number of NFSd RPCs.",
        "rpc",
        0,
    ),
];

struct Nfsd(ProcFile);

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Nfsd(setup.net("rpc/nfsd")))
}

impl Part for Nfsd {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let text = self.0.optional()?;
        let table = Table::parse(&text);
        for (name, kind, help, row, column) in NUMBERS {
            run.out.begin(&format!("node_nfsd_{name}"), kind, help);
            run.out.push(&[], table.value(row, column));
        }
        let help = "Total NFSd network packets (sent+received) by protocol type.";
        run.out.begin("node_nfsd_packets_total", COUNTER, help);
        for (protocol, column) in [("udp", 1), ("tcp", 2)] {
            run.out
                .push(&[("proto", protocol)], table.value("net", column));
        }
        let help = "Total number of NFSd RPC errors by error type.";
        run.out.begin("node_nfsd_rpc_errors_total", COUNTER, help);
        for (error, column) in [("fmt", 2), ("auth", 3), ("cInt", 4)] {
            run.out
                .push(&[("error", error)], table.value("rpc", column));
        }
        push_requests(&table, run);
        Ok(())
    }
}

fn push_requests(table: &Table<'_>, run: &mut Run<'_>) {
    let help = "Total number NFSd Requests by method and protocol.";
    run.out.begin("node_nfsd_requests_total", COUNTER, help);
    let versions: [(&str, &str, &[&str]); 3] = [
        ("2", "proc2", &V2),
        ("3", "proc3", &V3),
        ("4", "proc4ops", &V4),
    ];
    for (version, row, procedures) in versions {
        for (index, procedure) in procedures.iter().enumerate() {
            if !matches!(*procedure, "" | "Null") {
                let labels = [("proto", version), ("method", *procedure)];
                run.out.push(&labels, table.value(row, index + 1));
            }
        }
    }
    let labels = [("proto", "4"), ("method", "WdelegGetattr")];
    run.out.push(&labels, table.value("wdeleg_getattr", 0));
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn rows_have_their_metrics() {
        let nfsd = "rc 0 6 18622\nfh 1 0 0 0 0\nio 157286400 72\nth 8 0 0.000\nra 32 0 0 0 0 0 0 0 0 0 0 7\nnet 972 1 970 55\nrpc 18628 3 1 2 0\nproc2 18 2 69 0\nproc3 22 2 112\nproc4 2 2 10853\nproc4ops 40 0 0 0 98 0 0 0 0 0 9 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 5\nwdeleg_getattr 15\n";
        let lines = collect(&Host::with(&[("proc/net/rpc/nfsd", nfsd)]), "nfsd", "").unwrap();
        assert_eq!(lines.len(), 11 + 2 + 3 + 17 + 21 + 35 + 1);
        for expected in [
            "node_nfsd_reply_cache_nocache_total 18622",
            "node_nfsd_file_handles_stale_total 1",
            "node_nfsd_read_ahead_cache_not_found_total 7",
            "node_nfsd_packets_total{proto=\"tcp\"} 970",
            "node_nfsd_rpc_errors_total{error=\"auth\"} 2",
            "node_nfsd_requests_total{method=\"GetAttr\", proto=\"2\"} 69",
            "node_nfsd_requests_total{method=\"Access\", proto=\"4\"} 98",
            "node_nfsd_requests_total{method=\"GetAttr\", proto=\"4\"} 9",
            "node_nfsd_requests_total{method=\"RelLockOwner\", proto=\"4\"} 5",
            "node_nfsd_requests_total{method=\"WdelegGetattr\", proto=\"4\"} 15",
        ] {
            assert!(
                lines.iter().any(|line| line == expected),
                "{expected}: {lines:?}"
            );
        }
    }
}
