//! Files that the configuration names.

use std::io::{
    self,
    ErrorKind::{NotADirectory, NotFound, PermissionDenied},
};
use std::path::{Component, Path, PathBuf};

use bellwether_collectors::CollectorEntry;
use bellwether_compat::{FilesError, RuleFile};
use bellwether_routing::read_silences;
use bellwether_schema::{Diagnostic, SourceLocation, Spanned};
use globset::{GlobBuilder, GlobMatcher};

use super::include::ConfigFile;
use super::load::{Loaded, ReadFile};

/// Reads the files that `loaded` names by `read_file`; problems are added to it.
pub(super) fn read_named_files(loaded: &mut Loaded, read_file: ReadFile<'_>) {
    let Some(root) = &loaded.root else { return };
    let alerting = &root.performance_monitor.alerting;
    let (rules, silences) = (alerting.rule_files.clone(), alerting.silence_files.clone());
    for (path, at) in named(&rules, loaded) {
        let text = read_file(&path).unwrap_or_else(|error| {
            let file = Some(path.display().to_string().into());
            let message = format!("{error}, named on {}", at.words());
            loaded
                .problems
                .error(
                    &SourceLocation {
                        file,
                        ..SourceLocation::default()
                    },
                    message,
                )
                .hint_if(error.hint);
            String::new()
        });
        loaded.named_files.push(path.clone());
        loaded.rule_files.push(RuleFile { path, text });
    }
    for (path, text) in read_all(&silences, loaded, read_file) {
        loaded.named_files.push(path.clone());
        let read = read_silences(&path, &text, &mut loaded.problems);
        loaded.silences.extend(read);
    }
    read_collector_files(loaded, read_file);
    read_alertmanager(loaded, read_file);
}

/// Adds the contents of the files that settings of collectors name.
fn read_collector_files(loaded: &mut Loaded, read_file: ReadFile<'_>) {
    let Loaded {
        files,
        root,
        named_files,
        problems,
        warnings,
        ..
    } = loaded;
    let Some(root) = root else { return };
    let collectors = root.performance_monitor.value.collectors.iter_mut();
    for settings in collectors.filter_map(CollectorEntry::named_file) {
        let Some(named) = settings.take_path() else {
            continue;
        };
        let path = folder(files, &named.at).join(&named.value);
        let shown = path.display().to_string();
        match read_file(&path) {
            Ok(text) => settings.set_text(&named.at, &shown, &text, problems),
            Err(error) => problems
                .error(&named.at, format!("{shown}: {error}"))
                .hint_if(error.hint),
        }
        named_files.push(path);
    }
    warnings.extend(problems.take_warnings());
}

/// Adds the contents of an Alertmanager configuration.
fn read_alertmanager(loaded: &mut Loaded, read_file: ReadFile<'_>) {
    let Loaded {
        files,
        root,
        named_files,
        problems,
        warnings,
        ..
    } = loaded;
    let Some(alerting) = root
        .as_mut()
        .map(|root| &mut root.performance_monitor.value.alerting)
    else {
        return;
    };
    let Some(named) = alerting.alertmanager_config.take() else {
        return;
    };
    let path = folder(files, &named.at).join(&named.value);
    let texts = |pattern: &Path| texts(pattern, read_file);
    let mut read = match read_file(&path) {
        Ok(text) => bellwether_compat::alertmanager(&path, &text, &texts, problems),
        Err(error) => {
            let message = format!("{}: {error}", path.display());
            problems.error(&named.at, message).hint_if(error.hint);
            return;
        }
    };
    named_files.push(path);
    if alerting.routes.is_some() {
        problems
            .error(&named.at, "both `alertmanager_config` and `routes`")
            .hint("`bellwether config` prints the routes of the former: take what you need of it");
    }
    alerting.notifications.channels.append(&mut read.channels);
    alerting.receivers.append(&mut read.receivers);
    alerting.time_intervals.append(&mut read.time_intervals);
    alerting.inhibit_rules.append(&mut read.inhibit_rules);
    alerting.routes = read.routes.or_else(|| alerting.routes.take());
    warnings.append(&mut read.warnings);
}

/// Reads the files that `pattern` matches; no file is no error.
fn texts(pattern: &Path, read_file: ReadFile<'_>) -> Result<Vec<(PathBuf, String)>, FilesError> {
    let paths = expanded(pattern).map_err(|error| format!("{}: {error}", pattern.display()))?;
    let there = paths.into_iter().filter(|path| path.exists());
    there
        .map(|path| match read_file(&path) {
            Ok(text) => Ok((path, text)),
            Err(error) => Err(format!("{}: {error}", path.display()).into()),
        })
        .collect()
}

/// Reads the files that `names` match.
fn read_all(
    names: &[Spanned<PathBuf>],
    loaded: &mut Loaded,
    read_file: ReadFile<'_>,
) -> Vec<(PathBuf, String)> {
    let mut texts = Vec::new();
    for (path, at) in named(names, loaded) {
        match read_file(&path) {
            Ok(text) => texts.push((path, text)),
            Err(error) => {
                let message = format!("{}: {error}", path.display());
                loaded.problems.error(&at, message).hint_if(error.hint);
            }
        }
    }
    texts
}

