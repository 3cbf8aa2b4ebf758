//! Facts about a host in words.

use super::facts::{
    DEFAULT_PORT, Found, HAS_NEO4J, HostFacts, NEO4J, OTHERS, Protocol, STATSD_PORT, Service,
};
use bellwether_core::counted;

/// Maximum number of names in a line.
const MOST_NAMES: usize = 8;

/// Describes the facts that the configuration follows from, one line each, without control
/// characters.
#[must_use]
pub fn findings(facts: &HostFacts) -> Vec<String> {
    let mut lines = vec![machine(facts)];
    if !facts.file_systems.is_empty() {
        let all = facts.file_systems.iter().map(|one| {
            let size = size(one.size_bytes);
            format!("{} ({}, {size})", one.mount_point, one.fs_type)
        });
        lines.push(format!("file systems: {}", names(all)));
    }
    if !facts.interfaces.is_empty() {
        let all = facts.interfaces.iter().cloned();
        lines.push(format!("network interfaces: {}", names(all)));
    }
    lines.extend(neo4j(facts));
    let not_configured = OTHERS.iter().chain((!HAS_NEO4J).then_some(&NEO4J));
    lines.extend(not_configured.filter_map(|service| {
        let found = evidence(service, &facts.service(service)?);
        Some(match service.preset {
            Some(preset) => format!("{found}: include the preset {preset}.yaml"),
            None => format!("{found}: this binary was built without its collector"),
        })
    }));
    let ports = [
        (
            Protocol::Tcp,
            DEFAULT_PORT,
            facts.web_port(),
            "Bellwether listens on",
        ),
        (
            Protocol::Udp,
            STATSD_PORT,
            facts.statsd_port(),
            "the example of StatsD has",
        ),
    ];
    lines.extend(
        ports
            .into_iter()
            .filter_map(|(protocol, usual, taken, use_)| {
                let socket = facts.socket(protocol, usual).filter(|_| usual != taken)?;
                let by = by_process(socket.process.as_deref());
                Some(format!("port {usual} is in use{by}: {use_} {taken}"))
            }),
    );
    for line in &mut lines {
        *line = line.replace(char::is_control, "?");
    }
    lines
}

fn machine(facts: &HostFacts) -> String {
    let swap = match facts.swap_bytes {
        0 => "no swap space".to_owned(),
        bytes => format!("{} of swap space", size(bytes)),
    };
    format!(
        "{}, {} of memory, {swap}",
        counted(facts.processors, "processor"),
        size(facts.memory_bytes)
    )
}

fn neo4j(facts: &HostFacts) -> Option<String> {
    let port = facts.neo4j_port()?;
    let access = match &facts.neo4j {
        Some(neo4j) if !neo4j.has_authentication => ", without a password",
        _ => ", with the password in NEO4J_PASSWORD",
    };
    Some(match facts.service(&NEO4J) {
        Some(Found::Socket(_)) => format!("Neo4j: its metrics are read on port {port}{access}"),
        _ => format!(
            "Neo4j is installed and does not run: its metrics will be read on port {port}{access}"
        ),
    })
}

fn evidence(service: &Service, found: &Found<'_>) -> String {
    match found {
        Found::Socket(socket) => {
            let by = by_process(socket.process.as_deref());
            format!("{} on port {}{by}", service.name, socket.port)
        }
        Found::Unit(unit) => format!("{} (unit {unit}.service)", service.name),
    }
}

fn by_process(process: Option<&str>) -> String {
    process.map_or_else(String::new, |name| format!(" by {name}"))
}

fn names(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.collect();
    let more = names.len().saturating_sub(MOST_NAMES);
    names.truncate(MOST_NAMES);
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    names.join(", ") + &more
}

/// Formats a size with three digits at most: `15.6 GiB`.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    match value < 9.95 {
        true => format!("{value:.1} {}", UNITS[unit]),
        false => format!("{value:.0} {}", UNITS[unit]),
    }
}
