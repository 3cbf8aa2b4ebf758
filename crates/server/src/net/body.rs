//! Bodies of responses: full ones, and chunks that are rendered while they are sent.
//!
//! Owns the path from chunks over the compressor to the connection. Never holds a whole exposition:
//! one chunk is rendered and compressed when the connection asks for it, and between two chunks
//! other tasks get their turn.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use bellwether_exposition::Renderer;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::task::yield_now;

use crate::net::activity::Activity;
use crate::net::chunk::BUFFERS;
use crate::net::compress::Compressor;
use crate::net::negotiate::Coding;
use crate::net::permits::Permit;
use crate::net::registry::{OtherRequest, Registry};

/// Size of the pieces of a full body.
const PIECE: usize = 64 * 1024;

/// Minimum size of a body that is compressed, in bytes: below it the header would outweigh the
/// gain.
const MIN_COMPRESSED_BYTES: usize = 1024;

/// Text that is rendered while it is sent.
pub(crate) trait Chunks: Send {
    /// Appends the next chunk; false if there is none.
    fn next_chunk(&mut self, out: &mut Vec<u8>) -> bool;

    /// Returns true if no chunk follows.
    fn is_done(&self) -> bool;
}

impl Chunks for Renderer {
    fn next_chunk(&mut self, out: &mut Vec<u8>) -> bool {
        Renderer::next_chunk(self, out)
    }

    fn is_done(&self) -> bool {
        Renderer::is_done(self)
    }
}

/// Body of a response.
pub(crate) struct ResponseBody {
    source: Source,
    /// Permit of the response, given back with the body.
    _permit: Option<Permit>,
    /// Notes progress and the end.
    request: Option<RequestGuard>,
}

enum Source {
    /// Bytes; handed over in pieces too, so that a big response is under way until its last piece
    /// is read.
    Full(Bytes),
    Streamed(Box<Rendering>),
}

struct Rendering {
    chunks: Box<dyn Chunks>,
    compressor: Compressor,
    /// True if the last call returned bytes; then other tasks go first.
    yields: bool,
}

/// Guard of a request under way, from its head to the last byte of the response.
pub(crate) struct RequestGuard {
    activity: Arc<Activity>,
    registry: Arc<Registry>,
    /// Number that is unique in the process.
    id: u64,
    answered: bool,
    /// Counts the request among those that are not scrapes.
    pub(crate) counted: Option<OtherRequest>,
}

impl RequestGuard {
    pub(crate) fn begin(activity: Arc<Activity>, registry: Arc<Registry>, scrape: bool) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        activity.begin(registry.now());
        activity.set_scrape(scrape);
        let id = NEXT.fetch_add(1, Relaxed);
        Self {
            activity,
            registry,
            id,
            answered: false,
            counted: None,
        }
    }

    fn answered(&mut self) {
        if !std::mem::replace(&mut self.answered, true) {
            self.activity.response_started();
        }
    }

    fn progress(&self) {
        self.activity.progress(self.id, self.registry.now());
    }

    /// Notes that the client owes its body, until the guard is dropped.
    pub(crate) fn awaits_body(&self) -> AwaitsBody<'_> {
        self.activity.awaits_body(Some(self.registry.now()));
        AwaitsBody(&self.activity)
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.answered();
        self.activity.end(self.id, self.registry.now());
    }
}

/// Guard of the wait for a request's body.
pub(crate) struct AwaitsBody<'a>(&'a Activity);

impl Drop for AwaitsBody<'_> {
    fn drop(&mut self) {
        self.0.awaits_body(None);
    }
}

impl ResponseBody {
    fn new(source: Source, permit: Option<Permit>) -> Self {
        Self {
            source,
            _permit: permit,
            request: None,
        }
    }