/// Returns the files that `names` match, each once, with the location of the name.
fn named(names: &[Spanned<PathBuf>], loaded: &mut Loaded) -> Vec<(PathBuf, SourceLocation)> {
    let mut paths = Vec::new();
    for named in names {
        let folder = folder(&loaded.files, &named.at);
        match expanded(&folder.join(&named.value)) {
            Ok(found) if found.is_empty() => loaded.warnings.push(no_file(named)),
            Ok(found) => paths.extend(found.into_iter().map(|path| (path, named.at.clone()))),
            // Only the rules in it are missing, as after a wrong rule file.
            Err(error) if error.kind() == PermissionDenied => {
                let shown = named.value.display();
                let message = format!("cannot find files {shown}: {error}");
                loaded.warnings.push(Diagnostic {
                    message,
                    ..no_file(named)
                });
            }
            Err(error) => {
                let shown = named.value.display();
                loaded
                    .problems
                    .error(&named.at, format!("cannot find files {shown}: {error}"));
            }
        }
    }
    // A file that two names match is read once.
    let mut seen = std::collections::BTreeSet::new();
    paths.retain(|(path, _)| seen.insert(path.clone()));
    paths
}

fn no_file(named: &Spanned<PathBuf>) -> Diagnostic {
    Diagnostic {
        location: named.at.clone(),
        message: format!("no file matches {}", named.value.display()),
        help: None,
    }
}

/// Returns the directory of the file that has the value at `at`: relative paths start from it.
fn folder(files: &[ConfigFile], at: &SourceLocation) -> PathBuf {
    let number = usize::from(at.pos.file).max(1);
    let file = files.get(number - 1);
    let folder = file.and_then(|file| file.path.parent());
    folder.map(Path::to_owned).unwrap_or_default()
}

/// Maximum number of files and directories that a pattern may match at each of its parts.
const MOST_FITTING: usize = 1000;

/// Returns the files that `pattern` matches, sorted; a name without wildcards matches itself.
///
/// # Errors
/// The pattern is invalid, matches more than `MOST_FITTING` files, or a directory cannot be read.
pub fn expanded(pattern: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        match matcher(component)? {
            None => found.iter_mut().for_each(|path| path.push(component)),
            Some(matcher) => {
                let mut fit = Vec::new();
                for path in &found {
                    fit.append(&mut fitting(path, &matcher)?);
                    if fit.len() > MOST_FITTING {
                        break;
                    }
                }
                found = fit;
                if found.len() > MOST_FITTING {
                    let message =
                        format!("it matches more than {MOST_FITTING} files and directories");
                    return Err(io::Error::other(message));
                }
            }
        }
    }
    Ok(found)
}

const WILDCARDS: [char; 3] = ['*', '?', '['];

/// Returns whether `path` is a pattern.
pub(super) fn has_wildcard(path: &Path) -> bool {
    path.to_string_lossy().contains(WILDCARDS)
}

fn matcher(component: Component<'_>) -> io::Result<Option<GlobMatcher>> {
    let Component::Normal(name) = component else {
        return Ok(None);
    };
    let name = name.to_string_lossy();
    if !name.contains(WILDCARDS) {
        return Ok(None);
    }
    if name.contains("**") {
        return Err(io::Error::other(
            "`**` is no pattern here; name each directory, or `*` for one",
        ));
    }
    let glob = GlobBuilder::new(&name).literal_separator(true).build();
    glob.map(|glob| Some(glob.compile_matcher()))
        .map_err(io::Error::other)
}

/// Returns the matching entries of `folder`; none if there is no such directory.
fn fitting(folder: &Path, matcher: &GlobMatcher) -> io::Result<Vec<PathBuf>> {
    let here = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let entries = match std::fs::read_dir(here) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => return Ok(Vec::new()),
        Err(error) => {
            return Err(io::Error::new(
                error.kind(),
                format!("{}: {error}", here.display()),
            ));
        }
    };
    let names = entries
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| matcher.is_match(name));
    // The caller fails above this limit, and a directory may have millions of entries.
    let mut found: Vec<PathBuf> = names
        .take(MOST_FITTING + 1)
        .map(|name| folder.join(name))
        .collect();
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_files() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a/x.yml", "a/y.yml", "a/z.txt", "b/x.yml"] {
            std::fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            std::fs::write(at(name), "").unwrap();
        }
        let found = |pattern: &str| expanded(&at(pattern)).unwrap();
        assert_eq!(found("a/*.yml"), [at("a/x.yml"), at("a/y.yml")]);
        assert_eq!(
            found("*/[xy].yml"),
            [at("a/x.yml"), at("a/y.yml"), at("b/x.yml")]
        );
        assert_eq!(found("a/none.yml"), [at("a/none.yml")]);
        assert_eq!(found("none/*.yml"), Vec::<PathBuf>::new());
        assert!(expanded(&at("a/[")).is_err());
        let error = expanded(&at("**/x.yml")).unwrap_err().to_string();
        assert!(error.contains("`**` is no pattern"), "{error}");
        for number in 0..=MOST_FITTING {
            std::fs::write(at(&format!("a/{number}.many")), "").unwrap();
        }
        let error = expanded(&at("a/*.many")).unwrap_err().to_string();
        assert!(error.contains("more than 1000"), "{error}");
    }
}
