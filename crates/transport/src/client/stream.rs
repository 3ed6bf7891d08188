//! Event streams of a server: the response to a POST, read in place by whoever holds the exchange, and the standing GET stream
//! of a legacy session. A legacy stream that breaks off is resumed behind its last event (2025-11-25, streamable HTTP,
//! "Resumability and Redelivery"). Must not know what a message says, but for `ping`.

use super::body::chunk;
use super::era;
use super::http::{BodyKind, Wire, content_type, discard, garbage, kind, refusal};
use super::pool::Lease;
use crate::sse::{Decoder, SseError, SseEvent, SseLimits};
use crate::upstream::{BoxFuture, Event, EventSource, UpstreamError};
use bytes::Bytes;
use http::{Method as Verb, Response, StatusCode};
use hyper::body::Incoming;
use portcullis_wire::message::batch;
use portcullis_wire::{Era, Message, Rope};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// The pause before a stream is resumed when the server names none.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause that a server may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// The longest pause that we come to by ourselves, after failures in a row.
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// How often in a row a request's stream is resumed without getting anything.
const RESUMES_MAX: u32 = 8;
/// What may follow the answer on its stream: the stream's end. Past these the connection is closed instead of used again.
const TAIL_TIME_MAX: Duration = Duration::from_secs(1);
const TAIL_BYTES_MAX: usize = 64 << 10;

/// A body that is an event stream.
struct EventReader {
    body: Incoming,
    decoder: Decoder,
    /// How much more may come.
    bytes_left: u64,
}

impl EventReader {
    fn new(wire: &Wire, body: Incoming, is_endless: bool) -> Self {
        let limits = &wire.place.limits;
        Self {
            body,
            decoder: Decoder::new(SseLimits {
                // The field's name stands before the message.
                line_bytes_max: limits.message.message_bytes_max + 64,
                event_bytes_max: limits.message.message_bytes_max,
                ..SseLimits::default()
            }),
            bytes_left: if is_endless { u64::MAX } else { limits.stream_bytes_max },
        }
    }

    /// The data of the next event that may be a message; `None` at the end of the stream. Cancel safe.
    async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        loop {
            match self.decoder.next() {
                // An event without data primes the resumption; one of another type is not MCP's.
                Some(Ok(SseEvent { data, event: None, .. })) if !data.is_empty() => return Ok(Some(data)),
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(broken(error)),
                None => {}
            }
            let Some(received) = chunk(&mut self.body).await? else {
                return Ok(None);
            };
            let Some(left) = self.bytes_left.checked_sub(received.len() as u64) else {
                return Err(UpstreamError::TooLarge {
                    detail: "the event stream of one request".to_owned(),
                });
            };
            self.bytes_left = left;
            self.decoder.push_bytes(received);
        }
    }
}

fn broken(error: SseError) -> UpstreamError {
    let detail = error.to_string();
    match error {
        SseError::Utf8 { .. } => UpstreamError::Garbage { detail },
        SseError::LineTooLong { .. } | SseError::EventTooLong { .. } | SseError::FieldTooLong { .. } => {
            UpstreamError::TooLarge { detail }
        }
    }
}

/// The texts of the messages in one event; several only in 2025-03-26.
fn messages(wire: &Wire, data: Bytes) -> Result<VecDeque<Bytes>, UpstreamError> {
    match wire
        .revision
        .has_batches()
        .then(|| batch(&data, wire.limits()))
        .flatten()
    {
        None => Ok(VecDeque::from([data])),
        Some(Ok(texts)) => Ok(texts.into()),
        Some(Err(refused)) => Err(garbage(&refused.error)),
    }
}

/// The stream that answers a POST.
pub(super) struct PostStream {
    wire: Arc<Wire>,
    id: u64,
    is_subscription: bool,
    reader: Option<(EventReader, Lease)>,
    /// The rest of a batch.
    queue: VecDeque<Bytes>,
    resumption: Resumption,
    resuming: Option<BoxFuture<'static, Result<Resumed, UpstreamError>>>,
}

type Resumed = (Response<Incoming>, Lease);

/// Where a stream can be taken up again.
#[derive(Debug, Default)]
struct Resumption {
    last_event_id: Option<String>,
    retry_ms: Option<u64>,
    failures: u32,
}

