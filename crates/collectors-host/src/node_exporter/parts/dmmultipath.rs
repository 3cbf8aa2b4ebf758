//! Devices with several paths, from `/sys/block/dm-*`.

use std::path::PathBuf;

use super::super::directory::{Directory, entries};
use super::super::part::{Part, PartError, Run};
use super::super::settings::Setup;

/// Bytes of a sector in the size of a device.
const SECTOR: f64 = 512.0;
/// States of a path that can be used, of SCSI and of NVMe.
const ACTIVE: [&str; 2] = ["running", "live"];

struct DmMultipath(PathBuf);

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(DmMultipath(setup.sys("block")))
}

impl Part for DmMultipath {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let blocks = Directory::optional(self.0.clone())?;
        let names = blocks.entries().unwrap_or_default().into_iter();
        for name in names.filter(|name| name.starts_with("dm-")) {
            let uuid = blocks.text(&format!("{name}/dm/uuid")).unwrap_or_default();
            if uuid.starts_with("mpath-") {
                push(&blocks, &name, &uuid, run);
            }
        }
        Ok(())
    }
}

fn push(blocks: &Directory, name: &str, uuid: &str, run: &mut Run<'_>) {
    let device = blocks.text(&format!("{name}/dm/name")).unwrap_or_default();
    let labels = [
        ("device", device.as_str()),
        ("sysfs_name", name),
        ("uuid", uuid),
    ];
    let help = "Non-numeric information about a DM-multipath device.";
    run.out
        .gauge("node_dmmultipath_device_info", help, &labels, 1.0);
    let integer = |file: &str| blocks.integer(&format!("{name}/{file}")).unwrap_or(0.0);
    let is_active = f64::from(u8::from(integer("dm/suspended") < 1.0));
    let size = integer("size") * SECTOR;
    let (mut paths, mut active) = (0.0, 0.0);
    let slaves = blocks.path().join(name).join("slaves");
    for path in entries(&slaves).unwrap_or_default() {
        let state = blocks.text(&format!("{path}/device/state"));
        let state = state.as_deref().unwrap_or("unknown");
        paths += 1.0;
        active += f64::from(u8::from(ACTIVE.contains(&state)));
        let labels = [
            ("device", device.as_str()),
            ("path", &path),
            ("state", state),
        ];
        let help = "Reports the underlying device state for a multipath path, as read from /sys/block/<dev>/device/state.";
        run.out
            .gauge("node_dmmultipath_path_state", help, &labels, 1.0);
    }
    for (metric, help, value) in [
        (
            "device_active",
            "Whether the multipath device-mapper device is active (1) or suspended (0).",
            is_active,
        ),
        (
            "device_size_bytes",
            "Size of the multipath device in bytes, read from /sys/block/<dm>/size.",
            size,
        ),
        (
            "device_paths",
            "Number of paths for a multipath device.",
            paths,
        ),
        (
            "device_paths_active",
            "Number of paths in active state (SCSI running or NVMe live) for a multipath device.",
            active,
        ),
        (
            "device_paths_failed",
            "Number of paths not in active state for a multipath device.",
            paths - active,
        ),
    ] {
        let name = format!("node_dmmultipath_{metric}");
        run.out.gauge(&name, help, &labels[..2], value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn paths_are_counted_by_their_state() {
        let host = Host::with(&[
            ("sys/block/dm-0/dm/uuid", "LVM-x\n"),
            ("sys/block/dm-5/dm/uuid", "mpath-36\n"),
            ("sys/block/dm-5/dm/name", "mpathA\n"),
            ("sys/block/dm-5/dm/suspended", "0\n"),
            ("sys/block/dm-5/size", "2\n"),
            ("sys/block/dm-5/slaves/sdi", ""),
            ("sys/block/dm-5/slaves/sdj", ""),
            ("sys/block/sdi/device/state", "running\n"),
            ("sys/block/sdj/device/state", "offline\n"),
        ]);
        let own = "{device=\"mpathA\", sysfs_name=\"dm-5\"}";
        let expected = [
            "node_dmmultipath_device_info{device=\"mpathA\", sysfs_name=\"dm-5\", uuid=\"mpath-36\"} 1".to_owned(),
            "node_dmmultipath_path_state{device=\"mpathA\", path=\"sdi\", state=\"running\"} 1".to_owned(),
            "node_dmmultipath_path_state{device=\"mpathA\", path=\"sdj\", state=\"offline\"} 1".to_owned(),
            format!("node_dmmultipath_device_active{own} 1"),
            format!("node_dmmultipath_device_size_bytes{own} 1024"),
            format!("node_dmmultipath_device_paths{own} 2"),
            format!("node_dmmultipath_device_paths_active{own} 1"),
            format!("node_dmmultipath_device_paths_failed{own} 1"),
        ];
        assert_eq!(collect(&host, "dmmultipath", "").unwrap(), expected);
    }
}
