//! Activity of one connection: its phase, and the time it has kept the server waiting.
//!
//! Owns the phases of a connection and the check of its timeouts. Does no I/O and reads no clock:
//! times are milliseconds since the start of the server, passed by the caller.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

use bellwether_schema::HumanDuration;
use parking_lot::Mutex;

use crate::settings::Limits;

/// Reason for which the server closed a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CloseReason {
    /// The request head was not complete in time (TLS handshake included).
    Header,
    /// A keep-alive connection had no request in time.
    Idle,
    /// The client did not read the response.
    Write,
    /// The whole request took too long.
    Request,
    /// A newer connection needed its place.
    Evicted,
}

impl CloseReason {
    /// Value of the label `reason` of the self-metric.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Header => "header_timeout",
            Self::Idle => "idle_timeout",
            Self::Write => "write_timeout",
            Self::Request => "request_timeout",
            Self::Evicted => "evicted",
        }
    }
}

/// Time for "not in this state".
const NEVER: u64 = u64::MAX;

/// Phases of one connection. Written by its own task and read by the listener's reaper, so plain
/// relaxed atomics: a check that is one step behind is as good.
#[derive(Debug)]
pub(crate) struct Activity {
    /// Requests from the last byte of the head to that of the response.
    in_flight: AtomicU32,
    /// Requests whose response has not begun: the server is working.
    unanswered: AtomicU32,
    /// Time when `in_flight` last became zero or left it.
    since: AtomicU64,
    /// Time of the first byte of an unfinished request head; a new connection owes one.
    head_since: AtomicU64,
    /// Start of the wait for a request's body.
    body_since: AtomicU64,
    /// Time since which the client reads no more bytes.
    blocked_since: AtomicU64,
    /// True for HTTP/2, where many requests may overlap: a request's age is that of the last
    /// progress.
    http2: AtomicBool,
    /// Responses on HTTP/2 that have begun, with the time of the last progress. A client stalls one
    /// by its flow control, without blocking the socket or the other ones.
    answers: Mutex<BTreeMap<u64, u64>>,
    /// True if the last request was a scrape.
    scraped: AtomicBool,
    /// Requests that have ended.
    ended: AtomicU32,
    /// True once the connection speaks another protocol than HTTP.
    upgraded: AtomicBool,
}

impl Activity {
    /// Creates the activity of a connection opened at `now`.
    pub(crate) fn new(now: u64) -> Self {
        Self {
            in_flight: AtomicU32::new(0),
            unanswered: AtomicU32::new(0),
            since: AtomicU64::new(now),
            head_since: AtomicU64::new(now),
            body_since: AtomicU64::new(NEVER),
            blocked_since: AtomicU64::new(NEVER),
            http2: AtomicBool::new(false),
            answers: Mutex::default(),
            scraped: AtomicBool::new(false),
            ended: AtomicU32::new(0),
            upgraded: AtomicBool::new(false),
        }
    }

    /// Notes that the response to the request under way ends HTTP on this connection.
    pub(crate) fn set_upgraded(&self) {
        self.upgraded.store(true, Relaxed);
    }

