//! Directory of a history: its lock, and loading of its files at the start.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use bellwether_core::{UnixMillis, counted};
use tracing::warn;

use super::SeriesId;
use super::block;
use super::shared::Shared;
use super::stats::Losses;
use super::time_span::block_start;
use super::wal::{self, Cursor, Listed, Record, Segment};

/// Bytes of sealed samples that may wait for the packer while the log is replayed.
const WAITING: usize = 1 << 20;

/// Exclusive lock of the directory, until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _folder: File,
}

impl Lock {
    /// Locks `folder`, which is created if it is missing.
    pub fn acquire(folder: &Path) -> Result<Self, LockError> {
        std::fs::create_dir_all(folder).map_err(LockError::step("create", folder))?;
        let file = File::open(folder).map_err(LockError::step("open", folder))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _folder: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::InUse(folder.to_owned())),
            Err(TryLockError::Error(error)) => Err(LockError::step("lock", folder)(error)),
        }
    }
}

/// Error of locking the directory.
#[derive(Debug, thiserror::Error)]
pub(super) enum LockError {
    #[error(
        "the directory is in use: {}: another Bellwether uses it; hint: give each a \
         trend_analysis.storage.path of its own",
        .0.display()
    )]
    InUse(PathBuf),
    #[error("cannot {step} the directory: {}: {error}", folder.display())]
    Step {
        step: &'static str,
        folder: PathBuf,
        error: io::Error,
    },
}

impl LockError {
    fn step(step: &'static str, folder: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Step {
            step,
            folder: folder.to_owned(),
            error,
        }
    }
}

/// Result of replaying the log.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    pub samples: u64,
    /// Samples that were ever logged.
    pub logged: u64,
    pub losses: Losses,
}

/// Loads all blocks and replays the log of a directory that is locked.
pub(super) fn load(shared: &Shared, folder: &Path, now: UnixMillis) -> io::Result<Replayed> {
    block::sweep(folder).ok();
    let losses = shared.rescan(folder, true)?;
    let missing = missing_blocks(shared, folder, now);
    let mut replayed = replay(shared, folder, true)?;
    replayed.losses.chunks += losses.chunks;
    replayed.losses.blocks += losses.blocks;
    replayed.losses.missing_blocks += missing;
    Ok(replayed)
}

/// Returns the number of blocks that were removed since the last process ran.
fn missing_blocks(shared: &Shared, folder: &Path, now: UnixMillis) -> u64 {
    let expired = now.before(shared.options.retention);
    let missing = block::inventory::missing(folder, &shared.blocks.all(), expired);
    for (name, end) in &missing {
        warn!(
            "a block of history is missing: {}: samples up to {} are lost, in most cases of two hours; \
             hint: put the file back if you have it, it is read immediately",
            folder.join(name).display(),
            date(*end)
        );
    }
    let missing_blocks = missing.len() as u64;
    shared.counts.lost(Losses {
        missing_blocks,
        ..Losses::default()
    });
    missing_blocks
}

/// Loads a directory that another process owns. Reads the log first, so that samples that leave it
/// meanwhile are found in a block.
pub(super) fn load_read_only(shared: &Shared, folder: &Path) -> io::Result<Replayed> {
    let mut replayed = replay(shared, folder, false)?;
    let losses = shared.rescan(folder, false)?;
    replayed.losses.chunks += losses.chunks;
    replayed.losses.blocks += losses.blocks;
    Ok(replayed)
}

fn replay(shared: &Shared, folder: &Path, ours: bool) -> io::Result<Replayed> {
    let mut replayed = Replayed::default();
    let mut missing = Missing {
        shared,
        folder,
        listed: if ours { listed(folder) } else { vec![] },
    };
    for number in wal::list(folder)? {
        let before = missing.take(number);
        let segment = match Segment::read(folder, number) {
            Ok(segment) => segment,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                missing.warn(number, before, &format!("it cannot be read: {error}"));
                replayed.losses.wal_segments += 1;
                continue;
            }
        };
        replay_segment(shared, &segment, &mut replayed);
        if let Some(before) = before.filter(|before| segment.len() < before.bytes) {
            let what = format!(
                "it was truncated from {} bytes to {}",
                before.bytes,
                segment.len()
            );
            missing.warn(number, Some(before), &what);
            replayed.losses.wal_segments += 1;
        }
        let torn = segment.len() - segment.whole();
        let mut length = segment.len();
        if ours {
            replayed.losses.torn_bytes += torn;
            if torn > 0 && wal::truncate(folder, number, segment.whole()).is_ok() {
                length = segment.whole();
            }
        }
        shared.wal.note(number, length, []);
        shared.wal.set_end(Cursor {
            segment: number,
            offset: length,
            samples: replayed.logged,
        });
    }
    replayed.losses.wal_segments += missing.warn_of_all();
    let losses = replayed.losses;
    if losses.torn_bytes + losses.wal_frames > 0 {
        warn!(
            "the log was damaged: cut off {} at its end, skipped {}",
            counted(losses.torn_bytes, "byte"),
            counted(losses.wal_frames, "damaged frame")
        );
    }
    shared.counts.lost(losses);
    Ok(replayed)
}

