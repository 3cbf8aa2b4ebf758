//! The process's own log: level, text or JSON, stderr or a file that rotates by size; and the audit file.
//!
//! - [`audit`]: the lines about changes that people make.
//! - [`printable`]: characters that texts of others may not have.
//!
//! A thread of its own writes the lines, so neither a slow disk nor a slow terminal blocks an async
//! thread.

pub mod audit;
mod audit_file;
mod journal;
pub mod printable;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use audit_file::AuditFile;
pub use audit_file::lost_audit_lines;
use bellwether_files as files;
use bellwether_schema::{Spanned, section, string_enum};
use journal::WithPriority;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, registry};

/// Maximum number of queued lines; lines beyond it are dropped.
const BUFFERED_LINES: usize = 32_768;
/// Mode of a new log file, before the umask.
const MODE: u32 = 0o666;

string_enum! {
    /// Minimum level of log lines.
    pub enum Level {
        /// Every detail.
        Trace = "trace",
        /// Details for developers.
        Debug = "debug",
        /// Regular events.
        Info = "info",
        /// Conditions that need attention.
        Warn = "warn" | "warning",
        /// Failures.
        Error = "error",
    }
}

string_enum! {
    /// Format of log lines.
    pub enum Format {
        /// Text for people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

section! {
    /// Log of Bellwether. Without `file` it is written to standard error; where that is the journal of
    /// systemd, lines have its priorities and no time of their own.
    pub struct Logging {
        /// Minimum level of log lines.
        pub level: Level = Level::Info,
        /// Format of log lines.
        pub format: Format = Format::Text,
        /// File to write to; its directory is created. A device or a FIFO is written to and never
        /// renamed.
        pub file: Option<PathBuf> = None,
        /// Size at which the file is renamed to `FILE.1` and a new one is started; 0 for no limit.
        pub max_bytes: u64 = 10 * 1024 * 1024,
        /// Number of renamed files to keep.
        pub backup_count: u32 = 5,
        /// Audit lines: who silenced, acknowledged, reloaded, resent or discarded, or was rejected.
        pub audit: AuditLog = AuditLog::default(),
    }
}

section! {
    /// Audit lines. The log has them too, at level `info` and `warn`.
    pub struct AuditLog {
        /// File that they are appended to, whatever the level of the log; its directory is created. A
        /// new file has mode 0640. It is never renamed or shortened here: if it was renamed, as by
        /// logrotate, the next line is in a new one.
        pub file: Option<PathBuf> = None,
        /// Name of a channel that gets them too. A change never waits for it; lines that come within a
        /// second are one message.
        pub channel: Option<Spanned<String>> = None,
    }
}

/// Log of the process. Queued lines are written when it is dropped.
pub struct Log {
    _main: WorkerGuard,
    _audit: Option<WorkerGuard>,
}

/// Starts the log for the whole process, including panics.
///
/// # Errors
/// A file cannot be opened, or a log was started before.
pub fn start(settings: &Logging) -> anyhow::Result<Log> {
    let (writer, guard) = match &settings.file {
        Some(path) => {
            let file = Rotating::open(path, settings.max_bytes, settings.backup_count)
                .with_context(|| format!("cannot open log file: {}", path.display()))?;
            queue(file)
        }
        None => queue(io::stderr()),
    };
    let colours = settings.file.is_none() && io::IsTerminal::is_terminal(&io::stderr());
    let journal = settings.file.is_none() && journal::is_stderr();
    let (audit, audit_guard) = audit_layer(&settings.audit, settings.format)?.unzip();
    let main = main_layer(settings, writer, colours, journal);
    let layers: Vec<BoxedLayer> = [main].into_iter().chain(audit).collect();
    registry()
        .with(layers)
        .try_init()
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    Ok(Log {
        _main: guard,
        _audit: audit_guard,
    })
}

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

fn queue(writer: impl Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    let lines = NonBlockingBuilder::default().buffered_lines_limit(BUFFERED_LINES);
    lines.finish(writer)
}

fn main_layer(settings: &Logging, writer: NonBlocking, colours: bool, journal: bool) -> BoxedLayer {
    // Libraries log only problems: outages of their peers are logged by our code.
    let level = settings.level.as_str();
    let libraries = if matches!(settings.level, Level::Trace | Level::Debug) {
        level
    } else {
        "error"
    };
    let filter = EnvFilter::new(format!("{libraries},bellwether={level}"));
    let layer = fmt::layer().with_writer(writer);
    match (settings.format, journal) {
        (Format::Text, false) => layer
            .with_ansi(colours)
            .with_target(false)
            .with_filter(filter)
            .boxed(),
        (Format::Text, true) => layer
            .with_ansi(false)
            .with_target(false)
            .without_time()
            .map_event_format(WithPriority)
            .with_filter(filter)
            .boxed(),
        (Format::Json, false) => layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_filter(filter)
            .boxed(),
        (Format::Json, true) => layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .without_time()
            .map_event_format(WithPriority)
            .with_filter(filter)
            .boxed(),
    }
}

/// Returns the layer that writes the audit file, if there is one.
///
/// # Errors
/// The file cannot be opened.
pub fn audit_layer(
    settings: &AuditLog,
    format: Format,
) -> anyhow::Result<Option<(BoxedLayer, WorkerGuard)>> {
    let Some(path) = &settings.file else {
        return Ok(None);
    };
    let file = AuditFile::open(path)
        .with_context(|| format!("cannot open audit file: {}", path.display()))?;
    let (writer, guard) = queue(file);
    audit_file::count_dropped(writer.error_counter());
    let layer = fmt::layer().with_writer(writer).with_ansi(false);
    let is_audit = filter_fn(|metadata| metadata.target() == audit::TARGET);
    let layer = match format {
        Format::Text => layer.with_target(false).with_filter(is_audit).boxed(),
        Format::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_filter(is_audit)
            .boxed(),
    };
    Ok(Some((layer, guard)))
}

/// Tests whether the files of the log could be opened; creates nothing.
///
/// # Errors
/// A file could not be opened.
pub fn check(settings: &Logging) -> anyhow::Result<()> {
    let files = settings.file.iter().chain(&settings.audit.file);
    files.into_iter().try_for_each(|path| {
        try_open(path).with_context(|| format!("cannot open {}", path.display()))
    })
}

fn try_open(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(metadata) if metadata.is_file() => files::append(path, MODE).map(drop),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // The nearest folder that is there must be one.
            let folders = path.ancestors().skip(1);
            match folders.map(fs::metadata).find_map(Result::ok) {
                Some(metadata) if !metadata.is_dir() => Err(io::ErrorKind::NotADirectory.into()),
                _ => Ok(()),
            }
        }
        Err(error) => Err(error),
    }
}

/// A file that is renamed at its size limit. Anything but a regular file, or one that is named by a
/// descriptor, is only written to.
struct Rotating {
    /// Path of the file itself; a symbolic link to it is left unchanged.
    path: PathBuf,
    file: File,
    size: u64,
    /// Size limit in bytes; 0 for no limit.
    max_bytes: u64,
    backup_count: u32,
}

impl Rotating {
    fn open(path: &Path, max_bytes: u64, backup_count: u32) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = files::append(path, MODE)?;
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
            self.file = files::append(&self.path, MODE)?;
            files::keep_owner_and_mode(&self.file, &before)?;
        }
        self.size = 0;
        Ok(())
    }
}

impl Write for Rotating {
    /// Receives one whole line at a time from the subscriber.
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
