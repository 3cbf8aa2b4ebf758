//! Files of Unix sockets.
//!
//! A socket is created under another name, given its mode, and only then renamed, so that nobody can open it before.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// File of a socket; removed when dropped, unless another replaced it.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    id: (u64, u64),
}

impl SocketFile {
    /// Creates a socket at `path` with `bind`, which gets another path. A socket that nobody uses, as a killed process
    /// leaves it, is replaced; `in_use` tells whether somebody does.
    ///
    /// # Errors
    /// Somebody uses the path, it is no socket, or the file cannot be created.
    pub fn bind<S>(
        path: &Path,
        mode: u32,
        in_use: impl FnOnce(&Path) -> bool,
        bind: impl FnOnce(PathBuf) -> io::Result<S>,
    ) -> io::Result<(S, Self)> {
        match fs::symlink_metadata(path) {
            Ok(metadata) if !metadata.file_type().is_socket() => {
                return Err(io::Error::other("the file exists and is not a socket"));
            }
            Ok(_) if in_use(path) => return Err(io::ErrorKind::AddrInUse.into()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut temporary = OsString::from(path);
        temporary.push(format!(".{}.tmp", std::process::id()));
        let temporary = PathBuf::from(temporary);
        fs::remove_file(&temporary).ok();
        let bound = bind(temporary.clone())
            .and_then(|socket| Ok((socket, Self::publish(&temporary, path, mode)?)));
        if bound.is_err() {
            fs::remove_file(&temporary).ok();
        }
        bound
    }

    /// Gives the socket its mode, and then its name.
    fn publish(temporary: &Path, path: &Path, mode: u32) -> io::Result<Self> {
        fs::set_permissions(temporary, Permissions::from_mode(mode))?;
        let id = identity(temporary)?;
        fs::rename(temporary, path)?;
        Ok(Self {
            path: path.to_owned(),
            id,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|id| id == self.id) {
            fs::remove_file(&self.path).ok();
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}
