//! Updates of packages, and whether the host waits for a reboot, from the files of Debian's and Ubuntu's tools.
//! node_exporter has no such collector; the names are those of the scripts for its textfile collector, where these have
//! the figure.

use std::path::PathBuf;
use std::time::SystemTime;

use super::super::directory::read;
use super::super::part::{Part, PartError, Run};
use super::super::settings::Setup;

struct Updates {
    /// Exists while a package waits for a reboot.
    reboot: PathBuf,
    /// Names of these packages.
    packages: PathBuf,
    /// Text of update-notifier on Ubuntu.
    available: PathBuf,
    /// Written after each successful `apt-get update`.
    stamp: PathBuf,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Updates {
        reboot: setup.root("run/reboot-required"),
        packages: setup.root("run/reboot-required.pkgs"),
        available: setup.root("var/lib/update-notifier/updates-available"),
        stamp: setup.root("var/lib/apt/periodic/update-success-stamp"),
    })
}

impl Part for Updates {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let is_required = f64::from(u8::from(self.reboot.exists()));
        let help = "1 if a package waits for a reboot, 0 otherwise.";
        run.out
            .gauge("node_reboot_required", help, &[], is_required);
        let packages = read(&self.packages).unwrap_or_default();
        let count = packages
            .lines()
            .filter(|line| !line.trim().is_empty())
            .count();
        let help = "Packages that wait for a reboot.";
        run.out
            .gauge("node_reboot_required_packages", help, &[], count as f64);
        if let Ok(text) = read(&self.available) {
            push_available(&text, run);
        }
        if let Some(seconds) = self.updated() {
            let help =
                "Time of the last successful update of the package lists, as a Unix timestamp.";
            let name = "apt_package_cache_timestamp_seconds";
            run.out.gauge(name, help, &[], seconds);
        }
        Ok(())
    }
}

impl Updates {
    fn updated(&self) -> Option<f64> {
        let modified = self
            .stamp
            .metadata()
            .and_then(|found| found.modified())
            .ok()?;
        let since = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(since.as_secs_f64())
    }
}

/// Adds the numbers of lines such as `23 updates can be applied immediately.` and `5 of these updates are standard
/// security updates.`. Other lines, about extended support, have other words.
fn push_available(text: &str, run: &mut Run<'_>) {
    let number = |is_line: fn(&str) -> bool| {
        let mut lines = text.lines().map(str::trim).filter(|line| is_line(line));
        lines.next()?.split(' ').next()?.parse::<f64>().ok()
    };
    let all = number(|line| {
        line.contains("can be applied")
            || line.contains("can be updated")
            || line.contains("can be installed")
    });
    let security = number(|line| line.contains("security updates") && line.contains(" are "));
    for (name, help, value) in [
        (
            "node_package_updates",
            "Updates of packages that can be installed.",
            all,
        ),
        (
            "node_package_security_updates",
            "Those among them that fix security.",
            security,
        ),
    ] {
        run.out.gauge(name, help, &[], value.unwrap_or(0.0));
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn a_reboot_and_updates_are_shown_where_the_host_tells() {
        let expected = ["node_reboot_required 0", "node_reboot_required_packages 0"];
        assert_eq!(collect(&Host::with(&[]), "updates", "").unwrap(), expected);
        let host = Host::with(&[
            (
                "root/run/reboot-required",
                "*** System restart required ***\n",
            ),
            ("root/run/reboot-required.pkgs", "linux-base\nlibc6\n"),
            (
                "root/var/lib/update-notifier/updates-available",
                "\n23 updates can be applied immediately.\n5 of these updates are standard security updates.\nTo see these additional updates run: apt list --upgradable\n",
            ),
            ("root/var/lib/apt/periodic/update-success-stamp", ""),
        ]);
        let lines = collect(&host, "updates", "").unwrap();
        let expected = [
            "node_reboot_required 1",
            "node_reboot_required_packages 2",
            "node_package_updates 23",
            "node_package_security_updates 5",
        ];
        assert_eq!(lines[..4], expected);
        assert!(
            lines[4].starts_with("apt_package_cache_timestamp_seconds "),
            "{lines:?}"
        );
    }
}
