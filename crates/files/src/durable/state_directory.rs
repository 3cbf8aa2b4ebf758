//! The state directory: the lock on it, and files that are saved in it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::{info, warn};

use super::WriteWatch;
use crate::beside;

/// The directory of all state that outlives the process. It belongs to the process that has the lock
/// on it. A second process never writes into it, so that neither damages the state of the other.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    claim: Mutex<Lock>,
}

#[derive(Debug)]
enum Lock {
    /// Locked by this process, as long as the file is open.
    Locked(File),
    /// Locked by another process.
    LockedByOther,
    /// Unusable for now, with the error.
    Unusable(String),
}

impl StateDirectory {
    /// Locks the directory at `path`, and creates it if it is missing. After an error,
    /// [`StateDirectory::claim`] tries again. Blocks.
    #[must_use]
    pub fn open(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let claim = Mutex::new(lock(&path));
        Self { path, claim }
    }

    /// Returns its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether another process had the lock when this one started.
    #[must_use]
    pub fn is_locked_by_other(&self) -> bool {
        matches!(*self.claim.lock(), Lock::LockedByOther)
    }

    /// Ensures that the directory exists and is locked by this process. One that was unusable or was
    /// deleted is tried again; one of another process is not. Blocks.
    ///
    /// # Errors
    /// Returns an error if the directory is not locked by this process.
    pub fn claim(&self) -> io::Result<()> {
        let mut claim = self.claim.lock();
        match &*claim {
            Lock::Locked(lock) if is_at(lock, &self.path) => return Ok(()),
            Lock::LockedByOther => {}
            Lock::Locked(_) | Lock::Unusable(_) => *claim = lock(&self.path),
        }
        match &*claim {
            Lock::Locked(_) => Ok(()),
            Lock::LockedByOther => Err(io::Error::other(self.other_message())),
            Lock::Unusable(reason) => Err(io::Error::other(reason.clone())),
        }
    }

    /// Returns the reason why nothing can be written into it, if there is one.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        // Locked for long only if the file system hangs, which the writers report.
        match &*self.claim.try_lock()? {
            Lock::Locked(_) => None,
            Lock::LockedByOther => Some(self.other_message()),
            Lock::Unusable(reason) => Some(reason.clone()),
        }
    }

    fn other_message(&self) -> String {
        format!(
            "another Bellwether has the state directory {}; hint: give each one a \
             state_directory of its own, and restart this one",
            self.path.display()
        )
    }
}

fn lock(path: &Path) -> Lock {
    let unusable = |error: io::Error| {
        Lock::Unusable(format!(
            "cannot use the state directory {}: {error}",
            path.display()
        ))
    };
    let opened = fs::create_dir_all(path).and_then(|()| File::open(path));
    let file = match opened {
        Ok(file) => file,
        Err(error) => return unusable(error),
    };
    match file.try_lock() {
        Ok(()) => Lock::Locked(file),
        Err(TryLockError::WouldBlock) => Lock::LockedByOther,
        // A file system without locks cannot tell the owner.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
            Lock::Locked(file)
        }
        Err(TryLockError::Error(error)) => unusable(error),
    }
}

/// Returns whether `file` is the file that is at `path` now.
#[must_use]
pub fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// A file of the state directory that is saved again and again.
#[derive(Debug)]
pub struct Saver {
    directory: Arc<StateDirectory>,
    path: PathBuf,
    /// Named in the log: "the state of the alerts".
    what: String,
    saving: Mutex<Saving>,
    watch: WriteWatch,
}

#[derive(Debug, Default)]
struct Saving {
    /// Set once the file of the start was read, or there was none.
    was_read: bool,
    /// Set once the file was written.
    written: bool,
    /// Error of the last write.
    problem: Option<String>,
    failures: u64,
}

