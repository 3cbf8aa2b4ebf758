//! Set of the blocks in a directory.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bellwether_core::LabelSet;
use hashbrown::HashSet;
use parking_lot::{Mutex, RwLock};
use tracing::warn;

use super::name::{self, Order};
use super::read::{Block, open};
use crate::history::SeriesId;
use crate::history::stats::Losses;

/// Blocks of a directory, in the order in which they were written.
#[derive(Debug, Default)]
pub(in super::super) struct BlockSet {
    blocks: RwLock<Arc<Vec<Arc<Block>>>>,
    /// Unreadable blocks, which are not retried.
    unreadable: Mutex<HashSet<Order>>,
}

impl BlockSet {
    /// Returns the current blocks.
    pub fn all(&self) -> Arc<Vec<Arc<Block>>> {
        Arc::clone(&self.blocks.read())
    }

    /// Rescans `folder` for new blocks and for blocks that others deleted. `intern` returns ids for the series
    /// of a block. With `repair`, renames files that are not valid blocks.
    pub fn rescan(
        &self,
        folder: &Path,
        repair: bool,
        intern: &mut dyn FnMut(&[Vec<LabelSet>]) -> Vec<SeriesId>,
    ) -> io::Result<Losses> {
        let mut losses = Losses::default();
        let names = name::list(folder)?;
        let mut blocks: Vec<Arc<Block>> = self.all().to_vec();
        let on_disk: HashSet<Order> = names.iter().map(|(order, _)| *order).collect();
        blocks.retain(|block| {
            let missing = !on_disk.contains(&block.order);
            if missing {
                warn!("a block of history is missing: {}", block.path.display());
                losses.missing_blocks += 1;
                block.retired.store(true, Relaxed);
            }
            !missing
        });
        let mut seen: HashSet<Order> = blocks.iter().map(|block| block.order).collect();
        seen.extend(self.unreadable.lock().iter());
        for (order, name) in names.into_iter().filter(|(order, _)| !seen.contains(order)) {
            let path = folder.join(name);
            match open(&path) {
                Ok(file) => {
                    if file.damaged > 0 {
                        warn!("{}: damaged; the readable parts are used", path.display());
                        losses.chunks += file.damaged;
                    }
                    let series = share(intern(&file.labels), blocks.last());
                    blocks.push(Arc::new(Block::new(order, path, file, series)));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    losses.blocks += 1;
                    self.unreadable.lock().insert(order);
                    set_aside(&path, &error, repair);
                }
            }
        }
        blocks.sort_by_key(|block| block.order);
        *self.blocks.write() = Arc::new(blocks);
        Ok(losses)
    }

    /// Deletes a block.
    pub fn delete(&self, block: &Block) -> io::Result<()> {
        block.retired.store(true, Relaxed);
        match std::fs::remove_file(&block.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => {
                let mut blocks = self.blocks.write();
                let left = blocks
                    .iter()
                    .filter(|other| other.order != block.order)
                    .cloned();
                *blocks = Arc::new(left.collect());
                Ok(())
            }
        }
    }
}

/// Shares the series of a block with its neighbour if they are equal.
fn share(series: Vec<SeriesId>, neighbour: Option<&Arc<Block>>) -> Arc<[SeriesId]> {
    match neighbour {
        Some(neighbour) if *neighbour.series == *series => Arc::clone(&neighbour.series),
        _ => series.into(),
    }
}

/// Renames a file that is not a valid block. A file that cannot be read for another reason stays.
fn set_aside(path: &Path, error: &io::Error, repair: bool) {
    warn!(
        "{}: {error}; the block is left out; hint: replace it by an intact copy if you have one",
        path.display()
    );
    if repair
        && matches!(
            error.kind(),
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
        )
    {
        let mut aside = path.as_os_str().to_owned();
        aside.push(name::DAMAGED);
        if let Err(error) = std::fs::rename(path, aside) {
            warn!("{}: cannot rename: {error}", path.display());
        }
    }
}

/// Removes temporary files of processes that no longer run.
pub(in super::super) fn sweep(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let writer = name.to_str().and_then(name::writer);
        let abandoned = writer.is_some_and(|process| {
            process == std::process::id() || !Path::new("/proc").join(process.to_string()).exists()
        });
        if abandoned {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
