//! Model and flags of each processor, from `/proc/cpuinfo`.

use super::super::super::part::{GAUGE, PartError, ProcFile, Run};

/// Labels of `node_cpu_info`, with their keys in `/proc/cpuinfo`.
const LABELS: [(&str, &str); 10] = [
    ("package", "physical id"),
    ("core", "core id"),
    ("cpu", "processor"),
    ("vendor", "vendor_id"),
    ("family", "cpu family"),
    ("model", "model"),
    ("model_name", "model name"),
    ("microcode", "microcode"),
    ("stepping", "stepping"),
    ("cachesize", "cache size"),
];

pub(super) struct Info {
    file: ProcFile,
}

impl Info {
    pub(super) fn new(file: ProcFile) -> Self {
        Self { file }
    }

    pub(super) fn push(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let text = self.file.required()?;
        let blocks = || {
            text.split("\n\n")
                .filter(|block| block.contains("processor"))
        };
        let help = "CPU information from /proc/cpuinfo.";
        run.out.begin("node_cpu_info", GAUGE, help);
        for block in blocks() {
            let labels = LABELS.map(|(label, key)| (label, field(block, key)));
            run.out.push(&labels, 1.0);
        }
        let help = "CPU frequency in hertz from /proc/cpuinfo.";
        run.out.begin("node_cpu_frequency_hertz", GAUGE, help);
        for block in blocks() {
            let labels = [LABELS[0], LABELS[1], LABELS[2]];
            let labels = labels.map(|(label, key)| (label, field(block, key)));
            if let Ok(megahertz) = field(block, "cpu MHz").parse::<f64>() {
                run.out.push(&labels, megahertz * 1e6);
            }
        }
        Ok(())
    }
}

fn field<'t>(block: &'t str, key: &str) -> &'t str {
    let mut fields = block.lines().filter_map(|line| line.split_once(':'));
    let found = fields.find(|(name, _)| name.trim() == key);
    found.map_or("", |(_, value)| value.trim())
}
