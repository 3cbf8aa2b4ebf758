//! Files of one log: the one that is written to, and its rotated predecessors.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bellwether_core::UnixMillis;
use bellwether_files as files;
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};

/// Bytes at the beginning of a file by which it is known again.
pub(super) const HEAD: usize = 1024;

/// Place in the lines of a log, which outlives rotation and restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Position {
    pub(super) inode: u64,
    /// Bytes before it; for a compressed file, of its text.
    pub(super) offset: u64,
    /// CRC-32 of the beginning of the file.
    head: u32,
    /// Bytes in `head`.
    head_length: usize,
}

impl Position {
    /// Creates a position in a file that begins with `head`.
    pub(super) fn new(inode: u64, offset: u64, head: &[u8]) -> Self {
        Self {
            inode,
            offset,
            head: crc32fast::hash(head),
            head_length: head.len(),
        }
    }
}

/// A file of a log.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) inode: u64,
    /// Bytes in the file.
    pub(super) length: u64,
    pub(super) modified: UnixMillis,
    pub(super) is_gzip: bool,
}

impl Segment {
    /// Returns the segment at `path`; `None` if there is no file.
    pub(super) fn at(path: &Path) -> io::Result<Option<Self>> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(Self {
                path: path.to_owned(),
                inode: metadata.ino(),
                length: metadata.len(),
                modified: modified(&metadata),
                is_gzip: is_gzip(path),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens the file at a position of its text. Returns it with the beginning of the text, of at most [`HEAD`] bytes
    /// before the position; `None` if another file is at the path by now.
    pub(super) fn open(&self, offset: u64) -> io::Result<Option<(Source, Vec<u8>)>> {
        let file = files::open(&self.path)?;
        if file.metadata()?.ino() != self.inode {
            return Ok(None);
        }
        let mut source = Source::new(file, self.is_gzip);
        let mut head = Vec::new();
        let head_length = offset.min(HEAD as u64);
        source.as_read().take(head_length).read_to_end(&mut head)?;
        match &mut source {
            Source::Plain(file) => drop(file.seek(SeekFrom::Start(offset))?),
            Source::Gzip(reader) => {
                let mut rest = reader.take(offset - head.len() as u64);
                io::copy(&mut rest, &mut io::sink())?;
            }
        }
        Ok(Some((source, head)))
    }

    /// Returns whether `position` can be one in this file, as its beginning is the same. Reads the file.
    pub(super) fn has(&self, position: &Position) -> bool {
        if !self.is_gzip && self.length < position.offset {
            return false;
        }
        let Ok(file) = files::open(&self.path) else {
            return false;
        };
        let mut head = Vec::new();
        let mut source = Source::new(file, self.is_gzip);
        let mut beginning = source.as_read().take(position.head_length as u64);
        beginning.read_to_end(&mut head).is_ok()
            && head.len() == position.head_length
            && crc32fast::hash(&head) == position.head
    }
}

/// Returns the time of the last change.
pub(super) fn modified(metadata: &fs::Metadata) -> UnixMillis {
    UnixMillis(metadata.mtime() * 1000 + metadata.mtime_nsec() / 1_000_000)
}

/// Text of a file.
#[derive(Debug)]
pub(super) enum Source {
    Plain(File),
    Gzip(Box<MultiGzDecoder<BufReader<File>>>),
}

impl Source {
    fn new(file: File, is_gzip: bool) -> Self {
        match is_gzip {
            false => Self::Plain(file),
            true => Self::Gzip(Box::new(MultiGzDecoder::new(BufReader::new(file)))),
        }
    }

    fn as_read(&mut self) -> &mut dyn Read {
        match self {
            Self::Plain(file) => file,
            Self::Gzip(reader) => reader,
        }
    }

    /// Reads the next bytes; 0 at the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.as_read().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A file of the kernel that has nothing now.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
                result => return result,
            }
        }
    }
}

/// Returns the files of the log at `path`, oldest first. The last one is that at `path`, if there is one.
pub(super) fn segments(path: &Path) -> io::Result<Vec<Segment>> {
    let mut all = predecessors(path)?;
    all.extend(Segment::at(path)?);
    Ok(all)
}

fn predecessors(path: &Path) -> io::Result<Vec<Segment>> {
    let (Some(directory), Some(live)) = (path.parent(), path.file_name()) else {
        return Ok(Vec::new());
    };
    let live = live.to_string_lossy();
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)?.flatten() {
        let name = entry.file_name();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && live_names(&name.to_string_lossy()).any(|name| name == live) {
            found.extend(Segment::at(&entry.path()).ok().flatten());
        }
    }
    found.sort_by_key(|segment| {
        let name = segment.path.file_name().map(OsStr::to_string_lossy);
        let name = name.unwrap_or_default().into_owned();
        // Of two files of one moment, the higher number is older, and the earlier date.
        (segment.modified, std::cmp::Reverse(number(&name)), name)
    });
    Ok(found)
}

/// Returns the number behind the last dot of a name, as in `access.log.2.gz`; 0 if there is none.
fn number(name: &str) -> u32 {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    let end = name.rsplit('.').next().unwrap_or_default();
    end.parse().unwrap_or_default()
}

/// Returns the index of the file that `position` is in: that of its inode, or else the newest predecessor that begins
/// with the same bytes, which is a copy or compressed.
pub(super) fn find(segments: &[Segment], live: &Path, position: &Position) -> Option<usize> {
    let same = |segment: &Segment| segment.inode == position.inode && segment.has(position);
    segments.iter().position(same).or_else(|| {
        segments.iter().rposition(|segment| {
            position.head_length > 0 && segment.path != live && segment.has(position)
        })
    })
}

