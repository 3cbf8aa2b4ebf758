//! Directories of /sys, whose files have one value each.

use std::cell::RefCell;
use std::io;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, RawDir, fstatfs, open, openat};
use rustix::io::{Errno, pread, retry_on_intr};

use super::part::{PartError, integer, text};
use crate::system::SYSFS_MAGIC;

/// Largest content of a file of /sys: a page.
const PAGE: usize = 4096;

/// Bytes that a whole number fits into, with the white space around it. A page would have to be cleared for each number.
const NUMBER: usize = 64;

/// Bytes that most texts fit into, for the same reason.
const SHORT: usize = 256;

/// Bytes of a directory's entries that one call returns. The standard library has 32 KiB, which the allocator keeps in no cache: their
/// pages would go back to the kernel after each collection.
const ENTRIES: usize = 4096;

/// An open directory. Its files are opened from there, which saves the walk along the path.
pub(super) struct Directory {
    handle: OwnedFd,
    path: PathBuf,
    /// Files with their names; `None` in a directory whose files are opened at each reading.
    kept: Option<RefCell<Vec<(String, OwnedFd)>>>,
}

impl Directory {
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        Ok(Self {
            handle: open_directory(&path)?,
            path,
            kept: None,
        })
    }

    /// Opens a directory that some hosts do not have.
    pub(super) fn optional(path: PathBuf) -> Result<Self, PartError> {
        Self::open(path.clone()).map_err(|error| PartError::optional(&path, &error))
    }

    /// Keeps the files open that are read from now on, if they are files of /sys, where an old handle has new content.
    fn keep_files(&mut self) {
        let is_sysfs = fstatfs(&self.handle).is_ok_and(|system| system.f_type == SYSFS_MAGIC);
        self.kept = is_sysfs.then(RefCell::default);
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a file of the directory, without the white space around it.
    pub(super) fn read(&self, name: &str) -> io::Result<String> {
        let mut short = [0; SHORT];
        let length = self.fill(name, &mut short)?;
        if length < SHORT {
            return Ok(text(short[..length].trim_ascii()).into_owned());
        }
        let mut page = [0; PAGE];
        let length = self.fill(name, &mut page)?;
        Ok(text(page[..length].trim_ascii()).into_owned())
    }

    /// Reads a file; `None` if it is not there, or its driver has no value.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.read(name).ok()
    }

    /// Reads a file with a whole number.
    pub(super) fn integer(&self, name: &str) -> Option<f64> {
        let mut buffer = [0; NUMBER];
        let length = self.fill(name, &mut buffer).ok()?;
        integer(str::from_utf8(&buffer[..length]).ok()?.trim_ascii())
    }

    /// Reads a file that must have a whole number.
    pub(super) fn required(&self, name: &str) -> Result<f64, PartError> {
        let path = self.path.join(name);
        let text = self
            .read(name)
            .map_err(|error| PartError::required(&path, &error))?;
        integer(&text).ok_or_else(|| PartError::malformed(&path, "a number", &text))
    }

    /// Returns the names of its entries, sorted.
    pub(super) fn entries(&self) -> io::Result<Vec<String>> {
        entries(&self.path)
    }

    /// Reads the beginning of a file into `buffer`, and returns the number of bytes.
    fn fill(&self, name: &str, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.kept {
            Some(kept) => read_kept(&self.handle, name, &mut kept.borrow_mut(), buffer),
            None => fill(&open_at(&self.handle, Path::new(name))?, buffer),
        }
    }
}

/// Reads the file `name` of /sys through its handle in `kept`, where it is put if it is not there. One call has all of a
/// file of /sys.
fn read_kept(
    directory: &OwnedFd,
    name: &str,
    kept: &mut Vec<(String, OwnedFd)>,
    buffer: &mut [u8],
) -> io::Result<usize> {
    if let Some(at) = kept.iter().position(|(known, _)| known == name) {
        match retry_on_intr(|| pread(&kept[at].1, &mut *buffer, 0)) {
            // The file was removed. It is there again if a processor was off meanwhile.
            Err(Errno::NODEV) => drop(kept.swap_remove(at)),
            result => return Ok(result?),
        }
    }
    let file = open_at(directory, Path::new(name))?;
    let result = retry_on_intr(|| pread(&file, &mut *buffer, 0));
    kept.push((name.to_owned(), file));
    Ok(result?)
}