    /// Returns true if no further request follows on this connection.
    pub(crate) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Relaxed)
    }

    /// Notes that the handshake chose HTTP/2.
    pub(crate) fn set_http2(&self) {
        self.http2.store(true, Relaxed);
        // Its preface and pings are not a request head.
        self.head_since.store(NEVER, Relaxed);
    }

    /// Notes that bytes came in.
    pub(crate) fn received(&self, now: u64) {
        if self.in_flight.load(Relaxed) == 0
            && !self.http2.load(Relaxed)
            && self.head_since.load(Relaxed) == NEVER
        {
            self.head_since.store(now, Relaxed);
        }
    }

    /// Notes a write that went through, or was `blocked` because the client reads no more.
    pub(crate) fn wrote(&self, blocked: bool, now: u64) {
        if !blocked {
            self.blocked_since.store(NEVER, Relaxed);
        } else if self.blocked_since.load(Relaxed) == NEVER {
            self.blocked_since.store(now, Relaxed);
        }
    }

    /// Notes that a request head is complete.
    pub(crate) fn begin(&self, now: u64) {
        let before = self.in_flight.fetch_add(1, Relaxed);
        self.unanswered.fetch_add(1, Relaxed);
        self.head_since.store(NEVER, Relaxed);
        if before == 0 || self.http2.load(Relaxed) {
            self.since.store(now, Relaxed);
        }
    }

    /// Notes whether the request that began, or is about to, is a scrape.
    pub(crate) fn set_scrape(&self, scrape: bool) {
        self.scraped.store(scrape, Relaxed);
    }

    /// True if the last request was a scrape.
    pub(crate) fn scraped(&self) -> bool {
        self.scraped.load(Relaxed)
    }

    /// Returns true while a scrape is under way, or is known to be the first request.
    pub(crate) fn is_scraping(&self) -> bool {
        self.scraped() && (!self.is_quiet() || self.ended() == 0)
    }

    /// Notes that a response begins, or never will.
    pub(crate) fn response_started(&self) {
        self.unanswered.fetch_sub(1, Relaxed);
    }

    /// Notes that the last byte of response `id` was handed over.
    pub(crate) fn end(&self, id: u64, now: u64) {
        let before = self.in_flight.fetch_sub(1, Relaxed);
        self.ended.fetch_add(1, Relaxed);
        if self.http2.load(Relaxed) {
            self.answers.lock().remove(&id);
            self.since.store(now, Relaxed);
        } else if before == 1 {
            self.since.store(now, Relaxed);
        }
    }

    /// Notes that response `id` begins or more of it was handed over.
    pub(crate) fn progress(&self, id: u64, now: u64) {
        if self.http2.load(Relaxed) {
            self.answers.lock().insert(id, now);
            self.since.store(now, Relaxed);
        }
    }

    /// Notes that the server waits for a request's body (`Some`) or no longer does.
    pub(crate) fn awaits_body(&self, since: Option<u64>) {
        self.body_since.store(since.unwrap_or(NEVER), Relaxed);
    }

    /// Returns true if no request is in flight.
    pub(crate) fn is_quiet(&self) -> bool {
        self.in_flight.load(Relaxed) == 0
    }

    /// Number of requests that have ended.
    pub(crate) fn ended(&self) -> u32 {
        self.ended.load(Relaxed)
    }

    /// Returns true if a response is being handed over.
    pub(crate) fn is_answering(&self) -> bool {
        self.in_flight.load(Relaxed) > self.unanswered.load(Relaxed)
    }

    /// Time of the last progress of the response on HTTP/2 that has stalled for longest.
    fn stalled_since(&self) -> Option<u64> {
        self.answers.lock().values().min().copied()
    }

    /// Returns the time at which the connection passes a timeout if its phase does not change, and
    /// that timeout.
    pub(crate) fn deadline(&self, limits: &Limits) -> (u64, CloseReason) {
        let since = self.since.load(Relaxed);
        let phase = if self.is_quiet() {
            let head = after(self.head_since.load(Relaxed), &limits.header_timeout);
            let idle = after(since, &limits.idle_timeout);
            (head, CloseReason::Header).min((idle, CloseReason::Idle))
        } else {
            let request = after(since, &limits.request_timeout);
            (request, CloseReason::Request)
        };
        let unread = self
            .blocked_since
            .load(Relaxed)
            .min(self.stalled_since().unwrap_or(NEVER));
        let write = after(unread, &limits.write_timeout);
        phase.min((write, CloseReason::Write))
    }

    /// Time for which the server has been waiting for this client, in milliseconds; none while the
    /// server is working. Trickled bytes do not shorten it.
    pub(crate) fn waited(&self, now: u64) -> Option<u64> {
        let blocked = self.blocked_since.load(Relaxed);
        let body = self.body_since.load(Relaxed);
        let since = if blocked != NEVER {
            blocked
        } else if body != NEVER {
            body
        } else if self.is_quiet() {
            self.since.load(Relaxed)
        } else {
            self.stalled_since()?
        };
        Some(now.saturating_sub(since))
    }
}

