//! Follows the files of globs. Time is an argument, so that tests need not wait.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use bellwether_collector::Globs;
use bellwether_core::{MonoMillis, Now, SeriesBatch, counted};

use super::Start;
use super::checkpoint::Checkpoint;
use super::rules::{Counting, Rules};
use super::segments::{is_gzip, is_rotated};
use super::tail::{Budget, Limits, Place, Step, Tail};
use crate::path_pattern::PathPattern;

/// Interval of the search for new files.
const SCAN: Duration = Duration::from_secs(1);
/// Bytes of a read: as much as stays in the cache of a core.
const BUFFER: usize = 256 << 10;
/// Bytes that are read of a log in one step, before it is the turn of the next.
const STEP: u64 = 4 << 20;

/// Settings of the files of a collector.
#[derive(Clone, Debug)]
pub(super) struct Files {
    /// Globs by their text.
    pub(super) patterns: BTreeMap<String, PathPattern>,
    pub(super) exclude: Option<Globs>,
    pub(super) start: Start,
    pub(super) limits: Limits,
}

/// Reads the logs.
pub(super) struct Follower {
    files: Files,
    /// Globs whose files were looked for. Files that appear later are read from their beginning.
    known: BTreeSet<String>,
    tails: BTreeMap<PathBuf, Tail>,
    counting: Counting,
    buffer: Vec<u8>,
    scanned: Option<MonoMillis>,
    /// Errors by the path of the log or the directory.
    problems: BTreeMap<PathBuf, String>,
}

impl Files {
    /// Returns whether a file that a glob found is to be followed. Those with gzip are only read as predecessors.
    fn includes(&self, path: &Path) -> bool {
        let exclude = self.exclude.as_ref();
        !is_gzip(path) && exclude.is_none_or(|globs| !globs.matches(&path.to_string_lossy()))
    }
}

impl Follower {
    /// Continues from a checkpoint.
    pub(super) fn new(files: Files, rules: Rules, checkpoint: Checkpoint) -> Self {
        let paths = checkpoint.files.into_iter();
        let paths = paths.map(|(path, place)| (PathBuf::from(path), place));
        // Also without a file now: its rotated one may have lines that were not read.
        let followed = paths.filter(|(path, _)| {
            let mut patterns = files.patterns.values();
            patterns.any(|pattern| pattern.matches(path)) && files.includes(path)
        });
        let mut late = checkpoint.late;
        let tails = followed.map(|(path, place)| {
            let late = late.remove(&*path.to_string_lossy());
            let tail = Tail::new(path.clone(), place, late.unwrap_or_default());
            (path, tail)
        });
        Self {
            tails: tails.collect(),
            known: checkpoint.patterns,
            counting: Counting::new(rules, &checkpoint.families, checkpoint.totals),
            buffer: vec![0; BUFFER],
            scanned: None,
            problems: BTreeMap::new(),
            files,
        }
    }

    /// Reads a part of what there is. Returns whether there is more.
    pub(super) fn step(&mut self, now: Now) -> bool {
        let is_due = |last: MonoMillis| now.mono.since(last) >= SCAN;
        if self.scanned.is_none_or(is_due) {
            self.scan();
            self.scanned = Some(now.mono);
        }
        let mut has_more = false;
        let Self {
            files,
            tails,
            counting,
            buffer,
            problems,
            ..
        } = self;
        tails.retain(|path, tail| {
            let mut budget = Budget {
                buffer,
                bytes: STEP,
            };
            counting.set_source(&[&path.to_string_lossy()]);
            let step = tail.step(now, &files.limits, &mut budget, &mut |line| {
                counting.apply(line);
            });
            counting.totals.bytes += STEP - budget.bytes;
            has_more |= step == Ok(Step::More);
            match &step {
                Ok(_) => problems.remove(path),
                Err(error) => problems.insert(path.clone(), error.clone()),
            };
            step != Ok(Step::Gone)
        });
        has_more
    }

    /// Looks for new files.
    fn scan(&mut self) {
        let (found, new) = self.list();
        for path in &found {
            let is_log = |path: &Path| found.contains(path) || self.tails.contains_key(path);
            let is_there = || fs::symlink_metadata(path).is_ok();
            if self.tails.contains_key(path)
                || !self.files.includes(path)
                || is_rotated(path, is_log)
                || !is_there()
            {
                continue;
            }
            let place = match (new.contains(path), self.files.start) {
                (true, Start::Beginning) => Place::Oldest,
                (true, Start::End) => Place::End,
                (false, _) => Place::Beginning,
            };
            let tail = Tail::new(path.clone(), place, Vec::new());
            self.tails.insert(path.clone(), tail);
        }
        self.known.extend(self.files.patterns.keys().cloned());
    }

    /// Returns the paths that match, and those of them whose glob is looked for the first time.
    fn list(&mut self) -> (BTreeSet<PathBuf>, BTreeSet<PathBuf>) {
        let mut found = BTreeSet::new();
        let mut new = BTreeSet::new();
        for (text, pattern) in &self.files.patterns {
            let directory = pattern.fixed();
            self.problems.remove(directory);
            match pattern.paths() {
                Ok(paths) => {
                    if !self.known.contains(text) {
                        new.extend(paths.iter().cloned());
                    }
                    found.extend(paths);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let error = format!("{}: {error}", directory.display());
                    self.problems.insert(directory.to_owned(), error);
                }
            }
        }
        (found, new)
    }

    /// Adds the series to `out`.
    pub(super) fn fill(&self, collector: &str, out: &mut SeriesBatch) {
        self.counting.fill(out);
        let lag = self.tails.values().map(Tail::lag).sum();
        let totals = &self.counting.totals;
        totals.fill(collector, self.counting.dropped(), Some(lag), out);
    }

    pub(super) fn checkpoint(&self) -> Checkpoint {
        let tails = self.tails.iter();
        let tails = tails.map(|(path, tail)| (path.to_string_lossy().into_owned(), tail));
        let files = tails.clone().map(|(path, tail)| (path, tail.place()));
        let late = tails.map(|(path, tail)| (path, tail.late_positions()));
        let late = late.filter(|(_, positions)| !positions.is_empty());
        Checkpoint {
            patterns: self.known.clone(),
            files: files.collect(),
            late: late.collect(),
            cursor: None,
            totals: self.counting.totals.clone(),
            families: self.counting.save(),
        }
    }

    /// Returns the errors, each with its path.
    pub(super) fn problems(&self) -> Vec<String> {
        self.problems.values().cloned().collect()
    }

    /// Returns notes for the operator.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = self.counting.notes();
        for (text, pattern) in &self.files.patterns {
            if !self.tails.keys().any(|path| pattern.matches(path)) {
                notes.push(format!("no file yet: {text}"));
            }
        }
        let behind = self.tails.values().map(Tail::lag).filter(|lag| *lag > 0);
        let behind = behind.count();
        if behind > 0 {
            notes.push(format!(
                "{} not read to the end yet",
                counted(behind, "file")
            ));
        }
        notes
    }
}
