//! Reads the files of a configuration one after the other, within limits.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_schema::{
    Decode, DecodeContext, Diagnostics, Environment, Key, Node, SourceLocation, Spanned, Value,
    YamlError, merge, parse_numbered,
};

use super::{ConfigFile, Include, Merged};
use crate::files::{expanded, has_wildcard};
use crate::load::{MAX_BYTES, ReadFile};

/// Maximum number of files of a configuration.
const MAX_FILES: usize = 1000;
/// Maximum number of files that include each other in a row.
const MAX_DEPTH: usize = 10;

/// Device and inode: two names may be those of one file.
type FileId = (u64, u64);

fn id(metadata: &Metadata) -> FileId {
    (metadata.dev(), metadata.ino())
}

/// Reader of a configuration, with what it has read so far.
pub(super) struct Reader<'a> {
    environment: Environment<'a>,
    read_file: ReadFile<'a>,
    problems: &'a mut Diagnostics,
    files: Vec<ConfigFile>,
    names: Vec<Arc<str>>,
    trees: Vec<Node>,
    /// Numbers of the files that were read, from 1.
    numbers: HashMap<FileId, usize>,
    /// Location of the entry that includes each file; the first has none.
    included_at: Vec<Option<SourceLocation>>,
    /// Numbers of the files that are being read, each included by the one before.
    open: Vec<usize>,
    bytes: u64,
    hasher: crc32fast::Hasher,
    is_full: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        environment: Environment<'a>,
        read_file: ReadFile<'a>,
        problems: &'a mut Diagnostics,
    ) -> Self {
        Self {
            environment,
            read_file,
            problems,
            files: Vec::new(),
            names: Vec::new(),
            trees: Vec::new(),
            numbers: HashMap::new(),
            included_at: vec![None],
            open: Vec::new(),
            bytes: 0,
            hasher: crc32fast::Hasher::new(),
            is_full: false,
        }
    }

    /// Reads the first file, with its text, and merges it with those that it includes if `follow`.
    pub(super) fn read(mut self, path: &Path, text: &str, follow: bool) -> Merged {
        if let Ok(metadata) = fs::metadata(path) {
            self.numbers.insert(id(&metadata), 1);
        }
        self.file(path.to_owned(), text, follow);
        self.finish()
    }

    /// Adds a file and those that it includes, which follow it.
    fn file(&mut self, path: PathBuf, text: &str, follow: bool) {
        self.bytes += text.len() as u64;
        self.hasher.update(text.as_bytes());
        self.names.push(path.display().to_string().into());
        self.files.push(ConfigFile {
            path,
            checksum: crc32fast::hash(text.as_bytes()),
        });
        let number = self.files.len();
        let mut tree = match parse_numbered(text, number as u16) {
            Ok(tree) => tree,
            Err(YamlError { at: pos, message }) => {
                let at = SourceLocation {
                    pos,
                    file: Some(self.names[number - 1].clone()),
                    ..SourceLocation::default()
                };
                self.problems.error(&at, message);
                return;
            }
        };
        let included = self.take_include(&mut tree);
        self.trees.push(tree);
        if follow {
            self.open.push(number);
            included.iter().for_each(|entry| self.entry(number, entry));
            self.open.pop();
        }
    }

    /// Removes the key `include` from a file, and returns its value.
    fn take_include(&mut self, tree: &mut Node) -> Vec<Spanned<PathBuf>> {
        let Value::Map(entries) = &mut tree.value else {
            return Vec::new();
        };
        let is_include = |(key, _): &mut (Key, Node)| key.text == "include";
        let taken = Node {
            pos: tree.pos,
            value: Value::Map(entries.extract_if(.., is_include).collect()),
        };
        let mut cx = DecodeContext::for_files(self.problems, self.environment, &self.names);
        Include::decode(&taken, &mut cx)
            .map(|include| include.include)
            .unwrap_or_default()
    }

    /// Reads the files of one entry of the file `number`.
    fn entry(&mut self, number: usize, entry: &Spanned<PathBuf>) {
        let folder = self.files[number - 1].path.parent().map(Path::to_owned);
        let pattern = folder.unwrap_or_default().join(&entry.value);
        if !has_wildcard(&entry.value) {
            self.include(pattern, &entry.at);
            return;
        }
        let paths = match expanded(&pattern) {
            Ok(paths) => paths,
            Err(error) => {
                let message = format!("cannot find files {}: {error}", entry.value.display());
                self.problems.error(&entry.at, message);
                return;
            }
        };
        let shows_hidden = is_hidden(&pattern);
        for path in paths {
            if shows_hidden || !is_hidden(&path) {
                self.include(path, &entry.at);
            }
        }
    }

    fn include(&mut self, path: PathBuf, at: &SourceLocation) {
        if self.is_full {
            return;
        }
        let shown = path.display().to_string();
        let metadata = fs::metadata(&path).ok();
        if let Some(first) = metadata.as_ref().and_then(|it| self.numbers.get(&id(it))) {
            let first = *first;
            self.repeated(first, &shown, at);
            return;
        }
        if self.open.len() >= MAX_DEPTH {
            self.problems
                .error(
                    at,
                    format!("more than {MAX_DEPTH} files include each other in a row"),
                )
                .hint("include the files of a directory from one file: conf.d/*.yaml");
            return;
        }
        if self.files.len() >= MAX_FILES {
            self.stop(at, &format!("it has more than {MAX_FILES} files"));
            return;
        }
        let text = match (self.read_file)(&path) {
            Ok(text) => text,
            Err(error) => {
                let hint = hint(&path);
                self.problems
                    .error(at, format!("{shown}: {error}"))
                    .hint_if(error.hint.or(hint));
                return;
            }
        };
        if self.bytes + text.len() as u64 > MAX_BYTES {
            let limit = MAX_BYTES >> 20;
            self.stop(at, &format!("with {shown} it is larger than {limit} MiB"));
            return;
        }
        if let Some(metadata) = metadata {
            self.numbers.insert(id(&metadata), self.files.len() + 1);
        }
        self.included_at.push(Some(at.clone()));
        self.file(path, &text, true);
    }

    /// Reports a file that was read before.
    fn repeated(&mut self, first: usize, shown: &str, at: &SourceLocation) {
        let name = self.names[first - 1].clone();
        let circle = self.open.iter().position(|number| *number == first);
        let Some(start) = circle else {
            let same = match *name == *shown {
                true => String::new(),
                false => format!(", it is the same file as {name}"),
            };
            let before = self.included_at[first - 1].as_ref();
            let hint = before.map(|at| {
                let place = at.words();
                format!("it is also included on {place}; a pattern may match it too: keep one")
            });
            self.problems
                .error(at, format!("{shown} is included twice{same}"))
                .hint_if(hint);
            return;
        };
        let names = self.open[start..]
            .iter()
            .map(|number| &*self.names[number - 1]);
        let circle: Vec<&str> = names.chain([&*name]).collect();
        let message = match circle.len() {
            2 => format!("{name} includes itself"),
            _ => format!("files include each other: {}", circle.join(" -> ")),
        };
        self.problems
            .error(at, message)
            .hint("put files that are included into a directory of their own: conf.d/*.yaml");
    }

    fn stop(&mut self, at: &SourceLocation, reason: &str) {
        self.problems
            .error(at, format!("the configuration is too large: {reason}"));
        self.is_full = true;
    }

    fn finish(self) -> Merged {
        let names = match self.names.len() {
            1 => Vec::new(),
            _ => self.names,
        };
        let first_is_read = self.trees.first().is_some_and(|tree| tree.pos.file == 1);
        let tree = first_is_read.then(|| {
            let mut cx = DecodeContext::for_files(self.problems, self.environment, &names);
            let trees = only_mappings(self.trees, &mut cx);
            merge(trees, &mut cx)
        });
        Merged {
            tree,
            files: self.files,
            names,
            checksum: self.hasher.finalize(),
        }
    }
}

/// Removes included files that are no mapping, and reports them. The first file is reported when it
/// is decoded.
fn only_mappings(trees: Vec<Node>, cx: &mut DecodeContext<'_>) -> Vec<Node> {
    let fits =
        |tree: &Node| tree.pos.file == 1 || matches!(tree.value, Value::Map(_) | Value::Null);
    let (fitting, others): (Vec<Node>, Vec<Node>) = trees.into_iter().partition(fits);
    for tree in others {
        let message = format!("expected a mapping, found {}", tree.form());
        cx.error(tree.pos, message).hint(
            "an included file has the sections of the configuration: performance_monitor, ...",
        );
    }
    fitting
}

/// Returns how to include what `path` is, or what to do if it is missing.
fn hint(path: &Path) -> Option<&'static str> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            Some("to include the files in it, write a pattern: conf.d/*.yaml")
        }
        Ok(_) => None,
        Err(_) => Some("create it, or write a pattern, which may match nothing: conf.d/*.yaml"),
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}
