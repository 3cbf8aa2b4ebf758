//! File of an outbox: one JSON line per record, synced before anything relies on it.
//!
//! An invalid line is counted and skipped, so a torn tail or a damaged place loses only that line.
//! The first line has the version, so that a file without lines was emptied. All functions block;
//! callers use a blocking thread.

mod former;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_core::{Alert, Group, Notification, Now, UnixMillis};
use bellwether_files as files;
use bellwether_files::durable::{self, StateError};
use serde::{Deserialize, Serialize};

use super::outbox::{Notified, Outbox, Record, StoredDeadLetter};

/// Lines between two checks of whether a journal could be much smaller. One with more than twice
/// the lines that its outbox needs, and these, is rewritten. Both are a pass over the outbox, which
/// may be large.
const SLACK: usize = 1000;

/// Version that is written. Lines of version 1 are read, too.
const VERSION: u32 = 2;

/// The first line.
#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
}

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    /// `None` after a failed write: what is on disk may end in half a line.
    file: Option<File>,
    lines: usize,
    /// Number of lines at which the size is checked next.
    next_check_lines: usize,
}

impl Journal {
    /// Creates a journal at `path` without reading it; the first [`Journal::append`] writes it.
    pub(super) fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file: None,
            lines: 0,
            next_check_lines: 0,
        }
    }

    /// Opens the journal at `path` and rewrites it. Returns it with its outbox and the number of
    /// damaged lines.
    ///
    /// # Errors
    /// The file cannot be read, or its version is newer. An error of writing is returned by the next [`Journal::append`].
    pub(super) fn open(path: &Path, now: Now) -> io::Result<(Self, Outbox, usize)> {
        let (outbox, damaged) = match files::read(path, files::STATE) {
            Ok(bytes) => {
                check_version(&bytes).map_err(io::Error::other)?;
                read(&bytes, now)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Default::default(),
            Err(error) => return Err(error),
        };
        let mut journal = Self::at(path);
        journal.rewrite(&outbox.records()).ok();
        Ok((journal, outbox, damaged))
    }

    /// Appends `records` and syncs them. After a failure, or where the journal has grown far
    /// beyond its outbox, it writes all of `snapshot` anew instead, which has `records` in it.
    ///
    /// # Errors
    /// They are not on disk; the next call tries to write everything.
    pub(super) fn append(
        &mut self,
        records: &[Record],
        snapshot: impl FnOnce() -> Vec<Record>,
    ) -> io::Result<()> {
        // What is written into a file that somebody deleted is gone with it.
        self.file.take_if(|file| !durable::is_at(file, &self.path));
        let Some(file) = &mut self.file else {
            return self.rewrite(&snapshot());
        };
        let written = file
            .write_all(&lines(records))
            .and_then(|()| file.sync_data());
        if let Err(error) = written {
            self.file = None;
            return Err(error);
        }
        self.lines += records.len();
        if self.lines > self.next_check_lines {
            let snapshot = snapshot();
            if self.lines > 2 * snapshot.len() + SLACK {
                return self.rewrite(&snapshot);
            }
            self.next_check_lines = self.lines + SLACK;
        }
        Ok(())
    }

    /// Replaces the file atomically: a crash leaves the old one or the new one.
    fn rewrite(&mut self, records: &[Record]) -> io::Result<()> {
        self.file = None;
        let mut text = serde_json::to_vec(&Header { version: VERSION })?;
        text.push(b'\n');
        text.extend(lines(records));
        durable::replace(&self.path, &text)?;
        self.file = Some(OpenOptions::new().append(true).open(&self.path)?);
        self.lines = records.len();
        self.next_check_lines = self.lines + SLACK;
        Ok(())
    }
}

/// Returns an error if the version of the journal is newer than this one.
fn check_version(bytes: &[u8]) -> Result<(), StateError> {
    let first = bytes.split(|byte| *byte == b'\n').next();
    match first.and_then(header) {
        Some(Header { version }) if version > VERSION => Err(StateError::Newer(version)),
        // A damaged first line costs only itself.
        _ => Ok(()),
    }
}