/// A directory of /sys with an entry for each device. The handles of the first ones are kept: reading a file again through its
/// handle takes a sixth of the time of opening it again.
pub(super) struct Devices {
    path: PathBuf,
    /// Number of devices whose handles are kept. A handle that was read takes 5 kB of the kernel's memory.
    kept: usize,
    devices: Vec<Device>,
}

/// A device.
pub(super) struct Device {
    pub(super) name: String,
    pub(super) directory: Directory,
    /// Number of the entry, which tells it from one that had its name before.
    inode: u64,
}

impl Devices {
    /// Creates the list of a directory. Handles of the first `kept` devices are kept.
    pub(super) fn new(path: PathBuf, kept: usize) -> Self {
        Self {
            path,
            kept,
            devices: Vec::new(),
        }
    }

    /// Returns the devices whose names `selects` takes, in the order of their names. Entries that are no directories are left
    /// out, as are devices that have just gone.
    pub(super) fn update(
        &mut self,
        selects: impl Fn(&str) -> bool,
    ) -> Result<&[Device], PartError> {
        let entries = self.entries(selects);
        let entries = entries.map_err(|error| PartError::optional(&self.path, &error))?;
        let mut known = std::mem::take(&mut self.devices);
        known.retain(|device| device.directory.kept.is_some());
        for (name, inode) in entries {
            let is_same = |device: &Device| device.inode == inode && device.name == name;
            let device = match known.iter().position(is_same) {
                Some(at) => Some(known.swap_remove(at)),
                None => self.open(name, inode),
            };
            self.devices.extend(device);
        }
        Ok(&self.devices)
    }

    /// Returns the names and numbers of entries, sorted.
    fn entries(&self, selects: impl Fn(&str) -> bool) -> io::Result<Vec<(String, u64)>> {
        let mut found = Vec::new();
        for_each_entry(&self.path, |name, inode| {
            if selects(name) {
                found.push((name.to_owned(), inode));
            }
        })?;
        found.sort_unstable();
        Ok(found)
    }

    fn open(&self, name: String, inode: u64) -> Option<Device> {
        let mut directory = Directory::open(self.path.join(&name)).ok()?;
        if self.devices.len() < self.kept {
            directory.keep_files();
        }
        Some(Device {
            name,
            directory,
            inode,
        })
    }
}

/// Reads a small file, without the white space around it.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let mut page = [0; PAGE];
    let length = fill(&open_at(CWD, path)?, &mut page)?;
    Ok(text(page[..length].trim_ascii()).into_owned())
}

fn open_at(directory: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    // A FIFO must not block the opening.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(openat(directory, path, flags, Mode::empty())?)
}

/// Reads the beginning of a file into `buffer`, and returns the number of bytes.
fn fill(file: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match retry_on_intr(|| rustix::io::read(file, &mut buffer[filled..]))? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// Returns the names of the entries of a directory, sorted.
pub(super) fn entries(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for_each_entry(path, |name, _| names.push(name.to_owned()))?;
    names.sort_unstable();
    Ok(names)
}

/// Calls `each` with the name and the number of every entry of a directory.
fn for_each_entry(path: &Path, mut each: impl FnMut(&str, u64)) -> io::Result<()> {
    let mut buffer = [MaybeUninit::uninit(); ENTRIES];
    let mut entries = RawDir::new(open_directory(path)?, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            each(&String::from_utf8_lossy(name), entry.ino());
        }
    }
    Ok(())
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(open(path, flags, Mode::empty())?)
}

