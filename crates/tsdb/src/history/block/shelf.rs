//! All blocks of a folder: found, kept in order, deleted.

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
use crate::history::stats::Losses;

/// The blocks of a folder, in the order in which they were written.
#[derive(Debug, Default)]
pub(in super::super) struct Shelf {
    blocks: RwLock<Arc<Vec<Arc<Block>>>>,
    /// Those that could not be read: not tried again.
    unreadable: Mutex<HashSet<Order>>,
}

impl Shelf {
    /// The blocks there are now.
    pub fn all(&self) -> Arc<Vec<Arc<Block>>> {
        Arc::clone(&self.blocks.read())
    }

    /// Finds blocks that came into `folder` and notices those that somebody else took away.
    /// `intern` numbers the series of a block. `repair`: moves aside what can't be read.
    pub fn rescan(
        &self,
        folder: &Path,
        repair: bool,
        intern: &mut dyn FnMut(&[Vec<LabelSet>]) -> Vec<u32>,
    ) -> io::Result<Losses> {
        let mut losses = Losses::default();
        let names = name::list(folder)?;
        let mut blocks: Vec<Arc<Block>> = self.all().to_vec();
        let there: HashSet<Order> = names.iter().map(|(order, _)| *order).collect();
        blocks.retain(|block| {
            let missing = !there.contains(&block.order);
            if missing {
                warn!("a block of history is gone: {}", block.path.display());
                losses.missing_blocks += 1;
                block.retired.store(true, Relaxed);
            }
            !missing
        });
        let mut known: HashSet<Order> = blocks.iter().map(|block| block.order).collect();
        known.extend(self.unreadable.lock().iter());
        for (order, name) in names
            .into_iter()
            .filter(|(order, _)| !known.contains(order))
        {
            let path = folder.join(name);
            match open(&path) {
                Ok(found) => {
                    if found.damaged > 0 {
                        warn!("{}: damaged; what is whole of it is read", path.display());
                        losses.chunks += found.damaged;
                    }
                    let series = share(intern(&found.labels), blocks.last());
                    blocks.push(Arc::new(Block::new(order, path, found, series)));
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

/// The series of a block, kept once for neighbours that have the same.
fn share(series: Vec<u32>, neighbour: Option<&Arc<Block>>) -> Arc<[u32]> {
    match neighbour {
        Some(neighbour) if *neighbour.series == *series => Arc::clone(&neighbour.series),
        _ => series.into(),
    }
}

/// Takes what is no block out of the way; what may be one, but can't be read, stays.
fn set_aside(path: &Path, error: &io::Error, repair: bool) {
    warn!(
        "{}: {error}; it is left out; hint: put a whole copy there if you have one",
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
            warn!("{}: can't be moved aside: {error}", path.display());
        }
    }
}

/// Removes temporary files of processes that are gone.
pub(in super::super) fn sweep(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let writer = name.to_str().and_then(name::writer);
        let gone = writer.is_some_and(|process| {
            process == std::process::id() || !Path::new("/proc").join(process.to_string()).exists()
        });
        if gone {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
