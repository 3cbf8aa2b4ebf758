//! Unix socket for the commands of this host: its file, with owner and mode.
//!
//! Whoever may open the file may do everything, so it is created under another name, given its
//! owner and its mode, and only then renamed.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::{fs, io};

use bellwether_files::socket::SocketFile;
use tokio::net::UnixListener;

use crate::settings::LocalSocket;

/// Listens on the socket that `settings` name. Needs a runtime.
///
/// # Errors
/// Another file has that name, or the file cannot be created with its owner and mode.
pub(crate) fn bind(settings: &LocalSocket) -> io::Result<(UnixListener, SocketFile)> {
    let owner = settings
        .owner
        .as_deref()
        .map(|name| id(name, "/etc/passwd", "user"))
        .transpose()?;
    let group = settings
        .group
        .as_deref()
        .map(|name| id(name, "/etc/group", "group"))
        .transpose()?;
    // Our own is replaced.
    let in_use = |path: &Path| !is_own(path) && UnixStream::connect(path).is_ok();
    SocketFile::bind(&settings.path, settings.mode(), in_use, |path| {
        let listener = UnixListener::bind(&path)?;
        // Only the owner may open it until owner, group and mode are set.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        if owner.is_some() || group.is_some() {
            chown(&path, owner, group)?;
        }
        Ok(listener)
    })
}

/// Returns true if the process that listens on it is this one: a reload creates the file anew.
fn is_own(path: &Path) -> bool {
    let Ok(stream) = UnixStream::connect(path) else {
        return false;
    };
    let peer = rustix::net::sockopt::socket_peercred(&stream);
    peer.is_ok_and(|peer| peer.pid == rustix::process::getpid())
}

/// Returns the number of a user or of a group, by name or as a number.
fn id(name: &str, file: &str, kind: &str) -> io::Result<u32> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    let entries = fs::read_to_string(file)?;
    let id = entries.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    });
    id.ok_or_else(|| io::Error::other(format!("there is no {kind} {name:?} in {file}")))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use bellwether_schema::Spanned;

    use super::*;

    fn settings(path: PathBuf) -> LocalSocket {
        LocalSocket {
            path,
            mode: Spanned::nowhere("0640".into()),
            owner: None,
            group: None,
        }
    }

    #[tokio::test]
    async fn the_file_has_its_mode_and_goes_with_its_listener() {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(directory.path().join("control.sock"));
        let (first, first_file) = bind(&settings).unwrap();
        let mode = fs::metadata(&settings.path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o640);
        let (_second, second_file) = bind(&settings).expect("a reload makes it anew");
        drop((first, first_file));
        assert!(
            settings.path.exists(),
            "the older one leaves the newer one alone"
        );
        drop(second_file);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_is_left_behind_is_replaced_and_what_is_no_socket_stays() {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(directory.path().join("control.sock"));
        drop(std::os::unix::net::UnixListener::bind(&settings.path).unwrap());
        assert!(bind(&settings).is_ok());
        fs::write(&settings.path, "precious").unwrap();
        assert!(
            bind(&settings)
                .unwrap_err()
                .to_string()
                .contains("not a socket")
        );
        assert_eq!(fs::read(&settings.path).unwrap(), b"precious");
        let missing = LocalSocket {
            group: Some("no such group".into()),
            ..settings
        };
        fs::remove_file(&missing.path).unwrap();
        assert!(
            bind(&missing)
                .unwrap_err()
                .to_string()
                .contains("no group \"no such group\"")
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn users_and_groups_have_numbers() {
        assert_eq!(id("1234", "/nowhere", "user").unwrap(), 1234);
        assert_eq!(id("root", "/etc/passwd", "user").unwrap(), 0);
        assert_eq!(id("root", "/etc/group", "group").unwrap(), 0);
    }
}
