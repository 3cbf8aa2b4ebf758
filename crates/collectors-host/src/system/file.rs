//! A file of /proc or /sys that is read again and again.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FsWord, Mode, OFlags, PROC_SUPER_MAGIC, fstatfs, open};

/// First size of the buffer: most files fit.
const FIRST: usize = 4096;
/// Largest size; no kernel file in use is larger.
const LARGEST: usize = 64 << 20;
/// Type of /sys in `statfs`.
pub(crate) const SYSFS_MAGIC: FsWord = 0x6265_6572;

/// A file, its buffer and, on a kernel file system, its handle: reading it again through the handle
/// takes a third to two thirds of the time of opening it again.
#[derive(Debug)]
pub(crate) struct HostFile {
    /// Possible paths; the first one that exists is used.
    places: Vec<PathBuf>,
    place: usize,
    kept: Option<File>,
    buffer: Vec<u8>,
    /// Bytes of the buffer that the last reading filled.
    length: usize,
}

impl HostFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self::first_of(vec![path])
    }

    /// Creates a file of which the first existing path is used. `places` must not be empty.
    pub(crate) fn first_of(places: Vec<PathBuf>) -> Self {
        Self {
            places,
            place: 0,
            kept: None,
            buffer: Vec::new(),
            length: 0,
        }
    }

    /// Creates a file of the network below `procfs`. If the host's /proc is mounted elsewhere, it is that of process 1,
    /// since `self` is in the network of the container.
    pub(crate) fn of_network(procfs: &Path, file: &str) -> Self {
        let own = procfs.join("net").join(file);
        if procfs == Path::new("/proc") {
            return Self::new(own);
        }
        Self::first_of(vec![procfs.join("1/net").join(file), own])
    }

    /// Returns the path of the last reading, or else the first possible path.
    pub(crate) fn path(&self) -> &Path {
        self.places
            .get(self.place)
            .map_or(Path::new(""), PathBuf::as_path)
    }

    /// Reads the current content.
    pub(crate) fn read(&mut self) -> io::Result<&[u8]> {
        self.length = match self.read_kept() {
            Some(length) => length,
            None => {
                let file = self.open()?;
                let length = fill(&file, &mut self.buffer)?;
                self.keep(file);
                length
            }
        };
        Ok(&self.buffer[..self.length])
    }

    /// Returns the content and the path of the last successful reading.
    pub(crate) fn content(&self) -> (&[u8], &Path) {
        (&self.buffer[..self.length], self.path())
    }

    /// Calls `each` with line after line and their numbers from 1, in bounded memory. For files that
    /// grow with the number of sockets.
    pub(crate) fn read_lines(&mut self, each: impl FnMut(usize, &[u8])) -> io::Result<()> {
        self.read_lines_until(usize::MAX, each)
    }

    /// As [`HostFile::read_lines`], but reads no further once line number `last` has come. Lines that came with it are passed
    /// on too. The kernel walks a table of sockets once more to find its end.
    pub(crate) fn read_lines_until(
        &mut self,
        last: usize,
        mut each: impl FnMut(usize, &[u8]),
    ) -> io::Result<()> {
        let file = self.open()?;
        self.buffer.resize(self.buffer.len().max(16 * FIRST), 0);
        let (mut offset, mut filled, mut at) = (0, 0, 0);
        loop {
            let read = file.read_at(&mut self.buffer[filled..], offset)?;
            offset += read as u64;
            filled += read;
            let whole = match self.buffer[..filled]
                .iter()
                .rposition(|byte| *byte == b'\n')
            {
                Some(end) => end + 1,
                None if read == 0 => filled,
                None if filled == self.buffer.len() => return Err(too_large()),
                None => 0,
            };
            for line in self.buffer[..whole].split_inclusive(|byte| *byte == b'\n') {
                at += 1;
                each(at, line.trim_ascii_end());
            }
            self.buffer.copy_within(whole..filled, 0);
            filled -= whole;
            if at >= last || (read == 0 && filled == 0) {
                return Ok(());
            }
        }
    }

    /// Reads through the open handle, which is closed if that fails: the device may be gone.
    fn read_kept(&mut self) -> Option<usize> {
        let length = fill(self.kept.as_ref()?, &mut self.buffer).ok();
        if length.is_none() {
            self.kept = None;
        }
        length
    }

    fn open(&mut self) -> io::Result<File> {
        let mut error = io::ErrorKind::NotFound.into();
        for (place, path) in self.places.iter().enumerate() {
            // A FIFO or a device at the path must not block the opening.
            match open(
                path,
                OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK,
                Mode::empty(),
            ) {
                Ok(file) => {
                    self.place = place;
                    return Ok(file.into());
                }
                Err(errno) => error = errno.into(),
            }
        }
        self.place = 0;
        Err(error)
    }

    /// Keeps the handle if the file is on a kernel file system, where an old handle has new content.
    fn keep(&mut self, file: File) {
        let kernel = fstatfs(&file)
            .is_ok_and(|system| [PROC_SUPER_MAGIC, SYSFS_MAGIC].contains(&system.f_type));
        self.kept = kernel.then_some(file);
    }
}

