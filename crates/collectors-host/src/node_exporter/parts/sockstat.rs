//! Sockets in use, from `/proc/net/sockstat` and `/proc/net/sockstat6`.

use rustix::param::page_size;

use super::super::part::{Part, PartError, ProcFile, Run, integer};
use super::super::settings::Setup;

/// Figures of a protocol that node_exporter shows.
const FIGURES: [&str; 6] = ["inuse", "orphan", "tw", "alloc", "mem", "memory"];

struct Sockstat {
    files: [ProcFile; 2],
    /// Bytes of a page, in which the kernel counts `mem`.
    page: f64,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    let files = ["sockstat", "sockstat6"].map(|file| setup.net(file));
    Box::new(Sockstat {
        files,
        page: page_size() as f64,
    })
}

impl Part for Sockstat {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        for file in &mut self.files {
            match file.optional() {
                Ok(text) => text.lines().for_each(|line| push(line, self.page, run)),
                // A kernel without IPv6 has one of both.
                Err(PartError::NoData) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Adds the figures of `TCP: inuse 4 orphan 0 tw 4 alloc 17 mem 1`.
fn push(line: &str, page: f64, run: &mut Run<'_>) {
    let Some((protocol, figures)) = line.split_once(':') else {
        return;
    };
    let mut words = figures.split_ascii_whitespace();
    while let (Some(figure), Some(value)) = (words.next(), words.next().and_then(integer)) {
        if (protocol, figure) == ("sockets", "used") {
            let help = "Number of IPv4 sockets in use.";
            run.out
                .gauge("node_sockstat_sockets_used", help, &[], value);
        } else if FIGURES.contains(&figure) {
            let mut push = |figure: &str, value| {
                let help = ["Number of ", protocol, " sockets in state ", figure, "."].concat();
                let name = ["node_sockstat_", protocol, "_", figure].concat();
                run.out.gauge(&name, &help, &[], value);
            };
            push(figure, value);
            if figure == "mem" {
                push("mem_bytes", value * page);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::param::page_size;

    use super::super::super::testing::{Host, collect};

    #[test]
    fn protocols_have_their_figures_and_memory_in_bytes_too() {
        let host = Host::with(&[
            (
                "proc/net/sockstat",
                "sockets: used 229\nTCP: inuse 4 orphan 0 tw 4 alloc 17 mem 2\nRAW: inuse 1 new 5\n",
            ),
            ("proc/net/sockstat6", "TCP6: inuse 17\nbroken\n"),
        ]);
        let page = page_size();
        let expected = [
            "node_sockstat_sockets_used 229".to_owned(),
            "node_sockstat_TCP_inuse 4".to_owned(),
            "node_sockstat_TCP_orphan 0".to_owned(),
            "node_sockstat_TCP_tw 4".to_owned(),
            "node_sockstat_TCP_alloc 17".to_owned(),
            "node_sockstat_TCP_mem 2".to_owned(),
            format!("node_sockstat_TCP_mem_bytes {}", 2 * page),
            "node_sockstat_RAW_inuse 1".to_owned(),
            "node_sockstat_TCP6_inuse 17".to_owned(),
        ];
        assert_eq!(collect(&host, "sockstat", "").unwrap(), expected);
    }
}