/// Returns `since` and the limit behind it, in milliseconds.
fn after(since: u64, limit: &HumanDuration) -> u64 {
    since.saturating_add(u64::try_from(limit.as_millis()).unwrap_or(NEVER))
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Activity {
        /// Returns the timeout that the connection has passed, if any.
        fn overdue(&self, now: u64, limits: &Limits) -> Option<CloseReason> {
            let (deadline, reason) = self.deadline(limits);
            (deadline <= now).then_some(reason)
        }
    }

    fn limits() -> Limits {
        Limits {
            header_timeout: HumanDuration::secs(10).into(),
            write_timeout: HumanDuration::secs(20).into(),
            request_timeout: HumanDuration::secs(60).into(),
            idle_timeout: HumanDuration::secs(300).into(),
            ..Limits::default()
        }
    }

    #[test]
    fn an_opened_connection_owes_a_head() {
        let activity = Activity::new(0);
        activity.received(9_000);
        assert_eq!(activity.overdue(9_999, &limits()), None);
        assert_eq!(
            activity.overdue(10_000, &limits()),
            Some(CloseReason::Header)
        );
    }

    #[test]
    fn a_kept_alive_connection_may_idle_but_not_dawdle() {
        let activity = Activity::new(0);
        activity.begin(1_000);
        activity.end(0, 2_000);
        assert_eq!(activity.overdue(301_999, &limits()), None);
        assert_eq!(
            activity.overdue(302_000, &limits()),
            Some(CloseReason::Idle)
        );
        activity.received(100_000);
        activity.received(105_000);
        assert_eq!(activity.overdue(109_999, &limits()), None);
        assert_eq!(
            activity.overdue(110_000, &limits()),
            Some(CloseReason::Header)
        );
        activity.begin(110_000);
        assert_eq!(activity.overdue(169_999, &limits()), None);
        assert_eq!(
            activity.overdue(170_000, &limits()),
            Some(CloseReason::Request)
        );
    }

    #[test]
    fn a_blocked_write_counts_from_its_start() {
        let activity = Activity::new(0);
        activity.begin(0);
        activity.wrote(true, 1_000);
        activity.wrote(true, 15_000);
        assert_eq!(activity.overdue(20_999, &limits()), None);
        assert_eq!(
            activity.overdue(21_000, &limits()),
            Some(CloseReason::Write)
        );
        activity.wrote(false, 21_000);
        assert_eq!(activity.overdue(21_000, &limits()), None);
        activity.wrote(true, 22_000);
        activity.end(0, 22_000);
        assert_eq!(
            activity.overdue(42_000, &limits()),
            Some(CloseReason::Write),
            "unsent tail"
        );
    }

    #[test]
    fn overlapping_requests_of_http2_live_while_they_move() {
        let activity = Activity::new(0);
        activity.set_http2();
        activity.received(5);
        assert_eq!(
            activity.overdue(100_000, &limits()),
            None,
            "pings are no head"
        );
        for now in [0, 50_000, 100_000] {
            activity.begin(now);
        }
        assert_eq!(activity.overdue(159_999, &limits()), None);
        activity.end(0, 159_999);
        assert_eq!(activity.overdue(219_998, &limits()), None);
        assert_eq!(
            activity.overdue(219_999, &limits()),
            Some(CloseReason::Request)
        );
        activity.progress(1, 200_000);
        assert_eq!(activity.overdue(219_999, &limits()), None);
        activity.progress(2, 210_000);
        assert_eq!(
            activity.overdue(220_000, &limits()),
            Some(CloseReason::Write),
            "one is held back"
        );
    }

    #[test]
    fn only_time_that_the_client_owes_counts_as_waiting() {
        let activity = Activity::new(100);
        activity.received(4_000);
        assert_eq!(
            activity.waited(5_100),
            Some(5_000),
            "trickled bytes do not help"
        );
        activity.begin(5_100);
        assert_eq!(activity.waited(9_000), None);
        activity.awaits_body(Some(9_000));
        assert_eq!(activity.waited(9_500), Some(500));
        activity.awaits_body(None);
        activity.wrote(true, 10_000);
        assert_eq!(activity.waited(10_700), Some(700));
        activity.wrote(false, 10_700);
        activity.end(0, 11_000);
        assert_eq!(activity.waited(12_000), Some(1_000));
        let http2 = Activity::new(0);
        http2.set_http2();
        http2.begin(1_000);
        assert_eq!(http2.waited(2_000), None, "the handler works");
        http2.response_started();
        http2.progress(0, 2_000);
        assert_eq!(
            http2.waited(2_600),
            Some(600),
            "the client's window is closed"
        );
        http2.begin(2_700);
        for now in [2_700, 2_800, 2_900] {
            http2.progress(1, now);
        }
        assert_eq!(
            http2.waited(3_000),
            Some(1_000),
            "another answer that moves does not help"
        );
        http2.end(0, 3_000);
        assert_eq!(http2.waited(3_000), Some(100));
    }
}
