//! Files in the text format that other programs write: the textfile collector of node_exporter.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bellwether_core::{Batch, Failure, Kind, Now, SeriesBatch};
use bellwether_exposition::{Format, SeriesParser};
use bellwether_files as files;
use bellwether_schema::{Spanned, section};
use globset::{GlobBuilder, GlobMatcher};
use tokio::task::spawn_blocking;

use crate::{Build, Collecting, Collector, EntryContext, EntryType};

section! {
    /// Collector of type `textfile`: series in the files `*.prom` of directories, as the textfile collector of
    /// node_exporter. A file that is invalid costs its own series. Programs write such a file under another name
    /// and rename it, so that it is never read half-written.
    pub struct Textfile {
        /// Directories. Names may have `*`, `?` and `[...]`.
        pub directories: Vec<Spanned<PathBuf>>,
    }
}

impl EntryType for Textfile {
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build> {
        if self.directories.is_empty() {
            context
                .problems
                .error(context.at, "no directories")
                .hint("set `directories: [/var/lib/prometheus/node-exporter]`, for example");
        }
        let mut patterns = Vec::new();
        for directory in &self.directories {
            let text = directory.value.to_string_lossy();
            if !directory.value.is_absolute() {
                context
                    .problems
                    .error(&directory.at, format!("not an absolute path: {text}"))
                    .hint("begin it with /");
            }
            match Pattern::new(&directory.value) {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => {
                    let message = format!("invalid glob: {}", error.kind());
                    context.problems.error(&directory.at, message);
                }
            }
        }
        let limit = context.limits.bytes.0;
        context.build(move |_| TextfileCollector {
            patterns: patterns.clone(),
            reader: Some(Reader {
                limit,
                known: BTreeMap::new(),
            }),
        })
    }
}

/// Directories whose path matches.
#[derive(Clone)]
struct Pattern {
    /// Directory above the first glob.
    fixed: PathBuf,
    /// Globs of the names below it, by level.
    levels: Vec<GlobMatcher>,
}

