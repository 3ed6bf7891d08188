//! Server-Sent Events as the WHATWG HTML standard defines them (section 9.2, "Server-sent events"): bytes in, events out, and
//! the writer. Pure: no I/O, no clock, no async, so that it can be fuzzed and so that a cancelled reader loses nothing.
//!
//! This file must not know what an event's data means. The one place where it differs from the standard is bad UTF-8: a
//! browser puts U+FFFD there, we refuse the stream, for a message that was silently changed is worse than none.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use portcullis_wire::Rope;

/// A comment: keeps proxies from closing an idle stream and means nothing to the reader.
pub const KEEP_ALIVE: &[u8] = b":\n\n";

/// Below this an event is written into one buffer: cheaper than slices and a longer vectored write. In bytes.
const COPY_BYTES_MAX: usize = 16 << 10;

/// Bounds on what a stream may make the reader hold, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct SseLimits {
    /// One line, its end not counted. Comments count too.
    pub line_bytes_max: usize,
    /// The data of one event, joined.
    pub event_bytes_max: usize,
    /// The value of an `id` or `event` field.
    pub field_bytes_max: usize,
}

impl Default for SseLimits {
    fn default() -> Self {
        Self {
            // The longest message and the field's name before it.
            line_bytes_max: (16 << 20) + 64,
            event_bytes_max: 16 << 20,
            field_bytes_max: 4 << 10,
        }
    }
}

/// Why a stream is given up. Nothing can be read from it after any of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// A line ran past [`SseLimits::line_bytes_max`].
    #[error(
        "a line of the event stream is longer than {line_bytes_max} bytes, hint: raise the frame limit of this server if it is right to send so much"
    )]
    LineTooLong {
        /// The limit that was broken.
        line_bytes_max: usize,
    },
    /// The `data` lines of one event ran past [`SseLimits::event_bytes_max`].
    #[error(
        "an event has more than {event_bytes_max} bytes of data, hint: raise the frame limit of this server if it is right to send so much"
    )]
    EventTooLong {
        /// The limit that was broken.
        event_bytes_max: usize,
    },
    /// The value of an `id` or `event` field ran past [`SseLimits::field_bytes_max`].
    #[error("field `{field}` of an event is longer than {field_bytes_max} bytes")]
    FieldTooLong {
        /// `id` or `event`.
        field: &'static str,
        /// The limit that was broken.
        field_bytes_max: usize,
    },
    /// A line is not UTF-8.
    #[error("the event stream is not valid UTF-8, at byte {at} of a line")]
    Utf8 {
        /// Offset into the line of the first bad byte.
        at: usize,
    },
}

/// One event as it was dispatched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SseEvent {
    /// The `id` field of this event itself. `None` when it had none; the standard's last event id, which outlives the event
    /// that set it, is [`Decoder::last_event_id`]. An empty one unsets that.
    pub id: Option<String>,
    /// The type. `None` is the default type `message`, written out or not.
    pub event: Option<String>,
    /// The `retry` field of this event, in milliseconds.
    pub retry_ms: Option<u64>,
    /// The values of its `data` lines, joined by line feeds. For an event with one such line that came in one chunk, a slice
    /// of the chunk.
    pub data: Bytes,
}

/// Reads an event stream. Chunks go in with [`Decoder::push`] or [`Decoder::push_bytes`], cut anywhere; events come out of
/// [`Decoder::next`]. An event that the stream's end cuts off is never dispatched, as the standard wants it.
#[derive(Debug)]
pub struct Decoder {
    limits: SseLimits,
    /// What was pushed and not looked at.
    chunks: VecDeque<Bytes>,
    /// The start of a line whose end has not come.
    partial: BytesMut,
    /// The last line ended with a carriage return: a line feed that follows belongs to that end.
    after_return: bool,
    /// Nothing has been read yet, so that a byte order mark may stand here.
    at_start: bool,
    data: Data,
    id: Option<String>,
    event: Option<String>,
    retry_ms: Option<u64>,
    last_event_id: Option<String>,
    reconnection_ms: Option<u64>,
    failed: Option<SseError>,
}

