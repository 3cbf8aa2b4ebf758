//! Opens, reads and replaces files safely, whatever is at their path.
//!
//! Reading never blocks on a FIFO and has a limit of bytes. Writing replaces a missing or regular file
//! with a rename, follows symbolic links, and keeps mode and owner; a device or a FIFO is written to
//! directly. All functions block on the file system.

pub mod durable;
pub mod socket;

use std::fs::{self, File, FileType, Metadata, OpenOptions, Permissions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Largest file with a secret, a certificate or certificate authorities, in bytes.
pub const SMALL: u64 = 4 << 20;

/// Largest state file of Bellwether, in bytes.
pub const STATE: u64 = 512 << 20;

/// Largest part of history that is read as a whole, in bytes.
pub const LARGE: u64 = 2 << 30;

/// Opens a regular file for reading. Its type is checked before, because opening a device can have
/// effects. A dangling symbolic link is no missing file, but no regular file.
///
/// # Errors
/// Returns an error if it cannot be opened, or is no regular file.
pub fn open(path: &Path) -> io::Result<File> {
    regular(&metadata_of(path)?)?;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking())
        .open(path)?;
    regular(&file.metadata()?)?;
    Ok(file)
}

fn metadata_of(path: &Path) -> io::Result<Metadata> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::symlink_metadata(path).map_err(|_| error)
        }
        result => result,
    }
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// Returns an error if it cannot be read, is no regular file, or is larger.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_from(open(path)?, limit)
}

/// Reads a regular text file of at most `limit` bytes.
///
/// # Errors
/// As [`read`], and if it is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    text(read(path, limit)?)
}

/// Reads a text file of the command line, which may also be a file descriptor of this process:
/// `/dev/stdin`, or a `<(command)` of the shell.
///
/// # Errors
/// As [`read_text`].
pub fn read_argument(path: &Path, limit: u64) -> io::Result<String> {
    let is_descriptor = ["/dev/stdin", "/dev/fd", "/proc/self/fd"]
        .iter()
        .any(|prefix| path.starts_with(prefix));
    match is_descriptor {
        true => text(read_from(File::open(path)?, limit)?),
        false => read_text(path, limit),
    }
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("not UTF-8 text: byte {at}"),
        )
    })
}

fn read_from(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let too_large = || {
        let limit = match limit >> 20 {
            0 => format!("{limit} bytes"),
            limit => format!("{limit} MiB"),
        };
        io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {limit}"))
    };
    let size = file.metadata()?.len();
    if size > limit {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(size as usize);
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(too_large());
    }
    Ok(bytes)
}

/// Version of a file: device, inode, size and modification time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(u64, u64, u64, i64, i64);

/// Returns the version of a file. While it stays, the content does, as a rule.
#[must_use]
pub fn version(metadata: &Metadata) -> Version {
    Version(
        metadata.dev(),
        metadata.ino(),
        metadata.size(),
        metadata.mtime(),
        metadata.mtime_nsec(),
    )
}

/// Checks that the metadata is that of a regular file.
///
/// # Errors
/// Returns an error that names the type of the file.
pub fn regular(metadata: &Metadata) -> io::Result<()> {
    let kind = metadata.file_type();
    if kind.is_file() {
        return Ok(());
    }
    let error = if kind.is_dir() {
        io::ErrorKind::IsADirectory
    } else {
        io::ErrorKind::InvalidInput
    };
    Err(io::Error::new(
        error,
        format!("{}, not a regular file", name(kind)),
    ))
}

fn name(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_dir() => "a directory",
        kind if kind.is_fifo() => "a FIFO",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_char_device() || kind.is_block_device() => "a device",
        kind if kind.is_symlink() => "a symbolic link to nothing",
        _ => "something else",
    }
}

fn nonblocking() -> i32 {
    rustix::fs::OFlags::NONBLOCK.bits().cast_signed()
}

/// Opens a file to append to, and creates it with `mode` if it is missing. A FIFO without a reader is
/// an error.
///
/// # Errors
/// Returns an error if it cannot be opened.
pub fn append(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(mode);
    if !fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo()) {
        return options.open(path);
    }
    let file = options
        .custom_flags(nonblocking())
        .open(path)
        .map_err(|error| {
            match error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) {
                true => io::Error::other("a FIFO without a reader"),
                false => error,
            }
        })?;
    let flags = rustix::fs::fcntl_getfl(&file)? - rustix::fs::OFlags::NONBLOCK;
    rustix::fs::fcntl_setfl(&file, flags)?;
    Ok(file)
}

