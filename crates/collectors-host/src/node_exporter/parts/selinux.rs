//! Mode of SELinux, from `/sys/fs/selinux` and `/etc/selinux/config`.

use std::path::PathBuf;

use super::super::directory::read;
use super::super::part::{Part, PartError, Run};
use super::super::settings::Setup;

struct Selinux {
    /// Current mode: 1 if SELinux enforces its rules. It exists if SELinux is on.
    enforce: PathBuf,
    /// Security context of this process, which is that of the kernel until a policy is loaded.
    context: PathBuf,
    config: PathBuf,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Selinux {
        enforce: setup.sys("fs/selinux/enforce"),
        context: setup.proc("self/attr/current"),
        config: setup.root("etc/selinux/config"),
    })
}

impl Part for Selinux {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let mode = read(&self.enforce).ok();
        let context = read(&self.context).unwrap_or_default();
        let is_on = mode.is_some() && context.trim_end_matches('\0') != "kernel";
        let help = "SELinux is enabled, 1 is true, 0 is false";
        let enabled = f64::from(u8::from(is_on));
        run.out.gauge("node_selinux_enabled", help, &[], enabled);
        if !is_on {
            return Ok(());
        }
        let help = "Configured SELinux enforcement mode";
        let configured = configured(&read(&self.config).unwrap_or_default());
        run.out
            .gauge("node_selinux_config_mode", help, &[], configured);
        let help = "Current SELinux enforcement mode";
        let current = mode.and_then(|mode| mode.parse().ok()).unwrap_or(-1.0);
        run.out
            .gauge("node_selinux_current_mode", help, &[], current);
        Ok(())
    }
}

/// Returns the mode after a boot: 1 enforcing, 0 permissive, -1 disabled.
fn configured(config: &str) -> f64 {
    let mut modes = config
        .lines()
        .filter_map(|line| line.trim().strip_prefix("SELINUX="));
    match modes.next().map(|mode| mode.trim().trim_matches('"')) {
        Some("enforcing") => 1.0,
        Some("permissive") => 0.0,
        _ => -1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn modes_are_shown_if_it_is_on() {
        let expected = ["node_selinux_enabled 0"];
        assert_eq!(collect(&Host::with(&[]), "selinux", "").unwrap(), expected);
        let host = Host::with(&[
            ("sys/fs/selinux/enforce", "0"),
            (
                "root/etc/selinux/config",
                "# SELINUX=x\nSELINUX=enforcing\nSELINUXTYPE=targeted\n",
            ),
        ]);
        let expected = [
            "node_selinux_enabled 1",
            "node_selinux_config_mode 1",
            "node_selinux_current_mode 0",
        ];
        assert_eq!(collect(&host, "selinux", "").unwrap(), expected);
    }
}
