//! File of an outbox: one JSON line per record, synced before anything relies on it.
//!
//! An invalid line is counted and skipped, so a torn tail or a damaged place loses only that line.
//! The first line marks a journal, so that a file without lines was emptied. All functions block;
//! callers use a blocking thread.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_core::{
    Alert, AlertState, Cause, Fingerprint, Group, Labels, Notification, Now, Severity, Status,
    UnixMillis,
};
use bellwether_files as files;
use bellwether_files::durable;
use serde::{Deserialize, Serialize};

use super::outbox::{Notified, Outbox, Record, StoredDeadLetter};

/// Lines between two checks of whether a journal could be much smaller. One with more than twice
/// the lines that its outbox needs, and these, is rewritten. Both are a pass over the outbox, which
/// may be large.
const SLACK: usize = 1000;

/// The first line.
const HEADER: &[u8] = b"\"outbox\"";

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
    /// The file cannot be read. An error of writing is returned by the next [`Journal::append`].
    pub(super) fn open(path: &Path, now: Now) -> io::Result<(Self, Outbox, usize)> {
        let (outbox, damaged) = match files::read(path, files::STATE) {
            Ok(bytes) => read(&bytes, now),
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
        durable::replace(&self.path, &[HEADER, b"\n", &lines(records)].concat())?;
        self.file = Some(OpenOptions::new().append(true).open(&self.path)?);
        self.lines = records.len();
        self.next_check_lines = self.lines + SLACK;
        Ok(())
    }
}

/// Reads the outbox of `lines` at `now`. Returns it with the number of damaged lines; no line at
/// all counts as a damaged one.
pub(super) fn read(lines: &[u8], now: Now) -> (Outbox, usize) {
    let (mut outbox, mut damaged) = (Outbox::default(), usize::from(lines.is_empty()));
    for line in lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty() && *line != HEADER)
    {
        match serde_json::from_slice(line)
            .ok()
            .and_then(|line: Line| line.into_record(now))
        {
            Some(record) => {
                outbox.apply(record);
            }
            None => damaged += 1,
        }
    }
    outbox.drop_unmatched_resolved();
    (outbox, damaged)
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
        #[serde(rename = "told")]
        notified: Option<(i64, i64)>,
        open: bool,
        alert: Box<SavedAlert>,
        group: SavedGroup,
    },
    Push {
        seq: u64,
        episode: u64,
        notification: Box<Saved>,
    },
    #[serde(rename = "done")]
    Delivered {
        seq: u64,
        at: i64,
    },
    Drop(u64),
    Close(u64),
    #[serde(rename = "letter")]
    DeadLetter {
        seq: u64,
        at: i64,
        reason: String,
        error: String,
        notification: Box<Saved>,
        end: Option<Box<Saved>>,
    },
    Forget(u64),
}

#[derive(Serialize, Deserialize)]
struct Saved {
    id: String,
    resolved: bool,
    #[serde(default)]
    cause: String,
    #[serde(default)]
    group: SavedGroup,
    reason: String,
    at: i64,
    alert: SavedAlert,
}

#[derive(Default, Serialize, Deserialize)]
struct SavedGroup {
    key: String,
    receiver: String,
    labels: Labels,
    whole: bool,
}

#[derive(Serialize, Deserialize)]
struct SavedAlert {
    fingerprint: u64,
    rule: String,
    severity: String,
    labels: Labels,
    annotations: Labels,
    message: String,
    value: Option<f64>,
    #[serde(default)]
    fired_value: Option<f64>,
    #[serde(default)]
    peak: Option<f64>,
    threshold: Option<f64>,
    firing: bool,
    active_at: i64,
    fired_at: Option<i64>,
    resolved_at: Option<i64>,
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
                notified: notified.map(|notified| (notified.first.wall.0, notified.last.wall.0)),
                open: *open,
                alert: Box::new(SavedAlert::from_alert(alert)),
                group: SavedGroup::from_group(group),
            },
            Record::Push {
                seq,
                episode,
                notification,
            } => Self::Push {
                seq: *seq,
                episode: *episode,
                notification: Box::new(Saved::from_notification(notification)),
            },
            Record::Delivered { seq, at } => Self::Delivered {
                seq: *seq,
                at: at.wall.0,
            },
            Record::Drop(seq) => Self::Drop(*seq),
            Record::Close(episode) => Self::Close(*episode),
            Record::DeadLetter(dead_letter) => Self::DeadLetter {
                seq: dead_letter.seq,
                at: dead_letter.at.0,
                reason: dead_letter.reason.clone(),
                error: dead_letter.error.clone(),
                notification: Box::new(Saved::from_notification(&dead_letter.notification)),
                end: dead_letter
                    .end
                    .as_ref()
                    .map(|end| Box::new(Saved::from_notification(end))),
            },
            Record::Forget(dead_letter) => Self::Forget(*dead_letter),
        }
    }

    /// Converts a line that is read at `now`.
    fn into_record(self, now: Now) -> Option<Record> {
        let in_past = |at| now.at(UnixMillis(at));
        Some(match self {
            Self::Episode {
                id,
                notified,
                open,
                alert,
                group,
            } => Record::Episode {
                id,
                notified: notified.map(|(first, last)| Notified {
                    first: in_past(first),
                    last: in_past(last),
                }),
                open,
                alert: Arc::new(alert.into_alert()?),
                group: Arc::new(group.into_group()),
            },
            Self::Push {
                seq,
                episode,
                notification,
            } => Record::Push {
                seq,
                episode,
                notification: notification.into_notification()?,
            },
            Self::Delivered { seq, at } => Record::Delivered {
                seq,
                at: in_past(at),
            },
            Self::Drop(seq) => Record::Drop(seq),
            Self::Close(episode) => Record::Close(episode),
            Self::DeadLetter {
                seq,
                at,
                reason,
                error,
                notification,
                end,
            } => {
                let notification = notification.into_notification()?;
                let end = match end {
                    Some(end) => Some(end.into_notification()?),
                    None => None,
                };
                let at = UnixMillis(at);
                Record::DeadLetter(Box::new(StoredDeadLetter {
                    seq,
                    at,
                    reason,
                    error,
                    notification,
                    end,
                }))
            }
            Self::Forget(dead_letter) => Record::Forget(dead_letter),
        })
    }
}

