//! Files in the text format that other programs write: the textfile collector of node_exporter.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_collector::{
    Blocking, Build, Changed, Collecting, Collector, EntryContext, EntryType, Source,
};
use bellwether_core::{Batch, Failure, Kind, Now, SeriesBatch};
use bellwether_exposition::{Format, SeriesParser};
use bellwether_files as files;
use bellwether_schema::{Spanned, section};

use crate::path_pattern::PathPattern;
use crate::watch::Watch;

section! {
    /// Collector of type `textfile`: series in the files `*.prom` of directories, as the textfile collector of
    /// node_exporter. A file that is invalid costs its own series. Programs write such a file under another name
    /// and rename it, so that it is never read half-written. A file that comes, changes or goes is seen at once.
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
        let directories = self.directories.iter();
        let patterns: Vec<PathPattern> = directories
            .filter_map(|directory| PathPattern::resolve(directory, context.problems))
            .collect();
        let limit = context.limits.bytes.0;
        context.build(move |_| {
            let watch = Watch::new().map(Arc::new);
            let reader = Reader {
                patterns: patterns.clone(),
                limit,
                known: BTreeMap::new(),
                unwatched: watch.as_ref().err().map(ToString::to_string),
                watch: watch.ok(),
            };
            TextfileCollector {
                watch: reader.watch.clone(),
                files: Blocking::new(reader),
            }
        })
    }
}

/// Reads files at each collection, which is due when one of them changes too.
struct TextfileCollector {
    files: Blocking<Reader>,
    /// `None`: changes are seen at the next collection.
    watch: Option<Arc<Watch>>,
}

impl Collector for TextfileCollector {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, now: Now) -> Collecting<'a> {
        self.files.collect(batch, now)
    }

    fn changed(&mut self) -> Changed<'_> {
        let watch = self.watch.clone();
        Box::pin(async move {
            match watch {
                Some(watch) => watch.changed(&|name| name.ends_with(b".prom")).await,
                None => std::future::pending().await,
            }
        })
    }

    fn notes(&self) -> Vec<String> {
        self.files.notes()
    }
}

/// Reads files, and keeps what they had.
struct Reader {
    patterns: Vec<PathPattern>,
    limit: u64,
    known: BTreeMap<PathBuf, File>,
    watch: Option<Arc<Watch>>,
    /// Error of the watch.
    unwatched: Option<String>,
}

/// A file, as it was read last.
struct File {
    /// `None` if it could not be read, so that it is read again.
    version: Option<files::Version>,
    /// Modification time, in seconds since 1970.
    modified: f64,
    /// Its series, or its error.
    series: Result<SeriesBatch, String>,
}

impl Source for Reader {
    fn read(&mut self, _: Now, out: &mut SeriesBatch) -> Result<(), Failure> {
        let mut errors = Vec::new();
        let mut known = BTreeMap::new();
        let directories = self.directories();
        self.watch(directories.iter().flatten().flatten());
        for (pattern, directories) in self.patterns.iter().zip(directories) {
            let paths = match directories.and_then(|directories| files(&directories)) {
                Ok(paths) => paths,
                Err(error) => {
                    errors.push(format!("{}: {error}", pattern.fixed().display()));
                    continue;
                }
            };
            for path in paths {
                let file = File::read(&path, self.limit, self.known.remove(&path));
                match &file.series {
                    Ok(series) => out.append(series),
                    Err(error) => errors.push(format!("{}: {error}", path.display())),
                }
                known.insert(path, file);
            }
        }
        self.known = known;
        self.push_own(!errors.is_empty(), out);
        match errors.is_empty() {
            true => Ok(()),
            false => Err(Failure::new("parse", errors.join("; "))),
        }
    }

    fn notes(&self) -> Vec<String> {
        let note = self.unwatched.as_ref().map(|error| {
            format!("changes are seen at the next collection only, as the watch failed: {error}; hint: sysctl fs.inotify")
        });
        note.into_iter().collect()
    }
}

