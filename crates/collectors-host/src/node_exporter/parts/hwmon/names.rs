//! Names of chips, as node_exporter derives them.

use std::path::Path;

use super::super::super::directory::Directory;

/// Returns a text as a part of a metric's name: lower case, with underscores for other characters.
pub(super) fn clean(name: &str) -> String {
    let characters = name
        .chars()
        .map(|character| match character.to_ascii_lowercase() {
            character @ ('a'..='z' | '0'..='9' | ':' | '_') => character,
            _ => '_',
        });
    let replaced: String = characters.collect();
    replaced.trim_matches('_').to_owned()
}

/// Returns the name of a chip: its device with the bus that this is on, or else the name that its driver gives, or else
/// that of the directory. `None` if nothing of these is there.
pub(super) fn chip_name(directory: &Directory, name: &str) -> Option<String> {
    let device = directory.path().join("device").canonicalize().ok();
    let of_device = device.and_then(|device| {
        let own = part(&device);
        let bus = device.parent().map(part).unwrap_or_default();
        match (own.is_empty(), bus.is_empty()) {
            (true, _) => None,
            (false, true) => Some(own),
            (false, false) => Some(format!("{bus}_{own}")),
        }
    });
    let candidates = [of_device, Some(clean(name)), real_name(directory.path())];
    candidates
        .into_iter()
        .flatten()
        .find(|name| !name.is_empty())
}

fn real_name(path: &Path) -> Option<String> {
    Some(part(&path.canonicalize().ok()?))
}

fn part(path: &Path) -> String {
    clean(&path.file_name().unwrap_or_default().to_string_lossy())
}
