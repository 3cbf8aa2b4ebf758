//! Software RAID, from `/proc/mdstat` and `/sys/block/md*/md`.

mod mdstat;

use std::path::PathBuf;

use mdstat::{Array, arrays};

use super::super::directory::{Directory, entries};
use super::super::part::{GAUGE, Part, PartError, ProcFile, Run};
use super::super::settings::Setup;

/// Values of the label `state` of `node_md_state`, with what `/proc/mdstat` says of them.
const STATES: [(&str, &str); 5] = [
    ("active", "active"),
    ("inactive", "inactive"),
    ("recovering", "recovering"),
    ("resync", "resyncing"),
    ("check", "checking"),
];
/// Levels of arrays that can be degraded.
const REDUNDANT: [&str; 5] = ["raid1", "raid4", "raid5", "raid6", "raid10"];
/// Levels of what contains arrays.
const CONTAINERS: [&str; 4] = ["container", "imsm", "ddf", ""];

struct Mdadm {
    mdstat: ProcFile,
    blocks: PathBuf,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Mdadm {
        mdstat: ProcFile::new(setup.proc("mdstat")),
        blocks: setup.sys("block"),
    })
}

impl Part for Mdadm {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let text = self.mdstat.optional()?;
        let arrays = arrays(&text).map_err(|line| text.malformed("an array", line))?;
        push(&arrays, run);
        let devices = entries(&self.blocks).unwrap_or_default().into_iter();
        let devices = devices
            .filter(|name| name.starts_with("md"))
            .filter_map(|name| {
                let directory = Directory::open(self.blocks.join(&name).join("md")).ok()?;
                Some((name, directory))
            });
        push_devices(&devices.collect::<Vec<_>>(), run);
        Ok(())
    }
}

fn push(arrays: &[Array<'_>], run: &mut Run<'_>) {
    type Get = fn(&Array<'_>) -> f64;
    let metrics: [(&str, &str, Get); 3] = [
        (
            "node_md_disks_required",
            "Total number of disks of device.",
            |array| array.disks,
        ),
        (
            "node_md_blocks",
            "Total number of blocks on device.",
            |array| array.blocks,
        ),
        (
            "node_md_blocks_synced",
            "Number of blocks synced on device.",
            |array| array.synced,
        ),
    ];
    for (name, help, get) in metrics {
        run.out.begin(name, GAUGE, help);
        for array in arrays {
            run.out.push(&[("device", array.name)], get(array));
        }
    }
    let help = "Number of active/failed/spare disks of device.";
    run.out.begin("node_md_disks", GAUGE, help);
    for array in arrays {
        for (state, disks) in [
            ("active", array.active),
            ("failed", array.failed),
            ("spare", array.spare),
        ] {
            let labels = [("device", array.name), ("state", state)];
            run.out.push(&labels, disks);
        }
    }
    let help = "Indicates the state of md-device.";
    run.out.begin("node_md_state", GAUGE, help);
    for array in arrays {
        for (label, state) in STATES {
            let labels = [("device", array.name), ("state", label)];
            run.out
                .push(&labels, f64::from(u8::from(array.state == state)));
        }
    }
}

fn push_devices(devices: &[(String, Directory)], run: &mut Run<'_>) {
    let help = "Number of raid disks on device.";
    run.out.begin("node_md_raid_disks", GAUGE, help);
    for (name, directory) in devices {
        let level = directory.text("level").unwrap_or_default();
        // While an array grows, the file has the old number behind the new one: `6 (5)`.
        let disks = directory.text("raid_disks").unwrap_or_default();
        let disks = disks.split(' ').next().and_then(|disks| disks.parse().ok());
        if let (Some(disks), false) = (disks, CONTAINERS.contains(&level.as_str())) {
            run.out.push(&[("device", name)], disks);
        }
    }
    let help = "Number of degraded disks on device.";
    run.out.begin("node_md_degraded", GAUGE, help);
    for (name, directory) in devices {
        let level = directory.text("level").unwrap_or_default();
        let degraded = match REDUNDANT.contains(&level.as_str()) {
            true => directory.integer("degraded").unwrap_or(0.0),
            false => 0.0,
        };
        run.out.push(&[("device", name)], degraded);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn arrays_have_their_disks_and_one_state() {
        let mdstat = "Personalities : [raid1] [raid6]\n\
            md3 : active raid6 sda1[8] sdd1[10](S) sdb1[11](F)\n      5853468288 blocks super 1.2 level 6, 64k chunk, algorithm 2 [8/7] [UUUUUUU_]\n      \n\
            unused devices: <none>\n";
        let host = Host::with(&[
            ("proc/mdstat", mdstat),
            ("sys/block/md3/md/level", "raid6\n"),
            ("sys/block/md3/md/raid_disks", "8 (7)\n"),
            ("sys/block/md3/md/degraded", "1\n"),
            ("sys/block/md4/md/level", "container\n"),
            ("sys/block/md4/md/raid_disks", "2\n"),
        ]);
        let expected = [
            "node_md_disks_required{device=\"md3\"} 8",
            "node_md_blocks{device=\"md3\"} 5853468288",
            "node_md_blocks_synced{device=\"md3\"} 5853468288",
            "node_md_disks{device=\"md3\", state=\"active\"} 7",
            "node_md_disks{device=\"md3\", state=\"failed\"} 1",
            "node_md_disks{device=\"md3\", state=\"spare\"} 1",
            "node_md_state{device=\"md3\", state=\"active\"} 1",
            "node_md_state{device=\"md3\", state=\"inactive\"} 0",
            "node_md_state{device=\"md3\", state=\"recovering\"} 0",
            "node_md_state{device=\"md3\", state=\"resync\"} 0",
            "node_md_state{device=\"md3\", state=\"check\"} 0",
            "node_md_raid_disks{device=\"md3\"} 8",
            "node_md_degraded{device=\"md3\"} 1",
            "node_md_degraded{device=\"md4\"} 0",
        ];
        assert_eq!(collect(&host, "mdadm", "").unwrap(), expected);
    }
}
