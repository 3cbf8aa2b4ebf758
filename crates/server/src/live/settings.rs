//! Settings of live updates: section `prometheus.live`.

use bellwether_schema::{Diagnostics, HumanDuration, Size, Spanned, section};

section! {
    /// Live updates over WebSockets. Their clients take no place of `limits.max_connections`.
    pub struct LiveLimits {
        /// Maximum number of clients, shared by client address: if all places are taken, a new client
        /// replaces one of an address with more, or is rejected. The limit of open files may allow
        /// fewer. 0 switches live updates off.
        pub max_clients: u32 = 1_024,
        /// Maximum number of subscriptions of one client.
        pub max_subscriptions: Spanned<u32> = Spanned::nowhere(128),
        /// Maximum number of series in one subscription; the rest is left out.
        pub max_series: Spanned<u32> = Spanned::nowhere(1_000),
        /// Bytes that the texts and newest results of all subscriptions may hold. A change takes effect
        /// when the address changes or at the next start.
        pub max_memory: Spanned<Size> = Spanned::nowhere(Size(64 << 20)),
        /// Maximum size of a client's message in bytes.
        pub max_message_bytes: Spanned<u32> = Spanned::nowhere(65_536),
        /// Interval of pings, which keep proxies from closing a quiet connection.
        pub ping_interval: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::secs(20)),
        /// Timeout for a client that sends nothing, not even the answer to a ping, or that reads
        /// nothing.
        pub idle_timeout: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::minutes(1)),
    }
}

impl LiveLimits {
    /// Checks the keys against each other.
    pub(crate) fn check(&self, problems: &mut Diagnostics) {
        for count in [
            &self.max_subscriptions,
            &self.max_series,
            &self.max_message_bytes,
        ] {
            if **count == 0 {
                problems.error(&count.at, "must be 1 or more, found 0");
            }
        }
        if self.max_memory.0 == 0 {
            problems
                .error(&self.max_memory.at, "must be more than zero")
                .hint("such as 64MiB");
        }
        if self.ping_interval.is_zero() {
            problems
                .error(&self.ping_interval.at, "must be more than zero")
                .hint("such as 20s");
        }
        if **self.idle_timeout <= **self.ping_interval {
            problems
                .error(
                    &self.idle_timeout.at,
                    "not longer than `ping_interval`, so that a client could not answer in time",
                )
                .hint("three times prometheus.live.ping_interval");
        }
    }
}
