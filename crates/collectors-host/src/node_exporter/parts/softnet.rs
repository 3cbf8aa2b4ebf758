//! Packets that the processors handled, from `/proc/net/softnet_stat`.

use super::super::part::{COUNTER, GAUGE, Part, PartError, ProcFile, Run, hexadecimal};
use super::super::settings::Setup;

/// Metrics with their hexadecimal columns.
const METRICS: [(&str, &str, usize); 6] = [
    ("processed_total", "Number of processed packets", 0),
    ("dropped_total", "Number of dropped packets", 1),
    (
        "times_squeezed_total",
        "Number of times processing packets ran out of quota",
        2,
    ),
    (
        "cpu_collision_total",
        "Number of collision occur while obtaining device lock while transmitting",
        8,
    ),
    (
        "received_rps_total",
        "Number of times cpu woken up received_rps",
        9,
    ),
    (
        "flow_limit_count_total",
        "Number of times flow limit has been reached",
        10,
    ),
];
/// Column of the packets that wait.
const BACKLOG: usize = 11;
/// Column of the number of the processor, which old kernels do not have: their lines are in its order.
const NUMBER: usize = 12;
/// Columns of the oldest kernels.
const FEWEST: usize = 9;

struct Softnet(ProcFile);

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Softnet(setup.net("softnet_stat")))
}

/// Line of a processor.
struct Row {
    cpu: String,
    columns: Vec<f64>,
}

impl Row {
    fn parse((index, line): (usize, &str)) -> Option<Self> {
        let columns: Option<Vec<f64>> = line.split_ascii_whitespace().map(hexadecimal).collect();
        let columns = columns.filter(|columns| columns.len() >= FEWEST)?;
        let cpu = columns.get(NUMBER).map_or(index as f64, |number| *number);
        Some(Self {
            cpu: cpu.to_string(),
            columns,
        })
    }

    /// Returns a column; 0 if the kernel does not have it, as in node_exporter.
    fn column(&self, index: usize) -> f64 {
        self.columns.get(index).copied().unwrap_or(0.0)
    }
}

impl Part for Softnet {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let text = self.0.optional()?;
        let rows: Option<Vec<Row>> = text.lines().enumerate().map(Row::parse).collect();
        let expected = "nine hexadecimal numbers or more in each line";
        let rows = rows.ok_or_else(|| text.malformed(expected, &text))?;
        for (name, help, column) in METRICS {
            run.out
                .begin(&format!("node_softnet_{name}"), COUNTER, help);
            for row in &rows {
                run.out.push(&[("cpu", &row.cpu)], row.column(column));
            }
        }
        let help = "Softnet backlog status";
        run.out.begin("node_softnet_backlog_len", GAUGE, help);
        for row in &rows {
            let is_known = row.columns.len() > NUMBER;
            let waiting = if is_known { row.column(BACKLOG) } else { 0.0 };
            run.out.push(&[("cpu", &row.cpu)], waiting);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn processors_have_their_number_whatever_the_order_of_lines() {
        let stat = "00015c73 00020e76 F0000769 00000000 00000000 00000000 00000000 00000000 00000001 00000002 00000003 00000004 00000002\n\
            01663fb2 00000000 0000ffff 00000000 00000000 00000000 00000000 00000000 00000000\n";
        let host = Host::with(&[("proc/net/softnet_stat", stat)]);
        let lines = collect(&host, "softnet", "").unwrap();
        assert_eq!(lines.len(), 14);
        for expected in [
            "node_softnet_processed_total{cpu=\"2\"} 89203",
            "node_softnet_times_squeezed_total{cpu=\"2\"} 4026533737",
            "node_softnet_flow_limit_count_total{cpu=\"2\"} 3",
            "node_softnet_backlog_len{cpu=\"2\"} 4",
            "node_softnet_dropped_total{cpu=\"1\"} 0",
            "node_softnet_backlog_len{cpu=\"1\"} 0",
        ] {
            assert!(
                lines.iter().any(|line| line == expected),
                "{expected}: {lines:?}"
            );
        }
        host.write("proc/net/softnet_stat", "1 2\n");
        assert!(collect(&host, "softnet", "").is_err());
    }
}
