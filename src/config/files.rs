//! The files beside the declaration that it names.

use std::io;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::declare::{Problem, Spanned};
use crate::prometheus::RuleFile;

use super::load::{self, Loaded, Source};

/// Reads the rule files that `loaded` names. What is wrong is noted in it.
pub fn read_rule_files(loaded: &mut Loaded) {
    let Some(root) = &loaded.root else { return };
    let folder = folder(&loaded.source);
    let mut paths = Vec::new();
    for named in &root.performance_monitor.alerting.rule_files {
        match expanded(&folder.join(&named.value)) {
            Ok(found) if found.is_empty() => loaded.warnings.push(no_file(named)),
            Ok(found) => paths.extend(found.into_iter().map(|path| (path, &named.at))),
            Err(error) => {
                let shown = named.value.display();
                loaded.problems.error(&named.at, format!("cannot look for {shown}: {error}"));
            }
        }
    }
    // A file that two names stand for is read once.
    let mut seen = std::collections::BTreeSet::new();
    paths.retain(|(path, _)| seen.insert(path.clone()));
    for (path, at) in paths {
        match load::read(&path) {
            Ok(text) => loaded.rule_files.push(RuleFile { path, text }),
            Err((message, hint)) => {
                let message = format!("{}: {message}", path.display());
                loaded.problems.error(at, message).hint_if(hint);
            }
        }
    }
}

fn no_file(named: &Spanned<PathBuf>) -> Problem {
    Problem {
        at: named.at.clone(),
        message: format!("no file fits {}", named.value.display()),
        hint: None,
    }
}

/// The folder that relative paths begin at.
fn folder(source: &Source) -> PathBuf {
    match source {
        Source::Embedded => PathBuf::new(),
        Source::File(path) => path.parent().map(Path::to_owned).unwrap_or_default(),
    }
}

/// The files that `pattern` stands for, in order; itself where it is none.
///
/// # Errors
/// It is no pattern.
pub fn expanded(pattern: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        match matcher(component)? {
            None => found.iter_mut().for_each(|path| path.push(component)),
            Some(matcher) => {
                found = found.iter().flat_map(|path| fitting(path, &matcher)).collect();
            }
        }
    }
    Ok(found)
}

fn matcher(component: Component<'_>) -> io::Result<Option<GlobMatcher>> {
    let Component::Normal(name) = component else { return Ok(None) };
    let name = name.to_string_lossy();
    if !name.contains(['*', '?', '[']) {
        return Ok(None);
    }
    let glob = GlobBuilder::new(&name).literal_separator(true).build();
    glob.map(|glob| Some(glob.compile_matcher())).map_err(io::Error::other)
}

/// What is in `folder` and fits; a folder that is not there has nothing.
fn fitting(folder: &Path, matcher: &GlobMatcher) -> Vec<PathBuf> {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = std::fs::read_dir(here).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name()).filter(|name| matcher.is_match(name));
    let mut found: Vec<PathBuf> = names.map(|name| folder.join(name)).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_the_files_that_fit() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a/x.yml", "a/y.yml", "a/z.txt", "b/x.yml"] {
            std::fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            std::fs::write(at(name), "").unwrap();
        }
        let found = |pattern: &str| expanded(&at(pattern)).unwrap();
        assert_eq!(found("a/*.yml"), [at("a/x.yml"), at("a/y.yml")]);
        assert_eq!(found("*/[xy].yml"), [at("a/x.yml"), at("a/y.yml"), at("b/x.yml")]);
        assert_eq!(found("a/none.yml"), [at("a/none.yml")]);
        assert_eq!(found("none/*.yml"), Vec::<PathBuf>::new());
        assert!(expanded(&at("a/[")).is_err());
    }
}
