//! Examples in the help of each command.

use clap::Command;

/// Command line and what it does.
type Example = (&'static str, &'static str);

/// Examples of each command, by the path of the command.
const EXAMPLES: &[(&[&str], &[Example])] = &[
    (
        &[],
        &[
            (
                "bellwether init",
                "write a first configuration for this host",
            ),
            (
                "bellwether run --config bellwether.yaml",
                "run the agent in this terminal",
            ),
            ("bellwether status", "ask the agent of this host how it is"),
        ],
    ),
    (
        &["run"],
        &[
            (
                "bellwether run --config bellwether.yaml",
                "run with this configuration",
            ),
            (
                "bellwether run --config bellwether.yaml --web.listen-address 127.0.0.1:9092 --debug",
                "run beside another agent, and log more",
            ),
        ],
    ),
    (
        &["demo"],
        &[
            (
                "bellwether demo",
                "look around on http://127.0.0.1:9091/, until Ctrl-C",
            ),
            (
                "bellwether demo --listen 127.0.0.1:9191 --seed 2",
                "on another port, with other data",
            ),
        ],
    ),
    (
        &["init"],
        &[
            (
                "bellwether init",
                "write a configuration for this host, and say what was found",
            ),
            (
                "bellwether init --dry-run",
                "look at it first, and write nothing",
            ),
            (
                "bellwether init --full -o catalogue.yaml",
                "all metrics and rules, to copy from",
            ),
        ],
    ),
    (
        &["convert"],
        &[
            (
                "bellwether convert /etc/telegraf/telegraf.conf -o telegraf.yaml",
                "write what it collects as a configuration, and say what has no counterpart",
            ),
            (
                "bellwether convert --from mtail apache.mtail",
                "look at it first, and name the format",
            ),
        ],
    ),
    (
        &["check"],
        &[
            ("bellwether check", "check the configuration of the service"),
            (
                "bellwether check new.yaml",
                "check a file before it is installed",
            ),
        ],
    ),
    (
        &["completion"],
        &[
            (
                "bellwether completion bash > ~/.local/share/bash-completion/completions/bellwether",
                "complete commands and flags in bash",
            ),
            (
                "bellwether completion zsh > ~/.zfunc/_bellwether",
                "the same in zsh, if ~/.zfunc is in $fpath",
            ),
        ],
    ),
    (
        &["man-pages"],
        &[
            (
                "bellwether man-pages man1",
                "write the man page of each command to the directory man1",
            ),
            (
                "bellwether man-pages /usr/local/share/man/man1",
                "install them for `man`",
            ),
        ],
    ),
    (
        &["config"],
        &[
            (
                "bellwether config --config bellwether.yaml",
                "print it with all defaults, without secrets",
            ),
            (
                "bellwether config --reference",
                "print the reference of all settings",
            ),
        ],
    ),
    (
        &["schema"],
        &[
            (
                "bellwether schema > bellwether.schema.json",
                "beside a configuration, for the editor to complete and check it",
            ),
            (
                "bellwether schema | jq '.\"$defs\" | keys'",
                "list the sections that it describes",
            ),
        ],
    ),
    (
        &["dashboard"],
        &[
            (
                "bellwether dashboard > bellwether.json",
                "write a dashboard for the import into Grafana",
            ),
            (
                "bellwether dashboard --config bellwether.yaml > bellwether.json",
                "of another configuration",
            ),
        ],
    ),
    (
        &["export"],
        &[
            (
                "bellwether export --window 7d --file week.om",
                "export a week as OpenMetrics",
            ),
            (
                "bellwether export --match '{__name__=~\"cpu_.*\"}' --from 2026-11-01 -o csv",
                "export some series as CSV",
            ),
            (
                "bellwether export --all week --format json,csv,html",
                "samples, alerts, bottlenecks, trends and more in the directory week",
            ),
        ],
    ),
    (
        &["import"],
        &[
            ("bellwether import week.om", "import an export"),
            (
                "bellwether import - --format json --skip-bad",
                "import JSON lines from a pipe, without invalid ones",
            ),
        ],
    ),
    (
        &["query"],
        &[
            (
                "bellwether query 'topk(3, disk_usage_percent)'",
                "the three fullest disks",
            ),
            (
                "bellwether query 'rate(network_bytes_recv[5m])' --window 6h -o chart",
                "draw six hours in the terminal",
            ),
            (
                "bellwether query cpu_percent --hosts hosts.ini --group web",
                "ask all hosts of a group",
            ),
        ],
    ),
    (
        &["alerts"],
        &[
            (
                "bellwether alerts --watch",
                "show the active alerts, again every two seconds",
            ),
            (
                "bellwether alerts --match '{severity=\"critical\"}' --group all",
                "critical alerts of the hosts in ~/.config/bellwether/hosts.yaml",
            ),
            (
                "bellwether alerts --history --rule disk_full --window 24h",
                "what happened to a rule, and who was notified",
            ),
        ],
    ),
    (
        &["status"],
        &[
            ("bellwether status", "the agent of this host"),
            (
                "bellwether status --url https://db1:9091 --ca-file ca.pem",
                "another one, over TLS",
            ),
            (
                "bellwether status --hosts hosts.ini -o csv",
                "one line for each of many hosts",
            ),
        ],
    ),
    (
        &["top"],
        &[
            ("bellwether top", "the agent on this host, live"),
            (
                "bellwether top --url db1:9091 --interval 5s --view alerts",
                "the alerts of another host",
            ),
            ("bellwether top --once | head -20", "one screen, as text"),
        ],
    ),
    (
        &["report"],
        &[
            (
                "bellwether report > week.html",
                "the last seven days, as a page",
            ),
            (
                "bellwether report --from -24h --format html,json --output day",
                "day.html and day.json",
            ),
            (
                "bellwether report --send weekly",
                "the report `weekly` of the configuration to its channels, now",
            ),
        ],
    ),
    (
        &["trends"],
        &[
            (
                "bellwether trends memory_percent",
                "the last hour, day and week",
            ),
            (
                "bellwether trends 'disk_usage_percent{mount_point=\"/\"}' --window 30d",
                "a month of one series",
            ),
        ],
    ),
    (
        &["anomalies"],
        &[
            ("bellwether anomalies cpu_percent", "the last day"),
            (
                "bellwether anomalies cpu_percent --window 7d --sensitivity 15 --direction above",
                "only the worst of a week",
            ),
        ],
    ),
    (
        &["forecast"],
        &[
            (
                "bellwether forecast 'disk_usage_percent{mount_point=\"/\"}' --reaches 95 --within 2d",
                "when a disk is full",
            ),
            (
                "bellwether forecast cpu_percent --hours 48",
                "the next two days",
            ),
        ],
    ),
    (
        &["correlate"],
        &[
            (
                "bellwether correlate cpu_percent --window 3h",
                "what moved with a metric",
            ),
            (
                "bellwether correlate --alert disk_full",
                "what moved as an alert began",
            ),
        ],
    ),
    (
        &["bottlenecks"],
        &[
            (
                "bellwether bottlenecks",
                "the score of this host, and what holds it up",
            ),
            ("bellwether bottlenecks -o json", "the same for a script"),
        ],
    ),
    (
        &["advise"],
        &[
            (
                "bellwether advise cpu_percent --above",
                "a threshold with about one alert a week",
            ),
            (
                "bellwether advise memory_percent --per-week 0.25 --window 30d",
                "one with an alert a month",
            ),
        ],
    ),
    (
        &["explain"],
        &[
            ("bellwether explain disk_full", "why a rule fires or not"),
            (
                "bellwether explain disk_full --at -2h",
                "what was known two hours ago",
            ),
        ],
    ),
    (
        &["route"],
        &[
            (
                "bellwether route '{alertname=\"disk_full\", severity=\"critical\"}'",
                "who would be notified",
            ),
            (
                "bellwether route alertname=disk_full severity=warning --at 2026-12-24T20:00:00Z",
                "and on Christmas Eve",
            ),
        ],
    ),
    (
        &["silence"],
        &[
            (
                "bellwether silence add '{alertname=\"disk_full\"}' --for 2h",
                "silence an alert",
            ),
            ("bellwether silence list", "list silences with their ids"),
        ],
    ),
    (
        &["silence", "add"],
        &[
            (
                "bellwether silence add '{alertname=\"disk_full\", mount_point=~\"/data.*\"}' --for 2h --comment 'new disk'",
                "silence alerts for two hours",
            ),
            (
                "bellwether silence add severity=warning --weekdays saturday --weekdays sunday --location Europe/Berlin",
                "silence warnings at weekends",
            ),
            (
                "bellwether silence add '{alertname=~\".+\"}' --until 2026-12-24T06:00:00Z --group db",
                "silence all hosts of a group",
            ),
        ],
    ),
    (
        &["silence", "list"],
        &[
            ("bellwether silence list", "pending and active silences"),
            (
                "bellwether silence list --all -o json > silences.json",
                "all, as a file for silence_files",
            ),
        ],
    ),
    (
        &["silence", "expire"],
        &[
            ("bellwether silence expire 4f1c0a7e", "end a silence"),
            (
                "bellwether silence expire 4f1c0a7e --hosts hosts.ini",
                "on whichever host has it",
            ),
        ],
    ),
    (
        &["acknowledge"],
        &[
            (
                "bellwether acknowledge disk_full --comment 'deleting logs'",
                "until the alert resolves",
            ),
            (
                "bellwether ack 00f1a2b3c4d5e6f7 --for 2h",
                "one alert of several, for two hours",
            ),
            ("bellwether ack disk_full --release", "take it back"),
        ],
    ),
    (
        &["resolve"],
        &[
            (
                "bellwether resolve disk_full --comment 'a larger disk comes tomorrow'",
                "end the only alert of a rule",
            ),
            (
                "bellwether resolve 00f1a2b3c4d5e6f7 --by ada",
                "end one alert of several",
            ),
        ],
    ),
    (
        &["cardinality"],
        &[
            (
                "bellwether cardinality",
                "the ten largest metrics and labels",
            ),
            (
                "bellwether cardinality --window 1d --limit 30 -o csv",
                "more of them, and their growth in a day",
            ),
        ],
    ),
    (
        &["dead-letters"],
        &[
            (
                "bellwether dead-letters --channel pager",
                "what a channel could not deliver",
            ),
            (
                "bellwether dead-letters resend --channel pager",
                "send it again",
            ),
        ],
    ),
    (
        &["dead-letters", "resend"],
        &[
            ("bellwether dead-letters resend --all", "all of them"),
            ("bellwether dead-letters resend 00ff", "one of them"),
        ],
    ),
    (
        &["dead-letters", "discard"],
        &[
            (
                "bellwether dead-letters discard --channel pager",
                "those of a channel",
            ),
            ("bellwether dead-letters discard 00ff", "one of them"),
        ],
    ),
    (
        &["health"],
        &[
            (
                "bellwether health",
                "for a health check of a container or a service",
            ),
            (
                "bellwether health --hosts hosts.ini",
                "whether all hosts answer",
            ),
        ],
    ),
    (
        &["backtest"],
        &[
            (
                "bellwether backtest --window 7d",
                "when the rules would have fired in a week",
            ),
            (
                "bellwether backtest --rules old.yaml --against new.yaml --from -30d",
                "what a change of the rules would change",
            ),
            (
                "bellwether backtest --rules new.yaml --url http://prometheus:9090",
                "over the samples of a Prometheus",
            ),
        ],
    ),
    (
        &["test"],
        &[
            ("bellwether test rules.test.yaml", "run all tests of a file"),
            (
                "bellwether test tests/*.yaml --run disk --junit results.xml",
                "some tests, with a report for CI",
            ),
        ],
    ),
    (
        &["notify-test"],
        &[
            (
                "bellwether notify-test pager --resolve",
                "send a test alert, and that it is over",
            ),
            (
                "bellwether notify-test --all --severity critical",
                "to all channels",
            ),
        ],
    ),
    (
        &["test-collector"],
        &[
            (
                "bellwether test-collector --config bellwether.yaml",
                "run every collector once, and print its series",
            ),
            (
                "bellwether test-collector system --quiet",
                "print the time that a collector takes, and its problems",
            ),
        ],
    ),
    (
        &["rules"],
        &[
            (
                "bellwether rules -o prometheus > rules.yml",
                "the rules as a Prometheus rule file",
            ),
            (
                "bellwether rules node.rules.yml",
                "a Prometheus rule file in Bellwether's format",
            ),
        ],
    ),
    (
        &["version"],
        &[
            ("bellwether version", "the version, its commit and features"),
            ("bellwether -V", "in one line"),
        ],
    ),
];