/// Returns the names that the log may have whose rotated file has this name: `access.log` for `access.log.1`,
/// `access.log-20260102.gz`, `access-20260102.log`, `access.1.log` and `access.log.old`.
fn live_names(name: &str) -> impl Iterator<Item = String> {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    let marks = name.match_indices(['.', '-', '_']);
    marks.filter_map(move |(mark, _)| {
        let (stem, rotated) = name.split_at(mark);
        if is_rotation(rotated) {
            return Some(stem.to_owned());
        }
        let (middle, extension) = rotated.split_at(rotated.rfind('.')?);
        is_rotation(middle).then(|| format!("{stem}{extension}"))
    })
}

/// Returns whether this is what a rotation adds to a name: `.1`, `-20260102`, `.2026-01-02T03:04:05`, `.old`.
fn is_rotation(text: &str) -> bool {
    let Some(text) = text.get(1..) else {
        return false;
    };
    text == "old"
        || (text.contains(|c: char| c.is_ascii_digit())
            && text
                .chars()
                .all(|c| c.is_ascii_digit() || matches!(c, '-' | '_' | '.' | ':' | 'T' | 'Z')))
}

/// Returns whether the file is compressed, by its name.
pub(super) fn is_gzip(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}

/// Returns whether the file at `path` is a rotated one of a log for which `is_log` holds, to which it belongs.
pub(super) fn is_rotated(path: &Path, is_log: impl Fn(&Path) -> bool) -> bool {
    let name = path.file_name().map(OsStr::to_string_lossy);
    live_names(&name.unwrap_or_default()).any(|live| is_log(&path.with_file_name(live)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn rotated_names_belong_to_their_log() {
        let belongs = |name: &str, live: &str| live_names(name).any(|own| own == live);
        for name in [
            "access.log.1",
            "access.log.12.gz",
            "access.log-20260102",
            "access.log-20260102.gz",
            "access.log-20260102-1700000000",
            "access.log.2026-01-02T03:04:05Z",
            "access.log.old",
            "access-20260102.log",
            "access.1.log",
            "access.1.log.gz",
        ] {
            assert!(belongs(name, "access.log"), "{name}");
        }
        for name in [
            "access.log",
            "access.log.gz",
            "access.log.bak",
            "access.log.1.tmp",
            "other.log.1",
            "access.log-errors",
            "access.log.",
        ] {
            assert!(!belongs(name, "access.log"), "{name}");
        }
        assert!(belongs("syslog.1", "syslog"));
        let is_log = |path: &Path| path == Path::new("/v/a.log");
        assert!(is_rotated(Path::new("/v/a.log.1"), is_log));
        assert!(!is_rotated(Path::new("/w/a.log.1"), is_log));
        assert!(!is_rotated(Path::new("/v/a.log"), is_log));
    }

    fn position(inode: u64, text: &str) -> Position {
        Position::new(
            inode,
            text.len() as u64,
            &text.as_bytes()[..text.len().min(HEAD)],
        )
    }

    #[test]
    fn a_position_is_found_in_a_renamed_copied_or_compressed_file() {
        let folder = tempfile::tempdir().unwrap();
        let live = folder.path().join("a.log");
        fs::write(&live, "one\ntwo\n").unwrap();
        let read = position(fs::metadata(&live).unwrap().ino(), "one\n");
        let found = || {
            let segments = segments(&live).unwrap();
            let index = find(&segments, &live, &read)?;
            let name = segments[index].path.file_name().unwrap();
            Some(name.to_string_lossy().into_owned())
        };
        assert_eq!(found().as_deref(), Some("a.log"));
        // copytruncate
        fs::copy(&live, folder.path().join("a.log.1")).unwrap();
        assert_eq!(found().as_deref(), Some("a.log"));
        File::options()
            .write(true)
            .open(&live)
            .unwrap()
            .set_len(0)
            .unwrap();
        assert_eq!(found().as_deref(), Some("a.log.1"));
        // Compressed, and something else in its place.
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(b"one\ntwo\n").unwrap();
        let bytes = encoder.finish().unwrap();
        fs::write(folder.path().join("a.log.2.gz"), bytes).unwrap();
        fs::write(folder.path().join("a.log.1"), "other\n").unwrap();
        assert_eq!(found().as_deref(), Some("a.log.2.gz"));
        let segment = Segment::at(&folder.path().join("a.log.2.gz"))
            .unwrap()
            .unwrap();
        let (mut source, head) = segment.open(4).unwrap().unwrap();
        let mut rest = [0; 10];
        assert_eq!(source.read(&mut rest).unwrap(), 4);
        assert_eq!(
            (head.as_slice(), &rest[..4]),
            (&b"one\n"[..], &b"two\n"[..])
        );
        fs::remove_file(folder.path().join("a.log.2.gz")).unwrap();
        assert_eq!(found(), None);
    }

    #[test]
    fn predecessors_are_sorted_by_age() {
        let folder = tempfile::tempdir().unwrap();
        let time = std::time::SystemTime::now();
        for name in ["a.log", "a.log.1", "a.log.2", "a.log.10.gz", "a.log.3.gz"] {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_modified(time).unwrap();
        }
        let all = segments(&folder.path().join("a.log")).unwrap();
        let names: Vec<_> = all
            .iter()
            .map(|segment| segment.path.file_name().unwrap().to_str().unwrap())
            .collect();
        assert_eq!(
            names,
            ["a.log.10.gz", "a.log.3.gz", "a.log.2", "a.log.1", "a.log"]
        );
    }
}
