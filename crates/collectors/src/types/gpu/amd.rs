//! Cards of AMD, from the files of the kernel's driver `amdgpu`
//! (<https://docs.kernel.org/gpu/amdgpu/driver-misc.html>), under the metric names of the collector `drm` of node_exporter.
//! That has no temperature, power and fan of a card, so their names are of the same form.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bellwether_collector::fields::{Entry, Field, push_entries};
use bellwether_core::{Kind, SeriesBatch};
use bellwether_files as files;

/// Id of the vendor on the PCI bus.
const AMD: &str = "0x1002";
/// Largest content of a file of /sys: a page.
const PAGE: u64 = 4096;
/// File of a hardware monitor with the mean power.
const POWER: &str = "power1_average";
/// Files that are labels of `node_drm_card_info`, with their names there.
const LABELS: [(&str, &str); 3] = [
    ("mem_info_vram_vendor", "memory_vendor"),
    (
        "power_dpm_force_performance_level",
        "power_performance_level",
    ),
    ("unique_id", "unique_id"),
];
/// Maximum number of sensors of a card.
const MAX_SENSORS: usize = 16;

macro_rules! gauge {
    ($key:literal, $metric:literal, $help:literal) => {
        Field::gauge($key, concat!("node_drm_", $metric), $help)
    };
}

/// Files of a card, and of its hardware monitor.
#[rustfmt::skip]
const FIELDS: &[Field] = &[
    gauge!("gpu_busy_percent", "gpu_busy_percent", "How busy the GPU is as a percentage."),
    gauge!("mem_info_gtt_total", "memory_gtt_size_bytes", "The size of the graphics translation table (GTT) block in bytes."),
    gauge!("mem_info_gtt_used", "memory_gtt_used_bytes", "The used amount of the graphics translation table (GTT) block in bytes."),
    gauge!("mem_info_vis_vram_total", "memory_vis_vram_size_bytes", "The size of visible VRAM in bytes."),
    gauge!("mem_info_vis_vram_used", "memory_vis_vram_used_bytes", "The used amount of visible VRAM in bytes."),
    gauge!("mem_info_vram_total", "memory_vram_size_bytes", "The size of VRAM in bytes."),
    gauge!("mem_info_vram_used", "memory_vram_used_bytes", "The used amount of VRAM in bytes."),
    gauge!("power1_average", "power_watts", "Power draw of the card.").scaled(1e-6),
    gauge!("power1_cap", "power_limit_watts", "Limit of the power draw.").scaled(1e-6),
    gauge!("fan1_input", "fan_rpm", "Speed of the fan, in turns per minute."),
];

/// A card, by the contents of its files.
pub(super) struct Card {
    /// Name, such as `card0`.
    name: String,
    files: BTreeMap<&'static str, String>,
    temperatures: Vec<Temperature>,
}

struct Temperature {
    /// Sensor: `edge`, `junction` or `mem`.
    sensor: String,
    celsius: f64,
}

/// Returns the directory with the cards.
pub(super) fn folder(sysfs: &Path) -> PathBuf {
    sysfs.join("class/drm")
}

/// Reads the cards. Blocks.
pub(super) fn read(sysfs: &Path) -> Vec<Card> {
    let names = names(&folder(sysfs)).into_iter().filter(|name| {
        // Outputs of a card are beside it: `card0-DP-1`.
        let number = name.strip_prefix("card");
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    });
    let cards = names.filter_map(|name| {
        let device = folder(sysfs).join(&name).join("device");
        let is_amd = text(&device.join("vendor")).as_deref() == Some(AMD);
        is_amd.then(|| Card::read(name, &device))
    });
    cards.collect()
}

impl Card {
    fn read(name: String, device: &Path) -> Self {
        let monitors = device.join("hwmon");
        let monitor = names(&monitors).into_iter().next();
        let monitor = monitors.join(monitor.unwrap_or_default());
        let content = |key: &str| {
            let files = [device, &monitor].map(|folder| folder.join(key));
            files.iter().find_map(|file| text(file))
        };
        let keys = FIELDS
            .iter()
            .map(Field::key)
            .chain(LABELS.map(|(key, _)| key));
        let mut files: BTreeMap<&'static str, String> =
            keys.filter_map(|key| Some((key, content(key)?))).collect();
        // Some cards have only the power of this moment.
        if let (false, Some(power)) = (files.contains_key(POWER), content("power1_input")) {
            files.insert(POWER, power);
        }
        Self {
            name,
            files,
            temperatures: temperatures(&monitor),
        }
    }
}

/// Returns the temperatures of a hardware monitor.
fn temperatures(monitor: &Path) -> Vec<Temperature> {
    let sensors = (1..=MAX_SENSORS).filter_map(|number| {
        let millidegrees = text(&monitor.join(format!("temp{number}_input")))?;
        let label = text(&monitor.join(format!("temp{number}_label")));
        Some(Temperature {
            sensor: label.unwrap_or_else(|| format!("temp{number}")),
            celsius: millidegrees.parse::<f64>().ok()? / 1000.0,
        })
    });
    sensors.collect()
}

/// Returns the names in a directory, sorted; none if it is not there.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    names
}

/// Reads a small file; `None` if it is not there, or the driver has no value.
fn text(file: &Path) -> Option<String> {
    let text = files::read_text(file, PAGE).ok()?;
    Some(text.trim().to_owned())
}

/// Appends the series of the cards.
pub(super) fn push(cards: &[Card], out: &mut SeriesBatch) {
    if cards.is_empty() {
        return;
    }
    out.begin("node_drm_card_info", Some(Kind::Gauge), "Card information");
    for card in cards {
        let labels = LABELS.iter().map(|(key, label)| {
            let text = card.files.get(key).map_or("", String::as_str);
            (*label, text)
        });
        let own = [("card", card.name.as_str()), ("vendor", "amd")];
        let labels: Vec<_> = labels.chain(own).collect();
        out.push(&labels, 1.0);
    }
    let entries: Vec<Entry<'_>> = cards
        .iter()
        .map(|card| Entry {
            labels: vec![("card", &card.name)],
            values: card
                .files
                .iter()
                .map(|(key, text)| (*key, text.as_str()))
                .collect(),
        })
        .collect();
    push_entries(FIELDS, &entries, out);
    let help = "Temperature of a sensor of the card.";
    out.begin("node_drm_temperature_celsius", Some(Kind::Gauge), help);
    for card in cards {
        for temperature in &card.temperatures {
            let labels = [("card", &*card.name), ("sensor", &*temperature.sensor)];
            out.push(&labels, temperature.celsius);
        }
    }
}
