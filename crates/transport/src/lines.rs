//! Newline framing: one message per line, the framing of MCP over stdio in every revision (PROTOCOL 1.4).
//!
//! [`LineDecoder`] is pure (bytes in, lines out) so that it can be fuzzed; [`LineReader`] and [`LineWriter`] put it on
//! a byte stream. This file must not know what a message means: it looks for line ends and nothing else, except that
//! the writer has to know where a JSON string begins and ends to tell a harmless line break from a broken message.

use std::io::{self, IoSlice};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest line that is accepted when nothing else is configured, in bytes: 16 MiB.
pub const LINE_BYTES_MAX_DEFAULT: usize = 16 * 1024 * 1024;

/// How much room a read gets at least, in bytes. An idle reader holds at most this much.
const READ_BYTES_MIN: usize = 16 * 1024;

/// What can go wrong between bytes and lines.
///
/// After any of these the stream is of no further use: the place where the next message would begin is unknown, or
/// the other side is gone.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// A line ran past the limit. The rest of it is not skipped: a stream that breaks the limit once is given up,
    /// because resuming after the next newline would let the sender choose what is read as a message.
    #[error(
        "a line is longer than {line_bytes_max} bytes; the connection is given up (hint: raise the frame limit of this server if it is right to send so much)"
    )]
    TooLong {
        /// The limit that was broken, in bytes.
        line_bytes_max: usize,
    },
    /// The stream ended inside a line.
    #[error(
        "the stream ended in the middle of a message, after {bytes} bytes of it (hint: the sender died or forgot the newline)"
    )]
    Truncated {
        /// How many bytes of the unfinished line had arrived.
        bytes: usize,
    },
    /// A message to be written holds a raw line break inside a JSON string. JSON forbids that (RFC 8259, section 7),
    /// and on this framing it would cut the message in two.
    #[error(
        "a message has a raw line break inside a string, at byte {offset} (hint: JSON wants `\\n` written as two characters)"
    )]
    BreakInString {
        /// Where the line break stands in the message.
        offset: usize,
    },
    /// The other side has closed its end: nothing can be written any more.
    #[error("the other side no longer reads (hint: the process has ended or closed its input)")]
    Closed,
    /// The operating system reported something else.
    #[error("the stream failed: {0}")]
    Io(#[source] io::Error),
}

impl From<io::Error> for LineError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::WriteZero => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

/// Cuts a stream of bytes into lines. Pure: no I/O, no clock.
///
/// A line ends at `\n`; one `\r` before it belongs to the line end; empty lines are skipped. A line handed out is a
/// slice of the received buffer, not a copy. Each byte is looked at once, however the stream is cut into pieces.
#[derive(Debug)]
pub struct LineDecoder {
    buffer: BytesMut,
    /// How many bytes at the front of `buffer` are known to hold no `\n`.
    searched: usize,
    line_bytes_max: usize,
    too_long: bool,
}

impl LineDecoder {
    /// A decoder that refuses lines of more than `line_bytes_max` bytes (the line end not counted).
    pub fn new(line_bytes_max: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            searched: 0,
            line_bytes_max,
            too_long: false,
        }
    }

    /// Adds received bytes.
    pub fn push(&mut self, received: &[u8]) {
        self.buffer.extend_from_slice(received);
    }

    /// The buffer to read into without a copy, with at least 16 KiB of room. Bytes may only be appended to it.
    fn room(&mut self) -> &mut BytesMut {
        if self.buffer.capacity() - self.buffer.len() < READ_BYTES_MIN / 2 {
            self.buffer.reserve(READ_BYTES_MIN);
        }
        &mut self.buffer
    }

    /// The next complete line, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`LineError::TooLong`], then and ever after: see there.
    #[expect(
        clippy::should_implement_trait,
        reason = "not an iterator: `None` means more bytes are needed, not the end"
    )]
    pub fn next(&mut self) -> Result<Option<Bytes>, LineError> {
        if self.too_long {
            return Err(LineError::TooLong {
                line_bytes_max: self.line_bytes_max,
            });
        }
        loop {
            let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(found) = memchr::memchr(b'\n', unsearched) else {
                self.searched = self.buffer.len();
                // One byte more than the limit may be the `\r` of the line end.
                let ends_in_return = self.buffer.last() == Some(&b'\r');
                if self.buffer.len() - usize::from(ends_in_return) > self.line_bytes_max {
                    return Err(self.give_up());
                }
                return Ok(None);
            };
            let length = self.searched + found;
            self.searched = 0;
            let mut line = self.buffer.split_to(length);
            self.buffer.advance(1);
            if line.last() == Some(&b'\r') {
                line.truncate(length - 1);
            }
            if line.len() > self.line_bytes_max {
                return Err(self.give_up());
            }
            if !line.is_empty() {
                return Ok(Some(line.freeze()));
            }
        }
    }

    /// To be called when the stream has ended and [`next`](Self::next) gives `None`.
    ///
    /// # Errors
    /// [`LineError::Truncated`] if the stream ended inside a line.
    pub fn finish(&self) -> Result<(), LineError> {
        match self.buffer.len() {
            0 => Ok(()),
            bytes => Err(LineError::Truncated { bytes }),
        }
    }

    fn give_up(&mut self) -> LineError {
        self.too_long = true;
        self.searched = 0;
        self.buffer = BytesMut::new();
        LineError::TooLong {
            line_bytes_max: self.line_bytes_max,
        }
    }
}

