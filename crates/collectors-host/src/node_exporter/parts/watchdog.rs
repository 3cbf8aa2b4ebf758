//! Watchdogs, from `/sys/class/watchdog`.

use std::path::PathBuf;

use super::super::directory::{Directory, entries};
use super::super::part::{Part, PartError, Run};
use super::super::settings::Setup;

/// Metrics with their files.
const METRICS: [(&str, &str); 7] = [
    ("bootstatus", "bootstatus"),
    ("fw_version", "fw_version"),
    ("nowayout", "nowayout"),
    ("timeleft_seconds", "timeleft"),
    ("timeout_seconds", "timeout"),
    ("pretimeout_seconds", "pretimeout"),
    ("access_cs0", "access_cs0"),
];
/// Labels of `node_watchdog_info`, which are files.
const LABELS: [&str; 5] = [
    "options",
    "identity",
    "state",
    "status",
    "pretimeout_governor",
];

struct Watchdog(PathBuf);

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Watchdog(setup.sys("class/watchdog")))
}

impl Part for Watchdog {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        for name in entries(&self.0).map_err(|error| PartError::optional(&self.0, &error))? {
            let directory = Directory::optional(self.0.join(&name))?;
            for (metric, file) in METRICS {
                if let Some(value) = directory.integer(file) {
                    let help = format!("Value of /sys/class/watchdog/<watchdog>/{file}");
                    let metric = format!("node_watchdog_{metric}");
                    run.out.gauge(&metric, &help, &[("name", &name)], value);
                }
            }
            let texts = LABELS.map(|label| (label, directory.text(label).unwrap_or_default()));
            let labels = texts.iter().map(|(label, text)| (*label, text.as_str()));
            let labels: Vec<(&str, &str)> = labels.chain([("name", name.as_str())]).collect();
            let help = "Info of /sys/class/watchdog/<watchdog>";
            run.out.gauge("node_watchdog_info", help, &labels, 1.0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn values_are_those_that_the_driver_has() {
        let host = Host::with(&[
            ("sys/class/watchdog/watchdog0/timeout", "60\n"),
            (
                "sys/class/watchdog/watchdog0/identity",
                "Software Watchdog\n",
            ),
        ]);
        let expected = [
            "node_watchdog_timeout_seconds{name=\"watchdog0\"} 60",
            "node_watchdog_info{identity=\"Software Watchdog\", name=\"watchdog0\"} 1",
        ];
        assert_eq!(collect(&host, "watchdog", "").unwrap(), expected);
    }
}
