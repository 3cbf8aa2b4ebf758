//! Reads one log to its end, through its rotations.

use std::fs;
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
/// The same where there is no new file yet, and for a file that is still read beside the new one.
const GONE: Duration = Duration::from_secs(60);
/// Maximum number of rotated files of a log that are read beside it.
const MAX_LATE: usize = 4;
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
    /// Files before it, oldest first, whose writer may still have them open: `postrotate` of logrotate comes later.
    late: Vec<Open>,
    /// Positions in such files that are not open yet after a restart.
    saved: Vec<Position>,
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
    /// Time of the last read with bytes; for a late file, at least that of the next one.
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
    /// Creates a tail. `saved` are positions of [`Tail::late_positions`].
    pub(super) fn new(path: PathBuf, place: Place, saved: Vec<Position>) -> Self {
        Self {
            path,
            place,
            open: None,
            late: Vec::new(),
            saved,
            read: None,
        }
    }

    /// Returns the place behind the last complete line. Before the first byte of a file it is the end of the file before,
    /// by which a file that was never read is found if it is rotated.
    pub(super) fn place(&self) -> Place {
        match (&self.open, &self.place) {
            (Some(open), Place::At(_)) if open.offset == 0 => {}
            (Some(open), _) => return Place::At(open.position()),
            (None, _) => {}
        }
        match &self.place {
            Place::At(before) => {
                let late = self.late.iter();
                let mut late = late.filter(|open| open.segment.inode == before.inode);
                Place::At(late.next().map_or_else(|| before.clone(), Open::position))
            }
            place => place.clone(),
        }
    }

    /// Returns the positions in files before the place that may still grow.
    pub(super) fn late_positions(&self) -> Vec<Position> {
        let place = self.place();
        let is_place =
            |own: &Position| matches!(&place, Place::At(place) if place.inode == own.inode);
        let late = self.late.iter().map(Open::position);
        let all = late.chain(self.saved.iter().cloned());
        all.filter(|own| !is_place(own)).collect()
    }

    /// Returns the bytes in the log behind the place and those that are not read of late files, without those of files
    /// between them.
    pub(super) fn lag(&self) -> u64 {
        let late: u64 = self.late.iter().map(Open::unread).sum();
        late + self.live_lag()
    }

    fn live_lag(&self) -> u64 {
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
        self.open_saved(now, limits);
        if !self.read_late(now, budget, each) {
            return Ok(Step::More);
        }
        match self.step_log(now, limits, budget, each)? {
            // Their last lines may come yet.
            Step::Gone if !self.late.is_empty() => Ok(Step::End),
            step => Ok(step),
        }
    }

    fn step_log(
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
            if let Some(open) = &mut self.open
                && !open.read(now, budget, each)?
            {
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

    /// Opens the late files of a checkpoint. One that was compressed meanwhile is read to its end.
    fn open_saved(&mut self, now: Now, limits: &Limits) {
        if self.saved.is_empty() {
            return;
        }
        let Ok(all) = segments(&self.path) else {
            return;
        };
        let place = match &self.place {
            Place::At(place) => find(&all, &self.path, place),
            _ => None,
        };
        let mut saved = std::mem::take(&mut self.saved);
        saved.retain(|position| {
            let index = find(&all, &self.path, position);
            let segment = index.and_then(|index| all.get(index));
            let Some(segment) = segment.filter(|segment| segment.path != self.path) else {
                return false;
            };
            // An empty file is known by its inode alone, which may be that of another one by now.
            if position.offset == 0 && (segment.is_gzip || index >= place) {
                return false;
            }
            match segment.open(position.offset) {
                Ok(Some((source, head))) => {
                    let offset = position.offset;
                    let open = Open::new(segment.clone(), source, offset, head, now, limits);
                    self.late.push(open);
                    false
                }
                Ok(None) => true,
                Err(error) => !is_lasting(&error),
            }
        });
        self.saved = saved;
    }

    /// Reads what was appended to late files. Returns false if the budget ended before.
    fn read_late(
        &mut self,
        now: Now,
        budget: &mut Budget<'_>,
        each: &mut impl FnMut(Line<'_>),
    ) -> bool {
        let mut is_end = true;
        // Until the log is reached, files between are looked for, and late ones must be known so that they are not taken.
        let is_between = self.open.is_some() && self.read.is_none();
        let place = &mut self.place;
        self.late.retain_mut(|open| {
            open.splitter.flush_due(now.mono, each);
            let result = match open.is_replaced() {
                true => Ok(true),
                false => open.read(now, budget, each),
            };
            match result {
                Ok(false) => {
                    is_end = false;
                    return true;
                }
                Ok(true) if open.can_grow() && (is_between || !open.is_late_over(now)) => {
                    return true;
                }
                Ok(true) => {}
                Err(error) => warn!(%error, "the rest of a rotated log is left out"),
            }
            open.leave(place, now, each);
            false
        });
        is_end
    }

    /// Closes the open file, and reads it further beside the next one.
    fn close_late(&mut self, now: Now, each: &mut impl FnMut(Line<'_>)) {
        self.place = self.place();
        if self.late.len() >= MAX_LATE {
            self.late.remove(0).leave(&mut self.place, now, each);
        }
        if let Some(mut open) = self.open.take() {
            open.active = now;
            self.late.push(open);
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

    /// Opens a file; a late one is open already. A predecessor that can never be read is left out, so that it does not
    /// hold up the log.
    fn open_segment(
        &mut self,
        segment: Segment,
        offset: u64,
        now: Now,
        limits: &Limits,
    ) -> Result<bool, String> {
        let mut late = self.late.iter();
        if let Some(index) = late.position(|open| open.segment.inode == segment.inode) {
            self.open = Some(self.late.remove(index));
            return Ok(true);
        }
        let opened = match segment.open(offset) {
            Err(error) if segment.path != self.path && is_lasting(&error) => {
                let path = segment.path.display();
                warn!(%path, %error, "a rotated log is left out");
                self.place = Place::Beginning;
                return self.open_place(now, limits);
            }
            opened => opened.map_err(|error| named(&segment.path, &error))?,
        };
        self.open =
            opened.map(|(source, head)| Open::new(segment, source, offset, head, now, limits));
        Ok(self.open.is_some())
    }

    /// Returns the file of the place, and the offset in it.
    fn locate(&self) -> io::Result<Option<(Segment, u64)>> {
        let live = Segment::at(&self.path)?;
        let at_start = |segment: Option<Segment>| segment.map(|segment| (segment, 0));
        match &self.place() {
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
        self.open.as_ref().is_some_and(Open::is_replaced)
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
        let mut next = next.unwrap_or(all.len());
        // A late file is read already, and its late lines may have made it the newest.
        let is_late = |segment: &Segment| {
            segment.path != self.path && self.late.iter().any(|open| open.is_same(segment))
        };
        while all.get(next).is_some_and(is_late) {
            next += 1;
        }
        let before = inode_before(&all, next);
        let next = (next < all.len()).then(|| all.swap_remove(next));
        let quiet = open.quiet(now.wall);
        match next {
            // The writer may come back to the old file as long as there is no new one.
            None if quiet < GONE => return Ok(Next::Wait),
            Some(next) if next.path == self.path && (next.length == 0 || quiet < LINGER) => {
                return Ok(Next::Wait);
            }
            // However old its last line is: a quiet log has one between the rotation and the reload too.
            Some(_) if matches!(open.source, Source::Plain(_)) => {
                // A line that is as old has no rest, and a gauge that it sets comes before those of the next file.
                if quiet >= GONE {
                    open.splitter.finish(now.mono, each);
                }
                self.close_late(now, each);
            }
            _ => {
                open.splitter.finish(now.mono, each);
                self.close();
            }
        }
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
    fn new(
        segment: Segment,
        source: Source,
        offset: u64,
        head: Vec<u8>,
        now: Now,
        limits: &Limits,
    ) -> Self {
        Self {
            segment,
            before: None,
            source,
            offset,
            head,
            splitter: Splitter::new(limits.max_line, limits.joining.as_ref()),
            active: now,
        }
    }

    /// Reads to the end of the file. Returns false if the budget ended before.
    fn read(
        &mut self,
        now: Now,
        budget: &mut Budget<'_>,
        each: &mut impl FnMut(Line<'_>),
    ) -> Result<bool, String> {
        while budget.bytes > 0 {
            let room = budget.buffer.len().min(budget.bytes as usize);
            let count = self.source.read(&mut budget.buffer[..room]);
            let count = count.map_err(|error| named(&self.segment.path, &error));
            // The rest of a damaged archive cannot be read; the next file can.
            let count = match (count, &self.source) {
                (Err(error), Source::Plain(_)) => return Err(error),
                (Err(error), Source::Gzip(_)) => {
                    warn!(%error, "the rest of a compressed log is left out");
                    return Ok(true);
                }
                (Ok(0), _) => return Ok(true),
                (Ok(count), _) => count,
            };
            let chunk = &budget.buffer[..count];
            let room = HEAD - self.head.len();
            self.head.extend_from_slice(&chunk[..count.min(room)]);
            self.offset += count as u64;
            self.active = now;
            self.splitter.push(chunk, now.mono, each);
            budget.bytes -= count as u64;
        }
        Ok(false)
    }

    /// Returns the bytes of the file that are not read.
    fn unread(&self) -> u64 {
        let Source::Plain(file) = &self.source else {
            return 0;
        };
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        length.saturating_sub(self.offset)
    }

    fn can_grow(&self) -> bool {
        matches!(self.source, Source::Plain(_)) && !self.is_replaced()
    }

    /// Returns whether the writer of a late file has left it, as far as time tells.
    fn is_late_over(&self, now: Now) -> bool {
        now.mono.since(self.active.mono) >= GONE
    }

    /// Returns whether `segment` is this late file, or what it was compressed to.
    fn is_same(&self, segment: &Segment) -> bool {
        self.segment.inode == segment.inode
            || (segment.is_gzip && self.offset > 0 && segment.has(&self.position()))
    }

    /// Completes the last line of a late file, behind which `place` is if it is in it.
    fn leave(&mut self, place: &mut Place, now: Now, each: &mut impl FnMut(Line<'_>)) {
        self.splitter.finish(now.mono, each);
        match place {
            Place::At(before) if before.inode == self.segment.inode => *before = self.position(),
            _ => {}
        }
    }

    fn position(&self) -> Position {
        let offset = self.offset - self.splitter.pending();
        Position::new(self.segment.inode, offset, &self.head)
    }

    /// Returns whether the file was truncated or written anew.
    fn is_replaced(&self) -> bool {
        let Source::Plain(file) = &self.source else {
            return false;
        };
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