fn header(line: &[u8]) -> Option<Header> {
    match line {
        former::HEADER => Some(Header { version: 1 }),
        line => serde_json::from_slice(line).ok(),
    }
}

/// Reads the outbox of the lines in `bytes` at `now`. Returns it with the number of damaged lines; no
/// line at all counts as a damaged one.
pub(super) fn read(bytes: &[u8], now: Now) -> (Outbox, usize) {
    let mut lines = bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .peekable();
    lines.next_if(|line| header(line).is_some());
    let (mut outbox, mut damaged) = (Outbox::default(), usize::from(bytes.is_empty()));
    for line in lines {
        match parse(line) {
            Some(line) => {
                outbox.apply(line.into_record(now));
            }
            None => damaged += 1,
        }
    }
    outbox.drop_unmatched_resolved();
    (outbox, damaged)
}

/// Parses a line of this version or the one before; `None` if it is damaged.
fn parse(line: &[u8]) -> Option<Line> {
    let line_of_today = serde_json::from_slice(line);
    line_of_today
        .or_else(|_| serde_json::from_slice(line).map(former::Line::into_line))
        .ok()
}

/// Serializes `records` to the lines of a journal.
pub(super) fn lines(records: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records {
        // Plain data: there is nothing in it that could fail to serialize.
        if serde_json::to_writer(&mut bytes, &Line::from_record(record)).is_ok() {
            bytes.push(b'\n');
        }
    }
    bytes
}

/// A record on disk.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Episode {
        id: u64,
        notified: Option<NotifiedTimes>,
        open: bool,
        alert: Box<Alert>,
        group: Group,
    },
    Push {
        seq: u64,
        episode: u64,
        notification: Box<Notification>,
    },
    Delivered {
        seq: u64,
        at: UnixMillis,
    },
    Drop(u64),
    Close(u64),
    DeadLetter(Box<StoredDeadLetter>),
    Forget(u64),
}

/// [`Notified`] by the wall clock.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct NotifiedTimes {
    first: UnixMillis,
    last: UnixMillis,
}

impl Line {
    fn from_record(record: &Record) -> Self {
        match record {
            Record::Episode {
                id,
                notified,
                open,
                alert,
                group,
            } => Self::Episode {
                id: *id,
                notified: notified.map(NotifiedTimes::from_notified),
                open: *open,
                alert: Box::new(Alert::clone(alert)),
                group: Group::clone(group),
            },
            Record::Push {
                seq,
                episode,
                notification,
            } => Self::Push {
                seq: *seq,
                episode: *episode,
                notification: Box::new(notification.clone()),
            },
            Record::Delivered { seq, at } => Self::Delivered {
                seq: *seq,
                at: at.wall,
            },
            Record::Drop(seq) => Self::Drop(*seq),
            Record::Close(episode) => Self::Close(*episode),
            Record::DeadLetter(dead_letter) => Self::DeadLetter(dead_letter.clone()),
            Record::Forget(dead_letter) => Self::Forget(*dead_letter),
        }
    }

    /// Converts a line that is read at `now`.
    fn into_record(self, now: Now) -> Record {
        match self {
            Self::Episode {
                id,
                notified,
                open,
                alert,
                group,
            } => Record::Episode {
                id,
                notified: notified.map(|times| times.into_notified(now)),
                open,
                alert: Arc::from(alert),
                group: Arc::new(group),
            },
            Self::Push {
                seq,
                episode,
                notification,
            } => Record::Push {
                seq,
                episode,
                notification: *notification,
            },
            Self::Delivered { seq, at } => Record::Delivered {
                seq,
                at: now.at(at),
            },
            Self::Drop(seq) => Record::Drop(seq),
            Self::Close(episode) => Record::Close(episode),
            Self::DeadLetter(dead_letter) => Record::DeadLetter(dead_letter),
            Self::Forget(dead_letter) => Record::Forget(dead_letter),
        }
    }
}