impl Saver {
    /// Creates a saver of the file at `path` in `directory`, without access to the disk.
    #[must_use]
    pub fn new(
        directory: Arc<StateDirectory>,
        path: impl AsRef<Path>,
        what: impl Into<String>,
    ) -> Self {
        let path = directory.path().join(path);
        Self {
            directory,
            path,
            what: what.into(),
            saving: Mutex::default(),
            watch: WriteWatch::default(),
        }
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `read` if the directory is locked by this process. Blocks.
    ///
    /// # Errors
    /// Returns an error if the directory is not locked by this process, or that of `read`.
    pub fn load<T>(&self, read: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let loaded = self.directory.claim().and_then(|()| read());
        let mut saving = self.saving.lock();
        match &loaded {
            Ok(_) => saving.was_read = true,
            Err(error) => saving.problem = Some(error.to_string()),
        }
        loaded
    }

    /// Runs `write` if the directory is locked by this process. The first failure is logged, and the
    /// success after it. Blocks.
    ///
    /// # Errors
    /// Returns an error if the directory is not locked by this process, or that of `write`.
    pub fn save(&self, write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let saved = self.watch.during(|| {
            self.directory
                .claim()
                .and_then(|()| self.set_unread_aside())
                .and_then(|()| write())
        });
        let mut saving = self.saving.lock();
        match &saved {
            Ok(()) => {
                saving.written = true;
                if saving.problem.take().is_some() {
                    info!(path = %self.path.display(), "{} is on disk again", self.what);
                }
            }
            Err(error) => {
                // An error of the start, before the first write, is logged once more.
                let was_logged = saving.problem.replace(error.to_string()).is_some();
                if !was_logged || saving.failures == 0 {
                    let path = self.path.display();
                    warn!(%path, %error, "cannot save {}: kept in memory for now", self.what);
                }
                saving.failures += 1;
            }
        }
        saved
    }

    /// Renames a file that could not be read at the start, so that it is not overwritten.
    fn set_unread_aside(&self) -> io::Result<()> {
        if self.saving.lock().was_read {
            return Ok(());
        }
        let aside = beside(&self.path, ".corrupt");
        match fs::rename(&self.path, &aside) {
            Ok(()) => {
                let (path, aside) = (self.path.display(), aside.display());
                warn!(%path, %aside, "a state file could not be read at the start; renamed");
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.saving.lock().was_read = true;
        Ok(())
    }

    /// Returns the reason why the state is not on disk, if there is one.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let stall = self
            .watch
            .stall_message()
            .map(|message| format!("{}: {message}", self.path.display()));
        let problem = stall.or_else(|| self.saving.lock().problem.clone())?;
        Some(format!("{}: {problem}", self.what))
    }

    /// Returns the number of failed writes.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.saving.lock().failures
    }

    /// Returns whether the file has to be saved although nothing changed: the last write failed, or the
    /// file was deleted.
    #[must_use]
    pub fn is_due(&self) -> bool {
        let (problem, written) = {
            let saving = self.saving.lock();
            (saving.problem.is_some(), saving.written)
        };
        problem || (written && !self.path.exists())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::replace;

    #[test]
    fn the_directory_belongs_to_the_first_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let first = StateDirectory::open(&path);
        first.claim().unwrap();
        let second = Arc::new(StateDirectory::open(&path));
        assert!(
            second.is_locked_by_other() && second.problem().unwrap().contains("another Bellwether")
        );
        let saver = Saver::new(second, "x.json", "x");
        assert!(
            saver
                .save(|| replace(&path.join("x.json"), b"second"))
                .is_err()
        );
        drop(first);
        assert!(
            saver
                .save(|| replace(&path.join("x.json"), b"second"))
                .is_err()
        );
        assert!(
            !path.join("x.json").exists(),
            "what another process left is not written over"
        );
        StateDirectory::open(&path).claim().unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_used_is_tried_again_and_keeps_what_was_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        fs::write(&path, "in the way").unwrap();
        let state = Arc::new(StateDirectory::open(&path));
        assert!(
            state
                .problem()
                .unwrap()
                .contains("cannot use the state directory")
        );
        let saver = Saver::new(state.clone(), "x.json", "x");
        let file = path.join("x.json");
        assert!(saver.load(|| fs::read(&file)).is_err());
        assert!(saver.save(|| replace(&file, b"1")).is_err() && saver.is_due());
        assert!(saver.problem().unwrap().starts_with("x: cannot use"));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        fs::write(&file, "old").unwrap();
        saver.save(|| replace(&file, b"2")).unwrap();
        assert_eq!(
            (saver.problem(), state.problem(), saver.failures()),
            (None, None, 1)
        );
        assert_eq!(fs::read(&file).unwrap(), b"2");
        assert_eq!(fs::read(path.join("x.json.corrupt")).unwrap(), b"old");
        // A directory that is deleted is created and locked again.
        fs::remove_dir_all(&path).unwrap();
        assert!(saver.is_due());
        saver.save(|| replace(&file, b"3")).unwrap();
        assert!(StateDirectory::open(&path).is_locked_by_other());
    }

    #[test]
    fn a_write_that_does_not_end_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let saver = Saver::new(
            Arc::new(StateDirectory::open(folder.path())),
            "x",
            "the queue",
        );
        saver
            .save(|| {
                assert_eq!(saver.problem(), None);
                saver.watch.overdue();
                let message = saver.problem().unwrap();
                assert!(
                    message.starts_with("the queue: /") && message.contains("/x: a write"),
                    "{message}"
                );
                Ok(())
            })
            .unwrap();
        assert_eq!(saver.problem(), None);
    }
}
