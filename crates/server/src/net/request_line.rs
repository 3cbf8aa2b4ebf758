//! Connection on which request lines may have characters that need escapes.
//!
//! `curl -g 'http://host/api/v1/query?query=up{job="api"}'` sends the quotes as they are. They are
//! not allowed in a URL, so the HTTP implementation rejects such a line before anybody can answer.
//! Prometheus accepts them, and so they are escaped here on their way in.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::activity::Activity;

/// Bytes of one read while a request line is read.
const PIECE: usize = 4096;

/// Position of the next byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// Before a request, where empty lines may be.
    Before,
    /// In the request line, before any `?`.
    Path,
    Query,
    /// After the request line.
    Rest,
}

/// Connection whose request lines are escaped.
pub(crate) struct RequestLines<S> {
    stream: S,
    activity: Arc<Activity>,
    http1: bool,
    /// Number of requests that had ended when the line began.
    ended: u32,
    at: Position,
    /// Bytes that were read and not returned yet.
    ready: Vec<u8>,
}

impl<S> RequestLines<S> {
    /// Escapes lines of HTTP/1 only: HTTP/2 has none.
    pub(crate) fn new(stream: S, activity: Arc<Activity>, http1: bool) -> Self {
        let ended = activity.ended();
        let at = if http1 {
            Position::Before
        } else {
            Position::Rest
        };
        Self {
            stream,
            activity,
            http1,
            ended,
            at,
            ready: Vec::new(),
        }
    }

    /// Escapes the part of the request line in `bytes`.
    fn escape(&mut self, bytes: &[u8]) {
        for (index, byte) in bytes.iter().enumerate() {
            self.at = match (self.at, byte) {
                (Position::Rest, _) => return self.ready.extend_from_slice(&bytes[index..]),
                (Position::Path | Position::Query, b'\n') => Position::Rest,
                (Position::Path, b'?') => Position::Query,
                (Position::Before, byte) if *byte > b' ' => Position::Path,
                (at, _) => at,
            };
            match byte {
                b'"' if self.at == Position::Query => self.ready.extend_from_slice(b"%22"),
                b'<' if self.at == Position::Query => self.ready.extend_from_slice(b"%3C"),
                b'>' if self.at == Position::Query => self.ready.extend_from_slice(b"%3E"),
                byte => self.ready.push(*byte),
            }
        }
    }

    fn hand_on(&mut self, buffer: &mut ReadBuf<'_>) {
        let count = self.ready.len().min(buffer.remaining());
        buffer.put_slice(&self.ready[..count]);
        self.ready.drain(..count);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for RequestLines<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.ready.is_empty() {
            this.hand_on(buffer);
            return Poll::Ready(Ok(()));
        }
        if this.activity.is_upgraded() {
            this.ready = Vec::new();
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        }
        let ended = this.activity.ended();
        if this.http1 && ended != this.ended && this.activity.is_quiet() {
            (this.ended, this.at) = (ended, Position::Before);
        }
        if this.at == Position::Rest {
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        }
        let mut bytes = [0; PIECE];
        let mut piece = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut this.stream).poll_read(cx, &mut piece))?;
        this.escape(piece.filled());
        this.hand_on(buffer);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for RequestLines<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    async fn read(pieces: &[&[u8]]) -> String {
        let mut mock = Vec::new();
        for piece in pieces {
            mock.extend_from_slice(piece);
        }
        let mut lines = RequestLines::new(&mock[..], Arc::new(Activity::new(0)), true);
        let mut out = String::new();
        lines.read_to_string(&mut out).await.unwrap();
        out
    }

    #[tokio::test]
    async fn only_the_query_of_the_request_line_is_escaped() {
        let rest = "Host: \"x\"\r\n\r\n<body> ?\"\r\n";
        for (line, expected) in [
            (
                "GET /q?query=up{a=\"b\"}<1>2 HTTP/1.1\r\n",
                "GET /q?query=up{a=%22b%22}%3C1%3E2 HTTP/1.1\r\n",
            ),
            ("GET /\"q\" HTTP/1.1\r\n", "GET /\"q\" HTTP/1.1\r\n"),
            ("\r\nGET /?\" HTTP/1.1\n", "\r\nGET /?%22 HTTP/1.1\n"),
        ] {
            let whole = read(&[line.as_bytes(), rest.as_bytes()]).await;
            assert_eq!(whole, format!("{expected}{rest}"));
        }
        let long = format!("GET /?{} HTTP/1.1\r\n", "\"".repeat(10_000));
        let read = read(&[long.as_bytes(), rest.as_bytes()]).await;
        assert_eq!(read, long.replace('"', "%22") + rest);
    }

    #[tokio::test]
    async fn the_next_request_is_looked_at_when_the_last_has_ended() {
        let activity = Arc::new(Activity::new(0));
        let (mut client, server) = tokio::io::duplex(1000);
        let mut lines = RequestLines::new(server, Arc::clone(&activity), true);
        let mut next = async |text: &str| {
            tokio::io::AsyncWriteExt::write_all(&mut client, text.as_bytes())
                .await
                .unwrap();
            let mut bytes = [0; 1000];
            let count = lines.read(&mut bytes).await.unwrap();
            String::from_utf8(bytes[..count].to_vec()).unwrap()
        };
        assert_eq!(
            next("POST /?\" HTTP/1.1\r\n\r\n").await,
            "POST /?%22 HTTP/1.1\r\n\r\n"
        );
        activity.begin(0);
        assert_eq!(next("?\"").await, "?\"", "its body");
        activity.response_started();
        activity.end(0, 1);
        assert_eq!(
            next("GET /?\" HTTP/1.1\r\n").await,
            "GET /?%22 HTTP/1.1\r\n"
        );
        assert_eq!(next("X: ?\"\r\n\r\n").await, "X: ?\"\r\n\r\n");
    }
}
