//! Metrics of the lines of log files and of the journal, as mtail and grok_exporter have them.

mod checkpoint;
mod compile;
mod families;
mod files;
mod follower;
mod journal;
mod json;
mod lines;
mod logfmt;
mod rules;
mod segments;
mod tail;
mod totals;
mod values;

use std::collections::BTreeMap;
use std::path::PathBuf;

use bellwether_collector::{Build, EntryContext, EntryType, Globs};
use bellwether_schema::{
    Constraint, Diagnostics, HumanDuration, Literal, Size, Spanned, section, string_enum,
};
use checkpoint::Checkpoints;
use files::FilesCollector;
use follower::Files;
use journal::JournalCollector;
use lines::Joining;
use rules::Rules;
use tail::Limits;

use crate::path_pattern::PathPattern;

string_enum! {
    /// Beginnings of the first reading.
    pub enum Start {
        /// Behind what is there.
        End = "end",
        /// At the oldest line, those of rotated and compressed files included.
        Beginning = "beginning",
    }
}

string_enum! {
    /// Formats of a line.
    pub enum LineFormat {
        /// Any text. Fields are the named groups of a regular expression.
        Regex = "regex",
        /// A JSON object. Fields are its keys; a dot leads to a key within: `http.status`.
        Json = "json",
        /// `key=value` pairs. Fields are the keys.
        Logfmt = "logfmt",
    }
}

string_enum! {
    /// Types of metrics of lines.
    pub enum LogMetricType {
        /// Number of lines, or sum of a field.
        Counter = "counter",
        /// Last value of a field.
        Gauge = "gauge",
        /// Values of a field, counted into buckets.
        Histogram = "histogram",
    }
}

section! {
    /// Collector of type `log`: metrics of the lines of files or of the journal. It follows files through rotation, and
    /// counts on after a restart.
    #[constraints = [
        Constraint::AnyOf(&["files", "journal"]),
        Constraint::AtMostOne(&["files", "journal"]),
    ]]
    pub struct Log {
        /// Paths of the files to follow. Names may have `*`, `?` and `[...]`. Rotated files of a log belong to it; they are
        /// read if they have lines that were not read yet.
        pub files: Vec<Spanned<PathBuf>> = Vec::new(),
        /// Glob or globs of paths that are left out.
        pub exclude: Option<Globs>,
        /// Journal of systemd, in place of files.
        pub journal: Option<Journal>,
        /// Beginning of the first reading: `end`, behind what is there, or `beginning`, with rotated files and those
        /// compressed with gzip. A file that appears later is read from its beginning.
        pub start: Start = Start::End,
        /// Format of a line: `regex`, `json` or `logfmt`.
        pub format: LineFormat = LineFormat::Regex,
        /// Regular expression of the lines, for metrics that have none. It is searched for anywhere in a line.
        pub r#match: Option<Spanned<Literal>>,
        /// Lines that are one event.
        pub multiline: Option<Multiline>,
        /// Longest line or event. The rest of a longer one is cut.
        pub max_line: Spanned<Size> = Spanned::nowhere(Size(64 << 10)),
        /// Metrics.
        pub metrics: Vec<LogMetric>,
    }
}

section! {
    /// Metric of the lines of a log.
    pub struct LogMetric {
        /// Name. Entries with one name are one metric; their type, buckets and `max_series` must be the same.
        pub name: Spanned<String>,
        /// Type: `counter`, `gauge` or `histogram`.
        pub r#type: LogMetricType = LogMetricType::Counter,
        /// Text of `# HELP`.
        pub help: String = String::new(),
        /// Regular expression of its lines, for `format: regex`. Default: that of the collector.
        pub r#match: Option<Spanned<Literal>>,
        /// Conditions: a field, and a regular expression that matches the whole of it. All must hold. A field that a line has
        /// not is empty.
        pub r#where: BTreeMap<String, Spanned<Literal>> = BTreeMap::new(),
        /// Field with the number that is added, set or observed. A counter without it counts lines. A line without the
        /// field, or with `-` in it, has no sample.
        pub value: Option<Spanned<String>>,
        /// Factor of the number, for base units: 0.001 for milliseconds.
        pub scale: f64 = 1.0,
        /// Upper bounds of a histogram's buckets, ascending; `+Inf` is always there. By default those of Prometheus's
        /// clients, from 5 ms to 10 s.
        pub buckets: Option<Spanned<Vec<f64>>>,
        /// Labels. Fields are placeholders: `"{{ status }}"`; `"{{ _path }}"` is the path of the file.
        pub labels: BTreeMap<String, Spanned<Literal>> = BTreeMap::new(),
        /// Maximum number of series. Samples of further ones are dropped and counted.
        pub max_series: usize = 1000,
    }
}

