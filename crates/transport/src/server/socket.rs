//! One socket as the HTTP server sees it: which HTTP it speaks, by its first bytes, and whether its client still does its
//! part. Nothing here knows what a request is but that there are some under way.

use bytes::{Buf, BytesMut};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// First bytes of HTTP/2 with prior knowledge (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.1
    Http1,
    /// HTTP/2
    Http2,
}

/// Tells by the first bytes; returns what was read.
pub(super) async fn sniff<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<(Protocol, BytesMut)> {
    let mut start = BytesMut::with_capacity(PREFACE.len());
    while PREFACE.starts_with(&start) {
        let room = PREFACE.len() - start.len();
        if room == 0 {
            return Ok((Protocol::Http2, start));
        }
        let read = (&mut *stream).take(room as u64).read_buf(&mut start).await?;
        if read == 0 {
            break;
        }
    }
    Ok((Protocol::Http1, start))
}

/// What is going on on one connection. Times are milliseconds since its start, plus one: zero is "not".
///
/// Written by the connection's own task, but for the end of a response that lives elsewhere; a stale read only moves a
/// time-out by one look.
#[derive(Debug)]
pub(super) struct Activity {
    start: Instant,
    requests: AtomicU32,
    /// When the last request ended.
    quiet_since: AtomicU64,
    /// When the head of a request began to arrive.
    head_since: AtomicU64,
    /// Since when the client takes nothing of what is written.
    stalled_since: AtomicU64,
}

/// What a look at a connection found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All is well.
    Keep,
    /// Nothing was asked for long.
    Idle,
    /// The client does not do its part.
    Stuck,
}

impl Activity {
    /// A connection that has just begun and is expected to speak.
    pub(super) fn begin() -> Self {
        Self {
            start: Instant::now(),
            requests: AtomicU32::new(0),
            quiet_since: AtomicU64::new(1),
            head_since: AtomicU64::new(1),
            stalled_since: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    fn since(&self, mark: &AtomicU64) -> Option<Duration> {
        match mark.load(Ordering::Relaxed) {
            0 => None,
            mark => Some(Duration::from_millis(self.now().saturating_sub(mark))),
        }
    }

    /// A request has begun; it lasts as long as the returned value.
    pub(super) fn request(self: &Arc<Self>) -> Busy {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.head_since.store(0, Ordering::Relaxed);
        Busy(self.clone())
    }

    /// Looks whether the client does its part.
    pub(super) fn look(&self, header_timeout: Duration, write_timeout: Duration, idle_timeout: Duration) -> Verdict {
        if self
            .since(&self.stalled_since)
            .is_some_and(|time| time >= write_timeout)
        {
            return Verdict::Stuck;
        }
        if self.requests.load(Ordering::Relaxed) > 0 {
            return Verdict::Keep;
        }
        if self.since(&self.head_since).is_some_and(|time| time >= header_timeout) {
            return Verdict::Stuck;
        }
        if self.since(&self.quiet_since).is_some_and(|time| time >= idle_timeout) {
            return Verdict::Idle;
        }
        Verdict::Keep
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.quiet_since.store(self.0.now(), Ordering::Relaxed);
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream with the bytes that were read ahead, watched.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    start: BytesMut,
    activity: Arc<Activity>,
    /// HTTP/2 frames come at any time; only in HTTP/1 is what is read between requests a head.
    heads: bool,
}

impl<S> Watched<S> {
    /// Watches `stream`, whose first bytes are `start`.
    pub(super) fn new(stream: S, start: BytesMut, protocol: Protocol, activity: Arc<Activity>) -> Self {
        if protocol == Protocol::Http2 {
            activity.head_since.store(0, Ordering::Relaxed);
        }
        Self {
            stream,
            start,
            activity,
            heads: protocol == Protocol::Http1,
        }
    }

    fn wrote<T>(&self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let stalled = &self.activity.stalled_since;
        match (&result, stalled.load(Ordering::Relaxed)) {
            (Poll::Pending, 0) => stalled.store(self.activity.now(), Ordering::Relaxed),
            (Poll::Pending, _) | (Poll::Ready(_), 0) => {}
            (Poll::Ready(_), _) => stalled.store(0, Ordering::Relaxed),
        }
        result
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.start.is_empty() {
            let count = this.start.len().min(buffer.remaining());
            buffer.put_slice(this.start.get(..count).unwrap_or_default());
            this.start.advance(count);
            if this.start.is_empty() {
                this.start = BytesMut::new();
            }
            return Poll::Ready(Ok(()));
        }
        let result = Pin::new(&mut this.stream).poll_read(context, buffer);
        if this.heads && result.is_ready() {
            let activity = &this.activity;
            if activity.requests.load(Ordering::Relaxed) == 0 && activity.head_since.load(Ordering::Relaxed) == 0 {
                activity.head_since.store(activity.now(), Ordering::Relaxed);
            }
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.wrote(result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write_vectored(context, pieces);
        this.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_preface_tells_the_protocol() {
        for (sent, expected) in [
            (PREFACE, Protocol::Http2),
            (b"POST /mcp HTTP/1.1\r\n", Protocol::Http1),
            (b"PRI * HTTP/1.1\r\n", Protocol::Http1),
            (b"", Protocol::Http1),
        ] {
            let mut stream = sent;
            let (protocol, start) = sniff(&mut stream).await.unwrap();
            assert_eq!(protocol, expected);
            assert!(sent.starts_with(&start), "what was read is kept");
            assert_eq!(start.len() + stream.len(), sent.len());
        }
    }

    #[test]
    fn looks_find_who_does_not_do_its_part() {
        let (short, long) = (Duration::ZERO, Duration::from_secs(3600));
        let activity = Arc::new(Activity::begin());
        assert_eq!(activity.look(short, long, long), Verdict::Stuck, "a head is awaited");
        assert_eq!(activity.look(long, long, short), Verdict::Idle);
        assert_eq!(activity.look(long, long, long), Verdict::Keep);
        let busy = activity.request();
        assert_eq!(activity.look(short, long, short), Verdict::Keep, "busy is never idle");
        activity.stalled_since.store(1, Ordering::Relaxed);
        assert_eq!(
            activity.look(long, short, long),
            Verdict::Stuck,
            "a reader that stopped"
        );
        activity.stalled_since.store(0, Ordering::Relaxed);
        drop(busy);
        assert_eq!(activity.look(short, long, long), Verdict::Keep, "no head began");
        assert_eq!(activity.look(long, long, short), Verdict::Idle);
    }
}
