//! Temperatures of the hardware monitors, or else of the thermal zones.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use bellwether_core::MetricId;

use super::super::catalogue::Measurement;
use super::super::file::HostFile;
use super::super::parse::number_file;
use super::super::probe::{Outcome, Prober};
use super::super::resolve::ResolvedMetric;
use super::super::skipped::{SkipReason, Skipped, SkippedPart};
use super::{Group, Metric, Roots, Run, is_absent};

/// A hardware monitor and its temperatures.
#[derive(Debug, Default)]
pub(in super::super) struct Chip {
    /// Its name and that of its device, which distinguishes chips of one name. The latter is there even
    /// for a single chip, so that its series continue when another one is added.
    label: String,
    /// Sensors with their temperatures in degrees Celsius.
    temperatures: Vec<(String, f64)>,
    /// Sensors that could not be read.
    unreadable: Vec<(PathBuf, io::Error)>,
}

struct Sensors {
    /// Directories; the first one that has a chip with a temperature is used.
    folders: [PathBuf; 2],
    prober: Prober<Chip>,
    metrics: Vec<Metric<()>>,
}

pub(super) fn group(
    roots: &Roots<'_>,
    configured: &[(MetricId, ResolvedMetric)],
    prober: Prober<Chip>,
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(configured, |measurement| {
        matches!(measurement, Measurement::Temperature).then_some(())
    });
    if metrics.is_empty() {
        return None;
    }
    let folders = ["class/hwmon", "class/thermal"].map(|folder| roots.sysfs.join(folder));
    Some(Box::new(Sensors {
        folders,
        prober,
        metrics,
    }))
}

impl Group for Sensors {
    fn collect(&mut self, run: &mut Run<'_>) {
        for folder in &self.folders {
            let chips = ask(&mut self.prober, folder, run.skipped);
            if !chips.is_empty() {
                return push(&chips, &mut self.metrics, run);
            }
        }
    }
}

/// Reads the chips in `folder` that have temperatures.
fn ask(prober: &mut Prober<Chip>, folder: &Path, skipped: &Skipped) -> Vec<Chip> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<Arc<Path>> = entries.flatten().map(|entry| entry.path().into()).collect();
    paths.sort_unstable();
    let mut chips: Vec<Chip> = Vec::new();
    prober.probe_all(paths.clone().into_iter(), |index, outcome| match outcome {
        Outcome::Answered(Ok(mut chip)) => {
            for (path, error) in &chip.unreadable {
                skipped.count(SkippedPart::Sensor, SkipReason::of(error), path, error);
            }
            if chips.iter().any(|other| other.label == chip.label) {
                // Several monitors of one device.
                chip.label = format!("{}-{}", chip.label, last_part(&paths[index]));
            }
            if !chip.temperatures.is_empty() {
                chips.push(chip);
            }
        }
        // The chip disappeared while it was read.
        Outcome::Answered(Err(error)) if is_absent(&error) => {}
        Outcome::Answered(Err(error)) => {
            skipped.count(
                SkippedPart::Sensor,
                SkipReason::of(&error),
                &paths[index],
                &error,
            );
        }
        Outcome::Unanswered => {
            skipped.count(
                SkippedPart::Sensor,
                SkipReason::Timeout,
                &paths[index],
                &"no answer",
            );
        }
    });
    chips
}

fn push(chips: &[Chip], metrics: &mut [Metric<()>], run: &mut Run<'_>) {
    for chip in chips {
        for (sensor, celsius) in &chip.temperatures {
            for metric in metrics.iter_mut() {
                metric.push_if_admitted(&[&chip.label, sensor], *celsius, run);
            }
        }
    }
}

impl Chip {
    /// Reads the chip or zone at `path`. Blocks for as long as its driver does.
    pub(in super::super) fn read(path: &Path) -> io::Result<Self> {
        let zone = path.join("type");
        if zone.exists() {
            return Self::read_zone(path, &zone);
        }
        let device = path.join("device");
        // Drivers of the old interface have name and sensors in the device's directory.
        let places = [path, &device];
        let name = places
            .iter()
            .find_map(|place| text(&place.join("name")).ok());
        let name = name.filter(|name| !name.is_empty());
        let link = fs::read_link(&device).ok();
        let device_name = link.map(|link| last_part(&fs::canonicalize(&device).unwrap_or(link)));
        let mut chip = Self {
            label: match (name, device_name) {
                (Some(name), Some(device)) => format!("{name}-{device}"),
                (Some(only), None) | (None, Some(only)) => only,
                (None, None) => last_part(path),
            },
            ..Self::default()
        };
        let mut inputs = Vec::new();
        for place in places {
            inputs.extend(
                temperature_inputs(place)?
                    .into_iter()
                    .map(|input| (input, place)),
            );
        }
        inputs.sort();
        inputs.dedup_by(|later, first| later.0 == first.0);
        let mut sensors: Vec<String> = Vec::with_capacity(inputs.len());
        for (input, place) in inputs {
            let label = text(&place.join(format!("{input}_label"))).unwrap_or_default();
            let mut sensor = if label.is_empty() {
                input.clone()
            } else {
                label
            };
            // Sensors of one chip can have the same label; the later ones are named by their file,
            // whether or not the first can be read.
            if sensors.contains(&sensor) {
                sensor = format!("{sensor} {input}_input");
            }
            chip.add(sensor.clone(), place.join(format!("{input}_input")));
            sensors.push(sensor);
        }
        Ok(chip)
    }

    fn read_zone(path: &Path, kind: &Path) -> io::Result<Self> {
        let label = format!("{}-{}", text(kind)?, last_part(path));
        let mut chip = Self {
            label,
            ..Self::default()
        };
        if path.join("temp").exists() {
            chip.add("temp".to_owned(), path.join("temp"));
        }
        Ok(chip)
    }

    fn add(&mut self, sensor: String, path: PathBuf) {
        match thousandths(&path) {
            Err(error) => self.unreadable.push((path, error)),
            Ok(celsius) => self.temperatures.push((sensor, celsius)),
        }
    }
}

/// Returns `temp1` for each `temp1_input` in `folder`; nothing if there is no such directory.
fn temperature_inputs(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let names = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    let inputs = names.filter_map(|name| name.strip_suffix("_input").map(str::to_owned));
    Ok(inputs.filter(|name| name.starts_with("temp")).collect())
}

fn thousandths(path: &Path) -> io::Result<f64> {
    let mut file = HostFile::new(path.to_owned());
    let value = number_file(file.read()?);
    let value =
        value.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    Ok(value / 1000.0)
}

fn text(path: &Path) -> io::Result<String> {
    let mut file = HostFile::new(path.to_owned());
    Ok(String::from_utf8_lossy(file.read()?.trim_ascii()).into_owned())
}

fn last_part(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
