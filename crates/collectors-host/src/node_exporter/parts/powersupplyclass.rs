//! Batteries and mains, from `/sys/class/power_supply`.

use std::path::PathBuf;

use super::super::directory::{Directory, entries};
use super::super::part::{Part, PartError, Run};
use super::super::settings::{Filter, Setup};

/// Metrics with the values of their files.
const PLAIN: [(&str, &str); 10] = [
    ("authentic", "authentic"),
    ("calibrate", "calibrate"),
    ("capacity", "capacity"),
    ("capacity_alert_max", "capacity_alert_max"),
    ("capacity_alert_min", "capacity_alert_min"),
    ("cyclecount", "cycle_count"),
    ("online", "online"),
    ("present", "present"),
    ("time_to_empty_seconds", "time_to_empty_now"),
    ("time_to_full_seconds", "time_to_full_now"),
];
/// Metrics whose files have millionths.
const MICRO: [(&str, &str); 31] = [
    ("current_boot", "current_boot"),
    ("current_max", "current_max"),
    ("current_ampere", "current_now"),
    ("energy_empty", "energy_empty"),
    ("energy_empty_design", "energy_empty_design"),
    ("energy_full", "energy_full"),
    ("energy_full_design", "energy_full_design"),
    ("energy_watthour", "energy_now"),
    ("voltage_boot", "voltage_boot"),
    ("voltage_max", "voltage_max"),
    ("voltage_max_design", "voltage_max_design"),
    ("voltage_min", "voltage_min"),
    ("voltage_min_design", "voltage_min_design"),
    ("voltage_volt", "voltage_now"),
    ("voltage_ocv", "voltage_ocv"),
    ("charge_control_limit", "charge_control_limit"),
    ("charge_control_limit_max", "charge_control_limit_max"),
    ("charge_counter", "charge_counter"),
    ("charge_empty", "charge_empty"),
    ("charge_empty_design", "charge_empty_design"),
    ("charge_full", "charge_full"),
    ("charge_full_design", "charge_full_design"),
    ("charge_ampere", "charge_now"),
    ("charge_term_current", "charge_term_current"),
    ("constant_charge_current", "constant_charge_current"),
    ("constant_charge_current_max", "constant_charge_current_max"),
    ("constant_charge_voltage", "constant_charge_voltage"),
    ("constant_charge_voltage_max", "constant_charge_voltage_max"),
    ("precharge_current", "precharge_current"),
    ("input_current_limit", "input_current_limit"),
    ("power_watt", "power_now"),
];
/// Metrics whose files have tenths of degrees.
const TENTHS: [(&str, &str); 8] = [
    ("temp_celsius", "temp"),
    ("temp_alert_max_celsius", "temp_alert_max"),
    ("temp_alert_min_celsius", "temp_alert_min"),
    ("temp_ambient_celsius", "temp_ambient"),
    ("temp_ambient_max_celsius", "temp_ambient_max"),
    ("temp_ambient_min_celsius", "temp_ambient_min"),
    ("temp_max_celsius", "temp_max"),
    ("temp_min_celsius", "temp_min"),
];
/// Labels of `node_power_supply_info`, which are files.
const LABELS: [&str; 11] = [
    "capacity_level",
    "charge_type",
    "health",
    "manufacturer",
    "model_name",
    "serial_number",
    "status",
    "technology",
    "type",
    "usb_type",
    "scope",
];

struct PowerSupplyClass {
    directory: PathBuf,
    filter: Filter,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(PowerSupplyClass {
        directory: setup.sys("class/power_supply"),
        filter: setup.filters.power_supplies.clone(),
    })
}

impl Part for PowerSupplyClass {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let names = entries(&self.directory)
            .map_err(|error| PartError::optional(&self.directory, &error))?;
        for name in names.iter().filter(|name| self.filter.selects(name)) {
            let Ok(directory) = Directory::open(self.directory.join(name)) else {
                continue;
            };
            push(&directory, name, run);
        }
        Ok(())
    }
}

fn push(directory: &Directory, supply: &str, run: &mut Run<'_>) {
    let tables: [(&[(&str, &str)], f64); 3] = [(&PLAIN, 1.0), (&MICRO, 1e6), (&TENTHS, 10.0)];
    for (table, divisor) in tables {
        for (name, file) in table {
            if let Some(value) = directory.integer(file) {
                let metric = format!("node_power_supply_{name}");
                let help = format!("{name} value of /sys/class/power_supply/<power_supply>.");
                let labels = [("power_supply", supply)];
                run.out.gauge(&metric, &help, &labels, value / divisor);
            }
        }
    }
    let texts = LABELS.map(|label| (label, directory.text(label).unwrap_or_default()));
    let labels = texts.iter().map(|(label, text)| (*label, text.as_str()));
    let labels: Vec<(&str, &str)> = labels.chain([("power_supply", supply)]).collect();
    let help = "info of /sys/class/power_supply/<power_supply>.";
    run.out.gauge("node_power_supply_info", help, &labels, 1.0);
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn values_are_in_base_units() {
        let host = Host::with(&[
            ("sys/class/power_supply/AC/online", "0\n"),
            ("sys/class/power_supply/BAT0/capacity", "81\n"),
            ("sys/class/power_supply/BAT0/energy_now", "36580000\n"),
            ("sys/class/power_supply/BAT0/temp", "-5\n"),
            ("sys/class/power_supply/BAT0/status", "Discharging\n"),
        ]);
        let expected = [
            "node_power_supply_online{power_supply=\"AC\"} 0",
            "node_power_supply_info{power_supply=\"AC\"} 1",
            "node_power_supply_capacity{power_supply=\"BAT0\"} 81",
            "node_power_supply_energy_watthour{power_supply=\"BAT0\"} 36.58",
            "node_power_supply_temp_celsius{power_supply=\"BAT0\"} -0.5",
            "node_power_supply_info{power_supply=\"BAT0\", status=\"Discharging\"} 1",
        ];
        assert_eq!(collect(&host, "powersupplyclass", "").unwrap(), expected);
        let yaml = "powersupply: {ignored_supplies: ^BAT}";
        assert_eq!(
            collect(&host, "powersupplyclass", yaml).unwrap(),
            expected[..2]
        );
    }
}
