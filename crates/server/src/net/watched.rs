//! Socket that notes reads and writes in its connection's [`Activity`], and closes politely.
//!
//! Closing with unread bytes makes the kernel send a reset. A client that is still sending its body
//! then sees only a broken connection, never the response 413. So after the last byte the write
//! side is closed first, and further bytes are read and dropped for a moment.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::net::activity::Activity;
use crate::net::registry::Registry;
use crate::net::stream::Stream;

/// Time for which further bytes are read and dropped.
const LINGER: Duration = Duration::from_secs(1);
/// Maximum of bytes that are read and dropped.
const LINGER_BYTES: usize = 8 << 20;

/// Socket that notes its activity.
pub(crate) struct Watched {
    stream: Arc<Stream>,
    activity: Arc<Activity>,
    registry: Arc<Registry>,
    closing: Closing,
}

enum Closing {
    No,
    Lingers { until: Pin<Box<Sleep>>, left: usize },
    Done,
}

impl Watched {
    pub(crate) fn new(
        stream: Arc<Stream>,
        activity: Arc<Activity>,
        registry: Arc<Registry>,
    ) -> Self {
        Self {
            stream,
            activity,
            registry,
            closing: Closing::No,
        }
    }

    fn note_write(&self, result: &Poll<io::Result<usize>>) {
        self.activity
            .wrote(result.is_pending(), self.registry.now());
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(self.stream.poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.activity.received(self.registry.now());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = self.stream.poll_write(cx, &[io::IoSlice::new(bytes)]);
        self.note_write(&result);
        result
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = self.stream.poll_write(cx, bytes);
        self.note_write(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Closing::No = this.closing {
            this.stream.end()?;
            this.closing = Closing::Lingers {
                until: Box::pin(sleep(LINGER)),
                left: LINGER_BYTES,
            };
        }
        let Closing::Lingers { until, left } = &mut this.closing else {
            return Poll::Ready(Ok(()));
        };
        let mut bytes = [0; 4096];
        while *left > 0 && until.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut bytes);
            match ready!(this.stream.poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    *left = left.saturating_sub(buffer.filled().len());
                }
                Ok(()) | Err(_) => break,
            }
        }
        this.closing = Closing::Done;
        Poll::Ready(Ok(()))
    }
}