/// The data buffer of the standard, without its final line feed.
#[derive(Debug, Default)]
enum Data {
    /// No `data` line yet.
    #[default]
    None,
    /// One, not copied.
    One(Bytes),
    /// Several, joined.
    Joined(BytesMut),
}

impl Data {
    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(line) => line.len() + 1,
            Self::Joined(lines) => lines.len() + 1,
        }
    }

    fn push(&mut self, line: Bytes) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(line),
            Self::One(first) => {
                let mut lines = BytesMut::with_capacity((first.len() + line.len() + 1) * 2);
                lines.extend_from_slice(&first);
                Self::join(lines, &line)
            }
            Self::Joined(lines) => Self::join(lines, &line),
        };
    }

    fn join(mut lines: BytesMut, line: &[u8]) -> Self {
        lines.extend_from_slice(b"\n");
        lines.extend_from_slice(line);
        Self::Joined(lines)
    }
}

impl Decoder {
    /// A decoder at the start of a stream.
    #[must_use]
    pub fn new(limits: SseLimits) -> Self {
        Self {
            limits,
            chunks: VecDeque::new(),
            partial: BytesMut::new(),
            after_return: false,
            at_start: true,
            data: Data::None,
            id: None,
            event: None,
            retry_ms: None,
            last_event_id: None,
            reconnection_ms: None,
            failed: None,
        }
    }

    /// Takes received bytes, by copy.
    pub fn push(&mut self, received: &[u8]) {
        self.push_bytes(Bytes::copy_from_slice(received));
    }

    /// Takes received bytes; the data of whole events will be slices of them. Read all events out before the next push, for
    /// what was pushed and not read is held.
    pub fn push_bytes(&mut self, received: Bytes) {
        if self.failed.is_none() && !received.is_empty() {
            self.chunks.push_back(received);
        }
    }