    /// Returns a body of `bytes`, not compressed.
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        Self::new(Source::Full(bytes.into()), None)
    }

    /// Returns a body of `bytes`, compressed if that pays, with its coding. `permit` is given back
    /// with the body.
    ///
    /// # Errors
    /// The compressor fails.
    pub(crate) fn compressed(
        bytes: Vec<u8>,
        coding: Coding,
        permit: Option<Permit>,
    ) -> io::Result<(Self, Coding)> {
        let (bytes, coding) = if bytes.len() < MIN_COMPRESSED_BYTES || coding == Coding::Identity {
            (bytes, Coding::Identity)
        } else {
            let mut compressor = Compressor::new(coding)?;
            let mut out = compressor.push(bytes)?;
            out.extend(compressor.finish()?);
            (out, coding)
        };
        Ok((Self::new(Source::Full(bytes.into()), permit), coding))
    }

    /// Returns a body of an exposition or another long text, rendered and compressed while it is
    /// sent.
    ///
    /// # Errors
    /// The compressor cannot be created.
    pub(crate) fn streamed(
        chunks: Box<dyn Chunks>,
        coding: Coding,
        permit: Permit,
    ) -> io::Result<Self> {
        let compressor = Compressor::new(coding)?;
        let rendering = Rendering {
            chunks,
            compressor,
            yields: false,
        };
        Ok(Self::new(
            Source::Streamed(Box::new(rendering)),
            Some(permit),
        ))
    }

    /// Keeps `request` under way until the body is sent.
    pub(crate) fn with_guard(mut self, mut request: RequestGuard) -> Self {
        request.answered();
        request.progress();
        self.request = Some(request);
        self
    }

    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let rendering = match &mut self.source {
            Source::Full(bytes) => {
                let piece = bytes.split_to(bytes.len().min(PIECE));
                return Poll::Ready((!piece.is_empty()).then_some(Ok(piece)));
            }
            Source::Streamed(rendering) => rendering,
        };
        if std::mem::take(&mut rendering.yields) {
            // Woken at once it would be offered to the other workers, which wake up to move it between cores.
            if pin!(yield_now()).poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        let mut chunk = BUFFERS.take();
        let has_chunk = rendering.chunks.next_chunk(&mut chunk);
        rendering.yields = true;
        let mut bytes = match rendering.compressor.push(chunk) {
            Ok(bytes) => bytes,
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        if !has_chunk || rendering.chunks.is_done() {
            // The end goes with the last chunk: a write less, and the client wakes up once less.
            match self.finish_stream() {
                Ok(rest) => bytes.extend(rest),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
        match has_chunk || !bytes.is_empty() {
            true => Poll::Ready(Some(Ok(BUFFERS.bytes(bytes)))),
            false => Poll::Ready(None),
        }
    }

    /// Ends the chunks. Returns the rest in the compressor.
    fn finish_stream(&mut self) -> io::Result<Vec<u8>> {
        let nothing = Source::Full(Bytes::new());
        match std::mem::replace(&mut self.source, nothing) {
            Source::Streamed(rendering) => rendering.compressor.finish(),
            Source::Full(_) => Ok(Vec::new()),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(request) = &self.request {
            request.progress();
        }
        loop {
            match self.next(cx) {
                // A compressor that keeps its bytes back has nothing to send yet.
                Poll::Ready(Some(Ok(bytes))) if bytes.is_empty() => {}
                Poll::Ready(bytes) => {
                    return Poll::Ready(bytes.map(|bytes| bytes.map(Frame::data)));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.source, Source::Full(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Streamed(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Waker;

    use bellwether_core::{Kind, LabelValues, MetricDef, MetricId, Origin};
    use bellwether_exposition::{Format, Layout, Snapshot};

    use super::*;

    fn renderer(series: usize) -> Renderer {
        let def = MetricDef {
            name: "load".into(),
            exported: "load".into(),
            help: "Load.".into(),
            kind: Kind::Gauge,
            labels: [Arc::from("host")].into(),
            buckets: [].into(),
            quantiles: [].into(),
            origin: Origin::APPLICATION,
            interval: std::time::Duration::from_secs(1),
        };
        let labels: Vec<LabelValues> = (0..series)
            .map(|index| LabelValues::new(&[&format!("host-{index:06}")]))
            .collect();
        let slots = labels
            .iter()
            .enumerate()
            .map(|(slot, labels)| (slot as u32, labels.as_packed()));
        let layout = Arc::new(Layout::new(&def.labels, slots));
        let mut snapshot = Snapshot::new([def].into(), series);
        snapshot.push(MetricId(0), &Arc::from(""), layout, &vec![1.5; series]);
        Renderer::new(snapshot, Format::Text)
    }

    fn permit() -> Permit {
        Permit::unlimited()
    }

    #[tokio::test]
    async fn an_exposition_leaves_in_chunks_whatever_the_coding() {
        let mut plain = Vec::new();
        let mut whole = renderer(20_000);
        while whole.next_chunk(&mut plain) {}
        for coding in [Coding::Identity, Coding::Gzip, Coding::Zstd] {
            let mut body =
                ResponseBody::streamed(Box::new(renderer(20_000)), coding, permit()).unwrap();
            let (mut sent, mut frames, mut is_ended) = (Vec::new(), 0, false);
            while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                let data = frame.unwrap().into_data().unwrap();
                assert!(!data.is_empty() && data.len() < 256 * 1024);
                sent.extend(data);
                frames += 1;
                is_ended = body.is_end_stream();
            }
            assert!(is_ended && frames > 1, "{coding:?} {frames}");
            let sent = match coding {
                Coding::Identity => sent,
                Coding::Gzip => {
                    let mut out = Vec::new();
                    io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&sent[..]), &mut out)
                        .unwrap();
                    out
                }
                Coding::Zstd => zstd::decode_all(&sent[..]).unwrap(),
            };
            assert_eq!(sent, plain);
        }
    }

    #[test]
    fn between_two_chunks_others_get_their_turn() {
        let mut body =
            ResponseBody::streamed(Box::new(renderer(20_000)), Coding::Identity, permit()).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut body).poll_frame(&mut cx).is_ready());
        assert!(Pin::new(&mut body).poll_frame(&mut cx).is_pending());
        assert!(Pin::new(&mut body).poll_frame(&mut cx).is_ready());
    }

    #[test]
    fn only_what_pays_is_compressed() {
        let (_, coding) = ResponseBody::compressed(vec![b'x'; 100], Coding::Gzip, None).unwrap();
        assert_eq!(coding, Coding::Identity);
        let (body, coding) =
            ResponseBody::compressed(vec![b'x'; 10_000], Coding::Zstd, None).unwrap();
        assert_eq!(coding, Coding::Zstd);
        assert!(body.size_hint().exact().unwrap() < 100);
    }
}
