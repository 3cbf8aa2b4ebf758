//! The audit file: lines are appended, and it may be renamed at any time.

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bellwether_files as files;
use tracing_appender::non_blocking::ErrorCounter;

/// Mode of a new file: its group may read it.
const MODE: u32 = 0o640;

/// Lines that could not be written.
static UNWRITTEN: AtomicU64 = AtomicU64::new(0);
/// Lines that did not fit into the queue.
static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// Returns the number of audit lines that are not in the audit file.
pub fn lost_audit_lines() -> u64 {
    let dropped = DROPPED.get().map_or(0, ErrorCounter::dropped_lines);
    UNWRITTEN.load(Relaxed) + dropped as u64
}

/// Counts the lines that `queue` drops as lost.
pub(super) fn count_dropped(queue: ErrorCounter) {
    DROPPED.set(queue).ok();
}

/// A file whose lines are lost, counted and reported while it cannot be written. It returns no error, for nobody
/// waits for one.
pub(super) struct AuditFile {
    path: PathBuf,
    file: Option<File>,
    /// Lines lost since the last one that was written.
    lost: u64,
}

impl AuditFile {
    /// Opens the file, and creates it and its directory if they are missing.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(Self {
            path: path.to_owned(),
            file: Some(files::append(path, MODE)?),
            lost: 0,
        })
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let metadata = fs::metadata(&self.path);
        let is_same = |file: &&mut File| {
            let (Ok(metadata), Ok(open)) = (&metadata, file.metadata()) else {
                return false;
            };
            identity(metadata) == identity(&open)
        };
        let file = match self.file.as_mut().filter(is_same) {
            Some(file) => file,
            None => self.file.insert(files::append(&self.path, MODE)?),
        };
        if self.lost > 0 && file.metadata()?.len() > 0 {
            // A part of the line that failed may be there.
            file.write_all(b"\n")?;
        }
        file.write_all(line)
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Write for AuditFile {
    /// Receives one whole line at a time from the subscriber.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let written = self.append(line);
        let path = self.path.display();
        match written {
            Ok(()) if self.lost > 0 => {
                tracing::warn!(%path, lost = self.lost, "audit lines are written again");
                self.lost = 0;
            }
            Ok(()) => {}
            Err(error) => {
                if self.lost == 0 {
                    tracing::error!(%path, %error, "cannot write audit lines; until it can, they are only in the log");
                }
                self.lost += 1;
                UNWRITTEN.fetch_add(1, Relaxed);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn lines(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        text.lines()
            .filter(|line| !line.is_empty())
            .map(ToOwned::to_owned)
            .collect()
    }

    #[test]
    fn lines_are_appended_to_a_file_that_its_group_may_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/audit.log");
        for line in ["a\n", "b\n"] {
            AuditFile::open(&path)
                .unwrap()
                .write_all(line.as_bytes())
                .unwrap();
        }
        assert_eq!(lines(&path), ["a", "b"]);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o137, 0, "{mode:o}");
        assert_eq!(mode & 0o600, 0o600, "{mode:o}");
    }

    #[test]
    fn after_a_rename_lines_are_in_a_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let renamed = folder.path().join("audit.log.1");
        let mut file = AuditFile::open(&path).unwrap();
        file.write_all(b"a\n").unwrap();
        fs::rename(&path, &renamed).unwrap();
        file.write_all(b"b\n").unwrap();
        fs::remove_file(&path).unwrap();
        file.write_all(b"c\n").unwrap();
        assert_eq!(
            (lines(&renamed), lines(&path)),
            (vec!["a".into()], vec!["c".into()])
        );
    }

    #[test]
    fn lines_that_a_full_disk_refuses_are_counted_and_later_ones_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        symlink("/dev/full", &path).unwrap();
        let mut file = AuditFile::open(&path).unwrap();
        let before = lost_audit_lines();
        file.write_all(b"a\n").unwrap();
        file.write_all(b"b\n").unwrap();
        assert_eq!((file.lost, lost_audit_lines() - before), (2, 2));
        fs::remove_file(&path).unwrap();
        file.write_all(b"c\n").unwrap();
        assert_eq!((file.lost, lines(&path)), (0, vec!["c".into()]));
    }
}
