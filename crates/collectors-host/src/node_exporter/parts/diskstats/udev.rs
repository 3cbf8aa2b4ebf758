//! Properties that udev keeps of a block device: lines `E:KEY=value` in `/run/udev/data/bMAJOR:MINOR`.

use std::path::Path;

use super::super::super::part::Run;

/// Largest file that is read.
const LARGEST: u64 = 1 << 20;

#[derive(Default)]
pub(super) struct Properties(Vec<(String, String)>);

impl Properties {
    /// Reads a file; without it there are none.
    pub(super) fn read(file: &Path) -> Self {
        let content = bellwether_files::read(file, LARGEST).unwrap_or_default();
        let text = String::from_utf8_lossy(&content);
        let lines = text.lines().filter_map(|line| line.strip_prefix("E:"));
        let pairs = lines.filter_map(|line| line.split_once('='));
        Self(
            pairs
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    /// Returns a property; empty if it is not there.
    pub(super) fn get(&self, key: &str) -> &str {
        let found = self.0.iter().rfind(|(name, _)| name == key);
        found.map_or("", |(_, value)| value)
    }

    pub(super) fn serial(&self) -> &str {
        let keys = ["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"];
        let mut serials = keys.into_iter().map(|key| self.get(key));
        serials.find(|serial| !serial.is_empty()).unwrap_or("")
    }

    /// Adds the series of a file system, of a device mapper, and of an ATA disk.
    pub(super) fn push(&self, device: &str, run: &mut Run<'_>) {
        if !self.get("ID_FS_TYPE").is_empty() {
            let labels = [
                ("device", device),
                ("type", self.get("ID_FS_TYPE")),
                ("usage", self.get("ID_FS_USAGE")),
                ("uuid", self.get("ID_FS_UUID")),
                ("version", self.get("ID_FS_VERSION")),
            ];
            let help = "Info about disk filesystem.";
            run.out
                .gauge("node_disk_filesystem_info", help, &labels, 1.0);
        }
        if !self.get("DM_NAME").is_empty() {
            let labels = [
                ("device", device),
                ("name", self.get("DM_NAME")),
                ("uuid", self.get("DM_UUID")),
                ("vg_name", self.get("DM_VG_NAME")),
                ("lv_name", self.get("DM_LV_NAME")),
                ("lv_layer", self.get("DM_LV_LAYER")),
            ];
            let help = "Info about disk device mapper.";
            run.out
                .gauge("node_disk_device_mapper_info", help, &labels, 1.0);
        }
        if !self.get("ID_ATA").is_empty() {
            self.push_ata(device, run);
        }
    }

    fn push_ata(&self, device: &str, run: &mut Run<'_>) {
        for (key, name, help) in [
            (
                "ID_ATA_WRITE_CACHE",
                "node_disk_ata_write_cache",
                "ATA disk has a write cache.",
            ),
            (
                "ID_ATA_WRITE_CACHE_ENABLED",
                "node_disk_ata_write_cache_enabled",
                "ATA disk has its write cache enabled.",
            ),
            (
                "ID_ATA_ROTATION_RATE_RPM",
                "node_disk_ata_rotation_rate_rpm",
                "ATA disk rotation rate in RPMs (0 for SSDs).",
            ),
        ] {
            if let Ok(value) = self.get(key).parse() {
                run.out.gauge(name, help, &[("device", device)], value);
            }
        }
    }
}
