//! Output of `systemctl show`: blocks of `Property=value` with a blank line between units.

use bellwether_core::{Kind, SeriesBatch};

use super::Selection;

/// Properties of a unit that are asked for.
pub(super) const PROPERTIES: &str = "Id,LoadState,ActiveState,Type,NRestarts,ActiveEnterTimestampMonotonic,\
    MemoryCurrent,TasksCurrent,TasksMax,CPUUsageNSec,NAccepted,NConnections,NRefused";

const STATES: [&str; 5] = ["activating", "active", "deactivating", "failed", "inactive"];

/// Loaded unit.
#[derive(Clone, Debug, Default, PartialEq)]
struct Unit<'t> {
    name: &'t str,
    load_state: &'t str,
    state: &'t str,
    kind: &'t str,
    restarts: Option<f64>,
    /// Microseconds since the boot.
    active_since: Option<f64>,
    memory: Option<f64>,
    tasks: Option<f64>,
    tasks_max: Option<f64>,
    cpu_nanoseconds: Option<f64>,
    accepted: Option<f64>,
    connections: Option<f64>,
    refused: Option<f64>,
}

impl<'t> Unit<'t> {
    fn parse(block: &'t str) -> Self {
        let mut unit = Self::default();
        for line in block.lines() {
            let Some((property, value)) = line.split_once('=') else {
                continue;
            };
            match property {
                "Id" => unit.name = value,
                "LoadState" => unit.load_state = value,
                "ActiveState" => unit.state = value,
                "Type" => unit.kind = value,
                "NRestarts" => unit.restarts = number(value),
                "ActiveEnterTimestampMonotonic" => unit.active_since = number(value),
                "MemoryCurrent" => unit.memory = number(value),
                "TasksCurrent" => unit.tasks = number(value),
                "TasksMax" => unit.tasks_max = number(value),
                "CPUUsageNSec" => unit.cpu_nanoseconds = number(value),
                "NAccepted" => unit.accepted = number(value),
                "NConnections" => unit.connections = number(value),
                "NRefused" => unit.refused = number(value),
                _ => {}
            }
        }
        unit
    }

    fn is_service(&self) -> bool {
        self.name.ends_with(".service")
    }
}

/// Parses a number. `[not set]` and the largest integer are none, and so is `infinity`.
fn number(text: &str) -> Option<f64> {
    let number: u64 = text.parse().ok()?;
    (number != u64::MAX).then_some(number as f64)
}

/// Adds the series of the units in `text` to `out`, and returns the number of loaded units. `boot` is the time of
/// the boot, in seconds since 1970.
pub(super) fn push(
    text: &str,
    selection: &Selection,
    boot: Option<f64>,
    out: &mut SeriesBatch,
) -> usize {
    let all: Vec<Unit<'_>> = text
        .split("\n\n")
        .map(Unit::parse)
        .filter(|unit| unit.load_state == "loaded")
        .collect();
    let units: Vec<&Unit<'_>> = all
        .iter()
        .filter(|unit| selection.selects(unit.name))
        .collect();
    out.begin("node_systemd_unit_state", Some(Kind::Gauge), "Systemd unit");
    for unit in &units {
        let kind = if unit.is_service() { unit.kind } else { "" };
        for state in STATES {
            let labels = [("name", unit.name), ("state", state), ("type", kind)];
            out.push(&labels, f64::from(u8::from(unit.state == state)));
        }
    }
    type Get<'g> = &'g dyn Fn(&Unit<'_>) -> Option<f64>;
    let families: [(&str, Kind, &str, Get<'_>); 9] = [
        (
            "node_systemd_unit_start_time_seconds",
            Kind::Gauge,
            "Start time of the unit since unix epoch in seconds.",
            &|unit| match unit.state {
                "active" => unit
                    .active_since
                    .zip(boot)
                    .map(|(since, boot)| boot + since / 1e6),
                _ => Some(0.0),
            },
        ),
        (
            "node_systemd_service_restart_total",
            Kind::Counter,
            "Service unit count of Restart triggers",
            &|unit| unit.restarts.filter(|_| unit.is_service()),
        ),
        (
            "node_systemd_unit_tasks_current",
            Kind::Gauge,
            "Current number of tasks per Systemd unit",
            &|unit| unit.tasks,
        ),
        (
            "node_systemd_unit_tasks_max",
            Kind::Gauge,
            "Maximum number of tasks per Systemd unit",
            &|unit| unit.tasks_max,
        ),
        (
            "node_systemd_unit_memory_current_bytes",
            Kind::Gauge,
            "Memory of the unit's cgroup.",
            &|unit| unit.memory,
        ),
        (
            "node_systemd_unit_cpu_seconds_total",
            Kind::Counter,
            "CPU time of the unit's cgroup.",
            &|unit| unit.cpu_nanoseconds.map(|nanoseconds| nanoseconds / 1e9),
        ),
        (
            "node_systemd_socket_accepted_connections_total",
            Kind::Counter,
            "Total number of accepted socket connections",
            &|unit| unit.accepted,
        ),
        (
            "node_systemd_socket_current_connections",
            Kind::Gauge,
            "Current number of socket connections",
            &|unit| unit.connections,
        ),
        (
            "node_systemd_socket_refused_connections_total",
            Kind::Gauge,
            "Total number of refused socket connections",
            &|unit| unit.refused,
        ),
    ];
    for (name, kind, help, get) in families {
        out.begin(name, Some(kind), help);
        for unit in &units {
            if let Some(value) = get(unit) {
                out.push(&[("name", unit.name)], value);
            }
        }
    }
    out.begin(
        "node_systemd_units",
        Some(Kind::Gauge),
        "Summary of systemd unit states",
    );
    for state in STATES {
        let count = all.iter().filter(|unit| unit.state == state).count();
        out.push(&[("state", state)], count as f64);
    }
    all.len()
}

/// Adds the series of the manager.
pub(super) fn push_manager(text: &str, out: &mut SeriesBatch) {
    let mut properties = text.lines().filter_map(|line| line.split_once('='));
    let (mut version, mut state) = ("", "");
    for (property, value) in &mut properties {
        match property {
            "Version" => version = value,
            "SystemState" => state = value,
            _ => {}
        }
    }
    if !state.is_empty() {
        let help = "Whether the system is operational (see 'systemctl is-system-running')";
        out.gauge(
            "node_systemd_system_running",
            help,
            &[],
            f64::from(u8::from(state == "running")),
        );
    }
    let end = version
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(version.len());
    let number = version[..end].trim_end_matches('.');
    let mut parts = number.splitn(3, '.');
    let number = [parts.next(), parts.next()]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(".");
    if let Ok(number) = number.parse() {
        let help = "Detected systemd version";
        out.gauge(
            "node_systemd_version",
            help,
            &[("version", version)],
            number,
        );
    }
}