impl NotifiedTimes {
    fn from_notified(notified: Notified) -> Self {
        Self {
            first: notified.first.wall,
            last: notified.last.wall,
        }
    }

    /// Converts times from before this process, read at `now`.
    fn into_notified(self, now: Now) -> Notified {
        Notified {
            first: now.at(self.first),
            last: now.at(self.last),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bellwether_core::{AlertState, Cause, Labels, MonoMillis, Severity, Status};
    use tempfile::TempDir;

    use super::super::outbox::DropReason;
    use super::super::testing::notification;
    use super::*;

    const NOW: Now = Now {
        mono: MonoMillis(1_000_000),
        wall: UnixMillis(1_795_233_600_000),
    };

    fn append(journal: &mut Journal, outbox: &Outbox, records: &[Record]) {
        journal.append(records, || outbox.records()).unwrap();
    }

    #[test]
    fn an_outbox_comes_back_as_it_was() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("outbox/a.jsonl");
        let (mut journal, mut outbox, _) = Journal::open(&path, NOW).unwrap();
        for (rule, status) in [
            ("a", Status::Firing),
            ("b", Status::Firing),
            ("a", Status::Resolved),
        ] {
            let records = outbox.offer(notification(rule, "/é\n\"", status));
            append(&mut journal, &outbox, &records);
        }
        let first = outbox.queue().next().unwrap().seq;
        let records = outbox.mark_delivered(first, NOW);
        append(&mut journal, &outbox, &records);
        let why = DropReason {
            reason: "rejected",
            error: "\"no\"",
            at: UnixMillis(2),
            max_dead_letters: 9,
        };
        let dropped = outbox.queue().next().unwrap().seq;
        let records = outbox.drop_entry(dropped, &why);
        append(&mut journal, &outbox, &records);
        assert_eq!(outbox.dead_letters().count(), 1);
        let (_, again, damaged) = Journal::open(&path, NOW).unwrap();
        assert_eq!((again.records(), damaged), (outbox.records(), 0));
    }

    /// Another process has another monotonic clock, and knows the time between by the wall clock.
    #[test]
    fn the_last_notification_outlives_the_process() {
        let mut outbox = Outbox::default();
        outbox.offer(notification("a", "/", Status::Firing));
        let first = outbox.queue().next().unwrap().clone();
        outbox.mark_delivered(first.seq, NOW);
        let next = Now {
            mono: MonoMillis(7_000_000),
            wall: UnixMillis(NOW.wall.0 + 60_000),
        };
        let (again, _) = read(&lines(&outbox.records()), next);
        let last = again.last_notified(first.notification.alert.fingerprint, next.mono);
        assert_eq!(last, Some(MonoMillis(7_000_000 - 60_000)));
        let earlier = Now {
            wall: UnixMillis(NOW.wall.0 - 60_000),
            ..next
        };
        let (again, _) = read(&lines(&outbox.records()), earlier);
        let last = again.last_notified(first.notification.alert.fingerprint, next.mono);
        assert_eq!(last, Some(next.mono), "the wall clock was set back");
    }

    /// A crash can end the file anywhere, also within a character.
    #[test]
    fn a_journal_cut_at_any_byte_opens_to_a_state_that_was() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a.jsonl");
        let (mut journal, mut outbox, _) = Journal::open(&path, NOW).unwrap();
        let mut states = vec![outbox.records()];
        let mut steps: Vec<Vec<Record>> = Vec::new();
        for status in [Status::Firing, Status::Resolved] {
            steps.push(outbox.offer(notification("a", "/é", status)));
            append(&mut journal, &outbox, steps.last().unwrap());
            states.push(outbox.records());
        }
        for _ in 0..2 {
            let seq = outbox.queue().next().unwrap().seq;
            let records = outbox.mark_delivered(seq, NOW);
            append(&mut journal, &outbox, &records);
            states.push(outbox.records());
        }
        let snapshot = fs::read(&path).unwrap();
        for length in 0..=snapshot.len() {
            fs::write(&path, &snapshot[..length]).unwrap();
            let (_, again, damaged) = Journal::open(&path, NOW).unwrap();
            assert!(
                states.contains(&again.records()),
                "cut at {length}: {again:?}"
            );
            assert!(damaged <= 1);
        }
    }

