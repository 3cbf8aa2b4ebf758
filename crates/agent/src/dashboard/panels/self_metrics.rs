//! Panels for alerts, notifications and self-metrics. These metrics always exist.

use bellwether_dashboards::Unit;

use super::{Panel, Query, View, line, lines, named, number, total};

pub(super) const PANELS: &[Panel] = &[
    Panel {
        view: View::Trouble,
        ..number(
            "Alerts firing",
            Unit::None,
            &[total("bellwether_alerts", Query::Where("state=\"firing\""))],
            "Firing alerts now.",
        )
    },
    number(
        "Alerts pending",
        Unit::None,
        &[total(
            "bellwether_alerts",
            Query::Where("state=\"pending\""),
        )],
        "Alerts whose condition has not held for the rule's duration yet.",
    ),
    Panel {
        view: View::UpDown,
        ..number(
            "Collectors",
            Unit::None,
            &[line("bellwether_collector_success", Query::Value, &[])],
            "Whether each collector's last run succeeded.",
        )
    },
    Panel {
        view: View::Trouble,
        ..number(
            "Dropped notifications",
            Unit::None,
            &[total(
                "bellwether_notifications_total",
                Query::Increase("result=\"dropped\""),
            )],
            "Notifications that no channel could deliver, over the time shown.",
        )
    },
    number(
        "Series",
        Unit::None,
        &[total("bellwether_series", Query::Where(""))],
        "Series with a current value.",
    ),
    Panel {
        view: View::Trouble,
        ..number(
            "History lost",
            Unit::None,
            &[total(
                "bellwether_history_samples_lost_total",
                Query::Increase(""),
            )],
            "Samples that were appended to history and lost, over the time shown.",
        )
    },
    lines(
        "Alerts firing by rule",
        Unit::None,
        &[line("bellwether_rule_alerts_firing", Query::Value, &[])],
        "Firing alerts by rule.",
    ),
    lines(
        "Alerts by state",
        Unit::None,
        &[line("bellwether_alerts", Query::Value, &[])],
        "Pending and firing alerts.",
    ),
    lines(
        "Notifications",
        Unit::PerSecond,
        &[line(
            "bellwether_notifications_total",
            Query::Rate,
            &["channel", "result"],
        )],
        "Notifications per second by channel and result.",
    ),
    lines(
        "Notifications waiting",
        Unit::None,
        &[line(
            "bellwether_notification_queue_length",
            Query::Value,
            &[],
        )],
        "Notifications that wait for delivery, by channel.",
    ),
    lines(
        "Dead letters",
        Unit::None,
        &[line(
            "bellwether_notification_dead_letters",
            Query::Value,
            &[],
        )],
        "Dead letters by channel.",
    ),
    lines(
        "Collection time",
        Unit::Seconds,
        &[line(
            "bellwether_collector_duration_seconds",
            Query::Value,
            &[],
        )],
        "Duration of each collector's last run.",
    ),
    lines(
        "Rule evaluations",
        Unit::PerSecond,
        &[line("bellwether_rule_evaluations_total", Query::Rate, &[])],
        "Rule evaluations per second.",
    ),
    lines(
        "Samples into history",
        Unit::PerSecond,
        &[
            named(
                "appended",
                "bellwether_history_samples_appended_total",
                Query::Rate,
                &[],
            ),
            named(
                "rejected",
                "bellwether_history_samples_rejected_total",
                Query::Rate,
                &["reason"],
            ),
        ],
        "Samples per second that history appended and rejected.",
    ),
    lines(
        "History size",
        Unit::Bytes,
        &[
            line("bellwether_history_disk_bytes", Query::Value, &[]),
            named("memory", "bellwether_history_head_bytes", Query::Value, &[]),
        ],
        "Disk and memory usage of history.",
    ),
    lines(
        "CPU time of Bellwether",
        Unit::Ratio,
        &[line("process_cpu_seconds_total", Query::Rate, &[])],
        "CPU time of Bellwether itself, as a share of one core.",
    ),
    lines(
        "Memory of Bellwether",
        Unit::Bytes,
        &[line("process_resident_memory_bytes", Query::Value, &[])],
        "Resident memory of Bellwether itself.",
    ),
];
