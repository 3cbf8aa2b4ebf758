//! Opens, reads and replaces files, whatever stands at their path.
//!
//! Reading never blocks on a FIFO and never reads without an end. Writing renames only over what is
//! absent or a regular file, through symbolic links, and keeps mode and owner; what is neither (a
//! device, a FIFO) is written to. All of it blocks on the file system.

pub mod durable;

use std::fs::{self, File, FileType, Metadata, OpenOptions, Permissions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Most bytes of a file with a secret, a certificate or a list of authorities.
pub const SMALL: u64 = 4 << 20;

/// Most bytes of a file that Bellwether writes itself and reads as a whole.
pub const STATE: u64 = 512 << 20;

/// Most bytes of a part of history that is read as a whole.
pub const LARGE: u64 = 2 << 30;

/// Opens a regular file for reading. It is looked at before it is opened, because opening alone
/// makes some devices act. A symbolic link to nothing is there, and is no regular file.
///
/// # Errors
/// It cannot be opened, or is no regular file.
pub fn open(path: &Path) -> io::Result<File> {
    regular(&look_at(path)?)?;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking())
        .open(path)?;
    regular(&file.metadata()?)?;
    Ok(file)
}

fn look_at(path: &Path) -> io::Result<Metadata> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::symlink_metadata(path).map_err(|_| error)
        }
        found => found,
    }
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// It cannot be read, is no regular file, or is larger.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_from(open(path)?, limit)
}

/// Reads a regular text file of at most `limit` bytes.
///
/// # Errors
/// As [`read`], and where it is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    text(read(path, limit)?)
}

/// Reads a text file that the command line names, which may also be a descriptor of this process:
/// `/dev/stdin`, or what a shell makes of `<(command)`.
///
/// # Errors
/// As [`read_text`].
pub fn read_argument(path: &Path, limit: u64) -> io::Result<String> {
    let own = ["/dev/stdin", "/dev/fd", "/proc/self/fd"]
        .iter()
        .any(|own| path.starts_with(own));
    match own {
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

/// Checks that a file that was looked at is a regular one.
///
/// # Errors
/// It is not; the error says what it is.
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

/// Opens a file to append to, which is made where it is missing. A FIFO that nobody reads is an
/// error and is not waited for.
///
/// # Errors
/// It cannot be opened.
pub fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    if !fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo()) {
        return options.open(path);
    }
    let file = options
        .custom_flags(nonblocking())
        .open(path)
        .map_err(|error| {
            match error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) {
                true => io::Error::other("a FIFO that nobody reads"),
                false => error,
            }
        })?;
    let flags = rustix::fs::fcntl_getfl(&file)? - rustix::fs::OFlags::NONBLOCK;
    rustix::fs::fcntl_setfl(&file, flags)?;
    Ok(file)
}

/// Makes the mode of `file` that of `before`, and its owner where that is allowed.
///
/// # Errors
/// The mode cannot be set.
pub fn keep_owner_and_mode(file: &File, before: &Metadata) -> io::Result<()> {
    // Only root may give a file away; for everybody else it is theirs already.
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

/// A file that is being written. Unless [`Output::finish`] is called, a regular file that was
/// there before stays as it was.
#[derive(Debug)]
pub struct Output {
    file: BufWriter<File>,
    /// The draft and what it replaces; none: what is written goes to its place at once.
    replaces: Option<Replaced>,
}

#[derive(Debug)]
struct Replaced {
    draft: PathBuf,
    path: PathBuf,
}

impl Output {
    /// Begins to write the file at `path`: beside it where it is absent or a regular file, into it
    /// where it is anything else.
    ///
    /// # Errors
    /// It cannot be written to.
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

    /// Begins to write a state file at `path`, which can be nothing but a regular file.
    ///
    /// # Errors
    /// It cannot be written, or something else stands there.
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
        // What stands there may be a link of somebody else's, so it is never opened.
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

    /// Sees that all is on disk and puts it into place.
    ///
    /// # Errors
    /// It cannot be written, synced or put into place.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.flush()?;
        let Some(Replaced { draft, path }) = &self.replaces else {
            return Ok(());
        };
        self.file.get_ref().sync_all()?;
        fs::rename(draft, path)?;
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
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
            // A full disk must not stay fuller for it.
            fs::remove_file(draft).ok();
        }
    }
}

/// The path to rename over, with what is there now, links followed. None: what stands there is to
/// be written to.
fn target(path: &Path) -> io::Result<Option<(PathBuf, Option<Metadata>)>> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Some((path.to_owned(), None)));
        }
        found => found?,
    };
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !found.is_symlink() {
        return Ok(found.is_file().then(|| (path.to_owned(), Some(found))));
    }
    // A link to nothing, or into /proc, names nothing that could be renamed over.
    let Ok(real) = fs::canonicalize(path) else {
        return Ok(None);
    };
    let found = fs::symlink_metadata(&real)?;
    Ok(found.is_file().then_some((real, Some(found))))
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
        let told = |path: &Path| read_text(path, 5).map_err(|error| error.to_string());
        assert_eq!(told(&at("text")).as_deref(), Ok("12345"));
        assert_eq!(told(&at("link")).as_deref(), Ok("12345"));
        std::os::unix::fs::symlink("nothing", at("dangling")).unwrap();
        let dangling = "a symbolic link to nothing, not a regular file";
        assert_eq!(told(&at("dangling")), Err(dangling.into()));
        let absent = read(&at("absent"), 5).unwrap_err();
        assert_eq!(absent.kind(), io::ErrorKind::NotFound);
        assert_eq!(told(&at("fifo")), Err("a FIFO, not a regular file".into()));
        assert_eq!(
            told(&at("zero")),
            Err("a device, not a regular file".into())
        );
        assert_eq!(
            told(folder.path()),
            Err("a directory, not a regular file".into())
        );
        assert_eq!(told(&at("bytes")), Err("not UTF-8 text: byte 2".into()));
        assert_eq!(told(&at("sparse")), Err("larger than 5 bytes".into()));
        // Files of the kernel say that they are empty.
        assert_eq!(
            told(Path::new("/proc/cpuinfo")),
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
            append(&path)
                .unwrap_err()
                .to_string()
                .contains("nobody reads")
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
