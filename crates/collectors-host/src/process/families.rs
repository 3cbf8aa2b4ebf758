//! The metrics of a group, under the names of process-exporter.

use bellwether_core::{Kind, SeriesBatch};
use rustix::param::{clock_ticks_per_second, page_size};

use super::Figure;
use super::scan::Group;

/// Metric of a group.
struct Family {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    /// Label beside `groupname`; may be empty.
    label: &'static str,
    values: &'static [Value],
}

/// One series of a metric, for each group.
struct Value {
    /// `None`: always collected.
    figure: Option<Figure>,
    /// Value of the label.
    text: &'static str,
    get: fn(&Group) -> Option<f64>,
}

const fn value(figure: Figure, text: &'static str, get: fn(&Group) -> Option<f64>) -> Value {
    Value {
        figure: Some(figure),
        text,
        get,
    }
}

const FAMILIES: &[Family] = &[
    Family {
        name: "namedprocess_namegroup_num_procs",
        kind: Kind::Gauge,
        help: "Processes of the group.",
        label: "",
        values: &[Value {
            figure: None,
            text: "",
            get: |group| Some(group.now.processes as f64),
        }],
    },
    Family {
        name: "namedprocess_namegroup_cpu_seconds_total",
        kind: Kind::Counter,
        help: "CPU time of the group since the first collection.",
        label: "mode",
        values: &[
            value(Figure::Cpu, "system", |group| {
                Some(seconds(group.totals.counts.system))
            }),
            value(Figure::Cpu, "user", |group| {
                Some(seconds(group.totals.counts.user))
            }),
        ],
    },
    Family {
        name: "namedprocess_namegroup_read_bytes_total",
        kind: Kind::Counter,
        help: "Bytes read from storage by the group since the first collection.",
        label: "",
        values: &[value(Figure::Io, "", |group| {
            Some(group.totals.io.0 as f64)
        })],
    },
    Family {
        name: "namedprocess_namegroup_write_bytes_total",
        kind: Kind::Counter,
        help: "Bytes written to storage by the group since the first collection.",
        label: "",
        values: &[value(Figure::Io, "", |group| {
            Some(group.totals.io.1 as f64)
        })],
    },
    Family {
        name: "namedprocess_namegroup_major_page_faults_total",
        kind: Kind::Counter,
        help: "Page faults that read from storage, since the first collection.",
        label: "",
        values: &[value(Figure::PageFaults, "", |group| {
            Some(group.totals.counts.major_faults as f64)
        })],
    },
    Family {
        name: "namedprocess_namegroup_minor_page_faults_total",
        kind: Kind::Counter,
        help: "Page faults that read nothing from storage, since the first collection.",
        label: "",
        values: &[value(Figure::PageFaults, "", |group| {
            Some(group.totals.counts.minor_faults as f64)
        })],
    },
    Family {
        name: "namedprocess_namegroup_context_switches_total",
        kind: Kind::Counter,
        help: "Context switches of all threads of the group since the first collection.",
        label: "ctxswitchtype",
        values: &[
            value(Figure::ContextSwitches, "nonvoluntary", |group| {
                Some(group.totals.switches.1 as f64)
            }),
            value(Figure::ContextSwitches, "voluntary", |group| {
                Some(group.totals.switches.0 as f64)
            }),
        ],
    },
    Family {
        name: "namedprocess_namegroup_memory_bytes",
        kind: Kind::Gauge,
        help: "Memory of the group.",
        label: "memtype",
        values: &[
            value(Figure::Memory, "resident", |group| {
                Some(page_bytes(group.now.resident_pages))
            }),
            value(Figure::Memory, "swapped", |group| {
                Some(group.now.swap_bytes as f64)
            }),
            value(Figure::Memory, "virtual", |group| {
                Some(group.now.virtual_bytes as f64)
            }),
            value(Figure::Pss, "proportionalResident", |group| {
                Some(group.now.proportional.0 as f64)
            }),
            value(Figure::Pss, "proportionalSwapped", |group| {
                Some(group.now.proportional.1 as f64)
            }),
        ],
    },
    Family {
        name: "namedprocess_namegroup_open_filedesc",
        kind: Kind::Gauge,
        help: "Open file descriptors of the group.",
        label: "",
        values: &[value(Figure::Descriptors, "", |group| {
            Some(group.now.descriptors as f64)
        })],
    },
    Family {
        name: "namedprocess_namegroup_worst_fd_ratio",
        kind: Kind::Gauge,
        help: "Largest share of its limit of open files that a process of the group has open.",
        label: "",
        values: &[value(Figure::Descriptors, "", |group| {
            Some(group.now.worst_ratio)
        })],
    },
    Family {
        name: "namedprocess_namegroup_num_threads",
        kind: Kind::Gauge,
        help: "Threads of the group.",
        label: "",
        values: &[value(Figure::Threads, "", |group| {
            Some(group.now.threads as f64)
        })],
    },
    Family {
        name: "namedprocess_namegroup_oldest_start_time_seconds",
        kind: Kind::Gauge,
        help: "Start of the oldest process of the group, as a Unix timestamp.",
        label: "",
        values: &[value(Figure::StartTime, "", |group| group.now.oldest_start)],
    },
    Family {
        name: "namedprocess_namegroup_states",
        kind: Kind::Gauge,
        help: "Processes of the group by state.",
        label: "state",
        values: &[
            value(Figure::States, "Running", |group| {
                Some(group.now.states[0] as f64)
            }),
            value(Figure::States, "Sleeping", |group| {
                Some(group.now.states[1] as f64)
            }),
            value(Figure::States, "Waiting", |group| {
                Some(group.now.states[2] as f64)
            }),
            value(Figure::States, "Zombie", |group| {
                Some(group.now.states[3] as f64)
            }),
            value(Figure::States, "Other", |group| {
                Some(group.now.states[4] as f64)
            }),
        ],
    },
];

/// Adds the series of `figures` of all groups to `out`.
pub(super) fn push(groups: &[Group], figures: &[Figure], out: &mut SeriesBatch) {
    for family in FAMILIES {
        let values = family.values.iter();
        let values: Vec<&Value> = values
            .filter(|value| value.figure.is_none_or(|figure| figures.contains(&figure)))
            .collect();
        if values.is_empty() {
            continue;
        }
        out.begin(family.name, Some(family.kind), family.help);
        for group in groups {
            for value in &values {
                if let Some(number) = (value.get)(group) {
                    let group = ("groupname", group.name.as_str());
                    match family.label {
                        "" => out.push(&[group], number),
                        label => out.push(&[group, (label, value.text)], number),
                    }
                }
            }
        }
    }
}

/// Converts clock ticks.
pub(super) fn seconds(ticks: u64) -> f64 {
    ticks as f64 / clock_ticks_per_second() as f64
}

/// Converts memory pages.
pub(super) fn page_bytes(pages: u64) -> f64 {
    pages as f64 * page_size() as f64
}
