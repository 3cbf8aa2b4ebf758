//! The folder of all that survives a restart: whose it is, and how writing into it goes.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::{info, warn};

use super::WriteWatch;
use crate::beside;

/// The folder. All of it belongs to the process that holds the lock on it; whoever comes second
/// writes nothing into it as long as it lives, so that neither spoils what the other keeps.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    claim: Mutex<Claim>,
}

#[derive(Debug)]
enum Claim {
    /// Ours, as long as the file is open.
    Ours(File),
    /// Another process has it.
    Anothers,
    /// It cannot be used for now.
    Unusable(String),
}

impl StateFolder {
    /// Claims the folder at `path`, which is made if it is missing. Whatever is wrong with it, it
    /// can be asked for again. Blocks.
    #[must_use]
    pub fn open(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let claim = Mutex::new(take(&path));
        Self { path, claim }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether another process had it when this one came.
    #[must_use]
    pub fn is_anothers(&self) -> bool {
        matches!(*self.claim.lock(), Claim::Anothers)
    }

    /// Sees that it is there and ours. One that could not be used, or that somebody deleted, is
    /// tried again; one that was another's stays the other's. Blocks.
    ///
    /// # Errors
    /// Why it is not ours.
    pub fn claim(&self) -> io::Result<()> {
        let mut claim = self.claim.lock();
        match &*claim {
            Claim::Ours(lock) if is_at(lock, &self.path) => return Ok(()),
            Claim::Anothers => {}
            Claim::Ours(_) | Claim::Unusable(_) => *claim = take(&self.path),
        }
        match &*claim {
            Claim::Ours(_) => Ok(()),
            Claim::Anothers => Err(io::Error::other(self.of_another())),
            Claim::Unusable(reason) => Err(io::Error::other(reason.clone())),
        }
    }

    /// Why nothing can be written into it, if so.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        // Held for long only by a file system that hangs, which its writers tell of.
        match &*self.claim.try_lock()? {
            Claim::Ours(_) => None,
            Claim::Anothers => Some(self.of_another()),
            Claim::Unusable(reason) => Some(reason.clone()),
        }
    }

    fn of_another(&self) -> String {
        format!(
            "another Bellwether has the state directory {}; hint: give each one a \
             state_directory of its own, and restart this one",
            self.path.display()
        )
    }
}

fn take(path: &Path) -> Claim {
    let unusable = |error: io::Error| {
        Claim::Unusable(format!(
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
        Ok(()) => Claim::Ours(file),
        Err(TryLockError::WouldBlock) => Claim::Anothers,
        // A file system without locks cannot say whose it is.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
            Claim::Ours(file)
        }
        Err(TryLockError::Error(error)) => unusable(error),
    }
}

/// Whether `file` is what is at `path` now.
#[must_use]
pub fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// One file of the folder, and how saving it goes.
#[derive(Debug)]
pub struct Saver {
    folder: Arc<StateFolder>,
    path: PathBuf,
    /// Named in the log: "the state of the alerts".
    what: String,
    saving: Mutex<Saving>,
    watch: WriteWatch,
}

#[derive(Debug, Default)]
struct Saving {
    /// Whether what was there at the start was read, or was nothing.
    was_read: bool,
    /// Whether it was written since.
    written: bool,
    /// Why the last write failed.
    problem: Option<String>,
    failures: u64,
}

impl Saver {
    /// The file at `path` in `folder`; nothing is touched yet.
    #[must_use]
    pub fn new(folder: Arc<StateFolder>, path: impl AsRef<Path>, what: impl Into<String>) -> Self {
        let path = folder.path().join(path);
        Self {
            folder,
            path,
            what: what.into(),
            saving: Mutex::default(),
            watch: WriteWatch::default(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Has `read` read it, if the folder is ours. Blocks.
    ///
    /// # Errors
    /// The folder is not ours, or as `read`.
    pub fn load<T>(&self, read: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let loaded = self.folder.claim().and_then(|()| read());
        let mut saving = self.saving.lock();
        match &loaded {
            Ok(_) => saving.was_read = true,
            Err(error) => saving.problem = Some(error.to_string()),
        }
        loaded
    }

    /// Has `write` write it, if the folder is ours. A failure is logged once, and so is the end of
    /// it. Blocks.
    ///
    /// # Errors
    /// The folder is not ours, or as `write`.
    pub fn save(&self, write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let saved = self.watch.during(|| {
            self.folder
                .claim()
                .and_then(|()| self.keep_unread())
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
                // What was told at the start, before anything was written, is told once more.
                let told = saving.problem.replace(error.to_string()).is_some();
                if !told || saving.failures == 0 {
                    let path = self.path.display();
                    warn!(%path, %error, "cannot save {}: it is in memory for now", self.what);
                }
                saving.failures += 1;
            }
        }
        saved
    }

    /// What could not be read at the start must not be written over.
    fn keep_unread(&self) -> io::Result<()> {
        if self.saving.lock().was_read {
            return Ok(());
        }
        let aside = beside(&self.path, ".corrupt");
        match fs::rename(&self.path, &aside) {
            Ok(()) => {
                let (path, aside) = (self.path.display(), aside.display());
                warn!(%path, %aside, "what could not be read at the start is kept");
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.saving.lock().was_read = true;
        Ok(())
    }

    /// Why it is not on disk, if so.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let hangs = self
            .watch
            .hangs()
            .map(|hangs| format!("{}: {hangs}", self.path.display()));
        let problem = hangs.or_else(|| self.saving.lock().problem.clone())?;
        Some(format!("{}: {problem}", self.what))
    }

    /// Failed attempts to save it.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.saving.lock().failures
    }

    /// Whether it should be saved although nothing changed: that failed, or somebody deleted it.
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
    fn the_folder_belongs_to_the_first_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let first = StateFolder::open(&path);
        first.claim().unwrap();
        let second = Arc::new(StateFolder::open(&path));
        assert!(second.is_anothers() && second.problem().unwrap().contains("another Bellwether"));
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
        StateFolder::open(&path).claim().unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_tried_again_and_keeps_what_was_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        fs::write(&path, "in the way").unwrap();
        let state = Arc::new(StateFolder::open(&path));
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
        // A folder that somebody deletes is made anew, and is ours again.
        fs::remove_dir_all(&path).unwrap();
        assert!(saver.is_due());
        saver.save(|| replace(&file, b"3")).unwrap();
        assert!(StateFolder::open(&path).is_anothers());
    }

    #[test]
    fn a_write_that_does_not_end_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let saver = Saver::new(Arc::new(StateFolder::open(folder.path())), "x", "the queue");
        saver
            .save(|| {
                assert_eq!(saver.problem(), None);
                saver.watch.overdue();
                let told = saver.problem().unwrap();
                assert!(
                    told.starts_with("the queue: /") && told.contains("/x: a write"),
                    "{told}"
                );
                Ok(())
            })
            .unwrap();
        assert_eq!(saver.problem(), None);
    }
}
