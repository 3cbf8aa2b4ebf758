//! Temperatures of the hardware monitors, or else of the thermal zones.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use bellwether_core::MetricId;

use super::super::catalogue::Figure;
use super::super::file::HostFile;
use super::super::parse::number_file;
use super::super::probe::{Outcome, Prober};
use super::super::resolve::Declared;
use super::super::skipped::{Skipped, What, Why};
use super::{Group, Metric, Roots, Run, is_absent};

/// One hardware monitor and what its sensors say.
#[derive(Debug, Default)]
pub(in super::super) struct Chip {
    /// Its own name and that of its device, which tells chips of one name apart. The latter is
    /// there also where the chip is the only one, so that its series go on when another comes.
    label: String,
    /// Sensor and degrees.
    temperatures: Vec<(String, f64)>,
    /// Sensors that could not be read.
    unreadable: Vec<(PathBuf, io::Error)>,
}

struct Sensors {
    /// The first folder that holds a chip with a temperature is taken.
    folders: [PathBuf; 2],
    prober: Prober<Chip>,
    metrics: Vec<Metric<()>>,
}

pub(super) fn group(
    roots: &Roots<'_>,
    declared: &[(MetricId, Declared)],
    prober: Prober<Chip>,
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(declared, |figure| {
        matches!(figure, Figure::Temperature).then_some(())
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

/// The chips of `folder` that have temperatures.
fn ask(prober: &mut Prober<Chip>, folder: &Path, skipped: &Skipped) -> Vec<Chip> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<Arc<Path>> = entries.flatten().map(|entry| entry.path().into()).collect();
    paths.sort_unstable();
    let mut chips: Vec<Chip> = Vec::new();
    prober.ask(paths.clone().into_iter(), |index, outcome| match outcome {
        Outcome::Answered(Ok(mut chip)) => {
            for (path, error) in &chip.unreadable {
                skipped.count(What::Sensor, Why::of(error), path, error);
            }
            if chips.iter().any(|other| other.label == chip.label) {
                // Several monitors of one device.
                chip.label = format!("{}-{}", chip.label, last_part(&paths[index]));
            }
            if !chip.temperatures.is_empty() {
                chips.push(chip);
            }
        }
        // It went while it was read.
        Outcome::Answered(Err(error)) if is_absent(&error) => {}
        Outcome::Answered(Err(error)) => {
            skipped.count(What::Sensor, Why::of(&error), &paths[index], &error);
        }
        Outcome::Unanswered => {
            skipped.count(What::Sensor, Why::Timeout, &paths[index], &"no answer");
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
        // Drivers of the old interface put name and sensors with the device.
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
            // Sensors of one chip can carry one label; the later ones are told by their file,
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

/// `temp1` for each `temp1_input` in `folder`; none where there is no such folder.
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
