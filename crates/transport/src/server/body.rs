//! What becomes of one message between the handler and the wire: [`Exchange`] reads what the handler gives, in order, and
//! [`Body`] is what HTTP writes of it. Everything that reaches a client as JSON-RPC comes out of a sealed reply or an outlet
//! here; nothing here makes any.

use super::Phase;
use super::socket::Busy;
use super::streams::Reader;
use crate::inbound::Handled;
use crate::outlet::{Delivery, OutletEnd, Reply};
use crate::sse;
use crate::upstream::BoxFuture;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use portcullis_ledger::Sealed;
use portcullis_wire::Rope;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep};

/// One message in the handler's hands, and what comes back of it.
///
/// Order: whatever is queued in the outlet goes before what the handler's future returns, for the handler queued it first.
pub(super) struct Exchange {
    /// The handler, until it has returned.
    run: Option<BoxFuture<'static, Handled>>,
    /// What it returned, while queued news go first.
    handled: Option<Handled>,
    outlet: OutletEnd,
}

/// What comes next of an exchange.
#[derive(Debug)]
pub(super) enum Next {
    /// A notification.
    News(Rope),
    /// A reply; more follows unless it is the last.
    Reply(Sealed<Reply>),
    /// The handler ended with no reply: HTTP's own answer.
    Plain(Handled),
    /// Nothing follows.
    End,
}

impl Exchange {
    pub(super) const fn new(run: BoxFuture<'static, Handled>, outlet: OutletEnd) -> Self {
        Self {
            run: Some(run),
            handled: None,
            outlet,
        }
    }

    /// What is next. After a last reply, a plain answer or the end there is only [`Next::End`] or nothing; do not ask.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        if let Poll::Ready(Some(delivery)) = self.outlet.poll_next(context) {
            return Poll::Ready(delivery.into());
        }
        if let Some(run) = &mut self.run {
            match run.as_mut().poll(context) {
                Poll::Ready(handled) => {
                    self.run = None;
                    self.handled = Some(handled);
                }
                Poll::Pending => {
                    // What the poll queued is taken at once; waking up for it would cost a turn.
                    return match self.outlet.look() {
                        Poll::Ready(Some(delivery)) => Poll::Ready(delivery.into()),
                        _ => Poll::Pending,
                    };
                }
            }
        }
        let closed = match self.outlet.look() {
            Poll::Ready(Some(delivery)) => return Poll::Ready(delivery.into()),
            Poll::Ready(None) => true,
            Poll::Pending => false,
        };
        match self.handled.take() {
            Some(Handled::Sealed(reply)) => Poll::Ready(Next::Reply(reply)),
            Some(plain) => Poll::Ready(Next::Plain(plain)),
            None if closed => Poll::Ready(Next::End),
            None => Poll::Pending,
        }
    }
}

impl From<Delivery> for Next {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::News(news) => Self::News(news),
            Delivery::Reply(reply) => Self::Reply(reply),
        }
    }
}

impl Next {
    /// Whether nothing follows it.
    pub(super) fn is_last(&self) -> bool {
        match self {
            Self::News(_) => false,
            Self::Reply(reply) => reply.get().last,
            Self::Plain(_) | Self::End => true,
        }
    }
}

/// One exchange, or those of a 2025-03-26 batch.
pub(super) enum Source {
    /// One.
    One(Exchange),
    /// Several; those that are over are taken out.
    Many(Vec<Exchange>),
    /// None that is not over.
    Over,
}

