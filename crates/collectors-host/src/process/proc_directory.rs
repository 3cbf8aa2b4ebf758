//! Reading of `/proc/PID` with few system calls: one open directory, one buffer, one path.

use std::ffi::CStr;
use std::fmt::{Arguments, Write};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, Mode, OFlags, PROC_SUPER_MAGIC, fstatfs, openat, readlinkat, statat,
};

/// Bytes that are read of a file. Only a command line can have more.
const LARGEST: usize = 64 << 10;
const FILE: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC);
const DIRECTORY: OFlags = FILE.union(OFlags::DIRECTORY);

/// The proc file system of a host.
pub(super) struct ProcDirectory {
    root: OwnedFd,
    buffer: Vec<u8>,
    path: String,
    /// Set if this is the kernel's own file system, where the size of a directory of descriptors may be their
    /// number.
    is_kernel: bool,
}

impl ProcDirectory {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let root = openat(CWD, path, DIRECTORY, Mode::empty())?;
        let is_kernel = fstatfs(&root).is_ok_and(|system| system.f_type == PROC_SUPER_MAGIC);
        Ok(Self {
            root,
            buffer: vec![0; LARGEST],
            path: String::with_capacity(64),
            is_kernel,
        })
    }

    /// Replaces `pids` by the processes that there are.
    pub(super) fn list(&self, pids: &mut Vec<u32>) -> io::Result<()> {
        numbers(Dir::read_from(&self.root)?, pids)
    }

    /// Replaces `threads` by those of a process.
    pub(super) fn threads(&mut self, pid: u32, threads: &mut Vec<u32>) -> io::Result<()> {
        let path = write_path(&mut self.path, format_args!("{pid}/task"))?;
        numbers(
            Dir::new(openat(&self.root, path, DIRECTORY, Mode::empty())?)?,
            threads,
        )
    }

    /// Reads a file of a process.
    pub(super) fn read(&mut self, pid: u32, file: &str) -> io::Result<&[u8]> {
        self.read_path(format_args!("{pid}/{file}"))
    }

    /// Reads the file `status` of a thread.
    pub(super) fn read_thread(&mut self, pid: u32, thread: u32) -> io::Result<&[u8]> {
        self.read_path(format_args!("{pid}/task/{thread}/status"))
    }

    /// Reads a file that is of no process.
    pub(super) fn read_host(&self, file: &str) -> io::Result<Vec<u8>> {
        let file: File = openat(&self.root, file, FILE, Mode::empty())?.into();
        let mut content = Vec::new();
        io::Read::read_to_end(&mut &file, &mut content)?;
        Ok(content)
    }

    /// Returns the path of the program of a process.
    pub(super) fn program(&mut self, pid: u32) -> io::Result<String> {
        let path = write_path(&mut self.path, format_args!("{pid}/exe"))?;
        let link = readlinkat(&self.root, path, Vec::new())?;
        let link = link.to_string_lossy();
        Ok(link.strip_suffix(" (deleted)").unwrap_or(&link).to_owned())
    }

    /// Returns the number of open descriptors. Since Linux 6.2 it is the size of the directory.
    pub(super) fn descriptors(&mut self, pid: u32) -> io::Result<u64> {
        let path = write_path(&mut self.path, format_args!("{pid}/fd"))?;
        if self.is_kernel {
            let size = statat(&self.root, path, AtFlags::empty())?.st_size;
            if size > 0 {
                return Ok(size.cast_unsigned());
            }
        }
        let directory = openat(&self.root, path, DIRECTORY, Mode::empty())?;
        let mut descriptors = Vec::new();
        numbers(Dir::new(directory)?, &mut descriptors)?;
        Ok(descriptors.len() as u64)
    }

    fn read_path(&mut self, path: Arguments<'_>) -> io::Result<&[u8]> {
        let path = write_path(&mut self.path, path)?;
        let file: File = openat(&self.root, path, FILE, Mode::empty())?.into();
        // The kernel writes such a file in one piece, so a second read would only find its end.
        let length = file.read_at(&mut self.buffer, 0)?;
        Ok(&self.buffer[..length])
    }
}

/// Writes a path with its NUL, so that no system call has to copy it.
fn write_path<'b>(buffer: &'b mut String, path: Arguments<'_>) -> io::Result<&'b CStr> {
    buffer.clear();
    write!(buffer, "{path}\0").map_err(io::Error::other)?;
    CStr::from_bytes_with_nul(buffer.as_bytes()).map_err(io::Error::other)
}

fn numbers(directory: Dir, out: &mut Vec<u32>) -> io::Result<()> {
    out.clear();
    for entry in directory {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name.first().is_some_and(u8::is_ascii_digit)
            && let Some(number) = std::str::from_utf8(name)
                .ok()
                .and_then(|name| name.parse().ok())
        {
            out.push(number);
        }
    }
    Ok(())
}
