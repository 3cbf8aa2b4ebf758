//! Reads one log to its end, through its rotations.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether_core::{Now, UnixMillis};
use bellwether_files::{Version, version};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::lines::{Joining, Line, Splitter};
use super::segments::{HEAD, Position, Segment, Source, find, modified, segments};

/// Time after the last write to a rotated file in which its writer may still have it open.
const LINGER: Duration = Duration::from_secs(2);
/// The same where there is no new file yet.
const GONE: Duration = Duration::from_secs(60);
/// Time without a write after which a file is closed. It is opened again when it grows.
const IDLE: Duration = Duration::from_secs(300);

/// Place from which a log is read on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Place {
    /// The oldest predecessor.
    Oldest,
    /// The beginning of the log.
    Beginning,
    /// Its end.
    End,
    At(Position),
}

/// Settings of all logs of a collector.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// Longest line, in bytes.
    pub(super) max_line: usize,
    pub(super) joining: Option<Joining>,
}

/// A log that is followed.
#[derive(Debug)]
pub(super) struct Tail {
    path: PathBuf,
    place: Place,
    open: Option<Open>,
    /// Version of the log that was read to its end.
    read: Option<Version>,
}

/// The file that is read.
#[derive(Debug)]
struct Open {
    segment: Segment,
    /// Inode of the file before it, if that is known; 0 if there was none.
    before: Option<u64>,
    source: Source,
    /// Bytes that were read.
    offset: u64,
    /// Beginning of the text, of at most [`HEAD`] bytes.
    head: Vec<u8>,
    splitter: Splitter,
    /// Time of the last read with bytes.
    active: Now,
}

/// State of a log after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is more to read.
    More,
    /// All is read.
    End,
    /// The log and its rotated files are gone.
    Gone,
}

/// Buffer of a step, and the bytes that it may still read.
pub(super) struct Budget<'a> {
    pub(super) buffer: &'a mut [u8],
    pub(super) bytes: u64,
}

impl Tail {
    pub(super) fn new(path: PathBuf, place: Place) -> Self {
        Self {
            path,
            place,
            open: None,
            read: None,
        }
    }

    /// Returns the place behind the last complete line. Before the first byte of a file it is the end of the file before,
    /// by which a file that was never read is found if it is rotated.
    pub(super) fn place(&self) -> Place {
        match (&self.open, &self.place) {
            (Some(open), Place::At(_)) if open.offset == 0 => self.place.clone(),
            (Some(open), _) => Place::At(open.position()),
            (None, _) => self.place.clone(),
        }
    }

    /// Returns the bytes in the log behind the place, without those of files between them.
    pub(super) fn lag(&self) -> u64 {
        let live = Segment::at(&self.path).ok().flatten();
        let (length, inode) = live.map_or((0, 0), |live| (live.length, live.inode));
        match self.place() {
            Place::At(position) if position.inode == inode => {
                length.saturating_sub(position.offset)
            }
            Place::End => 0,
            _ => length,
        }
    }