/// Reads lines from a byte stream.
#[derive(Debug)]
pub struct LineReader<R> {
    stream: R,
    decoder: LineDecoder,
    ended: bool,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    /// Reads from `stream`, with lines of at most `line_bytes_max` bytes.
    pub fn new(stream: R, line_bytes_max: usize) -> Self {
        Self {
            stream,
            decoder: LineDecoder::new(line_bytes_max),
            ended: false,
        }
    }

    /// The next line; `None` at the end of the stream. Reads nothing ahead of what one read gives, so that a caller who
    /// does not ask holds the sender back.
    ///
    /// Cancel safe: a dropped call loses nothing.
    ///
    /// # Errors
    /// See [`LineError`]; the stream is of no further use then.
    pub async fn next(&mut self) -> Result<Option<Bytes>, LineError> {
        loop {
            if let Some(line) = self.decoder.next()? {
                return Ok(Some(line));
            }
            if self.ended {
                self.decoder.finish()?;
                return Ok(None);
            }
            match self.stream.read_buf(self.decoder.room()).await {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Writes lines to a byte stream.
#[derive(Debug)]
pub struct LineWriter<W> {
    stream: W,
    /// What a dropped or failed call left unwritten, the line end included.
    unwritten: Bytes,
}

impl<W: AsyncWrite + Unpin> LineWriter<W> {
    /// Writes to `stream`.
    pub fn new(stream: W) -> Self {
        Self {
            stream,
            unwritten: Bytes::new(),
        }
    }

    /// Writes one message and its line end, in one write where the stream takes it whole, and flushes.
    ///
    /// Raw line breaks between the tokens of the message become spaces: they are whitespace to JSON and a message end to
    /// this framing. All else goes through byte for byte.
    ///
    /// A call dropped half-way leaves the stream sound: its message goes out not at all, or whole with the rest of it at
    /// the front of the next call.
    ///
    /// # Errors
    /// [`LineError::BreakInString`] before anything is written; otherwise [`LineError::Closed`] or [`LineError::Io`].
    pub async fn write(&mut self, message: &Bytes) -> Result<(), LineError> {
        let line = on_one_line(message)?;
        self.write_rest().await?;
        if self.stream.is_write_vectored() {
            // The first write is tried with both pieces, so that a message costs one system call and no copy.
            let written = self
                .stream
                .write_vectored(&[IoSlice::new(&line), IoSlice::new(b"\n")])
                .await?;
            if written == 0 {
                return Err(LineError::Closed);
            }
            if written <= line.len() {
                // From here on a part is on the wire, so the rest is noted before the next await.
                let mut rest = BytesMut::with_capacity(line.len() - written + 1);
                rest.put_slice(line.get(written..).unwrap_or_default());
                rest.put_u8(b'\n');
                self.unwritten = rest.freeze();
            }
        } else {
            let mut whole = BytesMut::with_capacity(line.len() + 1);
            whole.put_slice(&line);
            whole.put_u8(b'\n');
            self.unwritten = whole.freeze();
        }
        self.write_rest().await?;
        self.stream.flush().await?;
        Ok(())
    }

    async fn write_rest(&mut self) -> Result<(), LineError> {
        while !self.unwritten.is_empty() {
            let written = self.stream.write(&self.unwritten).await?;
            if written == 0 {
                return Err(LineError::Closed);
            }
            self.unwritten.advance(written);
        }
        Ok(())
    }
}

/// The message without raw line breaks: itself when it has none (the rule), else a copy with spaces in their place.
fn on_one_line(message: &Bytes) -> Result<Bytes, LineError> {
    if memchr::memchr2(b'\n', b'\r', message).is_none() {
        return Ok(message.clone());
    }
    let mut line = BytesMut::with_capacity(message.len());
    let (mut in_string, mut escaped) = (false, false);
    for (offset, &byte) in message.iter().enumerate() {
        let line_break = matches!(byte, b'\n' | b'\r');
        if line_break && in_string {
            return Err(LineError::BreakInString { offset });
        }
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
        } else if byte == b'"' {
            in_string = true;
        }
        line.put_u8(if line_break { b' ' } else { byte });
    }
    Ok(line.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(decoder: &mut LineDecoder) -> Result<Vec<Bytes>, LineError> {
        let mut lines = Vec::new();
        while let Some(line) = decoder.next()? {
            lines.push(line);
        }
        Ok(lines)
    }

    #[test]
    fn lines_come_out_the_same_however_the_bytes_are_cut() {
        let stream = b"{\"a\":1}\n\r\n\n{\"b\":2}\r\n  {}\n\"\xc3\xa4\r\"\n";
        let expected: Vec<&[u8]> = vec![b"{\"a\":1}", b"{\"b\":2}", b"  {}", b"\"\xc3\xa4\r\""];
        for piece in 1..=stream.len() {
            let mut decoder = LineDecoder::new(64);
            let mut lines = Vec::new();
            for bytes in stream.chunks(piece) {
                decoder.push(bytes);
                lines.extend(all(&mut decoder).unwrap());
            }
            assert_eq!(lines, expected, "in pieces of {piece}");
            decoder.finish().unwrap();
        }
    }

    #[test]
    fn the_limit_is_exact_and_final() {
        for (line_end, newline_seen) in [("\n", true), ("\r\n", true), ("", false), ("\r", false)] {
            for piece in [1, 3, 100] {
                let fed = |length: usize| {
                    let mut decoder = LineDecoder::new(8);
                    let stream = format!("{}{line_end}", "x".repeat(length));
                    let mut result = Ok(Vec::new());
                    for bytes in stream.as_bytes().chunks(piece) {
                        decoder.push(bytes);
                        result = all(&mut decoder);
                        if result.is_err() {
                            break;
                        }
                    }
                    (decoder, result)
                };
                let (_, fits) = fed(8);
                assert_eq!(fits.unwrap().len(), usize::from(newline_seen));
                let (mut decoder, refused) = fed(9);
                assert!(matches!(refused, Err(LineError::TooLong { line_bytes_max: 8 })));
                decoder.push(b"\n{}\n");
                assert!(
                    matches!(decoder.next(), Err(LineError::TooLong { .. })),
                    "what follows is not read as messages"
                );
            }
        }
    }

    #[test]
    fn an_end_inside_a_line_is_named() {
        let mut decoder = LineDecoder::new(64);
        decoder.push(b"{}\n{\"half\":");
        assert_eq!(all(&mut decoder).unwrap().len(), 1);
        assert!(matches!(decoder.finish(), Err(LineError::Truncated { bytes: 8 })));
    }

    #[test]
    fn a_line_is_a_slice_of_the_received_buffer() {
        let mut decoder = LineDecoder::new(64);
        decoder.push(b"one\ntwo\n");
        let (one, two) = (decoder.next().unwrap().unwrap(), decoder.next().unwrap().unwrap());
        assert_eq!(one.as_ptr() as usize + 4, two.as_ptr() as usize);
    }

    #[test]
    fn line_breaks_between_tokens_become_spaces_and_inside_strings_are_refused() {
        let pretty = Bytes::from_static(b"{\r\n  \"a\\\"\": \"b\\\\\",\n  \"c\": 0.9\n}");
        assert_eq!(
            on_one_line(&pretty).unwrap(),
            &b"{    \"a\\\"\": \"b\\\\\",   \"c\": 0.9 }"[..]
        );
        let broken = Bytes::from_static(b"{\"a\\\"\n\":1}");
        assert!(matches!(
            on_one_line(&broken),
            Err(LineError::BreakInString { offset: 5 })
        ));
        let plain = Bytes::from_static(b"{\"a\":\"\\n\"}");
        assert_eq!(on_one_line(&plain).unwrap().as_ptr(), plain.as_ptr(), "not copied");
    }

    #[tokio::test]
    async fn what_is_written_is_read_back() {
        // Room for seven bytes only: every message is written and read in pieces.
        let (near, far) = tokio::io::duplex(7);
        let (mut writer, mut reader) = (LineWriter::new(near), LineReader::new(far, 1024));
        let messages: Vec<Bytes> = (0..100)
            .map(|n| Bytes::from(format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(n))))
            .collect();
        let sent = messages.clone();
        let write = async move {
            for message in &sent {
                writer.write(message).await.unwrap();
            }
        };
        let read = async {
            let mut received = Vec::new();
            while let Some(line) = reader.next().await.unwrap() {
                received.push(line);
            }
            received
        };
        let ((), received) = tokio::join!(write, read);
        assert_eq!(received, messages);
    }

    #[tokio::test]
    async fn a_dropped_write_is_finished_by_the_next() {
        let (near, far) = tokio::io::duplex(4);
        let mut writer = LineWriter::new(near);
        let first = Bytes::from_static(b"{\"first\":true}");
        {
            // Polled once: four bytes are on the wire, then the caller gives up.
            let call = writer.write(&first);
            tokio::pin!(call);
            assert!(futures_poll_once(call).await.is_none());
        }
        let mut reader = LineReader::new(far, 64);
        let second = Bytes::from_static(b"{}");
        let write = async move {
            writer.write(&second).await.unwrap();
        };
        let read = async {
            (
                reader.next().await.unwrap().unwrap(),
                reader.next().await.unwrap().unwrap(),
            )
        };
        let ((), (one, two)) = tokio::join!(write, read);
        assert_eq!((&one[..], &two[..]), (&first[..], &b"{}"[..]));
    }

    #[tokio::test]
    async fn a_reader_that_is_gone_is_named() {
        let (near, far) = tokio::io::duplex(64);
        drop(far);
        let refused = LineWriter::new(near).write(&Bytes::from_static(b"{}")).await;
        assert!(matches!(refused, Err(LineError::Closed)));
    }

    async fn futures_poll_once<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut future).poll(context) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
