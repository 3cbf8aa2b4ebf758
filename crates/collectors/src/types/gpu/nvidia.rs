//! Cards of NVIDIA, as `nvidia-smi` prints them, under the metric names of nvidia_gpu_exporter
//! (<https://github.com/utkuozdemir/nvidia_gpu_exporter>).

use std::collections::BTreeMap;

use bellwether_collector::fields::{Entry, Field, push_entries};
use bellwether_core::{Kind, SeriesBatch};

/// Path of the program.
pub(super) const PROGRAM: &str = "/usr/bin/nvidia-smi";

/// Properties that are labels of `nvidia_smi_gpu_info`, with their names there.
const LABELS: [(&str, &str); 5] = [
    ("index", "index"),
    ("name", "name"),
    ("driver_version", "driver_version"),
    ("vbios_version", "vbios_version"),
    ("pci.bus_id", "pci_bus_id"),
];

const MIB: f64 = 1_048_576.0;

macro_rules! gauge {
    ($key:literal, $metric:literal, $help:literal) => {
        Field::gauge($key, concat!("nvidia_smi_", $metric), $help)
    };
}

/// Properties that are numbers. All of them are known to `nvidia-smi` for many years: one that it does not know would
/// cost the whole answer.
#[rustfmt::skip]
const FIELDS: &[Field] = &[
    gauge!("utilization.gpu", "utilization_gpu_ratio", "Share of time in which a kernel ran on the GPU.").scaled(0.01),
    gauge!("utilization.memory", "utilization_memory_ratio", "Share of time in which memory was read or written.").scaled(0.01),
    gauge!("memory.total", "memory_total_bytes", "Memory of the card.").scaled(MIB),
    gauge!("memory.used", "memory_used_bytes", "Memory in use.").scaled(MIB),
    gauge!("memory.free", "memory_free_bytes", "Memory that is free.").scaled(MIB),
    gauge!("temperature.gpu", "temperature_gpu", "Temperature of the GPU, in degrees Celsius."),
    gauge!("temperature.memory", "temperature_memory", "Temperature of the memory, in degrees Celsius."),
    gauge!("power.draw", "power_draw_watts", "Power draw."),
    gauge!("enforced.power.limit", "enforced_power_limit_watts", "Limit of power that is enforced."),
    gauge!("fan.speed", "fan_speed_ratio", "Intended speed of the fan; 1 is its maximum.").scaled(0.01),
    gauge!("pstate", "pstate", "Performance state: 0 is the fastest."),
    gauge!("clocks.current.graphics", "clocks_current_graphics_clock_hz", "Clock of the graphics.").scaled(1e6),
    gauge!("clocks.current.sm", "clocks_current_sm_clock_hz", "Clock of the streaming multiprocessors.").scaled(1e6),
    gauge!("clocks.current.memory", "clocks_current_memory_clock_hz", "Clock of the memory.").scaled(1e6),
    gauge!("clocks.max.graphics", "clocks_max_graphics_clock_hz", "Highest clock of the graphics.").scaled(1e6),
    gauge!("pcie.link.gen.current", "pcie_link_gen_current", "Generation of the PCIe link now."),
    gauge!("pcie.link.width.current", "pcie_link_width_current", "Width of the PCIe link now."),
    gauge!("ecc.errors.corrected.volatile.total", "ecc_errors_corrected_volatile_total", "Corrected memory errors since the driver was loaded."),
    gauge!("ecc.errors.uncorrected.volatile.total", "ecc_errors_uncorrected_volatile_total", "Uncorrected memory errors since the driver was loaded."),
];

/// Properties in the order of the columns: the UUID, those of the labels, those of the fields.
fn columns() -> impl Iterator<Item = &'static str> {
    let labels = LABELS.iter().map(|(property, _)| *property);
    let fields = FIELDS.iter().map(Field::key);
    ["uuid"].into_iter().chain(labels).chain(fields)
}

/// Returns the command that prints a line for each card.
pub(super) fn command(program: &str) -> Vec<String> {
    let columns: Vec<&str> = columns().collect();
    vec![
        program.to_owned(),
        format!("--query-gpu={}", columns.join(",")),
        "--format=csv,noheader,nounits".to_owned(),
    ]
}