/// Sets the mode of `file` to that of `before`, and the owner if that is allowed.
///
/// # Errors
/// Returns an error if the mode cannot be set.
pub fn keep_owner_and_mode(file: &File, before: &Metadata) -> io::Result<()> {
    // Only root may change the owner; for other users it is theirs already.
    fchown(file, Some(before.uid()), Some(before.gid())).ok();
    file.set_permissions(Permissions::from_mode(before.mode() & 0o777))
}

/// Adds `suffix` to the name of `path`.
#[must_use]
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A file that is being written. An existing regular file is unchanged until [`Output::finish`].
#[derive(Debug)]
pub struct Output {
    file: BufWriter<File>,
    /// The draft and the path that it replaces; `None`: written to the path directly.
    replaces: Option<Replaced>,
}

#[derive(Debug)]
struct Replaced {
    draft: PathBuf,
    path: PathBuf,
}

impl Output {
    /// Begins to write the file at `path`: to a draft beside it if it is missing or a regular file, or
    /// else directly.
    ///
    /// # Errors
    /// Returns an error if it cannot be written.
    pub fn create(path: &Path) -> io::Result<Self> {
        match target(path)? {
            Some((path, before)) => {
                let draft = beside(&path, &format!(".{}.partial", std::process::id()));
                Self::draft(draft, path, before.as_ref())
            }
            None => {
                let file = OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .open(path)?;
                Ok(Self {
                    file: BufWriter::new(file),
                    replaces: None,
                })
            }
        }
    }

    /// Begins to write a state file at `path`, which must be a regular file if it exists.
    ///
    /// # Errors
    /// Returns an error if it cannot be written, or is no regular file.
    pub fn state(path: &Path) -> io::Result<Self> {
        match target(path)? {
            Some((path, before)) => Self::draft(beside(&path, ".new"), path, before.as_ref()),
            None => {
                regular(&fs::metadata(path).or_else(|_| fs::symlink_metadata(path))?)?;
                Err(io::Error::other("not a regular file"))
            }
        }
    }

    fn draft(draft: PathBuf, path: PathBuf, before: Option<&Metadata>) -> io::Result<Self> {
        // An existing draft may be a link of another user, so it is never opened.
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        if before.is_some() {
            options.mode(0o600);
        }
        let file = options.open(&draft)?;
        let output = Self {
            file: BufWriter::new(file),
            replaces: Some(Replaced { draft, path }),
        };
        if let Some(before) = before {
            keep_owner_and_mode(output.file.get_ref(), before)?;
        }
        Ok(output)
    }

    /// Sets the mode of the file, whatever the umask is.
    ///
    /// # Errors
    /// Returns an error if the mode cannot be set.
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        let file = self.file.get_ref();
        file.set_permissions(Permissions::from_mode(mode))
    }

    /// Syncs the file to disk and renames it to its path.
    ///
    /// # Errors
    /// Returns an error if it cannot be written, synced or renamed.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.flush()?;
        let Some(Replaced { draft, path }) = &self.replaces else {
            return Ok(());
        };
        self.file.get_ref().sync_all()?;
        fs::rename(draft, path)?;
        let directory = path
            .parent()
            .filter(|directory| *directory != Path::new(""));
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
        self.replaces = None;
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(Replaced { draft, .. }) = &self.replaces {
            // The draft must not use space of a full disk.
            fs::remove_file(draft).ok();
        }
    }
}

