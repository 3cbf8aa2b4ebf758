//! Helpers of tests with real processes.

#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

pub mod agent;
pub mod alertmanager;
pub mod kafka;
pub mod prometheus;
pub mod receiver;
pub mod servers;
pub mod sink;
pub mod smtp;
pub mod storage;

use std::net::TcpListener;
use std::time::{Duration, Instant};

/// Asks again and again until there is an answer; panics with `what` at the deadline.
pub fn poll<T>(what: &str, deadline: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            start.elapsed() < deadline,
            "not within {deadline:?}: {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
