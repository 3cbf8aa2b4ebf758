//! Energy of processors and memory, from `/sys/class/powercap`.

use std::collections::HashMap;
use std::path::PathBuf;

use super::super::directory::{Directory, entries};
use super::super::part::{Part, PartError, Run};
use super::super::settings::Setup;

struct Rapl {
    directory: PathBuf,
    has_zone_label: bool,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Rapl {
        directory: setup.sys("class/powercap"),
        has_zone_label: setup.rapl_zone_label,
    })
}

impl Part for Rapl {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let names = entries(&self.directory)
            .map_err(|error| PartError::optional(&self.directory, &error))?;
        let mut indices: HashMap<String, u32> = HashMap::new();
        for entry in names {
            let directory = Directory::optional(self.directory.join(entry))?;
            // Control types have no name, but their zones have.
            let Some(text) = directory.text("name") else {
                continue;
            };
            let (zone, index) = match numbered(&text) {
                Some((zone, index)) => (zone.to_owned(), index),
                None => (text.clone(), indices.get(&text).copied().unwrap_or(0)),
            };
            indices.insert(zone.clone(), index + 1);
            // Since a side channel was found, only root may read the energy.
            let microjoules = directory.read("energy_uj").map_err(|error| {
                PartError::optional(&directory.path().join("energy_uj"), &error)
            })?;
            let joules = microjoules.parse::<f64>().unwrap_or(0.0) / 1e6;
            self.push(&zone, index, &directory, joules, run);
        }
        Ok(())
    }
}

impl Rapl {
    fn push(&self, zone: &str, index: u32, directory: &Directory, joules: f64, run: &mut Run<'_>) {
        let (index, path) = (index.to_string(), directory.path().to_string_lossy());
        let labels = [
            ("index", index.as_str()),
            ("path", &path),
            ("rapl_zone", zone),
        ];
        if self.has_zone_label {
            let help = "Current RAPL value in joules";
            return run
                .out
                .counter("node_rapl_joules_total", help, &labels, joules);
        }
        let name: String = zone
            .chars()
            .map(|character| match character {
                character if character.is_ascii_alphanumeric() => character,
                _ => '_',
            })
            .collect();
        let help = format!("Current RAPL {zone} value in joules");
        let metric = format!("node_rapl_{name}_joules_total");
        run.out.counter(&metric, &help, &labels[..2], joules);
    }
}

/// Returns zone and index of a name such as `package-0`.
fn numbered(name: &str) -> Option<(&str, u32)> {
    let (zone, index) = name.split_once('-')?;
    Some((zone, index.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn zones_have_an_index_and_their_energy() {
        let host = Host::with(&[
            ("sys/class/powercap/intel-rapl/enabled", "1\n"),
            ("sys/class/powercap/intel-rapl:0/name", "package-0\n"),
            (
                "sys/class/powercap/intel-rapl:0/energy_uj",
                "240422366267\n",
            ),
            ("sys/class/powercap/intel-rapl:0:0/name", "core\n"),
            (
                "sys/class/powercap/intel-rapl:0:0/energy_uj",
                "118821284256\n",
            ),
            ("sys/class/powercap/intel-rapl:1:0/name", "core\n"),
            ("sys/class/powercap/intel-rapl:1:0/energy_uj", "1000000\n"),
        ]);
        let path = |zone: &str| {
            host.path(&format!("sys/class/powercap/{zone}"))
                .display()
                .to_string()
        };
        let lines = collect(&host, "rapl", "").unwrap();
        let expected = [
            format!(
                "node_rapl_package_joules_total{{index=\"0\", path=\"{}\"}} 240422.366267",
                path("intel-rapl:0")
            ),
            format!(
                "node_rapl_core_joules_total{{index=\"0\", path=\"{}\"}} 118821.284256",
                path("intel-rapl:0:0")
            ),
            format!(
                "node_rapl_core_joules_total{{index=\"1\", path=\"{}\"}} 1",
                path("intel-rapl:1:0")
            ),
        ];
        assert_eq!(lines, expected);
        let lines = collect(&host, "rapl", "rapl: {enable_zone_label: true}").unwrap();
        let expected = format!(
            "node_rapl_joules_total{{index=\"0\", path=\"{}\", rapl_zone=\"package\"}} 240422.366267",
            path("intel-rapl:0")
        );
        assert_eq!(lines[0], expected);
    }
}
