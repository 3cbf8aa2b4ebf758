//! List of blocks, by which the next start detects blocks that were removed while no process ran.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use bellwether_core::UnixMillis;
use bellwether_files::durable::{self, StateError};
use bellwether_files::{self as files, Output};
use tracing::warn;

use super::read::Block;

/// Name of the list in the folder.
const NAME: &str = "blocks.list";
/// Begin of the first line, which has the number of blocks.
const HEAD: &str = "blocks ";

/// Writes the list: names of blocks, with the times of their last samples.
pub(in super::super) fn write(folder: &Path, blocks: &[Arc<Block>]) -> io::Result<()> {
    let mut list = Output::state(&folder.join(NAME))?;
    writeln!(list, "{HEAD}{}", blocks.len())?;
    for block in blocks {
        let name = block.path.file_name().unwrap_or_default().to_string_lossy();
        writeln!(list, "{name} {}", block.span.last.0)?;
    }
    list.finish()
}

/// Returns the blocks that are in the list and not in `blocks`, with the times of their last samples.
/// Ignores blocks whose last sample is older than `expired`, which retention may have deleted right before
/// a crash.
pub(in super::super) fn missing(
    folder: &Path,
    blocks: &[Arc<Block>],
    expired: UnixMillis,
) -> Vec<(String, UnixMillis)> {
    let names: HashSet<&OsStr> = blocks
        .iter()
        .filter_map(|block| block.path.file_name())
        .collect();
    let mut missing = Vec::new();
    for line in read(folder).lines() {
        if let Some((name, end)) = line.split_once(' ')
            && super::name::order(name).is_some()
            && let Ok(end) = end.parse().map(UnixMillis)
            && end >= expired
            && !names.contains(OsStr::new(name))
            // An unreadable block was reported when it was found, and renamed if it is not a block at all.
            && !files::beside(&folder.join(name), super::name::DAMAGED).exists()
            && std::fs::symlink_metadata(folder.join(name)).is_err()
        {
            missing.push((name.to_owned(), end));
        }
    }
    missing
}

/// Reads the list; empty if there is none, or if it is not readable.
fn read(folder: &Path) -> String {
    let list = durable::load_optional(&folder.join(NAME), |list| {
        str::from_utf8(list)
            .ok()
            .filter(|list| is_whole(list))
            .map(str::to_owned)
            .ok_or_else(|| StateError::Invalid("it is damaged".to_owned()))
    });
    list.unwrap_or_else(|error| {
        warn!("{error}; blocks of history that were removed cannot be detected");
        None
    })
    .unwrap_or_default()
}

/// Returns whether the list is complete.
fn is_whole(list: &str) -> bool {
    let head = list.lines().next().and_then(|head| head.strip_prefix(HEAD));
    let count = head.and_then(|count| count.parse::<usize>().ok());
    count == Some(list.lines().count().saturating_sub(1)) && list.ends_with('\n')
}
