//! The folder: its lock, and the names of its segments.
//!
//! A segment is named by the number of its first record and by its day, `N-2026-11-21.jsonl`. All of
//! its records are of that day, so that queries and retention know its time without reading it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::parts::Segment;

/// Size in bytes above which a file is not a segment; the writer begins a new one far below.
const MAX_SEGMENT_BYTES: u64 = 64_000_000;

/// Milliseconds of a day.
pub(super) const DAY: i64 = 86_400_000;

/// Exclusive lock of the folder, until this is dropped.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Locks `folder`, and creates it if it is missing.
    ///
    /// # Errors
    /// The folder cannot be created or locked, as a sentence.
    pub fn acquire(folder: &Path) -> Result<Self, String> {
        let message = |what: &str, error: &dyn std::fmt::Display| {
            format!("{what}: {}: {error}", folder.display())
        };
        fs::create_dir_all(folder)
            .map_err(|error| message("cannot create the directory", &error))?;
        let file =
            File::open(folder).map_err(|error| message("cannot open the directory", &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(message(
                "the directory is in use",
                &"another Bellwether has locked it; hint: give each its own alert_history.path",
            )),
            Err(TryLockError::Error(error)) => Err(message("cannot lock the directory", &error)),
        }
    }

    /// Syncs the folder, so that the names of new files survive a crash.
    pub fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

/// Returns the start of the day of `at`, in milliseconds since the epoch.
pub(super) fn day_of(at: i64) -> i64 {
    at.div_euclid(DAY) * DAY
}

/// Returns the path of the segment with the first record `first` and the day that starts at `day`.
pub(super) fn path(folder: &Path, first: u64, day: i64) -> PathBuf {
    let date = jiff::Timestamp::from_millisecond(day).unwrap_or_default();
    let date = date.to_zoned(TimeZone::UTC).date();
    folder.join(format!("{first:020}-{date}.jsonl"))
}

/// Files of a folder.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Segments, oldest first. The number of records of each but the last follows from the next
    /// one's name.
    pub segments: Vec<Segment>,
    /// Files with the name of a segment that cannot be read.
    pub unusable: Vec<UnusableFile>,
}

/// File with the name of a segment that cannot be read.
#[derive(Debug)]
pub(super) struct UnusableFile {
    pub path: PathBuf,
    /// Number of its first record, by its name.
    pub first: u64,
    pub error: io::Error,
}

/// Lists the segments of `folder`.
pub(super) fn list(folder: &Path) -> io::Result<Listed> {
    let mut listed = Listed::default();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let Some((first, day)) = entry.file_name().to_str().and_then(parse) {
            listed.add(entry.path(), first, day);
        }
    }
    let segments = &mut listed.segments;
    segments.sort_by(|a, b| (a.first, &a.path).cmp(&(b.first, &b.path)));
    for index in 1..segments.len() {
        segments[index - 1].records = segments[index].first - segments[index - 1].first;
    }
    Ok(listed)
}

impl Listed {
    fn add(&mut self, path: PathBuf, first: u64, day: i64) {
        match length(&path) {
            Ok(bytes) => self.segments.push(Segment {
                path,
                first,
                records: u64::MAX,
                bytes,
                from: day,
                to: day + DAY - 1,
                scanned: false,
            }),
            // Another process may have deleted it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.unusable.push(UnusableFile { path, first, error }),
        }
    }
}

/// Returns the size of a segment; a file that is far larger than any segment is an error.
fn length(path: &Path) -> io::Result<u64> {
    let bytes = bellwether_files::open(path)?.metadata()?.len();
    match bytes <= MAX_SEGMENT_BYTES {
        true => Ok(bytes),
        false => Err(io::Error::new(io::ErrorKind::FileTooLarge, "far too large")),
    }
}

fn parse(name: &str) -> Option<(u64, i64)> {
    let (first, day) = name.strip_suffix(".jsonl")?.split_once('-')?;
    let day: Date = day.parse().ok()?;
    let day = day
        .to_zoned(TimeZone::UTC)
        .ok()?
        .timestamp()
        .as_millisecond();
    Some((first.parse().ok()?, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_number_and_day() {
        let day = day_of(1_795_233_600_001);
        let path = path(Path::new("/f"), 7, day);
        assert_eq!(path, Path::new("/f/00000000000000000007-2026-11-21.jsonl"));
        assert_eq!(
            parse("00000000000000000007-2026-11-21.jsonl"),
            Some((7, day))
        );
        for other in [
            "7.jsonl",
            "x-2026-11-21.jsonl",
            "7-2026-13-01.jsonl",
            "7-2026-11-21.json",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
        assert_eq!(day_of(-1), -DAY);
    }
}