/// Returns the names of the entries that begin with `prefix` and go on with a digit, with what follows the prefix, in
/// the order of the numbers.
pub(super) fn numbered(path: &Path, prefix: &str) -> io::Result<Vec<(String, String)>> {
    let mut found: Vec<(String, String)> = entries(path)?
        .into_iter()
        .filter_map(|name| {
            let rest = name.strip_prefix(prefix)?.to_owned();
            rest.starts_with(|first: char| first.is_ascii_digit())
                .then_some((name, rest))
        })
        .collect();
    found.sort_by_key(|(_, rest)| rest.parse::<u32>().unwrap_or(u32::MAX));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_from_the_directory_and_entries_have_an_order() {
        let folder = tempfile::tempdir().unwrap();
        let long = "y".repeat(SHORT + 1);
        for (name, content) in [
            ("cpu10", "1\n"),
            ("cpu2", " 0x10 \n"),
            ("cpuidle", "x"),
            ("dns", &long),
        ] {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let directory = Directory::open(folder.path().to_owned()).unwrap();
        assert_eq!(directory.integer("cpu2"), Some(16.0));
        assert_eq!(directory.text("cpuidle").as_deref(), Some("x"));
        assert_eq!(directory.text("dns"), Some(long));
        assert_eq!(directory.text("missing"), None);
        assert!(matches!(
            directory.required("cpuidle"),
            Err(PartError::Failed(_))
        ));
        let numbers: Vec<String> = numbered(folder.path(), "cpu")
            .unwrap()
            .into_iter()
            .map(|(_, rest)| rest)
            .collect();
        assert_eq!(numbers, ["2", "10"]);
        let missing = Directory::optional(folder.path().join("missing"));
        assert!(matches!(missing, Err(PartError::NoData)));
    }

    fn values(devices: &mut Devices) -> Vec<(String, Option<f64>)> {
        let devices = devices.update(|name| name != "ignored").unwrap().iter();
        devices
            .map(|device| (device.name.clone(), device.directory.integer("value")))
            .collect()
    }

    #[test]
    fn devices_come_and_go_and_take_the_names_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let add = |name: &str, value: &str| {
            std::fs::create_dir(path(name)).unwrap();
            std::fs::write(path(name).join("value"), value).unwrap();
        };
        std::fs::write(path("file"), "1").unwrap();
        for (name, value) in [("a", "1"), ("b", "2"), ("ignored", "3")] {
            add(name, value);
        }
        let mut devices = Devices::new(folder.path().to_owned(), 9);
        let expected = [("a", 1.0), ("b", 2.0)].map(|(name, value)| (name.to_owned(), Some(value)));
        assert_eq!(values(&mut devices), expected);
        std::fs::rename(path("a"), path("c")).unwrap();
        std::fs::rename(path("b"), path("a")).unwrap();
        let expected = [("a", 2.0), ("c", 1.0)].map(|(name, value)| (name.to_owned(), Some(value)));
        assert_eq!(values(&mut devices), expected);
        let mut missing = Devices::new(path("missing"), 9);
        assert_eq!(missing.update(|_| true).err(), Some(PartError::NoData));
    }

    #[test]
    fn a_kept_file_has_the_current_content() {
        let mut devices = Devices::new("/sys/class/net".into(), 1);
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut packets = || {
            let [loopback] = devices.update(|name| name == "lo").unwrap() else {
                panic!("no loopback");
            };
            let packets = loopback.directory.integer("statistics/rx_packets").unwrap();
            let kept = loopback.directory.kept.as_ref().unwrap().borrow().len();
            (packets, kept)
        };
        let (before, kept) = packets();
        socket
            .send_to(b"packet", socket.local_addr().unwrap())
            .unwrap();
        socket.recv(&mut [0; 9]).unwrap();
        let (after, kept_again) = packets();
        assert!(after > before, "{before} {after}");
        assert_eq!((kept, kept_again), (1, 1));
    }
}
