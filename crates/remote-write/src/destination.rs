//! The task of one destination: reads the log, sends samples and saves the progress.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bellwether_core::counted;
use bellwether_http::next_delay;
use bellwether_tsdb::history::Cursor;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::batch::{Chunk, Cutter};
use super::cursor::{Progress, ProgressFile};
use super::family::Families;
use super::sender::{Outcome, Sender};
use super::settings::{Protocol, RemoteQueue};
use super::stats::Stats;
use super::tail::{Log, Tail, Tailed, gather};

/// An active destination.
pub(super) struct Destination {
    pub(super) name: Arc<str>,
    pub(super) queue: RemoteQueue,
    pub(super) configured_protocol: Protocol,
    pub(super) sender: Sender,
    pub(super) cutter: Cutter,
    pub(super) families: Arc<Families>,
    pub(super) log: Arc<dyn Log>,
    /// Reader of the log, opened at the first read.
    pub(super) tail: Option<Box<dyn Tail>>,
    /// `None`: progress ends with the process.
    pub(super) file: Option<ProgressFile>,
    pub(super) progress: Progress,
    pub(super) stats: Arc<Stats>,
    pub(super) random: fn() -> f64,
    pub(super) send_state: SendState,
}

/// Number of requests per read of the log: fewer reads, and fewer writes of the progress.
const REQUESTS_PER_READ: usize = 4;
/// Interval of metadata for receivers of 1.0, as in Prometheus.
const METADATA_INTERVAL: Duration = Duration::from_secs(60);
/// Time that a stop waits for a running attempt.
pub(super) const LAST_ATTEMPT: Duration = Duration::from_secs(1);

/// The destination was stopped.
struct Stopped;

