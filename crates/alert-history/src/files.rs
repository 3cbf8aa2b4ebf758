//! The folder: whose it is, and the names of its segments.
//!
//! A segment is called by the number of its first record and by its day, `N-2026-11-21.jsonl`: all
//! of its records are of that day, so a query and retention know its time without reading it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::parts::Segment;

/// Most bytes of a segment; they are begun anew far below that.
const LARGEST: u64 = 64_000_000;

/// Milliseconds of a day.
pub(super) const DAY: i64 = 86_400_000;

/// The folder is ours alone, until this is dropped.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Takes `folder`, and makes it if it is missing.
    ///
    /// # Errors
    /// Why it cannot be ours, in one sentence.
    pub fn take(folder: &Path) -> Result<Self, String> {
        let said = |what: &str, why: &dyn std::fmt::Display| {
            format!("{what}: {}: {why}", folder.display())
        };
        fs::create_dir_all(folder).map_err(|error| said("can't make the folder", &error))?;
        let file = File::open(folder).map_err(|error| said("can't open the folder", &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(said(
                "the folder is in use",
                &"another Bellwether has it; hint: give each an alert_history.path of its own",
            )),
            Err(TryLockError::Error(error)) => Err(said("can't lock the folder", &error)),
        }
    }

    /// Sees that the names in the folder outlive a crash.
    pub fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

/// The first millisecond of the day of `at`.
pub(super) fn day_of(at: i64) -> i64 {
    at.div_euclid(DAY) * DAY
}

/// The path of the segment that begins with the record `first`, of the day that begins at `day`.
pub(super) fn path(folder: &Path, first: u64, day: i64) -> PathBuf {
    let date = jiff::Timestamp::from_millisecond(day).unwrap_or_default();
    let date = date.to_zoned(TimeZone::UTC).date();
    folder.join(format!("{first:020}-{date}.jsonl"))
}

/// What there is in a folder.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// The segments, the oldest first. Of each but the last, how many records it holds follows from
    /// the next one's name.
    pub segments: Vec<Segment>,
    /// What is called as they are and cannot be read: path, number of the first record, and why.
    pub unusable: Vec<(PathBuf, u64, String)>,
}

/// What there is in `folder`.
pub(super) fn list(folder: &Path) -> io::Result<Listed> {
    let mut listed = Listed::default();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some((first, day)) = name.to_str().and_then(parse) else {
            continue;
        };
        let path = entry.path();
        match length(&path) {
            Ok(bytes) => listed.segments.push(Segment {
                path,
                first,
                records: u64::MAX,
                bytes,
                from: day,
                to: day + DAY - 1,
                surveyed: false,
            }),
            // Another process may have deleted it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => listed.unusable.push((path, first, error.to_string())),
        }
    }
    let segments = &mut listed.segments;
    segments.sort_by(|a, b| (a.first, &a.path).cmp(&(b.first, &b.path)));
    for index in 1..segments.len() {
        segments[index - 1].records = segments[index].first - segments[index - 1].first;
    }
    Ok(listed)
}

/// Bytes of a segment. One that is far larger than any that was ever written is not ours.
fn length(path: &Path) -> io::Result<u64> {
    let bytes = bellwether_files::open(path)?.metadata()?.len();
    match bytes <= LARGEST {
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
    fn a_name_says_number_and_day() {
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