/// Reads `file` from its start into `buffer`, and returns the number of bytes.
fn fill(file: &File, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let mut filled = 0;
    loop {
        if filled == buffer.len() {
            if filled >= LARGEST {
                return Err(too_large());
            }
            buffer.resize((filled * 2).max(FIRST), 0);
        }
        match file.read_at(&mut buffer[filled..], filled as u64) {
            Ok(0) => return Ok(filled),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "larger than any kernel file")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn content_is_new_each_time_kept_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let mut file = HostFile::new(path.clone());
        assert_eq!(file.read().unwrap_err().kind(), io::ErrorKind::NotFound);
        for text in ["one", "", "three"] {
            fs::write(folder.path().join("new"), text).unwrap();
            fs::rename(folder.path().join("new"), &path).unwrap();
            assert_eq!(file.read().unwrap(), text.as_bytes());
        }
        let mut uptime = HostFile::new("/proc/self/stat".into());
        let first = uptime.read().unwrap().to_vec();
        assert!(uptime.kept.is_some());
        assert_eq!(uptime.read().unwrap()[..4], first[..4]);
    }

    #[test]
    fn files_larger_than_the_buffer_are_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let text: String = (0..50_000).map(|line| format!("line {line}\n")).collect();
        fs::write(&path, &text).unwrap();
        let mut file = HostFile::new(path.clone());
        assert_eq!(file.read().unwrap(), text.as_bytes());
        let mut lines = Vec::new();
        file.read_lines(|at, line| lines.push((at, String::from_utf8_lossy(line).into_owned())))
            .unwrap();
        assert_eq!(lines.len(), 50_000);
        assert_eq!(lines[49_999], (50_000, "line 49999".to_owned()));
        for (last, at_least) in [(0, 0), (1, 1), (40_000, 40_000), (50_000, 50_000)] {
            let mut count = 0;
            let mut file = HostFile::new(path.clone());
            file.read_lines_until(last, |_, _| count += 1).unwrap();
            assert!(
                count >= at_least && count < last + 20_000,
                "{last}: {count}"
            );
        }
    }

    #[test]
    fn the_first_place_that_exists_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("b"), "b\nlast").unwrap();
        let mut file = HostFile::first_of(["a", "b"].map(|name| folder.path().join(name)).into());
        assert_eq!(file.read().unwrap(), b"b\nlast");
        assert!(file.path().ends_with("b"));
        let mut count = 0;
        file.read_lines(|_, _| count += 1).unwrap();
        assert_eq!(count, 2, "a last line without its end counts");
    }

    #[test]
    fn what_never_ends_and_what_never_begins_are_errors() {
        let mut zero = HostFile::new("/dev/zero".into());
        assert_eq!(zero.read().unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(zero.read_lines(|_, _| ()).is_err());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap();
        assert!(made.success());
        assert!(HostFile::new(path).read().is_err());
    }
}