    /// The next event; `None` when more bytes are needed.
    ///
    /// # Errors
    /// See [`SseError`]; the same again ever after.
    #[expect(
        clippy::should_implement_trait,
        reason = "not an iterator: `None` means more bytes are needed, not the end"
    )]
    pub fn next(&mut self) -> Option<Result<SseEvent, SseError>> {
        if let Some(error) = self.failed {
            return Some(Err(error));
        }
        loop {
            let read = match self.line() {
                Ok(Some(line)) => self.read(line),
                Ok(None) => return None,
                Err(error) => Err(error),
            };
            match read {
                Ok(None) => {}
                Ok(Some(event)) => return Some(Ok(event)),
                Err(error) => {
                    self.failed = Some(error);
                    self.chunks.clear();
                    self.partial = BytesMut::new();
                    self.data = Data::None;
                    return Some(Err(error));
                }
            }
        }
    }

    /// The id to resume behind (`Last-Event-ID`): the last one that a dispatched block set, with data or without. `None`
    /// when none was ever set or the last one was empty.
    #[must_use]
    pub fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref().filter(|id| !id.is_empty())
    }

    /// How long the server wants a reconnecting reader to wait, in milliseconds: the last `retry` field seen, in an event or
    /// alone. The caller bounds it.
    #[must_use]
    pub const fn reconnection_ms(&self) -> Option<u64> {
        self.reconnection_ms
    }

    /// Whether the stream may end here without an event being cut off. An end elsewhere loses that event.
    #[must_use]
    pub fn is_between_events(&self) -> bool {
        self.chunks.is_empty()
            && self.partial.is_empty()
            && matches!(self.data, Data::None)
            && self.id.is_none()
            && self.event.is_none()
            && self.retry_ms.is_none()
    }

    /// Takes the next whole line out of what was pushed. A carriage return ends a line at once: whether a line feed belongs
    /// to it is found out when that comes, or an event would wait for the next one.
    fn line(&mut self) -> Result<Option<Bytes>, SseError> {
        while let Some(mut chunk) = self.chunks.pop_front() {
            if self.after_return {
                self.after_return = false;
                if chunk.first() == Some(&b'\n') {
                    chunk.advance(1);
                }
            }
            let end = memchr::memchr2(b'\r', b'\n', &chunk);
            let length = end.unwrap_or(chunk.len());
            if self.partial.len() + length > self.limits.line_bytes_max {
                return Err(SseError::LineTooLong {
                    line_bytes_max: self.limits.line_bytes_max,
                });
            }
            let Some(end) = end else {
                self.partial.extend_from_slice(&chunk);
                continue;
            };
            let mut line = chunk.split_to(end);
            self.after_return = chunk.first() == Some(&b'\r');
            chunk.advance(1);
            if !chunk.is_empty() {
                self.chunks.push_front(chunk);
            }
            if !self.partial.is_empty() {
                self.partial.extend_from_slice(&line);
                line = std::mem::take(&mut self.partial).freeze();
            }
            return Ok(Some(line));
        }
        Ok(None)
    }

    /// Interprets one line; an event when the line is the blank one that ends it.
    fn read(&mut self, mut line: Bytes) -> Result<Option<SseEvent>, SseError> {
        if std::mem::take(&mut self.at_start) && line.starts_with(b"\xef\xbb\xbf") {
            line.advance(3);
        }
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        let text = std::str::from_utf8(&line).map_err(|error| SseError::Utf8 {
            at: error.valid_up_to(),
        })?;
        let (name, value) = match text.split_once(':') {
            Some((name, value)) => (name, value.strip_prefix(' ').unwrap_or(value)),
            None => (text, ""),
        };
        match name {
            "data" => {
                let value = match value.is_empty() {
                    true => Bytes::new(),
                    false => line.slice_ref(value.as_bytes()),
                };
                // Counted with the line feed that follows each value in the standard's data buffer.
                if self.data.len() + value.len() > self.limits.event_bytes_max {
                    return Err(SseError::EventTooLong {
                        event_bytes_max: self.limits.event_bytes_max,
                    });
                }
                self.data.push(value);
            }
            "event" => self.event = Some(self.field("event", value)?),
            // An id with a NUL is ignored: it cannot stand in a header.
            "id" if !value.contains('\0') => self.id = Some(self.field("id", value)?),
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                // Digits alone fail to parse only by being too many.
                self.retry_ms = Some(value.parse().unwrap_or(u64::MAX));
                self.reconnection_ms = self.retry_ms;
            }
            // A comment (its name is empty), or a field that the standard does not know.
            _ => {}
        }
        Ok(None)
    }

    fn field(&self, field: &'static str, value: &str) -> Result<String, SseError> {
        if value.len() > self.limits.field_bytes_max {
            return Err(SseError::FieldTooLong {
                field,
                field_bytes_max: self.limits.field_bytes_max,
            });
        }
        Ok(value.to_owned())
    }

    /// A blank line: the event is over, and without any `data` line there is none.
    fn dispatch(&mut self) -> Option<SseEvent> {
        let id = self.id.take();
        if id.is_some() {
            self.last_event_id.clone_from(&id);
        }
        let event = self.event.take();
        let retry_ms = self.retry_ms.take();
        let data = match std::mem::take(&mut self.data) {
            Data::None => return None,
            Data::One(line) => line,
            Data::Joined(lines) => lines.freeze(),
        };
        Some(SseEvent {
            id,
            event: event.filter(|name| !name.is_empty() && name != "message"),
            retry_ms,
            data,
        })
    }
}

/// Appends an event of the default type. Each line of `data` (ended by LF, CR or CRLF; between JSON tokens these are white
/// space) becomes a `data` line of its own. Empty data makes an event with empty data: with an id, the priming event of
/// 2025-11-25 ("Sending Messages to the Server").
///
/// An `id` that holds a line break or NUL cannot be written and is left out: nobody can resume at this event then, and
/// nothing worse happens.
pub fn encode_event(out: &mut Vec<u8>, id: Option<&str>, retry_ms: Option<u64>, data: &[u8]) {
    head(out, None, id, retry_ms);
    let mut after_return = false;
    body(data, &mut after_return, |piece| match piece {
        Piece::Text(text) => out.extend_from_slice(text),
        Piece::Break => out.extend_from_slice(b"\ndata: "),
    });
    out.extend_from_slice(b"\n\n");
}