impl Destination {
    /// Sends until it is stopped.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        while let Ok(more) = self.send_pending(&stop).await {
            if !more && pause(*self.queue.batch_send_deadline, &stop).await.is_err() {
                break;
            }
        }
        self.save().await;
    }

    /// Sends pending samples of the log; returns whether there may be more.
    async fn send_pending(&mut self, stop: &CancellationToken) -> Result<bool, Stopped> {
        let max_samples = self
            .queue
            .max_samples_per_send
            .saturating_mul(REQUESTS_PER_READ);
        let Some(tailed) = self.read(max_samples).await else {
            return Ok(false);
        };
        self.note_lost(tailed.lost);
        if tailed.next == self.progress.acked {
            if self.progress.sending.take().is_some() || self.send_state.unsaved {
                self.save().await;
            }
            return Ok(false);
        }
        let is_repeat = self.progress.sending == Some(tailed.next);
        self.send_samples(&tailed, is_repeat, stop).await?;
        if stop.is_cancelled() {
            Err(Stopped)
        } else {
            Ok(is_repeat || tailed.samples.len() >= max_samples)
        }
    }

    /// Sends the samples that were read, and moves the progress behind them.
    async fn send_samples(
        &mut self,
        tailed: &Tailed,
        is_repeat: bool,
        stop: &CancellationToken,
    ) -> Result<(), Stopped> {
        self.progress.sending = Some(tailed.next);
        self.save().await;
        let (chunks, dropped) = self.cut(tailed);
        for chunk in &chunks {
            self.deliver(chunk, is_repeat, stop).await?;
        }
        self.stats.relabelled.fetch_add(dropped, Relaxed);
        self.progress = Progress {
            acked: tailed.next,
            sending: None,
        };
        self.send_state.unsaved = true;
        Ok(())
    }

    fn note_lost(&self, lost: u64) {
        if lost > 0 {
            self.stats.lost.fetch_add(lost, Relaxed);
            warn!(destination = %self.name, lost, "samples were deleted from the log before they were sent");
        }
    }

    fn cut(&mut self, tailed: &Tailed) -> (Vec<Chunk>, u64) {
        let mut start_times = self.stats.start_times.lock();
        let sent_start_times =
            (self.sender.protocol() == Protocol::V2).then_some(&mut *start_times);
        self.cutter.cut(&tailed.samples, sent_start_times)
    }

    async fn read(&mut self, max_samples: usize) -> Option<Tailed> {
        let (log, Progress { acked, sending }) = (self.log.clone(), self.progress);
        let tail = self.tail.take();
        let read = move || {
            let mut tail = tail.unwrap_or_else(|| log.open(acked));
            let tailed = gather(&mut *tail, acked, sending, max_samples);
            (tail, tailed, log.pending(acked))
        };
        match tokio::task::spawn_blocking(read).await {
            Ok((tail, tailed, pending)) => {
                self.tail = Some(tail);
                self.stats.pending_samples.store(pending.samples, Relaxed);
                self.stats.pending_bytes.store(pending.bytes, Relaxed);
                Some(tailed)
            }
            Err(error) => {
                self.note_error(format!("cannot read the log: {error}"));
                None
            }
        }
    }

    /// Sends `chunk` until the receiver accepts it or rejects it for good. `is_repeat`: it may have been
    /// sent before a restart.
    async fn deliver(
        &mut self,
        chunk: &Chunk,
        is_repeat: bool,
        stop: &CancellationToken,
    ) -> Result<(), Stopped> {
        let mut failures = 0;
        let mut may_have_arrived = is_repeat;
        loop {
            match self.attempt(chunk, stop).await? {
                Outcome::Accepted { bytes, rejected } => {
                    self.note_accepted(chunk, bytes, rejected);
                    return Ok(());
                }
                Outcome::Rejected { message, written } => {
                    self.note_rejected(chunk, &message, written, may_have_arrived);
                    return Ok(());
                }
                Outcome::Retry {
                    message,
                    retry_after,
                    unanswered,
                } => {
                    failures += 1;
                    may_have_arrived |= unanswered;
                    self.stats.retried.fetch_add(chunk.samples as u64, Relaxed);
                    self.note_error(message);
                    let (min, max) = (*self.queue.min_backoff, *self.queue.max_backoff);
                    let wait = next_delay(min, max, failures, retry_after, (self.random)());
                    pause(wait, stop).await?;
                }
            }
        }
    }

    /// Makes one attempt to send `chunk`, with metadata if that is due.
    async fn attempt(
        &mut self,
        chunk: &Chunk,
        stop: &CancellationToken,
    ) -> Result<Outcome, Stopped> {
        let families = self.families.clone();
        let metadata_due = self.send_state.metadata_due(Instant::now());
        let metadata = if metadata_due { families.all() } else { &[] };
        let outcome = tokio::select! {
            outcome = self.sender.send(chunk, metadata) => outcome,
            () = grace_is_over(stop) => return Err(Stopped),
        };
        self.log_fallback();
        // Rejected metadata is not sent with the next chunk, which would be rejected for it, too.
        if metadata_due && !matches!(outcome, Outcome::Retry { .. }) {
            self.send_state.metadata_sent = Some(Instant::now());
        }
        Ok(outcome)
    }

    fn note_rejected(
        &mut self,
        chunk: &Chunk,
        message: &str,
        written: u64,
        may_have_arrived: bool,
    ) {
        let dropped = chunk.samples as u64 - written;
        self.stats.sent.fetch_add(written, Relaxed);
        self.stats.failed.fetch_add(dropped, Relaxed);
        let doubt = match may_have_arrived {
            true => " (an earlier attempt may have delivered them)",
            false => "",
        };
        let dropped = counted(dropped, "sample");
        self.note_error(format!("dropped {dropped}{doubt}: {message}"));
    }

    fn note_accepted(&mut self, chunk: &Chunk, bytes: usize, rejected: u64) {
        self.stats
            .sent
            .fetch_add(chunk.samples as u64 - rejected, Relaxed);
        self.stats.bytes.fetch_add(bytes as u64, Relaxed);
        self.stats.newest_sent.fetch_max(chunk.newest, Relaxed);
        if rejected > 0 {
            self.stats.failed.fetch_add(rejected, Relaxed);
            self.note_error(format!(
                "the receiver did not write {}",
                counted(rejected, "sample")
            ));
        } else if self.stats.last_error.lock().take().is_some() {
            self.send_state.last_logged = None;
            info!(destination = %self.name, "remote write works again");
        }
    }

    /// Notes an error, and logs at most one per minute.
    fn note_error(&mut self, message: String) {
        if self.send_state.may_log(Instant::now()) {
            warn!(destination = %self.name, receiver = self.sender.origin(), "remote write: {message}");
        }
        *self.stats.last_error.lock() = Some(message);
    }

    fn log_fallback(&self) {
        let fell_back = self.sender.protocol() != self.configured_protocol;
        if fell_back && !self.stats.fell_back.swap(true, Relaxed) {
            warn!(destination = %self.name, "the receiver does not support remote write 2.0; falling back to 1.0");
        }
    }

    /// Saves the progress, and releases the log before it, which no restart reads again.
    async fn save(&mut self) {
        let (log, name, progress) = (self.log.clone(), self.name.clone(), self.progress);
        let file = self.file.clone();
        let save = move || {
            if let Some(file) = file {
                file.save(&progress)?;
            }
            log.hold(&name, progress.acked);
            std::io::Result::Ok(())
        };
        match tokio::task::spawn_blocking(save).await {
            Ok(Ok(())) => self.send_state.unsaved = false,
            Ok(Err(error)) => self.note_error(format!("cannot save the progress: {error}")),
            Err(error) => self.note_error(format!("cannot save the progress: {error}")),
        }
    }
}