impl Resumption {
    fn note(&mut self, decoder: &Decoder) {
        if let Some(id) = decoder.last_event_id()
            && self.last_event_id.as_deref() != Some(id)
        {
            self.last_event_id = Some(id.to_owned());
            self.failures = 0;
        }
        self.retry_ms = decoder.reconnection_ms().or(self.retry_ms);
    }

    /// What the server asked for, and more after failures in a row.
    fn pause(&self) -> Duration {
        let asked = self.retry_ms.map_or(PAUSE, Duration::from_millis).min(PAUSE_MAX);
        let doubled = PAUSE.saturating_mul(1_u32.checked_shl(self.failures.saturating_sub(1)).unwrap_or(u32::MAX));
        match self.failures {
            0 | 1 => asked,
            _ => asked.max(doubled.min(BACKOFF_MAX)),
        }
    }
}

impl PostStream {
    pub(super) fn new(
        wire: Arc<Wire>,
        id: u64,
        is_subscription: bool,
        response: Response<Incoming>,
        lease: Lease,
    ) -> Self {
        let reader = EventReader::new(&wire, response.into_body(), is_subscription);
        Self {
            wire,
            id,
            is_subscription,
            reader: Some((reader, lease)),
            queue: VecDeque::new(),
            resumption: Resumption::default(),
            resuming: None,
        }
    }

