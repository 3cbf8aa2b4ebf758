//! The history directory of a command, and its progress bar.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bellwether_config as config;
use bellwether_tsdb::history::History;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rustix::fs::{Mode, OFlags};

use super::running_agents::{FoundAgent, Search, Selection, select};
use super::{Global, installation, process_environment};

/// Settings that say where history is.
const SETTINGS: [&str; 4] = [
    "performance_monitor.state_directory",
    "trend_analysis.enabled",
    "trend_analysis.storage.path",
    "alert_history.path",
];

/// Selection of a history directory.
#[derive(Args)]
pub(super) struct Folder {
    /// History directory. Default: that of the agent that runs on this host, else that of the
    /// configuration.
    #[arg(long, value_name = "DIR")]
    history: Option<PathBuf>,
}

impl Folder {
    /// Returns whether no directory was given, so that the agent's or the configuration's is used.
    pub(super) fn is_default(&self) -> bool {
        self.history.is_none()
    }

    /// Returns the path of the directory.
    pub(super) fn path(&self, global: &Global) -> anyhow::Result<PathBuf> {
        if let Some(folder) = &self.history {
            return Ok(folder.clone());
        }
        match select(global, "--config FILE or --history DIR")? {
            Selection::Agent(found) => of_agent(&found),
            Selection::None(search) => of_configuration(global, &search),
        }
    }

    /// Returns the flags with the configuration of the agent that has the history, unless the
    /// command names another one.
    pub(super) fn global(&self, global: &Global) -> Global {
        let mut global = global.clone();
        if self.history.is_none()
            && installation::named(global.config.as_deref()).is_none()
            && let Ok(Selection::Agent(found)) = select(&global, "")
        {
            global.config = found.agent.configuration.into_iter().next();
        }
        global
    }

    /// Opens it read-only; a running Bellwether is not affected.
    pub(super) fn open(&self, global: &Global) -> anyhow::Result<History> {
        open(&self.path(global)?)
    }
}

/// Opens the history in `directory` read-only; a running Bellwether is not affected.
pub(super) fn open(directory: &Path) -> anyhow::Result<History> {
    if let Err(error) = fs::read_dir(directory)
        && error.kind() == io::ErrorKind::PermissionDenied
    {
        bail!(
            "cannot read the history in {}: {error}; hint: run the command as root, or as the user of the \
             agent",
            directory.display()
        );
    }
    let (history, recovery) = History::open_read_only(directory);
    if let Some(error) = recovery.error {
        bail!(
            "cannot read the history in {}: {error}",
            directory.display()
        );
    }
    Ok(history)
}

fn of_agent(found: &FoundAgent) -> anyhow::Result<PathBuf> {
    let directory = found.agent.history_directory.clone();
    directory.with_context(|| {
        let (url, pid) = (&found.agent.url, found.agent.process.pid);
        format!("the agent at {url} (pid {pid}) has no history on disk; hint: --history DIR")
    })
}

fn of_configuration(global: &Global, search: &Search) -> anyhow::Result<PathBuf> {
    for line in search.unreadable() {
        eprintln!("warning: {line}");
    }
    let source = global.source();
    let root = global.settings_with(&SETTINGS).with_context(
        || "cannot read from the configuration where history is; hint: --history DIR",
    )?;
    config::history_folder(&root, &process_environment)
        .with_context(|| format!("{source} has no history on disk; hint: --history DIR"))
}

/// Returns the directory of the alert history of the agent that runs on this host, else that of the
/// configuration.
pub(super) fn of_alerts(global: &Global) -> Option<PathBuf> {
    match select(global, "").ok()? {
        Selection::Agent(found) => found.agent.alert_history_directory,
        Selection::None(_) => {
            let root = global.settings_with(&SETTINGS).ok()?;
            config::alert_history_folder(&root, &process_environment)
        }
    }
}

/// Writes files into a directory as its owner would: root gives what it creates to the owner of the
/// directory, or else the service could not use it.
pub(super) struct AsOwner {
    directory: PathBuf,
    /// Entries that other processes created.
    before: BTreeSet<OsString>,
    /// User and group, if root writes for somebody else.
    owner: Option<(u32, u32)>,
}

