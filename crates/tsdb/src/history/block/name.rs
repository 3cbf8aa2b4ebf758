//! Names of blocks: an ascending number and a random one, so that two processes never use the same name.

use std::io;
use std::path::Path;

const BLOCK: &str = ".block";
/// Suffix of a block that is not readable.
pub(super) const DAMAGED: &str = ".damaged";
const TEMPORARY: &str = ".tmp";

/// Order of blocks: by number, then by the random number.
pub(super) type Order = (u64, u32);

/// Returns the order of a block by its name; `None` if it is not the name of a block.
pub(super) fn order(name: &str) -> Option<Order> {
    let (number, random) = name.strip_suffix(BLOCK)?.split_once('-')?;
    Some((number.parse().ok()?, u32::from_str_radix(random, 16).ok()?))
}

/// Returns orders and names of the blocks in `folder`, ascending.
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

/// Returns a name behind those of all blocks in `folder`, damaged ones included.
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

/// Returns the id of the process that writes the temporary file with this name.
pub(super) fn writer(name: &str) -> Option<u32> {
    name.strip_suffix(TEMPORARY)?
        .split_once('-')?
        .0
        .parse()
        .ok()
}
