//! Watch on directories: says that a file came, changed or went.

use std::io;
use std::mem::MaybeUninit;
use std::path::Path;
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;

/// Events of files that are whole: one that is being written says so when it is closed.
const EVENTS: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::ONLYDIR);

/// Time in which further changes are waited for: several files are often written at once.
const SETTLE: Duration = Duration::from_millis(500);

/// Size of the buffer for events, in bytes.
const BUFFER: usize = 4096;

/// A watch on directories.
pub(crate) struct Watch(AsyncFd<OwnedFd>);

impl Watch {
    /// Starts a watch without directories. Called in the runtime.
    ///
    /// # Errors
    /// The user has too many watches (`fs.inotify.max_user_instances`).
    pub(crate) fn new() -> io::Result<Self> {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "sound for an `OwnedFd`, which stays open while it is registered; `register` is unsafe"
        )]
        AsyncFd::new(events).map(Self)
    }

    /// Adds a directory. One that is watched already stays as it is.
    ///
    /// # Errors
    /// There is no such directory, or too many are watched (`fs.inotify.max_user_watches`).
    pub(crate) fn add(&self, directory: &Path) -> io::Result<()> {
        inotify::add_watch(self.0.get_ref(), directory, EVENTS)?;
        Ok(())
    }

    /// Forgets the changes until now.
    pub(crate) fn forget(&self) {
        while self.read(&|_| false).is_ok() {}
    }

    /// Waits for a change of a file whose name is of interest, and for those that follow it at once.
    pub(crate) async fn changed(&self, is_of_interest: &(dyn Fn(&[u8]) -> bool + Sync)) {
        loop {
            // Without readiness there are no events: then nothing ever changes.
            let Ok(mut ready) = self.0.readable().await else {
                return std::future::pending().await;
            };
            match ready.try_io(|_| self.read(is_of_interest)) {
                Ok(Ok(true)) => return sleep(SETTLE).await,
                Ok(Ok(false)) | Err(_) => {}
                Ok(Err(_)) => return std::future::pending().await,
            }
        }
    }

    /// Reads events, and returns whether one is of interest.
    fn read(&self, is_of_interest: &(dyn Fn(&[u8]) -> bool + Sync)) -> io::Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut reader = Reader::new(self.0.get_ref(), &mut buffer);
        let mut has_interesting = false;
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            let name = event.file_name().map(|name| name.to_bytes());
            // Lost events may be of any file.
            has_interesting |= event.events().contains(ReadFlags::QUEUE_OVERFLOW)
                || name.is_some_and(is_of_interest);
            if reader.is_buffer_empty() {
                return Ok(has_interesting);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio::time::timeout;

    use super::*;

    fn is_text(name: &[u8]) -> bool {
        name.ends_with(b".prom")
    }

    async fn has_changed(watch: &Watch) -> bool {
        let wait = Duration::from_secs(5);
        timeout(wait, watch.changed(&is_text)).await.is_ok()
    }

    #[tokio::test]
    async fn a_file_that_comes_changes_or_goes_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let watch = Watch::new().unwrap();
        watch.add(folder.path()).unwrap();
        let (temporary, file) = (folder.path().join("a.new"), folder.path().join("a.prom"));
        fs::write(&temporary, "a 1\n").unwrap();
        fs::rename(&temporary, &file).unwrap();
        assert!(has_changed(&watch).await);
        fs::write(&file, "a 2\n").unwrap();
        assert!(has_changed(&watch).await);
        fs::remove_file(&file).unwrap();
        assert!(has_changed(&watch).await);
    }

    #[tokio::test(start_paused = true)]
    async fn other_files_and_forgotten_changes_are_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let watch = Watch::new().unwrap();
        watch.add(folder.path()).unwrap();
        fs::write(folder.path().join("a.tmp"), "").unwrap();
        assert!(!has_changed(&watch).await);
        fs::write(folder.path().join("a.prom"), "").unwrap();
        watch.forget();
        assert!(!has_changed(&watch).await);
        let missing = watch.add(&folder.path().join("none")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
