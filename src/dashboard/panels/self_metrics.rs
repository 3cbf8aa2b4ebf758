//! Panels for alerts, notifications and self-metrics. These metrics always exist.

use super::{Panel, Query, View, line, lines, named, number, total};

pub(super) const PANELS: &[Panel] = &[
    Panel {
        view: View::Trouble,
        ..number(
            "Alerts firing",
            "short",
            &[total("bellwether_alerts", Query::Where("state=\"firing\""))],
            "Firing alerts now.",
        )
    },
    number(
        "Alerts pending",
        "short",
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
            "short",
            &[line("bellwether_collector_success", Query::Value, &[])],
            "Whether each collector's last run succeeded.",
        )
    },
    Panel {
        view: View::Trouble,
        ..number(
            "Dropped notifications",
            "short",
            &[total(
                "bellwether_notifications_total",
                Query::Increase("result=\"dropped\""),
            )],
            "Notifications that no channel could deliver, over the time shown.",
        )
    },
    number(
        "Series",
        "short",
        &[total("bellwether_series", Query::Where(""))],
        "Series with a current value.",
    ),
    Panel {
        view: View::Trouble,
        ..number(
            "History lost",
            "short",
            &[total(
                "bellwether_history_samples_lost_total",
                Query::Increase(""),
            )],
            "Samples that were appended to history and lost, over the time shown.",
        )
    },
    lines(
        "Alerts firing by rule",
        "short",
        &[line("bellwether_rule_alerts_firing", Query::Value, &[])],
        "Firing alerts by rule.",
    ),
    lines(
        "Alerts by state",
        "short",
        &[line("bellwether_alerts", Query::Value, &[])],
        "Pending and firing alerts.",
    ),
    lines(
        "Notifications",
        "ops",
        &[line(
            "bellwether_notifications_total",
            Query::Rate,
            &["channel", "result"],
        )],
        "Notifications per second by channel and result.",
    ),
    lines(
        "Notifications waiting",
        "short",
        &[line(
            "bellwether_notification_queue_length",
            Query::Value,
            &[],
        )],
        "Notifications that wait for delivery, by channel.",
    ),
    lines(
        "Dead letters",
        "short",
        &[line(
            "bellwether_notification_dead_letters",
            Query::Value,
            &[],
        )],
        "Dead letters by channel.",
    ),
    lines(
        "Collection time",
        "s",
        &[line(
            "bellwether_collector_duration_seconds",
            Query::Value,
            &[],
        )],
        "Duration of each collector's last run.",
    ),
    lines(
        "Rule evaluations",
        "ops",
        &[line("bellwether_rule_evaluations_total", Query::Rate, &[])],
        "Rule evaluations per second.",
    ),
    lines(
        "Samples into history",
        "ops",
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
        "bytes",
        &[
            line("bellwether_history_disk_bytes", Query::Value, &[]),
            named("memory", "bellwether_history_head_bytes", Query::Value, &[]),
        ],
        "Disk and memory usage of history.",
    ),
    lines(
        "CPU time of Bellwether",
        "percentunit",
        &[line("process_cpu_seconds_total", Query::Rate, &[])],
        "CPU time of Bellwether itself, as a share of one core.",
    ),
    lines(
        "Memory of Bellwether",
        "bytes",
        &[line("process_resident_memory_bytes", Query::Value, &[])],
        "Resident memory of Bellwether itself.",
    ),
];
