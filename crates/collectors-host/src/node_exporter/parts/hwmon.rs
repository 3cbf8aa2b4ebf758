//! Sensors of hardware monitors, from `/sys/class/hwmon`.

mod names;
mod sensors;

use std::collections::HashMap;
use std::path::PathBuf;

use names::{chip_name, clean};
use sensors::Sensors;

use super::super::directory::{Directory, entries};
use super::super::part::{Part, PartError, Run};
use super::super::settings::{Filter, Setup};

#[derive(Clone)]
struct Hwmon {
    directory: PathBuf,
    chips: Filter,
    sensors: Filter,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Hwmon {
        directory: setup.sys("class/hwmon"),
        chips: setup.filters.chips.clone(),
        sensors: setup.filters.sensors.clone(),
    })
}

/// A monitor.
struct Monitor {
    directory: Directory,
    /// Label `chip`.
    chip: String,
    /// Content of its file `name`.
    name: String,
}

impl Part for Hwmon {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        for monitor in self.monitors()? {
            if self.chips.selects(&monitor.chip) {
                monitor.push(&self.sensors, run);
            }
        }
        Ok(())
    }
}

impl Hwmon {
    /// Returns the monitors. Those of one device have their own name behind that of the device, or else that of their
    /// directory.
    fn monitors(&self) -> Result<Vec<Monitor>, PartError> {
        let names = entries(&self.directory)
            .map_err(|error| PartError::optional(&self.directory, &error))?;
        let found = names.into_iter().filter_map(|entry| {
            let directory = Directory::open(self.directory.join(entry)).ok()?;
            let name = directory.text("name").unwrap_or_default();
            let chip = chip_name(&directory, &name)?;
            Some(Monitor {
                directory,
                chip,
                name,
            })
        });
        let mut monitors: Vec<Monitor> = found.collect();
        let mut chips: HashMap<String, usize> = HashMap::new();
        let mut both: HashMap<(String, String), usize> = HashMap::new();
        for monitor in &monitors {
            *chips.entry(monitor.chip.clone()).or_default() += 1;
            *both.entry(monitor.identity()).or_default() += 1;
        }
        for monitor in &mut monitors {
            if chips[&monitor.chip] > 1 {
                let is_unique = both[&monitor.identity()] == 1;
                monitor.chip = format!("{}_{}", monitor.chip, monitor.suffix(is_unique));
            }
        }
        Ok(monitors)
    }
}

impl Monitor {
    fn identity(&self) -> (String, String) {
        (self.chip.clone(), self.name.clone())
    }

    fn suffix(&self, is_unique: bool) -> String {
        let name = clean(&self.name);
        if is_unique && !name.is_empty() {
            return name;
        }
        let entry = self.directory.path().file_name().unwrap_or_default();
        clean(&entry.to_string_lossy())
    }

    fn push(&self, shown: &Filter, run: &mut Run<'_>) {
        let name = clean(&self.name);
        if !name.is_empty() {
            let labels = [("chip", self.chip.as_str()), ("chip_name", &name)];
            let help = "Annotation metric for human-readable chip names";
            run.out.gauge("node_hwmon_chip_names", help, &labels, 1.0);
        }
        let mut sensors = Sensors::default();
        sensors.read(&self.directory);
        // The sensors of old drivers are in the directory of the device.
        if let Ok(device) = Directory::open(self.directory.path().join("device")) {
            sensors.read(&device);
        }
        sensors.push(&self.chip, shown, run);
    }
}

#[cfg(test)]
mod tests;
