//! Limits of queries: section `prometheus.query`.

use std::time::Duration;

use bellwether_schema::{Diagnostics, HumanDuration, Size, Spanned, section};

use super::jobs::Limits;

section! {
    /// Limits of a query of history.
    pub struct QueryLimits {
        /// Timeout of a query, including its wait in the queue. A request may ask for less.
        pub timeout: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::secs(30)),
        /// Samples that one query may hold in memory, 16 bytes each.
        pub max_samples: Spanned<u64> = Spanned::nowhere(5_000_000),
        /// Bytes of labels, texts and regular expressions that one query may hold in memory beside
        /// its samples.
        pub max_memory: Spanned<Size> = Spanned::nowhere(Size(128 << 20)),
        /// Bytes that all queries together may hold in memory, including samples and responses that
        /// are not yet sent; at least the limit of one query. Queries of rules have their own
        /// limits. A change takes effect when the address changes or at the next start.
        pub max_total_memory: Spanned<Size> = Spanned::nowhere(Size(512 << 20)),
        /// Concurrent queries. Others wait in a queue, and are rejected if it is full. A change
        /// takes effect when the address changes or at the next start.
        pub max_concurrency: Spanned<u32> = Spanned::nowhere(4),
        /// Lookback: the age up to which the last sample of a series counts as its value.
        pub lookback: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::minutes(5)),
    }
}

impl QueryLimits {
    /// Timeout of a query in a request with the timeout `request`: the rest is for the response.
    pub(crate) fn time(&self, request: Duration) -> Duration {
        (**self.timeout).min(request * 3 / 4)
    }

    /// Limits of a query with `timeout`.
    pub(crate) fn limits(&self, timeout: Duration) -> Limits {
        Limits {
            timeout,
            max_samples: *self.max_samples,
            max_bytes: self.max_memory.0,
        }
    }

    /// Bytes that all queries may hold: at least the limit of one.
    pub(crate) fn total_memory(&self) -> u64 {
        let single = self
            .max_samples
            .saturating_mul(16)
            .saturating_add(self.max_memory.0);
        self.max_total_memory.0.max(single)
    }

    /// Checks the keys against each other; `request` is the timeout of a request.
    pub(crate) fn check(&self, request: Duration, problems: &mut Diagnostics) {
        for span in [&self.timeout, &self.lookback] {
            if span.is_zero() {
                problems
                    .error(&span.at, "must be more than zero")
                    .hint("such as 30s");
            }
        }
        // The default is fine with a shorter request_timeout: queries are limited by that too.
        let is_configured = self.timeout.value != Self::default().timeout.value;
        if is_configured && **self.timeout > self.time(request) {
            problems
                .error(
                    &self.timeout.at,
                    "the request would time out before the query",
                )
                .hint("three quarters of prometheus.limits.request_timeout at most, or raise that");
        }
        if *self.max_samples == 0 {
            problems.error(&self.max_samples.at, "must be 1 or more, found 0");
        }
        if self.max_memory.0 == 0 {
            problems
                .error(&self.max_memory.at, "must be more than zero")
                .hint("such as 128MiB");
        }
        let is_configured = self.max_total_memory.value != Self::default().max_total_memory.value;
        if is_configured && self.max_total_memory.0 < self.max_memory.0 {
            problems
                .error(
                    &self.max_total_memory.at,
                    "less than `max_memory`, which one query may hold",
                )
                .hint("raise it, or lower prometheus.query.max_memory");
        }
        if *self.max_concurrency == 0 {
            problems
                .error(&self.max_concurrency.at, "must be 1 or more, found 0")
                .hint("trend_analysis: {enabled: false} keeps no history to query");
        }
    }
}
