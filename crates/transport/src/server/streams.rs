//! Legacy sessions as the transport knows them: streams whose events have ids, are kept for a while, and can be resumed on
//! another connection (2025-03-26 to 2025-11-25, transports, "Resumability and Redelivery"), and the standing stream that
//! GET reads. Whether somebody may read a session is not decided here: the handler has said so before.

use super::body::{Next, Pulse, Source};
use super::{Phase, ServerLimits};
use crate::outlet::{Delivery, OutletEnd};
use crate::sse;
use bytes::Bytes;
use portcullis_wire::Rope;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tokio::sync::{Notify, watch};

/// All sessions of a server that have a standing stream here. A session is in it from the reply that began it until it is
/// closed or the gateway drops its end of the standing stream; so the gateway bounds their number.
pub(super) struct Sessions {
    table: Mutex<HashMap<Arc<str>, Arc<Session>>>,
    kept_bytes: Arc<AtomicUsize>,
    limits: ServerLimits,
}

/// One session.
pub(super) struct Session {
    standing: Arc<Stream>,
    streams: Mutex<Streams>,
    /// Ends the task that reads the gateway's end of the standing stream, which tells the gateway.
    pump: tokio::task::AbortHandle,
}

struct Streams {
    /// Number of the next stream; the standing one is 0.
    next: u64,
    list: VecDeque<Arc<Stream>>,
}

/// A stream that can be resumed: its latest events, and at most one reader.
pub(super) struct Stream {
    number: u64,
    log: Mutex<Log>,
    /// Told when there may be room for the writer.
    room: Notify,
    kept_bytes: Arc<AtomicUsize>,
    events_max: usize,
    bytes_max: usize,
    total_bytes_max: usize,
}

struct Log {
    /// In order without gaps; the last one has the number `next - 1`.
    events: VecDeque<Rope>,
    bytes: usize,
    next: u64,
    /// The last event that a reader has taken.
    sent: u64,
    /// Which attachment reads; older ones end.
    reader: Option<u64>,
    attachments: u64,
    waker: Option<Waker>,
    ended: Option<Instant>,
}

/// An event id that this session does not have, or not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnknownEvent;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What the locks guard is sound between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sessions {
    pub(super) fn new(limits: ServerLimits) -> Self {
        Self {
            table: Mutex::default(),
            kept_bytes: Arc::default(),
            limits,
        }
    }

    /// Begins a session; `standing` is read from now on.
    pub(super) fn begin(self: &Arc<Self>, id: Arc<str>, standing: OutletEnd) {
        let stream = Arc::new(Stream::new(0, &self.limits, self.kept_bytes.clone()));
        let pump = tokio::spawn(pump_standing(
            standing,
            stream.clone(),
            Arc::downgrade(self),
            id.clone(),
        ));
        let session = Arc::new(Session {
            standing: stream,
            streams: Mutex::new(Streams {
                next: 1,
                list: VecDeque::new(),
            }),
            pump: pump.abort_handle(),
        });
        if let Some(old) = lock(&self.table).insert(id, session) {
            old.end();
        }
    }

    /// The session of that id.
    pub(super) fn find(&self, id: &str) -> Option<Arc<Session>> {
        lock(&self.table).get(id).cloned()
    }

    /// Ends a session: its readers end, and the gateway finds its outlet closed.
    pub(super) fn end(&self, id: &str) {
        let session = lock(&self.table).remove(id);
        if let Some(session) = session {
            session.end();
        }
    }

    pub(super) fn count(&self) -> usize {
        lock(&self.table).len()
    }

    pub(super) fn kept_bytes(&self) -> usize {
        self.kept_bytes.load(Ordering::Relaxed)
    }

    /// A new stream of `session`; `None` where it has as many as it may.
    pub(super) fn open(&self, session: &Session) -> Option<Arc<Stream>> {
        let mut streams = lock(&session.streams);
        let list = &mut streams.list;
        let over = |stream: &Arc<Stream>| lock(&stream.log).ended;
        list.retain(|stream| over(stream).is_none_or(|at| at.elapsed() < self.limits.replay_for));
        if list.len() >= self.limits.streams_per_session_max {
            let oldest = list.iter().position(|stream| over(stream).is_some())?;
            list.remove(oldest);
        }
        let number = streams.next;
        streams.next += 1;
        let stream = Arc::new(Stream::new(number, &self.limits, self.kept_bytes.clone()));
        streams.list.push_back(stream.clone());
        Some(stream)
    }
}

