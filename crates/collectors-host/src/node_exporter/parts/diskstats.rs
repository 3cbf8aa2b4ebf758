//! I/O of block devices, from `/proc/diskstats`, with what udev knows of them.

mod udev;

use std::path::PathBuf;

use udev::Properties;

use super::super::directory::read;
use super::super::part::{COUNTER, GAUGE, Part, PartError, ProcFile, Run, total};
use super::super::settings::{Filter, Setup};

/// Bytes of a sector of the file, whatever the sectors of the device are.
const SECTOR: f64 = 512.0;
const MILLISECOND: f64 = 1e-3;

/// Columns of the file behind the name, in their order: metric, type, help, and the factor to its unit. Old kernels have
/// the first eleven.
const COLUMNS: [(&str, Option<bellwether_core::Kind>, &str, f64); 17] = [
    (
        "reads_completed_total",
        COUNTER,
        "The total number of reads completed successfully.",
        1.0,
    ),
    (
        "reads_merged_total",
        COUNTER,
        "The total number of reads merged.",
        1.0,
    ),
    (
        "read_bytes_total",
        COUNTER,
        "The total number of bytes read successfully.",
        SECTOR,
    ),
    (
        "read_time_seconds_total",
        COUNTER,
        "The total number of seconds spent by all reads.",
        MILLISECOND,
    ),
    (
        "writes_completed_total",
        COUNTER,
        "The total number of writes completed successfully.",
        1.0,
    ),
    (
        "writes_merged_total",
        COUNTER,
        "The number of writes merged.",
        1.0,
    ),
    (
        "written_bytes_total",
        COUNTER,
        "The total number of bytes written successfully.",
        SECTOR,
    ),
    (
        "write_time_seconds_total",
        COUNTER,
        "This is the total number of seconds spent by all writes.",
        MILLISECOND,
    ),
    (
        "io_now",
        GAUGE,
        "The number of I/Os currently in progress.",
        1.0,
    ),
    (
        "io_time_seconds_total",
        COUNTER,
        "Total seconds spent doing I/Os.",
        MILLISECOND,
    ),
    (
        "io_time_weighted_seconds_total",
        COUNTER,
        "The weighted # of seconds spent doing I/Os.",
        MILLISECOND,
    ),
    (
        "discards_completed_total",
        COUNTER,
        "The total number of discards completed successfully.",
        1.0,
    ),
    (
        "discards_merged_total",
        COUNTER,
        "The total number of discards merged.",
        1.0,
    ),
    (
        "discarded_sectors_total",
        COUNTER,
        "The total number of sectors discarded successfully.",
        1.0,
    ),
    (
        "discard_time_seconds_total",
        COUNTER,
        "This is the total number of seconds spent by all discards.",
        MILLISECOND,
    ),
    (
        "flush_requests_total",
        COUNTER,
        "The total number of flush requests completed successfully",
        1.0,
    ),
    (
        "flush_requests_time_seconds_total",
        COUNTER,
        "This is the total number of seconds spent by all flush requests.",
        MILLISECOND,
    ),
];
/// Columns of the oldest kernels.
const FEWEST: usize = 11;

struct Diskstats {
    file: ProcFile,
    filter: Filter,
    blocks: PathBuf,
    udev: PathBuf,
}

/// A line of the file.
struct Disk<'t> {
    major: &'t str,
    minor: &'t str,
    name: &'t str,
    columns: Vec<f64>,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Diskstats {
        file: ProcFile::new(setup.proc("diskstats")),
        filter: setup.filters.diskstats.clone(),
        blocks: setup.sys("block"),
        udev: setup.root("run/udev/data"),
    })
}