/// State of a destination besides its progress.
#[derive(Debug, Default)]
pub(super) struct SendState {
    /// Time of the last error that was logged.
    last_logged: Option<Instant>,
    /// Time of the last accepted metadata.
    metadata_sent: Option<Instant>,
    /// True if the progress has changed since it was saved.
    unsaved: bool,
}

impl SendState {
    /// Returns whether metadata is due.
    fn metadata_due(&self, now: Instant) -> bool {
        self.metadata_sent
            .is_none_or(|last| now - last >= METADATA_INTERVAL)
    }

    /// Returns whether an error is to be logged: the first, then one per minute.
    fn may_log(&mut self, now: Instant) -> bool {
        const INTERVAL: Duration = Duration::from_secs(60);
        let due = self.last_logged.is_none_or(|last| now - last >= INTERVAL);
        if due {
            self.last_logged = Some(now);
        }
        due
    }
}

/// Returns the saved progress, or the end of the log for a new destination.
pub(super) fn restore_progress(file: Option<&ProgressFile>, log: &dyn Log, name: &str) -> Progress {
    let end = log.end();
    match file.map_or(Ok(None), ProgressFile::load_optional) {
        Ok(Some(progress)) => return limit_to_log(progress, end, name),
        Ok(None) => {}
        Err(error) => {
            warn!(destination = name, %error, "cannot read the progress; sending begins at the end of the log");
        }
    }
    Progress {
        acked: end,
        sending: None,
    }
}

/// Limits the progress to the log, which may end before it: the last bytes were lost with a loss of
/// power, or the log was deleted and is a new one, of which nothing was sent.
fn limit_to_log(progress: Progress, end: Cursor, name: &str) -> Progress {
    if progress.acked <= end {
        return progress;
    }
    if progress.acked.segment == end.segment {
        return Progress {
            acked: end,
            sending: None,
        };
    }
    warn!(
        destination = name,
        "history was replaced; it is sent from its beginning"
    );
    Progress {
        acked: Cursor::default(),
        sending: None,
    }
}

async fn pause(span: Duration, stop: &CancellationToken) -> Result<(), Stopped> {
    tokio::select! {
        () = sleep(span) => Ok(()),
        () = stop.cancelled() => Err(Stopped),
    }
}

async fn grace_is_over(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(LAST_ATTEMPT).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_after_the_end_of_the_log_is_limited() {
        let cursor = |segment, offset| Cursor {
            segment,
            offset,
            samples: 0,
        };
        let begin = |acked| {
            limit_to_log(
                Progress {
                    acked,
                    sending: None,
                },
                cursor(3, 100),
                "x",
            )
            .acked
        };
        assert_eq!(begin(cursor(3, 100)), cursor(3, 100));
        assert_eq!(begin(cursor(2, 900)), cursor(2, 900));
        assert_eq!(begin(cursor(3, 101)), cursor(3, 100));
        assert_eq!(begin(cursor(4, 1)), Cursor::default());
    }
}
