//! I/O of tape drives, from `/sys/class/scsi_tape`.

use std::path::PathBuf;

use bellwether_core::Kind;

use super::super::directory::{Directory, entries};
use super::super::part::{COUNTER, GAUGE, Part, PartError, Run};
use super::super::settings::{Filter, Setup};

const NANOSECOND: f64 = 1e-9;

/// Metrics with their files, and the factor to their unit.
const METRICS: [(&str, &str, Option<Kind>, f64, &str); 10] = [
    (
        "io_now",
        "in_flight",
        GAUGE,
        1.0,
        "The number of I/Os currently outstanding to this device.",
    ),
    (
        "io_time_seconds_total",
        "io_ns",
        COUNTER,
        NANOSECOND,
        "The amount of time spent waiting for all I/O to complete, tape movement included.",
    ),
    (
        "io_others_total",
        "other_cnt",
        COUNTER,
        1.0,
        "The number of I/Os issued to the tape drive other than read or write commands.",
    ),
    (
        "read_bytes_total",
        "read_byte_cnt",
        COUNTER,
        1.0,
        "The number of bytes read from the tape drive.",
    ),
    (
        "reads_completed_total",
        "read_cnt",
        COUNTER,
        1.0,
        "The number of read requests issued to the tape drive.",
    ),
    (
        "read_time_seconds_total",
        "read_ns",
        COUNTER,
        NANOSECOND,
        "The amount of time spent waiting for read requests to complete.",
    ),
    (
        "residual_total",
        "resid_cnt",
        COUNTER,
        1.0,
        "The number of times that the residual amount of a read or write was not zero.",
    ),
    (
        "written_bytes_total",
        "write_byte_cnt",
        COUNTER,
        1.0,
        "The number of bytes written to the tape drive.",
    ),
    (
        "writes_completed_total",
        "write_cnt",
        COUNTER,
        1.0,
        "The number of write requests issued to the tape drive.",
    ),
    (
        "write_time_seconds_total",
        "write_ns",
        COUNTER,
        NANOSECOND,
        "The amount of time spent waiting for write requests to complete.",
    ),
];

struct Tapestats {
    directory: PathBuf,
    filter: Filter,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Tapestats {
        directory: setup.sys("class/scsi_tape"),
        filter: setup.filters.tapes.clone(),
    })
}

impl Part for Tapestats {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let names = entries(&self.directory)
            .map_err(|error| PartError::optional(&self.directory, &error))?;
        let tapes: Vec<(&String, Directory)> = names
            .iter()
            .filter(|name| is_drive(name) && self.filter.selects(name))
            .filter_map(|name| {
                let directory = self.directory.join(name).join("stats");
                Some((name, Directory::open(directory).ok()?))
            })
            .collect();
        for (name, file, kind, factor, help) in METRICS {
            run.out.begin(&format!("node_tape_{name}"), kind, help);
            for (tape, directory) in &tapes {
                if let Some(value) = directory.integer(file) {
                    run.out.push(&[("device", tape)], value * factor);
                }
            }
        }
        Ok(())
    }
}

/// Returns whether an entry is a drive, such as `st0`, and not one of its modes, such as `nst0a`.
fn is_drive(name: &str) -> bool {
    let number = name.strip_prefix("st").unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn drives_have_their_totals_in_seconds_and_bytes() {
        let host = Host::with(&[
            ("sys/class/scsi_tape/st0/stats/in_flight", "1\n"),
            ("sys/class/scsi_tape/st0/stats/io_ns", "9247011087720\n"),
            ("sys/class/scsi_tape/nst0a/stats/in_flight", "1\n"),
        ]);
        let expected = [
            "node_tape_io_now{device=\"st0\"} 1",
            "node_tape_io_time_seconds_total{device=\"st0\"} 9247.01108772",
        ];
        assert_eq!(collect(&host, "tapestats", "").unwrap(), expected);
    }
}