/// [`encode_event`] for an event of another type (`endpoint` of the 2024-11-05 transport). `event` must hold no line break;
/// it is left out otherwise.
pub fn encode_typed_event(out: &mut Vec<u8>, event: &str, data: &[u8]) {
    head(out, Some(event), None, None);
    let mut after_return = false;
    body(data, &mut after_return, |piece| match piece {
        Piece::Text(text) => out.extend_from_slice(text),
        Piece::Break => out.extend_from_slice(b"\ndata: "),
    });
    out.extend_from_slice(b"\n\n");
}

/// [`encode_event`] for a text in pieces: a short one is copied into one buffer, a long one goes out as the slices it came
/// as.
#[must_use]
pub fn event_rope(id: Option<&str>, retry_ms: Option<u64>, data: &Rope) -> Rope {
    let mut buffer = Vec::with_capacity(64);
    head(&mut buffer, None, id, retry_ms);
    let length = data.len();
    let mut after_return = false;
    if length < COPY_BYTES_MAX {
        buffer.reserve(length + 2);
        for piece in data.pieces() {
            body(piece, &mut after_return, |part| match part {
                Piece::Text(text) => buffer.extend_from_slice(text),
                Piece::Break => buffer.extend_from_slice(b"\ndata: "),
            });
        }
        buffer.extend_from_slice(b"\n\n");
        return Rope::one(buffer);
    }
    let mut rope = Rope::one(buffer);
    for piece in data.pieces() {
        body(piece, &mut after_return, |part| match part {
            Piece::Text(text) => rope.push(piece.slice_ref(text)),
            Piece::Break => rope.push(Bytes::from_static(b"\ndata: ")),
        });
    }
    rope.push(Bytes::from_static(b"\n\n"));
    rope
}

fn head(out: &mut Vec<u8>, event: Option<&str>, id: Option<&str>, retry_ms: Option<u64>) {
    let writable = |text: &&str| !text.contains(['\r', '\n', '\0']);
    if let Some(event) = event.filter(writable) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(event.as_bytes());
        out.push(b'\n');
    }
    if let Some(id) = id.filter(writable) {
        out.extend_from_slice(b"id: ");
        out.extend_from_slice(id.as_bytes());
        out.push(b'\n');
    }
    if let Some(retry_ms) = retry_ms {
        out.extend_from_slice(format!("retry: {retry_ms}\n").as_bytes());
    }
    out.extend_from_slice(b"data: ");
}

/// A part of data to be written.
enum Piece<'a> {
    /// Without any line break.
    Text(&'a [u8]),
    /// A line break of whatever spelling.
    Break,
}

/// Cuts `data` at its line breaks. `after_return` carries a carriage return at the end of one piece to the next.
fn body<'a>(data: &'a [u8], after_return: &mut bool, mut put: impl FnMut(Piece<'a>)) {
    let mut rest = data;
    if *after_return && !rest.is_empty() {
        *after_return = false;
        rest = rest.strip_prefix(b"\n").unwrap_or(rest);
    }
    while let Some((text, ended)) = memchr::memchr2(b'\r', b'\n', rest).and_then(|at| rest.split_at_checked(at)) {
        if !text.is_empty() {
            put(Piece::Text(text));
        }
        put(Piece::Break);
        rest = match ended.strip_prefix(b"\r") {
            Some(b"") => {
                *after_return = true;
                b""
            }
            Some(behind) => behind.strip_prefix(b"\n").unwrap_or(behind),
            None => ended.get(1..).unwrap_or_default(),
        };
    }
    if !rest.is_empty() {
        put(Piece::Text(rest));
    }
}

#[cfg(test)]
#[path = "sse_tests.rs"]
mod tests;
