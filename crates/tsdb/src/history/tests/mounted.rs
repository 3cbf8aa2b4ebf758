//! A full disk and a read-only one: small file systems in memory, which only root may mount.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::*;

/// A file system of 2 MB, as long as this lives.
struct Mounted(TempDir);

impl Mounted {
    fn new() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let mounted = mount(&["-t", "tmpfs", "-o", "size=2m", "tmpfs"], folder.path());
        if !mounted {
            println!("not tested: only root may mount a small file system");
        }
        mounted.then(|| Self(folder))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        Command::new("umount")
            .arg("--lazy")
            .arg(self.0.path())
            .output()
            .ok();
    }
}

fn mount(how: &[&str], on: &Path) -> bool {
    let output = Command::new("mount").args(how).arg(on).output();
    output.is_ok_and(|output| output.status.success())
}

fn until_durable(history: &History) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !history.sync() {
        assert!(Instant::now() < deadline, "{:?}", history.stats());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_full_disk_costs_nothing_that_memory_can_hold() {
    let Some(disk) = Mounted::new() else { return };
    let (history, _) = open(&disk.0);
    let series = refs(&history, 50);
    fill(&history, &series, every(15, START, START + HOUR));
    assert!(history.sync());
    let ballast = disk.0.path().join("ballast");
    let full = std::fs::write(&ballast, vec![1; 4 << 20]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    fill(&history, &series, every(15, START + HOUR, START + 5 * HOUR));
    assert!(!history.sync());
    let stats = history.stats();
    assert!(
        stats
            .last_error
            .is_some_and(|error| error.contains("space"))
    );
    assert!(stats.fsync_failures > 0);
    let expected = everything(&history);
    assert_eq!(count(&expected), 50 * 1200, "what is in memory is read");
    std::fs::remove_file(&ballast).unwrap();
    until_durable(&history);
    let stats = history.stats();
    assert_eq!(
        (stats.last_error, stats.dropped, stats.evicted),
        (None, 0, 0)
    );
    drop(history);
    let (history, recovery) = open_at(&disk.0, START + 5 * HOUR);
    assert!(recovery.losses.is_empty());
    assert_eq!(everything(&history), expected);
}

#[test]
fn a_disk_that_turns_read_only_is_read() {
    let Some(disk) = Mounted::new() else { return };
    let (history, _) = open(&disk.0);
    let series = refs(&history, 20);
    fill(&history, &series, every(15, START, START + 3 * HOUR));
    assert!(history.sync());
    drop(history);
    assert!(mount(&["-o", "remount,ro"], disk.0.path()));
    let (history, recovery) = open_at(&disk.0, START + 3 * HOUR);
    assert_eq!((recovery.error, recovery.blocks), (None, 1));
    fill(
        &history,
        &refs(&history, 20),
        every(15, START + 3 * HOUR, START + 4 * HOUR),
    );
    assert!(!history.sync());
    assert!(
        history
            .stats()
            .last_error
            .is_some_and(|error| error.contains("ead-only"))
    );
    let expected = everything(&history);
    assert_eq!(count(&expected), 20 * 960);
    assert!(mount(&["-o", "remount,rw"], disk.0.path()));
    until_durable(&history);
    drop(history);
    assert_eq!(everything(&open_at(&disk.0, START + 4 * HOUR).0), expected);
}
