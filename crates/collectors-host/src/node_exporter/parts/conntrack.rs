//! Connection tracking, from `/proc/sys/net/netfilter` and `/proc/net/stat/nf_conntrack`.

use super::super::part::{Part, PartError, ProcFile, Run, hexadecimal};
use super::super::settings::Setup;

/// Columns of `nf_conntrack`, which are sums over the processors.
const COLUMNS: [(&str, &str, usize); 8] = [
    (
        "found",
        "Number of searched entries which were successful.",
        2,
    ),
    (
        "invalid",
        "Number of packets seen which can not be tracked.",
        4,
    ),
    (
        "ignore",
        "Number of packets seen which are already connected to a conntrack entry.",
        5,
    ),
    ("insert", "Number of entries inserted into the list.", 8),
    (
        "insert_failed",
        "Number of entries for which list insertion was attempted but failed.",
        9,
    ),
    (
        "drop",
        "Number of packets dropped due to conntrack failure.",
        10,
    ),
    (
        "early_drop",
        "Number of dropped conntrack entries to make room for new ones, if maximum table size was reached.",
        11,
    ),
    (
        "search_restart",
        "Number of conntrack table lookups which had to be restarted due to hashtable resizes.",
        16,
    ),
];

struct Conntrack {
    count: ProcFile,
    max: ProcFile,
    stat: ProcFile,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    let file = |name| ProcFile::new(setup.proc(name));
    Box::new(Conntrack {
        count: file("sys/net/netfilter/nf_conntrack_count"),
        max: file("sys/net/netfilter/nf_conntrack_max"),
        stat: setup.net("stat/nf_conntrack"),
    })
}

impl Part for Conntrack {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let count = self.count.number()?;
        let help = "Number of currently allocated flow entries for connection tracking.";
        run.out.gauge("node_nf_conntrack_entries", help, &[], count);
        let max = self.max.number()?;
        let help = "Maximum size of connection tracking table.";
        run.out
            .gauge("node_nf_conntrack_entries_limit", help, &[], max);
        let text = self.stat.optional()?;
        for (name, help, column) in COLUMNS {
            let values = text.lines().skip(1).filter_map(|line| {
                let field = line.split_whitespace().nth(column)?;
                hexadecimal(field)
            });
            let name = format!("node_nf_conntrack_stat_{name}");
            run.out.gauge(&name, help, &[], values.sum());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn columns_are_summed_over_the_processors() {
        let stat = "entries  searched found new invalid ignore delete delete_list insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart\n\
            00000021  00000000 00000010 00000000 00000003 0000588a 00000000 00000000 00000000 00000000 00000000 00000000 00000000  00000000 00000000 00000000 00000001\n\
            00000021  00000000 00000002 00000000 00000002 000056a4 00000000 00000000 00000000 00000000 00000000 00000000 00000000  00000000 00000000 00000000\n";
        let host = Host::with(&[
            ("proc/sys/net/netfilter/nf_conntrack_count", "123\n"),
            ("proc/sys/net/netfilter/nf_conntrack_max", "65536\n"),
            ("proc/net/stat/nf_conntrack", stat),
        ]);
        let lines = collect(&host, "conntrack", "").unwrap();
        assert_eq!(lines.len(), 10);
        for expected in [
            "node_nf_conntrack_entries 123",
            "node_nf_conntrack_entries_limit 65536",
            "node_nf_conntrack_stat_found 18",
            "node_nf_conntrack_stat_search_restart 1",
        ] {
            assert!(
                lines.iter().any(|line| line == expected),
                "{expected}: {lines:?}"
            );
        }
    }
}