    #[test]
    fn an_emptied_journal_differs_from_an_empty_one() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a.jsonl");
        let open = || Journal::open(&path, NOW).map(|(_, outbox, damaged)| (outbox.len(), damaged));
        assert_eq!((open().unwrap(), open().unwrap()), ((0, 0), (0, 0)));
        for left in ["", "{"] {
            fs::write(&path, left).unwrap();
            assert_eq!(open().unwrap(), (0, 1), "{left:?}");
            assert_eq!(open().unwrap(), (0, 0), "reported once");
        }
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("nothing", &path).unwrap();
        assert!(
            open()
                .unwrap_err()
                .to_string()
                .contains("a symbolic link to nothing")
        );
    }

    #[test]
    fn a_damaged_line_costs_only_itself() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a.jsonl");
        let (mut journal, mut outbox, _) = Journal::open(&path, NOW).unwrap();
        for rule in ["a", "b", "c"] {
            let records = outbox.offer(notification(rule, "/", Status::Firing));
            append(&mut journal, &outbox, &records);
        }
        let mut bytes = fs::read(&path).unwrap();
        let mut ends = (0..bytes.len()).filter(|at| bytes[*at] == b'\n');
        // After the first line, and that of "a".
        let second = ends.nth(1).unwrap() + 20;
        bytes[second..second + 4].fill(0xFF);
        fs::write(&path, bytes).unwrap();
        let (_, again, damaged) = Journal::open(&path, NOW).unwrap();
        let rules: Vec<_> = again
            .queue()
            .map(|entry| entry.notification.alert.rule.to_string())
            .collect();
        assert_eq!((rules, damaged), (vec!["a".to_owned(), "c".to_owned()], 1));
    }

    /// Journals that version 0.1 left: of a channel that answers, one that is down and one that rejects.
    #[test]
    fn journals_of_version_1_are_read() {
        let good = include_bytes!("../../../tests/fixtures/state/outbox/good.jsonl");
        let down = include_bytes!("../../../tests/fixtures/state/outbox/down.jsonl");
        let bad = include_bytes!("../../../tests/fixtures/state/outbox/bad.jsonl");
        let mut counts = Vec::new();
        for bytes in [&good[..], down, bad] {
            let (outbox, damaged) = read(bytes, NOW);
            counts.push((
                outbox.len(),
                outbox.open().count(),
                outbox.dead_letters().count(),
            ));
            assert_eq!(damaged, 0);
            let (again, damaged) = read(&lines(&outbox.records()), NOW);
            assert_eq!((again.records(), damaged), (outbox.records(), 0));
        }
        assert_eq!(counts, [(0, 4, 0), (8, 4, 0), (0, 0, 6)]);

        let (outbox, _) = read(down, NOW);
        let last = outbox.queue().last().unwrap().notification.clone();
        let group = Group {
            key: "{}:{alertname=\"backlog\"}".into(),
            receiver: "all".into(),
            labels: Labels::from([("alertname".into(), "backlog".into())]),
            include_firing: true,
        };
        let alert = Alert {
            annotations: Labels::from([("runbook".into(), "https://x/é".into())]),
            message: "42 wait in mail2".into(),
            value: Some(1.0),
            fired_value: Some(42.0),
            peak: Some(42.0),
            threshold: Some(10.0),
            state: AlertState::Inactive,
            active_at: UnixMillis(1_795_918_113_058),
            fired_at: Some(UnixMillis(1_795_918_114_058)),
            resolved_at: Some(UnixMillis(1_795_918_116_058)),
            ..Alert::firing(
                "backlog",
                Severity::Critical,
                Labels::from([("queue_name".into(), "mail2".into())]),
            )
        };
        let expected = Notification {
            id: alert.change_id(UnixMillis(1_795_918_116_058)),
            status: Status::Resolved,
            cause: Cause::Change,
            group: Arc::new(group),
            reason: "queue_length 1 is not > 10; fired for 2s at 42, peak 42".into(),
            at: UnixMillis(1_795_918_116_058),
            alert: Arc::new(alert),
        };
        assert_eq!(last, expected);
    }

    #[test]
    fn a_journal_of_a_newer_version_is_not_read() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a.jsonl");
        fs::write(&path, "{\"version\":3}\n{\"future\":1}\n").unwrap();
        let error = Journal::open(&path, NOW).unwrap_err().to_string();
        assert!(error.contains("unsupported version 3"), "{error}");
        assert!(fs::read_to_string(&path).unwrap().contains("future"));
    }

    /// A storm fills it with lines that are all needed; what each costs must not grow with them.
    #[test]
    fn a_large_outbox_is_not_searched_for_every_line() {
        let folder = TempDir::new().unwrap();
        let (mut journal, mut outbox, _) =
            Journal::open(&folder.path().join("a.jsonl"), NOW).unwrap();
        let (mut passes, mut lines) = (0, 0);
        let mut write = |outbox: &Outbox, records: &[Record]| {
            lines += records.len();
            journal
                .append(records, || {
                    passes += 1;
                    outbox.records()
                })
                .unwrap();
        };
        let alerts: Vec<String> = (0..2 * SLACK).map(|number| number.to_string()).collect();
        for status in [Status::Firing, Status::Resolved] {
            for some in alerts.chunks(50) {
                let notified = some.iter().map(|mount| notification("a", mount, status));
                let records: Vec<_> = notified.flat_map(|one| outbox.offer(one)).collect();
                write(&outbox, &records);
            }
            while outbox.len() > 0 {
                let some: Vec<u64> = outbox.queue().take(50).map(|entry| entry.seq).collect();
                let done = some
                    .into_iter()
                    .flat_map(|seq| outbox.mark_delivered(seq, NOW));
                let records: Vec<_> = done.collect();
                write(&outbox, &records);
            }
        }
        assert!(passes <= lines / SLACK, "{passes} passes for {lines} lines");
    }

    #[test]
    fn a_journal_that_somebody_deletes_is_written_anew() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("outbox/a.jsonl");
        let (mut journal, mut outbox, _) = Journal::open(&path, NOW).unwrap();
        for rule in ["a", "b"] {
            fs::remove_dir_all(folder.path().join("outbox")).unwrap();
            let records = outbox.offer(notification(rule, "/", Status::Firing));
            append(&mut journal, &outbox, &records);
        }
        let (_, again, _) = Journal::open(&path, NOW).unwrap();
        assert_eq!(again.len(), 2);
    }

    #[test]
    fn it_stays_small_and_recovers_from_a_disk_that_was_full() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("sub/a.jsonl");
        let (mut journal, mut outbox, _) = Journal::open(&path, NOW).unwrap();
        for _ in 0..SLACK {
            let mut records = outbox.offer(notification("a", "/", Status::Firing));
            records.extend(outbox.offer(notification("a", "/", Status::Resolved)));
            append(&mut journal, &outbox, &records);
            for _ in 0..2 {
                let seq = outbox.queue().next().unwrap().seq;
                let records = outbox.mark_delivered(seq, NOW);
                append(&mut journal, &outbox, &records);
            }
        }
        assert!(fs::read_to_string(&path).unwrap().lines().count() <= 2 * SLACK + 4);

        // A missing folder stands for a disk that accepts no writes.
        fs::remove_dir_all(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("sub"), "").unwrap();
        journal.file = None;
        let records = outbox.offer(notification("b", "/", Status::Firing));
        assert!(journal.append(&records, || outbox.records()).is_err());
        fs::remove_file(folder.path().join("sub")).unwrap();
        let more = outbox.offer(notification("c", "/", Status::Firing));
        append(&mut journal, &outbox, &more);
        let (_, again, _) = Journal::open(&path, NOW).unwrap();
        assert_eq!(again.len(), 2);
    }
}
