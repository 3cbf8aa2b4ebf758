//! The process's own log: level, text or JSON, stderr or a file that rotates by size.
//!
//! Lines are handed to a thread of their own, so neither a slow disk nor a slow terminal holds up
//! an async thread.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use bellwether_files as files;
use bellwether_schema::{section, string_enum};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// Lines that may wait for the thread; a burst beyond them leaves some out.
const BUFFERED_LINES: usize = 32_768;

string_enum! {
    /// Least level that is written.
    pub enum Level {
        /// Everything.
        Trace = "trace",
        /// For developers.
        Debug = "debug",
        /// What happens.
        Info = "info",
        /// What needs a look.
        Warn = "warn" | "warning",
        /// What failed.
        Error = "error",
    }
}

string_enum! {
    /// Form of a line.
    pub enum Format {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

section! {
    /// Bellwether's own log. Without `file` it goes to standard error.
    pub struct Logging {
        /// Least level that is written.
        pub level: Level = Level::Info,
        /// Form of a line.
        pub format: Format = Format::Text,
        /// File to write to; its folder is made where it is missing. A device or a FIFO is
        /// written to and never renamed.
        pub file: Option<PathBuf> = None,
        /// Size at which the file is renamed to `FILE.1` and a new one begun; 0 never does.
        pub max_bytes: u64 = 10 * 1024 * 1024,
        /// How many renamed files are kept.
        pub backup_count: u32 = 5,
    }
}

/// Starts the log for the whole process; panics are told in it too. Lines still waiting are written when the guard is dropped.
///
/// # Errors
/// The file cannot be opened, or a log was started before.
pub fn start(settings: &Logging) -> anyhow::Result<WorkerGuard> {
    let lines = NonBlockingBuilder::default().buffered_lines_limit(BUFFERED_LINES);
    let (writer, guard) = match &settings.file {
        Some(path) => {
            let file = Rotating::open(path, settings.max_bytes, settings.backup_count)
                .with_context(|| format!("cannot open log file: {}", path.display()))?;
            lines.finish(file)
        }
        None => lines.finish(io::stderr()),
    };
    let colours = settings.file.is_none() && io::IsTerminal::is_terminal(&io::stderr());
    subscribe(settings, writer, colours).map_err(|error| anyhow::anyhow!("{error}"))?;
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    Ok(guard)
}

fn subscribe(
    settings: &Logging,
    writer: NonBlocking,
    colours: bool,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // Libraries speak up only when something is wrong: their outages are told by ours.
    let level = settings.level.as_str();
    let libraries = if matches!(settings.level, Level::Trace | Level::Debug) {
        level
    } else {
        "error"
    };
    let filter = EnvFilter::new(format!("{libraries},bellwether={level}"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    match settings.format {
        Format::Text => builder.with_ansi(colours).with_target(false).try_init(),
        Format::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init(),
    }
}

/// Looks whether the log's file could be opened; makes nothing.
///
/// # Errors
/// Why it could not.
pub fn check(settings: &Logging) -> Result<(), String> {
    let Some(path) = &settings.file else {
        return Ok(());
    };
    let told = |error: io::Error| format!("cannot open {}: {error}", path.display());
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(told(io::ErrorKind::IsADirectory.into())),
        Ok(found) if found.is_file() => files::append(path).map(drop).map_err(told),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // The nearest folder that is there must be one.
            let folders = path.ancestors().skip(1);
            match folders.map(fs::metadata).find_map(Result::ok) {
                Some(found) if !found.is_dir() => Err(told(io::ErrorKind::NotADirectory.into())),
                _ => Ok(()),
            }
        }
        Err(error) => Err(told(error)),
    }
}

/// A file that is renamed when it has grown to its limit. What is not a regular file, or is named
/// by a descriptor, is only written to.
struct Rotating {
    /// Where the file itself is; a symbolic link to it stays as it is.
    path: PathBuf,
    file: File,
    size: u64,
    /// 0: for ever.
    max_bytes: u64,
    backup_count: u32,
}

impl Rotating {
    fn open(path: &Path, max_bytes: u64, backup_count: u32) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = files::append(path)?;
        let metadata = file.metadata()?;
        let descriptor = ["/dev", "/proc"]
            .iter()
            .any(|folder| path.starts_with(folder));
        let rotates = metadata.is_file() && !descriptor;
        let max_bytes = if rotates { max_bytes } else { 0 };
        let path = if rotates {
            fs::canonicalize(path)?
        } else {
            path.to_owned()
        };
        Ok(Self {
            path,
            file,
            size: metadata.len(),
            max_bytes,
            backup_count,
        })
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    fn rotate(&mut self) -> io::Result<()> {
        if self.backup_count == 0 {
            self.file.set_len(0)?;
        } else {
            for number in (1..self.backup_count).rev() {
                match fs::rename(self.numbered(number), self.numbered(number + 1)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            let before = self.file.metadata()?;
            fs::rename(&self.path, self.numbered(1))?;
            self.file = files::append(&self.path)?;
            files::keep_owner_and_mode(&self.file, &before)?;
        }
        self.size = 0;
        Ok(())
    }
}

impl Write for Rotating {
    /// Takes one whole line at a time, as the subscriber hands them over.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let full = self.max_bytes > 0 && self.size + line.len() as u64 > self.max_bytes;
        if full && self.size > 0 {
            // A rename that fails must not cost the line: the old file then grows on.
            if self.rotate().is_err() {
                self.size = 0;
            }
        }
        let written = self.file.write(line)?;
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotates_by_size_and_keeps_the_declared_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/x.log");
        let mut log = Rotating::open(&path, 10, 2).unwrap();
        for line in ["one-----\n", "two-----\n", "three---\n", "four----\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        let read = |suffix: &str| fs::read_to_string(format!("{}{suffix}", path.display())).ok();
        assert_eq!(read("").as_deref(), Some("four----\n"));
        assert_eq!(read(".1").as_deref(), Some("three---\n"));
        assert_eq!(read(".2").as_deref(), Some("two-----\n"));
        assert_eq!(read(".3"), None);
    }

    #[test]
    fn goes_on_where_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        fs::write(&path, "12345678").unwrap();
        let mut log = Rotating::open(&path, 10, 1).unwrap();
        log.write_all(b"abc\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "abc\n");
        assert_eq!(
            fs::read_to_string(folder.path().join("x.log.1")).unwrap(),
            "12345678"
        );
    }

    #[test]
    fn only_a_regular_file_is_renamed_and_a_link_to_it_stays() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        symlink("/dev/null", at("null")).unwrap();
        symlink("real.log", at("link.log")).unwrap();
        fs::write(at("real.log"), "").unwrap();
        fs::set_permissions(at("real.log"), fs::Permissions::from_mode(0o640)).unwrap();
        for name in ["null", "link.log"] {
            let mut log = Rotating::open(&at(name), 10, 2).unwrap();
            log.write_all(b"one-----\n").unwrap();
            log.write_all(b"two-----\n").unwrap();
            assert!(
                fs::symlink_metadata(at(name)).unwrap().is_symlink(),
                "{name}"
            );
            assert!(!at(&format!("{name}.1")).exists(), "{name}");
        }
        assert_eq!(fs::read_to_string(at("link.log")).unwrap(), "two-----\n");
        assert_eq!(fs::read_to_string(at("real.log.1")).unwrap(), "one-----\n");
        assert_eq!(fs::metadata(at("real.log")).unwrap().mode() & 0o777, 0o640);
        assert!(Rotating::open(folder.path(), 10, 2).is_err());
    }
}