    /// Reads on, and calls `each` for every line.
    ///
    /// # Errors
    /// Returns an error with the path of the file that cannot be read.
    pub(super) fn step(
        &mut self,
        now: Now,
        limits: &Limits,
        budget: &mut Budget<'_>,
        each: &mut impl FnMut(Line<'_>),
    ) -> Result<Step, String> {
        if let Some(open) = &mut self.open {
            open.splitter.flush_due(now.mono, each);
        }
        let version = fs::metadata(&self.path).ok().as_ref().map(version);
        if version.is_some() && version == self.read {
            self.close_idle(now);
            return Ok(Step::End);
        }
        self.read = None;
        loop {
            if self.open.is_none() && !self.open_place(now, limits)? {
                return Ok(match version {
                    None => Step::Gone,
                    Some(_) => Step::End,
                });
            }
            let has_skipped = self.has_skipped();
            if self.is_replaced() || has_skipped.map_err(|error| named(&self.path, &error))? {
                self.close();
                return Ok(Step::More);
            }
            if !self.read(now, budget, each)? {
                return Ok(Step::More);
            }
            match self.advance(now, limits, each)? {
                Next::Opened => {}
                Next::Wait => return Ok(Step::End),
                Next::Gone => return Ok(Step::Gone),
                Next::Live => {
                    // Of before the read, so that a later write is seen.
                    self.read = version;
                    return Ok(Step::End);
                }
            }
        }
    }

    fn close(&mut self) {
        self.place = self.place();
        self.open = None;
    }

    fn close_idle(&mut self, now: Now) {
        let open = self.open.as_ref();
        let is_idle = |open: &Open| now.mono.since(open.active.mono) > IDLE;
        if open.is_some_and(|open| is_idle(open) && open.splitter.pending() == 0) {
            self.close();
        }
    }

    /// Opens the file of the place. Returns false if there is none.
    fn open_place(&mut self, now: Now, limits: &Limits) -> Result<bool, String> {
        let located = self.locate().map_err(|error| named(&self.path, &error))?;
        match located {
            Some((segment, offset)) => self.open_segment(segment, offset, now, limits),
            None => Ok(false),
        }
    }

    /// Opens a file. A predecessor that can never be read is left out, so that it does not hold up the log.
    fn open_segment(
        &mut self,
        segment: Segment,
        offset: u64,
        now: Now,
        limits: &Limits,
    ) -> Result<bool, String> {
        let opened = match segment.open(offset) {
            Err(error) if segment.path != self.path && is_lasting(&error) => {
                let path = segment.path.display();
                warn!(%path, %error, "a rotated log is left out");
                self.place = Place::Beginning;
                return self.open_place(now, limits);
            }
            opened => opened.map_err(|error| named(&segment.path, &error))?,
        };
        self.open = opened.map(|(source, head)| Open {
            segment,
            before: None,
            source,
            offset,
            head,
            splitter: Splitter::new(limits.max_line, limits.joining.as_ref()),
            active: now,
        });
        Ok(self.open.is_some())
    }

    /// Returns the file of the place, and the offset in it.
    fn locate(&self) -> io::Result<Option<(Segment, u64)>> {
        let live = Segment::at(&self.path)?;
        let at_start = |segment: Option<Segment>| segment.map(|segment| (segment, 0));
        match &self.place {
            Place::Beginning => Ok(at_start(live)),
            Place::End => Ok(live.map(|live| {
                let length = live.length;
                (live, length)
            })),
            Place::Oldest => Ok(at_start(segments(&self.path)?.into_iter().next())),
            Place::At(position) => {
                let mut all = segments(&self.path)?;
                match find(&all, &self.path, position) {
                    Some(index) => Ok(Some((all.swap_remove(index), position.offset))),
                    None => Ok(at_start(live)),
                }
            }
        }
    }

    /// Returns whether the open file was truncated or written anew.
    fn is_replaced(&self) -> bool {
        let Some(open) = &self.open else { return false };
        match &open.source {
            Source::Plain(file) => open.is_replaced(file),
            Source::Gzip(_) => false,
        }
    }

    /// Returns whether another file came before the open one, of which nothing is read yet: the log was copied and
    /// truncated meanwhile, and its first lines are in the copy.
    fn has_skipped(&self) -> io::Result<bool> {
        let Some(open) = &self.open else {
            return Ok(false);
        };
        let (Source::Plain(file), 0, Some(before)) = (&open.source, open.offset, open.before)
        else {
            return Ok(false);
        };
        if file.metadata()?.len() == 0 {
            return Ok(false);
        }
        let all = segments(&self.path)?;
        let index = all.iter().position(|own| own.inode == open.segment.inode);
        Ok(index.is_some_and(|index| inode_before(&all, index) != before))
    }

    /// Reads to the end of the file. Returns false if the budget ended before.
    fn read(
        &mut self,
        now: Now,
        budget: &mut Budget<'_>,
        each: &mut impl FnMut(Line<'_>),
    ) -> Result<bool, String> {
        let Some(open) = &mut self.open else {
            return Ok(true);
        };
        while budget.bytes > 0 {
            let room = budget.buffer.len().min(budget.bytes as usize);
            let count = open.source.read(&mut budget.buffer[..room]);
            let count = count.map_err(|error| named(&open.segment.path, &error));
            // The rest of a damaged archive cannot be read; the next file can.
            let count = match (count, &open.source) {
                (Err(error), Source::Plain(_)) => return Err(error),
                (Err(error), Source::Gzip(_)) => {
                    warn!(%error, "the rest of a compressed log is left out");
                    return Ok(true);
                }
                (Ok(0), _) => return Ok(true),
                (Ok(count), _) => count,
            };
            let chunk = &budget.buffer[..count];
            let room = HEAD - open.head.len();
            open.head.extend_from_slice(&chunk[..count.min(room)]);
            open.offset += count as u64;
            open.active = now;
            open.splitter.push(chunk, now.mono, each);
            budget.bytes -= count as u64;
        }
        Ok(false)
    }

    /// Goes on to the next file of the log, at the end of the open one.
    fn advance(
        &mut self,
        now: Now,
        limits: &Limits,
        each: &mut impl FnMut(Line<'_>),
    ) -> Result<Next, String> {
        let error = |error: io::Error| named(&self.path, &error);
        let Some(open) = &mut self.open else {
            return Ok(Next::Wait);
        };
        let live = Segment::at(&self.path).map_err(error)?;
        if live
            .as_ref()
            .is_some_and(|live| live.inode == open.segment.inode)
        {
            return Ok(Next::Live);
        }
        let mut all = segments(&self.path).map_err(error)?;
        let after = |position: &Position| Some(find(&all, &self.path, position)? + 1);
        // A file without text cannot be distinguished from others, once it is deleted or compressed.
        let after_before = match &self.place {
            Place::At(before) if open.offset == 0 => after(before),
            _ => None,
        };
        let live = all.iter().position(|segment| segment.path == self.path);
        let next = after(&open.position()).max(after_before).or(live);
        let next = next.unwrap_or(all.len());
        let before = inode_before(&all, next);
        let next = (next < all.len()).then(|| all.swap_remove(next));
        let quiet = open.quiet(now.wall);
        match next {
            // The writer may come back to the old file as long as there is no new one.
            None if quiet < GONE => return Ok(Next::Wait),
            Some(next) if next.path == self.path && (next.length == 0 || quiet < LINGER) => {
                return Ok(Next::Wait);
            }
            _ => open.splitter.finish(now.mono, each),
        }
        self.close();
        match next {
            None if all.is_empty() => Ok(Next::Gone),
            // By them it is known that they belong to a log.
            None => Ok(Next::Wait),
            Some(next) => {
                let is_open = self.open_segment(next, 0, now, limits)?;
                if let Some(open) = &mut self.open {
                    open.before = Some(before);
                }
                Ok(if is_open { Next::Opened } else { Next::Wait })
            }
        }
    }
}

/// Returns the inode of the file before that of `index`; 0 if there is none.
fn inode_before(all: &[Segment], index: usize) -> u64 {
    let before = index.checked_sub(1).and_then(|before| all.get(before));
    before.map_or(0, |before| before.inode)
}

/// Next thing at the end of a file.
enum Next {
    /// Another file, which is open.
    Opened,
    /// It is the file that is written to.
    Live,
    /// A rotated file may still be written to.
    Wait,
    /// There is no file any more.
    Gone,
}

impl Open {
    fn position(&self) -> Position {
        let offset = self.offset - self.splitter.pending();
        Position::new(self.segment.inode, offset, &self.head)
    }

    fn is_replaced(&self, file: &File) -> bool {
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let mut head = [0; HEAD];
        let head = &mut head[..self.head.len()];
        length < self.offset || file.read_exact_at(head, 0).is_err() || head != self.head
    }

    /// Returns the time since the last write to the file; for a time in the future, a long one.
    fn quiet(&self, now: UnixMillis) -> Duration {
        let Source::Plain(file) = &self.source else {
            return Duration::MAX;
        };
        match file.metadata().map(|metadata| modified(&metadata)) {
            Ok(last) if last <= now.after(LINGER) => now.since(last),
            _ => Duration::MAX,
        }
    }
}

/// Returns whether a file that cannot be opened will not be readable later either.
fn is_lasting(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidData
            | io::ErrorKind::UnexpectedEof
    )
}

fn named(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}