impl Pattern {
    fn new(path: &Path) -> Result<Self, globset::Error> {
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

    /// Returns the directories that there are, sorted.
    fn directories(&self) -> io::Result<Vec<PathBuf>> {
        let mut found = vec![self.fixed.clone()];
        for level in &self.levels {
            let mut below = Vec::new();
            for directory in &found {
                for entry in std::fs::read_dir(directory)?.flatten() {
                    if level.is_match(entry.file_name()) && entry.path().is_dir() {
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

/// Collects the series of text files.
struct TextfileCollector {
    patterns: Vec<Pattern>,
    /// `None` while a blocking thread has it.
    reader: Option<Reader>,
}

impl Collector for TextfileCollector {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, _: Now) -> Collecting<'a> {
        Box::pin(async move {
            let (patterns, reader) = (self.patterns.clone(), self.reader.take());
            let mut reader = reader.ok_or_else(|| Failure::new("io", "still reading"))?;
            let mut series = std::mem::take(&mut batch.series);
            let run = spawn_blocking(move || {
                let result = reader.read_all(&patterns, &mut series);
                (reader, series, result)
            });
            let (reader, series, result) = run
                .await
                .map_err(|error| Failure::new("panic", error.to_string()))?;
            self.reader = Some(reader);
            batch.series = series;
            result
        })
    }
}

/// Reads files, and keeps what it knows of them.
struct Reader {
    limit: u64,
    known: BTreeMap<PathBuf, File>,
}

#[derive(Default)]
struct File {
    /// Version that was read last.
    version: Option<files::Version>,
    text: String,
    parser: SeriesParser,
    error: Option<String>,
}

impl Reader {
    fn read_all(&mut self, patterns: &[Pattern], out: &mut SeriesBatch) -> Result<(), Failure> {
        let mut errors = Vec::new();
        let mut seen = BTreeMap::new();
        for pattern in patterns {
            let paths = pattern.directories().and_then(|directories| {
                let listed: io::Result<Vec<Vec<PathBuf>>> = directories
                    .iter()
                    .map(|directory| list(directory))
                    .collect();
                Ok(listed?.concat())
            });
            match paths {
                Ok(paths) => {
                    for path in paths {
                        let mut file = self.known.remove(&path).unwrap_or_default();
                        let modified = file.read(&path, self.limit, out);
                        if let Some(error) = &file.error {
                            errors.push(format!("{}: {error}", path.display()));
                        }
                        seen.insert(path, (modified, file));
                    }
                }
                Err(error) => errors.push(format!("{}: {error}", pattern.fixed.display())),
            }
        }
        add_own(&seen, !errors.is_empty(), out);
        self.known = seen
            .into_iter()
            .map(|(path, (_, file))| (path, file))
            .collect();
        match errors.is_empty() {
            true => Ok(()),
            false => Err(Failure::new("parse", errors.join("; "))),
        }
    }
}

/// Adds the series of node_exporter about the files, under its names.
fn add_own(files: &BTreeMap<PathBuf, (Option<f64>, File)>, failed: bool, out: &mut SeriesBatch) {
    let help = "Modification time of a text file, as a Unix timestamp.";
    out.begin("node_textfile_mtime_seconds", Some(Kind::Gauge), help);
    for (path, (modified, _)) in files {
        if let Some(modified) = modified {
            out.push(&[("file", &path.to_string_lossy())], *modified);
        }
    }
    let help = "Whether a text file could not be read: 1 or 0.";
    out.begin("node_textfile_scrape_error", Some(Kind::Gauge), help);
    out.push(&[], f64::from(u8::from(failed)));
}

/// Returns the files `*.prom` of a directory, sorted.
fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "prom")
        {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

impl File {
    /// Appends the series of the file to `out`, and returns its modification time, unless it has an error.
    fn read(&mut self, path: &Path, limit: u64, out: &mut SeriesBatch) -> Option<f64> {
        let read = self.update(path, limit);
        let parsed = read
            .map_err(|error| error.to_string())
            .and_then(|modified| {
                // Into a batch of its own first: an invalid file brings nothing.
                let mut own = SeriesBatch::default();
                match self.parser.parse(&self.text, Format::Text, &mut own) {
                    Ok(_) => {
                        out.append(&own);
                        Ok(modified)
                    }
                    Err(error) => Err(error.to_string()),
                }
            });
        match parsed {
            Ok(modified) => {
                self.error = None;
                Some(modified)
            }
            Err(error) => {
                self.error = Some(error);
                None
            }
        }
    }

    /// Reads the text, if the file is another one than at the last time.
    fn update(&mut self, path: &Path, limit: u64) -> io::Result<f64> {
        let metadata = std::fs::metadata(path)?;
        let version = files::version(&metadata);
        if self.version != Some(version) {
            self.version = None;
            self.text = files::read_text(path, limit)?;
            self.version = Some(version);
        }
        Ok(metadata.mtime() as f64 + metadata.mtime_nsec() as f64 / 1e9)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(reader: &mut Reader, directory: &Path) -> (Vec<String>, Option<String>) {
        let mut out = SeriesBatch::default();
        let pattern = Pattern::new(directory).unwrap();
        let result = reader.read_all(&[pattern], &mut out);
        let families = out
            .families()
            .filter(|family| !family.name.contains("mtime"));
        let lines = families.flat_map(|family| {
            family.samples().map(|(packed, value)| {
                let labels = bellwether_core::LabelSet::from_packed(packed).unwrap();
                format!("{labels} {value}")
            })
        });
        (lines.collect(), result.err().map(|failure| failure.detail))
    }

    fn reader(limit: u64) -> Reader {
        Reader {
            limit,
            known: BTreeMap::new(),
        }
    }

    #[test]
    fn an_invalid_file_costs_its_own_series_and_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.prom"), "backup_size_bytes 5\n").unwrap();
        fs::write(folder.path().join("b.prom"), "good 1\nbad\n").unwrap();
        fs::write(folder.path().join("c.prom.tmp"), "half").unwrap();
        let mut reader = reader(1000);
        let (lines, error) = read(&mut reader, folder.path());
        assert_eq!(
            lines,
            ["backup_size_bytes 5", "node_textfile_scrape_error 1"]
        );
        let path = folder.path().join("b.prom");
        assert_eq!(error, Some(format!("{}: line 2: no value", path.display())));

        fs::write(&path, "good 1\nbad 2\n").unwrap();
        let (lines, error) = read(&mut reader, folder.path());
        assert_eq!(
            lines,
            [
                "backup_size_bytes 5",
                "good 1",
                "bad 2",
                "node_textfile_scrape_error 0"
            ]
        );
        assert_eq!(error, None);
    }

    #[test]
    fn directories_may_be_globs_and_large_files_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["one", "two"] {
            let below = folder.path().join(name).join("metrics");
            fs::create_dir_all(&below).unwrap();
            fs::write(below.join("x.prom"), format!("{name} 1\n")).unwrap();
        }
        let (lines, _) = read(&mut reader(1000), &folder.path().join("*/metrics"));
        assert_eq!(lines, ["one 1", "two 1", "node_textfile_scrape_error 0"]);
        let (lines, error) = read(&mut reader(3), &folder.path().join("one/metrics"));
        assert_eq!(lines, ["node_textfile_scrape_error 1"]);
        assert!(error.unwrap().contains("x.prom: "), "names the file");
        let missing = folder.path().join("none");
        let (_, error) = read(&mut reader(1000), &missing);
        assert!(error.unwrap().starts_with(&missing.display().to_string()));
    }
}