impl Reader {
    /// Returns the directories of each pattern.
    fn directories(&self) -> Vec<io::Result<Vec<PathBuf>>> {
        let each = self.patterns.iter().map(|pattern| {
            let mut directories = pattern.paths()?;
            // The error of one without a glob is that of listing it.
            directories.retain(|path| path.is_dir() || path == pattern.fixed());
            Ok(directories)
        });
        each.collect()
    }

    /// Watches the directories from now on. Those that are not there yet are tried again at the next collection.
    fn watch<'a>(&mut self, directories: impl Iterator<Item = &'a PathBuf>) {
        let Some(watch) = &self.watch else { return };
        watch.forget();
        let added = directories.map(|directory| match watch.add(directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(format!("{}: {error}", directory.display()))
            }
            _ => Ok(()),
        });
        self.unwatched = added.collect::<Result<(), _>>().err();
    }

    /// Adds the series of node_exporter about the files, under its names.
    fn push_own(&self, failed: bool, out: &mut SeriesBatch) {
        let help = "Modification time of a text file, as a Unix timestamp.";
        out.begin("node_textfile_mtime_seconds", Some(Kind::Gauge), help);
        for (path, file) in self.known.iter().filter(|(_, file)| file.series.is_ok()) {
            out.push(&[("file", &path.to_string_lossy())], file.modified);
        }
        let help = "Whether a text file could not be read: 1 or 0.";
        out.gauge(
            "node_textfile_scrape_error",
            help,
            &[],
            f64::from(u8::from(failed)),
        );
    }
}

/// Returns the files `*.prom` in directories.
fn files(directories: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for directory in directories {
        files.extend(list(directory)?);
    }
    Ok(files)
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
    /// Reads the file at `path`, unless it is that of `before`. An invalid file has no series.
    fn read(path: &Path, limit: u64, before: Option<Self>) -> Self {
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return Self::failed(&error),
        };
        let version = files::version(&metadata);
        if let Some(before) = before.filter(|before| before.version == Some(version)) {
            return before;
        }
        let text = match files::read_text(path, limit) {
            Ok(text) => text,
            Err(error) => return Self::failed(&error),
        };
        let mut series = SeriesBatch::default();
        let parsed = SeriesParser::default().parse(&text, Format::Text, &mut series);
        Self {
            version: Some(version),
            modified: metadata.mtime() as f64 + metadata.mtime_nsec() as f64 / 1e9,
            series: parsed.map(|_| series).map_err(|error| error.to_string()),
        }
    }

    fn failed(error: &io::Error) -> Self {
        Self {
            version: None,
            modified: 0.0,
            series: Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::entry::testing::resolve_entry;
    use bellwether_collector::testing::collect;

    fn read(reader: &mut Reader, directory: &Path) -> (Vec<String>, Option<String>) {
        let mut out = SeriesBatch::default();
        reader.patterns = vec![PathPattern::new(directory).unwrap()];
        let result = reader.read(Now::default(), &mut out);
        let lines = out
            .lines()
            .filter(|line| !line.starts_with("node_textfile_mtime"));
        (lines.collect(), result.err().map(|failure| failure.detail))
    }

    fn reader(limit: u64) -> Reader {
        Reader {
            patterns: Vec::new(),
            limit,
            known: BTreeMap::new(),
            watch: None,
            unwatched: None,
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

    #[tokio::test]
    async fn a_file_that_is_renamed_into_place_is_due_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("later");
        let yaml = format!(
            "{{name: x, type: textfile, directories: ['{}*']}}",
            place.display()
        );
        let mut collector = resolve_entry(&yaml).ok().unwrap();
        fs::create_dir(&place).unwrap();
        let first = collect(&mut *collector, Now::default()).await;
        assert_eq!(first.lines, ["node_textfile_scrape_error 0"]);
        fs::write(place.join("a.tmp"), "a 1\n").unwrap();
        fs::rename(place.join("a.tmp"), place.join("a.prom")).unwrap();
        let patience = std::time::Duration::from_secs(20);
        tokio::time::timeout(patience, collector.changed())
            .await
            .unwrap();
        let second = collect(&mut *collector, Now::default()).await;
        assert_eq!(second.value("a"), Some(1.0));
        assert_eq!((second.failure, collector.notes()), (None, vec![]));
    }
}