impl Source {
    /// What is next of any. A [`Next`] that is last ends its exchange; [`Next::End`] comes when all are over.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        match self {
            Self::Over => Poll::Ready(Next::End),
            Self::One(exchange) => {
                let next = ready!(exchange.poll_next(context));
                if next.is_last() {
                    *self = Self::Over;
                }
                Poll::Ready(next)
            }
            Self::Many(exchanges) => {
                let mut index = 0;
                while let Some(exchange) = exchanges.get_mut(index) {
                    match exchange.poll_next(context) {
                        Poll::Ready(Next::End) => {
                            exchanges.swap_remove(index);
                        }
                        Poll::Ready(next) => {
                            if next.is_last() {
                                exchanges.swap_remove(index);
                            }
                            return Poll::Ready(next);
                        }
                        Poll::Pending => index += 1,
                    }
                }
                if exchanges.is_empty() {
                    *self = Self::Over;
                    return Poll::Ready(Next::End);
                }
                Poll::Pending
            }
        }
    }

    /// See [`Source::poll_next`].
    pub(super) async fn next(&mut self) -> Next {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }
}

/// The replies to a batch, as one array.
pub(super) fn array(replies: Vec<Sealed<Reply>>) -> Rope {
    let mut whole = Rope::default();
    let mut between = "[";
    for reply in replies {
        whole.push(Bytes::from_static(between.as_bytes()));
        for piece in reply.into_inner().message.into_pieces() {
            whole.push(piece);
        }
        between = ",";
    }
    whole.push(Bytes::from_static(b"]"));
    whole
}

/// A source that is carried on to its end when its client goes away: in the legacy era that is no cancellation. It runs in
/// the client's own task for as long as that lives, and costs a task of its own only afterwards.
pub(super) struct Detached {
    source: Source,
    work: Option<Work>,
}

/// What is held as long as a call is under way, with its client or without.
pub(super) struct Work {
    /// A drain waits for it.
    pub(super) _alive: mpsc::Sender<()>,
    /// The request is in memory all the while.
    pub(super) _bytes: Option<Arc<super::intake::Reserved>>,
}

impl Detached {
    pub(super) const fn new(source: Source, work: Work) -> Self {
        Self {
            source,
            work: Some(work),
        }
    }

    pub(super) const fn source(&mut self) -> &mut Source {
        &mut self.source
    }

    /// Takes the source out: somebody else carries it on.
    pub(super) fn take(mut self) -> (Source, Option<Work>) {
        let source = std::mem::replace(&mut self.source, Source::Over);
        (source, self.work.take())
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        let mut source = std::mem::replace(&mut self.source, Source::Over);
        if matches!(source, Source::Over) {
            return;
        }
        let work = self.work.take();
        // Without a runtime the server is being torn down, and so is the work.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                while !matches!(source.next().await, Next::End) {}
                drop(work);
            });
        }
    }
}

/// The body of a response.
pub(super) struct Body {
    content: Content,
    /// Held until the response is written.
    held: Option<Held>,
}

/// What lasts as long as a response: the connection is busy, the request's bytes are accounted for.
pub(super) struct Held {
    pub(super) _busy: Busy,
    pub(super) _bytes: Option<Arc<super::intake::Reserved>>,
}

enum Content {
    Whole(Bytes),
    Pieces(std::vec::IntoIter<Bytes>, u64),
    Live(Box<Live>),
    Replay(Box<Reader>),
}

impl Body {
    /// A text in one piece.
    pub(super) fn whole(text: impl Into<Bytes>) -> Self {
        Self::of(Content::Whole(text.into()))
    }

    /// A text in pieces.
    pub(super) fn pieces(pieces: Vec<Bytes>) -> Self {
        let length = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self::of(Content::Pieces(pieces.into_iter(), length))
    }

    /// The stream of a request.
    pub(super) fn live(live: Live) -> Self {
        Self::of(Content::Live(Box::new(live)))
    }

    /// A stream that can be resumed.
    pub(super) fn replay(reader: Reader) -> Self {
        Self::of(Content::Replay(Box::new(reader)))
    }

    const fn of(content: Content) -> Self {
        Self { content, held: None }
    }

