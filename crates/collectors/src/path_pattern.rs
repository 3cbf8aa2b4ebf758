//! Paths with globs in their names: `/var/log/*/access.log`.

use std::io;
use std::path::{Path, PathBuf};

use bellwether_schema::{Diagnostics, Spanned};
use globset::{GlobBuilder, GlobMatcher};

/// Paths that match: a directory, and globs of the names below it.
#[derive(Clone, Debug)]
pub(crate) struct PathPattern {
    /// Directory above the first glob.
    fixed: PathBuf,
    /// Globs by level.
    levels: Vec<GlobMatcher>,
}

impl PathPattern {
    /// Compiles a path of the configuration, and reports one that is not absolute or an invalid glob.
    pub(crate) fn resolve(path: &Spanned<PathBuf>, problems: &mut Diagnostics) -> Option<Self> {
        if !path.value.is_absolute() {
            let message = format!("not an absolute path: {}", path.value.display());
            problems.error(&path.at, message).hint("begin it with /");
        }
        Self::new(&path.value)
            .map_err(|error| {
                let message = format!("invalid glob: {}", error.kind());
                problems.error(&path.at, message);
            })
            .ok()
    }

    pub(crate) fn new(path: &Path) -> Result<Self, globset::Error> {
        let mut pattern = Self {
            fixed: PathBuf::new(),
            levels: Vec::new(),
        };
        for part in path.components() {
            let text = part.as_os_str().to_string_lossy();
            if pattern.levels.is_empty() && !text.contains(['*', '?', '[']) {
                pattern.fixed.push(part);
            } else {
                let glob = GlobBuilder::new(&text).literal_separator(true).build()?;
                pattern.levels.push(glob.compile_matcher());
            }
        }
        Ok(pattern)
    }

    /// Returns the directory above the first glob; without globs the path itself.
    pub(crate) fn fixed(&self) -> &Path {
        &self.fixed
    }

    /// Returns whether `path` matches.
    pub(crate) fn matches(&self, path: &Path) -> bool {
        let Ok(below) = path.strip_prefix(&self.fixed) else {
            return false;
        };
        below.components().count() == self.levels.len()
            && below
                .components()
                .zip(&self.levels)
                .all(|(name, level)| level.is_match(name.as_os_str()))
    }

    /// Returns the paths that there are, sorted. The path itself is returned without a look if it has no glob.
    ///
    /// # Errors
    /// Returns an error if a directory cannot be listed.
    pub(crate) fn paths(&self) -> io::Result<Vec<PathBuf>> {
        let mut found = vec![self.fixed.clone()];
        for level in &self.levels {
            let mut below = Vec::new();
            let directories = found.iter();
            for directory in directories.filter(|path| **path == self.fixed || path.is_dir()) {
                for entry in std::fs::read_dir(directory)?.flatten() {
                    if level.is_match(entry.file_name()) {
                        below.push(entry.path());
                    }
                }
            }
            below.sort();
            found = below;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn globs_of_several_levels_find_what_they_match() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["a/x.log", "a/x.txt", "b/y.log", "c"] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let pattern = PathPattern::new(&folder.path().join("*/?.log")).unwrap();
        let found = pattern.paths().unwrap();
        assert_eq!(
            found,
            ["a/x.log", "b/y.log"].map(|path| folder.path().join(path))
        );
        assert!(found.iter().all(|path| pattern.matches(path)));
        for other in ["a/x.txt", "c", "a/b/x.log"] {
            assert!(!pattern.matches(&folder.path().join(other)), "{other}");
        }
        let path = folder.path().join("none");
        let fixed = PathPattern::new(&path).unwrap();
        assert!(fixed.matches(&path) && !fixed.matches(folder.path()));
        assert_eq!(fixed.paths().unwrap(), [path]);
    }
}
