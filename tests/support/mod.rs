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
pub mod certificates;
pub mod databases;
pub mod kafka;
pub mod presets;
pub mod process;
pub mod prometheus;
pub mod receiver;
pub mod servers;
pub mod sink;
pub mod smtp;
pub mod storage;

use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
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

/// A port that was free for TCP and UDP a moment ago, never the same twice. It is below those that the system gives to
/// connections: one of these would take it before a server that starts slowly.
pub fn free_port() -> u16 {
    const FIRST: u32 = 16_000;
    const PORTS: u32 = 16_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(61);
    for _ in 0..PORTS {
        let offset = start.wrapping_add(NEXT.fetch_add(1, Relaxed)) % PORTS;
        let port = u16::try_from(FIRST + offset).unwrap();
        let address = ("127.0.0.1", port);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return port;
        }
    }
    panic!("no port of 127.0.0.1 from {FIRST} on is free");
}