impl Saved {
    fn from_notification(notification: &Notification) -> Self {
        Self {
            id: notification.id.clone(),
            resolved: notification.status == Status::Resolved,
            cause: notification.cause.as_str().to_owned(),
            group: SavedGroup::from_group(&notification.group),
            reason: notification.reason.clone(),
            at: notification.at.0,
            alert: SavedAlert::from_alert(&notification.alert),
        }
    }

    fn into_notification(self) -> Option<Notification> {
        let matches = |cause: &Cause| cause.as_str() == self.cause;
        Some(Notification {
            id: self.id,
            status: if self.resolved {
                Status::Resolved
            } else {
                Status::Firing
            },
            cause: Cause::ALL
                .into_iter()
                .find(matches)
                .unwrap_or(Cause::Change),
            group: Arc::new(self.group.into_group()),
            alert: Arc::new(self.alert.into_alert()?),
            reason: self.reason,
            at: UnixMillis(self.at),
        })
    }
}

impl SavedGroup {
    fn from_group(group: &Group) -> Self {
        let Group {
            key,
            receiver,
            labels,
            include_firing: whole,
        } = group.clone();
        Self {
            key,
            receiver,
            labels,
            whole,
        }
    }

    fn into_group(self) -> Group {
        let Self {
            key,
            receiver,
            labels,
            whole,
        } = self;
        Group {
            key,
            receiver,
            labels,
            include_firing: whole,
        }
    }
}

impl SavedAlert {
    fn from_alert(alert: &Alert) -> Self {
        Self {
            fingerprint: alert.fingerprint.0,
            rule: alert.rule.to_string(),
            severity: alert.severity.as_str().to_owned(),
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            message: alert.message.clone(),
            // JSON has no infinity; a value that is none is left out.
            value: alert.value.filter(|value| value.is_finite()),
            fired_value: alert.fired_value.filter(|value| value.is_finite()),
            peak: alert.peak.filter(|value| value.is_finite()),
            threshold: alert.threshold,
            firing: alert.state == AlertState::Firing,
            active_at: alert.active_at.0,
            fired_at: alert.fired_at.map(|at| at.0),
            resolved_at: alert.resolved_at.map(|at| at.0),
        }
    }

    fn into_alert(self) -> Option<Alert> {
        let severity = Severity::ALL
            .into_iter()
            .find(|one| one.as_str() == self.severity)?;
        Some(Alert {
            fingerprint: Fingerprint(self.fingerprint),
            rule: self.rule.into(),
            severity,
            labels: self.labels,
            annotations: self.annotations,
            message: self.message,
            value: self.value,
            fired_value: self.fired_value,
            peak: self.peak,
            threshold: self.threshold,
            state: if self.firing {
                AlertState::Firing
            } else {
                AlertState::Inactive
            },
            active_at: UnixMillis(self.active_at),
            fired_at: self.fired_at.map(UnixMillis),
            resolved_at: self.resolved_at.map(UnixMillis),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bellwether_core::MonoMillis;
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

    /// A storm fills it with lines that are all needed; what each costs must not grow with them.
    #[test]
    fn a_large_outbox_is_not_searched_for_every_line() {
        let folder = TempDir::new().unwrap();
        let (mut journal, mut outbox, _) =
            Journal::open(&folder.path().join("a.jsonl"), NOW).unwrap();
        let (mut passes, mut lines) = (0, 0);
        let mut write = |outbox: &Outbox, records: &[Record]| {
            lines += records.len();
            let snapshot = || {
                passes += 1;
                outbox.records()
            };
            journal.append(records, snapshot).unwrap();
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
