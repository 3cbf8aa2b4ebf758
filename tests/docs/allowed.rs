//! Programs that the test runs, and command lines that it does not run, each with the reason. One that no page has any more is an error.

/// Programs that a page may run: they change nothing outside of the folder of the test.
pub const PROGRAMS: [&str; 10] = [
    "bellwether",
    "amtool",
    "curl",
    "echo",
    "grep",
    "nc",
    "promtool",
    "sed",
    "tail",
    "target/release/bellwether",
];

/// A command line that is not run.
pub struct NotRun {
    /// Part of the line.
    pub part: &'static str,
    /// Reason.
    pub why: &'static str,
}

const fn because(why: &'static str, part: &'static str) -> NotRun {
    NotRun { part, why }
}

/// Every line that is not run.
pub const NOT_RUN: &[NotRun] = &[
    because("changes this system", "sudo "),
    because("changes this system", "sudoedit "),
    because("changes this system", "systemctl "),
    because("changes this system", "/etc/grafana/provisioning/"),
    because("changes this system", "/var/lib/grafana/dashboards"),
    because("builds the program", "make build"),
    because("builds the program", "make run"),
    because("builds the program", "cargo build"),
    because("needs Docker", "docker "),
    because("needs a cluster", "kubectl "),
    because("changes other hosts", "cd deploy/ansible"),
    because("changes other hosts", "ansible-playbook "),
    because("runs until it is stopped", "prometheus --config.file"),
    because("asks another host", "https://web1:9091"),
    because("asks other hosts", "--hosts hosts.ini"),
    because("asks other hosts", "--group all"),
    because("asks a service on the internet", "notify-test pager"),
];
