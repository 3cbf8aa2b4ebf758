//! Bytes in the queues of UDP sockets, from `/proc/net/udp` and `/proc/net/udp6`.

use super::super::part::{GAUGE, Part, PartError, Run, hexadecimal};
use super::super::settings::Setup;
use crate::system::HostFile;

/// Column of the queues: `00000000:00000001`.
const QUEUES: usize = 4;

struct UdpQueues {
    files: Vec<(&'static str, HostFile)>,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    let file = |name| HostFile::of_network(&setup.host.procfs, name);
    Box::new(UdpQueues {
        files: vec![("v4", file("udp")), ("v6", file("udp6"))],
    })
}

impl Part for UdpQueues {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let mut sums = Vec::new();
        for (version, file) in &mut self.files {
            let (mut sent, mut received) = (0.0, 0.0);
            let read = file.read_lines(|at, line| {
                // The first line is a heading.
                if let Some((tx, rx)) = queues(line).filter(|_| at > 1) {
                    sent += tx;
                    received += rx;
                }
            });
            match read {
                Ok(()) => sums.push((*version, sent, received)),
                Err(error) => match PartError::optional(file.path(), &error) {
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
    }
}
