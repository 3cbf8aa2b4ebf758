//! What one connection is doing, and whether it has kept the server waiting too long.
//!
//! Owns the bookkeeping of a connection's phases and the pure judgement over them. Does no I/O and
//! reads no clock: times are milliseconds since the server started, given by the caller.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

use bellwether_schema::HumanDuration;
use parking_lot::Mutex;

use super::settings::Limits;

/// Why a connection was closed by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cut {
    /// No complete request head in time (TLS handshake included).
    Header,
    /// Nothing came on a kept-alive connection.
    Idle,
    /// The client did not take the answer.
    Write,
    /// The whole request took too long.
    Request,
    /// Its place was needed by a newer connection.
    Evicted,
}

impl Cut {
    /// The word used in the self-metric's label.
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

/// Marks "not in this state" in the times below.
const NEVER: u64 = u64::MAX;

/// Phases of one connection. Written by its own task, read by the listener's reaper, so plain
/// relaxed atomics: a judgement that is one step behind is as good.
#[derive(Debug)]
pub(super) struct Activity {
    /// Requests between their head's last byte and their answer's.
    in_flight: AtomicU32,
    /// Those of them whose answer has not begun: the server's turn.
    unanswered: AtomicU32,
    /// When `in_flight` last became zero or left it.
    since: AtomicU64,
    /// When the first byte of an unfinished request head came; an opened connection owes one.
    head_since: AtomicU64,
    /// Since when a request's body is waited for.
    body_since: AtomicU64,
    /// Since when the client takes no more bytes.
    blocked_since: AtomicU64,
    /// Many requests may overlap on HTTP/2, so a request's age is that of the last progress.
    http2: AtomicBool,
    /// Answers on HTTP/2 that have begun, each with when it last moved. A client holds one back by
    /// its flow control, without blocking the socket or the other ones.
    answers: Mutex<BTreeMap<u64, u64>>,
    /// Whether the last request was a scrape.
    scraped: AtomicBool,
    /// Requests that have ended.
    ended: AtomicU32,
}

impl Activity {
    /// Of a connection opened at `now`.
    pub(super) fn new(now: u64) -> Self {
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
        }
    }

    /// The handshake chose HTTP/2.
    pub(super) fn speaks_http2(&self) {
        self.http2.store(true, Relaxed);
        // Its preface and pings are not a request head.
        self.head_since.store(NEVER, Relaxed);
    }

    /// Bytes came in.
    pub(super) fn received(&self, now: u64) {
        if self.in_flight.load(Relaxed) == 0
            && !self.http2.load(Relaxed)
            && self.head_since.load(Relaxed) == NEVER
        {
            self.head_since.store(now, Relaxed);
        }
    }

    /// A write went through (`false`) or found the client not taking any more (`true`).
    pub(super) fn wrote(&self, blocked: bool, now: u64) {
        if !blocked {
            self.blocked_since.store(NEVER, Relaxed);
        } else if self.blocked_since.load(Relaxed) == NEVER {
            self.blocked_since.store(now, Relaxed);
        }
    }

    /// A request head is complete.
    pub(super) fn begin(&self, now: u64) {
        let before = self.in_flight.fetch_add(1, Relaxed);
        self.unanswered.fetch_add(1, Relaxed);
        self.head_since.store(NEVER, Relaxed);
        if before == 0 || self.http2.load(Relaxed) {
            self.since.store(now, Relaxed);
        }
    }

    /// The request that began is a scrape, or is not.
    pub(super) fn is_scrape(&self, scrape: bool) {
        self.scraped.store(scrape, Relaxed);
    }

    /// Whether the last request was a scrape.
    pub(super) fn scraped(&self) -> bool {
        self.scraped.load(Relaxed)
    }

    /// An answer begins, or will never.
    pub(super) fn answered(&self) {
        self.unanswered.fetch_sub(1, Relaxed);
    }

    /// The last byte of answer `id` was handed over.
    pub(super) fn end(&self, id: u64, now: u64) {
        let before = self.in_flight.fetch_sub(1, Relaxed);
        self.ended.fetch_add(1, Relaxed);
        if self.http2.load(Relaxed) {
            self.answers.lock().remove(&id);
            self.since.store(now, Relaxed);
        } else if before == 1 {
            self.since.store(now, Relaxed);
        }
    }

    /// More of answer `id` was handed over, or it begins.
    pub(super) fn progress(&self, id: u64, now: u64) {
        if self.http2.load(Relaxed) {
            self.answers.lock().insert(id, now);
            self.since.store(now, Relaxed);
        }
    }