/// Appends the series of the cards, and returns how many there are.
///
/// # Errors
/// A line has another number of columns.
pub(super) fn push(printed: &str, out: &mut SeriesBatch) -> Result<usize, String> {
    let mut cards = Vec::new();
    for line in printed.lines().filter(|line| !line.trim().is_empty()) {
        let values: Vec<&str> = line.split(',').map(str::trim).collect();
        if values.len() != columns().count() {
            let shown = &line[..line.floor_char_boundary(80)];
            return Err(format!("expected a line of properties, found {shown:?}"));
        }
        cards.push(columns().zip(values).collect::<BTreeMap<_, _>>());
    }
    let uuids: Vec<String> = cards.iter().map(uuid).collect();
    let help = "Names and versions of a card.";
    out.begin("nvidia_smi_gpu_info", Some(Kind::Gauge), help);
    for (card, uuid) in cards.iter().zip(&uuids) {
        let labels = LABELS.iter().map(|(property, label)| {
            let text = card.get(property).copied().unwrap_or_default();
            (*label, text)
        });
        let labels: Vec<_> = labels.chain([("uuid", uuid.as_str())]).collect();
        out.push(&labels, 1.0);
    }
    let count = cards.len();
    let entries: Vec<Entry<'_>> = cards
        .into_iter()
        .zip(&uuids)
        .map(|(mut card, uuid)| {
            // `P0` to `P15`.
            if let Some(state) = card.get_mut("pstate") {
                *state = state.trim_start_matches('P');
            }
            Entry {
                labels: vec![("uuid", uuid)],
                values: card,
            }
        })
        .collect();
    push_entries(FIELDS, &entries, out);
    Ok(count)
}

/// Returns the UUID as the exporter has it: in lower case, without `GPU-`.
fn uuid(card: &BTreeMap<&str, &str>) -> String {
    let uuid = card.get("uuid").copied().unwrap_or_default();
    let uuid = uuid.to_ascii_lowercase();
    uuid.trim_start_matches("gpu-").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the form of `nvidia-smi` 595, written by hand: the tests run without a card.
    const PRINTED: &str = "\
GPU-DF6E7A7C-7314-46f8-abc4-b88b36dcf3aa, 0, NVIDIA L40S, 595.80, 95.02.66.00.02, 00000000:01:00.0, 42, 7, 46068, 1235, 44225, 54, [N/A], 110.23, 350.00, [N/A], P0, 2520, 2520, 9001, 2520, 4, 16, 0, 3
GPU-0b7a, 1, NVIDIA GeForce RTX 2080 SUPER, 595.80, 90.04.7A.40.73, 00000000:02:00.0, [Unknown Error], [N/A], 8192, 700, 7492, 34, N/A, 28.07, [Not Supported], 30, P8, 300, 300, 405, 2100, 1, 16, [N/A], [N/A]
";

    fn lines(printed: &str) -> Vec<String> {
        let mut out = SeriesBatch::default();
        push(printed, &mut out).unwrap();
        out.lines().collect()
    }

    #[test]
    fn properties_become_base_units_and_what_a_card_has_not_is_left_out() {
        let lines = lines(PRINTED);
        for expected in [
            "nvidia_smi_gpu_info{driver_version=\"595.80\", index=\"0\", name=\"NVIDIA L40S\", pci_bus_id=\"00000000:01:00.0\", uuid=\"df6e7a7c-7314-46f8-abc4-b88b36dcf3aa\", vbios_version=\"95.02.66.00.02\"} 1",
            "nvidia_smi_utilization_gpu_ratio{uuid=\"df6e7a7c-7314-46f8-abc4-b88b36dcf3aa\"} 0.42",
            "nvidia_smi_memory_used_bytes{uuid=\"df6e7a7c-7314-46f8-abc4-b88b36dcf3aa\"} 1294991360",
            "nvidia_smi_power_draw_watts{uuid=\"0b7a\"} 28.07",
            "nvidia_smi_fan_speed_ratio{uuid=\"0b7a\"} 0.3",
            "nvidia_smi_pstate{uuid=\"0b7a\"} 8",
            "nvidia_smi_clocks_current_memory_clock_hz{uuid=\"0b7a\"} 405000000",
            "nvidia_smi_ecc_errors_uncorrected_volatile_total{uuid=\"df6e7a7c-7314-46f8-abc4-b88b36dcf3aa\"} 3",
        ] {
            assert!(
                lines.iter().any(|line| line == expected),
                "{expected}: {lines:#?}"
            );
        }
        for absent in [
            "nvidia_smi_utilization_gpu_ratio{uuid=\"0b7a\"}",
            "nvidia_smi_temperature_memory",
            "nvidia_smi_enforced_power_limit_watts{uuid=\"0b7a\"}",
        ] {
            assert!(
                !lines.iter().any(|line| line.starts_with(absent)),
                "{absent}"
            );
        }
    }

    #[test]
    fn another_output_is_an_error_and_no_card_is_none() {
        let mut out = SeriesBatch::default();
        let error = push("No devices were found\n", &mut out).unwrap_err();
        assert_eq!(
            error,
            "expected a line of properties, found \"No devices were found\""
        );
        assert!(out.is_empty());
        assert_eq!(push("\n", &mut out), Ok(0));
    }
}
