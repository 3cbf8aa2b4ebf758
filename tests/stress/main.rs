//! The real process under hardship: killed at random moments, cut off from all its receivers, in
//! a storm. A real receiver and a real Kafka hold it to what it promises.
//!
//! Each runs for about a minute by itself. How long and how much is asked for by variables of the
//! environment, which each test names.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

#[path = "../support/mod.rs"]
mod support;

mod clock;
mod crash;
mod ledger;
mod load;
mod outage;
mod storm;

/// A number from the environment.
fn number(name: &str, usual: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => usual,
    }
}
