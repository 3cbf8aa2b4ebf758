//! Temperatures of thermal zones and states of cooling devices, from `/sys/class/thermal`.

use std::path::PathBuf;

use super::super::directory::{Directory, numbered};
use super::super::part::{GAUGE, Part, PartError, Run};
use super::super::settings::Setup;

struct ThermalZone(PathBuf);

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(ThermalZone(setup.sys("class/thermal")))
}

/// A zone or a cooling device.
struct Device {
    number: String,
    kind: String,
    directory: Directory,
}

impl ThermalZone {
    fn devices(&self, prefix: &str) -> Vec<Device> {
        let found = numbered(&self.0, prefix).unwrap_or_default().into_iter();
        let devices = found.filter_map(|(name, number)| {
            let directory = Directory::open(self.0.join(name)).ok()?;
            Some(Device {
                number,
                kind: directory.text("type").unwrap_or_default(),
                directory,
            })
        });
        devices.collect()
    }
}

impl Part for ThermalZone {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let help = "Zone temperature in Celsius";
        run.out.begin("node_thermal_zone_temp", GAUGE, help);
        for zone in self.devices("thermal_zone") {
            // A sensor that is off has no temperature.
            if let Some(millidegrees) = zone.directory.integer("temp") {
                let labels = [("zone", zone.number.as_str()), ("type", &zone.kind)];
                run.out.push(&labels, millidegrees / 1000.0);
            }
        }
        let devices = self.devices("cooling_device");
        for (name, file, help) in [
            (
                "cur_state",
                "cur_state",
                "Current throttle state of the cooling device",
            ),
            (
                "max_state",
                "max_state",
                "Maximum throttle state of the cooling device",
            ),
        ] {
            run.out
                .begin(&format!("node_cooling_device_{name}"), GAUGE, help);
            for device in &devices {
                if let Some(state) = device.directory.integer(file) {
                    let labels = [("name", device.number.as_str()), ("type", &device.kind)];
                    run.out.push(&labels, state);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn zones_have_degrees_and_devices_their_states() {
        let host = Host::with(&[
            ("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n"),
            ("sys/class/thermal/thermal_zone0/temp", "12376\n"),
            ("sys/class/thermal/thermal_zone1/type", "off\n"),
            ("sys/class/thermal/cooling_device0/type", "Processor\n"),
            ("sys/class/thermal/cooling_device0/cur_state", "0\n"),
            ("sys/class/thermal/cooling_device0/max_state", "3\n"),
        ]);
        let expected = [
            "node_thermal_zone_temp{type=\"cpu-thermal\", zone=\"0\"} 12.376",
            "node_cooling_device_cur_state{name=\"0\", type=\"Processor\"} 0",
            "node_cooling_device_max_state{name=\"0\", type=\"Processor\"} 3",
        ];
        assert_eq!(collect(&host, "thermal_zone", "").unwrap(), expected);
    }
}
