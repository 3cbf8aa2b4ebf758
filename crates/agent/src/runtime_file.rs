//! The runtime file of a running agent: its address, its directories and its configuration, for
//! commands on the same host.
//!
//! It is `agent-PID.json` in the runtime directory, else in the state directory. A clean stop
//! removes it. A process that was killed leaves one behind, which its start time shows to be stale.

use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use bellwether_files as files;
use bellwether_files::durable::{JsonFile, JsonState};
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

/// Mode of the file: it has no secrets, and every user of the host may run commands.
const MODE: u32 = 0o644;

/// Content of a runtime file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningAgent {
    /// Process that wrote the file.
    pub process: Process,
    /// Version of the binary.
    pub agent_version: String,
    /// Base URL for a client on this host, without a trailing slash.
    pub url: String,
    /// True if the server speaks TLS.
    pub tls: bool,
    /// Unix socket beside the address.
    pub socket: Option<PathBuf>,
    /// Web configuration file.
    pub web_config_file: Option<PathBuf>,
    /// File with the token for requests that change state.
    pub token_file: Option<PathBuf>,
    /// Configuration files, of which the first includes the others; empty for the embedded configuration.
    pub configuration: Vec<PathBuf>,
    /// State directory, unless all state is in memory.
    pub state_directory: Option<PathBuf>,
    /// Directory of history, if it is on disk.
    pub history_directory: Option<PathBuf>,
    /// Directory of the alert history, if it is on disk.
    pub alert_history_directory: Option<PathBuf>,
}

impl JsonState for RunningAgent {
    const VERSION: u32 = 1;
}

/// Identity of a process that no later one has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub pid: u32,
    /// Start time in clock ticks since the boot; `None` if /proc cannot be read.
    pub start_ticks: Option<u64>,
    /// Id that the kernel chose at the boot.
    pub boot_id: Option<String>,
}

impl Process {
    /// Returns the identity of this process.
    #[must_use]
    pub fn current() -> Self {
        let pid = std::process::id();
        Self {
            pid,
            start_ticks: stat(pid).ok().and_then(|stat| start_ticks(&stat)),
            boot_id: boot_id(),
        }
    }

    /// Returns whether the process still runs. One that /proc hides from this user counts as
    /// running while its pid is taken.
    #[must_use]
    pub fn is_running(&self) -> bool {
        if let (Some(then), Some(now)) = (&self.boot_id, boot_id())
            && *then != now
        {
            return false;
        }
        match stat(self.pid) {
            Ok(stat) => self
                .start_ticks
                .is_none_or(|started| start_ticks(&stat) == Some(started)),
            Err(_) => is_taken(self.pid),
        }
    }
}

fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

fn stat(pid: u32) -> io::Result<String> {
    fs::read_to_string(format!("/proc/{pid}/stat"))
}

/// Parses the start time of a process from its `stat` in proc_pid_stat(5); `None` for one that has
/// ended and was not waited for.
fn start_ticks(stat: &str) -> Option<u64> {
    // The name of the command is in parentheses and may contain any character.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    // Field 22; the state is field 3.
    fields.nth(18)?.parse().ok()
}

fn is_taken(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return false;
    };
    test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
}

/// Runtime file of this process; removed when it is dropped.
#[derive(Debug)]
pub struct Announcement {
    path: PathBuf,
}

impl Announcement {
    /// Creates the runtime file of `agent` in `directory`, and removes stale ones. Blocks.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn create(directory: &Path, agent: &RunningAgent) -> io::Result<Self> {
        let path = directory.join(format!("agent-{}.json", agent.process.pid));
        let announcement = Self { path };
        announcement.replace(agent)?;
        for entry in list(directory).into_iter().flatten() {
            if read(&entry).is_ok_and(|other| !other.process.is_running()) {
                fs::remove_file(entry).ok();
            }
        }
        Ok(announcement)
    }

    /// Replaces the content of the file, also if somebody deleted it or its directory. Blocks.
    ///
    /// # Errors
    /// The file cannot be written; the old one is unchanged.
    pub fn replace(&self, agent: &RunningAgent) -> io::Result<()> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let mut file = files::Output::state(&self.path)?;
        file.set_mode(MODE)?;
        file.write_all(&JsonFile::render(agent)?)?;
        file.finish()
    }

    /// Returns whether the file still exists. Blocks.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.path.exists()
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        fs::remove_file(&self.path).ok();
    }
}