/// Moves what the gateway sends outside any request into the standing stream, until the session ends.
async fn pump_standing(mut standing: OutletEnd, stream: Arc<Stream>, sessions: Weak<Sessions>, id: Arc<str>) {
    while let Some(delivery) = standing.next().await {
        let message = match delivery {
            Delivery::News(message) => message,
            Delivery::Reply(reply) => reply.into_inner().message,
        };
        stream.push(&message).await;
        // Another thread may write as fast as this one reads.
        tokio::task::coop::consume_budget().await;
    }
    if let Some(sessions) = sessions.upgrade() {
        sessions.end(&id);
    }
}

/// Moves what comes of a request into its stream, to the end, whoever reads it.
pub(super) async fn pump(mut source: Source, stream: Arc<Stream>, first: Vec<Next>) {
    for next in first {
        stream.take(next).await;
    }
    loop {
        match source.next().await {
            Next::End => break,
            next => stream.take(next).await,
        }
    }
    stream.end();
}

impl Session {
    /// The stream and the place behind which an event id stands, `STREAM-NUMBER`; only those of this session are found.
    pub(super) fn locate(&self, event: &[u8]) -> Result<(Arc<Stream>, u64), UnknownEvent> {
        let text = std::str::from_utf8(event).map_err(|_| UnknownEvent)?;
        let (stream, number) = text.split_once('-').ok_or(UnknownEvent)?;
        let stream = stream.parse::<u64>().map_err(|_| UnknownEvent)?;
        let number = number.parse::<u64>().map_err(|_| UnknownEvent)?;
        if stream == 0 {
            return Ok((self.standing.clone(), number));
        }
        lock(&self.streams)
            .list
            .iter()
            .find(|known| known.number == stream)
            .map(|stream| (stream.clone(), number))
            .ok_or(UnknownEvent)
    }

    /// The standing stream.
    pub(super) fn standing(&self) -> Arc<Stream> {
        self.standing.clone()
    }

    fn end(&self) {
        self.pump.abort();
        self.standing.end();
    }
}

impl Stream {
    fn new(number: u64, limits: &ServerLimits, kept_bytes: Arc<AtomicUsize>) -> Self {
        Self {
            number,
            log: Mutex::new(Log {
                events: VecDeque::new(),
                bytes: 0,
                // 0 is the priming event, which is never kept.
                next: 1,
                sent: 0,
                reader: None,
                attachments: 0,
                waker: None,
                ended: None,
            }),
            room: Notify::new(),
            kept_bytes,
            events_max: limits.replay_events_max.max(1),
            bytes_max: limits.replay_bytes_max,
            total_bytes_max: limits.replay_total_bytes_max,
        }
    }

    /// Whether it is the session's and not a request's.
    pub(super) const fn is_standing(&self) -> bool {
        self.number == 0
    }

