//! Files that a configuration includes, and the merge of all of them.

mod reader;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_schema::{Diagnostics, Environment, Node, Spanned, section};

use super::load::{ReadFile, Source};
use reader::Reader;

section! {
    /// Files that belong to the configuration.
    pub struct Include {
        /// Further files of the configuration, as paths or patterns (`conf.d/*.yaml`). A relative
        /// path starts at the directory of the file that has it. A pattern that matches nothing is
        /// no error; its files are read in the order of their names, without hidden ones. Sections
        /// merge key by key, lists are appended. An entry whose `name` is in an earlier file is an
        /// error, unless it has `override: true`: then it replaces that entry as a whole. A value
        /// outside of lists that two files set is an error.
        pub include: Vec<Spanned<PathBuf>> = Vec::new(),
    }
}

/// One file of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// Path; that of an included file begins with the directory of the file that includes it.
    pub path: PathBuf,
    /// CRC-32 of the text.
    pub checksum: u32,
}

/// Describes the differences of two lists of files: `new conf.d/a.yaml, removed conf.d/b.yaml`;
/// empty if there are none. The first file is left out, whose changes nobody has to find.
#[must_use]
pub fn changed_files(before: &[ConfigFile], after: &[ConfigFile]) -> String {
    let old: HashMap<&Path, u32> = checksums(before);
    let new: HashMap<&Path, u32> = checksums(after);
    let added_or_changed = after.iter().skip(1).filter_map(|file| {
        let word = match old.get(&*file.path) {
            None => "new",
            Some(checksum) if *checksum != file.checksum => "changed",
            Some(_) => return None,
        };
        Some((word, &file.path))
    });
    let removed = before
        .iter()
        .skip(1)
        .filter(|file| !new.contains_key(&*file.path))
        .map(|file| ("removed", &file.path));
    let changes: Vec<String> = added_or_changed
        .chain(removed)
        .map(|(word, path)| format!("{word} {}", path.display()))
        .collect();
    changes.join(", ")
}

fn checksums(files: &[ConfigFile]) -> HashMap<&Path, u32> {
    files
        .iter()
        .map(|file| (&*file.path, file.checksum))
        .collect()
}

/// The files of a configuration as one.
pub(super) struct Merged {
    /// Merged tree; `None` if the first file is no YAML.
    pub(super) tree: Option<Node>,
    /// The files in the order in which they were read; the first includes the others.
    pub(super) files: Vec<ConfigFile>,
    /// Names of the files for locations; none if there is only one.
    pub(super) names: Vec<Arc<str>>,
    /// CRC-32 of all texts.
    pub(super) checksum: u32,
}

/// Reads the files that `text` includes, and merges all of them.
pub(super) fn read_included(
    source: &Source,
    text: &str,
    environment: Environment<'_>,
    read_file: ReadFile<'_>,
    problems: &mut Diagnostics,
) -> Merged {
    // An embedded configuration is in no directory in which files could be.
    let follow = matches!(source, Source::File(_));
    Reader::new(environment, read_file, problems).read(source.path(), text, follow)
}