    /// Keeps `held` as long as the response lasts.
    pub(super) fn hold(&mut self, held: Held) {
        self.held = Some(held);
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match &mut self.get_mut().content {
            Content::Whole(text) if text.is_empty() => None,
            Content::Whole(text) => Some(std::mem::take(text)),
            Content::Pieces(pieces, length) => {
                let piece = pieces.next();
                *length -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
                piece
            }
            Content::Live(live) => ready!(live.poll_piece(context)),
            Content::Replay(reader) => ready!(reader.poll_piece(context)),
        };
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(text) => text.is_empty(),
            Content::Pieces(_, length) => *length == 0,
            Content::Live(_) | Content::Replay(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(text) => SizeHint::with_exact(text.len() as u64),
            Content::Pieces(_, length) => SizeHint::with_exact(*length),
            Content::Live(_) | Content::Replay(_) => SizeHint::default(),
        }
    }
}

/// The pieces of events that wait to be written, and the clock of keep-alive comments.
pub(super) struct Pulse {
    pieces: VecDeque<Bytes>,
    tick: Pin<Box<Sleep>>,
    every: Duration,
    /// Whether something was written since the last tick.
    fresh: bool,
    /// Resolves when the stream should end because the server drains.
    drain: Option<BoxFuture<'static, ()>>,
}

impl Pulse {
    pub(super) fn new(every: Duration, drain: Option<BoxFuture<'static, ()>>) -> Self {
        Self {
            pieces: VecDeque::new(),
            tick: Box::pin(tokio::time::sleep(every)),
            every,
            fresh: true,
            drain,
        }
    }

    /// Queues an event.
    pub(super) fn push(&mut self, event: Rope) {
        self.fresh = true;
        self.pieces.extend(event.into_pieces());
    }

    /// The next piece that is queued.
    pub(super) fn piece(&mut self) -> Option<Bytes> {
        self.pieces.pop_front()
    }

    /// With nothing queued and nothing to come yet: a comment when it is time, `None` when the server drains.
    pub(super) fn poll_quiet(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(drain) = &mut self.drain
            && drain.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(None);
        }
        while self.tick.as_mut().poll(context).is_ready() {
            self.tick.as_mut().reset(Instant::now() + self.every);
            if !std::mem::take(&mut self.fresh) {
                return Poll::Ready(Some(Bytes::from_static(sse::KEEP_ALIVE)));
            }
        }
        Poll::Pending
    }
}

/// Resolves when the server begins to drain.
pub(super) fn drained(mut phase: watch::Receiver<Phase>) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        // An error means that the server is gone, which is the end of it too.
        let _ = phase.wait_for(|phase| *phase != Phase::Serving).await;
    })
}

/// The event stream of a request that nobody can resume: each delivery is an event, and the last reply ends it.
pub(super) struct Live {
    source: LiveSource,
    pulse: Pulse,
    ended: bool,
}

/// What becomes of the request when the client goes away.
pub(super) enum LiveSource {
    /// Modern: it is cancelled.
    Cancelled(Source),
    /// Legacy: it is carried on.
    Detached(Detached),
}

impl Live {
    /// A stream that begins with `first`.
    pub(super) fn new(source: LiveSource, first: Vec<Next>, pulse: Pulse) -> Self {
        let mut live = Self {
            source,
            pulse,
            ended: false,
        };
        for next in first {
            live.take(next);
        }
        live
    }

    fn take(&mut self, next: Next) {
        match next {
            Next::News(message) => self.pulse.push(sse::event_rope(None, None, &message)),
            Next::Reply(reply) => {
                let message = reply.into_inner().message;
                self.pulse.push(sse::event_rope(None, None, &message));
            }
            // The status line is written: the stream can only end.
            Next::Plain(handled) => {
                tracing::debug!(?handled, "an event stream ends without a reply");
            }
            Next::End => self.ended = true,
        }
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(piece) = self.pulse.piece() {
                return Poll::Ready(Some(piece));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let source = match &mut self.source {
                LiveSource::Cancelled(source) => source,
                LiveSource::Detached(detached) => detached.source(),
            };
            match source.poll_next(context) {
                Poll::Ready(next) => self.take(next),
                Poll::Pending => return self.pulse.poll_quiet(context),
            }
        }
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
