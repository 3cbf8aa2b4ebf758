//! Sensors of a chip: files such as `temp1_input`, whose names are a type, a number and an element.

use std::collections::BTreeMap;

use super::super::super::directory::Directory;
use super::super::super::part::{COUNTER, GAUGE, Run};
use super::super::super::settings::Filter;
use super::names::clean;

/// Types of sensors that are read.
const TYPES: [&str; 14] = [
    "vrm",
    "beep_enable",
    "update_interval",
    "in",
    "cpu",
    "fan",
    "pwm",
    "temp",
    "curr",
    "power",
    "energy",
    "humidity",
    "intrusion",
    "freq",
];
const MILLI: f64 = 1e-3;
const MICRO: f64 = 1e6;

/// Sensors by name, such as `temp1`, and the values of their elements.
#[derive(Default)]
pub(super) struct Sensors(BTreeMap<String, Sensor>);

#[derive(Default)]
struct Sensor {
    kind: &'static str,
    elements: BTreeMap<String, String>,
}

/// A metric of an element: what follows the type in its name, and its value.
struct Metric {
    name: String,
    help: String,
    is_counter: bool,
    value: f64,
}

/// Splits the name of a file: `temp1_input` is a `temp`, number 1, `input`.
fn split(file: &str) -> Option<(&'static str, &str, &str)> {
    let digits = file.find(|character: char| character.is_ascii_digit());
    let (kind, rest) = file.split_at(digits.unwrap_or(file.len()));
    let after = rest.find(|character: char| !character.is_ascii_digit());
    let (number, element) = rest.split_at(after.unwrap_or(rest.len()));
    let element = match element {
        "" => "",
        element => element
            .strip_prefix('_')
            .filter(|element| !element.is_empty())?,
    };
    let kind = TYPES.iter().find(|known| **known == kind)?;
    Some((kind, number, element))
}

impl Sensors {
    /// Reads the files of a directory.
    pub(super) fn read(&mut self, directory: &Directory) {
        for file in directory.entries().unwrap_or_default() {
            let Some((kind, number, element)) = split(&file) else {
                continue;
            };
            let Some(value) = directory.text(&file) else {
                continue;
            };
            let number = if number.is_empty() { "0" } else { number };
            let number = number.trim_start_matches('0');
            let name = format!("{kind}{}", if number.is_empty() { "0" } else { number });
            let sensor = self.0.entry(name).or_default();
            sensor.kind = kind;
            sensor.elements.insert(element.to_owned(), value);
        }
    }

    /// Adds the series of the sensors that are shown.
    pub(super) fn push(&self, chip: &str, shown: &Filter, run: &mut Run<'_>) {
        for (name, sensor) in &self.0 {
            if shown.selects(&format!("{chip};{name}")) {
                sensor.push(chip, name, run);
            }
        }
    }
}

impl Sensor {
    fn push(&self, chip: &str, name: &str, run: &mut Run<'_>) {
        let label = self.elements.get("label");
        if let Some(label) = label {
            let labels = [("chip", chip), ("sensor", name), ("label", label)];
            let help = "Label for given chip and sensor";
            run.out.gauge("node_hwmon_sensor_label", help, &labels, 1.0);
        }
        if matches!(self.kind, "beep_enable" | "vrm" | "update_interval") {
            return self.push_setting(chip, name, run);
        }
        for element in self.elements.keys() {
            let Some(metric) = self.metric(element) else {
                continue;
            };
            let kind = if metric.is_counter { COUNTER } else { GAUGE };
            run.out.begin(&metric.name, kind, &metric.help);
            // As node_exporter has it, the sensor of a frequency is its label.
            let sensor = match (self.kind, element.as_str(), label) {
                ("freq", "input", Some(label)) => clean(label),
                _ => name.to_owned(),
            };
            run.out
                .push(&[("chip", chip), ("sensor", &sensor)], metric.value);
        }
    }

    /// Adds what is no sensor, but a setting of the chip.
    fn push_setting(&self, chip: &str, name: &str, run: &mut Run<'_>) {
        let text = self.elements.get("").map_or("", String::as_str);
        let value = text.parse::<f64>().ok();
        let labels = [("chip", chip), ("sensor", name)];
        let (metric, help, value) = match self.kind {
            "beep_enable" => (
                "node_hwmon_beep_enabled",
                "Hardware beep enabled",
                Some(f64::from(u8::from(text == "1"))),
            ),
            "vrm" => (
                "node_hwmon_voltage_regulator_version",
                "Hardware voltage regulator",
                value,
            ),
            _ => (
                "node_hwmon_update_interval_seconds",
                "Hardware monitor update interval",
                value.map(|milliseconds| milliseconds * MILLI),
            ),
        };
        if let Some(value) = value {
            run.out.gauge(metric, help, &labels, value);
        }
    }

    /// Returns the metric of an element; `None` if it has no number, or node_exporter leaves it out.
    fn metric(&self, element: &str) -> Option<Metric> {
        if element == "label" {
            return None;
        }
        let value: f64 = self.elements[element].parse().ok()?;
        let kind = self.kind;
        let name = match element {
            "" => format!("node_hwmon_{kind}"),
            "input" if self.elements.contains_key("") => format!("node_hwmon_{kind}_input"),
            "input" => format!("node_hwmon_{kind}"),
            element => format!("node_hwmon_{kind}_{}", clean(element)),
        };
        let (suffix, help, value) = conversion(kind, element, value);
        let help = if help.is_empty() {
            format!("Hardware monitor {kind} element {element}")
        } else {
            format!("{help} ({element})")
        };
        // A frequency without a label is left out.
        if kind == "freq" && element == "input" && !self.elements.contains_key("label") {
            return None;
        }
        Some(Metric {
            name: format!("{name}{suffix}"),
            help,
            is_counter: suffix == "_joule_total",
            value,
        })
    }
}

/// Returns the suffix of the metric's name, its help and its value in base units.
fn conversion(kind: &str, element: &str, value: f64) -> (&'static str, &'static str, f64) {
    match (kind, element) {
        (_, "fault" | "alarm") => ("", "Hardware sensor status", value),
        (_, "beep") => (
            "_enabled",
            "Hardware monitor sensor has beeping enabled",
            value,
        ),
        ("in" | "cpu", _) => ("_volts", "Hardware monitor for voltage", value * MILLI),
        ("temp", element) if element != "type" => (
            "_celsius",
            "Hardware monitor for temperature",
            value * MILLI,
        ),
        ("curr", _) => ("_amps", "Hardware monitor for current", value * MILLI),
        ("energy", _) => (
            "_joule_total",
            "Hardware monitor for joules used so far",
            value / MICRO,
        ),
        ("power", "accuracy") => (
            "",
            "Hardware monitor power meter accuracy, as a ratio",
            value / MICRO,
        ),
        ("power", "average_interval" | "average_interval_min" | "average_interval_max") => (
            "_seconds",
            "Hardware monitor power usage update interval",
            value * MILLI,
        ),
        ("power", _) => (
            "_watt",
            "Hardware monitor for power usage in watts",
            value / MICRO,
        ),
        ("humidity", _) => (
            "",
            "Hardware monitor for humidity, as a ratio",
            value / MICRO,
        ),
        ("fan", "input" | "min" | "max" | "target") => (
            "_rpm",
            "Hardware monitor for fan revolutions per minute",
            value,
        ),
        ("freq", "input") => (
            "_freq_mhz",
            "Hardware monitor for GPU frequency in MHz",
            value / MICRO,
        ),
        _ => ("", "", value),
    }
}