    /// The server waits for a request's body (`Some`) or no longer does.
    pub(super) fn awaits_body(&self, since: Option<u64>) {
        self.body_since.store(since.unwrap_or(NEVER), Relaxed);
    }

    /// Whether no request is being answered.
    pub(super) fn is_quiet(&self) -> bool {
        self.in_flight.load(Relaxed) == 0
    }

    /// How many requests have ended so far.
    pub(super) fn ended(&self) -> u32 {
        self.ended.load(Relaxed)
    }

    /// Whether an answer is being handed over.
    pub(super) fn is_answering(&self) -> bool {
        self.in_flight.load(Relaxed) > self.unanswered.load(Relaxed)
    }

    /// When the answer on HTTP/2 that has not moved for longest last did.
    fn held_back_since(&self) -> Option<u64> {
        self.answers.lock().values().min().copied()
    }

    /// Which limit, if any, the connection has passed.
    pub(super) fn overdue(&self, now: u64, limits: &Limits) -> Option<Cut> {
        let past = |since: u64, limit: &HumanDuration| {
            since != NEVER && u128::from(now.saturating_sub(since)) >= limit.as_millis()
        };
        if past(self.blocked_since.load(Relaxed), &limits.write_timeout) {
            return Some(Cut::Write);
        }
        if self
            .held_back_since()
            .is_some_and(|since| past(since, &limits.write_timeout))
        {
            return Some(Cut::Write);
        }
        let since = self.since.load(Relaxed);
        if !self.is_quiet() {
            return past(since, &limits.request_timeout).then_some(Cut::Request);
        }
        if past(self.head_since.load(Relaxed), &limits.header_timeout) {
            return Some(Cut::Header);
        }
        past(since, &limits.idle_timeout).then_some(Cut::Idle)
    }

    /// For how long the server has been waiting for this client, in milliseconds; none while it
    /// is the server's turn. Trickled bytes do not shorten it.
    pub(super) fn waited(&self, now: u64) -> Option<u64> {
        let blocked = self.blocked_since.load(Relaxed);
        let body = self.body_since.load(Relaxed);
        let since = if blocked != NEVER {
            blocked
        } else if body != NEVER {
            body
        } else if self.is_quiet() {
            self.since.load(Relaxed)
        } else {
            self.held_back_since()?
        };
        Some(now.saturating_sub(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(activity.overdue(10_000, &limits()), Some(Cut::Header));
    }

    #[test]
    fn a_kept_alive_connection_may_idle_but_not_dawdle() {
        let activity = Activity::new(0);
        activity.begin(1_000);
        activity.end(0, 2_000);
        assert_eq!(activity.overdue(301_999, &limits()), None);
        assert_eq!(activity.overdue(302_000, &limits()), Some(Cut::Idle));
        activity.received(100_000);
        activity.received(105_000);
        assert_eq!(activity.overdue(109_999, &limits()), None);
        assert_eq!(activity.overdue(110_000, &limits()), Some(Cut::Header));
        activity.begin(110_000);
        assert_eq!(activity.overdue(169_999, &limits()), None);
        assert_eq!(activity.overdue(170_000, &limits()), Some(Cut::Request));
    }

    #[test]
    fn a_blocked_write_counts_from_its_first_refusal() {
        let activity = Activity::new(0);
        activity.begin(0);
        activity.wrote(true, 1_000);
        activity.wrote(true, 15_000);
        assert_eq!(activity.overdue(20_999, &limits()), None);
        assert_eq!(activity.overdue(21_000, &limits()), Some(Cut::Write));
        activity.wrote(false, 21_000);
        assert_eq!(activity.overdue(21_000, &limits()), None);
        activity.wrote(true, 22_000);
        activity.end(0, 22_000);
        assert_eq!(
            activity.overdue(42_000, &limits()),
            Some(Cut::Write),
            "unsent tail"
        );
    }

    #[test]
    fn overlapping_requests_of_http2_live_while_they_move() {
        let activity = Activity::new(0);
        activity.speaks_http2();
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
        assert_eq!(activity.overdue(219_999, &limits()), Some(Cut::Request));
        activity.progress(1, 200_000);
        assert_eq!(activity.overdue(219_999, &limits()), None);
        activity.progress(2, 210_000);
        assert_eq!(
            activity.overdue(220_000, &limits()),
            Some(Cut::Write),
            "one is held back"
        );
    }

    #[test]
    fn waiting_is_only_what_the_client_owes() {
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
        http2.speaks_http2();
        http2.begin(1_000);
        assert_eq!(http2.waited(2_000), None, "the handler works");
        http2.answered();
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