/// Returns the path to rename over, with symbolic links resolved, and the metadata of an existing
/// file. `None`: the file is to be written directly.
fn target(path: &Path) -> io::Result<Option<(PathBuf, Option<Metadata>)>> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Some((path.to_owned(), None)));
        }
        result => result?,
    };
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_symlink() {
        return Ok(metadata
            .is_file()
            .then(|| (path.to_owned(), Some(metadata))));
    }
    // A dangling link, or one into /proc, has no target that could be renamed over.
    let Ok(real) = fs::canonicalize(path) else {
        return Ok(None);
    };
    let metadata = fs::symlink_metadata(&real)?;
    Ok(metadata.is_file().then_some((real, Some(metadata))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fifo(path: &Path) {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    }

    fn write(path: &Path, text: &str) -> io::Result<()> {
        let mut output = Output::create(path)?;
        output.write_all(text.as_bytes())?;
        output.finish()
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn what_is_not_a_regular_file_of_some_size_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fifo(&at("fifo"));
        fs::write(at("text"), "12345").unwrap();
        fs::write(at("bytes"), b"ab\xff").unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("zero")).unwrap();
        std::os::unix::fs::symlink(at("text"), at("link")).unwrap();
        File::create(at("sparse"))
            .unwrap()
            .set_len(3 << 30)
            .unwrap();
        let text_of = |path: &Path| read_text(path, 5).map_err(|error| error.to_string());
        assert_eq!(text_of(&at("text")).as_deref(), Ok("12345"));
        assert_eq!(text_of(&at("link")).as_deref(), Ok("12345"));
        std::os::unix::fs::symlink("nothing", at("dangling")).unwrap();
        let dangling = "a symbolic link to nothing, not a regular file";
        assert_eq!(text_of(&at("dangling")), Err(dangling.into()));
        let absent = read(&at("absent"), 5).unwrap_err();
        assert_eq!(absent.kind(), io::ErrorKind::NotFound);
        assert_eq!(
            text_of(&at("fifo")),
            Err("a FIFO, not a regular file".into())
        );
        assert_eq!(
            text_of(&at("zero")),
            Err("a device, not a regular file".into())
        );
        assert_eq!(
            text_of(folder.path()),
            Err("a directory, not a regular file".into())
        );
        assert_eq!(text_of(&at("bytes")), Err("not UTF-8 text: byte 2".into()));
        assert_eq!(text_of(&at("sparse")), Err("larger than 5 bytes".into()));
        // Files of the kernel say that they are empty.
        assert_eq!(
            text_of(Path::new("/proc/cpuinfo")),
            Err("larger than 5 bytes".into())
        );
        assert!(
            read_text(Path::new("/proc/self/status"), SMALL)
                .unwrap()
                .contains("Pid:")
        );
    }

    #[test]
    fn a_regular_file_is_replaced_and_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        write(&path, "new").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let before = fs::metadata(&path).unwrap().ino();
        write(&path, "newer").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "newer");
        assert_eq!(mode(&path), 0o640);
        assert_ne!(fs::metadata(&path).unwrap().ino(), before);
        drop(Output::create(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "newer");
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no draft is left"
        );
    }

    #[test]
    fn a_link_stays_one_and_its_target_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, at(name)).unwrap();
        fs::write(at("t"), "old").unwrap();
        fs::set_permissions(at("t"), Permissions::from_mode(0o600)).unwrap();
        link("t", "l");
        link("nothing", "dangling");
        link("/dev/null", "null");
        for (name, target) in [("l", "t"), ("dangling", "nothing")] {
            write(&at(name), "new").unwrap();
            assert!(
                fs::symlink_metadata(at(name)).unwrap().is_symlink(),
                "{name}"
            );
            assert_eq!(fs::read_to_string(at(target)).unwrap(), "new", "{name}");
        }
        assert_eq!(mode(&at("t")), 0o600);
        write(&at("null"), "new").unwrap();
        assert!(fs::symlink_metadata(at("null")).unwrap().is_symlink());
        assert!(
            fs::metadata("/dev/null")
                .unwrap()
                .file_type()
                .is_char_device()
        );
        assert!(write(folder.path(), "new").is_err());
    }

    #[test]
    fn a_fifo_is_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fifo(&path);
        let reader = std::thread::spawn({
            let path = path.clone();
            move || fs::read_to_string(path).unwrap()
        });
        write(&path, "through").unwrap();
        assert_eq!(reader.join().unwrap(), "through");
        assert!(fs::symlink_metadata(&path).unwrap().file_type().is_fifo());
        assert!(
            Output::state(&path)
                .unwrap_err()
                .to_string()
                .contains("a FIFO")
        );
        assert!(
            append(&path, 0o600)
                .unwrap_err()
                .to_string()
                .contains("without a reader")
        );
    }

    #[test]
    fn a_draft_that_is_a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("other"), "theirs").unwrap();
        std::os::unix::fs::symlink(at("other"), at("x.new")).unwrap();
        let mut output = Output::state(&at("x")).unwrap();
        output.write_all(b"ours").unwrap();
        output.finish().unwrap();
        assert_eq!(fs::read_to_string(at("other")).unwrap(), "theirs");
        assert_eq!(fs::read_to_string(at("x")).unwrap(), "ours");
    }
}
