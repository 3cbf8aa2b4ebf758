//! The folder of history: whose it is, and what is in it at the start.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use tracing::warn;

use super::block;
use super::shared::Shared;
use super::stats::Losses;
use super::wal::{self, Cursor, Listed, Record, Segment};

/// Sealed samples, in bytes, that may wait for the packer while the log is read.
const WAITING: usize = 1 << 20;

/// The folder is ours alone, until this is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _folder: File,
}

impl Lock {
    /// Takes `folder`, and makes it if it is missing.
    pub fn take(folder: &Path) -> Result<Self, String> {
        let said = |what: &str, why: &dyn std::fmt::Display| {
            format!("{what}: {}: {why}", folder.display())
        };
        std::fs::create_dir_all(folder).map_err(|error| said("can't make the folder", &error))?;
        let file = File::open(folder).map_err(|error| said("can't open the folder", &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _folder: file }),
            Err(TryLockError::WouldBlock) => Err(said(
                "the folder is in use",
                &"another Bellwether has it; hint: give each a trend_analysis.storage.path of its own",
            )),
            Err(TryLockError::Error(error)) => Err(said("can't lock the folder", &error)),
        }
    }
}

/// What was read back from the log.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    pub samples: u64,
    /// Samples that were ever logged.
    pub logged: u64,
    pub losses: Losses,
}

/// Reads all blocks and the log of a folder that is ours.
pub(super) fn load(shared: &Shared, folder: &Path, now: i64) -> io::Result<Replayed> {
    block::sweep(folder).ok();
    let losses = shared.rescan(folder, true)?;
    let missing = missing_blocks(shared, folder, now);
    let mut replayed = replay(shared, folder, true)?;
    replayed.losses.chunks += losses.chunks;
    replayed.losses.blocks += losses.blocks;
    replayed.losses.missing_blocks += missing;
    Ok(replayed)
}

/// How many blocks somebody took away since the process before looked.
fn missing_blocks(shared: &Shared, folder: &Path, now: i64) -> u64 {
    let retention = i64::try_from(shared.options.retention.as_millis()).unwrap_or(i64::MAX);
    let blocks = shared.blocks.all();
    let missing = block::inventory::missing(folder, &blocks, now.saturating_sub(retention));
    for (name, end) in &missing {
        warn!(
            "a block of history is gone: {}: samples up to {} are missing, of two hours in most \
             cases; hint: put it back if you have it, it is read at once",
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

/// Reads what is in a folder that is another's: the log first, since what leaves it meanwhile is
/// then found in a block.
pub(super) fn look(shared: &Shared, folder: &Path) -> io::Result<Replayed> {
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
                missing.tell(number, before, &format!("it can't be read: {error}"));
                replayed.losses.wal_segments += 1;
                continue;
            }
        };
        replay_segment(shared, &segment, &mut replayed);
        if let Some(before) = before.filter(|before| segment.len() < before.bytes) {
            let what = format!(
                "it was cut from {} bytes to {}",
                before.bytes,
                segment.len()
            );
            missing.tell(number, Some(before), &what);
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
        shared.wal.reached(Cursor {
            segment: number,
            offset: length,
            samples: replayed.logged,
        });
    }
    replayed.losses.wal_segments += missing.tell_gone();
    let losses = replayed.losses;
    if losses.torn_bytes + losses.wal_frames > 0 {
        warn!(
            "the log was damaged: {} bytes at its end cut off, {} places skipped",
            losses.torn_bytes, losses.wal_frames
        );
    }
    shared.counts.lost(losses);
    Ok(replayed)
}

/// The segments that the process before wrote down.
fn listed(folder: &Path) -> Vec<Listed> {
    wal::read_inventory(folder).unwrap_or_else(|error| {
        warn!("{error}; whether segments of the log were taken away or cut is not known");
        Vec::new()
    })
}

/// What there should be of the log, and is not.
struct Missing<'a> {
    shared: &'a Shared,
    folder: &'a Path,
    /// What was not found so far.
    listed: Vec<Listed>,
}

impl Missing<'_> {
    /// How the segment was when the process before looked.
    fn take(&mut self, number: u64) -> Option<Listed> {
        let place = self
            .listed
            .iter()
            .position(|listed| listed.number == number)?;
        Some(self.listed.swap_remove(place))
    }

    /// Tells of those that are gone, and how many they are. The log goes on behind them.
    fn tell_gone(self) -> u64 {
        for listed in &self.listed {
            self.tell(listed.number, Some(*listed), "it is gone");
        }
        let last = self.listed.iter().map(|listed| listed.number).max();
        let end = self.shared.wal.end();
        if let Some(segment) = last.filter(|last| *last > end.segment) {
            self.shared.wal.reached(Cursor {
                segment,
                offset: 0,
                samples: end.samples,
            });
        }
        self.listed.len() as u64
    }

    fn tell(&self, number: u64, before: Option<Listed>, what: &str) {
        let path = wal::path(self.folder, number);
        warn!(
            "a segment of history's log is damaged: {}: {what}; {}; hint: to have it back, stop \
             Bellwether, put the whole file there and start again; else there is nothing to do",
            path.display(),
            self.lost(number, before)
        );
    }

    fn lost(&self, number: u64, before: Option<Listed>) -> String {
        let Some(Listed { first, last, .. }) = before else {
            return "what it held, and of when, is not known".into();
        };
        let blocks = self.shared.blocks.all();
        let in_blocks = blocks
            .iter()
            .any(|block| number < block.segment && block.covers.contains(&first));
        match in_blocks {
            true => "its samples are in a block; remote write alone may miss some".into(),
            false => format!(
                "samples from {} to {} or later are lost",
                date(first),
                date(last)
            ),
        }
    }
}

/// A time as people read it.
fn date(at: i64) -> String {
    jiff::Timestamp::from_millisecond(at).map_or_else(|_| format!("{at} ms"), |at| at.to_string())
}

fn replay_segment(shared: &Shared, segment: &Segment, replayed: &mut Replayed) {
    replayed.losses.wal_frames += segment.damaged();
    let definitions = segment.definitions();
    let numbers = shared.intern(definitions.values());
    let highest = definitions
        .keys()
        .max()
        .map_or(0, |highest| *highest as usize + 1);
    let mut known: Vec<Option<u32>> = vec![None; highest];
    for (old, new) in definitions.keys().zip(numbers) {
        known[*old as usize] = Some(new);
    }
    let blocks = shared.blocks.all();
    for record in segment.records() {
        let Record::Samples(samples) = record else {
            continue;
        };
        replayed.logged = replayed.logged.max(samples.before + samples.count as u64);
        shared.wal.saw(segment.number, [samples.at]);
        let in_block = blocks
            .iter()
            .any(|block| segment.number < block.segment && block.covers.contains(&samples.at));
        if in_block {
            continue;
        }
        let renumbered = samples.iter().map(|(old, value)| {
            (
                known
                    .get(old as usize)
                    .copied()
                    .flatten()
                    .unwrap_or(u32::MAX),
                value,
            )
        });
        let mut head = shared.head.write();
        replayed.samples += head.append(samples.at, renumbered, |_, _| {}).taken;
        let waiting = head.sealed_bytes();
        drop(head);
        shared.wal.note(
            segment.number,
            segment.len(),
            [super::head::window(samples.at)],
        );
        shared.steady.lock().observe(samples.at);
        if waiting > WAITING {
            shared.packer.run(&shared.head);
        }
    }
}
