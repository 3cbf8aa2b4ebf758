//! The list of the blocks there were, so that one that somebody took away while no process ran is
//! missed at the next start.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use super::read::Block;
use bellwether_files::{self as files, Output};

/// Name of the list in the folder.
const NAME: &str = "blocks.list";

/// Writes down which blocks there are, with the times of their last samples.
pub(in super::super) fn write(folder: &Path, blocks: &[Arc<Block>]) -> io::Result<()> {
    let mut list = Output::state(&folder.join(NAME))?;
    for block in blocks {
        let name = block.path.file_name().unwrap_or_default().to_string_lossy();
        writeln!(list, "{name} {}", block.end)?;
    }
    list.finish()
}

/// The blocks that are in the list and not among `blocks`. Those whose last sample is older than
/// `expired` may have been deleted for their age right before a crash.
pub(in super::super) fn missing(folder: &Path, blocks: &[Arc<Block>], expired: i64) -> Vec<String> {
    let Ok(list) = files::read_text(&folder.join(NAME), files::SMALL) else { return Vec::new() };
    let is_there = |name: &str| {
        blocks.iter().any(|block| block.path.file_name().is_some_and(|there| there == name))
    };
    let mut missing = Vec::new();
    for line in list.lines() {
        if let Some((name, end)) = line.split_once(' ')
            && end.parse::<i64>().is_ok_and(|end| end >= expired)
            && !is_there(name)
            // What could not be read was moved aside, and told.
            && !files::beside(&folder.join(name), super::name::DAMAGED).exists()
            && !folder.join(name).exists()
        {
            missing.push(name.to_owned());
        }
    }
    missing
}