impl AsOwner {
    /// Creates `directory` if it is missing, for the owner of the directory that it is created in.
    ///
    /// # Errors
    /// The directory cannot be created or read.
    pub(super) fn begin(directory: &Path) -> io::Result<Self> {
        let existing = directory.ancestors().find(|path| path.is_dir());
        let metadata = fs::metadata(existing.unwrap_or(Path::new(".")))?;
        let is_other = rustix::process::geteuid().is_root() && metadata.uid() != 0;
        let owner = is_other.then(|| (metadata.uid(), metadata.gid()));
        let missing: Vec<_> = directory
            .ancestors()
            .take_while(|path| !path.as_os_str().is_empty() && !path.is_dir())
            .collect();
        fs::create_dir_all(directory)?;
        if let Some((user, group)) = owner {
            for path in missing {
                give(path, user, group)?;
            }
        }
        Ok(Self {
            directory: directory.to_owned(),
            before: names(directory)?,
            owner,
        })
    }

    /// Gives the new files to the owner.
    ///
    /// # Errors
    /// The owner of a file cannot be changed.
    pub(super) fn finish(self) -> io::Result<()> {
        let Some((user, group)) = self.owner else {
            return Ok(());
        };
        for name in names(&self.directory)?.difference(&self.before) {
            give(&self.directory.join(name), user, group)?;
        }
        Ok(())
    }
}

/// Gives a file or directory that root created to another user, unless it is gone: the agent may have merged
/// it meanwhile. The owner of its directory may also have put something else in its place, such as a link to a file
/// of root.
fn give(path: &Path, user: u32, group: u32) -> io::Result<()> {
    use rustix::io::Errno;
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let metadata = file.metadata()?;
    let is_only_name = metadata.is_dir() || (metadata.is_file() && metadata.nlink() == 1);
    if metadata.uid() == rustix::process::geteuid().as_raw() && is_only_name {
        fchown(&file, Some(user), Some(group))?;
    }
    Ok(())
}

fn names(directory: &Path) -> io::Result<BTreeSet<OsString>> {
    fs::read_dir(directory)?
        .map(|entry| Ok(entry?.file_name()))
        .collect()
}

/// Returns a progress bar on standard error, if that is a terminal.
pub(super) fn bar(length: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use super::*;

    #[test]
    fn what_root_writes_belongs_to_the_owner_of_the_directory() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        fs::create_dir(&state).unwrap();
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            chown(&state, Some(4242), Some(4243)).unwrap();
        }
        let history = state.join("a/history");
        let writing = AsOwner::begin(&history).unwrap();
        fs::write(history.join("new.block"), "").unwrap();
        writing.finish().unwrap();
        let again = AsOwner::begin(&history).unwrap();
        fs::write(history.join("second.block"), "").unwrap();
        again.finish().unwrap();
        for name in [
            "a",
            "a/history",
            "a/history/new.block",
            "a/history/second.block",
        ] {
            let metadata = fs::metadata(state.join(name)).unwrap();
            let expected = match is_root {
                true => (4242, 4243),
                false => (
                    rustix::process::geteuid().as_raw(),
                    rustix::process::getegid().as_raw(),
                ),
            };
            assert_eq!((metadata.uid(), metadata.gid()), expected, "{name}");
        }
    }

    #[test]
    fn a_file_of_root_that_was_linked_into_the_directory_stays_roots() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (state, secret) = (folder.path().join("state"), folder.path().join("secret"));
        fs::create_dir(&state).unwrap();
        chown(&state, Some(4242), Some(4243)).unwrap();
        fs::write(&secret, "").unwrap();
        let writing = AsOwner::begin(&state).unwrap();
        fs::hard_link(&secret, state.join("hard")).unwrap();
        symlink(&secret, state.join("soft")).unwrap();
        fs::write(state.join("new.block"), "").unwrap();
        writing.finish().unwrap();
        assert_eq!(fs::metadata(&secret).unwrap().uid(), 0);
        assert_eq!(fs::metadata(state.join("new.block")).unwrap().uid(), 4242);
    }
}
