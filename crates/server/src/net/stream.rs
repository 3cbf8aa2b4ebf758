//! Accepted socket, TCP or Unix, shared by those who use and watch it.

use std::io;
use std::net::Shutdown;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::sleep;

/// Interval of the checks whether the client of a socket with unread bytes has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Accepted socket.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Sets the socket to send small writes at once.
    pub(crate) fn prepare(&self) {
        if let Self::Tcp(stream) = self {
            stream.set_nodelay(true).ok();
        }
    }

    /// Limits the bytes that the system keeps for a client that does not read them.
    pub(crate) fn limit_send_buffer(&self, bytes: usize) {
        let limited = match self {
            Self::Tcp(stream) => socket2::SockRef::from(stream).set_send_buffer_size(bytes),
            Self::Unix(stream) => socket2::SockRef::from(stream).set_send_buffer_size(bytes),
        };
        // With another size the client gets somewhat older messages, no more.
        limited.ok();
    }

    /// Writes as much as the socket accepts without waiting.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
        }
    }

    fn try_write_vectored(&self, bytes: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write_vectored(bytes),
            Self::Unix(stream) => stream.try_write_vectored(bytes),
        }
    }

    fn try_read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(bytes),
            Self::Unix(stream) => stream.try_read(bytes),
        }
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(cx),
            Self::Unix(stream) => stream.poll_write_ready(cx),
        }
    }

    /// Reads into `buffer`.
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_read_ready(cx))?;
            match self.try_read(buffer.initialize_unfilled()) {
                Ok(count) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Writes as much of `bytes` as the socket accepts.
    pub(crate) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_write_ready(cx))?;
            match self.try_write_vectored(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// Returns true if the client has sent bytes that are not read yet: then the server is working.
    pub(crate) fn has_unread(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        let peeked = match self {
            Self::Tcp(stream) => socket2::SockRef::from(stream).peek(&mut byte),
            Self::Unix(stream) => socket2::SockRef::from(stream).peek(&mut byte),
        };
        peeked.is_ok_and(|count| count > 0)
    }

    /// Completes once the client has sent the beginning of a scrape over TCP, and reads nothing of it.
    /// Never completes for another request, or under TLS.
    pub(crate) async fn begins_scrape(&self) {
        const BEGINNING: &[u8] = b"GET /metrics";
        let mut head = [0; BEGINNING.len() + 1];
        if let Self::Tcp(stream) = self
            && let Ok(count) = stream.peek(&mut head).await
            && let Some((b' ' | b'?', beginning)) = head[..count].split_last()
            && beginning == BEGINNING
        {
            return;
        }
        std::future::pending().await
    }

    /// Closes the write side.
    pub(crate) fn end(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => socket2::SockRef::from(stream).shutdown(Shutdown::Write),
            Self::Unix(stream) => socket2::SockRef::from(stream).shutdown(Shutdown::Write),
        }
    }

    /// Waits until the client has closed its sending half: it has left, or it only waits.
    pub(crate) async fn ended(&self) {
        loop {
            let ready = match self {
                Self::Tcp(stream) => stream.ready(Interest::READABLE).await,
                Self::Unix(stream) => stream.ready(Interest::READABLE).await,
            };
            match ready {
                Ok(ready) if !ready.is_read_closed() => sleep(POLL_INTERVAL).await,
                Ok(_) | Err(_) => return,
            }
        }
    }
}
