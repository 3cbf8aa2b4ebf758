//! Names of blocks: a number that grows, and chance, so that two processes never take the same.

use std::io;
use std::path::Path;

const BLOCK: &str = ".block";
/// What becomes of a block that nothing can be read of.
pub(super) const DAMAGED: &str = ".damaged";
const TEMPORARY: &str = ".tmp";

/// The order of a block among all: by number, and by chance among those of one number.
pub(super) type Order = (u64, u32);

/// The order of the block with this name, if it is one.
pub(super) fn order(name: &str) -> Option<Order> {
    let (number, chance) = name.strip_suffix(BLOCK)?.split_once('-')?;
    Some((number.parse().ok()?, u32::from_str_radix(chance, 16).ok()?))
}

/// The orders and names of the blocks in `folder`, ascending.
pub(super) fn list(folder: &Path) -> io::Result<Vec<(Order, String)>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        if let Some(name) = name.to_str()
            && let Some(order) = order(name)
        {
            names.push((order, name.to_owned()));
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// A name behind those of all blocks in `folder`, damaged ones included.
pub(super) fn next(folder: &Path) -> io::Result<String> {
    let mut last = 0;
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let name = name
            .to_str()
            .map(|name| name.strip_suffix(DAMAGED).unwrap_or(name));
        last = last.max(name.and_then(order).map_or(0, |(number, _)| number));
    }
    Ok(format!("{:010}-{:08x}{BLOCK}", last + 1, fastrand::u32(..)))
}

pub(super) fn temporary() -> String {
    format!(
        "{}-{:08x}{TEMPORARY}",
        std::process::id(),
        fastrand::u32(..)
    )
}

/// The process that writes the temporary file with this name.
pub(super) fn writer(name: &str) -> Option<u32> {
    name.strip_suffix(TEMPORARY)?
        .split_once('-')?
        .0
        .parse()
        .ok()
}