    /// The id of an event.
    fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.number)
    }

    async fn take(&self, next: Next) {
        match next {
            Next::News(message) => self.push(&message).await,
            Next::Reply(reply) => self.push(&reply.into_inner().message).await,
            // The status line is written: the stream can only end.
            Next::Plain(handled) => tracing::debug!(?handled, "an event stream ends without a reply"),
            Next::End => {}
        }
    }

    /// Appends an event. Waits while a reader has much before it that it has not taken; without a reader the oldest events
    /// make room.
    async fn push(&self, message: &Rope) {
        loop {
            // Registered before the look, so that room made in between is not missed.
            let room = self.room.notified();
            {
                let mut log = lock(&self.log);
                let waiting = usize::try_from(log.next - 1 - log.sent).unwrap_or(usize::MAX);
                let full = waiting >= self.events_max || (waiting > 0 && log.bytes >= self.bytes_max);
                if log.reader.is_none() || !full {
                    self.append(&mut log, message);
                    return;
                }
            }
            room.await;
        }
    }

    fn append(&self, log: &mut Log, message: &Rope) {
        let event = sse::event_rope(Some(&self.id(log.next)), None, message);
        let size = event.len();
        log.events.push_back(event);
        log.next += 1;
        log.bytes += size;
        self.kept_bytes.fetch_add(size, Ordering::Relaxed);
        self.make_room(log);
        if let Some(waker) = log.waker.take() {
            waker.wake();
        }
    }

    /// Drops the oldest events beyond what may be kept, but never the latest, nor one that a reader is to have.
    fn make_room(&self, log: &mut Log) {
        while log.events.len() > 1 {
            let oldest = log.next - log.events.len() as u64;
            let needed = log.reader.is_some() && oldest > log.sent;
            let too_much = log.events.len() > self.events_max
                || log.bytes > self.bytes_max
                || self.kept_bytes.load(Ordering::Relaxed) > self.total_bytes_max;
            if needed || !too_much {
                return;
            }
            if oldest > log.sent {
                tracing::debug!(stream = self.number, "an event that nobody read was dropped");
            }
            if let Some(event) = log.events.pop_front() {
                log.bytes -= event.len();
                self.kept_bytes.fetch_sub(event.len(), Ordering::Relaxed);
            }
        }
    }

    /// Nothing more will be written.
    pub(super) fn end(&self) {
        let mut log = lock(&self.log);
        if log.ended.is_none() {
            log.ended = Some(Instant::now());
        }
        if let Some(waker) = log.waker.take() {
            waker.wake();
        }
    }

    /// Reads on behind event `after`; without, behind what was delivered. An older reader ends: it is the dead connection of
    /// the client that comes back, and one message must not go out on two streams.
    pub(super) fn attach(
        self: &Arc<Self>,
        after: Option<u64>,
        pulse: Pulse,
        priming_retry_ms: Option<u64>,
    ) -> Result<Reader, UnknownEvent> {
        let mut log = lock(&self.log);
        let first = log.next - log.events.len() as u64;
        let after = match after {
            Some(after) if (first - 1..log.next).contains(&after) => after,
            Some(_) => return Err(UnknownEvent),
            None => log.sent.max(first - 1),
        };
        log.attachments += 1;
        let attachment = log.attachments;
        log.reader = Some(attachment);
        log.sent = after;
        if let Some(waker) = log.waker.take() {
            waker.wake();
        }
        drop(log);
        self.room.notify_waiters();
        let mut pulse = pulse;
        if let Some(retry_ms) = priming_retry_ms {
            let mut event = Vec::with_capacity(48);
            sse::encode_event(&mut event, Some(&self.id(after)), Some(retry_ms), b"");
            pulse.push(Rope::one(event));
        }
        Ok(Reader {
            stream: self.clone(),
            attachment,
            after,
            pulse,
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let bytes = lock(&self.log).bytes;
        self.kept_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// One connection's reading of a [`Stream`].
pub(super) struct Reader {
    stream: Arc<Stream>,
    attachment: u64,
    /// The last event taken.
    after: u64,
    pulse: Pulse,
}

impl Reader {
    /// The next piece to write; `None` at the end of the stream, when another reader has come, or when the server drains.
    pub(super) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(piece) = self.pulse.piece() {
                return Poll::Ready(Some(piece));
            }
            let mut log = lock(&self.stream.log);
            if log.reader != Some(self.attachment) {
                return Poll::Ready(None);
            }
            let first = log.next - log.events.len() as u64;
            let index = (self.after + 1).checked_sub(first);
            let event = index
                .and_then(|index| usize::try_from(index).ok())
                .and_then(|index| log.events.get(index).cloned());
            if let Some(event) = event {
                self.after += 1;
                log.sent = log.sent.max(self.after);
                self.stream.make_room(&mut log);
                drop(log);
                self.stream.room.notify_waiters();
                self.pulse.push(event);
                continue;
            }
            if log.ended.is_some() {
                return Poll::Ready(None);
            }
            log.waker = Some(context.waker().clone());
            drop(log);
            return self.pulse.poll_quiet(context);
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut log = lock(&self.stream.log);
        if log.reader == Some(self.attachment) {
            log.reader = None;
            log.waker = None;
            drop(log);
            self.stream.room.notify_waiters();
        }
    }
}

/// The pulse of a stream that may outlive the drain's patience; `drain` says whether the drain ends it.
pub(super) fn pulse(limits: &ServerLimits, phase: Option<&watch::Receiver<Phase>>) -> Pulse {
    Pulse::new(
        limits.keep_alive,
        phase.map(|phase| super::body::drained(phase.clone())),
    )
}
