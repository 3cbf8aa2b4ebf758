//! Collectors of the host: its processors, memory, disks and network, its processes, cgroups and units of systemd.

mod cgroup;
mod node_exporter;
mod process;
pub mod self_process;
pub mod system;
mod systemd;

pub use cgroup::Cgroup;
pub use node_exporter::NodeExporter;
pub use process::Process;
pub use systemd::Systemd;
