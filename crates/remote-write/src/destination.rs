//! The task of one destination: read, send, remember how far.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

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

/// A destination at work.
pub(super) struct Destination {
    pub(super) name: Arc<str>,
    pub(super) queue: RemoteQueue,
    pub(super) declared: Protocol,
    pub(super) sender: Sender,
    pub(super) cutter: Cutter,
    pub(super) families: Arc<Families>,
    pub(super) log: Arc<dyn Log>,
    /// Where the log is read; opened when it is needed.
    pub(super) tail: Option<Box<dyn Tail>>,
    /// None: progress ends with the process.
    pub(super) file: Option<ProgressFile>,
    pub(super) progress: Progress,
    pub(super) stats: Arc<Stats>,
    pub(super) random: fn() -> f64,
    pub(super) diary: Diary,
}

/// Requests that one reading of the log fills: fewer readings, and fewer writes of the progress.
const REQUESTS_AT_ONCE: usize = 4;
/// How often a receiver of 1.0 is told types and help, as Prometheus does.
const METADATA_EVERY: Duration = Duration::from_secs(60);
/// How long a stop waits for an attempt under way.
pub(super) const LAST_ATTEMPT: Duration = Duration::from_secs(1);

/// The end was asked for.
struct Stopped;

impl Destination {
    /// Sends until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        while let Ok(more) = self.round(&stop).await {
            if !more && pause(*self.queue.batch_send_deadline, &stop).await.is_err() {
                break;
            }
        }
        self.save().await;
    }

    /// Sends what the log holds now; whether there may be more.
    async fn round(&mut self, stop: &CancellationToken) -> Result<bool, Stopped> {
        let enough = self
            .queue
            .max_samples_per_send
            .saturating_mul(REQUESTS_AT_ONCE);
        let Some(tailed) = self.read(enough).await else {
            return Ok(false);
        };
        if tailed.lost > 0 {
            self.stats.lost.fetch_add(tailed.lost, Relaxed);
            let lost = tailed.lost;
            warn!(destination = %self.name, lost, "samples were gone before they could be sent");
        }
        if tailed.next == self.progress.acked {
            if self.progress.sending.take().is_some() || self.diary.unsaved {
                self.save().await;
            }
            return Ok(false);
        }
        let repeats = self.progress.sending == Some(tailed.next);
        self.progress.sending = Some(tailed.next);
        self.save().await;
        let (chunks, dropped) = self.cut(&tailed);
        for chunk in &chunks {
            self.deliver(chunk, repeats, stop).await?;
        }
        self.stats.relabelled.fetch_add(dropped, Relaxed);
        self.progress = Progress {
            acked: tailed.next,
            sending: None,
        };
        self.diary.unsaved = true;
        if stop.is_cancelled() {
            Err(Stopped)
        } else {
            Ok(repeats || tailed.samples.len() >= enough)
        }
    }

    fn cut(&mut self, tailed: &Tailed) -> (Vec<Chunk>, u64) {
        let mut starts = self.stats.starts.lock();
        let starts = (self.sender.speaks() == Protocol::V2).then_some(&mut *starts);
        self.cutter.cut(&tailed.samples, starts)
    }

    async fn read(&mut self, enough: usize) -> Option<Tailed> {
        let (log, Progress { acked, sending }) = (self.log.clone(), self.progress);
        let tail = self.tail.take();
        let read = move || {
            let mut tail = tail.unwrap_or_else(|| log.open(acked));
            let tailed = gather(&mut *tail, acked, sending, enough);
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
                self.failed(format!("cannot read the log: {error}"));
                None
            }
        }
    }

    /// Hands `chunk` over, or gives it up because the receiver will never take it.
    async fn deliver(
        &mut self,
        chunk: &Chunk,
        repeats: bool,
        stop: &CancellationToken,
    ) -> Result<(), Stopped> {
        let (samples, mut failures, mut unsure) = (chunk.samples as u64, 0, repeats);
        loop {
            let families = self.families.clone();
            let metadata_due = self.diary.metadata_due(Instant::now());
            let metadata = if metadata_due { families.all() } else { &[] };
            let outcome = tokio::select! {
                outcome = self.sender.send(chunk, metadata) => outcome,
                () = cut_off(stop) => return Err(Stopped),
            };
            self.tell_fall_back();
            // What a receiver refuses as a whole waits for the next time: were it the metadata that
            // it does not like, all that follows would be refused too.
            if metadata_due && !matches!(outcome, Outcome::Later { .. }) {
                self.diary.metadata = Some(Instant::now());
            }
            match outcome {
                Outcome::Taken { bytes, refused } => {
                    self.taken(chunk, bytes, refused);
                    return Ok(());
                }
                Outcome::Refused { message, written } => {
                    self.stats.sent.fetch_add(written, Relaxed);
                    self.stats.failed.fetch_add(samples - written, Relaxed);
                    let doubt = if unsure {
                        " (it may have them from an attempt before)"
                    } else {
                        ""
                    };
                    self.failed(format!(
                        "{} samples given up{doubt}: {message}",
                        samples - written
                    ));
                    return Ok(());
                }
                Outcome::Later {
                    message,
                    retry_after,
                    unanswered,
                } => {
                    failures += 1;
                    unsure |= unanswered;
                    self.stats.retried.fetch_add(samples, Relaxed);
                    self.failed(message);
                    let queue = &self.queue;
                    let (min, max) = (*queue.min_backoff, *queue.max_backoff);
                    let wait = next_delay(min, max, failures, retry_after, (self.random)());
                    pause(wait, stop).await?;
                }
            }
        }
    }

    fn taken(&mut self, chunk: &Chunk, bytes: usize, refused: u64) {
        self.stats
            .sent
            .fetch_add(chunk.samples as u64 - refused, Relaxed);
        self.stats.bytes.fetch_add(bytes as u64, Relaxed);
        self.stats.newest_sent.fetch_max(chunk.newest, Relaxed);
        if refused > 0 {
            self.stats.failed.fetch_add(refused, Relaxed);
            self.failed(format!(
                "the receiver says that it did not write {refused} samples"
            ));
        } else if self.stats.last_error.lock().take().is_some() {
            self.diary.last = None;
            info!(destination = %self.name, "remote write works again");
        }
    }

    /// Remembers what went wrong, and logs it unless it was logged just before.
    fn failed(&mut self, message: String) {
        if self.diary.due(Instant::now()) {
            warn!(destination = %self.name, receiver = self.sender.place(), "remote write: {message}");
        }
        *self.stats.last_error.lock() = Some(message);
    }

    fn tell_fall_back(&self) {
        let fell_back = self.sender.speaks() != self.declared;
        if fell_back && !self.stats.fell_back.swap(true, Relaxed) {
            warn!(destination = %self.name, "the receiver does not know remote write 2.0: it is sent 1.0");
        }
    }

    /// Writes the progress down, and lets go of what no restart will read again.
    async fn save(&mut self) {
        let (log, name, progress) = (self.log.clone(), self.name.clone(), self.progress);
        let file = self.file.clone();
        let save = move || {
            if let Some(file) = file {
                file.save(progress)?;
            }
            log.hold(&name, progress.acked);
            std::io::Result::Ok(())
        };
        match tokio::task::spawn_blocking(save).await {
            Ok(Ok(())) => self.diary.unsaved = false,
            Ok(Err(error)) => self.failed(format!("cannot save how far it got: {error}")),
            Err(error) => self.failed(format!("cannot save how far it got: {error}")),
        }
    }
}