/// Adds the examples to the help of each command.
pub(super) fn add(command: Command) -> Command {
    EXAMPLES.iter().fold(command, |command, (path, examples)| {
        add_at(command, path, format(examples))
    })
}

fn add_at(command: Command, path: &[&'static str], text: String) -> Command {
    match path.split_first() {
        None => command.after_help(text),
        Some((name, rest)) => command.mut_subcommand(*name, |inner| add_at(inner, rest, text)),
    }
}

fn format(examples: &[Example]) -> String {
    let lines = examples
        .iter()
        .map(|(line, purpose)| format!("  # {purpose}\n  {line}"));
    format!("Examples:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::super::{command_line, parse};
    use super::*;

    /// Splits a line as a shell does: single quotes group; the line ends at a pipe or a redirection.
    fn words(line: &str) -> Vec<OsString> {
        let line = line.split(" > ").next().unwrap_or_default();
        let line = line.split(" | ").next().unwrap_or_default();
        let mut words = vec![String::new()];
        let mut is_quoted = false;
        for c in line.chars() {
            match c {
                '\'' => is_quoted = !is_quoted,
                ' ' if !is_quoted => words.push(String::new()),
                c => words.last_mut().unwrap().push(c),
            }
        }
        assert!(!is_quoted, "{line}");
        words.into_iter().map(OsString::from).collect()
    }

    #[test]
    fn every_example_is_a_command_line_of_its_command() {
        for (path, examples) in EXAMPLES {
            for (line, purpose) in *examples {
                let words = words(line);
                match parse(words.clone()) {
                    Ok(_) => {}
                    Err(error) => assert!(!error.use_stderr(), "{line}: {error}"),
                }
                let command = path.join(" ");
                let short = line.replacen(" ack ", " acknowledge ", 1);
                assert!(
                    short.contains(&command) || command == "version",
                    "{line}: not an example of {command}"
                );
                assert!(!purpose.ends_with('.'), "{purpose}");
            }
        }
    }

    #[test]
    fn every_help_has_two_or_three_examples() {
        fn check(command: &Command) {
            let help = command.get_after_help().map(ToString::to_string);
            let count = help.unwrap_or_default().matches("\n  bellwether ").count();
            assert!((2..=3).contains(&count), "{}: {count}", command.get_name());
            command.get_subcommands().for_each(check);
        }
        check(&command_line());
    }
}
