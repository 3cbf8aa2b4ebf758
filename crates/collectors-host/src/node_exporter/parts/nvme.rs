//! NVMe controllers and their namespaces, from `/sys/class/nvme`.

use std::path::PathBuf;

use super::super::directory::{Directory, entries};
use super::super::part::{Part, PartError, Run};
use super::super::settings::Setup;

struct Nvme(PathBuf);

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Nvme(setup.sys("class/nvme")))
}

impl Part for Nvme {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        for device in entries(&self.0).map_err(|error| PartError::optional(&self.0, &error))? {
            let directory = Directory::optional(self.0.join(&device))?;
            push_controller(&directory, &device, run);
            for name in directory.entries().unwrap_or_default() {
                if let Some(number) = namespace(&name) {
                    let namespace = Directory::optional(directory.path().join(&name))?;
                    push_namespace(&namespace, &device, number, run);
                }
            }
        }
        Ok(())
    }
}

fn push_controller(directory: &Directory, device: &str, run: &mut Run<'_>) {
    let text = |file| directory.text(file).unwrap_or_default();
    let (firmware, model, serial) = (text("firmware_rev"), text("model"), text("serial"));
    let (state, controller) = (text("state"), text("cntlid"));
    let labels = [
        ("device", device),
        ("firmware_revision", &firmware),
        ("model", &model),
        ("serial", &serial),
        ("state", &state),
        ("cntlid", &controller),
    ];
    let help = "Non-numeric data from /sys/class/nvme/<device>, value is always 1.";
    run.out.gauge("node_nvme_info", help, &labels, 1.0);
}

/// Returns the number of a namespace: 2 of `nvme0n2`, and of `nvme0c1n2` nothing, as in node_exporter.
fn namespace(name: &str) -> Option<&str> {
    let (controller, number) = name.strip_prefix("nvme")?.split_once('n')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(controller) && is_number(number)).then_some(number)
}

fn push_namespace(directory: &Directory, device: &str, number: &str, run: &mut Run<'_>) {
    let state = directory.text("ana_state");
    let state = state.as_deref().unwrap_or("unknown");
    let labels = [("device", device), ("nsid", number), ("ana_state", state)];
    let help = "Information about NVMe namespaces. Value is always 1";
    run.out
        .gauge("node_nvme_namespace_info", help, &labels, 1.0);
    let integer = |file| directory.integer(file).unwrap_or(0.0);
    let block = integer("queue/logical_block_size");
    let (size, used) = (integer("size") * block, integer("nuse") * block);
    for (name, help, value) in [
        (
            "capacity_bytes",
            "Capacity of the NVMe namespace in bytes. Computed as namespace_size * namespace_logical_block_size",
            size,
        ),
        (
            "size_bytes",
            "Size of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/size",
            size,
        ),
        (
            "used_bytes",
            "Used space of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/nuse",
            used,
        ),
        (
            "logical_block_size_bytes",
            "Logical block size of the NVMe namespace in bytes. Usually 4Kb. Available in /sys/class/nvme/<device>/<namespace>/queue/logical_block_size",
            block,
        ),
    ] {
        let labels = [("device", device), ("nsid", number)];
        let name = format!("node_nvme_namespace_{name}");
        run.out.gauge(&name, help, &labels, value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn namespaces_have_their_size_in_bytes() {
        let host = Host::with(&[
            ("sys/class/nvme/nvme0/model", "Samsung SSD 970 PRO 512GB\n"),
            ("sys/class/nvme/nvme0/serial", "S680HF8N190894I\n"),
            ("sys/class/nvme/nvme0/nvme0n1/size", "1000\n"),
            ("sys/class/nvme/nvme0/nvme0n1/nuse", "500\n"),
            (
                "sys/class/nvme/nvme0/nvme0n1/queue/logical_block_size",
                "4096\n",
            ),
            ("sys/class/nvme/nvme0/nvme0c1n1/size", "1000\n"),
        ]);
        let expected = [
            "node_nvme_info{device=\"nvme0\", model=\"Samsung SSD 970 PRO 512GB\", serial=\"S680HF8N190894I\"} 1",
            "node_nvme_namespace_info{ana_state=\"unknown\", device=\"nvme0\", nsid=\"1\"} 1",
            "node_nvme_namespace_capacity_bytes{device=\"nvme0\", nsid=\"1\"} 4096000",
            "node_nvme_namespace_size_bytes{device=\"nvme0\", nsid=\"1\"} 4096000",
            "node_nvme_namespace_used_bytes{device=\"nvme0\", nsid=\"1\"} 2048000",
            "node_nvme_namespace_logical_block_size_bytes{device=\"nvme0\", nsid=\"1\"} 4096",
        ];
        assert_eq!(collect(&host, "nvme", "").unwrap(), expected);
    }
}
