//! Bytes in the queues of UDP sockets, from `/proc/net/udp` and `/proc/net/udp6`.
//!
//! The kernel walks the whole table of sockets for each reading, of thousands of places, and once more for its end.
//! `/proc/net/sockstat` has the number of sockets, so that no table is read without any, and none is read beyond the last.

use super::super::part::{GAUGE, Part, PartError, ProcFile, Run, hexadecimal};
use super::super::settings::Setup;
use crate::system::HostFile;

/// Column of the queues: `00000000:00000001`.
const QUEUES: usize = 4;

struct UdpQueues {
    tables: [Table; 2],
}

/// Sockets of a version of IP.
struct Table {
    /// Label `ip`.
    version: &'static str,
    file: HostFile,
    /// File with the number of sockets in a line that begins with `protocol`.
    counts: ProcFile,
    protocol: &'static str,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    let table = |version, file, counts, protocol| Table {
        version,
        file: HostFile::of_network(&setup.host.procfs, file),
        counts: setup.net(counts),
        protocol,
    };
    Box::new(UdpQueues {
        tables: [
            table("v4", "udp", "sockstat", "UDP:"),
            table("v6", "udp6", "sockstat6", "UDP6:"),
        ],
    })
}

impl Table {
    /// Returns the number of sockets, if the host has it.
    fn count(&mut self) -> Option<usize> {
        let text = self.counts.optional().ok()?;
        let mut lines = text.lines();
        let figures = lines.find_map(|line| line.strip_prefix(self.protocol))?;
        let mut words = figures.split_ascii_whitespace();
        words.find(|word| *word == "inuse")?;
        words.next()?.parse().ok()
    }

    /// Returns the bytes that wait to be sent, and those that were received.
    fn sums(&mut self) -> std::io::Result<(f64, f64)> {
        let (mut sent, mut received) = (0.0, 0.0);
        let last = match self.count() {
            Some(0) => return Ok((sent, received)),
            // The first line is a heading.
            Some(count) => count + 1,
            None => usize::MAX,
        };
        self.file.read_lines_until(last, |at, line| {
            if let Some((tx, rx)) = queues(line).filter(|_| at > 1) {
                sent += tx;
                received += rx;
            }
        })?;
        Ok((sent, received))
    }
}

impl Part for UdpQueues {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let mut sums = Vec::new();
        for table in &mut self.tables {
            match table.sums() {
                Ok((sent, received)) => sums.push((table.version, sent, received)),
                Err(error) => match PartError::optional(table.file.path(), &error) {
                    PartError::NoData => {}
                    error => return Err(error),
                },
            }
        }
        if sums.is_empty() {
            return Err(PartError::NoData);
        }
        let help = "Number of allocated memory in the kernel for UDP datagrams in bytes.";
        run.out.begin("node_udp_queues", GAUGE, help);
        for (version, sent, received) in sums {
            run.out.push(&[("queue", "tx"), ("ip", version)], sent);
            run.out.push(&[("queue", "rx"), ("ip", version)], received);
        }
        Ok(())
    }
}

/// Returns the bytes that wait to be sent, and those that were received.
fn queues(line: &[u8]) -> Option<(f64, f64)> {
    let line = str::from_utf8(line).ok()?;
    let (sent, received) = line.split_ascii_whitespace().nth(QUEUES)?.split_once(':')?;
    Some((hexadecimal(sent)?, hexadecimal(received)?))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn queues_are_summed_over_the_sockets() {
        let udp = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            0: 00000000:0016 00000000:0000 0A 00000015:00000000 00:00000000 00000000     0        0 2740 1 ffff88003d3af3c0 0\n\
            1: 00000000:0016 00000000:0000 0A 00000001:000000ff 00:00000000 00000000     0        0 2740 1 ffff88003d3af3c0 0\n";
        let host = Host::with(&[("proc/net/udp", udp)]);
        let expected = [
            "node_udp_queues{ip=\"v4\", queue=\"tx\"} 22",
            "node_udp_queues{ip=\"v4\", queue=\"rx\"} 255",
        ];
        assert_eq!(collect(&host, "udp_queues", "").unwrap(), expected);
        host.write(
            "proc/net/sockstat",
            "sockets: used 9\nUDP: inuse 2 mem 1\nUDPLITE: inuse 0\n",
        );
        host.write("proc/net/sockstat6", "UDP6: inuse 0\n");
        let lines = collect(&host, "udp_queues", "").unwrap();
        assert_eq!(lines[..2], expected);
        assert_eq!(
            lines[2..],
            [
                "node_udp_queues{ip=\"v6\", queue=\"tx\"} 0",
                "node_udp_queues{ip=\"v6\", queue=\"rx\"} 0",
            ]
        );
    }
}
