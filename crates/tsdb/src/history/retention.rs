//! Retention: cuts blocks, and deletes blocks and segments beyond the limits of age and size.

use std::io;
use std::path::Path;
use std::time::Duration;

use bellwether_core::UnixMillis;

use super::block::BlockWriter;
use super::head::Unpacker;
use super::merge::Merge;
use super::shared::Shared;
use super::time_span::{TimeSpan, block_end};
use super::wal::{HeldSegment, Log};

/// Time that samples stay in memory after the end of their block: the lookback of rules.
const GRACE: Duration = Duration::from_secs(5 * 60);

/// Enforces the limits of a history in memory.
pub(super) fn enforce_memory_limit(shared: &Shared) {
    let most = shared.options.max_memory;
    if !shared.squeeze(most) {
        shared.evict(most / 8 * 7);
    }
    if let Some(expired) = expired(shared) {
        let mut head = shared.head.write();
        if head
            .windows()
            .next()
            .is_some_and(|first| block_end(first) < expired)
        {
            head.evict(expired);
            drop(head);
            shared.sweep();
        }
    }
}

/// Returns the time before which samples are expired, if the clock is trusted.
fn expired(shared: &Shared) -> Option<UnixMillis> {
    let now = shared.clock.lock().now()?;
    Some(now.before(shared.options.retention))
}

/// Cuts the blocks that are due: those of another time than the last collection, unless samples with times of their own
/// still come for them, and all of them if memory or the log is full. `logged` is the time of the last collection in the log. Returns whether a
/// block was written.
///
/// # Errors
/// A block cannot be written; its samples stay in memory.
pub(super) fn cut_due(
    shared: &Shared,
    log: &mut Log,
    folder: &Path,
    logged: UnixMillis,
) -> io::Result<bool> {
    let options = &shared.options;
    let logged_bytes = shared
        .wal
        .bytes_in_head(|window| shared.head.read().has_window(window));
    let full = !shared.squeeze(options.max_memory) || logged_bytes > options.max_bytes / 4;
    let windows: Vec<UnixMillis> = shared.head.read().windows().collect();
    // Looked at behind the windows, so that none is ahead of it but by a jump of the clock. A block
    // waits for the log: what is logged behind it would be read twice at the next start.
    let latest = shared.clock.lock().last().unwrap_or(logged);
    let over = logged.min(latest).before(GRACE);
    let ahead = logged.max(latest).after(GRACE);
    let mut cut_some = false;
    for window in windows {
        let is_other = block_end(window) <= over || window > ahead;
        let came_last = shared.head.read().came_last(window);
        let comes = came_last.is_some_and(|came| over < came && came <= ahead);
        if full || is_other && !comes {
            cut(shared, log, folder, window)?;
            cut_some = true;
        }
    }
    Ok(cut_some)
}

fn cut(shared: &Shared, log: &mut Log, folder: &Path, window: UnixMillis) -> io::Result<()> {
    let segment = log.close_window(window, &shared.wal);
    let closed = shared.head.write().close_window(window);
    let mut sorted: Vec<_> = {
        let index = shared.index.read();
        closed
            .iter()
            .filter_map(|(id, chunks)| Some((index.labels(*id)?.clone(), chunks)))
            .collect()
    };
    sorted.sort_by(|a, b| a.0.packed().cmp(b.0.packed()));
    let mut writer = BlockWriter::create(folder, window..block_end(window))?;
    writer.covers(segment);
    let mut unpacker = Unpacker::default();
    for (labels, chunks) in sorted {
        let mut merge = Merge::default();
        for chunk in chunks {
            unpacker.read(chunk, TimeSpan::ALL, &mut merge);
        }
        let (times, values) = merge.finish();
        writer.add(&labels, &times, &values)?;
    }
    writer.finish()?;
    shared.rescan(folder, true)?;
    shared.head.write().drop_window(window, &closed);
    Ok(())
}

/// Deletes blocks and segments that are expired, beyond the limit of bytes, or no longer needed.
///
/// # Errors
/// A file cannot be deleted.
pub(super) fn prune(shared: &Shared, folder: &Path) -> io::Result<()> {
    let free = shared
        .wal
        .free(|window| shared.head.read().has_window(window));
    remove_from_list(shared, folder, &free);
    for number in free {
        shared.wal.delete(folder, number)?;
    }
    if let Some(expired) = expired(shared) {
        for block in shared
            .blocks
            .all()
            .iter()
            .filter(|block| block.span.last < expired)
        {
            shared.blocks.delete(block)?;
        }
    }
    loop {
        let blocks = shared.blocks.all();
        let bytes = blocks.iter().map(|block| block.bytes).sum::<u64>() + shared.wal.bytes();
        if bytes <= shared.options.max_bytes {
            break;
        }
        let block = blocks.iter().min_by_key(|block| block.span.last);
        let segment = shared
            .wal
            .oldest_held(|window| shared.head.read().has_window(window));
        match (block, segment) {
            (Some(block), Some(HeldSegment { newest, .. })) if block.span.last < newest => {
                shared.blocks.delete(block)?
            }
            (_, Some(HeldSegment { number, .. })) => {
                remove_from_list(shared, folder, &[number]);
                shared.wal.delete(folder, number)?;
            }
            (Some(block), None) => shared.blocks.delete(block)?,
            (None, None) => break,
        }
    }
    Ok(())
}

/// Removes segments from the list before they are deleted, so that none counts as missing after a crash.
/// They are deleted even if that fails, because the disk may be full.
fn remove_from_list(shared: &Shared, folder: &Path, leaving: &[u64]) {
    if !leaving.is_empty() {
        shared.wal.list(folder, leaving, false).ok();
    }
}