    async fn next_event(&mut self) -> Result<Event, UpstreamError> {
        loop {
            while let Some(text) = self.queue.pop_front() {
                match self.wire.event(text, self.id)? {
                    Event::Question(question) if era::is_ping(&question) => {
                        self.wire.reply(era::pong(question.id()));
                    }
                    Event::Answer(answer) => {
                        self.wire.heed(&answer);
                        if let Some((reader, lease)) = self.reader.take() {
                            end(reader, lease);
                        }
                        return Ok(Event::Answer(answer));
                    }
                    event => return Ok(event),
                }
            }
            let data = match &mut self.reader {
                Some((reader, _)) => {
                    let read = reader.next().await;
                    self.resumption.note(&reader.decoder);
                    read
                }
                None => {
                    self.resume().await?;
                    continue;
                }
            };
            match data {
                Ok(Some(data)) => {
                    self.resumption.failures = 0;
                    self.queue = messages(&self.wire, data)?;
                }
                Ok(None) | Err(UpstreamError::Closed { .. }) if self.may_resume() => {
                    if let Some((_, lease)) = self.reader.take()
                        && matches!(data, Ok(None))
                    {
                        lease.give_back();
                    }
                }
                Ok(None) => {
                    return Err(UpstreamError::Closed {
                        detail: "the event stream ended before the answer".to_owned(),
                    });
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn may_resume(&self) -> bool {
        self.wire.revision.era() == Era::Legacy && self.resumption.last_event_id.is_some()
    }

    /// Takes the stream up again. The attempt is kept in `self` and goes on with the next call if this one is dropped.
    async fn resume(&mut self) -> Result<(), UpstreamError> {
        if self.resumption.failures >= RESUMES_MAX {
            return Err(UpstreamError::Closed {
                detail: format!(
                    "the event stream ended before the answer and {RESUMES_MAX} attempts to resume it gave nothing"
                ),
            });
        }
        let attempt = self.resuming.get_or_insert_with(|| {
            let (wire, after) = (self.wire.clone(), self.resumption.last_event_id.clone());
            let pause = self.resumption.pause();
            Box::pin(async move {
                sleep(pause).await;
                wire.send(Verb::GET, after.as_deref(), Rope::default()).await
            })
        });
        let resumed = attempt.as_mut().await;
        self.resuming = None;
        // Reset by the next event.
        self.resumption.failures += 1;
        let (response, lease) = match resumed {
            Ok(resumed) => resumed,
            Err(UpstreamError::Connect { .. } | UpstreamError::Closed { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        match (response.status(), kind(&response)) {
            (StatusCode::OK, Some(BodyKind::Events)) => {
                let reader = EventReader::new(&self.wire, response.into_body(), self.is_subscription);
                self.reader = Some((reader, lease));
                Ok(())
            }
            (StatusCode::OK, _) => Err(UpstreamError::Garbage {
                detail: format!("the resumed stream is of type {}", content_type(&response)),
            }),
            (StatusCode::NOT_FOUND, _) => {
                self.wire.end_session();
                Err(UpstreamError::SessionEnded)
            }
            (StatusCode::METHOD_NOT_ALLOWED, _) => Err(UpstreamError::Closed {
                detail: "the event stream ended before the answer, and the server cannot resume it".to_owned(),
            }),
            _ => Err(refusal(response, lease, self.wire.limits()).await),
        }
    }
}

impl EventSource for PostStream {
    fn next(&mut self) -> BoxFuture<'_, Result<Event, UpstreamError>> {
        Box::pin(self.next_event())
    }
}

/// Lets go of a stream whose answer has come. Its end has mostly come too, and then nothing is left to do in the background.
fn end(reader: EventReader, lease: Lease) {
    let mut tail = Box::pin(read_tail(reader, lease));
    let mut context = Context::from_waker(Waker::noop());
    if tail.as_mut().poll(&mut context).is_pending() {
        tokio::spawn(tail);
    }
}

/// The answer was the last message; the stream should end now, and then its connection can be used again.
async fn read_tail(mut reader: EventReader, lease: Lease) {
    let read = async {
        let mut bytes = 0;
        while let Ok(Some(rest)) = chunk(&mut reader.body).await {
            bytes += rest.len();
            if bytes > TAIL_BYTES_MAX {
                return false;
            }
        }
        true
    };
    // A body that was cut off has closed its connection; giving it back does no harm.
    if timeout(TAIL_TIME_MAX, read).await == Ok(true) {
        lease.give_back();
    }
}

/// Reads the standing stream of a legacy session, as long as the session lives: what belongs to no request comes here.
pub(super) async fn standing(wire: Arc<Wire>, opened: oneshot::Sender<()>) {
    let mut resumption = Resumption::default();
    let mut first = Some(opened);
    loop {
        let opened = wire
            .send(Verb::GET, resumption.last_event_id.as_deref(), Rope::default())
            .await;
        if let Some(first) = first.take() {
            // Whoever waited may have gone on.
            let _ = first.send(());
        }
        match opened {
            Ok((response, lease)) => match (response.status(), kind(&response)) {
                (StatusCode::OK, Some(BodyKind::Events)) => {
                    let mut reader = EventReader::new(&wire, response.into_body(), true);
                    resumption.failures += 1;
                    let ended = read_standing(&wire, &mut reader, &mut resumption).await;
                    resumption.note(&reader.decoder);
                    match ended {
                        Ok(()) => lease.give_back(),
                        Err(error @ UpstreamError::Closed { .. }) => {
                            tracing::debug!(server = %wire.place.name, %error, "the session's stream broke off");
                        }
                        Err(error) => {
                            tracing::warn!(server = %wire.place.name, %error, "the session's stream is given up");
                            return;
                        }
                    }
                }
                (StatusCode::NOT_FOUND, _) => {
                    discard(response, lease).await;
                    wire.end_session_if_any();
                    return;
                }
                (status, _) if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                    discard(response, lease).await;
                    resumption.failures += 1;
                }
                // 405 above all: there is none to be had.
                (status, _) => {
                    tracing::debug!(server = %wire.place.name, %status, "no standing stream");
                    discard(response, lease).await;
                    return;
                }
            },
            Err(error) => {
                tracing::debug!(server = %wire.place.name, %error, "the session's stream cannot be opened");
                resumption.failures += 1;
            }
        }
        sleep(resumption.pause()).await;
    }
}

async fn read_standing(
    wire: &Arc<Wire>,
    reader: &mut EventReader,
    resumption: &mut Resumption,
) -> Result<(), UpstreamError> {
    while let Some(data) = reader.next().await? {
        resumption.failures = 0;
        resumption.note(&reader.decoder);
        for text in messages(wire, data)? {
            match Message::parse(text, wire.limits()).map_err(|refused| garbage(&refused.error))? {
                Message::Notification(news) => wire.strays.news(news),
                Message::Request(question) if era::is_ping(&question) => wire.reply(era::pong(question.id())),
                Message::Request(question) => {
                    if let Err(id) = wire.strays.question(question) {
                        wire.reply(era::nobody(&id));
                    }
                }
                Message::Response(_) => {
                    tracing::debug!(server = %wire.place.name, "an answer on the session's stream, where none belongs");
                }
            }
        }
    }
    Ok(())
}
