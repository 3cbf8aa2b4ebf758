//! Contract of the collectors of node_exporter, and the files that they read.

use std::borrow::Cow;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use bellwether_core::{Kind, Now, SeriesBatch};

use crate::system::HostFile;

pub(super) const GAUGE: Option<Kind> = Some(Kind::Gauge);
pub(super) const COUNTER: Option<Kind> = Some(Kind::Counter);

/// One of node_exporter's collectors.
pub(super) trait Part: Send {
    /// Adds its series to `run.out`. They are kept even if an error is returned.
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError>;
}

/// A running collection.
pub(super) struct Run<'a> {
    pub(super) now: Now,
    pub(super) out: &'a mut SeriesBatch,
    /// `/proc/stat`, for the two parts that need it.
    pub(super) stat: &'a mut Shared,
}

/// Reason why a part has not all of its series.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PartError {
    /// The host has no such thing. As in node_exporter it is no success, but it is no failure either.
    NoData,
    /// A text that names the file.
    Failed(String),
}

impl PartError {
    /// Creates the error of a file or a directory that some hosts do not have.
    pub(super) fn optional(path: &Path, error: &io::Error) -> Self {
        match is_absent(error) {
            true => Self::NoData,
            false => Self::required(path, error),
        }
    }

    /// Creates the error of a file that every host has.
    pub(super) fn required(path: &Path, error: &io::Error) -> Self {
        Self::Failed(format!("{}: {error}", path.display()))
    }

    /// Creates the error of a file with another content than `expected`.
    pub(super) fn malformed(path: &Path, expected: &str, found: &str) -> Self {
        let shown = &found[..found.floor_char_boundary(60)];
        Self::Failed(format!(
            "{}: expected {expected}, found {shown:?}",
            path.display()
        ))
    }
}

/// Returns whether the kernel does not have the file, or does not show it to this user.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::Unsupported
    )
}

/// Content of a file, with its path for errors.
pub(super) struct Content<'f> {
    text: Cow<'f, str>,
    path: &'f Path,
}

impl Deref for Content<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl Content<'_> {
    /// Creates the error of a file with something else than `expected`.
    pub(super) fn malformed(&self, expected: &str, found: &str) -> PartError {
        PartError::malformed(self.path, expected, found)
    }
}

/// A text file of /proc.
pub(super) struct ProcFile(HostFile);

impl ProcFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(HostFile::new(path))
    }

    /// Creates a file of which the first existing path is used.
    pub(super) fn first_of(paths: Vec<PathBuf>) -> Self {
        Self(HostFile::first_of(paths))
    }

    /// Creates a file of the network.
    pub(super) fn of_network(procfs: &Path, file: &str) -> Self {
        Self(HostFile::of_network(procfs, file))
    }

    /// Reads a file that every host has.
    pub(super) fn required(&mut self) -> Result<Content<'_>, PartError> {
        match self.0.read() {
            Ok(_) => Ok(self.content()),
            Err(error) => Err(PartError::required(self.0.path(), &error)),
        }
    }

    /// Reads a file that some hosts do not have.
    pub(super) fn optional(&mut self) -> Result<Content<'_>, PartError> {
        match self.0.read() {
            Ok(_) => Ok(self.content()),
            Err(error) => Err(PartError::optional(self.0.path(), &error)),
        }
    }

    /// Reads a file with one whole number, which some hosts do not have.
    pub(super) fn number(&mut self) -> Result<f64, PartError> {
        let content = self.optional()?;
        let text = content.trim();
        total(text).ok_or_else(|| content.malformed("a number", text))
    }

    /// Reads the bytes of a file that some hosts do not have.
    pub(super) fn bytes(&mut self) -> Result<&[u8], PartError> {
        match self.0.read() {
            Ok(_) => Ok(self.0.content().0),
            Err(error) => Err(PartError::optional(self.0.path(), &error)),
        }
    }

    /// Returns the content of the last successful reading.
    fn content(&self) -> Content<'_> {
        let (bytes, path) = self.0.content();
        let text = text(bytes);
        Content { text, path }
    }
}

/// Returns bytes as text. Nearly all are ASCII, which the conversion with losses looks at byte by byte.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// A file that several parts need: it is read once in a collection.
pub(super) struct Shared {
    file: ProcFile,
    is_read: bool,
}

impl Shared {
    pub(super) fn new(file: ProcFile) -> Self {
        let is_read = false;
        Self { file, is_read }
    }

    /// Begins a collection.
    pub(super) fn reset(&mut self) {
        self.is_read = false;
    }

    pub(super) fn text(&mut self) -> Result<Content<'_>, PartError> {
        if !self.is_read {
            self.file.required()?;
            self.is_read = true;
        }
        Ok(self.file.content())
    }
}

/// Parses a whole number: decimal, or hexadecimal after `0x`.
pub(super) fn integer(text: &str) -> Option<f64> {
    if let Some(hexadecimal) = text.strip_prefix("0x") {
        return u64::from_str_radix(hexadecimal, 16)
            .ok()
            .map(|value| value as f64);
    }
    match text.parse::<u64>() {
        Ok(value) => Some(value as f64),
        Err(_) => text.parse::<i64>().ok().map(|value| value as f64),
    }
}

/// Parses the total of a kernel.
pub(super) fn total(text: &str) -> Option<f64> {
    text.parse::<u64>().ok().map(|value| value as f64)
}

/// Parses a hexadecimal number without `0x`.
pub(super) fn hexadecimal(text: &str) -> Option<f64> {
    u64::from_str_radix(text, 16).ok().map(|value| value as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_decimal_or_hexadecimal() {
        assert_eq!(integer("0x1003"), Some(4099.0));
        assert_eq!(integer("-1"), Some(-1.0));
        assert_eq!(
            integer("18446744073709551615"),
            Some(18_446_744_073_709_551_615.0)
        );
        for text in ["", "1.5", "0x", "x", "1 2"] {
            assert_eq!(integer(text), None, "{text}");
        }
        assert_eq!((total("-1"), hexadecimal("ff")), (None, Some(255.0)));
    }
}