section! {
    /// Lines that are one event, such as a stack trace.
    pub struct Multiline {
        /// Regular expression of the first line of an event. Further lines are joined to it, with a newline between them.
        pub start: Spanned<Literal>,
        /// Maximum number of lines. A further one begins another event.
        pub max_lines: usize = 500,
        /// Time without a further line after which an event is complete.
        pub timeout: HumanDuration = HumanDuration::secs(5),
    }
}

section! {
    /// Journal of systemd, as `journalctl` reads it.
    pub struct Journal {
        /// Units, such as `ssh.service`. Default: all.
        pub units: Vec<String> = Vec::new(),
        /// Directory of the journal's files. Default: that of this host.
        pub directory: Option<PathBuf>,
    }
}

impl EntryType for Log {
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build> {
        self.check(context);
        let files = self.files(context.problems);
        let rules = compile::rules(self, context.problems)?;
        match &self.journal {
            Some(journal) => self.build_journal(journal, rules, context),
            None => build_files(files, rules, context),
        }
    }
}

fn build_files(files: Files, rules: Rules, context: &mut EntryContext<'_>) -> Option<Build> {
    let plan = files::Plan {
        origin: context.origin,
        files,
        rules,
        limit: context.timeout() * 4 / 5,
    };
    context.build(move |memory| {
        let checkpoints = Checkpoints::of(memory, plan.origin);
        FilesCollector::start(plan.clone(), &checkpoints)
    })
}

impl Log {
    fn check(&self, context: &mut EntryContext<'_>) {
        let (at, problems) = (context.at, &mut *context.problems);
        if self.files.is_empty() == self.journal.is_none() {
            let message = match self.journal {
                None => "neither files nor a journal",
                Some(_) => "both files and a journal",
            };
            problems
                .error(at, message)
                .hint("set `files: [/var/log/nginx/access.log]` or `journal: {units: [ssh.service]}`, for example");
        }
        if self.metrics.is_empty() {
            problems
                .error(at, "no metrics")
                .hint("set `metrics: [{name: errors_total, match: ERROR}]`, for example");
        }
        if self.multiline.is_some() && self.journal.is_some() {
            problems
                .error(at, "multiline does not apply to a journal")
                .hint("its entries have their lines already");
        }
        if self
            .multiline
            .as_ref()
            .is_some_and(|lines| lines.max_lines == 0)
        {
            problems.error(at, "max_lines must be at least 1: 0");
        }
        if !(16..=MAX_LINE).contains(&self.max_line.0) {
            problems
                .error(
                    &self.max_line.at,
                    format!("not a length of lines: {}", self.max_line.value),
                )
                .hint("16B to 16MB");
        }
    }

    fn build_journal(
        &self,
        journal: &Journal,
        rules: Rules,
        context: &mut EntryContext<'_>,
    ) -> Option<Build> {
        let plan = journal::Plan {
            origin: context.origin,
            program: journal::program(),
            units: journal.units.clone(),
            directory: journal.directory.clone(),
            start: self.start,
            max_line: self.max_line.0 as usize,
            rules,
        };
        context.build(move |memory| {
            let checkpoints = Checkpoints::of(memory, plan.origin);
            JournalCollector::new(plan.clone(), &checkpoints)
        })
    }

    fn files(&self, problems: &mut Diagnostics) -> Files {
        let patterns = self.files.iter().filter_map(|path| {
            let pattern = PathPattern::resolve(path, problems)?;
            Some((path.value.to_string_lossy().into_owned(), pattern))
        });
        Files {
            patterns: patterns.collect(),
            exclude: self.exclude.clone(),
            start: self.start,
            limits: Limits {
                max_line: self.max_line.0 as usize,
                joining: self.joining(problems),
            },
        }
    }

    fn joining(&self, problems: &mut Diagnostics) -> Option<Joining> {
        let lines = self.multiline.as_ref()?;
        Some(Joining {
            start: compile::regex(&lines.start, problems)?,
            max_lines: lines.max_lines,
            timeout: lines.timeout.0,
        })
    }
}

/// Largest `max_line`, in bytes.
const MAX_LINE: u64 = 16 << 20;

#[cfg(test)]
mod tests;