/// Returns the paths of the runtime files in `directory`, sorted.
///
/// # Errors
/// The directory exists and cannot be read.
pub fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let pid = name
            .to_str()
            .and_then(|name| name.strip_prefix("agent-")?.strip_suffix(".json"));
        if pid.is_some_and(|pid| pid.parse::<u32>().is_ok()) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Reads a runtime file.
///
/// # Errors
/// The file cannot be read, or is of another version.
pub fn read(path: &Path) -> io::Result<RunningAgent> {
    let text = files::read(path, files::SMALL)?;
    JsonFile::<RunningAgent>::parse(&text).map_err(io::Error::other)
}

/// Returns the base URL for a client on this host of a server that listens on `host` and `port`.
#[must_use]
pub fn client_url(host: &str, port: u16, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    let host = match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) if address.is_unspecified() => "127.0.0.1".to_owned(),
        Ok(IpAddr::V6(address)) if address.is_unspecified() => "[::1]".to_owned(),
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => host.to_owned(),
    };
    format!("{scheme}://{host}:{port}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn agent(process: Process) -> RunningAgent {
        RunningAgent {
            process,
            agent_version: "1".into(),
            url: "http://127.0.0.1:9091".into(),
            tls: false,
            socket: None,
            web_config_file: None,
            token_file: None,
            configuration: vec!["/etc/bellwether/bellwether.yaml".into()],
            state_directory: Some("/var/lib/bellwether".into()),
            history_directory: None,
            alert_history_directory: None,
        }
    }

    #[test]
    fn a_runtime_file_is_read_as_written_and_goes_with_its_process() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().join("run");
        let written = agent(Process::current());
        let announcement = Announcement::create(&directory, &written).unwrap();
        let paths = list(&directory).unwrap();
        let name = format!("agent-{}.json", std::process::id());
        assert_eq!(paths, [directory.join(name)]);
        assert_eq!(read(&paths[0]).unwrap(), written);
        let mode = fs::metadata(&paths[0]).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        assert!(written.process.is_running() && announcement.exists());
        let reloaded = RunningAgent {
            tls: true,
            ..written
        };
        announcement.replace(&reloaded).unwrap();
        assert_eq!(read(&paths[0]).unwrap(), reloaded);
        drop(announcement);
        assert!(list(&directory).unwrap().is_empty());
    }

    #[test]
    fn a_later_process_of_the_same_pid_is_another_one() {
        let current = Process::current();
        assert!(current.start_ticks.is_some() && current.boot_id.is_some());
        let others = [
            Process {
                start_ticks: current.start_ticks.map(|ticks| ticks + 1),
                ..current.clone()
            },
            Process {
                boot_id: Some("of another boot".into()),
                ..current.clone()
            },
            Process {
                pid: u32::MAX / 3,
                ..current
            },
        ];
        for other in others {
            assert!(!other.is_running(), "{other:?}");
        }
    }

    #[test]
    fn a_stale_file_goes_at_the_next_start() {
        let directory = tempfile::tempdir().unwrap();
        let killed = Process {
            pid: 1,
            start_ticks: Some(u64::MAX),
            boot_id: None,
        };
        let text = JsonFile::render(&agent(killed)).unwrap();
        fs::write(directory.path().join("agent-1.json"), text).unwrap();
        fs::write(directory.path().join("agent-x.json"), "not ours").unwrap();
        let _created = Announcement::create(directory.path(), &agent(Process::current())).unwrap();
        assert_eq!(list(directory.path()).unwrap().len(), 1);
        assert!(directory.path().join("agent-x.json").exists());
    }

    #[test]
    fn the_start_time_is_found_behind_any_name_of_a_command() {
        let stat = "7 (a ) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 9 10";
        assert_eq!(start_ticks(stat), Some(4242));
        assert_eq!(start_ticks(&stat.replace(") S", ") Z")), None);
        assert_eq!(start_ticks("7 (a) S 1"), None);
    }

    #[test]
    fn a_client_has_a_url_for_each_address_of_a_server() {
        for (host, tls, url) in [
            ("0.0.0.0", false, "http://127.0.0.1:9091"),
            ("::", false, "http://[::1]:9091"),
            ("fe80::1", true, "https://[fe80::1]:9091"),
            ("10.0.0.1", false, "http://10.0.0.1:9091"),
            ("web1.example", true, "https://web1.example:9091"),
        ] {
            assert_eq!(client_url(host, 9091, tls), url);
        }
    }
}
