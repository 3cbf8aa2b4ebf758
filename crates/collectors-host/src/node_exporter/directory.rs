//! Directories of /sys, whose files have one value each.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, open, openat};

use super::part::{PartError, integer};

/// Largest content of a file of /sys: a page.
const PAGE: usize = 4096;

/// An open directory. Its files are opened from there, which saves the walk along the path.
pub(super) struct Directory {
    handle: OwnedFd,
    path: PathBuf,
}

impl Directory {
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = open(&path, flags, Mode::empty())?;
        Ok(Self { handle, path })
    }

    /// Opens a directory that some hosts do not have.
    pub(super) fn optional(path: PathBuf) -> Result<Self, PartError> {
        Self::open(path.clone()).map_err(|error| PartError::optional(&path, &error))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a file of the directory, without the white space around it.
    pub(super) fn read(&self, name: &str) -> io::Result<String> {
        read_at(&self.handle, Path::new(name))
    }

    /// Reads a file; `None` if it is not there, or its driver has no value.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.read(name).ok()
    }

    /// Reads a file with a whole number.
    pub(super) fn integer(&self, name: &str) -> Option<f64> {
        integer(&self.text(name)?)
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
}

/// Reads a small file, without the white space around it.
pub(super) fn read(path: &Path) -> io::Result<String> {
    read_at(CWD, path)
}

fn read_at(directory: impl rustix::fd::AsFd, path: &Path) -> io::Result<String> {
    // A FIFO must not block the opening.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = openat(directory, path, flags, Mode::empty())?;
    let mut buffer = [0; PAGE];
    let mut filled = 0;
    // One call has all of a file of /sys; the second one sees its end.
    while filled < PAGE {
        match rustix::io::read(&file, &mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(String::from_utf8_lossy(&buffer[..filled]).trim().to_owned())
}

/// Returns the names of the entries of a directory, sorted.
pub(super) fn entries(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
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
        for (name, content) in [
            ("cpu10", "1\n"),
            ("cpu2", " 0x10 \n"),
            ("cpuidle", "x"),
            ("dns", ""),
        ] {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let directory = Directory::open(folder.path().to_owned()).unwrap();
        assert_eq!(directory.integer("cpu2"), Some(16.0));
        assert_eq!(directory.text("cpuidle").as_deref(), Some("x"));
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
}
