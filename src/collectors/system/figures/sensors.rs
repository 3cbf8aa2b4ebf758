//! Temperatures of the hardware monitors, or else of the thermal zones.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::MetricId;

use super::super::catalogue::Figure;
use super::super::file::HostFile;
use super::super::parse::number_file;
use super::super::probe::{Outcome, Prober};
use super::super::resolve::Declared;
use super::super::skipped::{Skipped, What, Why};
use super::{Group, Metric, Roots, Run, is_absent};

/// One hardware monitor and what its sensors say.
#[derive(Debug, Default, PartialEq)]
pub(in super::super) struct Chip {
    name: String,
    /// Tells chips of one name apart.
    device: String,
    /// Sensor and degrees.
    temperatures: Vec<(String, f64)>,
    /// Why sensors could not be read, one entry for each.
    unreadable: Vec<Why>,
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
    let metrics =
        Metric::all(declared, |figure| matches!(figure, Figure::Temperature).then_some(()));
    if metrics.is_empty() {
        return None;
    }
    let folders = ["class/hwmon", "class/thermal"].map(|folder| roots.sysfs.join(folder));
    Some(Box::new(Sensors { folders, prober, metrics }))
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
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<Arc<Path>> = entries.flatten().map(|entry| entry.path().into()).collect();
    paths.sort_unstable();
    let mut chips = Vec::new();
    prober.ask(paths.into_iter(), |_, outcome| match outcome {
        Outcome::Answered(Ok(chip)) => {
            chip.unreadable.iter().for_each(|why| skipped.count(What::Sensor, *why));
            if !chip.temperatures.is_empty() {
                chips.push(chip);
            }
        }
        Outcome::Answered(Err(error)) if is_absent(&error) => {}
        Outcome::Answered(Err(error)) => skipped.count(What::Sensor, Why::of(&error)),
        Outcome::Unanswered => skipped.count(What::Sensor, Why::Timeout),
    });
    chips
}

fn push(chips: &[Chip], metrics: &mut [Metric<()>], run: &mut Run<'_>) {
    for chip in chips {
        let same_name = chips.iter().filter(|other| other.name == chip.name).count();
        let label = match same_name {
            1 => chip.name.clone(),
            _ => format!("{}-{}", chip.name, chip.device),
        };
        for (sensor, celsius) in &chip.temperatures {
            for metric in metrics.iter_mut() {
                metric.push_if_admitted(&[&label, sensor], *celsius, run);
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
        let device = fs::read_link(path.join("device")).unwrap_or_else(|_| path.to_owned());
        let mut chip =
            Self { name: text(&path.join("name"))?, device: last_part(&device), ..Self::default() };
        let mut inputs: Vec<String> = fs::read_dir(path)?
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix("_input").map(str::to_owned))
            .filter(|name| name.starts_with("temp"))
            .collect();
        inputs.sort_unstable();
        for input in inputs {
            let label = text(&path.join(format!("{input}_label"))).unwrap_or_default();
            let sensor = if label.is_empty() { input.clone() } else { label };
            chip.add(sensor, path.join(format!("{input}_input")));
        }
        Ok(chip)
    }

    fn read_zone(path: &Path, kind: &Path) -> io::Result<Self> {
        let mut chip = Self { name: text(kind)?, device: last_part(path), ..Self::default() };
        if path.join("temp").exists() {
            chip.add("temp".to_owned(), path.join("temp"));
        }
        Ok(chip)
    }

    /// Sensors on one chip can carry one label twice; the later one is told by its file.
    fn add(&mut self, sensor: String, path: PathBuf) {
        match thousandths(&path) {
            Err(error) => self.unreadable.push(Why::of(&error)),
            Ok(celsius) => {
                let known = self.temperatures.iter().any(|(known, _)| *known == sensor);
                let sensor = if known { format!("{sensor} {}", last_part(&path)) } else { sensor };
                self.temperatures.push((sensor, celsius));
            }
        }
    }
}

fn thousandths(path: &Path) -> io::Result<f64> {
    let mut file = HostFile::new(path.to_owned());
    let value = number_file(file.read()?);
    let value = value.map_err(|malformed| io::Error::other(malformed.to_string()))?;
    Ok(value / 1000.0)
}

fn text(path: &Path) -> io::Result<String> {
    let mut file = HostFile::new(path.to_owned());
    Ok(String::from_utf8_lossy(file.read()?.trim_ascii()).into_owned())
}

fn last_part(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