impl Part for Diskstats {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let text = self.file.required()?;
        let disks: Vec<Disk<'_>> = text
            .lines()
            .filter_map(Disk::parse)
            .filter(|disk| self.filter.selects(disk.name))
            .collect();
        for (column, (name, kind, help, factor)) in COLUMNS.iter().enumerate() {
            run.out.begin(&["node_disk_", name].concat(), *kind, help);
            for disk in &disks {
                if let Some(value) = disk.columns.get(column) {
                    run.out.push(&[("device", disk.name)], value * factor);
                }
            }
        }
        for disk in &disks {
            let file = self.udev.join(format!("b{}:{}", disk.major, disk.minor));
            let properties = Properties::read(&file);
            let rotational = self.blocks.join(disk.name).join("queue/rotational");
            disk.push_info(&properties, &read(&rotational).unwrap_or_default(), run);
            properties.push(disk.name, run);
        }
        Ok(())
    }
}

impl<'t> Disk<'t> {
    fn parse(line: &'t str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let (major, minor, name) = (fields.next()?, fields.next()?, fields.next()?);
        let columns: Vec<f64> = fields.map_while(total).collect();
        (columns.len() >= FEWEST).then_some(Self {
            major,
            minor,
            name,
            columns,
        })
    }

    fn push_info(&self, properties: &Properties, rotational: &str, run: &mut Run<'_>) {
        let labels = [
            ("device", self.name),
            ("major", self.major),
            ("minor", self.minor),
            ("path", properties.get("ID_PATH")),
            ("wwn", properties.get("ID_WWN")),
            ("model", properties.get("ID_MODEL")),
            ("serial", properties.serial()),
            ("revision", properties.get("ID_REVISION")),
            ("rotational", if rotational == "1" { "1" } else { "0" }),
        ];
        let help = "Info of /sys/block/<block_device>.";
        run.out.gauge("node_disk_info", help, &labels, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn columns_are_in_base_units_and_udev_adds_names() {
        let host = Host::with(&[
            (
                "proc/diskstats",
                "   8       0 sda 25354637 34367663 1003346126 18492372 28444756 11134226 505697032 63877960 0 9653880 82621804 68851 0 1925173784 11130 100 200\n\
                    8       1 sda1 250 0 2000 36 0 0 0 0 0 36 36\n\
                  253       0 dm-0 1 0 8 2 0 0 0 0 1 2 2\n   9 0 md0 1 2\n",
            ),
            ("sys/block/sda/queue/rotational", "1\n"),
            (
                "root/run/udev/data/b8:0",
                "S:disk/by-id/x\nE:ID_MODEL=Disk 1\nE:ID_SERIAL_SHORT=S123\nE:ID_ATA=1\nE:ID_ATA_WRITE_CACHE=1\nE:ID_ATA_ROTATION_RATE_RPM=7200\n",
            ),
            (
                "root/run/udev/data/b253:0",
                "E:DM_NAME=vg-root\nE:DM_VG_NAME=vg\nE:ID_FS_TYPE=ext4\nE:ID_FS_VERSION=1.0\n",
            ),
        ]);
        let lines = collect(&host, "diskstats", "").unwrap();
        for expected in [
            "node_disk_read_bytes_total{device=\"sda\"} 513713216512",
            "node_disk_read_time_seconds_total{device=\"sda\"} 18492.372",
            "node_disk_io_now{device=\"dm-0\"} 1",
            "node_disk_flush_requests_time_seconds_total{device=\"sda\"} 0.2",
            "node_disk_info{device=\"sda\", major=\"8\", minor=\"0\", model=\"Disk 1\", rotational=\"1\", serial=\"S123\"} 1",
            "node_disk_info{device=\"dm-0\", major=\"253\", minor=\"0\", rotational=\"0\"} 1",
            "node_disk_ata_write_cache{device=\"sda\"} 1",
            "node_disk_ata_rotation_rate_rpm{device=\"sda\"} 7200",
            "node_disk_device_mapper_info{device=\"dm-0\", name=\"vg-root\", vg_name=\"vg\"} 1",
            "node_disk_filesystem_info{device=\"dm-0\", type=\"ext4\", version=\"1.0\"} 1",
        ] {
            assert!(
                lines.iter().any(|line| line == expected),
                "{expected}: {lines:?}"
            );
        }
        assert!(
            !lines
                .iter()
                .any(|line| line.contains("sda1") || line.contains("md0"))
        );
    }
}
