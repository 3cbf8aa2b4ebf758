//! `StatsD` and `DogStatsD` lines over UDP, TCP and Unix sockets.
//!
//! Owns the socket for UDP and its thread; the modules below own the meaning of lines. The thread is a
//! blocking one, since receiving a packet costs less than waking an asynchronous task.

mod intake;
mod line;
mod mapping;
mod settings;
mod streams;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::ArcSwap;
use bellwether_core::{UnixMillis, self_metrics};
use bellwether_recorder::Recorder;
use intake::Intake;
pub(crate) use line::{Line, LineKind, tags};
use mapping::Translation;
use rustix::net::{RecvFlags, recv};
pub use settings::{Statsd, StatsdDialect, StatsdMapping};
use socket2::SockRef;
pub(crate) use streams::StreamLines;
use tracing::{info, warn};

self_metrics! {
    PACKETS = "bellwether_statsd_packets_total" Counter []
        "StatsD packets received.";
    LINES = "bellwether_statsd_lines_total" Counter []
        "StatsD lines received.";
}

/// Largest payload of a UDP packet, and one byte more.
const PACKET: usize = 65_536;

/// Pause in which packets gather. Waking up for each packet would cost more than twice as much as
/// receiving it.
const GATHER: Duration = Duration::from_micros(250);

/// Interval in which the thread checks whether it should stop, in case the wake-up packet is lost.
const STOP_CHECK: Duration = Duration::from_secs(1);

/// Records the lines of one packet, received at `now`, as the listener does; returns their number.
pub fn record_packet(
    settings: &Statsd,
    recorder: &Recorder,
    now: bellwether_core::UnixMillis,
    packet: &[u8],
) -> u64 {
    let mut intake = Intake::new(recorder.clone(), Box::new(move || now));
    intake.packet(&Translation::new(settings), packet)
}

/// Receives lines and records them until it is stopped or dropped.
#[derive(Debug)]
pub struct StatsdListener {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    listen: String,
}

#[derive(Debug)]
struct Shared {
    socket: UdpSocket,
    translation: ArcSwap<Translation>,
    packets: AtomicU64,
    lines: AtomicU64,
    stop: AtomicBool,
}

impl StatsdListener {
    /// Checks that the address can be bound.
    ///
    /// # Errors
    /// Returns an error if it cannot be resolved or bound.
    pub fn probe(settings: &Statsd) -> io::Result<()> {
        bind(&settings.listen).map(drop)
    }

    /// Binds the address and starts to receive. `clock` reads the wall clock.
    ///
    /// # Errors
    /// Returns an error if the address cannot be resolved or bound, or no thread can be started.
    pub fn start(
        settings: &Statsd,
        recorder: Recorder,
        clock: impl Fn() -> UnixMillis + Send + 'static,
    ) -> io::Result<Self> {
        let socket = bind(&settings.listen)?;
        socket.set_read_timeout(Some(STOP_CHECK))?;
        size(&socket, settings);
        let shared = Arc::new(Shared {
            socket,
            translation: ArcSwap::from_pointee(Translation::new(settings)),
            packets: AtomicU64::new(0),
            lines: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let thread = thread::Builder::new().name("statsd".into()).spawn({
            let shared = shared.clone();
            move || shared.receive(Intake::new(recorder, Box::new(clock)))
        })?;
        info!(address = *settings.listen, "listening for StatsD");
        Ok(Self {
            shared,
            thread: Some(thread),
            listen: settings.listen.value.clone(),
        })
    }

    /// Returns whether it listens on the address of `settings`.
    #[must_use]
    pub fn serves(&self, settings: &Statsd) -> bool {
        self.listen == *settings.listen
    }

    /// Continues with `settings` on the same socket. The recorder follows reloads itself.
    pub fn retarget(&self, settings: &Statsd) {
        size(&self.shared.socket, settings);
        self.shared
            .translation
            .store(Arc::new(Translation::new(settings)));
    }

    /// Returns the bound address.
    ///
    /// # Errors
    /// As `getsockname`.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.shared.socket.local_addr()
    }

    /// Returns the number of packets and lines received so far.
    #[must_use]
    pub fn received(&self) -> (u64, u64) {
        let Shared { packets, lines, .. } = &*self.shared;
        (
            packets.load(Ordering::Relaxed),
            lines.load(Ordering::Relaxed),
        )
    }

    /// Stops receiving and waits for the thread to end, a second at the most.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for StatsdListener {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            warn!("the StatsD thread had panicked");
        }
    }
}

impl Shared {
    fn receive(&self, mut intake: Intake) {
        let mut buffer = vec![0; PACKET];
        while !self.stopped() {
            match self.socket.recv(&mut buffer) {
                Ok(length) => {
                    self.record(&mut intake, &buffer[..length]);
                    self.drain(&mut intake, &mut buffer);
                    thread::sleep(GATHER);
                }
                Err(error) if retry(&error) => {}
                Err(error) => {
                    warn!(%error, "cannot receive StatsD packets; trying again");
                    thread::park_timeout(STOP_CHECK);
                }
            }
        }
    }

    /// Records packets that have arrived already. An error ends this, and the next wait returns it.
    fn drain(&self, intake: &mut Intake, buffer: &mut [u8]) {
        while !self.stopped()
            && let Ok((length, _)) = recv(&self.socket, &mut *buffer, RecvFlags::DONTWAIT)
        {
            self.record(intake, &buffer[..length]);
        }
    }

    fn record(&self, intake: &mut Intake, packet: &[u8]) {
        let lines = intake.packet(&self.translation.load(), packet);
        self.packets
            .fetch_add(u64::from(!packet.is_empty()), Ordering::Relaxed);
        self.lines.fetch_add(lines, Ordering::Relaxed);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Sends an empty packet to its own socket, which ends the wait for the next packet.
    fn wake(&self) {
        let Ok(mut address) = self.socket.local_addr() else {
            return;
        };
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            });
        }
        // Without it the thread ends within STOP_CHECK.
        self.socket.send_to(&[], address).ok();
    }
}

fn bind(listen: &str) -> io::Result<UdpSocket> {
    let addresses: Vec<SocketAddr> = listen.to_socket_addrs()?.collect();
    UdpSocket::bind(&*addresses)
}

/// Without the size asked for it works as well, until packets come in a burst.
fn size(socket: &UdpSocket, settings: &Statsd) {
    let bytes = *settings.receive_buffer as usize;
    if let Err(error) = SockRef::from(socket).set_recv_buffer_size(bytes) {
        warn!(%error, "the StatsD socket keeps the receive buffer it has");
    }
}

/// Nothing came in time, or a signal came.
fn retry(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}
