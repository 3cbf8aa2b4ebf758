//! Requests, workers and connections of the Apache HTTP server, by its module `mod_status`
//! (<https://httpd.apache.org/docs/2.4/mod/mod_status.html>).

use std::collections::{BTreeMap, HashMap};

use bellwether_collector::fields::{Field, push_fields};
use bellwether_collector::{Build, EntryContext, EntryType};
use bellwether_core::{Kind, SeriesBatch};
use bellwether_schema::section;

use crate::status_page::{Program, StatusPage};

section! {
    /// Collector of type `apache`: the page of `mod_status`, under the metric names of apache_exporter.
    pub struct Apache {
        #[serde(flatten)]
        pub page: StatusPage,
    }
}

impl EntryType for Apache {
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build> {
        let program = Program {
            up: "apache_up",
            example: "http://127.0.0.1/server-status?auto",
            parse,
        };
        self.page.resolve(program, context)
    }
}

const LOAD: &str = "Load average of the host.";
const GENERATION: &str = "Generation of the server: restarts since its start.";
const CONNECTIONS: &str = "Connections, and the asynchronous ones by their state.";
const CPU_TIME: &str = "CPU time of the server, in milliseconds.";
const WORKERS: &str = "Workers by their state.";
const PROCESSES: &str = "Processes of the server.";

const FIELDS: &[Field] = &[
    Field::counter("Total Accesses", "apache_accesses_total", "Requests."),
    Field::counter(
        "Total kBytes",
        "apache_sent_kilobytes_total",
        "Sent kilobytes.",
    ),
    Field::counter(
        "Total Duration",
        "apache_duration_ms_total",
        "Duration of all requests, in milliseconds.",
    ),
    Field::gauge(
        "CPULoad",
        "apache_cpuload",
        "CPU time of all workers, in percent of the time since the start.",
    ),
    Field::counter("CPUUser", "apache_cpu_time_ms_total", CPU_TIME)
        .with(&[("type", "user")])
        .scaled(1000.0),
    Field::counter("CPUSystem", "apache_cpu_time_ms_total", CPU_TIME)
        .with(&[("type", "system")])
        .scaled(1000.0),
    Field::counter(
        "Uptime",
        "apache_uptime_seconds_total",
        "Time since the start.",
    ),
    Field::gauge("Load1", "apache_load", LOAD).with(&[("interval", "1min")]),
    Field::gauge("Load5", "apache_load", LOAD).with(&[("interval", "5min")]),
    Field::gauge("Load15", "apache_load", LOAD).with(&[("interval", "15min")]),
    Field::gauge(
        "ParentServerConfigGeneration",
        "apache_generation",
        GENERATION,
    )
    .with(&[("type", "config")]),
    Field::gauge("ParentServerMPMGeneration", "apache_generation", GENERATION)
        .with(&[("type", "mpm")]),
    Field::gauge("ConnsTotal", "apache_connections", CONNECTIONS).with(&[("state", "total")]),
    Field::gauge("ConnsAsyncWriting", "apache_connections", CONNECTIONS)
        .with(&[("state", "writing")]),
    Field::gauge("ConnsAsyncKeepAlive", "apache_connections", CONNECTIONS)
        .with(&[("state", "keepalive")]),
    Field::gauge("ConnsAsyncClosing", "apache_connections", CONNECTIONS)
        .with(&[("state", "closing")]),
    Field::gauge("BusyWorkers", "apache_workers", WORKERS).with(&[("state", "busy")]),
    Field::gauge("IdleWorkers", "apache_workers", WORKERS).with(&[("state", "idle")]),
    Field::gauge("Processes", "apache_processes", PROCESSES).with(&[("state", "all")]),
    Field::gauge("Stopping", "apache_processes", PROCESSES).with(&[("state", "stopping")]),
];

/// Characters of the scoreboard, each the state of a worker.
const SCOREBOARD: [(char, &str); 11] = [
    ('_', "idle"),
    ('S', "startup"),
    ('R', "read"),
    ('W', "reply"),
    ('K', "keepalive"),
    ('D', "dns"),
    ('C', "closing"),
    ('L', "logging"),
    ('G', "graceful_stop"),
    ('I', "idle_cleanup"),
    ('.', "open_slot"),
];

fn parse(page: &str, out: &mut SeriesBatch) -> Result<(), String> {
    let values: HashMap<&str, &str> = page
        .lines()
        .filter_map(|line| line.split_once(": "))
        .collect();
    let Some(scoreboard) = values.get("Scoreboard") else {
        let hint = "the URL ends with `?auto`, and its location has `SetHandler server-status`";
        return Err(format!("not a page of mod_status; hint: {hint}"));
    };
    push_fields(FIELDS, |key| values.get(key)?.trim().parse().ok(), out);
    push_scoreboard(scoreboard, out);
    let text = |key: &str| values.get(key).copied().unwrap_or_default();
    let info = [
        ("version", text("ServerVersion")),
        ("mpm", text("ServerMPM")),
    ];
    out.gauge(
        "apache_info",
        "Version and module for processing.",
        &info,
        1.0,
    );
    Ok(())
}

fn push_scoreboard(scoreboard: &str, out: &mut SeriesBatch) {
    let mut states: BTreeMap<char, f64> = BTreeMap::new();
    for state in scoreboard.trim().chars() {
        *states.entry(state).or_default() += 1.0;
    }
    out.begin(
        "apache_scoreboard",
        Some(Kind::Gauge),
        "Workers by their state on the scoreboard.",
    );
    for (character, state) in SCOREBOARD {
        let workers = states.get(&character).copied().unwrap_or_default();
        out.push(&[("state", state)], workers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_any_version_has_what_is_there() {
        let mut out = SeriesBatch::default();
        let page = "ServerVersion: Apache/2.4.9 (Unix)\nServerMPM: event\nTotal Accesses: 7\nCPUUser: .25\nBusyWorkers: 2\nScoreboard: _WW..\n";
        parse(page, &mut out).unwrap();
        let lines: Vec<String> = out.lines().filter(|line| !line.ends_with(" 0")).collect();
        assert_eq!(
            lines,
            [
                "apache_accesses_total 7",
                "apache_cpu_time_ms_total{type=\"user\"} 250",
                "apache_workers{state=\"busy\"} 2",
                "apache_scoreboard{state=\"idle\"} 1",
                "apache_scoreboard{state=\"reply\"} 2",
                "apache_scoreboard{state=\"open_slot\"} 2",
                "apache_info{mpm=\"event\", version=\"Apache/2.4.9 (Unix)\"} 1",
            ]
        );
    }

    #[test]
    fn the_page_for_people_is_an_error_that_names_auto() {
        let mut out = SeriesBatch::default();
        let error = parse("<html><title>Apache Status</title></html>", &mut out).unwrap_err();
        assert!(error.contains("?auto"), "{error}");
    }
}
