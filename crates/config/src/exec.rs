//! Permission to start programs: only if nobody but the administrator may write the configuration.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use bellwether_collectors::CollectorType;
use bellwether_notify::ChannelType;
use bellwether_schema::Diagnostics;

use super::include::ConfigFile;
use super::sections::Root;

/// Checks channels and collectors of type `exec`, including disabled ones: `notify-test` starts them.
pub(super) fn check(root: &Root, files: &[ConfigFile], problems: &mut Diagnostics) {
    let monitor = &root.performance_monitor;
    let alerting = &monitor.alerting;
    let channels = alerting.notifications.channels.iter();
    let channels = channels
        .filter(|channel| channel.common.r#type == ChannelType::Exec)
        .map(|channel| ("channel", &channel.at.0));
    let collectors = monitor.collectors.iter().map(|entry| &entry.common);
    let collectors = collectors
        .filter(|common| common.r#type == CollectorType::Exec)
        .map(|common| ("collector", &common.name.at));
    for (what, at) in channels.chain(collectors) {
        if !alerting.allow_exec {
            problems
                .error(
                    at,
                    format!("a {what} of type exec starts a program, which is not allowed"),
                )
                .hint("set performance_monitor.alerting.allow_exec to true");
        } else if root.web.allow_edit {
            problems
                .error(
                    at,
                    format!(
                        "a {what} of type exec needs a protected configuration: web.allow_edit lets users of the \
                         web page change it"
                    ),
                )
                .hint(format!("remove the {what} or web.allow_edit"));
        } else if let Some((path, reason)) = unguarded(files) {
            problems
                .error(
                    at,
                    format!("a {what} of type exec needs a protected configuration: {reason}"),
                )
                .hint(format!("chown root {0} && chmod go-w {0}", path.display()));
        }
    }
}

/// Returns the first file that others may write, and the reason: whoever may write one of them may
/// add or replace a program.
fn unguarded(files: &[ConfigFile]) -> Option<(&Path, String)> {
    // The embedded configuration has no path.
    let paths = files.iter().map(|file| &*file.path);
    let mut written = paths.filter(|path| *path != Path::new(""));
    written.find_map(|path| {
        let reason = is_guarded(path).err()?;
        let reason = match files.len() {
            1 => reason,
            _ => format!("{}: {reason}", path.display()),
        };
        Some((path, reason))
    })
}

/// Returns an error unless only root and this process's user may write a file.
fn is_guarded(path: &Path) -> Result<(), String> {
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    let ours = rustix::process::geteuid().as_raw();
    let owner = metadata.uid();
    if owner != 0 && owner != ours {
        return Err(format!("it belongs to user {owner}"));
    }
    match metadata.permissions().mode() & 0o022 {
        0 => Ok(()),
        _ => Err("others than its owner may write it".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Source, load, plan};

    const EXEC: &str = "performance_monitor:\n  alerting:\n    allow_exec: true\n    notifications:\n      \
         channels:\n        - {type: exec, command: [/bin/true], enabled: false}\n";

    fn problems(text: &str, mode: u32) -> String {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("b.yaml");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let planned = load(&Source::File(path), &|_| None).and_then(plan);
        planned
            .err()
            .map(|report| report.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn a_program_needs_leave_and_a_configuration_that_others_cannot_write() {
        assert_eq!(problems(EXEC, 0o640), "");
        let writable = problems(EXEC, 0o660);
        assert!(writable.contains("b.yaml:6:11: "), "{writable}");
        assert!(
            writable.contains("others than its owner may write it"),
            "{writable}"
        );
        assert!(writable.contains("chmod go-w"), "{writable}");
        let off = problems(&EXEC.replace("true", "false"), 0o600);
        assert!(
            off.contains("which is not allowed\n  hint: set performance_monitor"),
            "{off}"
        );
    }

    #[test]
    fn a_collector_needs_the_same() {
        let collector = "performance_monitor:\n  alerting:\n    allow_exec: true\n  collectors:\n    \
             - {name: x, type: exec, command: [/bin/true], enabled: false}\n";
        assert_eq!(problems(collector, 0o640), "");
        let writable = problems(collector, 0o660);
        let expected =
            "a collector of type exec needs a protected configuration: others than its owner";
        assert!(writable.contains(expected), "{writable}");
        let off = problems(&collector.replace("exec: true", "exec: false"), 0o600);
        assert!(
            off.contains("a collector of type exec starts a program, which is not allowed"),
            "{off}"
        );
    }
}