/// Reads the segments that the last process listed.
fn listed(folder: &Path) -> Vec<Listed> {
    wal::read_inventory(folder).unwrap_or_else(|error| {
        warn!("{error}; segments of the log that were removed or truncated cannot be detected");
        Vec::new()
    })
}

/// Segments of the log that should exist.
struct Missing<'a> {
    shared: &'a Shared,
    folder: &'a Path,
    /// Segments of the list that were not found so far.
    listed: Vec<Listed>,
}

impl Missing<'_> {
    /// Takes the entry of a segment out of the list.
    fn take(&mut self, number: u64) -> Option<Listed> {
        let place = self
            .listed
            .iter()
            .position(|listed| listed.number == number)?;
        Some(self.listed.swap_remove(place))
    }

    /// Warns of all remaining segments, and returns their number. The log continues behind them.
    fn warn_of_all(self) -> u64 {
        for listed in &self.listed {
            self.warn(listed.number, Some(*listed), "it is missing");
        }
        let last = self.listed.iter().map(|listed| listed.number).max();
        let end = self.shared.wal.end();
        if let Some(segment) = last.filter(|last| *last > end.segment) {
            self.shared.wal.set_end(Cursor {
                segment,
                offset: 0,
                samples: end.samples,
            });
        }
        self.listed.len() as u64
    }

    fn warn(&self, number: u64, before: Option<Listed>, what: &str) {
        let path = wal::path(self.folder, number);
        warn!(
            "a segment of history's log is damaged: {}: {what}; {}; hint: to recover it, stop \
             Bellwether, replace it by an intact copy and start again; otherwise nothing needs to be done",
            path.display(),
            self.lost(number, before)
        );
    }

    fn lost(&self, number: u64, before: Option<Listed>) -> String {
        let Some(Listed { span, .. }) = before else {
            return "its content is unknown".into();
        };
        let blocks = self.shared.blocks.all();
        let in_blocks = blocks
            .iter()
            .any(|block| number < block.segment && block.covers.contains(&span.first));
        match in_blocks {
            true => "its samples are in a block; only remote write may miss some".into(),
            false => format!(
                "samples from {} to {} or later are lost",
                date(span.first),
                date(span.last)
            ),
        }
    }
}

/// Formats a time in RFC 3339.
fn date(at: UnixMillis) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map_or_else(|_| format!("{} ms", at.0), |at| at.to_string())
}

fn replay_segment(shared: &Shared, segment: &Segment, replayed: &mut Replayed) {
    replayed.losses.wal_frames += segment.damaged();
    let definitions = segment.definitions();
    let interned = shared.intern(definitions.values());
    let highest = definitions
        .keys()
        .max()
        .map_or(0, |highest| highest.index() + 1);
    let mut ids: Vec<Option<SeriesId>> = vec![None; highest];
    for (old, new) in definitions.keys().zip(interned) {
        ids[old.index()] = Some(new);
    }
    let blocks = shared.blocks.all();
    for record in segment.records() {
        let Record::Samples(samples) = record else {
            continue;
        };
        replayed.logged = replayed.logged.max(samples.before + samples.count as u64);
        shared.wal.note_times(segment.number, [samples.at]);
        let in_block = blocks
            .iter()
            .any(|block| segment.number < block.segment && block.covers.contains(&samples.at));
        if in_block {
            continue;
        }
        let renumbered = samples.iter().map(|(old, value)| {
            (
                ids.get(old.index())
                    .copied()
                    .flatten()
                    .unwrap_or(SeriesId(u32::MAX)),
                value,
            )
        });
        let mut head = shared.head.write();
        let appended = head.append(samples.at, None, renumbered, |_, _| {});
        replayed.samples += appended.accepted;
        let waiting = head.sealed_bytes();
        drop(head);
        shared
            .wal
            .note(segment.number, segment.len(), [block_start(samples.at)]);
        shared.clock.lock().observe(samples.at);
        if waiting > WAITING {
            shared.packer.run(&shared.head);
        }
    }
}