/// What a destination remembers of its own doings.
#[derive(Debug, Default)]
pub(super) struct Diary {
    /// The last failure that was logged.
    last: Option<Instant>,
    /// When types and help were answered.
    metadata: Option<Instant>,
    /// Whether the progress moved since it was saved.
    unsaved: bool,
}

impl Diary {
    /// Whether types and help are to go along.
    fn metadata_due(&self, now: Instant) -> bool {
        self.metadata
            .is_none_or(|last| now - last >= METADATA_EVERY)
    }

    /// Whether a failure is to be logged: the first, then one a minute.
    fn due(&mut self, now: Instant) -> bool {
        const EVERY: Duration = Duration::from_secs(60);
        let due = self.last.is_none_or(|last| now - last >= EVERY);
        if due {
            self.last = Some(now);
        }
        due
    }
}

/// Where a destination begins: where it stood, or at the end of the log where it is new.
pub(super) fn beginning(file: Option<&ProgressFile>, log: &dyn Log, name: &str) -> Progress {
    let end = log.end();
    match file.map_or(Ok(None), ProgressFile::load) {
        Ok(Some(progress)) => return within(progress, end, name),
        Ok(None) => {}
        Err(error) => {
            warn!(destination = name, %error, "how far it got cannot be read: it begins at now");
        }
    }
    Progress {
        acked: end,
        sending: None,
    }
}

/// A log may end before the place that was reached: its last bytes went with a loss of power, or
/// it was deleted and is another one, of which nothing was sent.
fn within(progress: Progress, end: Cursor, name: &str) -> Progress {
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
        "history is another one than before: it is sent from its beginning"
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

async fn cut_off(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(LAST_ATTEMPT).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_ends_early_is_begun_where_it_can_be() {
        let cursor = |segment, offset| Cursor {
            segment,
            offset,
            samples: 0,
        };
        let begin = |acked| {
            within(
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
